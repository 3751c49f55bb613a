//! Signing client certificates.
//!
//! They are written out here, for the library that makes the others holds one organization in a name at most.

use rcgen::{KeyPair, SigningKey as _};
use zeroize::Zeroizing;

use super::super::PkiError;
use super::super::authority::{Authority, BACKDATED_SECONDS, make_serial};
use super::super::certificate::{BASIC_CONSTRAINTS, CertificateFacts};
use super::super::der::{
    BIT_STRING, BOOLEAN, CONTEXT_0, CONTEXT_3, GENERALIZED_TIME, INTEGER, KEY_IDENTIFIER, OBJECT_IDENTIFIER,
    OCTET_STRING, SEQUENCE, UTC_TIME, element,
};
use super::super::pem::encode_certificate;
use super::super::signature::ECDSA_SHA256;
use super::request::requested_key;
use super::subject::ClientSubject;

/// Thirty days.
pub const CLIENT_DEFAULT_TTL_SECONDS: i64 = 30 * 86_400;
/// A year.
pub const CLIENT_MAX_TTL_SECONDS: i64 = 365 * 86_400;
/// Ten minutes, as for a `CertificateSigningRequest` of Kubernetes.
pub const CLIENT_MIN_TTL_SECONDS: i64 = 600;

/// 2.5.29.15
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// 2.5.29.35
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
/// 2.5.29.37
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const VERSION_3: &[u8] = &[2];
/// The first bit of nine, of which seven are left out.
const DIGITAL_SIGNATURE: &[u8] = &[7, 0x80];
const TRUE: &[u8] = &[0xff];
/// Times after 2049 need a year of four digits (RFC 5280, 4.1.2.5).
const UTC_TIME_ENDS: i64 = 2_524_608_000;

/// A client certificate (PEM) for `subject`, on the key of the request `csr_pem`, valid for `ttl_seconds`
/// ([`CLIENT_DEFAULT_TTL_SECONDS`] is usual) from `now_unix_seconds`, and not beyond the end of the authority.
///
/// Nothing of the request counts but its key, which must have signed it.
#[expect(clippy::disallowed_methods, reason = "the authority's key signs the certificate")]
pub fn sign_client_certificate(
    authority: &Authority,
    csr_pem: &str,
    subject: &ClientSubject<'_>,
    ttl_seconds: i64,
    now_unix_seconds: i64,
) -> Result<String, PkiError> {
    if !(CLIENT_MIN_TTL_SECONDS..=CLIENT_MAX_TTL_SECONDS).contains(&ttl_seconds) {
        return Err(PkiError::Lifetime);
    }
    let key_info = requested_key(csr_pem)?;
    let key = Zeroizing::new(KeyPair::try_from(authority.key.expose()).map_err(|_| PkiError::AuthorityKey)?);
    let certificate = sign(authority, &key, &key_info, &subject.encode()?, ttl_seconds, now_unix_seconds)?;
    Ok(encode_certificate(&certificate))
}

fn sign(
    authority: &Authority,
    key: &KeyPair,
    key_info: &[u8],
    subject: &[u8],
    ttl_seconds: i64,
    now_unix_seconds: i64,
) -> Result<Vec<u8>, PkiError> {
    let issuer = CertificateFacts::read(&authority.certificate)?;
    if key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 || key.public_key_raw() != issuer.public_key {
        return Err(PkiError::AuthorityKey);
    }
    let not_before = now_unix_seconds.saturating_sub(BACKDATED_SECONDS).max(issuer.not_before);
    let not_after = now_unix_seconds.saturating_add(ttl_seconds).min(issuer.not_after);
    if not_after <= now_unix_seconds {
        return Err(PkiError::Lifetime);
    }
    let signed_with = element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[ECDSA_SHA256])]);
    let content = element(
        SEQUENCE,
        &[
            &element(CONTEXT_0, &[&element(INTEGER, &[VERSION_3])]),
            &element(INTEGER, &[&make_serial()?]),
            &signed_with,
            issuer.subject,
            &element(SEQUENCE, &[&time(not_before)?, &time(not_after)?]),
            subject,
            key_info,
            &element(CONTEXT_3, &[&extensions(issuer.subject_key_identifier)]),
        ],
    );
    let signature = key.sign(&content).map_err(|_| PkiError::Make)?;
    Ok(element(SEQUENCE, &[&content, &signed_with, &element(BIT_STRING, &[&[0], &signature])]))
}

/// No authority, signs handshakes, authenticates clients, and which key has signed it.
fn extensions(authority_key_identifier: Option<&[u8]>) -> Vec<u8> {
    let critical = element(BOOLEAN, &[TRUE]);
    let extension = |id: &[u8], critical: &[u8], value: Vec<u8>| {
        element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[id]), critical, &element(OCTET_STRING, &[&value])])
    };
    let purpose = element(OBJECT_IDENTIFIER, &[CLIENT_AUTH]);
    let mut all = vec![
        extension(BASIC_CONSTRAINTS, &critical, element(SEQUENCE, &[])),
        extension(KEY_USAGE, &critical, element(BIT_STRING, &[DIGITAL_SIGNATURE])),
        extension(EXTENDED_KEY_USAGE, &[], element(SEQUENCE, &[&purpose])),
    ];
    if let Some(identifier) = authority_key_identifier {
        let identifier = element(KEY_IDENTIFIER, &[identifier]);
        all.push(extension(AUTHORITY_KEY_IDENTIFIER, &[], element(SEQUENCE, &[&identifier])));
    }
    element(SEQUENCE, &[&all.concat()])
}

fn time(unix_seconds: i64) -> Result<Vec<u8>, PkiError> {
    let time = jiff::Timestamp::from_second(unix_seconds).map_err(|_| PkiError::Make)?;
    Ok(if unix_seconds < UTC_TIME_ENDS {
        element(UTC_TIME, &[time.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
    } else {
        element(GENERALIZED_TIME, &[time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
    })
}

/// Certificates for tests, those that the rules would not sign among them.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests sign with keys they made")]
pub(crate) mod testing {
    use super::super::make_csr;
    use super::*;
    use crate::pki::read_blocks;

    /// A certificate (DER) for a user whose uid is `uid-of-USER`.
    pub fn signed(authority: &Authority, user: &str, groups: &[&str], now_unix_seconds: i64) -> Vec<u8> {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let subject = ClientSubject { user, groups: &groups, uid: &format!("uid-of-{user}") };
        let csr = make_csr(user).unwrap().csr;
        let pem = sign_client_certificate(authority, &csr, &subject, CLIENT_DEFAULT_TTL_SECONDS, now_unix_seconds);
        read_blocks(pem.unwrap().as_bytes()).remove(0).bytes.expose().to_vec()
    }

    /// A certificate (DER) for a name (DER) as it is.
    pub fn signed_as_it_is(authority: &Authority, subject: &[u8], now_unix_seconds: i64) -> Vec<u8> {
        let key = KeyPair::try_from(authority.key.expose()).unwrap();
        let key_info = requested_key(&make_csr("x").unwrap().csr).unwrap();
        sign(authority, &key, &key_info, subject, CLIENT_DEFAULT_TTL_SECONDS, now_unix_seconds).unwrap()
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
