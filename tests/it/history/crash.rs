//! kill -9 while Secrets are changed: what was acknowledged is the Secret or a version that is kept, and nothing is twice.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills (30), `STRONGROOM_TEST_SEED` repeats the choices of a run.

use std::time::Duration;

use serde_json::{Value, json};

use super::{read, revisions, revisions_of, value};
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::load::kills;

const OPTIONS: [&str; 2] = ["--history-limit", "1000"];
/// The longest that a round writes before the kill.
const ROUND_MILLIS: u64 = 120;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a Secret was, oldest first: acknowledged values, and at the end perhaps one that was not. A number that was destroyed
/// is `None`.
#[derive(Default)]
struct Past {
    values: Vec<Option<String>>,
    in_flight: Option<String>,
    destroying: Option<usize>,
}

#[test]
fn after_kill_9_every_acknowledged_version_is_there_once() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &OPTIONS);
    let mut pasts: Vec<Past> = NAMES.iter().map(|_| Past::default()).collect();
    let mut written = 0;
    for round in 0..kills() {
        let client = Client::admin(&app);
        std::thread::scope(|scope| {
            for (name, past) in NAMES.iter().zip(&mut pasts) {
                let (mut client, mut dice) =
                    (client.another(), Dice::new(seed ^ (round << 8) ^ u64::from(name.as_bytes()[0])));
                scope.spawn(move || change(&mut client, name, past, &mut dice, round));
            }
            // This is the random moment, not a wait for something.
            std::thread::sleep(Duration::from_millis(dice.below(ROUND_MILLIS)));
            app.begin_kill();
        });
        app = App::start_in(app.kill(), &OPTIONS);
        let mut admin = Client::admin(&app);
        assert_eq!(admin.get("/readyz").status, 200, "seed {seed}, round {round}: {}", app.log());
        for (name, past) in NAMES.iter().zip(&mut pasts) {
            check(&mut admin, name, past, &format!("seed {seed}, round {round}, {name}"));
            written += past.values.len();
        }
    }
    assert!(written > NAMES.len(), "the load was no load, seed {seed}");
}

/// Changes a Secret until the server is gone; now and then destroys a former version.
fn change(client: &mut Client, name: &str, past: &mut Past, dice: &mut Dice, round: u64) {
    for number in 0.. {
        if past.values.len() > 3 && dice.below(6) == 0 {
            let chosen = usize::try_from(dice.below(past.values.len() as u64 - 1)).unwrap();
            let listed = client.send(
                "GET",
                &format!("{}?fieldSelector=spec.secretName%3D{name}", revisions_of("default")),
                &[],
                b"",
            );
            let Ok(listed) = listed else { return };
            let items = listed.json()["items"].as_array().unwrap().clone();
            let found = items.iter().find(|one| one["spec"]["revision"] == json!(chosen + 1));
            let Some(found) = found else { continue };
            past.destroying = Some(chosen);
            let path = format!("{}/{}", revisions_of("default"), found["metadata"]["name"].as_str().unwrap());
            let Ok(answer) = client.send("DELETE", &path, &[], b"") else { return };
            answer.ok();
            past.values[chosen] = None;
            past.destroying = None;
            continue;
        }
        let text = format!("{round}-{number}");
        let secret = json!({"metadata": {"name": name}, "stringData": {"k": text}});
        past.in_flight = Some(text.clone());
        let (method, path) = if past.values.is_empty() {
            ("POST", secrets("default"))
        } else {
            ("PUT", format!("{}/{name}", secrets("default")))
        };
        let body = secret.to_string();
        let Ok(answer) = client.send(method, &path, &[("Content-Type", "application/json")], body.as_bytes()) else {
            return;
        };
        answer.ok();
        past.values.push(Some(text));
        past.in_flight = None;
    }
}

fn check(client: &mut Client, name: &str, past: &mut Past, what: &str) {
    let all: Vec<(usize, String)> = revisions(client, name)
        .iter()
        .map(|one: &Value| {
            (usize::try_from(one["spec"]["revision"].as_u64().unwrap()).unwrap(), value(&read(client, one)))
        })
        .collect();
    if let Some(text) = past.in_flight.take()
        && all.last().is_some_and(|(number, found)| *number == past.values.len() + 1 && *found == text)
    {
        past.values.push(Some(text));
    }
    if let Some(chosen) = past.destroying.take()
        && !all.iter().any(|(number, _)| *number == chosen + 1)
    {
        past.values[chosen] = None;
    }
    let expected: Vec<(usize, String)> =
        past.values.iter().enumerate().filter_map(|(at, text)| Some((at + 1, text.clone()?))).collect();
    assert_eq!(all, expected, "{what}");
}
