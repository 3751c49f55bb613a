//! The decision: the first rule of the first binding that allows, or no opinion.
//!
//! RBAC never denies; who is allowed by nothing has no permission. Builds no text where something allows.
//! Source: `pkg/registry/rbac/validation` and `plugin/pkg/auth/authorizer/rbac` of Kubernetes.

use std::sync::Arc;

use super::Attributes;
use super::matching::Reach;
use super::policy::{Policy, Scope};
use super::rules::{Binding, Role, Rule, Subject};
use crate::model::user::{GROUP_MASTERS, User};

/// What the policy says of a request.
#[derive(Debug)]
pub enum Decision {
    /// Allowed, and by what.
    Allowed(Grant),
    /// Nothing allows it.
    NoOpinion {
        /// Why some bindings could not be considered: `role.rbac.authorization.k8s.io "x" not found`.
        errors: Vec<String>,
    },
}

impl Decision {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    /// `status.reason` of an access review: `RBAC: allowed by …`, `RBAC: role… not found`, or nothing.
    pub fn reason(&self) -> String {
        match self {
            Self::Allowed(grant) => grant.reason(),
            Self::NoOpinion { errors } if errors.is_empty() => String::new(),
            Self::NoOpinion { errors } => format!("RBAC: {}", aggregate(errors)),
        }
    }
}

/// What allowed a request. Cheap to clone and to keep.
#[derive(Debug, Clone)]
pub enum Grant {
    /// The user is in `system:masters`, which may do everything.
    Masters,
    /// A rule of a role, by a binding.
    Rule(RuleGrant),
}

impl Grant {
    /// Kubernetes' text, which is empty for `system:masters`:
    /// `RBAC: allowed by RoleBinding "b1/t4" of Role "reader" to User "bob"`.
    pub fn reason(&self) -> String {
        match self {
            Self::Masters => String::new(),
            Self::Rule(RuleGrant { binding, .. }) => match self.subject() {
                Some(subject) => format!("RBAC: allowed by {binding} to {subject}"),
                None => format!("RBAC: allowed by {binding}"),
            },
        }
    }

    /// The subject of the binding that the user is.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Masters => None,
            Self::Rule(grant) => grant.binding.subjects.get(grant.subject),
        }
    }

    /// The rule that allowed.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Masters => None,
            Self::Rule(grant) => grant.role.rules.get(grant.rule).map(|rule| &**rule),
        }
    }
}

/// A rule of a role, granted by a binding to one of its subjects.
#[derive(Debug, Clone)]
pub struct RuleGrant {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The role, with its effective rules.
    pub role: Arc<Role>,
    /// Index in `binding.subjects`.
    pub subject: usize,
    /// Index in `role.rules`.
    pub rule: usize,
}

impl Policy {
    /// Decides: `system:masters`, then ClusterRoleBindings by name, then RoleBindings of the namespace by name.
    pub fn decide(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.is_in(GROUP_MASTERS) {
            return Decision::Allowed(Grant::Masters);
        }
        let wanted = Reach::of_request(attributes);
        let found = self.scopes_of(attributes).find_map(|scope| scope.first_allowing(user, attributes, wanted));
        match found {
            Some(grant) => Decision::Allowed(Grant::Rule(grant)),
            None => Decision::NoOpinion { errors: self.errors(user, attributes.scope()) },
        }
    }

    /// Whether `user` may do what `attributes` say.
    pub fn allows(&self, user: &User, attributes: &Attributes) -> bool {
        let wanted = Reach::of_request(attributes);
        user.is_in(GROUP_MASTERS)
            || self.scopes_of(attributes).any(|scope| scope.first_allowing(user, attributes, wanted).is_some())
    }

    /// The roles that bindings of this user refer to and that are not there, as Kubernetes says it.
    pub(super) fn errors(&self, user: &User, namespace: &str) -> Vec<String> {
        let dangling = self.scopes(namespace).filter(|scope| scope.has_dangling);
        let bound = dangling.flat_map(|scope| scope.applying(user).map(|(bound, _)| bound));
        bound.filter(|bound| bound.role.is_none()).map(|bound| bound.binding.role_not_found()).collect()
    }

    fn scopes_of(&self, attributes: &Attributes) -> impl Iterator<Item = &Scope> {
        self.scopes(attributes.scope())
    }
}

impl Attributes {
    /// The namespace whose bindings apply: none for a path.
    pub(super) fn scope(&self) -> &str {
        if self.is_resource() { &self.namespace } else { "" }
    }
}

impl Scope {
    /// Of the bindings that allow the request the first by name, of its subjects that apply the first.
    fn first_allowing(&self, user: &User, asked: &Attributes, wanted: Reach) -> Option<RuleGrant> {
        let mut first: Option<(usize, usize, usize)> = None;
        for entries in self.entries(&user.name, &user.groups) {
            for entry in entries.iter().filter(|entry| entry.reach.holds(wanted)) {
                match first {
                    Some((binding, ..)) if entry.binding > binding => break,
                    Some((binding, subject, rule)) if entry.binding == binding => {
                        first = Some((binding, subject.min(entry.subject), rule));
                    }
                    _ => {
                        if let Some(rule) = self.allowing_rule(entry.binding, asked) {
                            first = Some((entry.binding, entry.subject, rule));
                            break;
                        }
                    }
                }
            }
        }
        let (binding, subject, rule) = first?;
        let bound = self.bindings.get(binding)?;
        Some(RuleGrant { binding: Arc::clone(&bound.binding), role: Arc::clone(bound.role.as_ref()?), subject, rule })
    }

    fn allowing_rule(&self, binding: usize, asked: &Attributes) -> Option<usize> {
        let role = self.bindings.get(binding)?.role.as_ref()?;
        role.rules.iter().position(|rule| rule.allows(asked))
    }
}

/// Several errors as Kubernetes joins them: each once, in brackets if there are several.
pub(super) fn aggregate(errors: &[String]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for error in errors {
        if !distinct.contains(&error.as_str()) {
            distinct.push(error);
        }
    }
    match distinct.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(", ")),
    }
}
