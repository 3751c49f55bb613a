//! Backups: made while writes go on, checked, restored, and made by the schedule.

mod crash;
mod create;
mod disk;
mod restore;
mod schedule;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::app::App;
use crate::support::clients::run;
use crate::support::http::Client;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const BACKUPS: &str = "/strongroom/v1/backups";
const LIMIT: Duration = Duration::from_mins(2);
/// What stands where the database begins.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it printed; it must have done what it was asked for.
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Why it did not.
    fn not_done(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert!(self.stdout.is_empty(), "{}", self.stdout);
        self.stderr
    }
}

/// `strongroom backup …`, without the settings of the person who runs the tests.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.arg("backup").args(arguments).env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STRONGROOM_")) {
        command.env_remove(name);
    }
    command
}

fn ended(command: &mut Command) -> Ended {
    let output = run(command, b"", LIMIT);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn backup(arguments: &[&str]) -> Ended {
    ended(&mut command(arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The key file of a home.
fn key_of(home: &Path) -> PathBuf {
    home.join("keys/unlock.key")
}

/// Makes or replaces a Secret; its revision.
fn put(client: &mut Client, name: &str, value: &str) -> u64 {
    let object = json!({"metadata": {"name": name}, "stringData": {"k": value}});
    let answer = match client.json("PUT", &format!("{SECRETS}/{name}"), &object) {
        answer if answer.status == 404 => client.json("POST", SECRETS, &object),
        answer => answer,
    };
    answer.ok().json()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// The value of a Secret; `None` where there is none.
fn value(client: &mut Client, name: &str) -> Option<String> {
    use base64::Engine as _;
    let answer = client.get(&format!("{SECRETS}/{name}"));
    if answer.status == 404 {
        return None;
    }
    let encoded = answer.ok().json()["data"]["k"].as_str().unwrap().to_owned();
    Some(String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap())
}

/// A backup of a running server, which `verify` finds whole.
fn create(app: &App, to: &Path) -> String {
    let printed = backup(&["create", "-o", text(to), "--home", text(app.home())]).done();
    let key = key_of(app.home());
    let verified = backup(&["verify", text(to), "--key-file", text(&key)]).done();
    assert!(verified.ends_with("Everything in it is as it was written\n"), "{verified}");
    printed
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether some bytes stand in others.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
