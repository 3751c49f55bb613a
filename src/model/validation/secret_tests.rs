//! What a Secret must be: one row per type, key rule and text, and arbitrary bytes.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::kinds::SECRET;
use crate::model::validation::{message, validate_create, validate_update};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn secret(ty: &str, data: Value) -> Value {
    let mut secret = json!({ "metadata": { "name": "s", "namespace": "n" }, "type": ty });
    secret["data"] = data;
    secret
}

fn created(ty: &str, data: Value) -> String {
    message(&validate_create(&SECRET, &secret(ty, data)))
}

#[test]
fn each_type_keeps_its_promise() {
    let rows = [
        ("Opaque", json!({}), ""),
        ("my/custom type!", json!({}), ""),
        ("bootstrap.kubernetes.io/token", json!({}), ""),
        ("kubernetes.io/tls", json!({ "tls.crt": "", "tls.key": "" }), ""),
        ("kubernetes.io/tls", json!({}), "[data[tls.crt]: Required value, data[tls.key]: Required value]"),
        ("kubernetes.io/tls", json!({ "tls.crt": "" }), "data[tls.key]: Required value"),
        ("kubernetes.io/basic-auth", json!({ "username": "" }), ""),
        ("kubernetes.io/basic-auth", json!({ "password": "" }), ""),
        ("kubernetes.io/basic-auth", json!({}), "[data[username]: Required value, data[password]: Required value]"),
        ("kubernetes.io/ssh-auth", json!({ "ssh-privatekey": "eA==" }), ""),
        ("kubernetes.io/ssh-auth", json!({ "ssh-privatekey": "" }), "data[ssh-privatekey]: Required value"),
        ("kubernetes.io/ssh-auth", json!({}), "data[ssh-privatekey]: Required value"),
        ("kubernetes.io/dockercfg", json!({}), "data[.dockercfg]: Required value"),
        ("kubernetes.io/dockercfg", json!({ ".dockercfg": b64("{}") }), ""),
        (
            "kubernetes.io/dockercfg",
            json!({ ".dockercfg": b64("z") }),
            "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'z' looking for \
             beginning of value",
        ),
        ("kubernetes.io/dockerconfigjson", json!({}), "data[.dockerconfigjson]: Required value"),
        ("kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": b64(r#"{"auths":{}}"#) }), ""),
        (
            "kubernetes.io/dockerconfigjson",
            json!({ ".dockerconfigjson": "" }),
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
        ),
        (
            "kubernetes.io/dockerconfigjson",
            json!({ ".dockerconfigjson": b64("[]") }),
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array \
             into Go value of type map[string]interface {}",
        ),
        (
            "kubernetes.io/service-account-token",
            json!({}),
            "metadata.annotations[kubernetes.io/service-account.name]: Required value",
        ),
    ];
    for (ty, data, expected) in rows {
        assert_eq!(created(ty, data.clone()), expected, "{ty} {data}");
    }
    let mut token = secret("kubernetes.io/service-account-token", json!({}));
    token["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "sa" });
    assert_eq!(message(&validate_create(&SECRET, &token)), "");
}

#[test]
fn keys_are_judged_after_metadata_and_before_the_type() {
    assert_eq!(
        created("kubernetes.io/ssh-auth", json!({ "..a": "eA==" })),
        "[data[..a]: Invalid value: \"..a\": must not start with '..', data[ssh-privatekey]: Required value]"
    );
    let mut unnamed = secret("Opaque", json!({ ".": "eA==" }));
    unnamed["metadata"] = json!({ "namespace": "n" });
    assert_eq!(
        message(&validate_create(&SECRET, &unnamed)),
        "[metadata.name: Required value: name or generateName is required, data[.]: Invalid value: \".\": must not \
         be '.']"
    );
}

#[test]
fn all_values_together_are_bounded_by_their_decoded_length() {
    for length in 0..20 {
        assert_eq!(decoded_len(&b64(vec![7; length])), length);
    }
    let half = b64(vec![0; DATA_MAX_BYTES / 2]);
    assert_eq!(created("Opaque", json!({ "a": half, "b": half, "key-names-do-not-count": "" })), "");
    let errors = validate_create(&SECRET, &secret("Opaque", json!({ "a": half, "b": half, "c": "eA==" })));
    assert_eq!(message(&errors), "data: Too long: may not be more than 1048576 bytes");
    assert_eq!(errors[0].kind.reason(), "FieldValueTooLong");
}

#[test]
fn type_and_immutable_contents_do_not_change() {
    let frozen = "field is immutable when `immutable` is set";
    let base = json!({ "a": "eA==", "emptyData": "" });
    let rows = [
        (json!({ "type": "x" }), json!({ "type": "Opaque" }), String::new()),
        (
            json!({ "immutable": true, "data": base }),
            json!({ "immutable": true, "data": { "emptyData": "", "a": "eA==" } }),
            String::new(),
        ),
        (json!({ "data": base }), json!({ "immutable": true }), String::new()),
        (json!({ "immutable": true }), json!({ "immutable": true, "data": {} }), String::new()),
        (json!({ "immutable": false, "data": base }), json!({}), String::new()),
        (
            json!({ "immutable": true, "data": base }),
            json!({ "data": base }),
            format!("immutable: Forbidden: {frozen}"),
        ),
        (
            json!({ "immutable": true, "data": base }),
            json!({ "immutable": true, "data": { "a": "eQ==", "emptyData": "" } }),
            format!("data: Forbidden: {frozen}"),
        ),
        (
            json!({ "immutable": true, "data": base }),
            json!({ "immutable": false, "data": { "a": "eA==" } }),
            format!("[immutable: Forbidden: {frozen}, data: Forbidden: {frozen}]"),
        ),
    ];
    for (old, new, expected) in rows {
        let object = |part: &Value| {
            let mut object = json!({ "metadata": { "name": "s", "namespace": "n", "uid": "u" }, "type": "Opaque" });
            for (key, value) in part.as_object().unwrap().iter().filter(|(key, _)| *key != "type") {
                object[key] = value.clone();
            }
            object
        };
        assert_eq!(message(&validate_update(&SECRET, &object(&new), &object(&old))), expected, "{old} -> {new}");
    }
    let (old, new) =
        (secret("kubernetes.io/tls", json!({ "tls.crt": "", "tls.key": "" })), secret("Opaque", json!({})));
    assert_eq!(message(&validate_update(&SECRET, &new, &old)), "type: Invalid value: \"Opaque\": field is immutable");
    assert_eq!(
        message(&validate_update(&SECRET, &old, &new)),
        "type: Invalid value: \"kubernetes.io/tls\": field is immutable"
    );
    assert_eq!(
        message(&validate_update(&SECRET, &secret("kubernetes.io/tls", json!({})), &old)),
        "[data[tls.crt]: Required value, data[tls.key]: Required value]",
        "every update is held to the rules of the type"
    );
}

#[test]
fn registry_credentials_are_read_as_go_reads_them() {
    let type_of = |kind: &str| format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
    let rows: &[(&[u8], &str)] = &[
        (b"", "unexpected end of JSON input"),
        (b"null", ""),
        (b" { } ", ""),
        (br#"{"a":[1,{"b":[]},true,false,null,-0.5e+3,"\u00aF\n"]}"#, ""),
        (b"{\"\xff\":\"\xff\"}", ""),
        (b"z", "invalid character 'z' looking for beginning of value"),
        (b"tru", "invalid character ' ' in literal true (expecting 'e')"),
        (b"trx", "invalid character 'x' in literal true (expecting 'u')"),
        (b"fa", "invalid character ' ' in literal false (expecting 'l')"),
        (b"nulx", "invalid character 'x' in literal null (expecting 'l')"),
        (b"\"a", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b"{\"a\"", "unexpected end of JSON input"),
        (b"{\"a\" 1}", "invalid character '1' after object key"),
        (b"{\"a\":1 2}", "invalid character '2' after object key:value pair"),
        (b"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        (b"{1:2}", "invalid character '1' looking for beginning of object key string"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[", "unexpected end of JSON input"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b"01", "invalid character '1' after top-level value"),
        (b"-", "invalid character ' ' in numeric literal"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.", "invalid character ' ' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"{\"a\":\"\n\"}", "invalid character '\\n' in string literal"),
        (b"{\"a\":\"\\q\"}", "invalid character 'q' in string escape code"),
        (b"{\"a\":\"\\u12x\"}", "invalid character 'x' in \\u hexadecimal character escape"),
        (b"{\"a\":\"\\u12", "invalid character ' ' in \\u hexadecimal character escape"),
        (b"\xff", "invalid character 'ÿ' looking for beginning of value"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b"\\", "invalid character '\\\\' looking for beginning of value"),
        (b"{\"a\":1 \"}", "invalid character '\"' after object key:value pair"),
        (b"{\"a\":1e999}", "json: cannot unmarshal number into Go value of type float64"),
    ];
    for (bytes, expected) in rows {
        let found = Scanner::check_object(bytes).err().unwrap_or_default();
        assert_eq!(found, *expected, "{}", String::from_utf8_lossy(bytes));
    }
    for (bytes, kind) in [
        ("[]", "array"),
        ("[1e999]", "array"),
        ("1", "number"),
        ("true", "bool"),
        ("false", "bool"),
        ("\"x\"", "string"),
    ] {
        assert_eq!(Scanner::check_object(bytes.as_bytes()), Err(type_of(kind)));
    }
    let deep = "[".repeat(3_000_000);
    assert_eq!(Scanner::check_object(deep.as_bytes()), Err("invalid character '[' exceeded max depth".to_owned()));
    let allowed = format!("{{\"a\":{}{}}}", "[".repeat(9_999), "]".repeat(9_999));
    assert_eq!(Scanner::check_object(allowed.as_bytes()), Ok(()));
}

#[test]
fn no_value_enters_an_error() {
    let canary = "hunter2hunter2";
    for ty in [
        "Opaque",
        "kubernetes.io/tls",
        "kubernetes.io/basic-auth",
        "kubernetes.io/ssh-auth",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/service-account-token",
    ] {
        let new = secret(ty, json!({ "..": b64(canary), ".dockercfg": b64(canary), ".dockerconfigjson": b64(canary) }));
        let mut old = secret("x", json!({ "k": b64(canary) }));
        old["immutable"] = json!(true);
        let text = message(&validate_update(&SECRET, &new, &old)) + &message(&validate_create(&SECRET, &new));
        assert!(!text.is_empty() && !text.contains(canary) && !text.contains(&b64(canary)), "{text}");
    }
}

proptest! {
    #[test]
    fn what_serde_reads_as_an_object_passes(text in r#"[\[\]{}:, "0-9a-e.\\tnr-]{0,40}"#) {
        let ours = Scanner::check_object(text.as_bytes());
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(_) | Value::Null) => prop_assert_eq!(ours, Ok(())),
            Ok(_) => prop_assert!(ours.is_err_and(|error| error.starts_with("json: cannot unmarshal"))),
            // serde refuses two things that Go reads: a lone surrogate and a number out of range.
            Err(_) => if ours.is_ok() { prop_assert!(text.contains("\\u")) },
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Scanner::check_object(&bytes);
        let _ = decoded_len(&String::from_utf8_lossy(&bytes));
    }
}
