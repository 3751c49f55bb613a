//! Imports of which a part is done: namespaces that are made, Secrets that are refused, several transactions.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{IMPORTS, Person, SECRETS, VALUE};
use crate::support::actors::{bind, namespace, role, rule, rule_for, service_account};
use crate::support::clients::run;
use crate::support::http::Client;
use crate::support::played::{Answer, Played};

fn manifest(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: {}}}\n",
        STANDARD.encode(value)
    )
}

impl Person {
    fn manifests(&self, file: &str, all: &[(&str, &str, &str)]) {
        let documents: Vec<String> = all.iter().map(|(place, name, value)| manifest(place, name, value)).collect();
        self.file(file, documents.join("---\n").as_bytes());
    }

    fn status(&mut self, path: &str) -> u16 {
        self.admin.get(path).status
    }
}

#[test]
fn a_namespace_that_is_missing_is_planned_with_its_secrets_and_made() {
    let mut person = Person::start();
    person.manifests("all.yaml", &[("default", "a", VALUE), ("shop", "b", VALUE), ("shop", "c", VALUE)]);
    let (code, text) = person.import(&["all.yaml"]);
    assert!(code == 1 && text.contains("--create-namespaces makes it"), "{text}");
    let (code, text) = person.import(&["all.yaml", "--create-namespaces", "--dry-run"]);
    assert_eq!(code, 2, "{text}");
    let planned = "namespace shop new\nshop/b new\n";
    assert!(text.contains(planned) && text.contains("3 created, 0 replaced, 0 unchanged, if"), "{text}");
    assert_eq!(person.status("/api/v1/namespaces/shop"), 404, "a dry run makes none");
    assert_eq!(person.status(&format!("{SECRETS}/a")), 404);
    let (code, text) = person.import(&["all.yaml", "--create-namespaces"]);
    assert!(code == 0 && text.contains(planned), "{text}");
    assert_eq!(person.status("/api/v1/namespaces/shop/secrets/c"), 200);
    let (code, text) = person.import(&["all.yaml", "--create-namespaces"]);
    assert!(code == 0 && !text.contains("namespace shop") && text.ends_with("0 replaced, 3 unchanged\n"), "{text}");
    // What is wrong is found before the namespace is made.
    person.file("bad.yaml", format!("{}---\n{}", manifest("new", "a", "x"), manifest("new", "_", "x")).as_bytes());
    let (code, text) = person.import(&["bad.yaml", "--create-namespaces"]);
    assert!(code == 1, "{text}");
    person.manifests("wrong.yaml", &[("Not_A_Name", "a", "x")]);
    let (code, text) = person.import(&["wrong.yaml", "--create-namespaces"]);
    assert!(code == 1 && text.contains("Not_A_Name"), "{text}");
    assert_eq!(person.status("/api/v1/namespaces/new"), 404);
    // Only a dry run may take a namespace to be there.
    let body = json!({"spec": {"assumeNamespace": true, "secrets": [{"metadata": {"name": "a"}}]}});
    let nowhere = IMPORTS.replace("/default/", "/nowhere/");
    let answer = person.admin.json("POST", &nowhere, &body);
    assert!(answer.status == 422 && answer.text().contains("spec.assumeNamespace"), "{}", answer.text());
    person.admin.json("POST", &format!("{nowhere}?dryRun=All"), &body).ok();
}

/// A client that may import into `default` and get no Secret but `mine`, `theirs` and `new`; and make no namespace.
fn limited(person: &mut Person) -> Client {
    let rules = [
        rule(&["create"], "strongroom.dev", &["secretimports"]),
        rule(&["create"], "", &["secrets"]),
        rule_for(&["get", "update"], "", &["secrets"], &["mine", "theirs", "new"]),
    ];
    role(&mut person.admin, "default", "limited", &rules);
    bind(&mut person.admin, "default", "limited", "Role/limited", "ServiceAccount/default/limited");
    service_account(&mut person.admin, "default", "limited")
}

#[test]
fn what_can_be_written_is_written_and_what_is_refused_is_told_with_its_reason() {
    let mut person = Person::start();
    for name in ["theirs", "hidden"] {
        let there = json!({"metadata": {"name": name}, "data": {"k": "eA=="}});
        person.admin.json("POST", SECRETS, &there).ok();
    }
    let client = limited(&mut person);
    person.file("token", client.token().unwrap().as_bytes());
    std::fs::write(person.files.path().join("ca.crt"), &person.app.ca_pem).unwrap();
    let all = [
        ("default", "mine", VALUE),
        ("default", "theirs", "other"),
        ("default", "hidden", VALUE),
        ("elsewhere", "a", VALUE),
    ];
    person.manifests("all.yaml", &all);
    let import = |person: &Person, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args([
            "import",
            "all.yaml",
            "--server",
            &person.app.url,
            "--ca-file",
            "ca.crt",
            "--token-file",
            "token",
        ]);
        let output = run(command.args(more).current_dir(person.files.path()), b"", Duration::from_mins(1));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(!text.contains(VALUE) && !text.contains(&STANDARD.encode(VALUE)), "{text}");
        (output.status.code().unwrap(), text)
    };
    // All or none, unless that is asked for.
    assert_eq!(import(&person, &[]).0, 1);
    assert_eq!(person.value("mine", "k"), None);
    for arguments in [&["--partial", "--dry-run", "--create-namespaces"][..], &["--partial", "--create-namespaces"]] {
        let (code, text) = import(&person, arguments);
        assert_eq!(code, 3, "{text}");
        for line in [
            "default/mine new\n",
            "default/theirs refused: it is there and differs\n  ~ k (1 → 5 bytes)\n",
            "default/hidden refused: secrets \"hidden\" is forbidden: ",
            "elsewhere/a refused: ",
            "1 created, 0 replaced, 0 unchanged, 3 refused",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        // What may not be looked at is refused the same way whether it is there or not.
        assert!(!text.contains("hidden refused: it is there"), "{text}");
    }
    assert_eq!(person.value("mine", "k").unwrap(), VALUE.as_bytes());
    assert_eq!(
        (person.value("theirs", "k").unwrap(), person.value("hidden", "k").unwrap()),
        (b"x".to_vec(), b"x".to_vec())
    );
    let (code, text) = import(&person, &["--partial", "--overwrite"]);
    assert!(code == 3 && text.contains("0 created, 1 replaced, 1 unchanged, 2 refused"), "{text}");

    // By the API: each is told, and what is wrong with one is told of it alone.
    let secrets = json!([
        {"metadata": {"name": "good"}, "data": {"k": "eA=="}},
        {"metadata": {"name": "bad"}, "data": {"a b": "eA=="}},
        {"metadata": {"name": "good"}, "data": {"k": "eQ=="}},
        {"metadata": {"name": "No Name"}},
        {"metadata": {"name": "far", "namespace": "elsewhere"}},
    ]);
    let body = json!({"spec": {"secrets": secrets, "partial": true}});
    let answer = person.admin.json("POST", IMPORTS, &body).ok().json();
    let told: Vec<(&str, &str)> = answer["status"]["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["outcome"].as_str().unwrap(), one["message"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        told.iter().map(|one| one.0).collect::<Vec<_>>(),
        ["Created", "Refused", "Refused", "Refused", "Refused"]
    );
    for ((_, message), place) in
        told.iter().skip(1).zip(["data[a b]: ", "metadata.name: Dupl", "metadata.name: ", "metadata.namespace: "])
    {
        assert!(message.starts_with(place), "{place} {message}");
    }
    assert_eq!(person.value("good", "k").unwrap(), b"x");
}

#[test]
fn more_than_one_transaction_takes_is_split_only_if_that_is_wanted() {
    let mut person = Person::start();
    let item = |at: usize, bytes: usize| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("s{at}")},
        "data": {"k": STANDARD.encode(vec![b'x'; bytes])}})
    };
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    for (file, count, bytes) in [("many.json", 1_001, 1), ("large.json", 5, 700_000)] {
        person.file(file, list((0..count).map(|at| item(at, bytes)).collect()).as_bytes());
        let (code, text) = person.import(&[file]);
        assert!(code == 1 && text.contains("more than one transaction takes") && text.contains("--partial"), "{text}");
        let (code, text) = person.import(&[file, "--partial"]);
        assert!(code == 0 && text.ends_with(&format!("{count} created, 0 replaced, 0 unchanged\n")), "{text}");
        let there = person.admin.get(&format!("{SECRETS}?limit=2000")).ok().json()["items"].as_array().unwrap().len();
        assert_eq!(there, count);
        person.admin.delete(SECRETS).ok();
    }
}

#[test]
fn what_a_create_would_warn_of_is_told() {
    let mut person = Person::start();
    let item = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair"}, "type": "kubernetes.io/tls",
        "data": {"tls.crt": "eA==", "tls.key": "eA=="}});
    let create = person.admin.json("POST", &format!("{SECRETS}?dryRun=All"), &item).ok();
    let warned = create.header("warning").unwrap().to_owned();
    let expected = warned.strip_prefix("299 - \"").unwrap().trim_end_matches('"');
    let answer = person.admin.json("POST", &format!("{IMPORTS}?dryRun=All"), &json!({"spec": {"secrets": [item]}}));
    assert_eq!(answer.ok().json()["status"]["secrets"][0]["warnings"], json!([expected]));
    let token = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token",
        "annotations": {"kubernetes.io/service-account.name": "default"}}, "type": "kubernetes.io/service-account-token"});
    person.file("all.json", json!({"apiVersion": "v1", "kind": "List", "items": [item, token]}).to_string().as_bytes());
    for arguments in [&["all.json", "--dry-run"][..], &["all.json"]] {
        let (_, text) = person.import(arguments);
        assert_eq!(text.matches(&format!("warning: Secret default/pair: {expected}")).count(), 1, "{text}");
        assert_eq!(text.matches("warning: Secret default/token: ").count(), 1, "{text}");
    }
}

#[test]
fn an_import_that_breaks_off_says_exactly_what_it_has_written() {
    let person = Person::start();
    person.manifests("all.yaml", &[("a", "one", "x"), ("a", "two", "x"), ("b", "three", "x"), ("c", "four", "x")]);
    person.file("token", b"t");
    // A server in which somebody changes something between the plan and the deed.
    let told = |name: &str| json!({"name": name, "outcome": "Created", "keys": [{"key": "k", "after": 1}]});
    let import = |code: u16| {
        let played = Played::start(move |asked| {
            let place =
                asked.path().strip_prefix("/apis/strongroom.dev/v1alpha1/namespaces/")?.split('/').next()?.to_owned();
            if place == "b" && !asked.target.contains("dryRun") {
                return Some(Answer::refusal(code, "Conflict", "not any more"));
            }
            let names: Vec<Value> = asked.json()["spec"]["secrets"]
                .as_array()?
                .iter()
                .map(|secret| told(secret["metadata"]["name"].as_str().unwrap()))
                .collect();
            Some(Answer::json(201, &json!({"status": {"secrets": names}})))
        });
        person.file("ca.crt", played.authority.as_bytes());
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(["import", "all.yaml", "--server", &played.url(), "--ca-file", "ca.crt", "--token-file", "token"]);
        let output = run(command.current_dir(person.files.path()), b"", Duration::from_mins(1));
        let done = played.asked().iter().filter(|asked| !asked.target.contains("dryRun")).count();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), text, done)
    };
    let (code, text, asked) = import(409);
    assert_eq!((code, asked), (3, 2), "{text}");
    assert!(
        text.contains("not any more") && text.ends_with("written before that:\n  a/one created\n  a/two created\n"),
        "{text}"
    );
    assert!(!text.contains("is not known"), "{text}");
}

#[test]
fn a_namespace_is_made_by_the_caller_and_only_where_that_is_allowed() {
    let mut person = Person::start();
    namespace(&mut person.admin, "there");
    let client = limited(&mut person);
    person.file("token", client.token().unwrap().as_bytes());
    std::fs::write(person.files.path().join("ca.crt"), &person.app.ca_pem).unwrap();
    person.manifests("all.yaml", &[("default", "new", "x"), ("missing", "a", "x")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["import", "all.yaml", "--create-namespaces", "--server", &person.app.url, "--ca-file", "ca.crt"]);
    let output =
        run(command.args(["--token-file", "token"]).current_dir(person.files.path()), b"", Duration::from_mins(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("forbidden"), "{text}");
    assert_eq!(person.value("new", "k"), None, "nothing of it is written");
    assert_eq!(person.status("/api/v1/namespaces/missing"), 404);
}
