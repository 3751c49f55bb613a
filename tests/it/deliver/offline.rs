//! Commands that go on while the server is away, with what it gave before.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, Running};
use crate::support::actors;
use crate::support::app::App;
use crate::support::canary::{Canary, found, found_in_files};
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::person::Ended;

const LONG: Duration = Duration::from_mins(1);
const AGED: [&str; 2] = ["--offline-max-age", "1h"];
const PRINT: [&str; 4] = ["--", "sh", "-c", "echo \"got $V\""];

/// A server whose home, address and users stay as they are while it goes and comes.
struct Room {
    place: Place,
    home: PathBuf,
    listen: String,
    /// Where the key of the session is.
    session: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let mut place = Place::new();
        place.secret("prod", "db", &json!({"V": "one"}));
        let home = place.app.home().to_owned();
        let listen = place.app.url.trim_start_matches("https://").to_owned();
        let memory = Path::new("/dev/shm");
        let session = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { place, home, listen, session: session.unwrap() }
    }

    fn command(&self, verb: &str, options: &[&str]) -> Command {
        let mut command = self.place.command(verb, options);
        command.env("XDG_RUNTIME_DIR", self.session.path());
        command
    }

    fn run(&self, options: &[&str]) -> Ended {
        Ended::of(&mut self.command("run", options), "")
    }

    /// `run` of Secrets that may be kept for an hour.
    fn kept(&self, secrets: &[&str]) -> Ended {
        let secrets = secrets.iter().flat_map(|name| ["--secret", name]);
        let options: Vec<&str> = AGED.into_iter().chain(secrets).chain(PRINT).collect();
        self.run(&options)
    }

    fn goes(&mut self) {
        assert_eq!(self.place.app.stop(), Some(0));
    }

    fn comes_back(&mut self) {
        // What is put in its place for a moment is another server at another address.
        let home = std::mem::replace(&mut self.place.app, App::start()).kill();
        self.place.app = App::start_at(home, &self.listen, &[]);
        self.place.admin = Client::admin(&self.place.app);
        assert_eq!(self.place.app.home(), self.home);
    }

    fn folder(&self) -> PathBuf {
        self.place.person.at(".cache/strongroom/offline")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Nothing was started, for the server does not answer, and this is what is said of what is kept.
#[track_caller]
fn unavailable(ended: &Ended, said: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (69, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn without_the_option_nothing_is_kept_and_nothing_kept_is_used() {
    let mut room = Room::new();
    let plain = |room: &Room| room.run(&[&["--secret", "prod/db"], &PRINT[..]].concat());
    assert_eq!(plain(&room).done(), "got one\n");
    assert!(!room.folder().exists() && fs::read_dir(room.session.path()).unwrap().next().is_none());
    assert_eq!(room.kept(&["prod/db"]).done(), "got one\n");
    room.goes();
    unavailable(&plain(&room), "does the server run there?");
    // There is no key without a session, unless another place is chosen for it.
    let options = [&AGED[..], &["--secret", "prod/db"], &PRINT].concat();
    let ended = room.place.run(&options);
    assert!(ended.code == 2 && ended.stderr.contains("give --offline-key-file"), "{}", ended.stderr);
}

#[test]
fn what_was_got_is_used_while_the_server_is_away_and_says_how_old_it_is() {
    let mut room = Room::new();
    room.place.secret("prod", "more", &json!({"W": "x"}));
    assert_eq!(room.kept(&["prod/db", "prod/more"]).done(), "got one\n");
    let online = room.kept(&["prod/db"]);
    assert_eq!((online.code, online.stderr.as_str()), (0, ""));
    room.goes();
    let ended = room.kept(&["prod/db", "prod/more"]);
    done_with_a_warning(&ended);
    assert!(ended.stderr.starts_with("warning: the server does not answer; values of 2"), "{}", ended.stderr);
    assert!(ended.stderr.contains("s old) are used"), "{}", ended.stderr);
    // As long as it is not older than was asked for. Whoever asks for less takes nothing away from who asks for more.
    let young = [&["--offline-max-age", "1s", "--secret", "prod/db"][..], &PRINT].concat();
    let too_old = eventually(LONG, || Some(room.run(&young)).filter(|ended| ended.code != 0)).unwrap();
    unavailable(&too_old, ". Secret prod/db: what is kept of it is ");
    assert!(
        too_old.stderr.contains("s old, more than 1s") && too_old.stderr.lines().count() == 1,
        "{}",
        too_old.stderr
    );
    assert_eq!(room.kept(&["prod/db"]).done(), "got one\n");
    // Another time, another value.
    room.comes_back();
    room.place.change("prod", "db", &json!({"V": STANDARD.encode("two")}));
    assert_eq!(room.kept(&["prod/db"]).done(), "got two\n");
    room.goes();
    assert_eq!(room.kept(&["prod/db"]).done(), "got two\n");
}

#[test]
fn entries_are_removed_when_they_are_older_than_anybody_asked_for() {
    let room = Room::new();
    let short = [&["--offline-max-age", "1s", "--secret", "prod/db"][..], &PRINT].concat();
    room.run(&short).done();
    assert_eq!(room.entries().len(), 1);
    let begun = room.folder().join(format!(".{}.0123456789abcdef.new", "0".repeat(64)));
    let other = room.folder().join("README");
    for file in [&begun, &other] {
        fs::write(file, "x").unwrap();
    }
    fs::File::open(&begun).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    // The Secret is another one: what is over is removed whoever comes.
    let another = ["--offline-max-age", "1s", "--secret", "prod/none?", "--", "true"];
    let gone = eventually(LONG, || {
        room.run(&another).done();
        (room.entries() == [other.clone()]).then_some(())
    });
    assert!(gone.is_some(), "{:?}", room.entries());
}

#[test]
fn all_is_there_or_nothing_is_started() {
    let mut room = Room::new();
    room.place.secret("prod", "more", &json!({"W": "x"}));
    room.kept(&["prod/db"]).done();
    room.goes();
    unavailable(&room.kept(&["prod/db", "prod/more"]), ". Secret prod/more: nothing is kept of it");
    let ended = room.kept(&["prod/more", "prod/db", "prod/other?"]);
    unavailable(&ended, ":\n  Secret prod/more: nothing is kept of it\n  Secret prod/other: nothing is kept of it\n");
    let ended = Ended::of(&mut room.command("mount", &[&AGED[..], &["prod/db", "prod/more", "d"]].concat()), "");
    unavailable(&ended, ". Secret prod/more: nothing is kept of it");
    assert!(!room.place.person.at("d").exists());
}

#[test]
fn a_server_that_answers_is_believed_whatever_it_says() {
    let mut room = Room::new();
    let app = actors::service_account(&mut room.place.admin, "prod", "app");
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    let role = json!({"metadata": {"name": "gets"}, "rules": [rule]});
    room.place.admin.json("POST", &actors::rbac("prod", "roles"), &role).ok();
    let binding = json!({"metadata": {"name": "gets"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gets"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "prod", "name": "app"}]});
    room.place.admin.json("POST", &actors::rbac("prod", "rolebindings"), &binding).ok();
    room.place.secret("prod", "more", &json!({"W": "x"}));
    room.place.person.file("token", app.token().unwrap());
    let url = room.place.app.url.clone();
    let ca = room.home.join("tls/ca.crt").to_str().unwrap().to_owned();
    let line = ["run", "--server", &url, "--token-file", "token", "--ca-file", &ca, "--offline-max-age", "1h"];
    let as_app = |room: &Room, secret: &str| {
        let arguments = [&line[..], &["--secret", secret], &PRINT].concat();
        let mut command = room.place.person.command(&arguments);
        Ended::of(command.env("XDG_RUNTIME_DIR", room.session.path()), "")
    };
    as_app(&room, "prod/db").done();
    as_app(&room, "prod/more").done();
    assert_eq!(room.entries().len(), 2);
    // 401 gives nothing, and takes nothing away: who asks is another one.
    room.place.person.file("token", "sr_wrong");
    let ended = as_app(&room, "prod/db");
    assert!(ended.code == 125 && ended.stderr.contains("(Unauthorized)"), "{}", ended.stderr);
    room.place.person.file("token", app.token().unwrap());
    // 403 and 404 take away what was kept.
    room.place.admin.delete(&format!("{}/more", actors::secrets("prod"))).ok();
    assert_eq!(as_app(&room, "prod/more").code, 125);
    assert_eq!(room.entries().len(), 1);
    room.place.admin.delete(&format!("{}/gets", actors::rbac("prod", "rolebindings"))).ok();
    let ended = as_app(&room, "prod/db");
    assert!(ended.code == 125 && ended.stderr.contains("(Forbidden)"), "{}", ended.stderr);
    assert!(room.entries().is_empty());
    room.goes();
    unavailable(&as_app(&room, "prod/db"), "nothing is kept of it");
}

#[test]
fn another_server_in_its_place_is_not_believed_nor_is_what_is_kept() {
    let mut room = Room::new();
    room.kept(&["prod/db"]).done();
    let config = fs::read_to_string(room.home.join("admin.kubeconfig")).unwrap();
    let config = room.place.person.file("config", &config);
    room.goes();
    let other = App::start_at(tempfile::tempdir().unwrap(), &room.listen, &[]);
    let arguments = [&["run", "--kubeconfig", &config], &AGED[..], &["--secret", "prod/db"], &PRINT].concat();
    let mut command = room.place.person.command(&arguments);
    let ended = Ended::of(command.env("XDG_RUNTIME_DIR", room.session.path()), "");
    unavailable(&ended, "not of the authority that is trusted for it");
    let ended = room.kept(&["prod/db"]);
    unavailable(&ended, "not of the authority that is trusted for it");
    assert!(!ended.stderr.contains("kept"), "{}", ended.stderr);
    drop(other);
    // It is that it answered: the entry is there, and stands in where nobody does.
    assert_eq!(room.kept(&["prod/db"]).done(), "got one\n");
    // For another user it is none of theirs.
    let mut command = room.place.person.command(&arguments);
    let ended = Ended::of(command.env("XDG_RUNTIME_DIR", room.session.path()), "");
    unavailable(&ended, "nothing is kept of it");
}

#[test]
fn what_is_damaged_or_moved_is_none_and_told() {
    let mut room = Room::new();
    room.place.secret("prod", "more", &json!({"V": "of more"}));
    room.kept(&["prod/db"]).done();
    let [db] = room.entries().try_into().unwrap();
    room.kept(&["prod/more"]).done();
    let more = room.entries().into_iter().find(|entry| *entry != db).unwrap();
    room.goes();
    let whole = fs::read(&db).unwrap();
    // One Secret's values for another's.
    fs::copy(&more, &db).unwrap();
    unavailable(&room.kept(&["prod/db"]), "Secret prod/db: what is kept of it cannot be opened");
    for (at, bytes) in [(whole.len() - 1, &whole[..]), (30, &whole), (0, &whole[..40]), (0, b"x"), (0, b"")] {
        let mut bytes = bytes.to_vec();
        bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
        fs::write(&db, bytes).unwrap();
        unavailable(&room.kept(&["prod/db"]), "what is kept of it cannot be opened");
    }
    fs::write(&db, &whole).unwrap();
    fs::set_permissions(&db, fs::Permissions::from_mode(0o644)).unwrap();
    unavailable(&room.kept(&["prod/db"]), "others may have read it");
    fs::set_permissions(&db, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(room.kept(&["prod/db"]).done(), "got one\n");
    // A session has ended, and its key with it.
    fs::remove_dir_all(room.session.path().join("strongroom")).unwrap();
    unavailable(&room.kept(&["prod/db"]), "nothing is kept of it");
}

#[test]
fn what_is_kept_and_its_key_are_private_and_hold_nothing_in_the_clear() {
    let mut room = Room::new();
    let canary = [Canary::new("a Secret that is kept")];
    room.place.secret("prod", "very-special-name", &json!({"special-key": canary[0].value}));
    let options = [&AGED[..], &["--secret", "prod/very-special-name", "--", "true"]].concat();
    let traced = [&["--log", "trace"], options.as_slice()].concat();
    let mut said = Vec::new();
    for goes in [false, true] {
        if goes {
            room.goes();
        }
        let ended = room.run(&traced);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        said.extend(found(&canary, format!("{}{}", ended.stdout, ended.stderr).as_bytes(), "what is said"));
    }
    // Damaged, it is told of without being shown.
    let [entry] = room.entries().try_into().unwrap();
    let bytes = fs::read(&entry).unwrap();
    let key = room.session.path().join("strongroom/offline.key");
    for clear in [&b"special-key"[..], b"very-special-name", b"prod", b"127.0.0.1"] {
        assert!(!bytes.windows(clear.len()).any(|part| part == clear));
    }
    let name = entry.file_name().unwrap().to_str().unwrap();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    assert_eq!((mode(&room.folder()), mode(&entry)), (0o700, 0o600));
    assert_eq!((mode(key.parent().unwrap()), mode(&key), fs::read(&key).unwrap().len()), (0o700, 0o600, 32));
    fs::write(&entry, &bytes[..bytes.len() - 1]).unwrap();
    let ended = room.run(&traced);
    said.extend(found(&canary, ended.stderr.as_bytes(), "what is said of a damaged entry"));
    assert_eq!(ended.code, 69);
    said.extend(found_in_files(&canary, room.place.person.home()));
    said.extend(found_in_files(&canary, room.session.path()));
    assert!(said.is_empty(), "{said:#?}");
}

#[test]
fn a_key_of_its_own_is_made_private_and_refused_where_others_could_have_it() {
    let mut room = Room::new();
    let folder = room.place.person.at("keys");
    fs::create_dir(&folder).unwrap();
    let key = folder.join("offline.key");
    let run = |room: &Room| {
        let options = ["--offline-key-file", key.to_str().unwrap(), "--secret", "prod/db"];
        // Without a session.
        room.place.run(&[&AGED[..], &options, &PRINT].concat())
    };
    assert_eq!(run(&room).done(), "got one\n");
    assert_eq!((mode(&key), fs::read(&key).unwrap().len()), (0o600, 32));
    for (mode, said) in [(0o640, "has mode 0640"), (0o604, "has mode 0604")] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let ended = run(&room);
        assert!(ended.code == 125 && ended.stdout.is_empty() && ended.stderr.contains(said), "{}", ended.stderr);
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(run(&room).stderr.contains("others could replace the file"));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let real = folder.join("real");
    fs::rename(&key, &real).unwrap();
    symlink(&real, &key).unwrap();
    assert!(run(&room).stderr.contains("is a symbolic link"));
    fs::remove_file(&key).unwrap();
    for length in [0, 31, 33] {
        fs::write(&key, vec![7; length]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let ended = run(&room);
        assert!(ended.code == 125 && ended.stderr.contains("does not hold a key of 32 bytes"), "{}", ended.stderr);
        fs::remove_file(&key).unwrap();
    }
    // The key that was there opens what was kept with it.
    fs::rename(&real, &key).unwrap();
    room.goes();
    assert_eq!(run(&room).done(), "got one\n");
}

/// The command ran, and there was one line beside.
fn done_with_a_warning(ended: &Ended) {
    let shown = (ended.code, ended.stdout.as_str(), ended.stderr.lines().count());
    assert_eq!(shown, (0, "got one\n", 1), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_kept_keeps_nothing_from_being_done() {
    let mut room = Room::new();
    // A file where the folder would be, as little to be written to as a disk that is full.
    fs::create_dir_all(room.place.person.at(".cache")).unwrap();
    room.place.person.file(".cache/strongroom", "");
    let ended = room.kept(&["prod/db"]);
    done_with_a_warning(&ended);
    assert!(ended.stderr.contains("nothing is kept for when the server does not answer"), "{}", ended.stderr);
    fs::remove_file(room.place.person.at(".cache/strongroom")).unwrap();
    room.kept(&["prod/db"]).done();
    let [entry] = room.entries().try_into().unwrap();
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    let ended = room.kept(&["prod/db"]);
    done_with_a_warning(&ended);
    assert!(ended.stderr.contains("is not kept for when it does not answer"), "{}", ended.stderr);
    // No half of it is left.
    assert_eq!(room.entries(), [entry]);
    // Nor does a key that cannot be made.
    fs::remove_dir_all(room.session.path().join("strongroom")).unwrap();
    let nowhere = ["--offline-key-file", "/nowhere/at/all", "--secret", "prod/db"];
    let ended = room.run(&[&AGED[..], &nowhere, &PRINT].concat());
    done_with_a_warning(&ended);
    room.goes();
    let ended = room.run(&[&AGED[..], &nowhere, &PRINT].concat());
    unavailable(&ended, "does the server run there?");
}

#[test]
fn a_watched_command_begins_with_what_is_kept_and_follows_the_server_once_it_answers() {
    let mut room = Room::new();
    let script = ["--", "sh", "-c", "echo \"got $V\"; exec tail -f /dev/null"];
    let options = [&AGED[..], &["--secret", "prod/db", "--watch"], &script].concat();
    room.kept(&["prod/db"]).done();
    room.goes();
    let mut running = Running::start(room.command("run", &options));
    assert_eq!(running.line(), "got one");
    let told = |running: &Running, what: &str| {
        let line = running.errors.iter().find(|line| line.contains(what));
        assert!(line.is_some(), "{what}");
    };
    told(&running, "values of 2");
    told(&running, "changes are not heard of at present");
    room.comes_back();
    told(&running, "changes are heard of again");
    room.place.change("prod", "db", &json!({"V": STANDARD.encode("two")}));
    assert_eq!(running.line(), "got two");
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
    // What came over the watch is kept too.
    room.goes();
    assert_eq!(room.kept(&["prod/db"]).done(), "got two\n");
    // What has changed while nobody heard of it comes at once.
    let mut running = Running::start(room.command("run", &options));
    assert_eq!(running.line(), "got two");
    room.comes_back();
    room.place.change("prod", "db", &json!({"V": STANDARD.encode("three")}));
    assert_eq!(running.line(), "got three");
    room.place.admin.delete(&format!("{}/db", actors::secrets("prod"))).ok();
    told(&running, "Secret prod/db is not there");
    eventually(LONG, || room.entries().is_empty().then_some(())).unwrap();
    running.signal("-TERM");
    assert_eq!(running.end().code(), Some(143));
}

#[test]
fn a_mount_begins_with_what_is_kept_and_follows_the_server_once_it_answers() {
    let mut room = Room::new();
    let read = |room: &Room| fs::read_to_string(room.place.person.at("d/V")).unwrap_or_default();
    let options = [&AGED[..], &["prod/db", "d"]].concat();
    let once = [&options[..], &["--once"]].concat();
    Ended::of(&mut room.command("mount", &once), "").done();
    fs::remove_dir_all(room.place.person.at("d")).unwrap();
    room.goes();
    let mut running = Running::start(room.command("mount", &options));
    assert_eq!(running.line(), "1 Secret in d, as kept");
    assert_eq!(read(&room), "one");
    room.comes_back();
    assert_eq!(running.line(), "1 Secret in d, kept current");
    room.place.change("prod", "db", &json!({"V": STANDARD.encode("two")}));
    eventually(LONG, || (read(&room) == "two").then_some(())).unwrap();
    running.signal("-TERM");
    assert!(running.end().success());
    assert!(!room.place.person.at("d").exists());
}

#[test]
fn a_pod_gets_what_is_kept() {
    let mut room = Room::new();
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "prod"}, "spec": {
        "containers": [{"name": "c", "env": [{"name": "V", "valueFrom": {"secretKeyRef": {"name": "db", "key": "V"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/etc/of-the-pod"}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "db"}}]}});
    let file = room.place.person.file("pod.json", &manifest.to_string());
    let script = ["--", "sh", "-c", "echo \"$V $(cat \"$STRONGROOM_VOLUMES/etc/of-the-pod/V\")\""];
    for more in [&["--no-namespace"][..], &["--no-namespace", "--redact"]] {
        // A value of three bytes is not masked.
        let expected = "one one\n";
        let options = [&AGED[..], &["--pod", &file], more, &script].concat();
        assert_eq!(room.run(&options).done(), expected);
        room.goes();
        assert_eq!(room.run(&options).done(), expected);
        room.comes_back();
    }
}

#[test]
fn a_credential_plugin_that_cannot_reach_its_server_is_silence_and_one_that_fails_is_not() {
    let mut room = Room::new();
    let token = room.place.app.token.clone();
    let plugin = room.place.person.at("plugin");
    let write = |script: &str| {
        fs::write(&plugin, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token}});
    write(&format!("echo '{credential}'"));
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": room.place.app.url,
            "certificate-authority-data": STANDARD.encode(&room.place.app.ca_pem)}}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1",
            "command": plugin, "interactiveMode": "Never"}}}]});
    let config = room.place.person.file("config", &config.to_string());
    let arguments = [&["run", "--kubeconfig", &config], &AGED[..], &["--secret", "prod/db"], &PRINT].concat();
    let run = |room: &Room| {
        let mut command = room.place.person.command(&arguments);
        Ended::of(command.env("XDG_RUNTIME_DIR", room.session.path()), "")
    };
    assert_eq!(run(&room).done(), "got one\n");
    room.goes();
    assert_eq!(run(&room).done(), "got one\n");
    write("echo away >&2; exit 69");
    let ended = run(&room);
    assert_eq!(ended.stdout, "got one\n", "{}", ended.stderr);
    assert!(ended.stderr.contains("credential plugin could not reach its server"), "{}", ended.stderr);
    write("echo ended >&2; exit 1");
    let ended = run(&room);
    assert!(ended.code == 125 && ended.stdout.is_empty(), "{}", ended.stderr);
    assert!(ended.stderr.contains("credential plugin failed"), "{}", ended.stderr);
}
