//! What becomes of objects whose owner is deleted.

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::http::Client;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn owner(client: &mut Client, name: &str) -> Value {
    let made = client.json("POST", SECRETS, &json!({"metadata": {"name": name}})).ok().json();
    json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": made["metadata"]["uid"]})
}

fn dependent(client: &mut Client, name: &str, owners: &[&Value]) {
    client.json("POST", SECRETS, &json!({"metadata": {"name": name, "ownerReferences": owners}})).ok();
}

fn delete(client: &mut Client, name: &str, policy: &str) {
    client.json("DELETE", &format!("{SECRETS}/{name}"), &json!({"propagationPolicy": policy})).ok();
}

#[test]
fn a_dependent_goes_with_its_only_owner_and_otherwise_loses_the_reference() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let (one, two, three) = (owner(&mut client, "one"), owner(&mut client, "two"), owner(&mut client, "three"));
    dependent(&mut client, "of-one", &[&one]);
    dependent(&mut client, "of-both", &[&one, &two]);
    dependent(&mut client, "of-three", &[&three]);
    delete(&mut client, "one", "Background");
    assert_eq!(client.get(&format!("{SECRETS}/of-one")).status, 404);
    let both = client.get(&format!("{SECRETS}/of-both")).json();
    assert_eq!(both["metadata"]["ownerReferences"], json!([two]));
    delete(&mut client, "three", "Orphan");
    let left = client.get(&format!("{SECRETS}/of-three")).json();
    assert!(left["metadata"].get("ownerReferences").is_none(), "{left}");
    delete(&mut client, "two", "Foreground");
    assert_eq!(client.get(&format!("{SECRETS}/of-both")).status, 404);
}

#[test]
fn an_object_of_a_namespace_owns_nothing_outside_it() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let foreign = owner(&mut client, "foreign");
    client.json("POST", "/api/v1/namespaces", &json!({"metadata": {"name": "other"}})).ok();
    let elsewhere = "/api/v1/namespaces/other/secrets";
    client.json("POST", elsewhere, &json!({"metadata": {"name": "s", "ownerReferences": [foreign]}})).ok();
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    client.json("POST", roles, &json!({"metadata": {"name": "c", "ownerReferences": [foreign]}, "rules": []})).ok();
    delete(&mut client, "foreign", "Background");
    assert_eq!(client.get(&format!("{elsewhere}/s")).status, 200);
    assert_eq!(client.get(&format!("{roles}/c")).status, 200);
}
