//! The Secret of an object: opened, and written by server-side apply, so that what is asked for no more goes, and what
//! others have put there stays.
//!
//! What it never does: touch another Secret than the one that is named, which is what its permits are for, or write one
//! that has changed since it was looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::COMPONENT;
use super::failure::Failure;
use crate::audit::RequestFacts;
use crate::clock::rfc3339;
use crate::model::certificate::SecretTemplate;
use crate::model::kinds::SECRET;
use crate::model::secret_owner::Marks;
use crate::model::user::User;
use crate::model::validation::options;
use crate::objects::{Error, Objects, PatchBody, PatchType, Request};
use crate::rbac::{self, Attributes, Permit, Policy};
use crate::sensitive::{Document, SecretBytes};

/// A Secret as it is.
pub struct Found {
    document: Document,
    revision: u64,
    /// Whose it is.
    pub marks: Marks,
    /// Its keys.
    pub keys: BTreeSet<String>,
}

impl Found {
    /// The value of a key.
    #[expect(clippy::disallowed_methods, reason = "the controller reads what it wrote, or its issuer's pair")]
    pub fn value(&self, key: &str) -> Option<SecretBytes> {
        let text = self.document.expose().get("data")?.get(key)?.as_str()?;
        let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
        STANDARD.decode_vec(text, &mut decoded).ok()?;
        Some(SecretBytes::new(std::mem::take(&mut *decoded)))
    }
}

/// What a Secret is to be.
pub struct Wanted<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub secret_type: &'a str,
    pub template: &'a SecretTemplate,
    pub marks: &'a Marks,
    pub data: Vec<(String, SecretBytes)>,
}

/// The Secret of this name; `None` if there is none.
///
/// # Errors
/// It cannot be read now.
#[expect(clippy::disallowed_methods, reason = "marks and names of keys are no values")]
pub fn find(objects: &Objects, namespace: &str, name: &str) -> Result<Option<Found>, Failure> {
    let permit = permit("get", namespace, name)?;
    let facts = RequestFacts::own(objects.unix_millis());
    let loaded = match objects.get(Request { permit: &permit, facts: &facts }) {
        Ok(loaded) => loaded,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(_) => return Err(Failure::unreadable()),
    };
    let document = objects.document(&loaded).map_err(|_| Failure::unreadable())?;
    let marks = Marks::of(document.expose());
    let data = document.expose().get("data").and_then(Value::as_object);
    let keys = data.into_iter().flatten().map(|(key, _)| key.clone()).collect();
    Ok(Some(Found { document, revision: loaded.revision(), marks, keys }))
}

/// Writes the Secret as it is to be: `found` is what it is now, and must still be.
///
/// # Errors
/// It has changed, or is not taken.
pub async fn write(objects: &Objects, wanted: Wanted<'_>, found: Option<&Found>) -> Result<(), Failure> {
    let (namespace, name) = (wanted.namespace, wanted.name);
    let facts = RequestFacts::own(objects.unix_millis());
    let mut options = options::create(&[]).map_err(|_| Failure::new("Internal", "the options of no query"))?;
    COMPONENT.clone_into(&mut options.field_manager);
    options.force = true;
    let body = PatchBody { patch_type: PatchType::Apply, document: configuration(wanted, found) };
    let written = if found.is_some() {
        let permit = permit("patch", namespace, name)?;
        objects.patch(Request { permit: &permit, facts: &facts }, &body, &options, &mut Vec::new()).await.map(drop)
    } else {
        let permit = permit("create", namespace, name)?;
        objects
            .apply_create(Request { permit: &permit, facts: &facts }, &body, &options, &mut Vec::new())
            .await
            .map(drop)
    };
    written.map_err(|error| Failure::of_write(&error))
}

#[expect(clippy::disallowed_methods, reason = "the values go into the Secret that they were made for")]
fn configuration(wanted: Wanted<'_>, found: Option<&Found>) -> Document {
    let mut annotations: Map<String, Value> =
        wanted.template.annotations.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    annotations.extend(wanted.marks.annotations(rfc3339));
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), wanted.name.into());
    metadata.insert("namespace".to_owned(), wanted.namespace.into());
    metadata.insert("annotations".to_owned(), annotations.into());
    if !wanted.template.labels.is_empty() {
        metadata.insert("labels".to_owned(), json!(wanted.template.labels));
    }
    if let Some(found) = found {
        metadata.insert("resourceVersion".to_owned(), found.revision.to_string().into());
    }
    let data: Map<String, Value> =
        wanted.data.into_iter().map(|(key, value)| (key, STANDARD.encode(value.expose()).into())).collect();
    Document::new(json!({
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": metadata,
        "type": wanted.secret_type,
        "data": data,
    }))
}

/// For this Secret and this verb alone.
pub fn permit(verb: &str, namespace: &str, name: &str) -> Result<Permit, Failure> {
    let attributes = Attributes::object(verb, &SECRET, namespace, name);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system(COMPONENT)), attributes)
        .map_err(|_| Failure::new("Internal", "the controller may not write Secrets"))
}
