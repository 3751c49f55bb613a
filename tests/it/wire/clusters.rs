//! Clusters and what is kept in them, with the real kubectl: applied, shown, changed, and their status apart.

use serde_json::{Value, json};

use crate::support::actors::{namespace, secret};
use crate::support::apiserver;
use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::kubectl::{self, Kubectl};

const OURS: &str = "/apis/strongroom.dev/v1alpha1";
const APPLY: &str = "application/apply-patch+yaml";

const MANIFESTS: &str = "apiVersion: strongroom.dev/v1alpha1
kind: Cluster
metadata:
  name: east
spec:
  kubeconfigSecretRef: {namespace: infra, name: east}
  allowedNamespaces: [\"team-*\"]
  qps: 50
---
apiVersion: strongroom.dev/v1alpha1
kind: SecretSync
metadata:
  name: db
  namespace: prod
spec:
  serviceAccountName: syncer
  source: {names: [db], selector: {matchLabels: {sync: \"true\"}}}
  targets:
  - cluster: east
    namespaces: {names: [team-a], create: false}
    keys: {rewrite: [{regexp: ^DB_, to: \"\"}]}
    template: {data: {url: \"x://{{ user }}\"}}
  refresh: {interval: 1h}
  suspend: false
";

/// A room that writes nowhere, so that nobody else has something to say of the status.
fn start() -> (App, Client) {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--no-sync"]);
    let mut admin = Client::admin(&app);
    for name in ["infra", "prod"] {
        namespace(&mut admin, name);
    }
    let kubeconfig = apiserver::kubeconfig("https://127.0.0.1:9", app.ca_pem.as_slice(), "no-token-of-anybody");
    secret(&mut admin, "infra", "east", &json!({"kubeconfig": kubeconfig}));
    (app, admin)
}

fn each(test: impl Fn(&App, &Kubectl)) {
    for kubectl in kubectl::all() {
        let (app, _) = start();
        kubectl.feed(&app, &["apply", "-f", "-"], MANIFESTS).ok();
        test(&app, &kubectl);
    }
}

fn field(app: &App, kubectl: &Kubectl, object: &str, path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    kubectl.run(app, &["get", object, "-n", "prod", "-o", &path]).ok()
}

/// The words of the lines of a table.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn both_kinds_are_applied_replaced_edited_and_explained() {
    each(|app, kubectl| {
        let apply = |manifests: &str| kubectl.feed(app, &["apply", "-f", "-"], manifests);
        let same = "cluster.strongroom.dev/east unchanged\nsecretsync.strongroom.dev/db unchanged\n";
        assert_eq!(apply(MANIFESTS).ok(), same);
        assert_eq!(field(app, kubectl, "cluster/east", ".spec.kubeconfigSecretRef.key"), "kubeconfig");
        let changed = MANIFESTS.replace("qps: 50", "qps: 60").replace("interval: 1h", "interval: 2h");
        let both = "cluster.strongroom.dev/east configured\nsecretsync.strongroom.dev/db configured\n";
        assert_eq!(apply(&changed).ok(), both);
        for object in ["cluster/east", "secretsync/db"] {
            assert_eq!(field(app, kubectl, object, ".metadata.generation"), "2", "{object}");
            kubectl.run(app, &["label", object, "-n", "prod", "a=b"]).ok();
            assert_eq!(field(app, kubectl, object, ".metadata.generation"), "2", "{object}");
            let shown = kubectl.run(app, &["get", object, "-n", "prod", "-o", "yaml"]).ok();
            kubectl.feed(app, &["replace", "-f", "-"], &shown).ok();
            assert_eq!(field(app, kubectl, object, ".metadata.generation"), "2", "{object}");
        }

        let mut edit = kubectl.command(app, &["edit", "secretsync", "db", "-n", "prod"]);
        edit.env("KUBE_EDITOR", "sed -i s/team-a/team-b/");
        let edited = clients::run(&mut edit, b"", std::time::Duration::from_mins(1));
        assert_eq!(String::from_utf8_lossy(&edited.stdout), "secretsync.strongroom.dev/db edited\n");
        assert_eq!(field(app, kubectl, "secretsync/db", ".spec.targets[0].namespaces.names"), "[\"team-b\"]");

        let described = kubectl.run(app, &["describe", "secretsync", "db", "-n", "prod"]).ok();
        assert!(described.contains("Service Account Name:  syncer"), "{described}");
        let described = kubectl.run(app, &["describe", "cluster", "east"]).ok();
        assert!(described.contains("Kubeconfig Secret Ref:"), "{described}");
        let explained = kubectl.run(app, &["explain", "secretsyncs.spec.targets.creationPolicy"]).ok();
        assert!(explained.contains("FIELD: creationPolicy <string>"), "{explained}");
        let known = kubectl.run(app, &["api-resources", "--api-group=strongroom.dev", "--no-headers"]).ok();
        for row in [
            ["clusters", "strongroom.dev/v1alpha1", "false", "Cluster"],
            ["secretsyncs", "strongroom.dev/v1alpha1", "true", "SecretSync"],
        ] {
            assert!(rows(&known).iter().any(|words| words == &row), "{known}");
        }
        let deleted = kubectl.feed(app, &["delete", "-f", "-"], MANIFESTS).ok();
        assert!(deleted.contains("\"east\" deleted") && deleted.contains("\"db\" deleted"), "{deleted}");
    });
}

#[test]
fn mistakes_are_named_by_their_fields() {
    each(|app, kubectl| {
        let refused = |from: &str, to: &str| {
            assert!(MANIFESTS.contains(from), "{from}");
            let output = kubectl.feed(app, &["apply", "-f", "-"], &MANIFESTS.replace(from, to));
            assert_ne!(output.code, 0, "{to}");
            output.stderr
        };
        for (from, to, expected) in [
            ("qps: 50", "qsp: 50", "unknown field \"spec.qsp\""),
            ("qps: 50", "qps: 0", "spec.qps: Invalid value: 0"),
            ("namespace: infra, ", "", "spec.kubeconfigSecretRef.namespace: Required value"),
            ("team-*", "team/*", "spec.allowedNamespaces[0]: Invalid value: \"team/*\""),
            ("serviceAccountName: syncer\n", "\n", "spec.serviceAccountName: Required value"),
            ("interval: 1h", "interval: 1s", "spec.refresh.interval: Invalid value: \"1s\""),
            ("{{ user }}", "{{ user", "spec.targets[0].template.data[url]: Forbidden: this is no template"),
            ("regexp: ^DB_", "regexp: \"(\"", "spec.targets[0].keys.rewrite[0].regexp: "),
        ] {
            let text = refused(from, to);
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    });
}

#[test]
fn a_status_is_patched_apart_and_shown_in_columns() {
    each(|app, kubectl| {
        let get = |kind: &str| kubectl.run(app, &["get", kind, "-n", "prod"]).ok();
        let (clusters, syncs) = (get("clusters"), get("secretsyncs"));
        assert_eq!(rows(&clusters)[0], ["NAME", "HEALTHY", "REASON", "VERSION", "AGE"]);
        assert_eq!(rows(&clusters)[1][..2], ["east", "Unknown"]);
        assert_eq!(rows(&syncs)[0], ["NAME", "SOURCE", "TARGETS", "READY", "REASON", "LAST", "SYNC", "AGE"]);

        let patch = |object: &str, status: &Value| {
            let patch = json!({"status": status, "spec": {"suspend": true, "qps": 1}}).to_string();
            let patch = ["patch", object, "-n", "prod", "--subresource=status", "--type=merge", "-p", &patch];
            kubectl.run(app, &patch).ok();
        };
        let condition = |kind: &str, status: &str, reason: &str| {
            json!([{"type": kind, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}])
        };
        patch(
            "cluster/east",
            &json!({"conditions": condition("Healthy", "True", "Reached"), "serverVersion": "v1.34.2"}),
        );
        patch(
            "secretsync/db",
            &json!({
                "conditions": condition("Ready", "False", "Conflict"), "source": "db,sync=true",
                "targetsTotal": 3, "targetsReady": 2, "lastSyncTime": "2026-01-01T00:00:00Z",
            }),
        );
        let (clusters, syncs) = (get("clusters"), get("secretsyncs"));
        assert_eq!(rows(&clusters)[1][..4], ["east", "True", "Reached", "v1.34.2"], "{clusters}");
        let row = &rows(&syncs)[1];
        assert_eq!(row[..5], ["db", "db,sync=true", "2/3", "False", "Conflict"], "{syncs}");
        assert!(row[5].ends_with(['d', 'y']), "how long ago: {syncs}");
        kubectl.run(app, &["wait", "--for=condition=Healthy", "cluster/east", "--timeout=30s"]).ok();
        let shown = kubectl.run(app, &["get", "secretsync", "db", "-n", "prod", "--subresource=status"]).ok();
        assert!(shown.contains("2/3"), "{shown}");

        // Neither half is written by who writes the other.
        for object in ["cluster/east", "secretsync/db"] {
            assert_eq!(field(app, kubectl, object, ".metadata.generation"), "1", "{object}");
        }
        assert_eq!(field(app, kubectl, "cluster/east", ".spec.qps"), "50");
        assert_eq!(field(app, kubectl, "secretsync/db", ".spec.suspend"), "false");
        let forged = r#"{"status":{"source":"forged"}}"#;
        kubectl.run(app, &["patch", "secretsync", "db", "-n", "prod", "--type=merge", "-p", forged]).ok();
        assert_eq!(field(app, kubectl, "secretsync/db", ".status.source"), "db,sync=true");
    });
}

#[test]
fn a_value_in_a_secret_sync_itself_is_warned_of_by_its_place() {
    let (_app, mut admin) = start();
    namespace(&mut admin, "team-a");
    let value = "canary-7c1d02-in-a-template";
    let path = format!("{OURS}/namespaces/prod/secretsyncs");
    let place = "spec.targets[0].template.data[pass]: holds a value that whoever may get this SecretSync can read";
    let warned = |answer: crate::support::http::Response| {
        let head = answer.ok().head();
        assert!(!head.contains(value), "{head}");
        head.matches(place).count()
    };
    let kubeconfig = json!({"kubeconfigSecretRef": {"namespace": "infra", "name": "east"}});
    admin.json("POST", &format!("{OURS}/clusters"), &json!({"metadata": {"name": "east"}, "spec": kubeconfig})).ok();
    let mut sync = json!({"metadata": {"name": "db"}, "spec": {"serviceAccountName": "syncer", "source": {"names": ["db"]},
        "targets": [{"cluster": "east", "template": {"data": {"pass": value, "url": "x://{{ user }}"}}}]}});
    assert_eq!(warned(admin.json("POST", &format!("{path}?dryRun=All"), &sync)), 1);
    assert_eq!(warned(admin.json("POST", &path, &sync)), 1);
    sync["spec"]["suspend"] = true.into();
    let db = format!("{path}/db");
    assert_eq!(warned(admin.json("PUT", &db, &sync)), 1);
    let merge = |admin: &mut Client, path: &str, patch: &Value| {
        admin.typed("PATCH", path, "application/merge-patch+json", patch.to_string().as_bytes())
    };
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(warned(merge(&mut admin, &db, &patch)), 0, "nothing of the spec is written");
    assert_eq!(warned(merge(&mut admin, &format!("{db}/status"), &json!({"status": {"source": "db"}}))), 0);
    sync["spec"]["targets"][0]["template"]["data"]["pass"] = "{{ pass }}".into();
    assert_eq!(warned(admin.json("PUT", &db, &sync)), 0);
    sync["apiVersion"] = "strongroom.dev/v1alpha1".into();
    sync["kind"] = "SecretSync".into();
    sync["spec"]["targets"][0]["template"]["data"]["pass"] = value.into();
    let applied = admin.typed("PATCH", &format!("{db}?fieldManager=x&force=true"), APPLY, sync.to_string().as_bytes());
    assert_eq!(warned(applied), 1);
}

#[test]
fn an_apply_neither_owns_the_other_half_nor_is_in_conflict_over_it() {
    let (_app, mut admin) = start();
    let path = format!("{OURS}/clusters/east");
    let mut apply = |path: &str, manager: &str, config: &Value| {
        let path = format!("{path}?fieldManager={manager}");
        admin.typed("PATCH", &path, APPLY, config.to_string().as_bytes()).ok().json()
    };
    let config = |spec: &Value, version: &str| {
        json!({
            "apiVersion": "strongroom.dev/v1alpha1", "kind": "Cluster",
            "metadata": {"name": "east", "labels": {"from": version}}, "spec": spec,
            "status": {"serverVersion": version},
        })
    };
    let spec = json!({"kubeconfigSecretRef": {"namespace": "infra", "name": "east"}, "qps": 50});
    let made = apply(&path, "git", &config(&spec, "forged"));
    assert_eq!(made.get("status"), None, "a create sets no status");
    let seen = apply(&format!("{path}/status"), "controller", &config(&json!({"qps": 1}), "v1.34.2"));
    assert_eq!(seen["status"], json!({"serverVersion": "v1.34.2"}));
    assert_eq!((&seen["spec"]["qps"], &seen["metadata"]["labels"]["from"]), (&json!(50), &json!("forged")));
    // As it comes back from a repository into which it was written with its status.
    let again = apply(&path, "git", &config(&spec, "v1.33.0"));
    assert_eq!(again["status"], json!({"serverVersion": "v1.34.2"}));
    assert_eq!(again["metadata"]["generation"], 1);
    for entry in again["metadata"]["managedFields"].as_array().unwrap() {
        let owned: Vec<&String> = entry["fieldsV1"].as_object().unwrap().keys().collect();
        let expected: &[&str] = match entry["manager"].as_str().unwrap() {
            "git" => &["f:metadata", "f:spec"],
            _ => &["f:status"],
        };
        assert_eq!(owned, expected, "{entry}");
    }

    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}, "status": {"phase": "Terminating"},
    });
    let applied = apply("/api/v1/namespaces/prod", "git", &namespace);
    assert_eq!(applied["status"]["phase"], "Active");
    let managers = applied["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().all(|entry| entry["manager"] != "git"), "{applied}");
}
