//! `strongroom audit verify` against homes that were left alone and homes that were not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{Ended, Place, mode};
use crate::support::app::App;
use crate::support::http::Client;

const INTACT: &str = "everything that was looked at is as it was written\n";

fn first_file(place: &Place) -> PathBuf {
    place.home().join("audit/audit-0000000001.jsonl")
}

fn with_public_key(place: &Place) -> Ended {
    let mut command = place.command(&["audit", "verify", "--directory", "home/audit", "--public-key"]);
    command.arg(place.home().join("audit/signing-key.pub"));
    Ended::of(command)
}

/// It found something; what it printed of that.
fn findings(ended: &Ended) -> Vec<String> {
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(ended.stderr.contains("the audit log is not as it was written: "), "{}", ended.stderr);
    ended.stdout.lines().filter_map(|line| line.strip_prefix("WRONG: ")).map(str::to_owned).collect()
}

fn sql(database: &Path, text: &str) {
    assert!(rusqlite::Connection::open(database).unwrap().execute(text, []).unwrap() > 0);
}

#[test]
fn a_home_that_was_left_alone_is_intact_after_a_stop_and_after_a_kill() {
    let place = Place::new();
    place.start(&[]).stop();
    let printed = place.run(&["audit", "verify"]).done();
    assert!(printed.starts_with("audit log: 1 files, "), "{printed}");
    assert!(
        printed.contains(", 0 lines behind the last checkpoint\nrecords of mutations: ") && printed.contains(INTACT)
    );
    let key = fs::read_to_string(place.home().join("audit/signing-key.pub")).unwrap();
    assert!(printed.ends_with(&key) && key.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!((mode(&place.home().join("audit")), mode(&first_file(&place))), (0o700, 0o600));

    let server = place.start(&[]);
    assert!(with_public_key(&place).done().contains(INTACT), "signatures can be checked while it runs");
    let refused = place.run(&["audit", "verify"]).not_done();
    assert!(refused.contains(&server.pid().to_string()), "{refused}");
    server.kill();
    assert!(place.run(&["audit", "verify"]).done().contains(INTACT));
    place.start(&[]).stop();
    assert!(place.run(&["audit", "verify"]).done().contains(INTACT));
}

#[test]
fn a_log_that_was_changed_while_the_server_was_down_is_found_with_file_and_line() {
    let place = Place::new();
    place.start(&[]).stop();
    let text = fs::read_to_string(first_file(&place)).unwrap();
    fs::write(first_file(&place), text.replacen("\"number\":1", "\"number\":2", 1)).unwrap();
    let found = findings(&place.run(&["audit", "verify"]));
    assert!(found[0].starts_with("audit-0000000001.jsonl, line 1: "), "{found:?}");
    assert!(!findings(&with_public_key(&place)).is_empty());

    // What is changed behind the last checkpoint, or in it, a start finds too; it goes on in another file.
    let edited = text.replacen("\"lines\":", "\"lines\":7", 1);
    fs::write(first_file(&place), &edited).unwrap();
    let found = findings(&place.run(&["audit", "verify"]));
    let server = place.start(&[]);
    assert!(server.stderr().contains("the audit log is not as it was written"), "{}", server.stderr());
    server.stop();
    assert_eq!(fs::read_to_string(first_file(&place)).unwrap(), edited);
    assert!(place.home().join("audit/audit-0000000002.jsonl").exists());
    assert_eq!(findings(&place.run(&["audit", "verify"])), found);
}

#[test]
fn a_log_that_was_cut_short_or_removed_is_found_by_what_the_store_remembers() {
    let place = Place::new();
    place.start(&[]).stop();
    let text = fs::read_to_string(first_file(&place)).unwrap();
    let (all_but_last, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(first_file(&place), format!("{all_but_last}\n")).unwrap();
    let found = findings(&place.run(&["audit", "verify"]));
    assert!(found.len() == 1 && found[0].contains("lines are missing"), "{found:?}");
    fs::remove_dir_all(place.home().join("audit")).unwrap();
    let found = findings(&place.run(&["audit", "verify"]));
    assert!(found.len() == 2 && found[0].contains("lines are missing"), "{found:?}");
    assert!(found[1].contains("copies of the records of mutations up to 0, but had them up to "), "{found:?}");
}

#[test]
fn a_record_of_a_mutation_that_was_removed_or_changed_is_found() {
    for (deed, expected) in [
        ("DELETE FROM audit WHERE sequence = 2", "records of mutations between 1 and 3 are missing"),
        ("DELETE FROM audit WHERE sequence = (SELECT MAX(sequence) FROM audit)", "and not as the sealed head says"),
        ("UPDATE audit SET record = (SELECT record FROM audit WHERE sequence = 1) WHERE sequence = 2", "mutation 2"),
    ] {
        let place = Place::new();
        // Not stopped, for then they would be in the log alone.
        place.start(&[]).kill();
        sql(&place.home().join("strongroom.db"), deed);
        let found = findings(&place.run(&["audit", "verify"]));
        assert!(found.iter().any(|finding| finding.contains(expected)), "{deed}: {found:?}");
    }
}

#[test]
fn a_key_or_a_directory_that_is_none_is_told_from_a_log_that_was_changed() {
    let place = Place::new();
    let key = place.secret_file("key", b"no key");

    let mut command = place.command(&["audit", "verify", "--directory", "nowhere", "--public-key"]);
    command.arg(&key);
    assert!(Ended::of(command).not_done().contains("holds no Ed25519 public key"));
    place.start(&[]).stop();
    let mut command = place.command(&["audit", "verify", "--directory", "nowhere", "--public-key"]);
    command.arg(place.home().join("audit/signing-key.pub"));
    assert!(Ended::of(command).not_done().contains("holds no file of a log"));
}

/// Verbs and objects of the copies of records of mutations, in the order of the log; each has the next number.
fn copies(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(first_file(place)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_copy = |event: &Value| event["annotations"]["strongroom.dev/mutation"].is_string();
    let copies: Vec<Value> = lines.filter(is_copy).collect();
    for (number, copy) in (1..).zip(&copies) {
        assert_eq!(copy["annotations"]["strongroom.dev/mutation"], number.to_string());
    }
    copies.iter().map(|copy| format!("{} {}", copy["verb"], copy["requestURI"]).replace('"', "")).collect()
}

fn kept_records(place: &Place) -> i64 {
    let database = rusqlite::Connection::open(place.home().join("strongroom.db")).unwrap();
    database.query_row("SELECT COUNT(*) FROM audit", [], |row| row.get(0)).unwrap()
}

#[test]
fn records_of_changes_are_copied_once_and_leave_the_database_at_a_clean_stop() {
    let place = Place::new();
    place.start(&[]).kill();
    let before = copies(&place);
    assert!(place.run(&["audit", "verify"]).done().contains(INTACT));

    // What a kill left uncopied is copied by the next run, and nothing twice.
    place.start(&[]).stop();
    let after = copies(&place);
    assert!(after.starts_with(&before) && after.len() > 1 && kept_records(&place) == 0, "{after:?}");
    place.run(&["admin", "rotate"]).done();
    assert_eq!((copies(&place).len(), kept_records(&place)), (after.len() + 1, 0));
    let printed = place.run(&["audit", "verify"]).done();
    let count =
        format!("records of mutations: 0 in the database, copied into the log up to number {}\n", after.len() + 1);
    assert!(printed.contains(&count) && printed.contains(INTACT), "{printed}");
}

#[test]
fn what_the_server_did_for_itself_has_the_time_at_which_it_did_it_and_an_id_of_its_own() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--client-certificates"]);
    let list = Client::admin(&app).get("/strongroom/v1/audit?limit=10000").ok().json();
    let events = list["items"].as_array().unwrap();
    let own =
        events.iter().filter(|event| event["user"]["username"].as_str().unwrap().starts_with("system:strongroom:"));
    assert!(own.count() > 20, "what every home has was recorded: {list}");
    let mut ids = BTreeSet::new();
    for event in events {
        for time in ["requestReceivedTimestamp", "stageTimestamp"] {
            assert!(event[time].as_str().unwrap() > "2020", "{event}");
        }
        let id = event["auditID"].as_str().unwrap();
        assert!(!id.is_empty() && ids.insert((id, event["stage"].as_str().unwrap())), "{event}");
        if let Some(cause) = event["annotations"]["strongroom.dev/consequence-of"].as_str() {
            assert!(events.iter().any(|event| event["auditID"] == cause), "{event}");
        }
    }
}
