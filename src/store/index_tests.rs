//! The index against a naive model: snapshots, parts, replays, compaction.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECRET: u8 = 1;

fn known(revision: u64, flags: Flags, namespace: &str, name: &str) -> Known {
    Known { revision, kind_id: SECRET, flags, namespace: Arc::from(namespace), name: name.into() }
}

fn all_at(index: &Index, namespace: Option<&str>, at: u64) -> Vec<u64> {
    index.part(SECRET, namespace, at, None, usize::MAX).unwrap().revisions
}

#[test]
fn a_snapshot_shows_the_store_as_it_was() {
    let mut index = Index::new(0, 0);
    assert_eq!(index.add(known(1, Flags::PUT, "n", "a")), None);
    index.add(known(2, Flags::PUT, "n", "b"));
    assert_eq!(index.add(known(3, Flags::PUT, "n", "a")), Some(1));
    assert_eq!(index.add(known(4, Flags::TOMBSTONE, "n", "b")), Some(2));
    // A new object under the name of a deleted one succeeds nothing.
    assert_eq!(index.add(known(5, Flags::PUT, "n", "b")), None);
    assert_eq!(all_at(&index, None, 0), Vec::<u64>::new());
    assert_eq!(all_at(&index, None, 2), [1, 2]);
    assert_eq!(all_at(&index, None, 3), [3, 2]);
    assert_eq!(all_at(&index, None, 4), [3]);
    assert_eq!(all_at(&index, Some("n"), 5), [3, 5]);
    assert_eq!(all_at(&index, Some("m"), 5), Vec::<u64>::new());
    assert_eq!(index.find(SECRET, "n", "a").unwrap().revision, 3);
    assert_eq!((index.count(SECRET, None), index.count(SECRET, Some("m"))), (2, 0));
    assert_eq!(index.check(6), Err(SnapshotError::FutureRevision { asked: 6, current: 5 }));
}

#[test]
fn parts_go_on_behind_what_the_last_one_reached() {
    let mut index = Index::new(0, 0);
    let names = [("a", "x"), ("a", "y"), ("b", "a"), ("b", "x"), ("c", "x")];
    for (at, (namespace, name)) in names.iter().enumerate() {
        index.add(known(at as u64 + 1, Flags::PUT, namespace, name));
    }
    let mut after: Option<(Arc<str>, Box<str>)> = None;
    let mut seen = Vec::new();
    loop {
        let behind = after.as_ref().map(|(namespace, name)| (&**namespace, &**name));
        let part = index.part(SECRET, None, 5, behind, 2).unwrap();
        seen.extend(part.revisions);
        after = part.reached;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    // A cursor whose namespace is gone goes on behind where it was.
    assert_eq!(index.part(SECRET, None, 5, Some(("aa", "z")), 9).unwrap().revisions, [3, 4, 5]);
    assert_eq!(index.part(SECRET, Some("b"), 5, Some(("b", "a")), 9).unwrap().revisions, [4]);
}

#[test]
fn compaction_removes_what_only_older_snapshots_show() {
    let mut index = Index::new(0, 0);
    index.add(known(1, Flags::PUT, "n", "a"));
    index.add(known(2, Flags::PUT, "n", "a"));
    index.add(known(3, Flags::PUT, "m", "b"));
    index.add(known(4, Flags::TOMBSTONE, "m", "b"));
    index.add(known(5, Flags::PUT, "n", "a"));
    index.draw_line(4);
    assert_eq!(index.check(3), Err(SnapshotError::Compacted { line: 4 }));
    assert!(matches!(index.replay(SECRET, None, 3), Err(ReplayError::Compacted { line: 4 })));
    let superseded = index.superseded(100);
    assert_eq!((&superseded.revisions, index.cleaned_with(&superseded)), (&vec![1, 3, 4], 4));
    index.forget([(SECRET, "n", "a", 1), (SECRET, "m", "b", 3), (SECRET, "m", "b", 4)].into_iter(), &superseded);
    assert_eq!(all_at(&index, None, 4), [2]);
    assert_eq!(all_at(&index, None, 5), [5]);
    assert_eq!(index.replay(SECRET, None, 4).unwrap().len(), 1);
    assert!(index.superseded(100).is_empty());
    index.draw_line(99);
    assert_eq!(index.superseded(100).revisions, [2]);
}

proptest! {
    /// Every snapshot above the line equals the state of a plain map at that time, whatever was compacted.
    #[test]
    fn snapshots_equal_a_plain_history(
        steps in prop::collection::vec((0_u8..3, 0_u8..4, any::<bool>(), prop::option::weighted(0.1, 0_u64..8)), 1..60)
    ) {
        let mut index = Index::new(0, 0);
        let mut plain: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut history = vec![plain.clone()];
        let mut keys = vec![(String::new(), String::new())];
        for (namespace, name, delete, compact) in steps {
            let key = (format!("n{namespace}"), format!("s{name}"));
            let revision = history.len() as u64;
            if delete && !plain.contains_key(&key) {
                continue;
            }
            let flags = if delete { Flags::TOMBSTONE } else { Flags::PUT };
            let before = if delete { plain.remove(&key) } else { plain.insert(key.clone(), revision) };
            prop_assert_eq!(index.add(known(revision, flags, &key.0, &key.1)), before);
            history.push(plain.clone());
            keys.push(key);
            if let Some(back) = compact {
                index.draw_line(revision.saturating_sub(back));
                let superseded = index.superseded(3);
                index.forget(superseded.revisions.iter().map(|revision| {
                    let key = &keys[usize::try_from(*revision).unwrap()];
                    (SECRET, key.0.as_str(), key.1.as_str(), *revision)
                }), &superseded);
            }
            for at in index.compacted()..=revision {
                let expected: Vec<u64> = history[usize::try_from(at).unwrap()].values().copied().collect();
                prop_assert_eq!(all_at(&index, None, at), expected);
            }
            let named = index.named(SECRET, None, revision, None, "s1").unwrap();
            let expected: Vec<u64> = plain.iter().filter(|(key, _)| key.1 == "s1").map(|(_, at)| *at).collect();
            prop_assert_eq!(named, expected);
            prop_assert_eq!(index.count(SECRET, None), plain.len());
        }
    }
}
