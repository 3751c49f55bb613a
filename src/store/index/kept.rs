//! Versions that are kept beyond compaction, until whoever has them kept lets go of them.
//!
//! A change says of itself whether the version that it supersedes is kept ([`Flags::KEEPS_PREVIOUS`], authenticated with its
//! row). Which ones are follows from that for changes that are not cleaned up after yet; of all others, what is still
//! there is kept. So nothing else is stored of it, and keeping costs a commit nothing.
//!
//! What it never does: let the end of an object go before what is kept of the object, which would be there again.

use super::{After, Bound, Index, Node, Version};
use crate::model::kinds;
use crate::store::Flags;

/// A version of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its revision.
    pub revision: u64,
    /// What it is.
    pub flags: Flags,
    /// Revision of the version that succeeded it; `None` for the latest.
    pub successor: Option<u64>,
    /// It was superseded, and is kept.
    pub is_kept: bool,
}

impl Node {
    /// The ends that no version lies before, as far as no entry of the log leads to them.
    fn leading_ends(&mut self, cleaned: u64) -> Vec<u64> {
        let is_done = |version: &Version| version.flags.is_tombstone() && version.revision <= cleaned;
        let Some(earlier) = &mut self.earlier else {
            return Some(self.latest).filter(is_done).map(|end| end.revision).into_iter().collect();
        };
        let leading = earlier.iter_mut().take_while(|version| is_done(version));
        leading.filter_map(|end| std::mem::take(&mut end.is_kept).then_some(end.revision)).collect()
    }

    /// Keeps a version no longer; its revision, if no entry of the log leads to it.
    fn release(&mut self, revision: u64, cleaned: u64) -> Option<u64> {
        let latest = self.latest.revision;
        let earlier = self.earlier.as_mut()?;
        let at = earlier.binary_search_by_key(&revision, |version| version.revision).ok()?;
        let successor = earlier.get(at + 1).map_or(latest, |version| version.revision);
        let version = earlier.get_mut(at).filter(|version| version.is_kept_object())?;
        version.is_kept = false;
        (successor <= cleaned).then_some(revision)
    }

    /// Keeps none any longer; those that no entry of the log leads to.
    fn release_all(&mut self, cleaned: u64) -> Vec<u64> {
        let kept: Vec<u64> = self.kept_objects().map(|version| version.revision).collect();
        kept.into_iter().filter_map(|revision| self.release(revision, cleaned)).collect()
    }

    /// Oldest first.
    fn kept_objects(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.earlier.as_deref().into_iter().flatten().filter(|version| version.is_kept_object())
    }

    fn has_kept(&self) -> bool {
        self.kept_objects().next().is_some()
    }
}

impl Index {
    /// Every version of a name, oldest first.
    pub fn versions(&self, kind_id: u8, namespace: &str, name: &str) -> Vec<Kept> {
        let Some(node) = self.node(kind_id, namespace, name) else { return Vec::new() };
        let mut successor = None;
        let mut versions: Vec<Kept> = std::iter::once(&node.latest)
            .chain(node.earlier.as_deref().into_iter().flatten().rev())
            .map(|version| {
                let &Version { revision, flags, is_kept } = version;
                Kept { revision, flags, successor: successor.replace(revision), is_kept }
            })
            .collect();
        versions.reverse();
        versions
    }

    /// Namespaces and names of objects that exist or of which versions are kept, behind `after`, at most `most`.
    pub fn names(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        after: After<'_>,
        most: usize,
        only_with_kept: bool,
    ) -> Vec<(String, String)> {
        let Some(spaces) = self.kinds.get(&kind_id) else { return Vec::new() };
        let from = match (namespace, after) {
            (Some(namespace), _) | (None, Some((namespace, _))) => Bound::Included(namespace),
            (None, None) => Bound::Unbounded,
        };
        let until = namespace.map_or(Bound::Unbounded, Bound::Included);
        let mut names = Vec::new();
        for (space_name, space) in spaces.range::<str, _>((from, until)) {
            let begin = match after {
                Some((namespace, name)) if namespace == &**space_name => Bound::Excluded(name),
                Some((namespace, _)) if &**space_name < namespace => continue,
                _ => Bound::Unbounded,
            };
            let nodes = space.nodes.range::<str, _>((begin, Bound::Unbounded));
            let shown =
                nodes.filter(|(_, node)| node.has_kept() || !only_with_kept && !node.latest.flags.is_tombstone());
            names.extend(shown.take(most - names.len()).map(|(name, _)| (space_name.to_string(), name.to_string())));
            if names.len() == most {
                break;
            }
        }
        names
    }

    /// The newest kept version of a name that `limit` newer ones are kept of.
    pub fn beyond(&self, kind_id: u8, namespace: &str, name: &str, limit: usize) -> Option<u64> {
        self.node(kind_id, namespace, name)?.kept_objects().rev().nth(limit).map(|version| version.revision)
    }

    /// Keeps these versions of a name no longer.
    pub fn release(&mut self, kind_id: u8, namespace: &str, name: &str, revisions: &[u64]) {
        let cleaned = self.cleaned;
        if let Some(node) = self.node_mut(kind_id, namespace, name) {
            let released: Vec<u64> = revisions.iter().filter_map(|revision| node.release(*revision, cleaned)).collect();
            self.released.extend(released);
        }
    }

    /// Of a namespace that is gone nothing is kept.
    pub(super) fn release_namespace(&mut self, namespace: &str) {
        let cleaned = self.cleaned;
        let spaces = self.kinds.values_mut().filter_map(|spaces| spaces.get_mut(namespace));
        let nodes = spaces.flat_map(|space| space.nodes.values_mut());
        self.released.extend(nodes.flat_map(|node| node.release_all(cleaned)));
    }

    /// Lets go of what lies at the end of an object of which nothing is kept any more.
    pub(super) fn release_ends(&mut self, kind_id: u8, namespace: &str, name: &str) {
        let cleaned = self.cleaned;
        if let Some(node) = self.node_mut(kind_id, namespace, name) {
            let ends = node.leading_ends(cleaned);
            self.released.extend(ends);
        }
    }

    /// After every version was added: lets go of what nothing leads to any more.
    pub fn settle(&mut self) {
        let spaces = self.kinds.values().flat_map(|spaces| spaces.keys());
        let gone: std::collections::BTreeSet<String> = spaces
            .filter(|space| !space.is_empty() && self.find(kinds::NAMESPACE.id, "", space).is_none())
            .map(ToString::to_string)
            .collect();
        for namespace in gone {
            self.release_namespace(&namespace);
        }
        let cleaned = self.cleaned;
        let nodes = self.kinds.values_mut().flat_map(|spaces| spaces.values_mut());
        let nodes = nodes.flat_map(|space| space.nodes.values_mut());
        self.released.extend(nodes.flat_map(|node| node.leading_ends(cleaned)));
    }

    fn node_mut(&mut self, kind_id: u8, namespace: &str, name: &str) -> Option<&mut Node> {
        self.kinds.get_mut(&kind_id)?.get_mut(namespace)?.nodes.get_mut(name)
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
