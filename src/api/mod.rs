//! The HTTP edge: every request comes in here, is read once, authenticated, authorised, and handed to
//! `objects`. Nothing behind this module knows HTTP.

mod access_reviews;
mod body;
pub mod discovery;
mod guard;
mod health;
mod impersonation;
mod kube_openapi;
mod metrics;
mod negotiate;
mod objects;
mod openapi;
mod request_info;
mod respond;
mod reviews;
mod session;
mod sight;
mod standing;
mod status;
mod stream;
mod subresources;
mod swagger_ui;
mod table;
mod watch;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use self::guard::Changes;
use self::metrics::Metrics;
use self::negotiate::Encoding;
use self::request_info::{Query, request_info};
use self::respond::Style;
use self::standing::Standing;
use self::status::Failure;
use crate::audit::{ReducedQuery, RequestFacts};
use crate::auth::Authenticator;
use crate::clock::SharedClock;
use crate::model::user::User;
use crate::model::validation::options;
use crate::objects::watch::Hub;
use crate::objects::{Access, Objects};
use crate::rbac::{self, Attributes, Permit};

pub use self::guard::Changes as AccessChanges;
pub use self::health::Health;
pub use self::session::RotateAdmin;
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
    /// Rotates the administrator's credential.
    pub rotate_admin: RotateAdmin,
    /// Signs users' certificates.
    pub client_authority: ClientAuthority,
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
        clock: SharedClock,
        settings: Settings,
        rotate_admin: RotateAdmin,
        client_authority: ClientAuthority,
    ) -> Self {
        let (health, metrics, changes) = (Arc::default(), Arc::default(), Arc::default());
        Self { objects, hub, authenticator, clock, health, metrics, changes, settings, rotate_admin, client_authority }
    }

    /// The server stops: watches end cleanly, and it is no longer ready.
    pub fn shutting_down(&self) {
        self.health.fail("shutdown", "the server is stopping");
        self.hub.stop();
    }
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
}

impl Context<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.http.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the caller may do this: the permit, or the 403.
    fn authorize(&self, attributes: Attributes) -> Result<Permit, Failure> {
        rbac::authorize(&self.access.policy, &self.user, attributes).map_err(|denial| Failure::forbidden(&denial))
    }

    /// Whether the caller may still do what was allowed when the request came in: to be asked when its body is here.
    fn confirm(&self, permit: &Permit) -> Result<(), Failure> {
        self.standing.clone().confirm(self.state, permit.attributes())
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
    if let Some(page) =
        swagger_ui::route(http.method().as_str(), http.path(), http.headers(), state.settings.swagger_ui)
    {
        return page;
    }
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
    let source_ip = http.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    let mut facts =
        RequestFacts::new(audit_id, source_ip, user_agent, ReducedQuery::of(http.query_string()), received_unix_millis);
    // Taken before it is looked: what changes meanwhile is seen the next time.
    let stamp = state.stamp();
    let access = state.objects.access();
    let standing = match Standing::of(state, http, &access, stamp) {
        Ok(standing) => standing,
        Err(failure) => return respond::failure(&style, &failure),
    };
    let user = Arc::clone(&standing.user);
    facts.impersonator = standing.impersonates().then(|| Arc::clone(&standing.identity.user));
    let context = Context { state, http, query, standing, user, access, facts, style };
    match route(&context, payload).await {
        Ok(response) => response,
        Err(failure) => respond::failure(&context.style, &failure),
    }
}

async fn route(context: &Context<'_>, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let info = request_info(context.http.method().as_str(), context.http.path(), &context.query);
    if info.attributes.verb != "watch" {
        options::timeout(context.query.pairs()).map_err(Failure::options)?;
    }
    if info.attributes.is_resource() {
        return objects::route(context, info, payload).await;
    }
    let permit = context.authorize(info.attributes.clone())?;
    if let Some(response) = session::route(context, &permit, payload).await? {
        return Ok(response);
    }
    if !matches!(context.http.method().as_str(), "GET" | "HEAD") {
        return Err(Failure::method_not_allowed());
    }
    let path = context.http.path();
    if let Some(response) = health::route(context, path) {
        return Ok(response);
    }
    if let Some(response) = discovery::route(context, path) {
        return Ok(response);
    }
    if let Some(response) = kube_openapi::route(context, path) {
        return Ok(response);
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
