//! A restore: into an empty home, and over one that is there. What was issued before does not count any more, and what says so
//! is true.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{SECRETS, backup, create, key_of, names, put, text, value};
use crate::support::actors::signed_in;
use crate::support::app::App;
use crate::support::http::Client;

fn revision(client: &mut Client) -> u64 {
    let list = client.get(SECRETS).ok().json();
    list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// The answer to a watch from a revision: the status code, or that of the error it begins with.
fn watched_from(client: &mut Client, revision: u64) -> u64 {
    let path = format!("{SECRETS}?watch=true&timeoutSeconds=1&resourceVersion={revision}");
    let answer = client.get(&path);
    let first: Value = answer.text().lines().next().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
    first["object"]["code"].as_u64().or_else(|| first["code"].as_u64()).unwrap_or(answer.status.into())
}

fn service_account_token(admin: &mut Client) -> String {
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    admin.json("POST", accounts, &json!({"metadata": {"name": "app"}}));
    let asked = json!({"spec": {"expirationSeconds": 3600}});
    let token = admin.json("POST", &format!("{accounts}/app/token"), &asked).ok().json();
    token["status"]["token"].as_str().unwrap().to_owned()
}

fn audit_verify(home: &Path, key: &Path) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["audit", "verify", "--home", text(home), "--key-file", text(key)]);
    super::ended(&mut command).done()
}

#[test]
fn over_a_home_that_is_there_it_goes_back_only_when_that_is_accepted_and_nothing_of_before_counts_then() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    put(&mut admin, "db", "of the backup");
    put(&mut admin, "gone-later", "of the backup");
    let session = signed_in(&mut admin, "ada", &[]);
    let page = admin.get(&format!("{SECRETS}?limit=1")).ok().json();
    let cursor = page["metadata"]["continue"].as_str().unwrap().to_owned();
    create(&app, &file);
    let of_backup = revision(&mut admin);
    let account_token = service_account_token(&mut admin);
    put(&mut admin, "db", "newer");
    admin.delete(&format!("{SECRETS}/gone-later")).ok();
    put(&mut admin, "only-later", "x");
    let later = revision(&mut admin);
    let old_token = app.token.clone();

    // The server runs.
    let home = app.home().to_owned();
    let key = key_of(&home);
    let arguments = ["restore", text(&file), "--home", text(&home)];
    assert!(backup(&[&arguments[..], &["--accept-rollback"]].concat()).not_done().contains("in use by another"));
    assert_eq!(app.stop(), Some(0));

    // It is said what would be lost, and nothing is changed.
    let before = names(&home);
    let error = backup(&arguments).not_done();
    assert!(error.contains(&format!("with {} changes that were made since", later - of_backup)), "{error}");
    assert!(error.contains("--accept-rollback"), "{error}");
    assert_eq!(names(&home), before);

    let printed = backup(&[&arguments[..], &["--accept-rollback"]].concat()).done();
    let kept = names(&home).into_iter().find(|name| name.starts_with("before-restore-")).unwrap();
    assert!(printed.contains(&kept), "{printed}");
    assert!(names(&home.join(&kept)).contains(&"strongroom.db".to_owned()));
    // Before the first start, too, what the audit says is true.
    let said = audit_verify(&home, &key);
    assert!(said.contains("was restored at ") && said.contains(&format!("{kept}/audit")), "{said}");

    let mut app = App::start_in(app.kill(), &[]);
    let mut admin = Client::admin(&app);
    assert_eq!(value(&mut admin, "db").as_deref(), Some("of the backup"));
    assert_eq!(value(&mut admin, "gone-later").as_deref(), Some("of the backup"));
    assert_eq!(value(&mut admin, "only-later"), None);
    // Tokens of before.
    assert_ne!(app.token, old_token);
    for token in [&old_token, &account_token, session.token().unwrap()] {
        assert_eq!(admin.with_token(token).get(SECRETS).status, 401);
    }
    // Revisions of before, whether the backup had them or not.
    let now = revision(&mut admin);
    assert!(now > later + 100_000, "{now}");
    for old in [of_backup, later, later + 1000] {
        assert_eq!(watched_from(&mut admin, old), 410, "{old}");
        let exact = admin.get(&format!("{SECRETS}?resourceVersion={old}&resourceVersionMatch=Exact"));
        assert_eq!(exact.status, 410, "{old}: {}", exact.text());
    }
    assert_eq!(watched_from(&mut admin, now), 200);
    assert_eq!(admin.get(&format!("{SECRETS}?limit=1&continue={cursor}")).status, 410);
    // An object's own revision is as it was: an update over it is no conflict.
    let object = admin.get(&format!("{SECRETS}/db")).ok().json();
    admin.json("PUT", &format!("{SECRETS}/db"), &object).ok();
    assert!(put(&mut admin, "only-later", "again") > now);
    // The audit log begins with the restore, and is whole.
    assert_eq!(admin.get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
    let events = admin.get("/strongroom/v1/audit?limit=1000").ok().json();
    let restored = events["items"].as_array().unwrap().iter().find(|event| {
        event["annotations"]["strongroom.dev/restored"].as_str().is_some_and(|text| text.starts_with("backup of "))
    });
    assert_eq!(restored.unwrap()["user"]["username"], "system:strongroom:restore", "{restored:?}");
    assert_eq!(app.stop(), Some(0));
    let said = audit_verify(&home, &key);
    assert!(said.contains("everything that was looked at is as it was written"), "{said}");
    // The log of before stays what it was, for whoever has the public key.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let old_log = home.join(&kept).join("audit");
    command.args(["audit", "verify", "--directory", text(&old_log)]);
    super::ended(command.arg("--public-key").arg(old_log.join("signing-key.pub"))).done();
    // And the home of before can be opened as it was.
    let before = App::start_in(moved(&home.join(&kept)), &["--key-file", text(&key)]);
    let mut admin = Client::admin(&before);
    assert_eq!(value(&mut admin, "db").as_deref(), Some("newer"));
    assert_eq!(value(&mut admin, "only-later").as_deref(), Some("x"));
}

/// What is in a folder, in one of its own.
fn moved(folder: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in names(folder) {
        fs::rename(folder.join(&name), to.path().join(&name)).unwrap();
    }
    to
}

#[test]
fn two_homes_that_go_on_from_one_backup_accept_nothing_of_each_other() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "v");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    let key = key_of(app.home());
    let restored = || {
        let home = tempfile::tempdir().unwrap();
        let printed = backup(&["restore", text(&file), "--home", text(home.path()), "--key-file", text(&key)]).done();
        assert!(!printed.contains("What was there"), "{printed}");
        assert_eq!(
            names(home.path()),
            ["backup", "lock", "strongroom.db", "tls"]
                .map(str::to_owned)
                .into_iter()
                .filter(|name| home.path().join(name).exists())
                .collect::<Vec<_>>()
        );
        let app = App::start_in(home, &["--key-file", text(&key)]);
        let mut admin = Client::admin(&app);
        assert_eq!(value(&mut admin, "db").as_deref(), Some("v"));
        let token = service_account_token(&mut admin);
        (app, admin, token)
    };
    let ((_one, mut one, of_one), (_two, mut two, of_two)) = (restored(), restored());
    assert_ne!(revision(&mut one), revision(&mut two));
    let account = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    for (admin, own, foreign) in [(&mut one, &of_one, &of_two), (&mut two, &of_two, &of_one)] {
        let review = json!({});
        assert_eq!(admin.with_token(own).json("POST", account, &review).status, 201);
        assert_eq!(admin.with_token(foreign).json("POST", account, &review).status, 401);
    }
    assert_eq!(watched_from(&mut two, revision(&mut one) - 1), 410);
}

#[test]
fn another_store_stays_untouched_and_a_database_that_cannot_be_read_is_given_up_only_when_told_to() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "v");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    let key = fs::read(key_of(app.home())).unwrap();
    assert_eq!(app.stop(), Some(0));
    let home = app.home().to_owned();

    // Another store, and its own key is not the backup's.
    let mut other = App::start();
    assert_eq!(other.stop(), Some(0));
    let kept_key = folder.path().join("key");
    fs::copy(key_of(&home), &kept_key).unwrap();
    let database = fs::read(other.home().join("strongroom.db")).unwrap();
    let arguments =
        ["restore", text(&file), "--home", text(other.home()), "--key-file", text(&kept_key), "--accept-rollback"];
    assert!(backup(&arguments).not_done().contains("holds another store"));
    assert_eq!(fs::read(other.home().join("strongroom.db")).unwrap(), database);
    assert!(!other.home().join("strongroom.db.restoring").exists());

    // A damaged one.
    fs::write(home.join("strongroom.db"), b"nothing that SQLite knows").unwrap();
    let arguments = ["restore", text(&file), "--home", text(&home)];
    let error = backup(&arguments).not_done();
    assert!(error.contains("cannot be told") && error.contains("--accept-rollback"), "{error}");
    backup(&[&arguments[..], &["--accept-rollback"]].concat()).done();
    assert_eq!(fs::read(key_of(&home)).unwrap(), key);
    let app = App::start_in(app.kill(), &[]);
    assert_eq!(value(&mut Client::admin(&app), "db").as_deref(), Some("v"));
}

#[test]
fn a_backup_that_is_not_whole_changes_nothing_in_a_home() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "v");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    assert_eq!(app.stop(), Some(0));
    let before = names(app.home());
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    let arguments = ["restore", text(&file), "--home", text(app.home()), "--accept-rollback"];
    assert!(backup(&arguments).not_done().contains("damaged"));
    assert_eq!(names(app.home()), before);
    let app = App::start_in(app.kill(), &[]);
    assert_eq!(value(&mut Client::admin(&app), "db").as_deref(), Some("v"));
}
