//! The command line against a real server: signing in and out, people, tokens, access, the audit log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::site::{SECRETS, Site, password_of, who};
use crate::support::clients;
use crate::support::kubectl;

const LIMIT: Duration = Duration::from_mins(2);
const NEW: &str = "a lantern for the second cellar";

/// Somebody at this machine: a home directory of their own.
struct Person {
    folder: TempDir,
    url: String,
    authority: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// It was not done; why.
    fn not_done(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        self.stderr
    }
}

impl Person {
    fn of(site: &Site) -> Self {
        let authority = site.app.home().join("tls/ca.crt");
        Self { folder: tempfile::tempdir().unwrap(), url: site.app.url.clone(), authority }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).current_dir(self.folder.path())
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.feed(arguments, "")
    }

    fn feed(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        ended(self.environment(&mut command).args(arguments), input)
    }

    fn kubectl(&self, program: &Path, arguments: &[&str]) -> Ended {
        let mut command = Command::new(program);
        ended(self.environment(&mut command).args(arguments), "")
    }

    /// At a terminal, where each question gets its answer. What the terminal showed; `None` without a Python to do it.
    fn type_at(&self, arguments: &[&str], answers: &[(&str, &str)]) -> Option<Ended> {
        let python = clients::find("STRONGROOM_TEST_PYTHON", &["python3"])?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identities/at_terminal.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg(env!("CARGO_BIN_EXE_strongroom")).args(arguments);
        Some(ended(self.environment(&mut command), &json!(answers).to_string()))
    }

    /// Options of `login` for the site.
    fn to_site(&self) -> [&str; 4] {
        ["--server", &self.url, "--ca-file", self.authority.to_str().unwrap()]
    }

    fn sign_in(&self, name: &str, password: &str) -> Ended {
        self.feed(&[&["login", name, "--password-stdin"], &self.to_site()[..]].concat(), &format!("{password}\n"))
    }

    /// Every file that the commands have left, with its mode and content.
    fn files(&self) -> Vec<(PathBuf, u32, String)> {
        let (mut folders, mut files) = (vec![self.folder.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                    let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                    files.push((path, mode, content));
                }
            }
        }
        files
    }
}

fn ended(command: &mut Command, input: &str) -> Ended {
    let output = clients::run(command, input.as_bytes(), LIMIT);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Whoever has the home is its administrator.
fn administrator(site: &Site, arguments: &[&str], input: &str) -> Ended {
    let home = site.app.home().to_str().unwrap();
    Person::of(site).feed(&[arguments, &["--home", home]].concat(), input)
}

fn site_of_ada() -> (Site, Person) {
    let mut site = Site::start(&["--client-certificates"]);
    let password = password_of("ada");
    let made = administrator(&site, &["user", "create", "ada", "--group", "dev", "--password-stdin"], &password);
    assert_eq!(made.done(), "user/ada created\n");
    let binding = json!({
        "metadata": {"name": "dev"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    site.admin.json("POST", bindings, &binding).ok();
    let secret = json!({"metadata": {"name": "db"}, "stringData": {"password": "planted"}});
    site.admin.json("POST", SECRETS, &secret).ok();
    let person = Person::of(&site);
    (site, person)
}

#[test]
fn somebody_signs_in_works_with_kubectl_and_signs_out() {
    let (site, ada) = site_of_ada();
    let printed = ada.sign_in("ada", &password_of("ada")).done();
    assert!(printed.starts_with(&format!("Signed in as ada at {}", site.app.url)), "{printed}");
    // Tokens lie in files of the user's own, not in the kubeconfig; the password nowhere.
    let kubeconfig = fs::read_to_string(ada.at(".kube/config")).unwrap();
    assert!(!kubeconfig.contains("token:") && kubeconfig.contains("exec"), "{kubeconfig}");
    for (path, mode, content) in ada.files() {
        assert_eq!(mode, 0o600, "{}", path.display());
        assert!(!content.contains("bridges"), "{}", path.display());
    }
    assert!(ada.files().iter().any(|(_, _, content)| content.contains("sr_rt_")));

    let printed = ada.run(&["whoami"]).done();
    assert!(printed.contains("ada") && printed.contains("[dev system:authenticated]"), "{printed}");
    let info: Value = serde_json::from_str(&ada.run(&["whoami", "-o", "json"]).done()).unwrap();
    assert_eq!(info["status"]["userInfo"]["username"], "ada");
    for kubectl in kubectl::all() {
        let program = clients::on_path(kubectl.program());
        let printed = ada.kubectl(&program, &["get", "secret", "db", "-o", "jsonpath={.data.password}"]).done();
        assert_eq!(printed, "cGxhbnRlZA==");
        assert!(ada.kubectl(&program, &["auth", "whoami"]).done().contains("ada"));
        let refused = ada.kubectl(&program, &["get", "secrets", "-n", "kube-system"]).not_done();
        assert!(refused.contains("User \"ada\" cannot list resource \"secrets\""), "{refused}");
    }
    let token = ada.run(&["token", "create", "default", "--duration", "10m"]).done();
    assert_eq!(who(&mut site.with_token(token.trim_end())), "system:serviceaccount:default:default");

    ada.run(&["logout"]).done();
    assert!(!ada.files().iter().any(|(_, _, content)| content.contains("sr_rt_")));
    let refused = ada.run(&["whoami"]).not_done();
    assert!(refused.contains("strongroom login"), "{refused}");
    for kubectl in kubectl::all() {
        let refused = ada.kubectl(&clients::on_path(kubectl.program()), &["get", "secrets"]).not_done();
        assert!(refused.contains("strongroom login ada"), "{refused}");
    }
}

#[test]
fn a_password_is_asked_for_at_the_terminal_and_never_shown() {
    let (site, ada) = site_of_ada();
    let login = [&["login", "ada"], &ada.to_site()[..]].concat();
    let without_terminal = ada.run(&login).not_done();
    assert!(without_terminal.contains("--password-stdin"), "{without_terminal}");
    let Some(refused) = ada.type_at(&login, &[("Password for ada", "not the one")]) else { return };
    assert!(refused.code == 1 && refused.stdout.contains("invalid credentials"), "{refused:?}");
    assert!(!refused.stdout.contains("not the one"), "{refused:?}");
    let shown = ada.type_at(&login, &[("Password for ada", &password_of("ada"))]).unwrap().done();
    assert!(shown.contains("Signed in as ada") && !shown.contains("bridges"), "{shown}");

    // One's own password: the old one, and twice the new one.
    let passwd = ["user", "passwd"];
    let old = password_of("ada");
    let differ = [("Your password", old.as_str()), ("New password", NEW), ("Again", "another thing entirely")];
    let differ = ada.type_at(&passwd, &differ).unwrap();
    assert!(differ.code == 1 && differ.stdout.contains("differ"), "{differ:?}");
    let other = Person::of(&site);
    other.sign_in("ada", &old).done();
    let same = [("Your password", old.as_str()), ("New password", NEW), ("Again", NEW)];
    let shown = ada.type_at(&passwd, &same).unwrap().done();
    assert!(!shown.contains("lantern") && !shown.contains("bridges"), "{shown}");
    let refused = other.run(&["whoami"]).not_done();
    assert!(!refused.is_empty(), "the other session has ended");
    assert!(ada.run(&["whoami"]).done().contains("ada"), "and this one goes on");
    ada.sign_in("ada", &old).not_done();
    ada.sign_in("ada", NEW).done();
}

#[test]
fn people_are_made_shut_out_let_in_and_deleted() {
    let (site, ada) = site_of_ada();
    ada.sign_in("ada", &password_of("ada")).done();
    let listed = administrator(&site, &["user", "list"], "").done();
    assert!(listed.lines().any(|line| line.starts_with("ada ") && line.contains("dev")), "{listed}");
    // Nobody but who may.
    let refused = ada.run(&["user", "create", "eve", "--no-password"]).not_done();
    assert!(refused.contains("forbidden") && refused.contains("User \"ada\""), "{refused}");

    administrator(&site, &["user", "disable", "ada"], "").done();
    ada.run(&["whoami"]).not_done();
    ada.sign_in("ada", &password_of("ada")).not_done();
    administrator(&site, &["user", "enable", "ada"], "").done();
    ada.sign_in("ada", &password_of("ada")).done();
    administrator(&site, &["user", "passwd", "ada", "--password-stdin"], NEW).done();
    ada.run(&["whoami"]).not_done();
    ada.sign_in("ada", NEW).done();
    let weak = administrator(&site, &["user", "passwd", "ada", "--password-stdin"], "abababababab").not_done();
    assert!(weak.contains("must not repeat a few characters") && !weak.contains("abab"), "{weak}");

    // A kubeconfig with a certificate, for a machine that has no strongroom.
    let file = ada.at("ada.kubeconfig");
    let shown = file.to_str().unwrap();
    administrator(&site, &["user", "certificate", "ada", "--out-kubeconfig", shown, "--expires", "1h"], "").done();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for kubectl in kubectl::all() {
        let program = clients::on_path(kubectl.program());
        assert!(ada.kubectl(&program, &["--kubeconfig", shown, "auth", "whoami"]).done().contains("ada"));
    }
    let taken = administrator(&site, &["user", "certificate", "ada", "--out-kubeconfig", shown], "").not_done();
    assert!(taken.contains("is there already"), "{taken}");

    administrator(&site, &["user", "delete", "ada"], "").done();
    ada.run(&["whoami"]).not_done();
    for kubectl in kubectl::all() {
        let program = clients::on_path(kubectl.program());
        assert_ne!(ada.kubectl(&program, &["--kubeconfig", shown, "auth", "whoami"]).code, 0);
    }
}

#[test]
fn access_is_explained_and_the_exit_code_says_whether_there_is_any() {
    let (site, ada) = site_of_ada();
    ada.sign_in("ada", &password_of("ada")).done();
    let explain = |arguments: &[&str]| administrator(&site, &[&["access", "explain"], arguments].concat(), "");
    let allowed = explain(&["--as", "ada", "--as-group", "dev", "get", "secrets/db", "-n", "default"]).done();
    assert!(allowed.starts_with("ada may get secrets/db") && allowed.contains("RoleBinding"), "{allowed}");
    let denied = explain(&["--as", "ada", "get", "secrets/db", "-n", "kube-system"]);
    assert_eq!(denied.code, 1, "{denied:?}");
    assert!(denied.stdout.starts_with("ada may not get secrets/db"), "{denied:?}");
    assert_eq!(ada.run(&["access", "explain", "list", "secrets", "-n", "kube-system"]).code, 1);

    let holders = administrator(&site, &["access", "who-can", "get", "secrets/db", "-n", "default"], "").done();
    assert!(holders.contains("Group dev") && holders.contains("system:masters"), "{holders}");
    let elsewhere = administrator(&site, &["access", "who-can", "get", "secrets/db", "-n", "kube-system"], "").done();
    assert!(!elsewhere.contains("Group dev"), "{elsewhere}");
    let unused = administrator(&site, &["access", "unused", "--since", "90d"], "").done();
    assert!(unused.contains("Group dev"), "{unused}");
}

#[test]
fn the_audit_log_is_searched_followed_and_verified() {
    let (mut site, ada) = site_of_ada();
    ada.sign_in("ada", &password_of("ada")).done();
    let kubectl = kubectl::all();
    let Some(kubectl) = kubectl.first() else { return };
    ada.kubectl(&clients::on_path(kubectl.program()), &["get", "secret", "db"]).done();
    ada.kubectl(&clients::on_path(kubectl.program()), &["get", "secret", "db", "-n", "kube-system"]).not_done();

    let query = |arguments: &[&str]| {
        let all = [&["audit", "query", "-o", "json"], arguments].concat();
        let list: Value = serde_json::from_str(&administrator(&site, &all, "").done()).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let read = query(&["--user", "ada", "--verb", "get", "--name", "db", "--decision", "allow"]);
    assert_eq!(read.len(), 1, "{read:#?}");
    let denied = query(&["--user", "ada", "--code", "403", "--resource", "secrets"]);
    assert_eq!((denied.len(), &denied[0]["objectRef"]["namespace"]), (1, &json!("kube-system")), "{denied:#?}");
    assert!(query(&["--user", "ada", "--until", "1h"]).is_empty());
    let table = administrator(&site, &["audit", "tail", "-n", "50"], "").done();
    assert!(table.lines().any(|line| line.contains("ada") && line.contains("secrets default/db")), "{table}");
    let refused = ada.run(&["audit", "query"]).not_done();
    assert!(refused.contains("forbidden"), "{refused}");

    // What follows is shown as it happens.
    let home = site.app.home().to_str().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    ada.environment(&mut command).args(["audit", "tail", "--follow", "-n", "1", "--home", &home]);
    let mut tail = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = clients::lines(tail.stdout.take().unwrap());
    let first = lines.recv_timeout(LIMIT).unwrap();
    assert!(first.starts_with("TIME"), "{first}");
    lines.recv_timeout(LIMIT).expect("what is there already");
    site.admin.json("POST", SECRETS, &json!({"metadata": {"name": "followed"}})).ok();
    let seen = (0..50).any(|_| lines.recv_timeout(LIMIT).unwrap().contains("default/followed"));
    assert!(seen);
    tail.kill().unwrap();
    tail.wait().unwrap();

    assert_eq!(site.app.stop(), Some(0));
    let verified = administrator(&site, &["audit", "verify"], "").done();
    assert!(verified.contains("everything that was looked at is as it was written"), "{verified}");
}

#[test]
fn exit_codes_tell_a_wrong_command_from_one_that_was_not_done() {
    let (site, ada) = site_of_ada();
    for wrong in [
        &["login", "--no-such-option"][..],
        &["user"],
        &["user", "create"],
        &["token", "create", "x", "--duration", "soon"],
        &["access", "unused", "--since", "yesterday"],
        &["audit", "query", "--decision", "perhaps"],
        &["login", "ada", "--server", "http://127.0.0.1:1"],
        &["whoami", "--server", &site.app.url],
    ] {
        assert_eq!(ada.run(wrong).code, 2, "{wrong:?}");
    }
    // Somebody whose server is not known sends nothing to it.
    let unknown = ada.feed(&["login", "ada", "--password-stdin", "--server", &site.app.url], "x\n").not_done();
    assert!(unknown.contains("nothing was sent to it"), "{unknown}");
    let foreign = Site::start(&[]);
    let authority = foreign.app.home().join("tls/ca.crt");
    let foreign = ["--server", &site.app.url, "--ca-file", authority.to_str().unwrap()];
    let refused = ada.feed(&[&["login", "ada", "--password-stdin"], &foreign[..]].concat(), "x\n").not_done();
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    assert!(ada.run(&["credential", "--server", &site.app.url, "--user", "ada", "--ca-sha256", "00"]).not_done().contains("kubectl"));
    ada.sign_in("nobody-there", "this is not a password").not_done();
    assert!(ada.run(&["logout"]).code != 0, "there is no session to end");
}
