//! Why a request is allowed or not: every rule that was considered, what came close, and what would allow it.
//!
//! It names bindings, roles and subjects of the whole store: to be shown only to who may read those. Decides as
//! [`Policy::decide`] does, but looks at every rule. Texts are made when they are asked for.

use std::collections::HashSet;

use super::Attributes;
use super::coverage::go_list;
use super::denial::combined;
use super::evaluate::{Grant, RuleGrant};
use super::policy::{Bound, Policy};
use super::rules::{Binding, Role, Rule, Subject};
use super::suggestion::{self, Suggestion};
use crate::model::field_error::go_quote;
use crate::model::user::{GROUP_MASTERS, User};

/// Near misses that are listed.
const MAX_NEAR_MISSES: usize = 50;
/// Entries of a list that a text shows.
const MAX_SHOWN: usize = 8;

/// What [`explain`] finds.
pub struct Explanation<'a> {
    policy: &'a Policy,
    user: &'a User,
    attributes: &'a Attributes,
    /// Whether the request is allowed.
    pub allowed: bool,
    /// What allows it, as [`Policy::decide`] tells.
    pub grant: Option<Grant>,
    /// The bindings that apply, in the order in which they are considered.
    pub considered: Vec<Considered<'a>>,
    /// Of a request that is not allowed: rules that cover it and are not granted to the user here, nearest first.
    pub near_misses: Vec<NearMiss<'a>>,
    /// How many more there are.
    pub near_misses_left_out: usize,
    /// Roles that bindings of the user refer to and that are not there.
    pub errors: Vec<String>,
}

/// A binding that applies to the user in the namespace of the request.
pub struct Considered<'a> {
    /// The binding.
    pub binding: &'a Binding,
    /// Which of its subjects the user is.
    pub subject: &'a Subject,
    /// Its role; `None` where that is not there.
    pub role: Option<&'a Role>,
    /// One for each rule of the role, in order.
    pub verdicts: Vec<Verdict>,
}

/// What is wrong with a rule for a request; nothing if it covers it.
pub struct Verdict {
    /// The parts that do not match.
    pub mismatches: Vec<Part>,
}

impl Verdict {
    fn of(rule: &Rule, asked: &Attributes) -> Self {
        let parts = if !asked.is_resource() {
            let is_for_paths = !rule.non_resource_urls.is_empty();
            [
                (rule.has_verb(&asked.verb), Part::Verb),
                (is_for_paths, Part::IsForResources),
                (!is_for_paths || rule.has_path(&asked.path), Part::Path),
                (true, Part::Name),
            ]
        } else if rule.resources.is_empty() && !rule.non_resource_urls.is_empty() {
            [
                (false, Part::IsForPaths),
                (rule.has_verb(&asked.verb), Part::Verb),
                (true, Part::Group),
                (true, Part::Name),
            ]
        } else {
            [
                (rule.has_verb(&asked.verb), Part::Verb),
                (rule.has_group(&asked.group), Part::Group),
                (rule.has_resource(&asked.resource, &asked.subresource), Part::Resource),
                (rule.has_name(&asked.name), Part::Name),
            ]
        };
        Self { mismatches: parts.into_iter().filter(|(matches, _)| !matches).map(|(_, part)| part).collect() }
    }

    /// Whether the rule covers the request.
    pub fn allows(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// A part of a rule that does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `verbs`
    Verb,
    /// `apiGroups`
    Group,
    /// `resources`
    Resource,
    /// `resourceNames`
    Name,
    /// `nonResourceURLs`
    Path,
    /// The request is for a resource.
    IsForPaths,
    /// The request is for a path.
    IsForResources,
}

impl Part {
    /// What does not match, in a sentence without its end.
    pub fn why(self, rule: &Rule, asked: &Attributes) -> String {
        match self {
            Self::Verb => format!("verb {} is not one of {}", go_quote(&asked.verb), shown(&rule.verbs)),
            Self::Group => format!("API group {} is not one of {}", go_quote(&asked.group), shown(&rule.api_groups)),
            Self::Resource => {
                let (wanted, whole) = (combined(asked), format!("{}/*", asked.resource));
                let note = if asked.subresource.is_empty() {
                    String::new()
                } else if rule.resources.contains(&whole) {
                    format!(" ({} is not a wildcard)", go_quote(&whole))
                } else if rule.resources.contains(&asked.resource) {
                    format!(" ({} does not cover its subresources)", go_quote(&asked.resource))
                } else {
                    String::new()
                };
                format!("resource {} is not one of {}{note}", go_quote(&wanted), shown(&rule.resources))
            }
            Self::Name if asked.name.is_empty() => {
                format!("the rule is for the names {}, and the request has no name", shown(&rule.resource_names))
            }
            Self::Name => format!("name {} is not one of {}", go_quote(&asked.name), shown(&rule.resource_names)),
            Self::Path => format!("path {} is not one of {}", go_quote(&asked.path), shown(&rule.non_resource_urls)),
            Self::IsForPaths => "the rule is for paths, not for resources".to_owned(),
            Self::IsForResources => "the rule is for resources, not for paths".to_owned(),
        }
    }
}

/// A rule that covers the request and does not reach the user.
pub struct NearMiss<'a> {
    /// The role.
    pub role: &'a Role,
    /// Index of the rule in the role.
    pub rule: usize,
    /// The binding that grants it elsewhere or to others; `None` where none does.
    pub binding: Option<&'a Binding>,
    /// What stands between.
    pub obstacle: Obstacle,
}

/// Why a rule that covers a request does not reach a user. In the order of how near that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// A RoleBinding grants it to the user, in another namespace.
    OtherNamespace,
    /// A RoleBinding grants it to the user, and it is for a path, which needs a ClusterRoleBinding.
    PathByRoleBinding,
    /// A binding that counts here grants it to others.
    OtherSubjects,
    /// No binding grants it here.
    NotBound,
}

impl NearMiss<'_> {
    /// What came near, in a sentence without its end.
    pub fn text(&self, user: &User) -> String {
        let Some(binding) = self.binding else {
            return format!("{} covers it, but no binding grants that here", self.role);
        };
        let who = go_quote(&user.name);
        match self.obstacle {
            Obstacle::OtherNamespace => {
                format!("{binding} grants it to user {who}, but only in the namespace {}", go_quote(&binding.namespace))
            }
            Obstacle::PathByRoleBinding => {
                format!("{binding} covers it, but rules for paths take effect only by a ClusterRoleBinding")
            }
            Obstacle::OtherSubjects | Obstacle::NotBound => {
                format!("{binding} grants it, but neither to user {who} nor to a group of theirs")
            }
        }
    }
}

/// Looks at every rule that applies to the user, and at what else would cover the request.
pub fn explain<'a>(policy: &'a Policy, user: &'a User, attributes: &'a Attributes) -> Explanation<'a> {
    let mut explanation = Explanation {
        policy,
        user,
        attributes,
        allowed: false,
        grant: None,
        considered: Vec::new(),
        near_misses: Vec::new(),
        near_misses_left_out: 0,
        errors: Vec::new(),
    };
    if user.is_in(GROUP_MASTERS) {
        explanation.grant = Some(Grant::Masters);
    }
    for (bound, index) in policy.scopes(attributes.scope()).flat_map(|scope| scope.applying(user)) {
        explanation.consider(bound, index);
    }
    explanation.allowed = explanation.grant.is_some();
    if !explanation.allowed {
        explanation.find_near_misses();
    }
    explanation
}

impl<'a> Explanation<'a> {
    fn consider(&mut self, bound: &'a Bound, index: usize) {
        let Some(subject) = bound.binding.subjects.get(index) else { return };
        let rules = bound.role.iter().flat_map(|role| role.rules.iter());
        let verdicts: Vec<Verdict> = rules.map(|rule| Verdict::of(rule, self.attributes)).collect();
        match (&bound.role, verdicts.iter().position(Verdict::allows)) {
            (Some(role), Some(rule)) if self.grant.is_none() => {
                self.grant = Some(Grant::Rule(RuleGrant {
                    binding: bound.binding.clone(),
                    role: role.clone(),
                    subject: index,
                    rule,
                }));
            }
            (None, _) => self.errors.push(bound.binding.role_not_found()),
            _ => {}
        }
        let role = bound.role.as_deref();
        self.considered.push(Considered { binding: &bound.binding, subject, role, verdicts });
    }

    fn find_near_misses(&mut self) {
        let attributes = self.attributes;
        let covering = |role: &Role| role.rules.iter().position(|rule| rule.allows(attributes));
        let (mut found, mut bound_here) = (Vec::new(), HashSet::new());
        for bound in self.policy.all_bindings() {
            let (binding, Some(role)) = (&*bound.binding, bound.role.as_deref()) else { continue };
            let Some(rule) = covering(role) else { continue };
            let is_here = !binding.kind.namespaced || *binding.namespace == *attributes.scope();
            let names_user =
                binding.subjects.iter().any(|subject| subject.applies_to(&self.user.name, &self.user.groups));
            let obstacle = match (is_here, names_user) {
                (true, _) => Obstacle::OtherSubjects,
                (false, true) if attributes.is_resource() => Obstacle::OtherNamespace,
                (false, true) => Obstacle::PathByRoleBinding,
                (false, false) => continue,
            };
            bound_here.insert(std::ptr::from_ref(role));
            found.push(NearMiss { role, rule, binding: Some(binding), obstacle });
        }
        for role in self.policy.roles.values().map(|role| &**role) {
            let counts_here = !role.kind.namespaced || *role.namespace == *attributes.scope();
            if counts_here && !bound_here.contains(&std::ptr::from_ref(role)) {
                let near = |rule| NearMiss { role, rule, binding: None, obstacle: Obstacle::NotBound };
                found.extend(covering(role).map(near));
            }
        }
        found.sort_by_key(|near| near.obstacle);
        self.near_misses_left_out = found.len().saturating_sub(MAX_NEAR_MISSES);
        found.truncate(MAX_NEAR_MISSES);
        self.near_misses = found;
    }

    /// Why it is allowed, or what is missing: one line.
    pub fn summary(&self) -> String {
        let who = go_quote(&self.user.name);
        match &self.grant {
            Some(Grant::Masters) => {
                return format!("user {who} is in the group \"{GROUP_MASTERS}\", which may do everything");
            }
            Some(grant) => return grant.reason(),
            None => {}
        }
        let missing = match self.closest() {
            _ if self.considered.is_empty() => "no binding that counts here is for them".to_owned(),
            Some((one, index, part)) => {
                let rule = one.role.and_then(|role| role.rules.get(index));
                let why = rule.map(|rule| part.why(rule, self.attributes)).unwrap_or_default();
                format!("the closest rule is number {index} by {}, but {why}", one.binding)
            }
            None => "no rule that they are granted comes close".to_owned(),
        };
        let near = self.near_misses.first().map(|near| format!("; {}", near.text(self.user))).unwrap_or_default();
        format!("user {who} may not {}: {missing}{near}", self.asked())
    }

    /// The first rule that fails in one part only, and that part.
    fn closest(&self) -> Option<(&Considered<'a>, usize, Part)> {
        self.considered.iter().find_map(|one| {
            one.verdicts.iter().enumerate().find_map(|(index, verdict)| match verdict.mismatches[..] {
                [part] if ![Part::IsForPaths, Part::IsForResources].contains(&part) => Some((one, index, part)),
                _ => None,
            })
        })
    }

    fn asked(&self) -> String {
        let asked = self.attributes;
        if !asked.is_resource() {
            return format!("{} path {}", asked.verb, go_quote(&asked.path));
        }
        let group = if asked.group.is_empty() { String::new() } else { format!(".{}", asked.group) };
        let name = if asked.name.is_empty() { String::new() } else { format!(" {}", go_quote(&asked.name)) };
        let scope = match asked.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", go_quote(namespace)),
        };
        format!("{} {}{group}{name} {scope}", asked.verb, combined(asked))
    }

    /// The smallest role and binding that would allow it; `None` where it is allowed, or where there is nobody to
    /// grant it to.
    pub fn suggestion(&self) -> Option<Suggestion> {
        if self.allowed { None } else { suggestion::suggest(self.policy, self.user, self.attributes) }
    }
}

fn shown(entries: &[String]) -> String {
    let list = go_list(entries.get(..MAX_SHOWN).unwrap_or(entries));
    match entries.len().saturating_sub(MAX_SHOWN) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
