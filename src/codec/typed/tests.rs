//! Typed decoding: unknown fields, mismatches, base64.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    codec::{
        json::{self, tests::any_value},
        yaml,
    },
    model::schema::{CLUSTER_ROLE, DELETE_OPTIONS, SECRET, TOKEN_REVIEW},
};

fn checked(message: &'static Message, mut value: Value) -> (Value, Vec<String>) {
    let checked = check(message, &mut value).unwrap_or_else(|error| panic!("{error}"));
    (value, checked.unknown)
}

fn error_text(message: &'static Message, mut value: Value) -> String {
    check(message, &mut value).unwrap_err().to_string()
}

#[test]
fn mismatches_read_as_in_go() {
    for (value, text) in [
        (json!({"type": 5}), "json: cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"),
        (json!({"kind": 5}), "json: cannot unmarshal number into Go struct field Secret.kind of type string"),
        (json!({"immutable": "x"}), "json: cannot unmarshal string into Go struct field Secret.immutable of type bool"),
        (
            json!({"data": []}),
            "json: cannot unmarshal array into Go struct field Secret.data of type map[string][]uint8",
        ),
        (json!({"data": {"a": 5}}), "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
        (
            json!({"stringData": {"a": true}}),
            "json: cannot unmarshal bool into Go struct field Secret.stringData of type string",
        ),
        (
            json!({"metadata": "x"}),
            "json: cannot unmarshal string into Go struct field Secret.metadata of type v1.ObjectMeta",
        ),
        (
            json!({"metadata": {"labels": {"a": {}}}}),
            "json: cannot unmarshal object into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            json!({"metadata": {"labels": 1}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            json!({"metadata": {"finalizers": "x"}}),
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.finalizers of type []string",
        ),
        (
            json!({"metadata": {"finalizers": [1]}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.finalizers of type string",
        ),
        (
            json!({"metadata": {"ownerReferences": [1]}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.ownerReferences of type v1.OwnerReference",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"uid": 1}]}}),
            "json: cannot unmarshal number into Go struct field OwnerReference.metadata.ownerReferences.uid of type types.UID",
        ),
        (
            json!({"metadata": {"creationTimestamp": 1}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            json!({"metadata": {"generation": 1.5}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.generation of type int64",
        ),
        (json!({"data": {"a": "!"}}), "illegal base64 data at input byte 0"),
        (json!({"data": {"a": "YQ"}}), "illegal base64 data at input byte 0"),
        (
            json!({"metadata": {"creationTimestamp": "yesterday"}}),
            "parsing time as \"2006-01-02T15:04:05Z07:00\": cannot parse the value",
        ),
        (json!([]), "json: cannot unmarshal array into Go value of type v1.Secret"),
        (json!(null), "json: cannot unmarshal null into Go value of type v1.Secret"),
    ] {
        assert_eq!(error_text(&SECRET, value), text);
    }
    assert_eq!(
        error_text(&TOKEN_REVIEW, json!({"status": {"user": {"extra": {"a": "b"}}}})),
        "json: cannot unmarshal string into Go struct field UserInfo.status.user.extra of type v1.ExtraValue"
    );
}

#[test]
fn the_first_mismatch_is_reported_unless_a_time_is_wrong() {
    let text = error_text(&SECRET, json!({"type": 1, "data": 2}));
    assert!(text.contains("Secret.type"), "{text}");
    let text = error_text(&SECRET, json!({"type": 1, "metadata": {"deletionTimestamp": "x"}}));
    assert!(text.starts_with("parsing time"), "{text}");
}

#[test]
fn unknown_fields_are_removed_and_reported_in_document_order() {
    let (value, unknown) = checked(
        &SECRET,
        json!({
            "apiVersion": "v1", "kind": "Secret", "Data": {"a": {"b": 1}}, "data": {"a": "YQ=="},
            "metadata": {"name": "s", "foo": 1, "ownerReferences": [{"name": "o"}, {"kind": "K", "bar": []}]},
            "bar": null,
        }),
    );
    assert_eq!(unknown, ["Data", "metadata.foo", "metadata.ownerReferences[1].bar", "bar"]);
    assert_eq!(
        value,
        json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"a": "YQ=="},
            "metadata": {"name": "s", "ownerReferences": [{"name": "o"}, {"kind": "K"}]},
        })
    );
    let order: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(order, ["apiVersion", "kind", "data", "metadata"]);
}

#[test]
fn api_version_and_kind_are_known_only_at_the_top() {
    let (_, unknown) = checked(&SECRET, json!({"metadata": {"kind": "x", "apiVersion": "y"}}));
    assert_eq!(unknown, ["metadata.kind", "metadata.apiVersion"]);
}

#[test]
fn nulls_become_what_go_makes_of_them() {
    let (value, _) = checked(
        &SECRET,
        json!({
            "kind": null, "type": null, "immutable": null,
            "data": {"a": null}, "stringData": {"b": null, "c": ""},
            "metadata": {
                "creationTimestamp": null, "labels": {"l": null}, "annotations": null, "finalizers": [null],
                "ownerReferences": [null], "managedFields": [{"time": null, "fieldsV1": null}],
            },
        }),
    );
    assert_eq!(
        value,
        json!({
            "data": {"a": ""}, "stringData": {"c": ""},
            "metadata": {"labels": {"l": ""}, "finalizers": [""], "ownerReferences": [{}], "managedFields": [{}]},
        })
    );
    let (value, _) = checked(&SECRET, json!({"metadata": null, "data": null}));
    assert_eq!(value, json!({}));
}

#[test]
fn values_are_brought_into_one_form() {
    let (value, unknown) = checked(
        &SECRET,
        json!({
            "data": {"a": "YR==", "b": "YW\nJj\r\n", "c": ""},
            "metadata": {
                "creationTimestamp": "2024-05-06T09:08:07.5+02:00", "deletionTimestamp": "0001-01-01T00:00:00Z",
                "managedFields": [{"fieldsV1": {"f:data": {".": {}, "f:x": null}}}],
            },
        }),
    );
    assert_eq!(
        value,
        json!({
            "data": {"a": "YQ==", "b": "YWJj", "c": ""},
            "metadata": {
                "creationTimestamp": "2024-05-06T07:08:07Z",
                "managedFields": [{"fieldsV1": {"f:data": {".": {}, "f:x": null}}}],
            },
        })
    );
    assert!(unknown.is_empty());
    assert_eq!(base64_len(&canonical_base64("YW\nJj").unwrap()), 3);
}

#[test]
fn other_kinds_are_checked_by_the_same_table() {
    let (value, unknown) = checked(
        &CLUSTER_ROLE,
        json!({"rules": [{"verbs": ["get"], "resource": ["x"]}, null], "aggregationRule": {"clusterRoleSelectors": []}}),
    );
    assert_eq!(unknown, ["rules[0].resource"]);
    assert_eq!(value["rules"], json!([{"verbs": ["get"]}, {}]));
    let (value, _) =
        checked(&DELETE_OPTIONS, json!({"kind": "DeleteOptions", "gracePeriodSeconds": 0, "dryRun": ["All"]}));
    assert_eq!(value["gracePeriodSeconds"], 0);
}

#[test]
fn strict_decoding_names_duplicates_and_unknown_fields() {
    let body = br#"{"data":{"x":"","x":""},"data":{},"bar":{"k":1,"k":2},"bar":1,"metadata":{"foo":1},"barn":1,"type":"a","type":"b"}"#;
    let mut parsed = json::parse(body).unwrap_or_else(|error| panic!("{error}"));
    let checked = check(&SECRET, &mut parsed.value).unwrap();
    assert_eq!(
        problems(&parsed.duplicates, &checked),
        [
            "duplicate field \"data.x\"",
            "duplicate field \"data\"",
            "duplicate field \"type\"",
            "unknown field \"bar\"",
            "unknown field \"metadata.foo\"",
            "unknown field \"barn\"",
        ]
    );
}

#[test]
fn unknown_fields_of_yaml_come_sorted() {
    let mut parsed =
        yaml::parse(b"zeta: 1\nmetadata:\n  foo: 1\n  bar: 2\nalpha: 1\n").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(check(&SECRET, &mut parsed.value).unwrap().unknown, ["alpha", "metadata.bar", "metadata.foo", "zeta"]);
}

const CANARY: &str = "HUNTER2";

/// Documents that have the shape of a Secret in places and the canary in all values.
fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(CANARY)),
        Just(json!(format!("{CANARY}=="))),
        Just(json!("2024-01-01T00:00:00Z HUNTER2")),
        Just(json!(null)),
        Just(json!(7_777_777_777.5)),
        Just(json!(7_777_777_777_i64)),
        Just(json!(true)),
    ];
    let name = prop_oneof![
        "metadata|data|stringData|type|immutable|labels|annotations|finalizers|ownerReferences|managedFields",
        "creationTimestamp|deletionTimestamp|fieldsV1|time|generation|deletionGracePeriodSeconds|name|uid|controller|x",
    ];
    let inner = leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|entries| entries.into_iter().collect()),
        ]
    });
    let top = "metadata|data|stringData|type|immutable|x";
    prop::collection::vec((top, inner), 0..5).prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #[test]
    fn no_document_panics_and_a_checked_one_stays_as_it_is(value in prop_oneof![any_document(), any_value()]) {
        let mut once = value;
        if check(&SECRET, &mut once).is_ok() {
            let mut twice = once.clone();
            let again = check(&SECRET, &mut twice).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(again.unknown.is_empty());
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn no_error_and_no_report_quotes_a_value(mut value in any_document()) {
        let text = match check(&SECRET, &mut value) {
            Ok(checked) => format!("{checked:?} {}", problems(&[], &checked).join(" ")),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!text.contains(CANARY) && !text.contains("7777777"), "{}", text);
    }
}
