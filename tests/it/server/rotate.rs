//! The administrator's token: replaced on demand, and where the kubeconfig no longer holds a good one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::process::{Ended, Place, mode, token};

#[test]
fn a_running_server_replaces_the_token_at_once() {
    let place = Place::new();
    let server = place.start(&[]);
    let old = token(&place);
    let printed = place.run(&["admin", "rotate"]).done();
    let new = token(&place);
    assert_ne!(old, new);
    assert_eq!((server.code_for(&old), server.code_for(&new)), (401, 200));
    let kubeconfig = place.home().join("admin.kubeconfig");
    assert_eq!(printed, format!("The administrator's new token is in {}\n", kubeconfig.display()));
    assert_eq!(mode(&kubeconfig), 0o600);
    server.stop();
    let server = place.start(&[]);
    assert_eq!(token(&place), new);
    assert_eq!((server.code_for(&old), server.code_for(&new)), (401, 200));
}

#[test]
fn without_a_server_the_token_is_replaced_in_the_home() {
    let place = Place::new();
    place.start(&[]).stop();
    let old = token(&place);
    place.run(&["admin", "rotate"]).done();
    let new = token(&place);
    assert_ne!(old, new);
    let server = place.start(&[]);
    assert_eq!((server.code_for(&old), server.code_for(&new)), (401, 200));
}

#[test]
fn replacements_at_the_same_time_leave_one_token_that_works() {
    let place = Place::new();
    let mut server = place.start(&[]);
    for _ in 0..4 {
        let old = token(&place);
        let header = place.secret_file("header", format!("Authorization: Bearer {old}\n").as_bytes());
        let urls = vec![format!("{}/strongroom/v1/admin/rotate", server.url()); 48];
        let printed = Command::new("curl")
            .args(["-sS", "--parallel", "--parallel-immediate", "-X", "POST", "-w", "%{http_code}\n", "--cacert"])
            .arg(place.home().join("tls/ca.crt"))
            .arg("-H")
            .arg(format!("@{}", header.display()))
            .args(urls.iter().flat_map(|url| ["-o", "/dev/null", url]))
            .output()
            .unwrap();
        let codes = String::from_utf8(printed.stdout).unwrap();
        // Those that came after the first replacement had been made were made with a token that was no longer valid.
        assert!(codes.contains("200") && codes.lines().all(|code| code == "200" || code == "401"), "{codes}");
        let left = token(&place);
        assert_eq!((server.code_for(&old), server.code_for(&left)), (401, 200));
        // And it is the one whose hash is stored.
        server.stop();
        server = place.start(&[]);
        assert_eq!(token(&place), left);
    }
}

#[test]
fn a_stale_kubeconfig_is_told_from_a_server_that_cannot() {
    let place = Place::new();
    let server = place.start(&[]);
    let kubeconfig = place.home().join("admin.kubeconfig");
    let text = fs::read_to_string(&kubeconfig).unwrap();
    let good = token(&place);
    fs::write(&kubeconfig, text.replace(&good, "sr_admin_stale")).unwrap();
    let error = place.run(&["admin", "rotate"]).not_done();
    assert!(error.contains("refused the token") && error.contains("restart the server"), "{error}");
    assert_eq!(server.code_for(&good), 200);
    server.stop();
    let server = place.start(&[]);
    assert_eq!(server.code_for(&token(&place)), 200);
}

#[test]
fn a_kubeconfig_that_was_open_to_others_gets_a_new_token_at_the_next_start() {
    let place = Place::new();
    place.start(&[]).stop();
    let seen = token(&place);
    let kubeconfig = place.home().join("admin.kubeconfig");
    fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o644)).unwrap();
    let server = place.start(&[]);
    assert!(server.stderr().contains("there is a new token in it"), "{}", server.stderr());
    assert_eq!(mode(&kubeconfig), 0o600);
    assert_eq!((server.code_for(&seen), server.code_for(&token(&place))), (401, 200));
}

#[test]
fn a_folder_that_is_no_home_is_not_made_one() {
    let place = Place::new();
    let error = Ended::of(place.command(&["admin", "rotate", "--home", "nowhere"])).not_done();
    assert!(error.contains("is no home") && error.contains("strongroom serve"), "{error}");
    assert!(!place.at("nowhere").exists());
}
