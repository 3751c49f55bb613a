//! What a server answers that is not open: how it is, which it is, and what opens it. Everything else is 503.
//!
//! What it never does: tell which part of an attempt to unseal was wrong, take one from another machine, or keep a
//! secret it was given.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::{self, HeaderValue, HttpDate};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::super::negotiate::Encoding;
use super::super::request_info::Query;
use super::super::respond::{self, Style};
use super::super::session::{BODY_MAX_BYTES, Fields};
use super::super::status::Failure;
use super::super::{audit_id, body, health, peer};
use super::{STATUS_PATH, SealState, SealStatus, UNSEAL_PATH, is_local, json_fields, not_local};
use crate::clock::SharedClock;
use crate::model::user::PeerOwner;
use crate::sensitive::SecretBytes;

/// When clients are to come back to a server that waits for a person.
const SEALED_RETRY: Duration = Duration::from_secs(30);

/// An unlock secret that was sent.
pub enum UnsealSecret {
    /// What a person chose.
    Passphrase(SecretBytes),
    /// The 32 bytes of a key file or of a credential.
    Key(SecretBytes),
    /// A recovery key as it was written down.
    RecoveryKey(SecretBytes),
}

/// An attempt to unseal.
pub struct UnsealRequest {
    /// The secret.
    pub secret: UnsealSecret,
    /// The number of the slot that it opens, where there are several of its kind.
    pub slot: Option<u32>,
    /// Where it comes from, as the audit shows it.
    pub peer: String,
    /// Whether the kernel says that it is root, or the user that the server runs as.
    pub is_owner: bool,
}

/// Why a server was not unsealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsealError {
    /// The secret does not open this home, or a way to open it does not exist.
    Wrong,
    /// Another attempt is being looked at, or was taken.
    Busy,
    /// There were wrong secrets before.
    Throttled {
        /// When the next attempt is looked at.
        retry_after_seconds: u32,
    },
}

/// Tries a secret. Supplied by `server`, which owns the keys.
pub type Unseal =
    Arc<dyn Fn(UnsealRequest) -> Pin<Box<dyn Future<Output = Result<(), UnsealError>> + Send>> + Send + Sync>;

/// What a server that is not open needs to answer.
#[derive(Clone)]
pub struct SealedState {
    /// How it is now.
    pub now: watch::Receiver<SealStatus>,
    /// Tries a secret.
    pub unseal: Unseal,
    /// Time.
    pub clock: SharedClock,
}

/// Mounts what a sealed server answers.
pub fn configure_sealed(config: &mut web::ServiceConfig, state: SealedState) {
    config.app_data(web::Data::new(state)).default_service(web::to(handle));
}

async fn handle(state: web::Data<SealedState>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = Query::parse(http.query_string());
    let style = Style {
        audit_id: audit_id(),
        pretty: respond::wants_pretty(query.value("pretty"), header("user-agent")),
        gzip: false,
        encoding: if header("accept").starts_with("application/yaml") { Encoding::Yaml } else { Encoding::Json },
    };
    let now = state.now.borrow().clone();
    let is_read = matches!(http.method().as_str(), "GET" | "HEAD");
    match http.path() {
        "/livez" if is_read => respond::text(&style, 200, "ok"),
        "/readyz" | "/healthz" if is_read => respond::text(&style, 503, &readiness(&now, http.path())),
        "/version" | "/version/" if is_read => {
            respond::value(&Style { pretty: true, ..style }, 200, &health::version(), &[])
        }
        STATUS_PATH if is_read => respond::value(&style, 200, &now.to_json(), &[]),
        UNSEAL_PATH if http.method().as_str() == "POST" => match unseal(&state, &http, payload).await {
            Ok(()) => respond::value(&style, 200, &state.now.borrow().to_json(), &[]),
            Err(failure) => respond::failure(&style, &failure),
        },
        STATUS_PATH | UNSEAL_PATH => respond::failure(&style, &Failure::method_not_allowed()),
        _ => unavailable(&style, &now, &state.clock),
    }
}

/// What `/readyz` says.
pub(in crate::api) fn readiness(now: &SealStatus, path: &str) -> String {
    let check = if now.state == SealState::Verifying { "verified" } else { "unsealed" };
    let name = path.trim_matches('/');
    format!("[+]ping ok\n[-]{check} failed: {}: {}\n{name} check failed\n", now.why, now.next)
}

/// What everything else is answered with.
pub(in crate::api) fn not_served(now: &SealStatus) -> Failure {
    let text = format!("the server is {}: {}", now.state.as_str(), now.next);
    if now.state != SealState::Sealed {
        return Failure::unavailable(text);
    }
    let details = json!({"retryAfterSeconds": SEALED_RETRY.as_secs()});
    Failure::new(503, "ServiceUnavailable", text, Some(details))
}

/// A client is to wait for what ends by itself. For a person to come it is given a time: clients that try again and
/// again after so many seconds (kubectl does, for minutes) say at once what is the matter instead.
fn unavailable(style: &Style, now: &SealStatus, clock: &SharedClock) -> HttpResponse {
    let mut response = respond::failure(style, &not_served(now));
    if now.state == SealState::Sealed {
        let since_epoch = Duration::from_secs(u64::try_from(clock.unix_seconds()).unwrap_or_default());
        let time = HttpDate::from(UNIX_EPOCH + since_epoch + SEALED_RETRY).to_string();
        if let Ok(time) = HeaderValue::from_str(&time) {
            response.headers_mut().insert(header::RETRY_AFTER, time);
        }
    }
    response
}

async fn unseal(state: &SealedState, http: &HttpRequest, payload: web::Payload) -> Result<(), Failure> {
    if !is_local(http) {
        return Err(not_local());
    }
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    let content_type = http.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let fields = json_fields(content_type, &bytes)?;
    let secret = UnsealSecret::read(&fields)?;
    let slot = fields.number("slot")?;
    let is_owner = http.conn_data::<PeerOwner>().is_some();
    (state.unseal)(UnsealRequest { secret, slot, peer: peer(http), is_owner }).await.map_err(told)
}

/// What a client is told of an attempt.
pub(in crate::api) fn told(error: UnsealError) -> Failure {
    match error {
        UnsealError::Wrong => Failure::new(401, "Unauthorized", "the secret does not open this home", None),
        UnsealError::Busy => Failure::too_many("an unlock secret is being checked, please try again later", 1),
        UnsealError::Throttled { retry_after_seconds } => {
            Failure::too_many("too many failed attempts, please try again later", retry_after_seconds)
        }
    }
}

impl UnsealSecret {
    /// One of `passphrase`, `key` (base64) and `recoveryKey`.
    pub(in crate::api) fn read(fields: &Fields) -> Result<Self, Failure> {
        let given = ["passphrase", "key", "recoveryKey"].map(|name| fields.secret(name));
        match given {
            [Some(passphrase), None, None] => Ok(Self::Passphrase(passphrase)),
            [None, Some(key), None] => decoded(&key).map(Self::Key),
            [None, None, Some(key)] => Ok(Self::RecoveryKey(key)),
            _ => Err(Failure::bad_request("give one of passphrase, key and recoveryKey")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the key is decoded into a secret of its own")]
fn decoded(key: &SecretBytes) -> Result<SecretBytes, Failure> {
    let mut bytes = Zeroizing::new(vec![0; key.len()]);
    let decoded = STANDARD.decode_slice(key.expose().trim_ascii(), bytes.as_mut_slice());
    let length = decoded.map_err(|_| Failure::bad_request("key: must be base64"))?;
    bytes.truncate(length);
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

impl Fields {
    /// A field that is a number and no secret.
    #[expect(clippy::disallowed_methods, reason = "the field is no secret")]
    fn number(&self, name: &str) -> Result<Option<u32>, Failure> {
        let wrong = || Failure::bad_request(format!("{name}: must be a number"));
        match self.value().expose().get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
            Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()).map(Some).ok_or_else(wrong),
        }
    }
}
