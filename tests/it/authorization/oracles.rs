//! What a refusal must not tell: whether something exists, who may do what, how far a list of somebody else's goes.

use serde_json::{Value, json};

use crate::support::actors::{self, USERS, acting_as, bind, rbac, role, rule, secret, secrets};
use crate::support::app::App;
use crate::support::http::{Client, Response};

const JSON: &str = "application/json";
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// As many letters as in [`ABSENT`].
const THERE: &str = "there";
const ABSENT: &str = "zzzzz";

#[test]
fn a_refusal_is_the_same_for_what_exists_and_what_does_not() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    actors::namespace(&mut admin, THERE);
    secret(&mut admin, THERE, THERE, &json!({"k": "v"}));
    admin
        .json("POST", &format!("/api/v1/namespaces/{THERE}/serviceaccounts"), &json!({"metadata": {"name": THERE}}))
        .ok();
    for namespace in [THERE, ""] {
        role(&mut admin, namespace, THERE, &[]);
        let kind = if namespace.is_empty() { "ClusterRole" } else { "Role" };
        bind(&mut admin, namespace, THERE, &format!("{kind}/{THERE}"), &format!("User/{THERE}"));
    }
    admin.json("POST", USERS, &json!({"metadata": {"name": THERE}})).ok();

    let mut nobody = acting_as(&admin, "nobody", &[]);
    let mut asked = 0;
    for (collection, subresources) in [
        (secrets(THERE), &[][..]),
        (format!("/api/v1/namespaces/{THERE}/serviceaccounts"), &["token"]),
        (rbac(THERE, "roles"), &[]),
        (rbac(THERE, "rolebindings"), &[]),
        (rbac("", "clusterroles"), &[]),
        (rbac("", "clusterrolebindings"), &[]),
        (USERS.to_owned(), &["certificate", "password"]),
        ("/api/v1/namespaces".to_owned(), &["finalize", "status"]),
    ] {
        let item = format!("{collection}/{THERE}");
        let below: Vec<String> = subresources.iter().map(|name| format!("{item}/{name}")).collect();
        // A namespace that does not exist has no collections either.
        let both = [item, collection.clone()];
        for path in both.iter().chain(&below).filter(|path| path.contains(THERE)) {
            for (method, content_type) in requests() {
                asked += 1;
                let body = if method == "GET" || method == "DELETE" { "" } else { "{}" };
                let mut ask = |path: &str| {
                    let answer = nobody.typed(method, path, content_type, body.as_bytes());
                    assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
                    comparable(&answer)
                };
                let of_what_is = ask(path);
                // The names are of one length: a difference in length is one in the text.
                let of_what_is_not = ask(&path.replace(THERE, ABSENT)).replace(ABSENT, THERE);
                assert_eq!(of_what_is, of_what_is_not, "{method} {path} with {content_type}");
            }
        }
    }
    assert!(asked > 100, "{asked}");
}

/// Every method with every content type.
fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    let patches = PATCHES.map(|content_type| ("PATCH", content_type));
    [("GET", JSON), ("POST", JSON), ("PUT", JSON), ("DELETE", JSON)].into_iter().chain(patches)
}

/// All that a client sees of an answer, but for what is new with each; the length shows in the text itself.
pub fn comparable(answer: &Response) -> String {
    let head = answer.head();
    let new = ["audit-id:", "date:", "content-length:"];
    // Headers come in no order.
    let mut lines: Vec<&str> = head.lines().filter(|line| !new.iter().any(|new| line.starts_with(new))).collect();
    lines.sort_unstable();
    format!("{}\n{}\n{}", answer.status, lines.join("\n"), answer.text())
}

#[test]
fn who_may_not_act_as_a_user_does_not_learn_whether_there_is_one() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    admin.json("POST", USERS, &json!({"metadata": {"name": THERE}, "spec": {"groups": ["dev"]}})).ok();
    let resources = ["users/password", "users/certificate"];
    role(&mut admin, "", "credentials", &[rule(&["create"], "strongroom.dev", &resources)]);
    bind(&mut admin, "", "credentials", "ClusterRole/credentials", "User/helpdesk");
    let mut helpdesk = acting_as(&admin, "helpdesk", &[]);
    for subresource in ["password", "certificate"] {
        let body = json!({"spec": {"password": actors::PASSWORD, "request": ""}});
        let mut ask = |name: &str| {
            let answer = helpdesk.json("POST", &format!("{USERS}/{name}/{subresource}"), &body);
            assert_eq!(answer.status, 403, "{}", answer.text());
            comparable(&answer)
        };
        assert_eq!(ask(THERE), ask(ABSENT).replace(ABSENT, THERE), "{subresource}");
    }
}

#[test]
fn a_review_of_somebody_else_needs_a_right_and_one_of_oneself_does_not() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let group = "authorization.k8s.io";
    let asked = json!({"verb": "get", "resource": "secrets", "namespace": "default"});
    let of_one = json!({"spec": {"user": "admin", "resourceAttributes": asked}});
    let of_oneself = json!({"spec": {"resourceAttributes": asked}});
    let path = |resource: &str| format!("/apis/{group}/v1/{resource}");
    let local = path("namespaces/default/localsubjectaccessreviews");

    let mut bob = acting_as(&admin, "bob", &[]);
    let code = |client: &mut Client, path: &str, body: &Value| client.json("POST", path, body).status;
    assert_eq!(code(&mut bob, &path("subjectaccessreviews"), &of_one), 403);
    assert_eq!(code(&mut bob, &local, &of_one), 403);
    assert_eq!(code(&mut bob, &path("selfsubjectaccessreviews"), &of_oneself), 201);

    role(&mut admin, "default", "reviewer", &[rule(&["create"], group, &["localsubjectaccessreviews"])]);
    bind(&mut admin, "default", "reviewer", "Role/reviewer", "User/bob");
    assert_eq!(code(&mut bob, &local, &of_one), 201);
    assert_eq!(code(&mut bob, &path("subjectaccessreviews"), &of_one), 403);
    bind(&mut admin, "", "reviewer", "ClusterRole/system:auth-delegator", "User/bob");
    let answer = bob.json("POST", &path("subjectaccessreviews"), &of_one).ok().json();
    assert_eq!(answer["status"]["allowed"], false, "groups that are not given are not known: {answer}");
}

#[test]
fn explanations_are_for_those_who_may_read_what_they_are_made_of() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let ours = ["accessexplanations", "grantusagereviews", "resourceaccessreviews"];
    role(&mut admin, "", "ask", &[rule(&["create"], "strongroom.dev", &ours)]);
    bind(&mut admin, "", "ask", "ClusterRole/ask", "User/bob");
    let mut bob = acting_as(&admin, "bob", &[]);
    let asked = json!({"verb": "get", "resource": "secrets", "namespace": "default"});
    let mut codes = |namespace: &str| {
        let mut asked = asked.clone();
        asked["namespace"] = namespace.into();
        let spec = json!({"spec": {"resourceAttributes": asked}});
        ours.map(|resource| bob.json("POST", &format!("/apis/strongroom.dev/v1alpha1/{resource}"), &spec).status)
    };
    assert_eq!(codes("default"), [403, 403, 403], "the right to ask is not enough");

    let list = |resources: &[&str]| rule(&["list"], actors::RBAC, resources);
    role(&mut admin, "", "read-cluster", &[list(&["clusterroles", "clusterrolebindings"])]);
    bind(&mut admin, "", "read-cluster", "ClusterRole/read-cluster", "User/bob");
    assert_eq!(codes("default"), [403, 403, 403], "nor is what holds in the cluster, for a namespace");
    assert_eq!(codes(""), [201, 403, 201]);

    role(&mut admin, "default", "read", &[list(&["roles", "rolebindings"])]);
    bind(&mut admin, "default", "read", "Role/read", "User/bob");
    assert_eq!(codes("default"), [201, 403, 201], "unused grants are of all namespaces");
    assert_eq!(codes("other"), [403, 403, 403]);

    role(&mut admin, "", "read-all", &[list(&["roles", "rolebindings"])]);
    bind(&mut admin, "", "read-all", "ClusterRole/read-all", "User/bob");
    assert_eq!(codes("other"), [201, 403, 201], "and of what the audit log says");
    bind(&mut admin, "", "audit", "ClusterRole/system:strongroom:auditor", "User/bob");
    assert_eq!(codes("other"), [201, 201, 201]);
}

#[test]
fn who_holds_grants_against_the_audit_log_needs_to_read_it_and_is_told_so() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    bind(&mut admin, "", "review", "ClusterRole/system:strongroom:access-reviewer", "User/bob");
    bind(&mut admin, "", "audit", "ClusterRole/system:strongroom:auditor", "User/carol");
    role(&mut admin, "", "ask", &[rule(&["create"], "strongroom.dev", &["grantusagereviews"])]);
    bind(&mut admin, "", "ask", "ClusterRole/ask", "User/dave");
    let ask = |name: &str| {
        let answer =
            acting_as(&admin, name, &[]).json("POST", "/apis/strongroom.dev/v1alpha1/grantusagereviews", &json!({}));
        (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    let (code, why) = ask("bob");
    assert!(code == 403 && why.contains("cannot get path \"/strongroom/v1/audit\""), "{why}");
    assert_eq!(ask("carol").0, 201, "one role is enough");
    let (code, why) = ask("dave");
    assert!(code == 403 && why.contains("cannot list resource \"roles\""), "{why}");
    let (code, why) = ask("erin");
    assert!(code == 403 && why.contains("cannot create resource \"grantusagereviews\""), "{why}");
}

#[test]
fn an_explanation_shows_nothing_of_namespaces_that_the_caller_may_not_read() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for namespace in ["open", "closed"] {
        actors::namespace(&mut admin, namespace);
        let name = format!("readers-of-{namespace}");
        role(&mut admin, namespace, &name, &[rule(&["get"], "", &["secrets"])]);
        bind(&mut admin, namespace, &name, &format!("Role/{name}"), "User/carol");
    }
    let list = |resources: &[&str]| rule(&["list"], actors::RBAC, resources);
    let explain = rule(&["create"], "strongroom.dev", &["accessexplanations"]);
    role(&mut admin, "", "explain", &[explain, list(&["clusterroles", "clusterrolebindings"])]);
    bind(&mut admin, "", "explain", "ClusterRole/explain", "User/bob");
    for namespace in ["default", "open"] {
        role(&mut admin, namespace, "read", &[list(&["roles", "rolebindings"])]);
        bind(&mut admin, namespace, "read", "Role/read", "User/bob");
    }
    let asked = json!({"verb": "get", "resource": "secrets", "namespace": "default", "name": "a"});
    let spec = json!({"spec": {"user": "carol", "resourceAttributes": asked}});
    let path = "/apis/strongroom.dev/v1alpha1/accessexplanations";
    let seen = acting_as(&admin, "bob", &[]).json("POST", path, &spec).ok().text();
    assert!(seen.contains("readers-of-open") && !seen.contains("closed"), "{seen}");
    let all = admin.json("POST", path, &spec).ok().text();
    assert!(all.contains("readers-of-open") && all.contains("readers-of-closed"), "{all}");
}

#[test]
fn a_continue_token_is_of_no_use_to_another_user() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for name in ["a", "b", "c"] {
        secret(&mut admin, "default", name, &json!({"k": "v"}));
    }
    for user in ["alice", "bob"] {
        bind(&mut admin, "default", user, "ClusterRole/edit", &format!("User/{user}"));
    }
    let (mut alice, mut bob) = (acting_as(&admin, "alice", &[]), acting_as(&admin, "bob", &[]));
    let first = alice.get(&format!("{}?limit=1", secrets("default"))).ok().json();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{}?limit=1&continue={token}", secrets("default"));
    assert_eq!(alice.get(&next).ok().json()["items"][0]["metadata"]["name"], "b");
    // The same name is another user where groups or uid tell them apart only by what they may do.
    for client in [&mut bob, &mut admin] {
        let refused = client.get(&next);
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("continue key is not valid"), "{}", refused.text());
    }
    let elsewhere = next.replace("/default/", "/other/");
    bind(&mut admin, "", "alice", "ClusterRole/edit", "User/alice");
    assert_eq!(alice.get(&elsewhere).status, 400, "nor for another collection");
    assert_eq!(alice.get(&next).ok().json()["items"][0]["metadata"]["name"], "b");
}
