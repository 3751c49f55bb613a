//! Former versions that are too many or too old go, without anybody asking.
//!
//! Each Secret waits for the time at which its oldest kept version is due. What is due is let go of; the store removes it as it
//! removes everything that no snapshot shows any more, a few rows between two commits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::kinds::{NAMESPACE, SECRET};
use crate::objects::Objects;
use crate::store::{Change, Operation};

/// What is due is looked for this often at least.
const LOOK_SECONDS: i64 = 60;
/// Secrets that are looked at before others may do something.
const AT_ONCE: usize = 64;
/// Names that are asked of the store at once.
const PART_NAMES: usize = 1_024;

/// Namespace and name of a Secret.
type Key = (String, String);

/// The Secrets of which versions are kept, by when the oldest of them is due.
#[derive(Default)]
struct Waiting {
    due: HashMap<Key, i64>,
    by_time: BTreeSet<(i64, Key)>,
}

impl Waiting {
    fn put(&mut self, key: Key, due_unix_seconds: i64) {
        if let Some(before) = self.due.insert(key.clone(), due_unix_seconds) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((due_unix_seconds, key));
    }

    fn next(&mut self, now_unix_seconds: i64) -> Option<Key> {
        if self.by_time.first().is_none_or(|(due, _)| *due > now_unix_seconds) {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.due.remove(&key);
        Some(key)
    }

    fn first(&self) -> Option<i64> {
        self.by_time.first().map(|(due, _)| *due)
    }
}

/// Looks at everything, then at what `changes` are about (those of Secrets and Namespaces), until they end.
pub(in crate::objects) async fn expire(objects: Arc<Objects>, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut waiting = Waiting::default();
    objects.note_kept(None, &mut waiting).await;
    loop {
        let now = objects.clock.unix_seconds();
        let mut looked = 0;
        while let Some((namespace, name)) = waiting.next(now) {
            if let Some(due) = objects.forget_due(&namespace, &name) {
                waiting.put((namespace, name), due);
            }
            looked += 1;
            if looked % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let next = waiting.first().map_or(LOOK_SECONDS, |due| due.saturating_sub(now).clamp(1, LOOK_SECONDS));
        let change = tokio::time::timeout(Duration::from_secs(next.unsigned_abs()), changes.recv());
        let Ok(change) = change.await else { continue };
        let Some(change) = change else { return };
        objects.note(&change, &mut waiting).await;
        while let Ok(change) = changes.try_recv() {
            objects.note(&change, &mut waiting).await;
        }
    }
}

impl Objects {
    async fn note(&self, change: &Change, waiting: &mut Waiting) {
        let row = &change.row;
        if change.kind_id == SECRET.id {
            // What waits already is due before what is kept now; what is too much goes with the write.
            let key = (row.namespace.to_string(), row.name.to_string());
            if change.previous.is_some() && !waiting.due.contains_key(&key) {
                waiting.put(key, 0);
            }
        } else if change.kind_id == NAMESPACE.id && change.op == Operation::Put && change.previous.is_some() {
            // It may say something else now of what is kept.
            self.note_kept(Some(&row.name), waiting).await;
        }
    }

    /// Everything that is kept (in a namespace) is to be looked at.
    async fn note_kept(&self, namespace: Option<&str>, waiting: &mut Waiting) {
        let mut after: Option<Key> = None;
        loop {
            let behind = after.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
            let names = self.store.names_with_kept(SECRET.id, namespace, behind, PART_NAMES);
            let is_last = names.len() < PART_NAMES;
            after = names.last().cloned();
            for key in names {
                waiting.put(key, 0);
            }
            if is_last {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_once_for_its_latest_time() {
        let key = |name: &str| ("n".to_owned(), name.to_owned());
        let mut waiting = Waiting::default();
        waiting.put(key("a"), 10);
        waiting.put(key("b"), 5);
        waiting.put(key("a"), 3);
        assert_eq!((waiting.first(), waiting.next(2)), (Some(3), None));
        assert_eq!(waiting.next(9), Some(key("a")));
        assert_eq!(waiting.next(9), Some(key("b")));
        assert_eq!((waiting.next(99), waiting.first()), (None, None));
        assert!(waiting.due.is_empty());
    }
}
