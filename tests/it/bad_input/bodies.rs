//! Documents that are none, or not of the right shape.

use serde_json::{Value, json};

use super::{BODY_MAX_BYTES, JSON, PROTOBUF, Row, SECRETS, YAML, check};
use crate::support::protobuf::{envelope, field, secret};

fn json_row(what: &'static str, document: &Value) -> Row {
    Row::post(what, JSON, document.to_string())
}

/// A named Secret with these fields.
fn with(what: &'static str, fields: Value) -> Row {
    let mut document = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}});
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), fields) {
        document.extend(fields);
    }
    json_row(what, &document)
}

fn with_metadata(what: &'static str, fields: Value) -> Row {
    let mut metadata = json!({"name": "x"});
    if let (Some(metadata), Value::Object(fields)) = (metadata.as_object_mut(), fields) {
        metadata.extend(fields);
    }
    with(what, json!({ "metadata": metadata }))
}

#[test]
fn json_that_is_none_or_of_another_shape_is_refused() {
    check(vec![
        Row::post("nothing", JSON, ""),
        Row::post("an open brace", JSON, "{"),
        Row::post("a list", JSON, "[]"),
        Row::post("a string", JSON, "\"x\""),
        Row::post("a comma too many", JSON, "{\"metadata\":{\"name\":\"x\"},}"),
        Row::post("two documents", JSON, "{\"metadata\":{\"name\":\"x\"}} {}"),
        Row::post("a lone surrogate", JSON, "{\"metadata\":{\"name\":\"\\ud800"),
        Row::post("bytes that are no text", JSON, b"{\"metadata\":{\"name\":\"\xff\xfe\"}}".as_slice()),
        Row::post("a control character", JSON, "{\"metadata\":{\"name\":\"\u{1}\"}}"),
        Row::post("open brackets up to the limit", JSON, "[".repeat(BODY_MAX_BYTES)),
        Row::post("braces that go deep", JSON, "{\"a\":".repeat(100_000)),
        Row::post("a depth that closes", JSON, format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000))),
        json_row("another kind", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})),
        json_row("another version", &json!({"apiVersion": "v2", "kind": "Secret", "metadata": {"name": "x"}})),
        with("metadata that is text", json!({"metadata": "x"})),
        with("data that is text", json!({"data": "x"})),
        with("data that is a list", json!({"data": ["x"]})),
        with("data with a number", json!({"data": {"k": 1}})),
        with("data with an object", json!({"data": {"k": {}}})),
        with("data that is no base64", json!({"data": {"k": "!!!"}})),
        with("base64 without its padding", json!({"data": {"k": "YQ"}})),
        with("base64 for URLs", json!({"data": {"k": "_-8="}})),
        with("stringData with a number", json!({"stringData": {"k": 1}})),
        with("a type that is a number", json!({"type": 1})),
        with("immutable as text", json!({"immutable": "true"})),
        with_metadata("labels with a number", json!({"labels": {"a": 1}})),
        with_metadata("a name that is a number", json!({"name": 1})),
        with_metadata("finalizers that are text", json!({"finalizers": "x"})),
        with_metadata("a generation that is too large", json!({"generation": 1e300})),
        with_metadata("another namespace", json!({"namespace": "other"})),
        with_metadata("a revision", json!({"resourceVersion": "1"})),
        with("an unknown field, strictly", json!({"bogus": 1})).at(format!("{SECRETS}?fieldValidation=Strict")),
        with_metadata("an unknown field in the metadata", json!({"bogus": 1}))
            .at(format!("{SECRETS}?fieldValidation=Strict")),
    ]);
}

#[test]
fn objects_that_break_a_rule_are_invalid() {
    let key = |key: &str| json!({"data": {key: ""}});
    let long = "a".repeat(254);
    check(vec![
        json_row("no name", &json!({"apiVersion": "v1", "kind": "Secret"})).invalid(),
        with_metadata("an upper-case name", json!({"name": "UPPER"})).invalid(),
        with_metadata("a name with a slash", json!({"name": "a/b"})).invalid(),
        with_metadata("a name of two dots", json!({"name": ".."})).invalid(),
        with_metadata("a name that is too long", json!({"name": long})).invalid(),
        with_metadata("a name with a line end", json!({"name": "a\n"})).invalid(),
        with_metadata("a bad prefix", json!({"name": null, "generateName": "A_"})).invalid(),
        with("a key with a space", key("a b")).invalid(),
        with("a key of two dots", key("..")).invalid(),
        with("a key that begins with two dots", key("..a")).invalid(),
        with("an empty key", key("")).invalid(),
        with("a key with a slash", key("a/b")).invalid(),
        with("a key that is too long", key(&long)).invalid(),
        with("a value of more than 1 MiB", json!({"stringData": {"k": "x".repeat((1 << 20) + 1)}})).invalid(),
        with("TLS without its keys", json!({"type": "kubernetes.io/tls"})).invalid(),
        with(
            "Docker's configuration that is no JSON",
            json!({
                "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "x"},
            }),
        )
        .invalid(),
        with("basic-auth without anything", json!({"type": "kubernetes.io/basic-auth"})).invalid(),
        with(
            "ssh-auth with an empty key",
            json!({
                "type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""},
            }),
        )
        .invalid(),
        with("an account's token without its account", json!({"type": "kubernetes.io/service-account-token"}))
            .invalid(),
        with_metadata("a bad label", json!({"labels": {"a b": "c"}})).invalid(),
        with_metadata("a bad label value", json!({"labels": {"a": "b c"}})).invalid(),
        with_metadata("a bad annotation", json!({"annotations": {"a b": "c"}})).invalid(),
        with_metadata("annotations that are too large", json!({"annotations": {"a": "x".repeat(300_000)}})).invalid(),
        with_metadata("a bad finalizer", json!({"finalizers": ["bad"]})).invalid(),
        with_metadata("an owner without anything", json!({"ownerReferences": [{}]})).invalid(),
        json_row("a namespace's name with a dot", &json!({"metadata": {"name": "a.b"}}))
            .at("/api/v1/namespaces")
            .invalid(),
        json_row("a role without a verb", &json!({"metadata": {"name": "r"}, "rules": [{"resources": ["secrets"]}]}))
            .at("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles")
            .invalid(),
    ]);
}

#[test]
fn yaml_bombs_and_broken_yaml_are_refused() {
    let bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            let items = format!("*a{before}, ").repeat(9);
            text += &["a", &level.to_string(), ": &a", &level.to_string(), " [", items.trim_end_matches(", "), "]\n"]
                .concat();
        }
        text
    };
    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n";
    check(vec![
        Row::post("aliases that multiply", YAML, bomb),
        Row::post("an alias of itself", YAML, "a: &a [*a]\n"),
        Row::post("an alias of nothing", YAML, format!("{head}type: *nothing\n")),
        Row::post("brackets that go deep", YAML, "[".repeat(1 << 20)),
        Row::post("braces that go deep", YAML, "{a: ".repeat(200_000)),
        Row::post("lists that go deep", YAML, "- ".repeat(200_000)),
        Row::post("text", YAML, "just text"),
        Row::post("a tab", YAML, "a:\n\tb: c\n"),
        Row::post("an indentation that does not fit", YAML, "a: 1\n   b: 2\n  c: 3\n"),
        Row::post("an open string", YAML, format!("{head}type: \"x\n")),
        Row::post("bytes that are no text", YAML, b"a: \xff\xfe\n".as_slice()),
        Row::post("a list", YAML, "- a\n- b\n"),
        Row::post("data that is no base64", YAML, format!("{head}data:\n  k: '!!!'\n")),
        Row::post("a number in data", YAML, format!("{head}data:\n  k: 12\n")),
        Row::post("a duplicate key, strictly", YAML, format!("{head}data:\n  k: eA==\n  k: eQ==\n"))
            .at(format!("{SECRETS}?fieldValidation=Strict")),
    ]);
}

#[test]
fn protobuf_that_is_none_is_refused() {
    let whole = secret("x", &[("k", b"v")]);
    let message = |bytes: &[u8]| envelope("v1", "Secret", bytes);
    let mut rows = vec![
        Row::post("nothing", PROTOBUF, ""),
        Row::post("JSON", PROTOBUF, "{}"),
        Row::post("three bytes of the prefix", PROTOBUF, b"k8s".as_slice()),
        Row::post("another kind", PROTOBUF, envelope("v1", "ConfigMap", b"")),
        Row::post("an endless number", PROTOBUF, message(&[0x08; 64])),
        Row::post("a length beyond the end", PROTOBUF, message(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1])),
        Row::post(
            "a length beyond all memory",
            PROTOBUF,
            message(&[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 127]),
        ),
        Row::post("a name that is no text", PROTOBUF, message(&field(1, &field(1, b"\xff\xfe")))),
        Row::post("metadata that is a number", PROTOBUF, message(&[0x08, 1])),
        Row::post("a field of number zero", PROTOBUF, message(&[0x02, 0])),
        Row::post("a group that does not end", PROTOBUF, message(&[0x7b])),
        Row::post("no name", PROTOBUF, message(b"")).invalid(),
        Row::post("a bad key", PROTOBUF, secret("x", &[("a b", b"v")])).invalid(),
    ];
    // Ends early, at every byte of the prefix, of the type and of the content.
    let type_end = envelope("v1", "Secret", b"").len() - 6;
    for end in (1..4).chain(5..type_end).chain(type_end + 1..whole.len() - 4) {
        rows.push(Row::post("an early end", PROTOBUF, &whole[..end]));
    }
    check(rows);
}

#[test]
fn bodies_of_the_wrong_size_or_type_are_refused() {
    let large = format!("{{\"stringData\":{{\"k\":\"{}\"}}}}", "x".repeat(BODY_MAX_BYTES));
    let too_large = |row: Row| row.is(413, "RequestEntityTooLarge");
    let unsupported = |row: Row| row.is(415, "UnsupportedMediaType");
    check(vec![
        too_large(Row::post("JSON beyond the limit", JSON, large.clone())),
        too_large(Row::post("one byte beyond the limit", JSON, vec![b' '; BODY_MAX_BYTES + 1])),
        too_large(Row::post("YAML beyond the limit", YAML, large.clone())),
        too_large(Row::post("protobuf beyond the limit", PROTOBUF, large.clone())),
        too_large(
            Row::post("a delete beyond the limit", JSON, large.clone()).by("DELETE").at(format!("{SECRETS}/here")),
        ),
        too_large(
            Row::post("a patch beyond the limit", "application/merge-patch+json", large)
                .by("PATCH")
                .at(format!("{SECRETS}/here")),
        ),
        unsupported(Row::post("a form", "application/x-www-form-urlencoded", "a=b")),
        unsupported(Row::post("text", "text/plain", "{}")),
        unsupported(Row::post("no media type", "nonsense", "{}")),
    ]);
}
