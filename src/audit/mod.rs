//! What is recorded of a change, and what never is.
//!
//! Records have the shape of `audit.k8s.io/v1 Event` at level Metadata: who did what to which object, when
//! and with what result. They never hold a request or response body, a value, a token or a free-form query.
//! The record of a mutation is sealed and committed in the mutation's own transaction.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::model::user::User;
use crate::rbac::Attributes;

/// The longest user agent that is recorded; the rest is cut.
const USER_AGENT_MAX_CHARS: usize = 256;

/// What is known of a request besides its permit.
#[derive(Debug, Clone, Default)]
pub struct RequestFacts {
    /// Also sent to the client as `Audit-Id`.
    pub audit_id: String,
    /// Address of the peer.
    pub source_ip: String,
    /// As sent by the client.
    pub user_agent: String,
    /// When the request arrived, milliseconds since the epoch.
    pub received_unix_millis: i64,
    /// Who presented credentials, where that one acts as somebody else.
    pub impersonator: Option<Arc<User>>,
    /// What is noted while the request is carried out. Clones share it.
    noted: Arc<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    recorded: AtomicBool,
    annotations: Mutex<BTreeMap<String, String>>,
}

impl RequestFacts {
    /// Of a request that has just come in.
    pub fn new(audit_id: String, source_ip: String, user_agent: &str, received_unix_millis: i64) -> Self {
        Self { audit_id, source_ip, user_agent: user_agent.to_owned(), received_unix_millis, ..Self::default() }
    }

    /// Says something more of the request. Never a value, a token or a password.
    pub fn annotate(&self, key: &str, value: &str) {
        let mut annotations = self.noted.annotations.lock().unwrap_or_else(PoisonError::into_inner);
        annotations.insert(key.to_owned(), value.to_owned());
    }

    /// What was said of it.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.noted.annotations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The record of the request has been committed, with the change that it made.
    pub fn mark_recorded(&self) {
        self.noted.recorded.store(true, Ordering::Release);
    }

    /// Whether its record has been committed.
    pub fn is_recorded(&self) -> bool {
        self.noted.recorded.load(Ordering::Acquire)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    kind: &'static str,
    api_version: &'static str,
    level: &'static str,
    #[serde(rename = "auditID")]
    audit_id: &'a str,
    stage: &'static str,
    #[serde(rename = "requestURI")]
    request_uri: &'a str,
    verb: &'a str,
    user: UserInfo<'a>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    source_ips: Vec<&'a str>,
    user_agent: String,
    object_ref: ObjectRef<'a>,
    response_status: ResponseStatus,
    request_received_timestamp: String,
}

#[derive(Serialize)]
struct UserInfo<'a> {
    username: &'a str,
    groups: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_group: &'a str,
    api_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subresource: &'a str,
}

#[derive(Serialize)]
struct ResponseStatus {
    code: u16,
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
    let event = Event {
        kind: "Event",
        api_version: "audit.k8s.io/v1",
        level: "Metadata",
        audit_id: &facts.audit_id,
        stage: "ResponseComplete",
        request_uri: &attributes.path,
        verb: &attributes.verb,
        user: UserInfo { username: &user.name, groups: &user.groups },
        source_ips: if facts.source_ip.is_empty() { Vec::new() } else { vec![&facts.source_ip] },
        user_agent: printable(&facts.user_agent),
        object_ref: ObjectRef {
            resource: &attributes.resource,
            namespace: &attributes.namespace,
            name,
            uid,
            api_group: &attributes.group,
            api_version: &attributes.version,
            subresource: &attributes.subresource,
        },
        response_status: ResponseStatus { code },
        request_received_timestamp: micro_time(facts.received_unix_millis),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_vec(&event).unwrap_or_default()
}

/// `metav1.MicroTime`: RFC 3339 with six decimals.
fn micro_time(unix_millis: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_millis)
        .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// Cut and stripped of control characters, so that a client cannot forge lines in an exported log.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(USER_AGENT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kinds;

    #[test]
    fn a_record_names_who_did_what_to_which_object() {
        let facts = RequestFacts {
            audit_id: "a-1".into(),
            source_ip: "127.0.0.1".into(),
            user_agent: "kubectl\n{forged}".into(),
            received_unix_millis: 1_790_000_000_123,
            ..RequestFacts::default()
        };
        let mut attributes = Attributes::object("create", &kinds::SECRET, "prod", "");
        attributes.path = "/api/v1/namespaces/prod/secrets".into();
        let line = mutation(&facts, &User::admin(), &attributes, "db", "u-1", 201);
        let event: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(event["objectRef"]["name"], "db");
        assert_eq!(event["user"]["username"], "admin");
        assert_eq!(event["responseStatus"]["code"], 201);
        assert_eq!(event["requestReceivedTimestamp"], "2026-09-21T14:13:20.123000Z");
        assert_eq!(event["userAgent"], "kubectl?{forged}");
        assert!(!line.contains(&b'\n'));
    }
}
