//! kill -9 at random moments under reads, denials and writes: whatever was answered has its record, no record speaks of
//! what is not there, and the log stays intact.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills (30), `STRONGROOM_TEST_SEED` repeats the choices of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::events;
use crate::support::app::App;
use crate::support::dice::Dice;
use crate::support::http::{Client, Response};
use crate::support::load::{Acknowledged, Ledger, Other, Round, SECRETS, any_name, check, kills, start_after_kill};

/// Fewer than are written one by one in a second.
const DENIALS: usize = 40;

/// A request that was answered, as its record must show it.
#[derive(Debug)]
struct Answered {
    audit_id: String,
    verb: &'static str,
    name: String,
    code: u16,
}

impl Answered {
    fn of(verb: &'static str, name: &str, response: &Response) -> Self {
        let audit_id = response.header("audit-id").unwrap().to_owned();
        Self { audit_id, verb, name: name.to_owned(), code: response.status }
    }
}

/// Whether a request has changed its object.
fn is_done(verb: &str, code: u64) -> bool {
    matches!(verb, "create" | "update" | "patch" | "delete") && code < 300
}

#[test]
fn after_kill_9_everything_that_was_answered_has_its_record_and_nothing_else_is_recorded_as_done() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let (mut ledger, mut written_before) = (Ledger::new(), BTreeSet::new());
    let (mut count, mut since) = (BTreeMap::<&str, usize>::new(), String::new());
    let mut app = App::start();
    for number in 0..kills() {
        let round = Round::new(number, seed, &mut dice);
        let (mut written, answered) = ask_until_killed(&round, &mut app, &mut ledger);
        app = start_after_kill(app, number, &mut dice);
        let when = round.to_string();
        let might = written.clone();
        ledger = check(&app, &mut written, &when);
        let mut admin = Client::admin(&app);
        let events = events(&mut admin, &format!("resource=secrets{since}"));
        // The newest is of a read of this check: what the next round does comes later.
        since = format!("&since={}", events[0]["stageTimestamp"].as_str().unwrap());
        for answer in &answered {
            let of_it: Vec<&Value> = events.iter().filter(|event| event["auditID"] == *answer.audit_id).collect();
            let [event] = of_it[..] else { panic!("{when}: {answer:?} is recorded as {of_it:?}") };
            let said = (&event["stage"], &event["verb"], &event["responseStatus"]["code"]);
            assert_eq!(said, (&json!("ResponseComplete"), &json!(answer.verb), &json!(answer.code)), "{when}: {event}");
            assert_eq!(event["objectRef"]["name"].as_str().unwrap_or_default(), answer.name, "{when}: {event}");
            *count.entry(answer.verb).or_default() += 1;
        }
        // Each version that came about in this round has one record, and the other way round.
        let done = events.iter().filter(|event| {
            is_done(event["verb"].as_str().unwrap(), event["responseStatus"]["code"].as_u64().unwrap())
        });
        let mut recorded = BTreeMap::<&str, usize>::new();
        for event in done.filter(|event| written_before.insert(event["auditID"].as_str().unwrap().to_owned())) {
            *recorded.entry(event["objectRef"]["name"].as_str().unwrap()).or_default() += 1;
        }
        for (name, states) in &might {
            let acknowledged = answered
                .iter()
                .filter(|answer| answer.name == *name && is_done(answer.verb, answer.code.into()))
                .count();
            // The one that was in flight, if it came to be.
            let unanswered = usize::from(states.len() > 1 && !ledger[name].contains(&states[0]));
            let records = recorded.remove(name.as_str()).unwrap_or_default();
            assert_eq!(records, acknowledged + unanswered, "{when}: {name} is {:?} of {states:?}", ledger[name]);
        }
        assert!(recorded.is_empty(), "{when}: {recorded:?}");
        let report = admin.get("/strongroom/v1/audit/verify").ok().json();
        assert_eq!((&report["intact"], &report["problems"]), (&json!(true), &json!([])), "{when}");
    }
    println!("{} kills, {count:?} answered, seed {seed}", kills());
    let total: usize = count.values().sum();
    let has_all = ["get", "patch", "delete"].iter().all(|verb| count.contains_key(verb));
    assert!(total as u64 > kills() && has_all, "the load was no load: {count:?}, seed {seed}");
}

/// Reads, is denied and writes until the server is killed: what the objects may be then, and what was answered.
fn ask_until_killed(round: &Round, app: &mut App, ledger: &mut Ledger) -> (Ledger, Vec<Answered>) {
    let answered = Mutex::new(Vec::new());
    let add = |verb, name: &str, response: &Response| {
        answered.lock().unwrap().push(Answered::of(verb, name, response));
    };
    let read = |client: Client, number: u64| {
        let (mut client, mut dice) = (client, round.dice(number));
        loop {
            let name = if dice.below(8) == 0 { String::new() } else { any_name(&mut dice) };
            let path = format!("{SECRETS}/{name}");
            let Ok(response) = client.send("GET", path.trim_end_matches('/'), &[], b"") else { return };
            assert!(matches!(response.status, 200 | 404), "{}", response.text());
            add(if name.is_empty() { "list" } else { "get" }, &name, &response);
        }
    };
    let be_denied = |client: Client| {
        let (mut wrong, mut nobody) = (client.with_token("sr_wrong"), client.without_token());
        let mut dice = round.dice(102);
        for number in 0..DENIALS {
            let (client, code) = if number % 2 == 0 { (&mut wrong, 401) } else { (&mut nobody, 403) };
            let name = any_name(&mut dice);
            let Ok(response) = client.send("DELETE", &format!("{SECRETS}/{name}"), &[], b"") else { return };
            assert_eq!(response.status, code, "{}", response.text());
            add("delete", &name, &response);
        }
    };
    let seen = |acknowledged: &Acknowledged<'_>| {
        let verb = match acknowledged.write.method {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            _ => "delete",
        };
        add(verb, acknowledged.name, acknowledged.response);
    };
    let others: [&Other<'_>; 3] = [&|client| read(client, 100), &|client| read(client, 101), &be_denied];
    let written = round.write_until_killed(app, ledger, &seen, &others);
    (written, answered.into_inner().unwrap())
}
