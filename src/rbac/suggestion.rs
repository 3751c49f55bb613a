//! The smallest role and binding that allow one request of one user, and nothing else.
//!
//! Only proposed, never written. Whoever writes them is checked like any other.

use serde_json::{Value, json};

use super::Attributes;
use super::denial::combined;
use super::policy::Policy;
use crate::model::kinds::{self, Kind};
use crate::model::user::User;

/// Longest name that is made.
const MAX_NAME: usize = 60;

/// A role and a binding of the same name that is free in the policy.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// Role; ClusterRole for a request at the cluster scope or for a path.
    pub role_kind: &'static Kind,
    /// The role.
    pub role: Value,
    /// RoleBinding or ClusterRoleBinding.
    pub binding_kind: &'static Kind,
    /// The binding.
    pub binding: Value,
}

/// `None` where there is neither a user name nor a group to grant it to.
pub(super) fn suggest(policy: &Policy, user: &User, asked: &Attributes) -> Option<Suggestion> {
    let subject = subject(user)?;
    let namespace = asked.scope();
    let (role_kind, binding_kind) = if namespace.is_empty() {
        (&kinds::CLUSTER_ROLE, &kinds::CLUSTER_ROLE_BINDING)
    } else {
        (&kinds::ROLE, &kinds::ROLE_BINDING)
    };
    let name = free_name(policy, namespace, asked);
    let object = |kind: &Kind| {
        let metadata =
            if namespace.is_empty() { json!({"name": name}) } else { json!({"name": name, "namespace": namespace}) };
        json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata})
    };
    let (mut role, mut binding) = (object(role_kind), object(binding_kind));
    if let (Some(role), Some(binding)) = (role.as_object_mut(), binding.as_object_mut()) {
        role.insert("rules".to_owned(), json!([rule(asked)]));
        binding.insert("subjects".to_owned(), json!([subject]));
        let role_ref = json!({"apiGroup": role_kind.group, "kind": role_kind.kind, "name": name});
        binding.insert("roleRef".to_owned(), role_ref);
    }
    Some(Suggestion { role_kind, role, binding_kind, binding })
}

fn rule(asked: &Attributes) -> Value {
    if !asked.is_resource() {
        return json!({"verbs": [asked.verb], "nonResourceURLs": [asked.path]});
    }
    let mut rule = json!({"verbs": [asked.verb], "apiGroups": [asked.group], "resources": [combined(asked)]});
    if let (true, Some(fields)) = (is_limited_by_name(asked), rule.as_object_mut()) {
        fields.insert("resourceNames".to_owned(), json!([asked.name]));
    }
    rule
}

/// Whether a rule with the name still allows the request as clients make it: a POST for an object has no name yet, and
/// a collection has none.
pub(super) fn is_limited_by_name(asked: &Attributes) -> bool {
    let is_nameless = match asked.verb.as_str() {
        "create" => asked.subresource.is_empty(),
        "deletecollection" => true,
        _ => false,
    };
    !asked.name.is_empty() && !is_nameless
}

fn subject(user: &User) -> Option<Value> {
    if user.name.is_empty() {
        let group = user.groups.first()?;
        return Some(json!({"kind": "Group", "apiGroup": kinds::ROLE.group, "name": group}));
    }
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    Some(match account {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains(':') => {
            json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
        _ => json!({"kind": "User", "apiGroup": kinds::ROLE.group, "name": user.name}),
    })
}

/// `allow-get-secrets-db`, with a number where that is taken.
fn free_name(policy: &Policy, namespace: &str, asked: &Attributes) -> String {
    let words = if asked.is_resource() {
        [&*asked.verb, &asked.resource, &asked.subresource, &asked.name]
    } else {
        [&*asked.verb, &asked.path, "", ""]
    };
    let spelled = words.join("-").to_ascii_lowercase();
    let parts = spelled.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut base = parts.fold("allow".to_owned(), |name, part| format!("{name}-{part}"));
    base.truncate(MAX_NAME);
    let base = base.trim_end_matches('-');
    let is_free = |name: &str| {
        let taken =
            policy.scopes(namespace).any(|scope| scope.bindings.iter().any(|bound| *bound.binding.name == *name));
        !taken && policy.role(namespace, name).is_none()
    };
    let mut name = base.to_owned();
    let mut number = 1_u64;
    while !is_free(&name) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}
