//! What is signed, and that the TLS library and this module's reader take it for what it is.

#![expect(clippy::disallowed_methods, reason = "the tests look at certificates they made")]

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::super::{ClientIdentity, make_csr};
use super::testing::signed;
use super::*;
use crate::pki::{AUTHORITY_VALID_SECONDS, make_authority, make_client_authority, read_blocks};
use crate::sensitive::SecretBytes;

const NOW: i64 = 1_790_000_000;
const DAY_SECONDS: i64 = 86_400;

fn subject<'a>() -> ClientSubject<'a> {
    ClientSubject { user: "ada", groups: &[], uid: "0f2d" }
}

fn verify(certificate: &[u8], authority: &[u8], at: i64) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap()));
    verifier.build().unwrap().verify_client_cert(&CertificateDer::from(certificate), &[], at).map(drop)
}

#[test]
fn a_signed_certificate_is_good_for_clients_of_its_authority_within_its_dates() {
    let (ours, other) = (make_client_authority(NOW).unwrap(), make_client_authority(NOW).unwrap());
    let certificate = signed(&ours, "ada", &["dev", "ops"], NOW);
    assert!(verify(&certificate, &ours.certificate, NOW).is_ok());
    assert!(verify(&certificate, &ours.certificate, NOW + 30 * DAY_SECONDS).is_ok());
    assert!(verify(&certificate, &ours.certificate, NOW + 30 * DAY_SECONDS + 1).is_err());
    assert!(verify(&certificate, &ours.certificate, NOW - 301).is_err());
    assert!(verify(&certificate, &other.certificate, NOW).is_err());
    // It signs nothing itself.
    assert!(!CertificateFacts::read(&certificate).unwrap().is_authority);
}

#[test]
fn what_was_signed_is_read() {
    let ours = make_client_authority(NOW).unwrap();
    let certificate = signed(&ours, "ada", &["ops", "dev", "ops"], NOW);
    let identity = ClientIdentity::read(&certificate, Some(&ours.certificate)).unwrap();
    assert_eq!(identity.common_name, "ada");
    assert_eq!(identity.organizations, ["dev", "ops"]);
    assert_eq!(identity.uid.as_deref(), Some("uid-of-ada"));
    assert_eq!((identity.not_before, identity.not_after), (NOW - 300, NOW + CLIENT_DEFAULT_TTL_SECONDS));
}

#[test]
fn every_certificate_has_a_serial_number_of_its_own() {
    let ours = make_client_authority(NOW).unwrap();
    let serial = || ClientIdentity::read(&signed(&ours, "ada", &[], NOW), None).unwrap().serial_hex;
    let (one, other) = (serial(), serial());
    assert!(one != other && one.len() == 32);
}

#[test]
fn a_lifetime_is_bounded_and_ends_with_the_authority() {
    let ours = make_client_authority(NOW).unwrap();
    let csr = make_csr("ada").unwrap().csr;
    let sign = |ttl, now| sign_client_certificate(&ours, &csr, &subject(), ttl, now);
    for ttl in [CLIENT_MIN_TTL_SECONDS - 1, CLIENT_MAX_TTL_SECONDS + 1, 0, -1, i64::MAX, i64::MIN] {
        assert_eq!(sign(ttl, NOW), Err(PkiError::Lifetime), "{ttl}");
    }
    let end = NOW + AUTHORITY_VALID_SECONDS;
    let last = sign(CLIENT_MAX_TTL_SECONDS, end - DAY_SECONDS).unwrap();
    let last = read_blocks(last.as_bytes()).remove(0);
    assert_eq!(CertificateFacts::read(last.bytes.expose()).unwrap().not_after, end);
    assert_eq!(sign(CLIENT_MAX_TTL_SECONDS, end), Err(PkiError::Lifetime));
}

#[test]
fn dates_after_2049_are_written_with_four_digits() {
    let now = UTC_TIME_ENDS - DAY_SECONDS;
    let ours = make_client_authority(now).unwrap();
    let certificate = signed(&ours, "ada", &[], now);
    assert_eq!(CertificateFacts::read(&certificate).unwrap().not_after, now + CLIENT_DEFAULT_TTL_SECONDS);
    assert!(verify(&certificate, &ours.certificate, now + DAY_SECONDS).is_ok());
}

#[test]
fn nothing_of_a_request_counts_but_its_key() {
    // It asks for CN=system:admin, O=system:masters, names of servers and the right to sign certificates.
    let greedy = include_str!("testdata/rsa-2048.csr");
    let ours = make_client_authority(NOW).unwrap();
    let pem = sign_client_certificate(&ours, greedy, &subject(), CLIENT_DEFAULT_TTL_SECONDS, NOW).unwrap();
    let block = read_blocks(pem.as_bytes()).remove(0);
    let certificate = block.bytes.expose();
    let identity = ClientIdentity::read(certificate, Some(&ours.certificate)).unwrap();
    assert_eq!((identity.common_name.as_str(), identity.organizations.len()), ("ada", 0));
    let facts = CertificateFacts::read(certificate).unwrap();
    assert!(!facts.is_authority && facts.names == crate::pki::Names::default());
    assert_eq!(facts.public_key_info, requested_key(greedy).unwrap());
    assert!(verify(certificate, &ours.certificate, NOW).is_ok());
}

#[test]
fn a_key_that_is_not_the_authoritys_signs_nothing() {
    let (ours, other) = (make_client_authority(NOW).unwrap(), make_authority(NOW).unwrap());
    let csr = make_csr("ada").unwrap().csr;
    for key in [other.key, SecretBytes::new(vec![1, 2, 3])] {
        let mixed = Authority { certificate: ours.certificate.clone(), key };
        let refused = sign_client_certificate(&mixed, &csr, &subject(), CLIENT_DEFAULT_TTL_SECONDS, NOW);
        assert_eq!(refused, Err(PkiError::AuthorityKey));
    }
}
