//! Starts that leave the home sealed, and what happens to a server that is killed while it is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{LIMIT, SECRETS, key, run, run_in, seal, state, status, try_unseal, unseal};
use crate::support::app::{App, Refused};
use crate::support::clients::{eventually, wait};
use crate::support::http::Client;

const PASSPHRASE: &[u8] = b"correct horse battery staple\n";

fn address(app: &App) -> String {
    app.url.strip_prefix("https://").unwrap().to_owned()
}

fn secret_file(path: &Path, content: &[u8]) -> String {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_server_that_is_started_sealed_waits_whatever_could_unlock_the_home() {
    let mut app = App::start();
    Client::admin(&app).json("POST", SECRETS, &json!({"metadata": {"name": "a"}})).ok();
    let address = address(&app);
    assert_eq!(app.stop(), Some(0));
    let mut app = App::start_at(app.kill(), &address, &["--sealed"]);
    assert_eq!((state(&app).as_str(), &status(&app)["why"]), ("sealed", &json!("it was started sealed")));
    let printed = std::fs::read_to_string(app.logs().join("stdout")).unwrap();
    assert!(printed.contains("  state       sealed\n"), "{printed}");
    let command = format!("strongroom unseal --home {}", app.home().display());
    assert!(printed.ends_with(&format!("{command}\n")), "{printed}");
    assert_eq!(app.stop(), Some(0));

    // Killed while it is sealed, while it is unsealed, and after.
    let mut app = App::start_at(app.kill(), &address, &["--sealed"]);
    app = App::start_at(app.kill(), &address, &["--sealed"]);
    let home = app.home().to_owned();
    for millis in [0, 5, 20, 60, 150] {
        let unsealing = unseal_meanwhile(&home);
        std::thread::sleep(Duration::from_millis(millis));
        app = App::start_at(app.kill(), &address, &["--sealed"]);
        end(unsealing);
    }
    unseal(&app);
    Client::admin(&app).get(&format!("{SECRETS}/a")).ok();
}

fn unseal_meanwhile(home: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["unseal", "--home"]).arg(home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Its server is gone: however it ends, it ends.
fn end(mut child: Child) {
    assert!(wait(&mut child, LIMIT).is_some());
}

#[test]
fn a_home_that_is_no_home_yet_or_has_no_certificate_cannot_start_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let error = run_in(&home, &["serve", "--listen", "127.0.0.1:0", "--sealed"]).not_done();
    assert!(error.contains("is no home yet") && error.contains("without --sealed"), "{error}");
    assert!(!home.join("strongroom.db").exists());
    let mut app = App::start();
    assert_eq!(app.stop(), Some(0));
    std::fs::remove_file(app.home().join("tls/server.pem")).unwrap();
    let error = run(&app, &["serve", "--listen", "127.0.0.1:0", "--sealed"]).not_done();
    assert!(error.contains("start the server once unsealed"), "{error}");
    assert!(run(&app, &["unseal"]).not_done().contains("no server runs"));
}

#[test]
fn a_home_with_a_passphrase_and_nobody_to_ask_waits_for_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let right = secret_file(&folder.path().join("right"), PASSPHRASE);
    let wrong = secret_file(&folder.path().join("wrong"), b"correct horse battery stable\n");
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &["--passphrase-file", &right]);
    let address = address(&app);
    assert_eq!(app.stop(), Some(0));
    let app = App::start_at(app.kill(), &address, &[]);
    let told = status(&app);
    assert_eq!(told["why"], "the home takes a passphrase, and nobody was there to be asked");
    assert_eq!(told["slots"], json!([{"id": 1, "kind": "passphrase"}]), "and nothing of what it costs");

    let error = run(&app, &["unseal"]).not_done();
    assert!(error.contains("no terminal") && error.contains("--passphrase-file"), "{error}");
    let error = run(&app, &["unseal", "--passphrase-file", &wrong]).not_done();
    assert!(error.contains("the secret does not open this home") && !error.contains("stable"), "{error}");
    assert!(!app.log().contains("stable"));
    let unsealed = eventually(LIMIT, || {
        let ended = run(&app, &["unseal", "--passphrase-file", &right]);
        assert!(ended.code == 0 || ended.stderr.contains("too many failed attempts"), "{}", ended.stderr);
        (ended.code == 0).then_some(())
    });
    assert!(unsealed.is_some(), "{}", app.log());
    assert_eq!(state(&app), "ready");
    Client::admin(&app).get(SECRETS).ok();
    // Sealed again, and unsealed without the command.
    seal(&app);
    let body = json!({"passphrase": std::str::from_utf8(PASSPHRASE).unwrap().trim(), "slot": 1});
    let answer = try_unseal(&app, &body).ok().json();
    assert!(["verifying", "ready"].contains(&answer["state"].as_str().unwrap()), "{answer}");
    assert!(eventually(LIMIT, || (state(&app) == "ready").then_some(())).is_some(), "{}", app.log());
}

#[test]
fn a_server_that_takes_its_time_to_verify_says_so_and_can_be_stopped_and_killed_meanwhile() {
    let mut app = App::start();
    Client::admin(&app).json("POST", SECRETS, &json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}})).ok();
    let address = address(&app);
    assert_eq!(app.stop(), Some(0));

    let verifies = |app: &mut App| {
        // It says nothing for the first half second.
        let told = eventually(LIMIT, || {
            let answer = Client::anonymous(app).send("GET", super::STATUS, &[], b"").ok()?;
            Some(answer.json())
        });
        let told = told.unwrap_or_else(|| panic!("{}", app.log()));
        assert_eq!((&told["state"], &told["slots"][0]["kind"]), (&json!("verifying"), &json!("key-file")), "{told}");
        let mut admin = Client::admin(app);
        assert_eq!(admin.get("/livez").ok().text(), "ok");
        let ready = admin.get("/readyz");
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains("[-]verified failed: "), "{}", ready.text());
        let refused = admin.get(SECRETS);
        assert_eq!((refused.status, &refused.json()["reason"]), (503, &json!("ServiceUnavailable")));
        assert!(refused.json()["message"].as_str().unwrap().contains("verifying"), "{}", refused.text());
        assert_eq!(refused.header("retry-after"), Some("1"), "it ends by itself");
        assert_eq!(try_unseal(app, &json!({"key": key(app.home())})).status, 429, "the keys are there already");
    };
    let app = App::start_held(app.kill(), &address, verifies).unwrap_or_else(|refused| panic!("{}", refused.log));
    assert_eq!(Client::admin(&app).get(&format!("{SECRETS}/a")).ok().json()["data"]["k"], "dg==");
    assert_eq!(state(&app), "ready");

    // Killed there, and asked to stop.
    let killed = App::start_held(app.kill(), &address, |app| {
        verifies(app);
        app.begin_kill();
    });
    let Err(Refused { code, home, .. }) = killed else { panic!("it goes on") };
    assert_eq!(code, None);
    let stopped = App::start_held(home, &address, |app| {
        verifies(app);
        app.begin_stop();
    });
    let Err(Refused { code, home, log }) = stopped else { panic!("it goes on") };
    assert_eq!(code, Some(0), "{log}");
    let app = App::start_at(home, &address, &[]);
    assert_eq!(Client::admin(&app).get(&format!("{SECRETS}/a")).ok().json()["data"]["k"], "dg==");
}

#[test]
fn one_secret_at_a_time_is_looked_at_and_the_state_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let right = secret_file(&folder.path().join("right"), PASSPHRASE);
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--passphrase-file", &right]);
    seal(&app);
    let wrong = json!({"passphrase": "x"});
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6).map(|_| scope.spawn(|| try_unseal(&app, &wrong).status)).collect();
        // A passphrase takes its time: it is seen meanwhile.
        assert!(eventually(LIMIT, || (state(&app) == "unsealing").then_some(())).is_some());
        assert_eq!(Client::anonymous(&app).get("/livez").status, 200);
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 401).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 5, "{codes:?}");
}

#[test]
fn a_home_that_cannot_be_opened_stays_sealed_and_says_where_to_look() {
    let mut app = App::start();
    Client::admin(&app).json("POST", SECRETS, &json!({"metadata": {"name": "a"}})).ok();
    let address = address(&app);
    assert_eq!(app.stop(), Some(0));
    let database = rusqlite::Connection::open(app.home().join("strongroom.db")).unwrap();
    database.execute("CREATE VIEW foreign_view AS SELECT 1", []).unwrap();
    drop(database);
    let app = App::start_at(app.kill(), &address, &["--sealed"]);
    for _ in 0..2 {
        let error = run(&app, &["unseal"]).not_done();
        assert!(error.contains("the keys were opened, and the home could not be"), "{error}");
        assert_eq!(state(&app), "sealed");
    }
    assert!(app.log().contains("the home could not be opened, and is sealed again"), "{}", app.log());
    let database = rusqlite::Connection::open(app.home().join("strongroom.db")).unwrap();
    database.execute("DROP VIEW foreign_view", []).unwrap();
    drop(database);
    assert!(try_unseal(&app, &json!({"key": key(app.home())})).status == 200);
    assert!(eventually(LIMIT, || (state(&app) == "ready").then_some(())).is_some(), "{}", app.log());
}
