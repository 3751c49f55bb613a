//! What an explanation tells, case by case.

use serde_json::{Value, json};

use super::*;
use crate::rbac::tests::{account, asked, user};
use crate::rbac::{PolicySet, Usage, who_can};

fn rule(verbs: &[&str], resources: &[&str], names: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [""], "resources": resources, "resourceNames": names})
}

fn set() -> PolicySet {
    PolicySet::default()
        .role("t", "reader", json!([rule(&["get", "list"], &["secrets"], &["a"]), rule(&["get"], &["maps"], &[])]))
        .role("t", "writer", json!([rule(&["update"], &["secrets"], &[])]))
        .role("u", "writer", json!([rule(&["update"], &["secrets"], &[])]))
        .role("", "metrics", json!([{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]))
        .bind("t", "b1", "Role:reader", &["Group:dev", "User:bob"])
        .bind("t", "b2", "Role:gone", &["User:bob"])
        .bind("t", "b3", "Role:writer", &["User:carol"])
        .bind("u", "b4", "Role:writer", &["User:bob"])
        .bind("u", "b5", "ClusterRole:metrics", &["User:bob"])
}

fn summary(line: &str) -> String {
    explain(&set().compile(), &user("bob", &[]), &asked(line)).summary()
}

#[test]
fn every_rule_that_applies_is_judged_in_order() {
    let (policy, bob, asked) = (set().compile(), user("bob", &[]), asked("update t secrets b"));
    let told = explain(&policy, &bob, &asked);
    let names: Vec<&str> = told.considered.iter().map(|one| &*one.binding.name).collect();
    assert_eq!(names, ["b1", "b2"]);
    let [first, second] = &told.considered[..] else { panic!() };
    assert_eq!(first.subject.to_string(), "User \"bob\"");
    let parts: Vec<&[Part]> = first.verdicts.iter().map(|verdict| &verdict.mismatches[..]).collect();
    assert_eq!(parts, [&[Part::Verb, Part::Name][..], &[Part::Verb, Part::Resource]]);
    assert!(second.role.is_none() && second.verdicts.is_empty());
    assert_eq!(told.errors, ["role.rbac.authorization.k8s.io \"gone\" not found"]);
    assert!(!told.allowed && told.grant.is_none());
}

#[test]
fn what_allows_is_what_the_decision_tells() {
    let (policy, bob, asked) = (set().compile(), user("bob", &["dev"]), asked("get t secrets a"));
    let told = explain(&policy, &bob, &asked);
    assert_eq!(told.summary(), policy.decide(&bob, &asked).reason());
    assert_eq!(told.summary(), "RBAC: allowed by RoleBinding \"b1/t\" of Role \"reader\" to Group \"dev\"");
    assert!(told.suggestion().is_none() && told.near_misses.is_empty());
    let masters = user("root", &[GROUP_MASTERS]);
    assert_eq!(
        explain(&policy, &masters, &asked).summary(),
        "user \"root\" is in the group \"system:masters\", which may do everything"
    );
}

#[test]
fn each_part_says_why_it_does_not_match() {
    let secrets = Rule::parse(&rule(&["get"], &["secrets", "maps/*"], &["a"]));
    let paths = Rule::parse(&json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}));
    for (rule, line, why) in [
        (&secrets, "list t secrets a", &["verb \"list\" is not one of [\"get\"]"][..]),
        (&secrets, "get t secrets.x a", &["API group \"x\" is not one of [\"\"]"]),
        (&secrets, "get t pods a", &["resource \"pods\" is not one of [\"secrets\" \"maps/*\"]"]),
        (
            &secrets,
            "get t secrets/status a",
            &["resource \"secrets/status\" is not one of [\"secrets\" \"maps/*\"] (\"secrets\" does not cover its \
               subresources)"],
        ),
        (
            &secrets,
            "get t maps/status a",
            &["resource \"maps/status\" is not one of [\"secrets\" \"maps/*\"] (\"maps/*\" is not a wildcard)"],
        ),
        (&secrets, "get t secrets b", &["name \"b\" is not one of [\"a\"]"]),
        (&secrets, "get t secrets -", &["the rule is for the names [\"a\"], and the request has no name"]),
        (&secrets, "get /metrics", &["the rule is for resources, not for paths"]),
        (&paths, "get /metrics/x", &["path \"/metrics/x\" is not one of [\"/metrics\"]"]),
        (
            &paths,
            "list t secrets a",
            &["the rule is for paths, not for resources", "verb \"list\" is not one of [\"get\"]"],
        ),
        (&paths, "get /metrics", &[]),
        (&secrets, "get t secrets a", &[]),
    ] {
        let asked = asked(line);
        let verdict = Verdict::of(rule, &asked);
        let told: Vec<String> = verdict.mismatches.iter().map(|part| part.why(rule, &asked)).collect();
        assert_eq!(told, why, "{line}");
        assert_eq!(verdict.allows(), rule.allows(&asked));
    }
    let many: Vec<String> = (0..10).map(|at| at.to_string()).collect();
    assert_eq!(shown(&many), "[\"0\" \"1\" \"2\" \"3\" \"4\" \"5\" \"6\" \"7\"] and 2 more");
}

#[test]
fn the_summary_names_the_closest_rule_and_the_nearest_miss() {
    assert_eq!(
        summary("get t secrets b"),
        "user \"bob\" may not get secrets \"b\" in the namespace \"t\": the closest rule is number 0 by RoleBinding \
         \"b1/t\" of Role \"reader\", but name \"b\" is not one of [\"a\"]"
    );
    assert_eq!(
        summary("update t secrets b"),
        "user \"bob\" may not update secrets \"b\" in the namespace \"t\": no rule that they are granted comes close; \
         RoleBinding \"b4/u\" of Role \"writer\" grants it to user \"bob\", but only in the namespace \"u\""
    );
    assert_eq!(
        summary("get /metrics"),
        "user \"bob\" may not get path \"/metrics\": no binding that counts here is for them; RoleBinding \"b5/u\" of \
         ClusterRole \"metrics\" covers it, but rules for paths take effect only by a ClusterRoleBinding"
    );
    assert_eq!(
        summary("create - roles.rbac.authorization.k8s.io -"),
        "user \"bob\" may not create roles.rbac.authorization.k8s.io at the cluster scope: no binding that counts here \
         is for them"
    );
}

#[test]
fn near_misses_come_nearest_first() {
    let (policy, dave, asked) = (set().compile(), user("dave", &[]), asked("update t secrets b"));
    let told = explain(&policy, &dave, &asked);
    let texts: Vec<String> = told.near_misses.iter().map(|near| near.text(&dave)).collect();
    assert_eq!(
        texts,
        ["RoleBinding \"b3/t\" of Role \"writer\" grants it, but neither to user \"dave\" nor to a group of theirs"]
    );
    let bob = user("bob", &[]);
    let told = explain(&policy, &bob, &asked);
    let obstacles: Vec<Obstacle> = told.near_misses.iter().map(|near| near.obstacle).collect();
    assert_eq!(obstacles, [Obstacle::OtherNamespace, Obstacle::OtherSubjects]);
    let mut unbound = set();
    unbound.remove(&crate::model::kinds::ROLE_BINDING, "t", "b3");
    let policy = unbound.compile();
    let told = explain(&policy, &dave, &asked);
    let texts: Vec<String> = told.near_misses.iter().map(|near| near.text(&dave)).collect();
    assert_eq!(texts, ["Role \"writer\" in the namespace \"t\" covers it, but no binding grants that here"]);
    let mut many = PolicySet::default();
    for at in 0..60 {
        many = many.role("", &format!("r{at}"), json!([rule(&["update"], &["secrets"], &[])]));
    }
    let policy = many.compile();
    let told = explain(&policy, &dave, &asked);
    assert_eq!((told.near_misses.len(), told.near_misses_left_out), (50, 10));
}

#[test]
fn a_suggestion_is_as_small_as_can_be() {
    let policy = set().compile();
    let suggest = |who: &User, line: &str| {
        let asked = asked(line);
        let told = explain(&policy, who, &asked).suggestion().unwrap();
        (told.role, told.binding)
    };
    let rbac = "rbac.authorization.k8s.io";
    let (role, binding) = suggest(&user("dave", &["dev"]), "get t secrets db.key");
    assert_eq!(
        role,
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "Role",
            "metadata": {"name": "allow-get-secrets-db-key", "namespace": "t"},
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db.key"]}],
        })
    );
    assert_eq!(
        binding,
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "allow-get-secrets-db-key", "namespace": "t"},
            "subjects": [{"kind": "User", "apiGroup": rbac, "name": "dave"}],
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "allow-get-secrets-db-key"},
        })
    );
    let (role, binding) = suggest(&account("t", "sa"), "get /strongroom/v1/audit");
    assert_eq!((&role["kind"], &binding["kind"]), (&json!("ClusterRole"), &json!("ClusterRoleBinding")));
    assert_eq!(role["metadata"], json!({"name": "allow-get-strongroom-v1-audit"}));
    assert_eq!(role["rules"], json!([{"verbs": ["get"], "nonResourceURLs": ["/strongroom/v1/audit"]}]));
    assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": "sa", "namespace": "t"}]));
    assert_eq!(
        suggest(&user("", &["g", "h"]), "get /x").1["subjects"],
        json!([{"kind": "Group", "apiGroup": rbac, "name": "g"}])
    );
    let nobody = user("", &[]);
    assert!(explain(&policy, &nobody, &asked("get /x")).suggestion().is_none());
    // Names only where requests have one.
    for (line, named) in [
        ("list t secrets x", true),
        ("list t secrets -", false),
        ("create t secrets x", false),
        ("create t serviceaccounts/token x", true),
        ("deletecollection t secrets x", false),
        ("get - clusterroles.rbac.authorization.k8s.io x", true),
    ] {
        let rule = &suggest(&user("dave", &[]), line).0["rules"][0];
        assert_eq!(rule.get("resourceNames").is_some(), named, "{line}");
    }
}

#[test]
fn a_suggestion_takes_no_name_that_is_taken() {
    let base = "allow-get-secrets-x";
    let policy = set()
        .role("t", base, json!([]))
        .bind("t", &format!("{base}-2"), "Role:gone", &[])
        .role("", &format!("{base}-3"), json!([]))
        .compile();
    let (dave, asked) = (user("dave", &[]), asked("get t secrets x"));
    let told = explain(&policy, &dave, &asked).suggestion().unwrap();
    assert_eq!(told.role["metadata"]["name"], format!("{base}-3"));
}

#[test]
fn who_can_lists_subjects_with_what_they_have_it_by() {
    let told: Vec<String> = who_can(&set().compile(), &asked("get t secrets a"))
        .iter()
        .map(|holder| format!("{}: {}", holder.subject, holder.grant.reason()))
        .collect();
    assert_eq!(
        told,
        [
            "User \"bob\": RBAC: allowed by RoleBinding \"b1/t\" of Role \"reader\" to User \"bob\"",
            "Group \"dev\": RBAC: allowed by RoleBinding \"b1/t\" of Role \"reader\" to Group \"dev\"",
            "Group \"system:masters\": ",
        ]
    );
}

#[test]
fn what_the_server_grants_by_itself_is_marked() {
    let policy = crate::rbac::bootstrap::policy();
    let mut usage = Usage::new(&policy);
    usage.observe("bob", &["system:authenticated".to_owned()], &asked("get /version"), 1_700_000_000);
    let unused = usage.unused();
    assert!(unused.iter().all(|grant| grant.bootstrap));
    let has = |binding: &str| unused.iter().any(|grant| &*grant.binding.name == binding);
    // Used by way of both bindings that allow it, and only for the group that asked.
    assert!(!has("system:discovery") && has("system:basic-user"));
    let viewers: Vec<&str> = unused
        .iter()
        .filter(|grant| &*grant.binding.name == "system:public-info-viewer")
        .map(|grant| &*grant.subject.name)
        .collect();
    assert_eq!(viewers, ["system:unauthenticated"]);
    let policy = set().compile();
    assert!(Usage::new(&policy).unused().iter().all(|grant| !grant.bootstrap));
}
