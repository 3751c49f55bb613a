//! What a pass would change, key by key: lengths, and no values. Pure.

use std::fmt;

use super::desired::Desired;
use super::observed::Observed;
use crate::model::secret_sync::{CreationPolicy, Target};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is added.
    Added,
    /// Its value changes.
    Changed,
    /// It is taken out.
    Removed,
    /// It stays as it is.
    Same,
}

/// A key, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What becomes of it.
    pub change: Change,
    /// Length of the value that is there, in bytes.
    pub before: Option<usize>,
    /// Length of the value that will be there, in bytes.
    pub after: Option<usize>,
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, key) = (
            match self.change {
                Change::Added => '+',
                Change::Changed => '~',
                Change::Removed => '-',
                Change::Same => '=',
            },
            &self.key,
        );
        match (self.before, self.after) {
            (Some(before), Some(after)) if before != after => write!(f, "{sign} {key} ({before} → {after} bytes)"),
            (Some(bytes), _) | (None, Some(bytes)) => write!(f, "{sign} {key} ({bytes} bytes)"),
            (None, None) => write!(f, "{sign} {key}"),
        }
    }
}

/// What would become of the keys of a target, in order.
pub fn key_changes(target: &Target, desired: &Desired, observed: Option<&Observed>) -> Vec<KeyChange> {
    let empty = Observed::default();
    let observed = observed.unwrap_or(&empty);
    let owns_all = matches!(target.creation_policy, CreationPolicy::Owner | CreationPolicy::Orphan);
    let keys: std::collections::BTreeSet<&String> = desired.keys.keys().chain(observed.keys.keys()).collect();
    keys.into_iter()
        .map(|key| {
            let (before, after) = (observed.keys.get(key), desired.keys.get(key));
            let is_kept = after.is_none() && !owns_all && !observed.our_keys.contains(key);
            let change = match (before, after) {
                (None, _) => Change::Added,
                (Some(_), None) if is_kept => Change::Same,
                (Some(_), None) => Change::Removed,
                (Some(before), Some(after)) if before == after => Change::Same,
                (Some(_), Some(_)) => Change::Changed,
            };
            let after = if is_kept { before } else { after };
            let bytes = |digest: Option<&super::observed::KeyDigest>| digest.map(|digest| digest.bytes);
            KeyChange { key: key.clone(), change, before: bytes(before), after: bytes(after) }
        })
        .collect()
}
