//! Who comes by the Unix socket: its owner is the administrator, everybody else is who their token says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::site::{Site, WHO_AM_I};
use crate::support::clients;

const NOBODY: &str = "65534";

/// A folder that others may pass through, and a server with its socket in it.
fn start() -> (TempDir, PathBuf, Site) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("api.sock");
    let mut site = Site::start(&["--listen-unix", socket.to_str().unwrap(), "--listen-unix-mode", "0666"]);
    site.add_person("ada");
    (folder, socket, site)
}

/// Who curl is to the server, as `uid` if one is given and with a token if one is given: user name, or code.
fn who(socket: &Path, uid: Option<&str>, header: Option<&str>) -> String {
    let mut command = match uid {
        None => Command::new("curl"),
        Some(uid) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "curl"]);
            command
        }
    };
    command.args(["-sS", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-d", "{}", "--unix-socket"]);
    command.arg(socket).args(["-H", "@-"]).arg(format!("http://strongroom{WHO_AM_I}")).stdin(Stdio::piped());
    let input = header.map(|header| format!("{header}\n")).unwrap_or_default();
    let output = clients::run(&mut command, input.as_bytes(), std::time::Duration::from_mins(1));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    if code != "201" {
        return code.to_owned();
    }
    let body: Value = serde_json::from_str(body).unwrap();
    body["status"]["userInfo"]["username"].as_str().unwrap().to_owned()
}

#[test]
fn the_owner_of_the_server_is_the_administrator_unless_a_token_says_otherwise() {
    let (_folder, socket, mut site) = start();
    assert_eq!(who(&socket, None, None), "admin");
    let ada = format!("Authorization: Bearer {}", site.sign_in("ada").access);
    assert_eq!(who(&socket, None, Some(&ada)), "ada");
    assert_eq!(who(&socket, None, Some("Authorization: Bearer x")), "401", "a bad token is not made good");
    assert_eq!(who(&socket, None, Some("Impersonate-User: bob")), "bob");
    site.disable("ada", true);
    assert_eq!(who(&socket, None, Some(&ada)), "401");
    // The record says by which way.
    let found = site.admin.get("/strongroom/v1/audit?user=admin&verb=create&resource=selfsubjectreviews").ok().json();
    let from: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|event| &event["sourceIPs"]).collect();
    let uid = rustix::process::geteuid().as_raw();
    assert!(from.contains(&&json!([format!("unix:{uid}")])), "{from:?}");
}

#[test]
fn another_user_of_the_machine_is_anonymous_unless_a_token_says_otherwise() {
    if !rustix::process::geteuid().is_root() {
        return clients::missing("becoming another user takes root");
    }
    let (_folder, socket, site) = start();
    assert_eq!(who(&socket, Some(NOBODY), None), "403");
    assert_eq!(who(&socket, Some("1234"), None), "403");
    let ada = format!("Authorization: Bearer {}", site.sign_in("ada").access);
    assert_eq!(who(&socket, Some(NOBODY), Some(&ada)), "ada");
    let admin = format!("Authorization: Bearer {}", site.app.token);
    assert_eq!(who(&socket, Some(NOBODY), Some(&admin)), "admin");
    assert_eq!(who(&socket, Some(NOBODY), Some("Impersonate-User: admin")), "403");
}
