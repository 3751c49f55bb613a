//! A line of the log: a JSON object whose last member is its place in the chain.
//!
//! ```text
//! {"kind":"Event","apiVersion":"audit.k8s.io/v1", … ,"chain":{"sequence":17,"link":"<64 hexadecimal digits>"}}
//! ╰───────────────── content, with a brace ───────╯
//! ```
//!
//! The chain is a member of its own and not an annotation. Annotations are what consumers index and show, and a link
//! there would have to be found by parsing; as the last member it is cut off by its fixed form, and what was linked is
//! the very bytes before it. Kubernetes' decoder of events passes over members that it does not know, as do the
//! usual collectors; so the line stays an event to all of them. Other lines (the beginning of a file, checkpoints,
//! cuts) have the same last member and another `kind`.

/// `"}}` and what stands before the link.
const END: &[u8] = b"\"}}";
const BEFORE_LINK: &[u8] = b",\"link\":\"";
const BEFORE_SEQUENCE: &[u8] = b",\"chain\":{\"sequence\":";
const LINK_DIGITS: usize = 64;
/// Digits of the greatest u64.
const SEQUENCE_MAX_DIGITS: usize = 20;

/// A line, taken apart; nothing is checked against the line before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'l> {
    /// Its number in the chain, from 1.
    pub sequence: u64,
    /// Its link.
    pub link: [u8; 32],
    /// The content without its closing brace.
    open: &'l [u8],
}

impl<'l> Line<'l> {
    /// Takes a line apart, given without the line's end. `None` where it is none of ours.
    pub fn parse(text: &'l [u8]) -> Option<Self> {
        let rest = text.strip_suffix(END)?;
        let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(LINK_DIGITS)?)?;
        let mut link = [0; 32];
        hex::decode_to_slice(digits, &mut link).ok()?;
        let rest = rest.strip_suffix(BEFORE_LINK)?;
        let digits = rest.iter().rev().take(SEQUENCE_MAX_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, number) = rest.split_at_checked(rest.len().checked_sub(digits)?)?;
        let sequence = std::str::from_utf8(number).ok()?.parse().ok()?;
        let open = rest.strip_suffix(BEFORE_SEQUENCE)?;
        // There is one way to write it: otherwise a line could be changed where the link does not look.
        let mut member = Vec::new();
        push_chain(&mut member, sequence, &link);
        (text.strip_suffix(member.as_slice()) == Some(open)).then_some(Self { sequence, link, open })
    }

    /// What was linked: the object without its last member.
    pub fn content(&self) -> Vec<u8> {
        [self.open, b"}"].concat()
    }

    /// The object's `kind`, which is its first member; `""` where there is none.
    pub fn kind(&self) -> &'l str {
        let kind = || {
            let rest = self.open.strip_prefix(b"{\"kind\":\"")?;
            let (kind, _) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'"')?)?;
            std::str::from_utf8(kind).ok()
        };
        kind().unwrap_or_default()
    }
}

/// Makes the content into a line, with the line's end. The content is a JSON object that is not empty.
pub fn chain(content: &mut Vec<u8>, sequence: u64, link: &[u8; 32]) {
    content.pop();
    push_chain(content, sequence, link);
    content.push(b'\n');
}

/// The last member, and the brace that closes the object.
fn push_chain(out: &mut Vec<u8>, sequence: u64, link: &[u8; 32]) {
    out.extend_from_slice(BEFORE_SEQUENCE);
    out.extend_from_slice(sequence.to_string().as_bytes());
    out.extend_from_slice(BEFORE_LINK);
    let mut digits = [0; LINK_DIGITS];
    // The one error is a length that does not fit, and this one does.
    let _ = hex::encode_to_slice(link, &mut digits);
    out.extend_from_slice(&digits);
    out.extend_from_slice(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chained(content: &str, sequence: u64) -> String {
        let mut line = content.as_bytes().to_vec();
        chain(&mut line, sequence, &[0xab; 32]);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_is_taken_apart_into_what_it_was_made_of() {
        for sequence in [1, 10, u64::MAX] {
            let text = chained(r#"{"kind":"Event","a":{}}"#, sequence);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["chain"]["sequence"] == sequence);
            let line = Line::parse(text.strip_suffix('\n').unwrap().as_bytes()).unwrap();
            assert_eq!((line.sequence, line.link, line.kind()), (sequence, [0xab; 32], "Event"));
            assert_eq!(line.content(), br#"{"kind":"Event","a":{}}"#);
        }
    }

    #[test]
    fn a_line_written_in_another_way_is_none_of_ours() {
        let good = chained(r#"{"kind":"Event"}"#, 12);
        let good = good.trim_end();
        assert!(Line::parse(good.as_bytes()).is_some());
        for wrong in [
            good.to_uppercase(),
            good.replace("abab", "ABAB"),
            good.replace(":12,", ":012,"),
            good.replace(":12,", ":+12,"),
            good.replace(":12,", ":,"),
            good.replace(":12,", ":99999999999999999999,"),
            format!("{good} "),
            good[1..good.len() - 1].to_owned(),
            String::new(),
            "\"}}".to_owned(),
            "ab".repeat(40) + "\"}}",
        ] {
            assert_eq!(Line::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
