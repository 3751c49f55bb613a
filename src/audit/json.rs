//! JSON text written straight into bytes: what is recorded of a request is on its path, and a tree would cost more
//! than the request.
//!
//! What it never does: leave a control character as it is, so that no text can forge a line or steer a terminal.

use jiff::tz::Offset;

/// Writes the members of an object; the caller writes the braces around it.
pub struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    /// None so far.
    pub fn of(out: &'o mut Vec<u8>) -> Self {
        Self { out, is_first: true }
    }

    /// Begins a member; what is written to the result is its value.
    pub fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        push_text(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) {
        push_text(self.name(name), value);
    }

    /// A text that is left out where it is empty.
    pub fn text_if_any(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// Texts; left out where there are none.
    pub fn texts_if_any(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            push_texts(self.name(name), values);
        }
    }

    /// A `metav1.MicroTime`.
    pub fn time(&mut self, name: &str, unix_millis: i64) {
        let out = self.name(name);
        out.push(b'"');
        push_micro_time(out, unix_millis);
        out.push(b'"');
    }
}

/// A string with its quotes.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    // Such a byte begins a character, so that the text can be cut there.
    while let Some((plain, from)) = rest.bytes().position(may_need_escape).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(plain.as_bytes());
        let mut chars = from.chars();
        match chars.next() {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some(c) if c.is_control() => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// An array of strings.
pub fn push_texts(out: &mut Vec<u8>, texts: &[String]) {
    out.push(b'[');
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_text(out, text);
    }
    out.push(b']');
}

/// `metav1.MicroTime`: RFC 3339 with six decimals, UTC. A time that no calendar has is the epoch.
pub fn push_micro_time(out: &mut Vec<u8>, unix_millis: i64) {
    let time = jiff::Timestamp::from_millisecond(unix_millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let time = Offset::UTC.to_datetime(time);
    push_digits(out, time.year().unsigned_abs().into(), 4);
    for (before, number) in
        [(b'-', time.month()), (b'-', time.day()), (b'T', time.hour()), (b':', time.minute()), (b':', time.second())]
    {
        out.push(before);
        push_digits(out, number.unsigned_abs().into(), 2);
    }
    out.push(b'.');
    push_digits(out, time.subsec_nanosecond().unsigned_abs() / 1000, 6);
    out.push(b'Z');
}

/// The number in decimal, with zeros before it.
fn push_digits(out: &mut Vec<u8>, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(u8::try_from(digit).map_or(b'?', |digit| b'0' + digit));
    }
}

/// Control characters, quotes, and the byte that the second set of control characters begins with.
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xc2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_holds_no_control_character_on_the_way(text in any::<String>()) {
            let json = written(|out| push_text(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.chars().any(char::is_control));
        }

        #[test]
        fn times_are_what_the_calendar_library_writes(millis in 0_i64..253_402_300_799_999) {
            let library = jiff::Timestamp::from_millisecond(millis).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(written(|out| push_micro_time(out, millis)), library);
        }
    }

    #[test]
    fn control_characters_of_both_sets_are_escaped_and_letters_beside_them_are_not() {
        assert_eq!(written(|out| push_text(out, "a\u{1b}[2J\u{7f}\u{9b}µ\n")), r#""a\u001b[2J\u007f\u009bµ\n""#);
    }

    #[test]
    fn a_time_that_no_calendar_has_is_the_epoch() {
        assert_eq!(written(|out| push_micro_time(out, i64::MAX)), "1970-01-01T00:00:00.000000Z");
    }
}
