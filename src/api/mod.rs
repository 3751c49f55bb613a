//! The HTTP edge: every request comes in here, is read once, authenticated, authorised, and handed to
//! `objects`. Nothing behind this module knows HTTP.

mod access_reviews;
mod asked;
mod audit_log;
mod backups;
mod body;
pub mod discovery;
mod export_order;
mod exports;
mod guard;
mod health;
mod impersonation;
mod imports;
mod keys;
mod kms_keys;
mod kube_openapi;
mod metrics;
mod negotiate;
mod objects;
mod openapi;
mod recorded;
mod renderings;
mod request_info;
mod respond;
mod reviews;
mod revisions;
mod scans;
mod sealing;
mod session;
mod sight;
mod standing;
mod status;
mod stream;
mod subresources;
mod swagger_ui;
mod table;
mod watch;
pub mod workload_authority;
mod writes;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::Semaphore;

use self::guard::Changes;
use self::metrics::Metrics;
use self::negotiate::Encoding;
use self::recorded::Unrecorded;
use self::request_info::{Query, RequestInfo, request_info};
use self::respond::Style;
use self::standing::Standing;
use self::status::Failure;
use crate::audit::{self, AuditLog, ReducedQuery, RequestFacts};
use crate::auth::Authenticator;
use crate::clock::SharedClock;
use crate::issue;
use crate::keys::Custody;
use crate::kms;
use crate::model::user::{PeerUid, User};
use crate::model::validation::options;
use crate::objects::watch::Hub;
use crate::objects::{Access, Objects};
use crate::rbac::{self, Attributes, Permit};
use crate::sync::{self, Room};

pub use self::audit_log::{MutationRecords, VerifyAudit};
pub use self::backups::{Backup, BackupRefused, Backups};
pub use self::guard::Changes as AccessChanges;
pub use self::health::Health;
pub use self::sealing::{
    SEAL_PATH, STATUS_PATH as SEAL_STATUS_PATH, SealState, SealStatus, SealedState, SlotFacts, UNSEAL_PATH, Unseal,
    UnsealError, UnsealRequest, UnsealSecret, configure_sealed,
};
pub use self::session::RotateAdmin;
pub use self::standing::look_after_credentials;
pub use self::subresources::ClientAuthority;

/// Everything a request needs. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The objects.
    pub objects: Arc<Objects>,
    /// Watches.
    pub hub: Arc<Hub>,
    /// Credentials.
    pub authenticator: Arc<Authenticator>,
    /// What is recorded of requests.
    pub audit: Arc<AuditLog>,
    /// Time.
    pub clock: SharedClock,
    /// Readiness.
    pub health: Arc<Health>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Wakes idle watches when what decides access has changed.
    pub changes: Arc<Changes>,
    /// What is switched on.
    pub settings: Settings,
    /// What only the owner of the home can do.
    pub home: Home,
    /// Places of exports that are rendered or sent.
    exports: Arc<Semaphore>,
}

/// What only the owner of the home can do or read for the API.
#[derive(Clone)]
pub struct Home {
    /// Rotates the administrator's credential.
    pub rotate_admin: RotateAdmin,
    /// Signs users' certificates.
    pub client_authority: ClientAuthority,
    /// The records of committed changes.
    pub mutation_records: MutationRecords,
    /// Checks what is recorded.
    pub verify_audit: VerifyAudit,
    /// Makes backups.
    pub backups: Arc<dyn Backups>,
    /// What SecretSyncs want, for those who write it elsewhere.
    pub room: Room,
    /// Counters of sync.
    pub sync_metrics: Arc<sync::Metrics>,
    /// What is issued.
    pub issuing: Issuing,
    /// Data keys, root key, slots.
    pub keys: Arc<Custody>,
    /// Encrypts and decrypts for clusters.
    pub kms: kms::Room,
    /// Has the server sealed, soon.
    pub seal: SealNow,
}

/// Asks for the server to be sealed, and returns at once.
pub type SealNow = Arc<dyn Fn() + Send + Sync>;

/// What is known of what is issued.
#[derive(Clone)]
pub struct Issuing {
    /// Counters.
    pub metrics: Arc<issue::Metrics>,
    /// When Secrets end.
    pub expiry: Arc<issue::expiry::Expiry>,
    /// The room's authority for workloads, whose certificate is published.
    pub authority: issue::RoomAuthority,
}

/// What the API does that can be switched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Serve Swagger UI and its document.
    pub swagger_ui: bool,
    /// Leave values out of lists and watches for callers who may not `get` the object.
    pub redact_lists: bool,
}

impl State {
    /// Everything over open objects.
    pub fn new(
        objects: Arc<Objects>,
        hub: Arc<Hub>,
        authenticator: Arc<Authenticator>,
        audit: Arc<AuditLog>,
        clock: SharedClock,
        settings: Settings,
        home: Home,
    ) -> Self {
        let (health, metrics, changes) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            objects,
            hub,
            authenticator,
            audit,
            clock,
            health,
            metrics,
            changes,
            settings,
            home,
            exports: Arc::new(Semaphore::new(exports::EXPORTS_AT_ONCE)),
        }
    }

    /// Readiness, as of now.
    fn health_now(&self) -> &Health {
        match self.objects.write_refusal() {
            Some(why) => self.health.fail("store-writable", why),
            None => self.health.pass("store-writable"),
        }
        // What was changed from outside stays so until somebody has looked at it.
        if let Some(why) = self.objects.incident_refusal() {
            self.health.fail("store-integrity", why);
        }
        match self.audit.refusal() {
            Some(refused) => self.health.fail("audit-log", refused.why()),
            None => self.health.pass("audit-log"),
        }
        &self.health
    }

    /// The server stops: watches end cleanly, and it is no longer ready.
    pub fn shutting_down(&self) {
        self.health.fail("shutdown", "the server is stopping");
        self.hub.stop();
    }
}

/// The answer to a `dryRun` that there is none of.
fn wrong_trial() -> Failure {
    Failure::bad_request("dryRun: All")
}

/// One authenticated request.
struct Context<'a> {
    state: &'a State,
    http: &'a HttpRequest,
    query: Query,
    /// Who it is done as: the one who signed in, or whom they impersonate.
    user: Arc<User>,
    /// Who that is, to be asked again.
    standing: Standing,
    /// What decides what that one may do, as it was when the request came in.
    access: Arc<Access>,
    facts: RequestFacts,
    style: Style,
    /// Its record to be.
    unrecorded: &'a Unrecorded,
}

impl Context<'_> {
    /// Whether it is only to be said what would become of the request.
    fn is_trial(&self) -> Result<bool, Failure> {
        match self.query.value("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(_) => Err(wrong_trial()),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.http.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the caller may do this: the permit, or the 403.
    fn authorize(&self, attributes: Attributes) -> Result<Permit, Failure> {
        let permit = rbac::authorize(&self.access.policy, &self.user, attributes);
        let permit = permit.map_err(|denial| Failure::forbidden(&denial))?;
        if let Some(grant) = permit.grant() {
            self.facts.annotate(audit::REASON, grant.reason());
        }
        Ok(permit)
    }

    /// Whether the caller may still do what was allowed when the request came in: to be asked when its body is here.
    fn confirm(&self, permit: &Permit) -> Result<(), Failure> {
        let mut standing = self.standing.clone();
        // What ends these tokens moves no stamp.
        if standing.identity.credential.ends_with_other_objects() {
            return standing.renew(self.state, permit.attributes());
        }
        standing.confirm(self.state, permit.attributes())
    }

    fn accept(&self) -> Option<&str> {
        self.header("accept")
    }
}

/// Mounts the API.
pub fn configure(config: &mut web::ServiceConfig, state: State) {
    config.app_data(web::Data::new(state)).default_service(web::to(handle));
}

async fn handle(state: web::Data<State>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let begun = std::time::Instant::now();
    let response = answer(&state, &http, payload, state.clock.unix_millis()).await;
    state.metrics.observe(http.method().as_str(), response.status().as_u16(), begun.elapsed());
    response
}

async fn answer(state: &State, http: &HttpRequest, payload: web::Payload, received_unix_millis: i64) -> HttpResponse {
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let user_agent = header("user-agent");
    let query = Query::parse(http.query_string());
    let audit_id = audit_id();
    let style = Style {
        pretty: respond::wants_pretty(query.value("pretty"), user_agent),
        gzip: header("accept-encoding").split(',').any(|coding| coding.trim().starts_with("gzip")),
        encoding: if header("accept").starts_with("application/yaml") { Encoding::Yaml } else { Encoding::Json },
        audit_id: audit_id.clone(),
    };
    let info = request_info(http.method().as_str(), http.path(), &query);
    let reduced = ReducedQuery::of(http.query_string());
    let facts = RequestFacts::new(audit_id, peer(http), user_agent, reduced, received_unix_millis);
    let address = http.peer_addr().map(|address| address.ip());
    let mut unrecorded = Unrecorded::new(state, facts, info.attributes.clone(), address);
    if let Some(failure) = unrecorded.refusal() {
        return unrecorded.finish(&style, respond::failure(&style, &failure)).await;
    }
    if let Some(mut page) =
        swagger_ui::route(http.method().as_str(), http.path(), http.headers(), state.settings.swagger_ui)
    {
        respond::name_record(page.headers_mut(), &style);
        unrecorded.is_by(&Arc::new(User::anonymous()), None);
        return unrecorded.finish(&style, page).await;
    }
    // Taken before it is looked: what changes meanwhile is seen the next time.
    let stamp = state.stamp();
    let access = state.objects.access();
    let standing = match Standing::of(state, http, &access, stamp).await {
        Ok(standing) => standing,
        Err(refused) => {
            if let Some(user) = &refused.user {
                unrecorded.is_by(user, None);
            }
            return unrecorded.finish(&style, respond::failure(&style, &refused.failure)).await;
        }
    };
    let impersonator = standing.impersonates().then_some(&standing.identity.user);
    unrecorded.is_by(&standing.user, impersonator);
    let user = Arc::clone(&standing.user);
    let facts = unrecorded.facts().clone();
    let response = {
        let context = Context {
            state,
            http,
            query,
            standing,
            user,
            access,
            facts,
            style: style.clone(),
            unrecorded: &unrecorded,
        };
        match route(&context, info, payload).await {
            Ok(response) => response,
            Err(failure) => respond::failure(&context.style, &failure),
        }
    };
    let response = unrecorded.finish(&style, response).await;
    if response.extensions().contains::<sealing::SealsAfterwards>() {
        (state.home.seal)();
    }
    response
}

/// Where the request came from, as the audit shows it.
fn peer(http: &HttpRequest) -> String {
    match (http.peer_addr(), http.conn_data::<PeerUid>()) {
        (Some(address), _) => address.ip().to_string(),
        (None, Some(PeerUid(uid))) => format!("unix:{uid}"),
        (None, None) => String::new(),
    }
}

async fn route(context: &Context<'_>, info: RequestInfo, payload: web::Payload) -> Result<HttpResponse, Failure> {
    if info.attributes.verb != "watch" {
        options::timeout(context.query.pairs()).map_err(Failure::options)?;
    }
    if info.attributes.is_resource() {
        return objects::route(context, info, payload).await;
    }
    let permit = context.authorize(info.attributes.clone())?;
    if sealing::is_endpoint(context.http.path()) {
        return sealing::route(context, &permit, payload).await;
    }
    if keys::serves(context.http.path()) {
        return keys::route(context, &permit, payload).await;
    }
    let payload = match session::route(context, &permit, payload).await? {
        Ok(response) => return Ok(response),
        Err(payload) => payload,
    };
    if let Some(response) = backups::route(context, &permit, payload).await? {
        return Ok(response);
    }
    if !matches!(context.http.method().as_str(), "GET" | "HEAD") {
        return Err(Failure::method_not_allowed());
    }
    let path = context.http.path();
    if let Some(response) = audit_log::route(context, &permit).await? {
        return Ok(response);
    }
    if let Some(response) = health::route(context, path) {
        return Ok(response);
    }
    if let Some(response) = discovery::route(context, path) {
        return Ok(response);
    }
    if let Some(response) = kube_openapi::route(context, path) {
        return Ok(response);
    }
    match path {
        "/.well-known/openid-configuration" | "/.well-known/openid-configuration/" => {
            let document = context.state.authenticator.openid_configuration();
            return Ok(respond::value(&context.style, 200, &document, &[]));
        }
        "/openid/v1/jwks" | "/openid/v1/jwks/" => {
            return Ok(respond::value(&context.style, 200, &context.state.authenticator.jwks(), &[]));
        }
        _ => {}
    }
    if path == workload_authority::PATH {
        return workload_authority::get(context).await;
    }
    if path == "/metrics" {
        return Ok(metrics::respond(context));
    }
    Ok(respond::text(&context.style, 404, "404 page not found\n"))
}

fn audit_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness requests fail at sealing; an audit id of zeros is still an id.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
