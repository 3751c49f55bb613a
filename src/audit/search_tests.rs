//! Searches against brute force, and following against what was written meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::copies;
use super::super::event::{Decision, Event, MUTATION, RequestFacts, mutation};
use super::super::{AuditLog, OpenOptions, Settings};
use super::*;
use crate::clock::{ManualClock, SharedClock};
use crate::crypto::Keyring;
use crate::model::kinds;
use crate::model::user::User;
use crate::rbac::Attributes;

const BEGUN: i64 = 1_790_000_000_000;

/// Records of mutations; `None` was removed.
#[derive(Default)]
struct Changes(Vec<Option<Vec<u8>>>);

impl Changes {
    fn records(&self) -> Vec<(u64, SecretBytes)> {
        let numbered = (1..).zip(&self.0);
        numbered.filter_map(|(number, text)| Some((number, SecretBytes::new(text.clone()?)))).collect()
    }
}

impl Mutations for Changes {
    fn end(&self) -> u64 {
        self.0.len() as u64
    }

    fn before(&self, before: u64, limit: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
        Ok(self.records().into_iter().rev().filter(|(number, _)| *number < before).take(limit).collect())
    }
}

struct Home {
    folder: TempDir,
    log: AuditLog,
    changes: Changes,
    written: Vec<FoundEvent>,
}

impl Home {
    fn new(max_file_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::open(OpenOptions {
            directory: folder.path().join("audit"),
            keyring: Arc::new(Keyring::make(0).unwrap()),
            clock: Arc::new(ManualClock::new(BEGUN)) as SharedClock,
            settings: Settings { max_file_bytes, ..Settings::default() },
            kept: None,
            begins_behind: 0,
            mutations_end: Box::new(|| None),
        });
        Self { log: log.unwrap(), folder, changes: Changes::default(), written: Vec::new() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    /// Writes an event made out of `seed`, `at` milliseconds after the beginning.
    fn write(&mut self, chain: Chain, seed: u32, at: i64) {
        let user = User::new(&format!("u{}", seed % 3), "", []);
        let verb = ["get", "list", "delete"][seed as usize / 3 % 3];
        let attributes = Attributes::object(verb, &kinds::SECRET, ["a", "b"][seed as usize / 9 % 2], "n");
        let facts = RequestFacts { received_unix_millis: BEGUN + at, ..RequestFacts::default() };
        let (decision, code) = if seed.is_multiple_of(5) { (Decision::Forbid, 403) } else { (Decision::Allow, 200) };
        let json = match chain {
            Chain::Log => Event { decision: Some(decision), ..Event::new(&facts, &user, &attributes, code) }.to_json(),
            Chain::Mutations => mutation(&facts, &user, &attributes, "n", "", code),
        };
        let sequence = self.written.iter().filter(|event| event.chain == chain).count() as u64 + 1;
        if chain == Chain::Log {
            self.log.append(&json).unwrap();
        } else {
            self.changes.0.push(Some(json.clone()));
        }
        self.written.push(FoundEvent { chain, sequence, unix_micros: (BEGUN + at) * 1000, json });
    }

    /// Copies the records that are not copied yet, and removes as many of those that are as asked for.
    fn copy(&mut self, removed: usize) {
        self.log.append_copies(self.changes.records()).unwrap();
        self.changes.0.iter_mut().take(removed).for_each(|record| *record = None);
    }

    fn search(&self, query: &str) -> Page {
        search(&self.log, &self.changes, &parsed(query)).unwrap()
    }

    /// The same by looking at everything.
    fn brute_force(&self, query: &str) -> Vec<Vec<u8>> {
        let query = parsed(query);
        let mut found: Vec<&FoundEvent> =
            self.written.iter().filter(|event| query.matches(&EventView::read(&event.json).unwrap())).collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.unix_micros));
        found.into_iter().take(query.limit).map(|event| event.json.clone()).collect()
    }
}

fn parsed(query: &str) -> AuditQuery {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap());
    AuditQuery::parse(pairs, BEGUN + 3_600_000).unwrap()
}

/// The events, copies as the records that they are of.
fn jsons(events: &[FoundEvent]) -> Vec<Vec<u8>> {
    let json = |event: &FoundEvent| match copies::number(&event.json) {
        Some(number) => without_annotation(&event.json, number),
        None => event.json.clone(),
    };
    events.iter().map(json).collect()
}

fn without_annotation(copy: &[u8], number: u64) -> Vec<u8> {
    let text = String::from_utf8(copy.to_vec()).unwrap();
    text.replace(&format!(",\"{MUTATION}\":\"{number}\""), "").into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_search_finds_what_looking_at_everything_finds(
        events in prop::collection::vec((any::<bool>(), any::<u32>(), 1_i64..60_000), 0..120),
        max_file_bytes in 1_000_u64..40_000,
        limit in 1_usize..50,
    ) {
        let mut home = Home::new(max_file_bytes);
        let mut at = 0;
        for (is_change, seed, step) in events {
            at += step;
            if !is_change || seed.is_multiple_of(3) {
                // Before a later line, so that the log is in the order of the times.
                home.copy(seed as usize % 50);
            }
            home.write(if is_change { Chain::Mutations } else { Chain::Log }, seed, at);
        }
        for query in [
            "", "user=u1", "verb=delete", "namespace=a&decision=forbid", "code=4xx", "code=200&user=u2", "since=59m",
            "until=40m", "since=59m&until=20m&verb=get", "name=n&resource=secrets", "name=m",
        ] {
            let query = format!("{query}&limit={limit}");
            let page = home.search(&query);
            prop_assert!(page.is_complete && page.unreadable == 0);
            prop_assert_eq!(jsons(&page.events), home.brute_force(&query), "{}", query);
        }
    }

    #[test]
    fn following_shows_everything_that_comes_once_and_in_the_order_of_its_chain(
        rounds in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..30), 1..8),
        max_file_bytes in 1_000_u64..10_000,
        most in 1_usize..20,
    ) {
        let mut home = Home::new(max_file_bytes);
        (0..10).for_each(|at| home.write(Chain::Log, 1, at));
        let (before, mut follower) = search_and_follow(&home.log, &parsed("")).unwrap();
        prop_assert_eq!(before.events.len(), 10);
        let (mut at, mut followed) = (100, Vec::new());
        for round in rounds {
            for is_change in round {
                at += 1;
                home.write(if is_change { Chain::Mutations } else { Chain::Log }, 1, at);
            }
            home.copy(usize::MAX);
            loop {
                let (events, has_more) = follower.poll(&parsed(""), most).unwrap();
                followed.extend(events);
                if !has_more {
                    break;
                }
            }
        }
        for chain in [Chain::Log, Chain::Mutations] {
            let is_of_chain = |event: &FoundEvent| {
                let is_copy = copies::number(&event.json).is_some();
                chain == if is_copy { Chain::Mutations } else { event.chain }
            };
            let of = |events: &[FoundEvent]| {
                jsons(&events.iter().filter(|event| is_of_chain(event)).cloned().collect::<Vec<_>>())
            };
            prop_assert_eq!(of(&followed), of(&home.written[10..]));
        }
    }
}

#[test]
fn what_came_after_following_began_is_left_to_following() {
    let mut home = Home::new(1_500);
    (0..5).for_each(|at| home.write(Chain::Log, 1, at));
    home.write(Chain::Mutations, 1, 6);
    home.copy(0);
    home.write(Chain::Mutations, 1, 7);
    let (page, mut follower) = search_and_follow(&home.log, &parsed("")).unwrap();
    (8..20).for_each(|at| home.write(Chain::Log, 1, at));
    home.write(Chain::Mutations, 1, 30);
    home.copy(0);
    let (later, _) = follower.poll(&parsed(""), 100).unwrap();
    assert_eq!((page.events.len(), later.len()), (6, 14), "the one that was not copied yet is later");
}

#[test]
fn a_search_begins_again_where_records_are_removed_meanwhile() {
    /// Are copied and removed when they are read.
    struct Moving<'h>(&'h AuditLog, AtomicBool);
    impl Mutations for Moving<'_> {
        fn end(&self) -> u64 {
            2
        }

        fn before(&self, _: u64, _: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
            let record = SecretBytes::new(br#"{"annotations":{}}"#.to_vec());
            if self.1.swap(true, Ordering::Relaxed) {
                return Ok(Vec::new());
            }
            let kind = |number| (number, SecretBytes::new(br#"{"kind":"Event","annotations":{}}"#.to_vec()));
            self.0.append_copies(vec![kind(1), kind(2)]).unwrap();
            Ok(vec![(1, record)])
        }
    }
    let home = Home::new(1 << 20);
    let page = search(&home.log, &Moving(&home.log, AtomicBool::new(false)), &parsed("")).unwrap();
    assert_eq!(page.events.iter().map(|event| copies::number(&event.json)).collect::<Vec<_>>(), [Some(2), Some(1)]);
    let gone = search(&Home::new(1 << 20).log, &Moving(&home.log, AtomicBool::new(true)), &parsed(""));
    assert!(matches!(gone, Err(SearchError::Moved)));
}

#[test]
fn half_a_line_is_not_shown_before_it_is_whole() {
    let mut home = Home::new(1 << 20);
    home.write(Chain::Log, 1, 1);
    let path = LogFile::numbered(&home.directory(), 1).path;
    let (_, mut follower) = search_and_follow(&home.log, &parsed("")).unwrap();
    home.write(Chain::Log, 2, 2);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert!(follower.poll(&parsed(""), 100).unwrap().0.is_empty());
    assert_eq!(home.search("").events.len(), 1);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(follower.poll(&parsed(""), 100).unwrap().0.len(), 1);
}

#[test]
fn a_search_for_the_newest_reads_the_newest_file_only() {
    let mut home = Home::new(1_500);
    (0..40).for_each(|at| home.write(Chain::Log, 1, at));
    for file in list(&home.directory()).unwrap().into_iter().rev().skip(2) {
        // Whoever reads it fails.
        std::fs::remove_file(&file.path).unwrap();
        std::fs::create_dir(&file.path).unwrap();
    }
    assert_eq!(home.search("limit=2").events.len(), 2);
    let all = search(&home.log, &home.changes, &parsed(""));
    assert!(matches!(all, Err(SearchError::Log(_))));
}

#[test]
fn a_page_is_an_event_list_as_kubernetes_has_it() {
    let mut home = Home::new(1 << 20);
    (0..2).for_each(|at| home.write(Chain::Log, 1, at));
    let list: serde_json::Value = serde_json::from_slice(&home.search("").to_json()).unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&"EventList".into(), &"audit.k8s.io/v1".into()));
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(list["items"][0].get("chain").is_none());
    assert!(
        home.search("").events[0].text().starts_with("2026-09-21T14:13:20.001000Z  u1  get  secrets a/n  200  allow")
    );
}

#[test]
fn lines_that_are_none_are_passed_over_and_counted() {
    let mut home = Home::new(1 << 20);
    home.write(Chain::Log, 1, 1);
    let path = LogFile::numbered(&home.directory(), 1).path;
    home.write(Chain::Log, 1, 2);
    let bytes = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    let (first, last) = bytes.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(&path, format!("{first}\n{}\n", "x".repeat(last.len()))).unwrap();
    home.changes.0.push(Some(b"garbage".to_vec()));
    let page = home.search("");
    assert_eq!((page.events.len(), page.unreadable), (1, 2));
}

#[test]
fn a_copy_that_came_late_is_shown_at_its_time() {
    let mut home = Home::new(1 << 20);
    home.write(Chain::Log, 1, 1);
    home.write(Chain::Mutations, 1, 2);
    home.write(Chain::Log, 1, 3);
    home.copy(1);
    home.write(Chain::Log, 1, 4);
    assert_eq!(jsons(&home.search("").events), home.brute_force(""));
}
