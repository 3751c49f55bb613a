//! The layout of the sealed plaintexts: round trips, the order of fields, and values that never get into `meta`.

#![expect(clippy::disallowed_methods, reason = "tests look at what was laid out")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::kinds::{ROLE, SECRET};

fn secret() -> Value {
    json!({
        "kind": "Secret", "apiVersion": "v1",
        "metadata": {"name": "db", "namespace": "prod", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"b": "2", "a": "<1>"}, "annotations": {"note": "x", LAST_APPLIED: "{\"data\":{}}\n"}},
        "data": {"z": "AAEC", "a": ""},
        "type": "Opaque",
    })
}

fn written(object: &Value, kind: &'static Kind, form: Form, full: bool) -> String {
    let plain = encode(kind, object);
    let meta = Meta::parse(plain.meta.expose()).unwrap();
    let mut out = Vec::new();
    if full {
        meta.write_full(kind, form, 42, plain.data.expose(), &mut out).unwrap();
    } else {
        meta.write_bare(kind, form, 42, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn an_object_is_written_in_kubernetes_order_with_its_revision() {
    assert_eq!(
        written(&secret(), &SECRET, Form::Object, true),
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","namespace":"prod","uid":"u-1","resourceVersion":"42","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"a":"\u003c1\u003e","b":"2"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{}}\n","note":"x"}},"data":{"a":"","z":"AAEC"},"type":"Opaque"}"#
    );
}

#[test]
fn an_item_has_no_kind_and_bare_has_no_values() {
    let bare = written(&secret(), &SECRET, Form::Item, false);
    assert!(bare.starts_with(r#"{"metadata":{"name":"db""#), "{bare}");
    assert!(!bare.contains("AAEC") && !bare.contains("last-applied") && bare.contains("\"note\":\"x\""), "{bare}");
}

#[test]
fn the_meta_plaintext_holds_no_value() {
    let plain = encode(&SECRET, &secret());
    assert!(!plain.meta.expose().windows(4).any(|window| window == b"AAEC"));
    assert_eq!(Meta::parse(plain.meta.expose()).unwrap().data_keys, 2);
}

#[test]
fn a_lone_last_applied_annotation_comes_back_alone() {
    let mut object = secret();
    object["metadata"]["annotations"].as_object_mut().unwrap().remove("note");
    let full: Value = serde_json::from_str(&written(&object, &SECRET, Form::Object, true)).unwrap();
    assert_eq!(full["metadata"]["annotations"], object["metadata"]["annotations"]);
    assert!(!written(&object, &SECRET, Form::Object, false).contains("annotations"));
}

#[test]
fn kinds_without_secret_values_have_an_empty_data_column() {
    let role =
        json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "resources": ["secrets"], "apiGroups": [""]}]});
    assert!(encode(&ROLE, &role).data.is_empty());
    let full: Value = serde_json::from_str(&written(&role, &ROLE, Form::Object, true)).unwrap();
    assert_eq!(full["rules"], role["rules"]);
}

#[test]
fn an_empty_selector_is_kept_and_other_empty_members_are_not() {
    use crate::model::kinds::{EVENT, SECRET_SYNC};
    let sync = json!({"metadata": {"name": "s"}, "spec": {
        "serviceAccountName": "a", "source": {"names": [], "selector": {}}, "targets": [{"cluster": "c", "keys": {}}],
    }});
    let full: Value = serde_json::from_str(&written(&sync, &SECRET_SYNC, Form::Object, true)).unwrap();
    assert_eq!(full["spec"]["source"], json!({"selector": {}}));
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {}, "source": {}, "series": {}});
    let full: Value = serde_json::from_str(&written(&event, &EVENT, Form::Object, true)).unwrap();
    assert_eq!(full["involvedObject"], json!({}), "what is required is there");
    assert_eq!((full.get("source"), &full["series"]), (None, &json!({})));
}

#[test]
fn a_record_cut_anywhere_is_an_error() {
    let plain = encode(&SECRET, &secret());
    let meta = Meta::parse(plain.meta.expose()).unwrap();
    for end in 0..plain.data.len() {
        let mut out = Vec::new();
        assert!(meta.write_full(&SECRET, Form::Object, 1, &plain.data.expose()[..end], &mut out).is_err(), "{end}");
    }
    for end in 0..HEADER_BYTES {
        assert!(Meta::parse(&plain.meta.expose()[..end]).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_is_read(
        values in proptest::collection::btree_map("[a-zA-Z0-9._-]{1,20}", proptest::collection::vec(any::<u8>(), 0..64), 0..6),
        labels in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        annotations in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        last_applied in proptest::option::of(any::<String>()),
    ) {
        let mut object = json!({"metadata": {"name": "n", "resourceVersion": "42"}, "type": "Opaque"});
        let data: Map<String, Value> = values.iter().map(|(k, v)| (k.clone(), Value::from(STANDARD.encode(v)))).collect();
        let mut annotations: Map<String, Value> = annotations.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
        if let Some(text) = last_applied { annotations.insert(LAST_APPLIED.into(), text.into()); }
        if !data.is_empty() { object["data"] = data.into(); }
        if !labels.is_empty() { object["metadata"]["labels"] = serde_json::to_value(labels).unwrap(); }
        if !annotations.is_empty() { object["metadata"]["annotations"] = annotations.into(); }
        let read: Value = serde_json::from_str(&written(&object, &SECRET, Form::Item, true)).unwrap();
        prop_assert_eq!(read, object);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(meta in proptest::collection::vec(any::<u8>(), 0..200), data in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(meta) = Meta::parse(&meta) {
            let _ = meta.write_full(&SECRET, Form::Item, 1, &data, &mut Vec::new());
        }
    }
}

#[test]
fn a_trail_lies_behind_the_text_and_never_in_it() {
    let trail =
        Trail { number: 3, unix_seconds: 9, by: "jane".to_owned(), added: vec!["z".to_owned()], ..Trail::default() };
    let (without, with) = (encode(&SECRET, &secret()), encode(&SECRET, &secret()).with_trail(&trail));
    let (one, other) = (Meta::parse(without.meta.expose()).unwrap(), Meta::parse(with.meta.expose()).unwrap());
    assert_eq!((one.trail(), other.trail()), (Ok(None), Ok(Some(trail.clone()))));
    let written = |meta: Meta<'_>| {
        let mut out = Vec::new();
        meta.write_full(&SECRET, Form::Object, 42, with.data.expose(), &mut out).unwrap();
        out
    };
    assert_eq!(written(one), written(other));
    assert!(!other.mentions(b"jane"));
    assert_eq!(one.data_keys, other.data_keys);
    assert_eq!(with.data.expose(), without.data.expose());

    let end = Plain::end(&trail);
    assert_eq!(trail_of_end(end.meta.expose()), Ok(Some(trail)));
    assert_eq!((trail_of_end(b""), end.data.is_empty()), (Ok(None), true));
    assert_eq!(trail_of_end(&[1]), Err(RecordFormatError));
    let bytes = with.meta.expose();
    for wrong in [&bytes[..bytes.len() - 1], &bytes[..20], &[2; 18], &[bytes, &[0xff; 4]].concat()] {
        assert!(Meta::parse(wrong).and_then(|meta| meta.trail()).is_err(), "{} bytes", wrong.len());
    }
}
