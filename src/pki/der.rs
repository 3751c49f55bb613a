//! The little of DER (X.690) that certificates need: definite lengths, one level at a time; and writing elements.
//!
//! What reading never does: recurse, allocate, or look past the end of what it was given.

/// Tags in the order they are met in a certificate.
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[3] EXPLICIT`, constructed.
pub(super) const CONTEXT_3: u8 = 0xa3;
/// `[0] IMPLICIT`, primitive: a key identifier.
pub(super) const KEY_IDENTIFIER: u8 = 0x80;
/// `[2] IMPLICIT`, primitive: a DNS name.
pub(super) const DNS_NAME: u8 = 0x82;
/// `[7] IMPLICIT`, primitive: an IP address.
pub(super) const IP_ADDRESS: u8 = 0x87;

/// One element: its tag, what it holds, and itself with its header.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// Elements one after the other.
#[derive(Clone)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element's tag.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element; `None` at the end and where the bytes are not DER.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let start = self.0;
        let (&tag, rest) = start.split_first()?;
        // Tags above 30 take more bytes; no certificate field has one.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let (digits, after) = rest.split_at_checked(count)?;
            rest = after;
            digits.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte))
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = start.get(..start.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next element if it has this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// What the one element of this tag holds, where the bytes are exactly that element.
pub(super) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut elements = Elements::of(bytes);
    let element = elements.expect(tag)?;
    elements.is_empty().then_some(element.content)
}

/// An element of `tag` that holds `parts`, one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let first = digits.iter().position(|digit| *digit != 0).unwrap_or_default();
            let digits = digits.get(first..).unwrap_or_default();
            // A length has eight digits at most.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            out.extend_from_slice(digits);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let written = element(OCTET_STRING, &[&content, &[8]]);
            let read = only(&written, OCTET_STRING).unwrap();
            assert_eq!((read.len(), read.last()), (length + 1, Some(&8)));
        }
        assert_eq!(element(SEQUENCE, &[&[7; 127]])[..2], [0x30, 0x7f]);
        assert_eq!(element(SEQUENCE, &[&[7; 256]])[..4], [0x30, 0x82, 1, 0]);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(only(&[0x30, 0x02, 1, 2], SEQUENCE), Some(&[1, 2][..]));
        assert_eq!(only(&[0x30, 0x81, 0x02, 1, 2], SEQUENCE), Some(&[1, 2][..]));
        let wrong: [&[u8]; 8] = [
            &[],
            &[0x30],
            &[0x30, 0x03, 1, 2],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x3f, 0x02, 1, 2],
            &[0x30, 0x01, 1, 2],
        ];
        for bytes in wrong {
            assert_eq!(only(bytes, SEQUENCE), None, "{bytes:?}");
        }
    }
}
