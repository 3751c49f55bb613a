//! The command line where a person types: passwords are asked for and not shown, and nothing of them is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use super::site::{SECRETS, Site, password_of};
use crate::support::clients;
use crate::support::kubectl;
use crate::support::person::{Ended, Person};

const NEW: &str = "a lantern for the second cellar";

/// Ada, and the options by which she finds the site.
struct Place {
    site: Site,
    ada: Person,
    authority: String,
}

impl Place {
    fn new() -> Self {
        let mut site = Site::start(&[]);
        site.add_person("ada");
        let authority = site.app.home().join("tls/ca.crt").to_str().unwrap().to_owned();
        Self { site, ada: Person::new(), authority }
    }

    fn login(&self) -> Vec<&str> {
        vec!["login", "ada", "--server", &self.site.app.url, "--ca-file", &self.authority]
    }

    fn sign_in(&self, person: &Person, password: &str) -> Ended {
        person.feed(&[self.login().as_slice(), &["--password-stdin"]].concat(), password)
    }
}

/// Every file that the commands have left, with its mode and content.
fn files(person: &Person) -> Vec<(PathBuf, u32, String)> {
    let (mut folders, mut files) = (vec![person.home().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            files.push((path, mode, content));
        }
    }
    files
}

#[test]
fn a_password_is_asked_for_at_the_terminal_and_neither_shown_nor_kept() {
    let place = Place::new();
    let Place { site, ada, .. } = &place;
    let without_terminal = ada.run(&place.login()).not_done();
    assert!(without_terminal.contains("--password-stdin"), "{without_terminal}");
    let Some(refused) = ada.type_at(&place.login(), &[("Password for ada", "not the one")]) else { return };
    assert!(refused.code == 1 && refused.stdout.contains("invalid credentials"), "{}", refused.stdout);
    assert!(!refused.stdout.contains("not the one"), "{}", refused.stdout);
    assert!(files(ada).iter().all(|(_, _, content)| !content.contains("sr_rt_")));

    let old = password_of("ada");
    let shown = ada.type_at(&place.login(), &[("Password for ada", &old)]).unwrap().done();
    assert!(shown.contains("Signed in as ada") && !shown.contains("bridges"), "{shown}");
    for (path, mode, content) in files(ada) {
        assert_eq!(mode, 0o600, "{}", path.display());
        assert!(!content.contains("bridges"), "{}", path.display());
        assert!(!path.starts_with(ada.at(".kube")) || !content.contains("sr_rt_"), "{}", path.display());
    }
    let edit = json!({
        "metadata": {"name": "ada"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let mut admin = site.admin.another();
    admin.json("POST", bindings, &edit).ok();
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "db"}, "data": {"k": "dg=="}})).ok();
    for kubectl in kubectl::all() {
        let program = clients::on_path(kubectl.program());
        let mut get = ada.program(&program, &["get", "secret", "db", "-o", "jsonpath={.data.k}"]);
        assert_eq!(Ended::of(&mut get, "").done(), "dg==");
    }
}

#[test]
fn ones_own_password_is_asked_for_once_and_the_new_one_twice() {
    let place = Place::new();
    let (ada, elsewhere, old) = (&place.ada, Person::new(), password_of("ada"));
    for person in [ada, &elsewhere] {
        place.sign_in(person, &old).done();
    }
    let passwd = ["user", "passwd"];
    let differ = [("Your password", old.as_str()), ("New password", NEW), ("Again", "another thing entirely")];
    let Some(differ) = ada.type_at(&passwd, &differ) else { return };
    assert!(differ.code == 1 && differ.stdout.contains("differ"), "{}", differ.stdout);
    elsewhere.run(&["whoami"]).done();
    let wrong = [("Your password", "not the old one"), ("New password", NEW), ("Again", NEW)];
    let wrong = ada.type_at(&passwd, &wrong).unwrap();
    assert!(wrong.code == 1 && wrong.stdout.contains("invalid credentials"), "{}", wrong.stdout);

    let right = [("Your password", old.as_str()), ("New password", NEW), ("Again", NEW)];
    let shown = ada.type_at(&passwd, &right).unwrap().done();
    assert!(!shown.contains("lantern") && !shown.contains("bridges"), "{shown}");
    elsewhere.run(&["whoami"]).not_done();
    assert!(ada.run(&["whoami"]).done().contains("ada"), "this session goes on");
    place.sign_in(&elsewhere, &old).not_done();
    place.sign_in(&elsewhere, NEW).done();
}

#[test]
fn a_command_that_is_wrong_is_told_from_one_that_was_not_done() {
    let place = Place::new();
    let Place { site, ada, .. } = &place;
    for wrong in [
        &["login", "--no-such-option"][..],
        &["user"],
        &["user", "create"],
        &["token", "create", "x", "--duration", "soon"],
        &["access", "unused", "--since", "yesterday"],
        &["audit", "query", "--decision", "perhaps"],
        &["login", "ada", "--server", "http://127.0.0.1:1"],
        &["whoami", "--server", &site.app.url],
        &["serve", "--argon2-memory", "18"],
        &["serve", "--issuer", "http://vault.example.com"],
    ] {
        let ended = ada.run(wrong);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{wrong:?}: {}", ended.stderr);
    }
    // A server that is not known, or is another than it should be, is sent nothing.
    let unknown = ada.feed(&["login", "ada", "--password-stdin", "--server", &site.app.url], "x\n").not_done();
    assert!(unknown.contains("nothing was sent to it"), "{unknown}");
    let another = Site::start(&[]);
    let authority = another.app.home().join("tls/ca.crt").to_str().unwrap().to_owned();
    let line = ["login", "ada", "--password-stdin", "--server", &site.app.url, "--ca-file", &authority];
    let refused = ada.feed(&line, &password_of("ada")).not_done();
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    place.sign_in(ada, "this is not the password").not_done();
}

#[test]
fn the_audit_log_of_all_this_verifies() {
    let mut place = Place::new();
    place.sign_in(&place.ada, &password_of("ada")).done();
    place.sign_in(&place.ada, "this is not the password").not_done();
    place.ada.run(&["whoami"]).done();
    place.ada.run(&["logout"]).done();
    let home = place.site.app.home().to_str().unwrap().to_owned();
    assert_eq!(place.site.app.stop(), Some(0));
    let verified = place.ada.run(&["audit", "verify", "--home", &home]).done();
    assert!(verified.contains("everything that was looked at is as it was written"), "{verified}");
}
