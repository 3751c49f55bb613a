//! Everyone who may do something: the question of an access review, asked the other way round.
//!
//! Names subjects of bindings, not users: who is in a group, only the authenticators know.

use std::sync::Arc;

use super::Attributes;
use super::evaluate::{Grant, RuleGrant};
use super::policy::Policy;
use super::rules::{Subject, SubjectKind};
use crate::model::user::GROUP_MASTERS;

/// A subject that may do what was asked about.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The user, group or service account.
    pub subject: Subject,
    /// By what: of each binding that grants it the first rule.
    pub grant: Grant,
}

/// All holders by subject, then by binding: those of the cluster before those of the namespace. `system:masters` is
/// always among them, by no binding.
pub fn who_can(policy: &Policy, attributes: &Attributes) -> Vec<Holder> {
    let group: Arc<str> = GROUP_MASTERS.into();
    let masters =
        Subject { kind: SubjectKind::Group, name: Arc::clone(&group), namespace: "".into(), key: Some(group) };
    let mut holders = vec![Holder { subject: masters, grant: Grant::Masters }];
    for bound in policy.scopes(attributes.scope()).flat_map(|scope| &scope.bindings) {
        let Some(role) = &bound.role else { continue };
        let Some(rule) = role.rules.iter().position(|rule| rule.allows(attributes)) else { continue };
        for (index, subject) in bound.binding.subjects.iter().enumerate() {
            let earlier = bound.binding.subjects.iter().take(index);
            if subject.key.is_some() && !earlier.into_iter().any(|other| other == subject) {
                let grant =
                    RuleGrant { binding: Arc::clone(&bound.binding), role: Arc::clone(role), subject: index, rule };
                holders.push(Holder { subject: subject.clone(), grant: Grant::Rule(grant) });
            }
        }
    }
    // Stable: the bindings of a subject stay in the order in which they are considered.
    holders.sort_by(|a, b| a.subject.cmp(&b.subject));
    holders
}
