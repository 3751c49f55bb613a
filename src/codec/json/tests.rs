//! JSON: duplicates, depth, Go's texts.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(body: &str) -> Parsed {
    parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(body: &[u8]) -> ParseError {
    parse(body).err().expect("the body is refused")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_last_of_equal_keys_wins_and_is_reported_by_path() {
    let body = r#"{"data":{"x":"1","x":"2"},"metadata":{"ownerReferences":[{"name":"a","name":"b","name":"c"}]},
        "data":{"y":"3"},"a":[[{"k":1,"k":2}]]}"#;
    let parsed = parsed(body);
    assert_eq!(
        parsed.value,
        json!({"data": {"y": "3"}, "metadata": {"ownerReferences": [{"name": "c"}]}, "a": [[{"k": 2}]]})
    );
    assert_eq!(parsed.duplicates, ["data.x", "metadata.ownerReferences[0].name", "data", "a[0][0].k"]);
    let order: Vec<&String> = parsed.value.as_object().unwrap().keys().collect();
    assert_eq!(order, ["data", "metadata", "a"]);
}

#[test]
fn reports_are_bounded_in_number_and_length() {
    let key = "k".repeat(1 << 20);
    let inner: Vec<String> = (0..300).map(|n| format!("\"{n}\":1,\"{n}\":2")).collect();
    let duplicates = parsed(&format!("{{\"{key}\":{{{}}}}}", inner.join(","))).duplicates;
    assert!(duplicates.iter().map(String::len).sum::<usize>() < 100 * 1100);
    let many: Vec<String> = (0..300).map(|n| format!("\"{n}\":1,\"{n}\":2")).collect();
    assert_eq!(parsed(&format!("{{{}}}", many.join(","))).duplicates.len(), 100);
}

#[test]
fn errors_are_in_the_spirit_of_go_and_quote_nothing() {
    for (body, class) in [
        ("", "unexpected end of JSON input"),
        ("{\"a\":", "unexpected end of JSON input"),
        ("{\"a\":\"x", "unexpected end of JSON input"),
        ("zzz", "invalid character looking for beginning of value"),
        ("{\"a\":z}", "invalid character looking for beginning of value"),
        ("{\"a\" 1}", "invalid character after object key"),
        ("{\"a\":1 \"b\"}", "invalid character after object key:value pair"),
        ("[1 2]", "invalid character after array element"),
        ("{1:2}", "invalid character looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character after comma"),
        ("{} x", "invalid character after top-level value"),
        ("{}{}", "invalid character after top-level value"),
        ("\"a\nb\"", "invalid character in string literal"),
        ("\"\\q\"", "invalid character in string escape code"),
        ("\"\\ud800\"", "invalid character in string escape code"),
        ("tru3", "invalid character in literal"),
        ("01", "invalid character in numeric literal"),
        ("1e999", "number out of range"),
    ] {
        assert_eq!(refused(body.as_bytes()).to_string(), class, "{body}");
    }
    assert_eq!(refused(b"\"\xff\"").to_string(), "invalid UTF-8 in string literal");
    let error = refused(b"{\n  \"a\": z\n}");
    assert_eq!((error.line, error.column), (2, 8));
}

#[test]
fn hostile_bodies_are_refused_at_once() {
    let size = 3 << 20;
    let many = format!("[{}]", "0,".repeat(size / 2));
    for (body, class) in [
        ("[".repeat(size), "exceeded max depth"),
        ("{\"a\":".repeat(size / 5), "exceeded max depth"),
        (many, "too many values"),
    ] {
        let start = Instant::now();
        assert_eq!(refused(body.as_bytes()).to_string(), class);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn numbers_keep_their_kind() {
    let value = parsed("[-0, 1, 18446744073709551615, -9223372036854775808, 1.0, 1e2]").value;
    assert_eq!(text(to_vec(&value)), "[0,1,18446744073709551615,-9223372036854775808,1,100]");
    assert!(value[0].is_i64() || value[0].is_u64());
    assert!(value[4].is_f64());
}

#[test]
fn compact_output_is_what_go_writes() {
    let value =
        json!({"a": "<b>&\"\\\u{2028}\u{2029}\u{1}\u{8}\u{c}\n\r\t\u{7f}é😀", "n": null, "l": [], "o": {}, "f": 1e21});
    assert_eq!(
        text(to_vec(&value)),
        "{\"a\":\"\\u003cb\\u003e\\u0026\\\"\\\\\\u2028\\u2029\\u0001\\b\\f\\n\\r\\t\u{7f}é😀\",\"n\":null,\"l\":[],\"o\":{},\"f\":1e+21}"
    );
}

#[test]
fn indented_output_is_what_go_writes() {
    let value = json!({"kind": "Secret", "data": {}, "list": [1, {"a": "b"}], "none": []});
    assert_eq!(
        text(to_pretty(&value)),
        "{\n  \"kind\": \"Secret\",\n  \"data\": {},\n  \"list\": [\n    1,\n    {\n      \"a\": \"b\"\n    }\n  ],\n  \"none\": []\n}"
    );
}

/// Values without fractions, which Go and serde_json spell differently.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[ -~]{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(value in any_value()) {
        for bytes in [to_vec(&value), to_pretty(&value)] {
            prop_assert_eq!(&parse(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?.value, &value);
        }
    }

    #[test]
    fn no_body_panics(body: Vec<u8>) {
        let _ = parse(&body);
    }

    #[test]
    fn no_error_quotes_the_body(value in any_value(), cut in 0_usize..200, junk in "[{}\\[\\],:\"\\\\x0-]{0,3}") {
        let body = text(to_vec(&json!({"CANARY": value, "b": ["CANARY", {"CANARY": "CANARY"}]})));
        let cut = cut.min(body.len());
        let (start, end) = (body.floor_char_boundary(cut), body.ceil_char_boundary(cut));
        if let Err(error) = parse(format!("{}{junk}{}", &body[..start], &body[end..]).as_bytes()) {
            prop_assert!(!error.to_string().contains("CANARY"));
            let debug = format!("{error:?}");
            prop_assert!(!debug.contains("CANARY"));
        }
    }
}
