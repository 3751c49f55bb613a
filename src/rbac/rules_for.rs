//! Every rule that applies to a user in a namespace, as a SelfSubjectRulesReview shows them and escalation compares.
//!
//! The rules are those of the roles, unmerged. Source: `AuthorizationRuleResolver.RulesFor` of Kubernetes, which also
//! lists rules for paths that a RoleBinding refers to, though they take effect only by a ClusterRoleBinding.

use std::sync::Arc;

use serde_json::{Value, json};

use super::evaluate::aggregate;
use super::policy::Policy;
use super::rules::Rule;
use crate::model::user::User;

/// The rules of a user in a namespace.
#[derive(Debug, Clone, Default)]
pub struct ApplicableRules {
    /// Those by ClusterRoleBindings, then those by RoleBindings of the namespace.
    pub rules: Vec<Arc<Rule>>,
    /// Roles that bindings refer to and that are not there, as Kubernetes says it.
    pub errors: Vec<String>,
}

impl Policy {
    /// The rules that apply; with an empty `namespace` those for the whole cluster.
    pub fn rules_for(&self, user: &User, namespace: &str) -> ApplicableRules {
        let mut found = ApplicableRules::default();
        for (bound, _) in self.scopes(namespace).flat_map(|scope| scope.applying(user)) {
            match &bound.role {
                Some(role) => found.rules.extend(role.rules.iter().cloned()),
                None => found.errors.push(bound.binding.role_not_found()),
            }
        }
        found
    }
}

impl ApplicableRules {
    /// `status` of a SelfSubjectRulesReview.
    pub fn to_status(&self) -> Value {
        let all = |chosen: fn(&Rule) -> bool| -> Value {
            self.rules.iter().filter(|rule| chosen(rule)).map(|rule| rule.to_value()).collect()
        };
        let mut status = json!({
            "resourceRules": all(|rule| !rule.resources.is_empty()),
            "nonResourceRules": all(|rule| !rule.non_resource_urls.is_empty()),
            "incomplete": false,
        });
        if let (Some(fields), Some(error)) = (status.as_object_mut(), self.error()) {
            fields.insert("evaluationError".to_owned(), error.into());
        }
        status
    }

    /// The errors as one text.
    pub fn error(&self) -> Option<String> {
        (!self.errors.is_empty()).then(|| aggregate(&self.errors))
    }
}
