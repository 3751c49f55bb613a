//! May this user do this? Attributes and a user go in; a [`Permit`] or a [`Denial`] comes out.
//!
//! Pure: no I/O, no async, no clock. A `Permit` has private fields and is made only here, by an allow;
//! everything that touches objects reads kind, namespace and name from it, so that what was checked is
//! what is done.
//!
//! A [`PolicySet`] follows the stored roles and bindings and is compiled to a [`Policy`], which decides.

mod aggregation;
mod attributes;
pub mod bootstrap;
mod coverage;
mod denial;
mod escalation;
mod evaluate;
mod explain;
mod matching;
mod policy;
mod rules;
mod rules_for;
mod suggestion;
mod usage;
mod who_can;

use std::sync::Arc;

pub use self::attributes::Attributes;
pub use self::denial::Denial;
pub use self::escalation::{Refusal, check_binding, check_role, check_size};
pub use self::evaluate::{Decision, Grant, RuleGrant};
pub use self::explain::{Considered, Explanation, NearMiss, Obstacle, Part, Verdict, explain};
pub use self::policy::{Aggregated, Policy, PolicySet};
pub use self::rules::{Binding, Role, RoleRef, Rule, Rules, Subject, SubjectKind};
pub use self::rules_for::ApplicableRules;
pub use self::suggestion::Suggestion;
pub use self::usage::{UnusedGrant, Usage};
pub use self::who_can::{Holder, who_can};

use crate::model::kinds::{CLUSTER, Kind};
use crate::model::user::User;

/// Proof that `user` was allowed to do what `attributes` say.
pub struct Permit {
    user: Arc<User>,
    attributes: Attributes,
    grant: Option<Grant>,
    is_consequence: bool,
}

impl Permit {
    /// The user who was allowed.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// What was allowed.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What allowed it; `None` for a consequence of another permit.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Whether it is for what another, allowed request brings with it.
    pub fn is_consequence(&self) -> bool {
        self.is_consequence
    }

    /// Kind of the objects this permit opens; `None` for a non-resource request.
    pub fn kind(&self) -> Option<&'static Kind> {
        self.attributes.kind
    }

    /// Namespace, or `""` for cluster scope and for all namespaces.
    pub fn namespace(&self) -> &str {
        &self.attributes.namespace
    }

    /// Object name, or `""`.
    pub fn name(&self) -> &str {
        &self.attributes.name
    }

    /// A permit for the server's own work on one kind of one namespace: emptying a namespace that an
    /// allowed request deleted, collecting dependents of an object that an allowed request deleted. It can
    /// only be derived from the permit of that request.
    #[must_use]
    pub fn consequence(&self, component: &str, attributes: Attributes) -> Self {
        Self { user: Arc::new(User::system(component)), attributes, grant: None, is_consequence: true }
    }

    /// The permit for one object of the collection that was allowed to be deleted.
    #[must_use]
    pub fn consequence_of_collection(&self, namespace: &str, name: &str) -> Self {
        let attributes = Attributes {
            verb: "delete".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..self.attributes.clone()
        };
        Self { user: Arc::clone(&self.user), attributes, grant: self.grant.clone(), is_consequence: true }
    }
}

/// Proof that somebody may `use` a Cluster now: what opens its kubeconfig, and nothing else.
pub struct ClusterPermit {
    name: String,
}

impl ClusterPermit {
    /// Name of the Cluster.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether a user may `use` the Cluster of this name.
pub fn authorize_use(policy: &Policy, user: &Arc<User>, name: &str) -> Result<ClusterPermit, Denial> {
    authorize(policy, user, Attributes::object("use", &CLUSTER, "", name))
        .map(|_| ClusterPermit { name: name.to_owned() })
}

/// Decides, and hands out the permit.
pub fn authorize(policy: &Policy, user: &Arc<User>, attributes: Attributes) -> Result<Permit, Denial> {
    match policy.decide(user, &attributes) {
        Decision::Allowed(grant) => {
            Ok(Permit { user: Arc::clone(user), attributes, grant: Some(grant), is_consequence: false })
        }
        no_opinion @ Decision::NoOpinion { .. } => Err(Denial::of_request(user, &attributes, &no_opinion.reason())),
    }
}

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
