//! The history of Secrets: every change keeps the version before it, for as long and as many as the Namespace says.
//!
//! What a change says of itself (its number, who, when, which keys) is sealed in its own row ([`super::trail`]), and the
//! version that it supersedes stays where it is ([`Flags::KEEPS_PREVIOUS`](crate::store::Flags)): a change with its history is one
//! row in one transaction, as one without.
//!
//! A change is a revision of its own if `data`, `type`, `immutable`, labels or annotations are others by it. Of all other
//! changes (finalizers, owners, the mark of a deletion, who manages a field) no version is kept.
//!
//! What it never does: keep a version of a Secret that holds a service account's token, for a token that was taken back must
//! not be there again.

mod expire;
mod revisions;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

pub(super) use self::expire::expire;
pub use self::revisions::{CURRENT, DestroyedRevision, RevisionPage, SecretRevision};
use super::create::text;
use super::finish::Change;
use super::live::Loaded;
use super::record::LAST_APPLIED;
use super::trail::Trail;
use super::{Error, Objects, Request};
use crate::model::age::parse_rfc3339;
use crate::model::kinds::{NAMESPACE, SECRET};
use crate::model::retention::Retention;
use crate::model::validation::secret::SERVICE_ACCOUNT_TOKEN;
use crate::store::Kept;

/// Namespaces whose setting is remembered; then all of it is forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// How much is kept.
#[derive(Default)]
pub(super) struct History {
    default: Retention,
    /// What a Namespace of this revision says.
    said: Mutex<HashMap<String, (u64, Retention)>>,
}

impl Objects {
    /// Lets so much be kept where a Namespace says nothing else.
    #[must_use]
    pub fn keeping_history(self, default: Retention) -> Self {
        Self { history: History { default, ..self.history }, ..self }
    }

    /// What is kept of the Secrets of a namespace. Of one that is not there, or cannot be read, nothing new is.
    fn retention(&self, namespace: &str) -> Retention {
        let Ok(Some(entry)) = self.store.find(NAMESPACE.id, "", namespace) else { return Retention::NONE };
        let mut said = self.history.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, retention)) = said.get(namespace)
            && *revision == entry.revision
        {
            return *retention;
        }
        let object = self.load(&NAMESPACE, namespace, entry.revision).and_then(|loaded| loaded.bare());
        let Ok(object) = object else { return Retention::NONE };
        let retention = self.history.default.of(&object);
        if said.len() >= REMEMBERED_MAX {
            said.clear();
        }
        said.insert(namespace.to_owned(), (entry.revision, retention));
        retention
    }

    /// A change of a Secret with its trail. `before` is the object that it changes, in a form that shows no more of it than
    /// the caller may know; `after` what it becomes, `None` where it is deleted. Other kinds have no history.
    pub(super) fn chronicled(
        &self,
        request: Request<'_>,
        change: Change,
        before: Option<(&Loaded, &Value)>,
        after: Option<&Value>,
    ) -> Result<Change, Error> {
        if change.kind().id != SECRET.id {
            return Ok(change);
        }
        let now = Trail {
            unix_seconds: self.clock.unix_seconds(),
            by: request.permit.user().name.clone(),
            ..Trail::default()
        };
        let Some((loaded, old)) = before else {
            let added = after.map(|new| keys(new).map(|(key, _)| key.clone()).collect()).unwrap_or_default();
            return Ok(change.with_trail(&Trail { number: 1, added, ..now }, false));
        };
        let former = loaded.trail()?.unwrap_or_else(|| before_history(old));
        let is_token = old.get("type").and_then(Value::as_str) == Some(SERVICE_ACCOUNT_TOKEN);
        let keeps = !is_token && self.retention(request.namespace()).keeps();
        let Some(new) = after else {
            return Ok(change.with_trail(&Trail { number: former.number, ..now }, keeps));
        };
        match difference(old, new) {
            Some(difference) => {
                let number = former.number.saturating_add(1);
                let Trail { unix_seconds, by, .. } = now;
                Ok(change.with_trail(&Trail { number, unix_seconds, by, ..difference }, keeps))
            }
            None => Ok(change.with_trail(&former, false)),
        }
    }

    /// Lets go of the versions of a Secret that are more than are kept: each write finds one at the most.
    pub(super) fn forget_beyond_limit(&self, namespace: &str, name: &str) {
        self.store.release_beyond(SECRET.id, namespace, name, self.retention(namespace).limit);
    }

    /// Lets go of what is too much or too old of a Secret. When the next version will be; `None`: none is kept.
    fn forget_due(&self, namespace: &str, name: &str) -> Option<i64> {
        self.forget_beyond_limit(namespace, name);
        let max_age_seconds = self.retention(namespace).max_age_seconds;
        let now = self.clock.unix_seconds();
        for version in self.kept(namespace, name) {
            let superseded = version.successor.and_then(|successor| self.written_at(successor));
            // Of one that cannot be read it is not known; it stays for `verify` to judge.
            let Some(superseded) = superseded else { continue };
            let due = superseded.saturating_add(max_age_seconds);
            if due > now {
                return Some(due);
            }
            self.store.release(SECRET.id, namespace, name, &[version.revision]);
        }
        None
    }

    /// The former versions of a Secret that are kept, oldest first.
    fn kept(&self, namespace: &str, name: &str) -> Vec<Kept> {
        let mut versions = self.store.versions(SECRET.id, namespace, name);
        versions.retain(|version| version.is_kept && !version.flags.is_tombstone());
        versions
    }

    /// When a version of a Secret, or the end of one, was written.
    fn written_at(&self, revision: u64) -> Option<i64> {
        self.trail_of(revision).ok().flatten().map(|trail| trail.unix_seconds)
    }

    /// What the history says of a version of a Secret, or of the end of one.
    #[expect(clippy::disallowed_methods, reason = "meta holds no secret values")]
    fn trail_of(&self, revision: u64) -> Result<Option<Trail>, Error> {
        let failed = |error| super::live::read_error(&error, &SECRET, "");
        let row = self.store.row_in_passing(revision).map_err(failed)?;
        if !row.flags.is_tombstone() {
            return self.open(&SECRET, row)?.trail();
        }
        let damaged = || Error::Integrity(super::Resource::new(&SECRET, &row.name));
        let meta = if let Ok(meta) = self.keyring.open_meta(&row.record_id(), &row.sealed) {
            meta
        } else {
            let fresh = self.store.reread(&row).map_err(|_| damaged())?;
            self.keyring.open_meta(&fresh.record_id(), &fresh.sealed).map_err(|_| damaged())?
        };
        super::record::trail_of_end(meta.expose()).map_err(|_| damaged())
    }
}

/// What is known of a version that was written before there was any history.
fn before_history(object: &Value) -> Trail {
    let unix_seconds = text(object, "creationTimestamp").and_then(parse_rfc3339).unwrap_or_default();
    Trail { number: 1, unix_seconds, ..Trail::default() }
}

fn keys(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.get("data").and_then(Value::as_object).into_iter().flatten()
}

/// What differs, as far as a revision is made for it; `None` where nothing does.
fn difference(old: &Value, new: &Value) -> Option<Trail> {
    let before: HashMap<&String, &Value> = keys(old).collect();
    let after: HashMap<&String, &Value> = keys(new).collect();
    let mut trail = Trail::default();
    for key in before.keys().chain(after.keys()).copied().collect::<BTreeSet<_>>() {
        match (before.get(key), after.get(key)) {
            (None, _) => trail.added.push(key.clone()),
            (_, None) => trail.removed.push(key.clone()),
            (one, other) if one != other => trail.changed.push(key.clone()),
            _ => {}
        }
    }
    trail.metadata_changed = said_of(old, "labels") != said_of(new, "labels")
        || said_of(old, "annotations") != said_of(new, "annotations")
        || ["type", "immutable"].iter().any(|field| present(old, field) != present(new, field));
    let is_revision =
        trail.metadata_changed || !(trail.added.is_empty() && trail.changed.is_empty() && trail.removed.is_empty());
    is_revision.then_some(trail)
}

fn present<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// A map of the metadata, without what client-side apply notes there for itself.
fn said_of(object: &Value, field: &str) -> Map<String, Value> {
    let map = object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_object);
    let entries = map.into_iter().flatten().filter(|(key, _)| *key != LAST_APPLIED);
    entries.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: &Value) -> Value {
        json!({"metadata": {"name": "a", "labels": {"app": "web"}}, "type": "Opaque", "data": data})
    }

    #[test]
    fn keys_are_told_apart_by_what_became_of_them() {
        let (old, new) = (
            secret(&json!({"a": "MQ==", "b": "Mg==", "c": "Mw=="})),
            secret(&json!({"a": "MQ==", "b": "NA==", "d": ""})),
        );
        let trail = difference(&old, &new).unwrap();
        let expected = Trail {
            added: vec!["d".to_owned()],
            changed: vec!["b".to_owned()],
            removed: vec!["c".to_owned()],
            ..Trail::default()
        };
        assert_eq!(trail, expected);
    }

    #[test]
    fn only_what_a_user_says_makes_a_revision() {
        let old = secret(&json!({"a": "MQ=="}));
        let mut same = old.clone();
        same["metadata"]["finalizers"] = json!(["x/y"]);
        same["metadata"]["managedFields"] = json!([{"manager": "m"}]);
        same["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        same["metadata"]["annotations"] = json!({LAST_APPLIED: "{}"});
        same["immutable"] = Value::Null;
        assert_eq!(difference(&old, &same), None);
        for (pointer, value) in
            [("/metadata/labels", json!({"app": "db"})), ("/metadata/labels", json!({})), ("/type", json!("a/b"))]
        {
            let mut new = old.clone();
            *new.pointer_mut(pointer).unwrap() = value;
            let trail = difference(&old, &new).unwrap();
            assert!(trail.metadata_changed && trail.changed.is_empty(), "{pointer}");
        }
        let mut new = old.clone();
        new["metadata"]["annotations"] = json!({"owner": "jane"});
        assert!(difference(&old, &new).unwrap().metadata_changed);
        new = old.clone();
        new["immutable"] = json!(true);
        assert!(difference(&old, &new).unwrap().metadata_changed);
    }
}
