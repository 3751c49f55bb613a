//! Signing in, the tokens that kubectl is given, and signing out, against a played server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::kubectl;
use crate::support::person::{Ended, Person};
use crate::support::played::{Answer, Asked, Played};

const PASSWORD: &str = "correct horse battery";
const LOGIN: &str = "/strongroom/v1/login";
const REFRESH: &str = "/strongroom/v1/refresh";
const LOGOUT: &str = "/strongroom/v1/logout";

/// The server's side of sessions: each refresh token is good for one exchange, and a second one ends the session.
#[derive(Default)]
struct Sessions {
    /// How many tokens were given; the last one's number.
    given: u64,
    current: Option<u64>,
    /// Of the access tokens that are given next.
    expires_in: i64,
    /// It answers that it cannot at present.
    is_away: bool,
}

impl Sessions {
    fn tokens(&mut self) -> Answer {
        self.given += 1;
        self.current = Some(self.given);
        Answer::json(
            200,
            &json!({"access_token": format!("access.{}", self.given), "token_type": "Bearer",
                "expires_in": self.expires_in, "refresh_token": format!("sr_rt_{}", self.given),
                "refresh_expires_in": 604_800}),
        )
    }

    fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        let refused = |message: &str| Some(Answer::refusal(401, "Unauthorized", message));
        let body = asked.json();
        let is_current = self.current.is_some_and(|number| body["refresh_token"] == format!("sr_rt_{number}"));
        match asked.path() {
            _ if self.is_away => Some(Answer::refusal(503, "ServiceUnavailable", "the store cannot be written")),
            LOGIN if body == json!({"username": "ada", "password": PASSWORD}) => Some(self.tokens()),
            LOGIN => refused("invalid credentials"),
            REFRESH if is_current => Some(self.tokens()),
            REFRESH => {
                self.current = None;
                refused("the session has ended")
            }
            LOGOUT if is_current || asked.authorization.is_some() => {
                self.current = None;
                Some(Answer::json(200, &json!({"kind": "Status", "status": "Success"})))
            }
            LOGOUT => refused("the session has ended"),
            "/version" => Some(Answer::json(200, &json!({"major": "1", "minor": "32", "gitVersion": "v1.32.0"}))),
            "/apis/authentication.k8s.io/v1/selfsubjectreviews" => match &asked.authorization {
                Some(bearer) if self.current.is_some_and(|number| *bearer == format!("Bearer access.{number}")) => {
                    let user = json!({"userInfo": {"username": "ada", "groups": ["dev"]}});
                    Some(Answer::json(201, &json!({"kind": "SelfSubjectReview", "status": user})))
                }
                _ => refused("Unauthorized"),
            },
            _ => None,
        }
    }
}

struct Place {
    person: Person,
    server: Played,
    sessions: Arc<Mutex<Sessions>>,
}

impl Place {
    fn new() -> Self {
        let sessions = Arc::new(Mutex::new(Sessions { expires_in: 900, ..Sessions::default() }));
        let played = Arc::clone(&sessions);
        let server = Played::start(move |asked| played.lock().unwrap().answer(asked));
        let person = Person::new();
        person.file("ca.crt", &server.authority);
        Self { person, server, sessions }
    }

    /// A place where ada has signed in.
    fn signed_in() -> Self {
        let place = Self::new();
        place.log_in(&["--ca-file", "ca.crt"]).done();
        place
    }

    fn log_in(&self, arguments: &[&str]) -> Ended {
        let url = self.server.url();
        let all = [&["login", "ada", "--server", &url, "--password-stdin"], arguments].concat();
        self.person.feed(&all, &format!("{PASSWORD}\n"))
    }

    fn kubeconfig(&self) -> String {
        std::fs::read_to_string(self.person.kubeconfig()).unwrap()
    }

    /// The arguments that kubectl would run the plugin with.
    fn plugin(&self) -> Vec<String> {
        let text = self.kubeconfig();
        let after = |name: &str| {
            let mut lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
            lines.find(|line| *line == name);
            lines.next().unwrap().to_owned()
        };
        let mut arguments = vec!["credential".to_owned()];
        for name in ["--server", "--user", "--ca-sha256"] {
            arguments.extend([name.to_owned(), after(name)]);
        }
        arguments
    }

    /// What kubectl would say in the variable.
    fn exec_info(&self) -> Value {
        json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {
            "interactive": false,
            "cluster": {"server": self.server.url(),
                "certificate-authority-data": STANDARD.encode(&self.server.authority)}}})
    }

    fn credential(&self, info: &Value) -> std::process::Command {
        let plugin = self.plugin();
        let arguments: Vec<&str> = plugin.iter().map(String::as_str).collect();
        let mut command = self.person.command(&arguments);
        command.env("KUBERNETES_EXEC_INFO", info.to_string());
        command
    }

    /// The access token is over, or almost.
    fn let_the_access_token_end(&self) {
        for entry in std::fs::read_dir(self.person.credentials()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let mut cached: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                cached["accessEndsUnixSeconds"] = 1000.into();
                std::fs::write(&path, cached.to_string()).unwrap();
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every file below, with its content.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn signing_in_sets_up_kubectl_and_keeps_the_tokens_private() {
    let place = Place::new();
    let ended = place.log_in(&["--ca-file", "ca.crt"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let (url, name) = (place.server.url(), format!("ada@{}", place.server.authority_of_url()));
    assert!(ended.stdout.contains(&format!("Signed in as ada at {url}.")) && ended.stdout.contains(&name));
    assert_eq!(place.server.asked().len(), 1);
    let text = place.kubeconfig();
    for part in [
        &format!("current-context: {name}\n") as &str,
        "apiVersion: client.authentication.k8s.io/v1\n",
        "interactiveMode: IfAvailable\n",
        "provideClusterInfo: true\n",
        &format!("command: {}\n", env!("CARGO_BIN_EXE_strongroom")),
        &format!("certificate-authority-data: {}\n", STANDARD.encode(&place.server.authority)),
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("access.1") && !text.contains("sr_rt_"), "no token lies in the kubeconfig");
    assert_eq!(mode(&place.person.kubeconfig()), 0o600);
    assert_eq!(mode(&place.person.credentials()), 0o700);
    for (path, content) in files(place.person.home()) {
        assert!(!holds(&content, PASSWORD), "{}", path.display());
        if holds(&content, "sr_rt_1") {
            assert!(path.starts_with(place.person.credentials()), "{}", path.display());
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn a_wrong_password_changes_nothing_and_is_not_shown() {
    let place = Place::new();
    let url = place.server.url();
    let line = ["login", "ada", "--server", &url, "--ca-file", "ca.crt", "--password-stdin"];
    let error = place.person.feed(&line, "hunter2 hunter2\n").not_done();
    assert!(error.starts_with("Error from server (Unauthorized): invalid credentials"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert!(!place.person.kubeconfig().exists());
    let error = place.person.run(&line).not_done();
    assert!(error.contains("standard input must hold one line"), "{error}");
    let error = place.person.run(&line[..6]).not_done();
    assert!(error.contains("--password-stdin"), "without a terminal that is what is advised: {error}");
}

#[test]
fn a_server_that_is_not_known_is_sent_nothing_until_its_pin_is_given() {
    let place = Place::new();
    let error = place.log_in(&[]).not_done();
    assert!(error.contains("is not known here, so nothing was sent to it"), "{error}");
    let command = error.lines().find(|line| line.contains("--ca-pin")).unwrap().trim();
    let pin = command.split("--ca-pin ").nth(1).unwrap();
    let other = format!("sha256:{}", "00".repeat(32));
    let wrong = place.log_in(&["--ca-pin", &other]).not_done();
    assert!(wrong.contains(&format!("shows {pin}, not {other}")), "{wrong}");
    assert!(place.server.asked().is_empty(), "nothing was sent");
    place.log_in(&["--ca-pin", pin]).done();
    // The kubeconfig knows it from now on.
    place.log_in(&[]).done();
    assert_eq!(place.server.asked_for(LOGIN).len(), 2);
}

#[test]
fn another_server_at_the_same_address_is_sent_nothing() {
    let place = Place::signed_in();
    let text = place.kubeconfig();
    let other = Played::start(|_| None);
    let (own, others) = (STANDARD.encode(&place.server.authority), STANDARD.encode(&other.authority));
    std::fs::write(place.person.kubeconfig(), text.replace(&own, &others)).unwrap();
    let error = place.log_in(&[]).not_done();
    assert!(error.contains("is not of the authority by which it was known"), "{error}");
    assert_eq!(place.server.asked_for(LOGIN).len(), 1);
    std::fs::write(place.person.at("other.crt"), &other.authority).unwrap();
    let error = place.log_in(&["--ca-file", "other.crt"]).not_done();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn kubectl_asks_with_the_token_and_renews_it() {
    for kubectl in kubectl::all() {
        let place = Place::signed_in();
        let get = || {
            let mut command = place.person.program(kubectl.program(), &["get", "--raw", "/version"]);
            assert!(Ended::of(&mut command, "").done().contains("v1.32.0"));
            place.server.asked_for("/version").pop().unwrap().authorization.unwrap()
        };
        assert_eq!(get(), "Bearer access.1");
        assert_eq!(get(), "Bearer access.1");
        place.let_the_access_token_end();
        assert_eq!(get(), "Bearer access.2");
        assert_eq!(place.server.asked_for(REFRESH).len(), 1);
    }
}

#[test]
fn our_own_commands_use_the_same_session() {
    let place = Place::signed_in();
    assert_eq!(place.person.run(&["whoami"]).done(), "ATTRIBUTE   VALUE\nUsername    ada\nGroups      [dev]\n");
    let context = format!("ada@{}", place.server.authority_of_url());
    assert_eq!(place.person.run(&["whoami", "--context", &context, "-o", "name"]).done(), "ada\n");
    assert_eq!(place.person.run(&["whoami", "-o", "json"]).json()["status"]["userInfo"]["username"], "ada");
    assert!(place.person.run(&["whoami", "-o", "yaml"]).done().contains("    username: ada\n"));
    let error = place.person.run(&["whoami", "--context", "nope"]).not_done();
    assert!(error.contains("no context \"nope\""), "{error}");
}

#[test]
fn many_at_the_same_time_spend_a_refresh_token_once() {
    for _ in 0..5 {
        let place = Place::signed_in();
        place.let_the_access_token_end();
        let info = place.exec_info();
        let children: Vec<_> = (0..12)
            .map(|_| {
                let mut command = place.credential(&info);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let credential: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(credential["status"]["token"], "access.2");
        }
        assert_eq!(place.server.asked_for(REFRESH).len(), 1);
        assert!(place.sessions.lock().unwrap().current.is_some(), "the session lives");
    }
}

#[test]
fn the_plugin_prints_the_credential_and_nothing_else() {
    let place = Place::signed_in();
    let ended = Ended::of(&mut place.credential(&place.exec_info()), "");
    assert_eq!(ended.stderr, "");
    let mut credential = ended.json();
    let ends = credential["status"]["expirationTimestamp"].take();
    assert!(ends.as_str().unwrap().ends_with('Z'), "{ends}");
    assert_eq!(
        credential,
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"expirationTimestamp": null, "token": "access.1"}})
    );
}

#[test]
fn the_plugin_gives_nothing_for_another_server_or_authority() {
    let place = Place::signed_in();
    let changed = |pointer: &str, value: Value| {
        let mut info = place.exec_info();
        *info.pointer_mut(pointer).unwrap() = value;
        Ended::of(&mut place.credential(&info), "").not_done()
    };
    let error = changed("/spec/cluster/server", "https://127.0.0.1:1".into());
    assert!(error.contains("is about to ask https://127.0.0.1:1"), "{error}");
    let other = Played::start(|_| None).authority;
    let error = changed("/spec/cluster/certificate-authority-data", STANDARD.encode(other).into());
    assert!(error.contains("by another authority"), "{error}");
    let error = changed("/spec/cluster", Value::Null);
    assert!(error.contains("provideClusterInfo"), "{error}");
    let mut alone = place.credential(&Value::Null);
    alone.env_remove("KUBERNETES_EXEC_INFO");
    let error = Ended::of(&mut alone, "").not_done();
    assert!(error.contains("run by kubectl"), "{error}");
}

#[test]
fn a_session_that_has_ended_is_told_and_its_token_is_not_sent_again() {
    let place = Place::signed_in();
    place.sessions.lock().unwrap().current = None;
    place.let_the_access_token_end();
    for reason in ["the session has ended", "there is no session"] {
        let error = Ended::of(&mut place.credential(&place.exec_info()), "").not_done();
        let advice = format!("{reason}: sign in with `strongroom login ada --server {}`", place.server.url());
        assert!(error.contains(&advice), "{error}");
    }
    assert_eq!(place.server.asked_for(REFRESH).len(), 1);
    let error = place.person.run(&["whoami"]).not_done();
    assert!(error.contains("there is no session") && error.contains("credential plugin failed"), "{error}");
}

#[test]
fn signing_out_ends_the_session_at_the_server_and_here() {
    let place = Place::signed_in();
    let printed = place.person.run(&["logout"]).done();
    assert_eq!(printed, format!("ada is signed out at {}.\n", place.server.url()));
    assert_eq!(place.server.asked_for(LOGOUT)[0].json(), json!({"refresh_token": "sr_rt_1"}));
    assert!(files(&place.person.credentials()).iter().all(|(_, content)| content.is_empty()));
    assert!(place.person.run(&["logout"]).done().contains("had no session"));
    // Another one can begin.
    place.log_in(&[]).done();
    assert!(place.person.run(&["logout", "--all"]).done().contains("is signed out"));
    assert_eq!(place.person.run(&["logout", "--all"]).done(), "There is no session.\n");
}

#[test]
fn signing_out_without_the_server_still_removes_the_tokens_and_says_what_is_left() {
    let place = Place::signed_in();
    place.sessions.lock().unwrap().is_away = true;
    let error = place.person.run(&["logout"]).not_done();
    assert!(error.contains("the tokens of ada are removed from this machine, but the session lives on"), "{error}");
    assert!(error.contains("Error from server (ServiceUnavailable)"), "{error}");
    assert!(files(&place.person.credentials()).iter().all(|(_, content)| content.is_empty()));
    place.sessions.lock().unwrap().is_away = false;
    place.log_in(&[]).done();
    place.sessions.lock().unwrap().is_away = true;
    let error = place.person.run(&["logout", "--all"]).not_done();
    assert!(error.contains("1 of 1 sessions could not be ended"), "{error}");
}

#[test]
fn a_session_outlives_a_server_that_is_away() {
    let place = Place::signed_in();
    place.let_the_access_token_end();
    place.sessions.lock().unwrap().is_away = true;
    let error = Ended::of(&mut place.credential(&place.exec_info()), "").not_done();
    assert_eq!(error, "Error from server (ServiceUnavailable): the store cannot be written\n");
    place.sessions.lock().unwrap().is_away = false;
    let credential = Ended::of(&mut place.credential(&place.exec_info()), "").json();
    assert_eq!(credential["status"]["token"], "access.2");
}

#[test]
fn a_context_of_somebody_else_is_left_alone_and_no_password_is_sent() {
    let place = Place::new();
    std::fs::create_dir(place.person.at(".kube")).unwrap();
    let foreign = "contexts: [{name: kind, context: {cluster: kind, user: kind}}]\n";
    std::fs::write(place.person.kubeconfig(), foreign).unwrap();
    let error = place.log_in(&["--ca-file", "ca.crt", "--context", "kind"]).not_done();
    assert!(error.contains("context \"kind\" leads to kind"), "{error}");
    assert!(place.server.asked().is_empty());
    assert_eq!(place.kubeconfig(), foreign);
}

#[test]
fn a_foreign_context_is_not_signed_out() {
    let place = Place::signed_in();
    let error = place.person.run(&["logout", "--context", "kind"]).not_done();
    assert!(error.contains("context kind is not one that `strongroom login` wrote"), "{error}");
    assert!(place.server.asked_for(LOGOUT).is_empty());
}

#[test]
fn an_embedded_token_is_warned_about_used_and_taken_out_again() {
    let place = Place::new();
    let ended = place.log_in(&["--ca-file", "ca.crt", "--embed-token", "--context", "dev"]);
    assert!(ended.stderr.starts_with("warning: the token lies in ") && ended.stderr.contains("15 minutes"));
    assert!(ended.done().contains("is now dev"));
    assert!(place.kubeconfig().contains("token: access.1\n"));
    assert!(!place.kubeconfig().contains("sr_rt_") && !place.person.credentials().exists());
    assert_eq!(place.person.run(&["whoami", "-o", "name"]).done(), "ada\n");
    assert!(place.person.run(&["logout"]).done().contains("context dev is ended"));
    assert!(!place.kubeconfig().contains("access.1"));
    assert_eq!(place.server.asked_for(LOGOUT)[0].authorization.as_deref(), Some("Bearer access.1"));
}
