//! Who owns what under writes that are no apply, and what clients do to the list themselves.

use serde_json::{Value, json};

use super::test_server::Server;
use super::test_shapes::ROLE_BINDING;
use super::*;

fn text(value: &Value) -> String {
    value.to_string()
}

#[test]
fn an_update_moves_ownership_of_changed_fields_only() {
    let mut server = Server::secrets();
    server.update("a", |new| {
        new["data"] = json!({"x": "MQ==", "y": "Mg==", "z": "Mw=="});
        new["type"] = json!("Opaque");
    });
    server.update("b", |new| new["data"] = json!({"x": "MQ==", "y": "OQ==", "w": "NA=="}));
    assert_eq!(server.fields("a"), r#"{"f:data":{".":{},"f:x":{}},"f:type":{}}"#);
    assert_eq!(server.fields("b"), r#"{"f:data":{"f:w":{},"f:y":{}}}"#);
    let times: Vec<_> = server.entries().iter().map(|entry| entry["time"].clone()).collect();
    assert_eq!(times, ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);

    // Nothing gained: no time, and no entry for who only deletes.
    server.update("c", |new| {
        new["data"].as_object_mut().unwrap().shift_remove("w");
    });
    assert_eq!((server.fields("b"), server.fields("c")), (r#"{"f:data":{"f:y":{}}}"#.into(), "none".into()));
    server.update("b", |_| ());
    assert_eq!(server.entry("b").unwrap()["time"], "2026-01-01T00:00:02Z");
    server.update("c", |new| {
        new.as_object_mut().unwrap().shift_remove("data");
    });
    assert_eq!((server.fields("a"), server.fields("b")), (r#"{"f:type":{}}"#.into(), "none".into()));
}

#[test]
fn server_bookkeeping_is_never_owned() {
    let mut server = Server::secrets();
    server.update("m", |new| {
        new["metadata"] = json!({"name": "s", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z", "generateName": "s-"});
    });
    assert_eq!(server.fields("m"), r#"{"f:metadata":{"f:generateName":{}}}"#);
    server.update("n", |new| new["metadata"]["resourceVersion"] = json!("2"));
    assert_eq!(server.entries().len(), 1);
}

#[test]
fn clients_keep_reset_and_replace_managed_fields() {
    let created = || {
        let mut server = Server::secrets();
        server.update("m", |new| new["data"] = json!({"a": "YQ=="}));
        server
    };
    let put = |server: &mut Server, sent: Option<Value>| {
        server.update("p", |new| {
            let metadata = new["metadata"].as_object_mut().unwrap();
            metadata.shift_remove("managedFields");
            metadata.extend(sent.map(|sent| ("managedFields".to_owned(), sent)));
        });
    };
    let entry = |fields: Value| json!({"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields});

    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"f:a": deep});
    }
    let many: serde_json::Map<String, Value> = (0..70_000).map(|n| (format!("f:{n}"), json!({}))).collect();
    let mut wrong_type = entry(json!({}));
    wrong_type["fieldsType"] = json!("FieldsV2");
    let mut wrong_operation = entry(json!({}));
    wrong_operation["operation"] = json!("Create");
    for unusable in [
        None,
        Some(Value::Null),
        Some(json!("x")),
        Some(json!([{}, {}])),
        Some(json!([1])),
        Some(json!([wrong_type])),
        Some(json!([wrong_operation])),
        Some(json!([entry(json!({"a": {}}))])),
        Some(json!([entry(json!({"f:a": 1}))])),
        Some(json!([entry(json!({"k:{": {}}))])),
        Some(json!([entry(deep)])),
        Some(json!([entry(Value::Object(many))])),
    ] {
        let mut server = created();
        let before = server.live().clone();
        put(&mut server, unusable.clone());
        assert_eq!(*server.live(), before, "{unusable:?} keeps what is there");
    }

    for reset in [json!([]), json!([{}])] {
        let mut server = created();
        put(&mut server, Some(reset));
        assert!(server.live()["metadata"].get("managedFields").is_none());
        server.update("later", |new| new["data"]["b"] = json!("Yg=="));
        assert!(server.live()["metadata"].get("managedFields").is_none(), "tracking stays off");
        server.apply("m", json!({"data": {"a": "YQ=="}}));
        assert_eq!(server.fields("before-first-apply"), r#"{"f:data":{".":{},"f:a":{},"f:b":{}}}"#);
    }

    let mut server = created();
    put(&mut server, Some(json!([entry(json!({"f:data": {"f:a": {}}, "z:new": {}}))])));
    assert_eq!(
        text(&server.live()["metadata"]["managedFields"]),
        r#"[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]"#
    );

    // Through a subresource nothing of it is taken.
    let mut server = created();
    let before = server.live().clone();
    server.update_through("status", "p", |new| new["metadata"]["managedFields"] = json!([]));
    assert_eq!(*server.live(), before);
}

#[test]
fn a_list_of_a_clients_own_is_normalised() {
    let mut server = Server::of(&ROLE_BINDING);
    server.update("m", |new| new["roleRef"] = json!({"kind": "Role", "name": "r"}));
    let api_version = server.api_version;
    server.update("p", |new| {
        new["metadata"]["managedFields"] = json!([
            {"manager": "z", "operation": "Update", "apiVersion": api_version, "time": "2026-01-01T01:00:00.5+01:00",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:roleRef": {"f:name": {}, "f:kind": {}}}},
            {"manager": "gone", "operation": "Update", "apiVersion": "extensions/v1beta1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:roleRef": {}}},
            {"manager": "empty", "operation": "Apply", "apiVersion": api_version, "fieldsType": "FieldsV1"}]);
    });
    assert_eq!(server.entries().len(), 1);
    assert_eq!(server.entry("z").unwrap()["time"], "2026-01-01T00:00:00Z");
    assert_eq!(server.fields("z"), r#"{"f:roleRef":{}}"#);
}

#[test]
fn the_eleventh_updater_makes_the_oldest_ancient() {
    let mut server = Server::secrets();
    server.update("m00", |new| new["data"] = json!({"k00": "YQ=="}));
    for n in 1..10 {
        server.update(&format!("m{n:02}"), |new| new["data"][format!("k{n:02}")] = json!("YQ=="));
    }
    assert_eq!(server.entries().len(), 10);
    server.apply("applier", json!({"type": "x"}));
    server.update("m10", |new| new["data"]["k10"] = json!("YQ=="));
    assert_eq!(server.entries().len(), 11, "ten updaters and an applier");
    assert_eq!(server.fields("ancient-changes"), r#"{"f:data":{".":{},"f:k00":{},"f:k01":{}}}"#);
    assert_eq!(server.entry("ancient-changes").unwrap()["time"], "2026-01-01T00:00:02Z");
    server.update("m11", |new| new["data"]["k11"] = json!("YQ=="));
    assert_eq!(server.fields("ancient-changes"), r#"{"f:data":{".":{},"f:k00":{},"f:k01":{},"f:k02":{}}}"#);
    assert_eq!(server.entries().len(), 11);
    assert_eq!(server.fields("m02"), "none");
}

#[test]
fn writes_that_differ_in_times_only_are_the_same() {
    let mut server = Server::secrets();
    server.update("a", |new| new["data"] = json!({"a": "YQ=="}));
    server.update("b", |new| new["data"]["b"] = json!("Yg=="));
    let live = server.live().clone();
    let mut other = live.clone();
    let entries = other["metadata"]["managedFields"].as_array_mut().unwrap();
    entries[0]["time"] = json!("2030-01-01T00:00:00Z");
    entries.swap(0, 1);
    entries[0].as_object_mut().unwrap().shift_remove("time");
    assert!(same_but_times(&live, &other));
    let mut owner = other.clone();
    owner["metadata"]["managedFields"][0]["manager"] = json!("c");
    let mut data = other.clone();
    data["data"]["a"] = json!("Yw==");
    let mut label = other.clone();
    label["metadata"]["labels"] = json!({"l": "1"});
    for different in [owner, data, label, json!(null)] {
        assert!(!same_but_times(&live, &different) && !same_but_times(&different, &live));
    }
}

#[test]
fn a_post_owns_what_it_sent_and_what_was_defaulted() {
    let mut server = Server::secrets();
    server.update("m", |new| {
        *new = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "n", "labels": {"l": "1"}},
            "data": {"b": "Yg==", "a": "YQ=="}, "type": "Opaque"});
    });
    assert_eq!(
        text(&server.live()["metadata"]["managedFields"]),
        r#"[{"manager":"m","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:01Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:a":{},"f:b":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}},"f:type":{}}}]"#
    );
}
