//! The little of DER (X.690) that reading a certificate needs: definite lengths, one level at a time.
//!
//! What it never does: recurse, allocate, or look past the end of what it was given.

/// Tags in the order they are met in a certificate.
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[3] EXPLICIT`, constructed.
pub(super) const CONTEXT_3: u8 = 0xa3;
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

#[cfg(test)]
mod tests {
    use super::*;

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
