//! `update` and `patch`: PUT, the three patches, and server-side apply.

use serde_json::Value;

use super::admission::names_values;
use super::create::{Created, name_of, remove, set, text};
use super::finish::{Change, Outcome};
use super::kms_keys::may_delete;
use super::live::Loaded;
use super::patch::{self, PatchError};
use super::{Error, Objects, Request, Resource, fields};
use crate::codec::typed;
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, Kind};
use crate::model::validation::options::{FieldValidation, WriteOptions};
use crate::model::{defaults, validation};
use crate::sensitive::{Document, wipe};

/// Kubernetes' text for a write against an older version.
pub(super) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Attempts at a patch whose object keeps changing under it.
const ATTEMPTS: usize = 16;

/// Which patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902
    Json,
    /// RFC 7396
    Merge,
    /// Kubernetes' strategic merge patch.
    Strategic,
    /// Server-side apply (KEP-555).
    Apply,
}

/// A decoded patch.
pub struct PatchBody {
    /// Which patch.
    pub patch_type: PatchType,
    /// Its document.
    pub document: Document,
}

/// What a write made of an object.
pub enum Updated {
    /// Stored, or found to be stored already.
    Stored {
        /// The object as it now is.
        object: Loaded,
        /// It did not exist before.
        created: bool,
    },
    /// A dry run: what would have been stored.
    DryRun {
        /// The object as it would be, with its present revision.
        document: Document,
        /// It does not exist.
        created: bool,
    },
}

/// The object as it is, for a write to build on.
struct Live {
    loaded: Loaded,
    document: Document,
    /// For a caller who names values and may not see them: the object with other values. What managers own and whether
    /// there is something to write is judged by it, so that neither tells whether the named values are the stored ones.
    obscured: Option<Document>,
}

impl Objects {
    /// PUT: replaces the object that the permit names.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it was given")]
    pub async fn update(
        &self,
        request: Request<'_>,
        document: Document,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Updated, Error> {
        let kind = request.kind()?;
        same_identity(request, document.expose(), true)?;
        let _turn = self.turns.of(kind, request.namespace(), request.permit.name()).await;
        for _ in 0..ATTEMPTS {
            let Some(mut live) = self.live(request)? else {
                return Err(Error::NotFound(request.resource()?));
            };
            live.obscured = self.obscured(request, live.document.expose())?;
            let mut new = document.duplicate();
            let (object, old) = (new.expose_mut(), live.document.expose());
            self.admit_update(request, old)?;
            if let (Some(sent), Some(stored)) = (text(object, "uid"), text(old, "uid"))
                && sent != stored
            {
                return Err(uid_conflict(kind, request.namespace(), request.permit.name(), sent, stored));
            }
            let locked = revision_lock(kind, object, &live.loaded)?;
            match self.finish(request, &live, new, Tracking::Update, options, warnings).await {
                Err(Error::Conflict(..)) if !locked => {}
                other => return other,
            }
        }
        Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()))
    }

    /// PATCH: applies a patch to the object that the permit names.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the patch and the object it changes")]
    pub async fn patch(
        &self,
        request: Request<'_>,
        body: &PatchBody,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Updated, Error> {
        let kind = request.kind()?;
        let reduced = reduced(kind, &request.permit.attributes().subresource, body);
        let patch = reduced.as_ref().unwrap_or(&body.document).expose();
        let _turn = self.turns.of(kind, request.namespace(), request.permit.name()).await;
        for _ in 0..ATTEMPTS {
            let mut found = Vec::new();
            let Some(mut live) = self.live(request)? else {
                return Err(Error::NotFound(request.resource()?));
            };
            if names_values(body.patch_type, patch) {
                live.obscured = self.obscured(request, live.document.expose())?;
            }
            let old = live.document.expose();
            let (new, tracking) = match body.patch_type {
                PatchType::Apply => {
                    check_config(request, patch, Some(old))?;
                    let now = self.now();
                    let writer = Self::writer(kind, request, &options.field_manager, &now);
                    self.admit_apply(request, old, patch, options.force, &writer)?;
                    let mut applied =
                        fields::apply(kind.message, Some(old), patch, options.force, &writer).map_err(Error::Apply)?;
                    if let Some(other) = &live.obscured {
                        let mut owned = fields::apply(kind.message, Some(other.expose()), patch, true, &writer)
                            .map_err(Error::Apply)?;
                        if let Some(managed) = remove(&mut owned.object, "managedFields") {
                            set(&mut applied.object, "managedFields", managed);
                        }
                        wipe(&mut owned.object);
                    }
                    (Document::new(applied.object), Tracking::Done)
                }
                other => {
                    self.admit_patch(request, old, other, patch)?;
                    let mut new = live.document.duplicate();
                    apply_patch(kind, other, new.expose_mut(), patch, &mut found)
                        .map_err(|error| patch_error(&error))?;
                    (new, Tracking::Update)
                }
            };
            let mut new = new;
            let object = new.expose_mut();
            if body.patch_type != PatchType::Apply && body.patch_type != PatchType::Strategic {
                settle_type(request, object)?;
            }
            let checked = typed::check(kind.message, object).map_err(|error| {
                Error::BadRequest(format!(
                    "{} in version \"{}\" cannot be handled as a {}: {error}",
                    kind.kind, kind.version, kind.kind
                ))
            })?;
            found.extend(checked.unknown.iter().map(|path| format!("unknown field \"{path}\"")));
            strictness(kind, options.field_validation, &found, warnings)?;
            same_identity(request, object, true)?;
            // The object that was patched names its own revision: only one that the patch names is a condition.
            let locked = revision_lock(kind, object, &live.loaded)? && names_revision(body.patch_type, patch);
            match self.finish(request, &live, new, tracking, options, warnings).await {
                Err(Error::Conflict(..)) if !locked => {}
                other => return other,
            }
        }
        Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()))
    }

    /// Server-side apply of an object that does not exist: `None` if it does.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the configuration it was given")]
    pub async fn apply_create(
        &self,
        create: Request<'_>,
        body: &PatchBody,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Updated, Error> {
        let kind = create.kind()?;
        let reduced = reduced(kind, "", body);
        let config = reduced.as_ref().unwrap_or(&body.document).expose();
        check_config(create, config, None)?;
        let now = self.now();
        let writer = Self::writer(kind, create, &options.field_manager, &now);
        let applied = fields::apply(kind.message, None, config, options.force, &writer).map_err(Error::Apply)?;
        let mut document = Document::new(applied.object);
        let object = document.expose_mut();
        typed::check(kind.message, object).map_err(|error| {
            Error::BadRequest(format!(
                "failed to create typed patch object ({}/{}; {}, Kind={}): {error}",
                create.namespace(),
                create.permit.name(),
                kind.api_version,
                kind.kind
            ))
        })?;
        remove(object, "resourceVersion");
        let managed = remove(object, "managedFields");
        self.prepare(kind, create.namespace(), object)?;
        if let Some(managed) = managed {
            set(object, "managedFields", managed);
        }
        warnings.extend(validation::warnings_create(kind, object));
        warnings.extend(self.warning_of_no_token(kind, object));
        defaults::apply_defaults(kind, object);
        self.owners.note(object);
        self.admit(create, kind, None, object)?;
        let errors = validation::validate_create(kind, object);
        if !errors.is_empty() {
            return Err(Error::Invalid(Resource::new(kind, &name_of(object)), errors));
        }
        let terms = self.begin_kms_key(kind, object)?;
        let change = Change::create(kind, create.namespace(), object).with_state(terms);
        let change = self.chronicled(create, change, None, Some(object))?;
        Ok(match self.commit(create, change, options.dry_run).await? {
            Outcome::Stored(object) => Updated::Stored { object, created: true },
            Outcome::DryRun => Updated::DryRun { document, created: true },
        })
    }

    /// Whether the object that the permit names exists.
    pub fn exists(&self, request: Request<'_>) -> Result<bool, Error> {
        let kind = request.kind()?;
        let found = self.store.find(kind.id, request.namespace(), request.permit.name());
        Ok(found.map_err(|error| super::live::read_error(&error, kind, request.permit.name()))?.is_some())
    }

    fn live(&self, request: Request<'_>) -> Result<Option<Live>, Error> {
        match self.get(request) {
            Ok(loaded) => {
                let document = self.document(&loaded)?;
                Ok(Some(Live { loaded, document, obscured: None }))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Defaults, validates, tracks and commits a new version of a live object.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it changes")]
    async fn finish(
        &self,
        request: Request<'_>,
        live: &Live,
        mut new: Document,
        tracking: Tracking,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Updated, Error> {
        let kind = request.kind()?;
        let old = live.document.expose();
        let object = new.expose_mut();
        let attributes = request.permit.attributes();
        let patched = attributes.verb == "patch";
        set(object, "name", Value::from(request.permit.name()));
        if kind.namespaced {
            set(object, "namespace", Value::from(request.namespace()));
        }
        defaults::prepare_for_update(kind, &attributes.subresource, object, old);
        warnings.extend(validation::warnings_update(kind, object, old, patched));
        defaults::apply_defaults(kind, object);
        self.owners.note(object);
        if matches!(tracking, Tracking::Update) {
            let now = self.now();
            let writer = Self::writer(kind, request, &options.field_manager, &now);
            let before = live.obscured.as_ref().map_or(old, Document::expose);
            fields::track_update(kind.message, Some(before), object, &writer);
        }
        self.admit(request, kind, Some(old), object)?;
        let errors = validation::validate_update_subresource(kind, &attributes.subresource, object, old);
        if !errors.is_empty() {
            return Err(Error::Invalid(request.resource()?, errors));
        }
        set(object, "resourceVersion", Value::from(live.loaded.revision().to_string()));
        if (live.obscured.is_none() || options.dry_run) && unchanged(object, old) {
            return Ok(if options.dry_run {
                // What was sent may differ in form from what is stored: for those who may not see whether the values
                // are the same, it is answered with in either case.
                let document = if self.blind(request).is_some() { new } else { live.document.duplicate() };
                Updated::DryRun { document, created: false }
            } else {
                Updated::Stored {
                    object: self.load(kind, request.permit.name(), live.loaded.row_revision())?,
                    created: false,
                }
            });
        }
        let finalized = text(object, "deletionTimestamp").is_some() && finalizers_left(kind, object) == 0;
        let change = if finalized {
            // It may have become forbidden while finalizers held the object.
            may_delete(kind, request.permit.name(), object)?;
            Change::finalize(kind, request.namespace(), object, live.loaded.row_revision())
        } else {
            Change::replace(kind, request.namespace(), object, live.loaded.row_revision())
        };
        // Who may not see values must not see in the history whether they named the stored ones.
        let before = live.obscured.as_ref().map_or(old, Document::expose);
        let after = (!finalized).then_some(&*object);
        let change = self.chronicled(request, change, Some((&live.loaded, before)), after)?;
        Ok(match self.commit(request, change, options.dry_run).await? {
            Outcome::Stored(object) => {
                if finalized {
                    self.settle_dependents(request, old, false).await;
                }
                Updated::Stored { object, created: false }
            }
            Outcome::DryRun => Updated::DryRun { document: new, created: false },
        })
    }
}

enum Tracking {
    /// The managed fields follow from what changed.
    Update,
    /// An apply has settled them.
    Done,
}

/// Finalizers that still hold the object, of its metadata and (a namespace's) of its spec.
pub(super) fn finalizers_left(kind: &'static Kind, object: &Value) -> usize {
    let count = |path: &str| object.pointer(path).and_then(Value::as_array).map_or(0, Vec::len);
    count("/metadata/finalizers") + if kind.id == kinds::NAMESPACE.id { count("/spec/finalizers") } else { 0 }
}

fn unchanged(new: &Value, old: &Value) -> bool {
    let body = |value: &Value| -> Value {
        let mut copy = value.clone();
        if let Some(fields) = copy.as_object_mut() {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
            fields.retain(|_, value| !is_empty(value));
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|_, value| !is_empty(value));
            }
        }
        copy
    };
    let (mut new, mut old) = (body(new), body(old));
    let same = fields::same_but_times(&new, &old);
    wipe(&mut new);
    wipe(&mut old);
    same
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Whether the client asked for a certain version, and an error if the object is not that version.
fn revision_lock(kind: &'static Kind, object: &Value, live: &Loaded) -> Result<bool, Error> {
    let Some(asked) = text(object, "resourceVersion") else { return Ok(false) };
    if asked == "0" {
        return Ok(false);
    }
    let asked: u64 = asked.parse().map_err(|_| {
        Error::BadRequest("metadata.resourceVersion: Invalid value: strconv.ParseUint: invalid syntax".to_owned())
    })?;
    if asked == live.revision() {
        return Ok(true);
    }
    Err(Error::Conflict(Resource::new(kind, &name_of(object)), MODIFIED.to_owned()))
}

/// A configuration of a kind with a status of its own, as far as its path writes it.
#[expect(clippy::disallowed_methods, reason = "the verb reads the configuration it was given")]
fn reduced(kind: &'static Kind, subresource: &str, body: &PatchBody) -> Option<Document> {
    if body.patch_type != PatchType::Apply || kind.subresource("status").is_none() {
        return None;
    }
    let mut config = body.document.duplicate();
    defaults::prepare_for_apply(kind, subresource, config.expose_mut());
    Some(config)
}

/// Whether a patch asks for a certain version.
fn names_revision(patch_type: PatchType, patch: &Value) -> bool {
    match patch_type {
        PatchType::Json => patch.as_array().into_iter().flatten().any(|operation| {
            let path = operation.get("path").and_then(Value::as_str).unwrap_or_default();
            matches!(path, "" | "/metadata" | "/metadata/resourceVersion")
        }),
        _ => text(patch, "resourceVersion").is_some(),
    }
}

impl Objects {
    /// A PUT of an object that is not there, of a kind that it makes then. The permit is one to create it.
    #[expect(clippy::disallowed_methods, reason = "the verb reads the object it was given")]
    pub async fn create_by_update(
        &self,
        request: Request<'_>,
        document: Document,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Created, Error> {
        // What is permitted is the name of the URL.
        same_identity(request, document.expose(), true)?;
        self.create(request, document, options, warnings).await
    }
}

/// Name and namespace of a body must be those of the URL.
fn same_identity(request: Request<'_>, object: &Value, name_required: bool) -> Result<(), Error> {
    let permit = request.permit;
    match text(object, "name") {
        Some(name) if name != permit.name() => {
            return Err(Error::BadRequest(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                permit.name()
            )));
        }
        None if name_required => return Err(nameless(request)),
        _ => {}
    }
    match text(object, "namespace") {
        Some(namespace) if request.kind()?.namespaced && namespace != request.namespace() => {
            Err(Error::BadRequest(validation::NAMESPACE_MISMATCH.to_owned()))
        }
        _ => Ok(()),
    }
}

/// A patch may take the kind away, which is then what the path says, but not make another of it.
fn settle_type(request: Request<'_>, object: &mut Value) -> Result<(), Error> {
    let kind = request.kind()?;
    if let Some(fields) = object.as_object_mut() {
        let found = fields.entry("kind").or_insert(Value::Null);
        if found.is_null() || found == "" {
            *found = kind.kind.into();
        }
    }
    let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("kind") == kind.kind && field("apiVersion") == kind.api_version {
        return Ok(());
    }
    // Without a version Kubernetes finds none of the fields, and says so of the name.
    let has_version = object.get("apiVersion").is_some_and(|version| !version.is_null() && version != "");
    if field("kind") == kind.kind && !has_version {
        return Err(nameless(request));
    }
    let error = FieldError::invalid("kind", field("kind"), "the type of an object cannot be patched");
    Err(Error::Invalid(Resource::new(kind, &name_of(object)), vec![error]))
}

fn nameless(request: Request<'_>) -> Error {
    Error::BadRequest(format!(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        request.permit.name()
    ))
}

/// What must hold of an apply configuration before it is merged.
fn check_config(request: Request<'_>, config: &Value, live: Option<&Value>) -> Result<(), Error> {
    let kind = request.kind()?;
    if !config.is_object() {
        return Err(Error::BadRequest("error decoding YAML: the configuration is not an object".to_owned()));
    }
    let field = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("kind") != kind.kind || field("apiVersion") != kind.api_version {
        return Err(Error::BadRequest(format!(
            "invalid object type: {}, Kind={}",
            if field("apiVersion").contains('/') {
                field("apiVersion").to_owned()
            } else {
                format!("/{}", field("apiVersion"))
            },
            field("kind")
        )));
    }
    if config.pointer("/metadata/managedFields").is_some_and(|value| !value.is_null()) {
        return Err(Error::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    same_identity(request, config, live.is_none())?;
    if let (None, Some(uid)) = (live, text(config, "uid")) {
        return Err(Error::Conflict(
            request.resource()?,
            format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found"),
        ));
    }
    Ok(())
}

fn apply_patch(
    kind: &'static Kind,
    patch_type: PatchType,
    target: &mut Value,
    patch: &Value,
    found: &mut Vec<String>,
) -> Result<(), PatchError> {
    match patch_type {
        PatchType::Json => {
            let findings = patch::json_patch(target, patch)?;
            found.extend(findings.into_texts());
            Ok(())
        }
        PatchType::Merge => patch::merge_patch(target, patch),
        PatchType::Strategic | PatchType::Apply => {
            let findings = patch::strategic_merge(kind.message, target, patch)?;
            found.extend(findings.unknown.iter().map(|path| format!("unknown field \"{path}\"")));
            Ok(())
        }
    }
}

fn patch_error(error: &PatchError) -> Error {
    match error {
        PatchError::Decode(text) => Error::BadRequest(format!("error decoding patch: {text}")),
        PatchError::TooManyOperations { max, got } => Error::TooLarge(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {max}, got {got}"
        )),
        PatchError::TooLarge => Error::TooLarge("Request entity too large: the patched object is too large".to_owned()),
        PatchError::Unprocessable => Error::Unprocessable,
        PatchError::Invalid(text) => Error::BadRequest(text.clone()),
    }
}

/// Refuses or warns of unknown and duplicate fields. The patched object, which Kubernetes shows, is redacted.
fn strictness(
    kind: &'static Kind,
    validation: FieldValidation,
    found: &[String],
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    match validation {
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            warnings.extend(found.iter().cloned());
            Ok(())
        }
        FieldValidation::Strict => Err(Error::Invalid(
            Resource::new(kind, ""),
            vec![FieldError::invalid_raw(
                "patch",
                "\"<secret contents redacted>\"",
                format!("strict decoding error: {}", found.join(", ")),
            )],
        )),
    }
}

fn uid_conflict(kind: &'static Kind, namespace: &str, name: &str, sent: &str, stored: &str) -> Error {
    let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
    Error::Conflict(
        Resource::new(kind, name),
        format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}/{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, UID in object meta: {stored}",
            kind.plural
        ),
    )
}
