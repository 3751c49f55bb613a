//! Clocks that are wrong, stand still or jump: the server starts, serves and writes by any of them, and what has ended does not
//! come back because the clock was set back.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};

use crate::support::app::App;
use crate::support::http::Client;
use crate::support::load::SECRETS;

const HOUR: i64 = 3_600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

/// A clock, and the time that it shows (seconds since the Unix epoch).
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Offset(i64),
    Fixed(i64),
}

impl Wrong {
    fn set(self, file: &Path) {
        let text = match self {
            Self::Offset(seconds) => format!("offset {seconds}"),
            Self::Fixed(seconds) => format!("fixed {seconds}"),
        };
        // At once, so that nobody reads half of it.
        let beside = file.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, file).unwrap();
    }

    fn now(self) -> i64 {
        match self {
            Self::Offset(seconds) => SystemClock.unix_seconds() + seconds,
            Self::Fixed(seconds) => seconds,
        }
    }
}

fn wrong_clocks() -> [Wrong; 5] {
    [
        Wrong::Offset(-HOUR),
        Wrong::Offset(TEN_YEARS),
        // It stands still.
        Wrong::Fixed(SystemClock.unix_seconds()),
        // 1969.
        Wrong::Fixed(-24 * HOUR),
        Wrong::Offset(0),
    ]
}

/// A client that judges certificates by the right time or, where those are made by a wrong clock, by that.
fn reach(app: &App, clock: Wrong) -> Client {
    let mut client = Client::admin(app);
    if client.send("GET", "/livez", &[], b"").is_ok() {
        return client;
    }
    // A certificate of 1969 counts from before the epoch, where no client's time begins.
    let mut client = Client::admin_at(app, u64::try_from(clock.now()).unwrap_or(HOUR.unsigned_abs()));
    client.get("/livez").ok();
    client
}

fn works(app: &mut App, client: &mut Client, name: &str, when: &str) {
    let secret = json!({"metadata": {"name": name}, "stringData": {"k": "1"}});
    let made = client.json("POST", SECRETS, &secret).ok().json();
    let path = format!("{SECRETS}/{name}");
    let replaced = json!({"metadata": {"name": name}, "stringData": {"k": "2"}});
    let replaced = client.json("PUT", &path, &replaced).ok().json();
    let revision = |object: &Value| -> u64 { object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap() };
    assert!(revision(&replaced) > revision(&made), "{when}");
    assert_eq!(client.get(&path).ok().json()["data"]["k"], "Mg==", "{when}");
    assert!(
        client.get(SECRETS).ok().json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["metadata"]["name"] == name)
    );
    assert_eq!(client.get("/readyz").text(), "ok", "{when}: {}", app.log());
    let report = client.get("/strongroom/v1/audit/verify").ok().json();
    assert_eq!((&report["intact"], &report["problems"]), (&json!(true), &json!([])), "{when}");
    assert!(app.is_running() && !app.log().contains("panicked"), "{when}: {}", app.log());
}

fn clock_file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    (folder, file)
}

fn start(home: tempfile::TempDir, file: &Path) -> App {
    let started = App::try_start(home, &[], &[("STRONGROOM_TEST_CLOCK", file.to_str().unwrap())]);
    started.unwrap_or_else(|refused| panic!("it does not start: {}", refused.log))
}

#[test]
fn a_home_is_made_by_any_clock() {
    let (_folder, file) = clock_file();
    for clock in wrong_clocks() {
        clock.set(&file);
        let mut app = start(tempfile::tempdir().unwrap(), &file);
        let mut client = reach(&app, clock);
        works(&mut app, &mut client, "a", &format!("{clock:?}"));
        assert_eq!(app.stop(), Some(0), "{}", app.log());
    }
}

#[test]
fn a_home_starts_by_any_clock_whatever_the_one_before_was() {
    let (_folder, file) = clock_file();
    let mut home = App::start().kill();
    for (number, clock) in wrong_clocks().into_iter().cycle().take(10).enumerate() {
        clock.set(&file);
        let mut app = start(home, &file);
        let mut client = reach(&app, clock);
        works(&mut app, &mut client, &format!("s-{number}"), &format!("start {number}, {clock:?}"));
        if number % 2 == 0 {
            assert_eq!(app.stop(), Some(0), "{}", app.log());
        }
        home = app.kill();
    }
}

#[test]
fn a_clock_that_jumps_under_a_running_server_disturbs_nothing() {
    let (_folder, file) = clock_file();
    let mut app = start(tempfile::tempdir().unwrap(), &file);
    let mut client = Client::admin(&app);
    for (number, clock) in wrong_clocks().into_iter().cycle().take(20).enumerate() {
        clock.set(&file);
        works(&mut app, &mut client, &format!("s-{number}"), &format!("jump {number}, {clock:?}"));
    }
    assert_eq!(app.stop(), Some(0), "{}", app.log());
}

#[test]
fn a_token_that_has_ended_does_not_come_back_with_a_clock_set_back() {
    let (_folder, file) = clock_file();
    Wrong::Offset(0).set(&file);
    let app = start(tempfile::tempdir().unwrap(), &file);
    let mut admin = Client::admin(&app);
    let token = |admin: &mut Client, name: &str| -> String {
        admin.json("POST", ACCOUNTS, &json!({"metadata": {"name": name}})).ok();
        let request = json!({"spec": {"expirationSeconds": 600}});
        let made = admin.json("POST", &format!("{ACCOUNTS}/{name}/token"), &request).ok().json();
        made["status"]["token"].as_str().unwrap().to_owned()
    };
    let (ends, revoked) = (token(&mut admin, "ends"), token(&mut admin, "revoked"));
    // Whoever is known may ask who that is.
    let status = |client: &Client, token: &str| {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        client.with_token(token).json("POST", path, &json!({})).status
    };
    assert_eq!((status(&admin, &ends), status(&admin, &revoked)), (201, 201));
    admin.delete(&format!("{ACCOUNTS}/revoked")).ok();
    assert_eq!((status(&admin, &ends), status(&admin, &revoked)), (201, 401));
    Wrong::Offset(HOUR).set(&file);
    assert_eq!(status(&admin, &ends), 401);
    for clock in [Wrong::Offset(0), Wrong::Offset(-HOUR), Wrong::Fixed(SystemClock.unix_seconds()), Wrong::Fixed(-HOUR)]
    {
        clock.set(&file);
        assert_eq!((status(&admin, &ends), status(&admin, &revoked)), (401, 401), "{clock:?}");
    }
    // Nor after a restart.
    let mut app = app;
    assert_eq!(app.stop(), Some(0), "{}", app.log());
    Wrong::Offset(-HOUR).set(&file);
    let app = start(app.kill(), &file);
    let admin = Client::admin(&app);
    assert_eq!((status(&admin, &ends), status(&admin, &revoked)), (401, 401), "after a restart");
    // After a crash what was revoked is so without a clock, and what had ended by the last commit is so by that.
    Wrong::Offset(0).set(&file);
    let app = start(app.kill(), &file);
    let mut admin = Client::admin(&app);
    let later = token(&mut admin, "later");
    Wrong::Offset(2 * HOUR).set(&file);
    assert_eq!((status(&admin, &later), status(&admin, &revoked)), (401, 401));
    token(&mut admin, "another");
    let home = app.kill();
    Wrong::Offset(0).set(&file);
    let app = start(home, &file);
    assert_eq!((status(&Client::admin(&app), &later), status(&Client::admin(&app), &revoked)), (401, 401));
}
