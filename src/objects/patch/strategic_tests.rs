//! Strategic merge patch over the real shapes.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::PatchError;
use super::strategic_merge;
use crate::model::kinds::{CLUSTER_ROLE, NAMESPACE, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT};
use crate::model::schema::Message;

/// A secret that must not show in any error.
const CANARY: &str = "Y2FuYXJ5";

fn merge(message: &'static Message, target: &Value, patch: &Value) -> (Value, Vec<String>) {
    let mut copy = target.clone();
    let findings = strategic_merge(message, &mut copy, patch).unwrap();
    (copy, findings.unknown)
}

/// The patched secret, of which nothing was unknown.
fn secret(target: &Value, patch: &Value) -> Value {
    let (result, unknown) = merge(SECRET.message, target, patch);
    assert!(unknown.is_empty(), "{unknown:?}");
    result
}

fn refusal(target: &Value, patch: &Value) -> String {
    match strategic_merge(SECRET.message, &mut target.clone(), patch) {
        Err(PatchError::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn objects_and_maps_merge_and_null_removes() {
    for (target, patch, expected) in [
        (json!({"data": {"a": "1"}}), json!({"data": {"b": "2"}}), json!({"data": {"a": "1", "b": "2"}})),
        (json!({"data": {"a": "1", "b": "2"}}), json!({"data": {"a": null}}), json!({"data": {"b": "2"}})),
        (json!({"data": {"a": "1"}}), json!({"data": null}), json!({})),
        (json!({}), json!({"data": {"a": "1", "b": null}}), json!({"data": {"a": "1"}})),
        (
            json!({"data": {"a": "1"}}),
            json!({"stringData": {"k": null}}),
            json!({"data": {"a": "1"}, "stringData": {}}),
        ),
        (
            json!({"metadata": {"name": "n", "labels": {"a": "b"}}}),
            json!({"metadata": {"labels": {"c": "d"}}}),
            json!({"metadata": {"name": "n", "labels": {"a": "b", "c": "d"}}}),
        ),
        (json!({"immutable": true, "type": "Opaque"}), json!({"immutable": null, "type": "x"}), json!({"type": "x"})),
        (
            json!({"kind": "Secret", "apiVersion": "v1"}),
            json!({"kind": "ConfigMap", "apiVersion": null}),
            json!({"kind": "Secret", "apiVersion": "v1"}),
        ),
        (json!({"data": {"a": "1"}}), json!({}), json!({"data": {"a": "1"}})),
        // Values of the wrong type stay, for the decoder to refuse.
        (json!({"data": {"a": "1"}}), json!({"data": "x"}), json!({"data": "x"})),
        (json!({"metadata": {"name": "n"}}), json!({"metadata": [1]}), json!({"metadata": [1]})),
        (json!({"data": {}}), json!({"data": {"a": {"b": null}}}), json!({"data": {"a": {"b": null}}})),
    ] {
        assert_eq!(secret(&target, &patch), expected, "{target} {patch}");
    }
}

#[test]
fn directives_replace_delete_and_retain() {
    let target = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "n"}, "data": {"a": "1", "b": "2"}});
    for (patch, data) in [
        (json!({"data": {"$patch": "replace", "only": "x"}}), json!({"only": "x"})),
        (json!({"data": {"$patch": "replace"}}), json!({})),
        (json!({"data": {"$patch": "delete", "c": "3"}}), json!({})),
        (json!({"data": {"$patch": "merge", "c": "3"}}), json!({"a": "1", "b": "2", "c": "3"})),
        (json!({"data": {"$retainKeys": ["b", "c"], "c": "3"}}), json!({"b": "2", "c": "3"})),
        (json!({"data": {"$retainKeys": ["b"], "a": null}}), json!({"b": "2"})),
    ] {
        assert_eq!(secret(&target, &patch)["data"], data, "{patch}");
    }
    assert_eq!(secret(&json!({}), &json!({"data": {"$patch": "replace", "a": "1"}})), json!({"data": {"a": "1"}}));
    assert_eq!(
        secret(&target, &json!({"$patch": "replace", "data": {"x": "1"}})),
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"x": "1"}})
    );
    assert_eq!(secret(&target, &json!({"$patch": "delete"})), json!({"apiVersion": "v1", "kind": "Secret"}));
    assert_eq!(
        secret(&target, &json!({"$retainKeys": ["metadata", "type"], "type": "x"})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "n"}, "type": "x"})
    );
}

#[test]
fn unknown_fields_are_reported_and_not_merged() {
    let (result, unknown) = merge(
        SECRET.message,
        &json!({"metadata": {"name": "n"}}),
        &json!({"bogus": {"x": 1}, "gone": null, "Data": 1, "metadata": {"foo": 1, "ownerReferences": [{"uid": "u", "bar": 1}]}}),
    );
    assert_eq!(result, json!({"metadata": {"name": "n", "ownerReferences": [{"uid": "u"}]}}));
    assert_eq!(unknown, ["bogus", "Data", "metadata.foo", "metadata.ownerReferences[0].bar"]);
    let (result, unknown) = merge(ROLE.message, &json!({}), &json!({"rules": [{"verbs": ["get"]}, {"verb": 1}]}));
    assert_eq!((result, unknown), (json!({"rules": [{"verbs": ["get"]}, {}]}), vec!["rules[1].verb".to_owned()]));
    let many: Value = (0..300).map(|index| (format!("x{index}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(merge(SECRET.message, &json!({}), &many).1.len(), 100);
}

#[test]
fn owner_references_merge_by_uid() {
    let owners = |uids: &[&str]| json!(uids.iter().map(|uid| json!({"uid": uid, "name": "n"})).collect::<Vec<_>>());
    let target = json!({"metadata": {"ownerReferences": owners(&["a", "b", "c"])}});
    for (patch, uids) in [
        // New items come first, as in Kubernetes.
        (json!([{"uid": "d", "name": "n"}]), vec!["d", "a", "b", "c"]),
        (json!([{"uid": "d", "name": "n"}, {"uid": "e", "name": "n"}]), vec!["d", "e", "a", "b", "c"]),
        (json!([{"uid": "b"}, {"uid": "d", "name": "n"}]), vec!["a", "b", "d", "c"]),
        (json!([{"uid": "c"}, {"uid": "a"}]), vec!["b", "c", "a"]),
        (json!([{"$patch": "delete", "uid": "b"}]), vec!["a", "c"]),
        (json!([{"$patch": "delete", "uid": "x"}]), vec!["a", "b", "c"]),
        (json!([{"$patch": "delete", "uid": "b"}, {"uid": "d", "name": "n"}]), vec!["d", "a", "c"]),
        (json!([{"$patch": "replace"}, {"uid": "z", "name": "n"}]), vec!["z"]),
        (json!([{"$patch": "replace"}]), vec![]),
        (json!([]), vec!["a", "b", "c"]),
    ] {
        let result = secret(&target, &json!({"metadata": {"ownerReferences": patch}}));
        assert_eq!(result["metadata"]["ownerReferences"], owners(&uids), "{patch}");
    }
    let changed =
        secret(&target, &json!({"metadata": {"ownerReferences": [{"uid": "b", "name": "m", "controller": true}]}}));
    assert_eq!(changed["metadata"]["ownerReferences"][1], json!({"uid": "b", "name": "m", "controller": true}));
    let fresh = secret(
        &json!({}),
        &json!({"metadata": {"ownerReferences": [{"uid": "b", "name": null}, {"$patch": "delete", "uid": "c"}, {"uid": "b", "kind": "k"}]}}),
    );
    assert_eq!(fresh["metadata"]["ownerReferences"], json!([{"uid": "b", "kind": "k"}]));
}

#[test]
fn secrets_of_a_service_account_merge_by_name() {
    let target = json!({"secrets": [{"name": "a"}], "imagePullSecrets": [{"name": "p"}]});
    let (result, _) = merge(
        SERVICE_ACCOUNT.message,
        &target,
        &json!({"$setElementOrder/secrets": [{"name": "a"}, {"name": "b"}], "secrets": [{"name": "b"}]}),
    );
    assert_eq!(result["secrets"], json!([{"name": "a"}, {"name": "b"}]));
    let (result, _) = merge(SERVICE_ACCOUNT.message, &target, &json!({"secrets": [{"name": "b"}]}));
    assert_eq!(result["secrets"], json!([{"name": "b"}, {"name": "a"}]));
    let (result, _) = merge(
        NAMESPACE.message,
        &json!({"status": {"conditions": [{"type": "t", "status": "True"}]}}),
        &json!({"status": {"conditions": [{"type": "t", "reason": "r"}]}}),
    );
    assert_eq!(result["status"]["conditions"], json!([{"type": "t", "status": "True", "reason": "r"}]));
}

#[test]
fn the_wanted_order_of_elements_is_kept() {
    let target = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    for (patch, expected) in [
        (json!({"finalizers": ["d"]}), json!(["d", "a", "b", "c"])),
        (json!({"finalizers": ["b"]}), json!(["a", "b", "c"])),
        (json!({"finalizers": ["c", "d", "d"]}), json!(["a", "b", "c", "d"])),
        (json!({"finalizers": null}), json!(null)),
        (json!({"$deleteFromPrimitiveList/finalizers": ["b", "x"]}), json!(["a", "c"])),
        (json!({"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["d"]}), json!(["d", "b", "c"])),
        (json!({"$setElementOrder/finalizers": ["c", "a"]}), json!(["b", "c", "a"])),
        (json!({"$setElementOrder/finalizers": ["a", "d"], "finalizers": ["d"]}), json!(["a", "d", "b", "c"])),
        (
            json!({"$setElementOrder/finalizers": ["d", "c"], "finalizers": ["d"], "$deleteFromPrimitiveList/finalizers": ["a"]}),
            json!(["d", "b", "c"]),
        ),
        (json!({"$setElementOrder/labels": ["x"], "$setElementOrder/bogus": []}), json!(["a", "b", "c"])),
    ] {
        assert_eq!(secret(&target, &json!({"metadata": patch}))["metadata"]["finalizers"], expected, "{patch}");
    }
    assert_eq!(
        secret(
            &json!({}),
            &json!({"metadata": {"finalizers": ["a", "a"], "$deleteFromPrimitiveList/finalizers": ["b"]}})
        ),
        json!({"metadata": {"finalizers": ["a"]}})
    );
    // Not text: the decoder's to refuse.
    assert_eq!(secret(&target, &json!({"metadata": {"finalizers": [1]}})), json!({"metadata": {"finalizers": [1]}}));
}

#[test]
fn all_other_lists_are_replaced() {
    let target = json!({"rules": [{"verbs": ["get"]}], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}});
    let (result, unknown) = merge(
        CLUSTER_ROLE.message,
        &target,
        &json!({"rules": [{"verbs": ["list"], "resources": null}], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"c": "d"}}]}}),
    );
    assert_eq!(
        result,
        json!({"rules": [{"verbs": ["list"]}], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"c": "d"}}]}})
    );
    assert!(unknown.is_empty());
    let (result, _) = merge(
        ROLE_BINDING.message,
        &json!({"subjects": [{"kind": "User", "name": "a"}], "roleRef": {"kind": "Role", "name": "r"}}),
        &json!({"subjects": [{"kind": "User", "name": "b"}], "roleRef": {"name": "s"}}),
    );
    assert_eq!(result, json!({"subjects": [{"kind": "User", "name": "b"}], "roleRef": {"kind": "Role", "name": "s"}}));
    let fields =
        json!({"metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f:data": {"f:a": {}, ".": null}}}]}});
    assert_eq!(secret(&json!({"metadata": {"managedFields": [{"manager": "old"}]}}), &fields), fields);
}

#[test]
fn directives_that_make_no_sense_are_refused_without_values() {
    let target = json!({"metadata": {"ownerReferences": [{"uid": "a"}], "finalizers": ["a"]}});
    for (patch, text) in [
        (json!([CANARY]), "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (json!({"data": {"$patch": CANARY}}), "unknown patch type in map: only replace, merge and delete are"),
        (json!({"data": {"$patch": null}}), "unknown patch type in map: only replace, merge and delete are"),
        (json!({"data": {"$retainKeys": CANARY}}), "invalid patch format of retainKeys"),
        (json!({"data": {"$retainKeys": [1]}}), "invalid patch format of retainKeys"),
        (json!({"data": {"$retainKeys": ["a"], "b": CANARY}}), "invalid patch format of retainKeys"),
        (json!({"metadata": {"$setElementOrder/finalizers": CANARY}}), "invalid patch format of setElementOrder list"),
        (
            json!({"metadata": {"finalizers": [], "$setElementOrder/finalizers": 1}}),
            "invalid patch format of setElementOrder list",
        ),
        (json!({"metadata": {"$setElementOrder/finalizers": [1]}}), "list element types are not identical"),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": CANARY}}),
            "invalid patch format of primitive list",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": ["x", "y"], "finalizers": ["y", "x"]}}),
            "the order in the patch list doesn't match its $setElementOrder list",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"name": CANARY}]}}),
            "map: <secret contents redacted> does not contain declared merge key: uid",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"$patch": "delete"}]}}),
            "map: <secret contents redacted> does not contain declared merge key: uid",
        ),
    ] {
        assert_eq!(refusal(&target, &patch), text, "{patch}");
    }
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(refusal(&target, &deep), "exceeded max depth");
}

#[test]
fn long_lists_merge_in_linear_time() {
    let items = |from: usize| json!((from..from + 50_000).map(|index| format!("f{index}")).collect::<Vec<_>>());
    let owners =
        |from: usize| json!((from..from + 20_000).map(|index| json!({"uid": format!("u{index}")})).collect::<Vec<_>>());
    let started = Instant::now();
    let result = secret(
        &json!({"metadata": {"finalizers": items(0), "ownerReferences": owners(0)}}),
        &json!({"metadata": {"finalizers": items(25_000), "ownerReferences": owners(10_000), "$setElementOrder/ownerReferences": owners(10_000)}}),
    );
    assert_eq!(result["metadata"]["finalizers"].as_array().unwrap().len(), 75_000);
    assert_eq!(result["metadata"]["ownerReferences"].as_array().unwrap().len(), 30_000);
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn metadata_patch() -> impl Strategy<Value = Value> {
    let uids = || prop::collection::vec("[a-d]", 0..4);
    let list = |uids: Vec<String>| json!(uids.into_iter().map(|uid| json!({"uid": uid})).collect::<Vec<_>>());
    (uids(), uids(), uids(), uids()).prop_map(move |(owners, finalizers, order, deleted)| {
        json!({
            "ownerReferences": list(owners),
            "$setElementOrder/ownerReferences": list(order.clone()),
            "finalizers": finalizers,
            "$setElementOrder/finalizers": order,
            "$deleteFromPrimitiveList/finalizers": deleted,
        })
    })
}

proptest! {
    #[test]
    fn merged_lists_have_each_key_once(before in metadata_patch(), patch in metadata_patch()) {
        let mut target = json!({"metadata": {}});
        if strategic_merge(SECRET.message, &mut target, &json!({"metadata": before})).is_err() {
            return Ok(());
        }
        if strategic_merge(SECRET.message, &mut target, &json!({"metadata": patch})).is_ok() {
            for list in ["ownerReferences", "finalizers"] {
                let mut items: Vec<String> =
                    target["metadata"][list].as_array().unwrap().iter().map(ToString::to_string).collect();
                let before = items.len();
                items.sort();
                items.dedup();
                prop_assert_eq!(items.len(), before);
            }
        }
    }

    #[test]
    fn a_strategic_merge_of_maps_is_a_merge_patch(
        target in prop::collection::hash_map("[a-c]", "[xy]", 0..3),
        patch in prop::collection::hash_map("[a-c]", prop::option::of("[xy]"), 0..3),
    ) {
        let (target, patch) = (json!({"data": target}), json!({"data": patch}));
        let mut merged = target.clone();
        super::super::merge_patch(&mut merged, &patch).unwrap();
        prop_assert_eq!(secret(&target, &patch), merged);
    }
}
