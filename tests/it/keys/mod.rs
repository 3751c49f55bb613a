//! The keys of a running room: rotated, added, removed, by the commands and through crashes.

mod commands;
mod crash;
mod harden;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const KEYS: &str = "/strongroom/v1/keys";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const LIMIT: Duration = Duration::from_mins(1);

/// Makes Secrets, and former versions of some.
fn fill(client: &mut Client, count: usize) {
    for number in 0..count {
        let secret =
            json!({"metadata": {"name": format!("s-{number}")}, "stringData": {"k": format!("value {number}")}});
        client.json("POST", SECRETS, &secret).ok();
    }
    for number in 0..count.min(20) {
        let patch = json!({"stringData": {"k": format!("newer {number}")}}).to_string();
        let path = format!("{SECRETS}/s-{number}");
        client.typed("PATCH", &path, "application/merge-patch+json", patch.as_bytes()).ok();
    }
}

/// Everything that is served of the Secrets that [`fill`] has made, revisions and former versions included.
fn everything(client: &mut Client) -> Value {
    let mut items = |path: &str| {
        let list = client.get(path).ok().json();
        let is_filled = |item: &&Value| item["metadata"]["name"].as_str().unwrap().starts_with("s-");
        list["items"].as_array().unwrap().iter().filter(is_filled).cloned().collect::<Vec<_>>()
    };
    json!([items(SECRETS), items("/apis/strongroom.dev/v1alpha1/namespaces/default/secretrevisions")])
}

fn terms(client: &mut Client) -> Vec<u64> {
    let status = client.get(KEYS).ok().json();
    status["terms"].as_array().unwrap().iter().map(|term| term["id"].as_u64().unwrap()).collect()
}

/// Waits until everything is sealed with one data key.
fn settled(client: &mut Client) -> u64 {
    let one = eventually(LIMIT, || Some(terms(client)).filter(|terms| terms.len() == 1));
    one.expect("the former data key is not destroyed")[0]
}

/// Numbers of the data keys that rows in the file are sealed with.
fn terms_in_file(app: &App) -> Vec<u32> {
    let connection = rusqlite::Connection::open(app.home().join("strongroom.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT term FROM versions UNION SELECT term FROM state UNION SELECT term FROM audit")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
