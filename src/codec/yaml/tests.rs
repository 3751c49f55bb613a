//! YAML as Kubernetes reads and writes it.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::codec::json::tests::any_value;

fn read(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}")).value
}

fn duplicates(text: &str) -> Vec<String> {
    let parsed = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    parsed.duplicates.iter().map(ToString::to_string).collect()
}

fn refused(text: &[u8]) -> String {
    parse(text).err().expect("the body is refused").to_string()
}

#[test]
fn scalars_have_the_types_of_go_yaml() {
    for (text, value) in [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("", json!(null)),
        ("017", json!(15)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("+5", json!(5)),
        ("08", json!(8)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("1e3", json!(1000)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1e999", json!("1e999")),
        ("1:20", json!("1:20")),
        ("2024-01-02", json!("2024-01-02")),
        ("2024-01-02T03:04:05Z", json!("2024-01-02T03:04:05Z")),
        ("'1'", json!("1")),
        ("\"yes\"", json!("yes")),
        ("!!str 1", json!("1")),
        ("!!int \"1\"", json!(1)),
        ("!!binary aGk=", json!("hi")),
        ("!mine 1", json!("1")),
        ("a b", json!("a b")),
    ] {
        assert_eq!(read(text), value, "{text}");
    }
}

#[test]
fn keys_become_text_and_are_sorted() {
    let value = read("b: 1\n1: a\nyes: b\n1.5: c\n1e10: d\n\"2\": e\n");
    assert_eq!(value, json!({"1": "a", "1.5": "c", "1e+10": "d", "2": "e", "b": 1, "true": "b"}));
    let order: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(order, ["1", "1.5", "1e+10", "2", "b", "true"]);
}

#[test]
fn the_last_of_equal_keys_wins_and_is_reported_by_line() {
    let text = "data:\n  a: eA==\n  b: eQ==\n  a: eg==\nfoo: 1\ndata:\n  c: |\n    text\nfoo: &x\n- 1\n";
    assert_eq!(read(text), json!({"data": {"c": "text\n"}, "foo": [1]}));
    assert_eq!(
        duplicates(text),
        [
            "line 4: key \"a\" already set in map",
            "line 7: key \"data\" already set in map",
            "line 9: key \"foo\" already set in map"
        ]
    );
    assert_eq!(duplicates("c: 1\nc: >-\n  folded\n"), ["line 2: key \"c\" already set in map"]);
    assert_eq!(duplicates("1: a\n1: b\n"), ["line 2: key 1 already set in map"]);
}

#[test]
fn aliases_and_merges_are_followed() {
    let text = "base: &b {x: 1, v: 2}\none:\n  <<: *b\n  z: 3\ntwo:\n  <<: [*b, {v: 5, w: 6}]\nref: *b\n";
    assert_eq!(
        read(text),
        json!({
            "base": {"x": 1, "v": 2}, "one": {"x": 1, "v": 2, "z": 3},
            "two": {"x": 1, "v": 2, "w": 6}, "ref": {"x": 1, "v": 2},
        })
    );
    assert_eq!(read("'<<': 1"), json!({"<<": 1}));
    assert_eq!(read("k: &a text\n*a : v\n"), json!({"k": "text", "text": "v"}));
    assert_eq!(refused(b"<<: 1"), "yaml: line 1: map merge requires map or sequence of maps as the value");
    assert_eq!(refused(b"a: &a [*a]"), "yaml: line 1: anchor value contains itself");
    assert_eq!(refused(b"a: *b"), "yaml: line 1: unknown anchor referenced");
}

#[test]
fn only_one_document_is_read() {
    assert_eq!(read("---\na: 1\n"), json!({"a": 1}));
    assert_eq!(read("# nothing\n"), Value::Null);
    assert_eq!(refused(b"a: 1\n---\nb: 2\n"), "yaml: line 2: expected a single document");
}

#[test]
fn errors_name_a_line_and_quote_nothing() {
    for (text, error) in [
        ("a: b: c", "yaml: line 1: mapping values are not allowed in this context"),
        ("a:\n  - b\n c: d\n", "yaml: line 3: did not find expected key"),
        ("a: [1, 2", "yaml: line 1: found unexpected end of stream"),
        ("a: !!int x", "yaml: line 1: cannot decode a value as a !!int"),
        ("a: .inf", "yaml: line 1: json: unsupported value: not a finite number"),
        ("[a]: b", "yaml: line 1: invalid map key"),
        ("~: b", "yaml: line 1: unsupported map key of type: null"),
        ("a: \u{1}", "yaml: control characters are not allowed"),
    ] {
        assert_eq!(refused(text.as_bytes()), error, "{text}");
    }
    assert_eq!(refused(b"a: \xff"), "yaml: invalid leading UTF-8 octet");
}

#[test]
fn hostile_bodies_are_refused_at_once() {
    let size = 3 << 20;
    let level = |n: usize, of: &str| format!("a{n}: &a{n} [{}]", [of; 9].join(", "));
    let bomb: Vec<String> = (0..12_usize)
        .map(|n| level(n, &n.checked_sub(1).map_or("x".to_owned(), |below| format!("*a{below}"))))
        .collect();
    let copies = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 1000].join(", "));
    let keys = format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), "{*a : 1}, ".repeat(100_000));
    let chain: Vec<String> = (1..400).map(|n| format!("a{n}: &a{n} [*a{}]", n - 1)).collect();
    let merges = format!("a: &a {{{}}}\nb:\n{}", "k: 1, ".repeat(1000), "  <<: *a\n".repeat(1000));
    for body in [
        "[".repeat(size),
        "{".repeat(size),
        "{a: ".repeat(size / 4),
        "- ".repeat(size / 2),
        "? ".repeat(size / 2),
        format!("[{}]", "0,".repeat(size / 2)),
        "- a\n".repeat(size / 4),
        format!("\"{}", "x".repeat(size)),
        "&a ".repeat(size / 3),
        "!".repeat(size),
        "---\n".repeat(size / 4),
        bomb.join("\n"),
        copies,
        keys,
        format!("a0: &a0 x\n{}", chain.join("\n")),
        merges,
    ] {
        let start = Instant::now();
        assert!(parse(body.as_bytes()).is_err(), "{}", &body[..40]);
        assert!(start.elapsed() < Duration::from_secs(5), "{} took {:?}", &body[..40], start.elapsed());
    }
    for body in ["#".repeat(size), " ".repeat(size), "\n".repeat(size), format!("a: |\n{}", " x\n".repeat(size / 3))] {
        let start = Instant::now();
        assert!(parse(body.as_bytes()).is_ok());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?} took {:?}", &body[..4], start.elapsed());
    }
}

#[test]
fn a_secret_is_written_as_kubectl_shows_it() {
    let value = json!({
        "kind": "Secret", "apiVersion": "v1", "type": "Opaque", "immutable": true,
        "metadata": {
            "name": "s", "namespace": "default", "uid": "6f1c8d3e-0000-4000-8000-000000000000",
            "resourceVersion": "12", "creationTimestamp": "2024-01-02T03:04:05Z", "labels": {},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"a\":\"b\"}\n", "on": "yes"},
            "finalizers": ["x.com/g"], "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": {".": {}}}}],
            "ownerReferences": [],
        },
        "data": {"user": "YWRtaW4=", "n": "", "tls.crt": "LS0t"},
    });
    assert_eq!(
        to_string(&value),
        r#"apiVersion: v1
data:
  "n": ""
  tls.crt: LS0t
  user: YWRtaW4=
immutable: true
kind: Secret
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"a":"b"}
    "on": "yes"
  creationTimestamp: "2024-01-02T03:04:05Z"
  finalizers:
  - x.com/g
  labels: {}
  managedFields:
  - fieldsV1:
      f:data:
        .: {}
    manager: kubectl
  name: s
  namespace: default
  ownerReferences: []
  resourceVersion: "12"
  uid: 6f1c8d3e-0000-4000-8000-000000000000
type: Opaque
"#
    );
}

/// Each expectation was compared with the output of `sigs.k8s.io/yaml` 1.4.0.
#[test]
fn scalars_are_written_as_go_yaml_writes_them() {
    for (value, text) in [
        (json!(null), "null\n"),
        (json!({}), "{}\n"),
        (json!([]), "[]\n"),
        (json!([[1, 2], [], [{"a": 1, "b": [null]}]]), "- - 1\n  - 2\n- []\n- - a: 1\n    b:\n    - null\n"),
        (json!(1.5), "1.5\n"),
        (json!(1e21), "1e+21\n"),
        (json!(true), "true\n"),
        (json!("true"), "\"true\"\n"),
        (json!("1"), "\"1\"\n"),
        (json!("0x1F"), "\"0x1F\"\n"),
        (json!("1:20"), "\"1:20\"\n"),
        (json!("1e3"), "\"1e3\"\n"),
        (json!("2024-01-02"), "\"2024-01-02\"\n"),
        (json!("null"), "\"null\"\n"),
        (json!("~"), "\"~\"\n"),
        (json!(""), "\"\"\n"),
        (json!("a b"), "a b\n"),
        (json!(" a"), "' a'\n"),
        (json!("a "), "'a '\n"),
        (json!("a: b"), "'a: b'\n"),
        (json!("a:b"), "a:b\n"),
        (json!("a #b"), "'a #b'\n"),
        (json!("a#b"), "a#b\n"),
        (json!("#a"), "'#a'\n"),
        (json!("*"), "'*'\n"),
        (json!("- a"), "'- a'\n"),
        (json!("-a"), "-a\n"),
        (json!("---"), "'---'\n"),
        (json!("it's"), "it's\n"),
        (json!("'a'"), "'''a'''\n"),
        (json!("\"a\""), "'\"a\"'\n"),
        (json!("{a}"), "'{a}'\n"),
        (json!("a\tb"), "\"a\\tb\"\n"),
        (json!("a\r\n"), "\"a\\r\\n\"\n"),
        (json!("\u{0}\u{1b}\u{7f}"), "\"\\0\\e\\x7F\"\n"),
        (json!("😀 é"), "\"\\U0001F600 é\"\n"),
        (json!("\u{feff}ab"), "\"\\uFEFF\\x61\\x62\"\n"),
        (json!({"a": "x\ny\n"}), "a: |\n  x\n  y\n"),
        (json!({"a": "x\ny"}), "a: |-\n  x\n  y\n"),
        (json!({"a": "x\n\n\n"}), "a: |+\n  x\n\n\n"),
        (json!({"a": " x\ny\n"}), "a: |2\n   x\n  y\n"),
        (json!({"a": "\n"}), "a: |2+\n\n"),
        (json!({"a": "x \ny"}), "a: \"x \\ny\"\n"),
        (json!(["x\ny\n", "z"]), "- |\n  x\n  y\n- z\n"),
        (json!({"x\ny": 1}), "? |-\n  x\n  y\n: 1\n"),
        (json!({"k".repeat(129): [1]}), &*format!("? {}\n: - 1\n", "k".repeat(129))),
        (json!({"yes": 1, "": 2, "1": 3}), "\"\": 2\n\"1\": 3\n\"yes\": 1\n"),
        (json!({"a10": 1, "a2": 2, "a-b": 3, "aB": 4, "ab": 5}), "a-b: 3\na2: 2\na10: 1\naB: 4\nab: 5\n"),
    ] {
        assert_eq!(to_string(&value), text);
    }
}

#[test]
fn text_that_other_readers_would_change_is_quoted() {
    for text in ["<<", "a\u{2028}b", "a\u{85}b", "a\nb\u{2029}c"] {
        assert!(to_string(&json!(text)).starts_with('"'));
        assert_eq!(read(&to_string(&json!(text))), json!(text));
    }
}

/// Text made of what YAML finds special.
fn awkward_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "0", "1", " ", "  ", "\n", "\n\n", "\t", "\r", ":", ": ", "#", " #", "-", "- ", "---", "...", "'", "\"",
        "\\", "&", "*", "!", "|", ">", "%", "@", "`", "{", "}", "[", "]", ",", "?", "? ", "é", "\u{85}", "\u{a0}",
        "\u{2028}", "\u{feff}", "\u{0}", "\u{7f}", "\u{fffe}", "\u{ffff}", "😀", "~", "null", "yes", "<<", "=", ".",
        "1e3", "_", "0x",
    ]);
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn awkward_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![awkward_text().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((awkward_text(), inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

#[test]
fn every_document_of_a_file_is_read_in_the_order_of_its_keys() {
    let file = b"b: 1\na: &x {d: 2, c: 3}\nb: 4\n---\n# nothing\n---\nz: {x: 1, w: 2}\n";
    let documents = parse_all(file).unwrap();
    let shown: Vec<String> = documents.iter().map(|parsed| parsed.value.to_string()).collect();
    assert_eq!(shown, [r#"{"b":4,"a":{"d":2,"c":3}}"#, "null", r#"{"z":{"x":1,"w":2}}"#]);
    let duplicates: Vec<usize> = documents.iter().map(|parsed| parsed.duplicates.len()).collect();
    assert_eq!(duplicates, [1, 0, 0]);
    // An anchor ends with its document.
    assert!(parse_all(b"a: &x 1\n---\nb: *x\n").is_err());
    assert!(parse_all(b"").unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_reads_back_the_same(value in prop_oneof![awkward_value(), any_value()]) {
        let text = to_string(&value);
        let parsed = parse(text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error} {text:?}")))?;
        prop_assert_eq!(&parsed.value, &value, "{:?}", text);
        prop_assert!(parsed.duplicates.is_empty());
    }

    #[test]
    fn no_body_panics(body: Vec<u8>, text in awkward_text(), any: String) {
        let _ = parse(&body);
        let _ = parse(text.as_bytes());
        let _ = parse(any.as_bytes());
    }

    #[test]
    fn no_error_quotes_a_value(value in awkward_value(), cut in 0_usize..200, junk in "[{}\\[\\]:\"'&*!|>\n\t -]{0,4}") {
        let body = to_string(&json!({"a": "HUNTER2", "b": {"c": value}, "d": ["!!int HUNTER2", "HUNTER2: x"]})).replace('"', "");
        let at = body.floor_char_boundary(cut.min(body.len()));
        if let Err(error) = parse(format!("{}{junk}{}", &body[..at], &body[at..]).as_bytes()) {
            let debug = format!("{error:?}");
            prop_assert!(!error.to_string().contains("HUNTER2") && !debug.contains("HUNTER2"));
        }
    }
}
