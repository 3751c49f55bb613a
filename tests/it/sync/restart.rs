//! Workloads that are restarted when the values that they use have changed: each once, and also where something is in
//! the way at first.

use serde_json::{Value, json};

use super::job::Job;
use super::site::{LONG, Site, condition};
use crate::support::apiserver::Cluster;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const RESTARTED_AT: &str = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
const DUE: &str = "/metadata/annotations/strongroom.dev~1restart-due";

pub fn workload(site: &Site, resource: &str, name: &str) {
    let kind = if resource == "deployments" { "Deployment" } else { "StatefulSet" };
    let labels = json!({"app": name});
    let object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"serviceName": name, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "scratch"}]},
        }},
    });
    site.cluster.admin().json("POST", &format!("/apis/apps/v1/namespaces/{}/{resource}", site.namespace), &object).ok();
}

/// Generation of the workload, which every restart raises, and when it was restarted last.
pub fn restarts(site: &Site, resource: &str, name: &str) -> (i64, Value) {
    let path = format!("/apis/apps/v1/namespaces/{}/{resource}/{name}", site.namespace);
    let object = site.cluster.admin().get(&path).ok().json();
    (object["metadata"]["generation"].as_i64().unwrap(), object.pointer(RESTARTED_AT).cloned().unwrap_or_default())
}

fn is_due(site: &Site, name: &str) -> bool {
    site.there(name).unwrap().pointer(DUE).is_some()
}

fn restarting() -> Value {
    json!({"rolloutRestart": [{"kind": "Deployment", "name": "api"}, {"kind": "StatefulSet", "name": "queue"}]})
}

#[test]
fn workloads_are_restarted_once_for_all_that_changed_and_for_nothing_else() {
    let Some(mut site) = Site::start("restarts") else { return };
    workload(&site, "deployments", "api");
    workload(&site, "statefulsets", "queue");
    let mut sync = site.sync_of("db", &restarting());
    sync["spec"]["source"]["names"] = json!(["db", "mail"]);
    site.secret("db", &json!({"k": "1"}));
    site.secret("mail", &json!({"k": "1"}));
    site.create_sync(&sync);
    site.wait_for("db", "InSync");
    assert_eq!(restarts(&site, "deployments", "api"), (1, Value::Null), "what was not there before has no users");

    // Both, in one pass.
    site.patch_sync("db", &json!({"spec": {"suspend": true}}));
    site.wait_until("db", |status| condition(status, "Ready")["reason"] == "Suspended");
    site.secret("db", &json!({"k": "2"}));
    site.secret("mail", &json!({"k": "2"}));
    site.patch_sync("db", &json!({"spec": {"suspend": false}}));
    site.arrives("db", "k", "2");
    site.arrives("mail", "k", "2");
    for (resource, name) in [("deployments", "api"), ("statefulsets", "queue")] {
        let restarted = eventually(LONG, || (restarts(&site, resource, name).0 > 1).then_some(()));
        restarted.unwrap_or_else(|| panic!("{resource} {name} is not restarted\n{}", site.app.log()));
    }
    let settled = eventually(LONG, || (!is_due(&site, "db") && !is_due(&site, "mail")).then_some(()));
    settled.expect("what is done is noted no longer");
    site.wait_for("db", "InSync");
    let writes = site.writes().len();
    site.run_now("db");
    assert_eq!(site.writes().len(), writes, "nothing is due any more");
    assert_eq!(restarts(&site, "deployments", "api").0, 2, "once for both");
    assert_eq!(restarts(&site, "statefulsets", "queue").0, 2);

    // A label is no reason.
    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["restarts"]}, "metadata": {"labels": {"more": "x"}},
            "rolloutRestart": [{"kind": "Deployment", "name": "api"}],
        }]}}),
    );
    let labelled = eventually(LONG, || (site.there("db").unwrap()["metadata"]["labels"]["more"] == "x").then_some(()));
    labelled.unwrap();
    site.wait_for("db", "InSync");
    site.run_now("db");
    assert_eq!(restarts(&site, "deployments", "api").0, 2);
}

#[test]
fn a_restart_that_was_refused_or_cut_off_is_made_up_for() {
    let Some(mut site) = Site::start("restarts-later") else { return };
    workload(&site, "statefulsets", "queue");
    site.secret("db", &json!({"k": "1"}));
    site.synced("db", &restarting());
    site.secret("db", &json!({"k": "2"}));
    site.arrives("db", "k", "2");
    // One of the two is not there: that is said, and stays due.
    let status = site.wait_until("db", |status| condition(status, "Ready")["reason"] == "RestartFailed");
    let message = condition(&status, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("deployments restarts-later/api could not be restarted"), "{message}");
    assert!(is_due(&site, "db"));
    // Whoever takes over knows.
    let home = std::mem::replace(&mut site.app, App::start()).kill();
    workload(&site, "deployments", "api");
    assert_eq!(restarts(&site, "deployments", "api"), (1, Value::Null));
    site.app = App::start_in(home, &[]);
    site.admin = Client::admin(&site.app);
    let restarted = eventually(LONG, || (restarts(&site, "deployments", "api").0 > 1).then_some(()));
    restarted.unwrap_or_else(|| panic!("the restart is lost\n{}", site.app.log()));
    eventually(LONG, || (!is_due(&site, "db")).then_some(())).expect("what is done is noted no longer");
    site.wait_for("db", "InSync");
    assert_eq!(site.value("db", "k").as_deref(), Some("2"));
}

#[test]
fn a_job_restarts_too() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let mut job = Job::start(cluster, "restarts-by-job", &kubeconfig);
    workload(&job.site, "deployments", "api");
    job.site.secret("db", &json!({"k": "1"}));
    let sync = job.site.sync_of("db", &json!({"rolloutRestart": [{"kind": "Deployment", "name": "api"}]}));
    job.site.create_sync(&sync);
    let run = ["sync", "run", "db", "-n", "prod", "--once"];
    assert_eq!(job.command(&run).0, 0);
    assert_eq!(restarts(&job.site, "deployments", "api").0, 1);
    job.site.secret("db", &json!({"k": "2"}));
    let (code, text) = job.command(&run);
    assert!(code == 0 && text.contains("restarted deployments restarts-by-job/api"), "{code} {text}");
    assert_eq!(restarts(&job.site, "deployments", "api").0, 2);
    let writes = job.site.writes().len();
    let (code, text) = job.command(&run);
    assert!(code == 0 && !text.contains("restarted"), "{code} {text}");
    assert_eq!(job.site.writes().len(), writes);
}
