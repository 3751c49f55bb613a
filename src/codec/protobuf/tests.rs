//! Protobuf bodies: what kubectl sent, damage, round trips.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::kinds::{self, KINDS};
use crate::model::schema;

// Bodies that kubectl 1.32.5 sent.
const CREATE_SECRET: &str = "6b3873000a0c0a0276311206536563726574123d0a120a02646212001a0022002a0032003800420012120a08\
    70617373776f7264120673336372337412110a08757365726e616d65120561646d696e1a001a002200";
const CREATE_TOKEN: &str = "6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e52657175657374\
    12330a100a0012001a0022002a0032003800420012190a01611a110a06536563726574120276311a0173220020901c1a040a0012001a002200";
const CREATE_ROLE_BINDING: &str = "6b3873000a2b0a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631120b526f6c65\
    42696e64696e67127e0a120a02726212001a0022002a0032003800420012260a04557365721219726261632e617574686f72697a6174696f6e\
    2e6b38732e696f1a01752200121a0a0e536572766963654163636f756e7412001a02736122026e731a240a19726261632e617574686f72697a\
    6174696f6e2e6b38732e696f1204526f6c651a01721a002200";
const CAN_I: &str = "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a65637441636365\
    7373526576696577123f0a100a0012001a0022002a0032003800420012210a1f0a0764656661756c7412036765741a0022002a077365637265\
    747332003a001a08080012001a0020001a002200";
const CREATE_NAMESPACE: &str = "6b3873000a0f0a02763112094e616d657370616365121b0a130a03666f6f12001a0022002a003200380042\
    0012001a020a001a002200";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn number(out: &mut Vec<u8>, field: u32, value: i64) {
    varint(out, u64::from(field) << 3);
    varint(out, value.cast_unsigned());
}

fn length_delimited(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Writes what Go's encoder writes: fields that are no pointers always, lists and maps item by item.
fn encode(message: &Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for field in message.fields {
        let value = value.get(field.json);
        if value.is_none() && field.pointer {
            continue;
        }
        let text = || value.and_then(Value::as_str).unwrap_or_default();
        let entries = || value.and_then(Value::as_object).into_iter().flatten();
        let items = || value.and_then(Value::as_array).into_iter().flatten();
        match field.ty {
            Type::String => length_delimited(&mut out, field.number, text().as_bytes()),
            Type::Bool => number(&mut out, field.number, i64::from(value.is_some_and(|value| value == &json!(true)))),
            Type::Int32 | Type::Int64 => {
                number(&mut out, field.number, value.and_then(Value::as_i64).unwrap_or_default());
            }
            Type::Bytes => length_delimited(&mut out, field.number, &STANDARD.decode(text()).unwrap()),
            Type::Time | Type::MicroTime => {
                let mut time = Vec::new();
                if let Some(text) = value.and_then(Value::as_str) {
                    let at: Timestamp = text.parse().unwrap();
                    let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
                    number(&mut time, 1, second);
                    number(&mut time, 2, i64::from(at.subsec_nanosecond().rem_euclid(1_000_000_000)));
                }
                length_delimited(&mut out, field.number, &time);
            }
            Type::FieldsV1 => {
                let mut raw = Vec::new();
                length_delimited(&mut raw, 1, value.unwrap().to_string().as_bytes());
                length_delimited(&mut out, field.number, &raw);
            }
            Type::MapOfString | Type::MapOfBytes | Type::MapOfStrings => {
                for (key, value) in entries() {
                    let mut entry = Vec::new();
                    length_delimited(&mut entry, 1, key.as_bytes());
                    let value = match field.ty {
                        Type::MapOfString => value.as_str().unwrap().as_bytes().to_vec(),
                        Type::MapOfBytes => STANDARD.decode(value.as_str().unwrap()).unwrap(),
                        _ => {
                            let mut items = Vec::new();
                            for item in value.as_array().unwrap() {
                                length_delimited(&mut items, 1, item.as_str().unwrap().as_bytes());
                            }
                            items
                        }
                    };
                    length_delimited(&mut entry, 2, &value);
                    length_delimited(&mut out, field.number, &entry);
                }
            }
            Type::Message(inner) => {
                length_delimited(&mut out, field.number, &encode(inner, value.unwrap_or(&Value::Null)));
            }
            Type::Strings(_) => {
                items().for_each(|item| length_delimited(&mut out, field.number, item.as_str().unwrap().as_bytes()));
            }
            Type::Messages(inner, _) => {
                items().for_each(|item| length_delimited(&mut out, field.number, &encode(inner, item)));
            }
        }
    }
    out
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut type_meta = Vec::new();
    length_delimited(&mut type_meta, 1, api_version.as_bytes());
    length_delimited(&mut type_meta, 2, kind.as_bytes());
    let mut body = MAGIC.to_vec();
    length_delimited(&mut body, 1, &type_meta);
    length_delimited(&mut body, 2, raw);
    length_delimited(&mut body, 3, b"");
    length_delimited(&mut body, 4, b"");
    body
}

fn failure<T>(result: Result<T, ProtobufError>) -> ProtobufError {
    result.err().unwrap()
}

#[test]
fn kubectl_s_bodies_are_read() {
    let cases = [
        (
            CREATE_SECRET,
            &kinds::SECRET,
            json!({"metadata": {"name": "db"}, "data": {"password": "czNjcjN0", "username": "YWRtaW4="}}),
        ),
        (
            CREATE_TOKEN,
            &kinds::TOKEN_REQUEST,
            json!({"spec": {
                "audiences": ["a"], "expirationSeconds": 3600,
                "boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "s"},
            }}),
        ),
        (
            CREATE_ROLE_BINDING,
            &kinds::ROLE_BINDING,
            json!({
                "metadata": {"name": "rb"},
                "subjects": [
                    {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"},
                    {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"},
                ],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            }),
        ),
        (
            CAN_I,
            &kinds::SELF_SUBJECT_ACCESS_REVIEW,
            json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "secrets"}}}),
        ),
        (CREATE_NAMESPACE, &kinds::NAMESPACE, json!({"metadata": {"name": "foo"}})),
    ];
    for (hex, kind, expected) in cases {
        let body = bytes(hex);
        let envelope = decode_envelope(&body).ok().unwrap();
        assert_eq!((envelope.api_version, envelope.kind), (kind.api_version, kind.kind));
        let value = decode_message(kind.message, envelope.raw).unwrap();
        // As text: the order of the fields is part of the result.
        assert_eq!(value.to_string(), expected.to_string());
    }
}

#[test]
fn zero_values_count_where_presence_matters() {
    let mut raw = Vec::new();
    number(&mut raw, 5, 0);
    assert_eq!(decode_message(&schema::SECRET, &raw).unwrap(), json!({"immutable": false}));

    let mut raw = Vec::new();
    number(&mut raw, 1, 0);
    length_delimited(&mut raw, 2, &[0x0a, 0]);
    number(&mut raw, 3, 0);
    length_delimited(&mut raw, 4, b"");
    length_delimited(&mut raw, 5, b"");
    assert_eq!(
        decode_message(&schema::DELETE_OPTIONS, &raw).unwrap(),
        json!({
            "gracePeriodSeconds": 0, "preconditions": {"uid": ""}, "orphanDependents": false,
            "propagationPolicy": "", "dryRun": [""],
        })
    );

    // A map entry without key or value is empty, not absent.
    let mut raw = Vec::new();
    length_delimited(&mut raw, 2, b"");
    length_delimited(&mut raw, 4, b"");
    assert_eq!(decode_message(&schema::SECRET, &raw).unwrap(), json!({"data": {"": ""}, "stringData": {"": ""}}));

    // An empty element is an element, an empty pointer message a message.
    assert_eq!(
        decode_message(&schema::CLUSTER_ROLE, &[0x12, 0, 0x1a, 0]).unwrap(),
        json!({"rules": [{}], "aggregationRule": {}})
    );
}

#[test]
fn times_are_whole_seconds_in_utc_and_an_empty_one_is_null() {
    let with = |time: &[u8]| {
        let mut meta = Vec::new();
        length_delimited(&mut meta, 8, time);
        decode_message(&schema::OBJECT_META, &meta)
    };
    let at = |seconds: i64| {
        let mut time = Vec::new();
        number(&mut time, 1, seconds);
        number(&mut time, 2, 999_999_999);
        with(&time)
    };
    assert_eq!(with(&[]).unwrap(), json!({}));
    assert_eq!(at(1_700_000_000).unwrap(), json!({"creationTimestamp": "2023-11-14T22:13:20Z"}));
    assert_eq!(at(253_402_207_200).unwrap(), json!({"creationTimestamp": "9999-12-30T22:00:00Z"}));
    assert_eq!(at(-62_167_219_200).unwrap(), json!({"creationTimestamp": "0000-01-01T00:00:00Z"}));
    for seconds in [253_402_300_800, -62_167_219_201, i64::MAX, i64::MIN] {
        assert_eq!(failure(at(seconds)), ProtobufError::Time { field: "creationTimestamp" });
    }
}

#[test]
fn sets_of_fields_are_json() {
    let with = |raw: &[u8]| {
        let (mut fields, mut entry) = (Vec::new(), Vec::new());
        length_delimited(&mut fields, 1, raw);
        length_delimited(&mut entry, 7, &fields);
        decode_message(&schema::MANAGED_FIELDS_ENTRY, &entry)
    };
    assert_eq!(with(b"{\"f:data\":{}}").unwrap(), json!({"fieldsV1": {"f:data": {}}}));
    assert_eq!(with(b"").unwrap(), json!({}));
    assert_eq!(failure(with(b"{")), ProtobufError::FieldsV1 { field: "fieldsV1" });
}

#[test]
fn repeated_fields_merge_and_the_last_scalar_wins() {
    let (mut first, mut second, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    length_delimited(&mut first, 1, b"a");
    length_delimited(&mut first, 3, b"ns");
    length_delimited(&mut second, 1, b"b");
    length_delimited(&mut raw, 1, &first);
    length_delimited(&mut raw, 3, b"Opaque");
    length_delimited(&mut raw, 1, &second);
    length_delimited(&mut raw, 3, b"");
    assert_eq!(decode_message(&schema::SECRET, &raw).unwrap(), json!({"metadata": {"name": "b", "namespace": "ns"}}));
}

#[test]
fn unknown_fields_of_every_kind_are_skipped_except_groups() {
    let mut raw = Vec::new();
    number(&mut raw, 500, 7);
    length_delimited(&mut raw, 501, b"later");
    varint(&mut raw, 502 << 3 | 1);
    raw.extend_from_slice(&[0; 8]);
    varint(&mut raw, 503 << 3 | 5);
    raw.extend_from_slice(&[0; 4]);
    length_delimited(&mut raw, 3, b"Opaque");
    assert_eq!(decode_message(&schema::SECRET, &raw).unwrap(), json!({"type": "Opaque"}));
    for group in [3, 4] {
        let mut raw = Vec::new();
        varint(&mut raw, 500 << 3 | group);
        assert_eq!(failure(decode_message(&schema::SECRET, &raw)), ProtobufError::Group);
    }
}

#[test]
fn garbled_input_is_named_by_class() {
    let secret = |raw: &[u8]| failure(decode_message(&schema::SECRET, raw));
    assert_eq!(secret(&[0x1a]), ProtobufError::Truncated);
    assert_eq!(secret(&[0x1a, 5, b'a']), ProtobufError::Truncated);
    assert_eq!(secret(&[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), ProtobufError::Truncated);
    assert_eq!(secret(&[0xff; 11]), ProtobufError::Overflow);
    assert_eq!(secret(&[0x02, 0]), ProtobufError::Tag);
    assert_eq!(secret(&[0x1e]), ProtobufError::Tag);
    assert_eq!(secret(&[0x18, 1]), ProtobufError::WireType { wire_type: 0, field: "type" });
    assert_eq!(secret(&[0x1a, 1, 0xff]), ProtobufError::Utf8 { field: "type" });
    assert_eq!(secret(&[0x2a, 0]).to_string(), "proto: wrong wireType = 2 for field immutable");
}

#[test]
fn a_body_without_the_prefix_is_not_quoted() {
    for body in [&b""[..], b"k8s", b"{\"data\":\"hunter2\"}", b"K8S\0"] {
        assert_eq!(
            failure(decode_envelope(body)).to_string(),
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        );
    }
}

#[test]
fn an_encoded_or_foreign_content_is_refused() {
    let mut body = envelope("v1", "Secret", b"");
    assert!(decode_envelope(&body).is_ok());
    length_delimited(&mut body, 4, CONTENT_TYPE.as_bytes());
    assert!(decode_envelope(&body).is_ok());
    length_delimited(&mut body, 4, b"application/json");
    assert_eq!(failure(decode_envelope(&body)), ProtobufError::Content);
    let mut body = envelope("v1", "Secret", b"");
    length_delimited(&mut body, 3, b"gzip");
    assert_eq!(failure(decode_envelope(&body)), ProtobufError::Content);
}

#[test]
fn the_number_of_values_is_bounded_whatever_they_are() {
    let elements = [0x12, 0].repeat(MAX_NODES + 1);
    assert_eq!(failure(decode_message(&schema::ROLE, &elements)), ProtobufError::TooManyValues);

    let (mut extra, mut raw) = (Vec::new(), Vec::new());
    length_delimited(&mut extra, 2, &[0x0a, 0].repeat(MAX_NODES + 1));
    length_delimited(&mut raw, 4, &extra);
    assert_eq!(failure(decode_message(&schema::USER_INFO, &raw)), ProtobufError::TooManyValues);

    let set = format!("[{}0]", "0,".repeat(MAX_NODES / 2));
    let (mut fields, mut entry) = (Vec::new(), Vec::new());
    length_delimited(&mut fields, 1, set.as_bytes());
    for _ in 0..3 {
        length_delimited(&mut entry, 7, &fields);
    }
    assert_eq!(failure(decode_message(&schema::MANAGED_FIELDS_ENTRY, &entry)), ProtobufError::TooManyValues);
}

#[test]
fn the_table_is_less_deep_than_the_decoder_allows_and_its_numbers_are_unique() {
    fn depth(message: &'static Message, above: usize) -> usize {
        assert!(above <= MAX_DEPTH, "{} is too deep", message.name);
        let mut numbers: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), message.fields.len(), "{} uses a number twice", message.name);
        let below = message.fields.iter().map(|field| match field.ty {
            Type::Message(inner) | Type::Messages(inner, _) => depth(inner, above + 1),
            _ => above,
        });
        below.max().unwrap_or(above)
    }
    let deepest = KINDS.iter().map(|kind| depth(kind.message, 0)).max().unwrap();
    assert!(deepest < MAX_DEPTH);
    depth(&schema::DELETE_OPTIONS, 0);
    depth(&schema::TOKEN_REQUEST, 0);
}

/// Trees of a message as the decoder writes them.
fn tree(message: &'static Message) -> BoxedStrategy<Value> {
    let fields: Vec<_> = message.fields.iter().map(|field| prop::option::of(of_type(field.ty))).collect();
    fields
        .prop_map(|values| {
            let named = message.fields.iter().zip(values);
            let kept = named.filter_map(|(field, value)| {
                let value = value?;
                let empty = match &value {
                    Value::Object(entries) => {
                        entries.is_empty() && !(field.pointer && matches!(field.ty, Type::Message(_) | Type::FieldsV1))
                    }
                    Value::Array(items) => items.is_empty(),
                    zero => !field.pointer && [json!(""), json!(0), json!(false)].contains(zero),
                };
                (!empty).then(|| (field.json.to_owned(), value))
            });
            Value::Object(kept.collect())
        })
        .boxed()
}

fn of_type(ty: Type) -> BoxedStrategy<Value> {
    let text = || "\\PC{0,6}".prop_map(Value::from);
    match ty {
        Type::String => text().boxed(),
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::from).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        Type::Bytes => any::<[u8; 4]>().prop_map(|bytes| Value::from(STANDARD.encode(bytes))).boxed(),
        Type::Time => (-62_167_219_200_i64..=253_402_207_200)
            .prop_map(|at| Value::from(Timestamp::from_second(at).unwrap().to_string()))
            .boxed(),
        Type::MicroTime => (-62_167_219_200_i64..=253_402_207_200, 0..1_000_000_i32)
            .prop_map(|(at, micros)| {
                let at = Timestamp::new(at, micros * 1_000).unwrap();
                Value::from(at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
            })
            .boxed(),
        Type::FieldsV1 => prop::collection::vec("f:[a-z.]{0,4}", 0..4)
            .prop_map(|names| Value::Object(names.into_iter().map(|name| (name, json!({}))).collect()))
            .boxed(),
        Type::MapOfString => object_of(text().boxed()),
        Type::MapOfBytes => object_of(
            prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Value::from(STANDARD.encode(bytes))).boxed(),
        ),
        Type::MapOfStrings => object_of(prop::collection::vec(text(), 0..3).prop_map(Value::from).boxed()),
        Type::Message(inner) => tree(inner),
        Type::Strings(_) => prop::collection::vec(text(), 0..4).prop_map(Value::from).boxed(),
        Type::Messages(inner, _) => prop::collection::vec(tree(inner), 0..3).prop_map(Value::from).boxed(),
    }
}

fn object_of(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(("\\PC{0,6}", value), 0..4)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
        .boxed()
}

fn any_kind() -> impl Strategy<Value = &'static kinds::Kind> {
    prop::sample::select(KINDS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_encoded_is_decoded((kind, value) in any_kind().prop_flat_map(|kind| (Just(kind), tree(kind.message)))) {
        let body = envelope(kind.api_version, kind.kind, &encode(kind.message, &value));
        let envelope = decode_envelope(&body).ok().unwrap();
        prop_assert_eq!((envelope.api_version, envelope.kind), (kind.api_version, kind.kind));
        let decoded = decode_message(kind.message, envelope.raw).unwrap();
        prop_assert_eq!(decoded.to_string(), value.to_string());
    }

    #[test]
    fn damaged_bodies_never_panic(
        (kind, value) in any_kind().prop_flat_map(|kind| (Just(kind), tree(kind.message))),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = envelope(kind.api_version, kind.kind, &encode(kind.message, &value));
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(cut.index(body.len() + 1));
        if let Ok(envelope) = decode_envelope(&body) {
            let _ = decode_message(kind.message, envelope.raw);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in any_kind(), raw in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_message(kind.message, &raw);
        let _ = decode_envelope(&[MAGIC, &raw].concat());
    }
}
