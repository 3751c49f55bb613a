//! KMSKeys: their terms are made, rotated and destroyed in the transaction that says so in their status.
//!
//! The terms are a sealed value of the store's own, bound to the KMSKey's uid. What it never does: put a key, or anything
//! made of one, into an object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::create::{parse_uid, text};
use super::finish::{Change, Outcome};
use super::live::{Loaded, read_error};
use super::update::MODIFIED;
use super::{Error, Objects, Request, Resource};
use crate::clock::rfc3339;
use crate::crypto::{KMS_TERMS_MAX, KmsRing, KmsTermInfo, SealError};
use crate::model::kinds::{KMS_KEY, Kind, SERVICE_ACCOUNT};
use crate::model::kms_key::{KeyId, Retirement, Spec, Term, TermUse, kms_key_state_key, last_seen, status};
use crate::rbac::Permit;
use crate::store::StateChange;

/// Attempts at a change of an object that changes under it.
const ATTEMPTS: usize = 16;

/// An open KMSKey: what encrypts and decrypts.
pub struct KmsKey {
    /// Its uid.
    pub uid: [u8; 16],
    /// The same, as objects show it.
    pub uid_text: String,
    /// The key id of the term that encrypts.
    pub current_key_id: String,
    /// Its terms.
    pub ring: KmsRing,
}

/// What becomes of a KMSKey's terms.
enum Step<'a> {
    Rotate,
    Retire(&'a Retirement),
    Note(&'a BTreeMap<u32, TermUse>),
}

impl Objects {
    /// The stored revision of the KMSKey of this name; `None` if there is none, or it cannot be read.
    pub fn kms_key_revision(&self, name: &str) -> Option<u64> {
        self.store.find(KMS_KEY.id, "", name).ok()?.map(|entry| entry.revision)
    }

    /// The stored revision of a service account; `None` if there is none, or it cannot be read.
    pub fn service_account_revision(&self, namespace: &str, name: &str) -> Option<u64> {
        self.store.find(SERVICE_ACCOUNT.id, namespace, name).ok()?.map(|entry| entry.revision)
    }

    /// Opens the KMSKey that the permit, which is for `encrypt` or `decrypt`, names.
    pub fn open_kms_key(&self, permit: &Permit) -> Result<KmsKey, Error> {
        let is_for_it = permit.kind().is_some_and(|kind| kind.id == KMS_KEY.id)
            && matches!(permit.attributes().verb.as_str(), "encrypt" | "decrypt");
        if !is_for_it {
            return Err(Error::Internal("a permit that opens no KMSKey"));
        }
        let name = permit.name();
        let found = self.store.find(KMS_KEY.id, "", name).map_err(|error| read_error(&error, &KMS_KEY, name))?;
        let entry = found.ok_or_else(|| Error::NotFound(Resource::new(&KMS_KEY, name)))?;
        let loaded = self.load(&KMS_KEY, name, entry.revision)?;
        let ring = self.kms_ring(&loaded)?;
        let (uid, uid_text) = (loaded.row_uid(), loaded.uid());
        let current_key_id = key_id(uid, ring.current()).to_string();
        Ok(KmsKey { uid, uid_text, current_key_id, ring })
    }

    /// The store's identifier, which ciphertexts are bound to.
    pub fn store_id(&self) -> [u8; 16] {
        self.keyring.store_id()
    }

    /// Makes a new term, which encrypts from then on.
    pub async fn rotate_kms_key(&self, request: Request<'_>, dry_run: bool) -> Result<Loaded, Error> {
        self.change_kms_key(request, None, &Step::Rotate, dry_run).await
    }

    /// Destroys a former term that was not seen for as long as is asked.
    pub async fn retire_kms_term(
        &self,
        request: Request<'_>,
        retirement: &Retirement,
        dry_run: bool,
    ) -> Result<Loaded, Error> {
        self.change_kms_key(request, None, &Step::Retire(retirement), dry_run).await
    }

    /// Writes down how often and when terms were used, if the KMSKey still is the one of this uid.
    pub async fn note_kms_use(
        &self,
        request: Request<'_>,
        uid: &[u8; 16],
        used: &BTreeMap<u32, TermUse>,
    ) -> Result<(), Error> {
        self.change_kms_key(request, Some(uid), &Step::Note(used), false).await.map(drop)
    }

    /// The uid of a KMSKey whose status is about an earlier generation.
    pub fn unobserved_kms_key(&self, name: &str) -> Option<[u8; 16]> {
        let object = self.bare_object(&KMS_KEY, "", name)?;
        let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64).unwrap_or_default();
        if observed == generation(&object) { None } else { text(&object, "uid").and_then(parse_uid) }
    }

    /// When the current term was made and how old it may become, in seconds; `None` where it may stay.
    pub fn kms_key_rotation(&self, name: &str) -> Option<(i64, i64)> {
        let object = self.bare_object(&KMS_KEY, "", name)?;
        let after = Spec::parse(&object).ok()?.rotate_after?;
        let entry = self.store.find(KMS_KEY.id, "", name).ok()??;
        let ring = self.kms_ring(&self.load(&KMS_KEY, name, entry.revision).ok()?).ok()?;
        let created = ring.terms().last()?.created_unix_seconds;
        Some((created, i64::try_from(after.as_secs()).unwrap_or(i64::MAX)))
    }

    async fn change_kms_key(
        &self,
        request: Request<'_>,
        uid: Option<&[u8; 16]>,
        step: &Step<'_>,
        dry_run: bool,
    ) -> Result<Loaded, Error> {
        let _turn = self.turns.of(&KMS_KEY, "", request.permit.name()).await;
        for _ in 0..ATTEMPTS {
            match self.try_change_kms_key(request, uid, step, dry_run).await {
                Err(Error::Conflict(_, text)) if text == MODIFIED => {}
                other => return other,
            }
        }
        Err(Error::Conflict(request.resource()?, MODIFIED.to_owned()))
    }

    #[expect(clippy::disallowed_methods, reason = "a KMSKey's object holds no secret values")]
    async fn try_change_kms_key(
        &self,
        request: Request<'_>,
        uid: Option<&[u8; 16]>,
        step: &Step<'_>,
        dry_run: bool,
    ) -> Result<Loaded, Error> {
        let loaded = self.get(request)?;
        if uid.is_some_and(|uid| *uid != loaded.row_uid()) {
            return Err(Error::NotFound(request.resource()?));
        }
        let mut object: Value = self.document(&loaded)?.expose().clone();
        let (mut ring, now) = (self.kms_ring(&loaded)?, self.clock.unix_seconds());
        let former = object.get("status").cloned().unwrap_or_default();
        let mut used = &BTreeMap::new();
        let mut changes_ring = true;
        match step {
            Step::Rotate => rotate(request, &mut ring, now)?,
            Step::Retire(retirement) => retire(request, &mut ring, &former, loaded.row_uid(), retirement, now)?,
            Step::Note(more) => (used, changes_ring) = (more, false),
        }
        let status = kms_status(loaded.row_uid(), &object, &ring, &former, used, now);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        let code = if changes_ring { 201 } else { 200 };
        let change = Change::replace(&KMS_KEY, "", &object, loaded.row_revision()).answered(code);
        let key = kms_key_state_key(&loaded.uid());
        let state = if changes_ring { vec![StateChange::put(key, ring.encode())] } else { Vec::new() };
        match self.commit(request, change.with_state(state), dry_run).await? {
            Outcome::Stored(loaded) => Ok(loaded),
            Outcome::DryRun => Ok(loaded),
        }
    }

    fn kms_ring(&self, loaded: &Loaded) -> Result<KmsRing, Error> {
        let damaged = || Error::Integrity(Resource::new(&KMS_KEY, loaded.name()));
        let stored = self.store.read_state(&kms_key_state_key(&loaded.uid())).map_err(|_| damaged())?;
        stored.as_ref().and_then(KmsRing::decode).ok_or_else(damaged)
    }

    /// Makes the first term of a new KMSKey and says so in its status; the store's own value that comes with it.
    pub(super) fn begin_kms_key(&self, kind: &'static Kind, object: &mut Value) -> Result<Vec<StateChange>, Error> {
        if kind.id != KMS_KEY.id {
            return Ok(Vec::new());
        }
        let uid = text(object, "uid").unwrap_or_default().to_owned();
        let (now, row_uid) = (self.clock.unix_seconds(), parse_uid(&uid).unwrap_or_default());
        let ring = KmsRing::make(now).map_err(|_| Error::Internal("no randomness"))?;
        let status = kms_status(row_uid, object, &ring, &Value::Null, &BTreeMap::new(), now);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        Ok(vec![StateChange::put(kms_key_state_key(&uid), ring.encode())])
    }
}

/// The key id of a term.
fn key_id(uid: [u8; 16], term: KmsTermInfo) -> KeyId {
    KeyId { uid, term: term.number, tag: term.tag }
}

impl KmsKey {
    /// The term of a key id. An error says why there is none.
    pub fn term(&self, id: KeyId) -> Result<u32, &'static str> {
        if id.uid != self.uid {
            return Err("the key has no term of this key id");
        }
        match self.ring.terms().find(|term| term.number == id.term) {
            Some(term) if term.tag == id.tag => Ok(term.number),
            None if id.term <= self.ring.current().number => Err("the key has no term of this key id: it was retired"),
            _ => Err(
                "the key id is of another key, a term that a lost copy of this room has made: restore the backup or the database that has it",
            ),
        }
    }
}

/// Whether a KMSKey may be deleted.
pub(super) fn may_delete(kind: &'static Kind, name: &str, object: &Value) -> Result<(), Error> {
    if kind.id != KMS_KEY.id || Spec::parse(object).is_ok_and(|spec| spec.allows_deletion) {
        return Ok(());
    }
    let why = "what it encrypted can never be read again; set spec.allowDeletion to true first";
    Err(Error::Forbidden(Resource::new(kind, name), why.to_owned()))
}

fn rotate(request: Request<'_>, ring: &mut KmsRing, now: i64) -> Result<(), Error> {
    match ring.rotate(now) {
        Ok(_) => Ok(()),
        Err(SealError::TermsExhausted) => {
            let why = format!("it has {KMS_TERMS_MAX} terms, and may have no more: retire some that nothing uses");
            Err(Error::Conflict(request.resource()?, why))
        }
        Err(_) => Err(Error::Internal("no further term can be made")),
    }
}

fn retire(
    request: Request<'_>,
    ring: &mut KmsRing,
    status: &Value,
    uid: [u8; 16],
    retirement: &Retirement,
    now: i64,
) -> Result<(), Error> {
    let key_id = retirement.key_id.to_string();
    let refuse = |why: String| Err(Error::Conflict(request.resource()?, why));
    if !ring.terms().any(|term| self::key_id(uid, term) == retirement.key_id) {
        return refuse(format!("it has no term {key_id}"));
    }
    if retirement.key_id.term == ring.current().number {
        return refuse(format!("{key_id} is its current term: rotate the key first"));
    }
    let seen = last_seen(status, &key_id).unwrap_or(now);
    let wanted = i64::try_from(retirement.unseen_for.as_secs()).unwrap_or(i64::MAX);
    if now.saturating_sub(seen) < wanted {
        let seen = rfc3339(seen);
        return refuse(format!(
            "{key_id} was in use until {seen}, which is not long enough ago: encrypt everything anew, restart the API servers, and try again later"
        ));
    }
    ring.forget(retirement.key_id.term).map_err(|_| Error::Internal("a term that is not there"))
}

fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

fn kms_status(
    uid: [u8; 16],
    object: &Value,
    ring: &KmsRing,
    former: &Value,
    used: &BTreeMap<u32, TermUse>,
    now: i64,
) -> Value {
    let terms: Vec<Term> = ring
        .terms()
        .map(|term| Term { number: term.number, tag: term.tag, created: term.created_unix_seconds })
        .collect();
    status(uid, generation(object), &terms, former, used, now, rfc3339)
}

#[cfg(test)]
#[path = "kms_keys_tests.rs"]
mod tests;
