//! Who changes an object without naming a revision takes turns with others who do.
//!
//! Each attempt builds on the object as it is and fails where somebody else was faster. Without turns, whoever takes a little
//! longer than the others fails every time.

use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::{Mutex, MutexGuard};

use crate::model::kinds::Kind;

/// Objects share turns by chance; so many that few of those that are written at once do.
const STRIPES: usize = 4096;

/// See the module.
pub(super) struct Turns {
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits for the turn of this object. Nobody may ask for a second one while holding one: it may be the same.
    pub(super) async fn of(&self, kind: &Kind, namespace: &str, name: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one((kind.id, namespace, name));
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or_default();
        match self.stripes.get(stripe) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        }
    }
}
