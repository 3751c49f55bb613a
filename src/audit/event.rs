//! One event: the shape of `audit.k8s.io/v1 Event` at level Metadata, who did what to which object, when and with
//! what result.
//!
//! What it never holds: a request or response body, a value, a token, a query beyond the allow-list. Annotations come
//! last, so that one can be added to a finished event.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::json::{Members, push_text, push_texts};
use super::request_uri::ReducedQuery;
use crate::model::user::User;
use crate::rbac::Attributes;

/// Annotation: `allow` or `forbid`.
pub const DECISION: &str = "authorization.k8s.io/decision";
/// Annotation: why, in the authorizer's words.
pub const REASON: &str = "authorization.k8s.io/reason";
/// Annotation: how many requests like this one the event stands for.
pub const REPEATED: &str = "strongroom.dev/repeated";
/// Annotation: the audit id of the request that brought this with it.
pub const CONSEQUENCE_OF: &str = "strongroom.dev/consequence-of";
/// Annotation: the event is a copy of the record of this number in the chain of mutations.
pub const MUTATION: &str = "strongroom.dev/mutation";
/// Annotation: the backup that the store goes on from.
pub const RESTORED: &str = "strongroom.dev/restored";
/// Annotation: what has happened to the log itself.
pub const LOG: &str = "strongroom.dev/audit-log";

/// The longest user agent that is recorded; the rest is cut.
const USER_AGENT_MAX_CHARS: usize = 256;
/// What an event usually takes, so that its bytes are allocated once.
const USUAL_BYTES: usize = 1024;

/// What is known of a request besides its permit.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Default))]
pub struct RequestFacts {
    /// Also sent to the client as `Audit-Id`.
    pub audit_id: String,
    /// Address of the peer.
    pub source_ip: String,
    /// As sent by the client.
    pub user_agent: String,
    /// When the request arrived, milliseconds since the epoch.
    pub received_unix_millis: i64,
    /// The query, as far as it may be recorded.
    pub query: ReducedQuery,
    /// Who was authenticated, where the request acts as another user.
    pub impersonator: Option<Arc<User>>,
    /// Nobody asked for it: the server does it for itself.
    pub(super) is_own: bool,
    /// What is noted while the request is carried out. Clones share it.
    pub(super) noted: Arc<Noted>,
}

#[derive(Debug, Default)]
pub(super) struct Noted {
    recorded: AtomicBool,
    annotations: Mutex<BTreeMap<&'static str, String>>,
}

impl RequestFacts {
    /// Of a request that has just come in.
    pub fn new(
        audit_id: String,
        source_ip: String,
        user_agent: &str,
        query: ReducedQuery,
        received_unix_millis: i64,
    ) -> Self {
        let user_agent = user_agent.to_owned();
        let (impersonator, is_own, noted) = (None, false, Arc::default());
        Self { audit_id, source_ip, user_agent, received_unix_millis, query, impersonator, is_own, noted }
    }

    /// Of what the server does for itself, begun at this moment. It comes from no address and has an audit id of its
    /// own.
    pub fn own(unix_millis: i64) -> Self {
        let mut random = [0; 16];
        // Without randomness the change fails at sealing; an audit id of zeros is still an id.
        let _ = getrandom::fill(&mut random);
        let audit_id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        Self { is_own: true, ..Self::new(audit_id, String::new(), "", ReducedQuery::default(), unix_millis) }
    }

    /// Says something more of the request. Never a value, a token or a password.
    pub fn annotate(&self, key: &'static str, value: String) {
        if !value.is_empty() {
            self.annotations().insert(key, value);
        }
    }

    fn annotations(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.noted.annotations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the record of the request is committed, or about to be, with the change that it makes.
    pub fn mark_recorded(&self, is_recorded: bool) {
        self.noted.recorded.store(is_recorded, Ordering::Release);
    }

    /// Whether its record is committed.
    pub fn is_recorded(&self) -> bool {
        self.noted.recorded.load(Ordering::Acquire)
    }

    /// The facts of what the request brings with it, which has a record of its own. What the server does for itself is
    /// no request, and has no record that could be named.
    #[must_use]
    pub fn consequence(&self, audit_id: String) -> Self {
        let facts = Self { audit_id, noted: Arc::default(), impersonator: None, ..self.clone() };
        if !self.is_own {
            facts.annotate(CONSEQUENCE_OF, self.audit_id.clone());
        }
        facts
    }
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A watch has begun.
    ResponseStarted,
    /// The answer is complete, or about to be given.
    ResponseComplete,
    /// The server failed while it answered.
    Panic,
}

impl Stage {
    /// Kubernetes' spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// What the authorizer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The request was allowed.
    Allow,
    /// It was not.
    Forbid,
}

impl Decision {
    /// Kubernetes' spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
        }
    }
}

/// An event that is about to be written. [`Event::new`] fills in what most have in common.
pub struct Event<'a> {
    /// The request.
    pub facts: &'a RequestFacts,
    /// As whom it acts.
    pub user: &'a User,
    /// What it asks for.
    pub attributes: &'a Attributes,
    /// How far it has come.
    pub stage: Stage,
    /// The object's own name, where the request's line does not say it.
    pub name: &'a str,
    /// The object's UUID, where it is known.
    pub uid: &'a str,
    /// HTTP status of the answer.
    pub code: u16,
    /// `metav1.Status.reason` of an answer that is one.
    pub reason: &'a str,
    /// What the authorizer said; `None` where it was not asked.
    pub decision: Option<Decision>,
    /// When the stage was reached, milliseconds since the epoch.
    pub stage_unix_millis: i64,
    /// Further annotations. Never a value.
    pub annotations: &'a [(&'a str, &'a str)],
}

impl<'a> Event<'a> {
    /// A complete answer with this status to a request that was allowed, as of when it arrived.
    pub fn new(facts: &'a RequestFacts, user: &'a User, attributes: &'a Attributes, code: u16) -> Self {
        Self {
            facts,
            user,
            attributes,
            stage: Stage::ResponseComplete,
            name: &attributes.name,
            uid: "",
            code,
            reason: "",
            decision: Some(Decision::Allow),
            stage_unix_millis: facts.received_unix_millis,
            annotations: &[],
        }
    }

    /// One JSON object on one line, without the line's end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        let Self { facts, user, attributes, .. } = self;
        out.push(b'{');
        let mut event = Members::of(&mut out);
        event.text("kind", "Event");
        event.text("apiVersion", "audit.k8s.io/v1");
        event.text("level", "Metadata");
        event.text("auditID", &facts.audit_id);
        event.text("stage", self.stage.as_str());
        event.text("requestURI", &facts.query.after(&attributes.path));
        event.text("verb", &attributes.verb);
        put_user(event.name("user"), facts.impersonator.as_deref().unwrap_or(user));
        if facts.impersonator.is_some() {
            put_user(event.name("impersonatedUser"), user);
        }
        if !facts.source_ip.is_empty() {
            push_texts(event.name("sourceIPs"), std::slice::from_ref(&facts.source_ip));
        }
        event.text("userAgent", &printable(&facts.user_agent));
        if attributes.is_resource() {
            self.put_object(event.name("objectRef"));
        }
        put_status(event.name("responseStatus"), self.code, self.reason);
        event.time("requestReceivedTimestamp", facts.received_unix_millis);
        event.time("stageTimestamp", self.stage_unix_millis);
        self.put_annotations(event.name("annotations"));
        out.push(b'}');
        out
    }

    fn put_object(&self, out: &mut Vec<u8>) {
        let Self { attributes, .. } = self;
        out.push(b'{');
        let mut object = Members::of(out);
        object.text("resource", &attributes.resource);
        object.text_if_any("namespace", &attributes.namespace);
        object.text_if_any("name", self.name);
        object.text_if_any("uid", self.uid);
        object.text_if_any("apiGroup", &attributes.group);
        object.text("apiVersion", &attributes.version);
        object.text_if_any("subresource", &attributes.subresource);
        out.push(b'}');
    }

    fn put_annotations(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut annotations = Members::of(out);
        if let Some(decision) = self.decision {
            annotations.text(DECISION, decision.as_str());
        }
        for (name, value) in &*self.facts.annotations() {
            annotations.text(name, value);
        }
        for (name, value) in self.annotations {
            annotations.text(name, value);
        }
        out.push(b'}');
    }
}

/// The record of a change that is about to be committed, as one JSON line without its end.
///
/// `name` and `uid` are the object's own (a generated name is not in the attributes).
pub fn mutation(
    facts: &RequestFacts,
    user: &User,
    attributes: &Attributes,
    name: &str,
    uid: &str,
    code: u16,
) -> Vec<u8> {
    Event { name, uid, ..Event::new(facts, user, attributes, code) }.to_json()
}

/// The event with one annotation more. `event` is what [`Event::to_json`] made; anything else comes back as it is.
pub fn with_annotation(mut event: Vec<u8>, name: &str, value: &str) -> Vec<u8> {
    if !event.ends_with(b"}}") {
        return event;
    }
    event.truncate(event.len().saturating_sub(2));
    if !event.ends_with(b"{") {
        event.push(b',');
    }
    Members::of(&mut event).text(name, value);
    event.extend_from_slice(b"}}");
    event
}

fn put_user(out: &mut Vec<u8>, user: &User) {
    out.push(b'{');
    let mut members = Members::of(out);
    members.text("username", &user.name);
    members.text_if_any("uid", &user.uid);
    members.texts_if_any("groups", &user.groups);
    if !user.extra.is_empty() {
        put_extra(members.name("extra"), &user.extra);
    }
    out.push(b'}');
}

fn put_extra(out: &mut Vec<u8>, extra: &BTreeMap<String, Vec<String>>) {
    out.push(b'{');
    let mut members = Members::of(out);
    for (name, values) in extra {
        push_texts(members.name(name), values);
    }
    out.push(b'}');
}

fn put_status(out: &mut Vec<u8>, code: u16, reason: &str) {
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    if !reason.is_empty() {
        out.extend_from_slice(b",\"reason\":");
        push_text(out, reason);
    }
    out.push(b'}');
}

/// Cut and stripped of control characters, so that a client cannot forge lines in an exported log.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(USER_AGENT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::kinds;

    fn facts() -> RequestFacts {
        RequestFacts {
            audit_id: "a-1".into(),
            source_ip: "127.0.0.1".into(),
            user_agent: "kubectl\n{forged}".into(),
            received_unix_millis: 1_790_000_000_123,
            ..RequestFacts::default()
        }
    }

    fn secret(verb: &str, name: &str) -> Attributes {
        let mut attributes = Attributes::object(verb, &kinds::SECRET, "prod", name);
        attributes.path = "/api/v1/namespaces/prod/secrets".into();
        attributes
    }

    fn read(line: &[u8]) -> Value {
        assert!(!line.contains(&b'\n'));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn a_record_names_who_did_what_to_which_object() {
        let event = read(&mutation(&facts(), &User::admin(), &secret("create", ""), "db", "u-1", 201));
        assert_eq!(
            event,
            json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "a-1",
                "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/prod/secrets", "verb": "create",
                "user": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
                "sourceIPs": ["127.0.0.1"], "userAgent": "kubectl?{forged}",
                "objectRef": {"resource": "secrets", "namespace": "prod", "name": "db", "uid": "u-1", "apiVersion": "v1"},
                "responseStatus": {"code": 201},
                "requestReceivedTimestamp": "2026-09-21T14:13:20.123000Z",
                "stageTimestamp": "2026-09-21T14:13:20.123000Z",
                "annotations": {"authorization.k8s.io/decision": "allow"},
            })
        );
    }

    #[test]
    fn a_denial_says_so_and_why() {
        let facts = facts();
        facts.annotate(REASON, "no rule".to_owned());
        let (user, attributes) = (User::anonymous(), secret("get", "db"));
        let event = Event {
            decision: Some(Decision::Forbid),
            reason: "Forbidden",
            stage_unix_millis: 1_790_000_000_124,
            annotations: &[("strongroom.dev/x", "1")],
            ..Event::new(&facts, &user, &attributes, 403)
        };
        let event = read(&event.to_json());
        assert_eq!(event["responseStatus"], json!({"code": 403, "reason": "Forbidden"}));
        assert_eq!(event["annotations"][DECISION], "forbid");
        assert_eq!(event["annotations"][REASON], "no rule");
        assert_eq!(event["annotations"]["strongroom.dev/x"], "1");
        assert_eq!(event["objectRef"]["name"], "db");
        assert_eq!(event["stageTimestamp"], "2026-09-21T14:13:20.124000Z");
    }

    #[test]
    fn whoever_acts_as_another_is_the_user_and_the_other_is_impersonated() {
        let facts = RequestFacts { impersonator: Some(Arc::new(User::admin())), ..facts() };
        let bob = User::new("bob", "7", ["dev"]);
        let event = read(&Event::new(&facts, &bob, &secret("get", "db"), 200).to_json());
        assert_eq!(event["user"]["username"], "admin");
        assert_eq!(event["impersonatedUser"], json!({"username": "bob", "uid": "7", "groups": ["dev"]}));
    }

    #[test]
    fn a_path_that_is_no_resource_has_no_object_and_its_query_is_reduced() {
        let facts = RequestFacts { query: ReducedQuery::of("token=hunter2"), ..facts() };
        let (user, attributes) = (User::admin(), Attributes::path("get", "/metrics"));
        let event = Event { decision: None, stage: Stage::Panic, ..Event::new(&facts, &user, &attributes, 500) };
        let event = read(&event.to_json());
        assert_eq!(event["requestURI"], "/metrics?token=redacted");
        assert!(event.get("objectRef").is_none());
        assert_eq!((&event["stage"], &event["annotations"]), (&json!("Panic"), &json!({})));
    }

    #[test]
    fn what_the_server_does_for_itself_has_a_time_and_an_id_and_follows_from_no_request() {
        let own = RequestFacts::own(1_790_000_000_123);
        let server = User::system("server");
        let event = read(&mutation(&own, &server, &secret("create", "db"), "db", "u-1", 201));
        assert_eq!(event["requestReceivedTimestamp"], "2026-09-21T14:13:20.123000Z");
        assert_eq!(event["auditID"].as_str().unwrap().len(), 36);
        assert_ne!(own.audit_id, RequestFacts::own(0).audit_id);
        for (facts, cause) in [(&own, None), (&facts(), Some("a-1"))] {
            let event =
                read(&mutation(&facts.consequence("c".to_owned()), &server, &secret("delete", ""), "", "", 200));
            assert_eq!((event["auditID"].as_str(), event["annotations"][CONSEQUENCE_OF].as_str()), (Some("c"), cause));
        }
    }

    #[test]
    fn an_annotation_can_be_added_to_a_finished_event() {
        let attributes = Attributes::path("get", "/x");
        for decision in [None, Some(Decision::Forbid)] {
            let event = Event { decision, ..Event::new(&facts(), &User::admin(), &attributes, 401) }.to_json();
            let event = read(&with_annotation(event, REPEATED, "12"));
            assert_eq!(event["annotations"][REPEATED], "12");
            assert_eq!(event["annotations"].as_object().unwrap().len(), 1 + usize::from(decision.is_some()));
        }
    }

    #[test]
    fn what_an_authenticator_adds_is_written_as_lists() {
        let extra =
            BTreeMap::from([("a\"b".to_owned(), vec!["x".to_owned(), "y".to_owned()]), ("c".to_owned(), vec![])]);
        let mut out = Vec::new();
        put_extra(&mut out, &extra);
        assert_eq!(read(&out), json!({"a\"b": ["x", "y"], "c": []}));
    }
}
