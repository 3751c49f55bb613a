//! Several Secrets at once: all of them in one transaction, or none.
//!
//! What it never does: replace what is there unless that was asked for, or say of a value more than its length.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::create::{name_of, set};
use super::finish::Change;
use super::live::Loaded;
use super::update::MODIFIED;
use super::{Error, Objects, Request, Resource, fields};
use crate::audit;
use crate::model::field_error::FieldError;
use crate::model::kinds::{SECRET, SECRET_IMPORT};
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

/// What became of one Secret, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is new.
    Created,
    /// It was another.
    Replaced,
    /// It is there already.
    Unchanged,
}

impl ImportOutcome {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Replaced => "Replaced",
            Self::Unchanged => "Unchanged",
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
}

impl Objects {
    /// Imports Secrets into the namespace of the permit, which is for an import; the caller has the right to get and
    /// create each of them, and to update them where they may be replaced.
    pub async fn import(
        &self,
        request: Request<'_>,
        documents: &[Document],
        overwrite: bool,
        options: &WriteOptions,
    ) -> Result<Vec<Imported>, Error> {
        for _ in 0..ATTEMPTS {
            match self.try_import(request, documents, overwrite, options).await {
                Err(Error::Conflict(_, text)) if text == MODIFIED => {}
                other => return other,
            }
        }
        Err(Error::Conflict(Resource::new(&SECRET_IMPORT, ""), MODIFIED.to_owned()))
    }

    async fn try_import(
        &self,
        request: Request<'_>,
        documents: &[Document],
        overwrite: bool,
        options: &WriteOptions,
    ) -> Result<Vec<Imported>, Error> {
        let (mut imported, mut changes, mut different) = (Vec::new(), Vec::new(), Vec::new());
        for (at, document) in documents.iter().enumerate() {
            let (one, change) = self.prepare_import(request, document, at, options)?;
            if one.outcome == ImportOutcome::Replaced {
                different.push(one.name.clone());
            }
            changes.extend(change);
            imported.push(one);
        }
        if options.dry_run {
            for change in &changes {
                self.check(change).map_err(retried)?;
            }
            return Ok(imported);
        }
        if !different.is_empty() && !overwrite {
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
        let mutations = changes.into_iter().map(Change::mutation).collect();
        let group = Group { mutations, state: Vec::new(), audit: Some(record) };
        self.store.commit(group).await.map_err(|error| {
            request.facts.mark_recorded(false);
            retried(super::finish::commit_error(&error, Resource::new(&SECRET, ""), permit.namespace()))
        })?;
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
            let keys = keys(None, object);
            let change = Change::create(&SECRET, namespace, object);
            return Ok((Imported { name, outcome: ImportOutcome::Created, keys }, Some(change)));
        };
        let loaded: Loaded = self.load(&SECRET, &name, entry.revision)?;
        let there = self.document(&loaded)?;
        let old = there.expose();
        let mut new = there.duplicate();
        merge(new.expose_mut(), object);
        defaults::apply_defaults(&SECRET, new.expose_mut());
        if same(new.expose(), old) {
            return Ok((Imported { name, outcome: ImportOutcome::Unchanged, keys: BTreeMap::new() }, None));
        }
        let object = new.expose_mut();
        defaults::prepare_for_update(&SECRET, "", object, old);
        fields::track_update(SECRET.message, Some(old), object, &writer);
        told(at, validation::validate_update(&SECRET, object, old))?;
        let keys = keys(Some(old), object);
        let change = Change::replace(&SECRET, namespace, object, loaded.row_revision());
        Ok((Imported { name, outcome: ImportOutcome::Replaced, keys }, Some(change)))
    }
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
    let written = imported.iter().filter(|one| one.outcome != ImportOutcome::Unchanged);
    let names: Vec<&str> = written.map(|one| one.name.as_str()).collect();
    format!("{}: {}", names.len(), names.join(" "))
}

/// The errors of one Secret, each with its place in the request.
fn told(at: usize, errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() {
        return Ok(());
    }
    let placed =
        errors.into_iter().map(|error| FieldError { field: format!("spec.secrets[{at}].{}", error.field), ..error });
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
