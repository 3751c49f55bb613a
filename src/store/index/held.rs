//! Whose a revision is: a search through everything, for when a row is found to be gone or damaged.

use super::Index;

impl Index {
    /// Kind, namespace and name of what has a version of this revision, if anything has.
    pub fn holder(&self, revision: u64) -> Option<(u8, String, String)> {
        for (kind_id, spaces) in &self.kinds {
            for (namespace, space) in spaces {
                for (name, node) in &space.nodes {
                    let earlier = node.earlier.as_deref().into_iter().flatten();
                    if std::iter::once(&node.latest).chain(earlier).any(|version| version.revision == revision) {
                        return Some((*kind_id, namespace.to_string(), name.to_string()));
                    }
                }
            }
        }
        None
    }
}
