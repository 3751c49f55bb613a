//! Reuse, renewal and the user's own certificate.

#![expect(clippy::disallowed_methods, reason = "the tests write keys to files of their own")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::pki::make_authority;

const NOW: i64 = 1_790_000_000;
const DAY_SECONDS: i64 = 86_400;

struct Place {
    _directory: tempfile::TempDir,
    paths: HomePaths,
    authority: Authority,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let paths = HomePaths::in_directory(directory.path().join("home"));
    super::super::home::prepare(&paths).unwrap();
    Place { _directory: directory, paths, authority: make_authority(NOW).unwrap() }
}

fn write_own(place: &Place, name: &str, days: i64) -> TlsFiles {
    let mut names = Names::local();
    names.add(name);
    let leaf = make_leaf(&place.authority, &names, NOW + days * DAY_SECONDS).unwrap();
    let at = |name: &str| place.paths.root().join(name);
    let files = TlsFiles { certificate: at("own.crt"), key: at("own.key") };
    let chain = encode_certificate(&leaf.certificate) + &encode_certificate(&place.authority.certificate);
    fs::write(&files.certificate, chain).unwrap();
    replace(&files.key, encode_private_key(&leaf.key).expose()).unwrap();
    files
}

#[test]
fn a_later_start_presents_the_same_certificate_until_names_or_age_say_otherwise() {
    let place = place();
    let shown = |names: &Names, now| {
        present_generated(&place.paths, &place.authority, names, now).unwrap();
        fs::read_to_string(place.paths.presented_certificate()).unwrap()
    };
    let first = shown(&Names::local(), NOW);
    assert_eq!(shown(&Names::local(), NOW + DAY_SECONDS), first);
    let mut more = Names::local();
    more.add("vault.example");
    let second = shown(&more, NOW + DAY_SECONDS);
    assert_ne!(second, first);
    assert_ne!(shown(&more, NOW + 62 * DAY_SECONDS), second);
    let mode = fs::metadata(place.paths.server_pair()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!fs::read_to_string(place.paths.presented_certificate()).unwrap().contains("PRIVATE"));
}

#[test]
fn a_damaged_certificate_file_is_replaced() {
    let place = place();
    present_generated(&place.paths, &place.authority, &Names::local(), NOW).unwrap();
    fs::write(place.paths.server_pair(), b"junk").unwrap();
    assert!(present_generated(&place.paths, &place.authority, &Names::local(), NOW).is_ok());
}

#[test]
fn a_running_server_renews_when_it_is_time_and_not_before() {
    let place = place();
    let presented = present_generated(&place.paths, &place.authority, &Names::local(), NOW).unwrap();
    let renew = |now| renew_generated(&place.paths, &place.authority, &presented, now).unwrap();
    assert!(!renew(NOW + DAY_SECONDS));
    assert!(renew(NOW + 60 * DAY_SECONDS));
    assert!(!renew(NOW + 61 * DAY_SECONDS));
}

#[test]
fn the_users_certificate_is_read_again_when_it_changes_and_kept_when_the_new_one_is_bad() {
    let place = place();
    let files = write_own(&place, "one.example", 0);
    let (own, presented) = OwnCertificate::present(files.clone(), &place.paths, NOW).unwrap();
    assert!(presented.names.contains("one.example"));
    assert_eq!(presented.trust, Some(encode_certificate(&place.authority.certificate)));
    let shown = || fs::read_to_string(place.paths.presented_certificate()).unwrap();
    let first = shown();
    assert!(!own.reload(&place.paths, &presented, false, NOW).unwrap());
    fs::write(&files.certificate, b"half a file").unwrap();
    assert!(own.reload(&place.paths, &presented, false, NOW).is_err());
    assert_eq!(shown(), first);
    assert!(!own.reload(&place.paths, &presented, false, NOW).unwrap(), "a bad file is reported once");
    write_own(&place, "two.example", 0);
    assert!(own.reload(&place.paths, &presented, false, NOW).unwrap());
    assert_ne!(shown(), first);
}

#[test]
fn the_users_certificate_must_be_valid_and_its_key_closed_to_others() {
    let place = place();
    let refused = |files: &TlsFiles, now| OwnCertificate::present(files.clone(), &place.paths, now).err().unwrap();
    let files = write_own(&place, "one.example", 0);
    assert!(matches!(refused(&files, NOW + 91 * DAY_SECONDS), CertificateError::Dates(_)));
    assert!(matches!(refused(&files, NOW - DAY_SECONDS), CertificateError::Dates(_)));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(refused(&files, NOW), CertificateError::KeyIsOpen(_)));
    let none = TlsFiles { key: place.paths.root().join("none"), ..files };
    assert!(matches!(refused(&none, NOW), CertificateError::Read { .. }));
}
