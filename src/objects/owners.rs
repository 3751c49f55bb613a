//! Who is named as an owner: which uids occur in `metadata.ownerReferences`, so that a delete that concerns
//! nobody's dependents reads nothing else.
//!
//! It only ever answers "perhaps" or "certainly not": uids are added and never removed while the server runs.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

/// The uids that some object has named as its owner.
#[derive(Default)]
pub(super) struct Owners(RwLock<HashSet<String>>);

impl Owners {
    /// Notes the owners of an object.
    pub(super) fn note(&self, object: &Value) {
        let Some(owners) = object.pointer("/metadata/ownerReferences").and_then(Value::as_array) else { return };
        let mut noted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for uid in owners.iter().filter_map(|owner| owner.get("uid").and_then(Value::as_str)) {
            noted.insert(uid.to_owned());
        }
    }

    /// Whether some object may have named `uid` as its owner.
    pub(super) fn mentions(&self, uid: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }
}
