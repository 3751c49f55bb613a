//! What a request means for an object. Plaintext exists here only while a request is answered.
//!
//! One file per verb. Every verb takes a [`Request`], whose permit names what it is allowed to touch; kind,
//! namespace and name are read from the permit and from nowhere else.

mod access;
mod admission;
mod aggregation;
mod clusters;
pub mod controllers;
mod create;
mod cursor;
mod delete;
mod deleted_sources;
mod error;
mod events;
pub mod fields;
mod finish;
mod history;
mod import;
mod issued;
mod kms_keys;
mod list;
mod live;
mod namespaces;
mod owners;
pub mod patch;
mod read;
pub mod record;
mod token_secrets;
mod trail;
mod turns;
mod update;
mod users;
pub mod watch;

use std::sync::Arc;

pub use self::access::Access;
use self::access::AccessFeed;
pub use self::clusters::{ClusterError, ClusterTarget};
pub use self::create::Created;
pub use self::delete::{CollectionOptions, Deleted};
pub use self::deleted_sources::DeletedSource;
pub use self::error::{Error, Resource};
pub use self::events::{Involved, Occurrence, Recorder};
use self::history::History;
pub use self::history::{CURRENT, DestroyedRevision, RevisionPage, SecretRevision};
pub use self::import::{ImportOptions, ImportOutcome, Imported, ToImport};
pub use self::kms_keys::KmsKey;
pub use self::list::{Page, PageRequest};
pub use self::live::Loaded;
use self::owners::Owners;
pub use self::token_secrets::{MakeToken, TokenSecret};
use self::turns::Turns;
pub use self::update::{PatchBody, PatchType, Updated};
use crate::audit::RequestFacts;
use crate::clock::{SharedClock, rfc3339};
use crate::crypto::Keyring;
use crate::model::kinds::{self, Kind};
use crate::rbac::Permit;
use crate::store::{Flags, Store};

/// The objects of one store.
pub struct Objects {
    store: Store,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    owners: Owners,
    access: AccessFeed,
    turns: Turns,
    history: History,
    /// `None` where Secrets of service accounts are not filled.
    make_token: Option<MakeToken>,
}

/// An allowed request: the proof that it is, and what is recorded of it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What was allowed, to whom.
    pub permit: &'a Permit,
    /// Where it came from.
    pub facts: &'a RequestFacts,
}

impl<'a> Request<'a> {
    /// Namespace of what is asked for, or `""`. A namespace lies in none, though its attributes name itself as one.
    fn namespace(&self) -> &'a str {
        self.permit.kind().filter(|kind| kind.namespaced).map_or("", |_| self.permit.namespace())
    }

    fn kind(&self) -> Result<&'static Kind, Error> {
        self.permit.kind().filter(|kind| kind.stored).ok_or(Error::Internal("a permit for objects without a kind"))
    }

    fn resource(&self) -> Result<Resource, Error> {
        Ok(Resource::new(self.kind()?, self.permit.name()))
    }
}

impl Objects {
    /// The objects of an open store. Reads the owners that its objects name.
    pub fn new(store: Store, keyring: Arc<Keyring>, clock: SharedClock) -> Self {
        let (owners, access) = (Owners::default(), AccessFeed::default());
        let (turns, history) = (Turns::default(), History::default());
        let objects = Self { store, keyring, clock, owners, access, turns, history, make_token: None };
        for kind in kinds::KINDS.iter().copied().filter(|kind| kind.stored) {
            for entry in objects.store.live(kind.id).into_iter().filter(|entry| entry.flags.has(Flags::OWNED)) {
                // A row that does not open was reported when the store was scanned.
                if let Ok(object) = objects.load(kind, "", entry.revision).and_then(|loaded| loaded.bare()) {
                    objects.owners.note(&object);
                }
            }
        }
        objects
    }

    /// The latest revision.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// The oldest revision that can be listed and watched from.
    pub fn compacted(&self) -> u64 {
        self.store.compacted()
    }

    /// Number of rows that did not pass authentication when the store was opened.
    pub fn rows_withheld(&self) -> usize {
        self.store.findings().damaged.len() + self.store.findings().in_refused.len()
    }

    /// Whether rows were missing or changed from outside when the store was opened. What is missing has no place in a list
    /// that could be left out: a list may lack it without knowing.
    pub fn may_lack_objects(&self) -> bool {
        self.store.findings().refused_buckets() > 0
    }

    /// Number of things that were found changed from outside since the store was opened.
    pub fn incidents(&self) -> usize {
        *self.store.incidents().borrow()
    }

    /// Why nothing more is written since something was found changed from outside, and what to do about it.
    pub fn incident_refusal(&self) -> Option<&'static str> {
        self.store.incident_refusal()
    }

    /// Why nothing can be written now, and what to do about it.
    pub fn write_refusal(&self) -> Option<&'static str> {
        self.store.refusal()
    }

    /// Number of objects of a kind.
    pub fn count(&self, kind: &Kind) -> usize {
        self.store.count(kind.id)
    }

    /// Milliseconds since the epoch by the clock of these objects.
    pub fn unix_millis(&self) -> i64 {
        self.clock.unix_millis()
    }

    fn now(&self) -> String {
        rfc3339(self.clock.unix_seconds())
    }
}

/// A keyring for the tests of controllers, which know nothing of keys.
#[cfg(test)]
pub fn test_keyring() -> Option<Arc<Keyring>> {
    Keyring::make(0).ok().map(Arc::new)
}
