//! Sealing, as clients meet it: what state a server is in, and what takes it from one to another.
//!
//! An open server answers here `GET /strongroom/v1/seal-status`, `POST /strongroom/v1/seal` and, to whoever asks in vain,
//! `POST /strongroom/v1/unseal`. What a sealed one answers is in [`sealed`]. Both tell their state alike.
//!
//! What it never does: tell somebody who has not signed in more of a home than which kinds of secret open it.

mod sealed;
mod status;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use super::session::{BODY_MAX_BYTES, Fields, done};
use super::status::Failure;
use super::{Context, body, respond, session};
use crate::model::user::PeerUid;
use crate::rbac::Permit;
use crate::sensitive::SecretBytes;

pub use self::sealed::{SealedState, Unseal, UnsealError, UnsealRequest, UnsealSecret, configure_sealed};
pub(super) use self::sealed::{not_served, told};
pub use self::status::{SealState, SealStatus, SlotFacts};

/// Where the state is told.
pub const STATUS_PATH: &str = "/strongroom/v1/seal-status";
/// Where a server is sealed.
pub const SEAL_PATH: &str = "/strongroom/v1/seal";
/// Where a server is unsealed.
pub const UNSEAL_PATH: &str = "/strongroom/v1/unseal";

/// What sealing answers.
pub(super) const SEALING: &str = "the server seals itself now: unseal it with `strongroom unseal` on its machine";
/// What sealing answers that is tried only.
pub(super) const WOULD_SEAL: &str = "the server would seal itself now";

/// Among the extensions of an answer after which the server is sealed. It is looked for once the answer is recorded.
pub(super) struct SealsAfterwards;

/// Whether requests for this path are answered here.
pub(super) fn is_endpoint(path: &str) -> bool {
    matches!(path, STATUS_PATH | SEAL_PATH | UNSEAL_PATH)
}

pub(super) async fn route(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    match (context.http.path(), context.http.method()) {
        (SEAL_PATH, &Method::POST) => seal(context, permit, payload).await,
        (UNSEAL_PATH, &Method::POST) => unseal(context, payload).await,
        (STATUS_PATH, &Method::GET | &Method::HEAD) => {
            Ok(respond::value(&context.style, 200, &status(context).to_json(), &[]))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// What an open server tells of itself.
fn status(context: &Context<'_>) -> SealStatus {
    let slots = context.state.home.keys.status().slots;
    let slots = slots.iter().map(|slot| SlotFacts { id: slot.id, kind: slot.kind.name().to_owned() }).collect();
    match context.state.health_now().read_only() {
        None => SealStatus { state: SealState::Ready, why: String::new(), next: String::new(), slots },
        Some((why, next)) => SealStatus { state: SealState::ReadOnly, why, next: next.to_owned(), slots },
    }
}

async fn seal(context: &Context<'_>, permit: &Permit, payload: web::Payload) -> Result<HttpResponse, Failure> {
    if context.standing.impersonates() {
        return Err(session::impersonating());
    }
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    if !bytes.is_empty() {
        Fields::of(context, &bytes)?;
    }
    context.confirm(permit)?;
    let is_trial = context.is_trial()?;
    let text = if is_trial { WOULD_SEAL } else { SEALING };
    let mut response = respond::value(&context.style, 200, &done(text), &[]);
    if !is_trial {
        response.extensions_mut().insert(SealsAfterwards);
        // The connection would be ended anyway.
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    Ok(response)
}

/// Nothing is to be done, and nothing is tried: an open server is no oracle of unlock secrets.
async fn unseal(context: &Context<'_>, payload: web::Payload) -> Result<HttpResponse, Failure> {
    if !is_local(context.http) {
        return Err(not_local());
    }
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    UnsealSecret::read(&json_fields(context.header("content-type"), &bytes)?)?;
    Ok(respond::value(&context.style, 200, &status(context).to_json(), &[]))
}

/// Whether the request comes from this machine.
fn is_local(http: &HttpRequest) -> bool {
    match http.peer_addr() {
        Some(address) => address.ip().to_canonical().is_loopback(),
        None => http.conn_data::<PeerUid>().is_some(),
    }
}

/// The fields of a secret that is sent. Only of JSON that says so: a web page may send forms, and what says nothing of
/// itself, to a server on its reader's machine.
pub(super) fn json_fields(content_type: Option<&str>, bytes: &SecretBytes) -> Result<Fields, Failure> {
    if body::media_type(content_type).as_deref() != Some("application/json") {
        return Err(Failure::unsupported_media_type("accepted media types are application/json", None));
    }
    Fields::read(content_type, bytes)
}

/// The answer to who would unseal from another machine.
pub(super) fn not_local() -> Failure {
    Failure::new(403, "Forbidden", "a server is unsealed from its own machine: over loopback or its Unix socket", None)
}
