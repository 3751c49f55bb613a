//! The end of every write: sealing, the audit record and the commit, in one transaction.

use std::sync::Arc;

use serde_json::Value;

use super::create::{make_uid, name_of, parse_uid, text, uid_text};
use super::fields::Writer;
use super::live::Loaded;
use super::trail::Trail;
use super::{Error, Objects, Request, Resource, record};
use crate::audit;
use crate::model::age::parse_rfc3339;
use crate::model::kinds::{self, Kind};
use crate::model::kms_key::kms_key_state_key;
use crate::model::user::password_state_key;
use crate::store::{CommitError, Expect, Flags, Group, Mutation, StateChange};

/// One change to one object.
pub(super) struct Change {
    kind: &'static Kind,
    namespace: String,
    name: String,
    uid: [u8; 16],
    expect: Expect,
    /// `None` deletes.
    plain: Option<Arc<record::Plain>>,
    /// What the row of a deletion says.
    end: record::Plain,
    /// What the answer to a deletion shows; `None`: the object at its last.
    shown: Option<Arc<record::Plain>>,
    created_at: i64,
    flags: Flags,
    code: u16,
    /// Values of the store's own that change with it.
    state: Vec<StateChange>,
}

impl Change {
    pub(super) fn create(kind: &'static Kind, namespace: &str, object: &Value) -> Self {
        Self::put(kind, namespace, object, Expect::Absent, 201)
    }

    pub(super) fn replace(kind: &'static Kind, namespace: &str, object: &Value, revision: u64) -> Self {
        Self::put(kind, namespace, object, Expect::Revision(revision), 200)
    }

    pub(super) fn delete(kind: &'static Kind, namespace: &str, object: &Value, revision: u64) -> Self {
        Self {
            plain: None,
            flags: Flags::TOMBSTONE,
            ..Self::put(kind, namespace, object, Expect::Revision(revision), 200)
        }
    }

    /// A deletion by an update that takes away the last finalizer: its answer shows what the update made.
    pub(super) fn finalize(kind: &'static Kind, namespace: &str, object: &Value, revision: u64) -> Self {
        let updated = Self::replace(kind, namespace, object, revision);
        Self { shown: updated.plain, plain: None, flags: Flags::TOMBSTONE, ..updated }
    }

    fn put(kind: &'static Kind, namespace: &str, object: &Value, expect: Expect, code: u16) -> Self {
        Self {
            kind,
            namespace: if kind.namespaced { namespace.to_owned() } else { String::new() },
            name: name_of(object),
            uid: text(object, "uid").and_then(parse_uid).unwrap_or_default(),
            expect,
            plain: Some(Arc::new(record::encode(kind, object))),
            end: record::Plain::empty(),
            shown: None,
            created_at: text(object, "creationTimestamp").and_then(parse_rfc3339).unwrap_or_default(),
            flags: Flags::PUT
                .with(Flags::TERMINATING, text(object, "deletionTimestamp").is_some())
                .with(Flags::OWNED, object.pointer("/metadata/ownerReferences").is_some()),
            code,
            state: Vec::new(),
        }
    }

    /// The code of the answer, where it is another than that of the verb.
    pub(super) fn answered(self, code: u16) -> Self {
        Self { code, ..self }
    }

    /// With what the history says of it, and whether the version that it supersedes is kept.
    pub(super) fn with_trail(self, trail: &Trail, keeps_previous: bool) -> Self {
        let flags = self.flags.with(Flags::KEEPS_PREVIOUS, keeps_previous);
        match self.plain {
            None => Self { end: record::Plain::end(trail), flags, ..self },
            Some(plain) => {
                let plain = Arc::try_unwrap(plain).map_or_else(|shared| shared, |own| Arc::new(own.with_trail(trail)));
                Self { plain: Some(plain), flags, ..self }
            }
        }
    }

    /// What kind of object it changes.
    pub(super) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its namespace and name.
    pub(super) fn key(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }

    /// Values of the store's own that change in the same transaction.
    pub(super) fn with_state(self, state: Vec<StateChange>) -> Self {
        Self { state, ..self }
    }

    pub(super) fn mutation(self) -> Mutation {
        let (plain, end) = (self.plain, self.end);
        Mutation {
            kind_id: self.kind.id,
            namespace: self.namespace,
            name: self.name,
            uid: self.uid,
            created_at: self.created_at,
            flags: self.flags,
            namespace_must_be_active: self.kind.namespaced && matches!(self.expect, Expect::Absent),
            expect: self.expect,
            seal: Box::new(move |keyring, id| {
                let plain = plain.as_deref().unwrap_or(&end);
                keyring.seal(id, &plain.meta, &plain.data)
            }),
        }
    }
}

/// What became of a change.
pub(super) enum Outcome {
    /// Committed; a deletion shows the object at its last, or as the update that led to it made it.
    Stored(Loaded),
    /// Everything was checked, nothing stored.
    DryRun,
}

impl Objects {
    /// Who writes, as managed fields record it.
    pub(super) fn writer<'a>(kind: &'static Kind, request: Request<'a>, manager: &'a str, now: &'a str) -> Writer<'a> {
        Writer { manager, subresource: &request.permit.attributes().subresource, api_version: kind.api_version, now }
    }

    /// Commits one change with its audit record.
    pub(super) async fn commit(&self, request: Request<'_>, change: Change, dry_run: bool) -> Result<Outcome, Error> {
        let kind = change.kind;
        let name = change.name.clone();
        let resource = Resource::new(kind, &name);
        if dry_run {
            self.check(&change)?;
            return Ok(Outcome::DryRun);
        }
        let namespace = change.namespace.clone();
        let shown = change.plain.clone().or_else(|| change.shown.clone());
        let last = match &change.expect {
            Expect::Revision(revision) if shown.is_none() => Some(*revision),
            _ => None,
        };
        let facts = if request.permit.is_consequence() {
            request.facts.consequence(uid_text(&make_uid()?))
        } else {
            // Before it is: where the client goes away meanwhile, the change and its record are made all the same.
            request.facts.mark_recorded(true);
            request.facts.clone()
        };
        let (user, attributes) = (request.permit.user(), request.permit.attributes());
        let record = audit::mutation(&facts, user, attributes, &name, &uid_text(&change.uid), change.code);
        let is_new_namespace = kind.id == kinds::NAMESPACE.id && matches!(change.expect, Expect::Absent);
        let mut change = change;
        let mut state = std::mem::take(&mut change.state);
        if kind.id == kinds::USER.id && change.plain.is_none() {
            state.push(StateChange::remove(password_state_key(&uid_text(&change.uid))));
        }
        if kind.id == kinds::KMS_KEY.id && change.plain.is_none() {
            state.push(StateChange::remove(kms_key_state_key(&uid_text(&change.uid))));
        }
        state.extend(self.record_of_deletion(kind, &namespace, &name, change.expect, change.plain.is_none()));
        let mut mutations = vec![change.mutation()];
        if is_new_namespace {
            mutations.push(self.default_service_account(&name)?.mutation());
        }
        let group = Group { mutations, state, audit: Some(record) };
        let committed = self.store.commit(group).await.map_err(|error| {
            facts.mark_recorded(false);
            commit_error(&error, resource, &namespace)
        })?;
        if kind.id == kinds::SECRET.id {
            self.forget_beyond_limit(&namespace, &name);
        }
        let row = committed.rows.first().ok_or(Error::Internal("a commit without a version"))?;
        if kind.id == kinds::CLUSTER_ROLE.id && !super::aggregation::is_own_work(request) {
            Box::pin(self.settle_aggregation(request)).await;
        }
        match last {
            Some(last) => {
                let before = self.store.row(last).map_err(|error| super::live::read_error(&error, kind, &name))?;
                self.open_as_of(kind, before, row.revision).map(Outcome::Stored)
            }
            None => Ok(Outcome::Stored(match shown {
                Some(plain) => Self::sealed_now(kind, Arc::clone(row), plain),
                None => self.open(kind, Arc::clone(row))?,
            })),
        }
    }

    /// What a commit would refuse, without one.
    pub(super) fn check(&self, change: &Change) -> Result<(), Error> {
        let resource = Resource::new(change.kind, &change.name);
        let find = |kind: &'static Kind, namespace: &str, name: &str| {
            let found = self.store.find(kind.id, namespace, name);
            found.map_err(|error| super::live::read_error(&error, kind, name))
        };
        let current = find(change.kind, &change.namespace, &change.name)?;
        match (&change.expect, current) {
            (Expect::Absent, Some(entry)) => {
                return Err(Error::AlreadyExists(resource, entry.flags.has(Flags::TERMINATING)));
            }
            (Expect::Revision(_), None) => return Err(Error::NotFound(resource)),
            (Expect::Revision(revision), Some(entry)) if entry.revision != *revision => {
                return Err(Error::Conflict(resource, super::update::MODIFIED.to_owned()));
            }
            _ => {}
        }
        if change.kind.namespaced && matches!(change.expect, Expect::Absent) {
            match find(&kinds::NAMESPACE, "", &change.namespace)? {
                None => return Err(Error::NotFound(Resource::new(&kinds::NAMESPACE, &change.namespace))),
                Some(entry) if entry.flags.has(Flags::TERMINATING) => {
                    return Err(Error::NamespaceTerminating(resource, change.namespace.clone()));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Every namespace has a service account `default`, made in the namespace's own transaction.
    fn default_service_account(&self, namespace: &str) -> Result<Change, Error> {
        let object = serde_json::json!({"metadata": {
            "name": "default", "namespace": namespace, "uid": uid_text(&make_uid()?), "creationTimestamp": self.now(),
        }});
        Ok(Change::create(&kinds::SERVICE_ACCOUNT, namespace, &object))
    }
}

pub(super) fn commit_error(error: &CommitError, resource: Resource, namespace: &str) -> Error {
    match error {
        CommitError::AlreadyExists { terminating } => Error::AlreadyExists(resource, *terminating),
        CommitError::Conflict => Error::Conflict(resource, super::update::MODIFIED.to_owned()),
        CommitError::NotFound => Error::NotFound(resource),
        CommitError::NamespaceNotFound => Error::NotFound(Resource::new(&kinds::NAMESPACE, namespace)),
        CommitError::NamespaceTerminating => Error::NamespaceTerminating(resource, namespace.to_owned()),
        CommitError::Unavailable(why) => Error::Unavailable(why),
        CommitError::Integrity => Error::Integrity(resource),
    }
}
