//! Roles, bindings and the rules they hold, read from stored objects.
//!
//! Never fails: stored objects were validated when they were written, and what is missing or of another shape
//! grants nothing. Source: `rbac.authorization.k8s.io/v1` of the Kubernetes API reference.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::matching::Reach;
use crate::model::field_error::go_quote;
use crate::model::kinds::{self, Kind};
use crate::model::selector::LabelSelector;

/// Stands for every verb, API group, resource or path.
pub const ALL: &str = "*";
/// The label of objects that the server makes for itself.
pub const BOOTSTRAPPING_LABEL: &str = "kubernetes.io/bootstrapping";

/// A PolicyRule: verbs on resources, or verbs on paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rule {
    /// `get`, `list`, …, or `*`.
    pub verbs: Vec<String>,
    /// API groups; `""` is core, `*` is all.
    pub api_groups: Vec<String>,
    /// `secrets`, `serviceaccounts/token`, `*/status`, `*`.
    pub resources: Vec<String>,
    /// Names of objects; none is all of them.
    pub resource_names: Vec<String>,
    /// Paths; a `*` at the end stands for anything.
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// Reads one entry of `rules`.
    pub fn parse(rule: &Value) -> Self {
        Self {
            verbs: strings(rule, "verbs"),
            api_groups: strings(rule, "apiGroups"),
            resources: strings(rule, "resources"),
            resource_names: strings(rule, "resourceNames"),
            non_resource_urls: strings(rule, "nonResourceURLs"),
        }
    }

    /// The rule as a role holds it: `verbs` always, other lists where they are not empty.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("verbs".to_owned(), self.verbs.clone().into());
        let lists = [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
            ("nonResourceURLs", &self.non_resource_urls),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            fields.insert(key.to_owned(), list.clone().into());
        }
        Value::Object(fields)
    }
}

/// Rules in order, cheap to share.
pub type Rules = Arc<[Arc<Rule>]>;

/// A Role or ClusterRole.
#[derive(Debug, Clone)]
pub struct Role {
    /// Role or ClusterRole.
    pub kind: &'static Kind,
    /// Empty for a ClusterRole.
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// What it allows, in order. In a [`super::Policy`] the rules of an aggregated role are the effective ones.
    pub rules: Rules,
    /// The selectors of an aggregated ClusterRole. One that cannot be read selects nothing and is left out.
    pub aggregation: Option<Vec<LabelSelector>>,
    pub(super) reach: Reach,
}

impl Role {
    /// Reads a stored object, whose name and namespace are in its metadata.
    pub fn parse(kind: &'static Kind, object: &Value) -> Self {
        Self::named(kind, meta_text(object, "namespace"), meta_text(object, "name"), object)
    }

    /// Reads a stored object of this name.
    pub(super) fn named(kind: &'static Kind, namespace: &str, name: &str, object: &Value) -> Self {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let rules = rules(object);
        let aggregation = object.get("aggregationRule").filter(|rule| rule.is_object() && !kind.namespaced);
        Self {
            kind,
            namespace: scope(kind, namespace),
            name: name.into(),
            labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
            reach: Reach::of_rules(&rules),
            rules,
            aggregation: aggregation.map(|rule| {
                let selectors = rule.get("clusterRoleSelectors").and_then(Value::as_array).into_iter().flatten();
                selectors.filter_map(|selector| LabelSelector::from_api(selector, "").ok()).collect()
            }),
        }
    }

    /// Whether the server makes the role for itself.
    pub fn is_bootstrap(&self) -> bool {
        self.labels.contains_key(BOOTSTRAPPING_LABEL)
    }
}

/// `Role "reader" in the namespace "prod"`, `ClusterRole "view"`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.kind, go_quote(&self.name))?;
        if self.kind.namespaced { write!(f, " in the namespace {}", go_quote(&self.namespace)) } else { Ok(()) }
    }
}

/// Whose rules a binding grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Name of the role.
    pub name: Arc<str>,
    /// Namespace of the role: the binding's for a Role, none for a ClusterRole.
    pub(super) namespace: Arc<str>,
}

/// What a subject names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// A user, by exact name.
    User,
    /// Everyone in a group.
    Group,
    /// A service account.
    ServiceAccount,
}

impl SubjectKind {
    /// Kubernetes' spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// Whom a binding grants its role to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// User, Group or ServiceAccount.
    pub kind: SubjectKind,
    /// Name of the user, group or service account.
    pub name: Arc<str>,
    /// Namespace of a service account: the subject's, else the binding's; empty for others.
    pub namespace: Arc<str>,
    /// The user name or the group that it applies to; nobody where a service account has no namespace.
    pub(super) key: Option<Arc<str>>,
}

impl Subject {
    fn parse(subject: &Value, binding_namespace: &str) -> Option<Self> {
        let name: Arc<str> = text(subject, "name").into();
        match text(subject, "kind") {
            "User" => Some(Self { kind: SubjectKind::User, key: Some(Arc::clone(&name)), name, namespace: "".into() }),
            "Group" => {
                Some(Self { kind: SubjectKind::Group, key: Some(Arc::clone(&name)), name, namespace: "".into() })
            }
            "ServiceAccount" => {
                let namespace = Some(text(subject, "namespace")).filter(|own| !own.is_empty());
                let namespace = namespace.unwrap_or(binding_namespace);
                let key = (!namespace.is_empty()).then(|| service_account_user(namespace, &name).into());
                Some(Self { kind: SubjectKind::ServiceAccount, key, name, namespace: namespace.into() })
            }
            _ => None,
        }
    }

    /// Whether the subject is this user or one of these groups.
    pub fn applies_to(&self, user: &str, groups: &[String]) -> bool {
        self.key.as_deref().is_some_and(|key| match self.kind {
            SubjectKind::Group => groups.iter().any(|group| group == key),
            SubjectKind::User | SubjectKind::ServiceAccount => key == user,
        })
    }
}

/// As Kubernetes describes one: `User "bob"`, `ServiceAccount "name/namespace"`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            SubjectKind::ServiceAccount => go_quote(&format!("{}/{}", self.name, self.namespace)),
            SubjectKind::User | SubjectKind::Group => go_quote(&self.name),
        };
        write!(f, "{} {name}", self.kind.as_str())
    }
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, Clone)]
pub struct Binding {
    /// RoleBinding or ClusterRoleBinding.
    pub kind: &'static Kind,
    /// Empty for a ClusterRoleBinding.
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// What is granted.
    pub role_ref: RoleRef,
    /// To whom, in order; subjects of unknown kinds are left out.
    pub subjects: Vec<Subject>,
    /// Whether the server makes the binding for itself.
    pub bootstrap: bool,
}

impl Binding {
    /// Reads a stored object, whose name and namespace are in its metadata.
    pub fn parse(kind: &'static Kind, object: &Value) -> Self {
        Self::named(kind, meta_text(object, "namespace"), meta_text(object, "name"), object)
    }

    /// Reads a stored object of this name.
    pub(super) fn named(kind: &'static Kind, namespace: &str, name: &str, object: &Value) -> Self {
        let namespace = scope(kind, namespace);
        let role_ref = object.get("roleRef").unwrap_or(&Value::Null);
        let subjects = object.get("subjects").and_then(Value::as_array).into_iter().flatten();
        Self {
            kind,
            role_ref: RoleRef {
                kind: text(role_ref, "kind").to_owned(),
                name: text(role_ref, "name").into(),
                namespace: if text(role_ref, "kind") == kinds::CLUSTER_ROLE.kind {
                    "".into()
                } else {
                    Arc::clone(&namespace)
                },
            },
            subjects: subjects.filter_map(|subject| Subject::parse(subject, &namespace)).collect(),
            bootstrap: object.pointer("/metadata/labels").is_some_and(|all| all.get(BOOTSTRAPPING_LABEL).is_some()),
            namespace,
            name: name.into(),
        }
    }

    /// Kubernetes' text where the role is not there.
    pub(super) fn role_not_found(&self) -> String {
        let resource = match self.role_ref.kind.as_str() {
            "Role" => "role",
            "ClusterRole" => "clusterrole",
            other => return format!("unsupported role reference kind: {}", go_quote(other)),
        };
        format!("{resource}.{} {} not found", kinds::ROLE.group, go_quote(&self.role_ref.name))
    }
}

/// As Kubernetes describes one, without its subjects: `RoleBinding "name/namespace" of Role "reader"`.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.kind.namespaced {
            go_quote(&format!("{}/{}", self.name, self.namespace))
        } else {
            go_quote(&self.name)
        };
        write!(f, "{} {name} of {} {}", self.kind.kind, self.role_ref.kind, go_quote(&self.role_ref.name))
    }
}

/// The user name of a service account.
pub(super) fn service_account_user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The rules of an object, in order.
pub(super) fn rules(object: &Value) -> Rules {
    let rules = object.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules.map(|rule| Arc::new(Rule::parse(rule))).collect()
}

fn scope(kind: &Kind, namespace: &str) -> Arc<str> {
    if kind.namespaced { namespace.into() } else { "".into() }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn meta_text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get("metadata").map(|meta| text(meta, key)).unwrap_or_default()
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    let items = value.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
