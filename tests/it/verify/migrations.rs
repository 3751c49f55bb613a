//! The next release's migration, cut off and failing: a home is as it was, or as that release has it, and never something between.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{SECRETS, command, refused};
use crate::faults::failpoints::{MIGRATIONS, rounds};
use crate::support::app::{App, Refused, copy_home};
use crate::support::http::Client;

/// A table, an index on one that is there, and a change of rows.
const STATEMENTS: &str = "CREATE TABLE next (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
    CREATE INDEX next_names ON versions (name);
    INSERT INTO next (text) VALUES ('made by the next release');";
const MIGRATION: &str = "STRONGROOM_TEST_MIGRATION";

/// A home that kill -9 has left, with a write-ahead log.
fn killed() -> TempDir {
    let app = App::start();
    let mut client = Client::admin(&app);
    for name in ["a", "b"] {
        client.json("POST", SECRETS, &json!({"metadata": {"name": name}, "data": {"k": "b2xk"}})).ok();
    }
    app.kill()
}

/// Everything is there and can be changed.
fn is_whole(app: App, when: &str) -> TempDir {
    let mut client = Client::admin(&app);
    for name in ["a", "b"] {
        let path = format!("{SECRETS}/{name}");
        assert_eq!(client.get(&path).ok().json()["data"]["k"], "b2xk", "{when}");
        client.json("PUT", &path, &json!({"metadata": {"name": name}, "data": {"k": "b2xk"}})).ok();
    }
    client.json("POST", SECRETS, &json!({"metadata": {"name": "new"}})).ok();
    client.delete(&format!("{SECRETS}/new")).ok();
    assert_eq!(client.get("/strongroom/v1/audit/verify").ok().json()["intact"], true, "{when}");
    assert!(!app.log().contains("ERROR"), "{when}: {}", app.log());
    app.kill()
}

fn has_next(home: &Path) -> bool {
    let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
    let names = "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('next', 'next_names')";
    match connection.query_row(names, [], |row| row.get(0)).unwrap() {
        0 => false,
        2 => true,
        other => panic!("{other} of two"),
    }
}

#[test]
fn a_migration_that_is_cut_off_is_made_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("next.sql");
    std::fs::write(&file, STATEMENTS).unwrap();
    let next = (MIGRATION, file.to_str().unwrap());
    let original = killed();
    for _ in 0..rounds() {
        for (name, is_made) in MIGRATIONS.into_iter().zip([false, true]) {
            let home = copy_home(original.path());
            let Err(Refused { code, home, log }) = App::try_start(home, &[], &[next, ("STRONGROOM_FAILPOINT", name)])
            else {
                panic!("{name} is not reached");
            };
            assert_eq!(code, None, "{name}: a signal ended it: {log}");
            assert_eq!(has_next(home.path()), is_made, "{name}");

            // What this release makes of it.
            let home = if is_made {
                let text = refused(home.path());
                assert!(text.contains("newer release") && text.contains("is unknown here"), "{name}: {text}");
                home
            } else {
                is_whole(App::start_in(home, &[]), name)
            };
            // And the next one.
            let Ok(app) = App::try_start(home, &[], &[next]) else { panic!("{name}: the next release does not start") };
            let home = is_whole(app, name);
            let verified = command(home.path(), &["verify"]).env(next.0, next.1).output().unwrap();
            assert_eq!(verified.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&verified.stdout));
        }
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("next.sql");
    std::fs::write(&file, format!("{STATEMENTS} INSERT INTO nowhere VALUES (1);")).unwrap();
    let started = App::try_start(killed(), &[], &[(MIGRATION, file.to_str().unwrap())]);
    let Err(Refused { code, home, log }) = started else { panic!("it started") };
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the schema cannot be brought up to date"), "{log}");
    assert!(!has_next(home.path()));
    is_whole(App::start_in(home, &[]), "after a migration that failed");
}
