//! A command with Secrets in its environment.

use std::os::unix::process::ExitStatusExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, Running};
use crate::support::actors;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::person::Ended;

/// What `env` prints, of the variables that are looked at. A shell would leave out those whose names it does not know.
fn shown(printed: &str) -> String {
    let looked_at = ["A=", "B=", "DB_", "tls", "user", "INHERITED", "STRONGROOM"];
    let mut lines: Vec<&str> =
        printed.lines().filter(|line| looked_at.iter().any(|name| line.starts_with(name))).collect();
    lines.sort_unstable();
    lines
        .iter()
        .flat_map(|line| {
            [
                *line, "
",
            ]
        })
        .collect()
}

fn place() -> Place {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"user": "ada", "pass": "pa$$w0rd $(user)", "tls.crt": "PEM"}));
    place.secret("prod", "more", &json!({"user": "eve", "B": ""}));
    place
}

#[test]
fn keys_become_variables_and_later_ones_win() {
    let place = place();
    let run = |options: &[&str]| shown(&place.run(&[options, &["--", "env"]].concat()).done());
    assert_eq!(run(&["--env-from", "prod/db"]), "tls.crt=PEM\nuser=ada\n");
    assert_eq!(run(&["--secret", "db", "-n", "prod"]), "tls.crt=PEM\nuser=ada\n");
    assert_eq!(run(&["--env-from", "prod/db:DB_"]), "DB_pass=pa$$w0rd $(user)\nDB_tls.crt=PEM\nDB_user=ada\n");
    assert_eq!(run(&["--env-from", "prod/db", "--secret", "prod/more"]), "B=\ntls.crt=PEM\nuser=eve\n");
    assert_eq!(run(&["--env-from", "prod/more", "--secret", "prod/db"]), "B=\ntls.crt=PEM\nuser=ada\n");
    // One variable wins over all keys, wherever it stands on the line.
    assert_eq!(run(&["--env", "user=prod/more:user", "--env-from", "prod/db"]), "tls.crt=PEM\nuser=eve\n");
    assert_eq!(run(&["--env", "A=prod/db:user", "--env", "A=prod/more:user"]), "A=eve\n");
    assert_eq!(run(&["--env-from", "prod/db", "--only", "user"]), "user=ada\n");
    // What may be missing.
    assert_eq!(run(&["--secret", "prod/none?", "--env", "A=prod/none?:k", "--env", "B=prod/db?:none"]), "");
}

#[test]
fn the_environment_is_inherited_without_what_is_strongrooms_own() {
    let place = place();
    let run = |options: &[&str]| {
        let mut command = place.command("run", &[options, &["--", "env"]].concat());
        command.env("INHERITED", "1").env("user", "me").env("STRONGROOM_TOKEN_FILE", "/t").env("STRONGROOM_X", "2");
        shown(&Ended::of(&mut command, "").done())
    };
    assert_eq!(run(&["--env", "user=prod/db:user"]), "INHERITED=1\nuser=ada\n");
    assert_eq!(run(&["--env", "user=prod/db:user", "--preserve-env", "user,none"]), "INHERITED=1\nuser=me\n");
    assert_eq!(
        run(&["--env", "A=prod/db:user", "--clear-env", "--preserve-env", "PATH,STRONGROOM_X"]),
        "A=ada\nSTRONGROOM_X=2\n"
    );
}

#[test]
fn the_process_turns_into_the_command() {
    let place = place();
    let options = ["--env", "A=prod/db:pass", "--"];
    // The same process, its limits and its mask as they were.
    let mut command = place
        .person
        .program("sh", &["-c", "umask 027; ulimit -S -c; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_strongroom")]);
    command.args(["run", "--home", place.app.home().to_str().unwrap()]).args(options);
    command.args(["sh", "-c", "echo $$; umask; ulimit -S -c; ls /proc/$$/fd | wc -l; printf '%s\\n' \"$A\""]);
    let mut running = Running::start(command);
    let core = running.line();
    let (pid, mask, core_now, _files) = (running.line(), running.line(), running.line(), running.line());
    assert_eq!((pid, mask.as_str(), core_now), (running.child.id().to_string(), "0027", core));
    assert_eq!(running.line(), "pa$$w0rd $(user)");
    assert!(running.end().success());
    // Its end is the command's.
    let code = |options: &[&str]| place.run(&[&["--secret", "prod/db", "--"], options].concat()).code;
    assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["nothing-of-that-name"]), 127);
    assert_eq!(code(&["/"]), 126);
    let mut running = Running::start(place.command("run", &["--secret", "prod/db", "--", "sh", "-c", "kill -9 $$"]));
    assert_eq!(running.end().signal(), Some(9));
}

#[test]
fn all_that_is_missing_is_told_and_nothing_is_started() {
    let mut place = place();
    place.secret("prod", "binary", &json!({"ok": "x"}));
    place.change("prod", "binary", &json!({"nul": STANDARD.encode(b"zQcanaryQz\0b")}));
    let options = [
        "--secret",
        "prod/none",
        "--env",
        "A=prod/db:none",
        "--env",
        "B=elsewhere/db:user",
        "--secret",
        "prod/binary",
        "--",
        "sh",
        "-c",
        "echo started",
    ];
    let ended = place.run(&options);
    assert_eq!((ended.code, ended.stdout.as_str()), (125, ""));
    assert_eq!(
        ended.stderr,
        "strongroom: nothing was started:\n  \
         Secret elsewhere/db is not there\n  \
         Secret prod/none is not there\n  \
         Secret prod/db has no key none\n  \
         Secret prod/binary, key nul: the value holds a NUL byte, which no environment variable can; deliver it as a file\n"
    );
    let ended = place.run(&["--secret", "prod/db", "--only", "user,none", "--", "true"]);
    assert_eq!((ended.code, ended.stderr.contains("--only names what is not there: none")), (125, true));
    // What is too long for a variable.
    place.secret("prod", "long", &json!({"k": "x".repeat(140_000)}));
    let ended = place.run(&["--secret", "prod/long", "--", "true"]);
    assert!(ended.code == 125 && ended.stderr.contains("variable k is longer"), "{}", ended.stderr);
}

#[test]
fn who_may_not_get_a_secret_is_told_so_and_gets_nothing() {
    let mut place = place();
    let app = actors::service_account(&mut place.admin, "prod", "app");
    place.person.file("token", app.token().unwrap());
    let ca = place.app.home().join("tls/ca.crt");
    let line = ["run", "--server", &place.app.url, "--token-file", "token", "--ca-file", ca.to_str().unwrap()];
    let ended =
        place.person.run(&[line.as_slice(), &["--secret", "prod/db", "--secret", "prod/more", "--", "true"]].concat());
    assert_eq!(ended.code, 125);
    for name in ["db", "more"] {
        let told = format!("Secret prod/{name}: Error from server (Forbidden): secrets \"{name}\" is forbidden");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
    // Nor may who has no longer a token.
    place.person.file("token", "sr_wrong");
    let ended = place.person.run(&[line.as_slice(), &["--secret", "prod/db", "--", "true"]].concat());
    assert!(ended.code == 125 && ended.stderr.contains("(Unauthorized)"), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_not_there_or_another_one_has_an_exit_code_of_its_own() {
    let mut place = place();
    let other = App::start();
    place.person.file("token", &other.token);
    let ca = place.app.home().join("tls/ca.crt");
    let asked = |server: &str| {
        let line = ["run", "--server", server, "--token-file", "token", "--ca-file", ca.to_str().unwrap()];
        place.person.run(&[line.as_slice(), &["--secret", "prod/db", "--", "echo", "started"]].concat())
    };
    // The authority that was pinned is not that of the server that answers.
    let ended = asked(&other.url);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.lines().count()), (69, "", 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("not of the authority that is trusted for it"), "{}", ended.stderr);
    drop(Client::admin(&other));
    place.app.stop();
    let ended = place.run(&["--secret", "prod/db", "--", "echo", "started"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.lines().count()), (69, "", 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("does the server run there?"), "{}", ended.stderr);
}
