//! What a review must say to be answered: access reviews, rules reviews, token reviews and token requests.
//!
//! Source: `pkg/apis/authorization/validation`, `pkg/apis/authentication/validation` and their registries. A token
//! to be reviewed never enters a text.

use serde_json::Value;

use super::metadata::{self, SelectorOptions, go_object_meta, group_version};
use super::{NAMESPACE_MISMATCH, is_full, list, map, meta, text};
use crate::model::field_error::{FieldError, go_quote};

/// Seconds that a requested token must live at least.
pub const TOKEN_MIN_SECONDS: i64 = 600;
/// Seconds that a requested token may live at most.
pub const TOKEN_MAX_SECONDS: i64 = 1 << 32;
/// Seconds that a token lives when nothing is asked.
pub const TOKEN_DEFAULT_SECONDS: i64 = 3600;

const FROM_NEWER_CLIENTS: SelectorOptions =
    SelectorOptions { allow_invalid_values: false, allow_unknown_operators: true };

/// Why a review is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400, with this text.
    BadRequest(String),
    /// 422, on the group with an empty kind and name, as Kubernetes writes it.
    Invalid(Vec<FieldError>),
}

/// A SubjectAccessReview.
pub fn subject_access_review(object: &Value) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    access_spec(spec(object), true, &mut errors);
    empty_metadata(object, false, &mut errors);
    settle(errors)
}

/// A SelfSubjectAccessReview.
pub fn self_subject_access_review(object: &Value) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    access_spec(spec(object), false, &mut errors);
    empty_metadata(object, false, &mut errors);
    settle(errors)
}

/// A LocalSubjectAccessReview sent to `namespace`.
pub fn local_subject_access_review(object: &Value, namespace: &str) -> Result<(), Refusal> {
    // As for every object that is created: the path fills it in.
    let own_namespace = text(meta(object), "namespace");
    if !own_namespace.is_empty() && own_namespace != namespace {
        return Err(Refusal::BadRequest(NAMESPACE_MISMATCH.to_owned()));
    }
    let mut errors = Vec::new();
    let spec = spec(object);
    access_spec(spec, true, &mut errors);
    empty_metadata(object, true, &mut errors);
    if let Some(attributes) = attributes(spec, "resourceAttributes") {
        let asked = text(attributes, "namespace");
        if asked != namespace {
            errors.push(FieldError::invalid(
                "spec.resourceAttributes.namespace",
                asked,
                "must match metadata.namespace",
            ));
        }
    }
    if let Some(attributes) = attributes(spec, "nonResourceAttributes") {
        errors.push(FieldError::invalid_raw(
            "spec.nonResourceAttributes",
            go_non_resource(attributes),
            "disallowed on this kind of request",
        ));
    }
    settle(errors)
}

/// A SelfSubjectRulesReview: the namespace it asks about.
pub fn self_subject_rules_review(object: &Value) -> Result<&str, Refusal> {
    match text(spec(object), "namespace") {
        "" => Err(Refusal::BadRequest("no namespace on request".to_owned())),
        namespace => Ok(namespace),
    }
}

/// A TokenReview must hold a token.
pub fn token_review(object: &Value) -> Result<(), Refusal> {
    if text(spec(object), "token").is_empty() {
        return Err(Refusal::BadRequest("token is required for TokenReview in authentication".to_owned()));
    }
    Ok(())
}

/// Metadata of a TokenRequest, which may repeat the service account's name and namespace. The Status of these
/// errors is named after the service account.
pub fn token_request_metadata(object: &Value, name: &str, namespace: &str) -> Vec<FieldError> {
    for (key, field, expected, detail) in [
        ("name", "metadata.name", name, "must match the service account name if specified"),
        ("namespace", "metadata.namespace", namespace, "must match the service account namespace if specified"),
    ] {
        let given = text(meta(object), key);
        if !given.is_empty() && given != expected {
            return vec![FieldError::invalid(field, given, detail)];
        }
    }
    Vec::new()
}

/// Spec of a TokenRequest. The Status of these errors has an empty name.
pub fn token_request_spec(object: &Value) -> Vec<FieldError> {
    let seconds = token_seconds(object);
    let detail = if seconds < TOKEN_MIN_SECONDS {
        "may not specify a duration less than 10 minutes"
    } else if seconds > TOKEN_MAX_SECONDS {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Vec::new();
    };
    vec![FieldError::invalid_raw("spec.expirationSeconds", seconds.to_string(), detail)]
}

/// Seconds for which a TokenRequest asks, or the default.
pub fn token_seconds(object: &Value) -> i64 {
    spec(object).get("expirationSeconds").and_then(Value::as_i64).unwrap_or(TOKEN_DEFAULT_SECONDS)
}

/// What a token may be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    /// A Secret of the same namespace.
    Secret,
    /// A Pod of the same namespace; there are none here.
    Pod,
    /// A Node; there are none here.
    Node,
}

/// The kind that `spec.boundObjectRef` names, if it is set.
pub fn token_bound_kind(object: &Value) -> Result<Option<BoundKind>, Refusal> {
    let Some(reference) = attributes(spec(object), "boundObjectRef") else {
        return Ok(None);
    };
    let (group, version) = group_version(text(reference, "apiVersion"));
    match (group, text(reference, "kind")) {
        ("", "Secret") => Ok(Some(BoundKind::Secret)),
        ("", "Pod") => Ok(Some(BoundKind::Pod)),
        ("", "Node") => Ok(Some(BoundKind::Node)),
        (group, kind) => {
            Err(Refusal::BadRequest(format!("cannot bind token to object of type {group}/{version}, Kind={kind}")))
        }
    }
}

fn access_spec(spec: &Value, names_subject: bool, errors: &mut Vec<FieldError>) {
    let resource = attributes(spec, "resourceAttributes");
    match (resource, attributes(spec, "nonResourceAttributes")) {
        (Some(_), Some(non_resource)) => errors.push(FieldError::invalid_raw(
            "spec.nonResourceAttributes",
            go_non_resource(non_resource),
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => errors.push(FieldError::invalid(
            "spec.resourceAttributes",
            "null",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    if names_subject && text(spec, "user").is_empty() && list(spec, "groups").is_empty() {
        errors.push(FieldError::invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    let Some(resource) = resource else { return };
    for key in ["fieldSelector", "labelSelector"] {
        if let Some(selector) = attributes(resource, key) {
            selector_attributes(selector, key, errors);
        }
    }
}

fn selector_attributes(selector: &Value, key: &str, errors: &mut Vec<FieldError>) {
    let field = format!("spec.resourceAttributes.{key}");
    let (raw, requirements) = (text(selector, "rawSelector"), list(selector, "requirements"));
    if !raw.is_empty() && !requirements.is_empty() {
        let detail = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(format!("{field}.rawSelector"), raw, detail));
    }
    if raw.is_empty() && requirements.is_empty() {
        errors.push(FieldError::required(
            format!("{field}.requirements"),
            format!("when {field} is specified, requirements or rawSelector is required"),
        ));
    }
    for (index, requirement) in requirements.iter().enumerate() {
        if is_full(errors) {
            break;
        }
        let field = format!("{field}.requirements[{index}]");
        if key == "labelSelector" {
            metadata::label_requirement(requirement, FROM_NEWER_CLIENTS, &field, errors);
        } else {
            if text(requirement, "key").is_empty() {
                errors.push(FieldError::required(format!("{field}.key"), "must be specified"));
            }
            metadata::selector_operator(requirement, FROM_NEWER_CLIENTS, &field, errors);
        }
    }
}

/// A review is not an object: its metadata stays empty, save the namespace of a local one.
fn empty_metadata(object: &Value, may_have_namespace: bool, errors: &mut Vec<FieldError>) {
    let is_empty = map(object, "metadata").is_none_or(|meta| {
        meta.iter()
            .all(|(key, value)| key == "managedFields" || (key == "namespace" && may_have_namespace) || is_zero(value))
    });
    if !is_empty {
        let detail = if may_have_namespace { "must be empty except for namespace" } else { "must be empty" };
        errors.push(FieldError::invalid_raw("metadata", go_object_meta(meta(object)), detail));
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn go_non_resource(attributes: &Value) -> String {
    format!(
        "authorization.NonResourceAttributes{{Path:{}, Verb:{}}}",
        go_quote(text(attributes, "path")),
        go_quote(text(attributes, "verb"))
    )
}

fn spec(object: &Value) -> &Value {
    object.get("spec").unwrap_or(&Value::Null)
}

fn attributes<'a>(owner: &'a Value, key: &str) -> Option<&'a Value> {
    owner.get(key).filter(|value| !value.is_null())
}

fn settle(errors: Vec<FieldError>) -> Result<(), Refusal> {
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid(errors)) }
}

#[cfg(test)]
#[path = "reviews_tests.rs"]
mod tests;
