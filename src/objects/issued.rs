//! Objects that a controller follows and whose status it writes, and who may write those that make Secrets.

use std::sync::Arc;

use serde_json::Value;

use super::create::{remove, text};
use super::{Error, Objects, Request};
use crate::audit::RequestFacts;
use crate::model::kinds::{CERTIFICATE, Kind, SECRET};
use crate::model::secret_owner::requested;
use crate::model::user::User;
use crate::model::validation::options;
use crate::rbac::{self, Attributes, Policy};

impl Objects {
    /// A Certificate and a GeneratedSecret write the Secret that they name, and a certificate is signed with the key that
    /// it names: whoever writes one must be allowed to do so themselves. Asked for at every change of what is written.
    pub(super) fn admit_issued(
        &self,
        request: Request<'_>,
        kind: &'static Kind,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Error> {
        if old.is_some_and(|old| old.get("spec") == new.get("spec") && requested(old) == requested(new)) {
            return Ok(());
        }
        let namespace = request.namespace();
        let name = new.pointer("/spec/secretName").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            // Validation says so.
            return Ok(());
        }
        // A right to create is never one to a name.
        self.needs(request, &Attributes::object("create", &SECRET, namespace, ""))?;
        self.needs(request, &Attributes::object("update", &SECRET, namespace, name))?;
        let issuer = new.pointer("/spec/issuerRef").unwrap_or(&Value::Null);
        let field = |field: &str| issuer.get(field).and_then(Value::as_str).unwrap_or_default();
        if kind.id == CERTIFICATE.id && field("kind") == "Secret" && !field("name").is_empty() {
            self.needs(request, &Attributes::object("get", &SECRET, namespace, field("name")))?;
        }
        Ok(())
    }

    /// Namespaces and names of all objects of a kind.
    pub fn names_of(&self, kind: &'static Kind) -> Vec<(String, String)> {
        let live = self.store.live(kind.id).into_iter();
        let rows = live.filter_map(|entry| self.store.row_in_passing(entry.revision).ok());
        rows.map(|row| (row.namespace.to_string(), row.name.to_string())).collect()
    }

    /// An object without its values, as it is now; `None` if there is none, or it cannot be read.
    pub fn bare_object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Value> {
        let entry = self.store.find(kind.id, namespace, name).ok()??;
        self.load(kind, name, entry.revision).and_then(|loaded| loaded.bare()).ok()
    }

    /// The latest version of a Secret, and all of them; for who follows when they end. What cannot be read is left out.
    pub fn secret_in_passing(&self, namespace: &str, name: &str) -> Option<super::Loaded> {
        let entry = self.store.find(SECRET.id, namespace, name).ok()??;
        self.load_in_passing(&SECRET, entry.revision).ok()
    }

    /// See [`Objects::secret_in_passing`].
    pub fn secrets_in_passing(&self) -> impl Iterator<Item = super::Loaded> + '_ {
        let live = self.store.live(SECRET.id).into_iter();
        live.filter_map(|entry| self.load_in_passing(&SECRET, entry.revision).ok())
    }

    /// Writes the status of an object in the name of a controller, `component`, if it still is the object of this uid.
    #[expect(clippy::disallowed_methods, reason = "no kind with a status of its own holds secret values")]
    pub async fn write_status(
        &self,
        component: &str,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        uid: &str,
        status: Value,
    ) -> Result<(), Error> {
        let mut attributes = Attributes::object("update", kind, namespace, name);
        "status".clone_into(&mut attributes.subresource);
        let permit = rbac::authorize(&Policy::empty(), &Arc::new(User::system(component)), attributes);
        let permit = permit.map_err(|denial| Error::Denied(Box::new(denial)))?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        let request = Request { permit: &permit, facts: &facts };
        let mut options = options::create(&[]).map_err(|_| Error::Internal("the options of no query"))?;
        component.clone_into(&mut options.field_manager);
        let mut document = self.document(&self.get(request)?)?;
        if text(document.expose(), "uid") != Some(uid) {
            return Err(Error::NotFound(request.resource()?));
        }
        if let Some(fields) = document.expose_mut().as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        // Of nobody's revision: whatever else changes meanwhile is not touched by it.
        remove(document.expose_mut(), "resourceVersion");
        self.update(request, document, &options, &mut Vec::new()).await.map(drop)
    }
}
