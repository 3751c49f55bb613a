//! `strongroom keys`, as a person runs it beside a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::{KEYS, SECRETS, everything, fill, terms, terms_in_file};
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::person::{Ended, Person};
use crate::support::watch::Watch;

pub const PASSPHRASE: &str = "nine lanterns over quiet water";

pub fn keys(person: &Person, app: &App, arguments: &[&str]) -> Ended {
    let home = app.home().to_str().unwrap();
    person.run(&[&["keys"], arguments, &["--home", home]].concat())
}

pub fn private(person: &Person, name: &str, content: &str) -> String {
    let path = person.file(name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_new_data_key_changes_nothing_that_anybody_sees() {
    let (person, mut app) = (Person::new(), App::start());
    let mut client = Client::admin(&app);
    fill(&mut client, 300);
    let before = everything(&mut client);
    let revision = client.get(SECRETS).json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("{SECRETS}?watch=true&resourceVersion={revision}");
    let mut watch = Watch::begin(&client, &path, "application/json");

    let printed = keys(&person, &app, &["rotate", "data"]).done();
    assert!(printed.starts_with("Data key 2: there is a new data key"), "{printed}");
    assert!(printed.contains("does not protect copies") && printed.contains("is destroyed."), "{printed}");
    assert_eq!(everything(&mut client), before);
    assert_eq!((terms(&mut client), terms_in_file(&app)), (vec![2], vec![2]));
    // The first event is of the first change after the rotation, and not of anything that was sealed anew.
    client.json("POST", SECRETS, &json!({"metadata": {"name": "after"}})).ok();
    let event = watch.event().unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("after")));

    let status = keys(&person, &app, &["status"]).done();
    assert!(status.contains("2          Active") && status.contains("key-file   random   yes"), "{status}");
    assert!(status.contains("the key file lies in the home"), "{status}");
    let before = everything(&mut client);
    assert_eq!(app.stop(), Some(0));
    let app = App::start_in(app.kill(), &[]);
    let mut client = Client::admin(&app);
    assert_eq!((everything(&mut client), terms(&mut client)), (before, vec![2]));
    assert_eq!(client.get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
    let recorded = client.get("/strongroom/v1/audit?limit=1000").ok().text();
    assert!(recorded.contains("/strongroom/v1/keys/rotate-data") && recorded.contains("keys/destroy/1"), "{recorded}");
}

#[test]
fn a_passphrase_opens_the_room_and_the_key_file_no_longer() {
    let (person, app) = (Person::new(), App::start());
    let file = private(&person, "passphrase", &format!("{PASSPHRASE}\n"));
    let printed = keys(&person, &app, &["set-passphrase", "--passphrase-file", &file]).done();
    assert!(printed.starts_with("This secret opens the room from now on"), "{printed}");
    let refused = keys(&person, &app, &["slot", "remove", "key-file"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("would not open at its next start"), "{}", refused.stderr);
    keys(&person, &app, &["slot", "remove", "key-file", "--force"]).done();
    let refused = keys(&person, &app, &["slot", "remove", "passphrase"]);
    assert!(refused.stderr.contains("nothing would open the room any more"), "{}", refused.stderr);

    let app = App::start_in(app.kill(), &["--passphrase-file", &file]);
    let mut client = Client::admin(&app);
    let slots = client.get(KEYS).ok().json()["slots"].clone();
    assert_eq!(slots, json!([{"id": 2, "kind": "passphrase", "highEntropy": false, "inUse": true}]));
    // Another one takes its place; the room is opened with that from now on.
    let other = private(&person, "other", "another passphrase entirely");
    keys(&person, &app, &["set-passphrase", "--passphrase-file", &other]).done();
    let home = app.kill();
    let at = home.path().to_str().unwrap();
    let ended = person.run(&["serve", "--home", at, "--passphrase-file", &file]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("does not open this home") && !ended.stderr.contains("lanterns"), "{}", ended.stderr);
    drop(App::start_in(home, &["--passphrase-file", &other]));
}

#[test]
fn a_new_root_key_keeps_the_slots_whose_secrets_are_given() {
    let (person, app) = (Person::new(), App::start());
    let passphrase = private(&person, "passphrase", PASSPHRASE);
    let (key, recovery) = (person.at("second.key"), person.at("recovery.txt"));
    let (key, recovery) = (key.to_str().unwrap(), recovery.to_str().unwrap());
    keys(&person, &app, &["slot", "add", "passphrase", "--from", &passphrase]).done();
    let taken = keys(&person, &app, &["slot", "add", "key-file", "--from", key]);
    assert!(taken.stderr.contains("has a key file slot already"), "{}", taken.stderr);
    let printed = keys(&person, &app, &["recovery-key", "-o", recovery]).done();
    assert!(printed.contains("keep it where this machine is not"), "{printed}");
    let text = fs::read_to_string(recovery).unwrap();
    assert_eq!((text.trim().split('-').count(), printed.contains(text.trim())), (11, false));
    assert_eq!(fs::metadata(recovery).unwrap().permissions().mode() & 0o777, 0o600);
    let again = person.at("again");
    let taken = keys(&person, &app, &["recovery-key", "-o", again.to_str().unwrap()]);
    assert!(taken.code == 1 && !again.exists(), "a key that opens nothing is not left lying about: {}", taken.stderr);

    // Whose secret is not given must be named, so that none is lost by oversight.
    let refused = keys(&person, &app, &["rotate", "root"]);
    assert!(refused.code == 1 && refused.stderr.contains("--passphrase-file"), "{}", refused.stderr);
    let wrong = private(&person, "wrong", "nine lanterns over quiet wateR");
    let base = ["rotate", "root", "--drop", "recovery-key", "--passphrase-file"];
    let refused = keys(&person, &app, &[&base[..], &[&wrong]].concat());
    assert!(refused.stderr.contains("the secret given for the passphrase slot does not open it"), "{}", refused.stderr);
    let before = stored(app.home());
    let printed = keys(&person, &app, &[&base[..], &[&passphrase]].concat()).done();
    assert!(printed.contains("slots that are gone: recovery-key"), "{printed}");
    assert!(printed.contains("Earlier copies they can open as before"), "{printed}");
    let after = stored(app.home());
    assert!(before.iter().all(|blob| !after.contains(blob)), "everything is wrapped anew");
    let home = app.kill();
    for blob in &before {
        for name in ["strongroom.db", "strongroom.db-wal"] {
            let file = fs::read(home.path().join(name)).unwrap_or_default();
            let found = file.windows(blob.len()).any(|window| window == blob);
            assert!(!found, "{name} still holds what was wrapped with the former root key");
        }
    }
    let app = App::start_in(home, &[]);
    drop(App::start_in(app.kill(), &["--passphrase-file", &passphrase]));
}

/// The wrapped keyring and the slots.
fn stored(home: &Path) -> Vec<Vec<u8>> {
    let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
    let mut statement = connection.prepare("SELECT keyring FROM keys UNION ALL SELECT slot FROM slots").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn whoever_is_let_looks_after_the_keys_and_nobody_else() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    for (user, bound) in [("kim", "system:strongroom:key-custodian"), ("lee", "edit")] {
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
        let binding = json!({"metadata": {"name": user}, "roleRef": role(bound), "subjects": [subject]});
        admin.json("POST", rbac, &binding).ok();
    }
    let slot = format!("{KEYS}/slots/passphrase");
    for (method, path, body) in [
        ("GET", KEYS.to_owned(), json!({})),
        ("POST", format!("{KEYS}/rotate-data"), json!({})),
        ("PUT", slot.clone(), json!({"secret": PASSPHRASE})),
        ("DELETE", slot, json!({})),
    ] {
        let mut codes = Vec::new();
        for user in ["lee", "kim"] {
            let mut client = admin.with_header("Impersonate-User", user);
            codes.push(client.json(method, &path, &body).status);
        }
        assert_eq!(codes, [403, 200], "{method} {path}: {}", app.log());
    }
    assert!(!app.log().contains("lanterns"));
    let recorded = admin.get("/strongroom/v1/audit?limit=1000").ok().text();
    assert!(recorded.contains("/strongroom/v1/keys/slots/passphrase") && !recorded.contains("lanterns"));
}
