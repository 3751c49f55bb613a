//! What is exported for operators, held against the definitions of their own kinds by a genuine API server.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use strongroom::codec::yaml;

use super::exports::{Place, varied};
use crate::support::apiserver::Cluster;
use crate::support::clients::{eventually, missing};
use crate::support::jwt::openssl;
use crate::support::kubectl;

const START: Duration = Duration::from_secs(30);
const APPLY: [&str; 7] = ["apply", "--server-side", "--validate=strict", "-o", "json", "-f", "-"];

/// Has the cluster know the operators' kinds; `None` where their definitions are missing.
fn defined(cluster: &Cluster) -> Option<()> {
    let Some(folder) = std::env::var_os("STRONGROOM_TEST_DEFINITIONS") else {
        missing("STRONGROOM_TEST_DEFINITIONS names no folder with the definitions of operators' kinds");
        return None;
    };
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut admin = cluster.admin();
    for (file, name) in [
        ("bitnami.com_sealedsecrets.yaml", "sealedsecrets.bitnami.com"),
        ("external-secrets.io_externalsecrets.yaml", "externalsecrets.external-secrets.io"),
        ("external-secrets.io_secretstores.yaml", "secretstores.external-secrets.io"),
    ] {
        let definition = std::fs::read(Path::new(&folder).join(file)).unwrap();
        // Another test may have been first.
        let made = admin.typed("POST", path, "application/yaml", &definition);
        assert!(matches!(made.status, 201 | 409), "{}", made.text());
        let established = eventually(START, || {
            let found = admin.get(&format!("{path}/{name}")).ok().json();
            let conditions = found["status"]["conditions"].as_array()?.iter();
            conditions.into_iter().any(|one| one["type"] == "Established" && one["status"] == "True").then_some(())
        });
        established.unwrap_or_else(|| panic!("{name} is not established"));
        // Discovery, and the handler behind it, hear of it a moment later.
        let (plural, group) = name.split_once('.').unwrap();
        let version = if group == "bitnami.com" { "v1alpha1" } else { "v1" };
        let served =
            eventually(START, || (admin.get(&format!("/apis/{group}/{version}/{plural}")).status == 200).then_some(()));
        served.unwrap_or_else(|| panic!("{name} is not served"));
    }
    Some(())
}

/// Whether everything in `expected` is in `found`, which may hold more: defaults, what a server adds.
fn has(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(field, value)| found.get(field).is_some_and(|found| has(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, value)| has(found, value))
        }
        _ => found == expected,
    }
}

/// Every kubectl applies the file under strict validation; what is then in the cluster is what the file says. And each
/// change of a document is refused, with these words.
fn holds(place: &Place, file: &str, broken: &[(&str, &str, &str)]) {
    let documents: Vec<Value> = yaml::parse_all(file.as_bytes()).unwrap().into_iter().map(|one| one.value).collect();
    assert!(!documents.is_empty());
    for kubectl in &kubectl::all() {
        for document in &documents {
            let text = document.to_string();
            let taken: Value = serde_json::from_str(&place.kubectl(kubectl, &APPLY, &text)).unwrap();
            assert!(has(&taken, document), "{document}\n{taken}");
        }
        for (from, to, expected) in broken {
            assert!(file.contains(from), "{from}");
            let refused = place.asked(kubectl, &APPLY, &file.replace(from, to)).fails();
            assert!(refused.contains(expected), "{to}: {refused}");
        }
        place.kubectl(kubectl, &["delete", "-f", "-"], file);
    }
}

#[test]
fn a_cluster_takes_sealed_secrets_as_their_operator_defines_them() {
    let Some(place) = Place::start("defined-sealed") else { return };
    let Some(()) = defined(&place.cluster) else { return };
    for secret in varied() {
        place.create(&secret);
    }
    let key = place.person.file("key.pem", &String::from_utf8(openssl(&["genrsa", "2048"], b"")).unwrap());
    let certificate = openssl(&["req", "-x509", "-key", &key, "-subj", "/CN=x", "-days", "30"], b"");
    let certificate = place.person.file("cert.pem", &String::from_utf8(certificate).unwrap());
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let file = place.export(&["--all", "-f", "sealedsecret", "--certificate", &certificate, "--scope", scope]);
        holds(
            &place,
            &file,
            &[
                ("  encryptedData:", "  encryptedDates:", ".spec.encryptedDates: field not declared in schema"),
                ("    immutable: true", "    immutable: \"true\"", "immutable"),
                (
                    "    type: kubernetes.io/basic-auth",
                    "    tipe: x",
                    ".spec.template.tipe: field not declared in schema",
                ),
            ],
        );
    }
}

#[test]
fn a_cluster_takes_external_secrets_as_their_operator_defines_them() {
    let Some(place) = Place::start("defined-external") else { return };
    let Some(()) = defined(&place.cluster) else { return };
    for secret in varied() {
        place.create(&secret);
    }
    let authority = place.person.file("ca.pem", &place.cluster.authority);
    let url = ["--store-url", "https://strongroom.example.com:8443", "--store-ca-file", &authority];
    let file = place.export(&[&["--all", "-f", "external-secret"], &url[..]].concat());
    assert_eq!(file.matches("kind: ExternalSecret\n").count(), varied().len());
    holds(
        &place,
        &file,
        &[
            ("  - extract:", "  - extracts:", ".spec.dataFrom[0].extracts: field not declared in schema"),
            ("    kind: SecretStore\n", "    kind: Store\n", "spec.secretStoreRef.kind: Unsupported value: \"Store\""),
            ("        caBundle:", "        caBundles:", "caBundles: field not declared in schema"),
            ("          bearerToken:", "          bearer:", "field not declared in schema"),
        ],
    );
}
