//! Before anything is written: which rights a cluster's credential lacks for it.
//!
//! One SelfSubjectRulesReview for each namespace says it of any number of objects. Where the cluster says that its list is
//! not complete, what is not in it is asked for one by one (SelfSubjectAccessReview).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::decide::State;
use super::refusal::RemoteError;
use super::remote::Remote;
use super::report::TargetReport;

/// What is asked for one by one, of one cluster.
const ASKED_MAX: usize = 300;

/// What a credential may do with Secrets of a namespace.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// The list has everything.
    is_complete: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    verbs: Vec<String>,
    /// Empty is all.
    names: Vec<String>,
}

impl Rules {
    /// From the status of a SelfSubjectRulesReview.
    pub fn read(status: &Value) -> Self {
        let texts = |rule: &Value, field: &str| -> Vec<String> {
            let listed = rule.get(field).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let has = |listed: &[String], wanted: &str| listed.iter().any(|one| one == wanted || one == "*");
        let rules = status.get("resourceRules").and_then(Value::as_array).into_iter().flatten();
        let of_secrets =
            rules.filter(|rule| has(&texts(rule, "apiGroups"), "") && has(&texts(rule, "resources"), "secrets"));
        let rules = of_secrets.map(|rule| Rule { verbs: texts(rule, "verbs"), names: texts(rule, "resourceNames") });
        let is_complete = !status.get("incomplete").and_then(Value::as_bool).unwrap_or(true);
        Self { is_complete, rules: rules.collect() }
    }

    fn allow(&self, verb: &str, name: &str) -> bool {
        self.rules.iter().any(|rule| {
            rule.verbs.iter().any(|one| one == verb || one == "*")
                && (rule.names.is_empty() || rule.names.iter().any(|one| one == name))
        })
    }
}

/// The rights that are missing to write these targets, in words: `patch secrets "db" in namespace "shop"`.
pub async fn missing_rights(remote: &Remote, targets: &[TargetReport]) -> Result<Vec<String>, RemoteError> {
    let mut namespaces: BTreeMap<&str, Vec<&TargetReport>> = BTreeMap::new();
    for target in targets {
        namespaces.entry(&target.namespace).or_default().push(target);
    }
    let (mut missing, mut asked) = (Vec::new(), 0);
    for (namespace, targets) in namespaces {
        let rules = remote.rules(namespace).await?;
        for target in targets {
            for verb in needed(target) {
                if rules.allow(verb, &target.name) {
                    continue;
                }
                let may_be_allowed = !rules.is_complete && asked < ASKED_MAX;
                asked += usize::from(may_be_allowed);
                if may_be_allowed && remote.may(&attributes(verb, target)).await? {
                    continue;
                }
                missing.push(format!("{verb} secrets {:?} in namespace {namespace:?}", target.name));
            }
        }
    }
    Ok(missing)
}

/// An apply of what is there is a patch; of what is not, a create besides.
fn needed(target: &TargetReport) -> &'static [&'static str] {
    if target.state == State::Missing { &["get", "create", "patch"] } else { &["get", "patch"] }
}

fn attributes(verb: &str, target: &TargetReport) -> Value {
    json!({"verb": verb, "resource": "secrets", "namespace": target.namespace, "name": target.name})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_allow_what_they_list_of_secrets() {
        let rules = Rules::read(&json!({"incomplete": false, "resourceRules": [
            {"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"]},
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]},
            {"verbs": ["create"], "apiGroups": [""], "resources": ["configmaps"]},
        ]}));
        assert!(rules.is_complete && rules.allow("get", "db"));
        assert!(!rules.allow("get", "other") && !rules.allow("create", "db") && !rules.allow("delete", "db"));
        let all = Rules::read(&json!({"incomplete": true, "resourceRules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        ]}));
        assert!(!all.is_complete && all.allow("create", "db"));
        assert_eq!(Rules::read(&Value::Null), Rules { is_complete: false, rules: Vec::new() });
    }

    #[test]
    fn a_create_is_needed_where_there_is_nothing_yet() {
        let mut target = TargetReport::of("east", "shop", "db");
        assert_eq!(needed(&target), ["get", "patch"]);
        target.state = State::Missing;
        assert_eq!(needed(&target), ["get", "create", "patch"]);
    }
}
