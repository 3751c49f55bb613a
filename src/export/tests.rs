//! What each format looks like, and what it refuses.

use serde_json::{Value, json};

use super::*;
use crate::sensitive::Document;

fn secret(value: Value) -> SecretDocument {
    SecretDocument::read(&Document::new(value)).unwrap()
}

fn one(name: &str, data: &Value) -> SecretDocument {
    secret(json!({"metadata": {"name": name, "namespace": "prod"}, "stringData": data}))
}

/// Randomness that is a count.
fn counting() -> impl FnMut(&mut [u8]) -> Result<(), NoRandomness> {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was exported")]
fn text(secrets: &[SecretDocument], format: Format, options: &Options<'_>) -> Result<String, ExportError> {
    let bytes = render(secrets, format, options, &mut counting())?;
    Ok(String::from_utf8(bytes.expose().to_vec()).unwrap())
}

fn plain(secrets: &[SecretDocument], format: Format) -> Result<String, ExportError> {
    text(secrets, format, &Options::default())
}

#[test]
fn names_of_formats_are_read_as_they_are_written() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert!(UnknownFormat.to_string().contains(format.name()), "{format}");
    }
    assert_eq!("YAML".parse::<Format>(), Err(UnknownFormat));
}

#[test]
fn what_a_server_adds_is_left_behind() {
    let stored = secret(json!({
        "kind": "Secret", "apiVersion": "v1",
        "metadata": {
            "name": "db", "namespace": "prod", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "m"}], "ownerReferences": [{"name": "o"}], "finalizers": ["f"], "generation": 1,
            "generateName": "d", "selfLink": "s",
            "labels": {"app": "db"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"},
        },
        "immutable": true, "data": {"b": "Yg==", "a": "/w=="}, "type": "kubernetes.io/basic-auth",
    }));
    let expected = "apiVersion: v1\ndata:\n  a: /w==\n  b: Yg==\nimmutable: true\nkind: Secret\nmetadata:\n  annotations:\n    \
                    note: kept\n  labels:\n    app: db\n  name: db\n  namespace: prod\ntype: kubernetes.io/basic-auth\n";
    assert_eq!(plain(&[stored], Format::Yaml).unwrap(), expected);
}

#[test]
fn several_are_documents_or_a_list_and_none_is_nothing() {
    let two = || [one("x", &json!({"k": "v"})), one("z", &json!({}))];
    let x = "apiVersion: v1\ndata:\n  k: dg==\nkind: Secret\nmetadata:\n  name: x\n  namespace: prod\n";
    let z = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: z\n  namespace: prod\n";
    assert_eq!(plain(&two(), Format::Yaml).unwrap(), format!("{x}---\n{z}"));
    assert_eq!(plain(&[], Format::Yaml).unwrap(), "");

    let list: Value = serde_json::from_str(&plain(&two(), Format::Json).unwrap()).unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("List"), &json!("v1")));
    assert_eq!(list["items"][0]["data"], json!({"k": "dg=="}));
    assert_eq!(list["items"][1]["metadata"]["name"], "z");
    // Made by the same writer as a whole.
    let mut whole = Vec::from(plain(&two(), Format::Json).unwrap());
    assert_eq!(whole.pop(), Some(b'\n'));
    let mut pretty = SecretBuffer::default();
    crate::codec::json::write_pretty(&mut pretty, &list, 4, 0);
    #[expect(clippy::disallowed_methods, reason = "the test looks at what was exported")]
    let pretty = pretty.take().expose().to_vec();
    assert_eq!(whole, pretty);
    let none: Value = serde_json::from_str(&plain(&[], Format::Json).unwrap()).unwrap();
    assert_eq!(none["items"], json!([]));
}

#[test]
fn text_stands_under_string_data_where_that_is_asked_for() {
    let mixed = secret(json!({
        "metadata": {"name": "m", "namespace": "prod"},
        "data": {"binary": "/w==", "nul": "AA==", "text": "YQpi", "empty": ""},
    }));
    let options = Options { string_data: true, ..Options::default() };
    let expected = "apiVersion: v1\ndata:\n  binary: /w==\n  nul: AA==\nkind: Secret\nmetadata:\n  name: m\n  namespace: \
                    prod\nstringData:\n  empty: \"\"\n  text: |-\n    a\n    b\n";
    assert_eq!(text(&[mixed], Format::Yaml, &options).unwrap(), expected);
}

#[test]
fn what_is_no_secret_is_refused_without_its_values() {
    for wrong in [
        json!([]),
        json!({"kind": "ConfigMap", "metadata": {"name": "x"}}),
        json!({"kind": "Secret"}),
        json!({"metadata": {}}),
        json!({"metadata": {"name": "x"}, "data": "hunter2"}),
        json!({"metadata": {"name": "x"}, "data": {"k": "hunter2!"}}),
        json!({"metadata": {"name": "x"}, "data": {"k": 1}}),
        json!({"metadata": {"name": "x"}, "stringData": {"k": ["hunter2"]}}),
        json!({"metadata": {"name": "x", "labels": {"k": 1}}}),
    ] {
        let error = SecretDocument::read(&Document::new(wrong.clone())).err().unwrap_or_else(|| panic!("{wrong}"));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn base64_with_line_breaks_is_read_as_go_reads_it() {
    let broken = secret(json!({"metadata": {"name": "x", "namespace": "prod"}, "data": {"k": "aGVs\nbG8=\r\n"}}));
    assert_eq!(plain(&[broken], Format::Shell).unwrap(), "export k='hello'\n");
}

#[test]
fn each_dialect_has_its_quoting() {
    for (format, value, expected) in [
        (Format::Shell, "it's", "export K='it'\\''s'\n"),
        (Format::Shell, "a\nb$c`d`\\", "export K='a\nb$c`d`\\'\n"),
        (Format::Shell, "", "export K=''\n"),
        (Format::DockerEnv, " '\"$x#\\ ", "K= '\"$x#\\ \n"),
        (Format::SystemdEnv, "a\"b\\c`d$e\n;#", "K=\"a\\\"b\\\\c\\`d\\$e\n;#\"\n"),
        (Format::Dotenv, "a # b $x \"q\"\n\\d", "K='a # b $x \"q\"\n\\d'\n"),
        (Format::Dotenv, "it's", "K=\"it's\"\n"),
        (Format::Dotenv, "it's \"$5\"", "K='it\\'s \"$5\"'\n"),
        (Format::Dotenv, "\\\\x", "K='\\\\\\\\x'\n"),
        (Format::Dotenv, "a\r\nb", "K=\"a\\r\\nb\"\n"),
    ] {
        assert_eq!(plain(&[one("x", &json!({"K": value}))], format).unwrap(), expected, "{format}");
    }
}

#[test]
fn what_a_dialect_cannot_carry_is_an_error_that_names_secret_and_key() {
    let all = [Format::Dotenv, Format::Shell, Format::DockerEnv, Format::SystemdEnv];
    let text_only = [Format::Dotenv, Format::DockerEnv, Format::SystemdEnv];
    let long = "x".repeat(65_536);
    let cases: [(&[Format], &str, &[u8]); 15] = [
        (&all, "K", b"hunter2\0"),
        (&text_only, "K", b"hunter2\xff"),
        (&[Format::Shell, Format::SystemdEnv], "tls.key", b"hunter2"),
        (&[Format::Shell, Format::SystemdEnv], "1K", b"hunter2"),
        (&[Format::Shell, Format::SystemdEnv], "api-key", b"hunter2"),
        (&[Format::Shell], "PPID", b"hunter2"),
        (&all, "a b", b"hunter2"),
        (&all, "a=b", b"hunter2"),
        (&all, "#a", b"hunter2"),
        (&[Format::DockerEnv], "K", b"hunter2\nb"),
        (&[Format::DockerEnv], "K", b"hunter2\r"),
        (&[Format::DockerEnv], "K", long.as_bytes()),
        (&[Format::SystemdEnv], "K", "hunter2\u{feff}\u{ffff}".as_bytes()),
        (&[Format::Dotenv], "K", b"hunter2${HOME}"),
        (&[Format::Dotenv], "K", b"hunter2\\"),
    ];
    for (formats, key, value) in cases {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(value);
        for format in formats {
            let given = secret(json!({"metadata": {"name": "db", "namespace": "prod"}, "data": {key: encoded}}));
            let error = plain(&[given], *format).unwrap_err();
            let shown = error.to_string();
            assert!(matches!(error, ExportError::NotCarried { .. }), "{format} {key}: {shown}");
            assert!(shown.contains("prod/db") && shown.contains(key) && !shown.contains("hunter2"), "{shown}");
        }
    }
    let twice = [one("x", &json!({"K": "1"})), one("y", &json!({"K": "2"}))];
    for format in all {
        let error = plain(&twice, format).unwrap_err().to_string();
        assert!(error.contains("prod/x") && error.contains("prod/y"), "{error}");
    }
}

#[test]
fn a_format_that_encrypts_says_what_it_needs() {
    let given = [one("x", &json!({"K": "hunter2"}))];
    assert!(matches!(plain(&given, Format::Sops), Err(ExportError::Needs { .. })));
    assert!(matches!(plain(&given, Format::SealedSecret), Err(ExportError::Needs { .. })));
    let identity = Identity::make(&mut counting()).unwrap();
    let recipients = [identity.recipient()];
    let options = Options { recipients: &recipients, ..Options::default() };
    let mut broken = |_: &mut [u8]| Err(NoRandomness);
    assert!(matches!(render(&given, Format::Sops, &options, &mut broken), Err(ExportError::Random(_))));
}

#[test]
fn an_operator_is_told_where_to_fetch_the_secrets() {
    let external_store =
        ExternalStore { url: "https://s:6443", authorities: b"PEM", name: "strongroom", token_secret: "access" };
    let options = Options { external_store: Some(external_store), ..Options::default() };
    let given = secret(json!({
        "metadata": {"name": "db", "namespace": "prod", "labels": {"app": "db"}}, "type": "example.com/t", "immutable": true,
        "stringData": {"k": "hunter2"},
    }));
    let expected = "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata:\n  name: strongroom\n  namespace: \
                    prod\nspec:\n  provider:\n    kubernetes:\n      auth:\n        token:\n          bearerToken:\n            \
                    key: token\n            name: access\n      remoteNamespace: prod\n      server:\n        caBundle: \
                    UEVN\n        url: https://s:6443\n---\napiVersion: external-secrets.io/v1\nkind: \
                    ExternalSecret\nmetadata:\n  name: db\n  namespace: prod\nspec:\n  dataFrom:\n  - extract:\n      key: \
                    db\n  refreshInterval: 1h0m0s\n  secretStoreRef:\n    kind: SecretStore\n    name: strongroom\n  target:\n    \
                    immutable: true\n    name: db\n    template:\n      metadata:\n        labels:\n          app: db\n      \
                    type: example.com/t\n";
    assert_eq!(text(&[given], Format::ExternalSecret, &options).unwrap(), expected);
}

#[test]
fn a_pod_uses_secrets_of_its_namespace_under_names_that_differ() {
    let elsewhere = secret(json!({"metadata": {"name": "x", "namespace": "test"}}));
    let refused = plain(&[one("x", &json!({"K": "hunter2"})), elsewhere], Format::Pod).unwrap_err();
    assert!(matches!(refused, ExportError::NotHeld { .. }) && refused.to_string().contains("test/x"));
    let same = plain(&[one("x", &json!({"a.b": "hunter2", "A_B": "hunter2"}))], Format::Pod).unwrap_err();
    assert!(matches!(same, ExportError::KeyTwice { .. }) && !same.to_string().contains("hunter2"));
}

#[test]
fn a_file_that_sops_made_is_read() {
    let identity = "AGE-SECRET-KEY-1QYPQXPQ9QCRSSZG2PVXQ6RS0ZQG3YYC5Z5TPWXQERGD3C8G7RUSQGPQYEE".parse().unwrap();
    let documents = decrypt_sops(include_bytes!("../../tests/it/export/sops_3.11.0.yaml"), &[identity]).unwrap();
    let read = SecretDocument::read(&documents[0]).unwrap();
    let expected = "apiVersion: v1\ndata:\n  a: dHdvCmxpbmVzCg==\n  bytes: AP/+\n  none: \"\"\n  z: bGFzdCBjb21lcyBmaXJzdA==\nimmutable: \
                    true\nkind: Secret\nmetadata:\n  labels:\n    count: \"1\"\n  name: known\n  namespace: prod\n";
    assert_eq!((documents.len(), plain(&[read], Format::Yaml).unwrap()), (1, expected.to_owned()));
}

#[test]
fn a_sops_file_is_read_back_and_every_change_of_it_is_seen() {
    let mut random = counting();
    let identity = Identity::make(&mut random).unwrap();
    let recipients = [Identity::make(&mut random).unwrap().recipient(), identity.recipient()];
    let options =
        Options { recipients: &recipients, string_data: true, now_seconds: 1_700_000_000, ..Options::default() };
    let secrets = [
        secret(json!({
            "metadata": {"name": "x", "namespace": "prod", "labels": {"data": "l", "app": "a"}}, "immutable": true,
            "data": {"binary": "/w==", "yes": "YQ==", "0o17": "Yg==", "empty": ""},
        })),
        one("y", &json!({"K": "a\nb"})),
    ];
    let file = text(&secrets, Format::Sops, &options).unwrap();
    assert!(
        !file.contains("/w==") && file.contains("name: x") && file.contains("lastmodified: \"2023-11-14T22:13:20Z\"")
    );
    let read = |file: &str| decrypt_sops(file.as_bytes(), std::slice::from_ref(&identity));
    let documents = read(&file).unwrap();
    let back: Vec<_> = documents.iter().map(|document| SecretDocument::read(document).unwrap()).collect();
    assert_eq!(plain(&back, Format::Yaml).unwrap(), plain(&secrets, Format::Yaml).unwrap());

    let stranger = Identity::make(&mut random).unwrap();
    assert!(matches!(decrypt_sops(file.as_bytes(), &[stranger]), Err(SopsError::NoIdentity)));
    for (from, to) in [
        ("name: x", "name: z"),
        ("immutable: true", "immutable: false"),
        ("  \"yes\"", "  no"),
        ("app: a", "app: a\n    b: b"),
        ("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"),
        ("data:\n", "data:\n  more: x\n"),
        ("kind: Secret\n", "kind: Secret\npgp: x\n"),
    ] {
        let changed = file.replace(from, to);
        assert_ne!(changed, file, "{from}");
        assert!(matches!(read(&changed), Err(SopsError::Mac | SopsError::Value(_))), "{from}");
    }
    let pgp = file.replace("  version:", "  pgp:\n  - fp: x\n  version:");
    assert!(matches!(read(&pgp), Err(SopsError::OtherKeys("pgp"))));
    let other = file.replace("type:str", "type:bytes");
    assert!(matches!(read(&other), Err(SopsError::Type { .. })));
    let twice = file.replace("kind: Secret\n", "kind: Secret\nkind: Secret\n");
    assert!(matches!(read(&twice), Err(SopsError::Duplicate(_))));
    assert!(matches!(read("a: b\n"), Err(SopsError::NotSops(_))));
    assert!(matches!(read("a: [\n"), Err(SopsError::Parse(_))));
}

#[test]
fn age_keys_are_read_as_they_are_written() {
    let identity = Identity::make(&mut counting()).unwrap();
    let written = identity.reveal();
    let read: Identity = written.parse().unwrap();
    assert!(read.recipient() == identity.recipient() && written.starts_with("AGE-SECRET-KEY-1") && written.len() == 74);
    let recipient = identity.recipient().to_string();
    assert!(recipient.parse::<Recipient>().is_ok_and(|read| read == identity.recipient()) && recipient.len() == 62);
    // The example of the specification's own tool.
    assert!("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".parse::<Recipient>().is_ok());
    for wrong in
        ["", "age1", &recipient.to_uppercase(), &recipient[1..], &format!("{recipient}q"), written.as_str(), "age1pq1x"]
    {
        assert_eq!(wrong.parse::<Recipient>().err(), Some(AgeKeyError::Recipient));
    }
    for wrong in ["", &recipient, &written[1..]] {
        assert_eq!(wrong.parse::<Identity>().err(), Some(AgeKeyError::Identity));
    }
}
