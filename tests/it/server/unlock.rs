//! The ways to unlock a home, and what a wrong secret gets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::process::{Ended, Place, Server, token};

fn with(mut command: Command, variables: &[(&str, &str)]) -> Command {
    command.envs(variables.iter().copied());
    command
}

#[test]
fn a_wrong_passphrase_is_a_clear_error_and_changes_nothing() {
    let place = Place::new();
    place.secret_file("right", b"correct horse battery staple\n");
    place.secret_file("wrong", b"correct horse battery stable\n");
    let right = ["--passphrase-file", "right"];
    let printed = place.start(&right).stdout();
    assert!(printed.contains("without it nothing can be read again"), "{printed}");
    assert!(!place.home().join("keys").exists(), "no key was made beside the passphrase");
    let before = place.content();
    let credential = token(&place);
    for arguments in [&["serve", "--passphrase-file", "wrong"][..], &["admin", "rotate", "--passphrase-file", "wrong"]]
    {
        let error = place.run(arguments).not_done();
        assert!(error.contains("does not open this home. Nothing was changed"), "{error}");
        assert!(!error.contains("stable") && !error.contains("staple"));
        assert_eq!(place.content(), before);
    }
    let error = Ended::of(place.serve(&["--passphrase-prompt"])).not_done();
    assert!(error.contains("opened with a passphrase") && error.contains("--passphrase-file"), "{error}");
    assert_eq!(place.content(), before);
    let server = place.start(&right);
    assert_eq!(server.code_for(&credential), 200);
}

#[test]
fn a_wrong_or_missing_key_file_is_a_clear_error_and_changes_nothing() {
    let place = Place::new();
    place.start(&[]).stop();
    let key = place.home().join("keys/unlock.key");
    let right = fs::read(&key).unwrap();
    place.secret_file("home/keys/unlock.key", &[7; 32]);
    let before = place.content();
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains("unlock.key does not open this home. Nothing was changed"), "{error}");
    assert_eq!(place.content(), before);

    fs::remove_file(&key).unwrap();
    let before = place.content();
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains("is missing") && error.contains("put the key file back"), "{error}");
    assert_eq!(place.content(), before, "and no new key was made");

    place.secret_file("elsewhere/copy.key", &right);
    place.start(&["--key-file", "elsewhere/copy.key"]).stop();
    fs::set_permissions(place.at("elsewhere/copy.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = Ended::of(place.serve(&["--key-file", "elsewhere/copy.key"])).not_done();
    assert!(error.contains("has mode 0640") && error.contains("chmod 600"), "{error}");
}

#[test]
fn a_home_can_be_made_with_a_key_file_in_another_place() {
    let place = Place::new();
    let server = place.start(&["--key-file", "usb/strongroom/unlock.key"]);
    assert!(server.stdout().contains("lies outside it"), "{}", server.stdout());
    server.stop();
    assert!(place.at("usb/strongroom/unlock.key").exists() && !place.home().join("keys").exists());
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains("--key-file"), "{error}");
}

#[test]
fn a_credential_of_systemd_opens_the_home_it_was_made_with() {
    let place = Place::new();
    place.secret_file("credentials/strongroom-unlock", &[0xc3; 32]);
    let directory = place.at("credentials");
    let variables = [("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())];
    Server::start(with(place.serve(&[]), &variables), place.home()).stop();
    assert!(!place.home().join("keys").exists());
    Server::start(with(place.serve(&[]), &variables), place.home()).stop();
    place.secret_file("credentials/strongroom-unlock", &[0xc4; 32]);
    let before = place.content();
    let error = Ended::of(with(place.serve(&[]), &variables)).not_done();
    assert!(error.starts_with("the systemd credential ") && error.contains("Nothing was changed"), "{error}");
    assert_eq!(place.content(), before);
}

#[test]
fn a_passphrase_in_the_environment_has_to_be_allowed_and_is_warned_about() {
    let place = Place::new();
    let variables = [("STRONGROOM_PASSPHRASE", "correct horse battery staple")];
    let error = Ended::of(with(place.serve(&[]), &variables)).not_done();
    assert!(error.contains("--allow-env-passphrase"), "{error}");
    assert!(!place.home().join("strongroom.db").exists());
    let server = Server::start(with(place.serve(&["--allow-env-passphrase"]), &variables), place.home());
    assert!(server.stderr().contains("the passphrase came from the environment"), "{}", server.stderr());
    assert!(!server.stderr().contains("horse") && !server.stdout().contains("horse"));
    server.stop();
    let wrong = [("STRONGROOM_PASSPHRASE", "wrong"), ("STRONGROOM_ALLOW_ENV_PASSPHRASE", "true")];
    let error = Ended::of(with(place.serve(&[]), &wrong)).not_done();
    assert!(error.starts_with("the passphrase in STRONGROOM_PASSPHRASE does not open this home"), "{error}");
}
