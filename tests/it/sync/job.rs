//! The job: `strongroom sync run --once` with nothing but an address, an authority and a token; and the plan before it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::codec::yaml;
use tempfile::TempDir;

use super::restart::{restarts, workload};
use super::site::{OURS, SECRETS, SYNCS, Site};
use crate::support::actors::{RBAC, rbac};
use crate::support::apiserver::Cluster;
use crate::support::clients::run;

const VALUE: &str = "canary-3f9a1c-of-a-job";

/// A room that writes nothing by itself, and a job as its service account `syncer`.
pub struct Job {
    pub site: Site,
    files: TempDir,
}

impl Job {
    pub fn start(cluster: Arc<Cluster>, name: &str, kubeconfig: &str) -> Self {
        let mut site = Site::start_with(cluster, name, &["--no-sync"]).with_cluster("east", kubeconfig);
        // What the job's token must be allowed besides what the SecretSync is.
        let roles = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/sync-rbac.yaml")).unwrap();
        for object in yaml::parse_all(&roles).unwrap() {
            let object = object.value;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
            let collection = match &*plural {
                "serviceaccounts" => format!("/api/v1/namespaces/{namespace}/{plural}"),
                _ => rbac(namespace, &plural),
            };
            let path = format!(
                "{collection}/{}?fieldManager=job&fieldValidation=Strict",
                object["metadata"]["name"].as_str().unwrap()
            );
            site.admin.typed("PATCH", &path, "application/apply-patch+yaml", object.to_string().as_bytes()).ok();
        }
        let path = "/api/v1/namespaces/prod/serviceaccounts/syncer/token";
        let token = site.admin.json("POST", path, &json!({})).ok().json();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), token["status"]["token"].as_str().unwrap()).unwrap();
        std::fs::write(files.path().join("ca.crt"), &site.app.ca_pem).unwrap();
        Self { site, files }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Runs a command; exit code and what it printed, in which no value may be.
    pub fn command(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(arguments).args(["--server", &self.site.app.url]);
        command.arg("--ca-file").arg(self.file("ca.crt")).arg("--token-file").arg(self.file("token"));
        let Output { status, stdout, stderr } = run(&mut command, b"", Duration::from_mins(2));
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(!text.contains(VALUE), "{arguments:?} shows a value");
        (status.code().unwrap(), text)
    }

    fn sync(&self) -> (i32, String) {
        self.command(&["sync", "run", "db", "-n", "prod", "--once"])
    }
}

#[test]
fn a_job_plans_writes_and_then_writes_nothing_with_a_token_alone() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let mut job = Job::start(cluster, "jobs", &kubeconfig);
    job.site.secret("db", &json!({"pass": VALUE, "user": "ada"}));
    let sync = job.site.sync_of("db", &json!({"onSourceDelete": "Delete"}));
    job.site.create_sync(&sync);
    let plan = ["sync", "plan", "db", "-n", "prod"];
    let (code, text) = job.command(&plan);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("east/jobs/db Missing"), "{text}");
    assert!(text.contains(&format!("+ pass ({} bytes)", VALUE.len())) && text.contains("+ user (3 bytes)"), "{text}");
    assert!(job.site.there("db").is_none(), "a plan changes nothing");

    let (code, text) = job.command(&["sync", "run", "--once", "--wait", "-n", "prod"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("1 of 1 in sync, 1 written"), "{text}");
    assert_eq!(job.site.value("db", "pass").as_deref(), Some(VALUE));
    let writes = job.site.writes().len();
    let (code, text) = job.sync();
    assert!(code == 0 && text.contains("0 written"), "{code} {text}");
    assert_eq!(job.command(&plan).0, 0);
    let real = job.site.writes().len();
    assert_eq!(real, writes, "a second run writes nothing");

    job.site.by_hand("PATCH", "db", &json!({"data": {"user": "eA==", "foreign": "eA=="}}));
    let (code, text) = job.command(&plan);
    assert!(code == 2 && text.contains("~ user (1 → 3 bytes)") && text.contains("- foreign (1 bytes)"), "{text}");
    assert!(text.contains("= pass"), "{text}");
    assert_eq!(job.sync().0, 0);
    assert_eq!(job.site.value("db", "user").as_deref(), Some("ada"));
    assert_eq!(job.site.value("db", "foreign"), None);

    job.site.admin.delete(&format!("{SECRETS}/db")).ok();
    let (code, text) = job.command(&plan);
    assert!(code == 2 && text.contains("jobs/db would be deleted"), "{text}");
    let (code, text) = job.sync();
    assert!(code == 0 && text.contains("1 deleted"), "{text}");
    assert!(job.site.there("db").is_none());
}

#[test]
fn a_job_takes_back_what_it_wrote_before_the_sync_is_gone() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let mut job = Job::start(cluster, "released", &kubeconfig);
    job.site.secret("db", &json!({"pass": VALUE}));
    let sync = job.site.sync_of("db", &json!({"onSyncDelete": "Delete"}));
    job.site.create_sync(&sync);
    let path = format!("{SYNCS}/db");
    let finalizers = |job: &mut Job| job.site.admin.get(&path).ok().json()["metadata"]["finalizers"].clone();
    assert_eq!(job.command(&["sync", "plan", "db", "-n", "prod"]).0, 2);
    assert_eq!(finalizers(&mut job), Value::Null, "a plan holds nothing");
    assert_eq!(job.sync().0, 0);
    assert_eq!(finalizers(&mut job), json!(["strongroom.dev/sync"]));

    let release = json!({"spec": {"cluster": "east", "released": true}});
    let refused = job.site.admin.json("POST", &format!("{path}/render"), &release);
    assert!(refused.status == 422 && refused.text().contains("spec.released"), "{}", refused.text());

    job.site.admin.delete(&path).ok();
    assert!(job.site.admin.get(&path).ok().json()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(job.site.value("db", "pass").as_deref(), Some(VALUE), "nothing happens until the job runs");
    let (code, text) = job.sync();
    assert!(code == 0 && text.contains("1 deleted") && text.contains("is deleted"), "{code} {text}");
    assert!(job.site.there("db").is_none());
    assert_eq!(job.site.admin.get(&path).status, 404);
}

#[test]
fn a_sync_is_held_while_no_cluster_of_it_is_chosen() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let mut job = Job::start(cluster, "unchosen", &kubeconfig);
    job.site.secret("db", &json!({"pass": VALUE}));
    let label = |job: &mut Job, value: Value| {
        let patch = json!({"metadata": {"labels": {"in": value}}}).to_string();
        job.site
            .admin
            .typed("PATCH", &format!("{OURS}/clusters/east"), "application/merge-patch+json", patch.as_bytes())
            .ok();
    };
    label(&mut job, json!("use"));
    let mut sync = job.site.sync_of("db", &json!({"onSyncDelete": "Delete"}));
    let target = sync["spec"]["targets"][0].as_object_mut().unwrap();
    target.remove("cluster");
    target.insert("clusterSelector".to_owned(), json!({"matchLabels": {"in": "use"}}));
    job.site.create_sync(&sync);
    assert_eq!(job.sync().0, 0);
    job.site.admin.delete(&format!("{SYNCS}/db")).ok();
    label(&mut job, Value::Null);
    let (code, text) = job.sync();
    assert!(code == 3 && text.contains("is held yet"), "{code} {text}");
    assert_eq!(job.site.value("db", "pass").as_deref(), Some(VALUE));
    label(&mut job, json!("use"));
    let (code, text) = job.sync();
    assert!(code == 0 && text.contains("1 deleted"), "{code} {text}");
    assert!(job.site.there("db").is_none());
}

#[test]
fn what_a_job_cannot_do_is_told_apart_from_what_it_did() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let mut job = Job::start(cluster, "parts", &kubeconfig);
    for name in ["db", "other"] {
        job.site.secret(name, &json!({"pass": VALUE}));
    }
    job.site.by_hand("POST", "", &json!({"metadata": {"name": "other"}, "data": {"mine": "eA=="}}));
    let mut sync = job.site.sync_of("db", &json!({}));
    sync["spec"]["source"]["names"] = json!(["db", "other", "gone"]);
    job.site.create_sync(&sync);
    let (code, text) = job.sync();
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("1 of 2 in sync, 1 written") && text.contains("east/parts/other Conflict"), "{text}");
    assert!(text.contains("there is no Secret \"gone\""), "{text}");
    assert_eq!(job.site.value("db", "pass").as_deref(), Some(VALUE));

    // Somebody else's token renders nothing of it.
    let path = format!("{SYNCS}/db/render");
    let body = json!({"spec": {"cluster": "east"}});
    job.site.admin.json("POST", &path, &body).ok();
    job.site
        .admin
        .json("POST", "/api/v1/namespaces/prod/serviceaccounts", &json!({"metadata": {"name": "thief"}}))
        .ok();
    let rules = json!([{"verbs": ["create"], "apiGroups": ["strongroom.dev"], "resources": ["secretsyncs/render"]}]);
    let roles = format!("/apis/{RBAC}/v1/namespaces/prod");
    job.site
        .admin
        .json("POST", &format!("{roles}/roles"), &json!({"metadata": {"name": "thief"}, "rules": rules}))
        .ok();
    let binding = json!({"metadata": {"name": "thief"},
        "subjects": [{"kind": "ServiceAccount", "name": "thief", "namespace": "prod"}],
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "thief"}});
    job.site.admin.json("POST", &format!("{roles}/rolebindings"), &binding).ok();
    let token =
        job.site.admin.json("POST", "/api/v1/namespaces/prod/serviceaccounts/thief/token", &json!({})).ok().json();
    let mut thief = job.site.admin.with_token(token["status"]["token"].as_str().unwrap());
    let answer = thief.json("POST", &path, &body);
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("cannot impersonate"), "{}", answer.text());
}

#[test]
fn the_roles_that_are_printed_are_enough_and_nothing_less_is() {
    let Some(cluster) = Cluster::shared() else { return };
    cluster.namespace("printed-writer", &json!({}));
    let token = cluster.account("printed-writer", "writer");
    let kubeconfig = cluster.kubeconfig(&token);
    let mut job = Job::start(cluster, "printed", &kubeconfig);
    job.site.secret("db", &json!({"pass": "1"}));
    workload(&job.site, "deployments", "api");
    let more = json!({"onSyncDelete": "Delete", "rolloutRestart": [{"kind": "Deployment", "name": "api"}]});
    let sync = job.site.sync_of("db", &more);
    job.site.create_sync(&sync);
    let (code, text) =
        job.command(&["cluster", "rbac", "--sync", "prod/db", "--service-account", "printed-writer/writer"]);
    assert_eq!(code, 0, "{text}");
    let kubectl = crate::support::kubectl::all().pop().expect("a kubectl");
    let file = job.file("cluster.kubeconfig");
    std::fs::write(&file, job.site.cluster.admin_kubeconfig()).unwrap();
    let apply = run(
        Command::new(kubectl.program()).arg("--kubeconfig").arg(&file).args(["apply", "-f", "-"]),
        text.as_bytes(),
        Duration::from_mins(1),
    );
    assert!(apply.status.success(), "{}", String::from_utf8_lossy(&apply.stderr));
    let (code, text) = job.sync();
    assert!(code == 0 && text.contains("1 written"), "{text}");
    job.site.secret("db", &json!({"pass": "2"}));
    assert_eq!(job.sync().0, 0);
    assert_eq!(job.site.value("db", "pass").as_deref(), Some("2"));
    assert_eq!(restarts(&job.site, "deployments", "api").0, 2);

    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/printed/roles/strongroom-prod-db";
    let whole = job.site.cluster.admin().get(role).ok().json();
    let verbs: Vec<Value> = whole["rules"][0]["verbs"].as_array().unwrap().clone();
    assert_eq!(json!(verbs), json!(["get", "create", "patch", "delete"]));
    for left_out in &verbs {
        // From nothing: made, changed, deleted.
        let with = |verbs: &Value| {
            let mut role = whole.clone();
            role["rules"][0]["verbs"] = verbs.clone();
            role["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            job.site
                .cluster
                .admin()
                .json("PUT", "/apis/rbac.authorization.k8s.io/v1/namespaces/printed/roles/strongroom-prod-db", &role)
                .ok();
        };
        let fewer: Vec<&Value> = verbs.iter().filter(|verb| *verb != left_out).collect();
        with(&json!(fewer));
        job.site.cluster.admin().delete("/api/v1/namespaces/printed/secrets/db");
        if left_out == "create" || left_out == "patch" {
            let (code, text) = job.command(&["sync", "plan", "db", "-n", "prod"]);
            let verb = left_out.as_str().unwrap();
            let missing = format!("the cluster does not let it {verb} secrets \"db\" in namespace \"printed\"");
            assert!(code == 1 && text.contains(&missing), "{code} {text}");
        }
        let made = job.sync();
        let is_enough = made.0 == 0;
        assert_eq!(is_enough, left_out == "delete", "without {left_out}: {}", made.1);
        with(&json!(verbs));
    }
    // Which is needed where something is to be taken back.
    assert_eq!(job.sync().0, 0);
    let rename = json!({"spec": {"targets": [{
        "cluster": "east", "namespaces": {"names": ["printed"]}, "name": "new", "onSyncDelete": "Delete",
    }]}});
    job.site.patch_sync("db", &rename);
    job.site.admin.get(&format!("{OURS}/clusters/east")).ok();
    let (code, text) = job.sync();
    assert!(code == 3 && text.contains("Forbidden"), "a role for other names: {text}");
}

#[test]
fn the_server_is_asked_for_a_pass_and_waited_for() {
    let Some(mut site) = Site::start("asked") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.synced("db", &json!({}));
    let home = site.app.home().display().to_string();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(arguments).args(["-n", "prod", "--home", &home]);
        let output = run(&mut command, b"", Duration::from_mins(2));
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = command(&["sync", "run", "--wait"]);
    assert!(code == 0 && text == "SecretSync prod/db is in sync\n", "{text}");
    let (code, text) = command(&["sync", "status"]);
    assert!(code == 0 && text.contains("east/asked/db") && text.contains("InSync"), "{text}");
    site.cluster.admin().delete("/api/v1/namespaces/asked/secrets/db").ok();
    site.arrives("db", "k", "v");
    site.by_hand("POST", "", &json!({"metadata": {"name": "taken"}, "data": {"mine": "eA=="}}));
    let sync = site.sync_of("taken", &json!({"name": "taken"}));
    site.create_sync(&sync);
    let (code, text) = command(&["sync", "run", "taken", "--wait", "--timeout", "30s"]);
    assert!(code == 3 && text.contains("is not in sync: Conflict"), "{text}");
    assert_eq!(command(&["sync", "status"]).0, 3);
}
