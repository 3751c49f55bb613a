//! What the server's own roles allow to whom, and what is added to changed ones.

use serde_json::{Value, json};

use super::*;
use crate::rbac::tests::{account, asked, user};

#[test]
fn the_own_roles_allow_what_they_allow_in_kubernetes() {
    let policy = policy();
    let anonymous = crate::model::user::User::anonymous();
    let masters = user("root", &[GROUP_MASTERS]);
    let bob = user("bob", &[GROUP_AUTHENTICATED]);
    let monitor = user("prometheus", &["system:monitoring"]);
    let account = account("t", "sa");
    for (who, line, allowed) in [
        (&anonymous, "get /healthz", true),
        (&anonymous, "get /version", true),
        (&anonymous, "post /readyz", false),
        (&anonymous, "get /healthz/ping", false),
        (&anonymous, "get /api", false),
        (&anonymous, "get /metrics", false),
        (&anonymous, "post /strongroom/v1/login", true),
        (&anonymous, "get /strongroom/v1/login", false),
        (&anonymous, "post /strongroom/v1/seal", false),
        (&anonymous, "create - selfsubjectreviews.authentication.k8s.io -", false),
        (&bob, "get /api/v1", true),
        (&bob, "get /openapi/v3/apis/x", true),
        (&bob, "post /strongroom/v1/password", true),
        (&bob, "get /strongroom/v1/audit", false),
        (&bob, "get /.well-known/openid-configuration", false),
        (&bob, "create - selfsubjectaccessreviews.authorization.k8s.io -", true),
        (&bob, "create - selfsubjectrulesreviews.authorization.k8s.io -", true),
        (&bob, "create - selfsubjectreviews.authentication.k8s.io -", true),
        (&bob, "create - subjectaccessreviews.authorization.k8s.io -", false),
        (&bob, "create - accessexplanations.strongroom.dev -", false),
        (&bob, "get t secrets a", false),
        (&bob, "list - namespaces -", false),
        (&monitor, "get /metrics", true),
        (&monitor, "get /readyz/store", true),
        (&account, "get /.well-known/openid-configuration", true),
        (&account, "get /openid/v1/jwks", true),
        (&masters, "escalate - clusterroles.rbac.authorization.k8s.io x", true),
    ] {
        assert_eq!(policy.allows(who, &asked(line)), allowed, "{} {line}", who.name);
    }
}

#[test]
fn view_edit_and_admin_build_on_each_other() {
    let granted = |role: &str, line: &str| {
        let mut set = PolicySet::default();
        for (kind, object) in objects() {
            set.put(kind, "", meta_text(&object, "name"), &object);
        }
        set.bind("t", "b", &format!("ClusterRole:{role}"), &["User:bob"])
            .compile()
            .allows(&user("bob", &[]), &asked(line))
    };
    let rbac = RBAC;
    for (line, view, edit, admin, cluster_admin) in [
        ("get t serviceaccounts a", true, true, true, true),
        ("get t namespaces t", true, true, true, true),
        ("get t namespaces/status t", true, true, true, true),
        ("update t namespaces/status t", false, false, false, true),
        ("get t secrets a", false, true, true, true),
        ("list t secrets -", false, true, true, true),
        ("deletecollection t secrets -", false, true, true, true),
        ("patch t serviceaccounts a", false, true, true, true),
        ("create t serviceaccounts/token a", false, true, true, true),
        ("impersonate t serviceaccounts a", false, true, true, true),
        ("create t secretexports.strongroom.dev -", false, true, true, true),
        ("get t secretsyncs.strongroom.dev a", true, true, true, true),
        ("update t secretsyncs.strongroom.dev a", false, true, true, true),
        ("update t secretsyncs/status.strongroom.dev a", false, false, false, true),
        ("create t secretsyncs/render.strongroom.dev a", false, true, true, true),
        ("list t secretrevisions.strongroom.dev -", false, true, true, true),
        ("get t secretrevisions.strongroom.dev a", false, true, true, true),
        ("delete t secretrevisions.strongroom.dev a", false, false, true, true),
        ("get t certificates.strongroom.dev a", true, true, true, true),
        ("create t certificates.strongroom.dev -", false, true, true, true),
        ("update t certificates/status.strongroom.dev a", false, false, false, true),
        ("get t generatedsecrets/status.strongroom.dev a", true, true, true, true),
        ("delete t generatedsecrets.strongroom.dev a", false, true, true, true),
        ("use t clusters.strongroom.dev a", false, false, false, true),
        (&format!("update t roles.{rbac} a"), false, false, true, true),
        (&format!("create t rolebindings.{rbac} -"), false, false, true, true),
        ("create t localsubjectaccessreviews.authorization.k8s.io -", false, false, true, true),
        (&format!("escalate t roles.{rbac} a"), false, false, false, true),
        (&format!("bind t roles.{rbac} a"), false, false, false, true),
        ("delete t namespaces t", false, false, false, true),
        ("get t users.strongroom.dev x", false, false, false, true),
        ("get u secrets a", false, false, false, false),
    ] {
        let roles = ["view", "edit", "admin", "cluster-admin"];
        assert_eq!(roles.map(|role| granted(role, line)), [view, edit, admin, cluster_admin], "{line}");
    }
}

#[test]
fn the_reviewers_roles_are_bound_to_nobody() {
    let bound: Vec<&str> = BINDINGS.iter().map(|(name, _)| *name).collect();
    for name in [
        "system:auth-delegator",
        "system:strongroom:access-reviewer",
        "system:strongroom:auditor",
        "system:strongroom:key-custodian",
        "admin",
    ] {
        assert!(!bound.contains(&name));
        assert!(ROLES.iter().any(|row| row.name == name));
    }
    assert!(bound.iter().all(|name| ROLES.iter().any(|row| row.name == *name)), "a binding without its role");
}

#[test]
fn the_reviewer_asks_who_may_and_the_auditor_who_did() {
    let granted = |role: &str, line: &str| {
        let mut set = PolicySet::default();
        for (kind, object) in objects() {
            set.put(kind, "", meta_text(&object, "name"), &object);
        }
        set.bind("", "b", &format!("ClusterRole:{role}"), &["User:bob"])
            .compile()
            .allows(&user("bob", &[]), &asked(line))
    };
    for (line, reviewer, auditor) in [
        ("create - accessexplanations.strongroom.dev -", true, false),
        ("create - resourceaccessreviews.strongroom.dev -", true, false),
        ("create - grantusagereviews.strongroom.dev -", true, true),
        (&format!("list - rolebindings.{RBAC} -"), true, true),
        (&format!("list - clusterroles.{RBAC} -"), true, true),
        (&format!("get t roles.{RBAC} a"), true, false),
        (&format!("create t roles.{RBAC} -"), false, false),
        ("get /strongroom/v1/audit", false, true),
        ("get /strongroom/v1/audit/verify", false, true),
        ("post /strongroom/v1/admin/rotate", false, false),
        ("get t secrets a", false, false),
        ("list - users.strongroom.dev -", false, false),
    ] {
        let roles = ["system:strongroom:access-reviewer", "system:strongroom:auditor"];
        assert_eq!(roles.map(|role| granted(role, line)), [reviewer, auditor], "{line}");
    }
}

#[test]
fn the_plugin_of_a_cluster_uses_keys_and_changes_none() {
    let mut set = PolicySet::default();
    for (kind, object) in objects() {
        set.put(kind, "", meta_text(&object, "name"), &object);
    }
    let role = "ClusterRole:system:strongroom:kms-plugin";
    let policy = set.bind("", "b", role, &["User:bob"]).compile();
    for (line, allowed) in [
        ("encrypt - kmskeys.strongroom.dev east", true),
        ("decrypt - kmskeys.strongroom.dev east", true),
        ("get - kmskeys.strongroom.dev east", true),
        ("create - kmskeys/encrypt.strongroom.dev east", true),
        ("create - kmskeys/decrypt.strongroom.dev east", true),
        ("create - kmskeys/rotate.strongroom.dev east", false),
        ("create - kmskeys/retire.strongroom.dev east", false),
        ("update - kmskeys.strongroom.dev east", false),
        ("delete - kmskeys.strongroom.dev east", false),
        ("list - kmskeys.strongroom.dev -", false),
        ("get t secrets a", false),
    ] {
        assert_eq!(policy.allows(&user("bob", &[]), &asked(line)), allowed, "{line}");
    }
}

#[test]
fn the_objects_are_valid_as_they_are() {
    for (kind, mut object) in objects() {
        crate::model::defaults::apply_defaults(kind, &mut object);
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels[BOOTSTRAPPING_LABEL], "rbac-defaults");
        assert_eq!(object["metadata"]["annotations"][AUTOUPDATE_ANNOTATION], "true");
        let mut errors = Vec::new();
        let rules = crate::model::validation::rbac::cluster_role;
        match kind.id {
            id if id == kinds::CLUSTER_ROLE.id => rules(&object, None, &mut errors),
            _ => crate::model::validation::rbac::binding(&object, false, &mut errors),
        }
        assert!(errors.is_empty(), "{object}: {errors:?}");
        crate::rbac::check_size(&object).unwrap();
        assert_eq!(merge(&object, &object), None, "{object}");
    }
}

fn wanted(name: &str) -> Value {
    objects().into_iter().map(|(_, object)| object).find(|object| meta_text(object, "name") == name).unwrap()
}

fn wanted_binding(name: &str) -> Value {
    let all = objects().into_iter().map(|(_, object)| object);
    all.filter(|object| object["kind"] == "ClusterRoleBinding")
        .find(|object| meta_text(object, "name") == name)
        .unwrap()
}

#[test]
fn missing_permissions_are_added_and_others_stay() {
    let wanted = wanted("system:aggregate-to-view");
    let mut existing = wanted.clone();
    existing["metadata"]["labels"] = json!({"mine": "yes", BOOTSTRAPPING_LABEL: "changed"});
    existing["rules"] = json!([
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["namespaces"]},
        {"verbs": ["get"], "apiGroups": ["x"], "resources": ["mine"]},
        {"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"]},
    ]);
    let mut rules = existing["rules"].as_array().unwrap().clone();
    rules.push(json!({"verbs": ["get", "watch"], "apiGroups": [""], "resources": ["events"]}));
    rules.push(json!({"verbs": ["watch"], "apiGroups": [""], "resources": ["namespaces"]}));
    for resource in ["namespaces/status", "serviceaccounts"] {
        rules.push(json!({"verbs": ["get", "watch"], "apiGroups": [""], "resources": [resource]}));
    }
    for resource in [
        "secretsyncs",
        "secretsyncs/status",
        "certificates",
        "certificates/status",
        "generatedsecrets",
        "generatedsecrets/status",
    ] {
        rules.push(json!({"verbs": ["get", "watch"], "apiGroups": ["strongroom.dev"], "resources": [resource]}));
    }
    let merged = merge(&existing, &wanted).unwrap();
    assert_eq!(merged["rules"], json!(rules));
    assert_eq!(
        merged["metadata"]["labels"],
        json!({"mine": "yes", BOOTSTRAPPING_LABEL: "changed", "rbac.authorization.k8s.io/aggregate-to-view": "true"})
    );
    assert_eq!(merge(&merged, &wanted), None);
    existing["metadata"]["annotations"] = json!({AUTOUPDATE_ANNOTATION: "false"});
    assert_eq!(merge(&existing, &wanted), None);
}

#[test]
fn missing_paths_selectors_and_subjects_are_added() {
    let discovery = wanted("system:discovery");
    let mut existing = discovery.clone();
    existing["rules"] = json!([{"verbs": ["get"], "nonResourceURLs": ["/a*", "/openapi*", "/version*"]}]);
    let merged = merge(&existing, &discovery).unwrap();
    let added: Vec<&Value> = merged["rules"].as_array().unwrap().iter().skip(1).collect();
    let expected: Vec<Value> =
        ["/healthz", "/livez", "/readyz"].map(|path| json!({"verbs": ["get"], "nonResourceURLs": [path]})).into();
    assert_eq!(added, expected.iter().collect::<Vec<_>>());

    let admin = wanted("admin");
    let mut existing = admin.clone();
    existing["rules"] = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    assert_eq!(merge(&existing, &admin), None, "the rules of an aggregated role are its parts'");
    existing["aggregationRule"]["clusterRoleSelectors"] = json!([{"matchLabels": {"mine": "yes"}}]);
    let selectors = json!([
        {"matchLabels": {"mine": "yes"}},
        {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}},
    ]);
    assert_eq!(merge(&existing, &admin).unwrap()["aggregationRule"]["clusterRoleSelectors"], selectors);
    existing.as_object_mut().unwrap().remove("aggregationRule");
    assert_eq!(merge(&existing, &admin).unwrap()["aggregationRule"], admin["aggregationRule"]);

    // A role that is no aggregate becomes none.
    let mut existing = discovery.clone();
    existing["aggregationRule"] = admin["aggregationRule"].clone();
    assert_eq!(merge(&existing, &discovery).unwrap(), discovery);

    let binding = wanted_binding("system:public-info-viewer");
    let mut existing = binding.clone();
    let mine = json!({"kind": "User", "apiGroup": RBAC, "name": "bob"});
    existing["subjects"] = json!([mine, binding["subjects"][1]]);
    assert_eq!(
        merge(&existing, &binding).unwrap()["subjects"],
        json!([mine, binding["subjects"][1], binding["subjects"][0]])
    );
    existing.as_object_mut().unwrap().remove("subjects");
    assert_eq!(merge(&existing, &binding).unwrap()["subjects"], binding["subjects"]);
    existing["roleRef"]["name"] = "other".into();
    assert_eq!(merge(&existing, &binding).unwrap(), binding);
    existing["metadata"]["annotations"][AUTOUPDATE_ANNOTATION] = "false".into();
    assert_eq!(merge(&existing, &binding), None);
}
