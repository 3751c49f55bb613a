//! Certificates of workloads: names, keys, bounds, and who may sign what.

use super::super::{make_authority, make_workload_authority};
use super::*;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn wanted(key: KeyKind, is_authority: bool, valid_seconds: i64) -> Workload<'static> {
    let purposes: &[Purpose] = if is_authority { &[Purpose::KeyCertSign] } else { &[Purpose::ServerAuth] };
    Workload {
        common_name: "web",
        dns_names: &[],
        addresses: &[],
        uris: &[],
        purposes,
        is_authority,
        key,
        valid_seconds,
    }
}

fn own() -> Issuer {
    Issuer::own(make_workload_authority(NOW).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was issued")]
fn pem(issued: &Issued) -> (Vec<u8>, Vec<u8>) {
    (issued.chain.clone().into_bytes(), issued.key.expose().to_vec())
}

#[expect(clippy::disallowed_methods, reason = "a certificate is public")]
fn first(issued: &Issued) -> Vec<u8> {
    read_blocks(issued.chain.as_bytes())[0].bytes.expose().to_vec()
}

#[test]
fn every_family_of_keys_makes_a_pair() {
    let issuer = own();
    for key in [KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519] {
        let issued = issue(&issuer, &wanted(key, false, DAY), None, NOW).unwrap();
        let (chain, private) = pem(&issued);
        assert_eq!(pair_warning(&chain, &private), None, "{key:?}");
        assert_eq!(certificate_end(&chain), Some((NOW - 300, NOW + DAY)));
        assert_eq!((issued.not_before, issued.not_after), (NOW - 300, NOW + DAY));
        assert!(read_key(&private, key).is_some(), "{key:?}");
        let other = if key == KeyKind::Rsa2048 { KeyKind::Rsa3072 } else { KeyKind::Rsa2048 };
        assert!(read_key(&private, other).is_none(), "{key:?}");
    }
}

#[test]
fn a_key_that_fits_is_used_again_and_no_other() {
    let issuer = own();
    let ecdsa = wanted(KeyKind::P256, false, DAY);
    let former = pem(&issue(&issuer, &ecdsa, None, NOW).unwrap()).1;
    assert_eq!(pem(&issue(&issuer, &ecdsa, Some(&former), NOW).unwrap()).1, former);
    assert_ne!(pem(&issue(&issuer, &ecdsa, Some(b"junk"), NOW).unwrap()).1, former);
    let other = wanted(KeyKind::P384, false, DAY);
    assert_ne!(pem(&issue(&issuer, &other, Some(&former), NOW).unwrap()).1, former);
}

#[test]
fn nothing_outlives_its_issuer() {
    let issuer = own();
    let end = issuer.not_after().unwrap();
    let leaf = wanted(KeyKind::Ed25519, false, 90 * DAY);
    assert_eq!(issue(&issuer, &leaf, None, end - DAY).unwrap().not_after, end);
    assert_eq!(issue(&issuer, &leaf, None, end - 59).err(), Some(IssueError::Expired));
    assert_eq!(issue(&issuer, &leaf, None, end + DAY).err(), Some(IssueError::Expired));
    assert_eq!(issue(&issuer, &leaf, None, NOW - DAY).err(), Some(IssueError::Expired));
}

#[test]
fn an_authority_signs_one_other_and_that_one_none() {
    let root = own();
    let below = issue(&root, &wanted(KeyKind::P256, true, DAY), None, NOW).unwrap();
    let certificate = first(&below);
    let facts = CertificateFacts::read(&certificate).unwrap();
    assert_eq!((facts.is_authority, facts.path_length), (true, Some(0)));
    let (chain, key) = pem(&below);
    let between = Issuer::read(&chain, &key, below.trust.as_bytes()).unwrap();
    let authority = wanted(KeyKind::Ed25519, true, DAY);
    assert_eq!(issue(&between, &authority, None, NOW).err(), Some(IssueError::PathLength));
    let leaf = issue(&between, &wanted(KeyKind::Ed25519, false, DAY), None, NOW).unwrap();
    assert_eq!(read_blocks(leaf.chain.as_bytes()).len(), 2, "the leaf and who has signed it");
    assert_eq!(leaf.trust, below.trust, "the root is trusted, and no part of the chain");
    assert_eq!(CertificateFacts::read(&first(&leaf)).unwrap().issuer, facts.subject);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test hands keys over")]
fn what_is_no_authority_with_its_key_issues_nothing() {
    let (one, other) = (make_authority(NOW).unwrap(), make_authority(NOW).unwrap());
    let chain = encode_certificate(&one.certificate);
    let (its_own, foreign) = (encode_private_key(&one.key), encode_private_key(&other.key));
    assert!(Issuer::read(chain.as_bytes(), its_own.expose(), b"").is_ok());
    assert_eq!(Issuer::read(chain.as_bytes(), foreign.expose(), b"").err(), Some(IssueError::Pair));
    assert_eq!(Issuer::read(b"", its_own.expose(), b"").err(), Some(IssueError::Pair));
    let odd = b"-----BEGIN RSA PRIVATE KEY-----\nMAMCAQA=\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(Issuer::read(chain.as_bytes(), odd, b"").err(), Some(IssueError::Pair));
    let (leaf, key) = pem(&issue(&own(), &wanted(KeyKind::P256, false, DAY), None, NOW).unwrap());
    assert_eq!(Issuer::read(&leaf, &key, b"").err(), Some(IssueError::NoAuthority));
}

#[test]
fn names_that_are_asked_for_stand_in_it() {
    let dns = ["web.example".to_owned(), "*.web.example".to_owned()];
    let addresses = ["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let uris = ["spiffe://example.com/web".to_owned()];
    let wanted = Workload {
        dns_names: &dns,
        addresses: &addresses,
        uris: &uris,
        common_name: "",
        ..wanted(KeyKind::P256, false, DAY)
    };
    let certificate = first(&issue(&own(), &wanted, None, NOW).unwrap());
    let facts = CertificateFacts::read(&certificate).unwrap();
    assert_eq!(facts.names.dns.iter().collect::<Vec<_>>(), ["*.web.example", "web.example"]);
    assert_eq!(facts.names.addresses.len(), 2);
    let uri = uris[0].as_bytes();
    assert!(certificate.windows(uri.len()).any(|window| window == uri));
    let wrong = ["not ascii: ä".to_owned()];
    let wanted = Workload { uris: &wrong, ..wanted };
    assert_eq!(issue(&own(), &wanted, None, NOW).err(), Some(IssueError::Make(PkiError::Name)));
}
