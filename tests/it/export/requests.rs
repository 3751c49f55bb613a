//! `secretexports` of the real server: who may have which Secrets as a file, what is refused, and what is recorded.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::actors::{self, acting_as, bind, role, rule, rule_for, secret, secrets};
use crate::support::app::App;
use crate::support::canary::{Canary, found_in_files};
use crate::support::clients::eventually;
use crate::support::http::{Client, Response};
use crate::support::jwt::openssl;
use crate::support::kubectl;

const OWN_GROUP: &str = "strongroom.dev";

fn path(namespace: &str) -> String {
    format!("/apis/{OWN_GROUP}/v1alpha1/namespaces/{namespace}/secretexports")
}

fn export(client: &mut Client, spec: &Value) -> Response {
    client.json("POST", &path("default"), &json!({"spec": spec}))
}

fn document(answer: &Response) -> String {
    answer.json()["status"]["document"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// A server with Secrets `a` and `b` (label `app=web`) and `c` in namespace `default`.
fn server() -> (App, Client) {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for (name, labels) in [("a", json!({"app": "web"})), ("b", json!({"app": "web"})), ("c", json!({}))] {
        let key = format!("KEY_{}", name.to_uppercase());
        let object =
            json!({"metadata": {"name": name, "labels": labels}, "stringData": {key: format!("value {name}")}});
        admin.json("POST", &secrets("default"), &object).ok();
    }
    (app, admin)
}

#[test]
fn what_is_exported_is_what_kubectl_writes_for_the_same_secret() {
    let (app, mut admin) = server();
    secret(&mut admin, "default", "plain", &json!({"password": "it's \"quoted\": yes\n", "n": "012"}));
    let exported = document(&export(&mut admin, &json!({"names": ["plain"], "format": "yaml"})).ok());
    for kubectl in kubectl::all() {
        let from = ["--from-literal", "password=it's \"quoted\": yes\n", "--from-literal", "n=012"];
        let arguments = ["create", "secret", "generic", "plain", "-n", "default", "--dry-run=client", "-o", "yaml"];
        let written = kubectl.run(&app, &[&arguments[..], &from[..]].concat()).ok();
        // Before 1.34 kubectl writes a creationTimestamp of null.
        let written = written.replace("  creationTimestamp: null\n", "");
        assert_eq!(exported, written);
        kubectl.run(&app, &["delete", "secret", "plain"]).ok();
        kubectl.feed(&app, &["create", "-f", "-"], &exported).ok();
    }
}

#[test]
fn secrets_are_chosen_by_name_in_the_order_given_or_by_labels() {
    let (_app, mut admin) = server();
    let named = export(&mut admin, &json!({"names": ["c", "a"], "format": "dotenv"})).ok();
    assert_eq!(document(&named), "KEY_C='value c'\nKEY_A='value a'\n");
    assert_eq!(named.json()["status"]["secrets"], json!(["c", "a"]));
    let web = json!({"matchLabels": {"app": "web"}});
    let selected = export(&mut admin, &json!({"selector": web, "format": "shell"})).ok();
    assert_eq!(selected.json()["status"]["secrets"], json!(["a", "b"]));
    let all = export(&mut admin, &json!({"selector": {}, "format": "json"})).ok();
    let list: Value = serde_json::from_str(&document(&all)).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("List"), 3));
    let none = export(&mut admin, &json!({"selector": {"matchLabels": {"app": "none"}}, "format": "yaml"})).ok();
    assert_eq!(document(&none), "");
}

#[test]
fn what_cannot_be_is_refused_and_names_the_field_or_the_key() {
    let (_app, mut admin) = server();
    let mut object = json!({"metadata": {"name": "binary"}, "data": {"k": "AP8="}});
    admin.json("POST", &secrets("default"), &object).ok();
    object["metadata"]["name"] = "again".into();
    object["data"] = json!({"KEY_A": "eA=="});
    admin.json("POST", &secrets("default"), &object).ok();
    for (spec, code, expected) in [
        (json!({"format": "yaml"}), 422, "spec.names: Required value"),
        (json!({"names": ["a"]}), 422, "spec.format: Required value"),
        (json!({"names": ["a"], "format": "xml"}), 422, "spec.format: Unsupported value: \"xml\""),
        (json!({"names": ["a"], "format": "sops"}), 422, "spec.sops: Required value"),
        (json!({"names": ["none"], "format": "yaml"}), 404, "secrets \"none\" not found"),
        (json!({"names": ["binary"], "format": "shell"}), 422, "key k of Secret default/binary"),
        (
            json!({"names": ["a", "again"], "format": "dotenv"}),
            422,
            "key KEY_A is in Secret default/a and in Secret default/again",
        ),
    ] {
        let answer = export(&mut admin, &spec);
        assert_eq!(answer.status, code, "{spec}: {}", answer.text());
        assert!(answer.json()["message"].as_str().unwrap().contains(expected), "{spec}: {}", answer.text());
        assert!(!answer.text().contains("value a"));
    }
}

#[test]
fn an_earlier_file_is_judged_without_being_repeated() {
    let (_app, mut admin) = server();
    let key = String::from_utf8(openssl(&["genrsa", "2048"], b"")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key.pem");
    std::fs::write(&key_file, key).unwrap();
    let request = ["req", "-x509", "-key", key_file.to_str().unwrap(), "-subj", "/CN=x", "-days", "30"];
    let certificate = String::from_utf8(openssl(&request, b"")).unwrap();
    let mut spec = |previous: &str| {
        let options = json!({"certificates": certificate, "previous": previous});
        export(&mut admin, &json!({"names": ["a"], "format": "sealedsecret", "sealedSecret": options}))
    };
    let first = document(&spec("").ok());
    let again = spec(&first).ok();
    assert_eq!(document(&again), first);
    assert!(again.json()["spec"]["sealedSecret"].get("previous").is_none(), "{}", again.text());
    let long = format!("# value x{}", "x".repeat(2 << 20));
    for (previous, expected) in [
        ("kind: Secret\ndata: {k: value x}\n", "Forbidden: document 1 of the earlier file is no SealedSecret"),
        ("- [value x", "Forbidden: the earlier file cannot be read: yaml: line 1: "),
        (&*long, "Too long: may not be more than 2097152 bytes"),
    ] {
        let refused = spec(previous);
        assert_eq!(refused.status, 422, "{}", refused.text());
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&format!("spec.sealedSecret.previous: {expected}")), "{message}");
        assert!(!refused.text().contains("value x"), "{}", refused.text());
    }
    // In another home nothing of it is known.
    let (_other, mut stranger) = server();
    let options = json!({"certificates": certificate, "previous": first});
    let anew = export(&mut stranger, &json!({"names": ["a"], "format": "sealedsecret", "sealedSecret": options})).ok();
    assert_ne!(document(&anew), first);
}

#[test]
fn an_export_is_of_the_namespace_that_it_is_sent_to() {
    let (_app, mut admin) = server();
    let spec = json!({"names": ["a"], "format": "yaml"});
    for (namespace, code) in [("default", 201), ("", 201), ("prod", 400)] {
        let body = json!({"metadata": {"namespace": namespace}, "spec": spec});
        assert_eq!(admin.json("POST", &path("default"), &body).status, code, "{namespace}");
    }
    let elsewhere = admin.json("POST", &path("prod"), &json!({"spec": spec}));
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());
}

#[test]
fn every_secret_must_be_the_callers_to_get_and_the_choice_by_labels_theirs_to_list() {
    let (_app, mut admin) = server();
    let exports = rule(&["create"], OWN_GROUP, &["secretexports"]);
    role(&mut admin, "default", "one", &[exports.clone(), rule_for(&["get"], "", &["secrets"], &["a", "gone"])]);
    bind(&mut admin, "default", "one", "Role/one", "User/one");
    role(
        &mut admin,
        "default",
        "lister",
        &[exports, rule(&["list"], "", &["secrets"]), rule_for(&["get"], "", &["secrets"], &["a"])],
    );
    bind(&mut admin, "default", "lister", "Role/lister", "User/lister");
    role(&mut admin, "default", "reader", &[rule(&["get", "list"], "", &["secrets"])]);
    bind(&mut admin, "default", "reader", "Role/reader", "User/reader");
    bind(&mut admin, "default", "editor", "ClusterRole/edit", "User/editor");
    let (by_name, by_label) =
        (|names: &[&str]| json!({"names": names, "format": "yaml"}), json!({"selector": {}, "format": "yaml"}));
    let as_user = |name: &str| acting_as(&admin, name, &[]);
    for (user, spec, code, text) in [
        ("one", by_name(&["a"]), 201, ""),
        ("one", by_name(&["a", "b"]), 403, "cannot get resource \"secrets\""),
        // Whether it is there is not told.
        ("one", by_name(&["a", "zzz"]), 403, "cannot get resource \"secrets\""),
        ("one", by_name(&["gone"]), 404, "not found"),
        ("one", by_label.clone(), 403, "cannot list resource \"secrets\""),
        ("lister", by_label.clone(), 403, "secrets \"b\" is forbidden"),
        ("lister", json!({"selector": {"matchLabels": {"app": "none"}}, "format": "yaml"}), 201, ""),
        ("reader", by_name(&["a"]), 403, "cannot create resource \"secretexports\""),
        ("editor", by_label, 201, ""),
    ] {
        let answer = export(&mut as_user(user), &spec);
        assert_eq!(answer.status, code, "{user} {spec}: {}", answer.text());
        assert!(answer.text().contains(&text.replace('"', "\\\"")), "{user} {spec}: {}", answer.text());
        assert!(code == 201 || !answer.text().contains("KEY_"), "{}", answer.text());
    }
}

#[test]
fn an_export_is_recorded_with_the_names_of_the_secrets_and_no_value() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let canary = Canary::new("an exported value");
    secret(&mut admin, "default", "db", &json!({"k": canary.value}));
    let ada = &mut actors::signed_in(&mut admin, "ada", &[]);
    bind(&mut admin, "default", "ada", "ClusterRole/edit", "User/ada");
    let answer = export(ada, &json!({"names": ["db"], "format": "yaml", "stringData": true})).ok();
    assert!(document(&answer).contains(&canary.value));
    let refused = export(ada, &json!({"names": ["db"], "format": "docker-env", "stringData": true}));
    assert_eq!(refused.status, 422, "{}", refused.text());
    let id = answer.header("audit-id").unwrap();
    let list = admin.get("/strongroom/v1/audit?limit=1000").ok().json();
    let of_it: Vec<&Value> = list["items"].as_array().unwrap().iter().filter(|event| event["auditID"] == id).collect();
    assert_eq!(of_it.len(), 1);
    let event = of_it[0];
    assert_eq!((&event["user"]["username"], &event["verb"]), (&json!("ada"), &json!("create")));
    assert_eq!(event["objectRef"]["resource"], "secretexports");
    assert_eq!(event["annotations"]["strongroom.dev/exported-secrets"], "1: db");
    assert!(event["annotations"]["authorization.k8s.io/reason"].as_str().unwrap().contains("edit"), "{event}");
    assert!(canary.find(admin.get("/metrics").ok().text().as_bytes()).is_none());
    assert_eq!(found_in_files(&[canary], app.home()), [""; 0]);
}

#[test]
fn more_than_fits_at_once_is_refused_and_those_who_read_slowly_do_not_pile_up() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let many = json!({"names": (0..35).map(|number| format!("large-{number}")).collect::<Vec<_>>(), "format": "json"});
    let mut few = many.clone();
    few["names"].as_array_mut().unwrap().truncate(16);
    for number in 0..35 {
        secret(&mut admin, "default", &format!("large-{number}"), &json!({"k": "x".repeat(1_000_000)}));
    }
    let refused = export(&mut admin, &many);
    assert_eq!(refused.status, 413);

    // Each asks for more than lies in the buffers of a connection, and reads nothing behind the head. Whoever reads nothing for
    // long is cut off: on a machine that is slow the first of four may be before the last has begun.
    let body = json!({"spec": few}).to_string();
    let length = body.len().to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
    let one = json!({"names": ["large-0"], "format": "json"});
    let mut stalled = Vec::new();
    let busy = eventually(Duration::from_mins(3), || {
        let mut connection = admin.connect().unwrap();
        connection.write(admin.head("POST", &path("default"), &headers).as_bytes()).unwrap();
        connection.write(body.as_bytes()).unwrap();
        let began = connection.head().unwrap().status;
        stalled.push(connection);
        assert!(began == 201 || (began == 429 && stalled.len() > 4), "{began} for number {}", stalled.len());
        Some(export(&mut admin, &one)).filter(|answer| answer.status != 201)
    });
    let busy = busy.expect("those who read slowly take all places");
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("1")));
    assert!(stalled.len() >= 4, "{} take all places", stalled.len());
    drop(stalled);
    let done =
        eventually(Duration::from_secs(30), || Some(export(&mut admin, &one)).filter(|answer| answer.status == 201));
    assert_eq!(done.expect("there is room again").json()["status"]["secrets"], json!(["large-0"]));
}
