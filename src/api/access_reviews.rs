//! Why somebody may do something, who may do it, and which grants nobody uses.
//!
//! Answers name roles, bindings and subjects: they are for callers who may list those, and show of other namespaces
//! only what the caller may list there. What is decided is asked of the same policy that decides requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::audit_log::blocking;
use super::status::Failure;
use super::{Context, State};
use crate::audit::search::{SearchError, visit};
use crate::clock::rfc3339;
use crate::codec::yaml;
use crate::model::kinds::{self, Kind};
use crate::model::user::{GROUP_AUTHENTICATED, User};
use crate::rbac::{self, Attributes, Binding, Explanation, Grant, Obstacle, Policy, Role, Subject, Usage};

/// How far back grants are looked at that nothing is said of.
const DEFAULT_SINCE_SECONDS: i64 = 90 * 86_400;

/// `accessexplanations`
pub(super) fn explain(context: &Context<'_>, spec: &Value) -> Result<Value, Failure> {
    let attributes = attributes(spec);
    may_read(context, &attributes.namespace)?;
    let user = asked_about(context, spec);
    let policy = &context.access.policy;
    let mut explanation = rbac::explain(policy, &user, &attributes);
    // The one-line summary tells of them, too.
    explanation.near_misses.retain(|near| {
        let namespaces = [Some(&near.role.namespace), near.binding.map(|binding| &binding.namespace)];
        namespaces.into_iter().flatten().all(|namespace| may_list(context, namespace))
    });
    let mut status = json!({"allowed": explanation.allowed});
    let mut put = |field: &str, value: Value| {
        if let Some(fields) = status.as_object_mut() {
            fields.insert(field.to_owned(), value);
        }
    };
    match &explanation.grant {
        Some(_) => put("reason", explanation.summary().into()),
        None => put("missing", explanation.summary().into()),
    }
    put("user", super::reviews::user_info(&user));
    put("considered", considered(&explanation, &user, &attributes).into());
    if let Some(suggestion) = explanation.suggestion() {
        let manifest = format!("{}---\n{}", yaml::to_string(&suggestion.role), yaml::to_string(&suggestion.binding));
        put("suggestion", manifest.into());
    }
    Ok(status)
}

fn considered(explanation: &Explanation<'_>, user: &User, asked: &Attributes) -> Vec<Value> {
    let applying = explanation.considered.iter().map(|one| {
        let allows = one.verdicts.iter().any(rbac::Verdict::allows);
        let outcome = match one.role {
            None => "RoleNotFound",
            Some(_) if allows => "Allowed",
            Some(_) => "NoRuleMatches",
        };
        let rules = one.role.map_or(&[][..], |role| &role.rules);
        let rules = rules.iter().zip(&one.verdicts).map(|(rule, verdict)| {
            let why: Vec<String> = verdict.mismatches.iter().map(|part| part.why(rule, asked)).collect();
            let mut shown = json!({"rule": rule.to_value(), "matches": verdict.allows()});
            if !why.is_empty() {
                set(&mut shown, "mismatch", why.join("; ").into());
            }
            shown
        });
        let role = one.role.map_or_else(
            || json!({"kind": one.binding.role_ref.kind, "name": *one.binding.role_ref.name}),
            role_reference,
        );
        json!({
            "binding": binding_reference(one.binding), "role": role, "subject": subject(one.subject),
            "outcome": outcome, "rules": rules.collect::<Vec<_>>(),
        })
    });
    let mut all: Vec<Value> = applying.collect();
    // The one that allows first.
    all.sort_by_key(|one| one.get("outcome").is_none_or(|outcome| outcome != "Allowed"));
    all.extend(explanation.near_misses.iter().map(|near| {
        let outcome = match near.obstacle {
            Obstacle::OtherNamespace | Obstacle::PathByRoleBinding => "OtherNamespace",
            Obstacle::OtherSubjects => "OtherSubjects",
            Obstacle::NotBound => "NotBound",
        };
        let rule = near.role.rules.get(near.rule).map(|rule| rule.to_value()).unwrap_or_default();
        let mut shown = json!({
            "role": role_reference(near.role), "outcome": outcome,
            "rules": [{"rule": rule, "matches": true, "mismatch": near.text(user)}],
        });
        if let Some(binding) = near.binding {
            set(&mut shown, "binding", binding_reference(binding));
        }
        shown
    }));
    all
}

/// `resourceaccessreviews`
pub(super) fn who_can(context: &Context<'_>, spec: &Value) -> Result<Value, Failure> {
    let attributes = attributes(spec);
    may_read(context, &attributes.namespace)?;
    let holders = rbac::who_can(&context.access.policy, &attributes).into_iter().map(|holder| {
        let mut shown = json!({"subject": subject(&holder.subject)});
        if let Grant::Rule(grant) = &holder.grant {
            set(&mut shown, "binding", binding_reference(&grant.binding));
            set(&mut shown, "role", role_reference(&grant.role));
            set(&mut shown, "rule", holder.grant.rule().map(rbac::Rule::to_value).unwrap_or_default());
        }
        shown
    });
    Ok(json!({"holders": holders.collect::<Vec<_>>()}))
}

/// `grantusagereviews`
pub(super) async fn unused(context: &Context<'_>, spec: &Value) -> Result<Value, Failure> {
    for kind in kinds::ACCESS_KINDS.iter().filter(|kind| kind.group == kinds::ROLE.group) {
        context.authorize(Attributes::object("list", kind, "", ""))?;
    }
    context.authorize(Attributes::path("get", super::audit_log::PATH))?;
    let seconds = spec.get("sinceSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SINCE_SECONDS);
    if seconds <= 0 {
        return Err(Failure::bad_request("spec.sinceSeconds: must be greater than zero"));
    }
    let now = context.state.clock.unix_seconds();
    let since = now.saturating_sub(seconds);
    let (policy, state) = (Arc::clone(&context.access.policy), context.state.clone());
    // Reads the whole log, as far as it is asked for.
    let held = blocking(move || held_against_log(&policy, &state, since)).await?;
    held.map_err(|error| super::audit_log::unreadable(&error))
}

/// The status of a `grantusagereview`: which grants allowed none of the requests since then, seconds since the epoch.
fn held_against_log(policy: &Policy, state: &State, since: i64) -> Result<Value, SearchError> {
    let mut usage = Usage::new(policy);
    let mut requests = 0_i64;
    let visited = visit(&state.audit, &*state.home.mutation_records, since.saturating_mul(1_000_000), &mut |event| {
        if event.decision() == "allow" {
            requests += 1;
            let (user, groups) = event.acting();
            usage.observe(user, &groups, &event.attributes(), event.unix_micros().div_euclid(1_000_000));
        }
    })?;
    let mut status = json!({"since": rfc3339(since), "requests": requests});
    if let Some(oldest) = visited.oldest {
        set(&mut status, "observedFrom", rfc3339(oldest.div_euclid(1_000_000).max(since)).into());
    }
    let unused = usage.unused().into_iter().map(|grant| {
        let rule = grant.role.rules.get(grant.rule).map(|rule| rule.to_value()).unwrap_or_default();
        json!({
            "subject": subject(&grant.subject), "binding": binding_reference(&grant.binding),
            "role": role_reference(&grant.role), "rule": rule, "bootstrap": grant.bootstrap,
        })
    });
    set(&mut status, "unused", unused.collect::<Vec<_>>().into());
    Ok(status)
}

/// The objects that an answer about a namespace (`""` is the cluster) is made of must be the caller's to list.
fn may_read(context: &Context<'_>, namespace: &str) -> Result<(), Failure> {
    let cluster = [&kinds::CLUSTER_ROLE, &kinds::CLUSTER_ROLE_BINDING].map(|kind| (kind, ""));
    let local = [&kinds::ROLE, &kinds::ROLE_BINDING].map(|kind| (kind, namespace));
    let local = local.into_iter().filter(|_| !namespace.is_empty());
    for (kind, namespace) in cluster.into_iter().chain(local) {
        context.authorize(Attributes::object("list", kind, namespace, ""))?;
    }
    Ok(())
}

fn may_list(context: &Context<'_>, namespace: &str) -> bool {
    let kinds: [&'static Kind; 2] = if namespace.is_empty() {
        [&kinds::CLUSTER_ROLE, &kinds::CLUSTER_ROLE_BINDING]
    } else {
        [&kinds::ROLE, &kinds::ROLE_BINDING]
    };
    let policy = &context.access.policy;
    kinds.into_iter().all(|kind| policy.allows(&context.user, &Attributes::object("list", kind, namespace, "")))
}

/// Who is asked about, with the groups that are known of them.
fn asked_about(context: &Context<'_>, spec: &Value) -> Arc<User> {
    let name = spec.get("user").and_then(Value::as_str).unwrap_or_default();
    let groups = spec.get("groups").and_then(Value::as_array);
    let given: Vec<String> = groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if name.is_empty() && given.is_empty() {
        return Arc::clone(&context.user);
    }
    let mut user = match User::service_account_of(name) {
        Some((namespace, account)) => User::service_account(namespace, account, ""),
        None if name == User::admin().name => User::admin(),
        None if name == User::anonymous().name => User::anonymous(),
        None => User { name: name.to_owned(), uid: String::new(), groups: Vec::new(), extra: BTreeMap::new() },
    };
    if let Some(account) = context.access.users.get(name) {
        user.groups.clone_from(&account.groups);
        user.uid.clone_from(&account.uid);
    }
    user.groups.extend(given);
    if user.groups.iter().all(|group| !group.starts_with("system:")) {
        user.groups.push(GROUP_AUTHENTICATED.to_owned());
    }
    Arc::new(user)
}

/// What a review asks about.
pub(super) fn attributes(spec: &Value) -> Attributes {
    if let Some(path) = spec.get("nonResourceAttributes").filter(|path| path.is_object()) {
        let text = |name: &str| path.get(name).and_then(Value::as_str).unwrap_or_default();
        return Attributes::path(text("verb"), text("path"));
    }
    let resource = spec.get("resourceAttributes").cloned().unwrap_or(Value::Null);
    let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (group, resource) = (text("group"), text("resource"));
    // Kubernetes' own authorizer does not look at the version either.
    let kind = kinds::KINDS.iter().copied().find(|kind| kind.group == group && kind.plural == resource);
    Attributes {
        verb: text("verb"),
        group,
        version: text("version"),
        resource,
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        kind,
        ..Attributes::default()
    }
}

fn binding_reference(binding: &Binding) -> Value {
    reference(binding.kind, &binding.namespace, &binding.name)
}

fn role_reference(role: &Role) -> Value {
    reference(role.kind, &role.namespace, &role.name)
}

fn reference(kind: &Kind, namespace: &str, name: &str) -> Value {
    let mut reference = json!({"kind": kind.kind, "name": name});
    if !namespace.is_empty() {
        set(&mut reference, "namespace", namespace.into());
    }
    reference
}

fn subject(subject: &Subject) -> Value {
    let mut shown = json!({"kind": subject.kind.as_str(), "name": *subject.name});
    match subject.kind {
        rbac::SubjectKind::ServiceAccount => set(&mut shown, "namespace", subject.namespace.as_ref().into()),
        _ => set(&mut shown, "apiGroup", kinds::ROLE.group.into()),
    }
    shown
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
