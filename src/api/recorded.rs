//! The record of a request: exactly one event says how it ended.
//!
//! The record of a committed change was written with the change. Every other request is recorded here, before the first
//! byte of its answer; where that is not possible, the answer is 503 and holds nothing. A watch is recorded when it
//! begins and when it ends.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::State;
use super::respond::{self, Style};
use super::sealing;
use super::status::Failure;
use crate::audit::{AuditLog, Decision, Event, Refused, RequestFacts, Stage};
use crate::model::user::User;
use crate::rbac::Attributes;

/// What a client that went away before it was answered is recorded with, as proxies do.
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request that has not been recorded yet.
pub struct Unrecorded {
    state: State,
    facts: RequestFacts,
    attributes: Attributes,
    peer: Option<IpAddr>,
    /// Who asks, once that is known.
    user: Option<Arc<User>>,
    done: bool,
}

/// A watch that has been recorded as begun; its end is recorded when this is dropped.
pub struct Begun {
    state: State,
    facts: RequestFacts,
    attributes: Attributes,
    user: Arc<User>,
}

impl Unrecorded {
    /// A request that has just come in.
    pub fn new(state: &State, facts: RequestFacts, attributes: Attributes, peer: Option<IpAddr>) -> Self {
        Self { state: state.clone(), facts, attributes, peer, user: None, done: false }
    }

    /// Who asks is known.
    pub fn is_by(&mut self, user: &Arc<User>, impersonator: Option<&Arc<User>>) {
        self.user = Some(Arc::clone(user));
        self.facts.impersonator = impersonator.map(Arc::clone);
    }

    /// What is known of the request, to carry it out with.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// Why nothing may be done now: what cannot be recorded must not happen. That the process lives is told all the same.
    pub fn refusal(&self) -> Option<Failure> {
        let refused = self.state.audit.refusal().filter(|_| !is_health(&self.attributes.path))?;
        Some(unavailable(&refused))
    }

    /// Records how the request ended, and gives back what may be sent.
    pub async fn finish(mut self, style: &Style, response: HttpResponse) -> HttpResponse {
        self.done = true;
        let code = response.status().as_u16();
        if self.facts.is_recorded() && response.status().is_success() {
            return response;
        }
        let ends_later = self.attributes.verb == "watch" && response.status() == StatusCode::OK;
        if (ends_later || !self.is_wanted(code)) && !is_denial(code) {
            return response;
        }
        let nobody = Arc::new(User::new("", "", []));
        let user = self.user.clone().unwrap_or(nobody);
        let event = event(&self.state, &self.facts, &user, &self.attributes, Stage::ResponseComplete, code);
        let log = Arc::clone(&self.state.audit);
        let peer = self.peer;
        let write = move || if is_denial(code) { log.append_denial(peer, event) } else { log.append(&event) };
        let written = if self.state.audit.waits_for_disk() {
            tokio::task::spawn_blocking(write).await.unwrap_or(Ok(()))
        } else {
            write()
        };
        match written {
            Err(refused) if !is_health(&self.attributes.path) => respond::failure(style, &unavailable(&refused)),
            _ => response,
        }
    }

    /// Records that a watch begins.
    pub fn begin(&self) -> Result<Option<Begun>, Failure> {
        let Some(user) = &self.user else { return Ok(None) };
        if !self.state.audit.records_reads() {
            return Ok(None);
        }
        let event = event(&self.state, &self.facts, user, &self.attributes, Stage::ResponseStarted, 200);
        self.state.audit.append(&event).map_err(|refused| unavailable(&refused))?;
        Ok(Some(Begun {
            state: self.state.clone(),
            facts: self.facts.clone(),
            attributes: self.attributes.clone(),
            user: Arc::clone(user),
        }))
    }

    /// Whether a request that was allowed is recorded at all.
    fn is_wanted(&self, code: u16) -> bool {
        let reads = matches!(self.attributes.verb.as_str(), "get" | "list" | "watch" | "head");
        !reads || code >= 400 || self.state.audit.records_reads()
    }
}

impl Drop for Unrecorded {
    fn drop(&mut self) {
        if self.done || self.facts.is_recorded() {
            return;
        }
        let (stage, code) = if std::thread::panicking() {
            (Stage::Panic, 500)
        } else {
            (Stage::ResponseComplete, CLIENT_CLOSED_REQUEST)
        };
        let nobody = Arc::new(User::new("", "", []));
        let user = self.user.clone().unwrap_or(nobody);
        append(&self.state.audit, &event(&self.state, &self.facts, &user, &self.attributes, stage, code));
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let stage = Stage::ResponseComplete;
        append(&self.state.audit, &event(&self.state, &self.facts, &self.user, &self.attributes, stage, 200));
    }
}

/// For what is over: nobody waits for the answer.
fn append(log: &AuditLog, event: &[u8]) {
    if log.append(event).is_err() {
        tracing::warn!("the end of a request could not be recorded");
    }
}

fn event(
    state: &State,
    facts: &RequestFacts,
    user: &User,
    attributes: &Attributes,
    stage: Stage,
    code: u16,
) -> Vec<u8> {
    let decision = match code {
        401 => None,
        403 => Some(Decision::Forbid),
        _ => Some(Decision::Allow),
    };
    let stage_unix_millis = state.clock.unix_millis();
    let reason = if code >= 400 { reason(code) } else { "" };
    Event { stage, reason, decision, stage_unix_millis, ..Event::new(facts, user, attributes, code) }.to_json()
}

/// `metav1.StatusReason` of a code, where it has one for all.
fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        CLIENT_CLOSED_REQUEST => "ClientClosedRequest",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "",
    }
}

fn is_denial(code: u16) -> bool {
    matches!(code, 401 | 403 | 429)
}

/// Whether the path only tells how the process is.
pub(super) fn is_health(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/healthz" | sealing::STATUS_PATH)
}

/// The answer where nothing can be recorded.
pub(super) fn unavailable(refused: &Refused) -> Failure {
    Failure::unavailable(refused.why())
}
