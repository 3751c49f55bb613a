//! Which version of which object there is: kept in memory, rebuilt from the verified rows at every start.
//!
//! It holds names and revisions and never content. Versions above the compaction line are all here, so that a
//! list can show the store as it was at any revision since then, and a watch can be replayed. Below it are the versions
//! that are kept (see [`kept`]).

mod held;
mod kept;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

pub use self::kept::Kept;
use super::{Entry, Flags, LoggedChange, Operation, ReplayError, SnapshotError};
use crate::model::kinds;

/// Entries of the log that are looked at once.
const ENTRIES_MAX: usize = 4_096;

/// One version of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    revision: u64,
    flags: Flags,
    /// Superseded, and yet not for compaction to remove.
    is_kept: bool,
}

impl Version {
    fn is_kept_object(&self) -> bool {
        self.is_kept && !self.flags.is_tombstone()
    }
}

/// What is known of one name.
#[derive(Debug)]
struct Node {
    latest: Version,
    /// Older versions that are still in the store, ascending. Boxed: few objects have any.
    #[expect(clippy::box_collection, reason = "one word in each of a million nodes, instead of three")]
    earlier: Option<Box<Vec<Version>>>,
}

impl Node {
    /// The version that was the latest at `at`; `None` if there was none or it was a tombstone.
    fn at(&self, at: u64) -> Option<Version> {
        let older = || self.earlier.iter().flat_map(|all| all.iter().rev().copied());
        std::iter::once(self.latest)
            .chain(older())
            .find(|version| version.revision <= at)
            .filter(|version| !version.flags.is_tombstone())
    }
}

/// One namespace of one kind.
#[derive(Debug, Default)]
struct Space {
    nodes: BTreeMap<Box<str>, Node>,
    /// Objects that exist now; tombstones are not counted.
    live: usize,
}

/// A version as the index learns of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its revision.
    pub revision: u64,
    /// Its kind.
    pub kind_id: u8,
    /// What it is.
    pub flags: Flags,
    /// Namespace of the object.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Box<str>,
}

/// One entry of the log of changes.
#[derive(Debug, Clone)]
struct Logged {
    revision: u64,
    kind_id: u8,
    flags: Flags,
    /// 0: there is none.
    previous: u64,
    namespace: Arc<str>,
    /// Where it matters for cleaning up: of a change that keeps what it supersedes, and of a deletion.
    name: Option<Box<str>>,
}

/// What is to be removed from the store next.
#[derive(Debug, Default)]
pub struct Superseded {
    /// Revisions of the rows.
    pub revisions: Vec<u64>,
    /// How many of these were kept once.
    released: usize,
    /// Entries of the log that the others come from.
    entries: usize,
}

impl Superseded {
    /// Whether there is nothing to clean up after.
    pub fn is_empty(&self) -> bool {
        self.released == 0 && self.entries == 0
    }
}

/// The index. See the module.
#[derive(Debug, Default)]
pub struct Index {
    kinds: BTreeMap<u8, BTreeMap<Arc<str>, Space>>,
    /// Every change that replay may ask for or compaction has yet to clean up after, ascending.
    log: VecDeque<Logged>,
    namespaces: HashMap<Box<str>, Arc<str>>,
    revision: u64,
    compacted: u64,
    /// Of changes up to this revision everything that need not be kept is gone.
    cleaned: u64,
    /// What was kept and need not be any more, and no entry of the log leads to.
    released: VecDeque<u64>,
}

/// Where a page of a snapshot begins: behind this namespace and name.
pub type After<'a> = Option<(&'a str, &'a str)>;

/// Some of the objects of a snapshot, in order.
#[derive(Debug, Default)]
pub struct Part {
    /// Revisions of their versions.
    pub revisions: Vec<u64>,
    /// The last name that was looked at; `None` at the end.
    pub reached: Option<(Arc<str>, Box<str>)>,
}

impl Index {
    /// Number of versions of which this knows.
    pub fn rows(&self) -> u64 {
        let nodes = self.kinds.values().flat_map(BTreeMap::values).flat_map(|space| space.nodes.values());
        nodes.map(|node| 1 + node.earlier.as_ref().map_or(0, |earlier| earlier.len() as u64)).sum()
    }

    /// An empty index whose versions up to `compacted` may be gone, and of which those that changes up to `cleaned` have
    /// superseded are gone unless they are kept.
    pub fn new(compacted: u64, cleaned: u64) -> Self {
        Self { compacted, cleaned, revision: compacted, ..Self::default() }
    }

    /// Of changes up to this revision everything that need not be kept is gone, once `superseded` is.
    pub fn cleaned_with(&self, superseded: &Superseded) -> u64 {
        let last = superseded.entries.checked_sub(1).and_then(|last| self.log.get(last));
        last.map_or(self.cleaned, |change| change.revision)
    }

    /// The latest revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Never gives a revision up to `revision` again, even where its row is gone.
    pub fn advance(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// The compaction line: the store as it was before this revision cannot be shown any more.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The revision of the change that has `newer` changes after it in the log.
    pub fn logged_before(&self, newer: usize) -> Option<u64> {
        let at = self.log.len().checked_sub(newer + 1)?;
        self.log.get(at).map(|change| change.revision)
    }

    /// The one copy of a namespace's name.
    pub fn intern(&mut self, namespace: &str) -> Arc<str> {
        if let Some(known) = self.namespaces.get(namespace) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(namespace);
        self.namespaces.insert(namespace.into(), Arc::clone(&shared));
        shared
    }

    /// Takes the next version, in the order of revisions. Returns the revision that it succeeds, if it does.
    pub fn add(&mut self, known: Known) -> Option<u64> {
        let Known { revision, kind_id, flags, namespace, name } = known;
        let namespace = self.intern(&namespace);
        let space = self.kinds.entry(kind_id).or_default().entry(Arc::clone(&namespace)).or_default();
        let version = Version { revision, flags, is_kept: false };
        let keeps = flags.has(Flags::KEEPS_PREVIOUS);
        let logged_name = (keeps || flags.is_tombstone()).then(|| name.clone());
        let ended_namespace = (kind_id == kinds::NAMESPACE.id && flags.is_tombstone()).then(|| name.clone());
        let previous = if let Some(node) = space.nodes.get_mut(&name) {
            let mut previous = std::mem::replace(&mut node.latest, version);
            // Where it was cleaned up, what is still there is kept. An end is, until its own entry of the log comes up.
            previous.is_kept = keeps || revision <= self.cleaned || previous.flags.is_tombstone();
            node.earlier.get_or_insert_default().push(previous);
            space.live -= usize::from(!previous.flags.is_tombstone());
            Some(previous).filter(|previous| !previous.flags.is_tombstone()).map(|previous| previous.revision)
        } else {
            space.nodes.insert(name, Node { latest: version, earlier: None });
            None
        };
        space.live += usize::from(!flags.is_tombstone());
        self.revision = self.revision.max(revision);
        if revision > self.cleaned && (revision > self.compacted || previous.is_some() || flags.is_tombstone()) {
            let (previous, name) = (previous.unwrap_or(0), logged_name);
            self.log.push_back(Logged { revision, kind_id, flags, previous, namespace, name });
        }
        if let Some(namespace) = ended_namespace {
            self.release_namespace(&namespace);
        }
        previous
    }

    /// The object of this name, if it exists now.
    pub fn find(&self, kind_id: u8, namespace: &str, name: &str) -> Option<Entry> {
        let node = self.kinds.get(&kind_id)?.get(namespace)?.nodes.get(name)?;
        let latest = Some(node.latest).filter(|version| !version.flags.is_tombstone())?;
        Some(Entry { revision: latest.revision, flags: latest.flags })
    }

    /// Every object of one kind that exists now: its revision and flags.
    pub fn live(&self, kind_id: u8) -> impl Iterator<Item = Entry> + '_ {
        self.kinds
            .get(&kind_id)
            .into_iter()
            .flat_map(|spaces| spaces.values().flat_map(|space| space.nodes.values()))
            .map(|node| Entry { revision: node.latest.revision, flags: node.latest.flags })
            .filter(|entry| !entry.flags.is_tombstone())
    }

    /// How many objects of a kind (in a namespace) exist now.
    pub fn count(&self, kind_id: u8, namespace: Option<&str>) -> usize {
        let Some(spaces) = self.kinds.get(&kind_id) else { return 0 };
        match namespace {
            Some(namespace) => spaces.get(namespace).map_or(0, |space| space.live),
            None => spaces.values().map(|space| space.live).sum(),
        }
    }

    /// Whether the store can be shown as it was at `at`.
    pub fn check(&self, at: u64) -> Result<(), SnapshotError> {
        if at < self.compacted {
            return Err(SnapshotError::Compacted { line: self.compacted });
        }
        if at > self.revision {
            return Err(SnapshotError::FutureRevision { asked: at, current: self.revision });
        }
        Ok(())
    }

    /// The objects that existed at `at`, behind `after`, until `most` names have been looked at.
    pub fn part(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        at: u64,
        after: After<'_>,
        most: usize,
    ) -> Result<Part, SnapshotError> {
        self.check(at)?;
        let mut part = Part::default();
        let Some(spaces) = self.kinds.get(&kind_id) else { return Ok(part) };
        let from = match (namespace, after) {
            (Some(namespace), _) | (None, Some((namespace, _))) => Bound::Included(namespace),
            (None, None) => Bound::Unbounded,
        };
        let until = namespace.map_or(Bound::Unbounded, Bound::Included);
        let mut looked = 0;
        for (space_name, space) in spaces.range::<str, _>((from, until)) {
            let begin = match after {
                Some((namespace, name)) if namespace == &**space_name => Bound::Excluded(name),
                Some((namespace, _)) if &**space_name < namespace => continue,
                _ => Bound::Unbounded,
            };
            for (name, node) in space.nodes.range::<str, _>((begin, Bound::Unbounded)) {
                part.revisions.extend(node.at(at).map(|version| version.revision));
                looked += 1;
                if looked == most {
                    part.reached = Some((Arc::clone(space_name), name.clone()));
                    return Ok(part);
                }
            }
        }
        Ok(part)
    }

    /// The objects of one name that existed at `at`, behind `after`.
    pub fn named(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        at: u64,
        after: After<'_>,
        name: &str,
    ) -> Result<Vec<u64>, SnapshotError> {
        self.check(at)?;
        let spaces = self.kinds.get(&kind_id).into_iter().flatten();
        Ok(spaces
            .filter(|(space, _)| namespace.is_none_or(|only| only == &***space))
            .filter(|(space, _)| after.is_none_or(|after| after < (&***space, name)))
            .filter_map(|(_, space)| space.nodes.get(name)?.at(at))
            .map(|version| version.revision)
            .collect())
    }

    /// The changes of a kind (in a namespace) since `after`, in order.
    pub fn replay(&self, kind_id: u8, namespace: Option<&str>, after: u64) -> Result<Vec<LoggedChange>, ReplayError> {
        if after < self.compacted {
            return Err(ReplayError::Compacted { line: self.compacted });
        }
        let begin = self.log.partition_point(|change| change.revision <= after);
        Ok(self
            .log
            .range(begin..)
            .filter(|change| change.kind_id == kind_id && namespace.is_none_or(|only| only == &*change.namespace))
            .map(|change| LoggedChange {
                revision: change.revision,
                op: if change.flags.is_tombstone() { Operation::Delete } else { Operation::Put },
                previous: Some(change.previous).filter(|previous| *previous > 0),
            })
            .collect())
    }

    /// Draws the compaction line at `line`: what older snapshots alone show may be removed from now on.
    pub fn draw_line(&mut self, line: u64) {
        self.compacted = self.compacted.max(line.min(self.revision));
    }

    /// The next revisions that only snapshots before the line show and that are not kept, about `most` of them.
    pub fn superseded(&self, most: usize) -> Superseded {
        let mut revisions: Vec<u64> = self.released.iter().take(most).copied().collect();
        let (released, mut entries) = (revisions.len(), 0);
        for change in self.log.iter().take_while(|change| change.revision <= self.compacted) {
            // Of entries that keep what they supersede there may be very many in a row.
            if revisions.len() >= most || entries >= ENTRIES_MAX {
                break;
            }
            let node = change.name.as_ref().and_then(|name| self.node(change.kind_id, &change.namespace, name));
            let earlier = || node.and_then(|node| node.earlier.as_deref()).into_iter().flatten();
            let is_kept = earlier().any(|version| version.revision == change.previous && version.is_kept);
            revisions.extend(Some(change.previous).filter(|previous| *previous > 0 && !is_kept));
            // Without its end, what is kept of an object would be the object.
            let ends_kept = || earlier().any(|version| version.revision < change.revision && version.is_kept_object());
            revisions.extend(Some(change.revision).filter(|_| change.flags.is_tombstone() && !ends_kept()));
            entries += 1;
        }
        Superseded { revisions, released, entries }
    }

    fn node(&self, kind_id: u8, namespace: &str, name: &str) -> Option<&Node> {
        self.kinds.get(&kind_id)?.get(namespace)?.nodes.get(name)
    }

    /// Forgets versions that were removed from the store, each by its key, and what else of `superseded` was looked at.
    pub fn forget<'a>(&mut self, removed: impl Iterator<Item = (u8, &'a str, &'a str, u64)>, superseded: &Superseded) {
        self.cleaned = self.cleaned_with(superseded);
        self.log.drain(..superseded.entries.min(self.log.len()));
        self.released.drain(..superseded.released.min(self.released.len()));
        let mut touched = BTreeSet::new();
        for (kind_id, namespace, name, revision) in removed {
            let Some(spaces) = self.kinds.get_mut(&kind_id) else { continue };
            let Some(space) = spaces.get_mut(namespace) else { continue };
            let Some(node) = space.nodes.get_mut(name) else { continue };
            if let Some(earlier) = &mut node.earlier {
                earlier.retain(|version| version.revision != revision);
                if earlier.is_empty() {
                    node.earlier = None;
                }
            }
            if node.latest.revision == revision && node.earlier.is_none() {
                space.nodes.remove(name);
            } else {
                touched.insert((kind_id, namespace, name));
            }
            if space.nodes.is_empty() {
                spaces.remove(namespace);
                if !self.kinds.values().any(|spaces| spaces.contains_key(namespace)) {
                    self.namespaces.remove(namespace);
                }
            }
        }
        for (kind_id, namespace, name) in touched {
            self.release_ends(kind_id, namespace, name);
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
