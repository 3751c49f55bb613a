//! All roles and bindings: a set that changes, and what is made of it to decide by.
//!
//! A [`PolicySet`] follows the stored objects. [`PolicySet::compile`] makes a [`Policy`], which never changes and may
//! be shared by every thread: bindings indexed by namespace and subject, aggregated roles with their effective rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::aggregation;
use super::matching::Reach;
use super::rules::{Binding, Role, Rules, Subject, SubjectKind};
use crate::model::kinds::{self, Kind};
use crate::model::user::User;

/// Namespace and name; the namespace is empty for what belongs to the cluster.
type Key = (Arc<str>, Arc<str>);

/// The stored roles and bindings.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    roles: BTreeMap<Key, Arc<Role>>,
    bindings: BTreeMap<Key, Arc<Binding>>,
}

impl PolicySet {
    /// Takes in a stored object, in place of a former one of that name. Other kinds than the four of RBAC are ignored.
    pub fn put(&mut self, kind: &'static Kind, namespace: &str, name: &str, object: &Value) {
        if is_role(kind) {
            let role = Role::named(kind, namespace, name, object);
            self.roles.insert((Arc::clone(&role.namespace), Arc::clone(&role.name)), Arc::new(role));
        } else if is_binding(kind) {
            let binding = Binding::named(kind, namespace, name, object);
            self.bindings.insert((Arc::clone(&binding.namespace), Arc::clone(&binding.name)), Arc::new(binding));
        }
    }

    /// Forgets an object.
    pub fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) {
        let key = (if kind.namespaced { namespace } else { "" }.into(), name.into());
        if is_role(kind) {
            self.roles.remove(&key);
        } else if is_binding(kind) {
            self.bindings.remove(&key);
        }
    }

    /// Forgets every object of a kind.
    pub fn remove_all(&mut self, kind: &'static Kind) {
        if is_role(kind) {
            self.roles.retain(|_, role| role.kind != kind);
        } else if is_binding(kind) {
            self.bindings.retain(|_, binding| binding.kind != kind);
        }
    }

    /// What to decide by.
    pub fn compile(&self) -> Policy {
        let mut roles = self.roles.clone();
        let cluster_roles = self.roles.values().filter(|role| !role.kind.namespaced);
        let cluster_roles = cluster_roles.map(|role| (&*role.name, role)).collect();
        let mut aggregated = Vec::new();
        for (name, rules) in aggregation::effective_rules(&cluster_roles) {
            let Some(role) = roles.get_mut(&("".into(), Arc::clone(&name))) else { continue };
            let is_stale = role.rules != rules;
            if is_stale {
                let reach = Reach::of_rules(&rules);
                *role = Arc::new(Role { rules: Arc::clone(&rules), reach, ..Role::clone(role) });
            }
            aggregated.push(Aggregated { name, rules, is_stale });
        }
        let (mut cluster, mut namespaces) = (Scope::default(), HashMap::<Arc<str>, Scope>::new());
        for binding in self.bindings.values() {
            let key = (Arc::clone(&binding.role_ref.namespace), Arc::clone(&binding.role_ref.name));
            // A reference of another kind refers to nothing.
            let role = roles.get(&key).filter(|role| role.kind.kind == binding.role_ref.kind);
            let scope = if binding.kind.namespaced {
                namespaces.entry(Arc::clone(&binding.namespace)).or_default()
            } else {
                &mut cluster
            };
            scope.add(Bound { binding: Arc::clone(binding), role: role.cloned() });
        }
        Policy { roles, cluster, namespaces, aggregated }
    }
}

fn is_role(kind: &Kind) -> bool {
    [kinds::ROLE.id, kinds::CLUSTER_ROLE.id].contains(&kind.id)
}

fn is_binding(kind: &Kind) -> bool {
    [kinds::ROLE_BINDING.id, kinds::CLUSTER_ROLE_BINDING.id].contains(&kind.id)
}

/// What decisions are made by. Never changes.
#[derive(Debug, Default)]
pub struct Policy {
    pub(super) roles: BTreeMap<Key, Arc<Role>>,
    pub(super) cluster: Scope,
    pub(super) namespaces: HashMap<Arc<str>, Scope>,
    aggregated: Vec<Aggregated>,
}

/// An aggregated ClusterRole.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// Its name.
    pub name: Arc<str>,
    /// What it grants.
    pub rules: Rules,
    /// Whether the stored `rules` are others and have to be written anew.
    pub is_stale: bool,
}

impl Aggregated {
    /// What `rules` of the stored object should be.
    pub fn to_value(&self) -> Value {
        self.rules.iter().map(|rule| rule.to_value()).collect()
    }
}

impl Policy {
    /// Grants nothing: only `system:masters` may do anything.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The aggregated ClusterRoles, by name.
    pub fn aggregated(&self) -> impl Iterator<Item = &Aggregated> {
        self.aggregated.iter()
    }

    /// The role, with its effective rules; `namespace` is empty for a ClusterRole.
    pub fn role(&self, namespace: &str, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(&(namespace.into(), name.into()))
    }

    /// Every binding: those of the cluster by name, then those of namespaces by namespace and name.
    pub(super) fn all_bindings(&self) -> impl Iterator<Item = &Bound> {
        let mut scopes: Vec<_> = self.namespaces.iter().collect();
        scopes.sort_unstable_by_key(|(namespace, _)| *namespace);
        self.cluster.bindings.iter().chain(scopes.into_iter().flat_map(|(_, scope)| &scope.bindings))
    }

    /// The scopes that apply in a namespace: the cluster, then the namespace itself.
    pub(super) fn scopes(&self, namespace: &str) -> impl Iterator<Item = &Scope> {
        let namespaced = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        std::iter::once(&self.cluster).chain(namespaced)
    }
}

/// A binding and the role that it refers to, if that is there.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) binding: Arc<Binding>,
    pub(super) role: Option<Arc<Role>>,
}

/// The bindings of a namespace, or of the cluster.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// By name.
    pub(super) bindings: Vec<Bound>,
    /// By user name, service accounts among them. Each list is in the order of `bindings`.
    users: HashMap<Arc<str>, Vec<Entry>>,
    groups: HashMap<Arc<str>, Vec<Entry>>,
    /// Whether any binding refers to a role that is not there.
    pub(super) has_dangling: bool,
}

/// That a subject of a binding is the user or group under which the entry stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) reach: Reach,
    /// Index of the binding in its scope.
    pub(super) binding: usize,
    /// Index of the subject in the binding.
    pub(super) subject: usize,
}

impl Scope {
    fn add(&mut self, bound: Bound) {
        let reach = bound.role.as_ref().map_or(Reach::NONE, |role| role.reach);
        let binding = self.bindings.len();
        for (subject, Subject { kind, key, .. }) in bound.binding.subjects.iter().enumerate() {
            let index = match kind {
                SubjectKind::Group => &mut self.groups,
                SubjectKind::User | SubjectKind::ServiceAccount => &mut self.users,
            };
            if let Some(key) = key {
                let entries = index.entry(Arc::clone(key)).or_default();
                // Of a subject that is listed twice the first counts.
                if entries.last().is_none_or(|last| last.binding != binding) {
                    entries.push(Entry { reach, binding, subject });
                }
            }
        }
        self.has_dangling |= bound.role.is_none();
        self.bindings.push(bound);
    }

    /// The lists of entries that apply to a user: one for the name, one for each group. A binding may be in several.
    pub(super) fn entries<'a>(&'a self, user: &'a str, groups: &'a [String]) -> impl Iterator<Item = &'a [Entry]> {
        let by_name = self.users.get(user);
        let by_group = groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        by_name.into_iter().chain(by_group).map(Vec::as_slice)
    }

    /// The bindings that apply to a user, by name: index of each, and of its first subject that applies.
    pub(super) fn applicable(&self, user: &str, groups: &[String]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> =
            self.entries(user, groups).flatten().map(|entry| (entry.binding, entry.subject)).collect();
        found.sort_unstable();
        found.dedup_by_key(|(binding, _)| *binding);
        found
    }

    /// The same with the bindings themselves.
    pub(super) fn applying<'a>(&'a self, user: &User) -> impl Iterator<Item = (&'a Bound, usize)> {
        let found = self.applicable(&user.name, &user.groups).into_iter();
        found.filter_map(|(binding, subject)| Some((self.bindings.get(binding)?, subject)))
    }
}
