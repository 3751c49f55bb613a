//! This process as what encrypts and decrypts: the keys of its own store.
//!
//! For the socket it acts as one service account, whose rights and existence are asked for at every call. Every call that
//! encrypts or decrypts is recorded before its answer is given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::provider::{Encrypted, Failure, FailureKind, Origin, Provider};
use super::service::SERVICE;
use super::usage::{Done, Usage};
use super::{CIPHERTEXT_MAX_BYTES, PLAINTEXT_MAX_BYTES};
use crate::audit::{AuditLog, Decision, Event, ReducedQuery, RequestFacts, Stage};
use crate::clock::SharedClock;
use crate::crypto::KmsBinding;
use crate::model::kinds::KMS_KEY;
use crate::model::kms_key::KeyId;
use crate::model::user::User;
use crate::objects::{Error, KmsKey, Objects};
use crate::rbac::{self, Attributes, Denial, Permit};
use crate::sensitive::SecretBytes;

/// Annotation: under which key id something was encrypted or decrypted.
pub const KEY_ID: &str = "strongroom.dev/kms-key-id";
/// Annotation: what the API server calls the request.
pub const REQUEST_UID: &str = "strongroom.dev/kms-request-uid";

/// kube-apiserver sends a UUID.
const REQUEST_UID_MAX_CHARS: usize = 64;
/// What stands for a client that says nothing of itself.
const USER_AGENT: &str = "kms-v2";

/// A key, and the revision of its object that it is of.
type OpenKey = (u64, Arc<KmsKey>);

/// What encrypts and decrypts with the keys of this store. Clones share it.
#[derive(Clone)]
pub struct Room {
    pub(super) objects: Arc<Objects>,
    pub(super) clock: SharedClock,
    pub(super) usage: Arc<Usage>,
    audit: Arc<AuditLog>,
    /// Open keys by name, each with the revision it is of.
    open: Arc<RwLock<HashMap<String, OpenKey>>>,
}

impl Room {
    /// Over these objects.
    pub fn new(objects: Arc<Objects>, audit: Arc<AuditLog>, clock: SharedClock) -> Self {
        Self { objects, clock, usage: Arc::default(), audit, open: Arc::default() }
    }

    /// Encrypts with the key that the permit to `encrypt` names. What is recorded of it is the caller's.
    pub fn seal(&self, permit: &Permit, plain: &SecretBytes) -> Result<Encrypted, Failure> {
        if plain.len() > PLAINTEXT_MAX_BYTES {
            let text = format!("a plaintext may have {PLAINTEXT_MAX_BYTES} bytes");
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let key = self.key(permit)?;
        let binding = KmsBinding { store_id: self.objects.store_id(), uid: &key.uid, key_id: &key.current_key_id };
        let ciphertext = key
            .ring
            .seal(&binding, plain)
            .map_err(|_| Failure::new(FailureKind::Unavailable, "the operating system gave no randomness"))?;
        self.usage.note(key.uid, permit.name(), key.ring.current().number, Done::Encrypted, self.clock.unix_seconds());
        Ok(Encrypted { ciphertext, key_id: key.current_key_id.clone() })
    }

    /// Decrypts with the key that the permit to `decrypt` names what was encrypted under `key_id`.
    pub fn open(&self, permit: &Permit, ciphertext: &[u8], key_id: &str) -> Result<SecretBytes, Failure> {
        let key = self.key(permit)?;
        let id = KeyId::parse(key_id).ok_or("this is no key id of a KMSKey");
        let term = id.and_then(|id| key.term(id)).map_err(|why| Failure::new(FailureKind::NoTerm, why))?;
        if ciphertext.len() > CIPHERTEXT_MAX_BYTES {
            let text = format!("a ciphertext has {CIPHERTEXT_MAX_BYTES} bytes at most");
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let binding = KmsBinding { store_id: self.objects.store_id(), uid: &key.uid, key_id };
        let plain = key.ring.open(&binding, term, ciphertext).map_err(|_| {
            Failure::new(FailureKind::Invalid, "the ciphertext was not encrypted under this key id, or was changed")
        })?;
        self.usage.note(key.uid, permit.name(), term, Done::Decrypted, self.clock.unix_seconds());
        Ok(plain)
    }

    /// The key id that a key encrypts with now.
    pub fn current_key_id(&self, permit: &Permit) -> Result<String, Failure> {
        self.key(permit).map(|key| key.current_key_id.clone())
    }

    fn key(&self, permit: &Permit) -> Result<Arc<KmsKey>, Failure> {
        let name = permit.name();
        let missing = || Failure::new(FailureKind::NoKey, format!("there is no KMSKey {name:?}"));
        let Some(revision) = self.objects.kms_key_revision(name) else {
            self.open.write().unwrap_or_else(PoisonError::into_inner).remove(name);
            return Err(missing());
        };
        {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, key)) = open.get(name).filter(|(of, _)| *of == revision) {
                return Ok(Arc::clone(key));
            }
        }
        let key = self.objects.open_kms_key(permit).map_err(|error| match error {
            Error::NotFound(_) => missing(),
            Error::Unavailable(why) => Failure::new(FailureKind::Unavailable, why),
            _ => Failure::new(FailureKind::Internal, "the stored key cannot be read"),
        })?;
        let key = Arc::new(key);
        // What was opened may be of a later revision than the one that was looked up: then it is opened once more.
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), (revision, Arc::clone(&key)));
        Ok(key)
    }
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A room for one account and one key: what is behind a socket. Clones share it.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    room: Room,
    key: String,
    account: Account,
    standing: Mutex<Option<Arc<Standing>>>,
}

/// What the account may, as of a state of everything that decides it.
struct Standing {
    /// Revisions of what decides access, and of the account.
    stamp: (u64, u64),
    user: Arc<User>,
    encrypt: Result<Permit, Box<Denial>>,
    decrypt: Result<Permit, Box<Denial>>,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Call {
    Encrypt,
    Decrypt,
}

impl Call {
    fn attributes(self, key: &str) -> Attributes {
        let (verb, name) = match self {
            Self::Encrypt => ("encrypt", "Encrypt"),
            Self::Decrypt => ("decrypt", "Decrypt"),
        };
        Attributes { path: format!("{SERVICE}{name}"), ..Attributes::object(verb, &KMS_KEY, "", key) }
    }
}

impl Caller {
    /// For a key, as an account.
    pub fn new(room: Room, key: String, account: Account) -> Self {
        Self(Arc::new(Inner { room, key, account, standing: Mutex::default() }))
    }

    fn standing(&self) -> Result<Arc<Standing>, Failure> {
        let Inner { room, key, account, standing } = &*self.0;
        let Account { namespace, name } = account;
        let missing = || {
            let text = format!("there is no service account {name:?} in namespace {namespace:?}");
            Failure::new(FailureKind::Denied, text)
        };
        let objects = &room.objects;
        let stamp = (objects.access_revision(), objects.service_account_revision(namespace, name).ok_or_else(missing)?);
        let mut latest = standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = latest.as_ref().filter(|standing| standing.stamp == stamp) {
            return Ok(Arc::clone(standing));
        }
        let uid = objects.uid(&crate::model::kinds::SERVICE_ACCOUNT, namespace, name).ok_or_else(missing)?;
        let user = Arc::new(User::service_account(namespace, name, &uid));
        let policy = Arc::clone(&objects.access().policy);
        let may = |call: Call| rbac::authorize(&policy, &user, call.attributes(key)).map_err(Box::new);
        let (encrypt, decrypt) = (may(Call::Encrypt), may(Call::Decrypt));
        let made = Arc::new(Standing { stamp, user, encrypt, decrypt });
        *latest = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Does it, if the account may, and records it before anything is answered.
    async fn recorded<T>(
        &self,
        call: Call,
        origin: &Origin,
        key_id: Option<&str>,
        work: impl FnOnce(&Room, &Permit) -> Result<(T, String), Failure>,
    ) -> Result<T, Failure> {
        let room = &self.0.room;
        let standing = match self.standing() {
            Ok(standing) => standing,
            Err(failure) => {
                let Account { namespace, name } = &self.0.account;
                let user = User::service_account(namespace, name, "");
                let event = told(room, origin, &user, &call.attributes(&self.0.key), Err(failure.kind), "")?;
                // Whether it could be recorded or not, it was refused.
                let _ = room.audit.append_denial(None, event);
                return Err(failure);
            }
        };
        let permit = match call {
            Call::Encrypt => &standing.encrypt,
            Call::Decrypt => &standing.decrypt,
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(denial) => {
                let kind = FailureKind::Denied;
                let event = told(room, origin, &standing.user, &call.attributes(&self.0.key), Err(kind), "")?;
                let _ = room.audit.append_denial(None, event);
                return Err(Failure::new(kind, denial.message.clone()));
            }
        };
        let done = work(room, permit);
        if room.audit.records_reads() {
            let used = done.as_ref().map_or_else(|_| key_id.unwrap_or_default(), |(_, used)| used.as_str());
            let outcome = done.as_ref().map(drop).map_err(|failure| failure.kind);
            room.record(told(room, origin, &standing.user, permit.attributes(), outcome, used)?).await?;
        }
        done.map(|(answer, _)| answer)
    }
}

/// The record of a call.
fn told(
    room: &Room,
    origin: &Origin,
    user: &User,
    attributes: &Attributes,
    outcome: Result<(), FailureKind>,
    key_id: &str,
) -> Result<Vec<u8>, Failure> {
    let (code, reason) = outcome.map_or_else(answered, |()| (200, ""));
    let request_uid: String =
        origin.request_uid.chars().filter(|c| !c.is_control()).take(REQUEST_UID_MAX_CHARS).collect();
    // What the caller sent as a key id is shown only where it is one.
    let shown = if KeyId::parse(key_id).is_some() { key_id } else { "" };
    let annotations: Vec<(&str, &str)> =
        [(KEY_ID, shown), (REQUEST_UID, &request_uid)].into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let (now, peer) = (room.clock.unix_millis(), format!("unix:{}", origin.peer_uid));
    let facts = RequestFacts::new(audit_id()?, peer, USER_AGENT, ReducedQuery::default(), now);
    let is_denied = matches!(outcome, Err(FailureKind::Denied));
    let event = Event {
        stage: Stage::ResponseComplete,
        reason,
        decision: Some(if is_denied { Decision::Forbid } else { Decision::Allow }),
        annotations: &annotations,
        ..Event::new(&facts, user, attributes, code)
    };
    Ok(event.to_json())
}

impl Room {
    async fn record(&self, event: Vec<u8>) -> Result<(), Failure> {
        let written = if self.audit.waits_for_disk() {
            let log = Arc::clone(&self.audit);
            let failed = || Failure::new(FailureKind::Internal, "the record was not written");
            tokio::task::spawn_blocking(move || log.append(&event)).await.map_err(|_| failed())?
        } else {
            self.audit.append(&event)
        };
        written.map_err(|refused| Failure::new(FailureKind::Unavailable, refused.why()))
    }
}

impl Provider for Caller {
    async fn status(&self) -> Result<String, Failure> {
        let standing = self.standing()?;
        let denied = |denial: &Denial| Failure::new(FailureKind::Denied, denial.message.clone());
        standing.encrypt.as_ref().map_err(|denial| denied(denial))?;
        let permit = standing.decrypt.as_ref().map_err(|denial| denied(denial))?;
        if let Some(refused) = self.0.room.audit.refusal() {
            return Err(Failure::new(FailureKind::Unavailable, refused.why()));
        }
        self.0.room.current_key_id(permit)
    }

    async fn encrypt(&self, plain: SecretBytes, origin: &Origin) -> Result<Encrypted, Failure> {
        let work = |room: &Room, permit: &Permit| {
            let made = room.seal(permit, &plain)?;
            let key_id = made.key_id.clone();
            Ok((made, key_id))
        };
        self.recorded(Call::Encrypt, origin, None, work).await
    }

    async fn decrypt(&self, ciphertext: &[u8], key_id: &str, origin: &Origin) -> Result<SecretBytes, Failure> {
        let work = |room: &Room, permit: &Permit| Ok((room.open(permit, ciphertext, key_id)?, key_id.to_owned()));
        self.recorded(Call::Decrypt, origin, Some(key_id), work).await
    }
}

/// The status and its reason that stand in the record of a failure.
fn answered(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::Invalid => (400, "BadRequest"),
        FailureKind::NoKey | FailureKind::NoTerm => (404, "NotFound"),
        FailureKind::Denied => (403, "Forbidden"),
        FailureKind::Unavailable => (503, "ServiceUnavailable"),
        FailureKind::Internal => (500, "InternalError"),
    }
}

fn audit_id() -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|_| Failure::new(FailureKind::Unavailable, "the operating system gave no randomness"))?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid().to_string())
}
