//! Homes that former releases have made, kept under `tests/it/homes`, and homes of newer ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{refused, run, stopped, verify};
use crate::support::app::App;
use crate::support::http::Client;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn kept() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(Path::new(ROOT).join("tests/it/homes")).unwrap();
    let mut homes: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    homes.sort();
    homes
}

fn unpack(kept: &Path) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--gzip").arg("--file").arg(kept.join("home.tar.gz")).arg("-C").arg(home.path());
    assert!(command.status().unwrap().success());
    home
}

/// Everything that was answered then is answered now; there may be more.
fn is_within(was: &Value, is: &Value) -> bool {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            was.iter().all(|(name, value)| is.get(name).is_some_and(|now| is_within(value, now)))
        }
        (Value::Array(was), Value::Array(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| is_within(was, is))
        }
        _ => was == is,
    }
}

/// Without the revision of a list, which goes on.
fn without_list_revision(mut answer: Value) -> Value {
    if answer.get("items").is_some() {
        answer["metadata"] = json!({});
    }
    answer
}

fn applied(home: &Path) -> i64 {
    let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
    connection.query_row("SELECT MAX(version) FROM _sqlx_migrations", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_home_of_every_release_opens_in_this_one() {
    let migrations = std::fs::read_dir(Path::new(ROOT).join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().split('_').next().unwrap().parse::<i64>().unwrap());
    let newest = migrations.max().unwrap();
    let kept = kept();
    assert!(kept.iter().any(|home| home.ends_with("0001")));
    for folder in kept {
        let home = unpack(&folder);
        let (code, text) = verify(home.path(), &[]);
        assert_eq!(code, Some(0), "{}: {text}", folder.display());

        // Nothing is let go of while it is looked at, however long ago it was written.
        let mut app = App::start_in(home, &["--history-max-age", "36500d", "--event-ttl", "8760h"]);
        let mut client = Client::admin(&app);
        let answers: Value = serde_json::from_slice(&std::fs::read(folder.join("answers.json")).unwrap()).unwrap();
        let answers = answers.as_object().unwrap();
        assert!(answers.len() > 3);
        for (path, was) in answers {
            let is = without_list_revision(client.get(path).ok().json());
            let was = without_list_revision(was.clone());
            assert!(is_within(&was, &is), "{}: {path}\nwas {was:#}\nis {is:#}", folder.display());
        }
        let mut values = Vec::new();
        for revision in answers["/apis/strongroom.dev/v1alpha1/secretrevisions"]["items"].as_array().unwrap() {
            let metadata = &revision["metadata"];
            let [namespace, name] = ["namespace", "name"].map(|field| metadata[field].as_str().unwrap());
            let path = format!("/apis/strongroom.dev/v1alpha1/namespaces/{namespace}/secretrevisions/{name}");
            values.push(client.get(&path).ok().json()["data"]["key"].clone());
        }
        for value in ["b25l", "dHdv", "dGhyZWU=", "Z29uZQ=="] {
            assert!(values.contains(&json!(value)), "{}: {values:?}", folder.display());
        }
        let credentials = json!({"username": "ada", "password": "a password that is kept here"});
        client.without_token().json("POST", "/strongroom/v1/login", &credentials).ok();
        client.json("POST", super::SECRETS, &json!({"metadata": {"name": "new"}})).ok();
        assert_eq!(client.get("/readyz").status, 200);
        assert_eq!(app.stop(), Some(0), "{}", app.log());

        let home = app.kill();
        assert_eq!(applied(home.path()), newest, "{}", folder.display());
        let (code, text) = verify(home.path(), &[]);
        assert_eq!(code, Some(0), "{}: {text}", folder.display());
    }
}

fn newer(sql: &str, said: &str) {
    let home = stopped();
    run(home.path(), sql);
    for (code, text) in
        [(Some(1), refused(home.path())), verify(home.path(), &[]), verify(home.path(), &["--accept", "--yes"])]
    {
        assert_eq!(code, Some(1), "{sql}: {text}");
        assert!(text.contains("newer release") && text.contains(said), "{sql}: {text}");
    }
}

// A head and a keyring whose inner version is newer, and a field of the keyring that is unknown, are sealed: see the tests of
// `store` and `crypto`. So is a newer schema: see `migrations`.
#[test]
fn a_home_of_a_newer_release_is_refused_in_clear_words() {
    newer("UPDATE slots SET slot = CAST(x'02' || substr(slot, 2) AS BLOB)", "the slot has format version 2");
    newer("UPDATE keys SET keyring = CAST(x'02' || substr(keyring, 2) AS BLOB)", "the keyring has format version 2");
    newer(
        "UPDATE keys SET keyring = CAST(substr(keyring, 1, 1) || x'02' || substr(keyring, 3) AS BLOB)",
        "the keyring is wrapped with unknown algorithm 2",
    );
    newer(
        "UPDATE head SET sealed = CAST(x'02' || randomblob(300) AS BLOB)",
        "head of the store: unknown format version 2",
    );
    newer(
        "UPDATE state SET data = CAST(x'02' || randomblob(300) AS BLOB) WHERE key = 'authority.key'",
        "unknown format version 2",
    );
}
