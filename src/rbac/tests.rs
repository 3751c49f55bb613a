//! Decisions, their reasons and refusals: a row or a test per fact.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::kinds;
use crate::model::user::GROUP_AUTHENTICATED;

/// A user of these groups.
pub(super) fn user(name: &str, groups: &[&str]) -> Arc<User> {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Arc::new(User { name: name.to_owned(), uid: String::new(), groups, extra: std::collections::BTreeMap::new() })
}

/// The user of a service account, with its groups.
pub(super) fn account(namespace: &str, name: &str) -> Arc<User> {
    let group = format!("system:serviceaccounts:{namespace}");
    user(&format!("system:serviceaccount:{namespace}:{name}"), &["system:serviceaccounts", &group, GROUP_AUTHENTICATED])
}

/// `VERB NAMESPACE RESOURCE[/SUB][.GROUP] NAME`, `-` for an empty part; or `VERB /path`.
pub(super) fn asked(line: &str) -> Attributes {
    let words: Vec<&str> = line.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
    if let [verb, path] = words[..] {
        return Attributes::path(verb, path);
    }
    let [verb, namespace, target, name] = words[..] else { panic!("{line}") };
    let (resource, group) = target.split_once('.').unwrap_or((target, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes {
        verb: verb.to_owned(),
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        kind: kinds::find(group, "v1", resource),
        ..Attributes::default()
    }
}

/// `User:bob`, `Group:dev`, `ServiceAccount:ns/name` (no namespace: `ServiceAccount:/name`).
pub(super) fn subject(text: &str) -> Value {
    let (kind, name) = text.split_once(':').unwrap();
    match (kind, name.split_once('/')) {
        ("ServiceAccount", Some(("", name))) => json!({"kind": kind, "name": name}),
        ("ServiceAccount", Some((namespace, name))) => json!({"kind": kind, "name": name, "namespace": namespace}),
        _ => json!({"kind": kind, "apiGroup": kinds::ROLE.group, "name": name}),
    }
}

impl PolicySet {
    #[expect(clippy::needless_pass_by_value, reason = "rows are written as they are")]
    pub(super) fn role(mut self, namespace: &str, name: &str, rules: Value) -> Self {
        let kind = if namespace.is_empty() { &kinds::CLUSTER_ROLE } else { &kinds::ROLE };
        self.put(kind, namespace, name, &json!({"rules": rules}));
        self
    }

    pub(super) fn bind(mut self, namespace: &str, name: &str, role: &str, subjects: &[&str]) -> Self {
        let kind = if namespace.is_empty() { &kinds::CLUSTER_ROLE_BINDING } else { &kinds::ROLE_BINDING };
        let (role_kind, role) = role.split_once(':').unwrap();
        let subjects: Vec<Value> = subjects.iter().map(|text| subject(text)).collect();
        self.put(kind, namespace, name, &json!({"roleRef": {"kind": role_kind, "name": role}, "subjects": subjects}));
        self
    }
}

/// A rule that allows everything on secrets.
fn secrets() -> Value {
    json!([{"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]}])
}

#[test]
fn a_rule_matches_as_kubernetes_has_it() {
    let rule = |verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]| {
        Rule::parse(&json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names}))
    };
    let paths = |urls: &[&str]| Rule::parse(&json!({"verbs": ["get"], "nonResourceURLs": urls}));
    let secrets = rule(&["get"], &[""], &["secrets"], &[]);
    let named = rule(&["*"], &[""], &["secrets"], &["a"]);
    let rbac = kinds::ROLE.group;
    let roles = |line: &str| format!("{line}.{rbac} r");
    for (rule, line, allowed) in [
        (&secrets, "get t secrets a", true),
        (&secrets, "list t secrets -", false),
        (&secrets, "get t secrets.other a", false),
        (&secrets, "get t secret a", false),
        (&secrets, "get t secrets/status a", false),
        (&secrets, "get /secrets", false),
        (&rule(&["*"], &["*"], &["*"], &[]), "anything t things/sub.group x", true),
        (&rule(&["*"], &["*"], &["*"], &[]), "get /api", false),
        (&rule(&["get"], &["*"], &["roles"], &[]), &roles("get t roles"), true),
        (&rule(&["get"], &[""], &["roles"], &[]), &roles("get t roles"), false),
        (&rule(&["*"], &[""], &["secrets/status"], &[]), "get t secrets/status a", true),
        (&rule(&["*"], &[""], &["secrets/status"], &[]), "get t secrets a", false),
        (&rule(&["*"], &[""], &["*/status"], &[]), "get t secrets/status a", true),
        (&rule(&["*"], &[""], &["*/status"], &[]), "get t secrets/xstatus a", false),
        (&rule(&["*"], &[""], &["*/status"], &[]), "get t secrets a", false),
        (&rule(&["*"], &[""], &["*/"], &[]), "get t secrets a", false),
        (&rule(&["*"], &[""], &["secrets/*"], &[]), "get t secrets/status a", false),
        (&rule(&["*"], &[""], &["secrets/*"], &[]), "get t secrets a", false),
        (&rule(&["*"], &[""], &["secret*"], &[]), "get t secrets a", false),
        // With names: only requests that have one of them.
        (&named, "get t secrets a", true),
        (&named, "get t secrets b", false),
        (&named, "list t secrets -", false),
        (&named, "list t secrets a", true),
        (&named, "watch t secrets a", true),
        (&named, "create t secrets -", false),
        (&named, "deletecollection t secrets -", false),
        (&named, "patch t secrets a", true),
        (&named, "get t secrets/status a", false),
        (&rule(&["*"], &[""], &["secrets"], &["*"]), "get t secrets a", false),
        (&rule(&["*"], &[""], &["secrets"], &[""]), "list t secrets -", false),
        (&rule(&["*"], &[""], &["secrets"], &["a*"]), "get t secrets ab", false),
        // Paths.
        (&paths(&["/metrics"]), "get /metrics", true),
        (&paths(&["/metrics"]), "post /metrics", false),
        (&paths(&["/metrics"]), "get /metrics/", false),
        (&paths(&["/api/*"]), "get /api/", true),
        (&paths(&["/api/*"]), "get /api/v1/x", true),
        (&paths(&["/api/*"]), "get /api", false),
        (&paths(&["/api**"]), "get /apis", true),
        (&paths(&["*"]), "get /anything", true),
        (&paths(&["/a*b"]), "get /aab", false),
        (&paths(&["*"]), "get t secrets a", false),
    ] {
        assert_eq!(rule.allows(&asked(line)), allowed, "{line} by {rule:?}");
        // The filter in front of the rules may let too much through and never too little.
        let role = PolicySet::default().role("", "r", json!([rule.to_value()])).compile();
        let reach = role.role("", "r").unwrap().reach;
        assert!(!allowed || reach.holds(matching::Reach::of_request(&asked(line))), "{line}");
    }
}

#[test]
fn nothing_is_put_together_from_two_rules() {
    let policy = PolicySet::default()
        .role(
            "",
            "split",
            json!([
                {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]},
                {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]},
            ]),
        )
        .bind("", "b", "ClusterRole:split", &["User:bob"])
        .compile();
    let bob = user("bob", &[]);
    assert!(policy.allows(&bob, &asked("list t secrets -")));
    assert!(!policy.allows(&bob, &asked("get t secrets a")));
}

#[test]
fn a_subject_is_a_user_a_group_or_a_service_account() {
    let grants = |binding: &str, subject: &str, user: &User| {
        let set = PolicySet::default().role("", "r", secrets());
        set.bind(binding, "b", "ClusterRole:r", &[subject]).compile().allows(user, &asked("get t secrets a"))
    };
    for (binding, subject, user, granted) in [
        ("t", "User:bob", user("bob", &[]), true),
        ("t", "User:bob", user("Bob", &[]), false),
        ("t", "User:bob", user("x", &["bob"]), false),
        ("t", "User:*", user("bob", &[]), false),
        ("t", "Group:dev", user("bob", &["qa", "dev"]), true),
        ("t", "Group:dev", user("dev", &["qa"]), false),
        ("t", "Group:*", user("bob", &["dev"]), false),
        ("t", "ServiceAccount:t/sa", account("t", "sa"), true),
        ("t", "ServiceAccount:other/sa", account("other", "sa"), true),
        ("t", "ServiceAccount:other/sa", account("t", "sa"), false),
        // Without a namespace it is the binding's, and for the cluster there is none.
        ("t", "ServiceAccount:/sa", account("t", "sa"), true),
        ("t", "ServiceAccount:/sa", account("other", "sa"), false),
        ("", "ServiceAccount:t/sa", account("t", "sa"), true),
        ("", "ServiceAccount:/sa", account("t", "sa"), false),
        ("", "ServiceAccount:/sa", user("system:serviceaccount::sa", &[]), false),
        // A service account is its user name, however that is written.
        ("t", "User:system:serviceaccount:t:sa", account("t", "sa"), true),
        ("t", "ServiceAccount:t/sa", user("system:serviceaccount:t:sa", &[]), true),
        ("t", "Group:system:serviceaccounts:t", account("t", "sa"), true),
        ("t", "Nobody:bob", user("bob", &["bob"]), false),
    ] {
        assert_eq!(grants(binding, subject, &user), granted, "{subject} by a binding of {binding:?} for {user:?}");
    }
}

#[test]
fn a_binding_grants_where_it_is() {
    let paths = json!([
        {"verbs": ["*"], "apiGroups": [""], "resources": ["secrets", "namespaces"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    ]);
    let set = PolicySet::default().role("", "r", paths).role("t", "r", secrets());
    let by = |namespace: &str, role: &str| set.clone().bind(namespace, "b", role, &["User:bob"]).compile();
    let bob = user("bob", &[]);
    for (namespace, role, line, granted) in [
        ("", "ClusterRole:r", "get t secrets a", true),
        ("", "ClusterRole:r", "list - secrets -", true),
        ("", "ClusterRole:r", "get /metrics", true),
        // A role that belongs to a namespace cannot be granted everywhere.
        ("", "Role:r", "get t secrets a", false),
        ("t", "Role:r", "get t secrets a", true),
        ("u", "Role:r", "get u secrets a", false),
        ("t", "ClusterRole:r", "get t secrets a", true),
        ("t", "ClusterRole:r", "get u secrets a", false),
        ("t", "ClusterRole:r", "list - secrets -", false),
        ("t", "ClusterRole:r", "get /metrics", false),
        // The namespace itself is within itself.
        ("t", "ClusterRole:r", "get t namespaces t", true),
        ("t", "ClusterRole:r", "get u namespaces u", false),
        ("t", "ClusterRole:r", "list - namespaces -", false),
    ] {
        assert_eq!(by(namespace, role).allows(&bob, &asked(line)), granted, "{line} with {role} in {namespace:?}");
    }
    let mut path_in_namespace = asked("get /metrics");
    path_in_namespace.namespace = "t".to_owned();
    assert!(!by("t", "ClusterRole:r").allows(&bob, &path_in_namespace), "a path has no namespace");
}

#[test]
fn the_first_binding_gives_the_reason() {
    let set = PolicySet::default()
        .role("", "wide", secrets())
        .role("t", "near", secrets())
        .bind("t", "b1", "Role:near", &["Group:dev", "User:bob"])
        .bind("t", "a9", "Role:near", &["User:carol", "ServiceAccount:/sa"]);
    let reason = |set: &PolicySet, user: &User| set.compile().decide(user, &asked("get t secrets a")).reason();
    assert_eq!(
        reason(&set, &user("bob", &[])),
        "RBAC: allowed by RoleBinding \"b1/t\" of Role \"near\" to User \"bob\""
    );
    // Of several subjects the first in the binding.
    let both = user("bob", &["dev"]);
    assert_eq!(reason(&set, &both), "RBAC: allowed by RoleBinding \"b1/t\" of Role \"near\" to Group \"dev\"");
    // Of several bindings the first by name, whichever subject leads to it.
    let two = user("carol", &["dev"]);
    assert_eq!(reason(&set, &two), "RBAC: allowed by RoleBinding \"a9/t\" of Role \"near\" to User \"carol\"");
    let account = account("t", "sa");
    assert_eq!(
        reason(&set, &account),
        "RBAC: allowed by RoleBinding \"a9/t\" of Role \"near\" to ServiceAccount \"sa/t\""
    );
    let set = set.bind("", "z", "ClusterRole:wide", &["Group:dev"]);
    assert_eq!(
        reason(&set, &two),
        "RBAC: allowed by ClusterRoleBinding \"z\" of ClusterRole \"wide\" to Group \"dev\""
    );
    assert_eq!(reason(&set, &user("root", &[crate::model::user::GROUP_MASTERS])), "");
}

#[test]
fn a_grant_names_binding_role_subject_and_rule() {
    let rules = json!([
        {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]},
    ]);
    let policy = PolicySet::default().role("t", "r", rules).bind("t", "b", "Role:r", &["User:x", "User:bob"]).compile();
    let permit = authorize(&policy, &user("bob", &[]), asked("get t secrets a")).ok().unwrap();
    let Some(grant @ Grant::Rule(by)) = permit.grant() else { panic!("a rule allowed it") };
    assert_eq!((&*by.binding.name, &*by.role.name, by.subject, by.rule), ("b", "r", 1, 1));
    assert_eq!(grant.rule().unwrap().resources, ["secrets"]);
    assert!(permit.consequence("gc", asked("delete t secrets a")).grant().is_none());
}

#[test]
fn bindings_to_missing_roles_are_skipped_and_told_only_to_whom_nothing_allows() {
    let set = PolicySet::default()
        .role("", "r", json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]))
        .bind("t", "a", "Role:gone", &["User:bob"])
        .bind("t", "b", "ClusterRole:r", &["User:bob"]);
    let bob = user("bob", &[]);
    assert!(authorize(&set.compile(), &bob, asked("get t secrets a")).is_ok());
    let denied = |set: &PolicySet, user, line| authorize(&set.compile(), user, asked(line)).err().unwrap();
    assert_eq!(
        denied(&set, &bob, "list t secrets -").message,
        "secrets is forbidden: User \"bob\" cannot list resource \"secrets\" in API group \"\" in the namespace \"t\": \
         RBAC: role.rbac.authorization.k8s.io \"gone\" not found"
    );
    let set = set
        .bind("", "z", "ClusterRole:lost", &["User:bob"])
        .bind("t", "c", "Role:gone", &["User:bob"])
        .bind("t", "d", "Role:secret-role", &["User:carol"])
        .bind("u", "d", "Role:elsewhere", &["User:bob"]);
    assert_eq!(
        set.compile().decide(&bob, &asked("list t secrets -")).reason(),
        "RBAC: [clusterrole.rbac.authorization.k8s.io \"lost\" not found, \
         role.rbac.authorization.k8s.io \"gone\" not found]"
    );
    assert!(!denied(&set, &user("dave", &[]), "list t secrets -").message.contains("RBAC"));
    let odd = PolicySet::default().bind("t", "a", "Nothing:x", &["User:bob"]);
    assert_eq!(
        odd.compile().decide(&bob, &asked("list t secrets -")).reason(),
        "RBAC: unsupported role reference kind: \"Nothing\""
    );
}

#[test]
fn a_set_follows_what_is_written_and_removed() {
    let mut set = PolicySet::default().role("t", "r", secrets()).bind("t", "b", "Role:r", &["User:bob"]);
    let before = set.compile();
    let (bob, line) = (user("bob", &[]), asked("get t secrets a"));
    set.remove(&kinds::ROLE, "t", "r");
    assert!(!set.compile().allows(&bob, &line));
    set = set.role("t", "r", secrets());
    assert!(set.compile().allows(&bob, &line));
    set = set.role("t", "r", json!([]));
    assert!(!set.compile().allows(&bob, &line));
    set = set.role("t", "r", secrets());
    set.remove(&kinds::ROLE_BINDING, "other", "b");
    assert!(set.compile().allows(&bob, &line));
    set.remove(&kinds::ROLE_BINDING, "t", "b");
    assert!(!set.compile().allows(&bob, &line));
    set.put(
        &kinds::SECRET,
        "t",
        "b",
        &json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject("User:bob")]}),
    );
    assert!(!set.compile().allows(&bob, &line), "a Secret is no binding");
    assert!(before.allows(&bob, &line), "a compiled policy stays as it was");
}

#[test]
fn only_masters_may_do_anything_under_an_empty_policy() {
    let masters = user("root", &[crate::model::user::GROUP_MASTERS]);
    for line in ["get t secrets a", "delete - clusterroles.rbac.authorization.k8s.io x", "get /healthz", "post /x"] {
        assert!(authorize(&Policy::empty(), &masters, asked(line)).is_ok());
        for nobody in [user("bob", &[GROUP_AUTHENTICATED]), Arc::new(User::anonymous()), user("system:masters", &[])] {
            assert!(authorize(&Policy::empty(), &nobody, asked(line)).is_err());
        }
    }
    let permit = authorize(&Policy::empty(), &masters, asked("delete n secrets x")).ok().unwrap();
    assert_eq!((permit.namespace(), permit.name()), ("n", "x"));
    assert!(matches!(permit.grant(), Some(Grant::Masters)));
}

#[test]
fn a_denial_names_who_and_what_in_kubernetes_words() {
    let bob = user("bob \"the\" builder", &[]);
    for (line, message) in [
        (
            "get t4 secrets b",
            "secrets \"b\" is forbidden: User \"bob \\\"the\\\" builder\" cannot get resource \"secrets\" in API group \
             \"\" in the namespace \"t4\"",
        ),
        (
            "list - clusterroles.rbac.authorization.k8s.io -",
            "clusterroles.rbac.authorization.k8s.io is forbidden: User \"bob \\\"the\\\" builder\" cannot list resource \
             \"clusterroles\" in API group \"rbac.authorization.k8s.io\" at the cluster scope",
        ),
        (
            "create t4 serviceaccounts/token sa",
            "serviceaccounts \"sa\" is forbidden: User \"bob \\\"the\\\" builder\" cannot create resource \
             \"serviceaccounts/token\" in API group \"\" in the namespace \"t4\"",
        ),
        ("get /metrics", "forbidden: User \"bob \\\"the\\\" builder\" cannot get path \"/metrics\""),
        ("get /<script>&", "forbidden: User \"bob \\\"the\\\" builder\" cannot get path \"/&lt;script&gt;&amp;\""),
    ] {
        assert_eq!(authorize(&Policy::empty(), &bob, asked(line)).err().unwrap().message, message);
    }
    let denied = authorize(&Policy::empty(), &bob, asked("get t4 roles.rbac.authorization.k8s.io b")).err().unwrap();
    assert_eq!((&*denied.name, &*denied.group, &*denied.resource), ("b", "rbac.authorization.k8s.io", "roles"));
}

#[test]
fn a_denial_tells_how_to_find_out_more() {
    let hint = |attributes: Attributes| authorize(&Policy::empty(), &user("bob", &[]), attributes).err().unwrap().hint;
    for (line, command) in [
        ("get t4 secrets b", "get secrets/b -n t4"),
        ("list t4 secrets -", "list secrets -n t4"),
        ("list - secrets -", "list secrets -A"),
        ("create t4 serviceaccounts/token sa", "create serviceaccounts/sa --subresource token -n t4"),
        (
            "get - clusterroles.rbac.authorization.k8s.io system:x",
            "get clusterroles.rbac.authorization.k8s.io/system:x",
        ),
        ("get /metrics", "get /metrics"),
        ("get /a$(reboot)", "get '/a$(reboot)'"),
        ("get /it's`x`", "get '/it'\\''s`x`'"),
    ] {
        let expected = format!("to see which rules were considered: strongroom access explain {command}");
        assert_eq!(hint(asked(line)), expected);
    }
    // What would be dangerous to paste is not offered.
    for path in ["/a\nreboot", "/\u{1b}[2J", "/<b>", "/a&b"] {
        assert_eq!(hint(Attributes::path("get", path)), "");
    }
}

#[test]
fn an_aggregated_role_grants_what_its_selectors_choose() {
    let labelled = |labels: Value, selectors: Value, rules: Value| {
        let mut object = json!({"metadata": {"labels": labels}, "rules": rules});
        if !selectors.is_null() {
            object["aggregationRule"] = json!({"clusterRoleSelectors": selectors});
        }
        object
    };
    let rule = |resource: &str| json!({"verbs": ["get"], "apiGroups": [""], "resources": [resource]});
    let to = |name: &str| json!([{"matchLabels": {"to": name}}]);
    let mut set = PolicySet::default();
    let mut put = |name: &str, object: Value| set.put(&kinds::CLUSTER_ROLE, "", name, &object);
    // A chain, its own stored rules without effect; the order is by selector, then by name.
    put("admin", labelled(json!({}), to("admin"), json!([rule("forged")])));
    put("edit", labelled(json!({"to": "admin"}), to("edit"), json!([])));
    put("view", labelled(json!({"to": "edit"}), to("view"), json!([])));
    put("a-admin", labelled(json!({"to": "admin"}), Value::Null, json!([rule("roles"), rule("secrets")])));
    put(
        "z-edit",
        labelled(json!({"to": "edit"}), Value::Null, json!([rule("secrets"), rule("secrets"), rule("maps")])),
    );
    put("z-view", labelled(json!({"to": "view"}), Value::Null, json!([rule("pods")])));
    // Two selectors; expressions; one that chooses everything but itself.
    put(
        "two",
        labelled(
            json!({}),
            json!([{"matchLabels": {"to": "view"}}, {"matchExpressions": [{"key": "to", "operator": "In", "values": ["admin"]}]}]),
            json!([]),
        ),
    );
    put(
        "none",
        labelled(json!({}), json!([{"matchExpressions": [{"key": "to", "operator": "Bad"}]}]), json!([rule("x")])),
    );
    // A cycle.
    put("left", labelled(json!({"to": "right"}), to("left"), json!([])));
    put("right", labelled(json!({"to": "left"}), to("right"), json!([])));
    put("l", labelled(json!({"to": "left"}), Value::Null, json!([rule("l")])));
    let fresh = labelled(json!({"to": "right"}), to("fresh"), json!([]));
    put("fresh", fresh);
    let policy = set.compile();
    let rules = |name: &str| -> Vec<String> {
        policy.role("", name).unwrap().rules.iter().map(|rule| rule.resources.concat()).collect()
    };
    assert_eq!(rules("view"), ["pods"]);
    assert_eq!(rules("edit"), ["pods", "secrets", "maps"]);
    assert_eq!(rules("admin"), ["roles", "secrets", "pods", "maps"]);
    assert_eq!(rules("two"), ["pods", "roles", "secrets", "maps"]);
    assert_eq!(rules("none"), [""; 0]);
    assert_eq!((rules("left"), rules("right")), (vec!["l".to_owned()], vec!["l".to_owned()]));
    let stale = |policy: &Policy| -> Vec<String> {
        policy.aggregated().filter(|role| role.is_stale).map(|role| role.name.to_string()).collect()
    };
    assert_eq!(stale(&policy), ["admin", "edit", "left", "none", "right", "two", "view"]);
    // Written back, nothing is left to write.
    for role in policy.aggregated().filter(|role| role.is_stale) {
        let labels: Value = json!(policy.role("", &role.name).unwrap().labels);
        let selectors = match &*role.name {
            "two" => json!([{"matchLabels": {"to": "view"}}, {"matchLabels": {"to": "admin"}}]),
            "none" => json!([]),
            name => to(name),
        };
        set.put(&kinds::CLUSTER_ROLE, "", &role.name, &labelled(labels, selectors, role.to_value()));
    }
    assert_eq!(stale(&set.compile()), [""; 0]);
    // With its source an aggregated role loses what it granted, whatever is stored.
    set.remove(&kinds::CLUSTER_ROLE, "", "z-view");
    assert_eq!(set.compile().role("", "view").unwrap().rules.len(), 0);
}

#[test]
fn objects_of_another_shape_grant_nothing() {
    let mut set = PolicySet::default();
    for (at, object) in [
        json!(null),
        json!({"rules": {"verbs": ["*"]}, "subjects": "x", "roleRef": []}),
        json!({"rules": ["*", {"verbs": "*", "apiGroups": [1], "resources": null}], "subjects": [1, {}]}),
    ]
    .iter()
    .enumerate()
    {
        for kind in [&kinds::ROLE, &kinds::CLUSTER_ROLE, &kinds::ROLE_BINDING, &kinds::CLUSTER_ROLE_BINDING] {
            set.put(kind, "t", &at.to_string(), object);
        }
    }
    let policy = set.compile();
    assert!(!policy.allows(&user("", &[""]), &asked("get t secrets a")));
    assert!(policy.role("t", "2").unwrap().rules.iter().all(|rule| !rule.allows(&asked("get t secrets a"))));
}

#[test]
fn roles_and_bindings_are_read_from_objects() {
    let role = json!({
        "metadata": {"name": "r", "namespace": "t", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}],
    });
    let read = Role::parse(&kinds::ROLE, &role);
    assert_eq!((&*read.namespace, &*read.name, read.is_bootstrap()), ("t", "r", true));
    assert_eq!(json!(read.rules.iter().map(|rule| rule.to_value()).collect::<Vec<_>>()), role["rules"]);
    let urls = json!({"verbs": ["get"], "nonResourceURLs": ["/a"]});
    assert_eq!(Rule::parse(&urls).to_value(), urls);
    let binding = Binding::parse(
        &kinds::ROLE_BINDING,
        &json!({
            "metadata": {"name": "b", "namespace": "t"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [subject("ServiceAccount:/sa"), subject("Group:g")],
        }),
    );
    assert_eq!(
        binding.subjects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ServiceAccount \"sa/t\"", "Group \"g\""]
    );
    assert!(!binding.bootstrap);
}
