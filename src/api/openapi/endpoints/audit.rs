//! Reading the audit log.

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, Parameter};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};

use super::{Access, Listed, answered, operation};
use crate::api::audit_log;
use crate::api::openapi::failures::Case;
use crate::api::openapi::parameters::{pretty, query};
use crate::api::openapi::responses::{Shared, header};
use crate::api::openapi::schemas::{Components, described_reference, reference, text};
use crate::api::openapi::{AUDIT, examples};
use crate::api::status::Failure;
use crate::audit::query::{AuditQuery, MOST_LIMIT, PARAMETERS};
use crate::audit::{self, Event, ReducedQuery, RequestFacts};
use crate::model::kinds::SECRET;
use crate::model::user::{GROUP_AUTHENTICATED, User};
use crate::rbac::Attributes;

const LINES: &str = "application/x-ndjson";
/// 2026-01-15T09:30:00.123Z
const HAPPENED_UNIX_MILLIS: i64 = 1_768_469_400_123;

/// Both of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    vec![events(shared), verify(shared)]
}

/// Adds the schemas of the answers.
pub fn add_schemas(all: &mut Components) {
    all.insert("AuditEvent".to_owned(), event_schema().into());
    let list = ObjectBuilder::new()
        .property("kind", text().enum_values(Some(["EventList"])))
        .property("apiVersion", text().enum_values(Some(["audit.k8s.io/v1"])))
        .property("metadata", ObjectBuilder::new())
        .property("items", ArrayBuilder::new().items(reference("AuditEvent")));
    let list = required(list, &["kind", "apiVersion", "metadata", "items"]);
    all.insert("AuditEventList".to_owned(), list.description(Some("Audit events.")).into());
    let count = |description: &str| integer(description, 0, i64::MAX);
    let report = ObjectBuilder::new()
        .property(
            "intact",
            ObjectBuilder::new().schema_type(Type::Boolean).description(Some("Whether all is as it was written.")),
        )
        .property("problems", ArrayBuilder::new().items(text()).description(Some("What is not, with file and line.")))
        .property("moreProblems", count("How many more there are."))
        .property("files", count("Files of the log."))
        .property("lines", count("Their lines."))
        .property("events", count("Events among them."))
        .property("checkpoints", count("Checkpoints whose signature holds."))
        .property("linesBehindLastCheckpoint", count("Lines that no signature vouches for yet."))
        .property("mutations", count("Records of changes that are in the store."))
        .property("copiedMutations", count("Number of the last record of a change that is copied into the log."))
        .property("publicKey", text().description(Some("What signatures are verified with, PEM (Ed25519).")));
    let fields = [
        "intact",
        "problems",
        "moreProblems",
        "files",
        "lines",
        "events",
        "checkpoints",
        "linesBehindLastCheckpoint",
        "mutations",
        "copiedMutations",
        "publicKey",
    ];
    let report = required(report, &fields).description(Some("What a check of the audit log has found."));
    all.insert("AuditReport".to_owned(), report.into());
}

/// `audit.k8s.io/v1 Event`, as far as it is filled in.
fn event_schema() -> Schema {
    let time = |description: &str| {
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).description(Some(description))
    };
    let said = |description: &str| text().description(Some(description));
    let object = ObjectBuilder::new()
        .property("resource", said("Plural."))
        .property("namespace", said("Namespace."))
        .property("name", said("Name."))
        .property("uid", said("Uid."))
        .property("apiGroup", said("Group; absent for the core group."))
        .property("apiVersion", said("Version."))
        .property("subresource", said("Subresource."))
        .required("resource")
        .description(Some("The object or the collection that was asked for."));
    let status = ObjectBuilder::new()
        .property("code", integer("HTTP status.", 100, 599))
        .property("reason", said("`reason` of a Status."))
        .required("code")
        .description(Some("What the answer was."));
    let annotations = ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::<Schema>::RefOr(text().into())))
        .description(Some(
            "`authorization.k8s.io/decision` is `allow` or `forbid`, `…/reason` says by what; `strongroom.dev/repeated` how many requests like this one the event stands for.",
        ));
    let event = ObjectBuilder::new()
        .property("kind", text().enum_values(Some(["Event"])))
        .property("apiVersion", text().enum_values(Some(["audit.k8s.io/v1"])))
        .property("level", text().enum_values(Some(["Metadata"])))
        .property("auditID", said("What the answer's `Audit-Id` was."))
        .property("stage", text().enum_values(Some(["ResponseStarted", "ResponseComplete", "Panic"])))
        .property("requestURI", said("Path, and the query as far as it may be recorded."))
        .property("verb", said("Verb, or the method in lower case."))
        .property("user", described_reference("UserInfo", "Who asked."))
        .property("impersonatedUser", described_reference("UserInfo", "As whom."))
        .property("sourceIPs", ArrayBuilder::new().items(text()).description(Some("From where.")))
        .property("userAgent", said("With what, as the client says."))
        .property("objectRef", object)
        .property("responseStatus", status)
        .property("requestReceivedTimestamp", time("When the request came in."))
        .property("stageTimestamp", time("When the stage was reached."))
        .property("annotations", annotations);
    let fields = [
        "kind",
        "apiVersion",
        "level",
        "auditID",
        "stage",
        "requestURI",
        "verb",
        "user",
        "responseStatus",
        "requestReceivedTimestamp",
        "stageTimestamp",
        "annotations",
    ];
    required(event, &fields)
        .description(Some(
            "Who did what to which object, when, and with what result. It never holds a value, a token or a body.",
        ))
        .into()
}

fn events(shared: &mut Shared) -> Listed {
    let (path, id) = (audit_log::PATH, "listAuditEvents");
    let event = event();
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]});
    let line = shared.content(reference("AuditEvent"), [("AuditEvent.line".to_owned(), event)]);
    let answer = answered("AuditEventList", id, list, "The events; with `follow=true` one on each line.", shared)
        .content(LINES, line)
        .header_ref("Warning", header("Warning"));
    let wrong: Vec<Case> = [
        ("parameter", AuditQuery::parse([("code", "forbidden")], 0).err().map(|error| error.to_string())),
        ("order", audit_log::oldest_first(Some("latest")).err()),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, Failure::bad_request(text?))))
    .collect();
    let unreadable = vec![("unreadable", Failure::unavailable(audit_log::UNREADABLE))];
    let (failures, summary) = (vec![(400, wrong), (503, unreadable)], "Find audit events, or follow them");
    let mut operation = operation(("get", path), id, AUDIT, summary, Access::Granted, failures, shared)
        .description(Some("Changes, reads, refusals and sign-ins, as far as they are kept. All conditions must hold."));
    for parameter in parameters() {
        operation = shared.parameter(operation, parameter);
    }
    (path.to_owned(), HttpMethod::Get, operation.response("200", answer).build())
}

/// Those of the query, then those of the answer.
fn parameters() -> Vec<Parameter> {
    let mut all: Vec<Parameter> = PARAMETERS
        .iter()
        .map(|(name, meaning)| {
            let schema = match *name {
                "decision" => text().enum_values(Some(["allow", "forbid"])),
                "code" => text().pattern(Some("^[1-5]([0-9][0-9]|xx)$")),
                "limit" => integer("", 1, i64::try_from(MOST_LIMIT).unwrap_or(i64::MAX)).description(None::<String>),
                _ => text().min_length(Some(1)),
            };
            query(name, &sentence(meaning), schema)
        })
        .collect();
    let follow = ObjectBuilder::new().schema_type(Type::Boolean);
    all.extend([
        query(
            "order",
            "Of the events that are found, which is first; the newest are found.",
            text().enum_values(Some(["newest", "oldest"])),
        ),
        query("follow", "The answer does not end: events are told as they happen, one JSON document a line.", follow),
        pretty(),
    ]);
    all
}

fn verify(shared: &mut Shared) -> Listed {
    let (path, id) = (audit_log::VERIFY_PATH, "verifyAuditLog");
    let example = json!({
        "intact": true, "problems": [], "moreProblems": 0, "files": 2, "lines": 30_412, "events": 30_102,
        "checkpoints": 308, "linesBehindLastCheckpoint": 17, "mutations": 4,
        "copiedMutations": 1_204,
        // The key of RFC 8410, 10.1.
        "publicKey": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    });
    let answer = answered("AuditReport", id, example, "What was found.", shared);
    let unreadable = vec![("unreadable", Failure::unavailable(audit_log::UNREADABLE))];
    let summary = "Check that the audit log is as it was written";
    let operation = operation(("get", path), id, AUDIT, summary, Access::Granted, vec![(503, unreadable)], shared)
        .description(Some(
            "Reads the whole log, and the records of changes in the store, and checks links, numbers and signatures.",
        ));
    let operation = shared.parameter(operation, pretty());
    (path.to_owned(), HttpMethod::Get, operation.response("200", answer).build())
}

/// The event of a secret that was read.
fn event() -> Value {
    let name = examples::name(&SECRET);
    let path = format!("/api/v1/namespaces/{}/secrets/{name}", examples::NAMESPACE);
    let attributes = Attributes { path, ..Attributes::object("get", &SECRET, examples::NAMESPACE, name) };
    let id = "0d2b6a3e-7c1f-4a58-8e94-3b5d6f708192".to_owned();
    let (address, agent) = ("192.0.2.7".to_owned(), "kubectl/v1.32.5 (linux/amd64) kubernetes/9894294");
    let facts = RequestFacts::new(id, address, agent, ReducedQuery::default(), HAPPENED_UNIX_MILLIS);
    let reason =
        "RBAC: allowed by RoleBinding \"jane-reads-secrets/default\" of Role \"secret-reader\" to User \"jane\"";
    facts.annotate(audit::REASON, reason.to_owned());
    let user = User::new("jane", "", ["auditors", GROUP_AUTHENTICATED]);
    serde_json::from_slice(&Event::new(&facts, &user, &attributes, 200).to_json()).unwrap_or_default()
}

fn integer(description: &str, least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
        .maximum(Some(most))
        .description(Some(description))
}

fn required(object: ObjectBuilder, fields: &[&str]) -> ObjectBuilder {
    fields.iter().fold(object, |object, field| object.required(*field))
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    format!("{}{}.", first.into_iter().flatten().collect::<String>(), letters.as_str())
}
