//! The rules of ObjectMeta, on create and on update, and of label selectors.
//!
//! Source: `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`. Annotation values are measured, never shown.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::names::{self, NameRule};
use super::{invalid_each, is_full, list, map, meta, strings, text, texts};
use crate::model::field_error::{FieldError, go_quote, go_strings, is_print};

/// Bytes that all annotations' keys and values may take together.
pub const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;

/// Bytes that a field manager's name may take.
pub const FIELD_MANAGER_MAX_BYTES: usize = 128;

const SUBRESOURCE_MAX_BYTES: usize = 256;
/// Owner references written out in an error, and surplus controllers reported: each repeats the whole list.
const OWNERS_SHOWN: usize = 16;
const SURPLUS_CONTROLLERS_REPORTED: usize = 8;
const IMMUTABLE: &str = "field is immutable";

/// The rules that every object's metadata obeys.
pub fn create(rule: NameRule, namespaced: bool, object: &Value, errors: &mut Vec<FieldError>) {
    let meta = meta(object);
    let generate_name = text(meta, "generateName");
    if !generate_name.is_empty() {
        invalid_each("metadata.generateName", generate_name, rule.problems(generate_name, true), errors);
    }
    let name = text(meta, "name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        invalid_each("metadata.name", name, rule.problems(name, false), errors);
    }
    let namespace = text(meta, "namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required("metadata.namespace", "")),
        (true, false) => invalid_each("metadata.namespace", namespace, names::dns1123_label(namespace), errors),
        (false, true) => {}
        (false, false) => errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type")),
    }
    let generation = generation(meta);
    if generation < 0 {
        errors.push(FieldError::invalid_raw(
            "metadata.generation",
            generation.to_string(),
            "must be greater than or equal to 0",
        ));
    }
    labels(meta, "labels", "metadata.labels", errors);
    annotations(meta, errors);
    owner_references(meta, errors);
    finalizers(meta, errors);
    managed_fields(meta, errors);
}

/// As [`create`], and the rule of the kinds built into Kubernetes: a finalizer without a domain is a known one.
pub fn create_in_core(rule: NameRule, namespaced: bool, object: &Value, errors: &mut Vec<FieldError>) {
    create(rule, namespaced, object, errors);
    standard_finalizers(meta(object), errors);
}

/// What an update must leave alone, and the rules of what it may change.
pub fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (new, old) = (meta(new), meta(old));
    if old.get("deletionTimestamp").is_some_and(|time| !time.is_null()) {
        no_new_finalizers(new, old, errors);
    }
    let (new_generation, old_generation) = (generation(new), generation(old));
    if new_generation < old_generation {
        errors.push(FieldError::invalid_raw(
            "metadata.generation",
            new_generation.to_string(),
            "must not be decremented",
        ));
    }
    for (key, field) in [("name", "metadata.name"), ("namespace", "metadata.namespace"), ("uid", "metadata.uid")] {
        if text(new, key) != text(old, key) {
            errors.push(FieldError::invalid(field, text(new, key), IMMUTABLE));
        }
    }
    for (key, field, zero) in [
        ("creationTimestamp", "metadata.creationTimestamp", "0001-01-01 00:00:00 +0000 UTC"),
        ("deletionTimestamp", "metadata.deletionTimestamp", "\"null\""),
    ] {
        let time = text(new, key);
        if time != text(old, key) {
            let shown = if time.is_empty() { zero.to_owned() } else { go_time(time) };
            errors.push(FieldError::invalid_raw(field, shown, IMMUTABLE));
        }
    }
    let grace = |meta: &Value| meta.get("deletionGracePeriodSeconds").and_then(Value::as_i64);
    if grace(new) != grace(old) {
        let shown = grace(new).map_or_else(|| "\"null\"".to_owned(), |seconds| seconds.to_string());
        errors.push(FieldError::invalid_raw("metadata.deletionGracePeriodSeconds", shown, IMMUTABLE));
    }
    labels(new, "labels", "metadata.labels", errors);
    annotations(new, errors);
    owner_references(new, errors);
    managed_fields(new, errors);
}

/// As [`update`], and the rule of finalizers without a domain.
pub fn update_in_core(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    update(new, old, errors);
    standard_finalizers(meta(new), errors);
}

/// The warning that owner references repeat; `patched` when they are the outcome of a patch.
pub fn duplicate_owners_warning(object: &Value, patched: bool) -> Option<String> {
    let mut seen = HashSet::new();
    let duplicates: Vec<&str> = list(meta(object), "ownerReferences")
        .iter()
        .filter(|owner| !seen.insert(owner_identity(owner)))
        .map(|owner| text(owner, "uid"))
        .collect();
    if duplicates.is_empty() {
        return None;
    }
    let when = if patched { " after mutating admission happens" } else { "" };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, \
         and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        duplicates.join(", ")
    ))
}

/// All that an owner reference says; two that agree are one.
pub(in crate::model) type OwnerIdentity<'a> = (&'a str, &'a str, &'a str, &'a str, Option<bool>, Option<bool>);

/// All that an owner reference says.
pub(in crate::model) fn owner_identity(owner: &Value) -> OwnerIdentity<'_> {
    let flag = |key| owner.get(key).and_then(Value::as_bool);
    (
        text(owner, "uid"),
        text(owner, "apiVersion"),
        text(owner, "kind"),
        text(owner, "name"),
        flag("controller"),
        flag("blockOwnerDeletion"),
    )
}

/// A field manager's name: at most 128 bytes, printable.
pub fn field_manager(field: &str, manager: &str, errors: &mut Vec<FieldError>) {
    if manager.len() > FIELD_MANAGER_MAX_BYTES {
        errors.push(FieldError::too_long(field, FIELD_MANAGER_MAX_BYTES));
    }
    // Each error repeats the whole name, so a name far too long is not looked at further.
    if manager.len() > 8 * FIELD_MANAGER_MAX_BYTES {
        return;
    }
    for (position, c) in manager.char_indices().filter(|(_, c)| !is_print(*c)) {
        if is_full(errors) {
            break;
        }
        let detail = format!("invalid character U+{:04X} (at position {position})", u32::from(c));
        errors.push(FieldError::invalid(field, manager, detail));
    }
}

/// Labels under `key` of `owner`.
pub(super) fn labels(owner: &Value, key: &str, field: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in texts(owner, key) {
        if is_full(errors) {
            break;
        }
        invalid_each(field, key, names::qualified_name(key), errors);
        invalid_each(field, value, names::label_value(value), errors);
    }
}

/// How a requirement of a label selector is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelectorOptions {
    /// Values that are no label values pass: an old object has such already.
    pub allow_invalid_values: bool,
    /// Operators nobody knows pass: an access review of a newer client.
    pub allow_unknown_operators: bool,
}

/// A LabelSelector: `matchLabels` and `matchExpressions`.
pub fn label_selector(selector: &Value, options: SelectorOptions, field: &str, errors: &mut Vec<FieldError>) {
    labels(selector, "matchLabels", &format!("{field}.matchLabels"), errors);
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        if is_full(errors) {
            break;
        }
        label_requirement(requirement, options, &format!("{field}.matchExpressions[{index}]"), errors);
    }
}

/// One requirement of a label selector.
pub(super) fn label_requirement(
    requirement: &Value,
    options: SelectorOptions,
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    selector_operator(requirement, options, field, errors);
    let key = text(requirement, "key");
    invalid_each(&format!("{field}.key"), key, names::qualified_name(key), errors);
    if !options.allow_invalid_values {
        label_values(requirement, field, errors);
    }
}

/// That a requirement's operator and its number of values agree.
pub(super) fn selector_operator(
    requirement: &Value,
    options: SelectorOptions,
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    let has_values = !list(requirement, "values").is_empty();
    match text(requirement, "operator") {
        "In" | "NotIn" if !has_values => errors.push(FieldError::required(
            format!("{field}.values"),
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if has_values => errors.push(FieldError::forbidden(
            format!("{field}.values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ if options.allow_unknown_operators => {}
        operator => {
            errors.push(FieldError::invalid(format!("{field}.operator"), operator, "not a valid selector operator"));
        }
    }
}

fn label_values(requirement: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (index, value) in strings(requirement, "values").enumerate() {
        if is_full(errors) {
            break;
        }
        let problems = names::label_value(value);
        if !problems.is_empty() {
            invalid_each(&format!("{field}.values[{index}]"), value, problems, errors);
        }
    }
}

fn annotations(meta: &Value, errors: &mut Vec<FieldError>) {
    let mut total_bytes = 0;
    for (key, value) in texts(meta, "annotations") {
        total_bytes += key.len() + value.len();
        if !is_full(errors) {
            invalid_each("metadata.annotations", key, names::annotation_key(key), errors);
        }
    }
    if total_bytes > ANNOTATIONS_MAX_BYTES {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_MAX_BYTES));
    }
}

fn owner_references(meta: &Value, errors: &mut Vec<FieldError>) {
    const FIELD: &str = "metadata.ownerReferences";
    let owners = list(meta, "ownerReferences");
    let mut first_controller: Option<String> = None;
    let mut surplus = 0;
    for owner in owners {
        if is_full(errors) {
            break;
        }
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        let (group, version) = group_version(api_version);
        for (key, value, detail, missing) in [
            ("apiVersion", api_version, "version must not be empty", version.is_empty()),
            ("kind", kind, "kind must not be empty", kind.is_empty()),
            ("name", text(owner, "name"), "name must not be empty", text(owner, "name").is_empty()),
            ("uid", text(owner, "uid"), "uid must not be empty", text(owner, "uid").is_empty()),
        ] {
            if missing {
                errors.push(FieldError::invalid(format!("{FIELD}.{key}"), value, detail));
            }
        }
        if (group, version, kind) == ("", "v1", "Event") {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_raw(FIELD, go_owner(owner), detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let controller = format!("{kind}/{}", text(owner, "name"));
            match &first_controller {
                None => first_controller = Some(controller),
                Some(first) if surplus < SURPLUS_CONTROLLERS_REPORTED => {
                    surplus += 1;
                    errors.push(FieldError::invalid_raw(
                        FIELD,
                        go_owners(owners),
                        format!(
                            "Only one reference can have Controller set to true. Found \"true\" in references for \
                             {first} and {controller}"
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
    }
}

fn finalizers(meta: &Value, errors: &mut Vec<FieldError>) {
    let (mut orphan, mut foreground) = (false, false);
    for finalizer in strings(meta, "finalizers") {
        if is_full(errors) {
            return;
        }
        invalid_each("metadata.finalizers", finalizer, names::qualified_name(finalizer), errors);
        orphan |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphan && foreground {
        errors.push(FieldError::invalid_raw(
            "metadata.finalizers",
            go_strings(strings(meta, "finalizers")),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

fn standard_finalizers(meta: &Value, errors: &mut Vec<FieldError>) {
    for (index, finalizer) in strings(meta, "finalizers").enumerate() {
        if is_full(errors) {
            break;
        }
        finalizer_is_known(&format!("metadata.finalizers[{index}]"), finalizer, errors);
    }
}

/// A finalizer without a domain must be one of Kubernetes' own.
pub(super) fn finalizer_is_known(field: &str, finalizer: &str, errors: &mut Vec<FieldError>) {
    if !finalizer.contains('/') && !names::is_standard_finalizer(finalizer) {
        errors.push(FieldError::invalid(
            field,
            finalizer,
            "name is neither a standard finalizer name nor is it fully qualified",
        ));
    }
}

fn no_new_finalizers(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let known: HashSet<&str> = strings(old, "finalizers").collect();
    let extra: BTreeSet<&str> = strings(new, "finalizers").filter(|name| !known.contains(name)).collect();
    if !extra.is_empty() {
        errors.push(FieldError::forbidden(
            "metadata.finalizers",
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                go_strings(extra.into_iter())
            ),
        ));
    }
}

fn managed_fields(meta: &Value, errors: &mut Vec<FieldError>) {
    for (index, entry) in list(meta, "managedFields").iter().enumerate() {
        if is_full(errors) {
            break;
        }
        let field = |key: &str| format!("metadata.managedFields[{index}].{key}");
        let operation = text(entry, "operation");
        if !matches!(operation, "Apply" | "Update") {
            errors.push(FieldError::invalid(field("operation"), operation, "must be `Apply` or `Update`"));
        }
        let fields_type = text(entry, "fieldsType");
        if !matches!(fields_type, "" | "FieldsV1") {
            errors.push(FieldError::invalid(field("fieldsType"), fields_type, "must be `FieldsV1`"));
        }
        let manager = text(entry, "manager");
        if manager.len() > FIELD_MANAGER_MAX_BYTES || !manager.chars().all(is_print) {
            field_manager(&field("manager"), manager, errors);
        }
        if text(entry, "subresource").len() > SUBRESOURCE_MAX_BYTES {
            errors.push(FieldError::too_long(field("subresource"), SUBRESOURCE_MAX_BYTES));
        }
    }
}

fn generation(meta: &Value) -> i64 {
    meta.get("generation").and_then(Value::as_i64).unwrap_or_default()
}

/// Group and version of an `apiVersion`; both empty when it is malformed.
pub(super) fn group_version(api_version: &str) -> (&str, &str) {
    match api_version.split_once('/') {
        None => ("", api_version),
        Some((_, rest)) if rest.contains('/') => ("", ""),
        Some((group, version)) => (group, version),
    }
}

/// An RFC 3339 time as Go prints a `time.Time`.
fn go_time(time: &str) -> String {
    time.parse::<jiff::Timestamp>()
        .map_or_else(|_| go_quote(time), |time| time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string())
}

fn go_owner(owner: &Value) -> String {
    // Go shows the address of a flag; its value says more.
    let flag = |key| match owner.get(key).and_then(Value::as_bool) {
        None => "(*bool)(nil)",
        Some(true) => "(*bool)(true)",
        Some(false) => "(*bool)(false)",
    };
    format!(
        "v1.OwnerReference{{APIVersion:{}, Kind:{}, Name:{}, UID:{}, Controller:{}, BlockOwnerDeletion:{}}}",
        go_quote(text(owner, "apiVersion")),
        go_quote(text(owner, "kind")),
        go_quote(text(owner, "name")),
        go_quote(text(owner, "uid")),
        flag("controller"),
        flag("blockOwnerDeletion"),
    )
}

fn go_owners(owners: &[Value]) -> String {
    let mut shown: Vec<String> = owners.iter().take(OWNERS_SHOWN).map(go_owner).collect();
    if owners.len() > OWNERS_SHOWN {
        shown.push("...".to_owned());
    }
    format!("[]v1.OwnerReference{{{}}}", shown.join(", "))
}

/// Metadata as Go's `%#v` prints an ObjectMeta, without the values of annotations.
pub(super) fn go_object_meta(meta: &Value) -> String {
    let quoted = |key| go_quote(text(meta, key));
    let time = |key, zero: &str| {
        text(meta, key).parse::<jiff::Timestamp>().map_or_else(
            |_| zero.to_owned(),
            |time| time.strftime("time.Date(%-Y, time.%B, %-d, %-H, %-M, %-S, 0, time.UTC)").to_string(),
        )
    };
    let grace = meta.get("deletionGracePeriodSeconds").and_then(Value::as_i64);
    let mut out = format!(
        "v1.ObjectMeta{{Name:{}, GenerateName:{}, Namespace:{}, SelfLink:{}, UID:{}, ResourceVersion:{}, \
         Generation:{}, CreationTimestamp:{}, DeletionTimestamp:{}, DeletionGracePeriodSeconds:(*int64)({})",
        quoted("name"),
        quoted("generateName"),
        quoted("namespace"),
        quoted("selfLink"),
        quoted("uid"),
        quoted("resourceVersion"),
        generation(meta),
        time("creationTimestamp", "time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)"),
        time("deletionTimestamp", "<nil>"),
        grace.map_or_else(|| "nil".to_owned(), |seconds| seconds.to_string()),
    );
    for (name, key, shows_values) in [("Labels", "labels", true), ("Annotations", "annotations", false)] {
        let _ = write!(out, ", {name}:map[string]string");
        if map(meta, key).is_none() {
            out.push_str("(nil)");
            continue;
        }
        let mut entries: Vec<(&str, &str)> = texts(meta, key).collect();
        entries.sort_unstable();
        let entries: Vec<String> = entries
            .into_iter()
            .map(|(key, value)| {
                format!("{}:{}", go_quote(key), if shows_values { go_quote(value) } else { "...".to_owned() })
            })
            .collect();
        let _ = write!(out, "{{{}}}", entries.join(", "));
    }
    let owners = list(meta, "ownerReferences");
    out.push_str(", OwnerReferences:");
    out.push_str(&if owners.is_empty() { "[]v1.OwnerReference(nil)".to_owned() } else { go_owners(owners) });
    out.push_str(", Finalizers:");
    if list(meta, "finalizers").is_empty() {
        out.push_str("[]string(nil)");
    } else {
        out.push_str(&go_strings(strings(meta, "finalizers")));
    }
    let managed = if list(meta, "managedFields").is_empty() { "(nil)" } else { "{...}" };
    let _ = write!(out, ", ManagedFields:[]v1.ManagedFieldsEntry{managed}}}");
    out
}
