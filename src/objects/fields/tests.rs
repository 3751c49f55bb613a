//! Field management step by step, as a Kubernetes 1.32 API server was seen to do it.

use serde_json::{Value, json};

use super::test_shapes::{CLUSTER_ROLE, NAMESPACE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT};
use super::*;
use crate::model::schema::Message;

/// One object and a clock that ticks with every request.
struct Server {
    message: &'static Message,
    api_version: &'static str,
    live: Option<Value>,
    seconds: u32,
}

impl Server {
    fn of(message: &'static Message) -> Self {
        let api_version = if message.name.contains("Role") { "rbac.authorization.k8s.io/v1" } else { "v1" };
        Self { message, api_version, live: None, seconds: 0 }
    }

    fn secrets() -> Self {
        Self::of(&SECRET)
    }

    fn now(&mut self) -> String {
        self.seconds += 1;
        format!("2026-01-01T00:{:02}:{:02}Z", self.seconds / 60, self.seconds % 60)
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        self.update_through("", manager, change);
    }

    fn update_through(&mut self, subresource: &str, manager: &str, change: impl FnOnce(&mut Value)) {
        let now = self.now();
        let mut new = self.live.clone().unwrap_or_else(|| json!({"metadata": {"name": "s"}}));
        change(&mut new);
        let writer = Writer { manager, subresource, api_version: self.api_version, now: &now };
        track_update(self.message, self.live.as_ref(), &mut new, &writer);
        self.live = Some(new);
    }

    fn try_apply(&mut self, manager: &str, force: bool, mut config: Value) -> Result<bool, ApplyError> {
        let now = self.now();
        config["apiVersion"] = json!(self.api_version);
        config["kind"] = json!(self.message.name);
        config["metadata"]["name"] = json!("s");
        let writer = Writer { manager, subresource: "", api_version: self.api_version, now: &now };
        let applied = apply(self.message, self.live.as_ref(), &config, force, &writer)?;
        self.live = Some(applied.object);
        Ok(applied.changed)
    }

    fn apply(&mut self, manager: &str, config: Value) -> bool {
        self.try_apply(manager, false, config).unwrap()
    }

    fn conflict(&mut self, manager: &str, config: Value) -> ApplyError {
        self.try_apply(manager, false, config).unwrap_err()
    }

    fn live(&self) -> &Value {
        self.live.as_ref().unwrap()
    }

    fn entries(&self) -> Vec<Value> {
        self.live()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
    }

    fn entry(&self, manager: &str) -> Option<Value> {
        self.entries().into_iter().find(|entry| entry["manager"] == manager)
    }

    /// FieldsV1 of a manager as text: order matters.
    fn fields(&self, manager: &str) -> String {
        self.entry(manager).map_or_else(|| "none".to_owned(), |entry| entry["fieldsV1"].to_string())
    }
}

fn text(value: &Value) -> String {
    value.to_string()
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
