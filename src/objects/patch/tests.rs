//! JSON patch and merge patch: the RFCs' own examples, Kubernetes' corners, and what a patch may cost.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MAX_DEPTH, PatchError, json_patch, merge_patch};

/// A secret that must not show in any error.
const CANARY: &str = "Y2FuYXJ5";

fn patched(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let mut copy = target.clone();
    json_patch(&mut copy, patch).map(|_| copy)
}

fn merged(target: &Value, patch: &Value) -> Value {
    let mut copy = target.clone();
    merge_patch(&mut copy, patch).unwrap();
    copy
}

/// `[[[…]]]`, this many lists.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

/// Values that nest too deep are taken apart one by one, as the recursive drop would exhaust the stack.
fn dismantle(mut value: Value) {
    while let Value::Array(mut items) = value {
        value = items.pop().unwrap_or_default();
    }
}

#[test]
fn operations_do_what_rfc_6902_says() {
    for (target, patch, expected) in [
        // Appendix A of the RFC.
        (
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/baz", "value": "qux"}]),
            json!({"baz": "qux", "foo": "bar"}),
        ),
        (json!({"foo": [1, 3]}), json!([{"op": "add", "path": "/foo/1", "value": 2}]), json!({"foo": [1, 2, 3]})),
        (json!({"baz": 1, "foo": 2}), json!([{"op": "remove", "path": "/baz"}]), json!({"foo": 2})),
        (json!({"foo": [1, 2, 3]}), json!([{"op": "remove", "path": "/foo/1"}]), json!({"foo": [1, 3]})),
        (
            json!({"baz": 1}),
            json!([{"op": "replace", "path": "/baz", "value": {"a": null}}]),
            json!({"baz": {"a": null}}),
        ),
        (
            json!({"a": {"b": 1}, "c": {}}),
            json!([{"op": "move", "from": "/a/b", "path": "/c/d"}]),
            json!({"a": {}, "c": {"d": 1}}),
        ),
        (
            json!({"foo": [1, 2, 3, 4]}),
            json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
            json!({"foo": [1, 3, 4, 2]}),
        ),
        (json!({"a": [1, "x"]}), json!([{"op": "test", "path": "/a/1", "value": "x"}]), json!({"a": [1, "x"]})),
        (
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/child", "value": {"g": {}}}]),
            json!({"foo": "bar", "child": {"g": {}}}),
        ),
        (
            json!({"foo": ["bar"]}),
            json!([{"op": "add", "path": "/foo/-", "value": ["abc"]}]),
            json!({"foo": ["bar", ["abc"]]}),
        ),
        (
            json!({"/": 9, "~1": 10}),
            json!([{"op": "test", "path": "/~01", "value": 10}, {"op": "test", "path": "/~1", "value": 9}]),
            json!({"/": 9, "~1": 10}),
        ),
        // The rest.
        (json!({"a": 1}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"a": 1, "b": 1})),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "copy", "from": "", "path": "/a/c"}]),
            json!({"a": {"b": 1, "c": {"a": {"b": 1}}}}),
        ),
        (json!({"a": 1}), json!([{"op": "move", "from": "/a", "path": "/a"}]), json!({"a": 1})),
        (json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {"b": 2}}]), json!({"b": 2})),
        (json!({"a": 1}), json!([{"op": "add", "path": "", "value": {"b": 2}}]), json!({"b": 2})),
        (json!({"": 1}), json!([{"op": "replace", "path": "/", "value": 2}]), json!({"": 2})),
        (json!({"a": 1}), json!([{"op": "add", "path": "/a", "value": 2}]), json!({"a": 2})),
        (json!({"a": [1]}), json!([{"op": "add", "path": "/a/1", "value": 2}]), json!({"a": [1, 2]})),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1.0}]), json!({"a": 1})),
        (
            json!({"a": {"x": 1, "y": [2]}}),
            json!([{"op": "test", "path": "/a", "value": {"y": [2], "x": 1}}]),
            json!({"a": {"x": 1, "y": [2]}}),
        ),
        // Kubernetes: what is not there equals null, so that a client can ask that it is not there.
        (json!({"a": {}}), json!([{"op": "test", "path": "/a/b", "value": null}]), json!({"a": {}})),
        (json!({}), json!([]), json!({})),
        (
            json!({"metadata": {"annotations": {"a.b/c": "d"}}}),
            json!([{"op": "remove", "path": "/metadata/annotations/a.b~1c"}]),
            json!({"metadata": {"annotations": {}}}),
        ),
    ] {
        assert_eq!(patched(&target, &patch), Ok(expected), "{target} {patch}");
    }
}

#[test]
fn an_operation_that_cannot_be_done_is_unprocessable() {
    let target = json!({"a": CANARY, "list": [1, 2], "big": 9_007_199_254_740_993_i64});
    for operation in [
        json!({"op": "replace", "path": "/b", "value": 1}),
        json!({"op": "remove", "path": "/b"}),
        json!({"op": "remove", "path": ""}),
        json!({"op": "add", "path": "/b/c", "value": 1}),
        json!({"op": "add", "path": "/a/c", "value": 1}),
        json!({"op": "add", "path": "/list/3", "value": 1}),
        json!({"op": "add", "path": "/list/01", "value": 1}),
        json!({"op": "add", "path": "/list/+1", "value": 1}),
        json!({"op": "add", "path": "/list/", "value": 1}),
        json!({"op": "add", "path": "/list/99999999999999999999999", "value": 1}),
        json!({"op": "remove", "path": "/list/2"}),
        json!({"op": "remove", "path": "/list/-"}),
        json!({"op": "remove", "path": "/list/-1"}),
        json!({"op": "replace", "path": "/list/2", "value": 1}),
        json!({"op": "test", "path": "/a", "value": "x"}),
        json!({"op": "test", "path": "/list", "value": [1]}),
        json!({"op": "test", "path": "/list/2", "value": null}),
        json!({"op": "test", "path": "/b/c", "value": null}),
        json!({"op": "test", "path": "/b", "value": 1}),
        json!({"op": "test", "path": "/big", "value": 9_007_199_254_740_992_i64}),
        json!({"op": "move", "from": "/b", "path": "/c"}),
        json!({"op": "move", "from": "/list", "path": "/list/0"}),
        json!({"op": "move", "from": "", "path": "/x"}),
        json!({"op": "move", "from": "/b", "path": "/b"}),
        json!({"op": "move", "path": "/c"}),
        json!({"op": "copy", "from": "/b", "path": "/c"}),
        json!({"op": "copy", "path": "/c"}),
        json!({"op": "add", "path": "/c"}),
        json!({"op": "replace", "path": "/a"}),
        json!({"op": "test", "path": "/a"}),
        json!({"op": "add", "value": 1}),
        json!({"op": "add", "path": "c", "value": 1}),
        json!({"op": "add", "path": "/~2", "value": 1}),
        json!({"op": "add", "path": "/~", "value": 1}),
        json!({"op": "ADD", "path": "/c", "value": 1}),
        json!({"op": null, "path": "/c", "value": 1}),
        json!({"path": "/c", "value": 1}),
        json!({}),
        json!(null),
    ] {
        assert_eq!(patched(&target, &json!([operation])), Err(PatchError::Unprocessable), "{operation}");
    }
}

#[test]
fn what_is_no_json_patch_is_refused_without_its_values() {
    for (patch, text) in [
        (json!({"data": CANARY}), "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (json!(CANARY), "json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp"),
        (json!([CANARY]), "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        (json!([{"op": 1}]), "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        (
            json!([{"op": "add", "path": [CANARY]}]),
            "json: cannot unmarshal array into Go struct field jsonPatchOp.path of type string",
        ),
        (
            json!([{"op": "add", "from": true}]),
            "json: cannot unmarshal bool into Go struct field jsonPatchOp.from of type string",
        ),
    ] {
        assert_eq!(patched(&json!({}), &patch), Err(PatchError::Decode(text.to_owned())));
    }
}

#[test]
fn unknown_members_of_operations_are_found() {
    let operation = json!({"op": "add", "foo": 1, "path": "/a", "value": 1, "Op": CANARY});
    let findings = json_patch(&mut json!({}), &json!([operation])).unwrap();
    assert_eq!(findings.unknown, ["[0].foo", "[0].Op"]);
    assert_eq!(findings.into_texts(), ["json patch unknown field \"[0].foo\"", "json patch unknown field \"[0].Op\""]);
    let many = json!(vec![json!({"op": "test", "path": "/a", "value": null, "x": 1}); 300]);
    assert_eq!(json_patch(&mut json!({}), &many).unwrap().unknown.len(), 100);
}

#[test]
fn ten_thousand_operations_are_allowed_and_one_more_is_not() {
    let operation = json!({"op": "add", "path": "/a", "value": 1});
    assert!(patched(&json!({}), &json!(vec![operation.clone(); 10_000])).is_ok());
    assert_eq!(
        patched(&json!({}), &json!(vec![operation; 10_001])),
        Err(PatchError::TooManyOperations { max: 10_000, got: 10_001 })
    );
}

#[test]
fn a_copy_bomb_is_refused_before_it_grows() {
    let operations: Vec<Value> =
        (0..40).map(|index| json!({"op": "copy", "from": "/data", "path": format!("/data/x{index}")})).collect();
    assert_eq!(patched(&json!({"data": {"a": "b"}}), &json!(operations)), Err(PatchError::TooLarge));
    let bomb: Vec<Value> = (0..40).map(|_| json!({"op": "copy", "from": "/l", "path": "/l/-"})).collect();
    assert_eq!(patched(&json!({"l": ["a".repeat(1024)]}), &json!(bomb)), Err(PatchError::TooLarge));
    let wide: Vec<Value> =
        (0..10_000).map(|index| json!({"op": "copy", "from": "/a", "path": format!("/b{index}")})).collect();
    assert_eq!(patched(&json!({"a": "x".repeat(400)}), &json!(wide)), Err(PatchError::TooLarge));
    // What a secret may hold can be copied.
    let large = json!({"a": "x".repeat(1_000_000)});
    assert!(patched(&large, &json!([{"op": "copy", "from": "/a", "path": "/b"}])).is_ok());
}

#[test]
fn moving_a_long_list_again_and_again_is_refused() {
    let list = json!({"l": vec![0; 100_000]});
    let insert = json!({"op": "add", "path": "/l/0", "value": 0});
    assert_eq!(patched(&list, &json!(vec![insert; 10_000])), Err(PatchError::TooLarge));
    let remove = json!({"op": "remove", "path": "/l/0"});
    assert_eq!(patched(&list, &json!(vec![remove; 10_000])), Err(PatchError::TooLarge));
    let append = json!({"op": "add", "path": "/l/-", "value": 0});
    assert!(patched(&list, &json!(vec![append; 10_000])).is_ok());
}

#[test]
fn no_patch_makes_a_document_that_nests_too_deep() {
    let target = json!({"a": nested(100), "b": {}});
    let move_down = json!([
        {"op": "add", "path": "/b", "value": nested(20)},
        {"op": "move", "from": "/a", "path": format!("/b{}/-", "/0".repeat(19))},
        {"op": "move", "from": "/b", "path": "/c"},
        {"op": "add", "path": "/d", "value": nested(20)},
        {"op": "move", "from": "/c", "path": format!("/d{}/-", "/0".repeat(19))},
    ]);
    assert_eq!(patched(&target, &move_down), Err(PatchError::TooLarge));
    let copy_down = json!([{"op": "copy", "from": "/a", "path": format!("/a{}/-", "/0".repeat(99))}]);
    assert_eq!(patched(&target, &copy_down), Err(PatchError::TooLarge));
    let add_deep = json!([{"op": "add", "path": format!("/a{}/-", "/0".repeat(99)), "value": nested(30)}]);
    assert_eq!(patched(&target, &add_deep), Err(PatchError::Unprocessable));
    let long_pointer = json!([{"op": "test", "path": "/a".repeat(1_000_000), "value": null}]);
    assert_eq!(patched(&target, &long_pointer), Err(PatchError::Unprocessable));

    let mut abyss = json!({});
    for _ in 0..100_000 {
        abyss = Value::Array(vec![abyss]);
    }
    let patch = json!([{"op": "add", "path": "/a"}]);
    let mut patch = patch;
    patch[0]["value"] = abyss;
    assert_eq!(patched(&json!({}), &patch), Err(PatchError::Unprocessable));
    dismantle(patch[0]["value"].take());
}

#[test]
fn merging_does_what_rfc_7396_says() {
    for (target, patch, expected) in [
        // Appendix A of the RFC, as far as the patch is an object.
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": [1, null]}), json!({"a": [null, {"b": null}]}), json!({"a": [null, {"b": null}]})),
        // Kubernetes' uses.
        (json!({"metadata": {"labels": {"a": "b"}}}), json!({"metadata": {"labels": null}}), json!({"metadata": {}})),
        (
            json!({"data": {"x": "eA=="}}),
            json!({"stringData": {"d": null}}),
            json!({"data": {"x": "eA=="}, "stringData": {}}),
        ),
    ] {
        assert_eq!(merged(&target, &patch), expected, "{target} {patch}");
    }
}

#[test]
fn what_is_no_merge_patch_is_refused_without_its_values() {
    for (patch, text) in [
        (json!([CANARY]), "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (json!(CANARY), "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        (json!({"a": nested(MAX_DEPTH)}), "exceeded max depth"),
    ] {
        assert_eq!(merge_patch(&mut json!({}), &patch), Err(PatchError::Decode(text.to_owned())));
    }
    assert_eq!(merge_patch(&mut json!({}), &json!({"a": nested(MAX_DEPTH - 1)})), Ok(()));
}

/// Documents and values with few names, so that paths often lead somewhere.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[ab]".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[ab~/]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let pointer = || "(/(a|b|0|1|-|~0|~1|~|/)){0,4}";
    let op =
        prop_oneof![Just("add"), Just("remove"), Just("replace"), Just("move"), Just("copy"), Just("test"), Just("no")];
    (op, pointer(), pointer(), document())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

proptest! {
    #[test]
    fn no_json_patch_panics_or_makes_a_document_grow_out_of_bounds(
        target in document(), operations in prop::collection::vec(operation(), 0..12)
    ) {
        let patch = Value::from(operations);
        if let Ok(result) = patched(&target, &patch) {
            prop_assert!(result.to_string().len() < target.to_string().len() + patch.to_string().len() + 4 * 1024 * 1024);
        }
    }

    #[test]
    fn what_is_added_can_be_tested_and_removed(target in document(), value in document()) {
        let target = json!({"a": target});
        let patch = json!([
            {"op": "add", "path": "/new", "value": value},
            {"op": "test", "path": "/new", "value": value},
            {"op": "remove", "path": "/new"},
        ]);
        prop_assert_eq!(patched(&target, &patch), Ok(target));
    }

    #[test]
    fn merging_twice_is_merging_once(target in document(), patch in document()) {
        let patch = json!({"a": patch});
        let once = merged(&target, &patch);
        prop_assert_eq!(merged(&once, &patch), once);
    }

    #[test]
    fn no_strategic_merge_panics(target in document(), patch in document()) {
        let mut target = json!({"metadata": target.clone(), "data": target});
        let _ = super::strategic_merge(crate::model::kinds::SECRET.message, &mut target, &json!({"metadata": patch, "data": patch}));
    }
}
