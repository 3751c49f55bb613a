//! Values and manifests that are found, and what is not one.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;
use crate::sensitive::SecretBytes;

fn key() -> ScanKey {
    ScanKey::from_bytes(&SecretBytes::new(vec![9; 32])).unwrap()
}

fn found(value: &[u8], file: &[u8]) -> Vec<(usize, &'static str)> {
    let key = key();
    let fingerprint = fingerprint(&key, value, 0);
    let scanner = Scanner::new(&key, &fingerprint);
    scanner.find(file).into_iter().map(|one| (one.line, one.encoding.as_str())).collect()
}

#[test]
fn a_value_is_found_in_every_form_and_line() {
    let value = b"p@ss w/rd-of-the+\xc3\xa4ge?\xff!";
    for before in 0..4 {
        let long = [&b"xyz"[..before.min(3)], &b"and so on "[..before * 3], value, b"and more"].concat();
        // What stands before is of the alphabet as well, and moves the groups of digits.
        for glued in ["", "a", "ab", "path/"] {
            for text in [STANDARD.encode(&long), URL_SAFE.encode(&long)] {
                assert_eq!(
                    found(value, format!("a\nb: {glued}{text}\n").as_bytes()),
                    [(2, "base64")],
                    "{before} {glued}"
                );
            }
        }
        assert_eq!(found(value, format!("x\nabc{}", hex::encode(&long)).as_bytes()), [(2, "hex")]);
    }
    let text = [b"x = \"".as_slice(), value, b"\"\n"].concat();
    assert_eq!(found(value, &text), [(1, "plain")]);
    for (text, form) in [
        (hex::encode(value), "hex"),
        (hex::encode_upper(value), "hex"),
        ("p%40ss%20w%2Frd-of-the%2B%C3%A4ge%3F%FF%21".to_owned(), "url-escaped"),
        ("p%40ss%20w%2frd-of-the%2b%c3%a4ge%3f%ff%21".to_owned(), "url-escaped"),
        ("https://ada:p%40ss+w%2Frd-of-the%2B%C3%A4ge%3F%FF!@h".to_owned(), "url-escaped"),
    ] {
        assert_eq!(found(value, format!("\n\n{text}").as_bytes()), [(3, form)], "{text}");
    }
}

#[test]
fn line_ends_indentation_and_escapes_hide_no_value() {
    let value = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcw\n-----END PRIVATE KEY-----\n";
    let text = std::str::from_utf8(value).unwrap();
    assert_eq!(found(value, value), [(1, "plain")]);
    assert_eq!(found(value, format!("a:\n  b: |\n    {}", text.replace('\n', "\n    ")).as_bytes()), [(3, "plain")]);
    assert_eq!(found(value, format!("\r\n{}", text.replace('\n', "\r\n")).as_bytes()), [(2, "plain")]);
    assert_eq!(found(value, format!("{{\n\"k\": {}}}", serde_json::json!(text)).as_bytes()), [(2, "escaped")]);
    // As `base64` breaks its lines, indented.
    let encoded =
        STANDARD.encode(value).as_bytes().chunks(20).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n  ");
    assert_eq!(found(value, format!("k:\n\n  {encoded}").as_bytes()), [(3, "base64")]);
    // A line end behind a value, there or here.
    assert_eq!(found(b"a value of length\n", b"x: a value of length"), [(1, "plain")]);
    assert_eq!(found(b"a value of length", STANDARD.encode("a value of length\n").as_bytes()), [(1, "base64")]);
    assert_eq!(found("quote\" and \u{1f512} lock".as_bytes(), br#""quote\" and \ud83d\udd12 lock""#), [(1, "escaped")]);
}

#[test]
fn a_value_with_escapes_is_found_however_far_they_are_apart() {
    let value = "begins-here \"q\" and\nthen\ngoes on to the end";
    let escaped = serde_json::json!(value).to_string();
    let apart = escaped.replace("\\n", &format!("\\n{}", " \t".repeat(500)));
    let far = "not of it ".repeat(300);
    for text in [escaped, apart] {
        for (before, behind) in [("", ""), (&*far, ""), ("", &*far), (&*far, &*far), ("x\\\\", "\\")] {
            assert_eq!(
                found(value.as_bytes(), format!("\n{before}{text}{behind}").as_bytes()),
                [(2, "escaped")],
                "{text}"
            );
        }
    }
    // An escape that is none of the value's, right before it.
    assert_eq!(found(b"a value of length", br"\a value\u0020of length"), [(1, "escaped")]);
}

#[test]
fn of_values_that_begin_alike_the_right_ones_are_found() {
    let key = key();
    let values: [&[u8]; 4] =
        [b"postgres://ada:one@db", b"postgres://ada:two@db", b"postgres://ada:t", b"postgres://ada:two@db"];
    let known: Vec<Fingerprint> =
        values.iter().enumerate().filter_map(|(number, value)| fingerprint(&key, value, number)).collect();
    let scanner = Scanner::new(&key, &known);
    let file = b"\nurl: postgres://ada:two@db\n";
    assert_eq!(
        scanner.find(file).iter().map(|one| (one.line, one.value)).collect::<Vec<_>>(),
        [(2, 1), (2, 2), (2, 3)]
    );
    assert!(scanner.find(b"postgres://ada:").is_empty() && scanner.find(b"").is_empty());
}

#[test]
fn short_values_and_what_is_public_have_no_fingerprints_and_none_holds_the_value() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUe\n-----END CERTIFICATE-----\n";
    let private = certificate.replace("CERTIFICATE", "PRIVATE KEY");
    for (value, has) in [
        ("fifteen bytes..", false),
        ("  fifteen bytes..\n", false),
        ("fifteen\n  bytes..", false),
        ("", false),
        ("sixteen bytes...", true),
        (certificate, false),
        (&certificate.repeat(2), false),
        (&private, true),
        (&format!("{certificate}{private}"), true),
        (&format!("{certificate}password: x"), true),
        (&format!("password: x\n{certificate}"), true),
    ] {
        assert_eq!(fingerprint(&key(), value.as_bytes(), 0).is_some(), has, "{value}");
    }
    let made = fingerprint(&key(), b"sixteen bytes...", 3).unwrap();
    assert_eq!(made.value, 3);
    assert!(!format!("{made:?}").contains("sixteen"));
}

#[test]
fn what_begins_like_a_long_value_everywhere_takes_no_long_time() {
    let value = vec![b'a'; 1 << 20];
    let file = vec![b'a'; 1000];
    assert!(found(&value, &file).is_empty());
    assert_eq!(found(&value, &value[..2000]), [(1, "plain")]);
    // Nor does what is there very often, in forms whose places must be found again.
    let value = b"a value of length";
    let (escaped, encoded) =
        ("a value\\u0020of length\n".repeat(5000), format!("{}\n", STANDARD.encode(value)).repeat(5000));
    let all = found(value, format!("{escaped}.\n{encoded}").as_bytes());
    assert_eq!((all.len(), all[4999], all[9999]), (10_000, (5000, "escaped"), (10_001, "base64")));
}

#[test]
fn manifests_with_data_are_found_and_sealed_or_encrypted_ones_are_not() {
    let find = |text: &str| -> Vec<(usize, String, String)> {
        in_manifests(text.as_bytes()).into_iter().map(|one| (one.line, one.secret, one.key)).collect()
    };
    let at = |line: usize, secret: &str, key: &str| (line, secret.to_owned(), key.to_owned());
    assert_eq!(
        find(
            "# c\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  user: YQ==\n  pass: YQ==\n  none: \"\"\n"
        ),
        [at(7, "db", "user"), at(8, "db", "pass")]
    );
    assert_eq!(
        find(
            "kind: ConfigMap\ndata: {a: b}\n---\n# {{ template }}\nkind: {{ .Secret }}\ndata: x\n---\nkind: Secret\napiVersion: v1\nstringData:\n  'k': v\n"
        ),
        [at(11, "", "k")]
    );
    assert_eq!(find("{\"kind\": \"Secret\",\n \"data\": {\n  \"k\": \"YQ==\"}}\n"), [at(3, "", "k")]);
    assert_eq!(
        find(
            "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  metadata: {name: a}\n  data:\n    k: YQ==\n"
        ),
        [at(8, "a", "k")]
    );
    // Keys of one name are told from each other, and the field `data` from others.
    assert_eq!(
        find(
            "apiVersion: v1\nkind: List\nitems:\n- {kind: Secret, metadata: {name: a},\n   data: {k: YQ==}}\n- kind: Secret\n  metadata:\n    name: b\n    annotations: {data: x}\n  data:\n    k: YQ==\n"
        ),
        [at(5, "a", "k"), at(11, "b", "k")]
    );
    for clean in [
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    k: AgB\n",
        "kind: Secret\napiVersion: v1\nmetadata: {name: a}\n",
        "kind: Secret\napiVersion: v1\ndata: {}\n",
        "kind: Secret\ndata:\n  k: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n  mac: ENC[x]\n",
        "kind: List\nitems:\n- kind: Secret\n  data:\n    k: ENC[x]\nsops:\n  mac: ENC[x]\n",
        "kind: ExternalSecret\nspec: {data: [{secretKey: a}]}\n",
        "kind: Secret\napiVersion: example.com/v1\ndata: {k: v}\n",
        "a text about a Secret and its data",
    ] {
        assert_eq!(find(clean), [], "{clean}");
    }
    // What SOPS left as it was is found.
    assert_eq!(
        find("kind: Secret\ndata:\n  k: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\n  l: YQ==\nsops:\n  mac: ENC[x]\n"),
        [at(4, "", "l")]
    );
    // Without its mac it is no SOPS file.
    assert_eq!(find("kind: Secret\ndata:\n  k: ENC[x]\nsops: {}\n"), [at(3, "", "k")]);
}

proptest! {
    #[test]
    fn wherever_it_stands_it_is_found_and_nothing_else_is(
        // No white space: of that what is around the value does not count.
        value in proptest::collection::vec(any::<u8>().prop_filter("blank", |byte| !b" \t\n\r\x0c".contains(byte)), 16..80),
        before in proptest::collection::vec(any::<u8>(), 0..200),
        behind in proptest::collection::vec(any::<u8>(), 0..200),
        within in proptest::collection::vec(any::<u8>(), 0..20),
        form in 0_usize..5,
    ) {
        let long = [&within, &value, &within].map(Vec::as_slice).concat();
        let text = match form {
            0 => value.clone(),
            1 => STANDARD.encode(&long).into_bytes(),
            2 => URL_SAFE.encode(&long).into_bytes(),
            3 => hex::encode(&long).into_bytes(),
            _ => value.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect(),
        };
        // A digit right before would make others of them.
        let glue: &[u8] = if form == 3 || form == 4 { b" " } else { b"" };
        let file = [before.as_slice(), glue, &text, &behind].concat();
        prop_assert!(!found(&value, &file).is_empty());
        prop_assert!(found(&value, &[before, behind].concat()).is_empty());
    }
}
