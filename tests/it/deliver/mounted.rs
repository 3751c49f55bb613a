//! Secrets as files that are kept current.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, Running};
use crate::support::actors;
use crate::support::clients::{self, eventually};
use crate::support::person::Ended;

const LONG: Duration = Duration::from_mins(1);

fn place() -> Place {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"user": "ada", "pass": "one"}));
    place
}

fn read(place: &Place, path: &str) -> String {
    fs::read_to_string(place.person.at(path)).unwrap_or_default()
}

fn until(place: &Place, path: &str, expected: &str) {
    let found = eventually(LONG, || (read(place, path) == expected).then_some(()));
    assert!(found.is_some(), "{path} is {:?}", read(place, path));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn files_appear_change_and_go_with_the_command() {
    let mut place = place();
    let mut running = Running::start(place.command("mount", &["prod/db", "d"]));
    assert_eq!(running.line(), "1 Secret in d, kept current");
    let folder = place.person.at("d");
    assert_eq!((read(&place, "d/user"), read(&place, "d/pass")), ("ada".into(), "one".into()));
    assert_eq!((mode(&folder), mode(&folder.join("user"))), (0o700, 0o400));
    place.change("prod", "db", &json!({"pass": STANDARD.encode("two"), "user": null, "new": STANDARD.encode("n")}));
    until(&place, "d/pass", "two");
    until(&place, "d/new", "n");
    eventually(LONG, || (!folder.join("user").is_symlink()).then_some(())).unwrap();
    // Former files do not stay.
    eventually(LONG, || (names(&folder).len() == 4).then_some(())).unwrap();
    // A Secret that goes leaves its files, as in a Pod; one that comes back is mounted again.
    place.admin.delete(&format!("{}/db", actors::secrets("prod"))).ok();
    let told = running.errors.iter().find(|line| line.contains("has changed; its files stay")).unwrap();
    assert!(told.contains("Secret prod/db is not there"), "{told}");
    assert_eq!(read(&place, "d/pass"), "two");
    place.secret("prod", "db", &json!({"pass": "three"}));
    until(&place, "d/pass", "three");
    running.signal("-TERM");
    assert!(running.end().success());
    assert!(!folder.exists());
}

#[test]
fn several_secrets_have_a_folder_each_and_share_a_watch() {
    let mut place = Place::new();
    let all: Vec<String> = (0..7).map(|number| format!("s{number}")).collect();
    for name in &all {
        place.secret("prod", name, &json!({"k": format!("of {name}")}));
    }
    let line: Vec<&str> = ["-n", "prod"]
        .into_iter()
        .chain(all.iter().map(String::as_str))
        .chain(["later?", "d", "--mode", "0440"])
        .collect();
    let mut running = Running::start(place.command("mount", &line));
    assert_eq!(running.line(), "8 Secrets in d, kept current");
    for name in &all {
        assert_eq!(read(&place, &format!("d/{name}/k")), format!("of {name}"));
    }
    assert_eq!(
        (mode(&place.person.at("d")), mode(&place.person.at("d/s1")), mode(&place.person.at("d/s1/k"))),
        (0o750, 0o750, 0o440)
    );
    place.change("prod", "s3", &json!({"k": STANDARD.encode("other")}));
    place.secret("prod", "later", &json!({"k": "late"}));
    until(&place, "d/s3/k", "other");
    until(&place, "d/later/k", "late");
    running.signal("-TERM");
    assert!(running.end().success());
    assert!(!place.person.at("d").exists());
}

#[test]
fn an_interrupt_ends_it_unless_it_is_ignored() {
    let mut place = place();
    let mut running = Running::start(place.command("mount", &["prod/db", "d"]));
    running.line();
    running.signal("-INT");
    assert!(running.end().success());
    assert!(!place.person.at("d").exists());
    // As shells have it with what runs in the background.
    let home = place.app.home().to_str().unwrap();
    let line = ["--ignore-signal=INT", env!("CARGO_BIN_EXE_strongroom"), "mount", "--home", home, "prod/db", "d"];
    let mut running = Running::start(place.person.program("env", &line));
    running.line();
    running.signal("-INT");
    place.change("prod", "db", &json!({"pass": STANDARD.encode("two")}));
    until(&place, "d/pass", "two");
    running.signal("-TERM");
    assert!(running.end().success());
}

#[test]
fn once_writes_and_ends_and_writes_again() {
    let mut place = place();
    let once = |place: &Place, more: &[&str]| {
        Ended::of(&mut place.command("mount", &[&["prod/db", "d", "--once"], more].concat()), "")
    };
    assert_eq!(once(&place, &[]).done(), "1 Secret written to d\n");
    let first = fs::read_link(place.person.at("d/..data")).unwrap();
    once(&place, &[]).done();
    assert_eq!(fs::read_link(place.person.at("d/..data")).unwrap(), first);
    place.change("prod", "db", &json!({"pass": STANDARD.encode("two")}));
    once(&place, &[]).done();
    assert_eq!((read(&place, "d/pass"), names(&place.person.at("d")).len()), ("two".into(), 4));
    // Where there is no memory to write to, that is said.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ended =
        Ended::of(&mut place.command("mount", &["prod/db", disk.path().join("d").to_str().unwrap(), "--once"]), "");
    assert!(ended.code == 0 && ended.stderr.contains("is on a disk"), "{}", ended.stderr);
    if Path::new("/dev/shm").is_dir() {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let ended = Ended::of(
            &mut place.command("mount", &["prod/db", memory.path().join("d").to_str().unwrap(), "--once"]),
            "",
        );
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    }
}

#[test]
fn what_is_missing_or_in_the_way_leaves_everything_as_it_was() {
    let place = place();
    let run = |line: &[&str]| Ended::of(&mut place.command("mount", line), "");
    let error = run(&["prod/db", "prod/none", "elsewhere/api", "d"]).not_done();
    assert_eq!(
        error,
        "strongroom: nothing was written:\n  Secret elsewhere/api is not there\n  Secret prod/none is not there\n"
    );
    assert!(!place.person.at("d").exists());
    fs::create_dir(place.person.at("mine")).unwrap();
    place.person.file("mine/user", "mine");
    let error = run(&["prod/db", "mine"]).not_done();
    assert!(error.contains("mine/user: is there already"), "{error}");
    assert_eq!(names(&place.person.at("mine")), BTreeSet::from(["user".to_owned()]));
    // Two commands do not keep one directory.
    let running = Running::start(place.command("mount", &["prod/db", "d"]));
    running.line();
    let error = run(&["prod/db", "d"]).not_done();
    assert!(error.contains("another process delivers Secrets there"), "{error}");
    assert_eq!(read(&place, "d/user"), "ada");
    let error = run(&["prod/db", "a/b/c"]).not_done();
    assert!(error.contains("a/b/c: No such file or directory"), "{error}");
    let mut stopped = place;
    stopped.app.stop();
    let ended = Ended::of(&mut stopped.command("mount", &["prod/db", "e"]), "");
    assert_eq!((ended.code, ended.stderr.lines().count()), (69, 1), "{}", ended.stderr);
}

#[test]
fn a_full_or_read_only_file_system_keeps_the_old_state() {
    let mut place = place();
    // A small file system in a namespace of the test's own.
    let script = r#"
        set -e
        mkdir m; mount -t tmpfs -o size=64k tmpfs m
        "$0" mount "$@" prod/db m/d --once >&2
        echo ready; read line
        "$0" mount "$@" prod/db m/d --once && exit 1
        echo "full: $(cat m/d/pass) $(ls -A m/d | wc -l)"; read line
        mount -o remount,ro m
        "$0" mount "$@" prod/db m/d --once && exit 1
        echo "read-only: $(cat m/d/pass) $(ls -A m/d | wc -l)"
    "#;
    let mut command = place.person.program("unshare", &["-Urm", "sh", "-c", script, env!("CARGO_BIN_EXE_strongroom")]);
    command.args(["--home", place.app.home().to_str().unwrap()]);
    let mut input = std::io::pipe().unwrap();
    let mut running = Running::start_fed(command, input.0.into());
    let first = running.lines.recv_timeout(LONG);
    if first.as_ref().is_ok_and(|line| line != "ready") || first.is_err() {
        let told: Vec<String> = running.errors.try_iter().collect();
        assert!(told.iter().any(|line| line.starts_with("unshare:")), "{first:?} {told:?}");
        clients::missing("namespaces cannot be made by this user");
        return;
    }
    let mut change = |value: String| {
        place.change("prod", "db", &json!({"pass": STANDARD.encode(value)}));
        input.1.write_all(b"\n").unwrap();
    };
    change("x".repeat(100_000));
    assert_eq!(running.line(), "full: one 4");
    change("two".to_owned());
    assert_eq!(running.line(), "read-only: one 4");
    assert!(running.end().success());
    let told: Vec<String> = running.errors.iter().collect();
    assert!(told.iter().any(|line| line.contains("No space left")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("Read-only file system")), "{told:?}");
}

/// What a reader got, as the number of the state it is of: all of it is of one.
fn whole(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap();
    assert_eq!(text, text[..9].repeat(500), "a mixed state");
    text[..8].parse().unwrap()
}

/// Readers end with the scope, whatever ends it.
struct EndsReaders<'a>(&'a AtomicBool);

impl Drop for EndsReaders<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_never_sees_a_mixed_or_missing_state() {
    const UPDATES: u64 = 1_000;
    let mut place = Place::new();
    let value = |number: u64| format!("{number:08} ").repeat(500);
    place.secret("prod", "db", &json!({"a": value(0), "b": value(0)}));
    let mut running = Running::start(place.command("mount", &["prod/db", "d"]));
    running.line();
    let folder = place.person.at("d");
    let (is_over, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _ends = EndsReaders(&is_over);
        scope.spawn(|| {
            let mut last = 0;
            while !is_over.load(Ordering::Relaxed) {
                // One file, by its name.
                let number = whole(&fs::read(folder.join("a")).expect("a missing state"));
                assert!(number >= last, "an old state after a new one");
                if number > last {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                last = number;
                // Both, as who needs them to fit reads them: by what `..data` leads to at one moment.
                let now = folder.join(fs::read_link(folder.join("..data")).expect("a missing state"));
                let both = ["a", "b"].map(|key| whole(&fs::read(now.join(key)).expect("a missing state")));
                assert_eq!(both[0], both[1], "a mixed state");
                std::thread::yield_now();
            }
        });
        for number in 1..=UPDATES {
            let encoded = STANDARD.encode(value(number));
            place.change("prod", "db", &json!({"a": encoded, "b": encoded}));
        }
        let last = format!("{UPDATES:08}");
        let arrived = eventually(LONG, || {
            fs::read_to_string(folder.join("b")).unwrap_or_default().starts_with(&last).then_some(())
        });
        assert!(arrived.is_some(), "the last update has not arrived");
    });
    assert!(seen.load(Ordering::Relaxed) > 10, "the reader saw too few states");
    // The writer itself, without the wait between two updates that watching makes.
    running.signal("-TERM");
    assert!(running.end().success());
}

/// What was there before is as it was, also where this run made a part of it.
#[test]
fn a_failure_at_the_start_takes_back_only_what_is_new() {
    let mut place = place();
    place.secret("prod", "api", &json!({"k": "v"}));
    let run = |line: &[&str]| Ended::of(&mut place.command("mount", line), "");
    run(&["-n", "prod", "api", "db", "d", "--once"]).done();
    fs::remove_file(place.person.at("d/db/user")).unwrap();
    place.person.file("d/db/user", "mine");
    for more in [&["--once"][..], &[]] {
        let error = run(&[&["-n", "prod", "api", "db", "d"], more].concat()).not_done();
        assert!(error.contains("d/db/user: is there already"), "{error}");
        assert_eq!((read(&place, "d/api/k"), read(&place, "d/db/pass")), ("v".into(), "one".into()));
    }
    // Nor is a directory used in which others could put something else in a file's place.
    fs::set_permissions(place.person.at("d"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = run(&["prod/api", "d"]).not_done();
    assert!(error.contains("others may replace what is in it"), "{error}");
}

#[test]
fn a_certificate_that_is_renewed_and_a_value_that_is_rotated_reach_the_files() {
    const OURS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/prod";
    let mut place = Place::new();
    let certificate = json!({"metadata": {"name": "web"}, "spec": {"secretName": "web", "dnsNames": ["web.example"]}});
    place.admin.json("POST", &format!("{OURS}/certificates"), &certificate).ok();
    let keys = json!([{"key": "token", "generator": "hex"}]);
    let generated =
        json!({"metadata": {"name": "gen"}, "spec": {"secretName": "gen", "keys": keys, "keepPrevious": true}});
    place.admin.json("POST", &format!("{OURS}/generatedsecrets"), &generated).ok();
    for name in ["web", "gen"] {
        let path = format!("{}/{name}", actors::secrets("prod"));
        eventually(LONG, || (place.admin.get(&path).status == 200).then_some(())).unwrap();
    }
    let mut web = Running::start(place.command("mount", &["prod/web", "w"]));
    let mut generated = Running::start(place.command("mount", &["prod/gen", "g"]));
    for running in [&web, &generated] {
        assert!(running.line().ends_with("kept current"));
    }
    let (chain, token) = (read(&place, "w/tls.crt"), read(&place, "g/token"));
    assert!(chain.starts_with("-----BEGIN CERTIFICATE-----") && token.len() == 64);
    let now = json!({"metadata": {"annotations": {"strongroom.dev/rotate-now": "1"}}}).to_string();
    for item in ["certificates/web", "generatedsecrets/gen"] {
        place.admin.typed("PATCH", &format!("{OURS}/{item}"), "application/merge-patch+json", now.as_bytes()).ok();
    }
    until(&place, "g/token.previous", &token);
    assert_ne!(read(&place, "g/token"), token);
    eventually(LONG, || (read(&place, "w/tls.crt") != chain).then_some(())).unwrap();
    let pair = |place: &Place| (read(place, "w/tls.crt"), read(place, "w/tls.key"));
    let (chain, key) = pair(&place);
    assert_eq!(strongroom::pki::pair_warning(chain.as_bytes(), key.as_bytes()), None);
    for running in [&mut web, &mut generated] {
        running.signal("-TERM");
        assert!(running.end().success());
    }
}
