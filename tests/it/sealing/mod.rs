//! Sealing: what a server answers in each of its states, what ends with the keys and what goes on, and who may unseal it.

mod attempts;
mod cycles;
mod starts;
mod states;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::{Client, Response};
use crate::support::person::Ended;

const LIMIT: Duration = Duration::from_mins(1);
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const STATUS: &str = "/strongroom/v1/seal-status";
const SEAL: &str = "/strongroom/v1/seal";
const UNSEAL: &str = "/strongroom/v1/unseal";

/// `strongroom` on the home of the server.
fn run(app: &App, arguments: &[&str]) -> Ended {
    run_in(app.home(), arguments)
}

fn run_in(home: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(arguments).arg("--home").arg(home).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    Ended::of(&mut command, "")
}

/// What the server tells of its state, on a connection of its own: others end while it goes over.
fn status(app: &App) -> Value {
    let answer = eventually(LIMIT, || Client::anonymous(app).send("GET", STATUS, &[], b"").ok());
    answer.unwrap_or_else(|| panic!("{}", app.log())).ok().json()
}

fn state(app: &App) -> String {
    status(app)["state"].as_str().unwrap().to_owned()
}

/// Seals the server, and waits until it is.
pub fn seal(app: &App) {
    assert!(run(app, &["seal", "--yes"]).done().starts_with("The server is sealed"));
    assert_eq!(state(app), "sealed", "{}", app.log());
}

/// Unseals it with the home's own key file, and waits until it is open.
pub fn unseal(app: &App) {
    assert_eq!(run(app, &["unseal"]).done(), "The server is unsealed.\n");
    assert_eq!(state(app), "ready", "{}", app.log());
}

/// The key of the home, as a body has it.
fn key(home: &Path) -> String {
    let file = std::fs::read_to_string(home.join("keys/unlock.key")).unwrap();
    file.trim().rsplit(':').next().unwrap().to_owned()
}

fn wrong_key(byte: u8) -> Value {
    json!({"key": STANDARD.encode([byte; 32])})
}

fn try_unseal(app: &App, body: &Value) -> Response {
    Client::anonymous(app).json("POST", UNSEAL, body)
}

/// Sealing goes on after its answer.
fn wait_until_sealed(app: &App) {
    let sealed = eventually(LIMIT, || (state(app) == "sealed").then_some(()));
    assert!(sealed.is_some(), "{}", app.log());
}

fn unseal_when_sealed(app: &App) {
    wait_until_sealed(app);
    unseal(app);
}

/// Unseals after attempts that failed, which make the next one wait.
fn unseal_patiently(app: &App) {
    let unsealed = eventually(LIMIT, || {
        let ended = run(app, &["unseal"]);
        assert!(ended.code == 0 || ended.stderr.contains("too many failed attempts"), "{}", ended.stderr);
        (ended.code == 0).then_some(())
    });
    assert!(unsealed.is_some(), "{}", app.log());
}
