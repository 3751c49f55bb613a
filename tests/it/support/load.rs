//! Writes to Secrets until kill -9 cuts them off, and what is known of every object afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::app::App;
use super::dice::Dice;
use super::http::{Client, Response};

/// Where the objects are.
pub const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const WRITERS: u64 = 16;
const NAMES_OF_A_WRITER: u64 = 12;
/// The longest that a round writes before the kill.
const ROUND_MILLIS: u64 = 500;
/// One round in so many kills a server that is still starting, too.
const KILLED_AT_START: u64 = 5;

/// What an object is known to be: a value and, once the server told it, a revision. `None`: not there.
pub type Known = Option<Version>;

/// One version of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    value: String,
    revision: Option<String>,
}

/// What each object may be: one state; two once a write was not acknowledged.
pub type Ledger = BTreeMap<String, Vec<Known>>;

/// A write that was acknowledged.
pub struct Acknowledged<'a> {
    /// Of the object.
    pub name: &'a str,
    /// What was asked for.
    pub write: &'a Write,
    /// The answer.
    pub response: &'a Response,
}

impl Acknowledged<'_> {
    /// The revision that the answer tells; that of a deletion is told to nobody.
    pub fn revision(&self) -> Option<u64> {
        let answer = self.write.leaves_value.then(|| self.response.json())?;
        Some(answer["metadata"]["resourceVersion"].as_str()?.parse().unwrap())
    }
}

/// What other clients do meanwhile, until the server is gone.
pub type Other<'a> = dyn Fn(Client) + Sync + 'a;

/// How often a server is killed.
pub fn kills() -> u64 {
    std::env::var("STRONGROOM_TEST_KILLS").map_or(30, |text| text.parse().unwrap())
}

/// The name of some object that is, was or will be there.
pub fn any_name(dice: &mut Dice) -> String {
    format!("w{}-{}", dice.below(WRITERS), dice.below(NAMES_OF_A_WRITER))
}

/// Load up to a kill at a random moment.
pub struct Round {
    number: u64,
    seed: u64,
    millis: u64,
    /// The highest revision that anybody was told of: who begins to write then gets a higher one.
    told: AtomicU64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, round {}", self.seed, self.number)
    }
}

impl Round {
    /// The next round of a run.
    pub fn new(number: u64, seed: u64, dice: &mut Dice) -> Self {
        Self { number, seed, millis: dice.below(ROUND_MILLIS), told: AtomicU64::new(0) }
    }

    /// The choices of one of its clients.
    pub fn dice(&self, client: u64) -> Dice {
        Dice::new(self.seed ^ (self.number << 8) ^ client)
    }

    /// Lets every writer write to names of its own, kills the server, and returns what is known then. `others` are
    /// given the administrator's client.
    pub fn write_until_killed(
        &self,
        app: &mut App,
        ledger: &mut Ledger,
        seen: &(dyn Fn(&Acknowledged<'_>) + Sync),
        others: &[&Other<'_>],
    ) -> Ledger {
        self.write_until(app, ledger, seen, others, |app| self.kill_at_random(app))
    }

    /// Kills a server after the time that this round takes.
    pub fn kill_at_random(&self, app: &mut App) {
        // This is the random moment, not a wait for something.
        std::thread::sleep(Duration::from_millis(self.millis));
        app.begin_kill();
    }

    /// The same until `end` has seen to it that the server is gone.
    pub fn write_until(
        &self,
        app: &mut App,
        ledger: &mut Ledger,
        seen: &(dyn Fn(&Acknowledged<'_>) + Sync),
        others: &[&Other<'_>],
        end: impl FnOnce(&mut App),
    ) -> Ledger {
        let client = Client::admin(app);
        let parts: Vec<Ledger> = (0..WRITERS)
            .map(|writer| {
                (0..NAMES_OF_A_WRITER)
                    .map(|number| format!("w{writer}-{number}"))
                    .map(|name| (name.clone(), ledger.remove(&name).unwrap_or_else(|| vec![None])))
                    .collect()
            })
            .collect();
        assert!(ledger.is_empty(), "every object has a writer: {ledger:?}");
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..)
                .zip(parts)
                .map(|(writer, mut part)| {
                    let mut client = client.another();
                    scope.spawn(move || {
                        let tag = format!("{}-{writer}", self.number);
                        self.write_until_an_error(&mut client, &mut part, self.dice(writer), &tag, seen);
                        part
                    })
                })
                .collect();
            for other in others {
                let client = client.another();
                scope.spawn(move || other(client));
            }
            end(app);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        })
    }

    fn write_until_an_error(
        &self,
        client: &mut Client,
        part: &mut Ledger,
        mut dice: Dice,
        tag: &str,
        seen: &(dyn Fn(&Acknowledged<'_>) + Sync),
    ) {
        for count in 0.. {
            let index = usize::try_from(dice.below(part.len() as u64)).unwrap();
            let (name, states) = part.iter_mut().nth(index).unwrap();
            let value = format!("{tag}-{count}");
            let write = Write::choose(&mut dice, name, states[0].as_ref(), &value);
            let told = self.told.load(Ordering::SeqCst);
            let headers = [("Content-Type", write.content_type)];
            let Ok(response) = client.send(write.method, &write.path, &headers, write.body.to_string().as_bytes())
            else {
                // The server is gone. This write may have reached the disk, or not.
                states.push(write.leaves_value.then_some(Version { value, revision: None }));
                return;
            };
            let response = response.ok();
            let after = write.leaves_value.then(|| {
                let revision = response.json()["metadata"]["resourceVersion"].as_str().map(str::to_owned);
                assert!(revision.is_some(), "an acknowledged write says its revision");
                Version { value, revision }
            });
            *states = vec![after];
            let acknowledged = Acknowledged { name, write: &write, response: &response };
            if let Some(revision) = acknowledged.revision() {
                assert!(revision > told, "{self}: {name} got {revision} after {told} had been told");
                self.told.fetch_max(revision, Ordering::SeqCst);
            }
            seen(&acknowledged);
        }
    }
}

/// Starts again what was killed; now and then one that is still starting is killed before.
pub fn start_after_kill(app: App, round: u64, dice: &mut Dice) -> App {
    let mut home = app.kill();
    if round % KILLED_AT_START == KILLED_AT_START - 1 {
        home = App::start_and_kill(home, Duration::from_millis(dice.below(ROUND_MILLIS)));
    }
    App::start_in(home, &[])
}

/// A request that changes an object.
pub struct Write {
    /// Its method.
    pub method: &'static str,
    path: String,
    content_type: &'static str,
    body: Value,
    /// Whether the object is there afterwards.
    leaves_value: bool,
}

impl Write {
    fn choose(dice: &mut Dice, name: &str, before: Option<&Version>, value: &str) -> Self {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": {"value": value}},
            "data": {"value": STANDARD.encode(value)},
        });
        let named = format!("{SECRETS}/{name}");
        let put = |method, path, content_type, body| Self { method, path, content_type, body, leaves_value: true };
        let Some(before) = before else {
            return put("POST", SECRETS.to_owned(), "application/json", object);
        };
        match dice.below(5) {
            0 => Self {
                method: "DELETE",
                path: named,
                content_type: "application/json",
                body: json!({}),
                leaves_value: false,
            },
            1 => put("PATCH", named, "application/merge-patch+json", object),
            2 => put("PATCH", named, "application/strategic-merge-patch+json", object),
            3 => {
                let path = format!("{named}?fieldManager=crash&force=true");
                put("PATCH", path, "application/apply-patch+yaml", object)
            }
            _ => {
                let mut object = object;
                object["metadata"]["resourceVersion"] = before.revision.as_deref().into();
                put("PUT", named, "application/json", object)
            }
        }
    }
}

/// Compares what the server has with what it may have, and returns what it has.
pub fn check(app: &App, written: &mut Ledger, when: &str) -> Ledger {
    let mut client = Client::admin(app);
    let list = client.send("GET", SECRETS, &[], b"");
    let list = list.unwrap_or_else(|error| panic!("{when}: {error}: {}", app.log())).ok().json();
    let listed: BTreeMap<String, Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), item.clone()))
        .collect();
    for name in listed.keys() {
        assert!(written.contains_key(name), "{when}: {name} was never written");
    }
    std::mem::take(written)
        .into_iter()
        .map(|(name, states)| {
            let found = listed.get(&name).map(|item| version(item, &name, when));
            let is_allowed = states.iter().any(|state| match (state, &found) {
                (None, None) => true,
                (Some(known), Some(found)) => {
                    known.value == found.value && (known.revision.is_none() || known.revision == found.revision)
                }
                _ => false,
            });
            assert!(is_allowed, "{when}: {name} is {found:?} and may be {states:?}");
            let read = client.get(&format!("{SECRETS}/{name}"));
            match &found {
                Some(found) => assert_eq!(version(&read.ok().json(), &name, when), *found, "{when}: {name}"),
                None => assert_eq!(read.status, 404, "{when}: {name}"),
            }
            (name, vec![found])
        })
        .collect()
}

/// The version that an object shows. Its two parts, sealed apart from each other, must be of the same write.
fn version(object: &Value, name: &str, when: &str) -> Version {
    let label = object["metadata"]["labels"]["value"].as_str().unwrap();
    let value = object["data"]["value"].as_str().unwrap();
    assert_eq!(STANDARD.encode(label), value, "{when}: metadata and data of {name} are of different writes");
    let revision = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    Version { value: label.to_owned(), revision }
}
