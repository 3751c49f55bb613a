//! Who may lead Secrets out, what is recorded of it, and that values are nowhere but where they were sent.

use serde_json::{Value, json};

use super::site::{OURS, SYNCS, Site, condition};
use crate::support::actors::RBAC;
use crate::support::apiserver::Cluster;
use crate::support::canary::{Canary, found_in_files};
use crate::support::clients::eventually;
use crate::support::http::Client;

const VALUE: &str = "canary-70aa5e-of-a-target";

/// A client of a new service account of `prod`, with these rules in all namespaces.
fn account(site: &mut Site, name: &str, rules: &Value) -> Client {
    let metadata = json!({"metadata": {"name": name}});
    site.admin.json("POST", "/api/v1/namespaces/prod/serviceaccounts", &metadata).ok();
    let group = format!("/apis/{RBAC}/v1");
    site.admin
        .json("POST", &format!("{group}/clusterroles"), &json!({"metadata": {"name": name}, "rules": rules}))
        .ok();
    let binding = json!({"metadata": {"name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "prod"}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}});
    site.admin.json("POST", &format!("{group}/clusterrolebindings"), &binding).ok();
    let path = format!("/api/v1/namespaces/prod/serviceaccounts/{name}/token");
    let token = site.admin.json("POST", &path, &json!({})).ok().json();
    site.admin.with_token(token["status"]["token"].as_str().unwrap())
}

fn rule(verbs: &[&str], group: &str, resource: &str, names: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": [resource], "resourceNames": names})
}

fn without_names(verbs: &[&str], group: &str, resource: &str) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": [resource]})
}

#[test]
fn a_cluster_is_written_only_by_who_may_get_its_kubeconfig_and_nobody_else_learns_of_it() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut site = Site::start_with(cluster, "cluster-writers", &[]);
    site.kubeconfig("bad", "users: [{name: u, user: {exec: {command: touch}}}]");
    let write = without_names(&["create", "patch", "update"], "strongroom.dev", "clusters");
    let mut stranger = account(&mut site, "stranger", &json!([write]));
    let mut reader = account(&mut site, "reader", &json!([write, rule(&["get"], "", "secrets", &["bad", "missing"])]));
    let object = |name: &str, secret: &str| json!({"metadata": {"name": name}, "spec": {"kubeconfigSecretRef": {"namespace": "infra", "name": secret}}});
    let path = format!("{OURS}/clusters");
    let answers: Vec<String> = ["bad", "missing"]
        .iter()
        .map(|secret| {
            let answer = stranger.json("POST", &path, &object("c", secret));
            assert_eq!(answer.status, 403);
            answer.text().replace(secret, "?")
        })
        .collect();
    assert_eq!(answers[0], answers[1], "whether there is a Secret is not told");
    assert!(answers[0].contains("cannot get resource \\\"secrets\\\""), "{}", answers[0]);
    assert_eq!(reader.json("POST", &path, &object("c", "bad")).status, 422);
    reader.json("POST", &path, &object("c", "missing")).ok();
    // What is not about the spec takes no more than the verb.
    let merge = |client: &mut Client, body: &Value| {
        client.typed("PATCH", &format!("{path}/c"), "application/merge-patch+json", body.to_string().as_bytes())
    };
    merge(&mut stranger, &json!({"metadata": {"labels": {"a": "b"}}})).ok();
    assert_eq!(merge(&mut stranger, &json!({"spec": {"kubeconfigSecretRef": {"name": "bad"}}})).status, 403);
}

#[test]
fn a_sync_is_written_only_by_who_may_use_its_clusters_and_act_as_its_account() {
    let Some(mut site) = Site::start("sync-writers") else { return };
    let write = without_names(&["create", "patch"], "strongroom.dev", "secretsyncs");
    let uses = rule(&["use"], "strongroom.dev", "clusters", &["east"]);
    let acts = rule(&["impersonate"], "", "serviceaccounts", &["syncer"]);
    let makes_tokens = rule(&["create"], "", "serviceaccounts/token", &["syncer"]);
    let sync = |site: &Site, name: &str| site.sync_of(name, &json!({}));
    for (name, rules, refused) in [
        ("neither", json!([write]), Some("cannot use resource")),
        ("uses", json!([write, uses]), Some("cannot impersonate resource")),
        ("acts", json!([write, acts]), Some("cannot use resource")),
        ("both", json!([write, uses, acts]), None),
        ("tokens", json!([write, uses, makes_tokens]), None),
    ] {
        let mut client = account(&mut site, name, &rules);
        let answer = client.json("POST", SYNCS, &sync(&site, name));
        match refused {
            None => assert_eq!(answer.status, 201, "{name}: {}", answer.text()),
            Some(why) => assert!(answer.status == 403 && answer.text().contains(why), "{name}: {}", answer.text()),
        }
    }
    // Labels may come to mean any cluster.
    let mut client = account(&mut site, "selects", &json!([write, uses, acts]));
    let mut selecting = sync(&site, "selects");
    selecting["spec"]["targets"][0] = json!({"clusterSelector": {"matchLabels": {"name": "east"}}});
    assert_eq!(client.json("POST", SYNCS, &selecting).status, 403);
    site.create_sync(&selecting);
    let label = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let path = format!("{SYNCS}/selects");
    client.typed("PATCH", &path, "application/merge-patch+json", label.as_bytes()).ok();
    let widened = json!({"spec": {"suspend": false, "source": {"names": ["db", "more"]}}}).to_string();
    assert_eq!(client.typed("PATCH", &path, "application/merge-patch+json", widened.as_bytes()).status, 403);
}

#[test]
fn the_generation_counts_changes_of_what_is_wanted_and_status_is_apart() {
    let Some(mut site) = Site::start("generations") else { return };
    let suspended = |site: &Site| {
        let mut sync = site.sync_of("db", &json!({}));
        sync["spec"]["suspend"] = true.into();
        sync["metadata"]["generation"] = 7.into();
        sync["status"] = json!({"source": "forged"});
        sync
    };
    let sync = suspended(&site);
    site.create_sync(&sync);
    let path = format!("{SYNCS}/db");
    let generation = |site: &mut Site| site.admin.get(&path).ok().json()["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(generation(&mut site), 1);
    assert_ne!(site.admin.get(&path).ok().json()["status"]["source"], "forged");
    site.patch_sync("db", &json!({"metadata": {"labels": {"a": "b"}}, "status": {"source": "forged"}}));
    assert_eq!(generation(&mut site), 1);
    site.patch_sync("db", &json!({"spec": {"refresh": {"interval": "2h"}}}));
    assert_eq!(generation(&mut site), 2);
    site.patch_sync("db", &json!({"spec": {"refresh": {"interval": "2h"}}}));
    assert_eq!(generation(&mut site), 2, "the same again is no change");
    let status = json!({"status": {"source": "by hand"}, "spec": {"suspend": false}}).to_string();
    let answer =
        site.admin.typed("PATCH", &format!("{path}/status"), "application/merge-patch+json", status.as_bytes());
    let object = answer.ok().json();
    assert_eq!((&object["status"]["source"], &object["spec"]["suspend"]), (&json!("by hand"), &json!(true)));
    assert_eq!(generation(&mut site), 2);
}

#[test]
fn each_read_for_a_target_is_the_service_accounts_and_values_are_nowhere_else() {
    let Some(cluster) = Cluster::shared() else { return };
    let kubeconfig = cluster.admin_kubeconfig();
    let site = Site::start_with(cluster, "recorded", &["--log", "trace"]);
    let mut site = site.with_cluster("east", &kubeconfig);
    site.secret("db", &json!({"pass": VALUE}));
    site.synced("db", &json!({"template": {"data": {"url": "x://{{ pass }}"}}}));
    assert_eq!(site.value("db", "pass").as_deref(), Some(VALUE));
    let of_target = |event: &Value| event["annotations"]["strongroom.dev/sync-target"] == "east/recorded/db";
    let folder = site.app.home().join("audit");
    let read = eventually(super::site::LONG, || {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let lines: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        let mut events = lines.iter().flat_map(|text| text.lines());
        events.find_map(|line| serde_json::from_str::<Value>(line).ok().filter(of_target))
    });
    let read = read.expect("a record of the read");
    assert_eq!(read["user"]["username"], "system:serviceaccount:prod:syncer");
    assert_eq!((&read["verb"], &read["objectRef"]["name"]), (&json!("get"), &json!("db")));
    assert_eq!(read["annotations"]["strongroom.dev/sync"], "prod/db");

    // What goes wrong with it is told without it.
    site.by_hand("POST", "", &json!({"metadata": {"name": "taken"}, "data": {"k": "eA=="}}));
    let sync = site.sync_of("taken", &json!({"name": "taken"}));
    site.create_sync(&sync);
    let status = site.wait_for("taken", "Conflict");
    let told = format!("{status}{}", condition(&status, "Ready"));
    let metrics = site.admin.get("/metrics").ok().text();
    for text in [told, metrics, site.app.log()] {
        assert!(!text.contains(VALUE), "a value is told");
    }
    assert_eq!(site.app.stop(), Some(0));
    let canaries = [
        Canary::of("a value", VALUE.to_owned()),
        Canary::of("the token of the kubeconfig", "the-token-of-the-administrator".to_owned()),
    ];
    let mut found = found_in_files(&canaries, site.app.home());
    found.extend(found_in_files(&canaries, site.app.logs()));
    assert_eq!(found, Vec::<String>::new());
}
