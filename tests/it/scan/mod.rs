//! Secrets in files and in what is about to be committed, found by the real program in a real repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::actors::{bind, namespace, role, rule, service_account};
use crate::support::app::App;
use crate::support::canary::{Canary, found_in_files};
use crate::support::clients::run;
use crate::support::http::Client;

const SCANS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/default/secretscans";
const VALUE: &str = "canary-51c0de-of a scan/ä";

struct Person {
    app: App,
    admin: Client,
    /// `bin`, `repository`, and the folder of the cache.
    home: TempDir,
}

impl Person {
    fn start() -> Self {
        let app = App::start();
        let mut admin = Client::admin(&app);
        let secret = json!({"metadata": {"name": "db"}, "stringData": {"password": VALUE, "short": "short"}});
        admin.json("POST", "/api/v1/namespaces/default/secrets", &secret).ok();
        let home = tempfile::tempdir().unwrap();
        for folder in ["bin", "repository", "cache"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_strongroom"), home.path().join("bin/strongroom")).unwrap();
        let person = Self { app, admin, home };
        person.git(&["init", "-q"]);
        person.git(&["config", "user.email", "a@example.com"]);
        person.git(&["config", "user.name", "a"]);
        person
    }

    fn repository(&self) -> PathBuf {
        self.home.path().join("repository")
    }

    /// The one file in which fingerprints are kept.
    fn cache_file(&self) -> PathBuf {
        let folder = self.home.path().join("cache/strongroom-scan");
        let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.repository().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn command(&self, program: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.home.path().join("bin").display(), std::env::var("PATH").unwrap());
        command.args(arguments).current_dir(self.repository()).env_clear().env("PATH", path);
        command.env("HOME", self.home.path()).env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.env("STRONGROOM_HOME", self.app.home()).env("GIT_CONFIG_NOSYSTEM", "1");
        let output = run(&mut command, b"", Duration::from_mins(1));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(!text.contains(VALUE) && !text.contains(&STANDARD.encode(VALUE)), "{arguments:?} shows a value");
        (output.status.code().unwrap(), text)
    }

    fn git(&self, arguments: &[&str]) -> (i32, String) {
        self.command("git", arguments)
    }

    fn scan(&self, arguments: &[&str]) -> (i32, String) {
        let all: Vec<&str> = std::iter::once("scan").chain(arguments.iter().copied()).collect();
        self.command("strongroom", &all)
    }
}

#[test]
fn manifests_and_known_values_are_found_with_file_and_line_in_every_form() {
    let person = Person::start();
    person.file("clean.yaml", "kind: ConfigMap\ndata: {a: b}\n");
    assert_eq!(person.scan(&["."]), (0, String::new()));
    person.file("k8s/db.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  other: eA==\n");
    person.file("src/main.py", &format!("a = 1\nPASSWORD = \"{VALUE}\"\n"));
    person.file("b64", &format!("x\n\nuser:{}\n", STANDARD.encode(format!("user:{VALUE}"))));
    person.file("hex", &hex::encode(VALUE));
    person
        .file("wrapped", &format!("x: |\n  {}\n  {}\n", &STANDARD.encode(VALUE)[..20], &STANDARD.encode(VALUE)[20..]));
    person.file("folded", &format!("x: |\n  {}\r\n  {}\n", &VALUE[..9], &VALUE[9..]));
    person.file("url", "postgres://ada:canary-51c0de-of%20a%20scan%2F%C3%A4@db\n");
    person.file(".gitignore", "ignored\n");
    person.file("ignored/x", VALUE);
    let (code, text) = person.scan(&["."]);
    assert_eq!(code, 1, "{text}");
    for line in [
        "./k8s/db.yaml:5: manifest of Secret \"db\" with a value for \"other\"",
        "./src/main.py:2: the value of Secret default/db[password] (plain)",
        "./b64:3: the value of Secret default/db[password] (base64)",
        "./hex:1: the value of Secret default/db[password] (hex)",
        "./wrapped:2: the value of Secret default/db[password] (base64)",
        "./folded:2: the value of Secret default/db[password] (plain)",
        "./url:1: the value of Secret default/db[password] (url-escaped)",
        "7 secrets found",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (code, text) = person.scan(&["src/main.py", "clean.yaml"]);
    assert!(code == 1 && text.contains("src/main.py:2:") && text.contains("1 secrets found"), "{text}");
    let (code, text) = person.scan(&["--manifests-only", "src"]);
    assert_eq!((code, text), (0, String::new()));
}

#[test]
fn what_is_sealed_or_encrypted_by_us_may_be_committed() {
    let person = Person::start();
    let export = |arguments: &[&str]| {
        let all: Vec<&str> = ["export", "db", "-o"].into_iter().chain(arguments.iter().copied()).collect();
        let (code, text) = person.command("strongroom", &all);
        assert_eq!(code, 0, "{text}");
    };
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    export(&["db.sops.yaml", "--format", "sops", "--age-recipient", recipient]);
    export(&["pod.yaml", "--format", "pod"]);
    assert_eq!(person.scan(&["."]), (0, String::new()));
    export(&["db.yaml"]);
    assert_eq!(person.scan(&["."]).0, 1);
}

#[test]
fn a_commit_with_a_secret_is_refused_by_the_hook_also_while_the_server_is_away() {
    let mut person = Person::start();
    let (code, text) = person.scan(&["--install-hook"]);
    assert!(code == 0 && text.contains("pre-commit is installed"), "{text}");
    person.file("ok.txt", "nothing\n");
    person.git(&["add", "-A"]);
    assert_eq!(person.git(&["commit", "-q", "-m", "one"]).0, 0);
    person.file("config/app.ini", &format!("[db]\npassword = {VALUE}\n"));
    person.git(&["add", "-A"]);
    // What is committed is what is staged, and not what lies there.
    person.file("config/app.ini", "[db]\n");
    let (code, text) = person.git(&["commit", "-q", "-m", "two"]);
    assert!(code != 0 && text.contains("config/app.ini:2: the value of Secret default/db[password] (plain)"), "{text}");
    assert_eq!(person.git(&["rev-list", "--count", "HEAD"]).1.trim(), "1");

    // Without the server, by what was known.
    assert_eq!(person.app.stop(), Some(0));
    let (code, text) = person.git(&["commit", "-q", "-m", "two"]);
    assert!(code != 0 && text.contains("only values that were known before are looked for"), "{text}");
    assert!(text.contains("config/app.ini:2: the value of"), "{text}");
    // What has expired is not used, and that is said.
    let cache = person.cache_file();
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    kept["expirationTimestamp"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&cache, kept.to_string()).unwrap();
    let (_, text) = person.git(&["commit", "-q", "-m", "two"]);
    assert!(text.contains("known values are not looked for") && text.contains("has expired"), "{text}");
}

#[test]
fn a_hook_of_somebody_else_is_left_alone_and_the_configured_folder_is_used() {
    let person = Person::start();
    person.git(&["config", "core.hooksPath", "hooks"]);
    person.file("hooks/pre-commit", "#!/bin/sh\nexit 0\n");
    let (code, text) = person.scan(&["--install-hook"]);
    assert!(code == 1 && text.contains("is there already"), "{text}");
    assert_eq!(person.scan(&["--install-hook", "--force"]).0, 0);
    let hook = std::fs::read_to_string(person.repository().join("hooks/pre-commit")).unwrap();
    assert!(hook.contains("exec strongroom scan --staged"), "{hook}");
    assert_eq!(person.scan(&["--install-hook"]).0, 0, "one's own is renewed");
}

#[test]
fn no_form_of_a_value_is_in_what_is_kept_and_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let person = Person::start();
    assert_eq!(person.scan(&["."]).0, 0);
    let folder = person.home.path().join("cache");
    let found = found_in_files(&[Canary::of("the value", VALUE.to_owned())], &folder);
    assert_eq!(found, Vec::<String>::new());
    let file = person.cache_file();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn fingerprints_are_of_what_the_caller_may_get_and_each_scanner_has_its_own() {
    let mut person = Person::start();
    let secret = json!({"metadata": {"name": "hidden"}, "stringData": {"k": "a value that is long enough"}});
    person.admin.json("POST", "/api/v1/namespaces/default/secrets", &secret).ok();
    let ask = |client: &mut Client, scanner: &str| client.json("POST", SCANS, &json!({"spec": {"scanner": scanner}}));
    let first = ask(&mut person.admin, "0123456789abcdef").ok().json();
    let again = ask(&mut person.admin, "0123456789abcdef").ok().json();
    let other = ask(&mut person.admin, "fedcba9876543210").ok().json();
    assert_eq!(first["status"]["fingerprints"], again["status"]["fingerprints"]);
    assert_ne!(first["status"]["key"], other["status"]["key"]);
    assert_ne!(first["status"]["fingerprints"][0]["mac"], other["status"]["fingerprints"][0]["mac"]);
    assert_eq!((&first["status"]["skippedSecrets"], &first["status"]["skippedValues"]), (&json!(0), &json!(1)));

    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rules = json!([
        {"verbs": ["create"], "apiGroups": ["strongroom.dev"], "resources": ["secretscans"]},
        {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"]},
    ]);
    person.admin.json("POST", &format!("{group}/roles"), &json!({"metadata": {"name": "s"}, "rules": rules})).ok();
    person.admin.json("POST", "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "s"}})).ok();
    let binding = json!({"metadata": {"name": "s"},
        "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "s"}});
    person.admin.json("POST", &format!("{group}/rolebindings"), &binding).ok();
    let token = person.admin.json("POST", "/api/v1/namespaces/default/serviceaccounts/s/token", &json!({})).ok().json();
    let mut scanner = person.admin.with_token(token["status"]["token"].as_str().unwrap());
    let answer = ask(&mut scanner, "0123456789abcdef").ok().json();
    let of: Vec<&str> = answer["status"]["fingerprints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["secret"].as_str().unwrap())
        .collect();
    assert!(!of.is_empty() && of.iter().all(|name| *name == "db"), "{of:?}");
    assert_eq!(answer["status"]["skippedSecrets"], 1);
    assert_ne!(answer["status"]["key"], first["status"]["key"], "nobody has the key of another user");
    for wrong in ["", "short", "not a name of letters"] {
        assert_eq!(ask(&mut person.admin, wrong).status, 422, "{wrong}");
    }
}

#[test]
fn what_is_told_confirms_no_part_of_a_value() {
    let mut person = Person::start();
    let ask = |client: &mut Client| {
        let answer = client.json("POST", SCANS, &json!({"spec": {"scanner": "0123456789abcdef"}})).ok().json();
        answer["status"]["fingerprints"].as_array().unwrap().clone()
    };
    let told = ask(&mut person.admin);
    // One for a value and none for its forms, of which the first characters stand for few bytes.
    assert_eq!(told.len(), 1, "{told:?}");
    let fields: Vec<&String> = told[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["secret", "key", "length", "window", "mac"]);
    assert!(told[0]["window"].as_u64().unwrap() < 1 << 20);
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUe\n-----END CERTIFICATE-----\n";
    let secret = json!({"metadata": {"name": "tls"}, "stringData": {"ca.crt": certificate, "key": "a".repeat(5000)}});
    person.admin.json("POST", "/api/v1/namespaces/default/secrets", &secret).ok();
    let told = ask(&mut person.admin);
    let of: Vec<(&str, u64)> =
        told.iter().map(|one| (one["key"].as_str().unwrap(), one["length"].as_u64().unwrap())).collect();
    assert_eq!(of, [("password", u64::try_from(VALUE.len()).unwrap()), ("key", 1024)]);
}

#[test]
fn a_hook_scans_with_the_options_it_was_installed_with_and_passes_over_submodules() {
    let mut person = Person::start();
    person.admin.json("POST", "/api/v1/namespaces", &json!({"metadata": {"name": "prod"}})).ok();
    let secret = json!({"metadata": {"name": "api"}, "stringData": {"token": "a token that is long enough"}});
    person.admin.json("POST", "/api/v1/namespaces/prod/secrets", &secret).ok();
    let home = person.app.home().to_str().unwrap().to_owned();
    assert_eq!(person.scan(&["--install-hook", "-n", "prod", "-n", "default", "--home", &home]).0, 0);
    let hook = std::fs::read_to_string(person.repository().join(".git/hooks/pre-commit")).unwrap();
    assert!(hook.contains(&format!("--staged --namespace prod --namespace default --home {home}\n")), "{hook}");

    let other = person.home.path().join("other");
    let other = other.to_str().unwrap();
    person.git(&["init", "-q", other]);
    let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    person.git(&[&["-C", other], &author[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat());
    let (code, text) = person.git(&["-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "sub"]);
    assert_eq!(code, 0, "{text}");
    std::os::unix::fs::symlink("/nowhere", person.repository().join("link")).unwrap();
    person.git(&["add", "-A"]);
    let (code, text) = person.git(&["commit", "-q", "-m", "one"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(person.scan(&[".", "-n", "prod"]), (0, String::new()));

    person.file("a\tb", "t: a token that is long enough\n");
    person.git(&["add", "-A"]);
    let (code, text) = person.git(&["commit", "-q", "-m", "two"]);
    assert!(code != 0 && text.contains("b:1: the value of Secret prod/api[token] (plain)"), "{text}");
    assert!(!text.contains('\t'), "{text}");
}

#[test]
fn values_of_every_namespace_are_looked_for_but_for_those_that_are_forbidden() {
    let mut person = Person::start();
    for name in ["prod", "hidden"] {
        namespace(&mut person.admin, name);
        let secret =
            json!({"metadata": {"name": "api"}, "stringData": {"token": format!("a token of {name}, long enough")}});
        person.admin.json("POST", &format!("/api/v1/namespaces/{name}/secrets"), &secret).ok();
    }
    person.file("all", &format!("{VALUE}\na token of prod, long enough\na token of hidden, long enough\n"));
    let (code, text) = person.scan(&["all", "-A"]);
    assert!(
        code == 1 && text.contains("3 secrets found") && text.contains("all:3: the value of Secret hidden/api"),
        "{text}"
    );
    // What was known of all of them is kept apart.
    let (_, text) = person.scan(&["all"]);
    assert!(text.contains("1 secrets found"), "{text}");

    let rules = [rule(&["create"], "strongroom.dev", &["secretscans"]), rule(&["get", "list"], "", &["secrets"])];
    role(&mut person.admin, "prod", "scanner", &rules);
    let scanner = service_account(&mut person.admin, "default", "scanner");
    bind(&mut person.admin, "prod", "scanner", "Role/scanner", "ServiceAccount/default/scanner");
    let file = |name: &str, content: &[u8]| {
        let path = person.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Another user, who is not to profit from what this one has asked for.
    std::fs::remove_dir_all(person.home.path().join("cache/strongroom-scan")).unwrap();
    let (token, ca) = (file("token", scanner.token().unwrap().as_bytes()), file("ca.crt", &person.app.ca_pem));
    let as_scanner = ["all", "-A", "--server", &person.app.url, "--ca-file", &ca, "--token-file", &token];
    let (code, text) = person.scan(&as_scanner);
    assert!(code == 0 && text.contains("known values are not looked for") && text.contains("namespaces"), "{text}");
    let (code, text) = person.scan(&[&as_scanner[..], &["--require-known"]].concat());
    assert!(code == 1 && text.contains("nothing is scanned"), "{text}");
    role(&mut person.admin, "", "lister", &[rule(&["list"], "", &["namespaces"])]);
    bind(&mut person.admin, "", "lister", "ClusterRole/lister", "ServiceAccount/default/scanner");
    let (code, text) = person.scan(&[&as_scanner[..], &["--require-known"]].concat());
    assert!(code == 1 && text.contains("1 secrets found") && text.contains("Secret prod/api[token]"), "{text}");
    let passed_over = "not looked for, for they may not be asked for: default, hidden";
    assert_eq!(text.lines().filter(|line| line.contains(passed_over)).count(), 1, "{text}");
}

#[test]
fn a_hook_that_must_know_refuses_a_commit_while_nothing_is_known() {
    let mut person = Person::start();
    let (code, text) = person.scan(&["--install-hook", "-A", "--require-known"]);
    assert_eq!(code, 0, "{text}");
    let hook = std::fs::read_to_string(person.repository().join(".git/hooks/pre-commit")).unwrap();
    assert!(hook.contains("--staged --all-namespaces --require-known\n"), "{hook}");
    person.file("ok.txt", "nothing\n");
    person.git(&["add", "-A"]);
    assert_eq!(person.git(&["commit", "-q", "-m", "one"]).0, 0);
    assert_eq!(person.app.stop(), Some(0));
    // What was known before counts.
    person.file("ok.txt", "still nothing\n");
    person.git(&["add", "-A"]);
    let (code, text) = person.git(&["commit", "-q", "-m", "two"]);
    assert!(code == 0 && text.contains("only values that were known before"), "{text}");
    std::fs::remove_file(person.cache_file()).unwrap();
    person.file("ok.txt", "nothing again\n");
    person.git(&["add", "-A"]);
    let (code, text) = person.git(&["commit", "-q", "-m", "three"]);
    assert!(code != 0 && text.contains("nothing is scanned, for the known values cannot be had"), "{text}");
}

#[test]
fn what_is_known_of_one_namespace_is_not_taken_for_another_and_nobody_else_may_have_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut person = Person::start();
    assert_eq!(person.scan(&["."]).0, 0);
    let cache = person.cache_file();
    assert_eq!(person.app.stop(), Some(0));
    let (_, text) = person.scan(&[".", "-n", "prod"]);
    assert!(text.contains("known values are not looked for"), "{text}");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, text) = person.scan(&["."]);
    assert!(text.contains("known values are not looked for") && text.contains("others"), "{text}");
}
