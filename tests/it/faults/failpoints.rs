//! The process ends at each of the places that `failpoint::reached` marks, under sixteen writers: afterwards the same holds as
//! after any other crash.
//!
//! `STRONGROOM_TEST_FAILPOINTS` is how often each point is tried (2). What becomes of the keys themselves there is for
//! `keys::crash`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::model::Model;
use crate::support::actors::secrets;
use crate::support::app::{App, Refused};
use crate::support::clients::eventually;
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::load::{Other, Round};

const LIMIT: Duration = Duration::from_mins(1);

/// Points at which every write passes by.
const COMMITS: [&str; 4] = ["commit.before-seal", "commit.after-seal", "commit.before-commit", "commit.after-commit"];
/// Points on the way of a new data key. Rows are sealed anew, and the write-ahead log is emptied.
const ROTATIONS: [&str; 6] = [
    "keys.before-commit",
    "keys.after-commit",
    "checkpoint.before",
    "checkpoint.after",
    "reseal.before-commit",
    "reseal.after-commit",
];
/// Points at which old versions are removed.
const COMPACTIONS: [&str; 2] = ["compact.before-commit", "compact.after-commit"];
/// Points of a first start.
const CREATIONS: [&str; 3] = ["create.after-migration", "create.before-rename", "create.after-rename"];
/// Points of a start that brings the schema up to date: `verify::migrations`.
pub const MIGRATIONS: [&str; 2] = ["migrate.before-commit", "migrate.after-commit"];
/// Points at which a backup has no file yet.
const COPIES: [&str; 2] = ["backup.after-copy", "backup.after-slots"];
/// Points at which its file is written: `backup::crash`.
pub const BACKUPS: [&str; 4] = [COPIES[0], COPIES[1], "backup.before-name", "backup.after-name"];
/// Points of a restore, and how often it comes by: `backup::crash`.
pub const RESTORES: [(&str, u64); 4] = [
    ("restore.before-decision", 1),
    ("restore.after-decision", 1),
    // Log, shared memory, database, audit log.
    ("restore.moved-aside", 4),
    ("restore.in-place", 1),
];

/// How often each point is tried.
pub fn rounds() -> u64 {
    std::env::var("STRONGROOM_TEST_FAILPOINTS").map_or(2, |text| text.parse().unwrap())
}

#[test]
fn every_failpoint_in_the_source_is_tried() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.extend(
                    text.split("failpoint::reached(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
                );
            }
        }
    }
    let lists: [&[&str]; 6] = [&COMMITS, &ROTATIONS, &COMPACTIONS, &CREATIONS, &MIGRATIONS, &BACKUPS];
    let names = lists.into_iter().flatten().copied().chain(RESTORES.map(|(name, _)| name));
    let tried: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(found, tried, "a place at which a crash is tried has its name in one of the lists here");
}

/// Rounds of a server that ends itself at a point.
struct Rounds {
    seed: u64,
    dice: Dice,
    number: u64,
}

impl Rounds {
    fn new() -> Self {
        let seed = Dice::seed();
        Self { seed, dice: Dice::new(seed), number: 0 }
    }

    /// Starts the home so that it ends at the point, the `nth` time it is there, lets everybody write meanwhile, and holds it to
    /// the model when it is started again.
    fn try_at(&mut self, app: App, model: &mut Model, name: &str, nth: u64, others: &[&Other<'_>]) -> App {
        let failpoint = format!("{name}:{nth}");
        self.number += 1;
        let round = Round::new(self.number, self.seed, &mut self.dice);
        let mut app = App::start_to_fail(app.kill(), &failpoint);
        let seen = model.run(&mut app, &round, others, |_, app| {
            let is_gone = eventually(LIMIT, || (!app.is_running()).then_some(()));
            // Otherwise those who write would do so without end.
            app.begin_kill();
            assert!(is_gone.is_some(), "{failpoint} is never reached: {}", app.log());
        });
        let app = App::start_in(app.kill(), &[]);
        model.check(&app, seen, &format!("{failpoint}, {round}"), true);
        app
    }
}

#[test]
fn a_commit_that_is_cut_off_is_made_or_not() {
    let mut rounds_made = Rounds::new();
    let mut app = App::start();
    let mut model = Model::new(&app);
    for _ in 0..rounds() {
        for name in COMMITS {
            // The start itself writes: it must get beyond that.
            let nth = 20 + rounds_made.dice.below(100);
            app = rounds_made.try_at(app, &mut model, name, nth, &[]);
        }
    }
    assert!(model.acknowledged > rounds(), "the load was no load, seed {}", rounds_made.seed);
}

#[test]
fn a_new_data_key_that_is_cut_off_loses_nothing() {
    let mut rounds_made = Rounds::new();
    let mut app = App::start();
    let mut model = Model::new(&app);
    let rotate = |mut client: Client| {
        // The answer may be lost with the server.
        let _ = client.send("POST", "/strongroom/v1/keys/rotate-data", &[], b"");
    };
    for _ in 0..rounds() {
        for name in ROTATIONS {
            app = rounds_made.try_at(app, &mut model, name, 1, &[&rotate]);
            // What was begun comes to its end: else the next start would be at that point at once.
            let mut client = Client::admin(&app);
            let mut terms = || client.get("/strongroom/v1/keys").ok().json()["terms"].as_array().unwrap().len();
            assert!(eventually(LIMIT, || (terms() == 1).then_some(())).is_some(), "{name}: {}", app.log());
        }
    }
}

#[test]
fn a_backup_that_is_cut_off_loses_nothing_and_leaves_no_copy() {
    let mut rounds_made = Rounds::new();
    let mut app = App::start();
    let mut model = Model::new(&app);
    let make = |mut client: Client| {
        let _ = client.send("POST", "/strongroom/v1/backups", &[], b"");
    };
    for _ in 0..rounds() {
        for name in COPIES {
            app = rounds_made.try_at(app, &mut model, name, 1, &[&make]);
            let left: Vec<_> = fs::read_dir(app.home().join(".backup-work")).unwrap().collect();
            assert!(left.is_empty(), "{name}: {left:?}");
        }
    }
}

#[test]
fn a_compaction_that_is_cut_off_loses_nothing() {
    let mut rounds_made = Rounds::new();
    let mut app = App::start();
    let mut model = Model::new(&app);
    let other = "/api/v1/namespaces/other";
    Client::admin(&app).json("POST", "/api/v1/namespaces", &json!({"metadata": {"name": "other"}})).ok();
    for _ in 0..rounds() {
        for name in COMPACTIONS {
            let mut client = Client::admin(&app);
            // Two versions of a Secret, and between them many of what no former version is kept of.
            client.json("POST", &secrets("other"), &json!({"metadata": {"name": "s"}, "stringData": {"k": "1"}})).ok();
            for number in 0..20 {
                label(&mut client, other, &json!({ "number": number.to_string() }));
            }
            let path = format!("{}/s", secrets("other"));
            client.json("PUT", &path, &json!({"metadata": {"name": "s"}, "stringData": {"k": "2"}})).ok();
            // A former version that is destroyed takes the line up to what came after it.
            let destroy = |mut client: Client| {
                let revisions = "/apis/strongroom.dev/v1alpha1/namespaces/other/secretrevisions";
                let Ok(listed) = client.send("GET", revisions, &[], b"") else { return };
                let listed = listed.json();
                let items = listed["items"].as_array().unwrap();
                let first = items.iter().find(|item| item["spec"]["revision"] == 1).unwrap();
                let path = format!("{revisions}/{}", first["metadata"]["name"].as_str().unwrap());
                let _ = client.send("DELETE", &path, &[], b"");
            };
            app = rounds_made.try_at(app, &mut model, name, 1, &[&destroy]);
            let mut client = Client::admin(&app);
            let kept = client.get(&path).ok().json();
            assert_eq!(kept["data"], json!({"k": "Mg=="}), "{name}");
            assert_eq!(client.get(other).ok().json()["metadata"]["labels"]["number"], "19", "{name}");
            client.delete(&path).ok();
        }
    }
}

fn label(client: &mut Client, path: &str, labels: &Value) {
    let patch = json!({"metadata": {"labels": labels}}).to_string();
    client.typed("PATCH", path, "application/merge-patch+json", patch.as_bytes()).ok();
}

#[test]
fn a_first_start_that_is_cut_off_is_begun_anew() {
    for _ in 0..rounds() {
        for name in CREATIONS {
            let begun = App::try_start(tempfile::tempdir().unwrap(), &[], &[("STRONGROOM_FAILPOINT", name)]);
            let Err(Refused { code, home, .. }) = begun else { panic!("{name} is not reached") };
            assert_eq!(code, None, "{name}: a signal ended it");
            let app = App::start_in(home, &[]);
            let mut client = Client::admin(&app);
            assert_eq!(client.get("/readyz").ok().text(), "ok", "{name}");
            client.json("POST", &secrets("default"), &json!({"metadata": {"name": "a"}})).ok();
        }
    }
}
