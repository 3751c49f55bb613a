//! The rules of Role, ClusterRole and their bindings, and bounds on their size.
//!
//! Source: `pkg/apis/rbac/validation` of Kubernetes. The bounds are our own: evaluating and comparing rules costs
//! what they multiply out to. Whether the author may grant what a role says is decided elsewhere.

use serde_json::Value;

use super::metadata::{self, SelectorOptions};
use super::{is_full, list, names, strings, text};
use crate::model::field_error::{FieldError, go_quote, go_strings};

/// API group of the RBAC kinds.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Rules in one role; subjects in one binding and selectors in one aggregation rule have their own bounds.
pub const MAX_RULES: usize = 1_000;
/// Verbs, groups, resources, names and URLs of all rules of a role together; also values of all its selectors.
pub const MAX_RULE_ENTRIES: usize = 10_000;
/// Single permissions (group × resource × name × verb) that all rules of a role multiply out to.
pub const MAX_GRANTS: usize = 1_000_000;
/// Subjects of one binding.
pub const MAX_SUBJECTS: usize = 10_000;

const SELECTORS: &str = "aggregationRule.clusterRoleSelectors";

/// A Role: resource rules only.
pub fn role(object: &Value, errors: &mut Vec<FieldError>) {
    rules(object, true, errors);
}

/// A ClusterRole; selectors with bad values pass when the stored object has such already.
pub fn cluster_role(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    rules(object, false, errors);
    let Some(aggregation) = object.get("aggregationRule").filter(|rule| !rule.is_null()) else {
        return;
    };
    let selectors = list(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        errors.push(FieldError::required(
            SELECTORS,
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        ));
    }
    if too_many(SELECTORS, selectors.len(), MAX_RULES, errors) {
        return;
    }
    let requirements = selectors.iter().flat_map(|selector| list(selector, "matchExpressions"));
    let values = requirements.map(|requirement| 1 + list(requirement, "values").len()).sum();
    if too_many(SELECTORS, values, MAX_RULE_ENTRIES, errors) {
        return;
    }
    let allow_invalid_values = old.is_some_and(has_invalid_selector);
    for (index, selector) in selectors.iter().enumerate() {
        if is_full(errors) {
            break;
        }
        let field = format!("{SELECTORS}[{index}]");
        let options = SelectorOptions { allow_invalid_values, ..SelectorOptions::default() };
        metadata::label_selector(selector, options, &field, errors);
        if !is_valid_selector(selector) {
            errors.push(FieldError::invalid(field, "null", "invalid label selector."));
        }
    }
}

/// A RoleBinding (`namespaced`) or ClusterRoleBinding. That the role exists is not asked.
pub fn binding(object: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let role_ref = object.get("roleRef").unwrap_or(&Value::Null);
    if text(role_ref, "apiGroup") != GROUP {
        errors.push(FieldError::not_supported("roleRef.apiGroup", text(role_ref, "apiGroup"), &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = text(role_ref, "kind");
    if !kinds.contains(&kind) {
        errors.push(FieldError::not_supported("roleRef.kind", kind, kinds));
    }
    let name = text(role_ref, "name");
    if name.is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    } else {
        super::invalid_each("roleRef.name", name, names::path_segment(name), errors);
    }
    let subjects = list(object, "subjects");
    if too_many("subjects", subjects.len(), MAX_SUBJECTS, errors) {
        return;
    }
    for (index, item) in subjects.iter().enumerate() {
        if is_full(errors) {
            break;
        }
        subject(item, namespaced, index, errors);
    }
}

/// The role of a binding never changes.
pub(super) fn role_ref_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let parts = |binding: &Value| {
        let role_ref = binding.get("roleRef").unwrap_or(&Value::Null);
        ["apiGroup", "kind", "name"].map(|key| text(role_ref, key).to_owned())
    };
    let changed = parts(new);
    if changed != parts(old) {
        let [group, kind, name] = changed.map(|part| go_quote(&part));
        errors.push(FieldError::invalid_raw(
            "roleRef",
            format!("rbac.RoleRef{{APIGroup:{group}, Kind:{kind}, Name:{name}}}"),
            "cannot change roleRef",
        ));
    }
}

fn rules(object: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let rules = list(object, "rules");
    if too_many("rules", rules.len(), MAX_RULES, errors) {
        return;
    }
    let (mut entries, mut grants) = (0_usize, 0_usize);
    for (index, rule) in rules.iter().enumerate() {
        let count = |key| list(rule, key).len();
        let [verbs, groups, resources, names, urls] =
            ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"].map(count);
        entries += verbs + groups + resources + names + urls;
        let targets = groups.saturating_mul(resources).saturating_mul(names.max(1)).saturating_add(urls);
        grants = grants.saturating_add(verbs.saturating_mul(targets));
        if !is_full(errors) {
            policy_rule(rule, namespaced, index, errors);
        }
    }
    if entries > MAX_RULE_ENTRIES {
        let detail = format!("the lists of all rules must have at most {MAX_RULE_ENTRIES} items together");
        errors.push(FieldError::too_many_of("rules", entries, detail));
    } else if grants > MAX_GRANTS {
        let detail = format!("the rules must multiply out to at most {MAX_GRANTS} single permissions");
        errors.push(FieldError::too_many_of("rules", grants, detail));
    }
}

fn policy_rule(rule: &Value, namespaced: bool, index: usize, errors: &mut Vec<FieldError>) {
    let has = |key| !list(rule, key).is_empty();
    if !has("verbs") {
        errors.push(FieldError::required(format!("rules[{index}].verbs"), "verbs must contain at least one value"));
    }
    if has("nonResourceURLs") {
        let mut refuse = |detail| {
            errors.push(FieldError::invalid_raw(
                format!("rules[{index}].nonResourceURLs"),
                go_strings(strings(rule, "nonResourceURLs")),
                detail,
            ));
        };
        if namespaced {
            refuse("namespaced rules cannot apply to non-resource URLs");
        }
        if has("apiGroups") || has("resources") || has("resourceNames") {
            refuse("rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if !has("apiGroups") {
        errors.push(FieldError::required(
            format!("rules[{index}].apiGroups"),
            "resource rules must supply at least one api group",
        ));
    }
    if !has("resources") {
        errors.push(FieldError::required(
            format!("rules[{index}].resources"),
            "resource rules must supply at least one resource",
        ));
    }
}

fn subject(subject: &Value, namespaced: bool, index: usize, errors: &mut Vec<FieldError>) {
    let field = |key: &str| format!("subjects[{index}].{key}");
    let (name, api_group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        errors.push(FieldError::required(field("name"), ""));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let problems = names::dns1123_subdomain(name);
                if !problems.is_empty() {
                    super::invalid_each(&field("name"), name, problems, errors);
                }
            }
            if !api_group.is_empty() {
                errors.push(FieldError::not_supported(field("apiGroup"), api_group, &[""]));
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.push(FieldError::required(field("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if api_group != GROUP {
                errors.push(FieldError::not_supported(field("apiGroup"), api_group, &[GROUP]));
            }
        }
        kind => errors.push(FieldError::not_supported(field("kind"), kind, &["ServiceAccount", "User", "Group"])),
    }
}

fn too_many(field: &str, actual: usize, max: usize, errors: &mut Vec<FieldError>) -> bool {
    let exceeds = actual > max;
    if exceeds {
        errors.push(FieldError::too_many(field, actual, max));
    }
    exceeds
}

fn has_invalid_selector(object: &Value) -> bool {
    let aggregation = object.get("aggregationRule").unwrap_or(&Value::Null);
    list(aggregation, "clusterRoleSelectors").iter().any(|selector| !is_valid_selector(selector))
}

fn is_valid_selector(selector: &Value) -> bool {
    let mut errors = Vec::new();
    metadata::label_selector(selector, SelectorOptions::default(), "", &mut errors);
    errors.is_empty()
}
