//! What makes an object acceptable: metadata, the rules of each kind, reviews and request options.
//!
//! Pure functions over documents whose shape was checked before; a field of another type counts as absent.
//! Texts, fields and order are Kubernetes 1.32's. Nothing here looks anything up, and no value of `data` or
//! `stringData` enters a text.
//!
//! Order of a write: [`warnings_create`], [`super::defaults::apply_defaults`], name and namespace,
//! [`super::defaults::prepare_for_create`], uid and times, [`validate_create`]; likewise for an update.

pub mod cluster;
mod event;
pub mod exports;
pub mod metadata;
pub mod names;
pub mod namespace;
pub mod options;
pub mod rbac;
pub mod reviews;
pub mod secret;
pub mod service_account;
pub mod user;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::field_error::FieldError;
use super::kinds::Kind;
use super::secret_sync::{Spec, literals};
use super::{certificate, expiry, generated_secret, kms_key};
use names::NameRule;

/// Errors reported of one document; the rest of a hopeless one is not looked at.
pub const MAX_ERRORS: usize = 500;
/// Kubernetes' text for a body whose namespace is not the URL's.
pub const NAMESPACE_MISMATCH: &str =
    "the namespace of the provided object does not match the namespace sent on the request";

/// Frozen ids of the kinds that have rules of their own (`Kind::id`).
pub(in crate::model) mod kind_id {
    pub const SECRET: u8 = 1;
    pub const NAMESPACE: u8 = 2;
    pub const SERVICE_ACCOUNT: u8 = 3;
    pub const ROLE: u8 = 4;
    pub const ROLE_BINDING: u8 = 5;
    pub const CLUSTER_ROLE: u8 = 6;
    pub const CLUSTER_ROLE_BINDING: u8 = 7;
    pub const USER: u8 = 8;
    pub const CLUSTER: u8 = 9;
    pub const SECRET_SYNC: u8 = 10;
    pub const EVENT: u8 = 11;
    pub const CERTIFICATE: u8 = 12;
    pub const GENERATED_SECRET: u8 = 13;
    pub const KMS_KEY: u8 = 15;
}

/// The errors of an object about to be created, in Kubernetes' order. Empty: it may be stored.
///
/// Expects the name to be generated and the namespace set.
pub fn validate_create(kind: &'static Kind, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    whole(kind, object, None, &mut errors);
    errors
}

/// The errors of an object about to replace `old`.
///
/// As in Kubernetes, the rules of every kind run first and the kind's own repeat them, so that an error may be
/// listed twice in a Status' causes; [`message`] names it once. A missing resourceVersion is no error: such an
/// update takes the stored one.
pub fn validate_update(kind: &'static Kind, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata::create(NameRule::AnyPathSegment, kind.namespaced, new, &mut errors);
    metadata::update(new, old, &mut errors);
    match kind.id {
        kind_id::EVENT => event::event(new, &mut errors),
        kind_id::SECRET => {
            metadata::update_in_core(new, old, &mut errors);
            secret::update(new, old, &mut errors);
            whole(kind, new, Some(old), &mut errors);
        }
        kind_id::NAMESPACE => {
            whole(kind, new, Some(old), &mut errors);
            metadata::update_in_core(new, old, &mut errors);
        }
        kind_id::ROLE | kind_id::ROLE_BINDING | kind_id::CLUSTER_ROLE | kind_id::CLUSTER_ROLE_BINDING => {
            let start = errors.len();
            whole(kind, new, Some(old), &mut errors);
            errors.extend_from_within(start..);
            metadata::update_in_core(new, old, &mut errors);
            if matches!(kind.id, kind_id::ROLE_BINDING | kind_id::CLUSTER_ROLE_BINDING) {
                rbac::role_ref_update(new, old, &mut errors);
            }
        }
        _ => {
            metadata::update_in_core(new, old, &mut errors);
            whole(kind, new, Some(old), &mut errors);
        }
    }
    errors
}

/// The errors of an update through a subresource (`status` and `finalize` of a Namespace).
pub fn validate_update_subresource(
    kind: &'static Kind,
    subresource: &str,
    new: &Value,
    old: &Value,
) -> Vec<FieldError> {
    if kind.has_generation() && subresource == "status" {
        // What is wanted was judged when it was written, perhaps by other rules.
        let mut errors = Vec::new();
        metadata::create(NameRule::AnyPathSegment, kind.namespaced, new, &mut errors);
        metadata::update(new, old, &mut errors);
        return errors;
    }
    if kind.id != kind_id::NAMESPACE || !matches!(subresource, "status" | "finalize") {
        return validate_update(kind, new, old);
    }
    let mut errors = Vec::new();
    metadata::create(NameRule::AnyPathSegment, kind.namespaced, new, &mut errors);
    metadata::update(new, old, &mut errors);
    metadata::update_in_core(new, old, &mut errors);
    if subresource == "status" {
        namespace::update_status(new, &mut errors);
    } else {
        namespace::update_finalizers(new, &mut errors);
    }
    errors
}

/// Several errors as one text: a single one bare, several `[a, b]`, each once.
pub fn message(errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let mut seen = HashSet::with_capacity(texts.len());
    let distinct: Vec<&str> = texts.iter().map(String::as_str).filter(|text| seen.insert(*text)).collect();
    match distinct.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Warnings of a create, each for one `Warning: 299` header. Call it before duplicates are removed by
/// [`super::defaults::apply_defaults`].
pub fn warnings_create(kind: &'static Kind, object: &Value) -> Vec<String> {
    let mut warnings = Vec::from_iter(metadata::duplicate_owners_warning(object, false));
    if kind.id == kind_id::SERVICE_ACCOUNT {
        warnings.extend(service_account::mountable_secrets_warning(object, None));
    }
    if kind.id == kind_id::SECRET_SYNC {
        warnings.extend(literal_warnings(object));
    }
    warnings
}

/// Warnings of an update, as [`warnings_create`]; `patched` when `new` is the outcome of a patch.
pub fn warnings_update(kind: &'static Kind, new: &Value, old: &Value, patched: bool) -> Vec<String> {
    let mut warnings = Vec::from_iter(metadata::duplicate_owners_warning(new, patched));
    if kind.id == kind_id::SERVICE_ACCOUNT {
        warnings.extend(service_account::mountable_secrets_warning(new, Some(old)));
    }
    // Not for those who write the status alone.
    if kind.id == kind_id::SECRET_SYNC && new.get("spec") != old.get("spec") {
        warnings.extend(literal_warnings(new));
    }
    warnings
}

/// Values in a SecretSync itself; the text names where and not what.
fn literal_warnings(object: &Value) -> impl Iterator<Item = String> {
    literals(object).into_iter().map(|field| {
        format!(
            "{field}: holds a value that whoever may get this SecretSync can read; keep it in a Secret of the source and write {{{{ KEY }}}}"
        )
    })
}

/// The grammar of a kind's names.
pub fn name_rule(kind: &Kind) -> NameRule {
    match kind.id {
        kind_id::NAMESPACE => NameRule::Label,
        kind_id::ROLE
        | kind_id::ROLE_BINDING
        | kind_id::CLUSTER_ROLE
        | kind_id::CLUSTER_ROLE_BINDING
        | kind_id::USER
        | kind_id::EVENT => NameRule::PathSegment,
        _ => NameRule::Subdomain,
    }
}

/// The rules of a kind for a whole object, metadata first.
fn whole(kind: &'static Kind, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if kind.id == kind_id::EVENT {
        event::event(object, errors);
        if errors.is_empty() {
            // No more is asked of its name than that it can stand in a path.
            metadata::create(NameRule::AnyPathSegment, true, object, errors);
        }
        return;
    }
    metadata::create_in_core(name_rule(kind), kind.namespaced, object, errors);
    match kind.id {
        kind_id::SECRET => {
            secret::create(object, errors);
            expiry::check(object, old, errors);
        }
        kind_id::NAMESPACE => namespace::create(object, errors),
        kind_id::ROLE => rbac::role(object, errors),
        kind_id::CLUSTER_ROLE => rbac::cluster_role(object, old, errors),
        kind_id::ROLE_BINDING => rbac::binding(object, true, errors),
        kind_id::CLUSTER_ROLE_BINDING => rbac::binding(object, false, errors),
        kind_id::USER => user::user(object, errors),
        kind_id::CLUSTER => cluster::cluster(object, errors),
        kind_id::SECRET_SYNC => errors.extend(Spec::parse(object).err().unwrap_or_default()),
        kind_id::CERTIFICATE => errors.extend(certificate::Spec::parse(object).err().unwrap_or_default()),
        kind_id::GENERATED_SECRET => errors.extend(generated_secret::Spec::parse(object).err().unwrap_or_default()),
        kind_id::KMS_KEY => errors.extend(kms_key::Spec::parse(object).err().unwrap_or_default()),
        _ => {}
    }
}

/// The text under `key`; empty when absent or of another type.
pub(in crate::model) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The list under `key`; empty when absent or of another type.
pub(in crate::model) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map under `key`.
pub(in crate::model) fn map<'a>(object: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    object.get(key).and_then(Value::as_object)
}

/// The entries of the map under `key` as text.
fn texts<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    map(object, key).into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// The items of the list under `key` as text.
fn strings<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a str> + Clone {
    list(object, key).iter().map(|item| item.as_str().unwrap_or_default())
}

/// The metadata, or `null`.
pub(in crate::model) fn meta(object: &Value) -> &Value {
    object.get("metadata").unwrap_or(&Value::Null)
}

fn is_full(errors: &[FieldError]) -> bool {
    errors.len() >= MAX_ERRORS
}

fn invalid_each(field: &str, value: &str, problems: names::Problems, errors: &mut Vec<FieldError>) {
    errors.extend(problems.into_iter().map(|problem| FieldError::invalid(field, value, problem)));
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(in crate::model) use tests::any_document;
