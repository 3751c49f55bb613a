//! The cluster itself, as the tests of sync stand on it.

use std::time::Duration;

use serde_json::json;

use crate::support::actors::{bind, namespace, role, rule, rule_for, secrets, service_account};
use crate::support::apiserver::Cluster;
use crate::support::clients::eventually;

const START: Duration = Duration::from_secs(30);

#[test]
fn the_cluster_decides_by_roles_and_records_who_writes() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "harness");
    let mut somebody = service_account(&mut admin, "harness", "somebody");
    let (collection, a) = (secrets("harness"), format!("{}/a", secrets("harness")));
    let object = json!({"metadata": {"name": "a"}});
    assert_eq!(somebody.json("POST", &collection, &object).status, 403);
    admin.json("POST", &collection, &object).ok();
    role(&mut admin, "harness", "reader", &[rule_for(&["get", "delete"], "", &["secrets"], &["a"])]);
    bind(&mut admin, "harness", "reader", "Role/reader", "ServiceAccount/harness/somebody");
    // The cluster decides by what it has heard of its roles, a moment later.
    eventually(START, || (somebody.get(&a).status == 200).then_some(())).expect("the role is heard of");
    assert_eq!(somebody.get(&collection).status, 403);
    somebody.delete(&a).ok();

    let writes = cluster.writes("harness");
    let seen: Vec<(&str, u64)> = writes.iter().map(|write| (write.user.as_str(), write.code)).collect();
    let account = "system:serviceaccount:harness:somebody";
    assert_eq!(seen, [(account, 403), ("root", 201), (account, 200)]);
    let own = cluster.writes_of(account);
    let own: Vec<_> =
        own.iter().map(|write| (&*write.verb, &*write.resource, &*write.namespace, &*write.name)).collect();
    // The name of what is to be created stands in the body, which nobody reads for a 403.
    assert_eq!(own, [("create", "secrets", "harness", ""), ("delete", "secrets", "harness", "a")]);
}

#[test]
fn a_cluster_that_was_stopped_is_there_again_with_all_that_it_had() {
    let Some(cluster) = Cluster::start() else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "kept");
    let reader = service_account(&mut admin, "kept", "reader");
    role(&mut admin, "kept", "reader", &[rule(&["list"], "", &["secrets"])]);
    bind(&mut admin, "kept", "reader", "Role/reader", "ServiceAccount/kept/reader");
    let address = cluster.address();
    cluster.stop_server();
    assert!(cluster.admin().send("GET", "/readyz", &[], b"").is_err());
    cluster.start_server();
    assert_eq!(cluster.address(), address);
    // A token outlives the server that signed it.
    let listed = eventually(START, || (reader.another().get(&secrets("kept")).status == 200).then_some(()));
    listed.expect("its role is heard of");
}
