//! `create`: POST to a collection.

use serde_json::{Value, json};

use super::finish::{Change, Outcome};
use super::live::Loaded;
use super::{Error, Objects, Request, Resource};
use crate::model::defaults;
use crate::model::kinds::Kind;
use crate::model::validation::options::WriteOptions;
use crate::model::validation::{self, names};
use crate::sensitive::Document;

/// Attempts at a generated name before the collision is reported, as in Kubernetes.
const GENERATE_NAME_ATTEMPTS: usize = 8;

/// An object that was created, or would have been.
pub enum Created {
    /// Stored.
    Stored(Loaded),
    /// A dry run: what would have been stored, without a revision.
    DryRun(Document),
}

impl Objects {
    /// Creates the object in `document`, which was decoded and checked against its kind's shape.
    ///
    /// Warnings for the client are pushed to `warnings`.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it was given")]
    pub async fn create(
        &self,
        request: Request<'_>,
        mut document: Document,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Created, Error> {
        let kind = request.kind()?;
        let object = document.expose_mut();
        let generated = self.prepare(kind, request.namespace(), object)?;
        warnings.extend(validation::warnings_create(kind, object));
        warnings.extend(self.warning_of_no_token(kind, object));
        defaults::apply_defaults(kind, object);
        self.owners.note(object);
        self.admit(request, kind, None, object)?;
        super::fields::track_update(
            kind.message,
            None,
            object,
            &Self::writer(kind, request, &options.field_manager, &self.now()),
        );
        for attempt in 1.. {
            if let Some(base) = &generated {
                set(object, "name", Value::from(names::generate_name(base, &random_bytes()?)));
                defaults::apply_defaults(kind, object);
            }
            let errors = validation::validate_create(kind, object);
            let name = name_of(object);
            if !errors.is_empty() {
                return Err(Error::Invalid(Resource::new(kind, &name), errors));
            }
            let terms = self.begin_kms_key(kind, object)?;
            let change = Change::create(kind, request.namespace(), object).with_state(terms);
            let change = self.chronicled(request, change, None, Some(object))?;
            match self.commit(request, change, options.dry_run).await {
                Ok(Outcome::Stored(loaded)) => return Ok(Created::Stored(loaded)),
                Ok(Outcome::DryRun) => return Ok(Created::DryRun(document)),
                Err(Error::AlreadyExists(..)) if generated.is_some() && attempt < GENERATE_NAME_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Internal("name generation ended"))
    }

    /// Sets what the server decides, drops what the client may not; returns the base of a name to generate.
    pub(super) fn prepare(
        &self,
        kind: &'static Kind,
        namespace: &str,
        object: &mut Value,
    ) -> Result<Option<String>, Error> {
        if text(object, "resourceVersion").is_some() {
            return Err(Error::BadRequest("resourceVersion should not be set on objects to be created".to_owned()));
        }
        if kind.namespaced {
            match text(object, "namespace") {
                Some(sent) if sent != namespace => {
                    return Err(Error::BadRequest(validation::NAMESPACE_MISMATCH.to_owned()));
                }
                _ => set(object, "namespace", Value::from(namespace)),
            }
        }
        defaults::prepare_for_create(kind, object);
        set(object, "uid", Value::from(uid_text(&make_uid()?)));
        set(object, "creationTimestamp", Value::from(self.now()));
        if text(object, "name").is_some() {
            return Ok(None);
        }
        Ok(text(object, "generateName").map(str::to_owned))
    }
}

/// A non-empty string field of `metadata`.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// `metadata.name`, or `""`.
pub(super) fn name_of(object: &Value) -> String {
    text(object, "name").unwrap_or_default().to_owned()
}

/// Sets a field of `metadata`, which is made where it is missing.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    let Some(fields) = object.as_object_mut() else { return };
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert(field.to_owned(), value);
    }
}

/// Removes a field of `metadata`.
pub(super) fn remove(object: &mut Value, field: &str) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.shift_remove(field)
}

fn random_bytes() -> Result<[u8; 5], Error> {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).map_err(|_| Error::Internal("no randomness"))?;
    Ok(bytes)
}

/// A version 4 UUID (RFC 9562).
pub(super) fn make_uid() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Internal("no randomness"))?;
    Ok(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
}

/// A uid as objects show it.
pub(super) fn uid_text(uid: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*uid).to_string()
}

/// A uid as rows hold it; `None` if the text is none.
pub(super) fn parse_uid(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes)
}
