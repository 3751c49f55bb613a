//! What is kept against a naive model: rows of a database, cleaned up, let go of, and read anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::Kept;

const SECRET: u8 = 1;

fn known(revision: u64, flags: Flags, name: &str) -> Known {
    Known { revision, kind_id: SECRET, flags, namespace: Arc::from("n"), name: name.into() }
}

fn namespace(revision: u64, flags: Flags) -> Known {
    Known { revision, kind_id: kinds::NAMESPACE.id, flags, namespace: Arc::from(""), name: "n".into() }
}

fn keeping(flags: Flags) -> Flags {
    flags.with(Flags::KEEPS_PREVIOUS, true)
}

fn kept(index: &Index, name: &str) -> Vec<u64> {
    let versions = index.versions(SECRET, "n", name);
    versions.iter().filter(|one| one.is_kept && !one.flags.is_tombstone()).map(|one| one.revision).collect()
}

/// The rows of a database, and what it says of how far it was cleaned up.
struct Rows {
    all: BTreeMap<u64, Known>,
    line: u64,
    cleaned: u64,
}

impl Rows {
    fn of(all: impl IntoIterator<Item = Known>) -> Self {
        Self { all: all.into_iter().map(|known| (known.revision, known)).collect(), line: 0, cleaned: 0 }
    }

    fn index(&self) -> Index {
        let mut index = Index::new(self.line, self.cleaned);
        for known in self.all.values() {
            index.add(known.clone());
        }
        index.settle();
        index
    }

    /// As the writer does: what is removed is recorded with how far that goes.
    fn clean_up(&mut self, index: &mut Index, most: usize) {
        let superseded = index.superseded(most);
        let removed: Vec<Known> =
            superseded.revisions.iter().filter_map(|revision| self.all.remove(revision)).collect();
        if !removed.is_empty() {
            (self.line, self.cleaned) = (index.compacted(), index.cleaned_with(&superseded));
        }
        let keys = removed.iter().map(|known| (known.kind_id, &*known.namespace, &*known.name, known.revision));
        index.forget(keys, &superseded);
    }
}

#[test]
fn what_a_change_keeps_stays_when_all_else_is_cleaned_up() {
    let mut rows = Rows::of([
        namespace(1, Flags::PUT),
        known(2, Flags::PUT, "a"),
        known(3, keeping(Flags::PUT), "a"),
        // Not a revision of its own: what it supersedes goes, what that has kept stays.
        known(4, Flags::PUT, "a"),
        known(5, Flags::PUT, "b"),
        known(6, Flags::TOMBSTONE, "b"),
    ]);
    let mut index = rows.index();
    assert_eq!(kept(&index, "a"), [2]);
    index.draw_line(6);
    rows.clean_up(&mut index, 100);
    assert_eq!(rows.all.keys().copied().collect::<Vec<u64>>(), [1, 2, 4]);
    let again = rows.index();
    assert_eq!((kept(&index, "a"), kept(&again, "a")), (vec![2], vec![2]));
    let latest = Kept { revision: 4, flags: Flags::PUT, successor: None, is_kept: false };
    assert_eq!(again.versions(SECRET, "n", "a").last(), Some(&latest));
    assert!(again.superseded(100).is_empty());
}

#[test]
fn an_end_stays_as_long_as_anything_before_it() {
    let mut rows = Rows::of([
        namespace(1, Flags::PUT),
        known(2, Flags::PUT, "a"),
        known(3, keeping(Flags::PUT), "a"),
        // Nothing more is kept by now; the object must stay deleted all the same.
        known(4, Flags::TOMBSTONE, "a"),
    ]);
    let mut index = rows.index();
    index.draw_line(4);
    rows.clean_up(&mut index, 100);
    assert_eq!(rows.all.keys().copied().collect::<Vec<u64>>(), [1, 2, 4]);
    let mut index = rows.index();
    assert_eq!((index.find(SECRET, "n", "a"), kept(&index, "a")), (None, vec![2]));
    index.release(SECRET, "n", "a", &[2]);
    assert_eq!(kept(&index, "a"), Vec::<u64>::new());
    rows.clean_up(&mut index, 100);
    rows.clean_up(&mut index, 100);
    assert_eq!(rows.all.keys().copied().collect::<Vec<u64>>(), [1]);
    assert!(index.superseded(100).is_empty() && index.versions(SECRET, "n", "a").is_empty());
}

#[test]
fn of_a_namespace_that_ends_nothing_is_kept_though_it_is_made_again() {
    let mut rows = Rows::of([
        namespace(1, Flags::PUT),
        known(2, Flags::PUT, "a"),
        known(3, keeping(Flags::TOMBSTONE), "a"),
        namespace(4, Flags::TOMBSTONE),
        namespace(5, Flags::PUT),
    ]);
    let mut index = rows.index();
    assert_eq!(kept(&index, "a"), Vec::<u64>::new());
    index.draw_line(5);
    while !index.superseded(1).is_empty() {
        rows.clean_up(&mut index, 1);
        let again = rows.index();
        assert_eq!((kept(&again, "a"), again.find(SECRET, "n", "a")), (vec![], None));
    }
    assert_eq!(rows.all.keys().copied().collect::<Vec<u64>>(), [5]);
    // A crash before the end of the namespace was cleaned up, and its end is there: see above. Without a namespace:
    let index = Rows::of([known(2, Flags::PUT, "a"), known(3, keeping(Flags::PUT), "a")]).index();
    assert_eq!(kept(&index, "a"), Vec::<u64>::new());
}

#[derive(Debug, Clone)]
enum Step {
    Put { name: u8, keeps: bool },
    Delete { name: u8, keeps: bool },
    CleanUp { back: u64, most: usize },
    Release { name: u8, oldest: usize },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, any::<bool>()).prop_map(|(name, keeps)| Step::Put { name, keeps }),
        2 => (0_u8..3, any::<bool>()).prop_map(|(name, keeps)| Step::Delete { name, keeps }),
        3 => (0_u64..6, 1_usize..4).prop_map(|(back, most)| Step::CleanUp { back, most }),
        1 => (0_u8..3, 1_usize..3).prop_map(|(name, oldest)| Step::Release { name, oldest }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever is written, cleaned up, let go of and restarted in between: nothing comes back, nothing kept is lost, and
    /// in the end nothing else is left.
    #[test]
    fn what_is_kept_outlives_restarts_and_nothing_rises_again(steps in prop::collection::vec(step(), 1..80)) {
        let mut rows = Rows::of([namespace(1, Flags::PUT)]);
        let mut index = rows.index();
        let (mut live, mut wanted): (BTreeMap<String, u64>, BTreeSet<u64>) = (BTreeMap::new(), BTreeSet::new());
        let mut released: BTreeSet<u64> = BTreeSet::new();
        let mut revision = 1;
        for step in steps {
            match step {
                Step::Put { name, keeps } | Step::Delete { name, keeps } => {
                    let is_deletion = matches!(step, Step::Delete { .. });
                    let name = format!("s{name}");
                    if is_deletion && !live.contains_key(&name) {
                        continue;
                    }
                    revision += 1;
                    let before = if is_deletion { live.remove(&name) } else { live.insert(name.clone(), revision) };
                    let flags = if is_deletion { Flags::TOMBSTONE } else { Flags::PUT };
                    // Nothing says of a creation that it keeps anything.
                    let flags = flags.with(Flags::KEEPS_PREVIOUS, keeps && before.is_some());
                    wanted.extend(before.filter(|_| keeps));
                    let known = known(revision, flags, &name);
                    rows.all.insert(revision, known.clone());
                    index.add(known);
                }
                Step::CleanUp { back, most } => {
                    index.draw_line(revision.saturating_sub(back));
                    rows.clean_up(&mut index, most);
                }
                Step::Release { name, oldest } => {
                    let name = format!("s{name}");
                    let kept = kept(&index, &name);
                    let oldest: Vec<u64> = kept.into_iter().take(oldest).collect();
                    index.release(SECRET, "n", &name, &oldest);
                    for revision in oldest {
                        wanted.remove(&revision);
                        released.insert(revision);
                    }
                }
                Step::Restart => {
                    index = rows.index();
                    index.advance(revision);
                    // That something was let go of is not recorded: whoever did does it again.
                    wanted.extend(released.iter().filter(|revision| rows.all.contains_key(revision)));
                    released.clear();
                }
            }
            let mut found = BTreeSet::new();
            for name in ["s0", "s1", "s2"] {
                prop_assert_eq!(index.find(SECRET, "n", name).map(|entry| entry.revision), live.get(name).copied());
                found.extend(kept(&index, name));
            }
            prop_assert_eq!(&found, &wanted);
            prop_assert!(wanted.iter().chain(live.values()).all(|revision| rows.all.contains_key(revision)));
        }
        index.draw_line(revision);
        for _ in 0..400 {
            rows.clean_up(&mut index, 3);
        }
        prop_assert!(index.superseded(1).is_empty());
        let objects: BTreeSet<u64> =
            rows.all.values().filter(|row| !row.flags.is_tombstone() && row.revision > 1).map(|row| row.revision).collect();
        let expected: BTreeSet<u64> = wanted.iter().chain(live.values()).copied().collect();
        prop_assert_eq!(objects, expected);
        // An end is there only behind something that is kept.
        for end in rows.all.values().filter(|row| row.flags.is_tombstone()) {
            let is_needed = rows.all.values().any(|row| row.name == end.name && row.revision < end.revision);
            prop_assert!(is_needed, "{} is left", end.revision);
        }
    }
}
