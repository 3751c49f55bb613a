//! Commands that are watched over: masked output, restarts, signals.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, Running};
use crate::support::actors;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

fn place() -> Place {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"V": "one-of-the-values"}));
    place
}

#[test]
fn output_is_masked_and_the_end_is_the_commands() {
    let place = place();
    let script = "printf 'a %s b\\n' \"$V\"; printf '%s' \"${V%????}\"; printf 'lues\\n'; printf '%s' \"$V\" | base64; echo \"err $V\" >&2; exit 3";
    let ended = place.run(&["--secret", "prod/db", "--redact", "--", "sh", "-c", script]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (3, "a *** b\n***\n***\n", "err ***\n"));
    let ended = place.run(&["--secret", "prod/db", "--redact", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (137, ""));
    let ended = place.run(&["--secret", "prod/db", "--redact", "--", "nothing-of-that-name"]);
    assert_eq!(ended.code, 127);
    // Much of it, binary too, and nothing is lost.
    let ended = place.run(&["--secret", "prod/db", "--redact", "--", "sh", "-c", "seq 1 50000"]);
    assert_eq!(ended.stdout.lines().count(), 50_000);
}

#[test]
fn signals_are_passed_on() {
    let place = place();
    let script = "trap 'echo hup' HUP; trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.02; done";
    let mut running =
        Running::start(place.command("run", &["--secret", "prod/db", "--redact", "--", "sh", "-c", script]));
    assert_eq!(running.line(), "ready");
    running.signal("-HUP");
    assert_eq!(running.line(), "hup");
    running.signal("-TERM");
    assert_eq!(running.line(), "term");
    assert_eq!(running.end().code(), Some(4));
}

#[test]
fn what_was_ignored_stays_ignored() {
    let place = place();
    let mut command =
        place.person.program("sh", &["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_strongroom")]);
    command.args(["run", "--home", place.app.home().to_str().unwrap(), "--secret", "prod/db", "--redact", "--"]);
    command.args(["sh", "-c", "grep SigIgn /proc/self/status; kill -HUP $$; echo alive"]);
    let mut running = Running::start(command);
    let mask = running.line();
    let mask = u64::from_str_radix(mask.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!((mask & 1, running.line().as_str()), (1, "alive"));
    assert!(running.end().success());
}

#[test]
fn a_change_restarts_the_command() {
    let mut place = place();
    place.secret("prod", "other", &json!({"O": "x"}));
    let options = [
        "--secret",
        "prod/db",
        "--secret",
        "prod/later?",
        "--watch",
        "--",
        "sh",
        "-c",
        "echo \"got $V $L\"; exec tail -f /dev/null",
    ];
    let mut running = Running::start(place.command("run", &options));
    assert_eq!(running.line(), "got one-of-the-values ");
    place.change("prod", "other", &json!({"O": STANDARD.encode("y")}));
    place.change("prod", "db", &json!({"V": STANDARD.encode("two")}));
    assert_eq!(running.line(), "got two ");
    // What was missing comes.
    place.secret("prod", "later", &json!({"L": "late"}));
    assert_eq!(running.line(), "got two late");
    // What is needed goes: the command goes on with what it has.
    place.admin.delete(&format!("{}/db", actors::secrets("prod"))).ok();
    let told = std::iter::from_fn(|| running.errors.recv_timeout(Duration::from_mins(1)).ok());
    let told = told.take_while(|line| !line.contains("Secret prod/db is not there")).count();
    assert!(told >= 1);
    place.secret("prod", "db", &json!({"V": "three"}));
    assert_eq!(running.line(), "got three late");
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

#[test]
fn a_change_is_signalled_instead_where_that_is_asked_for() {
    let mut place = place();
    let script = "trap 'echo changed' HUP; echo \"ready $V\"; while :; do sleep 0.02; done";
    let options = ["--secret", "prod/db", "--watch", "--signal", "SIGHUP", "--", "sh", "-c", script];
    let mut running = Running::start(place.command("run", &options));
    assert_eq!(running.line(), "ready one-of-the-values");
    for value in ["two", "three"] {
        place.change("prod", "db", &json!({"V": STANDARD.encode(value)}));
        assert_eq!(running.line(), "changed");
    }
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

#[test]
fn a_value_that_is_rotated_restarts_the_command() {
    let mut place = Place::new();
    let kind = "/apis/strongroom.dev/v1alpha1/namespaces/prod/generatedsecrets";
    let generated = json!({"metadata": {"name": "g"}, "spec": {"secretName": "g", "keys": [{"key": "V", "generator": "hex", "length": 16}]}});
    place.admin.json("POST", kind, &generated).ok();
    let path = format!("{}/g", actors::secrets("prod"));
    let mut is_there = || (place.admin.get(&path).status == 200).then_some(());
    eventually(Duration::from_mins(1), &mut is_there).expect("the Secret");
    let options = ["--secret", "prod/g", "--watch", "--", "sh", "-c", "echo \"$V\"; exec tail -f /dev/null"];
    let mut running = Running::start(place.command("run", &options));
    let first = running.line();
    let now = json!({"metadata": {"annotations": {"strongroom.dev/rotate-now": "1"}}}).to_string();
    place.admin.typed("PATCH", &format!("{kind}/g"), "application/merge-patch+json", now.as_bytes()).ok();
    let second = running.line();
    assert!(first.len() == 32 && second.len() == 32 && first != second, "{first} {second}");
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

/// A command that is told of changes has the values that it was started with, for as long as it runs.
#[test]
fn values_of_before_are_masked_after_any_number_of_changes() {
    let mut place = place();
    let script = "trap 'echo \"had $V\"' HUP; echo \"ready $V\"; while :; do sleep 0.02; done";
    let options = ["--secret", "prod/db", "--redact", "--watch", "--signal", "HUP", "--", "sh", "-c", script];
    let mut running = Running::start(place.command("run", &options));
    assert_eq!(running.line(), "ready ***");
    for value in ["another value", "a third value", "and a fourth"] {
        place.change("prod", "db", &json!({"V": STANDARD.encode(value)}));
        assert_eq!(running.line(), "had ***");
    }
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_of_and_changes_arrive_again() {
    let mut place = place();
    let options = ["--secret", "prod/db", "--watch", "--", "sh", "-c", "echo \"got $V\"; exec tail -f /dev/null"];
    let mut running = Running::start(place.command("run", &options));
    assert_eq!(running.line(), "got one-of-the-values");
    // Where it was, so that it is found again.
    let listen = place.app.url.trim_start_matches("https://").to_owned();
    let home = std::mem::replace(&mut place.app, App::start()).kill();
    let told = running.errors.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(told.contains("changes are not heard of at present"), "{told}");
    place.app = App::start_at(home, &listen, &[]);
    place.admin = Client::admin(&place.app);
    place.change("prod", "db", &json!({"V": STANDARD.encode("two")}));
    assert_eq!(running.line(), "got two");
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

#[test]
fn who_may_get_but_not_watch_is_told_before_anything_is_started() {
    let mut place = place();
    let app = actors::service_account(&mut place.admin, "prod", "app");
    let role = json!({"metadata": {"name": "gets"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": ["get"]}]});
    place.admin.json("POST", &actors::rbac("prod", "roles"), &role).ok();
    let binding = json!({"metadata": {"name": "gets"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gets"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "prod", "name": "app"}]});
    place.admin.json("POST", &actors::rbac("prod", "rolebindings"), &binding).ok();
    place.person.file("token", app.token().unwrap());
    let ca = place.app.home().join("tls/ca.crt");
    let line = [
        "run",
        "--server",
        &place.app.url,
        "--token-file",
        "token",
        "--ca-file",
        ca.to_str().unwrap(),
        "--secret",
        "prod/db",
    ];
    let run = |more: &[&str]| place.person.run(&[line.as_slice(), more, &["--", "echo", "started"]].concat());
    assert_eq!(run(&[]).done(), "started\n");
    let ended = run(&["--watch"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (125, ""));
    assert!(ended.stderr.contains("(Forbidden)") && ended.stderr.contains("watch"), "{}", ended.stderr);
}
