//! Several Secrets at once: all of them in one transaction, or none; or, if that is wanted, all that can be written.
//!
//! What it never does: replace what is there unless that was asked for, look at a Secret that was refused before, or say of
//! a value more than its length.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::create::{name_of, set};
use super::finish::Change;
use super::live::Loaded;
use super::update::MODIFIED;
use super::{Error, Objects, Request, Resource, fields};
use crate::audit;
use crate::model::field_error::FieldError;
use crate::model::kinds::{NAMESPACE, SECRET, SECRET_IMPORT};
use crate::model::validation::options::WriteOptions;
use crate::model::validation::secret::decoded_len;
use crate::model::{defaults, validation};
use crate::sensitive::{Document, wipe};
use crate::store::Group;

const ATTEMPTS: usize = 16;
/// Annotation of the record: how many Secrets were written, and their names.
const RECORDED: &str = "strongroom.dev/imported-secrets";
/// What an import sets of a Secret; everything else of one that is there stays as it is.
const IMPORTED: [&str; 3] = ["type", "data", "immutable"];
const IMPORTED_META: [&str; 2] = ["labels", "annotations"];

/// Why a Secret that is there is refused where none is to be replaced.
const DIFFERS: &str = "it is there and differs";

/// A Secret that is to be imported.
pub struct ToImport {
    /// The Secret.
    pub document: Document,
    /// Why it is refused already: then it is not looked at.
    pub refused: Option<String>,
}

/// How.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// Whether what is there and differs is replaced.
    pub overwrite: bool,
    /// Whether what can be written is written although others cannot.
    pub partial: bool,
    /// Whether a dry run takes the namespace to be there.
    pub assume_namespace: bool,
}

/// What became of one Secret, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is new.
    Created,
    /// It was another.
    Replaced,
    /// It is there already.
    Unchanged,
    /// It is not written, and others may be.
    Refused,
}

impl ImportOutcome {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Replaced => "Replaced",
            Self::Unchanged => "Unchanged",
            Self::Refused => "Refused",
        }
    }
}

/// One Secret of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// For each key the length of the value that was there, and of the one that comes; equal values are left out.
    pub keys: BTreeMap<String, (Option<usize>, Option<usize>)>,
    /// Why it is refused; holds no value.
    pub message: String,
    /// What the client is to be told besides.
    pub warnings: Vec<String>,
}

impl Imported {
    fn of(name: String, outcome: ImportOutcome) -> Self {
        Self { name, outcome, keys: BTreeMap::new(), message: String::new(), warnings: Vec::new() }
    }

    fn refused(self, message: impl Into<String>) -> Self {
        Self { outcome: ImportOutcome::Refused, message: message.into(), ..self }
    }
}

impl Objects {
    /// Imports Secrets into the namespace of the permit, which is for an import. Of each that is not refused already the
    /// caller has the right to get and create it, and to update it where it may be replaced.
    pub async fn import(
        &self,
        request: Request<'_>,
        secrets: &[ToImport],
        how: ImportOptions,
        options: &WriteOptions,
    ) -> Result<Vec<Imported>, Error> {
        for _ in 0..ATTEMPTS {
            match self.try_import(request, secrets, how, options).await {
                Err(Error::Conflict(_, text)) if text == MODIFIED => {}
                other => return other,
            }
        }
        Err(Error::Conflict(Resource::new(&SECRET_IMPORT, ""), MODIFIED.to_owned()))
    }

    async fn try_import(
        &self,
        request: Request<'_>,
        secrets: &[ToImport],
        how: ImportOptions,
        options: &WriteOptions,
    ) -> Result<Vec<Imported>, Error> {
        let (mut imported, mut changes, mut different) = (Vec::new(), Vec::new(), Vec::new());
        for (at, secret) in secrets.iter().enumerate() {
            let name = named(&secret.document);
            if let Some(why) = &secret.refused {
                imported.push(Imported::of(name, ImportOutcome::Refused).refused(why));
                continue;
            }
            let (one, change) = match self.prepare_import(request, &secret.document, at, options) {
                Err(error) if how.partial => {
                    let why = refusal(error, at)?;
                    (Imported::of(name, ImportOutcome::Refused).refused(why), None)
                }
                prepared => prepared?,
            };
            if one.outcome == ImportOutcome::Replaced && !how.overwrite {
                if how.partial {
                    imported.push(one.refused(DIFFERS));
                    continue;
                }
                different.push(one.name.clone());
            }
            changes.extend(change);
            imported.push(one);
        }
        if options.dry_run {
            for change in &changes {
                match self.check(change).map_err(retried) {
                    Err(Error::NotFound(resource)) if how.assume_namespace && resource.kind.id == NAMESPACE.id => {}
                    other => other?,
                }
            }
            return Ok(imported);
        }
        if !different.is_empty() {
            let text = format!("nothing is imported, for these are there and differ: {}", different.join(", "));
            return Err(Error::Conflict(Resource::new(&SECRET_IMPORT, ""), text));
        }
        if changes.is_empty() {
            return Ok(imported);
        }
        let permit = request.permit;
        request.facts.mark_recorded(true);
        let written = recorded(&imported);
        let annotations = [(RECORDED, &*written)];
        let event = audit::Event::new(request.facts, permit.user(), permit.attributes(), 201);
        let record = audit::Event { annotations: &annotations, ..event }.to_json();
        let keys: Vec<(String, String)> = changes.iter().map(Change::key).collect();
        let mutations = changes.into_iter().map(Change::mutation).collect();
        let group = Group { mutations, state: Vec::new(), audit: Some(record) };
        self.store.commit(group).await.map_err(|error| {
            request.facts.mark_recorded(false);
            retried(super::finish::commit_error(&error, Resource::new(&SECRET, ""), permit.namespace()))
        })?;
        for (namespace, name) in keys {
            self.forget_beyond_limit(&namespace, &name);
        }
        Ok(imported)
    }

    /// What a Secret becomes, and the change that makes it so, if one is needed.
    #[expect(clippy::disallowed_methods, reason = "the values go into the object that is stored")]
    fn prepare_import(
        &self,
        request: Request<'_>,
        document: &Document,
        at: usize,
        options: &WriteOptions,
    ) -> Result<(Imported, Option<Change>), Error> {
        let namespace = request.permit.namespace();
        let mut wanted = document.duplicate();
        let object = wanted.expose_mut();
        for field in ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"] {
            super::create::remove(object, field);
        }
        self.prepare(&SECRET, namespace, object)?;
        let mut warnings = validation::warnings_create(&SECRET, object);
        defaults::apply_defaults(&SECRET, object);
        let name = name_of(object);
        let found = self.store.find(SECRET.id, namespace, &name);
        let entry = found.map_err(|error| super::live::read_error(&error, &SECRET, &name))?;
        let now = self.now();
        let writer = Self::writer(&SECRET, request, &options.field_manager, &now);
        let Some(entry) = entry else {
            fields::track_update(SECRET.message, None, object, &writer);
            told(at, validation::validate_create(&SECRET, object))?;
            self.owners.note(object);
            warnings.extend(self.warning_of_no_token(&SECRET, object));
            let keys = keys(None, object);
            let change = Change::create(&SECRET, namespace, object);
            let change = self.chronicled(request, change, None, Some(object))?;
            return Ok((Imported { keys, warnings, ..Imported::of(name, ImportOutcome::Created) }, Some(change)));
        };
        let loaded: Loaded = self.load(&SECRET, &name, entry.revision)?;
        let there = self.document(&loaded)?;
        let old = there.expose();
        let mut new = there.duplicate();
        merge(new.expose_mut(), object);
        defaults::apply_defaults(&SECRET, new.expose_mut());
        if same(new.expose(), old) {
            return Ok((Imported::of(name, ImportOutcome::Unchanged), None));
        }
        let object = new.expose_mut();
        defaults::prepare_for_update(&SECRET, "", object, old);
        let warnings = validation::warnings_update(&SECRET, object, old, false);
        fields::track_update(SECRET.message, Some(old), object, &writer);
        told(at, validation::validate_update(&SECRET, object, old))?;
        let keys = keys(Some(old), object);
        let change = Change::replace(&SECRET, namespace, object, loaded.row_revision());
        let change = self.chronicled(request, change, Some((&loaded, old)), Some(object))?;
        Ok((Imported { keys, warnings, ..Imported::of(name, ImportOutcome::Replaced) }, Some(change)))
    }
}

/// Why one Secret is refused where the others are not; an error that concerns all of them stays one.
fn refusal(error: Error, at: usize) -> Result<String, Error> {
    match error {
        Error::Invalid(_, mut errors) => {
            let place = place(at);
            for error in &mut errors {
                error.field = error.field.strip_prefix(&place).unwrap_or(&error.field).to_owned();
            }
            Ok(validation::message(&errors))
        }
        Error::BadRequest(text) => Ok(text),
        Error::Integrity(_) => Ok("what is stored under its name is damaged".to_owned()),
        error => Err(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "a name is no secret")]
fn named(document: &Document) -> String {
    name_of(document.expose())
}

/// What was made, changed or deleted meanwhile is found when it is looked at again.
fn retried(error: Error) -> Error {
    match error {
        Error::NotFound(resource) if resource.kind.id != SECRET.id => Error::NotFound(resource),
        Error::AlreadyExists(..) | Error::Conflict(..) | Error::NotFound(_) => {
            Error::Conflict(Resource::new(&SECRET_IMPORT, ""), MODIFIED.to_owned())
        }
        error => error,
    }
}

/// `3: a b c`, of those that are written.
fn recorded(imported: &[Imported]) -> String {
    let is_written = |one: &&Imported| matches!(one.outcome, ImportOutcome::Created | ImportOutcome::Replaced);
    let written = imported.iter().filter(is_written);
    let names: Vec<&str> = written.map(|one| one.name.as_str()).collect();
    format!("{}: {}", names.len(), names.join(" "))
}

fn place(at: usize) -> String {
    format!("spec.secrets[{at}].")
}

/// The errors of one Secret, each with its place in the request.
fn told(at: usize, errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() {
        return Ok(());
    }
    let placed = errors.into_iter().map(|error| FieldError { field: format!("{}{}", place(at), error.field), ..error });
    Err(Error::Invalid(Resource::new(&SECRET_IMPORT, ""), placed.collect()))
}

/// Puts what an import sets into a Secret that is there.
fn merge(there: &mut Value, wanted: &Value) {
    let Some(fields) = there.as_object_mut() else { return };
    for field in IMPORTED {
        let replaced = match wanted.get(field) {
            Some(value) => fields.insert(field.to_owned(), value.clone()),
            None => fields.shift_remove(field),
        };
        if let Some(mut replaced) = replaced {
            wipe(&mut replaced);
        }
    }
    for field in IMPORTED_META {
        let value = wanted.pointer("/metadata").and_then(|metadata| metadata.get(field)).cloned();
        match value {
            Some(value) => set(there, field, value),
            None => drop(super::create::remove(there, field)),
        }
    }
}

/// Whether both are the same as far as an import goes.
fn same(new: &Value, old: &Value) -> bool {
    let empty = Value::Object(Map::new());
    let of = |object: &Value, field: &str| object.get(field).filter(|value| !value.is_null()).cloned();
    let meta = |object: &Value, field: &str| {
        object.pointer("/metadata").and_then(|meta| meta.get(field)).cloned().unwrap_or_else(|| empty.clone())
    };
    let data = |object: &Value| -> BTreeMap<String, String> {
        let data = object.get("data").and_then(Value::as_object).into_iter().flatten();
        data.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let (mut ours, mut theirs) = (data(new), data(old));
    let is_same = ours == theirs
        && of(new, "type") == of(old, "type")
        && of(new, "immutable") == of(old, "immutable")
        && IMPORTED_META.iter().all(|field| meta(new, field) == meta(old, field));
    for value in ours.values_mut().chain(theirs.values_mut()) {
        zeroize::Zeroize::zeroize(value);
    }
    is_same
}

/// Lengths of the values that differ.
fn keys(old: Option<&Value>, new: &Value) -> BTreeMap<String, (Option<usize>, Option<usize>)> {
    let data = |object: &'_ Value| object.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    let before = Document::new(Value::Object(old.map(data).unwrap_or_default()));
    let after = Document::new(Value::Object(data(new)));
    differences(&before, &after)
}

#[expect(clippy::disallowed_methods, reason = "only lengths are told")]
fn differences(before: &Document, after: &Document) -> BTreeMap<String, (Option<usize>, Option<usize>)> {
    let value = |document: &Document, key: &str| -> Option<String> {
        document.expose().get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let (before_keys, after_keys) = (before.expose().as_object(), after.expose().as_object());
    let all = before_keys.into_iter().chain(after_keys).flat_map(Map::keys);
    let mut found = BTreeMap::new();
    for key in all {
        let old = value(before, key).map(zeroize::Zeroizing::new);
        let new = value(after, key).map(zeroize::Zeroizing::new);
        if old != new {
            let length = |value: Option<&zeroize::Zeroizing<String>>| value.map(|value| decoded_len(value));
            found.insert(key.clone(), (length(old.as_ref()), length(new.as_ref())));
        }
    }
    found
}
