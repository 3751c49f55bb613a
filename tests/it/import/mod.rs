//! Secrets taken over from files, folders and a genuine cluster; all or none of them, or those that can be.

mod parts;

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::apiserver::Cluster;
use crate::support::app::App;
use crate::support::clients::{find, run};
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::kubectl;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const IMPORTS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/default/secretimports";
const VALUE: &str = "canary-9b44e0-of-an-import";

struct Person {
    app: App,
    admin: Client,
    files: TempDir,
}

impl Person {
    fn start() -> Self {
        let app = App::start();
        let admin = Client::admin(&app);
        Self { app, admin, files: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &[u8]) {
        let path = self.files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(content).unwrap();
    }

    /// Exit code and what was printed, in which no value may be.
    fn import(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.arg("import").args(arguments).arg("--home").arg(self.app.home()).current_dir(self.files.path());
        let output = run(&mut command, b"", Duration::from_mins(1));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(!text.contains(VALUE) && !text.contains(&STANDARD.encode(VALUE)), "{arguments:?} shows a value");
        (output.status.code().unwrap(), text)
    }

    fn value(&mut self, name: &str, key: &str) -> Option<Vec<u8>> {
        let answer = self.admin.get(&format!("{SECRETS}/{name}"));
        let value = (answer.status == 200).then(|| answer.json()["data"][key].as_str().map(str::to_owned))??;
        Some(STANDARD.decode(value).unwrap())
    }

    fn revision(&mut self, name: &str) -> String {
        let secret = self.admin.get(&format!("{SECRETS}/{name}")).ok().json();
        secret["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }
}

#[test]
fn manifests_are_planned_taken_over_and_not_taken_over_twice() {
    let mut person = Person::start();
    person.file(
        "all.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a, labels: {{app: web}}}}\nstringData: {{k: {VALUE}}}\n---\n\
             apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b}}, data: {{k: eA==}}}}\n"
        )
        .as_bytes(),
    );
    let (code, text) = person.import(&["all.yaml", "--dry-run"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&format!("default/a new\n  + k ({} bytes)\n", VALUE.len())), "{text}");
    assert_eq!(person.value("a", "k"), None);
    let (code, text) = person.import(&["all.yaml"]);
    assert!(code == 0 && text.ends_with("2 created, 0 replaced, 0 unchanged\n"), "{text}");
    assert_eq!(person.value("a", "k").unwrap(), VALUE.as_bytes());
    let before = person.revision("a");
    let (code, text) = person.import(&["all.yaml"]);
    assert!(code == 0 && text.ends_with("0 created, 0 replaced, 2 unchanged\n"), "{text}");
    assert_eq!(person.import(&["all.yaml", "--dry-run"]).0, 0);
    assert_eq!(person.revision("a"), before);

    // What is there and differs stays, and with it everything else.
    person.file(
        "more.json",
        json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, "data": {"k": "eHg=", "l": "eA=="}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, "data": {"k": "eA=="}},
        ]})
        .to_string()
        .as_bytes(),
    );
    let (code, text) = person.import(&["more.json"]);
    assert!(code == 1 && text.contains("--overwrite replaces them"), "{text}");
    assert!(text.contains("default/b differs\n  ~ k (1 → 2 bytes)\n  + l (1 bytes)\n"), "{text}");
    assert_eq!(person.value("c", "k"), None);
    let (code, text) = person.import(&["more.json", "--overwrite"]);
    assert!(code == 0 && text.ends_with("1 created, 1 replaced, 0 unchanged\n"), "{text}");
    assert_eq!(person.value("b", "l").unwrap(), b"x");

    for (name, content, expected) in [
        ("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", "document 1: "),
        ("broken.yaml", "a: [", "cannot be read"),
        (
            "twice.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: eA==, k: eQ==}\n",
            "sets a key twice",
        ),
        ("bad.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: '%'}\n", "base64"),
        ("empty.yaml", "", "there is no Secret in it"),
    ] {
        person.file(name, content.as_bytes());
        let (code, text) = person.import(&[name]);
        assert!(code == 1 && text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn one_that_is_wrong_keeps_all_of_them_out() {
    let mut person = Person::start();
    let secrets: Vec<Value> = (0..10)
        .map(|at| {
            let data = if at == 6 { json!({"a b": "eA=="}) } else { json!({"k": "eA=="}) };
            json!({"metadata": {"name": format!("s{at}")}, "data": data})
        })
        .collect();
    let before = person.admin.get(SECRETS).ok().json()["metadata"]["resourceVersion"].clone();
    let answer = person.admin.json("POST", IMPORTS, &json!({"spec": {"secrets": secrets}}));
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("spec.secrets[6].data[a b]"), "{}", answer.text());
    let list = person.admin.get(SECRETS).ok().json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["metadata"]["resourceVersion"]), (0, &before));
    for (body, expected) in [
        (json!({"spec": {}}), "spec.secrets: Required value"),
        (json!({"spec": {"secrets": [{"metadata": {}}]}}), "spec.secrets[0].metadata.name: Required value"),
        (
            json!({"spec": {"secrets": [{"metadata": {"name": "a"}}, {"metadata": {"name": "a"}}]}}),
            "spec.secrets[1].metadata.name: Duplicate value",
        ),
        (
            json!({"spec": {"secrets": [{"metadata": {"name": "a", "namespace": "other"}}]}}),
            "spec.secrets[0].metadata.namespace: Forbidden",
        ),
    ] {
        let answer = person.admin.json("POST", IMPORTS, &body);
        assert!(answer.status == 422 && answer.text().contains(expected), "{}", answer.text());
    }
    let nowhere = IMPORTS.replace("/default/", "/nowhere/");
    let body = json!({"spec": {"secrets": [{"metadata": {"name": "a"}}]}});
    for path in [nowhere.clone(), format!("{nowhere}?dryRun=All")] {
        let answer = person.admin.json("POST", &path, &body);
        assert!(answer.status == 404 && answer.text().contains("nowhere"), "{path}: {}", answer.text());
    }
    // The plan finds it, before anything is done in another namespace.
    let manifest = |place: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: {place}}}\n");
    person.file("both.yaml", ["default", "nowhere"].map(manifest).join("---\n").as_bytes());
    for arguments in [&["both.yaml", "--dry-run"][..], &["both.yaml"]] {
        let (code, text) = person.import(arguments);
        assert!(code == 1 && text.contains("\"nowhere\" not found"), "{text}");
    }
    assert_eq!(person.admin.get(&format!("{SECRETS}/a")).status, 404);
}

#[test]
fn the_record_names_what_was_written_and_nothing_else() {
    let mut person = Person::start();
    let secret = |name: &str, value: &str| json!({"metadata": {"name": name}, "data": {"k": STANDARD.encode(value)}});
    for (name, value) in [("same", "1"), ("other", "1")] {
        person.admin.json("POST", SECRETS, &secret(name, value)).ok();
    }
    let many = (0..150).map(|at| secret(&format!("new-{at}"), "1"));
    let all: Vec<Value> = many.chain([secret("same", "1"), secret("other", "2")]).collect();
    let dry = format!("{IMPORTS}?dryRun=All");
    person.admin.json("POST", &dry, &json!({"spec": {"secrets": all}})).ok();
    assert_eq!(person.admin.json("POST", IMPORTS, &json!({"spec": {"secrets": all}})).status, 409);
    person.admin.json("POST", IMPORTS, &json!({"spec": {"secrets": all, "overwrite": true}})).ok();
    person.admin.json("POST", IMPORTS, &json!({"spec": {"secrets": all, "overwrite": true}})).ok();
    assert_eq!(person.app.stop(), Some(0));
    let files = std::fs::read_dir(person.app.home().join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let text: String = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let asked: Vec<Value> = events.filter(|event| event["objectRef"]["resource"] == "secretimports").collect();
    assert_eq!(asked.len(), 4, "each is recorded");
    let named = asked.iter().filter_map(|event| event["annotations"]["strongroom.dev/imported-secrets"].as_str());
    let named: Vec<Vec<&str>> = named.map(|text| text.split(' ').collect()).collect();
    assert_eq!(named.len(), 1, "what changed nothing names nothing");
    assert_eq!((named[0].len(), named[0][0]), (152, "151:"));
    assert!(named[0].contains(&"new-149") && named[0].contains(&"other") && !named[0].contains(&"same"));
}

#[test]
fn an_import_that_is_killed_is_there_whole_or_not_at_all() {
    let mut person = Person::start();
    for round in 0..8_u32 {
        let secrets: Vec<Value> = (0..200)
            .map(|at| json!({"metadata": {"name": format!("r{round}-{at}")}, "data": {"k": STANDARD.encode(vec![7; 4096])}}))
            .collect();
        let body = json!({"spec": {"secrets": secrets}}).to_string();
        let mut client = person.admin.another();
        let sending = std::thread::spawn(move || {
            client.send("POST", IMPORTS, &[("Content-Type", "application/json")], body.as_bytes())
        });
        std::thread::sleep(Duration::from_millis(u64::from(round) * 12));
        person.app.begin_kill();
        let answered = sending.join().unwrap().is_ok_and(|answer| answer.status == 201);
        let home = person.app.kill();
        person.app = App::start_in(home, &[]);
        person.admin = Client::admin(&person.app);
        let list = person.admin.get(SECRETS).ok().json();
        let prefix = format!("r{round}-");
        let there = list["items"].as_array().unwrap().iter();
        let there = there.filter(|item| item["metadata"]["name"].as_str().unwrap().starts_with(&prefix)).count();
        assert!(there == 0 || there == 200, "{there} of 200");
        assert!(!answered || there == 200, "what was acknowledged is there");
    }
}

#[test]
fn who_may_not_get_or_replace_a_secret_learns_nothing_by_importing() {
    let mut person = Person::start();
    person.admin.json("POST", SECRETS, &json!({"metadata": {"name": "there"}, "data": {"k": "eA=="}})).ok();
    let rules = json!([
        {"verbs": ["create"], "apiGroups": ["strongroom.dev"], "resources": ["secretimports"]},
        {"verbs": ["create"], "apiGroups": [""], "resources": ["secrets"]},
    ]);
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    person.admin.json("POST", &format!("{group}/roles"), &json!({"metadata": {"name": "w"}, "rules": rules})).ok();
    person.admin.json("POST", "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "w"}})).ok();
    let binding = json!({"metadata": {"name": "w"},
        "subjects": [{"kind": "ServiceAccount", "name": "w", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "w"}});
    person.admin.json("POST", &format!("{group}/rolebindings"), &binding).ok();
    let token = person.admin.json("POST", "/api/v1/namespaces/default/serviceaccounts/w/token", &json!({})).ok().json();
    let mut writer = person.admin.with_token(token["status"]["token"].as_str().unwrap());
    let mut answers = Vec::new();
    for (name, value) in [("there", "eA=="), ("there", "eQ=="), ("missing", "eA==")] {
        let body = json!({"spec": {"secrets": [{"metadata": {"name": name}, "data": {"k": value}}]}});
        let answer = writer.json("POST", &format!("{IMPORTS}?dryRun=All"), &body);
        assert_eq!(answer.status, 403);
        answers.push(answer.text().replace("there", "missing"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn environment_files_and_folders_are_secrets() {
    let mut person = Person::start();
    person.file("shop.env", format!("# comment\nUSER=ada\nPASS='{VALUE}'\n").as_bytes());
    person.file("folder/user", b"ada");
    person.file("folder/pass", format!("{VALUE}\n").as_bytes());
    person.file("folder/.dockercfg", b"{}");
    // As kubelet has them, and Git: neither keys nor Secrets.
    person.file("folder/..data/user", b"no");
    person.file("folder/..version", b"no");
    person.file("tree/.git/config", b"no");
    person.file("tree/.gitignore", b"no");
    person.file("tree/one/k", b"1");
    person.file("tree/two/k", b"\xff\x00");
    let (code, text) = person.import(&["shop.env", "folder", "tree"]);
    assert!(code == 0 && text.ends_with("4 created, 0 replaced, 0 unchanged\n"), "{text}");
    assert!(text.contains("Secret folder, key pass: a single line with a line break behind it"), "{text}");
    assert_eq!(person.value("shop", "PASS").unwrap(), VALUE.as_bytes());
    assert_eq!(person.value("folder", "pass").unwrap(), format!("{VALUE}\n").as_bytes(), "never changed");
    assert_eq!(person.value("folder", ".dockercfg").unwrap(), b"{}");
    let folder = person.admin.get(&format!("{SECRETS}/folder")).ok().json();
    assert_eq!(folder["data"].as_object().unwrap().len(), 3, "{folder}");
    assert_eq!(person.value("two", "k").unwrap(), b"\xff\x00");
    person.file(".env", b"K=v\n");
    let (code, text) = person.import(&[".env"]);
    assert!(code == 1 && text.contains("--name says"), "{text}");
    assert_eq!(person.import(&[".env", "--name", "named"]).0, 0);
    assert_eq!(person.value("named", "K").unwrap(), b"v");
}

#[test]
fn what_was_exported_comes_back_byte_for_byte() {
    let mut person = Person::start();
    let mut dice = Dice::new(11);
    let mut expected = Vec::new();
    for at in 0..20_u64 {
        let bytes: Vec<u8> = (0..dice.below(200)).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        let object = json!({"metadata": {"name": format!("s{at}"), "labels": {"n": at.to_string()}}, "data": {"k": STANDARD.encode(&bytes)}});
        person.admin.json("POST", SECRETS, &object).ok();
        expected.push(bytes);
    }
    let export = |format: &str, file: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(["export", "--all", "--format", format, "-o", file]).args(more);
        command.arg("--home").arg(person.app.home()).current_dir(person.files.path());
        let output = run(&mut command, b"", Duration::from_mins(1));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    // An identity of this test's own.
    let identity = "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS8VLMZD";
    let parsed = identity.parse::<strongroom::export::Identity>();
    let made;
    let (identity, recipient) = if let Ok(parsed) = parsed {
        (identity.to_owned(), parsed.recipient().to_string())
    } else {
        let mut random = |bytes: &mut [u8]| getrandom_fill(bytes);
        made = strongroom::export::Identity::make(&mut random).unwrap();
        (made.reveal().to_string(), made.recipient().to_string())
    };
    person.file("identity.txt", format!("# created\n{identity}\n").as_bytes());
    export("yaml", "all.yaml", &[]);
    export("json", "all.json", &[]);
    export("sops", "all.sops.yaml", &["--age-recipient", &recipient]);
    for file in ["all.yaml", "all.json", "all.sops.yaml"] {
        person.admin.delete(SECRETS).ok();
        let (code, text) = person.import(&[file, "--age-identity", "identity.txt"]);
        assert!(code == 0 && text.ends_with("20 created, 0 replaced, 0 unchanged\n"), "{file}: {text}");
        for (at, bytes) in expected.iter().enumerate() {
            assert_eq!(person.value(&format!("s{at}"), "k").unwrap_or_default(), *bytes, "{file} s{at}");
        }
    }
    let (code, text) = person.import(&["all.sops.yaml"]);
    assert!(code == 1 && text.contains("--age-identity says"), "{text}");
    // And what the genuine program encrypted.
    let Some(sops) = find("STRONGROOM_TEST_SOPS", &["sops"]) else { return };
    person.file(
        "plain.yaml",
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: genuine\nstringData:\n  k: {VALUE}\n").as_bytes(),
    );
    let mut command = Command::new(sops);
    command.args([
        "--disable-version-check",
        "encrypt",
        "--age",
        &recipient,
        "--encrypted-regex",
        "^(data|stringData)$",
        "plain.yaml",
    ]);
    let output = run(command.current_dir(person.files.path()), b"", Duration::from_mins(1));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    person.file("genuine.yaml", &output.stdout);
    assert_eq!(person.import(&["genuine.yaml", "--age-identity", "identity.txt"]).0, 0);
    assert_eq!(person.value("genuine", "k").unwrap(), VALUE.as_bytes());
    // A list, as `kubectl get secrets -o yaml` writes it, is encrypted as a whole.
    let item = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"k": VALUE}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [item("first"), item("second")]});
    person.file("plain.yaml", list.to_string().as_bytes());
    let output = run(command.current_dir(person.files.path()), b"", Duration::from_mins(1));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    person.file("list.yaml", &output.stdout);
    assert_eq!(person.import(&["list.yaml", "--age-identity", "identity.txt"]).0, 0);
    assert_eq!(person.value("second", "k").unwrap(), VALUE.as_bytes());
}

fn getrandom_fill(bytes: &mut [u8]) -> Result<(), strongroom::export::NoRandomness> {
    use std::io::Read as _;
    let mut source = std::fs::File::open("/dev/urandom").map_err(|_| strongroom::export::NoRandomness)?;
    source.read_exact(bytes).map_err(|_| strongroom::export::NoRandomness)
}

#[test]
fn a_live_cluster_is_taken_over_but_for_what_it_made_itself() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut person = Person::start();
    cluster.namespace("takeover", &json!({}));
    person.file("cluster.kubeconfig", cluster.admin_kubeconfig().as_bytes());
    let kubeconfig = person.files.path().join("cluster.kubeconfig");
    let kubectl = kubectl::all().pop().expect("a kubectl");
    let literal = format!("--from-literal=k={VALUE}");
    for arguments in
        [&["create", "secret", "generic", "db", literal.as_str()][..], &["label", "secret", "db", "app=web"]]
    {
        let mut command = Command::new(kubectl.program());
        command.arg("--kubeconfig").arg(&kubeconfig).args(["-n", "takeover"]).args(arguments);
        let output = run(&mut command, b"", Duration::from_mins(1));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    cluster.account("takeover", "robot");
    let token = json!({"metadata": {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token"});
    cluster.admin().json("POST", "/api/v1/namespaces/takeover/secrets", &token).ok();
    let from = ["--from-kubeconfig", "cluster.kubeconfig", "--from-namespace", "takeover", "-n", "default"];
    let (code, text) = person.import(&from);
    assert!(code == 0 && text.contains("1 created"), "{text}");
    assert!(text.contains("1 secrets of the cluster's own making are left out"), "{text}");
    let secret = person.admin.get(&format!("{SECRETS}/db")).ok().json();
    assert_eq!(secret["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(person.value("db", "k").unwrap(), VALUE.as_bytes());
}
