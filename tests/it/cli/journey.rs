//! The commands against the real server: from the first user to the last line of the audit log.

use std::process::Stdio;

use serde_json::json;

use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::kubectl;
use crate::support::person::{Ended, Person};

const PASSWORD: &str = "a-staple-of-seven-horses";
const OTHER_PASSWORD: &str = "a-staple-of-eight-horses";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// A server, its administrator, and ada, who sits at another machine.
struct Place {
    app: App,
    admin: Person,
    ada: Person,
}

impl Place {
    fn new() -> Self {
        Self { app: App::start(), admin: Person::new(), ada: Person::new() }
    }

    /// With ada signed in.
    fn signed_in(groups: &[&str]) -> Self {
        let place = Self::new();
        let groups: Vec<&str> = groups.iter().flat_map(|group| ["--group", group]).collect();
        let line = [&["user", "create", "ada", "--password-stdin"], groups.as_slice()].concat();
        assert_eq!(place.admin(&line, PASSWORD).done(), "user/ada created\n");
        place.log_in(&place.ada, PASSWORD).done();
        place
    }

    fn admin(&self, arguments: &[&str], input: &str) -> Ended {
        let home = self.app.home().to_str().unwrap();
        self.admin.feed(&[arguments, &["--home", home]].concat(), input)
    }

    /// By the pin that the server's administrator has told.
    fn log_in(&self, person: &Person, password: &str) -> Ended {
        let pin = self.admin(&["admin", "ca-pin"], "").done();
        let line = ["login", "ada", "--server", &self.app.url, "--ca-pin", pin.trim(), "--password-stdin"];
        person.feed(&line, password)
    }

    fn explain(&self, arguments: &[&str]) -> Ended {
        self.admin(&[&["access", "explain"], arguments].concat(), "")
    }
}

#[test]
fn a_session_begins_is_used_by_kubectl_and_ends() {
    let place = Place::signed_in(&["dev"]);
    let review = place.ada.run(&["whoami", "-o", "json"]).json();
    assert_eq!(review["status"]["userInfo"]["username"], "ada");
    assert!(review["status"]["userInfo"]["groups"].as_array().unwrap().contains(&json!("dev")));
    for kubectl in kubectl::all() {
        let mut command =
            place.ada.program(kubectl.program(), &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
        assert_eq!(Ended::of(&mut command, "").done(), "ada");
    }
    assert!(place.ada.run(&["logout"]).done().contains("ada is signed out"));
    let error = place.ada.run(&["whoami"]).not_done();
    assert!(error.contains("there is no session"), "{error}");
    let error = place.log_in(&place.ada, "wrong-wrong-wrong-wrong").not_done();
    assert!(error.starts_with("Error from server (Unauthorized): invalid credentials"), "{error}");
}

#[test]
fn a_denial_leads_to_its_explanation_and_that_to_the_permission() {
    let place = Place::signed_in(&[]);
    for kubectl in kubectl::all() {
        let mut get = place.ada.program(kubectl.program(), &["get", "secret", "db"]);
        assert!(Ended::of(&mut get, "").stderr.contains("forbidden"));
    }
    let denied = place.explain(&["--as", "ada", "get", "secret/db"]);
    assert_eq!(denied.code, 1, "{}{}", denied.stdout, denied.stderr);
    assert!(denied.stdout.starts_with("ada may not get secrets/db in namespace default: "), "{}", denied.stdout);
    let manifest = denied.stdout.split("to allow it:\n\n").nth(1).unwrap();
    for kubectl in kubectl::all() {
        kubectl.feed(&place.app, &["apply", "-f", "-"], manifest).ok();
    }
    let allowed = place.explain(&["--as", "ada", "get", "secret/db"]).done();
    assert!(
        allowed.starts_with("ada may get secrets/db in namespace default: RBAC: allowed by RoleBinding"),
        "{allowed}"
    );
    let holders = place.admin(&["access", "who-can", "get", "secrets/db", "-o", "name"], "").done();
    assert!(holders.contains("User ada\n") && holders.contains("Group system:masters\n"), "{holders}");
    let unused = place.admin(&["access", "unused", "--since", "1d"], "").done();
    assert!(unused.contains("User ada") && unused.contains("requests since"), "{unused}");
    // Ada herself may now get it; listing users she may not, and is told where to ask.
    let error = place.ada.run(&["user", "list"]).not_done();
    assert!(error.starts_with("Error from server (Forbidden): users.strongroom.dev is forbidden"), "{error}");
    assert!(error.contains("strongroom access explain"), "{error}");
}

#[test]
fn users_are_listed_disabled_and_deleted() {
    let place = Place::signed_in(&["dev", "ops"]);
    let listed = place.admin(&["user", "list"], "").done();
    let row = listed.lines().find(|line| line.starts_with("ada ")).unwrap();
    assert!(row.contains("dev,ops") && row.contains("false") && row.contains(" old "), "{listed}");
    assert_eq!(place.admin(&["user", "disable", "ada"], "").done(), "user/ada disabled\n");
    let error = place.ada.run(&["whoami"]).not_done();
    assert!(error.contains("(Unauthorized)") && error.contains("strongroom login"), "{error}");
    place.log_in(&place.ada, PASSWORD).not_done();
    assert_eq!(place.admin(&["user", "enable", "ada"], "").done(), "user/ada enabled\n");
    place.log_in(&place.ada, PASSWORD).done();
    assert_eq!(place.admin(&["user", "delete", "ada"], "").done(), "user/ada deleted\n");
    place.log_in(&place.ada, PASSWORD).not_done();
    let error = place.admin(&["user", "passwd", "ada", "--password-stdin"], PASSWORD).not_done();
    assert!(error.starts_with("Error from server (NotFound)"), "{error}");
}

#[test]
fn a_password_is_changed_by_its_owner_and_by_the_administrator() {
    let place = Place::signed_in(&[]);
    let elsewhere = Person::new();
    place.log_in(&elsewhere, PASSWORD).done();
    let both = format!("{PASSWORD}\n{OTHER_PASSWORD}\n");
    let printed = place.ada.feed(&["user", "passwd", "--password-stdin"], &both).done();
    assert_eq!(printed, "Your password is set; your other sessions are ended.\n");
    assert_eq!(place.ada.run(&["whoami", "-o", "name"]).done(), "ada\n");
    elsewhere.run(&["whoami"]).not_done();
    place.log_in(&elsewhere, PASSWORD).not_done();
    place.log_in(&elsewhere, OTHER_PASSWORD).done();
    let refused = place.admin(&["user", "passwd", "ada", "--password-stdin"], "short").not_done();
    assert!(refused.contains("Error from server (Invalid)") && !refused.contains("short\""), "{refused}");
    place.admin(&["user", "passwd", "ada", "--password-stdin"], PASSWORD).done();
    place.log_in(&elsewhere, PASSWORD).done();
}

#[test]
fn a_certificate_signs_in_without_a_password() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--client-certificates"]);
    let place = Place { app, admin: Person::new(), ada: Person::new() };
    place.admin(&["user", "create", "ada", "--no-password"], "").done();
    let line = ["user", "certificate", "ada", "--expires", "12h", "--out-kubeconfig", "ada.config"];
    let printed = place.admin(&line, "").done();
    assert!(printed.contains("The certificate of ada, valid until "), "{printed}");
    let config = place.admin.at("ada.config");
    let config = config.to_str().unwrap();
    assert_eq!(place.ada.run(&["whoami", "-o", "name", "--kubeconfig", config]).done(), "ada\n");
    for kubectl in kubectl::all() {
        let line = ["--kubeconfig", config, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
        assert_eq!(Ended::of(&mut place.ada.program(kubectl.program(), &line), "").done(), "ada");
    }
}

#[test]
fn a_token_of_a_service_account_is_what_its_review_says() {
    let place = Place::new();
    Client::admin(&place.app)
        .json("POST", "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "app"}}))
        .ok();
    let token = place.admin(&["token", "create", "app", "--duration", "10m"], "").done();
    place.ada.file("token", &token);
    let ca = place.app.home().join("tls/ca.crt");
    let line = [
        "whoami",
        "-o",
        "name",
        "--server",
        &place.app.url,
        "--token-file",
        "token",
        "--ca-file",
        ca.to_str().unwrap(),
    ];
    assert_eq!(place.ada.run(&line).done(), "system:serviceaccount:default:app\n");
    // Replacing the keys leaves it valid; revoking them does not.
    place.admin(&["admin", "rotate-signing-keys"], "").done();
    place.ada.run(&line).done();
    place.admin(&["admin", "rotate-signing-keys", "--revoke"], "").done();
    let error = place.ada.run(&line).not_done();
    assert!(error.contains("(Unauthorized)"), "{error}");
}

#[test]
fn what_was_done_is_found_in_the_audit_log_as_it_happens() {
    let place = Place::signed_in(&[]);
    let home = place.app.home().to_str().unwrap();
    let mut tail = place.admin.command(&["audit", "tail", "-f", "-n", "1", "--home", home]);
    let mut tail = tail.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = clients::lines(tail.stdout.take().unwrap());
    let next = || lines.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
    assert!(next().starts_with("TIME"));
    next();
    Client::admin(&place.app).json("POST", SECRETS, &json!({"metadata": {"name": "followed"}})).ok();
    while !next().contains("secrets default/followed") {}
    let _ = tail.kill();
    let _ = tail.wait();

    place.ada.run(&["user", "list"]).not_done();
    let found = |arguments: &[&str]| {
        let answer = place.admin(&[&["audit", "query", "-o", "json"], arguments].concat(), "").json();
        answer["items"].as_array().unwrap().clone()
    };
    let created = found(&["--verb", "create", "--resource", "secrets", "-n", "default", "--name", "followed"]);
    assert_eq!((created.len(), &created[0]["user"]["username"]), (1, &json!("admin")));
    let forbidden = found(&["--user", "ada", "--decision", "forbid", "--code", "4xx", "--since", "1h"]);
    assert!(forbidden.iter().all(|event| event["responseStatus"]["code"] == 403) && !forbidden.is_empty());
    assert!(found(&["--until", "1969-01-01T00:00:00Z"]).is_empty());
    let table = place.admin(&["audit", "query", "--user", "ada", "--limit", "1"], "").done();
    assert_eq!(table.lines().count(), 2, "{table}");
    assert_eq!(found(&["--resource", "users.strongroom.dev", "--limit", "2"]).len(), 2);
}
