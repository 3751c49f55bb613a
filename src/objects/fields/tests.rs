//! Server-side apply step by step, as a Kubernetes 1.32 API server was seen to do it.

use serde_json::{Value, json};

use super::test_server::Server;
use super::test_shapes::{CLUSTER_ROLE, NAMESPACE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT};
use super::*;

fn text(value: &Value) -> String {
    value.to_string()
}

#[test]
fn an_apply_that_creates_owns_exactly_what_it_sent() {
    let mut server = Server::secrets();
    assert!(server.apply(
        "m1",
        json!({"metadata": {"labels": {"l": "1"}, "creationTimestamp": null}, "data": {"k1": "YQ==", "k2": "Yg=="}})
    ));
    assert_eq!(
        text(&server.live()["metadata"]["managedFields"]),
        r#"[{"manager":"m1","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:01Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:k1":{},"f:k2":{}},"f:metadata":{"f:labels":{"f:l":{}}}}}]"#
    );
    assert_eq!(server.live()["data"], json!({"k1": "YQ==", "k2": "Yg=="}));
    assert!(server.live()["metadata"].get("creationTimestamp").is_none());
}

#[test]
fn lists_empty_maps_and_nulls_are_owned_as_kubernetes_does() {
    let mut server = Server::secrets();
    server.apply(
        "m",
        json!({"metadata": {"finalizers": ["x.com/f", "a.com/f"], "generateName": "g-",
            "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u-1"}]},
            "data": {}, "immutable": null}),
    );
    assert_eq!(
        server.fields("m"),
        r#"{"f:data":{},"f:immutable":{},"f:metadata":{"f:finalizers":{"v:\"a.com/f\"":{},"v:\"x.com/f\"":{}},"f:generateName":{},"f:ownerReferences":{"k:{\"uid\":\"u-1\"}":{}}}}"#
    );
    assert!(server.live().get("data").is_none());

    let mut server = Server::secrets();
    server.apply("m", json!({"data": {"x": null}, "metadata": {"labels": {"l": null}}}));
    assert_eq!(server.live()["data"], json!({"x": ""}));
    assert_eq!(server.live()["metadata"]["labels"], json!({"l": ""}));
    assert_eq!(server.fields("m"), r#"{"f:data":{"f:x":{}},"f:metadata":{"f:labels":{"f:l":{}}}}"#);
}

#[test]
fn atomic_fields_are_single_leaves() {
    let mut role = Server::of(&CLUSTER_ROLE);
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    role.apply(
        "m",
        json!({"rules": rules, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
    );
    assert_eq!(role.fields("m"), r#"{"f:aggregationRule":{"f:clusterRoleSelectors":{}},"f:rules":{}}"#);

    let mut role = Server::of(&CLUSTER_ROLE);
    role.update("m", |new| {
        new["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
        new["rules"] = Value::Null;
    });
    assert_eq!(role.fields("m"), r#"{"f:aggregationRule":{".":{},"f:clusterRoleSelectors":{}}}"#);
    role.update("aggregator", |new| new["rules"] = rules.clone());
    assert_eq!(role.fields("aggregator"), r#"{"f:rules":{}}"#);
    role.update("other", |new| new["rules"] = Value::Null);
    assert_eq!((role.fields("aggregator"), role.fields("other")), ("none".into(), r#"{"f:rules":{}}"#.into()));

    let mut binding = Server::of(&ROLE_BINDING);
    binding.update("m", |new| {
        new["roleRef"] = json!({"kind": "Role", "name": "r"});
        new["subjects"] = json!([{"kind": "User", "name": "u"}]);
    });
    assert_eq!(binding.fields("m"), r#"{"f:roleRef":{},"f:subjects":{}}"#);

    let mut namespace = Server::of(&NAMESPACE);
    namespace.update("m", |new| {
        new["spec"] = json!({"finalizers": ["kubernetes"]});
        new["status"] = json!({"phase": "Active"});
    });
    assert_eq!(namespace.fields("m"), r#"{"f:spec":{"f:finalizers":{}},"f:status":{"f:phase":{}}}"#);
    namespace.update_through("status", "m", |new| {
        new["status"]["conditions"] = json!([{"type": "Bad", "status": "True"}]);
    });
    let entry = namespace.entries().into_iter().find(|entry| entry["subresource"] == "status").unwrap();
    assert_eq!(
        text(&entry),
        r#"{"manager":"m","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:02Z","fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Bad\"}":{".":{},"f:status":{},"f:type":{}}}}},"subresource":"status"}"#
    );
    assert_eq!(
        namespace.conflict("m2", json!({"status": {"conditions": [{"type": "Bad", "status": "False"}]}})).message(),
        r#"Apply failed with 1 conflict: conflict with "m" with subresource "status" using v1: .status.conditions[type="Bad"].status"#
    );

    let mut account = Server::of(&SERVICE_ACCOUNT);
    account.apply("m", json!({"secrets": [{"name": "a"}], "imagePullSecrets": [{"name": "p"}]}));
    assert_eq!(account.fields("m"), r#"{"f:imagePullSecrets":{},"f:secrets":{"k:{\"name\":\"a\"}":{}}}"#);
    account.apply("n", json!({"secrets": [{"name": "b"}]}));
    assert_eq!(account.live()["secrets"], json!([{"name": "a"}, {"name": "b"}]));
    account.apply("m", json!({"imagePullSecrets": [{"name": "p"}]}));
    assert_eq!(account.live()["secrets"], json!([{"name": "b"}]));
    account.apply("n", json!({}));
    assert!(account.live().get("secrets").is_none());
}

#[test]
fn the_walk_through_of_appliers_and_an_editor() {
    let mut server = Server::secrets();
    server.apply("m1", json!({"metadata": {"labels": {"l": "1"}}, "data": {"k1": "YQ==", "k2": "Yg=="}}));

    // The same value is shared; only ownership changes, so the new entry has no time.
    assert!(server.apply("m2", json!({"data": {"k1": "YQ=="}})));
    assert_eq!(server.fields("m2"), r#"{"f:data":{"f:k1":{}}}"#);
    assert!(server.entry("m2").unwrap().get("time").is_none());
    assert_eq!(server.entries()[0]["manager"], "m2", "an entry without time sorts first");
    assert_eq!(server.entry("m1").unwrap()["time"], "2026-01-01T00:00:01Z");

    // Another value conflicts, and may be forced.
    let refused = server.conflict("m2", json!({"data": {"k1": "Yw=="}}));
    assert_eq!(refused.message(), r#"Apply failed with 1 conflict: conflict with "m1": .data.k1"#);
    let ApplyError::Conflicts(conflicts) = refused else { panic!("conflicts") };
    assert_eq!((conflicts[0].message().as_str(), conflicts[0].field.as_str()), (r#"conflict with "m1""#, ".data.k1"));
    server.try_apply("m2", true, json!({"data": {"k1": "Yw=="}})).unwrap();
    assert_eq!(server.fields("m1"), r#"{"f:data":{"f:k2":{}},"f:metadata":{"f:labels":{"f:l":{}}}}"#);
    assert!(server.entry("m2").unwrap().get("time").is_some());

    // What is no longer applied goes, if nobody else wants it.
    server.apply("m1", json!({"data": {"k2": "Yg=="}}));
    assert!(server.live()["metadata"].get("labels").is_none());
    server.apply("m1", json!({}));
    assert_eq!(server.live()["data"], json!({"k1": "Yw=="}));
    assert_eq!(server.fields("m1"), "none");

    // An editor takes a field with its value.
    server.apply("m1", json!({"data": {"k1": "Yw==", "k3": "ZA=="}}));
    server.update("ed", |new| new["data"]["k1"] = json!("ZQ=="));
    assert_eq!(server.fields("ed"), r#"{"f:data":{"f:k1":{}}}"#);
    assert_eq!((server.fields("m1"), server.fields("m2")), (r#"{"f:data":{"f:k3":{}}}"#.into(), "none".into()));
    assert_eq!(
        server.conflict("m1", json!({"data": {"k1": "Yw==", "k3": "ZA=="}})).message(),
        r#"Apply failed with 1 conflict: conflict with "ed" using v1: .data.k1"#
    );
    server.apply("m1", json!({"data": {"k3": "ZA=="}}));
    assert_eq!(server.live()["data"]["k1"], "ZQ==");

    // A key that another client deleted comes back with the next apply.
    server.update("ed", |new| {
        new["data"].as_object_mut().unwrap().shift_remove("k3");
    });
    assert_eq!(server.fields("m1"), "none");
    assert!(server.apply("m1", json!({"data": {"k3": "ZA=="}})));
    assert_eq!(server.live()["data"]["k3"], "ZA==");
}

#[test]
fn several_conflicts_are_listed_by_manager_and_path() {
    let mut server = Server::secrets();
    server.apply("m2", json!({"data": {"k1": "YQ==", "k2": "Yg=="}, "metadata": {"finalizers": ["x.com/f"]}}));
    server.apply("m1", json!({"data": {"k1": "YQ=="}}));
    server.update("ed", |new| new["metadata"]["labels"] = json!({"a.b/c": "1"}));
    let refused = server.conflict(
        "m3",
        json!({"data": {"k1": "eA==", "k2": "eQ=="}, "metadata": {"finalizers": ["x.com/f"], "labels": {"a.b/c": "2"}}}),
    );
    assert_eq!(
        refused.message(),
        "Apply failed with 4 conflicts: conflicts with \"ed\" using v1:\n- .metadata.labels.a.b/c\n\
         conflicts with \"m1\":\n- .data.k1\nconflicts with \"m2\":\n- .data.k1\n- .data.k2"
    );
    // Forcing takes all of them.
    server
        .try_apply("m3", true, json!({"data": {"k1": "eA==", "k2": "eQ=="}, "metadata": {"labels": {"a.b/c": "2"}}}))
        .unwrap();
    assert_eq!(server.fields("m2"), r#"{"f:metadata":{"f:finalizers":{"v:\"x.com/f\"":{}}}}"#);
    assert_eq!(server.fields("m1"), "none");
    assert_eq!(server.fields("ed"), r#"{"f:metadata":{"f:labels":{}}}"#, "the map itself stays ed's");
}

#[test]
fn taking_a_field_away_with_null_conflicts_too() {
    let mut server = Server::secrets();
    server.update("ed", |new| new["immutable"] = json!(true));
    assert_eq!(
        server.conflict("m", json!({"immutable": null})).message(),
        r#"Apply failed with 1 conflict: conflict with "ed" using v1: .immutable"#
    );
    server.try_apply("m", true, json!({"immutable": null})).unwrap();
    assert_eq!(server.live()["immutable"], Value::Null);
    assert_eq!((server.fields("ed"), server.fields("m")), ("none".into(), r#"{"f:immutable":{}}"#.into()));
}

#[test]
fn an_updater_and_an_applier_of_one_name_are_two_managers() {
    let mut server = Server::secrets();
    server.update("same", |new| new["data"] = json!({"a": "YQ=="}));
    assert_eq!(
        server.conflict("same", json!({"data": {"a": "Yg=="}})).message(),
        r#"Apply failed with 1 conflict: conflict with "same" using v1: .data.a"#
    );
}

#[test]
fn an_apply_that_repeats_itself_changes_nothing() {
    let mut server = Server::secrets();
    let config = json!({"metadata": {"labels": {"l": "1"}, "finalizers": ["x.com/f"]}, "data": {"a": "YQ=="}});
    server.apply("m", config.clone());
    let before = server.live().clone();
    assert!(!server.apply("m", config));
    assert_eq!(*server.live(), before);
}

#[test]
fn string_data_is_owned_as_a_field_of_its_own() {
    let mut server = Server::secrets();
    server.update("ed", |new| new["data"] = json!({"s1": "YQ=="}));
    server.apply("m", json!({"stringData": {"s1": "plain"}}));
    assert_eq!(server.fields("m"), r#"{"f:stringData":{"f:s1":{}}}"#);
    assert_eq!(server.live()["stringData"], json!({"s1": "plain"}));
    assert_eq!(server.fields("ed"), r#"{"f:data":{".":{},"f:s1":{}}}"#);
    // The caller turns it into data; letting go of it does not remove the data.
    let live = server.live.as_mut().unwrap().as_object_mut().unwrap();
    live.shift_remove("stringData");
    live.insert("data".into(), json!({"s1": "cGxhaW4="}));
    server.apply("m", json!({}));
    assert_eq!(server.live()["data"], json!({"s1": "cGxhaW4="}));
    assert_eq!(server.fields("m"), "none");
}

#[test]
fn removing_a_key_that_nobody_owns_never_happens() {
    let mut server = Server::secrets();
    server.apply("m", json!({"data": {"a": "YQ=="}}));
    server.live.as_mut().unwrap()["data"]["unowned"] = json!("Yg==");
    server.apply("m", json!({}));
    assert_eq!(server.live()["data"], json!({"unowned": "Yg=="}));
}

#[test]
fn what_was_there_before_the_first_apply_is_attributed() {
    let mut server = Server::secrets();
    server.live = Some(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "uid": "u"},
        "data": {"a": "YQ=="}, "type": "Opaque"}));
    assert_eq!(
        server.conflict("m", json!({"data": {"a": "Yg=="}})).message(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a"#
    );
    assert!(server.apply("m", json!({"data": {"a": "YQ=="}})));
    assert_eq!(
        text(&server.live()["metadata"]["managedFields"]),
        r#"[{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}},{"manager":"before-first-apply","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:02Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:a":{}},"f:type":{}}}]"#
    );
}

#[test]
fn set_lists_merge_in_the_order_of_the_configuration() {
    let mut server = Server::secrets();
    server.update("ed", |new| new["metadata"]["finalizers"] = json!(["a/a", "b/b", "c/c", "d/d"]));
    server.apply("m", json!({"metadata": {"finalizers": ["d/d", "x/x", "b/b"]}}));
    assert_eq!(server.live()["metadata"]["finalizers"], json!(["a/a", "c/c", "d/d", "x/x", "b/b"]));
    server.apply("m", json!({"metadata": {"finalizers": ["b/b"]}}));
    assert_eq!(server.live()["metadata"]["finalizers"], json!(["a/a", "c/c", "d/d", "b/b"]), "d/d is ed's too");
}

#[test]
fn a_configuration_of_another_shape_is_refused_without_its_values() {
    let mut server = Server::secrets();
    let mut refused = |config: Value| {
        let error = server.conflict("m", config);
        assert!(matches!(error, ApplyError::Untyped(_)));
        error.message()
    };
    assert_eq!(
        refused(json!({"bogus": 1})),
        "failed to create typed patch object (/s; /v1, Kind=Secret): .bogus: field not declared in schema"
    );
    assert_eq!(
        refused(json!({"metadata": {"namespace": "n", "x": 1}, "data": "hunter2"})),
        "failed to create typed patch object (n/s; /v1, Kind=Secret): errors:\n  \
         .metadata.x: field not declared in schema\n  .data: expected map, got string"
    );
    for (config, text) in [
        (json!({"data": {"k": 12345}}), ".data.k: expected string, got number"),
        (json!({"data": ["hunter2"]}), ".data: expected map, got list"),
        (json!({"immutable": "hunter2"}), ".immutable: expected boolean, got string"),
        (json!({"metadata": {"generation": "1"}}), ".metadata.generation: expected numeric (int or float), got string"),
        (json!({"metadata": {"finalizers": "x"}}), ".metadata.finalizers: expected list, got string"),
        (
            json!({"metadata": {"finalizers": ["a/a", "a/a"]}}),
            ".metadata.finalizers: duplicate entries for key [=\"a/a\"]",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"name": "x"}]}}),
            ".metadata.ownerReferences: element 0: associative list with keys has an element that omits key field \"uid\" (and doesn't have default value)",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"uid": "u", "name": {}}]}}),
            ".metadata.ownerReferences[uid=\"u\"].name: expected string, got map",
        ),
    ] {
        let message = refused(config);
        assert!(message.ends_with(&format!("Kind=Secret): {text}")), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("12345"));
    }
    let mut role = Server::of(&CLUSTER_ROLE);
    assert_eq!(
        role.conflict("m", json!({"rules": [{"verbs": ["get"]}, {"x": 1}]})).message(),
        "failed to create typed patch object (/s; rbac.authorization.k8s.io/v1, Kind=ClusterRole): \
         .rules[1].x: field not declared in schema"
    );
    assert_eq!(
        refused(json!((0..500).map(|n| (format!("x{n}"), json!(1))).collect::<serde_json::Map<_, _>>()))
            .lines()
            .count(),
        65
    );
}

#[test]
fn identity_in_a_configuration_is_carried_over_and_bookkeeping_is_not() {
    let mut server = Server::secrets();
    server.apply(
        "m",
        json!({"metadata": {"uid": "u", "resourceVersion": "7", "generation": 4, "creationTimestamp": "2020-01-01T00:00:00Z"}}),
    );
    assert_eq!(server.live()["metadata"], json!({"name": "s", "uid": "u", "resourceVersion": "7"}));
    assert_eq!(server.fields("m"), "none", "nothing in it is anybody's field");
}

#[test]
fn odd_objects_do_no_harm() {
    let writer = Writer { manager: "", subresource: "", api_version: "v1", now: "2026-01-01T00:00:00Z" };
    for odd in [json!(null), json!([]), json!({"metadata": 1}), json!({"metadata": {"managedFields": {"a": 1}}})] {
        let mut new = odd.clone();
        track_update(&SECRET, None, &mut new, &writer);
        track_update(&SECRET, Some(&odd), &mut new, &writer);
        let _ = apply(&SECRET, Some(&odd), &json!({"data": {"a": "YQ=="}}), false, &writer);
        let _ = apply(&SECRET, None, &odd, false, &writer);
    }
    let mut new = json!({"metadata": {}, "data": {"a": "YQ=="}});
    track_update(&SECRET, None, &mut new, &writer);
    assert_eq!(new["metadata"]["managedFields"][0]["manager"], "unknown");
}

#[test]
fn a_map_that_is_emptied_is_owned_on_by_who_owns_it_as_a_whole() {
    let mut server = Server::secrets();
    let full = json!({"data": {"k": "YQ=="}, "metadata": {"labels": {"l": "1"}, "finalizers": ["x.com/f"]}});
    server.apply("one", full.clone());
    server.apply("two", json!({"data": {}, "metadata": {"labels": null}}));
    server.apply("one", json!({}));
    assert_eq!(server.fields("one"), "none");
    assert_eq!(server.fields("two"), r#"{"f:data":{},"f:metadata":{"f:labels":{}}}"#);
    assert!(server.live().get("data").is_none() && server.live()["metadata"].get("labels").is_none());
    // Until somebody makes it anew.
    server.try_apply("one", true, full).unwrap();
    assert_eq!(server.fields("two"), "none");
}
