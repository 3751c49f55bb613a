//! The cluster itself, as the tests of sync stand on it.

use serde_json::json;

use crate::support::apiserver::Cluster;

#[test]
fn the_cluster_decides_by_roles_and_records_who_writes() {
    let Some(cluster) = Cluster::shared() else { return };
    cluster.namespace("harness", &json!({}));
    let token = cluster.account("harness", "somebody");
    let secrets = "/api/v1/namespaces/harness/secrets";
    let object = json!({"metadata": {"name": "a"}});
    assert_eq!(cluster.client(&token).json("POST", secrets, &object).status, 403);
    cluster.admin().json("POST", secrets, &object).ok();
    let writes = cluster.writes("harness");
    let seen: Vec<(&str, u64)> = writes.iter().map(|write| (write.user.as_str(), write.code)).collect();
    assert_eq!(seen, [("system:serviceaccount:harness:somebody", 403), ("root", 201)]);
    assert!(cluster.home().join("audit.log").is_file());
}
