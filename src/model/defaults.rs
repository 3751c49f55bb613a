//! What an object becomes before it is judged: defaults, write-only fields folded in, fields the server owns.
//!
//! Pure changes to one document. Source: `pkg/apis/*/v1/defaults.go`, `conversion.go` and the registries'
//! strategies of Kubernetes. Text of secrets that is replaced here is wiped.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::kinds::Kind;
use super::schema::{Message, Type};
use super::validation::metadata::owner_identity;
use super::validation::{kind_id, list, meta, reviews, text};
use crate::sensitive::wipe;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";
const RBAC_GROUP: &str = super::validation::rbac::GROUP;

/// What decoding and every write do: defaults, `stringData` folded into `data`, repeated owner references and
/// empty fields dropped. Doing it twice changes nothing.
pub fn apply_defaults(kind: &'static Kind, object: &mut Value) {
    if !object.is_object() {
        return;
    }
    match kind.id {
        kind_id::SECRET => {
            fold_string_data(object);
            default_text(object, "type", "Opaque");
        }
        kind_id::NAMESPACE => {
            label_with_name(object);
            default_text(child(object, "status"), "phase", "Active");
        }
        kind_id::SERVICE_ACCOUNT => reduce_secrets(object),
        // It is no pointer in Kubernetes, so that it is always there.
        kind_id::EVENT => drop(child(object, "involvedObject")),
        kind_id::ROLE_BINDING | kind_id::CLUSTER_ROLE_BINDING => default_groups(object),
        kind_id::CLUSTER if object.pointer("/spec/kubeconfigSecretRef").is_some_and(Value::is_object) => {
            default_text(child(child(object, "spec"), "kubeconfigSecretRef"), "key", "kubeconfig");
        }
        _ => {}
    }
    deduplicate_owners(object);
    if kind.stored {
        omit_empty(kind.message, object);
    }
}

/// A TokenRequest that does not say how long asks for an hour.
pub fn apply_token_request_defaults(object: &mut Value) {
    if object.is_object() {
        let spec = child(object, "spec");
        if spec.get("expirationSeconds").is_none_or(Value::is_null) {
            insert(spec, "expirationSeconds", Value::from(reviews::TOKEN_DEFAULT_SECONDS));
        }
    }
}

/// What only a create does: fields of the server are taken from the client, a Namespace starts active and held by
/// `kubernetes`, an object of the cluster has no namespace. To be called before uid and times are set, and after
/// the name is known. A User's status is the server's; so is that of a kind with a generation, which is 1.
pub fn prepare_for_create(kind: &'static Kind, object: &mut Value) {
    if !object.is_object() {
        return;
    }
    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
        for key in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            meta.shift_remove(key);
        }
        if !kind.namespaced {
            meta.shift_remove("namespace");
        }
    }
    if kind.id == kind_id::USER || kind.has_generation() {
        remove(object, "status");
    }
    if kind.has_generation() {
        insert(child(object, "metadata"), "generation", Value::from(1));
    }
    if kind.id == kind_id::NAMESPACE {
        label_with_name(object);
        insert(object, "status", json!({ "phase": "Active" }));
        let spec = child(object, "spec");
        let finalizers = list(spec, "finalizers");
        if !finalizers.iter().any(|name| name == "kubernetes") {
            let mut finalizers = finalizers.to_vec();
            finalizers.push(Value::from("kubernetes"));
            insert(spec, "finalizers", Value::Array(finalizers));
        }
    }
}

/// What an update may not touch is taken from `old`, silently: generation, uid when absent, creation and deletion
/// times; of a Namespace the parts that `subresource` (empty, `status` or `finalize`) does not own; a User's status.
pub fn prepare_for_update(kind: &'static Kind, subresource: &str, new: &mut Value, old: &Value) {
    if !new.is_object() {
        return;
    }
    let old_meta = meta(old);
    let meta = child(new, "metadata");
    let absent = |meta: &Value, key| match meta.get(key) {
        None | Some(Value::Null) => true,
        Some(value) => value == "",
    };
    restore(meta, old_meta, "generation");
    for key in ["creationTimestamp", "deletionTimestamp"] {
        if !absent(old_meta, key) {
            restore(meta, old_meta, key);
        }
    }
    for key in ["uid", "deletionGracePeriodSeconds"] {
        if absent(meta, key) {
            restore(meta, old_meta, key);
        }
    }
    remove(meta, "selfLink");
    if !kind.namespaced {
        remove(meta, "namespace");
    }
    if kind.id == kind_id::USER && subresource != "password" {
        restore(new, old, "status");
    }
    if kind.has_generation() && old.is_object() {
        prepare_generation(kind, subresource, new, old);
    }
    if kind.id == kind_id::NAMESPACE {
        if subresource != "finalize" {
            let finalizers = old.get("spec").and_then(|spec| spec.get("finalizers")).cloned();
            let spec = child(new, "spec");
            match finalizers {
                Some(finalizers) => insert(spec, "finalizers", finalizers),
                None => remove(spec, "finalizers"),
            }
        }
        if subresource != "status" {
            restore(new, old, "status");
        }
    }
}

/// A configuration for server-side apply, less what its path does not write: the status, or through `status` the rest.
/// So it neither owns that nor is in conflict over it. Source: `GetResetFields` of Kubernetes' strategies.
pub fn prepare_for_apply(kind: &'static Kind, subresource: &str, config: &mut Value) {
    if subresource != "status" {
        remove(config, "status");
        return;
    }
    remove(config, "spec");
    if kind.has_generation()
        && let Some(Value::Object(meta)) = config.get_mut("metadata")
    {
        meta.retain(|key, _| {
            matches!(key.as_str(), "managedFields" | "name" | "namespace" | "resourceVersion" | "uid")
        });
    }
}

/// Of a kind with a status of its own: what `subresource` does not own is as it was, and where something else than
/// metadata and status changes, the generation rises. Source: `customresource/strategy.go` of Kubernetes.
fn prepare_generation(kind: &'static Kind, subresource: &str, new: &mut Value, old: &Value) {
    if subresource == "status" {
        let status = new.get("status").cloned();
        let managed = new.pointer("/metadata/managedFields").cloned();
        let revision = new.pointer("/metadata/resourceVersion").cloned();
        *new = old.clone();
        match status {
            Some(status) => insert(new, "status", status),
            None => remove(new, "status"),
        }
        for (key, value) in [("managedFields", managed), ("resourceVersion", revision)] {
            if let Some(value) = value {
                insert(child(new, "metadata"), key, value);
            }
        }
        return;
    }
    restore(new, old, "status");
    // Both as they are stored: what only looks different is no change.
    let wanted = |object: &Value| {
        let mut object = object.clone();
        omit_empty(kind.message, &mut object);
        for key in ["metadata", "status", "kind", "apiVersion"] {
            remove(&mut object, key);
        }
        object
    };
    if wanted(new) != wanted(old) {
        let generation = meta(old).get("generation").and_then(Value::as_i64).unwrap_or_default();
        insert(child(new, "metadata"), "generation", Value::from(generation + 1));
    }
}

/// `stringData` wins over `data`, key by key, and is gone afterwards.
fn fold_string_data(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(Value::Object(data)) = fields.get_mut("data") {
        for value in data.values_mut().filter(|value| value.is_null()) {
            *value = Value::from("");
        }
    }
    let Some(Value::Object(string_data)) = fields.shift_remove("stringData") else { return };
    let texts = string_data.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, Zeroizing::new(text))),
        _ => None,
    });
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return;
    }
    let data = fields.entry("data").or_insert(Value::Null);
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        if let Some(mut replaced) = data.insert(key, Value::String(STANDARD.encode(text.as_bytes()))) {
            wipe(&mut replaced);
        }
    }
}

/// Every Namespace carries its own name as a label; another value is overwritten.
fn label_with_name(object: &mut Value) {
    let name = text(meta(object), "name").to_owned();
    if !name.is_empty() {
        insert(child(child(object, "metadata"), "labels"), NAME_LABEL, Value::String(name));
    }
}

/// Of the secrets a ServiceAccount lists only the names are kept.
fn reduce_secrets(object: &mut Value) {
    let Some(Value::Array(secrets)) = object.get_mut("secrets") else { return };
    for secret in secrets {
        if let Value::Object(reference) = secret {
            reference.retain(|key, _| key == "name");
        }
    }
}

fn default_groups(object: &mut Value) {
    if let Some(role_ref) = object.get_mut("roleRef").filter(|role_ref| role_ref.is_object()) {
        default_text(role_ref, "apiGroup", RBAC_GROUP);
    }
    let Some(Value::Array(subjects)) = object.get_mut("subjects") else { return };
    for subject in subjects.iter_mut().filter(|subject| matches!(text(subject, "kind"), "User" | "Group")) {
        default_text(subject, "apiGroup", RBAC_GROUP);
    }
}

/// Of owner references that agree in everything the first is kept.
fn deduplicate_owners(object: &mut Value) {
    let owners = list(meta(object), "ownerReferences");
    if owners.len() < 2 {
        return;
    }
    let mut seen = HashSet::new();
    let is_first: Vec<bool> = owners.iter().map(|owner| seen.insert(owner_identity(owner))).collect();
    if is_first.iter().all(|first| *first) {
        return;
    }
    if let Some(Value::Array(owners)) = object.get_mut("metadata").and_then(|meta| meta.get_mut("ownerReferences")) {
        let mut is_first = is_first.into_iter();
        owners.retain(|_| is_first.next().unwrap_or(true));
    }
}

/// Drops what Go leaves out when it writes JSON (`omitempty`): empty lists, maps and text, zeroes, and `null`,
/// wherever the field is neither required nor a pointer. Recurses as deep as the shape, which is finite.
fn omit_empty(message: &'static Message, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    fields.retain(|key, value| {
        let Some(field) = message.field(key) else { return true };
        if value.is_null() {
            return field.required;
        }
        match field.ty {
            Type::Message(inner) => omit_empty(inner, value),
            Type::Messages(inner, _) => {
                value.as_array_mut().into_iter().flatten().for_each(|item| omit_empty(inner, item));
            }
            _ => {}
        }
        field.required
            || match (field.ty, &*value) {
                (Type::MapOfString | Type::MapOfBytes | Type::MapOfStrings, Value::Object(entries)) => {
                    !entries.is_empty()
                }
                (Type::Strings(_) | Type::Messages(..), Value::Array(items)) => !items.is_empty(),
                (Type::String | Type::Bytes, Value::String(text)) => field.pointer || !text.is_empty(),
                (Type::Int32 | Type::Int64, Value::Number(number)) => field.pointer || number.as_i64() != Some(0),
                (Type::Bool, Value::Bool(flag)) => field.pointer || *flag,
                _ => true,
            }
    });
}

fn default_text(object: &mut Value, key: &str, default: &str) {
    if text(object, key).is_empty() {
        insert(object, key, Value::from(default));
    }
}

/// The object under `key`, made when it is absent. `parent` must be an object; else it is returned itself.
fn child<'a>(parent: &'a mut Value, key: &str) -> &'a mut Value {
    if !parent.is_object() {
        return parent;
    }
    if !parent.get(key).is_some_and(Value::is_object) {
        insert(parent, key, Value::Object(Map::new()));
    }
    match parent {
        Value::Object(fields) => fields.entry(key).or_insert(Value::Null),
        other => other,
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}

fn remove(object: &mut Value, key: &str) {
    if let Value::Object(fields) = object {
        fields.shift_remove(key);
    }
}

fn restore(new: &mut Value, old: &Value, key: &str) {
    match old.get(key) {
        Some(value) => insert(new, key, value.clone()),
        None => remove(new, key),
    }
}

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;
