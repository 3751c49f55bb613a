//! `strongroom kms`: rotation and report, and the plugin as a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Lender;
use crate::support::actors::{bind, role, rule, token_of};
use crate::support::clients::{eventually, run, wait};
use crate::support::kms::Plugin;

const LIMIT: Duration = Duration::from_secs(30);

/// What a command printed, and its exit code.
pub(super) fn strongroom(arguments: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let output = run(command.args(arguments).env_clear(), b"", LIMIT);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (text, output.status.code().unwrap())
}

/// A process that is killed when it is let go.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_is_rotated_reported_and_its_terms_are_retired_by_command() {
    let mut lender = Lender::start();
    let home = lender.app.home().display().to_string();
    let mut plugin = lender.plugin();
    let first = plugin.encrypt(b"seed").unwrap().key_id;
    let (printed, code) = strongroom(&["kms", "rotate", "etcd", "--home", &home]);
    assert!(code == 0 && printed.contains(":2:") && printed.contains(" from now on"), "{code} {printed}");
    lender.until_terms(|terms| terms[0]["encryptions"] == 1);
    let (printed, code) = strongroom(&["kms", "report", "etcd", "--home", &home]);
    assert_eq!(code, 0, "{printed}");
    let rows: Vec<Vec<&str>> = printed
        .lines()
        .take(3)
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["KEY ID", "STATE", "CREATED", "ENCRYPTIONS", "DECRYPTIONS", "SEEN", "RETIRE"]);
    assert_eq!(
        (rows[1][0], rows[1][1], rows[1][3], rows[1][6]),
        (first.as_str(), "DecryptOnly", "1", "no: in use within 49 h")
    );
    assert_eq!((rows[2][1], rows[2][5], rows[2][6]), ("Current", "never", "no: it encrypts"));
    let (printed, code) = strongroom(&["kms", "retire", "etcd", &first, "--home", &home]);
    assert!(code == 1 && printed.contains("not long enough ago"), "{code} {printed}");
    let (printed, code) = strongroom(&["kms", "report", "none", "--home", &home]);
    assert!(code == 1 && printed.contains("not found"), "{code} {printed}");
}

#[test]
fn what_is_printed_for_an_api_server_is_checked_first() {
    let (printed, code) = strongroom(&[
        "kms",
        "config",
        "--socket",
        "/run/kms.sock",
        "--resource",
        "secrets",
        "--resource",
        "configmaps",
    ]);
    assert_eq!(code, 0);
    for part in [
        "#   --encryption-provider-config=/etc/kubernetes/encryption.yaml\n",
        "#   --encryption-provider-config-automatic-reload=true\n",
        "#   kubectl get configmaps --all-namespaces -o json | kubectl replace -f -\n",
        "kind: EncryptionConfiguration\n",
        "endpoint: unix:///run/kms.sock\n",
        "name: strongroom\n",
    ] {
        assert!(printed.contains(part), "{part} is not in\n{printed}");
    }
    assert!(printed.find("kms:").unwrap() < printed.find("identity:").unwrap());
    for wrong in [["--name", "A:b"].as_slice(), &["--resource", "secrets,"], &["--resource", "Secrets"]] {
        assert_eq!(strongroom(&[&["kms", "config", "--socket", "/run/kms.sock"], wrong].concat()).1, 2);
    }
    for wrong in ["/run/a b", "/run/a%20b", "/run/a#b", "/run/a?b", "/run/\u{e4}"] {
        let (printed, code) = strongroom(&["kms", "config", "--socket", wrong]);
        assert!(code == 2 && printed.contains("--socket"), "{wrong}: {code} {printed}");
    }
    let (printed, code) = strongroom(&["kms", "serve", "--socket", "/run/kms.sock", "--key", ""]);
    assert!(code == 2 && printed.contains("--key"), "{code} {printed}");
    assert_eq!(strongroom(&["kms", "check"]).1, 2);
    assert_eq!(strongroom(&["kms", "check", "--etcd", "http://example.com:2379"]).1, 2);
    let (printed, code) = strongroom(&["kms", "check", "--snapshot", env!("CARGO_BIN_EXE_strongroom")]);
    assert!(code == 1 && printed.contains("it is no bbolt file"), "{printed}");
}

fn start_plugin(lender: &Lender, socket: &Path, token: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let authority = lender.folder.path().join("authority.pem");
    std::fs::write(&authority, &lender.app.ca_pem).unwrap();
    command.args(["kms", "serve", "--key", "etcd", "--server", &lender.app.url, "--socket"]).arg(socket);
    command.arg("--ca-file").arg(authority).arg("--token-file").arg(token).env_clear();
    let log = std::fs::File::create(lender.folder.path().join("plugin.log")).unwrap();
    Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

#[test]
fn a_plugin_somewhere_else_encrypts_as_its_account_and_outlives_the_server() {
    let mut lender = Lender::start();
    let (socket, token) = (lender.folder.path().join("other.sock"), lender.folder.path().join("token"));
    let account = token_of(&mut lender.admin, "lent", "kms");
    std::fs::write(&token, account.token().unwrap()).unwrap();
    let mut process = start_plugin(&lender, &socket, &token);
    let mut plugin = eventually(LIMIT, || Plugin::connect(&socket)).expect("the plugin answers");
    let status = plugin.status();
    assert_eq!(status.healthz, "ok");
    let made = plugin.encrypt(b"seed").unwrap();
    assert_eq!(made.key_id, status.key_id);
    assert_eq!(plugin.decrypt(&made.ciphertext, &made.key_id).unwrap(), b"seed");
    // One of them opens what the other one has made.
    assert_eq!(lender.plugin().decrypt(&made.ciphertext, &made.key_id).unwrap(), b"seed");
    assert_eq!(plugin.decrypt(&made.ciphertext[1..], &made.key_id).unwrap_err().code, 3);
    assert_eq!(plugin.decrypt(&made.ciphertext, "sr1:x:1").unwrap_err().code, 3);
    assert_eq!(lender.rotate(), plugin.status().key_id);

    // The server goes and comes back where it was: the plugin says so, and goes on by itself.
    let Lender { app, folder: _folder, .. } = lender;
    let address = app.url.strip_prefix("https://").unwrap().to_owned();
    let home = app.kill();
    assert_eq!(plugin.encrypt(b"seed").unwrap_err().code, 14);
    assert_ne!(plugin.status().healthz, "ok");
    let app = crate::support::app::App::start_at(home, &address, &[]);
    let mut admin = crate::support::http::Client::admin(&app);
    let back = eventually(LIMIT, || (plugin.status().healthz == "ok").then_some(()));
    back.unwrap_or_else(|| panic!("{:?}", plugin.status()));
    assert_eq!(plugin.decrypt(&made.ciphertext, &made.key_id).unwrap(), b"seed");

    // Its rights are its account's.
    admin.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kms").ok();
    assert_eq!(plugin.encrypt(b"seed").unwrap_err().code, 7);
    assert!(plugin.status().healthz.contains("kmskeys"), "{:?}", plugin.status());
    bind(&mut admin, "", "kms", "ClusterRole/system:strongroom:kms-plugin", "ServiceAccount/lent/kms");
    plugin.encrypt(b"seed").unwrap();

    // Reading the key is not using it, and using it takes the right to ask for that.
    admin.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kms").ok();
    role(&mut admin, "", "reads", &[rule(&["get"], "strongroom.dev", &["kmskeys"])]);
    bind(&mut admin, "", "reads", "ClusterRole/reads", "ServiceAccount/lent/kms");
    assert_eq!(plugin.encrypt(b"seed").unwrap_err().code, 7);
    assert!(plugin.status().healthz.contains("cannot encrypt resource \"kmskeys\""), "{:?}", plugin.status());
    role(&mut admin, "", "uses", &[rule(&["encrypt", "decrypt"], "strongroom.dev", &["kmskeys"])]);
    bind(&mut admin, "", "uses", "ClusterRole/uses", "ServiceAccount/lent/kms");
    assert!(plugin.status().healthz.contains("cannot create resource \"kmskeys/encrypt\""), "{:?}", plugin.status());
    bind(&mut admin, "", "kms", "ClusterRole/system:strongroom:kms-plugin", "ServiceAccount/lent/kms");
    assert_eq!(plugin.status().healthz, "ok");

    let pid = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(wait(&mut process.0, LIMIT).unwrap().code(), Some(0));
    assert!(!socket.exists());
}
