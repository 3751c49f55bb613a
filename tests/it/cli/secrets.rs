//! `strongroom secret` against the real server: what a person does every day, and what goes wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::actors;
use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::person::{Ended, Person};
use crate::support::played::{Answer, Played};

const ARGV: &str = "warning: what stands on a command line is seen by everybody on this machine (ps) and kept by the \
                    shell's history: KEY alone asks for it, KEY=- reads standard input, KEY=@FILE a file\n";

/// A server with the namespace `prod`, its administrator, and a person.
pub(super) struct Place {
    pub(super) app: App,
    pub(super) admin: Client,
    pub(super) person: Person,
}

impl Place {
    pub(super) fn new() -> Self {
        let app = App::start();
        let mut admin = Client::admin(&app);
        actors::namespace(&mut admin, "prod");
        Self { app, admin, person: Person::new() }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let home = self.app.home().to_str().unwrap();
        self.person.signalled(&[&["secret"], arguments, &["--home", home]].concat())
    }

    fn feed(&self, arguments: &[&str], input: &str) -> Ended {
        Ended::of(&mut self.command(arguments), input)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.feed(arguments, "")
    }

    pub(super) fn secret(&mut self, name: &str) -> Value {
        self.admin.get(&format!("{}/{name}", actors::secrets("prod"))).ok().json()
    }

    /// The values of a Secret, as text.
    pub(super) fn values(&mut self, name: &str) -> Value {
        let secret = self.secret(name);
        let data = secret["data"].as_object().cloned().unwrap_or_default();
        let text = |value: Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
        Value::Object(data.into_iter().map(|(key, value)| (key, text(value).into())).collect())
    }

    pub(super) fn make(&mut self, name: &str, values: &Value) {
        let object = json!({"metadata": {"name": name}, "stringData": values});
        self.admin.json("POST", &actors::secrets("prod"), &object).ok();
    }
}

#[test]
fn keys_are_set_and_taken_away_and_the_others_stay() {
    let mut place = Place::new();
    place.person.file("cert", "PEM\n");
    let set = place.feed(&["set", "prod/db", "user=ada", "tls.crt=@cert", "token=-"], "t0k=en");
    assert_eq!(set.stdout, "secret/db created: tls.crt, token, user set\n");
    assert!(set.stderr.starts_with(ARGV) && set.stderr.contains("tls.crt ends with a line break"), "{}", set.stderr);
    assert_eq!(place.values("db"), json!({"user": "ada", "tls.crt": "PEM\n", "token": "t0k=en"}));
    assert_eq!(place.feed(&["set", "db", "-n", "prod", "user=-"], "eve").done(), "secret/db changed: user set\n");
    assert_eq!(place.values("db")["user"], "eve");
    assert_eq!(
        place.run(&["unset", "prod/db", "tls.crt", "token"]).done(),
        "secret/db changed: tls.crt, token taken away\n"
    );
    assert_eq!(place.values("db"), json!({"user": "eve"}));
    assert_eq!(
        place.run(&["unset", "prod/db", "user", "a", "b"]).not_done(),
        "strongroom: Secret prod/db has no key a, b: it has user; nothing was changed\n"
    );
    // A dry run keeps nothing.
    assert_eq!(
        place.feed(&["set", "prod/db", "x=-", "--dry-run"], "1").done(),
        "secret/db changed (server dry run): x set\n"
    );
    assert_eq!(
        place.feed(&["set", "prod/new", "x=-", "--dry-run"], "1").done(),
        "secret/new created (server dry run): x set\n"
    );
    assert_eq!(place.values("db"), json!({"user": "eve"}));
    assert_eq!(place.admin.get(&format!("{}/new", actors::secrets("prod"))).status, 404);
    // A type is for a new one.
    assert_eq!(
        place.feed(&["set", "prod/typed", "k=-", "--type", "x.dev/y"], "v").done(),
        "secret/typed created: k set\n"
    );
    assert_eq!(place.secret("typed")["type"], "x.dev/y");
    let error = place.feed(&["set", "prod/typed", "k=-", "--type", "x.dev/z"], "v").not_done();
    assert!(error.contains("field is immutable"), "{error}");
}

#[test]
fn values_are_masked_unless_they_are_asked_for() {
    let mut place = Place::new();
    place.make("db", &json!({"user": "ada", "pass": "hunter2"}));
    assert_eq!(
        place.run(&["get", "prod/db"]).done(),
        "KEY    BYTES   VALUE\npass   7       ********\nuser   3       ********\n"
    );
    assert_eq!(
        place.run(&["get", "prod/db", "--reveal"]).done(),
        "KEY    BYTES   VALUE\npass   7       hunter2\nuser   3       ada\n"
    );
    assert_eq!(place.run(&["get", "prod/db", "-k", "pass"]).done(), "hunter2");
    assert_eq!(place.run(&["get", "prod/db", "-o", "name"]).done(), "secret/db\n");
    assert_eq!(place.run(&["get", "prod/db", "-o", "jsonpath={.data.user}"]).done(), "YWRh");
    assert_eq!(place.run(&["get", "prod/db", "-o", "json"]).json()["data"]["pass"], STANDARD.encode("hunter2"));
    assert!(place.run(&["get", "prod/db", "-o", "yaml"]).done().contains("  user: YWRh\n"));
    assert_eq!(
        place.run(&["get", "prod/db", "-k", "none"]).not_done(),
        "strongroom: Secret db has no key none: it has pass, user\n"
    );
    let described = place.run(&["describe", "prod/db"]).done();
    assert!(
        described.ends_with("KEY    BYTES   WHAT IT IS\npass   7       text\nuser   3       text\n"),
        "{described}"
    );
    assert!(!described.contains("hunter2"));
    assert_eq!(
        place.run(&["get", "prod/none"]).not_done(),
        "Error from server (NotFound): secrets \"none\" not found\n"
    );
    // Raw bytes are raw.
    let patch = json!({"data": {"raw": STANDARD.encode([0, 255])}}).to_string();
    let path = format!("{}/db", actors::secrets("prod"));
    place.admin.typed("PATCH", &path, "application/merge-patch+json", patch.as_bytes()).ok();
    let output = clients::run(&mut place.command(&["get", "prod/db", "-k", "raw"]), b"", Duration::from_mins(1));
    assert_eq!(output.stdout, [0, 255]);
}

#[test]
fn a_terminal_is_shown_values_only_with_reveal_and_asks_for_them() {
    let mut place = Place::new();
    place.make("db", &json!({"pass": "hunter2"}));
    let home = place.app.home().to_str().unwrap();
    let at = |line: &[&str], answers: &[(&str, &str)]| {
        place.person.type_at(&[&["secret"], line, &["--home", home]].concat(), answers)
    };
    let Some(masked) = at(&["get", "prod/db"], &[]) else { return };
    assert!(masked.stdout.contains("********") && !masked.stdout.contains("hunter2"));
    for line in [&["get", "prod/db", "-k", "pass"][..], &["get", "prod/db", "-o", "yaml"]] {
        let ended = at(line, &[]).unwrap();
        assert!(ended.code == 1 && ended.stdout.contains("--reveal"), "{}", ended.stdout);
    }
    assert!(at(&["get", "prod/db", "-k", "pass", "--reveal"], &[]).unwrap().stdout.contains("hunter2\r\n"));
    let set = at(&["set", "prod/db", "pass"], &[("Value of pass: ", "hunter3")]).unwrap();
    assert!(
        set.code == 0 && !set.stdout.contains("hunter3") && set.stdout.contains("changed: pass set"),
        "{}",
        set.stdout
    );
    assert_eq!(place.values("db")["pass"], "hunter3");
}

#[test]
fn secrets_are_listed_without_their_values() {
    let mut place = Place::new();
    assert_eq!(place.run(&["list", "prod"]).done(), "There are no Secrets.\n");
    for name in ["a", "b"] {
        place.make(name, &json!({"k": "hunter2"}));
    }
    place.feed(&["set", "other", "k=-"], "v").done();
    let listed = place.run(&["list", "prod"]).done();
    assert!(listed.starts_with("NAME   TYPE     DATA   AGE\na      Opaque   1      "), "{listed}");
    assert_eq!(place.run(&["list", "prod", "-o", "name"]).done(), "secret/a\nsecret/b\n");
    assert_eq!(place.run(&["list", "-A", "-o", "name"]).done(), "default/other\nprod/a\nprod/b\n");
    assert_eq!(place.run(&["list", "-A", "-o", "jsonpath={.items[*].metadata.name}"]).done(), "other a b");
    let json = place.run(&["list", "prod", "-o", "json"]).json();
    assert!(json["items"][0].get("data").is_none() && json["items"].as_array().unwrap().len() == 2, "{json}");
    assert_eq!(place.run(&["list", "prod", "-l", "app=web", "-o", "name"]).done(), "");
    assert!(place.run(&["list", "prod", "-l", "a=b=c"]).not_done().contains("BadRequest"));
}

#[test]
fn more_secrets_than_a_page_are_listed() {
    let server = Played::start(|asked| {
        let is_second = asked.target.contains("continue=more");
        let (next, name) = if is_second { ("", "b") } else { ("more", "a") };
        let table = json!({"kind": "Table", "metadata": {"continue": next}, "columnDefinitions": [{"name": "Name", "priority": 0}],
            "rows": [{"cells": [name]}]});
        Some(Answer::json(200, &table))
    });
    let person = Person::new();
    person.file("ca.crt", &server.authority);
    person.file("token", "sr_token\n");
    let line = ["secret", "list", "--server", &server.url(), "--ca-file", "ca.crt", "--token-file", "token"];
    assert_eq!(person.run(&line).done(), "NAME\na\nb\n");
}

#[test]
fn what_is_copied_and_renamed_is_never_lost() {
    let mut place = Place::new();
    let object = json!({"metadata": {"name": "a", "labels": {"l": "m"}, "annotations": {"n": "o"}}, "type": "x.dev/y", "stringData": {"k": "v"}});
    place.admin.json("POST", &actors::secrets("prod"), &object).ok();
    actors::namespace(&mut place.admin, "dev");
    assert_eq!(place.run(&["copy", "prod/a", "dev/b"]).done(), "secret/a copied to dev/b\n");
    let copy = place.admin.get(&format!("{}/b", actors::secrets("dev"))).ok().json();
    assert_eq!((&copy["type"], &copy["data"]), (&json!("x.dev/y"), &json!({"k": "dg=="})));
    assert_eq!(
        (&copy["metadata"]["labels"], &copy["metadata"]["annotations"]),
        (&json!({"l": "m"}), &json!({"n": "o"}))
    );
    assert!(place.run(&["copy", "prod/a", "dev/b"]).not_done().contains("AlreadyExists"));
    assert_eq!(
        place.run(&["rename", "prod/a", "prod/c", "--dry-run"]).done(),
        "secret/a renamed (server dry run) to prod/c\n"
    );
    assert_eq!(place.run(&["rename", "prod/a", "prod/c"]).done(), "secret/a renamed to prod/c\n");
    assert_eq!(place.values("c"), json!({"k": "v"}));
    assert!(place.run(&["get", "prod/a"]).not_done().contains("NotFound"));
    // One that is there stays as it is, and so does the one that was to be renamed.
    place.make("d", &json!({"k": "w"}));
    assert!(place.run(&["rename", "prod/c", "prod/d"]).not_done().contains("AlreadyExists"));
    assert_eq!((place.values("c"), place.values("d")), (json!({"k": "v"}), json!({"k": "w"})));
    assert_eq!(place.run(&["rename", "prod/c", "prod/c"]).not_done(), "strongroom: prod/c has that name already\n");
    // What waits for somebody.
    let patch = br#"{"metadata":{"finalizers":["x.dev/f"]}}"#;
    let path = format!("{}/c", actors::secrets("prod"));
    place.admin.typed("PATCH", &path, "application/merge-patch+json", patch).ok();
    let renamed = place.run(&["rename", "prod/c", "prod/e"]);
    assert_eq!(renamed.code, 3);
    assert!(renamed.stderr.contains("deleted as soon as its finalizers are gone"), "{}", renamed.stderr);
    assert_eq!(place.values("e"), json!({"k": "v"}));
}

#[test]
fn a_rename_of_which_the_second_half_fails_says_what_is_where() {
    let secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "prod", "uid": "u", "resourceVersion": "7"}, "data": {"k": "dg=="}});
    for (answer, told) in [
        (Some((409, "Conflict")), "prod/a is copied to prod/b, but was changed meanwhile and is kept"),
        (
            Some((403, "Forbidden")),
            "prod/a is copied to prod/b, but is kept, for it was not deleted: Error from server",
        ),
        (Some((404, "NotFound")), "somebody else has deleted prod/a meanwhile"),
        (Some((500, "InternalError")), "whether prod/a is deleted is not known"),
    ] {
        let object = secret.clone();
        let server = Played::start(move |asked| match (asked.method.as_str(), answer) {
            ("DELETE", Some((code, reason))) => Some(Answer::refusal(code, reason, "no")),
            _ => Some(Answer::json(200, &object)),
        });
        let person = Person::new();
        person.file("ca.crt", &server.authority);
        person.file("token", "sr_token\n");
        let url = server.url();
        let line =
            ["secret", "rename", "prod/a", "prod/b", "--server", &url, "--ca-file", "ca.crt", "--token-file", "token"];
        let ended = person.run(&line);
        assert!(ended.code == 3 && ended.stderr.contains(told), "{told}: {} {}", ended.code, ended.stderr);
        let asked = server.asked();
        let delete = asked.iter().find(|asked| asked.method == "DELETE").unwrap();
        assert_eq!(delete.json()["preconditions"], json!({"uid": "u", "resourceVersion": "7"}));
    }
}

#[test]
fn several_are_deleted_and_what_is_not_there_is_told() {
    let mut place = Place::new();
    for name in ["a", "b", "c"] {
        place.make(name, &json!({"k": "v"}));
    }
    assert_eq!(place.run(&["delete", "prod/a", "--dry-run"]).done(), "secret/a deleted (server dry run)\n");
    let ended = place.run(&["delete", "-n", "prod", "none", "a", "nor", "b"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (3, "secret/a deleted\nsecret/b deleted\n"));
    assert_eq!(
        ended.stderr,
        "strongroom: Error from server (NotFound): secrets \"none\" not found\nError from server (NotFound): secrets \"nor\" not found\n"
    );
    assert_eq!(place.run(&["delete", "prod/c"]).done(), "secret/c deleted\n");
    assert_eq!(place.run(&["delete", "prod/c"]).not_done(), "Error from server (NotFound): secrets \"c\" not found\n");
}

#[test]
fn values_are_made_where_they_are_kept() {
    let mut place = Place::new();
    let made = place.run(&["generate", "prod/db", "a", "b"]).done();
    assert_eq!(made, "secret/db created: a, b (password of 32 characters, 190 bits)\n");
    let values = place.values("db");
    let (a, b) = (values["a"].as_str().unwrap(), values["b"].as_str().unwrap());
    assert!(a.len() == 32 && b.len() == 32 && a != b && a.bytes().all(|c| c.is_ascii_alphanumeric()));
    assert_eq!(
        place.run(&["generate", "prod/db", "a", "c"]).not_done(),
        "strongroom: Secret prod/db has a already: --overwrite replaces what is there\n"
    );
    assert_eq!(place.values("db"), values);
    place.run(&["generate", "prod/db", "a", "--overwrite", "--kind", "uuid"]).done();
    assert!(place.values("db")["a"].as_str().unwrap().len() == 36 && place.values("db")["b"] == values["b"]);
    place.run(&["generate", "prod/db", "h", "--kind", "hex", "--length", "16"]).done();
    assert_eq!(place.values("db")["h"].as_str().unwrap().len(), 32);
    let weak = place.run(&["generate", "prod/db", "pin", "--length", "8", "--alphabet", "0123456789"]);
    assert!(weak.code == 0 && weak.stderr.contains("warning: 26 bits"), "{}", weak.stderr);
    for (line, told) in [
        (&["generate", "prod/db"][..], "say under which keys"),
        (&["generate", "prod/db", "x", "--length", "7"], "--length: must be 8 to 4096"),
        (&["generate", "prod/db", "x", "--alphabet", "aab"], "--alphabet: "),
        (&["generate", "prod/db", "x", "--kind", "uuid", "--length", "9"], "--length: is not for --kind uuid"),
        (&["generate", "prod/db", "x", "x"], "x is given twice"),
        (&["generate", "prod/db", "x", "--kind", "tls"], "--kind tls has keys of its own"),
        (&["generate", "prod/db", "--kind", "tls"], "--dns-name: is needed"),
        (&["generate", "prod/db", "--kind", "tls", "--dns-name", "a b"], "--dns-name: \"a b\" is no name of a host"),
    ] {
        let ended = place.run(line);
        assert!(ended.code == 2 && ended.stderr.contains(told), "{line:?}: {}", ended.stderr);
    }
    // A Secret has the type it was made with.
    let error = place.run(&["generate", "prod/db", "--kind", "tls", "--dns-name", "a"]).not_done();
    assert!(error.contains("field is immutable"), "{error}");
}

#[test]
fn keys_and_certificates_are_those_that_other_programs_know() {
    let mut place = Place::new();
    let made = place.run(&["generate", "prod/deploy", "--kind", "ssh-key"]).done();
    assert_eq!(made, "secret/deploy created: ssh-privatekey, ssh-publickey (SSH key, Ed25519)\n");
    assert_eq!(place.secret("deploy")["type"], "kubernetes.io/ssh-auth");
    let values = place.values("deploy");
    let key = place.person.file("key", values["ssh-privatekey"].as_str().unwrap());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    place
        .run(&[
            "generate",
            "prod/web",
            "--kind",
            "tls",
            "--dns-name",
            "web.example",
            "--dns-name",
            "10.0.0.1",
            "--days",
            "30",
        ])
        .done();
    assert_eq!(place.secret("web")["type"], "kubernetes.io/tls");
    let web = place.values("web");
    place.person.file("tls.crt", web["tls.crt"].as_str().unwrap());
    place.person.file("tls.key", web["tls.key"].as_str().unwrap());
    place.run(&["generate", "prod/sign", "rsa", "--kind", "rsa", "--bits", "2048"]).done();
    place.run(&["generate", "prod/sign", "ec", "--kind", "ec", "--curve", "p384"]).done();
    let sign = place.values("sign");
    for name in ["rsa", "ec"] {
        place.person.file(name, sign[name].as_str().unwrap());
        place.person.file(&format!("{name}.pub"), sign[format!("{name}.pub")].as_str().unwrap());
    }
    let run = |program: &str, arguments: &[&str]| Ended::of(&mut place.person.program(program, arguments), "").done();
    let is_there = |program: &str, argument: &str| {
        let mut runs = Command::new(program);
        runs.arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
        let is_there = runs.status().is_ok();
        if !is_there {
            clients::left_out(&format!("there is no {program}"));
        }
        is_there
    };
    if is_there("ssh-keygen", "-?") {
        assert_eq!(run("ssh-keygen", &["-y", "-f", "key"]), values["ssh-publickey"].as_str().unwrap());
    }
    if is_there("openssl", "version") {
        let subject = run("openssl", &["x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName"]);
        assert!(subject.contains("DNS:web.example, IP Address:10.0.0.1"), "{subject}");
        let of_certificate = run("openssl", &["x509", "-in", "tls.crt", "-noout", "-pubkey"]);
        assert_eq!(of_certificate, run("openssl", &["pkey", "-in", "tls.key", "-pubout"]));
        run("openssl", &["verify", "-CAfile", "tls.crt", "tls.crt"]);
        for name in ["rsa", "ec"] {
            run("openssl", &["pkey", "-in", name, "-noout", "-check"]);
            assert_eq!(
                run("openssl", &["pkey", "-in", name, "-pubout"]),
                sign[format!("{name}.pub")].as_str().unwrap()
            );
        }
    }
}

#[test]
fn writers_of_other_keys_do_not_lose_each_others_values() {
    let mut place = Place::new();
    let writers: Vec<_> = (0..6)
        .map(|at| {
            let pair = format!("key-{at}=-");
            let mut command = place.command(&["set", "prod/shared", &pair]);
            std::thread::spawn(move || Ended::of(&mut command, &at.to_string()).done())
        })
        .collect();
    let told: Vec<String> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    assert_eq!(told.iter().filter(|told| told.starts_with("secret/shared created")).count(), 1, "{told:?}");
    let expected = json!({"key-0": "0", "key-1": "1", "key-2": "2", "key-3": "3", "key-4": "4", "key-5": "5"});
    assert_eq!(place.values("shared"), expected);
}

#[test]
fn a_manifest_is_told_to_be_open() {
    let person = Person::new();
    let manifest = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "db"}, "type": "Opaque",
        "data": {"url": STANDARD.encode("postgres://ada:hunter2@db/x")}});
    person.file("s.json", &manifest.to_string());
    let told =
        "Secret db (Opaque)\nbase64 is an encoding, not encryption: whoever reads this file has every value in it.\n\n";
    assert_eq!(
        person.run(&["secret", "inspect", "s.json"]).done(),
        format!(
            "{told}KEY   FIELD   BYTES   WHAT IT IS\nurl   data    27      URL (postgres) with the password of ada at db\n"
        )
    );
    assert!(person.run(&["secret", "inspect", "s.json", "--reveal"]).done().contains("postgres://ada:hunter2@db/x"));
    person.file("broken", "a: [hunter2\n");
    let error = person.run(&["secret", "inspect", "broken"]).not_done();
    assert!(error.starts_with("strongroom: broken: yaml: line ") && !error.contains("hunter2"), "{error}");
    person.file("empty", "# nothing\n");
    assert!(person.run(&["secret", "inspect", "empty"]).not_done().contains("there is no object in it"));
    assert!(person.run(&["secret", "inspect", "none"]).not_done().starts_with("strongroom: none: No such file"));
}

#[test]
fn a_server_that_serves_nobody_is_one_line_and_a_code_of_its_own() {
    let person = Person::new();
    person.file("token", "sr_token\n");
    let lines: [&[&str]; 10] = [
        &["get", "prod/db"],
        &["list", "-A"],
        &["describe", "db"],
        &["set", "db", "k=-"],
        &["unset", "db", "k"],
        &["edit", "db"],
        &["generate", "db", "k"],
        &["copy", "a", "b"],
        &["rename", "a", "b"],
        &["delete", "a", "b"],
    ];
    let sealed = Played::start(|_| Some(Answer::refusal(503, "ServiceUnavailable", "sealed")));
    person.file("ca.crt", &sealed.authority);
    person.file("other.crt", &Played::start(|_| None).authority);
    let nobody = "https://127.0.0.1:1".to_owned();
    for (server, trust, told) in [
        (sealed.url(), "ca.crt", "sealed"),
        (sealed.url(), "other.crt", "is not of the authority that is trusted for it"),
        (nobody, "ca.crt", "does the server run there?"),
    ] {
        for line in lines {
            let connection = ["--server", &server, "--ca-file", trust, "--token-file", "token"];
            let ended = person.feed(&[&["secret"], line, &connection].concat(), "v");
            assert_eq!((ended.code, ended.stdout.as_str()), (69, ""), "{line:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(told) && ended.stderr.lines().count() == 1, "{line:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn names_are_looked_at_before_anybody_is_asked() {
    let person = Person::new();
    for line in [
        &["secret", "get", "PROD/db", "--server", "https://127.0.0.1:1", "--token-file", "/none"][..],
        &["secret", "unset", "prod/db", "a/b"],
        &["secret", "set", "prod/DB", "k=v"],
        &["secret", "set", "prod/db", "a b=hunter2", "..x=hunter2", "c=hunter2", "c=1"],
        &["secret", "set", "pass=hunter2", "x=1"],
        &["secret", "set", "prod/db", "--pass=hunter2"],
        &["secret", "list", "A"],
        &["secret", "copy", "a", "b/c/d"],
    ] {
        let ended = person.run(line);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{line:?}");
        assert!(!ended.stderr.contains("hunter2"), "{line:?}: {}", ended.stderr);
    }
}

#[test]
fn commands_do_what_their_user_may_and_every_one_is_recorded() {
    let mut place = Place::new();
    place.make("db", &json!({"user": "ada"}));
    let role =
        json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]});
    place.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/prod/roles", &role).ok();
    let accounts = "/api/v1/namespaces/prod/serviceaccounts";
    place.admin.json("POST", accounts, &json!({"metadata": {"name": "app"}})).ok();
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": "prod"}]});
    place.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/prod/rolebindings", &binding).ok();
    let token = place.admin.json("POST", &format!("{accounts}/app/token"), &json!({"spec": {}})).ok().json();
    place.person.file("token", token["status"]["token"].as_str().unwrap());
    std::fs::write(place.person.at("ca.crt"), &place.app.ca_pem).unwrap();
    let url = place.app.url.clone();
    let app = |line: &[&str]| {
        let connection = ["--server", &url, "--ca-file", "ca.crt", "--token-file", "token"];
        place.person.feed(&[&["secret"], line, &connection].concat(), "v")
    };
    assert_eq!(app(&["list", "prod", "-o", "name"]).done(), "secret/db\n");
    for (line, verb) in [
        (&["get", "prod/db"][..], "get"),
        (&["set", "prod/db", "k=-"], "patch"),
        (&["unset", "prod/db", "user"], "get"),
        (&["generate", "prod/db", "k"], "get"),
        (&["copy", "prod/db", "prod/x"], "get"),
        (&["delete", "prod/db"], "delete"),
        (&["edit", "prod/db"], "get"),
    ] {
        let error = app(line).not_done();
        assert!(
            error.contains("(Forbidden)") && error.contains(&format!("cannot {verb} resource")),
            "{line:?}: {error}"
        );
    }
    let query = [
        "audit",
        "query",
        "-n",
        "prod",
        "--decision",
        "forbid",
        "-o",
        "json",
        "--home",
        place.app.home().to_str().unwrap(),
    ];
    let denied = place.person.run(&query).done();
    assert_eq!(denied.matches("system:serviceaccount:prod:app").count().min(7), 7, "{denied}");
    assert_eq!(place.values("db"), json!({"user": "ada"}));
}
