//! Writing a Certificate or a GeneratedSecret is no way around the rights to Secrets, by whichever request it is written.

use serde_json::{Value, json};

use super::{OURS, Room, certificate};
use crate::support::actors::{acting_as, bind, role, rule, rule_for, secret, secrets};
use crate::support::http::{Client, Response};

const GROUP: &str = "strongroom.dev";
const WRITES: [&str; 4] = ["create", "get", "patch", "update"];

/// Somebody to whom these rules are granted in the namespace.
fn somebody(admin: &mut Client, name: &str, rules: &[Value]) -> Client {
    role(admin, "prod", name, rules);
    bind(admin, "prod", name, &format!("Role/{name}"), &format!("User/{name}"));
    acting_as(admin, name, &[])
}

/// Every request that makes an object, or has one write another Secret, or write it anew.
fn writes(client: &mut Client, resource: &str, object: &Value, query: &str) -> Vec<(&'static str, Response)> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let (collection, item) = (format!("{OURS}/{resource}?{query}"), format!("{OURS}/{resource}/{name}?{query}"));
    let spec = json!({"spec": object["spec"]}).to_string();
    let now = json!({"metadata": {"annotations": {"strongroom.dev/rotate-now": "now"}}}).to_string();
    let test = json!([{"op": "replace", "path": "/spec", "value": object["spec"]}]).to_string();
    let mut other = object.clone();
    other["metadata"]["name"] = "other".into();
    vec![
        ("POST", client.json("POST", &collection, &other)),
        ("PUT", client.json("PUT", &item, object)),
        ("merge", client.typed("PATCH", &item, super::MERGE, spec.as_bytes())),
        ("request", client.typed("PATCH", &item, super::MERGE, now.as_bytes())),
        ("JSON patch", client.typed("PATCH", &item, "application/json-patch+json", test.as_bytes())),
        (
            "apply",
            client.typed(
                "PATCH",
                &format!("{item}&fieldManager=m&force=true"),
                "application/apply-patch+yaml",
                object.to_string().as_bytes(),
            ),
        ),
    ]
}

fn generated(secret: &str) -> Value {
    json!({
        "apiVersion": "strongroom.dev/v1alpha1", "kind": "GeneratedSecret", "metadata": {"name": "mine"},
        "spec": {"secretName": secret, "keys": [{"key": "a", "generator": "uuid"}]},
    })
}

#[test]
fn who_may_not_write_the_secret_may_not_have_it_written() {
    let mut room = Room::start_with(&["--no-issuing"]);
    let admin = &mut room.admin;
    let ours = rule(&WRITES, GROUP, &["certificates", "generatedsecrets"]);
    for (resource, mine) in [("certificates", certificate("mine", &json!({}))), ("generatedsecrets", generated("mine"))]
    {
        admin.json("POST", &format!("{OURS}/{resource}"), &mine).ok();
    }
    let create = rule(&["create"], "", &["secrets"]);
    let people = [
        ("nobody", vec![ours.clone()]),
        ("reader", vec![ours.clone(), rule(&["get", "list"], "", &["secrets"])]),
        ("creator", vec![ours.clone(), create.clone()]),
        ("updater", vec![ours.clone(), rule(&["update"], "", &["secrets"])]),
        ("by-name", vec![ours.clone(), create.clone(), rule_for(&["update"], "", &["secrets"], &["else"])]),
    ];
    for (name, rules) in people {
        let mut client = somebody(admin, name, &rules);
        for (resource, object) in [
            ("certificates", certificate("mine", &json!({"secretName": "other"}))),
            ("generatedsecrets", generated("other")),
        ] {
            for query in ["", "dryRun=All"] {
                for (what, answer) in writes(&mut client, resource, &object, query) {
                    assert_eq!(answer.status, 403, "{name}: {what} {resource}: {}", answer.text());
                    assert!(answer.text().contains("secrets"), "{}", answer.text());
                }
            }
        }
        // What is not about the Secret they may change.
        let labels = json!({"metadata": {"labels": {"by": name}}}).to_string();
        client.typed("PATCH", &format!("{OURS}/certificates/mine"), super::MERGE, labels.as_bytes()).ok();
    }
    let may = [ours, create, rule_for(&["update"], "", &["secrets"], &["other"])];
    let mut client = somebody(admin, "writer", &may);
    for (resource, object) in [
        ("certificates", certificate("mine", &json!({"secretName": "other"}))),
        ("generatedsecrets", generated("other")),
    ] {
        for (what, answer) in writes(&mut client, resource, &object, "") {
            assert!((200..300).contains(&answer.status), "{what} {resource}: {} {}", answer.status, answer.text());
        }
    }
    assert_eq!(client.get(&format!("{}/other", secrets("prod"))).status, 403, "and still sees no value");
}

#[test]
fn who_may_not_get_the_issuers_key_signs_nothing_with_it() {
    let mut room = Room::start_with(&["--no-issuing"]);
    let admin = &mut room.admin;
    secret(admin, "prod", "ca", &json!({"tls.key": "k"}));
    admin.json("POST", &format!("{OURS}/certificates"), &certificate("mine", &json!({}))).ok();
    let rules = [rule(&WRITES, GROUP, &["certificates"]), rule(&["create", "update"], "", &["secrets"])];
    let by_secret = |name: &str| certificate("mine", &json!({"issuerRef": {"kind": "Secret", "name": name}}));
    let mut client = somebody(admin, "writer", &rules);
    for name in ["ca", "no"] {
        for (what, answer) in writes(&mut client, "certificates", &by_secret(name), "") {
            // Asking for the same once more writes the same Secret, which they may.
            let expected = if what == "request" { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        }
    }
    let reads = rule_for(&["get"], "", &["secrets"], &["ca"]);
    let mut client = somebody(admin, "signer", &[rules.as_slice(), &[reads]].concat());
    for (what, answer) in writes(&mut client, "certificates", &by_secret("ca"), "") {
        assert!((200..300).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    }
}
