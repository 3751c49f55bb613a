//! The home's certificate authorities, for the server, for clients and for workloads, and the server certificates.
//!
//! ECDSA on P-256 with SHA-256 throughout. An authority signs no other authority (path length 0; that of
//! workloads 1) and carries no name constraints. Its key leaves this module as [`SecretBytes`], for the caller to seal.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::certificate::CertificateFacts;
use super::keys::{KeyKind, make_key};
use super::{Names, PkiError};
use crate::sensitive::SecretBytes;

/// Ten years.
pub const AUTHORITY_VALID_SECONDS: i64 = 10 * 365 * DAY_SECONDS;
/// Ninety days, renewed after sixty.
pub const LEAF_VALID_SECONDS: i64 = 90 * DAY_SECONDS;

const DAY_SECONDS: i64 = 86_400;
/// Clients' clocks may be this far behind ours.
pub(super) const BACKDATED_SECONDS: i64 = 300;
const SERIAL_BYTES: usize = 16;

/// A certificate authority.
pub struct Authority {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS #8 DER.
    pub key: SecretBytes,
}

/// A server certificate and its key.
pub struct Leaf {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS #8 DER.
    pub key: SecretBytes,
}

/// Why a server certificate has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafFault {
    /// Two thirds of its life are over, or it is not valid yet.
    Age,
    /// It stands for other names.
    Names,
    /// Another authority signed it.
    Issuer,
    /// It cannot be read.
    Unreadable,
}

/// A new authority for server certificates with a new key, valid from `now_unix_seconds`.
pub fn make_authority(now_unix_seconds: i64) -> Result<Authority, PkiError> {
    make("Strongroom CA", 0, vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign], now_unix_seconds)
}

/// A new authority for client certificates with a new key, valid from `now_unix_seconds`.
pub fn make_client_authority(now_unix_seconds: i64) -> Result<Authority, PkiError> {
    make("Strongroom client CA", 0, vec![KeyUsagePurpose::KeyCertSign], now_unix_seconds)
}

/// A new authority for certificates of workloads with a new key, valid from `now_unix_seconds`. What it signs may be an
/// authority itself, once.
pub fn make_workload_authority(now_unix_seconds: i64) -> Result<Authority, PkiError> {
    let usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    make("Strongroom workload CA", 1, usages, now_unix_seconds)
}

fn make(
    name: &str,
    path_length: u8,
    key_usages: Vec<KeyUsagePurpose>,
    now_unix_seconds: i64,
) -> Result<Authority, PkiError> {
    let key = make_key(KeyKind::P256)?;
    let serial = make_serial()?;
    let mut params = params(&serial, now_unix_seconds, AUTHORITY_VALID_SECONDS)?;
    // The name is unique, so that clients holding the authority of another home never mix the two up.
    let short = hex::encode(serial.get(..4).unwrap_or_default());
    params.distinguished_name = common_name(&format!("{name} {short}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = key_usages;
    let certificate = params.self_signed(&*key).map_err(|_| PkiError::Make)?;
    Ok(Authority { certificate: certificate.der().to_vec(), key: SecretBytes::new(key.serialize_der()) })
}

/// A new server certificate with a new key for `names`, valid from `now_unix_seconds`.
#[expect(clippy::disallowed_methods, reason = "the authority's key signs the certificate")]
pub fn make_leaf(authority: &Authority, names: &Names, now_unix_seconds: i64) -> Result<Leaf, PkiError> {
    let authority_key = Zeroizing::new(KeyPair::try_from(authority.key.expose()).map_err(|_| PkiError::AuthorityKey)?);
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(authority.certificate.as_slice()), &*authority_key)
        .map_err(|_| PkiError::Certificate)?;
    let key = make_key(KeyKind::P256)?;
    let mut params = params(&make_serial()?, now_unix_seconds, LEAF_VALID_SECONDS)?;
    params.distinguished_name = common_name("strongroom");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    add_names(&mut params, &names.dns, &names.addresses)?;
    let certificate = params.signed_by(&*key, &issuer).map_err(|_| PkiError::Make)?;
    Ok(Leaf { certificate: certificate.der().to_vec(), key: SecretBytes::new(key.serialize_der()) })
}

/// Whether a server certificate has to be replaced, and why. Reads names and times; does not check the signature.
#[must_use]
pub fn leaf_fault(leaf: &[u8], authority: &[u8], names: &Names, now_unix_seconds: i64) -> Option<LeafFault> {
    let (Ok(leaf), Ok(authority)) = (CertificateFacts::read(leaf), CertificateFacts::read(authority)) else {
        return Some(LeafFault::Unreadable);
    };
    let life_seconds = leaf.not_after.saturating_sub(leaf.not_before);
    let renew_at = leaf.not_before.saturating_add(life_seconds / 3 * 2);
    if leaf.issuer != authority.subject {
        Some(LeafFault::Issuer)
    } else if leaf.names != *names {
        Some(LeafFault::Names)
    } else if now_unix_seconds < leaf.not_before || now_unix_seconds >= renew_at {
        Some(LeafFault::Age)
    } else {
        None
    }
}

/// What a certificate is for (`subjectAltName`).
pub(super) fn add_names<'n>(
    params: &mut CertificateParams,
    dns: impl IntoIterator<Item = &'n String>,
    addresses: impl IntoIterator<Item = &'n IpAddr>,
) -> Result<(), PkiError> {
    for name in dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into().map_err(|_| PkiError::Name)?));
    }
    params.subject_alt_names.extend(addresses.into_iter().copied().map(SanType::IpAddress));
    Ok(())
}

/// A random 128-bit serial number.
pub(super) fn make_serial() -> Result<[u8; SERIAL_BYTES], PkiError> {
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial).map_err(|_| PkiError::Random)?;
    // Positive and without a leading zero, as RFC 5280, 4.1.2.2 wants it.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

pub(super) fn params(serial: &[u8], now_unix_seconds: i64, valid_seconds: i64) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    let at = |unix_seconds: i64| {
        let elapsed = Duration::from_secs(u64::try_from(unix_seconds).map_err(|_| PkiError::Make)?);
        Ok(rcgen::date_time_ymd(1970, 1, 1) + elapsed)
    };
    // Not before 1970, which is what a clock says that has lost its time.
    params.not_before = at(now_unix_seconds.saturating_sub(BACKDATED_SECONDS).max(0))?;
    params.not_after = at(now_unix_seconds.saturating_add(valid_seconds))?;
    params.serial_number = Some(SerialNumber::from_slice(serial));
    Ok(params)
}

pub(super) fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let authority = make_authority(NOW).unwrap();
        let names = Names::local();
        let leaf = make_leaf(&authority, &names, NOW).unwrap();
        let fault = |at| leaf_fault(&leaf.certificate, &authority.certificate, &names, at);
        assert_eq!(fault(NOW), None);
        assert_eq!(fault(NOW + 59 * DAY_SECONDS), None);
        assert_eq!(fault(NOW + 60 * DAY_SECONDS), Some(LeafFault::Age));
        assert_eq!(fault(NOW - DAY_SECONDS), Some(LeafFault::Age));
    }

    #[test]
    fn a_certificate_is_replaced_when_its_names_or_its_authority_change() {
        let authority = make_authority(NOW).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), NOW).unwrap();
        let mut more = Names::local();
        more.add("vault.example");
        let fault = |issuer: &Authority, names: &Names| leaf_fault(&leaf.certificate, &issuer.certificate, names, NOW);
        assert_eq!(fault(&authority, &more), Some(LeafFault::Names));
        assert_eq!(fault(&make_authority(NOW).unwrap(), &Names::local()), Some(LeafFault::Issuer));
        assert_eq!(leaf_fault(b"junk", &authority.certificate, &more, NOW), Some(LeafFault::Unreadable));
    }

    #[test]
    fn an_authority_key_that_cannot_be_read_is_an_error() {
        let mut authority = make_authority(NOW).unwrap();
        authority.key = SecretBytes::new(vec![1, 2, 3]);
        assert_eq!(make_leaf(&authority, &Names::local(), NOW).err(), Some(PkiError::AuthorityKey));
    }
}
