//! Foreign entries, permissions, links and locks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What other programs wrote: every kind of field, an unknown one among them.
const FOREIGN: &str = "apiVersion: v1
kind: Config
current-context: kind
preferences: {colors: true}
x-unknown: {a: [1, 2.5, yes, ~]}
clusters:
- name: kind
  cluster:
    server: https://127.0.0.1:6443
    certificate-authority-data: AAAA
    proxy-url: http://proxy:1
    extensions: [{name: e, extension: {last-update: 2026-01-02}}]
contexts:
- name: kind
  context: {cluster: kind, user: kind, namespace: 'on'}
users:
- name: kind
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, args: ['1', \"null\"], env: ~}
- name: basic
  user: {username: u, password: '0123'}
";

fn entry(user: &str, context: Option<&str>) -> Entry {
    Entry {
        authority: "h:1".into(),
        server: "https://h:1".into(),
        trust: Some("PEM".into()),
        user: user.into(),
        credential: Document::new(json!({"token": "sr_x"})),
        context: context.map(str::to_owned),
    }
}

fn parsed(text: &str) -> Value {
    codec::yaml::parse(text.as_bytes()).unwrap().value
}

fn load(path: &Path) -> Value {
    parsed(&fs::read_to_string(path).unwrap())
}

#[test]
fn foreign_entries_keep_their_meaning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, FOREIGN).unwrap();
    change(&path, |config| set(config, &entry("ada", None))).unwrap();
    let (before, after) = (parsed(FOREIGN), load(&path));
    for key in ["apiVersion", "kind", "preferences", "x-unknown"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    for list in ["clusters", "contexts", "users"] {
        let foreign = before[list].as_array().unwrap();
        assert_eq!(&after[list].as_array().unwrap()[..foreign.len()], foreign, "{list}");
        assert_eq!(after[list].as_array().unwrap().len(), foreign.len() + 1);
    }
    assert_eq!(after["current-context"], "ada@h:1");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no lock and no leftover");
}

#[test]
fn a_new_file_holds_what_kubectl_needs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/config");
    change(&path, |config| set(config, &entry("ada", Some("prod")))).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: UEVN\n    server: https://h:1\n  \
         name: strongroom-h:1\ncontexts:\n- context:\n    cluster: strongroom-h:1\n    user: strongroom-ada@h:1\n  \
         name: prod\ncurrent-context: prod\nkind: Config\npreferences: {}\nusers:\n- name: strongroom-ada@h:1\n  \
         user:\n    token: sr_x\n"
    );
    assert_eq!(only(&entry("ada", Some("prod"))).unwrap().as_slice(), fs::read(&path).unwrap());
}

#[test]
fn signing_in_again_replaces_the_entry_and_keeps_the_namespace() {
    let mut config = json!({});
    set(&mut config, &entry("ada", None)).unwrap();
    config["contexts"][0]["context"]["namespace"] = "prod".into();
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = true.into();
    set(&mut config, &Entry { trust: Some("other".into()), ..entry("ada", None) }).unwrap();
    assert_eq!(config["contexts"][0]["context"]["namespace"], "prod");
    let cluster = &config["clusters"][0]["cluster"];
    assert_eq!(*cluster, json!({"certificate-authority-data": base64(b"other"), "server": "https://h:1"}));
    for list in ["clusters", "contexts", "users"] {
        assert_eq!(config[list].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_context_of_somebody_else_is_not_taken() {
    let mut config = parsed(FOREIGN);
    let error = set(&mut config, &entry("ada", Some("kind"))).unwrap_err();
    assert!(error.contains("leads to kind") && error.contains("--context"), "{error}");
    assert_eq!(config, parsed(FOREIGN), "nothing was changed");
}

#[test]
fn empty_lists_and_files_are_begun() {
    let mut config = json!({"clusters": null, "contexts": null, "users": null});
    set(&mut config, &entry("ada", None)).unwrap();
    assert_eq!(config["users"].as_array().unwrap().len(), 1);
    for (text, problem) in [("- a\n", "no kubeconfig"), ("a: [", "cannot be read"), ("users: x\n", "no list")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, text).unwrap();
        let error = change(&path, |config| set(config, &entry("ada", None))).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "what cannot be read stays as it is");
    }
}

#[test]
fn an_error_quotes_nothing_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, "users:\n- name: a\n  user: {token: hunter2-hunter2\n").unwrap();
    let error = change(&path, |_| Ok(())).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_link_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("dotfiles"), directory.path().join("config"));
    fs::write(&real, FOREIGN).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    change(&link, |config| set(config, &entry("ada", None))).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(load(&real)["current-context"], "ada@h:1");
}

#[test]
fn changes_at_the_same_time_are_all_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || change(path, |config| set(config, &entry(&format!("u{number}"), None))).unwrap());
        }
    });
    assert_eq!(load(&path)["users"].as_array().unwrap().len(), 8);
}

#[test]
fn our_context_is_found_and_a_foreign_one_is_not() {
    let mut config = parsed(FOREIGN);
    assert!(find(&config, None).is_none());
    let exec = json!({"exec": {"args": ["credential", "--user", "ada"]}});
    set(&mut config, &Entry { credential: Document::new(exec), ..entry("ada", None) }).unwrap();
    let found = find(&config, None).unwrap();
    assert_eq!((found.trust.as_str(), found.context.as_str()), ("UEVN", "ada@h:1"));
    assert_eq!(found.exec_arguments, ["credential", "--user", "ada"]);
    assert_eq!(known_trust(&config, "h:1"), Some("UEVN"));
    assert!(find(&config, Some("kind")).is_none() && find(&config, Some("nope")).is_none());
    assert!(known_trust(&config, "h:2").is_none());
}

#[test]
fn a_token_is_replaced_and_taken_out_in_our_entry_only() {
    let mut config = parsed(FOREIGN);
    set(&mut config, &entry("ada", None)).unwrap();
    set_token(&mut config, "kind", None).unwrap();
    assert_eq!(config["users"][0], parsed(FOREIGN)["users"][0]);
    set_token(&mut config, "ada@h:1", Some("sr_y")).unwrap();
    assert_eq!(named(&config, "users", "strongroom-ada@h:1").unwrap()["user"], json!({"token": "sr_y"}));
    set_token(&mut config, "ada@h:1", None).unwrap();
    assert_eq!(named(&config, "users", "strongroom-ada@h:1").unwrap()["user"], json!({}));
}

#[test]
fn the_file_to_change_is_the_first_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("b"), "").unwrap();
    assert_eq!(file_to_change(&[at("a"), at("b"), at("c")]), Some(&at("b")));
    assert_eq!(file_to_change(&[at("a"), at("c")]), Some(&at("c")));
    assert_eq!(file_to_change(&[]), None);
}
