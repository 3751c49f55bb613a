//! What commands ask a server for, how its refusals are shown, and where the connection comes from.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::clients;
use crate::support::person::{Ended, Person};
use crate::support::played::{Answer, Asked, Played};

const USERS: &str = "/apis/strongroom.dev/v1alpha1/users";

struct Place {
    person: Person,
    server: Played,
}

impl Place {
    fn new(handler: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let server = Played::start(handler);
        let person = Person::new();
        person.file("ca.crt", &server.authority);
        person.file("token", "sr_token\n");
        Self { person, server }
    }

    /// With the same answer to everything.
    fn answering(code: u16, body: &Value) -> Self {
        let body = body.clone();
        Self::new(move |_| Some(Answer::json(code, &body)))
    }

    /// The connection comes from variables.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.person.command(arguments);
        command.env("STRONGROOM_SERVER", self.server.url());
        command.env("STRONGROOM_CA_FILE", self.person.at("ca.crt"));
        command.env("STRONGROOM_TOKEN_FILE", self.person.at("token"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.feed(arguments, "")
    }

    fn feed(&self, arguments: &[&str], input: &str) -> Ended {
        Ended::of(&mut self.command(arguments), input)
    }

    /// The one request that was sent.
    fn asked(&self) -> Asked {
        let mut asked = self.server.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let asked = asked.remove(0);
        assert_eq!(asked.authorization.as_deref(), Some("Bearer sr_token"));
        asked
    }
}

fn refused(code: u16, reason: &'static str, message: &'static str) -> Place {
    Place::new(move |_| Some(Answer::refusal(code, reason, message)))
}

#[test]
fn a_refusal_is_shown_as_kubectl_shows_it_with_what_to_do_next() {
    let place = Place::answering(
        403,
        &json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "users.strongroom.dev is forbidden: User \"ada\" cannot list resource \"users\"",
            "details": {"causes": [{"reason": "AccessHint", "message": "`strongroom access explain list users` shows more"}]}}),
    );
    assert_eq!(
        place.run(&["user", "list"]).not_done(),
        "Error from server (Forbidden): users.strongroom.dev is forbidden: User \"ada\" cannot list resource \
         \"users\"\n`strongroom access explain list users` shows more\n"
    );
    let error = refused(401, "Unauthorized", "Unauthorized").run(&["whoami"]).not_done();
    assert!(error.starts_with("Error from server (Unauthorized): Unauthorized\nSign in with `strongroom login"));
    let place = Place::new(|_| Some(Answer::refusal(429, "TooManyRequests", "busy").with("retry-after", "7")));
    let error = place.run(&["whoami"]).not_done();
    assert!(error.ends_with("busy\nTry again in 7 s.\n"), "{error}");
    assert_eq!(place.server.asked().len(), 1, "a request is not sent again by itself");
}

#[test]
fn a_server_that_is_none_of_ours_is_named_with_where_it_was_taken_from() {
    let place = Place::new(|_| None);
    let error = place.run(&["user", "list"]).not_done();
    let hint =
        format!("Is {} a Strongroom server? It was taken from --server or STRONGROOM_SERVER.", place.server.url());
    assert!(error.contains(&hint), "{error}");
    let error = place.person.run(&["user", "list"]).not_done();
    assert!(error.contains("there is no server to ask: sign in with `strongroom login`"), "{error}");
    let away = place.person.run(&["whoami", "--server", "https://127.0.0.1:1", "--token-file", "token"]).not_done();
    assert!(away.starts_with("strongroom: https://127.0.0.1:1: Connection refused"), "{away}");
    assert!(away.contains("does the server run there?"), "{away}");
    let token = place.person.run(&["whoami", "--server", "https://127.0.0.1:1"]);
    assert_eq!(token.code, 2);
    assert!(token.stderr.contains("--token-file: is needed"), "{}", token.stderr);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let place = Place::answering(200, &json!({}));
    place.person.file("ca.crt", &Played::start(|_| None).authority);
    let error = place.run(&["whoami"]).not_done();
    assert!(error.contains("is not of the authority that is trusted for it"), "{error}");
    assert!(place.server.asked().is_empty());
}

#[test]
fn a_kubeconfig_leads_to_the_server_and_comes_before_the_home() {
    let place = Place::answering(201, &json!({"status": {"userInfo": {"username": "ada"}}}));
    let config = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: {}\n    \
         certificate-authority: ca.crt\ncontexts:\n- name: x\n  context: {{cluster: c, user: u}}\n\
         users:\n- name: u\n  user: {{tokenFile: token}}\n",
        place.server.url()
    );
    let without_context = place.person.file("none", &config);
    let config = place.person.file("config", &format!("{config}current-context: x\n"));
    let name = |arguments: &[&str]| place.person.run(&[&["whoami", "-o", "name"], arguments].concat());
    assert_eq!(name(&["--kubeconfig", &config]).done(), "ada\n");
    assert_eq!(name(&["--kubeconfig", &without_context, "--context", "x"]).done(), "ada\n");
    let error = name(&["--kubeconfig", &without_context]).not_done();
    assert!(error.contains("no current context"), "{error}");
    let home = place.person.at(".local/share/strongroom");
    std::fs::create_dir_all(&home).unwrap();
    let admin = home.join("admin.kubeconfig");
    std::fs::write(&admin, "server: https://127.0.0.1:1\ntoken: sr_x\n").unwrap();
    std::fs::set_permissions(&admin, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = |kubeconfig: &str| {
        let mut command = place.person.command(&["whoami", "-o", "name"]);
        Ended::of(command.env("KUBECONFIG", kubeconfig), "")
    };
    assert_eq!(with(&config).done(), "ada\n");
    for elsewhere in [without_context.as_str(), "/nowhere"] {
        let error = with(elsewhere).not_done();
        assert!(error.contains("https://127.0.0.1:1: Connection refused"), "the home is asked: {error}");
    }
    // What no header carries is no token, wherever it stands.
    place.person.file("lines", "hunter2\nhunter3");
    let plugin = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, \"printf '%s' '{\\\"kind\\\":\\\"ExecCredential\\\",\\\"apiVersion\\\":\\\"client.authentication.k8s.io/v1\\\",\\\"status\\\":{\\\"token\\\":\\\"hunter2\\\\nhunter3\\\"}}'\"]}";
    for user in [r#"token: "hunter2\nhunter3""#, r#"token: "hunter 2""#, "tokenFile: lines", plugin] {
        let config =
            place.person.file("odd", &std::fs::read_to_string(&config).unwrap().replace("tokenFile: token", user));
        let error = name(&["--kubeconfig", &config]).not_done();
        assert!(!error.contains("hunter") && error.ends_with("in it\n"), "{error}");
        assert!(error.contains("strongroom: the token is none"), "{error}");
    }
    let broken = place.person.file("broken", "users: [{name: u, user: {token: hunter2}}");
    let error = name(&["--kubeconfig", &broken]).not_done();
    assert!(error.contains("cannot be read as a kubeconfig") && !error.contains("hunter2"), "{error}");
}

#[test]
fn users_are_made_with_a_password_that_is_sent_in_a_body_and_nowhere_else() {
    let place = Place::answering(201, &json!({"kind": "User"}));
    let line = ["user", "create", "ada", "--group", "dev", "--group", "ops", "--password-stdin"];
    assert_eq!(place.feed(&line, "correct horse battery\n").done(), "user/ada created\n");
    let asked = place.server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", USERS));
    assert_eq!(
        asked[0].json(),
        json!({"apiVersion": "strongroom.dev/v1alpha1", "kind": "User", "metadata": {"name": "ada"},
            "spec": {"groups": ["dev", "ops"]}})
    );
    assert_eq!(asked[1].target, format!("{USERS}/ada/password"));
    assert_eq!(asked[1].json()["spec"], json!({"password": "correct horse battery"}));
}

#[test]
fn a_user_whose_password_was_refused_is_told_of() {
    let place = Place::new(|asked| {
        Some(match asked.path() {
            USERS => Answer::json(201, &json!({"kind": "User"})),
            _ => Answer::refusal(422, "Invalid", "spec.password: too short"),
        })
    });
    let error = place.feed(&["user", "create", "ada", "--password-stdin"], "short\n").not_done();
    assert!(error.contains("user ada is created, but without a password: Error from server (Invalid)"), "{error}");
    assert!(error.contains("`strongroom user passwd ada`"), "{error}");
}

#[test]
fn users_are_changed_by_small_requests() {
    let all: [(&[&str], &str, &str, String, Value); 6] = [
        (&["user", "create", "ada", "--no-password"], "", "POST", USERS.into(), json!({"groups": []})),
        (
            &["user", "disable", "a/b"],
            "",
            "PATCH",
            format!("{USERS}/a%2Fb?fieldManager=strongroom"),
            json!({"disabled": true}),
        ),
        (
            &["user", "enable", "ada"],
            "",
            "PATCH",
            format!("{USERS}/ada?fieldManager=strongroom"),
            json!({"disabled": false}),
        ),
        (&["user", "delete", "ada"], "", "DELETE", format!("{USERS}/ada"), Value::Null),
        (
            &["user", "passwd", "ada", "--password-stdin"],
            "new\n",
            "POST",
            format!("{USERS}/ada/password"),
            json!({"password": "new"}),
        ),
        (&["user", "list"], "", "GET", USERS.into(), Value::Null),
    ];
    for (line, input, method, target, spec) in all {
        let place = Place::answering(200, &json!({}));
        place.feed(line, input).done();
        let asked = place.asked();
        assert_eq!((asked.method.as_str(), &asked.target), (method, &target), "{line:?}");
        assert_eq!(asked.json()["spec"], spec, "{line:?}");
        if method == "PATCH" {
            assert_eq!(asked.content_type.as_deref(), Some("application/merge-patch+json"));
        }
    }
}

#[test]
fn ones_own_password_is_changed_with_the_old_one() {
    let place = Place::answering(200, &json!({}));
    place.feed(&["user", "passwd", "--password-stdin"], "old\nnew\n").done();
    let asked = place.asked();
    assert_eq!(asked.target, "/strongroom/v1/password");
    assert_eq!(asked.json(), json!({"old_password": "old", "new_password": "new"}));
}

#[test]
fn a_certificate_is_revoked_by_its_serial_number() {
    let place = Place::answering(201, &json!({"kind": "CertificateRevocation", "status": {"serialNumber": "4a0b"}}));
    let printed = place.run(&["user", "revoke-certificate", "ada", "--serial", "4A:0B"]).done();
    assert_eq!(printed, "Certificate 4a0b of ada is revoked\n");
    let asked = place.asked();
    assert_eq!(asked.json()["spec"], json!({"serialNumber": "4A:0B"}));
    assert_eq!((asked.method.as_str(), asked.target), ("POST", format!("{USERS}/ada/certificaterevocation")));
}

#[test]
fn a_certificate_is_asked_for_with_a_key_that_stays_here() {
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let status = json!({"certificate": STANDARD.encode(certificate), "expirationTimestamp": "2026-10-21T14:13:20Z", "serialNumber": "4a0b"});
    let place = Place::answering(201, &json!({"kind": "CertificateRequest", "status": status}));
    let printed = place.run(&["user", "certificate", "ada", "--expires", "30d"]).done();
    assert_eq!(
        printed,
        "The certificate of ada, valid until 2026-10-21T14:13:20Z, serial number 4a0b, is in ./ada.key and ./ada.crt\n"
    );
    let asked = place.asked();
    assert_eq!(asked.target, format!("{USERS}/ada/certificate"));
    assert_eq!(asked.json()["spec"]["expirationSeconds"], 2_592_000);
    let request = STANDARD.decode(asked.json()["spec"]["request"].as_str().unwrap()).unwrap();
    assert!(request.starts_with(b"-----BEGIN CERTIFICATE REQUEST-----\n"));
    let key = std::fs::read_to_string(place.person.at("ada.key")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(!String::from_utf8(asked.body).unwrap().contains(key.lines().nth(1).unwrap()));
    assert_eq!(std::fs::read_to_string(place.person.at("ada.crt")).unwrap(), certificate);
    assert_eq!(std::fs::metadata(place.person.at("ada.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let error = place.run(&["user", "certificate", "ada"]).not_done();
    assert!(error.contains("./ada.key is there already"), "{error}");
    assert_eq!(place.server.asked().len(), 1, "nothing was signed in vain");

    place.run(&["user", "certificate", "ada", "--out-kubeconfig", "ada.config"]).done();
    let config = std::fs::read_to_string(place.person.at("ada.config")).unwrap();
    for part in [
        &format!("client-certificate-data: {}\n", STANDARD.encode(certificate)) as &str,
        &format!("certificate-authority-data: {}\n", STANDARD.encode(&place.server.authority)),
        "client-key-data: ",
    ] {
        assert!(config.contains(part), "{config}");
    }
    assert_eq!(std::fs::metadata(place.person.at("ada.config")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_token_of_a_service_account_is_printed_alone() {
    let place = Place::answering(201, &json!({"kind": "TokenRequest", "status": {"token": "a.b.c"}}));
    assert_eq!(place.run(&["token", "create", "app", "-n", "prod", "--duration", "1h"]).done(), "a.b.c\n");
    let asked = place.asked();
    assert_eq!(asked.target, "/api/v1/namespaces/prod/serviceaccounts/app/token");
    assert_eq!(asked.json()["spec"], json!({"audiences": [], "expirationSeconds": 3600}));
    assert_eq!(place.run(&["token", "create", "app", "-o", "json"]).json()["status"]["token"], "a.b.c");
    assert_eq!(place.server.asked()[1].target, "/api/v1/namespaces/default/serviceaccounts/app/token");
}

/// Discovery of one resource, and an explanation.
fn explaining(allowed: bool) -> Place {
    Place::new(move |asked| {
        let groups = |items: Value| Answer::json(200, &json!({"kind": "APIGroupDiscoveryList", "items": items}));
        let secrets = json!({"resource": "secrets", "singularResource": "secret", "scope": "Namespaced"});
        Some(match asked.path() {
            "/api" => groups(json!([{"metadata": {}, "versions": [{"version": "v1", "resources": [secrets]}]}])),
            "/apis" => groups(json!([])),
            "/apis/strongroom.dev/v1alpha1/accessexplanations" => Answer::json(
                201,
                &json!({"kind": "AccessExplanation", "status": {"allowed": allowed, "user": {"username": "ada"},
                    "missing": "no binding", "suggestion": "kind: Role\n"}}),
            ),
            _ => return None,
        })
    })
}

#[test]
fn an_explanation_ends_with_1_where_it_is_denied() {
    let line = ["access", "explain", "--as", "ada", "get", "secret/db", "-n", "prod"];
    let place = explaining(false);
    let denied = place.run(&line);
    assert_eq!((denied.code, denied.stderr.as_str()), (1, ""));
    assert_eq!(
        denied.stdout,
        "ada may not get secrets/db in namespace prod: no binding\n\nto allow it:\n\nkind: Role\n"
    );
    let asked = place.server.asked_for("/apis/strongroom.dev/v1alpha1/accessexplanations");
    assert_eq!(
        asked[0].json()["spec"],
        json!({"user": "ada", "resourceAttributes":
            {"namespace": "prod", "verb": "get", "version": "v1", "resource": "secrets", "name": "db"}})
    );
    assert!(explaining(true).run(&line).done().starts_with("ada may get secrets/db in namespace prod."));
    let json = [&line[..], &["-o", "json"]].concat();
    assert_eq!(explaining(false).run(&json).code, 1, "in every form");
}

#[test]
fn the_audit_log_is_followed_line_by_line() {
    let (sender, lines) = mpsc::channel();
    let lines = Arc::new(Mutex::new(Some(lines)));
    let place = Place::new(move |_| lines.lock().unwrap().take().map(Answer::lines));
    let mut command = place.command(&["audit", "tail", "-f", "-n", "3"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let printed = clients::lines(child.stdout.take().unwrap());
    let next = || printed.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
    assert!(next().starts_with("TIME"));
    for user in ["ada", "eve"] {
        sender.send(json!({"user": {"username": user}, "verb": "get"}).to_string()).unwrap();
        assert!(next().contains(user), "each line is shown before the next one is sent");
    }
    assert_eq!(place.server.asked()[0].target, "/strongroom/v1/audit?limit=3&follow=true");
    drop(sender);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("the server ended the stream"));
    let error = refused(403, "Forbidden", "no").run(&["audit", "tail", "-f"]);
    assert_eq!((error.code, error.stderr.as_str()), (1, "Error from server (Forbidden): no\n"));
}

#[test]
fn the_latest_events_stand_last() {
    let event = |user: &str| json!({"auditID": user, "user": {"username": user}, "verb": "get"});
    let place = Place::answering(200, &json!({"kind": "EventList", "items": [event("new"), event("old")]}));
    let printed = place.run(&["audit", "tail"]).done();
    assert!(printed.find("old").unwrap() < printed.find("new").unwrap(), "{printed}");
    assert_eq!(place.asked().target, "/strongroom/v1/audit?limit=20&order=newest");
    assert_eq!(place.run(&["audit", "query", "-o", "name"]).done(), "new\nold\n");
}

#[test]
fn signing_keys_are_replaced_on_request() {
    for (line, revoke) in
        [(&["admin", "rotate-signing-keys"][..], false), (&["admin", "rotate-signing-keys", "--revoke"], true)]
    {
        let place = Place::answering(200, &json!({}));
        assert_eq!(place.run(line).done().contains("refused from now on"), revoke);
        let asked = place.asked();
        assert_eq!(asked.target, "/strongroom/v1/admin/rotate-signing-keys");
        assert_eq!(asked.json(), json!({"revoke": revoke}));
    }
}

#[test]
fn the_server_itself_is_asked_as_the_administrator_of_its_home() {
    let app = App::start();
    let person = Person::new();
    let home = app.home().to_str().unwrap();
    assert_eq!(person.run(&["whoami", "-o", "name", "--home", home]).done(), "admin\n");
    let kubeconfig = app.kubeconfig();
    let kubeconfig = kubeconfig.to_str().unwrap();
    assert_eq!(person.run(&["whoami", "-o", "name", "--kubeconfig", kubeconfig]).done(), "admin\n");
    // The pin that a stranger is shown is the one that the home's owner is told.
    let pin = person.run(&["admin", "ca-pin", "--home", home]).done();
    let error = person.feed(&["login", "ada", "--server", &app.url, "--password-stdin"], "x\n").not_done();
    assert!(error.contains(pin.trim()), "{error}");
}
