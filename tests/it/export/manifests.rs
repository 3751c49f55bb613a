//! Manifests are, byte for byte, what kubectl prints for the same input; the parts of a Pod are what it reads.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::codec::yaml;
use strongroom::export::{Format, Options};

use super::{encoded, export, secret, stored};
use crate::support::{clients, kubectl};

const LIMIT: Duration = Duration::from_mins(2);
/// The first minor version that prints no `creationTimestamp: null`.
const FIRST_CLEAN: u32 = 36;

fn minor(program: &std::path::Path) -> u32 {
    let output = clients::run(Command::new(program).args(["version", "--client", "-o", "json"]), b"", LIMIT);
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    version["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+').parse().unwrap()
}

struct Case {
    arguments: Vec<String>,
    object: Value,
}

/// `create secret generic NAME` with these values, as files, so that any byte can be among them.
fn generic(folder: &std::path::Path, name: &str, namespace: &str, values: &[(&str, &[u8])]) -> Case {
    let mut arguments = vec!["generic".to_owned(), name.to_owned(), "-n".to_owned(), namespace.to_owned()];
    for (index, (key, value)) in values.iter().enumerate() {
        let file = folder.join(format!("{name}-{index}"));
        fs::write(&file, value).unwrap();
        arguments.push(format!("--from-file={key}={}", file.display()));
    }
    Case {
        arguments,
        object: json!({"metadata": {"name": name, "namespace": namespace}, "data": encoded(values), "type": "Opaque"}),
    }
}

fn cases(folder: &std::path::Path) -> Vec<Case> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys = [
        "yes",
        "no",
        "null",
        "1",
        "1.5",
        "0x1f",
        "0o17",
        "1e3",
        "2001-01-01",
        ".inf",
        "-",
        "_",
        ".x",
        "a-b",
        "A",
        "tls.key",
        "k10",
        "k9",
    ];
    let keys = keys.map(|key| (key, b"v".as_slice()));
    let mut cases = vec![
        generic(folder, "one", "prod", &[("k", b"value")]),
        generic(folder, "bytes", "prod", &[("all", &every_byte), ("empty", b""), ("lines", b"a\nb\n")]),
        generic(folder, "long", "prod", &[("k", &vec![b'x'; 4096])]),
        generic(folder, "123", "456", &[("k", b"v")]),
        generic(folder, "true", "1e3", &[("k", b"v")]),
        generic(folder, "none", "prod", &[]),
        generic(folder, "keys", "prod", &keys),
    ];
    let mut typed = generic(folder, "typed", "prod", &[("k", b"v")]);
    typed.arguments.push("--type=example.com/1".to_owned());
    typed.object["type"] = "example.com/1".into();
    cases.push(typed);
    let login = r#"{"auths":{"s":{"username":"u","password":"p","auth":"dTpw"}}}"#;
    cases.push(Case {
        arguments: [
            "docker-registry",
            "r",
            "-n",
            "prod",
            "--docker-server=s",
            "--docker-username=u",
            "--docker-password=p",
        ]
        .map(str::to_owned)
        .to_vec(),
        object: json!({
            "metadata": {"name": "r", "namespace": "prod"},
            "data": encoded(&[(".dockerconfigjson", login)]),
            "type": "kubernetes.io/dockerconfigjson",
        }),
    });
    let pair = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    fs::write(folder.join("cert"), &certificate).unwrap();
    fs::write(folder.join("key"), &key).unwrap();
    let file = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
    cases.push(Case {
        arguments: vec!["tls".into(), "t".into(), "-n".into(), "prod".into(), file("cert", "cert"), file("key", "key")],
        object: json!({
            "metadata": {"name": "t", "namespace": "prod"},
            "data": encoded(&[("tls.crt", certificate), ("tls.key", key)]),
            "type": "kubernetes.io/tls",
        }),
    });
    cases
}

#[test]
fn manifests_are_what_kubectl_prints() {
    let folder = tempfile::tempdir().unwrap();
    let kubectls: Vec<_> =
        kubectl::all().into_iter().filter(|kubectl| minor(kubectl.program()) >= FIRST_CLEAN).collect();
    if kubectls.is_empty() {
        return clients::missing("no kubectl of 1.36 or later");
    }
    for kubectl in kubectls {
        let program = kubectl.program();
        for Case { arguments, object } in cases(folder.path()) {
            for format in [Format::Yaml, Format::Json] {
                let mut command = Command::new(program);
                command.args(["create", "secret"]).args(&arguments).args(["--dry-run=client", "-o", format.name()]);
                let output = clients::run(command.env("KUBECONFIG", "/dev/null"), b"", LIMIT);
                assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
                let ours = export(&[stored(object.clone())], format, &Options::default()).unwrap();
                assert_eq!(
                    String::from_utf8(ours).unwrap(),
                    String::from_utf8(output.stdout).unwrap(),
                    "{arguments:?}"
                );
            }
        }
    }
}

#[test]
fn what_describes_a_secret_is_written_as_kubectl_writes_it() {
    let object = |name: &str| {
        json!({
            "metadata": {
                "name": name, "namespace": "prod", "uid": "u", "resourceVersion": "7", "labels": {"k10": "1", "k9": "true", "a": ""},
                "annotations": {"note": "x", "text": "a\nb: <é> \u{1f512}\n", "z/y": "it's # 'quoted'"},
            },
            "immutable": true, "type": "example.com/1", "data": encoded(&[("b", "1"), ("a", "2")]),
        })
    };
    let secrets = [stored(object("one")), stored(object("two"))];
    for kubectl in kubectl::all().into_iter().filter(|kubectl| minor(kubectl.program()) >= FIRST_CLEAN) {
        for (format, secrets) in
            [(Format::Yaml, &secrets[..]), (Format::Yaml, &secrets[..1]), (Format::Json, &secrets[..1])]
        {
            let ours = export(secrets, format, &Options::default()).unwrap();
            let mut command = Command::new(kubectl.program());
            // Decodes Secrets, changes nothing, and prints them, all without a server.
            command.args(["annotate", "--local", "--overwrite", "note=x", "-o", format.name(), "-f", "-"]);
            let output = clients::run(command.env("KUBECONFIG", "/dev/null"), &ours, LIMIT);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            if format == Format::Json {
                // This command sorts the fields; the order of `create secret` is that of Go's type.
                let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
                assert_eq!(read(&ours), read(&output.stdout));
            } else {
                assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(output.stdout).unwrap());
            }
        }
    }
}

#[test]
fn a_pod_with_the_exported_parts_is_one() {
    let keys = ["USER", "password", "tls.key", "1st", "api-key"].map(|key| (key, "v"));
    let long = "a".repeat(200);
    let secrets = [
        secret("db", &keys),
        secret("my.app", &[("K", "v")]),
        secret("my-app", &[("L", "v")]),
        secret(&long, &[("M", "v")]),
    ];
    let parts = export(&secrets, Format::Pod, &Options::default()).unwrap();
    let mut pod = yaml::parse(&parts).unwrap().value;
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({"name": "p", "namespace": "prod"});
    let written = yaml::to_string(&pod);
    for kubectl in kubectl::all() {
        let mut command = Command::new(kubectl.program());
        // Decodes a Pod as what it is, without a server: a field that it does not know would be gone.
        command.args(["set", "image", "--local", "-f", "-", "-o", "json", "app=example.com/app:1"]);
        let output = clients::run(command.env("KUBECONFIG", "/dev/null"), written.as_bytes(), LIMIT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["spec"]["volumes"], pod["spec"]["volumes"]);
        for field in ["env", "envFrom", "volumeMounts"] {
            assert_eq!(read["spec"]["containers"][0][field], pod["spec"]["containers"][0][field], "{field}");
        }
    }
    let names: Vec<&str> =
        pod["spec"]["volumes"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["db", "my-app", "secret-2", "secret-3"]);
    let env: Vec<&str> =
        pod["spec"]["containers"][0]["env"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(env, ["_1ST", "API_KEY", "TLS_KEY"]);
}
