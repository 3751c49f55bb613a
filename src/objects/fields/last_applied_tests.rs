//! The courtesies for client-side apply's annotation.

use serde_json::json;

use super::test_server::Server;
use super::*;

#[test]
fn kubectl_migrates_from_client_side_apply() {
    let mut server = Server::secrets();
    let last = r#"{"apiVersion":"v1","data":{"a":"YQ==","b":"Yg=="},"kind":"Secret","metadata":{"annotations":{},"name":"s","namespace":"n"}}"#;
    server.update("kubectl-client-side-apply", |new| {
        *new = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"a": "YQ==", "b": "Yg=="},
            "metadata": {"name": "s", "namespace": "n", "annotations": {LAST_APPLIED: format!("{last}\n")}}});
    });

    // Another manager is refused; kubectl is forgiven what the annotation vouches for, and the annotation follows.
    let config = json!({"data": {"a": "bmV3", "b": "Yg=="}, "metadata": {"namespace": "n"}});
    assert_eq!(
        server.conflict("not-kubectl", config.clone()).message(),
        r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.a"#
    );
    server.apply("kubectl", config.clone());
    assert_eq!(
        server.live()["metadata"]["annotations"][LAST_APPLIED],
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"bmV3\",\"b\":\"Yg==\"},\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"}}\n"
    );
    assert_eq!(server.fields("kubectl"), r#"{"f:data":{"f:a":{},"f:b":{}}}"#);
    assert_eq!(
        server.fields("kubectl-client-side-apply"),
        r#"{"f:data":{".":{},"f:b":{}},"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},"f:type":{}}"#
    );

    // kubectl then joins both entries by JSON patch, and a dropped field goes.
    server.update("kubectl", |new| {
        new["metadata"]["managedFields"] = json!([{"manager": "kubectl", "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:type": {}}}]);
    });
    assert_eq!(server.entries().len(), 1);
    assert!(server.entry("kubectl").unwrap().get("time").is_none());
    server.apply("kubectl", json!({"data": {"a": "bmV3"}, "type": "Opaque"}));
    assert_eq!(server.live()["data"], json!({"a": "bmV3"}));
}

#[test]
fn kubectl_is_not_forgiven_what_somebody_changed_since() {
    let mut server = Server::secrets();
    server.update("kubectl-client-side-apply", |new| {
        let last = r#"{"apiVersion":"v1","kind":"Secret","data":{"a":"YQ==","b":"Yg=="},"metadata":{"name":"s"}}"#;
        new["data"] = json!({"a": "YQ==", "b": "Yg=="});
        new["metadata"]["annotations"] = json!({LAST_APPLIED: last});
    });
    server.update("ed", |new| new["data"]["b"] = json!("ZWQ="));
    assert_eq!(
        server.conflict("kubectl", json!({"data": {"a": "bmV3", "b": "bmV3"}})).message(),
        r#"Apply failed with 1 conflict: conflict with "ed" using v1: .data.b"#
    );
    // An annotation that says something else than this version, or nothing readable, vouches for nothing.
    for bad in ["{", "[]", r#"{"apiVersion":"v2","data":{"a":"YQ=="}}"#, r#"{"apiVersion":"v1","data":{"a":1}}"#] {
        server.live.as_mut().unwrap()["metadata"]["annotations"][LAST_APPLIED] = json!(bad);
        let refused = server.conflict("kubectl", json!({"data": {"a": "bmV3"}}));
        assert!(matches!(refused, ApplyError::Conflicts(conflicts) if conflicts.len() == 1), "{bad}");
    }
}

#[test]
fn the_rewritten_annotation_is_escaped_as_go_does_and_dropped_when_too_large() {
    let mut object = json!({"metadata": {"annotations": {LAST_APPLIED: "{}", "o": "1"}}});
    rewrite_last_applied(&mut object, &json!({"metadata": {"annotations": {LAST_APPLIED: "x", "b": "<&>\u{2028}"}}}));
    assert_eq!(
        object["metadata"]["annotations"][LAST_APPLIED],
        "{\"metadata\":{\"annotations\":{\"b\":\"\\u003c\\u0026\\u003e\\u2028\"}}}\n"
    );
    rewrite_last_applied(&mut object, &json!({"data": {"a": "x".repeat(262_144)}}));
    assert_eq!(object["metadata"]["annotations"], json!({"o": "1"}));
    let before = object.clone();
    rewrite_last_applied(&mut object, &json!({"data": {}}));
    assert_eq!(object, before, "an object without the annotation does not get one");
}
