//! Tables, which `kubectl get` asks for, and objects reduced to their metadata.
//!
//! A row shows how many keys a Secret has and never a value; the object beside it is only whole where
//! `includeObject=Object` asks for it. Source: `meta.k8s.io/v1`, Table and PartialObjectMetadata.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::model::age::{human_age, parse_rfc3339};
use crate::model::field_error::FieldError;
use crate::model::kinds::Kind;

/// What stands in a row besides its cells: the query parameter `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeObject {
    /// `null`
    None,
    /// The object's metadata; the default.
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter; absent is `""`.
    ///
    /// # Errors
    /// The text of the 400 Status.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => {
                let detail = "must be 'Metadata', 'Object', 'None', or empty";
                let error = FieldError::invalid("includeObject", other, detail);
                Err(format!("Unable to convert to Table as requested: {error}"))
            }
        }
    }
}

const NAME: &str = "The object's name, which no other object of its kind and namespace has.";
const NEVER: &str = "<none>";
const AGE: &str = "How long ago the object was created.";
const CREATED_AT: &str = "When the object was created, in RFC 3339 and UTC.";

/// The cells of a kind; see [`columns`].
enum Layout {
    Secret,
    Namespace,
    ServiceAccount,
    Binding,
    User,
    Cluster,
    SecretSync,
    SecretRevision,
    Certificate,
    GeneratedSecret,
    KmsKey,
    Event,
    /// Roles, and every kind without a layout of its own.
    Plain,
}

impl Layout {
    fn of(kind: &Kind) -> Self {
        match (kind.group, kind.kind) {
            ("", "Secret") => Self::Secret,
            ("", "Namespace") => Self::Namespace,
            ("", "ServiceAccount") => Self::ServiceAccount,
            ("", "Event") => Self::Event,
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Self::Binding,
            ("strongroom.dev", "User") => Self::User,
            ("strongroom.dev", "Cluster") => Self::Cluster,
            ("strongroom.dev", "SecretSync") => Self::SecretSync,
            ("strongroom.dev", "SecretRevision") => Self::SecretRevision,
            ("strongroom.dev", "Certificate") => Self::Certificate,
            ("strongroom.dev", "GeneratedSecret") => Self::GeneratedSecret,
            ("strongroom.dev", "KMSKey") => Self::KmsKey,
            _ => Self::Plain,
        }
    }
}

/// The `columnDefinitions` of a kind. Every column's type is `string`, as in Kubernetes, whatever its cells are.
pub fn columns(kind: &Kind) -> Value {
    let name = column("Name", "name", NAME, 0);
    let age = || column("Age", "", AGE, 0);
    match Layout::of(kind) {
        Layout::Secret => json!([
            name,
            column("Type", "", "What the secret is for; it says which keys the secret must have.", 0),
            column("Data", "", "How many keys the secret holds.", 0),
            age(),
            column(
                "Expires",
                "",
                "When its values end: by annotation strongroom.dev/expires-at, or with the certificate of type kubernetes.io/tls.",
                1
            ),
        ]),
        Layout::Namespace => {
            json!([name, column("Status", "", "Active, or Terminating once it is being deleted.", 0), age()])
        }
        Layout::ServiceAccount => {
            json!([name, column("Secrets", "", "How many secrets the account lists as its own.", 0), age()])
        }
        Layout::Binding => json!([
            name,
            column("Role", "", "The role whose permissions are granted.", 0),
            age(),
            column("Users", "", "The users who are granted it.", 1),
            column("Groups", "", "The groups that are granted it.", 1),
            column("ServiceAccounts", "", "The service accounts that are granted it.", 1),
        ]),
        Layout::User => json!([
            name,
            column("Groups", "", "The groups that the user belongs to.", 0),
            column("Disabled", "", "Whether the user is shut out.", 0),
            column("Password Set", "", "How long ago the password was set.", 0),
            age(),
        ]),
        Layout::Cluster => json!([
            name,
            column("Healthy", "", "Whether the cluster answers and takes the credential.", 0),
            column("Reason", "", "Why, in one word.", 0),
            column("Version", "", "What the cluster says its version is.", 0),
            age(),
        ]),
        Layout::SecretSync => json!([
            name,
            column("Source", "", "Which Secrets are sent.", 0),
            column("Targets", "", "How many objects in clusters are as they are to be, of how many.", 0),
            column("Ready", "", "Whether all of them are.", 0),
            column("Reason", "", "Why not, in one word.", 0),
            column("Last Sync", "", "How long ago everything was last looked at or changed.", 0),
            age(),
        ]),
        Layout::SecretRevision => json!([
            name,
            column("Secret", "", "The Secret that it is a version of.", 0),
            column("Revision", "", "Its number, and whether it is current or its Secret was deleted.", 0),
            column("Changed By", "", "Who made it.", 0),
            column("Keys", "", "Keys that were added (+), changed (~) and removed (-) by it.", 0),
            age(),
        ]),
        Layout::Certificate => json!([
            name,
            column("Ready", "", "Whether the secret holds a certificate that is valid and as it was asked for.", 0),
            column("Secret", "", "The secret that gets it.", 0),
            age(),
            column("Issuer", "", "Who signs it.", 1),
            column("Status", "", "Why it is ready or not.", 1),
            column("Expires", "", "Until when it is valid.", 1),
            column("Renewal", "", "When the next one is due.", 1),
        ]),
        Layout::GeneratedSecret => json!([
            name,
            column("Ready", "", "Whether the secret holds every value.", 0),
            column("Secret", "", "The secret that gets them.", 0),
            column("Last Rotation", "", "How long ago values were made.", 0),
            age(),
            column("Status", "", "Why it is ready or not.", 1),
            column("Next Rotation", "", "When every value is made anew.", 1),
        ]),
        Layout::KmsKey => json!([
            name,
            column("Terms", "", "How many terms decrypt.", 0),
            column("Rotated", "", "How long ago the current term was made.", 0),
            age(),
            column("Current Key ID", "", "The key id that is encrypted with.", 1),
        ]),
        Layout::Event => json!([
            column("Last Seen", "", "How long ago it happened last.", 0),
            column("Type", "", "Normal or Warning; others may come to be.", 0),
            column("Reason", "", "Why, in one word.", 0),
            column("Object", "", "The object that the event is about.", 0),
            column("Subobject", "", "The part of the object that it is about.", 1),
            column("Source", "", "Who says so.", 1),
            column("Message", "", "What happened, in words.", 0),
            column("First Seen", "", "How long ago it happened first.", 1),
            column("Count", "", "How often it has happened.", 1),
            column("Name", "name", NAME, 1),
        ]),
        Layout::Plain => json!([name, column("Created At", "date", CREATED_AT, 0)]),
    }
}

/// What a row shows of a Secret besides what the object carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfSecret {
    /// Keys in `data`.
    pub data_keys: usize,
    /// When its values end, in seconds since the epoch; of a certificate for those alone who may see it.
    pub ends_at: Option<i64>,
}

/// The row of one object, with `more` of a Secret. `api_version` is the Table's: `meta.k8s.io/v1` or `meta.k8s.io/v1beta1`.
pub fn row(
    kind: &Kind,
    object: &Value,
    more: OfSecret,
    include: IncludeObject,
    now_unix_seconds: i64,
    api_version: &str,
) -> Value {
    let name = text(object, "/metadata/name");
    let since = |pointer: &str| {
        parse_rfc3339(text(object, pointer)).map(|then| human_age(now_unix_seconds.saturating_sub(then)))
    };
    let age = || since("/metadata/creationTimestamp").unwrap_or_else(|| "<unknown>".to_owned());
    let cells = match Layout::of(kind) {
        Layout::Secret => {
            let ends = more.ends_at.map_or_else(|| NEVER.to_owned(), rfc3339);
            json!([name, text(object, "/type"), more.data_keys, age(), ends])
        }
        Layout::Namespace => json!([name, text(object, "/status/phase"), age()]),
        Layout::ServiceAccount => json!([name, items(object, "secrets").len(), age()]),
        Layout::Binding => {
            let role = format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
            let subjects = items(object, "subjects");
            json!([
                name,
                role,
                age(),
                subjects_of(subjects, "User"),
                subjects_of(subjects, "Group"),
                subjects_of(subjects, "ServiceAccount"),
            ])
        }
        Layout::User => {
            let groups = object.get("spec").map_or(&[][..], |spec| items(spec, "groups"));
            let groups: Vec<&str> = groups.iter().filter_map(Value::as_str).collect();
            let disabled = object.pointer("/spec/disabled").and_then(Value::as_bool).unwrap_or_default();
            let password = since("/status/passwordSetAt").unwrap_or_else(|| "<none>".to_owned());
            json!([name, groups.join(","), disabled.to_string(), password, age()])
        }
        Layout::Cluster => {
            let (status, reason) = condition(object, "Healthy");
            json!([name, status, reason, text(object, "/status/serverVersion"), age()])
        }
        Layout::SecretSync => {
            let count = |field: &str| object.pointer(field).and_then(Value::as_i64).unwrap_or_default();
            let targets = format!("{}/{}", count("/status/targetsReady"), count("/status/targetsTotal"));
            let (status, reason) = condition(object, "Ready");
            let last = since("/status/lastSyncTime").unwrap_or_else(|| "<never>".to_owned());
            json!([name, text(object, "/status/source"), targets, status, reason, last, age()])
        }
        Layout::SecretRevision => {
            let number = object.pointer("/spec/revision").and_then(Value::as_i64).unwrap_or_default();
            let is = |pointer: &str| object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
            let state = match (is("/status/current"), is("/status/deleted")) {
                (true, _) => format!("{number} (current)"),
                (_, true) => format!("{number} (deleted)"),
                _ => number.to_string(),
            };
            json!([
                name,
                text(object, "/spec/secretName"),
                state,
                text(object, "/status/changedBy"),
                keys_of(object),
                age()
            ])
        }
        Layout::KmsKey => {
            let terms = object.get("status").map_or(&[][..], |status| items(status, "terms"));
            let rotated = terms.last().map(|term| text(term, "/createdTime")).and_then(parse_rfc3339);
            let rotated = rotated.map(|then| human_age(now_unix_seconds.saturating_sub(then)));
            let rotated = rotated.unwrap_or_else(|| "<unknown>".to_owned());
            json!([name, terms.len(), rotated, age(), text(object, "/status/currentKeyID")])
        }
        Layout::Certificate => {
            let (status, _) = condition(object, "Ready");
            let issuer = match text(object, "/spec/issuerRef/kind") {
                "Secret" => format!("Secret/{}", text(object, "/spec/issuerRef/name")),
                _ => "Room".to_owned(),
            };
            let secret = text(object, "/spec/secretName");
            let [ends, renewal] = ["/status/notAfter", "/status/renewalTime"].map(|at| or_none(text(object, at)));
            json!([name, status, secret, age(), issuer, message(object, "Ready"), ends, renewal])
        }
        Layout::GeneratedSecret => {
            let (status, _) = condition(object, "Ready");
            let last = since("/status/lastRotationTime").unwrap_or_else(|| NEVER.to_owned());
            let next = or_none(text(object, "/status/nextRotationTime"));
            json!([name, status, text(object, "/spec/secretName"), last, age(), message(object, "Ready"), next])
        }
        Layout::Event => event(object, &since),
        Layout::Plain => match text(object, "/metadata/creationTimestamp") {
            // Go's zero time.
            "" => json!([name, "0001-01-01T00:00:00Z"]),
            created => json!([name, created]),
        },
    };
    let object = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial_object_metadata(object, api_version),
        IncludeObject::Object => object.clone(),
    };
    members([("cells", cells), ("object", object)])
}

/// A Table of rows. `metadata` is the list's, or of a single object its resourceVersion. A watch sends
/// the columns with its first event and `None` after that.
pub fn table(api_version: &str, metadata: Value, columns: Option<Value>, rows: Vec<Value>) -> Value {
    members([
        ("kind", "Table".into()),
        ("apiVersion", api_version.into()),
        ("metadata", metadata),
        ("columnDefinitions", columns.unwrap_or_default()),
        ("rows", rows.into()),
    ])
}

/// An object reduced to its metadata, as `meta.k8s.io/v1` or `meta.k8s.io/v1beta1`.
pub fn partial_object_metadata(object: &Value, api_version: &str) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({"creationTimestamp": null}));
    members([("kind", "PartialObjectMetadata".into()), ("apiVersion", api_version.into()), ("metadata", metadata)])
}

/// An object of values that are moved into it; `json!` would copy them.
fn members<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn column(name: &str, format: &str, description: &str, priority: u8) -> Value {
    json!({"name": name, "type": "string", "format": format, "description": description, "priority": priority})
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The cells of an Event, of older recorders and of newer ones. `since` is how long ago a time in it was.
fn event(object: &Value, since: &dyn Fn(&str) -> Option<String>) -> Value {
    let either = |first: &str, second: &str| match text(object, first) {
        "" => text(object, second).to_owned(),
        found => found.to_owned(),
    };
    let unknown = || "<unknown>".to_owned();
    let first = since("/firstTimestamp").or_else(|| since("/eventTime")).unwrap_or_else(unknown);
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let (last, count) = if object.get("series").is_some() {
        (since("/series/lastObservedTime").unwrap_or_else(unknown), count("/series/count"))
    } else {
        (since("/lastTimestamp").unwrap_or_else(|| first.clone()), count("/count").max(1))
    };
    let mut about = text(object, "/involvedObject/kind").to_lowercase();
    let name = text(object, "/involvedObject/name");
    if !name.is_empty() {
        about = format!("{about}/{name}");
    }
    let mut source = either("/source/component", "/reportingComponent");
    let instance = either("/source/host", "/reportingInstance");
    if !instance.is_empty() {
        source = format!("{source}, {instance}");
    }
    json!([
        last,
        text(object, "/type"),
        text(object, "/reason"),
        about,
        text(object, "/involvedObject/fieldPath"),
        source,
        text(object, "/message").trim(),
        first,
        count,
        text(object, "/metadata/name"),
    ])
}

/// Status and reason of a condition.
fn condition<'v>(object: &'v Value, kind: &str) -> (&'v str, &'v str) {
    let conditions = object.get("status").map_or(&[][..], |status| items(status, "conditions"));
    conditions
        .iter()
        .find(|condition| text(condition, "/type") == kind)
        .map_or(("Unknown", ""), |condition| (text(condition, "/status"), text(condition, "/reason")))
}

/// Message of a condition.
fn message<'v>(object: &'v Value, kind: &str) -> &'v str {
    let conditions = object.get("status").map_or(&[][..], |status| items(status, "conditions"));
    let found = conditions.iter().find(|condition| text(condition, "/type") == kind);
    found.map_or("", |condition| text(condition, "/message"))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { NEVER } else { text }
}

fn items<'v>(object: &'v Value, field: &str) -> &'v [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What a revision did to which key: `+added ~changed -removed`, and `metadata` where that alone changed.
fn keys_of(revision: &Value) -> String {
    let status = revision.get("status").unwrap_or(&Value::Null);
    let marked =
        [("keysAdded", '+'), ("keysChanged", '~'), ("keysRemoved", '-')].into_iter().flat_map(|(field, mark)| {
            items(status, field).iter().filter_map(Value::as_str).map(move |key| format!("{mark}{key}"))
        });
    let keys: Vec<String> = marked.collect();
    match (keys.is_empty(), status.get("metadataChanged").and_then(Value::as_bool)) {
        (true, Some(true)) => "metadata".to_owned(),
        _ => keys.join(" "),
    }
}

/// The subjects of one kind, joined: users and groups by name, service accounts as `namespace/name`.
fn subjects_of(subjects: &[Value], kind: &str) -> String {
    let named = |subject: &Value| {
        let name = text(subject, "/name");
        if kind == "ServiceAccount" { format!("{}/{name}", text(subject, "/namespace")) } else { name.to_owned() }
    };
    let of_kind = subjects.iter().filter(|subject| text(subject, "/kind") == kind);
    of_kind.map(named).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
