//! What aggregated ClusterRoles grant: the rules of the roles that their selectors choose.
//!
//! Computed from labels and from the rules of roles that aggregate nothing, never from what an aggregated role has
//! stored. So a role that was taken out of an aggregation has lost its effect with the same change.
//! Source: `pkg/controller/clusterroleaggregation` of Kubernetes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::rules::{Role, Rule, Rules};

/// The effective rules of each aggregated role, by name: its selectors in order, of each the chosen roles by name,
/// without itself and without rules that are there already. Chains are followed and cycles end.
///
/// `roles` are all ClusterRoles, by name.
pub(super) fn effective_rules(roles: &BTreeMap<&str, &Arc<Role>>) -> Vec<(Arc<str>, Rules)> {
    let aggregated: Vec<&Role> =
        roles.values().map(|role| &***role).filter(|role| role.aggregation.is_some()).collect();
    let chosen: BTreeMap<&str, Vec<&Role>> = aggregated.iter().map(|role| (&*role.name, chosen(role, roles))).collect();
    aggregated
        .into_iter()
        .map(|role| {
            let mut gathering =
                Gathering { chosen: &chosen, seen: HashSet::new(), held: HashSet::new(), rules: Vec::new() };
            gathering.visit(role);
            (Arc::clone(&role.name), gathering.rules.into())
        })
        .collect()
}

fn chosen<'a>(role: &Role, roles: &BTreeMap<&str, &'a Arc<Role>>) -> Vec<&'a Role> {
    let selectors = role.aggregation.iter().flatten();
    selectors
        .flat_map(|selector| {
            roles.values().map(|other| &***other).filter(|other| {
                other.name != role.name && selector.matches(|key| other.labels.get(key).map(String::as_str))
            })
        })
        .collect()
}

/// One walk. Skipping a role that was visited changes nothing: all it gives is there already.
struct Gathering<'a, 'b> {
    chosen: &'b BTreeMap<&'a str, Vec<&'a Role>>,
    seen: HashSet<&'a str>,
    held: HashSet<&'a Rule>,
    rules: Vec<Arc<Rule>>,
}

impl<'a> Gathering<'a, '_> {
    fn visit(&mut self, start: &'a Role) {
        // A stack of its own: a chain may be as long as there are roles.
        let mut pending = vec![start];
        while let Some(role) = pending.pop() {
            if !self.seen.insert(&role.name) {
                continue;
            }
            match self.chosen.get(&*role.name) {
                Some(chosen) => pending.extend(chosen.iter().rev().copied()),
                None => self.take(role),
            }
        }
    }

    fn take(&mut self, role: &'a Role) {
        for rule in role.rules.iter() {
            if self.held.insert(rule) {
                self.rules.push(Arc::clone(rule));
            }
        }
    }
}
