//! `strongroom keys harden`: what it asks first, what it leaves when it fails or is cut off, and what opens the room afterwards.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::commands::{PASSPHRASE, keys, private};
use super::{KEYS, everything, fill, settled};
use crate::support::app::{App, copy_home};
use crate::support::http::Client;
use crate::support::person::Person;

const FOREIGN: &str = "strongroom-unlock-key-v1:RXhhbXBsZSBrZXksIG9mIGRvY3VtZW50YXRpb24gMzI=\n";

/// The names of the slots.
fn slots(app: &App) -> Vec<String> {
    let listed = Client::admin(app).get(KEYS).ok().json()["slots"].clone();
    listed.as_array().unwrap().iter().map(|slot| slot["kind"].as_str().unwrap().to_owned()).collect()
}

fn serves(person: &Person, home: &Path, options: &[&str]) -> String {
    let ended = person.run(&[&["serve", "--home", home.to_str().unwrap()], options].concat());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_hardened_room_opens_with_its_passphrase_alone() {
    let (person, app) = (Person::new(), App::start());
    fill(&mut Client::admin(&app), 30);
    let before = everything(&mut Client::admin(&app));
    let key_file = app.home().join("keys/unlock.key");
    let key = fs::read_to_string(&key_file).unwrap();
    let file = private(&person, "passphrase", PASSPHRASE);
    let harden =
        |options: &[&str]| keys(&person, &app, &[&["harden", "--new-passphrase-file", &file], options].concat());
    // What else the key file opens is said first; without a terminal somebody has to say yes beforehand.
    let refused = harden(&[]);
    assert!(refused.code == 1 && refused.stderr.contains("Backups and copies of the database"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--keep-key-file") && refused.stderr.contains("--yes"), "{}", refused.stderr);
    // A key file of another room is not done away with, and before that is known nothing is changed.
    let foreign = private(&person, "foreign.key", FOREIGN);
    let refused = harden(&["--yes", "--key-file", &foreign]);
    assert!(refused.code == 1 && refused.stderr.contains("does not open it"), "{}", refused.stderr);
    assert!(fs::read_to_string(&foreign).unwrap().contains("RXhhbXBs") && key_file.exists());
    assert_eq!(slots(&app), ["key-file"]);
    let printed = harden(&["--yes"]).done();
    assert!(printed.contains("The passphrase alone opens the room"), "{printed}");
    assert!(!key_file.exists());
    assert_eq!(settled(&mut Client::admin(&app)), 2);
    let status = keys(&person, &app, &["status"]).done();
    assert!(!status.contains("key file"), "there is none any more: {status}");
    let refused = harden(&["--yes"]);
    assert!(refused.stderr.contains("there is nothing to harden"), "{}", refused.stderr);
    // Nor is what is gone in anybody's way.
    keys(&person, &app, &["rotate", "root", "--passphrase-file", &file]).done();

    let home = app.kill();
    let kept = private(&person, "kept.key", &key);
    let refused = serves(&person, home.path(), &["--key-file", &kept]);
    assert!(refused.contains("opened with a passphrase"), "{refused}");
    let app = App::start_in(home, &["--passphrase-file", &file]);
    assert_eq!(everything(&mut Client::admin(&app)), before);
}

#[test]
fn what_fails_leaves_the_passphrase_that_there_is() {
    let (person, app) = (Person::new(), App::start());
    let former = private(&person, "former", "the former passphrase");
    keys(&person, &app, &["set-passphrase", "--passphrase-file", &former]).done();
    let app = App::start_in(app.kill(), &["--passphrase-file", &former]);
    let key_file = app.home().join("keys/unlock.key");
    let too_long = private(&person, "too-long", &"x".repeat(1_100));
    let (empty, a_key) = (private(&person, "empty", "\n"), private(&person, "a-key", FOREIGN));
    for (file, said) in [(&too_long, "1024"), (&empty, "empty"), (&a_key, "holds a key")] {
        let refused = keys(&person, &app, &["harden", "--yes", "--new-passphrase-file", file]);
        assert!(refused.code == 1 && refused.stderr.contains(said), "{said}: {}", refused.stderr);
        assert!(key_file.exists());
    }
    // A slot that is neither given nor given up.
    let recovery = person.at("recovery");
    keys(&person, &app, &["recovery-key", "-o", recovery.to_str().unwrap()]).done();
    let refused = keys(&person, &app, &["harden", "--yes", "--new-passphrase-file", &former]);
    assert!(refused.code == 1 && refused.stderr.contains("--recovery-key-file"), "{}", refused.stderr);
    assert_eq!(slots(&app), ["key-file", "passphrase", "recovery-key"]);
    drop(App::start_in(app.kill(), &["--passphrase-file", &former]));
}

#[test]
fn a_key_file_that_opens_more_can_be_kept_and_what_was_cut_off_goes_on() {
    let (person, app) = (Person::new(), App::start());
    let file = private(&person, "passphrase", PASSPHRASE);
    let key_file = app.home().join("keys/unlock.key");
    // A home that shares its key, as one that is restored from a backup does.
    let other = copy_home(app.home());
    let printed = keys(&person, &app, &["harden", "--keep-key-file", "--new-passphrase-file", &file]).done();
    assert!(printed.contains("was left where it is"), "{printed}");
    assert!(key_file.exists() && slots(&app) == ["passphrase"]);
    let term = settled(&mut Client::admin(&app));
    // As it is after an interruption: the key file is there and no slot is. Whose it is cannot be told any more: it stays.
    let printed = keys(&person, &app, &["harden", "--yes", "--new-passphrase-file", &file]).done();
    assert!(
        printed.contains("No key file opens this room any more") && printed.contains("is still there"),
        "{printed}"
    );
    assert!(key_file.exists());
    assert_eq!(settled(&mut Client::admin(&app)), term + 1);
    drop(App::start_in(other, &["--key-file", key_file.to_str().unwrap()]));
}

#[test]
fn a_passphrase_opens_the_room_as_it_stands_in_its_file_wherever_that_is_given() {
    let person = Person::new();
    for (name, content) in [("lf", "two line ends\n\n"), ("cr", "carriage return\r"), ("crlf", "both\r\n\r\n")] {
        let app = App::start();
        let file = private(&person, name, content);
        keys(&person, &app, &["harden", "--yes", "--new-passphrase-file", &file]).done();
        keys(&person, &app, &["rotate", "root", "--passphrase-file", &file]).done();
        let home = app.home().to_str().unwrap().to_owned();
        person.run(&["seal", "--yes", "--home", &home]).done();
        person.run(&["unseal", "--passphrase-file", &file, "--home", &home]).done();
        let app = App::start_in(app.kill(), &["--passphrase-file", &file]);
        Client::admin(&app).get(KEYS).ok();
        // Over REST it is taken as it is.
        let body = json!({"secret": content, "replace": true});
        Client::admin(&app).json("PUT", &format!("{KEYS}/slots/passphrase"), &body).ok();
        person.run(&["seal", "--yes", "--home", &home]).done();
        let unsealed = Client::anonymous(&app).json("POST", "/strongroom/v1/unseal", &json!({"passphrase": content}));
        assert_eq!(unsealed.status, 200, "{name}: {}", unsealed.text());
    }
}

#[test]
fn what_is_asked_for_as_a_trial_is_not_done() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let before = admin.get(KEYS).ok().json();
    let slot = format!("{KEYS}/slots/passphrase");
    let body = json!({"secret": PASSPHRASE});
    for (method, path, body, status) in [
        ("POST", format!("{KEYS}/rotate-data"), Value::Null, 200),
        ("PUT", slot.clone(), body.clone(), 200),
        ("DELETE", slot.clone(), Value::Null, 404),
        ("POST", format!("{KEYS}/rotate-root"), json!({"keyFile": FOREIGN}), 422),
    ] {
        let answer = admin.json(method, &format!("{path}?dryRun=All"), &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(admin.json(method, &format!("{path}?dryRun=Some"), &body).status, 400, "{method} {path}");
    }
    assert_eq!(admin.get(KEYS).ok().json(), before);
}

#[test]
fn a_home_that_only_its_recovery_key_opens_waits_for_it() {
    let (person, app) = (Person::new(), App::start());
    let recovery = person.at("recovery");
    let recovery = recovery.to_str().unwrap();
    keys(&person, &app, &["recovery-key", "-o", recovery]).done();
    keys(&person, &app, &["slot", "remove", "key-file", "--force"]).done();
    let address = app.url.strip_prefix("https://").unwrap().to_owned();
    let app = App::start_at(app.kill(), &address, &[]);
    let told = Client::anonymous(&app).get("/strongroom/v1/seal-status").ok().json();
    assert_eq!((&told["state"], &told["slots"][0]["kind"]), (&json!("sealed"), &json!("recovery-key")), "{told}");
    let home = app.home().to_str().unwrap();
    person.run(&["unseal", "--recovery-key-file", recovery, "--home", home]).done();
    Client::admin(&app).get(KEYS).ok();
}

#[test]
fn a_passphrase_that_nobody_could_send_makes_no_home() {
    let person = Person::new();
    let file = person.at("latin-1");
    fs::write(&file, b"caf\xe9\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let home = person.at("home");
    let refused = serves(&person, &home, &["--passphrase-file", file.to_str().unwrap()]);
    assert!(refused.contains("not text in UTF-8"), "{refused}");
    assert!(!home.join("strongroom.db").exists());
}
