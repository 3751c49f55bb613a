//! `strongroom doctor` and `strongroom completion`, against the real server and a real shell.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::support::actors;
use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::person::{Ended, Person};
use crate::support::played::{Answer, Played};

/// The word at the beginning of the line about `what`.
fn level<'a>(printed: &'a str, what: &str) -> &'a str {
    let line = printed.lines().find(|line| line.get(6..).is_some_and(|rest| rest.starts_with(&format!("{what} "))));
    line.unwrap_or_else(|| panic!("nothing of {what}: {printed}")).split(' ').next().unwrap()
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let app = App::start();
    let person = Person::new();
    let home = app.home().to_str().unwrap().to_owned();
    // Whoever unpacks a home elsewhere may have left it open.
    std::fs::set_permissions(app.home(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let well = person.run(&["doctor", "--home", &home]);
    for what in ["home", "files", "core dumps", "kubeconfig", "tls", "server", "user", "clock"] {
        assert_eq!(level(&well.stdout, what), "ok", "{what}: {}", well.stdout);
    }
    assert_eq!(level(&well.stdout, "key"), "warn", "{}", well.stdout);
    assert!(well.code == 0 && well.stderr.is_empty(), "{}", well.stderr);
    assert!(well.stdout.contains("-> keep it on another disk (--key-file)"), "{}", well.stdout);

    std::fs::set_permissions(app.home(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(app.kubeconfig(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ill = person.run(&["doctor", "--home", &home]);
    assert_eq!(
        (ill.code, level(&ill.stdout, "home"), level(&ill.stdout, "files")),
        (1, "fail", "fail"),
        "{}",
        ill.stdout
    );
    assert!(ill.stdout.contains("-> chmod 700 ") && ill.stdout.contains("admin.kubeconfig"), "{}", ill.stdout);
    assert!(!ill.stdout.contains('\u{1b}'), "colours are for terminals");

    let open = person.file("open", "apiVersion: v1\nkind: Config\n");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let none = Ended::of(person.command(&["doctor"]).env("KUBECONFIG", &open), "");
    assert_eq!((none.code, level(&none.stdout, "kubeconfig"), level(&none.stdout, "server")), (1, "warn", "fail"));
    assert!(none.stdout.contains("this machine is a client"), "{}", none.stdout);
}

#[test]
fn a_server_with_another_time_or_that_is_sealed_is_found() {
    let person = Person::new();
    person.file("token", "sr_token\n");
    let look = |server: &Played| {
        person.file("ca.crt", &server.authority);
        person.run(&["doctor", "--server", &server.url(), "--ca-file", "ca.crt", "--token-file", "token"])
    };
    let late = look(&Played::start(|_| {
        let review = json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}, "status": {"userInfo": {"username": "ada"}}});
        Some(Answer::json(200, &review))
    }));
    assert_eq!(
        (late.code, level(&late.stdout, "clock"), level(&late.stdout, "user")),
        (1, "fail", "ok"),
        "{}",
        late.stdout
    );
    let sealed = look(&Played::start(|_| Some(Answer::refusal(503, "ServiceUnavailable", "sealed"))));
    assert_eq!((sealed.code, level(&sealed.stdout, "server")), (1, "fail"), "{}", sealed.stdout);
    assert!(sealed.stdout.contains("answers 503: it is not ready"), "{}", sealed.stdout);
}

#[test]
fn a_shell_is_offered_names_and_never_values() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    actors::namespace(&mut admin, "prod");
    for name in ["db", "dc", "web"] {
        let object = json!({"metadata": {"name": name}, "stringData": {"user": "zQcanaryQz", "tls.crt": "zQcanaryQz"}});
        admin.json("POST", &actors::secrets("prod"), &object).ok();
    }
    let person = Person::new();
    let home = app.home().to_str().unwrap();
    // A server that takes too long gives no names; on a machine that is busy it is asked again.
    let until = std::time::Duration::from_mins(1);
    let ask = |words: &[&str]| {
        let words = [&["strongroom"], words].concat();
        let mut command = person.command(&[&["--"], words.as_slice()].concat());
        command.env("STRONGROOM_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        command.env("_CLAP_IFS", "\n").env("STRONGROOM_HOME", home);
        let ended = Ended::of(&mut command, "");
        assert!(ended.code == 0 && ended.stderr.is_empty() && !ended.stdout.contains("canary"), "{}", ended.stderr);
        ended.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let offered = |words: &[&str]| {
        clients::eventually(until, || Some(ask(words)).filter(|found| !found.is_empty())).unwrap_or_default()
    };
    assert_eq!(offered(&["secret", "get", "prod/d"]), ["prod/db", "prod/dc"]);
    assert_eq!(offered(&["secret", "get", "-n", "prod", "w"]), ["web"]);
    assert_eq!(offered(&["secret", "get", "pro"]), ["prod/"]);
    assert_eq!(offered(&["secret", "get", "prod/db", "--key", ""]), ["tls.crt", "user"]);
    assert_eq!(offered(&["secret", "unset", "prod/db", "u"]), ["user"]);
    assert_eq!(offered(&["secret", "list", "p"]), ["prod"]);
    assert!(offered(&["secret", "ge"]).contains(&"get".to_owned()));
    // Without a server there is nothing to offer, and nothing is said.
    let lost = |words: &[&str]| {
        let mut command = person.command(&[&["--", "strongroom"], words].concat());
        command.env("STRONGROOM_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        Ended::of(&mut command, "")
    };
    let ended = lost(&["secret", "get", "prod/d"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));

    // The script, in the shell that it is for.
    let script = person.run(&["completion", "bash"]).done();
    person.file("completion.bash", &script);
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-c"]).current_dir(person.home());
    bash.arg(
        "source completion.bash; COMP_WORDS=(strongroom secret get prod/d); COMP_CWORD=3; COMP_TYPE=9; \
         f=$(complete -p strongroom | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f strongroom prod/d get 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"",
    );
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    bash.env_clear().env("HOME", person.home()).env("PATH", path).env("STRONGROOM_HOME", home);
    let names = clients::eventually(until, || Some(Ended::of(&mut bash, "").done()).filter(|found| found.trim() != ""));
    assert_eq!(names.as_deref(), Some("prod/db\nprod/dc\n"));
    for shell in ["zsh", "fish"] {
        assert!(person.run(&["completion", shell]).done().contains("STRONGROOM_COMPLETE"), "{shell}");
    }
}
