//! `delete` and `deletecollection`.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::create::{set, text};
use super::finish::{Change, Outcome};
use super::kms_keys::may_delete;
use super::live::Loaded;
use super::update::{MODIFIED, finalizers_left};
use super::{Error, Objects, PageRequest, Request, Resource};
use crate::model::kinds::{self, Kind};
use crate::model::validation::options::{DeleteOptions, Propagation};
use crate::sensitive::Document;

/// Namespaces that cannot be deleted, as in Kubernetes.
const PROTECTED_NAMESPACES: &[&str] = &["default", "kube-system", "kube-public"];
/// Attempts at a deletion whose object keeps changing under it: a commit lies between two of them.
const ATTEMPTS: usize = 1_000;
/// Deletions that wait for the disk together.
pub(super) const AT_ONCE: usize = 64;

/// What a delete did.
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Loaded),
    /// Finalizers hold it: it is marked and stays until they are removed.
    Terminating(Loaded),
    /// A dry run: the object as it would be left, and whether it would be gone.
    DryRun(Document, bool),
}

/// What a deletecollection selects.
#[derive(Debug, Default)]
pub struct CollectionOptions {
    /// Selectors.
    pub page: PageRequest,
    /// Options of each delete.
    pub delete: DeleteOptions,
}

impl Objects {
    /// Deletes the object that the permit names.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it deletes")]
    pub async fn delete(&self, request: Request<'_>, options: &DeleteOptions) -> Result<Deleted, Error> {
        let kind = request.kind()?;
        let name = request.permit.name();
        if kind.id == kinds::NAMESPACE.id && PROTECTED_NAMESPACES.contains(&name) {
            return Err(Error::Forbidden(Resource::new(kind, name), "this namespace may not be deleted".to_owned()));
        }
        for _ in 0..ATTEMPTS {
            let loaded = self.get(request)?;
            let document = self.document(&loaded)?;
            preconditions(kind, name, document.expose(), options)?;
            may_delete(kind, name, document.expose())?;
            match self.delete_version(request, loaded, document, options).await {
                Err(Error::Conflict(_, text)) if text == MODIFIED => {}
                other => return other,
            }
        }
        Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()))
    }

    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it deletes")]
    async fn delete_version(
        &self,
        request: Request<'_>,
        loaded: Loaded,
        mut document: Document,
        options: &DeleteOptions,
    ) -> Result<Deleted, Error> {
        let kind = request.kind()?;
        let namespace = request.namespace();
        let revision = loaded.row_revision();
        let object = document.expose_mut();
        if finalizers_left(kind, object) == 0 {
            let change = Change::delete(kind, namespace, object, revision);
            let change = self.chronicled(request, change, Some((&loaded, object)), None)?;
            return match self.commit(request, change, options.dry_run).await? {
                Outcome::Stored(last) => {
                    self.settle_dependents(request, document.expose(), orphans(options)).await;
                    Ok(Deleted::Gone(last))
                }
                Outcome::DryRun => Ok(Deleted::DryRun(document, true)),
            };
        }
        if text(object, "deletionTimestamp").is_some() {
            return Ok(Deleted::Terminating(loaded));
        }
        set(object, "deletionTimestamp", Value::from(self.now()));
        if kind.id == kinds::NAMESPACE.id {
            if let Some(fields) = object.as_object_mut() {
                fields.insert("status".to_owned(), serde_json::json!({"phase": "Terminating"}));
            }
        } else {
            set(object, "deletionGracePeriodSeconds", Value::from(0));
        }
        let change = Change::replace(kind, namespace, object, revision);
        let change = self.chronicled(request, change, Some((&loaded, object)), Some(object))?;
        match self.commit(request, change, options.dry_run).await? {
            Outcome::Stored(loaded) => Ok(Deleted::Terminating(loaded)),
            Outcome::DryRun => Ok(Deleted::DryRun(document, false)),
        }
    }

    /// Deletes what the selectors match in the collection that the permit names; the objects as they were.
    pub async fn delete_collection(
        &self,
        request: Request<'_>,
        options: &CollectionOptions,
    ) -> Result<(u64, Vec<Loaded>), Error> {
        let kind = request.kind()?;
        let page = self.list(request, &options.page)?;
        let deletions = stream::iter(page.rows).map(|revision| async move {
            let loaded = self.load_in_passing(kind, revision)?;
            let permit = request.permit.consequence_of_collection(loaded.namespace(), loaded.name());
            let one = Request { permit: &permit, facts: request.facts };
            match self.delete(one, &options.delete).await {
                Ok(Deleted::Gone(last) | Deleted::Terminating(last)) => Ok(Some(last)),
                Ok(Deleted::DryRun(..)) => Ok(Some(loaded)),
                Err(Error::NotFound(_)) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let deleted = deletions.buffered(AT_ONCE).try_filter_map(|last| std::future::ready(Ok(last)));
        let deleted = deleted.try_collect().await?;
        Ok((self.revision(), deleted))
    }
}

fn orphans(options: &DeleteOptions) -> bool {
    options.propagation == Some(Propagation::Orphan) || options.orphan_dependents == Some(true)
}

fn preconditions(kind: &'static Kind, name: &str, object: &Value, options: &DeleteOptions) -> Result<(), Error> {
    let stored_uid = text(object, "uid").unwrap_or_default();
    let stored_revision = text(object, "resourceVersion").unwrap_or_default();
    if let Some(uid) = options.precondition_uid.as_deref().filter(|uid| *uid != stored_uid) {
        return Err(Error::DeletePrecondition(
            Resource::new(kind, name),
            format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({stored_uid}). The object might have been deleted and then recreated"
            ),
        ));
    }
    if let Some(revision) = options.precondition_resource_version.as_deref().filter(|asked| *asked != stored_revision) {
        return Err(Error::DeletePrecondition(
            Resource::new(kind, name),
            format!(
                "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({stored_revision}). The object might have been modified"
            ),
        ));
    }
    Ok(())
}
