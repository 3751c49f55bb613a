//! Secrets that hold a service account's token (type `kubernetes.io/service-account-token`): filled, put right and
//! removed as Kubernetes' token controller does it, where the server is set up to.
//!
//! Lives on the store's change feed and on a look at everything when it begins, so that a crash in between leaves
//! nothing undone. Each change is a write like any other, in the controller's own name, with its own audit record.
//!
//! What it never does: replace a token that is there, or judge whether one is good. `auth` makes tokens and accepts
//! them, and asks here whether the Secret still holds the one that was presented.
//!
//! Source: `pkg/controller/serviceaccount/tokens_controller.go` of Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::create::{set, uid_text};
use super::{Error, Objects, Request};
use crate::audit::RequestFacts;
use crate::model::kinds::{Kind, SECRET, SERVICE_ACCOUNT};
use crate::model::user::User;
use crate::model::validation::options::{self, DeleteOptions};
use crate::model::validation::secret::{SERVICE_ACCOUNT_NAME, SERVICE_ACCOUNT_TOKEN, SERVICE_ACCOUNT_UID};
use crate::rbac::{self, Attributes, Policy};
use crate::sensitive::SecretBytes;
use crate::store::{Change, Flags, Operation, Range};

/// Who fills and removes them, as the audit shows it; also the field manager.
const COMPONENT: &str = "tokens-controller";

/// What a client is told who makes such a Secret where none is filled.
const NOT_FILLED: &str =
    "no token will be put into this secret: the server runs without --legacy-service-account-tokens";

/// How often a Secret is looked at again that could not be put right.
const RETRIES: u32 = 6;
/// The wait before the first of these; each next one is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// Whose token is to be made, and for which Secret.
#[derive(Debug, Clone, Copy)]
pub struct TokenSecret<'a> {
    /// Namespace of both.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub secret: &'a str,
    /// Name of the service account.
    pub account: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// Makes a token; `None` if none can be made now. Supplied by `server`, for `auth` signs it.
pub type MakeToken = Arc<dyn Fn(TokenSecret<'_>) -> Option<SecretBytes> + Send + Sync>;

/// What is to be looked at.
pub(super) enum Work {
    /// The Secret of this namespace and name.
    Secret(Arc<str>, Arc<str>),
    /// Every Secret of the service account of this namespace and name.
    Account(Arc<str>, Arc<str>),
}

/// Looks at every Secret, then at what `queue` names, until it ends. `trust` is the certificate (PEM) by which clients
/// know the server, empty where they need none; nothing is done before it is there.
pub(super) async fn run(
    objects: Arc<Objects>,
    mut trust: watch::Receiver<Option<Vec<u8>>>,
    mut queue: mpsc::UnboundedReceiver<Work>,
) {
    let Ok(trust) = trust.wait_for(Option::is_some).await.map(|trust| trust.clone().unwrap_or_default()) else {
        return;
    };
    let (again, mut due) = mpsc::unbounded_channel();
    let filling = Filling { objects, trust, again };
    for entry in filling.objects.store.live(SECRET.id) {
        filling.look_in_passing(entry.revision, None).await;
    }
    loop {
        tokio::select! {
            work = queue.recv() => match work {
                None => return,
                Some(Work::Secret(namespace, name)) => filling.look(namespace, name, 0).await,
                Some(Work::Account(namespace, account)) => filling.look_at_all_of(&namespace, &account).await,
            },
            Some(Retry(namespace, name, retries)) = due.recv() => filling.look(namespace, name, retries).await,
        }
    }
}

/// A Secret that is to be looked at again, and how often it was already.
struct Retry(Arc<str>, Arc<str>, u32);

/// What filling takes.
struct Filling {
    objects: Arc<Objects>,
    trust: Vec<u8>,
    again: mpsc::UnboundedSender<Retry>,
}

impl Filling {
    /// Looks at what an account that is gone leaves behind.
    async fn look_at_all_of(&self, namespace: &str, account: &str) {
        let range = Range { namespace: Some(namespace), ..Range::default() };
        let secrets = self.objects.store.snapshot(SECRET.id, &range).map(|snapshot| snapshot.revisions);
        for revision in secrets.unwrap_or_default() {
            self.look_in_passing(revision, Some(account)).await;
        }
    }

    /// Looks at a Secret that holds tokens, or is to: of this account only, if one is given.
    async fn look_in_passing(&self, revision: u64, account: Option<&str>) {
        let Ok(row) = self.objects.store.row_in_passing(revision) else { return };
        // A row that does not open was reported when the store was scanned.
        let Ok(loaded) = self.objects.open(&SECRET, Arc::clone(&row)) else { return };
        if loaded.mentions(SERVICE_ACCOUNT_TOKEN) && account.is_none_or(|account| loaded.mentions(account)) {
            self.look(Arc::clone(&row.namespace), Arc::clone(&row.name), 0).await;
        }
    }

    async fn look(&self, namespace: Arc<str>, name: Arc<str>, retries: u32) {
        match self.objects.settle_token_secret(&namespace, &name, &self.trust).await {
            // Where somebody else changed it meanwhile, their change comes by here too.
            Ok(()) | Err(Error::NotFound(_) | Error::Conflict(..) | Error::DeletePrecondition(..)) => {}
            // What the object itself forbids (it is immutable, or full) changes with the object only.
            Err(error) if retries >= RETRIES || matches!(error, Error::Invalid(..)) => tracing::warn!(
                object.namespace = &*namespace,
                object.name = &*name,
                "a secret for a service account's token could not be put right; its next change or a restart tries again"
            ),
            Err(_) => {
                let again = self.again.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(FIRST_RETRY * 2_u32.saturating_pow(retries)).await;
                    let _ = again.send(Retry(namespace, name, retries + 1));
                });
            }
        }
    }
}

impl Objects {
    /// Lets Secrets of service accounts be filled with tokens that `make` makes.
    #[must_use]
    pub fn filling_token_secrets(self, make: MakeToken) -> Self {
        Self { make_token: Some(make), ..self }
    }

    /// Whether such a Secret is there, is not being deleted, and holds as its token the one of which this is the
    /// SHA-256.
    #[expect(clippy::disallowed_methods, reason = "the token is compared with the one presented, by hash")]
    pub fn holds_account_token(&self, namespace: &str, name: &str, sha256: &[u8; 32]) -> bool {
        let Ok(Some(entry)) = self.store.find(SECRET.id, namespace, name) else { return false };
        if entry.flags.has(Flags::TERMINATING) {
            return false;
        }
        let document = self.load(&SECRET, name, entry.revision).and_then(|loaded| self.document(&loaded));
        let Ok(document) = document else { return false };
        let secret = document.expose();
        let Some(token) = value(secret, "token").filter(|_| holds_tokens(secret)) else { return false };
        let mut decoded = Zeroizing::new(Vec::with_capacity(token.len()));
        STANDARD.decode_vec(token, &mut decoded).is_ok() && bool::from(Sha256::digest(&*decoded).ct_eq(&sha256[..]))
    }

    /// What a client is told who makes this object.
    pub(super) fn warning_of_no_token(&self, kind: &'static Kind, object: &Value) -> Option<String> {
        (self.make_token.is_none() && kind.id == SECRET.id && holds_tokens(object)).then(|| NOT_FILLED.to_owned())
    }

    /// What has to be looked at after a change.
    pub(super) fn token_work(change: &Change) -> Option<Work> {
        let (namespace, name) = (Arc::clone(&change.row.namespace), Arc::clone(&change.row.name));
        match change.op {
            Operation::Put if change.kind_id == SECRET.id => Some(Work::Secret(namespace, name)),
            Operation::Delete if change.kind_id == SERVICE_ACCOUNT.id => Some(Work::Account(namespace, name)),
            _ => None,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the Secret is filled")]
    async fn settle_token_secret(&self, namespace: &str, name: &str, trust: &[u8]) -> Result<(), Error> {
        let found = self.store.find(SECRET.id, namespace, name);
        let Some(entry) = found.map_err(|error| super::live::read_error(&error, &SECRET, name))? else { return Ok(()) };
        let loaded = self.load(&SECRET, name, entry.revision)?;
        if entry.flags.has(Flags::TERMINATING) || !loaded.mentions(SERVICE_ACCOUNT_TOKEN) {
            return Ok(());
        }
        let mut document = self.document(&loaded)?;
        let secret = document.expose_mut();
        let account = annotation(secret, SERVICE_ACCOUNT_NAME).to_owned();
        if !holds_tokens(secret) || account.is_empty() {
            return Ok(());
        }
        let facts = RequestFacts::own(self.clock.unix_millis());
        let noted = annotation(secret, SERVICE_ACCOUNT_UID);
        let live = self.account_uid(namespace, &account)?.filter(|uid| noted.is_empty() || noted == uid);
        let Some(uid) = live else {
            // Of an account that is gone, or of a former one of this name.
            let options = DeleteOptions {
                precondition_uid: Some(loaded.uid()),
                precondition_resource_version: Some(loaded.revision().to_string()),
                ..DeleteOptions::default()
            };
            let permit = permit("delete", namespace, name)?;
            return self.delete(Request { permit: &permit, facts: &facts }, &options).await.map(drop);
        };
        let wanted = TokenSecret { namespace, secret: name, account: &account, uid: &uid };
        if !self.fill(secret, wanted, trust)? {
            return Ok(());
        }
        let mut options = options::create(&[]).map_err(|_| Error::Internal("the options of no query"))?;
        COMPONENT.clone_into(&mut options.field_manager);
        let permit = permit("update", namespace, name)?;
        self.update(Request { permit: &permit, facts: &facts }, document, &options, &mut Vec::new()).await.map(drop)
    }

    /// Uid of a service account; `None` if there is certainly none. One that cannot be read is an error: its Secrets
    /// are not removed for it.
    fn account_uid(&self, namespace: &str, name: &str) -> Result<Option<String>, Error> {
        let failed = |error| super::live::read_error(&error, &SERVICE_ACCOUNT, name);
        let Some(entry) = self.store.find(SERVICE_ACCOUNT.id, namespace, name).map_err(failed)? else {
            return Ok(None);
        };
        let row = self.store.row(entry.revision).map_err(failed)?;
        Ok(Some(uid_text(&row.uid)))
    }

    /// Puts in what is missing; whether anything was.
    #[expect(clippy::disallowed_methods, reason = "the token goes into the Secret it was made for")]
    fn fill(&self, secret: &mut Value, wanted: TokenSecret<'_>, trust: &[u8]) -> Result<bool, Error> {
        let mut missing: Vec<(&str, String)> = Vec::new();
        if value(secret, "token").is_none_or(str::is_empty) {
            let token = self.make_token.as_ref().and_then(|make| make(wanted));
            let token = token.ok_or(Error::Internal("no token can be signed"))?;
            missing.push(("token", STANDARD.encode(token.expose())));
        }
        let trust = STANDARD.encode(trust);
        if !trust.is_empty() && value(secret, "ca.crt") != Some(&trust) {
            missing.push(("ca.crt", trust));
        }
        if value(secret, "namespace").is_none_or(str::is_empty) {
            missing.push(("namespace", STANDARD.encode(wanted.namespace)));
        }
        let is_noted = annotation(secret, SERVICE_ACCOUNT_UID) == wanted.uid;
        if missing.is_empty() && is_noted {
            return Ok(false);
        }
        if let Some(fields) = secret.as_object_mut() {
            let data = fields.entry("data").or_insert(Value::Null);
            if !data.is_object() {
                *data = json!({});
            }
            for (key, value) in missing {
                if let Some(data) = data.as_object_mut() {
                    data.insert(key.to_owned(), value.into());
                }
            }
        }
        let mut annotations = secret.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(SERVICE_ACCOUNT_UID.to_owned(), wanted.uid.into());
        }
        set(secret, "annotations", annotations);
        Ok(true)
    }
}

fn permit(verb: &str, namespace: &str, name: &str) -> Result<rbac::Permit, Error> {
    let attributes = Attributes::object(verb, &SECRET, namespace, name);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system(COMPONENT)), attributes)
        .map_err(|denial| Error::Denied(Box::new(denial)))
}

fn holds_tokens(secret: &Value) -> bool {
    secret.get("type").and_then(Value::as_str) == Some(SERVICE_ACCOUNT_TOKEN)
}

fn annotation<'a>(secret: &'a Value, name: &str) -> &'a str {
    let annotations = secret.get("metadata").and_then(|metadata| metadata.get("annotations"));
    annotations.and_then(|annotations| annotations.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// A value of `data`, in base64.
fn value<'a>(secret: &'a Value, key: &str) -> Option<&'a str> {
    secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str)
}
