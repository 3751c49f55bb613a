//! The subject of a client certificate, and which names may stand in one.

use super::super::PkiError;
use super::super::der::{OBJECT_IDENTIFIER, SEQUENCE, SET, UTF8_STRING, element};

/// The longest user or group name, in bytes of UTF-8.
pub const NAME_MAX_BYTES: usize = 256;
/// Most groups of one certificate.
pub const GROUPS_MAX: usize = 128;

/// 2.5.4.3
pub(super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
pub(super) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// 0.9.2342.19200300.100.1.1 (RFC 4519, 2.39)
pub(super) const USER_ID: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01];

const RESERVED_PREFIX: &str = "system:";
/// Characters that show as nothing, or turn the text after them around: names with them look like others.
const INVISIBLE: [std::ops::RangeInclusive<char>; 5] = [
    '\u{ad}'..='\u{ad}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
];

/// Who a client certificate is for.
#[derive(Debug, Clone, Copy)]
pub struct ClientSubject<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The user's groups; a certificate holds each once.
    pub groups: &'a [String],
    /// The uid of the User object.
    pub uid: &'a str,
}

impl ClientSubject<'_> {
    /// The DER name: an `O` for each group, `CN`, `UID`. A name that a reader would refuse is refused here.
    pub(super) fn encode(&self) -> Result<Vec<u8>, PkiError> {
        let mut names = vec![(COMMON_NAME, self.user), (USER_ID, self.uid)];
        let mut groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() > GROUPS_MAX {
            return Err(PkiError::Subject);
        }
        names.splice(0..0, groups.into_iter().map(|group| (ORGANIZATION, group)));
        if names.iter().any(|(_, name)| !is_printable(name) || is_reserved(name)) {
            return Err(PkiError::Subject);
        }
        let attribute = |(kind, name): (&[u8], &str)| {
            let (kind, name) = (element(OBJECT_IDENTIFIER, &[kind]), element(UTF8_STRING, &[name.as_bytes()]));
            element(SET, &[&element(SEQUENCE, &[&kind, &name])])
        };
        Ok(element(SEQUENCE, &[&names.into_iter().flat_map(attribute).collect::<Vec<u8>>()]))
    }
}

/// Whether Kubernetes, and we, keep the name for the system's own users and groups.
pub(super) fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

/// Whether the name can be shown, and not be taken for another: of some length, without blanks around it, control
/// or invisible characters.
pub(super) fn is_printable(name: &str) -> bool {
    let is_hidden = |c: char| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
    (1..=NAME_MAX_BYTES).contains(&name.len()) && name.trim() == name && !name.chars().any(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_unprintable_names_are_told() {
        assert!(is_reserved("system:masters") && is_reserved("System:x") && is_reserved("system:"));
        assert!(!is_reserved("system") && !is_reserved("my-system:x") && !is_reserved("sÿstem:x"));
        assert!(is_printable("ada") && is_printable("ada lovelace") && is_printable("Ådå@example.com"));
        for name in ["", " ada", "ada\n", "a\0b", "a\u{202e}b", "a\u{200b}b", "\u{feff}ada", "\u{a0}"] {
            assert!(!is_printable(name), "{name:?}");
        }
        assert!(is_printable(&"x".repeat(256)) && !is_printable(&"x".repeat(257)));
    }

    #[test]
    fn a_subject_that_would_not_be_read_back_is_not_written() {
        let encode = |user, groups: &[&str], uid| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            ClientSubject { user, groups: &groups, uid }.encode()
        };
        assert!(encode("ada", &["dev", "ops", "dev"], "u-1").is_ok());
        for (user, groups, uid) in [
            ("", &["dev"][..], "u"),
            ("system:admin", &[], "u"),
            ("ada", &["system:masters"], "u"),
            ("ada", &[""], "u"),
            ("ada", &["a\nb"], "u"),
            ("ada", &["dev"], ""),
        ] {
            assert_eq!(encode(user, groups, uid), Err(PkiError::Subject), "{user} {groups:?} {uid}");
        }
        let many: Vec<String> = (0..=GROUPS_MAX).map(|number| number.to_string()).collect();
        assert!(ClientSubject { user: "ada", groups: &many, uid: "u" }.encode().is_err());
    }
}
