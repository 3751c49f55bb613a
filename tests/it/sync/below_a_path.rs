//! A cluster that is reached below a path, as behind Rancher: whatever is asked of it is asked there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};

use serde_json::json;

use super::job::Job;
use super::site::{SECRETS, Site};
use crate::support::apiserver::{Cluster, kubeconfig};
use crate::support::played::{Answer, Asked, Played};
use crate::support::watch::Watch;

const PREFIX: &str = "/k8s/clusters/c-m-1x2y3z";

/// Hands on what is asked below the path, and nothing else; the credential with it. It goes on longer than the test does,
/// and must not keep the cluster.
fn in_front_of(cluster: &Cluster) -> Played {
    let anybody = Mutex::new(cluster.admin().without_token());
    Played::start(move |asked: &Asked| {
        let target = asked.target.strip_prefix(PREFIX).filter(|rest| rest.starts_with('/'))?;
        let token = asked.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "))?;
        let mut client = anybody.lock().unwrap().with_token(token);
        let accept = asked.accept.clone().unwrap_or_default();
        if target.contains("watch=true") {
            let mut watch = Watch::begin(&client, target, &accept);
            let (sender, lines) = mpsc::channel();
            std::thread::spawn(move || {
                while let Some(line) = watch.line() {
                    if sender.send(line.trim_end().to_owned()).is_err() {
                        break;
                    }
                }
            });
            return Some(Answer::lines(lines));
        }
        let content_type = asked.content_type.clone().unwrap_or_default();
        let headers = [("Accept", &*accept), ("Content-Type", &*content_type)];
        let headers = if content_type.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = client.send(&asked.method, target, headers, &asked.body).unwrap();
        Some(Answer::json(answer.status, &answer.json()))
    })
}

/// What was asked, as verbs and resources; everything must have been asked below the path.
fn asked(played: &Played) -> BTreeSet<String> {
    let asked = played.asked();
    let outside: Vec<&str> =
        asked.iter().map(|one| &*one.target).filter(|target| !target.starts_with(PREFIX)).collect();
    assert!(outside.is_empty(), "asked outside of the path: {outside:?}");
    let verb = |one: &Asked| {
        let is_of_many = one.path().ends_with("/secrets") || one.path().ends_with("/namespaces");
        let verb = match &*one.method {
            "GET" if one.target.contains("watch=true") => "watch",
            "GET" if is_of_many => "list",
            method => method,
        };
        let resource = one.path().trim_start_matches(PREFIX).split('/').rev();
        format!("{verb} {}", resource.clone().find(|part| part.ends_with('s') || *part == "version").unwrap())
    };
    asked.iter().map(verb).collect()
}

#[test]
fn a_cluster_below_a_path_is_asked_for_everything_there() {
    let Some(cluster) = Cluster::shared() else { return };
    let played = in_front_of(&cluster);
    let admin = cluster.admin();
    let server = format!("{}{PREFIX}/", played.url());
    let kubeconfig = kubeconfig(&server, played.authority.as_bytes(), admin.token().unwrap());
    let mut site = Site::start_with(Arc::clone(&cluster), "below", &[]).with_cluster("east", &kubeconfig);
    site.secret("db", &json!({"k": "1"}));
    let mut sync = site.sync_of("db", &json!({"onSourceDelete": "Delete"}));
    sync["spec"]["targets"][0]["namespaces"] = json!({"selector": {"matchLabels": {"test": "below"}}});
    site.create_sync(&sync);
    site.wait_for("db", "InSync");
    // Known by the watch: the interval is an hour.
    site.by_hand("PATCH", "db", &json!({"data": {"k": "eA=="}}));
    site.arrives("db", "k", "1");
    site.admin.delete(&format!("{SECRETS}/db")).ok();
    site.goes("db");
    let seen = asked(&played);
    for expected in [
        "GET version",
        "list namespaces",
        "watch namespaces",
        "list secrets",
        "watch secrets",
        "PATCH secrets",
        "DELETE secrets",
    ] {
        assert!(seen.contains(expected), "{expected}: {seen:?}");
    }
}

#[test]
fn a_job_asks_a_cluster_below_a_path_for_its_rights_there() {
    let Some(cluster) = Cluster::shared() else { return };
    let played = in_front_of(&cluster);
    let admin = cluster.admin();
    let server = format!("{}{PREFIX}", played.url());
    let kubeconfig = kubeconfig(&server, played.authority.as_bytes(), admin.token().unwrap());
    let mut job = Job::start(cluster, "below-job", &kubeconfig);
    job.site.secret("db", &json!({"k": "1"}));
    let sync = job.site.sync_of("db", &json!({}));
    job.site.create_sync(&sync);
    let (code, text) = job.command(&["sync", "plan", "db", "-n", "prod"]);
    assert!(code == 2 && text.contains("east/below-job/db Missing"), "{text}");
    let seen = asked(&played);
    assert!(seen.contains("POST selfsubjectrulesreviews") && seen.contains("PATCH secrets"), "{seen:?}");
}
