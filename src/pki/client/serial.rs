//! Serial numbers of certificates as people write them.

/// RFC 5280, 4.1.2.2 allows 20 bytes; some authorities use more.
const SERIAL_MAX_BYTES: usize = 64;
/// Longer texts are no serial numbers.
pub const SERIAL_TEXT_MAX_BYTES: usize = 2 * SERIAL_MAX_BYTES;

/// A serial number in the one form in which it is compared: lower-case hexadecimal without leading zeros. Takes what
/// programs show: digits in either case, with or without colons between them. `None` if it is none, or zero.
pub fn parse_serial(text: &str) -> Option<String> {
    if text.len() > SERIAL_TEXT_MAX_BYTES || !text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = digits.trim_start_matches('0').to_ascii_lowercase();
    if digits.is_empty() { None } else { Some(digits) }
}

/// The same of the bytes that a certificate holds; `None` if there are too many.
pub fn serial_hex(bytes: &[u8]) -> Option<String> {
    let start = bytes.iter().position(|byte| *byte != 0)?;
    parse_serial(&hex::encode(bytes.get(start..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for text in ["4a0b", "4A0B", "4A:0b", "0004a0b", "00:4A:0B"] {
            assert_eq!(parse_serial(text).as_deref(), Some("4a0b"), "{text:?}");
        }
        assert_eq!(serial_hex(&[0, 0x4a, 0x0b]).as_deref(), Some("4a0b"));
        assert_eq!(serial_hex(&[0x0a]).as_deref(), Some("a"));
        for text in ["", "0", "00:00", "4a0g", "0x4a", "4a 0b", "-4a", "4a/0b", " 4a", "4a\n", &"f".repeat(129)] {
            assert_eq!(parse_serial(text), None, "{text:?}");
        }
        assert_eq!((serial_hex(&[1; 64]).is_some(), serial_hex(&[1; 65]).is_some()), (true, false));
    }
}
