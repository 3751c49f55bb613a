//! Who a verified client certificate stands for.

use std::sync::Arc;

use super::super::certificate::CertificateFacts;
use super::super::der::{Elements, IA5_STRING, OBJECT_IDENTIFIER, PRINTABLE_STRING, SEQUENCE, SET, UTF8_STRING, only};
use super::super::signature::is_issued_by;
use super::serial::serial_hex;
use super::subject::{COMMON_NAME, GROUPS_MAX, ORGANIZATION, USER_ID, is_printable, is_reserved};

/// What a client certificate says of its holder. Not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The user's name.
    pub common_name: String,
    /// The groups, each once, in order. Those in `system:` are left out.
    pub organizations: Vec<String>,
    /// The uid of the User object the certificate was signed for: of certificates that are `issued_by_us`, and only of
    /// those. What other authorities mean by this attribute is theirs to know.
    pub uid: Option<String>,
    /// The serial number, lower-case hexadecimal without leading zeros. Unique per authority.
    pub serial_hex: String,
    /// First second at which it is valid, since the epoch.
    pub not_before: i64,
    /// Last second at which it is valid, since the epoch. A connection, and a resumed session, may live longer: ask
    /// [`ClientIdentity::is_valid_at`] for each request.
    pub not_after: i64,
    /// Whether the home's own client authority has signed it.
    pub issued_by_us: bool,
}

/// The identity of a connection's peer, in the data of its connection. Its certificate was verified in the handshake.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Arc<ClientIdentity>);

/// Why a certificate stands for nobody. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// Not an X.509 certificate.
    #[error("it cannot be read")]
    Unreadable,
    /// No common name, so no user.
    #[error("it has no common name")]
    NoCommonName,
    /// Two users.
    #[error("it has more than one common name")]
    SeveralCommonNames,
    /// A user in `system:`.
    #[error("its common name is reserved for the system")]
    Reserved,
    /// A user or group that cannot be shown.
    #[error("a name in it is empty, too long, unprintable or in an unusual encoding")]
    Name,
    /// More than [`GROUPS_MAX`].
    #[error("it has too many organizations")]
    TooManyGroups,
    /// Ours, and yet without the one uid that ours have.
    #[error("it does not say which user object it is for")]
    NoUid,
}

impl ClientIdentity {
    /// Reads the identity out of a verified certificate (DER). `own_authority` is the certificate (DER) of the home's
    /// client authority; whether that has signed this one is found out by its key, not by its name.
    pub fn read(certificate: &[u8], own_authority: Option<&[u8]>) -> Result<Self, IdentityFault> {
        let facts = CertificateFacts::read(certificate).map_err(|_| IdentityFault::Unreadable)?;
        let issued_by_us = own_authority.is_some_and(|authority| is_issued_by(certificate, authority));
        let mut names = Names::default();
        names.collect(facts.subject, issued_by_us)?;
        let mut common_names = names.common.into_iter();
        let common_name = common_names.next().ok_or(IdentityFault::NoCommonName)?;
        if common_names.next().is_some() {
            return Err(IdentityFault::SeveralCommonNames);
        }
        if is_reserved(&common_name) {
            return Err(IdentityFault::Reserved);
        }
        let uid = match names.uids.as_slice() {
            [uid] if issued_by_us => Some(uid.clone()),
            _ if issued_by_us => return Err(IdentityFault::NoUid),
            _ => None,
        };
        let serial_hex = serial_hex(facts.serial).ok_or(IdentityFault::Unreadable)?;
        Ok(Self {
            common_name,
            organizations: names.groups,
            uid,
            serial_hex,
            not_before: facts.not_before,
            not_after: facts.not_after,
            issued_by_us,
        })
    }

    /// Whether the certificate is within its dates.
    #[must_use]
    pub fn is_valid_at(&self, unix_seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&unix_seconds)
    }
}

#[derive(Default)]
struct Names {
    common: Vec<String>,
    groups: Vec<String>,
    uids: Vec<String>,
}

impl Names {
    fn collect(&mut self, subject: &[u8], with_uid: bool) -> Result<(), IdentityFault> {
        let mut relative = Elements::of(only(subject, SEQUENCE).ok_or(IdentityFault::Unreadable)?);
        while !relative.is_empty() {
            let mut attributes = Elements::of(relative.expect(SET).ok_or(IdentityFault::Unreadable)?.content);
            while !attributes.is_empty() {
                let attribute = attributes.expect(SEQUENCE).ok_or(IdentityFault::Unreadable)?.content;
                self.add(attribute, with_uid)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, attribute: &[u8], with_uid: bool) -> Result<(), IdentityFault> {
        let mut parts = Elements::of(attribute);
        let kind = parts.expect(OBJECT_IDENTIFIER).ok_or(IdentityFault::Unreadable)?.content;
        let value = parts.next().ok_or(IdentityFault::Unreadable)?;
        let text = || {
            let text = match value.tag {
                UTF8_STRING => std::str::from_utf8(value.content).ok(),
                PRINTABLE_STRING | IA5_STRING => std::str::from_utf8(value.content).ok().filter(|text| text.is_ascii()),
                _ => None,
            };
            text.filter(|text| is_printable(text)).map(str::to_owned).ok_or(IdentityFault::Name)
        };
        match kind {
            COMMON_NAME => self.common.push(text()?),
            ORGANIZATION => {
                let group = text()?;
                if !is_reserved(&group) && !self.groups.contains(&group) {
                    if self.groups.len() >= GROUPS_MAX {
                        return Err(IdentityFault::TooManyGroups);
                    }
                    self.groups.push(group);
                }
            }
            USER_ID if with_uid => self.uids.push(text()?),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::authority::make_client_authority;
    use super::super::super::der::element;
    use super::*;
    use crate::pki::client::testing::{signed, signed_as_it_is};

    const NOW: i64 = 1_790_000_000;

    fn names(entries: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let entries: Vec<u8> = entries
            .iter()
            .flat_map(|(kind, tag, value)| {
                let pair = [element(OBJECT_IDENTIFIER, &[kind]), element(*tag, &[value])].concat();
                element(SET, &[&element(SEQUENCE, &[&pair])])
            })
            .collect();
        element(SEQUENCE, &[&entries])
    }

    fn read(entries: &[(&[u8], u8, &[u8])]) -> Result<ClientIdentity, IdentityFault> {
        let outside = make_client_authority(NOW).unwrap();
        ClientIdentity::read(&signed_as_it_is(&outside, &names(entries), NOW), None)
    }

    #[test]
    fn the_common_name_is_the_user_and_organizations_are_groups() {
        let identity = read(&[
            (ORGANIZATION, PRINTABLE_STRING, b"dev"),
            (COMMON_NAME, UTF8_STRING, "Zoë".as_bytes()),
            (ORGANIZATION, IA5_STRING, b"ops"),
            (ORGANIZATION, UTF8_STRING, b"dev"),
            (&[0x55, 0x04, 0x0b], UTF8_STRING, b"a unit"),
        ])
        .unwrap();
        assert_eq!(identity.common_name, "Zoë");
        assert_eq!(identity.organizations, ["dev", "ops"]);
        assert_eq!((identity.uid.as_ref(), identity.issued_by_us), (None, false));
        assert_eq!(identity.serial_hex.len(), 32);
    }

    #[test]
    fn nothing_in_system_comes_out_of_a_certificate() {
        let with =
            |group: &[u8], user: &[u8]| read(&[(ORGANIZATION, UTF8_STRING, group), (COMMON_NAME, UTF8_STRING, user)]);
        assert_eq!(with(b"system:masters", b"ada").unwrap().organizations, Vec::<String>::new());
        assert_eq!(with(b"SYSTEM:masters", b"ada").unwrap().organizations, Vec::<String>::new());
        assert_eq!(with(b"dev", b"system:admin"), Err(IdentityFault::Reserved));
        assert_eq!(with(b"dev", b"System:serviceaccount:a:b"), Err(IdentityFault::Reserved));
    }

    #[test]
    fn a_certificate_that_does_not_name_one_user_plainly_stands_for_nobody() {
        let user = |value: &[u8]| read(&[(COMMON_NAME, UTF8_STRING, value)]);
        assert_eq!(read(&[]), Err(IdentityFault::NoCommonName));
        let twice = read(&[(COMMON_NAME, UTF8_STRING, b"ada"), (COMMON_NAME, UTF8_STRING, b"bob")]);
        assert_eq!(twice, Err(IdentityFault::SeveralCommonNames));
        for name in [&b""[..], b" ada", b"ada\0", b"a\nb", b"\xff", "a\u{202e}b".as_bytes(), &[b'x'; 257]] {
            assert_eq!(user(name), Err(IdentityFault::Name), "{name:?}");
        }
        assert_eq!(read(&[(COMMON_NAME, PRINTABLE_STRING, "é".as_bytes())]), Err(IdentityFault::Name));
        // BMPString: UTF-16, which only old programs write.
        assert_eq!(read(&[(COMMON_NAME, 0x1e, &[0, b'a'])]), Err(IdentityFault::Name));
        let bad_group = read(&[(COMMON_NAME, UTF8_STRING, b"ada"), (ORGANIZATION, UTF8_STRING, b"a\0b")]);
        assert_eq!(bad_group, Err(IdentityFault::Name));
        let many: Vec<Vec<u8>> = (0..=GROUPS_MAX).map(|number| number.to_string().into_bytes()).collect();
        let mut entries: Vec<(&[u8], u8, &[u8])> = vec![(COMMON_NAME, UTF8_STRING, b"ada")];
        entries.extend(many.iter().map(|name| (ORGANIZATION, UTF8_STRING, name.as_slice())));
        assert_eq!(read(&entries), Err(IdentityFault::TooManyGroups));
    }

    #[test]
    fn two_names_in_one_set_are_two_names() {
        let pair = |value: &[u8]| {
            let pair = [element(OBJECT_IDENTIFIER, &[COMMON_NAME]), element(UTF8_STRING, &[value])].concat();
            element(SEQUENCE, &[&pair])
        };
        let subject = element(SEQUENCE, &[&element(SET, &[&pair(b"ada"), &pair(b"bob")])]);
        let certificate = signed_as_it_is(&make_client_authority(NOW).unwrap(), &subject, NOW);
        assert_eq!(ClientIdentity::read(&certificate, None), Err(IdentityFault::SeveralCommonNames));
    }

    #[test]
    fn only_our_own_signature_makes_a_uid_count() {
        let (ours, other) = (make_client_authority(NOW).unwrap(), make_client_authority(NOW).unwrap());
        let certificate = signed(&ours, "ada", &["dev"], NOW);
        let identity = ClientIdentity::read(&certificate, Some(&ours.certificate)).unwrap();
        assert_eq!((identity.uid.as_deref(), identity.issued_by_us), (Some("uid-of-ada"), true));
        for not_ours in [None, Some(other.certificate.as_slice())] {
            let identity = ClientIdentity::read(&certificate, not_ours).unwrap();
            assert_eq!((identity.uid, identity.issued_by_us), (None, false));
        }
        // One of ours without a uid is none that was made by the rules.
        let bare = signed_as_it_is(&ours, &names(&[(COMMON_NAME, UTF8_STRING, b"ada")]), NOW);
        assert_eq!(ClientIdentity::read(&bare, Some(&ours.certificate)), Err(IdentityFault::NoUid));
        let two = [(COMMON_NAME, UTF8_STRING, &b"ada"[..]), (USER_ID, UTF8_STRING, b"1"), (USER_ID, UTF8_STRING, b"2")];
        let two = signed_as_it_is(&ours, &names(&two), NOW);
        assert_eq!(ClientIdentity::read(&two, Some(&ours.certificate)), Err(IdentityFault::NoUid));
    }

    #[test]
    fn a_certificate_is_good_from_its_first_to_its_last_second() {
        let certificate = signed(&make_client_authority(NOW).unwrap(), "ada", &[], NOW);
        let identity = ClientIdentity::read(&certificate, None).unwrap();
        assert!(identity.is_valid_at(NOW) && identity.is_valid_at(identity.not_after));
        assert!(!identity.is_valid_at(identity.not_after + 1) && !identity.is_valid_at(identity.not_before - 1));
    }

    #[test]
    fn what_is_cut_or_changed_is_no_panic() {
        let ours = make_client_authority(NOW).unwrap();
        let certificate = signed(&ours, "ada", &["dev"], NOW);
        for length in 0..certificate.len() {
            assert_eq!(ClientIdentity::read(&certificate[..length], None), Err(IdentityFault::Unreadable));
        }
        let mut changed = certificate.clone();
        for index in 0..changed.len() {
            for bits in [0x01, 0x80, 0xff] {
                changed[index] ^= bits;
                let _ = ClientIdentity::read(&changed, Some(&ours.certificate));
                changed[index] ^= bits;
            }
        }
    }
}
