//! Who may do what and who is who, as the store says now: roles, bindings and users, opened and put in order.
//!
//! Derived from the store's log of changes and from nothing else. [`Objects::access`] never answers with less than
//! what was acknowledged before it was called: a revocation works on the very next request. A row that does not pass
//! authentication grants nothing and is nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value;

use super::Objects;
use crate::model::kinds::{self, ACCESS_KINDS, Kind};
use crate::model::user::UserAccount;
use crate::rbac::{Policy, PolicySet};
use crate::store::{Operation, SealedRow};

/// One state of everything that decides access.
pub struct Access {
    /// The store's revision that it is of, or a later one.
    pub revision: u64,
    /// Roles and bindings.
    pub policy: Arc<Policy>,
    /// Users by name.
    pub users: Arc<HashMap<String, Arc<UserAccount>>>,
}

/// The latest [`Access`], and what it is made of.
pub(super) struct AccessFeed {
    latest: RwLock<Arc<Access>>,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    /// Changes up to this revision are in; `None` before anything was read.
    revision: Option<u64>,
    policy: PolicySet,
    users: HashMap<String, Arc<UserAccount>>,
}

impl Default for AccessFeed {
    fn default() -> Self {
        let access = Access { revision: 0, policy: Arc::new(Policy::empty()), users: Arc::default() };
        Self { latest: RwLock::new(Arc::new(access)), sources: Mutex::default() }
    }
}

impl Objects {
    /// Revision of the last change of what decides access.
    pub fn access_revision(&self) -> u64 {
        self.store.access_revision()
    }

    /// Uid of the object of this name, if it exists now.
    pub fn uid(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<String> {
        let entry = self.store.find(kind.id, namespace, name).ok()??;
        let row = self.store.row(entry.revision).ok()?;
        Some(super::create::uid_text(&row.uid))
    }

    /// What decides access now.
    pub fn access(&self) -> Arc<Access> {
        let wanted = self.store.access_revision();
        {
            let latest = self.access.latest.read().unwrap_or_else(PoisonError::into_inner);
            if latest.revision >= wanted && latest.revision > 0 {
                return Arc::clone(&latest);
            }
        }
        let mut sources = self.access.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.store.access_revision();
        if sources.revision.is_none_or(|revision| revision < until) {
            self.catch_up(&mut sources, until);
            let access = Access {
                revision: until,
                policy: Arc::new(sources.policy.compile()),
                users: Arc::new(sources.users.clone()),
            };
            *self.access.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        }
        Arc::clone(&self.access.latest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in every change up to `until`. Later ones that are taken in too do no harm: they are taken in again.
    fn catch_up(&self, sources: &mut Sources, until: u64) {
        let known = sources.revision.replace(until);
        for kind in ACCESS_KINDS.iter().copied() {
            let changes = known.map(|after| self.store.replay(kind.id, None, after));
            if let Some(Ok(changes)) = changes {
                for change in changes {
                    let Ok(row) = self.store.row(change.revision) else {
                        // Compacted away, so a later change of the same name follows; or damaged, so read all again.
                        self.read_all(kind, sources);
                        break;
                    };
                    self.take_in(kind, change.op, row, sources);
                }
            } else {
                self.read_all(kind, sources);
            }
        }
    }

    fn read_all(&self, kind: &'static Kind, sources: &mut Sources) {
        sources.forget(kind);
        for entry in self.store.live(kind.id) {
            if let Ok(row) = self.store.row_in_passing(entry.revision) {
                self.take_in(kind, Operation::Put, row, sources);
            } else {
                tracing::error!(object.kind = kind.kind, "a stored row is damaged and grants nothing");
            }
        }
    }

    fn take_in(&self, kind: &'static Kind, op: Operation, row: Arc<SealedRow>, sources: &mut Sources) {
        let (namespace, name) = (Arc::clone(&row.namespace), Arc::clone(&row.name));
        let refused = self.store.find(kind.id, &namespace, &name).is_err();
        let object = match op {
            Operation::Put if !refused => self.open(kind, row).and_then(|loaded| loaded.bare()).ok(),
            _ => None,
        };
        sources.put(kind, &namespace, &name, object.as_ref());
    }
}

impl Sources {
    fn put(&mut self, kind: &'static Kind, namespace: &str, name: &str, object: Option<&Value>) {
        if kind.id == kinds::USER.id {
            match object {
                Some(object) => drop(self.users.insert(name.to_owned(), Arc::new(UserAccount::parse(object)))),
                None => drop(self.users.remove(name)),
            }
            return;
        }
        match object {
            Some(object) => self.policy.put(kind, namespace, name, object),
            None => self.policy.remove(kind, namespace, name),
        }
    }

    fn forget(&mut self, kind: &'static Kind) {
        if kind.id == kinds::USER.id {
            self.users.clear();
        } else {
            self.policy.remove_all(kind);
        }
    }
}
