//! What the server is put together from: the one file here that names `auth` and the API, and with `audit_log` the
//! store.
//!
//! What it never does: keep a secret of its own. The authority's key and the hash of the administrator's token are
//! sealed rows.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use crate::api;
use crate::audit::{self, AuditLog, RequestFacts};
use crate::auth::{ADMIN_STATE_KEY, AdminToken, Authenticator, TokenHash};
use crate::clock::SharedClock;
use crate::config::{AuditConfig, HomePaths};
use crate::crypto::Keyring;
use crate::model::kinds;
use crate::model::user::User;
use crate::model::validation::options;
use crate::objects::watch::Hub;
use crate::objects::{self, Objects, Request, controllers};
use crate::pki::{Authority, CertificateFacts, LEAF_VALID_SECONDS, make_authority};
use crate::rbac::{self, Attributes};
use crate::sensitive::{Document, SecretBytes};
use crate::store::{self, Findings, Store};

use super::ServeError;
use super::audit_log;
use super::kubeconfig::AdminKubeconfig;
use super::listen::Application;
use super::root_key::NewKeys;

const AUTHORITY_CERTIFICATE: &str = "authority.certificate";
const AUTHORITY_KEY: &str = "authority.key";
const DEFAULT_NAMESPACE: &str = "default";

/// An open home. Clones share it.
#[derive(Clone)]
pub struct Assembly {
    store: Store,
    credentials: Credentials,
    audit: Arc<AuditLog>,
    looking_after_audit: AbortHandle,
    state: api::State,
}

/// What a home stores of its keys, none of it secret.
pub struct StoredKeys {
    /// Random, one per home.
    pub store_id: [u8; 16],
    /// The keyring, wrapped under the root key.
    pub wrapped: Vec<u8>,
    /// The slots, encoded.
    pub slots: Vec<Vec<u8>>,
}

/// The administrator's credential: its hash in the store and in memory, the token in the home's kubeconfig.
#[derive(Clone)]
struct Credentials {
    paths: HomePaths,
    store: Store,
    keyring: Arc<Keyring>,
    authenticator: Arc<Authenticator>,
    /// Held while the token is replaced: two at once would leave store, file and memory with different ones.
    changing: Arc<Mutex<()>>,
}

/// The keys of a home that exists.
pub async fn read_keys(paths: &HomePaths) -> Result<StoredKeys, ServeError> {
    let database = paths.database();
    let material = store::keys::read_key_material(&database).await.map_err(ServeError::store)?;
    let material = material.ok_or(ServeError::NoKeys(database))?;
    Ok(StoredKeys { store_id: material.store_id, wrapped: material.keyring, slots: material.slots })
}

/// Makes the database with its keys.
pub async fn create(paths: &HomePaths, keys: &NewKeys) -> Result<(), ServeError> {
    let material = store::keys::KeyMaterial {
        store_id: keys.keyring.store_id(),
        keyring: keys.wrapped.clone(),
        slots: vec![keys.slot.clone()],
    };
    store::keys::create(&paths.database(), &material, &keys.keyring).await.map_err(ServeError::store)
}

/// What of the configuration concerns what is assembled here.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Memory for sealed objects, in bytes.
    pub cache_bytes: usize,
    /// Open watches of one user.
    pub watches_per_user: usize,
    /// Whether Swagger UI and its document are served.
    pub swagger_ui: bool,
    /// How the audit log is kept.
    pub audit: AuditConfig,
}

impl Assembly {
    /// Opens the store with its keys and builds the API over it.
    pub async fn open(
        paths: &HomePaths,
        keyring: Keyring,
        clock: SharedClock,
        settings: Settings,
    ) -> Result<Self, ServeError> {
        let keyring = Arc::new(keyring);
        let options = store::OpenOptions {
            path: paths.database(),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            cache_bytes: settings.cache_bytes,
        };
        let (store, feed) = Store::open(options).await.map_err(ServeError::store)?;
        let audit = audit_log::open(paths, settings.audit, Arc::clone(&keyring), Arc::clone(&clock), &store)?;
        let authenticator = Arc::new(Authenticator::new(admin_hash(&store)?));
        let credentials = Credentials {
            paths: paths.clone(),
            store: store.clone(),
            keyring: Arc::clone(&keyring),
            authenticator: Arc::clone(&authenticator),
            changing: Arc::default(),
        };
        let objects = Arc::new(Objects::new(store.clone(), Arc::clone(&keyring), Arc::clone(&clock)));
        let hub = Arc::new(Hub::new(objects.revision(), settings.watches_per_user));
        tokio::spawn(controllers::run(Arc::clone(&objects), Arc::clone(&hub), feed));
        let state = api_state(Arc::clone(&objects), hub, keyring, clock, settings.swagger_ui, credentials.clone());
        report(store.findings(), &state.health);
        bootstrap(&objects).await?;
        let looking_after = tokio::spawn(audit_log::look_after(Arc::clone(&audit), store.clone()));
        Ok(Self { store, credentials, audit, looking_after_audit: looking_after.abort_handle(), state })
    }

    /// The home's certificate authority, made and sealed where there is none, or where the one there is ends within
    /// the life of a server certificate.
    #[expect(clippy::disallowed_methods, reason = "the new key is sealed")]
    pub async fn authority(&self, now_unix_seconds: i64) -> Result<Authority, ServeError> {
        if let Some(stored) = self.stored_authority()? {
            let not_after = CertificateFacts::read(&stored.certificate)?.not_after;
            if now_unix_seconds < not_after.saturating_sub(LEAF_VALID_SECONDS) {
                return Ok(stored);
            }
            tracing::warn!("the certificate authority ends soon and was replaced: clients need the new kubeconfig");
        }
        let made = make_authority(now_unix_seconds)?;
        let rows = vec![
            (AUTHORITY_CERTIFICATE, SecretBytes::new(made.certificate.clone())),
            (AUTHORITY_KEY, SecretBytes::new(made.key.expose().to_vec())),
        ];
        self.store.write_state(rows, Some(own_work(AUTHORITY_KEY))).await.map_err(ServeError::store)?;
        Ok(made)
    }

    /// The home's certificate authority as it is.
    #[expect(clippy::disallowed_methods, reason = "the certificate is public")]
    pub fn stored_authority(&self) -> Result<Option<Authority>, ServeError> {
        let certificate = self.store.read_state(AUTHORITY_CERTIFICATE).map_err(ServeError::store)?;
        let key = self.store.read_state(AUTHORITY_KEY).map_err(ServeError::store)?;
        let both = certificate.zip(key);
        Ok(both.map(|(certificate, key)| Authority { certificate: certificate.expose().to_vec(), key }))
    }

    /// Puts address and trust into the kubeconfig. A token in it that still works stays; otherwise there is a new one.
    pub async fn write_kubeconfig(&self, server: &str, trust: Option<String>) -> Result<(), ServeError> {
        let path = self.credentials.paths.kubeconfig();
        let server = server.to_owned();
        let _changing = self.credentials.changing.lock().await;
        if let Some(AdminKubeconfig { token, .. }) = AdminKubeconfig::read(&path)
            && self.credentials.is_admin(&token)
        {
            AdminKubeconfig { server, trust, token }.write(&path)?;
            return Ok(());
        }
        if path.exists() {
            tracing::warn!(
                file = %path.display(),
                "the file was open to others, or the token in it was not the administrator's: there is a new token in it"
            );
        }
        self.credentials.replace(own_work(ADMIN_STATE_KEY), |token| AdminKubeconfig { server, trust, token }).await
    }

    /// Replaces the administrator's token, in the kubeconfig too; the one before is no longer accepted.
    pub async fn rotate_admin_token(&self) -> Result<(), ServeError> {
        self.credentials.rotate(own_work(ADMIN_STATE_KEY)).await
    }

    /// Ends the store: what was acknowledged is on the disk and the database file stands alone.
    pub async fn close(self) -> Result<(), ServeError> {
        self.looking_after_audit.abort();
        audit_log::close(&self.audit, &self.store).await;
        self.store.close().await.map_err(ServeError::store)
    }
}

impl Application for Assembly {
    fn configure(&self, routes: &mut ServiceConfig) {
        api::configure(routes, self.state.clone());
    }

    fn begin_shutdown(&self) {
        self.state.shutting_down();
    }
}

impl Credentials {
    #[expect(clippy::disallowed_methods, reason = "the token is hashed and compared")]
    fn is_admin(&self, token: &SecretBytes) -> bool {
        self.authenticator.token_user(&self.keyring, token.expose()).is_ok()
    }

    async fn rotate(&self, audit: Vec<u8>) -> Result<(), ServeError> {
        let _changing = self.changing.lock().await;
        let path = self.paths.kubeconfig();
        let old = AdminKubeconfig::read(&path).ok_or(ServeError::NoKubeconfig(path))?;
        self.replace(audit, |token| AdminKubeconfig { token, ..old }).await
    }

    /// For a caller that holds `changing`. Store first, then file, then memory: a full disk changes nothing, and a
    /// crash in between leaves a token that the next start finds does not work, and replaces.
    async fn replace(
        &self,
        audit: Vec<u8>,
        kubeconfig: impl FnOnce(SecretBytes) -> AdminKubeconfig,
    ) -> Result<(), ServeError> {
        let before = self.store.read_state(ADMIN_STATE_KEY).map_err(ServeError::store)?;
        let made = AdminToken::make(&self.keyring).map_err(|_| ServeError::Random)?;
        self.write_hash(SecretBytes::new(made.hash.0.to_vec()), audit).await?;
        if let Err(error) = kubeconfig(made.token).write(&self.paths.kubeconfig()) {
            if let Some(before) = before {
                self.write_hash(before, own_work(ADMIN_STATE_KEY)).await?;
            }
            return Err(error.into());
        }
        self.authenticator.replace_admin(made.hash);
        Ok(())
    }

    async fn write_hash(&self, hash: SecretBytes, audit: Vec<u8>) -> Result<(), ServeError> {
        self.store.write_state(vec![(ADMIN_STATE_KEY, hash)], Some(audit)).await.map_err(ServeError::store)
    }
}

/// The audit record of what the server, or a command without one, does for itself.
fn own_work(what: &str) -> Vec<u8> {
    let attributes = Attributes::path("update", &format!("/strongroom/v1/state/{what}"));
    audit::mutation(&RequestFacts::default(), &User::system("server"), &attributes, what, "", 200)
}

/// The stored hash; where there is none, one that no token has.
#[expect(clippy::disallowed_methods, reason = "a hash is compared, never shown")]
fn admin_hash(store: &Store) -> Result<TokenHash, ServeError> {
    let stored = store.read_state(ADMIN_STATE_KEY).map_err(ServeError::store)?;
    if let Some(hash) = stored.and_then(|row| row.expose().try_into().ok()) {
        return Ok(TokenHash(hash));
    }
    let mut unknown = [0; 32];
    getrandom::fill(&mut unknown).map_err(|_| ServeError::Random)?;
    Ok(TokenHash(unknown))
}

/// The API over open objects.
fn api_state(
    objects: Arc<Objects>,
    hub: Arc<Hub>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    swagger_ui: bool,
    credentials: Credentials,
) -> api::State {
    let authenticator = Arc::clone(&credentials.authenticator);
    let rotate_admin: api::RotateAdmin = Arc::new(move |audit| {
        let credentials = credentials.clone();
        // On its own, for a client that goes away ends its request, and this must not stop half-way.
        let rotating = tokio::spawn(async move { credentials.rotate(audit).await });
        Box::pin(async move {
            let Err(error) = rotating.await.unwrap_or_else(|error| Err(ServeError::Io(error.into()))) else {
                return Ok(());
            };
            tracing::error!(%error, "the administrator's token was not replaced");
            Err("the administrator's token was not replaced; the server's log says why")
        })
    });
    api::State::new(objects, hub, authenticator, keyring, clock, swagger_ui, rotate_admin)
}

/// Makes namespace `default` where there is none: at a first start.
async fn bootstrap(objects: &Objects) -> Result<(), ServeError> {
    let refused = || ServeError::Store("namespace `default` was not made".to_owned());
    let attributes = Attributes::object("create", &kinds::NAMESPACE, "", DEFAULT_NAMESPACE);
    let permit = rbac::authorize(&User::system("bootstrap"), attributes).map_err(|_| refused())?;
    let request = Request { permit: &permit, facts: &RequestFacts::default() };
    if objects.exists(request).unwrap_or(true) {
        return Ok(());
    }
    let namespace = Document::new(serde_json::json!({"metadata": {"name": DEFAULT_NAMESPACE}}));
    let options = options::create(&[]).map_err(|_| refused())?;
    match objects.create(request, namespace, &options, &mut Vec::new()).await {
        Ok(_) => Ok(()),
        // Then the store says why, and the rest of it can be read.
        Err(objects::Error::Unavailable(why)) => {
            tracing::warn!(why, "namespace `default` was not made");
            Ok(())
        }
        Err(_) => Err(refused()),
    }
}

/// Says what the check of the store has found.
fn report(findings: &Findings, health: &api::Health) {
    for row in findings.damaged.values() {
        tracing::error!(store.row = row, "a stored row does not pass authentication and is not served");
    }
    for row in &findings.in_refused {
        tracing::error!(store.row = row, "a row is refused because rows beside it are missing, older or foreign");
    }
    if findings.audit_broken {
        tracing::error!("the audit chain of mutations does not end where it did: records are missing");
    }
    if findings.forbids_writes() {
        health
            .fail("store-integrity", "rows were changed from outside; the rest is served read-only: restore a backup");
    }
}
