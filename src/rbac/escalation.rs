//! Who may write a role or a binding: nobody grants what they may not do themselves, unless they may `escalate` or
//! `bind`.
//!
//! To be asked with the object as it will be stored, on every way of writing it. Says what is missing and of which
//! rules, all of which are the caller's own. Source: `pkg/registry/rbac` of Kubernetes. The bounds are our own:
//! comparing rules costs what they multiply out to.

use serde_json::Value;

use super::coverage::{Held, go_list};
use super::denial::Denial;
use super::evaluate::aggregate;
use super::policy::Policy;
use super::rules::{ALL, Binding, Rule, Rules, meta_text, rules};
use super::{Attributes, rules_for::ApplicableRules};
use crate::model::field_error::{FieldError, go_quote};
use crate::model::kinds::{self, Kind};
use crate::model::user::{GROUP_MASTERS, User};

/// Rules in one role.
pub const MAX_RULES: usize = 256;
/// Entries in one list of a rule.
pub const MAX_ENTRIES: usize = 64;
/// Permissions (group × resource × verb × name, path × verb) that the rules of a role multiply out to.
pub const MAX_PERMISSIONS: usize = 100_000;

const AGGREGATION: &str = "must have cluster-admin privileges to use the aggregationRule";

/// Why a role or a binding may not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It would grant what the user may not do (403).
    Denied(Denial),
    /// The role to be bound is not there, so it cannot be seen what it would grant (404 as Kubernetes answers it: the
    /// resource of the binding with the name of the role).
    RoleNotFound {
        /// RoleBinding or ClusterRoleBinding.
        kind: &'static Kind,
        /// Name of the role.
        name: String,
    },
    /// The role is beyond the bounds, whoever writes it (422).
    TooLarge(FieldError),
}

/// Whether `user` may write the role `new`, in place of `old` if there is one. `name` is that of the request: empty
/// where the object is created by POST.
pub fn check_role(
    policy: &Policy,
    user: &User,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Refusal> {
    let namespace = if kind.namespaced { namespace } else { "" };
    if old.is_some_and(|old| is_bookkeeping(old, new)) {
        return Ok(());
    }
    check_size(new).map_err(Refusal::TooLarge)?;
    if user.is_in(GROUP_MASTERS) || policy.allows(user, &Attributes::object("escalate", kind, namespace, name)) {
        return Ok(());
    }
    let held = policy.rules_for(user, namespace);
    let denied = |why: &str| Refusal::Denied(Denial::new(kind.group, kind.plural, meta_text(new, "name"), why));
    confirm(user, &held, &rules(new)).map_err(|why| denied(&why))?;
    if has_aggregation(new) || old.is_some_and(has_aggregation) {
        confirm(user, &held, &everything()).map_err(|_| denied(AGGREGATION))?;
    }
    Ok(())
}

/// Whether `user` may write the binding `new`, in place of `old` if there is one.
pub fn check_binding(
    policy: &Policy,
    user: &User,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Refusal> {
    if user.is_in(GROUP_MASTERS) || old.is_some_and(|old| is_bookkeeping(old, new)) {
        return Ok(());
    }
    let binding = Binding::named(kind, namespace, name, new);
    let role = binding.role_ref.name.as_ref();
    let role_kind = [&kinds::ROLE, &kinds::CLUSTER_ROLE].into_iter().find(|kind| kind.kind == binding.role_ref.kind);
    // The right to bind a ClusterRole may be given within a namespace, for bindings of that namespace.
    if role_kind
        .is_some_and(|role_kind| policy.allows(user, &Attributes::object("bind", role_kind, &binding.namespace, role)))
    {
        return Ok(());
    }
    let found = policy.role(&binding.role_ref.namespace, role).filter(|role| role.kind.kind == binding.role_ref.kind);
    let Some(found) = found else {
        return Err(Refusal::RoleNotFound { kind, name: role.to_owned() });
    };
    confirm(user, &policy.rules_for(user, &binding.namespace), &found.rules)
        .map_err(|why| Refusal::Denied(Denial::new(kind.group, kind.plural, meta_text(new, "name"), &why)))
}

/// Whether a role stays within the bounds. Counts lists and multiplies; expands nothing.
pub fn check_size(role: &Value) -> Result<(), FieldError> {
    let rules = list(role, "rules");
    if rules.len() > MAX_RULES {
        return Err(FieldError::too_many("rules", rules.len(), MAX_RULES));
    }
    let mut permissions = 0_usize;
    for (index, rule) in rules.iter().enumerate() {
        let mut lengths = [0; 5];
        let keys = ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"];
        for (length, key) in lengths.iter_mut().zip(keys) {
            *length = list(rule, key).len();
            if *length > MAX_ENTRIES {
                return Err(FieldError::too_many(format!("rules[{index}].{key}"), *length, MAX_ENTRIES));
            }
        }
        let [verbs, groups, resources, names, urls] = lengths;
        permissions += verbs * (groups * resources * names.max(1) + urls);
    }
    if permissions > MAX_PERMISSIONS {
        let detail = format!("the rules must multiply out to at most {MAX_PERMISSIONS} single permissions");
        return Err(FieldError::too_many_of("rules", permissions, detail));
    }
    Ok(())
}

/// Kubernetes' text where rules grant more than the user holds.
fn confirm(user: &User, held: &ApplicableRules, granted: &Rules) -> Result<(), String> {
    let missing = Held::new(held.rules.iter().map(|rule| &**rule)).missing(granted.iter().map(|rule| &**rule));
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        go_quote(&user.name),
        go_list(&user.groups),
        missing.describe()
    );
    if !held.errors.is_empty() {
        text.extend(["; resolution errors: [", &aggregate(&held.errors), "]"]);
    }
    Err(text)
}

fn everything() -> Rules {
    let all = || vec![ALL.to_owned()];
    let resources = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
    let paths = Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() };
    [resources, paths].into_iter().map(Into::into).collect()
}

fn has_aggregation(role: &Value) -> bool {
    role.get("aggregationRule").is_some_and(|rule| !list(rule, "clusterRoleSelectors").is_empty())
}

/// Whether a change touches only what collecting garbage needs to change: owners, finalizers, and who manages fields.
fn is_bookkeeping(old: &Value, new: &Value) -> bool {
    let aggregates = |role: &Value| role.get("aggregationRule").is_some_and(Value::is_object);
    aggregates(old) == aggregates(new)
        && same(old, new, &|key| key == "metadata" || IDENTITY.contains(&key))
        && same(old.get("metadata").unwrap_or(&Value::Null), new.get("metadata").unwrap_or(&Value::Null), &|key| {
            BOOKKEEPING.contains(&key)
        })
}

/// Fields that say what the object is; the request has settled that.
const IDENTITY: &[&str] = &["kind", "apiVersion"];
const BOOKKEEPING: &[&str] = &["ownerReferences", "finalizers", "managedFields", "selfLink", "resourceVersion"];

/// Whether two objects are equal but for some of their fields. Null, empty and absent are the same.
fn same(old: &Value, new: &Value, except: &dyn Fn(&str) -> bool) -> bool {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys()).filter(|key| !except(key));
            keys.into_iter().all(|key| {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                same(a, b, &|_| false)
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, &|_| false))
        }
        _ => old == new || (is_empty(old) && is_empty(new)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
#[path = "escalation_tests.rs"]
mod tests;
