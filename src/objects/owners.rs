//! Owners and dependents: what becomes of objects that name a deleted one in `metadata.ownerReferences`.
//!
//! As Kubernetes' garbage collector, but at once: a dependent goes with its only owner; one that has other owners, or
//! whose owner was deleted with `propagationPolicy: Orphan`, stays and loses the reference. An object of a namespace
//! owns nothing outside it.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

use super::create::{remove, set, text};
use super::finish::Change;
use super::live::Loaded;
use super::{Error, Objects, Request};
use crate::model::kinds::{self, Kind};
use crate::model::validation::options::DeleteOptions;
use crate::rbac::Attributes;
use crate::store::Flags;

/// Who settles dependents, as the audit shows it.
const COMPONENT: &str = "garbage-collector";

/// The uids that some object has named as its owner, so that deleting anything else reads nothing. It only ever
/// answers "perhaps" or "certainly not": uids are added and never removed while the server runs.
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

impl Objects {
    /// Deletes or releases the dependents of an object that is gone. Best effort: what fails is logged and stays.
    pub(super) async fn settle_dependents(&self, request: Request<'_>, owner: &Value, orphans: bool) {
        let Some(uid) = text(owner, "uid").filter(|uid| self.owners.mentions(uid)) else { return };
        let scope = request.namespace();
        for kind in kinds::KINDS.iter().copied().filter(|kind| kind.stored && (scope.is_empty() || kind.namespaced)) {
            for entry in self.store.live(kind.id).into_iter().filter(|entry| entry.flags.has(Flags::OWNED)) {
                let Ok(loaded) = self.load_in_passing(kind, entry.revision) else { continue };
                let in_scope = scope.is_empty() || scope == loaded.namespace();
                if !in_scope || !loaded.mentions(uid) {
                    continue;
                }
                if Box::pin(self.settle_dependent(request, kind, &loaded, uid, orphans)).await.is_err() {
                    tracing::warn!(object.kind = kind.kind, "a dependent of a deleted object could not be settled");
                }
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the dependent is changed")]
    async fn settle_dependent(
        &self,
        request: Request<'_>,
        kind: &'static Kind,
        loaded: &Loaded,
        uid: &str,
        orphans: bool,
    ) -> Result<(), Error> {
        let mut document = self.document(loaded)?;
        let object = document.expose_mut();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_gone = |owner: &Value| owner.get("uid").and_then(Value::as_str) == Some(uid);
        let others: Vec<Value> = owners.iter().filter(|owner| !is_gone(owner)).cloned().collect();
        if others.len() == owners.len() {
            return Ok(());
        }
        let (namespace, name) = (loaded.namespace(), loaded.name());
        let verb = if others.is_empty() && !orphans { "delete" } else { "update" };
        let permit = request.permit.consequence(COMPONENT, Attributes::object(verb, kind, namespace, name));
        let settling = Request { permit: &permit, facts: request.facts };
        if verb == "delete" {
            return self.delete(settling, &DeleteOptions::default()).await.map(|_| ());
        }
        if others.is_empty() {
            remove(object, "ownerReferences");
        } else {
            set(object, "ownerReferences", json!(others));
        }
        let change = Change::replace(kind, namespace, object, loaded.row_revision());
        let change = self.chronicled(settling, change, Some((loaded, object)), Some(object))?;
        self.commit(settling, change, false).await.map(|_| ())
    }
}
