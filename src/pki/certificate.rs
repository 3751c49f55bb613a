//! What a certificate says about itself (RFC 5280), without judging whether to trust it.

use std::net::IpAddr;

use super::der::{
    BIT_STRING, BOOLEAN, CONTEXT_0, CONTEXT_3, DNS_NAME, Elements, GENERALIZED_TIME, INTEGER, IP_ADDRESS,
    OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTC_TIME, only,
};
use super::{Names, PkiError};

/// 2.5.29.14
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// 2.5.29.19
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.2.840.113549.1.1.1
pub(super) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
pub(super) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.112, of a key and of a signature
pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The family of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA
    Rsa,
    /// ECDSA on any curve
    Ecdsa,
    /// Ed25519
    Ed25519,
    /// Anything else
    Unknown,
}

/// The fields that are looked at; times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts<'a> {
    /// Its serial number: the bytes of a positive integer.
    pub serial: &'a [u8],
    /// The issuer's name, as DER.
    pub issuer: &'a [u8],
    /// The subject's name, as DER.
    pub subject: &'a [u8],
    /// First second at which it is valid.
    pub not_before: i64,
    /// Last second at which it is valid.
    pub not_after: i64,
    /// The family of its key.
    pub key_algorithm: KeyAlgorithm,
    /// Its `subjectPublicKeyInfo`, as DER.
    pub public_key_info: &'a [u8],
    /// Its public key: what the bit string of `subjectPublicKeyInfo` holds.
    pub public_key: &'a [u8],
    /// Its DNS names and addresses; names of other kinds are left out.
    pub names: Names,
    /// Whether it says that its key may sign certificates (`basicConstraints`).
    pub is_authority: bool,
    /// How many authorities may stand between it and an end of the chain (`pathLenConstraint`); `None` is any number.
    pub path_length: Option<u8>,
    /// What it calls its key.
    pub subject_key_identifier: Option<&'a [u8]>,
}

#[derive(Default)]
struct Extensions<'a> {
    names: Names,
    is_authority: bool,
    path_length: Option<u8>,
    subject_key_identifier: Option<&'a [u8]>,
}

impl<'a> CertificateFacts<'a> {
    /// Reads one DER certificate.
    pub fn read(certificate: &'a [u8]) -> Result<Self, PkiError> {
        Self::parse(certificate).ok_or(PkiError::Certificate)
    }

    fn parse(certificate: &'a [u8]) -> Option<Self> {
        let tbs = Elements::of(only(certificate, SEQUENCE)?).expect(SEQUENCE)?;
        let mut fields = Elements::of(tbs.content);
        if fields.peek() == Some(CONTEXT_0) {
            fields.next()?;
        }
        let serial = fields.expect(INTEGER)?.content;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?.whole;
        let mut validity = Elements::of(fields.expect(SEQUENCE)?.content);
        let (not_before, not_after) = (read_time(&mut validity)?, read_time(&mut validity)?);
        let subject = fields.expect(SEQUENCE)?.whole;
        let whole_key_info = fields.expect(SEQUENCE)?;
        let mut key_info = Elements::of(whole_key_info.content);
        let algorithm = Elements::of(key_info.expect(SEQUENCE)?.content).expect(OBJECT_IDENTIFIER)?.content;
        // The first byte of a bit string counts unused bits, of which a key has none.
        let public_key = key_info.expect(BIT_STRING)?.content.strip_prefix(&[0])?;
        let mut extensions = Extensions::default();
        while let Some(field) = fields.next() {
            if field.tag == CONTEXT_3 {
                extensions = read_extensions(only(field.content, SEQUENCE)?)?;
            }
        }
        if !fields.is_empty() {
            return None;
        }
        let key_algorithm = match algorithm {
            RSA_ENCRYPTION => KeyAlgorithm::Rsa,
            EC_PUBLIC_KEY => KeyAlgorithm::Ecdsa,
            ED25519 => KeyAlgorithm::Ed25519,
            _ => KeyAlgorithm::Unknown,
        };
        let Extensions { names, is_authority, path_length, subject_key_identifier } = extensions;
        Some(Self {
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key_algorithm,
            public_key_info: whole_key_info.whole,
            public_key,
            names,
            is_authority,
            path_length,
            subject_key_identifier,
        })
    }

    /// Whether it names itself as its issuer.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

fn read_extensions(extensions: &[u8]) -> Option<Extensions<'_>> {
    let mut found = Extensions::default();
    let mut extensions = Elements::of(extensions);
    while !extensions.is_empty() {
        let mut extension = Elements::of(extensions.expect(SEQUENCE)?.content);
        let id = extension.expect(OBJECT_IDENTIFIER)?.content;
        if extension.peek() == Some(BOOLEAN) {
            extension.next()?;
        }
        let value = extension.expect(OCTET_STRING)?.content;
        match id {
            SUBJECT_ALT_NAME => found.names = read_names(only(value, SEQUENCE)?)?,
            BASIC_CONSTRAINTS => {
                let mut constraints = Elements::of(only(value, SEQUENCE)?);
                found.is_authority =
                    constraints.peek() == Some(BOOLEAN) && constraints.next()?.content.first() != Some(&0);
                if constraints.peek() == Some(INTEGER) {
                    // A length of more than a byte bounds nothing.
                    found.path_length = match constraints.next()?.content {
                        [length] => Some(*length),
                        _ => None,
                    };
                }
            }
            SUBJECT_KEY_IDENTIFIER => found.subject_key_identifier = Some(only(value, OCTET_STRING)?),
            _ => {}
        }
    }
    Some(found)
}

fn read_names(general_names: &[u8]) -> Option<Names> {
    let mut names = Names::default();
    let mut general_names = Elements::of(general_names);
    while !general_names.is_empty() {
        let name = general_names.next()?;
        match name.tag {
            DNS_NAME => names.add(std::str::from_utf8(name.content).ok()?),
            IP_ADDRESS => names.add_address(read_address(name.content)?),
            _ => {}
        }
    }
    Some(names)
}

fn read_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn read_time(elements: &mut Elements<'_>) -> Option<i64> {
    let element = elements.next()?;
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, text.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = text.split_at(2);
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |start: usize| rest.get(start..start + 2)?.parse::<i8>().ok();
    let time = jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::super::{make_authority, make_leaf};
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let now = 1_790_000_000;
        let authority = make_authority(now).unwrap();
        let mut names = Names::local();
        names.add("vault.example");
        names.add("2001:db8::1");
        let leaf = make_leaf(&authority, &names, now).unwrap();
        let facts = CertificateFacts::read(&leaf.certificate).unwrap();
        assert_eq!(facts.names, names);
        assert_eq!(facts.not_before, now - 300);
        assert_eq!(facts.not_after, now + 90 * 86_400);
        assert_eq!(facts.key_algorithm, KeyAlgorithm::Ecdsa);
        let issuer = CertificateFacts::read(&authority.certificate).unwrap();
        assert_eq!(facts.issuer, issuer.subject);
        assert!(issuer.is_self_issued() && !facts.is_self_issued());
        assert!(issuer.is_authority && !facts.is_authority);
        assert!(issuer.subject_key_identifier.is_some_and(|identifier| identifier.len() == 20));
        assert_eq!(facts.serial.len(), 16);
    }

    #[test]
    fn a_certificate_cut_anywhere_is_an_error() {
        let authority = make_authority(1_790_000_000).unwrap();
        for length in 0..authority.certificate.len() {
            assert!(CertificateFacts::read(&authority.certificate[..length]).is_err());
        }
        let mut changed = authority.certificate.clone();
        for index in 0..changed.len() {
            changed[index] ^= 0xff;
            let _ = CertificateFacts::read(&changed);
            changed[index] ^= 0xff;
        }
    }
}
