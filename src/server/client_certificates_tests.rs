//! Which authorities are taken, and which certificates they make good.

use std::time::Duration;

use super::*;
use crate::pki::client::testing::signed;
use crate::pki::{AUTHORITY_VALID_SECONDS, Names, make_authority, make_client_authority, make_leaf};

const NOW: i64 = 1_790_000_000;

struct Place {
    directory: tempfile::TempDir,
    paths: HomePaths,
    own: Authority,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let paths = HomePaths::in_directory(directory.path().join("home"));
    super::super::home::prepare(&paths).unwrap();
    Place { directory, paths, own: make_client_authority(NOW).unwrap() }
}

impl Place {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn prepare(&self, outside: &[PathBuf]) -> Result<ClientAuthentication, ClientAuthorityError> {
        prepare(&self.paths, &self.own, outside, NOW)
    }
}

fn verify(clients: &ClientAuthentication, certificate: &[u8], at: i64) -> Result<(), Error> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap()));
    clients.verifier.verify_client_cert(&CertificateDer::from(certificate), &[], at).map(drop)
}

#[test]
fn certificates_of_our_own_and_of_outside_authorities_are_accepted_and_no_others() {
    let place = place();
    let outside: Vec<Authority> = (0..3).map(|_| make_client_authority(NOW).unwrap()).collect();
    let pem = |index: usize| encode_certificate(&outside[index].certificate);
    let files = [place.file("two.crt", &(pem(0) + &pem(1))), place.file("one.crt", &pem(2))];
    let clients = place.prepare(&files).unwrap();
    for authority in outside.iter().chain([&place.own]) {
        assert_eq!(verify(&clients, &signed(authority, "ada", &[], NOW), NOW), Ok(()));
    }
    let foreign = signed(&make_client_authority(NOW).unwrap(), "ada", &[], NOW);
    assert_eq!(verify(&clients, &foreign, NOW), Err(CertificateError::UnknownIssuer.into()));
    assert_eq!(clients.verifier.root_hint_subjects().len(), 4);
    assert!(!clients.verifier.client_auth_mandatory());
}

#[test]
fn a_certificate_outside_its_dates_or_for_servers_is_refused() {
    let place = place();
    let clients = place.prepare(&[]).unwrap();
    let certificate = signed(&place.own, "ada", &[], NOW);
    let month = 30 * 86_400;
    assert!(matches!(
        verify(&clients, &certificate, NOW + month + 1),
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
    assert!(verify(&clients, &certificate, NOW - 301).is_err());
    let server = make_leaf(&place.own, &Names::local(), NOW).unwrap().certificate;
    assert!(verify(&clients, &server, NOW).is_err());
}

#[test]
fn an_authority_that_has_expired_vouches_for_nobody() {
    let place = place();
    let old = make_client_authority(NOW - AUTHORITY_VALID_SECONDS + 86_400).unwrap();
    let clients = place.prepare(&[place.file("old.crt", &encode_certificate(&old.certificate))]).unwrap();
    let in_a_day = NOW + 86_401;
    // The library would not look: it takes the dates of what it was told to trust for granted.
    let certificate = make_leaf_beyond(&old, in_a_day);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(old.certificate.clone())).unwrap();
    let library = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(in_a_day).unwrap()));
    let verified = library.build().unwrap().verify_client_cert(&CertificateDer::from(certificate.clone()), &[], at);
    assert!(verified.is_ok());
    assert_eq!(verify(&clients, &certificate, in_a_day), Err(CertificateError::UnknownIssuer.into()));
}

/// A client certificate that outlives its authority, which ours never do.
fn make_leaf_beyond(authority: &Authority, at: i64) -> Vec<u8> {
    let young = make_client_authority(at).unwrap();
    let name = |der: &[u8]| CertificateFacts::read(der).unwrap().subject.to_vec();
    let (old_name, young_name) = (name(&authority.certificate), name(&young.certificate));
    // The same key and name with new dates, as if somebody had renewed the authority and kept it from us.
    let mut renewed = young.certificate.clone();
    let swap = |der: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        while let Some(start) = der.windows(from.len()).position(|window| window == from) {
            der.splice(start..start + from.len(), to.iter().copied());
        }
    };
    swap(&mut renewed, &young_name, &old_name);
    let key = |der: &[u8]| CertificateFacts::read(der).unwrap().public_key_info.to_vec();
    swap(&mut renewed, &key(&young.certificate), &key(&authority.certificate));
    #[expect(clippy::disallowed_methods, reason = "the test signs with a key it made")]
    let key = crate::sensitive::SecretBytes::new(authority.key.expose().to_vec());
    signed(&Authority { certificate: renewed, key }, "ada", &[], at)
}

#[test]
fn what_is_no_bundle_of_authorities_is_named() {
    let place = place();
    let server_authority = make_authority(NOW).unwrap();
    let leaf = make_leaf(&server_authority, &Names::local(), NOW).unwrap().certificate;
    let good = encode_certificate(&place.own.certificate);
    for (text, problem) in [
        (String::new(), "there is no certificate in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(), "there is no certificate in PEM"),
        (good.clone() + &encode_certificate(&leaf), "certificate 2 is not that of a certificate authority"),
        (encode_certificate(b"junk"), "certificate 1 is not that of a certificate authority"),
    ] {
        let file = place.file("bundle.crt", &text);
        let error = place.prepare(std::slice::from_ref(&file)).err().unwrap().to_string();
        assert_eq!(
            error.strip_prefix(&format!("{}: ", file.display())).map(|rest| rest.starts_with(problem)),
            Some(true),
            "{error}"
        );
    }
    assert!(matches!(place.prepare(&[place.directory.path().join("none")]), Err(ClientAuthorityError::Read { .. })));
    let many: String = (0..1000).map(|_| good.as_str()).collect();
    assert!(matches!(place.prepare(&[place.file("many.crt", &many)]), Err(ClientAuthorityError::TooMany)));
}

#[test]
fn our_own_authoritys_certificate_lies_in_the_home() {
    let place = place();
    place.prepare(&[]).unwrap();
    let path = place.paths.client_authority_certificate();
    assert_eq!(fs::read_to_string(&path).unwrap(), encode_certificate(&place.own.certificate));
    fs::write(&path, "junk").unwrap();
    place.prepare(&[]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), encode_certificate(&place.own.certificate));
}
