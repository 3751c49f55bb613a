//! kill -9 at every point of a rotation, while others write: afterwards the room opens, nothing is lost, and what was begun is
//! brought to its end without hands.
//!
//! `STRONGROOM_TEST_FAILPOINTS` is how often each point is tried (2).

use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KEYS, LIMIT, SECRETS, everything, fill, settled, terms_in_file};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

/// More than two transactions seal anew.
const SECRETS_COUNT: usize = 600;

fn rounds() -> u32 {
    std::env::var("STRONGROOM_TEST_FAILPOINTS").map_or(2, |text| text.parse().unwrap())
}

/// Asks for something that ends the server at a failpoint, while somebody writes; the names whose writes were acknowledged.
fn until_killed(home: TempDir, failpoint: &str, ask: impl Fn(&mut Client)) -> (TempDir, Vec<String>) {
    let mut app = App::start_to_fail(home, failpoint);
    let client = Client::admin(&app);
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = client.another();
            for number in 0.. {
                let name = format!("w-{}-{number}", failpoint.replace([':', '.'], "-"));
                let secret = json!({"metadata": {"name": name}, "stringData": {"k": "v"}}).to_string();
                let headers = [("Content-Type", "application/json")];
                match client.send("POST", SECRETS, &headers, secret.as_bytes()) {
                    Ok(response) if response.status == 201 => acknowledged.lock().unwrap().push(name),
                    _ => return,
                }
            }
        });
        ask(&mut client.another());
        let is_gone = eventually(LIMIT, || (!app.is_running()).then_some(()));
        assert!(is_gone.is_some(), "{failpoint} was never reached: {}", app.log());
        writer.join().unwrap();
    });
    (app.kill(), acknowledged.into_inner().unwrap())
}

fn rotate(client: &mut Client) {
    // The answer may be lost with the server.
    let _ = client.send("POST", &format!("{KEYS}/rotate-data"), &[], b"");
}

#[test]
fn a_rotation_goes_on_wherever_it_was_killed() {
    let app = App::start();
    fill(&mut Client::admin(&app), SECRETS_COUNT);
    let mut home = app.kill();
    for round in 0..rounds() {
        for failpoint in [
            // The new key.
            "keys.before-commit",
            "keys.after-commit",
            // The first transaction that seals anew, and one in the middle.
            "reseal.before-commit",
            "reseal.after-commit",
            "reseal.before-commit:3",
            "reseal.after-commit:2",
            // The end of the former key.
            "keys.before-commit:2",
            "keys.after-commit:2",
        ] {
            let app = App::start_in(home, &[]);
            let mut client = Client::admin(&app);
            settled(&mut client);
            let before = everything(&mut client);
            let (killed, acknowledged) = until_killed(app.kill(), failpoint, rotate);
            let app = App::start_in(killed, &[]);
            let mut client = Client::admin(&app);
            let when = format!("{failpoint}, round {round}: {}", app.log());
            let term = settled(&mut client);
            assert_eq!(terms_in_file(&app), [u32::try_from(term).unwrap()], "{when}");
            for name in &acknowledged {
                assert_eq!(client.get(&format!("{SECRETS}/{name}")).status, 200, "{when}: {name} is lost");
            }
            let now = everything(&mut client);
            assert!(now == before, "{when}: {}", difference(&before, &now));
            assert_eq!(client.get("/readyz").status, 200, "{when}");
            assert_eq!(client.get("/strongroom/v1/audit/verify").ok().json()["intact"], true, "{when}");
            home = app.kill();
        }
    }
}

#[test]
fn a_change_of_what_opens_the_room_is_made_or_not_and_the_room_opens_either_way() {
    let app = App::start();
    fill(&mut Client::admin(&app), 10);
    let mut home = app.kill();
    let passphrase = tempfile::tempdir().unwrap();
    let file = passphrase.path().join("p");
    std::fs::write(&file, "nine lanterns over quiet water").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let key = std::fs::read_to_string(home.path().join("keys/unlock.key")).unwrap();
    let slot = format!("{KEYS}/slots/passphrase");
    let set = json!({"secret": "nine lanterns over quiet water", "replace": true}).to_string();
    let root = json!({"keyFile": key, "drop": ["passphrase"]}).to_string();
    for _ in 0..rounds() {
        for (failpoint, is_done) in [("keys.before-commit", false), ("keys.after-commit", true)] {
            let json = [("Content-Type", "application/json")];
            (home, _) = until_killed(home, failpoint, |client| {
                let _ = client.send("PUT", &slot, &json, set.as_bytes());
            });
            if is_done {
                // The passphrase opens it, and so does the key file still.
                home = App::start_in(home, &["--passphrase-file", file.to_str().unwrap()]).kill();
            }
            let app = App::start_in(home, &[]);
            let slots = Client::admin(&app).get(KEYS).ok().json()["slots"].as_array().unwrap().len();
            assert_eq!(slots, 1 + usize::from(is_done), "{failpoint}");
            (home, _) = until_killed(app.kill(), failpoint, |client| {
                let _ = client.send("POST", &format!("{KEYS}/rotate-root"), &json, root.as_bytes());
            });
            let app = App::start_in(home, &[]);
            let slots = Client::admin(&app).get(KEYS).ok().json()["slots"].as_array().unwrap().len();
            assert_eq!(
                slots, 1,
                "{failpoint}: without its secret the passphrase slot is gone, and before there was none"
            );
            assert_eq!(Client::admin(&app).get(&format!("{SECRETS}/s-3")).status, 200);
            home = app.kill();
        }
    }
}

/// The first Secret or former version that is another one.
fn difference(before: &Value, now: &Value) -> String {
    let all = |value: &Value| -> Vec<Value> {
        [value[0].as_array(), value[1].as_array()].into_iter().flatten().flatten().cloned().collect()
    };
    let (before, now) = (all(before), all(now));
    let other = before.iter().zip(&now).find(|(before, now)| before != now);
    let metadata = |value: &Value| value["metadata"].to_string();
    let other = other.map(|(before, now)| format!("{} is {}", metadata(before), metadata(now)));
    format!("{} objects were {}; {}", now.len(), before.len(), other.unwrap_or_default())
}
