//! Namespaces that are being deleted: their content goes first, then the finalizer, then they themselves.

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::delete::AT_ONCE;
use super::finish::Change;
use super::{Error, Objects, Request};
use crate::audit::RequestFacts;
use crate::model::kinds;
use crate::model::validation::options::DeleteOptions;
use crate::rbac::{Attributes, Permit};
use crate::store::{Flags, Range};

impl Objects {
    /// Names of the namespaces that are being deleted.
    pub fn terminating_namespaces(&self) -> Vec<String> {
        let terminating =
            self.store.live(kinds::NAMESPACE.id).into_iter().filter(|entry| entry.flags.has(Flags::TERMINATING));
        terminating.filter_map(|entry| self.store.row(entry.revision).ok()).map(|row| row.name.to_string()).collect()
    }

    /// Deletes what is in a terminating namespace, then its finalizer `kubernetes`, then the namespace.
    ///
    /// `cause` is the permit of the request that deleted the namespace, or of the server at its start.
    /// Objects held by finalizers of their own keep the namespace: it is tried again when one of them goes.
    #[expect(clippy::disallowed_methods, reason = "the namespace's own object is changed")]
    pub async fn empty_namespace(&self, cause: &Permit, facts: &RequestFacts, namespace: &str) -> Result<bool, Error> {
        let mut held = false;
        for kind in kinds::KINDS.iter().copied().filter(|kind| kind.stored && kind.namespaced) {
            let Ok(snapshot) = self.store.snapshot(kind.id, &Range { namespace: Some(namespace), ..Range::default() })
            else {
                continue;
            };
            let deletions = stream::iter(snapshot.revisions).map(|revision| async move {
                let Ok(row) = self.store.row_in_passing(revision) else { return Ok(false) };
                let attributes = Attributes::object("delete", kind, namespace, &row.name);
                let permit = cause.consequence("namespace-controller", attributes);
                match self.delete(Request { permit: &permit, facts }, &DeleteOptions::default()).await {
                    Ok(super::Deleted::Terminating(_)) => Ok(true),
                    Ok(_) | Err(Error::NotFound(_)) => Ok(false),
                    Err(error) => Err(error),
                }
            });
            let mut outcomes = std::pin::pin!(deletions.buffered(AT_ONCE));
            while let Some(waits) = outcomes.next().await {
                held |= waits?;
            }
        }
        if held {
            return Ok(false);
        }
        let attributes = Attributes::object("update", &kinds::NAMESPACE, "", namespace);
        let permit = cause.consequence("namespace-controller", attributes);
        let request = Request { permit: &permit, facts };
        let loaded = match self.get(request) {
            Ok(loaded) => loaded,
            Err(Error::NotFound(_)) => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut document = self.document(&loaded)?;
        let object = document.expose_mut();
        if let Some(finalizers) = object.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|name| name.as_str() != Some("kubernetes"));
        }
        let revision = loaded.row_revision();
        let gone = super::update::finalizers_left(&kinds::NAMESPACE, object) == 0;
        let change = if gone {
            Change::delete(&kinds::NAMESPACE, "", object, revision)
        } else {
            Change::replace(&kinds::NAMESPACE, "", object, revision)
        };
        self.commit(request, change, false).await?;
        Ok(gone)
    }
}
