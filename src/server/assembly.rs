//! What the server is put together from: the one file here that names the API, but for what is answered while the home is
//! sealed; with `outside_issuers` the one that names `auth`, and with `audit_log` the one that names the store.
//!
//! What it never does: keep a secret of its own. The authorities' keys and the hash of the administrator's token are
//! sealed rows.

use std::sync::{Arc, Weak};

use actix_web::web::ServiceConfig;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::AbortHandle;

use crate::api;
use crate::audit::{self, AuditLog, RequestFacts};
use crate::auth::{self, ADMIN_STATE_KEY, AdminToken, Authenticator, LegacyToken, OutsideIssuer, TokenHash};
use crate::clock::SharedClock;
use crate::config::{
    AuditConfig, BackupSchedule, ConfigError, DataKeyAge, EventTtl, History, HomePaths, PasswordMemory, TokenIssuer,
};
use crate::crypto::{Argon2Cost, Keyring, Slot, password_limits};
use crate::issue::{self, RoomAuthority};
use crate::keys::{self, Custody, OpenKeys};
use crate::kms;
use crate::model::user::User;
use crate::objects::watch::Hub;
use crate::objects::{MakeToken, Objects, controllers};
use crate::pki::client::CLIENT_DEFAULT_TTL_SECONDS;
use crate::pki::{
    AUTHORITY_VALID_SECONDS, Authority, CertificateFacts, LEAF_VALID_SECONDS, PkiError, make_authority,
    make_client_authority, make_workload_authority,
};
use crate::rbac::Attributes;
use crate::sensitive::SecretBytes;
use crate::store::{self, Findings, StateChange, Store};
use crate::sync::{self, Room};

use super::audit_log;
use super::backup::Online;
use super::kubeconfig::AdminKubeconfig;
use super::listen::Application;
use super::root_key::NewKeys;
use super::sealing::UnsealFacts;
use super::{ServeError, bootstrap, incidents, outside_issuers};

/// An open home. Clones share it.
#[derive(Clone)]
pub struct Assembly {
    store: Store,
    credentials: Credentials,
    audit: Arc<AuditLog>,
    backups: Arc<Online>,
    /// What goes on until the store is closed.
    background: Arc<[AbortHandle]>,
    /// See [`Assembly::trust`].
    trust: Arc<watch::Sender<Option<Vec<u8>>>>,
    clock: SharedClock,
    kms: kms::Room,
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
    clock: SharedClock,
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
        slots: keys.opened.slots.iter().map(Slot::encode).collect(),
    };
    store::keys::create(&paths.database(), &material, &keys.keyring).await.map_err(ServeError::store)
}

/// What of the configuration concerns what is assembled here.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Settings {
    /// Memory for sealed objects, in bytes.
    pub cache_bytes: usize,
    /// Open watches of one user.
    pub watches_per_user: usize,
    /// Whether Swagger UI and its document are served.
    pub swagger_ui: bool,
    /// Whether lists leave values out for callers who may not `get` the object.
    pub redact_lists: bool,
    /// How long Events are kept.
    pub event_ttl: EventTtl,
    /// How old the data key gets.
    pub data_key_age: DataKeyAge,
    /// How long former versions of Secrets are kept.
    pub history: History,
    /// How the audit log is kept.
    pub audit: AuditConfig,
    /// Backups by a schedule, if there is one.
    pub backup: Option<BackupSchedule>,
    /// `iss` of the tokens that are signed.
    pub token_issuer: TokenIssuer,
    /// Whether Secrets of service accounts are filled with tokens that never end, and those accepted.
    pub legacy_tokens: bool,
    /// Memory for hashing a password.
    pub password_memory: PasswordMemory,
    /// Issuers of other systems whose tokens are accepted.
    pub outside_issuers: Vec<OutsideIssuer>,
    /// Whether what SecretSyncs want is written into clusters.
    pub sync: bool,
    /// Whether certificates are issued and values generated.
    pub issuing: bool,
    /// Has the server sealed.
    pub seal: api::SealNow,
}

/// One of the home's certificate authorities. None signs what another does.
#[derive(Clone, Copy)]
pub enum Signs {
    /// The server's certificate.
    Server,
    /// Certificates of users.
    Clients,
    /// Certificates of workloads.
    Workloads,
}

impl Signs {
    /// The sealed rows of its certificate and of its key.
    fn rows(self) -> (&'static str, &'static str) {
        match self {
            Self::Server => ("authority.certificate", "authority.key"),
            Self::Clients => ("client-authority.certificate", "client-authority.key"),
            Self::Workloads => ("workload-authority.certificate", "workload-authority.key"),
        }
    }

    fn make(self, now_unix_seconds: i64) -> Result<Authority, PkiError> {
        match self {
            Self::Server => make_authority(now_unix_seconds),
            Self::Clients => make_client_authority(now_unix_seconds),
            Self::Workloads => make_workload_authority(now_unix_seconds),
        }
    }

    /// What is signed usually lives so long; an authority that ends sooner is replaced.
    fn usual_ttl_seconds(self) -> i64 {
        match self {
            Self::Server => LEAF_VALID_SECONDS,
            Self::Clients => CLIENT_DEFAULT_TTL_SECONDS,
            Self::Workloads => AUTHORITY_VALID_SECONDS / 5,
        }
    }

    /// Who has to act when it is replaced.
    fn replaced(self) -> &'static str {
        match self {
            Self::Server => "the certificate authority ends soon and was replaced: clients need the new kubeconfig",
            Self::Clients => {
                "the authority of client certificates ends soon and was replaced: users need new certificates"
            }
            Self::Workloads => {
                "the authority for workloads ends soon and was replaced: clients that know it by itself need the new one"
            }
        }
    }
}

impl Assembly {
    /// Opens the store with its keys and builds the API over it.
    pub async fn open(
        paths: &HomePaths,
        keys: OpenKeys,
        clock: SharedClock,
        settings: Settings,
    ) -> Result<Self, ServeError> {
        let OpenKeys { keyring, opened } = keys;
        let keyring = Arc::new(keyring);
        let options = store::OpenOptions {
            path: paths.database(),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            cache_bytes: settings.cache_bytes,
        };
        let (store, feed) = Store::open(options).await.map_err(ServeError::store)?;
        let audit = audit_log::open(paths, settings.audit, Arc::clone(&keyring), Arc::clone(&clock), &store)?;
        let authenticator = Authenticator::open(
            store.clone(),
            Arc::clone(&keyring),
            Arc::clone(&clock),
            identities(&settings)?,
            admin_hash(&store)?,
        );
        let authenticator = Arc::new(authenticator.await.map_err(ServeError::store)?);
        let credentials = Credentials {
            paths: paths.clone(),
            store: store.clone(),
            keyring: Arc::clone(&keyring),
            authenticator: Arc::clone(&authenticator),
            clock: Arc::clone(&clock),
            changing: Arc::default(),
        };
        let objects = Objects::new(store.clone(), Arc::clone(&keyring), Arc::clone(&clock));
        let mut objects = objects.keeping_history(settings.history.get());
        if settings.legacy_tokens {
            objects = objects.filling_token_secrets(make_legacy_token(&authenticator));
        }
        let objects = Arc::new(objects);
        let hub = Arc::new(Hub::new(objects.revision(), settings.watches_per_user));
        let (trust, known) = watch::channel(None);
        let mut followers = Vec::new();
        let mut follow = || {
            let (follower, changes) = mpsc::unbounded_channel();
            followers.push(follower);
            changes
        };
        let sync_changes = settings.sync.then(&mut follow);
        let issue_changes = settings.issuing.then(&mut follow);
        let expiry_changes = follow();
        let (all, told) = (Arc::clone(&objects), Arc::clone(&hub));
        tokio::spawn(controllers::run(all, told, known, settings.event_ttl.get(), feed, followers));
        let switched = api::Settings { swagger_ui: settings.swagger_ui, redact_lists: settings.redact_lists };
        let own_clock = Arc::clone(&clock);
        let room = Room::new(Arc::clone(&objects), Arc::clone(&keyring), Arc::clone(&audit), Arc::clone(&clock));
        let sync_metrics = Arc::new(sync::Metrics::default());
        let issuing = api::Issuing {
            metrics: Arc::default(),
            expiry: Arc::default(),
            authority: room_authority(store.clone(), Arc::clone(&clock)),
        };
        let custody =
            Custody::new(store.clone(), Arc::clone(&keyring), Arc::clone(&clock), Argon2Cost::DEFAULT, opened);
        let custody = Arc::new(custody);
        let kms = kms::Room::new(Arc::clone(&objects), Arc::clone(&audit), Arc::clone(&own_clock));
        let backups =
            Online::open(paths, store.clone(), Arc::clone(&keyring), Arc::clone(&own_clock), settings.backup)?;
        let following = (
            room.clone(),
            Arc::clone(&sync_metrics),
            issuing.clone(),
            Arc::clone(&custody),
            kms.clone(),
            Arc::clone(&backups),
            settings.seal,
        );
        let state =
            api_state(Arc::clone(&objects), hub, Arc::clone(&audit), clock, switched, credentials.clone(), following);
        tokio::spawn(api::AccessChanges::run(state.clone()));
        tokio::spawn(api::look_after_credentials(state.clone()));
        report(store.findings(), &state.health);
        bootstrap::run(&objects, &own_clock).await?;
        let (of_keys, max_age) = (Arc::clone(&own_clock), settings.data_key_age.seconds());
        let record = move |what: &str, term: u32| own_work(&of_keys, &format!("keys/{what}/{term}"));
        let mut background = vec![
            tokio::spawn(keys::look_after(custody, max_age, record)).abort_handle(),
            tokio::spawn(audit_log::look_after(Arc::clone(&audit), store.clone())).abort_handle(),
            tokio::spawn(audit_log::copy_mutations(Arc::clone(&audit), store.clone())).abort_handle(),
            tokio::spawn(incidents::record(Arc::clone(&audit), store.clone(), Arc::clone(&own_clock))).abort_handle(),
            tokio::spawn(kms::keeper::run(kms.clone())).abort_handle(),
        ];
        if backups.is_scheduled() {
            background.push(tokio::spawn(Arc::clone(&backups).run()).abort_handle());
        }
        if let Some(changes) = sync_changes {
            background.push(tokio::spawn(sync::controller::run(room, sync_metrics, changes)).abort_handle());
        }
        if let Some(changes) = issue_changes {
            let context = issue::controller::Context {
                objects: Arc::clone(&objects),
                audit: Arc::clone(&audit),
                clock: Arc::clone(&own_clock),
                authority: issuing.authority,
                metrics: issuing.metrics,
            };
            background.push(tokio::spawn(issue::controller::run(context, changes)).abort_handle());
        }
        let expiring = issue::expiry::run(issuing.expiry, objects, Arc::clone(&own_clock), expiry_changes);
        background.push(tokio::spawn(expiring).abort_handle());
        let background: Arc<[AbortHandle]> = background.into();
        let trust = Arc::new(trust);
        Ok(Self { store, credentials, audit, backups, background, trust, clock: own_clock, kms, state })
    }

    /// The keys, to see when they are gone.
    pub fn keys(&self) -> Weak<Keyring> {
        Arc::downgrade(&self.credentials.keyring)
    }

    /// Records how the home was unsealed, and how often that was tried before.
    pub fn record_unsealed(&self, unsealed: &UnsealFacts) {
        let mut facts = RequestFacts::own(self.clock.unix_millis());
        facts.source_ip.clone_from(&unsealed.peer);
        facts.annotate("strongroom.dev/unlock-slot", unsealed.kind.clone());
        facts.annotate("strongroom.dev/failed-attempts", unsealed.failed.to_string());
        let attributes = Attributes::path("post", api::UNSEAL_PATH);
        let record = audit::mutation(&facts, &User::anonymous(), &attributes, "", "", 200);
        if let Err(refused) = self.audit.append(&record) {
            tracing::error!(why = refused.why(), "that the home was unsealed could not be recorded");
        }
        if unsealed.failed > 0 {
            tracing::warn!(attempts.failed = unsealed.failed, "attempts to unseal the home failed before");
        }
    }

    /// Says by which certificate (PEM) clients know the server; `None` where they need none. Secrets of service
    /// accounts are filled from then on.
    pub fn trust(&self, certificate: Option<&str>) {
        self.trust.send_replace(Some(certificate.unwrap_or_default().as_bytes().to_vec()));
    }

    /// What encrypts and decrypts for clusters.
    pub fn kms(&self) -> kms::Room {
        self.kms.clone()
    }

    /// The home's authority, made and sealed where there is none, or where the one there is ends within the life of
    /// what it signs.
    pub async fn authority(&self, signs: Signs, now_unix_seconds: i64) -> Result<Authority, ServeError> {
        authority(&self.store, &self.clock, signs, now_unix_seconds).await
    }

    /// The home's authority as it is.
    pub fn stored_authority(&self, signs: Signs) -> Result<Option<Authority>, ServeError> {
        stored_authority(&self.store, signs)
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
        let record = own_work(&self.clock, ADMIN_STATE_KEY);
        self.credentials.replace(record, |token| AdminKubeconfig { server, trust, token }).await
    }

    /// Replaces the administrator's token, in the kubeconfig too; the one before is no longer accepted.
    pub async fn rotate_admin_token(&self) -> Result<(), ServeError> {
        self.credentials.rotate(own_work(&self.clock, ADMIN_STATE_KEY)).await
    }

    /// Ends the store: what was acknowledged is on the disk and the database file stands alone.
    pub async fn close(self) -> Result<(), ServeError> {
        self.background.iter().for_each(AbortHandle::abort);
        self.kms.write_usage(false).await;
        self.backups.settle().await;
        self.credentials.authenticator.keep().await;
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
        self.authenticator.is_admin_token(token.expose())
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
                self.write_hash(before, own_work(&self.clock, ADMIN_STATE_KEY)).await?;
            }
            return Err(error.into());
        }
        self.authenticator.replace_admin(made.hash);
        Ok(())
    }

    async fn write_hash(&self, hash: SecretBytes, audit: Vec<u8>) -> Result<(), ServeError> {
        self.store
            .write_state(vec![StateChange::put(ADMIN_STATE_KEY, hash)], Some(audit))
            .await
            .map_err(ServeError::store)
    }
}

fn identities(settings: &Settings) -> Result<auth::Settings, ServeError> {
    let (memory_kib, usual) = (settings.password_memory.kib(), Argon2Cost::PASSWORD);
    let cost = Argon2Cost::new(memory_kib, usual.passes(), usual.lanes(), &password_limits());
    Ok(auth::Settings {
        legacy_tokens: settings.legacy_tokens,
        password_cost: cost.map_err(|error| ConfigError::new("--argon2-memory", error.to_string()))?,
        outside: settings.outside_issuers.clone(),
        fetch: outside_issuers::fetch(),
        ..auth::Settings::new(settings.token_issuer.url().to_owned())
    })
}

/// See [`Assembly::authority`].
#[expect(clippy::disallowed_methods, reason = "the new key is sealed")]
async fn authority(
    store: &Store,
    clock: &SharedClock,
    signs: Signs,
    now_unix_seconds: i64,
) -> Result<Authority, ServeError> {
    if let Some(stored) = stored_authority(store, signs)? {
        let not_after = CertificateFacts::read(&stored.certificate)?.not_after;
        if now_unix_seconds < not_after.saturating_sub(signs.usual_ttl_seconds()) {
            return Ok(stored);
        }
        tracing::warn!("{}", signs.replaced());
    }
    let made = signs.make(now_unix_seconds)?;
    let (certificate_row, key_row) = signs.rows();
    let rows = vec![
        StateChange::put(certificate_row, SecretBytes::new(made.certificate.clone())),
        StateChange::put(key_row, SecretBytes::new(made.key.expose().to_vec())),
    ];
    store.write_state(rows, Some(own_work(clock, key_row))).await.map_err(ServeError::store)?;
    Ok(made)
}

/// The authority for workloads: made when it is first asked for, and one at a time.
fn room_authority(store: Store, clock: SharedClock) -> RoomAuthority {
    let asking = Arc::new(Mutex::new(()));
    Arc::new(move || {
        let (store, clock, asking) = (store.clone(), Arc::clone(&clock), Arc::clone(&asking));
        Box::pin(async move {
            let _asking = asking.lock().await;
            let found = authority(&store, &clock, Signs::Workloads, clock.unix_seconds()).await;
            found.map_err(|error| tracing::warn!(%error, "the authority for workloads cannot be read or made")).ok()
        })
    })
}

#[expect(clippy::disallowed_methods, reason = "the certificate is public")]
fn stored_authority(store: &Store, signs: Signs) -> Result<Option<Authority>, ServeError> {
    let (certificate_row, key_row) = signs.rows();
    let certificate = store.read_state(certificate_row).map_err(ServeError::store)?;
    let key = store.read_state(key_row).map_err(ServeError::store)?;
    let both = certificate.zip(key);
    Ok(both.map(|(certificate, key)| Authority { certificate: certificate.expose().to_vec(), key }))
}

/// The audit record of what the server, or a command without one, does for itself.
fn own_work(clock: &SharedClock, what: &str) -> Vec<u8> {
    let facts = RequestFacts::own(clock.unix_millis());
    let attributes = Attributes::path("update", &format!("/strongroom/v1/state/{what}"));
    audit::mutation(&facts, &User::system("server"), &attributes, what, "", 200)
}

fn make_legacy_token(authenticator: &Arc<Authenticator>) -> MakeToken {
    let authenticator = Arc::clone(authenticator);
    Arc::new(move |wanted| {
        let token = LegacyToken {
            namespace: wanted.namespace,
            secret: wanted.secret,
            account: wanted.account,
            uid: wanted.uid,
        };
        authenticator.make_legacy_token(&token).ok()
    })
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

/// What the API needs besides.
type Following = (Room, Arc<sync::Metrics>, api::Issuing, Arc<Custody>, kms::Room, Arc<Online>, api::SealNow);

/// The API over open objects.
fn api_state(
    objects: Arc<Objects>,
    hub: Arc<Hub>,
    audit: Arc<AuditLog>,
    clock: SharedClock,
    settings: api::Settings,
    credentials: Credentials,
    (room, sync_metrics, issuing, keys, kms, backups, seal): Following,
) -> api::State {
    let Credentials { authenticator, store, keyring, .. } = credentials.clone();
    let (records, verified) = (store.clone(), store.clone());
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
    let client_authority: api::ClientAuthority =
        Arc::new(move || stored_authority(&store, Signs::Clients).ok().flatten());
    let (log, head) = (Arc::clone(&audit), verified);
    let verify_audit: api::VerifyAudit = Arc::new(move || audit_log::verify_open(&log, &head, &keyring));
    let mutation_records: api::MutationRecords = Arc::new(records);
    let backups: Arc<dyn api::Backups> = Arc::new(backups);
    let home = api::Home {
        rotate_admin,
        client_authority,
        mutation_records,
        verify_audit,
        backups,
        room,
        sync_metrics,
        issuing,
        keys,
        kms,
        seal,
    };
    api::State::new(objects, hub, authenticator, audit, clock, settings, home)
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
        health.fail(
            "store-integrity",
            "rows were changed from outside; the rest is served read-only: stop the server and run `strongroom verify`, \
             which says what can be done",
        );
    }
}
