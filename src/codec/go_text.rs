//! Go's spellings that clients see: numbers (`strconv`), times (`time.Parse`) and base64 (`encoding/base64`).
//!
//! It never keeps what it is given, and none of its answers quotes it.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A finite number as `encoding/json` writes it: no exponent between 1e-6 and 1e21.
pub(super) fn json_float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        exponent_form(&format!("{number:e}"), 1)
    } else {
        number.to_string()
    }
}

/// A number as `strconv.FormatFloat(number, 'g', -1, 64)` writes it.
pub(super) fn general_float(number: f64) -> String {
    general_form(&format!("{number:e}"), || number.to_string())
}

/// As [`general_float`] with 32 bits: how `sigs.k8s.io/yaml` writes a number that is a map's key.
pub(super) fn general_float32(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the key is rounded to 32 bits by definition")]
    let number = number as f32;
    general_form(&format!("{number:e}"), || number.to_string())
}

/// The integer that is left when Go writes this number as JSON and reads it again, if it is one.
pub(super) fn whole(number: f64) -> Option<serde_json::Number> {
    if number.fract() != 0.0 {
        return None;
    }
    let digits = json_float(number);
    digits.parse::<i64>().map(Into::into).or_else(|_| digits.parse::<u64>().map(Into::into)).ok()
}

fn general_form(scientific: &str, fixed: impl FnOnce() -> String) -> String {
    let exponent: i32 = scientific.split_once('e').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(0);
    // Go's shortest %g writes an exponent below 1e-4 and from 1e6 on.
    if (-4..6).contains(&exponent) { fixed() } else { exponent_form(scientific, 2) }
}

/// Rust's `1.5e-7` as Go's `1.5e-07`, with at least so many digits of exponent.
fn exponent_form(scientific: &str, min_digits: usize) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>min_digits$}")
}

/// Base64 text in its canonical form, or the offset that Go's `CorruptInputError` would name.
///
/// As Go decodes: standard alphabet, padding required, line breaks ignored, unused bits ignored.
pub(super) fn canonical_base64(text: &str) -> Result<Cow<'_, str>, usize> {
    let bytes = text.as_bytes();
    let mut out: Option<String> = None;
    let mut at = plain_prefix(bytes);
    while let Some(quantum) = quantum(bytes, at)? {
        let as_written = bytes.get(at..quantum.end).unwrap_or_default();
        match &mut out {
            None if as_written == quantum.text => {}
            None => {
                let mut rewritten = text.get(..at).unwrap_or_default().to_owned();
                rewritten.extend(quantum.text.map(char::from));
                out = Some(rewritten);
            }
            Some(out) => out.extend(quantum.text.map(char::from)),
        }
        at = quantum.end;
    }
    Ok(match out {
        Some(out) => Cow::Owned(out),
        // Line breaks may be all that is left after the last quantum.
        None => Cow::Borrowed(text.get(..at).unwrap_or(text)),
    })
}

/// Length of a beginning that is canonical at a glance: whole quanta of the alphabet, all but the last.
fn plain_prefix(bytes: &[u8]) -> usize {
    let length = bytes.len().saturating_sub(4) / 4 * 4;
    let prefix = bytes.get(..length).unwrap_or_default();
    // Without a way out of the loop it is done many bytes at a time.
    let is_plain = prefix
        .iter()
        .fold(true, |plain, byte| plain & matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/'));
    if is_plain { length } else { 0 }
}

/// Number of bytes that canonical base64 text stands for.
pub(super) fn base64_len(canonical: &str) -> usize {
    let padding = canonical.bytes().rev().take_while(|&byte| byte == b'=').count();
    (canonical.len() / 4 * 3).saturating_sub(padding)
}

struct Quantum {
    text: [u8; 4],
    end: usize,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// `byte` with the lowest `bits` of its sextet cleared.
fn clear_low_bits(byte: u8, bits: u8) -> u8 {
    let kept = sextet(byte).unwrap_or(0) >> bits << bits;
    ALPHABET.get(usize::from(kept)).copied().unwrap_or(byte)
}

/// The next four characters; `None` at the end. Follows `decodeQuantum`, whose offsets it reproduces.
fn quantum(bytes: &[u8], start: usize) -> Result<Option<Quantum>, usize> {
    let is_break = |byte: &u8| matches!(*byte, b'\n' | b'\r');
    let skip_breaks = |mut at: usize| {
        while bytes.get(at).is_some_and(is_break) {
            at += 1;
        }
        at
    };
    let mut text = *b"====";
    let mut count = 0;
    let mut at = start;
    while count < 4 {
        let Some(&byte) = bytes.get(at) else {
            return if count == 0 { Ok(None) } else { Err(at - count) };
        };
        at += 1;
        if sextet(byte).is_some() {
            if let Some(slot) = text.get_mut(count) {
                *slot = byte;
            }
            count += 1;
        } else if !is_break(&byte) {
            if byte != b'=' || count < 2 {
                return Err(at - 1);
            }
            if count == 2 {
                at = skip_breaks(at);
                match bytes.get(at) {
                    None => return Err(bytes.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            at = skip_breaks(at);
            if at < bytes.len() {
                return Err(at);
            }
            let [a, b, c, _] = text;
            let text =
                if count == 2 { [a, clear_low_bits(b, 4), b'=', b'='] } else { [a, b, clear_low_bits(c, 2), b'='] };
            return Ok(Some(Quantum { text, end: at }));
        }
    }
    Ok(Some(Quantum { text, end: at }))
}

/// A time of RFC 3339 as `metav1.Time` stores it: UTC, whole seconds. Go's zero time becomes `None`.
pub(super) fn rfc3339_utc(text: &str) -> Result<Option<String>, ()> {
    utc(text, false)
}

/// The same as `metav1.MicroTime` stores it: UTC, with the six digits of microseconds that it must have.
pub(super) fn rfc3339_micro_utc(text: &str) -> Result<Option<String>, ()> {
    utc(text, true)
}

/// Hours, minutes and seconds; microseconds.
type TimeOfDay = ((i8, i8, i8), i32);

fn utc(text: &str, is_micro: bool) -> Result<Option<String>, ()> {
    let mut rest = Scanner(text.as_bytes());
    let read = (|| {
        let date = rest.date(true)?;
        rest.literal(b'T')?;
        let time = if is_micro { rest.micro_time()? } else { (rest.time(true)?, 0) };
        let offset_seconds = rest.zone()?;
        rest.end()?;
        Some((date, time, offset_seconds))
    })();
    let ((year, month, day), ((hour, minute, second), micros), offset_seconds) = read.ok_or(())?;
    let local = DateTime::new(year, month, day, hour, minute, second, micros * 1_000).map_err(|_| ())?;
    let local = local.to_zoned(TimeZone::UTC).map_err(|_| ())?.timestamp();
    let utc: Timestamp = local.checked_sub(SignedDuration::from_secs(offset_seconds)).map_err(|_| ())?;
    let utc = utc.to_zoned(TimeZone::UTC);
    match utc.year() {
        1 if utc.day_of_year() == 1
            && (utc.hour(), utc.minute(), utc.second(), utc.subsec_nanosecond()) == (0, 0, 0, 0) =>
        {
            Ok(None)
        }
        0..=9999 => {
            Ok(Some(utc.strftime(if is_micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" }).to_string()))
        }
        _ => Err(()),
    }
}

/// Whether go-yaml takes a plain scalar for a timestamp, which it therefore quotes when writing text.
pub(super) fn is_yaml_timestamp(text: &str) -> bool {
    let date_ends = |rest: &Scanner<'_>| rest.0.is_empty();
    let mut rest = Scanner(text.as_bytes());
    let Some((year, month, day)) = rest.date(false) else { return false };
    if DateTime::new(year, month, day, 0, 0, 0, 0).is_err() {
        return false;
    }
    if date_ends(&rest) {
        return true;
    }
    if rest.literal(b' ').is_some() {
        return rest.time(false).is_some() && rest.end().is_some();
    }
    (rest.literal(b'T').is_some() || rest.literal(b't').is_some())
        && rest.time(false).is_some()
        && rest.zone().is_some()
        && rest.end().is_some()
}

/// Reads the pieces of Go's layouts from the front of a text; `None` where `time.Parse` fails.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn literal(&mut self, wanted: u8) -> Option<()> {
        let (&first, rest) = self.0.split_first()?;
        (first == wanted).then(|| self.0 = rest)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn digit(&mut self) -> Option<i8> {
        let (&first, rest) = self.0.split_first()?;
        first.is_ascii_digit().then(|| {
            self.0 = rest;
            i8::try_from(first - b'0').unwrap_or_default()
        })
    }

    /// Two digits, or one where the layout allows it.
    fn number(&mut self, two_digits: bool) -> Option<i8> {
        let first = self.digit()?;
        match self.digit() {
            Some(second) => Some(first * 10 + second),
            None => (!two_digits).then_some(first),
        }
    }

    fn date(&mut self, two_digits: bool) -> Option<(i16, i8, i8)> {
        let mut year = 0;
        for _ in 0..4 {
            year = year * 10 + i16::from(self.digit()?);
        }
        self.literal(b'-')?;
        let month = self.number(two_digits)?;
        self.literal(b'-')?;
        Some((year, month, self.number(two_digits)?))
    }

    /// Hours may always be one digit; a fraction of a second is read over.
    fn time(&mut self, two_digits: bool) -> Option<(i8, i8, i8)> {
        let hour = self.number(false)?;
        self.literal(b':')?;
        let minute = self.number(two_digits)?;
        self.literal(b':')?;
        let second = self.number(two_digits)?;
        if let [b'.' | b',', b'0'..=b'9', ..] = self.0 {
            self.0 = self.0.get(1..).unwrap_or_default();
            while self.digit().is_some() {}
        }
        (hour < 24 && minute < 60 && second < 60).then_some((hour, minute, second))
    }

    /// As [`Self::time`], with a fraction of exactly six digits.
    fn micro_time(&mut self) -> Option<TimeOfDay> {
        let (&[h1, h2, b':', m1, m2, b':', s1, s2, b'.' | b','], rest) = self.0.split_first_chunk()? else {
            return None;
        };
        let time = Scanner(&[h1, h2, b':', m1, m2, b':', s1, s2]).time(true)?;
        self.0 = rest;
        let mut micros = 0;
        for _ in 0..6 {
            micros = micros * 10 + i32::from(self.digit()?);
        }
        Some((time, micros))
    }

    /// `Z`, or an offset in seconds.
    fn zone(&mut self) -> Option<i64> {
        if self.literal(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.literal(b'+').is_some() { 1 } else { self.literal(b'-').map(|()| -1)? };
        let hours = self.number(true)?;
        self.literal(b':')?;
        let minutes = self.number(true)?;
        (hours <= 24 && minutes <= 60).then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)) * 60)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_micro_time_has_six_digits_of_a_second() {
        for (text, expected) in [
            ("2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04:05.123456+01:00", "2026-01-02T02:04:05.123456Z"),
            ("2026-01-02T03:04:05,000001Z", "2026-01-02T03:04:05.000001Z"),
        ] {
            assert_eq!(rfc3339_micro_utc(text), Ok(Some(expected.to_owned())), "{text}");
        }
        assert_eq!(rfc3339_micro_utc("0001-01-01T00:00:00.000000Z"), Ok(None));
        assert_eq!(
            rfc3339_micro_utc("0001-01-01T00:00:00.000001Z"),
            Ok(Some("0001-01-01T00:00:00.000001Z".to_owned()))
        );
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.12345Z", "2026-01-02T03:04:05.1234567Z", ""] {
            assert_eq!(rfc3339_micro_utc(text), Err(()), "{text}");
        }
    }

    #[test]
    fn base64_errors_name_the_byte_that_go_names() {
        for (text, offset) in [
            ("!!!!", 0),
            ("====", 0),
            ("x===", 1),
            ("AAA=AAAA", 4),
            ("AAAA====", 4),
            ("AAAAA", 4),
            ("AAAAAA", 4),
            ("AAAAA=", 5),
            ("A=", 1),
            ("A=A=", 1),
            ("AA=A", 2),
            ("AA=", 3),
            ("YQ=\n=A", 5),
            ("Zm9v-", 4),
            ("Zm\n9", 1),
        ] {
            assert_eq!(canonical_base64(text), Err(offset), "{text:?}");
        }
    }

    #[test]
    fn base64_is_rewritten_to_its_canonical_form() {
        for (text, canonical, len) in [
            ("", "", 0),
            ("\r\n", "", 0),
            ("YQ==", "YQ==", 1),
            ("YR==", "YQ==", 1),
            ("YWJ=", "YWI=", 2),
            ("YWJj\n", "YWJj", 3),
            ("YW\nJj\r\nYQ=\n=\n", "YWJjYQ==", 4),
        ] {
            let rewritten = canonical_base64(text).unwrap();
            assert_eq!(rewritten, canonical);
            assert_eq!(base64_len(&rewritten), len);
        }
    }

    #[test]
    fn times_are_stored_in_utc_and_whole_seconds() {
        for (text, stored) in [
            ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("2024-02-29T12:00:00.999Z", "2024-02-29T12:00:00Z"),
            ("2024-02-29T1:00:00,5+01:30", "2024-02-28T23:30:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339_utc(text), Ok(Some(stored.to_owned())), "{text}");
        }
        assert_eq!(rfc3339_utc("0001-01-01T00:00:00Z"), Ok(None));
        for text in ["", "2024-02-30T12:00:00Z", "2024-2-03T12:00:00Z", "2024-02-29", "2024-02-29T12:00:00Zx"] {
            assert_eq!(rfc3339_utc(text), Err(()), "{text}");
        }
        assert_eq!(rfc3339_utc("0000-01-01T00:00:00+01:00"), Err(()));
    }

    #[test]
    fn numbers_read_as_in_go() {
        for (number, json, general) in [
            (1.5, "1.5", "1.5"),
            (1e20, "100000000000000000000", "1e+20"),
            (1e21, "1e+21", "1e+21"),
            (1e-7, "1e-7", "1e-07"),
            (1_234_567.5, "1234567.5", "1.2345675e+06"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "0.00001", "1e-05"),
            (123_456.5, "123456.5", "123456.5"),
        ] {
            assert_eq!((json_float(number).as_str(), general_float(number).as_str()), (json, general));
        }
    }

    proptest! {
        #[test]
        fn canonical_base64_is_what_the_crate_writes(bytes: Vec<u8>) {
            let text = STANDARD.encode(&bytes);
            prop_assert_eq!(canonical_base64(&text), Ok(Cow::Borrowed(text.as_str())));
            prop_assert_eq!(base64_len(&text), bytes.len());
        }

        #[test]
        fn whatever_is_accepted_the_crate_can_decode(text in "[A-Za-c/+=\r\n]{0,12}") {
            if let Ok(canonical) = canonical_base64(&text) {
                prop_assert!(STANDARD.decode(canonical.as_bytes()).is_ok());
            }
        }
    }
}
