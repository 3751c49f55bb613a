//! Stops, wanted and unwanted, and what the health check says of them.

use std::fs;

use super::process::{Place, token};

#[test]
fn a_signal_to_stop_is_a_success() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let mut server = place.start(&[]);
        place.run(&["healthcheck"]).done();
        server.signal(signal);
        assert_eq!(server.wait(), Some(0), "{}", server.stderr());
        let error = place.run(&["healthcheck"]).not_done();
        assert!(error.starts_with("no server runs on ") && error.contains("strongroom serve"), "{error}");
    }
}

#[test]
fn a_killed_server_leaves_nothing_that_holds_up_the_next_one() {
    let place = Place::new();
    let server = place.start(&[]);
    let before = token(&place);
    server.kill();
    assert!(place.run(&["healthcheck"]).not_done().starts_with("no server runs on "));
    // As if it had been killed in the midst of writing a new kubeconfig.
    let left = place.home().join(".admin.kubeconfig.00112233445566ff.new");
    fs::write(&left, b"token: sr_admin_half").unwrap();
    let server = place.start(&[]);
    assert_eq!(token(&place), before);
    assert_eq!(server.code_for(&before), 200);
    assert!(!left.exists());
}

#[test]
fn a_hangup_does_not_end_the_server() {
    let place = Place::new();
    let server = place.start(&[]);
    server.signal("HUP");
    assert_eq!(server.code_for(&token(&place)), 200);
    server.stop();
}
