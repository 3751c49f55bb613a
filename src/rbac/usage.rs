//! Which grants nobody has used: what requests were seen is compared with what rules allow.
//!
//! A grant is a rule, given by a binding to one of its subjects. It is used if it would allow a request that was seen,
//! also where another grant allows it as well: taking away only unused grants takes nothing from anybody. Says nothing
//! about requests that were not seen.

use std::collections::HashSet;
use std::sync::Arc;

use super::Attributes;
use super::policy::{Policy, Scope};
use super::rules::{Binding, Role, Subject};

/// A grant that no request has used.
#[derive(Debug, Clone)]
pub struct UnusedGrant {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The subject of the binding.
    pub subject: Subject,
    /// The role, with its effective rules.
    pub role: Arc<Role>,
    /// Index in `role.rules`.
    pub rule: usize,
    /// Whether the server makes the binding for itself (label `kubernetes.io/bootstrapping`) and would make it again.
    pub bootstrap: bool,
}

/// Compares requests with a policy.
pub struct Usage<'a> {
    policy: &'a Policy,
    used: HashSet<Grant<'a>>,
    window: Option<(i64, i64)>,
}

/// Namespace, and the indexes of binding, subject and rule.
type Grant<'a> = (&'a str, usize, usize, usize);

impl<'a> Usage<'a> {
    /// Nothing was seen yet.
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, used: HashSet::new(), window: None }
    }

    /// Takes in a request that was allowed, made at `unix_seconds`.
    pub fn observe(&mut self, user: &str, groups: &[String], attributes: &Attributes, unix_seconds: i64) {
        let (first, last) = self.window.unwrap_or((unix_seconds, unix_seconds));
        self.window = Some((first.min(unix_seconds), last.max(unix_seconds)));
        let (policy, used) = (self.policy, &mut self.used);
        for scope in policy.scopes(attributes.scope()) {
            for (at, _) in scope.applicable(user, groups) {
                let Some((bound, role)) = scope.bindings.get(at).and_then(|bound| Some((bound, bound.role.as_ref()?)))
                else {
                    continue;
                };
                let rules = || role.rules.iter().enumerate().filter(|(_, rule)| rule.allows(attributes));
                let subjects = bound.binding.subjects.iter().enumerate();
                for (subject, _) in subjects.filter(|(_, subject)| subject.applies_to(user, groups)) {
                    used.extend(rules().map(|(rule, _)| (&*bound.binding.namespace, at, subject, rule)));
                }
            }
        }
    }

    /// Unix seconds of the first and the last request that was seen: what "unused" speaks of.
    pub fn window(&self) -> Option<(i64, i64)> {
        self.window
    }

    /// The grants that no request has used: those of the cluster by binding, then those of namespaces.
    pub fn unused(self) -> Vec<UnusedGrant> {
        let mut namespaces: Vec<(&str, &Scope)> =
            self.policy.namespaces.iter().map(|(namespace, scope)| (&**namespace, scope)).collect();
        namespaces.push(("", &self.policy.cluster));
        namespaces.sort_unstable_by_key(|(namespace, _)| *namespace);
        let mut unused = Vec::new();
        for (namespace, scope) in namespaces {
            for (at, bound) in scope.bindings.iter().enumerate() {
                let Some(role) = &bound.role else { continue };
                for (index, subject) in bound.binding.subjects.iter().enumerate() {
                    let rules =
                        (0..role.rules.len()).filter(|rule| !self.used.contains(&(namespace, at, index, *rule)));
                    unused.extend(rules.map(|rule| UnusedGrant {
                        binding: Arc::clone(&bound.binding),
                        subject: subject.clone(),
                        role: Arc::clone(role),
                        rule,
                        bootstrap: bound.binding.bootstrap,
                    }));
                }
            }
        }
        unused
    }
}
