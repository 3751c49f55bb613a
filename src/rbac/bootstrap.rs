//! The roles and bindings that the server makes for itself, and what it adds to those that were changed.
//!
//! Only what names kinds and paths that are served here; names, labels and meaning are Kubernetes'. Nothing here grants
//! a stored `*` to anyone but `system:masters`. Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` and
//! `component-helpers/auth/rbac/reconciliation` of Kubernetes.

use serde_json::{Map, Value, json};

use super::coverage::Held;
use super::policy::{Policy, PolicySet};
use super::rules::{ALL, BOOTSTRAPPING_LABEL, Rule, meta_text, rules};
use crate::model::kinds::{self, Kind};
use crate::model::user::{GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED};

const AUTOUPDATE_ANNOTATION: &str = "rbac.authorization.kubernetes.io/autoupdate";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const OURS: &str = "strongroom.dev";

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const READ_WRITE: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const RBAC_KINDS: &[&str] = &["clusterrolebindings", "clusterroles", "rolebindings", "roles"];

const HEALTH_AND_VERSION: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];

struct RoleRow {
    name: &'static str,
    /// The role that it is a part of: `view` is `rbac.authorization.k8s.io/aggregate-to-view`.
    part_of: Option<&'static str>,
    /// Whether its rules are those of its parts.
    aggregates: bool,
    rules: &'static [RuleRow],
}

enum RuleRow {
    Resources { verbs: &'static [&'static str], group: &'static str, resources: &'static [&'static str] },
    Paths { verbs: &'static [&'static str], paths: &'static [&'static str] },
}
use RuleRow::{Paths, Resources};

const fn role(name: &'static str, rules: &'static [RuleRow]) -> RoleRow {
    RoleRow { name, part_of: None, aggregates: false, rules }
}

const fn part(name: &'static str, part_of: &'static str, rules: &'static [RuleRow]) -> RoleRow {
    RoleRow { name, part_of: Some(part_of), aggregates: false, rules }
}

const fn aggregated(name: &'static str, part_of: Option<&'static str>) -> RoleRow {
    RoleRow { name, part_of, aggregates: true, rules: &[] }
}

const ROLES: &[RoleRow] = &[
    role(
        "cluster-admin",
        &[Resources { verbs: &[ALL], group: ALL, resources: &[ALL] }, Paths { verbs: &[ALL], paths: &[ALL] }],
    ),
    aggregated("admin", None),
    aggregated("edit", Some("admin")),
    aggregated("view", Some("edit")),
    part(
        "system:aggregate-to-admin",
        "admin",
        &[
            Resources { verbs: &["create"], group: AUTHORIZATION, resources: &["localsubjectaccessreviews"] },
            // Neither `bind` nor `escalate`: who administers a namespace passes on what they have.
            Resources { verbs: READ_WRITE, group: RBAC, resources: &["rolebindings", "roles"] },
            // Destroying a version is not undone by anything.
            Resources { verbs: &["delete", "deletecollection"], group: OURS, resources: &["secretrevisions"] },
        ],
    ),
    part(
        "system:aggregate-to-edit",
        "edit",
        &[
            Resources { verbs: READ, group: "", resources: &["secrets"] },
            Resources { verbs: &["impersonate"], group: "", resources: &["serviceaccounts"] },
            Resources { verbs: WRITE, group: "", resources: &["events", "secrets", "serviceaccounts"] },
            Resources { verbs: &["create"], group: "", resources: &["serviceaccounts/token"] },
            // No more than reading the Secrets one by one, which is asked for each of them besides.
            Resources {
                verbs: &["create"],
                group: OURS,
                resources: &["secretexports", "secretimports", "secretscans"],
            },
            // Where it leads is another matter: a cluster is used by those alone who are let.
            Resources { verbs: WRITE, group: OURS, resources: &["secretsyncs"] },
            Resources { verbs: &["get", "list"], group: OURS, resources: &["secretrevisions"] },
            // Whose Secrets they write is asked besides.
            Resources { verbs: WRITE, group: OURS, resources: &["certificates", "generatedsecrets"] },
            Resources { verbs: &["create"], group: OURS, resources: &["secretsyncs/render"] },
        ],
    ),
    part(
        "system:aggregate-to-view",
        "view",
        &[
            Resources {
                verbs: READ,
                group: "",
                resources: &["events", "namespaces", "namespaces/status", "serviceaccounts"],
            },
            Resources { verbs: READ, group: OURS, resources: &["secretsyncs", "secretsyncs/status"] },
            Resources {
                verbs: READ,
                group: OURS,
                resources: &["certificates", "certificates/status", "generatedsecrets", "generatedsecrets/status"],
            },
        ],
    ),
    role(
        "system:auth-delegator",
        &[
            Resources { verbs: &["create"], group: AUTHENTICATION, resources: &["tokenreviews"] },
            Resources { verbs: &["create"], group: AUTHORIZATION, resources: &["subjectaccessreviews"] },
        ],
    ),
    role(
        "system:basic-user",
        &[
            Resources {
                verbs: &["create"],
                group: AUTHORIZATION,
                resources: &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            },
            Resources { verbs: &["create"], group: AUTHENTICATION, resources: &["selfsubjectreviews"] },
        ],
    ),
    role(
        "system:discovery",
        &[Paths {
            verbs: &["get"],
            paths: &[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ],
        }],
    ),
    role(
        "system:monitoring",
        &[Paths {
            verbs: &["get"],
            paths: &[
                "/healthz",
                "/healthz/*",
                "/livez",
                "/livez/*",
                "/metrics",
                "/metrics/slis",
                "/readyz",
                "/readyz/*",
            ],
        }],
    ),
    role("system:public-info-viewer", &[Paths { verbs: &["get"], paths: HEALTH_AND_VERSION }]),
    role(
        "system:service-account-issuer-discovery",
        &[Paths {
            verbs: &["get"],
            paths: &[
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            ],
        }],
    ),
    role(
        "system:strongroom:access-reviewer",
        &[
            Resources {
                verbs: &["create"],
                group: OURS,
                resources: &["accessexplanations", "grantusagereviews", "resourceaccessreviews"],
            },
            Resources { verbs: READ, group: RBAC, resources: RBAC_KINDS },
        ],
    ),
    role(
        "system:strongroom:auditor",
        &[
            Paths { verbs: &["get"], paths: &["/strongroom/v1/audit", "/strongroom/v1/audit/*"] },
            // Holding grants against the log takes the log, which the reviewer of access need not see, and the grants.
            Resources { verbs: &["create"], group: OURS, resources: &["grantusagereviews"] },
            Resources { verbs: &["list"], group: RBAC, resources: RBAC_KINDS },
        ],
    ),
    role(
        "system:strongroom:authority-viewer",
        &[Paths { verbs: &["get"], paths: &["/strongroom/v1/workload-authority"] }],
    ),
    // For the service account behind the socket of a cluster's API server, bound by whoever lends it a key.
    role(
        "system:strongroom:kms-plugin",
        &[
            Resources { verbs: &["decrypt", "encrypt", "get"], group: OURS, resources: &["kmskeys"] },
            Resources { verbs: &["create"], group: OURS, resources: &["kmskeys/decrypt", "kmskeys/encrypt"] },
        ],
    ),
    role(
        // Whoever may change a slot opens every later copy of the database: this is as much as being the administrator.
        "system:strongroom:key-custodian",
        &[
            Paths { verbs: &["get"], paths: &["/strongroom/v1/keys"] },
            Paths { verbs: &["post", "put", "delete"], paths: &["/strongroom/v1/keys/*"] },
        ],
    ),
    role("system:strongroom:backup-operator", &[Paths { verbs: &["get", "post"], paths: &["/strongroom/v1/backups"] }]),
    role(
        "system:strongroom:sealing",
        &[
            Paths { verbs: &["get"], paths: &["/strongroom/v1/seal-status"] },
            // Whoever has an unlock secret needs no right besides, and what is sealed knows no rights.
            Paths { verbs: &["post"], paths: &["/strongroom/v1/unseal"] },
        ],
    ),
    role(
        "system:strongroom:session",
        &[Paths {
            verbs: &["post"],
            paths: &[
                "/strongroom/v1/login",
                "/strongroom/v1/logout",
                "/strongroom/v1/password",
                "/strongroom/v1/refresh",
            ],
        }],
    ),
];

/// Roles that are bound to groups, each by a ClusterRoleBinding of its name.
const BINDINGS: &[(&str, &[&str])] = &[
    ("cluster-admin", &[GROUP_MASTERS]),
    ("system:basic-user", &[GROUP_AUTHENTICATED]),
    ("system:discovery", &[GROUP_AUTHENTICATED]),
    ("system:monitoring", &["system:monitoring"]),
    ("system:public-info-viewer", &[GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED]),
    ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
    ("system:strongroom:authority-viewer", &[GROUP_AUTHENTICATED]),
    ("system:strongroom:sealing", &[GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED]),
    ("system:strongroom:session", &[GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED]),
];

/// The objects, roles first. Those that aggregate have no `rules`: compiling a policy tells what to write there.
pub fn objects() -> Vec<(&'static Kind, Value)> {
    let roles = ROLES.iter().map(|row| (&kinds::CLUSTER_ROLE, cluster_role(row)));
    let bindings = BINDINGS.iter().map(|(name, groups)| (&kinds::CLUSTER_ROLE_BINDING, binding(name, groups)));
    roles.chain(bindings).collect()
}

/// The policy of these objects alone.
pub fn policy() -> Policy {
    let mut set = PolicySet::default();
    for (kind, object) in objects() {
        set.put(kind, "", meta_text(&object, "name"), &object);
    }
    set.compile()
}

/// What to write in place of `existing`, so that it has all that `wanted` has: missing permissions, selectors, subjects,
/// labels and annotations are added, others stay. `None` where nothing is missing or the object says that it is to be
/// left alone (annotation `rbac.authorization.kubernetes.io/autoupdate: "false"`).
///
/// Where a binding refers to another role, the result is `wanted` itself: a reference cannot be changed, so the object
/// has to be deleted and created.
pub fn merge(existing: &Value, wanted: &Value) -> Option<Value> {
    let annotation = |object: &Value| {
        let annotations = object.pointer("/metadata/annotations")?;
        annotations.get(AUTOUPDATE_ANNOTATION)?.as_str().map(str::to_owned)
    };
    if annotation(existing).as_deref() == Some("false") {
        return None;
    }
    if ["kind", "name"].iter().any(|key| part_of_ref(existing, key) != part_of_ref(wanted, key)) {
        return Some(wanted.clone());
    }
    let mut merged = existing.clone();
    let changes = [
        add_meta(&mut merged, wanted, "labels"),
        add_meta(&mut merged, wanted, "annotations"),
        add_rules(&mut merged, wanted),
        add_selectors(&mut merged, wanted),
        add_subjects(&mut merged, wanted),
    ];
    changes.contains(&true).then_some(merged)
}

fn cluster_role(row: &RoleRow) -> Value {
    let mut role = object(&kinds::CLUSTER_ROLE, row.name);
    if let (Some(whole), Some(labels)) = (row.part_of, role.pointer_mut("/metadata/labels")) {
        add(labels, &aggregation_label(whole), "true".into());
    }
    if row.aggregates {
        let selector = json!({"matchLabels": {aggregation_label(row.name): "true"}});
        add(&mut role, "aggregationRule", json!({"clusterRoleSelectors": [selector]}));
    } else {
        add(&mut role, "rules", row.rules.iter().map(RuleRow::to_value).collect());
    }
    role
}

impl RuleRow {
    fn to_value(&self) -> Value {
        match self {
            Resources { verbs, group, resources } => {
                json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
            }
            Paths { verbs, paths } => json!({"verbs": verbs, "nonResourceURLs": paths}),
        }
    }
}

fn binding(name: &str, groups: &[&str]) -> Value {
    let mut binding = object(&kinds::CLUSTER_ROLE_BINDING, name);
    let subjects = groups.iter().map(|group| json!({"kind": "Group", "apiGroup": RBAC, "name": group}));
    add(&mut binding, "subjects", subjects.collect());
    add(&mut binding, "roleRef", json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": name}));
    binding
}

fn object(kind: &Kind, name: &str) -> Value {
    let labels = json!({BOOTSTRAPPING_LABEL: "rbac-defaults"});
    let annotations = json!({AUTOUPDATE_ANNOTATION: "true"});
    json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
    })
}

fn aggregation_label(whole: &str) -> String {
    format!("{RBAC}/aggregate-to-{whole}")
}

fn part_of_ref<'a>(binding: &'a Value, key: &str) -> Option<&'a Value> {
    binding.get("roleRef")?.get(key)
}

fn add(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// The list under a key, made where there is none.
fn list_mut<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    let list = object.as_object_mut()?.entry(key).or_insert(Value::Null);
    if !list.is_array() {
        *list = json!([]);
    }
    list.as_array_mut()
}

fn add_meta(merged: &mut Value, wanted: &Value, key: &str) -> bool {
    let wanted = wanted.pointer("/metadata").and_then(|meta| meta.get(key)).and_then(Value::as_object);
    let Some(meta) = merged.get_mut("metadata").and_then(Value::as_object_mut) else { return false };
    let mut changed = false;
    for (name, value) in wanted.into_iter().flatten() {
        let entries = meta.entry(key).or_insert_with(|| json!({}));
        if !entries.is_object() {
            *entries = Value::Object(Map::new());
        }
        // What is there keeps its value, as with Kubernetes.
        if entries.get(name).is_none() {
            add(entries, name, value.clone());
            changed = true;
        }
    }
    changed
}

fn add_rules(merged: &mut Value, wanted: &Value) -> bool {
    if wanted.get("rules").is_none() {
        return false;
    }
    let was_aggregated = merged.as_object_mut().and_then(|fields| fields.shift_remove("aggregationRule"));
    let (held, wanted) = (rules(merged), rules(wanted));
    let missing = Held::new(held.iter().map(|rule| &**rule)).missing(wanted.iter().map(|rule| &**rule)).rules();
    if let (false, Some(list)) = (missing.is_empty(), list_mut(merged, "rules")) {
        list.extend(missing.iter().map(Rule::to_value));
    }
    was_aggregated.is_some_and(|rule| !rule.is_null()) || !missing.is_empty()
}

fn add_selectors(merged: &mut Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array) else {
        return false;
    };
    if !merged.get("aggregationRule").is_some_and(Value::is_object) {
        add(merged, "aggregationRule", json!({}));
    }
    merged
        .get_mut("aggregationRule")
        .is_some_and(|rule| add_missing(rule, "clusterRoleSelectors", wanted, PartialEq::eq))
}

fn add_subjects(merged: &mut Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.get("subjects").and_then(Value::as_array) else { return false };
    let is_same = |a: &Value, b: &Value| ["kind", "name", "namespace"].iter().all(|key| a.get(key) == b.get(key));
    add_missing(merged, "subjects", wanted, is_same)
}

fn add_missing(object: &mut Value, key: &str, wanted: &[Value], is_same: impl Fn(&Value, &Value) -> bool) -> bool {
    let Some(list) = list_mut(object, key) else { return false };
    let before = list.len();
    for item in wanted {
        if !list.iter().any(|held| is_same(held, item)) {
            list.push(item.clone());
        }
    }
    list.len() != before
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
