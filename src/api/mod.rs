//! The HTTP edge: every request comes in here, is read once, authenticated, authorised, and handed to
//! `objects`. Nothing behind this module knows HTTP.

mod body;
pub mod discovery;
mod health;
mod kube_openapi;
mod metrics;
mod negotiate;
mod objects;
mod openapi;
mod request_info;
mod respond;
mod reviews;
mod session;
mod status;
mod stream;
mod swagger_ui;
mod table;
mod watch;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use self::metrics::Metrics;
use self::negotiate::Encoding;
use self::request_info::{Query, request_info};
use self::respond::Style;
use self::status::Failure;
use crate::audit::RequestFacts;
use crate::auth::Authenticator;
use crate::clock::SharedClock;
use crate::crypto::Keyring;
use crate::model::user::User;
use crate::model::validation::options;
use crate::objects::Objects;
use crate::objects::watch::Hub;
use crate::rbac;

pub use self::health::Health;
pub use self::session::RotateAdmin;

/// Everything a request needs. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The objects.
    pub objects: Arc<Objects>,
    /// Watches.
    pub hub: Arc<Hub>,
    /// Credentials.
    pub authenticator: Arc<Authenticator>,
    /// Keys, for token hashes.
    pub keyring: Arc<Keyring>,
    /// Time.
    pub clock: SharedClock,
    /// Readiness.
    pub health: Arc<Health>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Whether Swagger UI and its document are served.
    pub swagger_ui: bool,
    /// Rotates the administrator's credential.
    pub rotate_admin: RotateAdmin,
}

impl State {
    /// Everything over open objects.
    pub fn new(
        objects: Arc<Objects>,
        hub: Arc<Hub>,
        authenticator: Arc<Authenticator>,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        swagger_ui: bool,
        rotate_admin: RotateAdmin,
    ) -> Self {
        let (health, metrics) = (Arc::default(), Arc::default());
        Self { objects, hub, authenticator, keyring, clock, health, metrics, swagger_ui, rotate_admin }
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
    user: User,
    facts: RequestFacts,
    style: Style,
}

impl Context<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.http.headers().get(name).and_then(|value| value.to_str().ok())
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
    if let Some(page) = swagger_ui::route(http.method().as_str(), http.path(), http.headers(), state.swagger_ui) {
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
    let authorization = http.headers().get("authorization").map(actix_web::http::header::HeaderValue::as_bytes);
    let Ok(user) = state.authenticator.authenticate(&state.keyring, authorization) else {
        return respond::failure(&style, &Failure::unauthorized());
    };
    let facts = RequestFacts {
        audit_id,
        source_ip: http.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
        user_agent: user_agent.to_owned(),
        received_unix_millis,
        ..RequestFacts::default()
    };
    let context = Context { state, http, query, user, facts, style };
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
    if (info.attributes.is_resource() || context.http.method() != Method::GET) && impersonates(context.http) {
        // To do it as the caller, and not as whom the caller asked for, would be the worst answer.
        let text = "impersonation is not available in this version: leave out the Impersonate headers";
        return Err(Failure::bad_request(text));
    }
    if info.attributes.is_resource() {
        return objects::route(context, info, payload).await;
    }
    let permit =
        rbac::authorize(&context.user, info.attributes.clone()).map_err(|denial| Failure::forbidden(&denial))?;
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

fn impersonates(http: &HttpRequest) -> bool {
    http.headers().keys().any(|name| name.as_str().starts_with("impersonate-"))
}

fn audit_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness requests fail at sealing; an audit id of zeros is still an id.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
