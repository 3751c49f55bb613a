//! Client certificates, as curl presents them: whose are let in, and whose are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::client::{CLIENT_DEFAULT_TTL_SECONDS, ClientSubject, make_csr, sign_client_certificate};
use strongroom::pki::{Authority, CertificateFacts, encode_certificate, make_client_authority, read_blocks};

use super::process::{Ended, Place, Server, mode, token};

fn authority() -> Authority {
    make_client_authority(SystemClock.unix_seconds()).unwrap()
}

/// The certificate of an authority as a file.
fn file_of(place: &Place, name: &str, authority: &Authority) -> PathBuf {
    place.secret_file(name, encode_certificate(&authority.certificate).as_bytes())
}

/// A user's certificate and key, in two files.
#[expect(clippy::disallowed_methods, reason = "the test writes a key it made")]
fn pair_of(place: &Place, name: &str, authority: &Authority) -> (PathBuf, PathBuf) {
    let made = make_csr(name).unwrap();
    let groups = ["dev".to_owned()];
    let subject = ClientSubject { user: name, groups: &groups, uid: "0f2d" };
    let now = SystemClock.unix_seconds();
    let pem = sign_client_certificate(authority, &made.csr, &subject, CLIENT_DEFAULT_TTL_SECONDS, now).unwrap();
    (
        place.secret_file(&format!("{name}.crt"), pem.as_bytes()),
        place.secret_file(&format!("{name}.key"), made.key.expose()),
    )
}

/// The status code of `/livez` with a certificate, if one is given; 0 where there was no answer.
fn livez(place: &Place, server: &Server, pair: Option<&(PathBuf, PathBuf)>) -> u16 {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(place.home().join("tls/ca.crt"));
    if let Some((certificate, key)) = pair {
        curl.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    let output = curl.arg(format!("{}/livez", server.url())).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

fn client_ca(place: &Place) -> PathBuf {
    place.home().join("client-ca.crt")
}

#[test]
fn an_outside_authoritys_certificate_is_let_in_a_foreign_one_is_not_and_none_is_fine() {
    let place = Place::new();
    let (outside, foreign) = (authority(), authority());
    let bundle = file_of(&place, "outside.crt", &outside);
    let server = place.start(&["--client-ca", bundle.to_str().unwrap()]);
    let (ada, mallory) = (pair_of(&place, "ada", &outside), pair_of(&place, "mallory", &foreign));
    assert_eq!(livez(&place, &server, None), 200);
    assert_eq!(livez(&place, &server, Some(&ada)), 200);
    assert_eq!(livez(&place, &server, Some(&mallory)), 0, "the handshake ends");
    // Commands of this machine, the administrator's token and the health check are as they were.
    let old = token(&place);
    assert_eq!(server.code_for(&old), 200);
    place.run(&["healthcheck"]).done();
    place.run(&["admin", "rotate"]).done();
    assert_eq!((server.code_for(&old), server.code_for(&token(&place))), (401, 200));
    server.stop();
}

#[test]
fn the_homes_own_client_authority_is_made_once_and_apart_from_the_servers() {
    let place = Place::new();
    let server = place.start(&["--client-certificates"]);
    let path = client_ca(&place);
    assert!(server.stdout().contains(&format!("  client CA   {}\n", path.display())), "{}", server.stdout());
    assert_eq!(mode(&path), 0o600);
    let first = fs::read_to_string(&path).unwrap();
    assert_ne!(first, fs::read_to_string(place.home().join("tls/ca.crt")).unwrap());
    server.stop();
    fs::remove_file(&path).unwrap();
    place.start(&["--client-certificates"]).stop();
    assert_eq!(fs::read_to_string(&path).unwrap(), first, "it is sealed in the home");
    #[expect(clippy::disallowed_methods, reason = "a certificate is public")]
    let der = read_blocks(first.as_bytes()).remove(0).bytes.expose().to_vec();
    let facts = CertificateFacts::read(&der).unwrap();
    assert!(facts.is_authority && facts.is_self_issued());
    let name = facts.subject;
    assert!(name.windows(21).any(|window| window == b"Strongroom client CA "));
}

#[test]
fn clients_are_asked_for_a_certificate_only_where_that_was_asked_for() {
    // What the server asks for, as OpenSSL shows it.
    let asks = |server: &Server| {
        let address = server.url().strip_prefix("https://").unwrap().to_owned();
        let output =
            Command::new("openssl").args(["s_client", "-connect", &address]).stdin(Stdio::null()).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("TLSv1.3"), "{shown}");
        shown.contains("Acceptable client certificate CA names") && shown.contains("Strongroom client CA ")
    };
    let place = Place::new();
    let server = place.start(&[]);
    assert!(!asks(&server) && !client_ca(&place).exists());
    assert!(!server.stdout().contains("client CA"), "{}", server.stdout());
    server.stop();
    assert!(asks(&place.start(&["--client-certificates"])));
}

#[test]
fn a_file_that_is_no_bundle_of_authorities_keeps_the_server_from_starting() {
    let place = Place::new();
    let leaf = pair_of(&place, "ada", &authority()).0;
    let empty = place.secret_file("empty.crt", b"");
    let refused = |file: &Path| Ended::of(place.serve(&["--client-ca", file.to_str().unwrap()])).not_done();
    let shown = |file: &Path, problem: &str| format!("client certificates: {}: {problem}", file.display());
    assert_eq!(refused(&leaf), shown(&leaf, "certificate 1 is not that of a certificate authority"));
    assert_eq!(refused(&empty), shown(&empty, "there is no certificate in PEM form"));
    let none = place.at("none.crt");
    assert!(refused(&none).starts_with(&shown(&none, "No such file")));
}

#[test]
fn a_file_of_outside_issuers_is_checked_before_anything_is_made() {
    let place = Place::new();
    let text = b"- issuer: https://login.example.com\n  audience: strongroom\n";
    let file = place.secret_file("oidc.yaml", text);
    let error = Ended::of(place.serve(&["--oidc-config", file.to_str().unwrap()])).not_done();
    assert!(error.contains("oidc.yaml: unknown field [0].audience: "), "{error}");
    assert!(!place.home().exists());
}
