//! Who may lead Secrets out: writing a Cluster takes the right to get its kubeconfig, by whichever request it is written,
//! and who does not have it learns nothing of that Secret.

use serde_json::{Value, json};

use super::oracles::comparable;
use crate::support::actors::{self, acting_as, bind, role, rule, rule_for, secret};
use crate::support::apiserver;
use crate::support::app::App;
use crate::support::http::{Client, Response};

const CLUSTERS: &str = "/apis/strongroom.dev/v1alpha1/clusters";
const SYNCS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/prod/secretsyncs";
const OURS: &str = "strongroom.dev";
const WRITES: [&str; 3] = ["create", "patch", "update"];
const CANARY: &str = "canary-8c41d7";

/// Names of one length, so that a difference in length is one in the text.
const SECRETS: [&str; 4] = ["good", "exec", "keys", "none"];

fn start() -> (App, Client) {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--no-sync"]);
    let mut admin = Client::admin(&app);
    for name in ["infra", "prod"] {
        actors::namespace(&mut admin, name);
    }
    let good = apiserver::kubeconfig("https://127.0.0.1:9", app.ca_pem.as_slice(), CANARY);
    let exec = format!("users: [{{name: u, user: {{exec: {{command: {CANARY}}}}}}}]");
    secret(&mut admin, "infra", "good", &json!({"kubeconfig": good}));
    secret(&mut admin, "infra", "exec", &json!({"kubeconfig": exec}));
    secret(&mut admin, "infra", "keys", &json!({"other": good}));
    (app, admin)
}

/// Somebody to whom these rules are granted everywhere.
fn somebody(admin: &mut Client, name: &str, rules: &[Value]) -> Client {
    role(admin, "", name, rules);
    bind(admin, "", name, &format!("ClusterRole/{name}"), &format!("User/{name}"));
    acting_as(admin, name, &[])
}

fn cluster(name: &str, secret: &str) -> Value {
    json!({
        "apiVersion": "strongroom.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": name},
        "spec": {"kubeconfigSecretRef": {"namespace": "infra", "name": secret}},
    })
}

fn sync(cluster: &str) -> Value {
    json!({
        "apiVersion": "strongroom.dev/v1alpha1", "kind": "SecretSync", "metadata": {"name": "s"},
        "spec": {"serviceAccountName": "syncer", "source": {"names": ["db"]},
            "targets": [{"cluster": cluster, "namespaces": {"names": ["app"]}}]},
    })
}

/// Every request that makes the Cluster `c` refer to a Secret, or makes another one that does.
fn writes(client: &mut Client, secret: &str, query: &str) -> Vec<Response> {
    let item = format!("{CLUSTERS}/c?{query}");
    let object = cluster("c", secret);
    let mut send = |method: &str, path: &str, content_type: &str, body: &Value| {
        client.typed(method, path, content_type, body.to_string().as_bytes())
    };
    let json_patch = json!([{"op": "replace", "path": "/spec/kubeconfigSecretRef/name", "value": secret}]);
    let merge_patch = json!({"spec": object["spec"]});
    let apply = "application/apply-patch+yaml";
    vec![
        send("POST", &format!("{CLUSTERS}?{query}"), "application/json", &cluster("another", secret)),
        send("PUT", &item, "application/json", &object),
        send("PATCH", &item, "application/json-patch+json", &json_patch),
        send("PATCH", &item, "application/merge-patch+json", &merge_patch),
        send("PATCH", &format!("{item}&fieldManager=m&force=true"), apply, &object),
        send("PATCH", &format!("{CLUSTERS}/another?{query}&fieldManager=m"), apply, &cluster("another", secret)),
    ]
}

#[test]
fn who_may_not_get_a_kubeconfig_is_refused_alike_whatever_it_holds() {
    let (_app, mut admin) = start();
    admin.json("POST", CLUSTERS, &cluster("c", "later")).ok();
    let mut writer = somebody(&mut admin, "writer", &[rule(&WRITES, OURS, &["clusters"])]);
    for query in ["", "dryRun=All"] {
        let of_each = SECRETS.map(|secret| {
            writes(&mut writer, secret, query)
                .iter()
                .map(|answer| {
                    assert_eq!(answer.status, 403, "{}", answer.text());
                    comparable(answer).replace(secret, "good")
                })
                .collect::<Vec<_>>()
        });
        for answers in &of_each {
            assert_eq!(*answers, of_each[0]);
        }
        let text = &of_each[0][0];
        assert!(text.contains("cannot get resource \\\"secrets\\\""), "{text}");
        assert!(text.contains("in the namespace \\\"infra\\\""), "{text}");
    }
    let kept = admin.get(&format!("{CLUSTERS}/c")).ok().json();
    assert_eq!(kept["spec"]["kubeconfigSecretRef"]["name"], "later");
    assert_eq!(admin.get(&format!("{CLUSTERS}/another")).status, 404);
}

#[test]
fn who_may_get_it_is_told_what_is_wrong_with_it_but_no_value() {
    let (_app, mut admin) = start();
    admin.json("POST", CLUSTERS, &cluster("c", "later")).ok();
    let rules = [rule(&WRITES, OURS, &["clusters"]), rule_for(&["get"], "", &["secrets"], &SECRETS)];
    let mut writer = somebody(&mut admin, "writer", &rules);
    for answer in writes(&mut writer, "exec", "") {
        let text = answer.text();
        assert_eq!(answer.status, 422, "{text}");
        let causes = answer.json()["details"]["causes"].clone();
        assert_eq!(causes[0]["field"], "spec.kubeconfigSecretRef", "{causes}");
        assert!(text.contains("users[0].user.exec: would start a process"), "{text}");
        assert!(!text.contains(CANARY), "a value is told");
    }
    // What is not there yet may come later, and be wrong then: it is read anew whenever it is used.
    for secret in ["good", "keys", "none"] {
        for answer in writes(&mut writer, secret, "dryRun=All") {
            assert!(matches!(answer.status, 200 | 201), "{secret}: {}", answer.text());
        }
    }
    // Where a Secret is asked for by another key or another context, that is what is looked at.
    let mut other = cluster("o", "keys");
    other["spec"]["kubeconfigSecretRef"]["key"] = "other".into();
    writer.json("POST", CLUSTERS, &other).ok();
    other["metadata"]["name"] = "p".into();
    other["spec"]["kubeconfigSecretRef"]["context"] = "none".into();
    let refused = writer.json("POST", CLUSTERS, &other);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("contexts: there is no such context"), "{}", refused.text());
}

#[test]
fn labels_and_status_are_written_without_a_right_to_the_kubeconfig_and_lead_nowhere() {
    let (_app, mut admin) = start();
    admin.json("POST", CLUSTERS, &cluster("c", "good")).ok();
    let mut writer = somebody(&mut admin, "writer", &[rule(&WRITES, OURS, &["clusters", "clusters/status"])]);
    let item = format!("{CLUSTERS}/c");
    let mut object = cluster("c", "good");
    object["metadata"]["labels"] = json!({"a": "b"});
    object["spec"]["kubeconfigSecretRef"]["key"] = "kubeconfig".into();
    writer.json("PUT", &item, &object).ok();
    let moved = json!({"spec": cluster("c", "exec")["spec"], "status": {"serverVersion": "v1"}}).to_string();
    let status = format!("{item}/status");
    writer.typed("PATCH", &status, "application/merge-patch+json", moved.as_bytes()).ok();
    let kept = admin.get(&item).ok().json();
    assert_eq!(kept["status"]["serverVersion"], "v1");
    assert_eq!(kept["spec"]["kubeconfigSecretRef"]["name"], "good");
    assert_eq!(kept["metadata"]["labels"]["a"], "b");

    // The right to write status is none to write the rest.
    let mut reporter = somebody(&mut admin, "reporter", &[rule(&WRITES, OURS, &["clusters/status"])]);
    assert_eq!(reporter.json("PUT", &item, &object).status, 403);
    object["status"] = json!({"serverVersion": "v2"});
    reporter.json("PUT", &status, &object).ok();
}

#[test]
fn who_may_not_use_a_cluster_does_not_learn_whether_there_is_one() {
    let (_app, mut admin) = start();
    admin.json("POST", CLUSTERS, &cluster("here", "good")).ok();
    let acts = rule_for(&["impersonate"], "", &["serviceaccounts"], &["syncer"]);
    let mut writer = somebody(&mut admin, "writer", &[rule(&WRITES, OURS, &["secretsyncs"]), acts.clone()]);
    let mut ask = |cluster: &str| {
        let answer = writer.json("POST", SYNCS, &sync(cluster));
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains("cannot use resource \\\"clusters\\\""), "{}", answer.text());
        comparable(&answer).replace(cluster, "here")
    };
    assert_eq!(ask("here"), ask("gone"));

    let uses = rule_for(&["use"], OURS, &["clusters"], &["here", "gone"]);
    let mut user = somebody(&mut admin, "user", &[rule(&WRITES, OURS, &["secretsyncs"]), acts, uses]);
    user.json("POST", SYNCS, &sync("here")).ok();
    // By labels any cluster can come to be meant: names are not enough.
    let selector = json!([{"op": "remove", "path": "/spec/targets/0/cluster"},
        {"op": "add", "path": "/spec/targets/0/clusterSelector", "value": {"matchLabels": {"a": "b"}}}])
    .to_string();
    let path = format!("{SYNCS}/s");
    assert_eq!(user.typed("PATCH", &path, "application/json-patch+json", selector.as_bytes()).status, 403);
    let other = json!([{"op": "replace", "path": "/spec/serviceAccountName", "value": "default"}]).to_string();
    let answer = user.typed("PATCH", &path, "application/json-patch+json", other.as_bytes());
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("cannot impersonate resource \\\"serviceaccounts\\\""), "{}", answer.text());
}
