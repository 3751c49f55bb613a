//! A second, naive evaluator for tests: plain lists, read from front to back, and random worlds to compare by.
//!
//! Shares nothing with what it checks but the shapes of requests and users.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Attributes, PolicySet};
use crate::model::kinds;
use crate::model::user::User;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) urls: Vec<String>,
}

impl Rule {
    pub(super) fn read(rule: &super::Rule) -> Self {
        Self {
            verbs: rule.verbs.clone(),
            groups: rule.api_groups.clone(),
            resources: rule.resources.clone(),
            names: rule.resource_names.clone(),
            urls: rule.non_resource_urls.clone(),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        json!({
            "verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources, "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        })
    }

    pub(super) fn matches(&self, asked: &Attributes) -> bool {
        let any = |held: &[String], wanted: &[&str]| held.iter().any(|entry| wanted.contains(&entry.as_str()));
        if !any(&self.verbs, &["*", &asked.verb]) {
            return false;
        }
        if asked.resource.is_empty() {
            return self.urls.iter().any(|url| match url.find('*') {
                Some(at) => asked.path.get(..at) == url.get(..at),
                None => *url == asked.path,
            });
        }
        let (of_it, of_any) = (format!("{}/{}", asked.resource, asked.subresource), format!("*/{}", asked.subresource));
        let resources = if asked.subresource.is_empty() { ["*", &asked.resource, "*"] } else { ["*", &of_it, &of_any] };
        any(&self.groups, &["*", &asked.group])
            && any(&self.resources, &resources)
            && (self.names.is_empty() || (!asked.name.is_empty() && any(&self.names, &[&asked.name])))
    }
}

/// A Role, or a ClusterRole where the namespace is empty.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) namespace: &'static str,
    pub(super) name: String,
    pub(super) label: &'static str,
    /// Labels that an aggregated role chooses.
    pub(super) chooses: Option<Vec<&'static str>>,
    pub(super) rules: Vec<Rule>,
}

/// A RoleBinding, or a ClusterRoleBinding where the namespace is empty.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) namespace: &'static str,
    pub(super) name: String,
    pub(super) role_kind: &'static str,
    pub(super) role: String,
    /// Kind, name, namespace.
    pub(super) subjects: Vec<(&'static str, &'static str, &'static str)>,
}

impl Binding {
    pub(super) fn applies(&self, subject: (&str, &str, &str), user: &User) -> bool {
        let (kind, name, namespace) = subject;
        let home = if namespace.is_empty() { self.namespace } else { namespace };
        match kind {
            "User" => user.name == name,
            "Group" => user.groups.iter().any(|group| group == name),
            _ => !home.is_empty() && user.name == format!("system:serviceaccount:{home}:{name}"),
        }
    }
}

/// All roles and bindings.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) roles: Vec<Role>,
    pub(super) bindings: Vec<Binding>,
}

impl World {
    /// What a role grants; of an aggregated one all that is reached, by going round until nothing is added.
    pub(super) fn rules(&self, role: &Role) -> Vec<Rule> {
        if role.chooses.is_none() {
            return role.rules.clone();
        }
        let mut reached = BTreeSet::from([role.name.clone()]);
        loop {
            let before = reached.len();
            for one in self.roles.iter().filter(|one| one.namespace.is_empty()) {
                let chosen = self.roles.iter().filter(|by| by.namespace.is_empty() && reached.contains(&by.name));
                if chosen.flat_map(|by| by.chooses.iter().flatten()).any(|label| *label == one.label) {
                    reached.insert(one.name.clone());
                }
            }
            if reached.len() == before {
                break;
            }
        }
        let parts = self
            .roles
            .iter()
            .filter(|one| one.namespace.is_empty() && one.chooses.is_none() && reached.contains(&one.name));
        parts.flat_map(|part| part.rules.clone()).collect()
    }

    pub(super) fn role_of(&self, binding: &Binding) -> Option<&Role> {
        let namespace = match binding.role_kind {
            "ClusterRole" => "",
            // A Role lives in a namespace: a binding of the cluster cannot refer to one.
            _ if binding.namespace.is_empty() => return None,
            _ => binding.namespace,
        };
        self.roles.iter().find(|role| role.namespace == namespace && role.name == binding.role)
    }

    /// The bindings of the cluster, then those of the namespace, by name.
    pub(super) fn bindings_at(&self, namespace: &str) -> Vec<&Binding> {
        let mut found: Vec<&Binding> = self
            .bindings
            .iter()
            .filter(|binding| binding.namespace.is_empty() || binding.namespace == namespace)
            .collect();
        found.sort_by_key(|binding| (binding.namespace, binding.name.clone()));
        found
    }

    /// The text of the first grant, if anything allows it.
    pub(super) fn decide(&self, user: &User, asked: &Attributes) -> Option<String> {
        if user.groups.iter().any(|group| group == "system:masters") {
            return Some(String::new());
        }
        let namespace = if asked.resource.is_empty() { "" } else { &asked.namespace };
        for binding in self.bindings_at(namespace) {
            let Some(subject) = binding.subjects.iter().find(|subject| binding.applies(**subject, user)) else {
                continue;
            };
            let Some(role) = self.role_of(binding) else { continue };
            if self.rules(role).iter().any(|rule| rule.matches(asked)) {
                let (kind, mut at) = ("RoleBinding", format!("{}/{}", binding.name, binding.namespace));
                let kind = if binding.namespace.is_empty() { format!("Cluster{kind}") } else { kind.to_owned() };
                if binding.namespace.is_empty() {
                    at.clone_from(&binding.name);
                }
                let mut who = subject.1.to_owned();
                if subject.0 == "ServiceAccount" {
                    who = format!("{who}/{}", if subject.2.is_empty() { binding.namespace } else { subject.2 });
                }
                return Some(format!(
                    "RBAC: allowed by {kind} {at:?} of {} {:?} to {} {who:?}",
                    binding.role_kind, binding.role, subject.0
                ));
            }
        }
        None
    }

    /// The rules that a user holds.
    pub(super) fn held(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let applying = self
            .bindings_at(namespace)
            .into_iter()
            .filter(|binding| binding.subjects.iter().any(|subject| binding.applies(*subject, user)));
        applying.filter_map(|binding| self.role_of(binding)).flat_map(|role| self.rules(role)).collect()
    }

    /// Whether `held` covers `granted`: every single permission by one rule, compared one with the other.
    pub(super) fn covers(held: &[Rule], granted: &[Rule]) -> bool {
        let has = |list: &[String], entry: &str| list.iter().any(|one| one == entry);
        let covered_resource = |group: &str, resource: &str, verb: &str, name: Option<&str>| {
            held.iter().any(|rule| {
                let subresource = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
                (has(&rule.verbs, "*") || has(&rule.verbs, verb))
                    && (has(&rule.groups, "*") || has(&rule.groups, group))
                    && (has(&rule.resources, "*")
                        || has(&rule.resources, resource)
                        || subresource.is_some_and(|any| has(&rule.resources, &any)))
                    && (rule.names.is_empty() || name.is_some_and(|name| has(&rule.names, name)))
            })
        };
        let covered_path = |url: &str, verb: &str| {
            held.iter().any(|rule| {
                (has(&rule.verbs, "*") || has(&rule.verbs, verb))
                    && rule
                        .urls
                        .iter()
                        .any(|held| held == url || (held.ends_with('*') && url.starts_with(held.trim_end_matches('*'))))
            })
        };
        granted.iter().all(|rule| {
            let names: Vec<Option<&str>> = if rule.names.is_empty() {
                vec![None]
            } else {
                rule.names.iter().map(|name| Some(name.as_str())).collect()
            };
            rule.verbs.iter().all(|verb| {
                rule.urls.iter().all(|url| covered_path(url, verb))
                    && rule.groups.iter().all(|group| {
                        rule.resources
                            .iter()
                            .all(|resource| names.iter().all(|name| covered_resource(group, resource, verb, *name)))
                    })
            })
        })
    }

    /// The same as stored objects.
    pub(super) fn to_set(&self) -> PolicySet {
        let mut set = PolicySet::default();
        for role in &self.roles {
            let kind = if role.namespace.is_empty() { &kinds::CLUSTER_ROLE } else { &kinds::ROLE };
            let rules: Vec<Value> = role.rules.iter().map(Rule::to_value).collect();
            let mut object = json!({"metadata": {"labels": {"to": role.label}}, "rules": rules});
            if let Some(labels) = &role.chooses {
                let selectors = labels.iter().map(|label| json!({"matchLabels": {"to": label}}));
                object["aggregationRule"] = json!({"clusterRoleSelectors": selectors.collect::<Vec<_>>()});
            }
            set.put(kind, role.namespace, &role.name, &object);
        }
        for binding in &self.bindings {
            let kind = if binding.namespace.is_empty() { &kinds::CLUSTER_ROLE_BINDING } else { &kinds::ROLE_BINDING };
            let subjects: Vec<Value> = binding
                .subjects
                .iter()
                .map(|(kind, name, namespace)| match *namespace {
                    "" => json!({"kind": kind, "name": name}),
                    namespace => json!({"kind": kind, "name": name, "namespace": namespace}),
                })
                .collect();
            let role_ref = json!({"kind": binding.role_kind, "name": binding.role});
            set.put(kind, binding.namespace, &binding.name, &json!({"roleRef": role_ref, "subjects": subjects}));
        }
        set
    }
}

/// Random choices that a seed repeats (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn some(&mut self, least: usize, most: usize, choices: &[&str]) -> Vec<String> {
        let count = least + self.below(most - least + 1);
        (0..count).map(|_| self.of(choices).to_owned()).collect()
    }
}

const NAMESPACES: &[&str] = &["n1", "n2"];
const LABELS: &[&str] = &["l0", "l1", "l2", "l3"];
const VERBS: &[&str] = &["get", "list", "create"];
const GROUPS: &[&str] = &["", "x"];
const RESOURCES: &[&str] = &["a", "b"];
const NAMES: &[&str] = &["m", "k"];
const PATHS: &[&str] = &["/p", "/p/q", "/pq", "/x"];
const SUBJECTS: &[(&str, &str, &str)] = &[
    ("User", "u1", ""),
    ("User", "u2", ""),
    ("User", "system:serviceaccount:n1:sa", ""),
    ("Group", "g1", ""),
    ("Group", "g2", ""),
    ("Group", "u1", ""),
    ("ServiceAccount", "sa", "n1"),
    ("ServiceAccount", "sa", "n2"),
    ("ServiceAccount", "sa", ""),
];

/// A random rule; of paths only where `paths`.
pub(super) fn rule(dice: &mut Dice, paths: bool) -> Rule {
    if paths && dice.once_in(4) {
        let verbs = dice.some(1, 2, &["get", "list", "*"]);
        return Rule { verbs, urls: dice.some(1, 2, &["/p", "/p*", "/p/*", "/x", "*", "/p/q**"]), ..Rule::default() };
    }
    let starred = |dice: &mut Dice, choices: &[&str]| {
        if dice.once_in(3) { vec!["*".to_owned()] } else { dice.some(1, 2, choices) }
    };
    let names = if dice.once_in(4) { dice.some(1, 2, &["m", "k", "", "z"]) } else { Vec::new() };
    let verbs = starred(dice, VERBS);
    let groups = starred(dice, GROUPS);
    let resources = dice.some(1, 2, &["a", "b", "a/s", "b/s", "*/s", "*", "a/*", "a", "b"]);
    Rule { verbs, groups, resources, names, urls: Vec::new() }
}

/// A random world: few roles and bindings over small alphabets, so that much meets.
pub(super) fn world(dice: &mut Dice) -> World {
    let mut world = World::default();
    for at in 0..2 + dice.below(5) {
        let chooses = dice.once_in(3).then(|| (0..=dice.below(2)).map(|_| dice.of(LABELS)).collect());
        let rules = (0..dice.below(5)).map(|_| rule(dice, true)).collect();
        let label = dice.of(LABELS);
        world.roles.push(Role { namespace: "", name: format!("r{at}"), label, chooses, rules });
    }
    for at in 0..dice.below(4) {
        let rules = (0..dice.below(3)).map(|_| rule(dice, false)).collect();
        let (namespace, label) = (dice.of(NAMESPACES), dice.of(LABELS));
        world.roles.push(Role { namespace, name: format!("r{at}"), label, chooses: None, rules });
    }
    for at in 0..2 + dice.below(10) {
        let namespace = if dice.once_in(4) { "" } else { dice.of(NAMESPACES) };
        let role_kind = if namespace.is_empty() || dice.once_in(2) { "ClusterRole" } else { "Role" };
        let role_kind = if dice.once_in(30) { "Role" } else { role_kind };
        let role = format!("r{}", dice.below(5));
        let subjects = (0..dice.below(6)).map(|_| dice.of(SUBJECTS)).collect();
        // Not in the order of their names.
        world.bindings.push(Binding { namespace, name: format!("b{}", (at * 7) % 12), role_kind, role, subjects });
    }
    world
}

/// The users of the worlds.
pub(super) fn users() -> Vec<User> {
    [
        ("u1", &[][..]),
        ("u1", &["g1", "g2"]),
        ("u2", &["g2"]),
        ("u2", &["u1"]),
        ("system:serviceaccount:n1:sa", &["g1"]),
        ("system:serviceaccount:n2:sa", &[]),
        ("nobody", &["u2"]),
        ("", &["g1"]),
    ]
    .into_iter()
    .map(|(name, groups)| User::new(name, "", groups.iter().copied()))
    .collect()
}

/// A random request, with `*` in places if `starred`, as reviews may ask.
pub(super) fn request(dice: &mut Dice, starred: bool) -> Attributes {
    if dice.once_in(6) {
        return Attributes::path(dice.of(VERBS), dice.of(PATHS));
    }
    let mut part =
        |choices: &[&str]| if starred && dice.once_in(20) { "*".to_owned() } else { dice.of(choices).to_owned() };
    Attributes {
        verb: part(VERBS),
        group: part(GROUPS),
        resource: part(RESOURCES),
        subresource: part(&["", "", "s"]),
        namespace: part(&["", "n1", "n1", "n2"]),
        name: part(&[&["", ""], NAMES].concat()),
        ..Attributes::default()
    }
}

/// A request that the rule covers, in the namespace; or, once in three times, with one part left to chance.
pub(super) fn aimed(dice: &mut Dice, rule: &Rule, namespace: &str) -> Attributes {
    let mut asked = request(dice, false);
    let spoilt = if dice.once_in(3) { dice.below(4) } else { usize::MAX };
    let pick = |dice: &mut Dice, list: &[String], or: String| match list.get(dice.below(list.len().max(1))) {
        Some(entry) if entry != "*" => entry.clone(),
        _ => or,
    };
    if spoilt != 0 {
        asked.verb = pick(dice, &rule.verbs, asked.verb);
    }
    if !rule.urls.is_empty() {
        let url = pick(dice, &rule.urls, "/any".to_owned());
        return Attributes::path(&asked.verb, &if spoilt == 1 { asked.path } else { url.replace('*', "q") });
    }
    if spoilt != 1 {
        asked.group = pick(dice, &rule.groups, asked.group);
    }
    if spoilt != 2 {
        let resource = pick(dice, &rule.resources, "b".to_owned());
        let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
        asked.resource = if resource == "*" { "a" } else { resource }.to_owned();
        subresource.clone_into(&mut asked.subresource);
    }
    if spoilt != 3 {
        asked.name = pick(dice, &rule.names, asked.name);
    }
    if asked.resource.is_empty() {
        asked.resource = "b".to_owned();
    }
    asked.path = String::new();
    namespace.clone_into(&mut asked.namespace);
    asked
}
