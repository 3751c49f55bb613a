//! A cluster that is away, slow or full, credentials that end, and a room that is killed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::site::{LONG, OURS, SECRETS, SYNCS, Site, condition};
use crate::support::apiserver::{Cluster, kubeconfig};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::played::{Answer, Played};

#[test]
fn a_cluster_that_goes_away_gets_what_it_missed_and_nobody_waits_for_it() {
    let (Some(shared), Some(own)) = (Cluster::shared(), Cluster::start()) else { return };
    let own = Arc::new(own);
    let kubeconfig = own.admin_kubeconfig();
    shared.namespace("away", &json!({}));
    let mut site = Site::start_with(Arc::clone(&own), "away", &[]).with_cluster("east", &kubeconfig);
    site = site.with_cluster("west", &shared.admin_kubeconfig());
    site.secret("db", &json!({"k": "1"}));
    let mut sync = site.sync_of("db", &json!({}));
    let west = json!({"cluster": "west", "namespaces": {"names": ["away"]}});
    sync["spec"]["targets"].as_array_mut().unwrap().push(west);
    site.create_sync(&sync);
    site.wait_for("db", "InSync");
    let away = Instant::now();
    own.stop_server();
    site.secret("db", &json!({"k": "2"}));
    let path = "/api/v1/namespaces/away/secrets/db";
    let arrived = eventually(LONG, || (shared.admin().get(path).ok().json()["data"]["k"] == "Mg==").then_some(()));
    arrived.expect("the other cluster does not wait");
    let status = site.wait_for("db", "ClusterUnreachable");
    assert_eq!(condition(&status, "Stalled")["status"], "False", "it is tried again");
    let healthy = site.admin.get(&format!("{OURS}/clusters/east")).ok();
    assert_eq!(healthy.status, 200);
    own.start_server();
    // The longer a cluster is away, the longer it is waited until the next try: twice as long each time.
    site.arrives_within(LONG + 3 * away.elapsed(), "db", "k", "2");
    site.wait_for("db", "InSync");
}

#[test]
fn what_was_committed_before_a_kill_arrives_after_it_and_so_does_a_deletion() {
    let Some(mut site) = Site::start("killed") else { return };
    site.secret("db", &json!({"k": "0"}));
    site.synced("db", &json!({"onSourceDelete": "Delete"}));
    for round in 1..=10 {
        site.secret("db", &json!({"k": round.to_string()}));
        // Within the time in which changes are gathered.
        let home = site.app.kill();
        site.app = App::start_in(home, &[]);
        site.admin = Client::admin(&site.app);
        site.arrives("db", "k", &round.to_string());
    }
    site.wait_for("db", "InSync");
    site.admin.delete(&format!("{SECRETS}/db")).ok();
    let home = site.app.kill();
    site.app = App::start_in(home, &[]);
    site.admin = Client::admin(&site.app);
    site.goes("db");
}

#[test]
fn a_namespace_that_is_made_or_labelled_later_gets_what_its_labels_ask_for() {
    let Some(mut site) = Site::start("later") else { return };
    site.secret("db", &json!({"k": "v"}));
    let sync = site.sync_of(
        "db",
        &json!({"namespaces": {
            "selector": {"matchLabels": {"wants": "later"}}, "matchNames": ["later-*"], "exclude": ["*-not"],
        }}),
    );
    site.create_sync(&sync);
    site.wait_for("db", "NoTargets");
    site.cluster.namespace("later-not", &json!({"wants": "later"}));
    site.cluster.namespace("later-a", &json!({}));
    let labels = json!({"metadata": {"labels": {"wants": "later"}}}).to_string();
    let path = "/api/v1/namespaces/later";
    site.cluster.admin().typed("PATCH", path, "application/merge-patch+json", labels.as_bytes()).ok();
    site.arrives("db", "k", "v");
    let path = "/api/v1/namespaces/later-a/secrets/db";
    let arrived = eventually(LONG, || (site.cluster.admin().get(path).status == 200).then_some(()));
    arrived.expect("a namespace whose name matches");
    assert_eq!(site.cluster.admin().get("/api/v1/namespaces/later-not/secrets/db").status, 404);
}

#[test]
fn a_namespace_that_is_missing_is_named_and_made_only_if_that_is_wanted() {
    let Some(mut site) = Site::start("missing") else { return };
    site.secret("db", &json!({"k": "v"}));
    let sync = site.sync_of("db", &json!({"namespaces": {"names": ["missing-too"]}}));
    site.create_sync(&sync);
    let status = site.wait_for("db", "NotFound");
    assert!(status["targets"][0]["message"].as_str().unwrap().contains("missing-too"));
    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["missing-too"], "create": true},
        }]}}),
    );
    site.wait_for("db", "InSync");
}

#[test]
fn a_role_for_the_names_alone_is_enough_and_nothing_less_is() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut site = Site::start_with(cluster, "least", &[]);
    let token = site.cluster.account("least", "writer");
    let kubeconfig = site.cluster.kubeconfig(&token);
    site = site.with_cluster("east", &kubeconfig);
    site.secret("db", &json!({"k": "v"}));
    let role = |verbs: &Value| {
        let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": verbs}]);
        json!({"metadata": {"name": "writer"}, "rules": rules})
    };
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/least/roles";
    let binding = json!({
        "metadata": {"name": "writer"}, "subjects": [{"kind": "ServiceAccount", "name": "writer", "namespace": "least"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"},
    });
    site.cluster.admin().json("POST", roles, &role(&json!(["get"]))).ok();
    site.cluster.admin().json("POST", &roles.replace("/roles", "/rolebindings"), &binding).ok();
    let sync = site.sync_of("db", &json!({}));
    site.create_sync(&sync);
    let status = site.wait_for("db", "Forbidden");
    assert!(status["targets"][0]["message"].as_str().unwrap().contains("cannot patch"), "{status}");
    for verbs in [json!(["patch"]), json!(["get", "patch"])] {
        site.cluster.admin().json("PUT", &format!("{roles}/writer"), &role(&verbs)).ok();
        site.run_now("db");
        assert!(site.there("db").is_none(), "{verbs}");
    }
    site.cluster.admin().json("PUT", &format!("{roles}/writer"), &role(&json!(["get", "create", "patch"]))).ok();
    site.run_now("db");
    site.arrives("db", "k", "v");
    site.wait_for("db", "InSync");
    site.secret("db", &json!({"k": "w"}));
    site.arrives("db", "k", "w");
    let writes = site.writes();
    let stranger =
        writes.iter().find(|write| write.is_write() && write.user.contains("least:writer") && write.verb != "patch");
    assert!(stranger.is_none(), "{stranger:?}");
}

#[test]
fn a_credential_that_has_ended_is_told_and_a_new_one_is_used_at_once() {
    let Some(cluster) = Cluster::shared() else { return };
    let wrong = cluster.kubeconfig("a-token-that-has-ended");
    let mut site = Site::start_with(cluster, "expired", &[]).with_cluster("east", &wrong);
    site.secret("db", &json!({"k": "v"}));
    let sync = site.sync_of("db", &json!({}));
    site.create_sync(&sync);
    let status = site.wait_for("db", "Unauthorized");
    assert_eq!(condition(&status, "Stalled")["status"], "True", "trying again would not help");
    let unhealthy = eventually(LONG, || {
        let cluster = site.admin.get(&format!("{OURS}/clusters/east")).ok().json();
        (condition(&cluster["status"], "Healthy")["reason"] == "Unauthorized").then_some(())
    });
    unhealthy.expect("the Cluster says so too");
    let right = site.cluster.admin_kubeconfig();
    site.kubeconfig("east", &right);
    site.arrives("db", "k", "v");
    let healthy = eventually(LONG, || {
        let cluster = site.admin.get(&format!("{OURS}/clusters/east")).ok().json();
        (condition(&cluster["status"], "Healthy")["status"] == "True")
            .then(|| cluster["status"]["serverVersion"].clone())
    });
    assert!(healthy.expect("it is healthy").as_str().unwrap().starts_with('v'));
}

#[test]
fn a_right_that_the_service_account_loses_ends_what_it_sends() {
    let Some(mut site) = Site::start("rights") else { return };
    site.secret("db", &json!({"k": "1"}));
    site.synced("db", &json!({}));
    let binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/prod/rolebindings/syncer";
    let kept = site.admin.get(binding).ok().json();
    site.admin.delete(binding).ok();
    site.secret("db", &json!({"k": "2"}));
    let status = site.wait_for("db", "SourceForbidden");
    let message = condition(&status, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("system:serviceaccount:prod:syncer"), "{message}");
    assert_eq!(site.value("db", "k").as_deref(), Some("1"));
    let again = json!({"metadata": {"name": "syncer"}, "subjects": kept["subjects"], "roleRef": kept["roleRef"]});
    site.admin.json("POST", binding.trim_end_matches("/syncer"), &again).ok();
    site.arrives("db", "k", "2");

    let use_of_clusters = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/syncer";
    site.admin.delete(use_of_clusters).ok();
    site.secret("db", &json!({"k": "3"}));
    site.wait_for("db", "ClusterForbidden");
    assert_eq!(site.value("db", "k").as_deref(), Some("2"));
}

#[test]
fn a_cluster_that_fails_or_asks_for_patience_is_tried_again_and_heard() {
    let failures = Arc::new(Mutex::new(vec![500, 429, 503]));
    let left = Arc::clone(&failures);
    let played = Played::start(move |asked| {
        let path = asked.path().to_owned();
        if path == "/version" {
            return Some(Answer::json(200, &json!({"gitVersion": "v1.34.0"})));
        }
        if asked.method == "PATCH" {
            if let Some(code) = left.lock().unwrap().pop() {
                let answer = Answer::refusal(code, "", "not now");
                return Some(if code == 429 { answer.with("Retry-After", "2") } else { answer });
            }
            let mut object = asked.json();
            object["metadata"]["uid"] = "u".into();
            object["metadata"]["resourceVersion"] = "1".into();
            return Some(Answer::json(200, &object));
        }
        if asked.target.contains("watch=true") {
            return Some(Answer::refusal(403, "Forbidden", "no watch"));
        }
        path.ends_with("/secrets")
            .then(|| Answer::json(200, &json!({"metadata": {"resourceVersion": "1"}, "items": []})))
    });
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = kubeconfig(&played.url(), played.authority.as_bytes(), "t");
    let mut site = Site::start_with(cluster, "patience", &[]).with_cluster("east", &kubeconfig);
    site.secret("db", &json!({"k": "v"}));
    let sync = site.sync_of("db", &json!({}));
    site.create_sync(&sync);
    site.wait_for("db", "InSync");
    assert!(failures.lock().unwrap().is_empty());
    let patches = played.asked().into_iter().filter(|asked| asked.method == "PATCH");
    assert!(patches.clone().all(|asked| asked.authorization.as_deref() == Some("Bearer t")));
    assert_eq!(patches.count(), 4);
}

#[test]
fn a_kubeconfig_that_would_act_on_the_server_is_refused_and_does_nothing() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut site = Site::start_with(cluster, "hostile", &[]);
    let proof = tempfile::tempdir().unwrap();
    let touched = proof.path().join("touched");
    let pipe = proof.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let usual: Value = serde_json::from_str(&site.cluster.admin_kubeconfig()).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [touched],
        "interactiveMode": "Never"});
    let pipe = pipe.display().to_string();
    for (list, member, field, value) in [
        ("users", "user", "exec", exec.clone()),
        (
            "users",
            "user",
            "auth-provider",
            json!({"name": "gcp", "config": {"cmd-path": "touch", "cmd-args": touched}}),
        ),
        ("users", "user", "tokenFile", json!(pipe)),
        ("users", "user", "client-key", json!(pipe)),
        ("users", "user", "client-certificate", json!(pipe)),
        ("clusters", "cluster", "certificate-authority", json!(pipe)),
        ("clusters", "cluster", "proxy-url", json!("http://127.0.0.1:1")),
        ("clusters", "cluster", "insecure-skip-tls-verify", json!(true)),
        ("users", "user", "something-new", json!(1)),
    ] {
        let mut kubeconfig = usual.clone();
        kubeconfig[list][0][member][field] = value;
        site.kubeconfig("bad", &kubeconfig.to_string());
        let object = json!({
            "metadata": {"name": "bad"},
            "spec": {"kubeconfigSecretRef": {"namespace": "infra", "name": "bad"}},
        });
        let answer = site.admin.json("POST", &format!("{OURS}/clusters"), &object);
        assert_eq!(answer.status, 422, "{field}");
        let text = answer.text();
        assert!(text.contains(&format!("{list}[0].{member}.{field}")), "{text}");
        assert!(!text.contains("the-token-of-the-administrator"), "{text}");
    }
    // One that turns bad when it is in use already is no better.
    let good = site.cluster.admin_kubeconfig();
    site = site.with_cluster("east", &good);
    site.secret("db", &json!({"k": "v"}));
    site.synced("db", &json!({}));
    let mut kubeconfig = usual;
    kubeconfig["users"][0]["user"]["exec"] = exec;
    site.kubeconfig("east", &kubeconfig.to_string());
    site.secret("db", &json!({"k": "w"}));
    let status = site.wait_for("db", "InvalidKubeconfig");
    assert!(condition(&status, "Ready")["message"].as_str().unwrap().contains("users[0].user.exec"));
    assert!(!touched.exists(), "no process is started");
    // The server still answers: it waits for no file.
    site.admin.get(SYNCS).ok();
}

#[test]
fn two_rooms_replicate() {
    let Some(cluster) = Cluster::shared() else { return };
    let other = App::start();
    let mut there = Client::admin(&other);
    there.json("POST", "/api/v1/namespaces", &json!({"metadata": {"name": "copies"}})).ok();
    let kubeconfig = std::fs::read_to_string(other.kubeconfig()).unwrap();
    let mut site = Site::start_with(cluster, "rooms", &[]).with_cluster("other", &kubeconfig);
    site.secret("db", &json!({"k": "v"}));
    let mut sync = site.sync_of("db", &json!({"onSourceDelete": "Delete"}));
    sync["spec"]["targets"][0]["cluster"] = "other".into();
    sync["spec"]["targets"][0]["namespaces"] = json!({"names": ["copies"]});
    site.create_sync(&sync);
    site.wait_for("db", "InSync");
    let path = "/api/v1/namespaces/copies/secrets/db";
    assert_eq!(there.get(path).ok().json()["data"]["k"], "dg==");
    site.secret("db", &json!({"k": "w", "l": "x"}));
    let arrived = eventually(LONG, || (there.get(path).ok().json()["data"]["l"] == "eA==").then_some(()));
    arrived.expect("the change arrives");
    let edit = json!({"data": {"k": "eA=="}}).to_string();
    there.typed("PATCH", path, "application/merge-patch+json", edit.as_bytes()).ok();
    let mended = eventually(LONG, || (there.get(path).ok().json()["data"]["k"] == "dw==").then_some(()));
    mended.expect("drift is put right there too");
    site.admin.delete(&format!("{SECRETS}/db")).ok();
    let gone = eventually(LONG, || (there.get(path).status == 404).then_some(()));
    gone.expect("the deletion arrives");
}

#[test]
fn a_thousand_targets_arrive_and_a_second_pass_writes_nothing() {
    let Some(mut site) = Site::start("thousand") else { return };
    let sources = 100;
    for at in 0..10 {
        site.cluster.namespace(&format!("thousand-{at}"), &json!({}));
    }
    for at in 0..sources {
        site.secret(&format!("s{at}"), &json!({"k": at.to_string()}));
    }
    let mut sync = site.sync_of("all", &json!({"namespaces": {"matchNames": ["thousand-*"]}}));
    sync["spec"]["source"] = json!({"selector": {}});
    sync["spec"]["limits"] = json!({"maxTargets": 999});
    site.create_sync(&sync);
    let status = site.wait_for("all", "TargetLimit");
    assert_eq!(status["targetsReady"], 999);
    site.patch_sync("all", &json!({"spec": {"limits": {"maxTargets": 1000}}}));
    site.wait_until("all", |status| status["targetsReady"] == 1000 && condition(status, "Ready")["status"] == "True");
    let writes = |site: &Site| {
        site.cluster
            .audited()
            .into_iter()
            .filter(|one| one.is_write() && one.namespace.starts_with("thousand-"))
            .count()
    };
    let before = writes(&site);
    site.run_now("all");
    assert_eq!(writes(&site), before);
    let begun = Instant::now();
    site.secret("s7", &json!({"k": "changed"}));
    for at in 0..10 {
        let path = format!("/api/v1/namespaces/thousand-{at}/secrets/s7");
        let arrived =
            eventually(LONG, || (site.cluster.admin().get(&path).json()["data"]["k"] == "Y2hhbmdlZA==").then_some(()));
        arrived.expect("it arrives");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
