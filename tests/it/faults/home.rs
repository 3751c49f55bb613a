//! Copies of a home that is not served, and what is served of one that was damaged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::model::{bare, items};
use crate::support::app::{App, Refused};
use crate::support::http::Client;
use crate::support::load::SECRETS;

/// How many of many places a test tries: `STRONGROOM_TEST_PLACES`, else 64; `all` of them.
pub fn sample<T>(mut all: Vec<T>, dice: &mut crate::support::dice::Dice) -> Vec<T> {
    let most = match std::env::var("STRONGROOM_TEST_PLACES").as_deref() {
        Ok("all") => return all,
        Ok(text) => text.parse().unwrap(),
        Err(_) => 64,
    };
    while all.len() > most {
        let at = usize::try_from(dice.below(all.len() as u64)).unwrap();
        all.remove(at);
    }
    all
}

/// The database of a home.
pub fn database(home: &Path) -> PathBuf {
    home.join("strongroom.db")
}

/// The write-ahead log of a home.
pub fn log(home: &Path) -> PathBuf {
    home.join("strongroom.db-wal")
}

/// What became of a damaged home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The server did not start, and said what to do.
    Refused,
    /// Everything is served.
    Whole,
    /// Some of it is, and of the rest it is said that it is damaged.
    Partly,
}

/// Starts a damaged home: what is served of it must be what was written, or the server says clearly why it does not start.
pub fn outcome(home: TempDir, written: &BTreeMap<String, Value>, when: &str) -> Outcome {
    let mut app = match App::try_start_in(home) {
        Ok(app) => app,
        Err(Refused { code, log, .. }) => {
            assert!(code.is_some_and(|code| code != 101), "{when}: ended with {code:?}: {log}");
            assert!(!log.contains("panicked"), "{when}: {log}");
            let says_what_to_do = ["restore", "strongroom verify"].iter().any(|words| log.contains(words));
            assert!(says_what_to_do, "{when}: does not say what to do: {log}");
            return Outcome::Refused;
        }
    };
    let mut client = Client::admin(&app);
    let list = client.get(SECRETS);
    assert_eq!(list.status, 200, "{when}: {}: {}", list.text(), app.log());
    let listed = items(&list);
    for (name, item) in &listed {
        assert_eq!(Some(item), written.get(name), "{when}: {name} was not written so");
    }
    if listed.len() < written.len() {
        let warning = list.header("warning").unwrap_or_else(|| panic!("{when}: no word of what is left out"));
        assert!(warning.contains("left out"), "{when}: {warning}");
    }
    for (name, item) in written {
        let answer = client.get(&format!("{SECRETS}/{name}"));
        match answer.status {
            200 => assert_eq!(bare(answer.json()), *item, "{when}: {name}"),
            500 => {
                assert_eq!(answer.json()["reason"], "IntegrityFailure", "{when}: {}", answer.text());
                assert!(!listed.contains_key(name), "{when}: {name} is listed and cannot be read");
            }
            other => panic!("{when}: {name} is {other}: {}", answer.text()),
        }
    }
    // Written, or refused in clear words; and neither ends the process.
    let new = client.json("POST", SECRETS, &json!({"metadata": {"name": "new"}, "stringData": {"k": "v"}}));
    match new.status {
        201 => assert_eq!(client.get(&format!("{SECRETS}/new")).ok().json()["data"]["k"], "dg==", "{when}"),
        500 | 503 => assert!(!new.json()["message"].as_str().unwrap().is_empty(), "{when}"),
        other => panic!("{when}: a write is {other}: {}", new.text()),
    }
    assert!(app.is_running(), "{when}: {}", app.log());
    assert!(!app.log().contains("panicked"), "{when}: {}", app.log());
    if listed.len() == written.len() { Outcome::Whole } else { Outcome::Partly }
}
