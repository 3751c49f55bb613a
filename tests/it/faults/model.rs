//! What is known of a store that is killed again and again, and what must therefore be true of it after each start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::audit::events;
use crate::support::app::App;
use crate::support::http::{Client, Response};
use crate::support::load::{self, Acknowledged, Ledger, Round, SECRETS};
use crate::support::watch::Watch;

const JSON: &str = "application/json";
/// Written and deleted after each start: where a watch is at that, it has told of everything before.
const MARKER: &str = "marker";

/// What is known of the Secrets of namespace `default`.
pub struct Model {
    ledger: Ledger,
    /// The objects as they were listed, and the revision of that list.
    items: BTreeMap<String, Value>,
    revision: u64,
    /// Narrows a query of the audit log to what came after the last one.
    since: String,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that were in flight when the server went.
    pub in_flight: u64,
}

/// A write that was acknowledged.
struct Written {
    name: String,
    revision: Option<u64>,
    audit_id: String,
}

/// What clients have seen in one run of a server.
pub struct Seen {
    /// What each object may be now.
    ledger: Ledger,
    writes: Vec<Written>,
    /// What a watch from the model's revision told of, until it broke off.
    live: Vec<Value>,
}

impl Model {
    /// Of a server that nobody has written to yet.
    pub fn new(app: &App) -> Self {
        let (items, revision) = list(&mut Client::admin(app));
        let (ledger, since) = (Ledger::new(), String::new());
        Self { ledger, items, revision, since, acknowledged: 0, in_flight: 0 }
    }

    /// Sixteen clients write and one watches until `end` has seen to it that the server is gone. `others` are given the
    /// administrator's client.
    pub fn run(
        &mut self,
        app: &mut App,
        round: &Round,
        others: &[&load::Other<'_>],
        end: impl FnOnce(&Round, &mut App),
    ) -> Seen {
        let (writes, live) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let seen = |write: &Acknowledged<'_>| {
            let (name, revision) = (write.name.to_owned(), write.revision());
            let audit_id = write.response.header("audit-id").unwrap().to_owned();
            writes.lock().unwrap().push(Written { name, revision, audit_id });
        };
        let path = self.watch_path();
        let watch = |client: Client| {
            let Ok(mut watch) = Watch::try_begin(&client, &path, JSON) else { return };
            while let Ok(Some(line)) = watch.try_line() {
                live.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        };
        let mut all: Vec<&load::Other<'_>> = vec![&watch];
        all.extend(others);
        let ledger = round.write_until(app, &mut self.ledger, &seen, &all, |app| end(round, app));
        Seen { ledger, writes: writes.into_inner().unwrap(), live: live.into_inner().unwrap() }
    }

    /// Holds a server that was started again to all of it. `is_whole` also has the whole audit log verified, which takes the
    /// longer the longer it is.
    pub fn check(&mut self, app: &App, seen: Seen, when: &str, is_whole: bool) {
        let Seen { ledger: mut might, writes, live } = seen;
        let mut client = Client::admin(app);
        let ready = client.get("/readyz");
        assert_eq!((ready.status, ready.text().as_str()), (200, "ok"), "{when}: {}", app.log());
        let before = might.clone();
        let ledger = load::check(app, &mut might, when);
        self.acknowledged += writes.len() as u64;
        self.in_flight += before.values().filter(|states| states.len() > 1).count() as u64;

        let events = self.events_until_marked(&mut client, when);
        if let Some(events) = &events {
            self.check_events(events, &writes, &before, when);
            assert!(events.starts_with(&live), "{when}: a watch in that run told of something else: {live:?}");
        }
        let (items, revision) = list(&mut client);
        if let Some(events) = events {
            let mut folded = std::mem::take(&mut self.items);
            for event in events {
                fold(&mut folded, event);
            }
            assert!(folded == items, "{when}: the events after {} do not make what is listed", self.revision);
        }
        assert!(revision > self.revision, "{when}: revision {revision} after {}", self.revision);
        (self.ledger, self.items, self.revision) = (ledger, items, revision);
        self.check_records(&mut client, &writes, when);
        if is_whole {
            let report = client.get("/strongroom/v1/audit/verify").ok().json();
            assert_eq!((&report["intact"], &report["problems"]), (&json!(true), &json!([])), "{when}");
        }
        assert!(!app.log().contains("panicked"), "{when}: {}", app.log());
    }

    fn watch_path(&self) -> String {
        format!("{SECRETS}?watch=true&resourceVersion={}", self.revision)
    }

    /// Every event after the model's revision; `None` where compaction has come further than that.
    fn events_until_marked(&self, client: &mut Client, when: &str) -> Option<Vec<Value>> {
        client.json("POST", SECRETS, &json!({"metadata": {"name": MARKER}})).ok();
        client.delete(&format!("{SECRETS}/{MARKER}")).ok();
        let mut watch = Watch::begin(client, &self.watch_path(), JSON);
        let mut events = Vec::new();
        loop {
            let event = watch.event().unwrap_or_else(|| panic!("{when}: the watch ended"));
            if event["type"] == "ERROR" {
                assert_eq!(event["object"]["code"], 410, "{when}: {event}");
                return None;
            }
            let is_end = event["type"] == "DELETED" && name_of(&event["object"]) == MARKER;
            events.push(event);
            if is_end {
                return Some(events);
            }
        }
    }

    /// Revisions ascend, each acknowledged write is told of once and under its name, and nothing else but what was in flight.
    fn check_events(&self, events: &[Value], writes: &[Written], before: &Ledger, when: &str) {
        let mut last = self.revision;
        let mut names: BTreeMap<u64, &str> = BTreeMap::new();
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for event in events {
            let (name, revision) = (name_of(&event["object"]), revision_of(&event["object"]));
            assert!(revision > last, "{when}: revision {revision} of {name} is told of after {last}");
            last = revision;
            names.insert(revision, name);
            *count.entry(name).or_default() += 1;
        }
        let mut told = BTreeSet::new();
        for write in writes {
            let Some(revision) = write.revision else { continue };
            assert!(told.insert(revision), "{when}: revision {revision} was given twice");
            let found = names.get(&revision).copied();
            assert_eq!(found, Some(write.name.as_str()), "{when}: what a watch tells of revision {revision}");
        }
        for (name, states) in before {
            let acknowledged = writes.iter().filter(|write| write.name == *name).count();
            let events = count.remove(name.as_str()).unwrap_or_default();
            let most = acknowledged + usize::from(states.len() > 1);
            assert!((acknowledged..=most).contains(&events), "{when}: {events} events of {name}: {acknowledged}");
        }
        assert_eq!(count.into_iter().collect::<Vec<_>>(), [(MARKER, 2)], "{when}: events of what nobody wrote");
    }

    /// Each acknowledged write has one record.
    fn check_records(&mut self, client: &mut Client, writes: &[Written], when: &str) {
        let events = events(client, &format!("resource=secrets{}", self.since));
        // The newest is of this check: what the next round does comes later.
        self.since = format!("&since={}", events[0]["stageTimestamp"].as_str().unwrap());
        let mut records: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &events {
            *records.entry(event["auditID"].as_str().unwrap()).or_default() += 1;
        }
        for write in writes {
            let found = records.get(write.audit_id.as_str());
            assert_eq!(found, Some(&1), "{when}: records of a write to {}", write.name);
        }
    }
}

/// What is listed, by name and without what a list leaves out of its items, and as of which revision.
pub fn list(client: &mut Client) -> (BTreeMap<String, Value>, u64) {
    let list = client.get(SECRETS).ok();
    assert!(list.header("warning").is_none(), "{}", list.head());
    (items(&list), revision_of(&list.json()))
}

/// The items of a list, by name and without what a list leaves out of them.
pub fn items(list: &Response) -> BTreeMap<String, Value> {
    let list = list.json();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| (name_of(item).to_owned(), bare(item.clone()))).collect()
}

/// An object without kind and version, which a list says once.
pub fn bare(mut object: Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.remove("kind");
    fields.remove("apiVersion");
    object
}

fn fold(items: &mut BTreeMap<String, Value>, mut event: Value) {
    let object = bare(event["object"].take());
    let name = name_of(&object).to_owned();
    match (event["type"].as_str().unwrap(), items.contains_key(&name)) {
        ("ADDED", false) | ("MODIFIED", true) => drop(items.insert(name, object)),
        ("DELETED", true) => drop(items.remove(&name)),
        (what, is_there) => panic!("{what} of {name}, which is there: {is_there}"),
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The revision of an object or a list.
pub fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}
