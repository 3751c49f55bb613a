//! Text as what it may stand for: lines joined, escapes undone, base64, hexadecimal digits and percent signs decoded.
//!
//! Where it cannot be computed from a byte's place where in the text it came from, that is told with the byte. None makes more
//! bytes than it is given: what has room for as many never grows.

/// Leaves out line ends and the blanks that follow them.
pub fn join(text: &[u8], mut emit: impl FnMut(usize, u8)) {
    let mut line = Line::default();
    for (at, byte) in text.iter().enumerate() {
        if line.takes(*byte) {
            emit(at, *byte);
        }
    }
}

/// Undoes the escapes of JSON, which are those of most languages, and joins lines.
pub fn unescape(text: &[u8], mut emit: impl FnMut(usize, u8)) {
    let mut line = Line::default();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let mut utf8 = [0; 4];
        let (decoded, after): (&[u8], &[u8]) = match (first, tail) {
            (b'\\', [c @ (b'"' | b'\\' | b'/' | b'\''), tail @ ..]) => (std::slice::from_ref(c), tail),
            (b'\\', [b'n', tail @ ..]) => (b"\n", tail),
            (b'\\', [b'r', tail @ ..]) => (b"\r", tail),
            (b'\\', [b't', tail @ ..]) => (b"\t", tail),
            (b'\\', [b'b', tail @ ..]) => (b"\x08", tail),
            (b'\\', [b'f', tail @ ..]) => (b"\x0c", tail),
            (b'\\', [b'u', digits @ ..]) => match character(digits) {
                Some((c, tail)) => (c.encode_utf8(&mut utf8).as_bytes(), tail),
                None => (std::slice::from_ref(first), tail),
            },
            _ => (std::slice::from_ref(first), tail),
        };
        let at = text.len() - rest.len();
        decoded.iter().filter(|byte| line.takes(**byte)).for_each(|byte| emit(at, *byte));
        rest = after;
    }
}

/// Four hexadecimal digits, or two times four with `\u` between them.
fn character(text: &[u8]) -> Option<(char, &[u8])> {
    let unit = |text: &[u8]| {
        let digits = text.first_chunk::<4>()?;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u32::from(hex_digit(*digit)?)))
    };
    let (first, tail) = (unit(text)?, text.get(4..)?);
    if let Some(c) = char::from_u32(first) {
        return Some((c, tail));
    }
    let second = unit(tail.strip_prefix(b"\\u")?)?;
    let c = char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?]).next()?.ok()?;
    Some((c, tail.get(6..)?))
}

/// Decodes base64 of either alphabet. What is not of it ends the text.
pub fn base64(text: &[u8], out: &mut Vec<u8>) {
    let mut bits = 0_u32;
    let mut held = 0;
    for digit in text.iter().map_while(|byte| base64_digit(*byte)) {
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held).to_le_bytes()[0]);
        }
    }
}

/// Decodes pairs of hexadecimal digits.
pub fn hex(text: &[u8], out: &mut Vec<u8>) {
    for pair in text.chunks_exact(2) {
        let &[high, low] = pair else { return };
        let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low)) else { return };
        out.push(high << 4 | low);
    }
}

/// Decodes `%XX`, and `+` as a blank where forms are encoded.
pub fn url(text: &[u8], is_form: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            (b'+', after) if is_form => Some((b' ', after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, tail));
        out.push(byte);
        rest = after;
    }
}

/// Six bits.
pub const fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Four bits.
pub const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Where in a line a byte stands.
#[derive(Default)]
struct Line {
    begins: bool,
}

impl Line {
    fn takes(&mut self, byte: u8) -> bool {
        match byte {
            b'\r' | b'\n' => self.begins = true,
            b' ' | b'\t' if self.begins => {}
            _ => {
                self.begins = false;
                return true;
            }
        }
        false
    }
}
