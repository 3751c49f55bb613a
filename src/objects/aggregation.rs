//! Aggregated cluster roles: their stored rules follow the roles that their selectors match.
//!
//! What decides access puts the rules together by itself ([`crate::rbac::Policy`]), so authority never waits for
//! this; it is for those who read the objects. Written before the change that caused it is answered.

use serde_json::Value;

use super::finish::Change;
use super::{Error, Objects, Request, fields};
use crate::model::kinds::CLUSTER_ROLE;
use crate::model::user::User;
use crate::rbac::Attributes;

/// The field manager, as in Kubernetes.
const MANAGER: &str = "clusterrole-aggregation-controller";
/// Passes while others keep changing the same roles.
const ATTEMPTS: usize = 16;

/// Whether a write is one of those made here, which cause no other.
pub(super) fn is_own_work(request: Request<'_>) -> bool {
    request.permit.is_consequence() && request.permit.user().name == User::system(MANAGER).name
}

impl Objects {
    /// Writes the rules of every aggregated cluster role whose stored ones are not what they come to. Best effort: what
    /// fails is logged, and is made good by the next change of a cluster role or the next start.
    pub async fn settle_aggregation(&self, request: Request<'_>) {
        for _ in 0..ATTEMPTS {
            let access = self.access();
            let stale = access.policy.aggregated().filter(|role| role.is_stale);
            let stale: Vec<(String, Value)> = stale.map(|role| (role.name.to_string(), role.to_value())).collect();
            if stale.is_empty() {
                return;
            }
            for (name, rules) in stale {
                match self.write_rules(request, &name, rules).await {
                    Ok(()) | Err(Error::Conflict(..) | Error::NotFound(_)) => {}
                    Err(_) => {
                        tracing::warn!(object.name = name, "the rules of an aggregated role could not be written");
                        return;
                    }
                }
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a role holds no secret values")]
    async fn write_rules(&self, request: Request<'_>, name: &str, rules: Value) -> Result<(), Error> {
        let permit = request.permit.consequence(MANAGER, Attributes::object("patch", &CLUSTER_ROLE, "", name));
        let request = Request { permit: &permit, facts: request.facts };
        let loaded = self.get(request)?;
        let document = self.document(&loaded)?;
        let config = serde_json::json!({
            "apiVersion": CLUSTER_ROLE.api_version, "kind": CLUSTER_ROLE.kind, "metadata": {"name": name},
            "rules": rules,
        });
        let now = self.now();
        let writer = Self::writer(&CLUSTER_ROLE, request, MANAGER, &now);
        let applied = fields::apply(CLUSTER_ROLE.message, Some(document.expose()), &config, true, &writer);
        let mut object = applied.map_err(Error::Apply)?.object;
        crate::model::defaults::apply_defaults(&CLUSTER_ROLE, &mut object);
        let change = Change::replace(&CLUSTER_ROLE, "", &object, loaded.row_revision());
        Box::pin(self.commit(request, change, false)).await.map(|_| ())
    }
}
