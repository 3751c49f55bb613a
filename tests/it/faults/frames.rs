//! A write-ahead log that breaks off anywhere, and a checkpoint that was cut off in its midst.
//!
//! `STRONGROOM_TEST_PLACES` is how many places are tried (64), or `all`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::home::{Outcome, database, log, outcome, sample};
use super::model::{list, revision_of};
use crate::support::app::{App, copy_home};
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::load::SECRETS;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const WRITES: u64 = 40;

type Items = BTreeMap<String, Value>;

/// A home that was killed, and what was listed in it after each write.
struct Killed {
    home: TempDir,
    log: Vec<u8>,
    /// By the revision of the last write.
    states: BTreeMap<u64, Items>,
}

impl Killed {
    /// Creates, changes and deletes, one after the other.
    fn make(dice: &mut Dice) -> Self {
        let app = App::start();
        let mut client = Client::admin(&app);
        let mut states = BTreeMap::new();
        let mut note = |client: &mut Client| {
            let (items, revision) = list(client);
            states.insert(revision, items);
        };
        note(&mut client);
        for number in 0..WRITES {
            let name = format!("s-{}", dice.below(12));
            let path = format!("{SECRETS}/{name}");
            let secret = json!({"metadata": {"name": name}, "stringData": {"k": format!("value {number}")}});
            match (client.get(&path).status, dice.below(4)) {
                (404, _) => client.json("POST", SECRETS, &secret).ok(),
                (_, 0) => client.delete(&path).ok(),
                _ => client.json("PUT", &path, &secret).ok(),
            };
            note(&mut client);
        }
        let home = app.kill();
        let log = fs::read(log(home.path())).unwrap();
        Self { home, log, states }
    }

    fn page_bytes(&self) -> usize {
        usize::try_from(u32::from_be_bytes(self.log[8..12].try_into().unwrap())).unwrap()
    }

    /// The frames of the log: number and content of a page.
    fn frames(&self) -> Vec<(usize, &[u8])> {
        let length = FRAME_HEADER_BYTES + self.page_bytes();
        let frames = self.log[HEADER_BYTES..].chunks_exact(length);
        // What was written before the log was last begun anew has other salts.
        let ours = frames.take_while(|frame| frame[8..16] == self.log[16..24]);
        ours.map(|frame| {
            let page = u32::from_be_bytes(frame[..4].try_into().unwrap());
            (usize::try_from(page).unwrap(), &frame[FRAME_HEADER_BYTES..])
        })
        .collect()
    }
}

#[test]
fn a_log_that_breaks_off_leaves_what_was_after_some_write_and_never_a_mixture() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let killed = Killed::make(&mut dice);
    let length = FRAME_HEADER_BYTES + killed.page_bytes();
    let frames = killed.frames().len();
    let ends = (0..=frames).flat_map(|frame| {
        let end = HEADER_BYTES + frame * length;
        [end - 1, end, end + 1]
    });
    let ends: Vec<usize> = ends.filter(|end| *end <= killed.log.len()).collect();
    let ends = sample(ends, &mut dice);
    let mut last = 0;
    for end in &ends {
        let when = format!("seed {seed}, the log ends after {end} bytes of {}", killed.log.len());
        let home = copy_home(killed.home.path());
        fs::write(log(home.path()), &killed.log[..*end]).unwrap();
        // The audit log tells of what is gone; it is a witness, and nothing is put back from it.
        let app = match App::try_start_in(home) {
            Ok(app) => app,
            Err(refused) => panic!("{when}: {}", refused.log),
        };
        let mut client = Client::admin(&app);
        let (items, revision) = list(&mut client);
        // What is created and deleted again leaves what was before: the first of those that a longer log can be at.
        let mut found = killed.states.range(last..).filter(|(_, state)| **state == items);
        let found =
            found.next().unwrap_or_else(|| panic!("{when}: a mixture, or older than with a shorter log: {items:?}"));
        last = *found.0;
        let made = client.json("POST", SECRETS, &json!({"metadata": {"name": "new"}, "stringData": {"k": "v"}})).ok();
        assert!(revision_of(&made.json()) > revision, "{when}: revision {revision} is given again");
        assert!(!app.log().contains("panicked"), "{when}: {}", app.log());
    }
    println!("{} of {} places in {frames} frames, seed {seed}", ends.len(), 3 * (frames + 1));
}

#[test]
fn a_checkpoint_that_is_cut_off_anywhere_loses_nothing() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let killed = Killed::make(&mut dice);
    let (_, written) = killed.states.last_key_value().unwrap();
    // A checkpoint writes the newest content of each page, in the order of the pages; the log stays until all of it is on the disk.
    let newest: BTreeMap<usize, &[u8]> = killed.frames().into_iter().collect();
    let page_bytes = killed.page_bytes();
    let cuts = sample((0..=newest.len() * 2).collect(), &mut dice);
    for cut in &cuts {
        let home = copy_home(killed.home.path());
        let mut pages = fs::read(database(home.path())).unwrap();
        for (at, (page, content)) in newest.iter().enumerate().take(cut.div_ceil(2)) {
            // Every other cut is within a page.
            let half = at * 2 + 1 == *cut;
            let content = if half { &content[..page_bytes / 2] } else { content };
            let begin = (page - 1) * page_bytes;
            pages.resize(pages.len().max(begin + content.len()), 0);
            pages[begin..begin + content.len()].copy_from_slice(content);
        }
        fs::write(database(home.path()), pages).unwrap();
        let when = format!("seed {seed}, a checkpoint of {} pages is cut off at {cut}/2", newest.len());
        assert_eq!(outcome(home, written, &when), Outcome::Whole, "{when}");
    }
    println!("{} of {} cuts, seed {seed}", cuts.len(), newest.len() * 2 + 1);
}
