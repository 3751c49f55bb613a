//! Objects that stand for all others in the document, as a client sends them and as the server returns them.
//!
//! What the server adds comes from the code that adds it; only what differs from run to run is made up.

use serde_json::{Map, Value, json};

use crate::api::table::{self, IncludeObject};
use crate::model::defaults;
use crate::model::kinds::{self, Kind};
use crate::model::schema::{Message, OBJECT_META};

/// The namespace of every example.
pub const NAMESPACE: &str = "default";
/// The resourceVersion of every example.
pub const REVISION: &str = "278";
const UID: &str = "4e8a7b52-6d3c-4f19-9a0b-2c1d5e7f8a90";
/// The serial number of a certificate.
const SERIAL: &str = "4f0c6d1e2b7a4938a5d2c1b0e9f86734";
const CREATED: &str = "2026-01-15T09:30:00Z";
/// A key id of a KMSKey.
const KMS_KEY_ID: &str = "sr1:0d1c7f52-3f86-4c1c-9c54-4e8a7b52a6f0:1:3f9a61c20b7de845";
const KMS_NEXT_KEY_ID: &str = "sr1:0d1c7f52-3f86-4c1c-9c54-4e8a7b52a6f0:2:c41be7023a95d86f";
/// What was encrypted under it.
const KMS_CIPHERTEXT: &str = "AQEAAAABd2VsbCwgdGhpcyBpcyBhbiBleGFtcGxlIGFuZCBkb2VzIG5vdCBvcGVu";
/// Two hours later.
const NOW_UNIX_SECONDS: i64 = 1_768_476_600;

/// The name of a kind's example.
pub fn name(kind: &Kind) -> &'static str {
    match kind.kind {
        "Secret" => "my-secret",
        "Namespace" => "team-a",
        "ServiceAccount" => "deployer",
        "Role" => "secret-reader",
        "RoleBinding" => "deployer-reads-secrets",
        "ClusterRole" => "secret-auditor",
        "ClusterRoleBinding" => "auditors-read-secrets",
        "User" => "jane",
        "Cluster" => "east",
        "SecretSync" => "database",
        "Certificate" | "GeneratedSecret" => "web",
        "KMSKey" => "etcd",
        "Event" => "database.18a1f2b3c4d5e6f7",
        "SecretRevision" => "my-secret.4e8a7b52.3",
        _ => "",
    }
}

/// The example as a client sends it.
pub fn input(kind: &Kind) -> Value {
    let mut object = json!({"kind": kind.kind, "apiVersion": kind.api_version});
    if kind.stored {
        put(&mut object, "metadata", json!({"name": name(kind)}));
    }
    if kind.stored && kind.namespaced {
        put(&mut object, "metadata", json!({"name": name(kind), "namespace": NAMESPACE}));
    }
    let group = "rbac.authorization.k8s.io";
    let service_account = json!({"kind": "ServiceAccount", "name": "deployer", "namespace": NAMESPACE});
    let fields = match kind.kind {
        "Secret" => json!({"data": {"username": "YWRtaW4=", "password": "cGEkJHcwcmQ="}, "type": "Opaque"}),
        "ServiceAccount" => json!({"automountServiceAccountToken": false}),
        "Role" | "ClusterRole" => {
            json!({"rules": [{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["secrets"]}]})
        }
        "RoleBinding" => json!({
            "subjects": [service_account],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "secret-reader"},
        }),
        "ClusterRoleBinding" => json!({
            "subjects": [{"kind": "Group", "apiGroup": group, "name": "auditors"}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "secret-auditor"},
        }),
        "TokenRequest" => json!({"spec": {"audiences": ["https://vault.example"], "expirationSeconds": 3600}}),
        "TokenReview" => json!({"spec": {"token": "sr_admin_example"}}),
        "SelfSubjectAccessReview" | "ResourceAccessReview" => {
            json!({"spec": {"resourceAttributes": secret_attributes()}})
        }
        "SubjectAccessReview" => json!({"spec": {"resourceAttributes": secret_attributes(), "user": "jane"}}),
        "LocalSubjectAccessReview" => {
            put(&mut object, "metadata", json!({"namespace": NAMESPACE}));
            json!({"spec": {"resourceAttributes": secret_attributes(), "user": "jane"}})
        }
        "SelfSubjectRulesReview" => json!({"spec": {"namespace": NAMESPACE}}),
        "User" => json!({"spec": {"groups": ["auditors"]}}),
        "PasswordRequest" => json!({"spec": {"password": "seven herons over a slow river"}}),
        "CertificateRequest" => json!({"spec": {"request": "LS0tLS1CRUdJTi4uLg==", "expirationSeconds": 86400}}),
        "CertificateRevocation" => json!({"spec": {"serialNumber": SERIAL}}),
        "AccessExplanation" => json!({"spec": {"user": "jane", "resourceAttributes": secret_attributes()}}),
        "GrantUsageReview" => json!({"spec": {"sinceSeconds": 7_776_000}}),
        "SecretExport" => json!({"spec": {"names": [name(&kinds::SECRET)], "format": "yaml"}}),
        "SecretScan" => json!({"spec": {"scanner": "4f0c6d1e2b7a4938"}}),
        "SecretImport" => {
            let secret = json!({"metadata": {"name": name(&kinds::SECRET)}, "data": {"password": "cGEkJHcwcmQ="}});
            json!({"spec": {"secrets": [secret]}})
        }
        "Cluster" => json!({"spec": {
            "kubeconfigSecretRef": {"namespace": "infra", "name": "east", "key": "kubeconfig"},
            "allowedNamespaces": ["team-*"],
        }}),
        "SecretSync" => json!({"spec": {
            "serviceAccountName": "deployer",
            "source": {"names": [name(&kinds::SECRET)]},
            "targets": [{"cluster": name(&kinds::CLUSTER), "namespaces": {"names": ["team-a"]}}],
        }}),
        "Certificate" => json!({"spec": {
            "secretName": "web-tls", "dnsNames": ["web.example.com"], "duration": "2160h", "renewBefore": "360h",
            "privateKey": {"algorithm": "ECDSA", "size": 256}, "issuerRef": {"kind": "Room"},
        }}),
        "GeneratedSecret" => json!({"spec": {
            "secretName": "web-session",
            "keys": [{"key": "password", "generator": "password", "length": 32}],
            "rotationInterval": "720h", "keepPrevious": true,
        }}),
        "Event" => json!({
            "involvedObject": {
                "kind": "SecretSync", "namespace": NAMESPACE, "name": name(&kinds::SECRET_SYNC), "uid": UID,
                "apiVersion": kinds::OWN_API_VERSION,
            },
            "reason": "Applied", "message": "wrote team-a/my-secret in cluster \"east\"",
            "source": {"component": "sync-controller"},
            "firstTimestamp": CREATED, "lastTimestamp": CREATED, "count": 1, "type": "Normal",
        }),
        "KMSKey" => json!({"spec": {"rotateAfter": "2160h"}}),
        "KMSKeyRetirement" => json!({"spec": {"keyID": KMS_KEY_ID, "unseenFor": "49h"}}),
        "KMSEncryption" => json!({"spec": {"plaintext": "c2VlZA=="}}),
        "KMSDecryption" => json!({"spec": {"ciphertext": KMS_CIPHERTEXT, "keyID": KMS_KEY_ID}}),
        "SecretSyncRendering" => json!({"spec": {"cluster": name(&kinds::CLUSTER)}}),
        "SecretRevision" => json!({
            "spec": {"secretName": name(&kinds::SECRET), "secretUID": UID, "revision": 3},
            "status": {
                "current": false, "changedBy": "jane", "keysChanged": ["password"], "supersededAt": CREATED,
            },
            "type": "Opaque",
            "data": {"username": "YWRtaW4=", "password": "cGEkJHcwcmQ="},
        }),
        _ => json!({}),
    };
    extend(&mut object, fields);
    object
}

fn secret_attributes() -> Value {
    json!({"namespace": NAMESPACE, "verb": "get", "resource": "secrets", "name": "my-secret"})
}

/// The example as the server returns it.
pub fn output(kind: &'static Kind) -> Value {
    if !kind.stored {
        return answered(kind);
    }
    let mut object = input(kind);
    defaults::prepare_for_create(kind, &mut object);
    defaults::apply_defaults(kind, &mut object);
    if let Some(metadata) = object.get_mut("metadata") {
        put(metadata, "uid", json!(UID));
        put(metadata, "resourceVersion", json!(REVISION));
        put(metadata, "creationTimestamp", json!(CREATED));
        *metadata = in_order(&OBJECT_META, metadata);
    }
    let mut ordered = json!({"kind": kind.kind, "apiVersion": kind.api_version});
    extend(&mut ordered, in_order(kind.message, &object));
    ordered
}

/// A review or a token request with its answer.
fn answered(kind: &Kind) -> Value {
    let user = json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]});
    let mut metadata = json!({"creationTimestamp": null});
    let (spec, status) = match kind.kind {
        "TokenReview" => (Some(json!({"token": ""})), json!({"authenticated": true, "user": user})),
        "SelfSubjectReview" => {
            metadata = json!({"creationTimestamp": CREATED});
            (None, json!({"userInfo": user}))
        }
        "SelfSubjectRulesReview" => {
            let resource_rules = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
            let path_rules = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
            let rules = json!({"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": false});
            (Some(json!({})), rules)
        }
        "TokenRequest" => {
            metadata = json!({"name": "deployer", "namespace": NAMESPACE, "creationTimestamp": CREATED});
            let status = json!({"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl", "expirationTimestamp": "2026-01-15T10:30:00Z"});
            (input(kind).get("spec").cloned(), status)
        }
        "PasswordRequest" => {
            metadata = json!({"name": "jane", "creationTimestamp": CREATED});
            (Some(json!({})), json!({"passwordSetAt": CREATED}))
        }
        "CertificateRequest" => {
            metadata = json!({"name": "jane", "creationTimestamp": CREATED});
            let status = json!({
                "certificate": "LS0tLS1CRUdJTi4uLg==", "expirationTimestamp": "2026-01-16T09:30:00Z",
                "serialNumber": SERIAL,
            });
            (input(kind).get("spec").cloned(), status)
        }
        "CertificateRevocation" => {
            metadata = json!({"name": "jane", "creationTimestamp": CREATED});
            let status = json!({"serialNumber": SERIAL, "rememberedUntil": "2027-01-15T09:30:00Z"});
            (input(kind).get("spec").cloned(), status)
        }
        "AccessExplanation" => (input(kind).get("spec").cloned(), explanation()),
        "ResourceAccessReview" => (input(kind).get("spec").cloned(), json!({"holders": [grant()]})),
        "GrantUsageReview" => {
            let status = json!({
                "since": "2025-10-17T09:30:00Z", "observedFrom": "2025-12-01T00:00:00Z", "requests": 4711,
                "unused": [grant()],
            });
            (input(kind).get("spec").cloned(), status)
        }
        "SecretScan" => {
            metadata = json!({"namespace": NAMESPACE, "creationTimestamp": null});
            let fingerprint = json!({
                "secret": name(&kinds::SECRET), "key": "password", "length": 24, "window": 703_710, "mac": "5b1f9d0c6d1e2b7a4938a5d2c1b0e9f8",
            });
            let status = json!({
                "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "expirationTimestamp": "2026-01-22T00:00:00Z",
                "fingerprints": [fingerprint], "skippedSecrets": 0, "skippedValues": 1,
            });
            (input(kind).get("spec").cloned(), status)
        }
        "SecretImport" => {
            metadata = json!({"namespace": NAMESPACE, "creationTimestamp": null});
            let imported = json!({
                "name": name(&kinds::SECRET), "outcome": "Created", "keys": [{"key": "password", "after": 8}],
            });
            (Some(json!({"secrets": [], "overwrite": false})), json!({"secrets": [imported]}))
        }
        "SecretSyncRendering" => {
            metadata = json!({"name": name(&kinds::SECRET_SYNC), "namespace": NAMESPACE, "creationTimestamp": CREATED});
            let secret = name(&kinds::SECRET);
            let manifest = "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"my-secret\",\"namespace\":\"team-a\"}}";
            let object = json!({"target": 0, "source": secret, "sourceRevision": REVISION, "manifest": manifest});
            let status = json!({"objects": [object], "problems": [], "sources": [secret], "deletedSources": []});
            (input(kind).get("spec").cloned(), status)
        }
        "KMSKeyRotation" => {
            metadata = json!({"name": "etcd", "creationTimestamp": CREATED});
            (None, json!({"currentKeyID": KMS_KEY_ID}))
        }
        "KMSKeyRetirement" => {
            metadata = json!({"name": "etcd", "creationTimestamp": CREATED});
            (input(kind).get("spec").cloned(), json!({"keyIDs": [KMS_NEXT_KEY_ID]}))
        }
        "KMSEncryption" => {
            metadata = json!({"name": "etcd", "creationTimestamp": CREATED});
            (Some(json!({})), json!({"ciphertext": KMS_CIPHERTEXT, "keyID": KMS_KEY_ID}))
        }
        "KMSDecryption" => {
            metadata = json!({"name": "etcd", "creationTimestamp": CREATED});
            (Some(json!({})), json!({"plaintext": "c2VlZA=="}))
        }
        "SecretExport" => {
            metadata = json!({"namespace": NAMESPACE, "creationTimestamp": null});
            let file = "apiVersion: v1\ndata:\n  username: YWRtaW4=\nkind: Secret\nmetadata:\n  name: my-secret\n  namespace: default\n";
            (input(kind).get("spec").cloned(), json!({"document": file, "secrets": [name(&kinds::SECRET)]}))
        }
        _ => (input(kind).get("spec").cloned(), json!({"allowed": true})),
    };
    let mut object = json!({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata});
    if let Some(spec) = spec {
        put(&mut object, "spec", spec);
    }
    put(&mut object, "status", status);
    object
}

fn reader_rule() -> Value {
    json!({"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["secrets"]})
}

fn grant() -> Value {
    json!({
        "subject": {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"},
        "binding": {"kind": "RoleBinding", "namespace": NAMESPACE, "name": "jane-reads-secrets"},
        "role": {"kind": "Role", "namespace": NAMESPACE, "name": "secret-reader"},
        "rule": reader_rule(),
    })
}

fn explanation() -> Value {
    let mut considered = grant();
    if let Some(fields) = considered.as_object_mut() {
        fields.remove("rule");
    }
    extend(&mut considered, json!({"outcome": "Allowed", "rules": [{"rule": reader_rule(), "matches": true}]}));
    json!({
        "allowed": true,
        "reason": "RBAC: allowed by RoleBinding \"jane-reads-secrets/default\" of Role \"secret-reader\" to User \"jane\"",
        "user": {"username": "jane", "groups": ["auditors", "system:authenticated"]},
        "considered": [considered],
    })
}

/// A list of the one example.
pub fn list(kind: &'static Kind) -> Value {
    let mut item = output(kind);
    if let Some(fields) = item.as_object_mut() {
        if kind.id == kinds::SECRET_REVISION.id {
            fields.shift_remove("data");
        }
        fields.shift_remove("kind");
        fields.shift_remove("apiVersion");
    }
    json!({
        "kind": kind.list_kind, "apiVersion": kind.api_version,
        "metadata": {"resourceVersion": REVISION}, "items": [item],
    })
}

/// A Table of the one example.
pub fn table(kind: &'static Kind) -> Value {
    let object = output(kind);
    let data_keys = object.get("data").and_then(Value::as_object).map_or(0, Map::len);
    let more = table::OfSecret { data_keys, ends_at: None };
    let row = table::row(kind, &object, more, IncludeObject::Metadata, NOW_UNIX_SECONDS, META);
    table::table(META, json!({"resourceVersion": REVISION}), Some(table::columns(kind)), vec![row])
}

const META: &str = "meta.k8s.io/v1";

/// The example reduced to its metadata.
pub fn partial(kind: &'static Kind) -> Value {
    table::partial_object_metadata(&output(kind), META)
}

/// A list of the example reduced to its metadata.
pub fn partial_list(kind: &'static Kind) -> Value {
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": META,
        "metadata": {"resourceVersion": REVISION}, "items": [partial(kind)],
    })
}

/// The first line of a watch.
pub fn watch_event(kind: &'static Kind) -> Value {
    json!({"type": "ADDED", "object": output(kind)})
}

/// The example as it is while a finalizer holds it after a delete.
pub fn terminating(kind: &'static Kind) -> Value {
    let mut object = output(kind);
    if kind.kind == "Namespace" {
        put(&mut object, "status", json!({"phase": "Terminating"}));
    }
    if let Some(metadata) = object.get_mut("metadata") {
        put(metadata, "deletionTimestamp", json!("2026-01-15T11:30:00Z"));
        if kind.kind != "Namespace" {
            put(metadata, "deletionGracePeriodSeconds", json!(0));
            put(metadata, "finalizers", json!(["example.com/backup"]));
        }
        *metadata = in_order(&OBJECT_META, metadata);
    }
    object
}

/// What a delete that leaves nothing answers.
pub fn deleted(kind: &Kind) -> Value {
    let mut details = json!({"name": name(kind)});
    if !kind.group.is_empty() {
        put(&mut details, "group", json!(kind.group));
    }
    put(&mut details, "kind", json!(kind.plural));
    put(&mut details, "uid", json!(UID));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// A merge patch of the example.
pub fn merge_patch(kind: &Kind) -> Value {
    match kind.kind {
        "Secret" => json!({"data": {"password": "bmV3LXBhJCR3MHJk"}}),
        "Role" | "ClusterRole" => json!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]}),
        _ => json!({"metadata": {"labels": {"team": "a"}}}),
    }
}

/// A JSON patch of the example.
pub fn json_patch(kind: &Kind) -> Value {
    match kind.kind {
        "Secret" => json!([{"op": "replace", "path": "/data/password", "value": "bmV3LXBhJCR3MHJk"}]),
        _ => json!([{"op": "add", "path": "/metadata/labels", "value": {"team": "a"}}]),
    }
}

fn in_order(message: &Message, object: &Value) -> Value {
    let fields = message.fields.iter().filter_map(|field| {
        let value = object.get(field.json)?;
        Some((field.json.to_owned(), value.clone()))
    });
    fields.collect::<Map<_, _>>().into()
}

fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn extend(object: &mut Value, fields: Value) {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
}
