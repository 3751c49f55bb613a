use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::schema::{DELETE_OPTIONS, ROLE, SECRET, SUBJECT_ACCESS_REVIEW};

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    [bytes(1, key.as_bytes()), bytes(2, value)].concat()
}

/// What `kubectl create secret generic` sends: zero values written out.
fn kubectl_secret() -> Vec<u8> {
    let time = bytes(8, &[]);
    let meta = [
        bytes(1, b"my-secret"),
        bytes(2, b""),
        bytes(3, b""),
        bytes(4, b""),
        bytes(5, b""),
        bytes(6, b""),
        number(7, 0),
        time,
    ]
    .concat();
    let raw = [bytes(1, &meta), bytes(2, &entry("username", b"admin")), bytes(2, &entry("empty", b"")), bytes(3, b"")]
        .concat();
    let type_meta = [bytes(1, b"v1"), bytes(2, b"Secret")].concat();
    [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, &raw), bytes(3, b""), bytes(4, b"")].concat()
}

#[test]
fn a_secret_as_kubectl_sends_it_is_read() {
    let body = kubectl_secret();
    let envelope = decode_envelope(&body).unwrap();
    assert_eq!((envelope.api_version.as_str(), envelope.kind.as_str()), ("v1", "Secret"));
    let object = decode_message(&SECRET, envelope.raw).unwrap();
    assert_eq!(object, json!({"metadata": {"name": "my-secret"}, "data": {"username": "YWRtaW4=", "empty": ""}}));
}

#[test]
fn presence_matters_where_go_has_a_pointer() {
    let object = decode_message(&SECRET, &number(5, 0)).unwrap();
    assert_eq!(object, json!({"immutable": false}));
    let options = decode_message(&DELETE_OPTIONS, &[number(1, 0), bytes(4, b"Orphan")].concat()).unwrap();
    assert_eq!(options, json!({"gracePeriodSeconds": 0, "propagationPolicy": "Orphan"}));
}

#[test]
fn lists_times_extras_and_unknown_fields_are_read() {
    let rule = [bytes(1, b"get"), bytes(1, b"list"), bytes(2, b""), bytes(3, b"secrets")].concat();
    let role = decode_message(&ROLE, &[bytes(2, &rule), bytes(99, b"?")].concat()).unwrap();
    assert_eq!(role, json!({"rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}]}));
    let time = bytes(8, &number(1, 1_790_000_000));
    let secret = decode_message(&SECRET, &bytes(1, &time)).unwrap();
    assert_eq!(secret["metadata"]["creationTimestamp"], "2026-09-21T14:13:20Z");
    let extra = bytes(5, &entry("scopes", &bytes(1, b"a")));
    let review = decode_message(&SUBJECT_ACCESS_REVIEW, &bytes(2, &extra)).unwrap();
    assert_eq!(review["spec"]["extra"], json!({"scopes": ["a"]}));
}

#[test]
fn broken_bodies_are_named_without_their_content() {
    assert_eq!(decode_envelope(b"{\"canary\"}"), Err(ProtobufError::Prefix));
    assert!(ProtobufError::Prefix.to_string().ends_with("expected prefix [107 56 115 0]"));
    let body = kubectl_secret();
    for end in 0..body.len() {
        // A cut between two fields is a shorter message; any other is an error. Neither is a panic.
        if let Ok(envelope) = decode_envelope(&body[..end]) {
            let _ = decode_message(&SECRET, envelope.raw);
        }
    }
    assert_eq!(decode_message(&SECRET, &[0x0b]), Err(ProtobufError::Group));
    assert_eq!(decode_message(&SECRET, &number(1, 5)), Err(ProtobufError::WireType));
    assert_eq!(decode_message(&SECRET, &bytes(3, &[0xff])), Err(ProtobufError::Text));
    assert_eq!(decode_message(&SECRET, &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(ProtobufError::Truncated));
    assert_eq!(decode_message(&SECRET, &[0xff; 11]), Err(ProtobufError::Overflow));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_envelope(&body);
        let _ = decode_message(&SECRET, &body);
        let _ = decode_message(&SUBJECT_ACCESS_REVIEW, &body);
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0_usize..150, byte in any::<u8>()) {
        let mut body = kubectl_secret();
        if let Some(slot) = body.get_mut(at) { *slot = byte; }
        if let Ok(envelope) = decode_envelope(&body) {
            let _ = decode_message(&SECRET, envelope.raw);
        }
    }

    #[test]
    fn values_survive_as_they_are(data in proptest::collection::btree_map("[a-z]{1,8}", proptest::collection::vec(any::<u8>(), 0..40), 0..5)) {
        let raw: Vec<u8> = data.iter().flat_map(|(key, value)| bytes(2, &entry(key, value))).collect();
        let object = decode_message(&SECRET, &raw).unwrap();
        for (key, value) in &data {
            prop_assert_eq!(&object["data"][key], &Value::from(STANDARD.encode(value)));
        }
    }
}
