//! Credentials of units: the daemon against connections such as systemd makes.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::json;

use super::{Place, Running};
use crate::support::actors;
use crate::support::canary::{Canary, found, found_in_files};
use crate::support::clients::eventually;

const LONG: Duration = Duration::from_mins(1);
/// What systemd takes for a credential at most (`CREDENTIAL_SIZE_MAX`).
const MAX_BYTES: u64 = 1024 * 1024;

/// How systemd puts it that a unit is not started.
const REFUSED: &str = "Argument list too long";

/// What a unit would get: as systemd 247 and later read it.
fn asked(socket: &Path, unit: &str, credential: &str) -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    asked_from(socket, &format!("{:x}/unit/{unit}/{credential}", u64::from_be_bytes(random)))
}

fn asked_from(socket: &Path, address: &str) -> String {
    let mut stream = connected(socket, address);
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    (&mut stream).take(MAX_BYTES + 1).read_to_end(&mut bytes).unwrap();
    if bytes.len() > usize::try_from(MAX_BYTES).unwrap() {
        assert!(bytes.iter().all(|byte| *byte == 0), "something is in a refusal");
        return REFUSED.to_owned();
    }
    String::from_utf8(bytes).unwrap()
}

fn connected(socket: &Path, address: &str) -> UnixStream {
    let fd: OwnedFd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&fd, &SocketAddrUnix::new_abstract_name(address.as_bytes()).unwrap()).unwrap();
    rustix::net::connect(&fd, &SocketAddrUnix::new(socket).unwrap()).unwrap();
    UnixStream::from(fd)
}

struct Unit {
    place: Place,
    socket: PathBuf,
}

impl Unit {
    fn new() -> Self {
        let mut place = Place::new();
        place.secret("prod", "db", &json!({"password": "pa$$\nw0rd", "empty": "", "a.b": "dotted"}));
        let socket = place.person.at("credentials.sock");
        Self { place, socket }
    }

    fn command(&self, options: &[&str]) -> Command {
        let socket = self.socket.to_str().unwrap();
        self.place.command("credentials", &[&["--socket", socket], options].concat())
    }

    fn start(&self, options: &[&str]) -> Running {
        started(self.command(options))
    }
}

fn started(command: Command) -> Running {
    let running = Running::start(command);
    assert!(running.line().contains(" credentials for systemd at "));
    running
}

#[track_caller]
fn told(running: &Running, what: &str) -> String {
    let told = running.errors.iter().find(|line| line.contains(what));
    told.unwrap_or_else(|| panic!("{what} is not said"))
}

#[test]
fn a_unit_gets_what_is_meant_for_it_as_it_is_now() {
    let mut unit = Unit::new();
    let mut running = unit.start(&[
        "--give",
        "web.service/password=prod/db:password",
        "--give",
        "web@*.service/p=db:a.b",
        "--give",
        "web.service/empty=prod/db:empty",
        "-n",
        "prod",
    ]);
    let found = fs::symlink_metadata(&unit.socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    assert_eq!(asked(&unit.socket, "web.service", "password"), "pa$$\nw0rd");
    let line = told(&running, "given");
    for part in ["web.service", "password", "prod", "db"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(asked(&unit.socket, "web@one.service", "p"), "dotted");
    assert_eq!(asked(&unit.socket, "web.service", "empty"), "");
    unit.place.change("prod", "db", &json!({"password": STANDARD.encode("another")}));
    assert_eq!(asked(&unit.socket, "web.service", "password"), "another");
    running.signal("-TERM");
    assert!(running.end().success());
    assert!(!unit.socket.exists());
}

#[test]
fn what_cannot_be_given_keeps_a_unit_from_starting_and_is_told() {
    let mut unit = Unit::new();
    let mut running = unit.start(&[
        "--give",
        "web.service/password=prod/db:password",
        "--give",
        "web.service/none=prod/db:none",
        "--give",
        "web.service/absent=prod/absent:k",
    ]);
    for (name, credential, why) in [
        ("other.service", "password", "no --give names it"),
        ("web.service", "other", "no --give names it"),
        ("web.service\u{1b}[2J", "password", "no --give names it"),
        ("web.service", "none", "Secret prod/db has no key none"),
        ("web.service", "absent", "Secret prod/absent is not there"),
    ] {
        assert_eq!(asked(&unit.socket, name, credential), REFUSED, "{name} {credential}");
        let line = told(&running, "not given");
        assert!(line.contains(why) && !line.contains("\u{1b}[2J"), "{line}");
    }
    // Who does not say for which unit is given nothing at all.
    for address in ["x", "0/unit/web.service", "zz/unit/web.service/password", "0/unit/web.service/password/more"] {
        assert_eq!(asked_from(&unit.socket, address), "", "{address}");
        told(&running, "for which unit it asks");
    }
    let mut nameless = UnixStream::connect(&unit.socket).unwrap();
    assert_eq!(nameless.read_to_end(&mut Vec::new()).unwrap(), 0);
    // A server that is away is told of, and it goes on.
    assert_eq!(unit.place.app.stop(), Some(0));
    assert_eq!(asked(&unit.socket, "web.service", "password"), REFUSED);
    assert!(told(&running, "not given").contains("does the server run there?"));
    running.signal("-TERM");
    assert!(running.end().success());
}

#[test]
fn roles_decide_each_time_and_a_token_is_read_anew() {
    let mut unit = Unit::new();
    let app = actors::service_account(&mut unit.place.admin, "prod", "units");
    unit.place.person.file("token", app.token().unwrap());
    let ca = unit.place.app.home().join("tls/ca.crt");
    let arguments = [
        "credentials",
        "--socket",
        unit.socket.to_str().unwrap(),
        "--server",
        &unit.place.app.url,
        "--token-file",
        "token",
        "--ca-file",
        ca.to_str().unwrap(),
        "--give",
        "web.service/password=prod/db:password",
    ];
    let running = started(unit.place.person.command(&arguments));
    assert_eq!(asked(&unit.socket, "web.service", "password"), REFUSED);
    assert!(told(&running, "not given").contains("(Forbidden)"));
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": ["get"]});
    let role = json!({"metadata": {"name": "gets"}, "rules": [rule]});
    unit.place.admin.json("POST", &actors::rbac("prod", "roles"), &role).ok();
    let binding = json!({"metadata": {"name": "gets"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gets"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "prod", "name": "units"}]});
    unit.place.admin.json("POST", &actors::rbac("prod", "rolebindings"), &binding).ok();
    assert_eq!(asked(&unit.socket, "web.service", "password"), "pa$$\nw0rd");
    unit.place.person.file("token", "sr_wrong");
    assert_eq!(asked(&unit.socket, "web.service", "password"), REFUSED);
    assert!(told(&running, "not given").contains("(Unauthorized)"));
}

#[test]
fn no_unit_waits_for_another() {
    let mut unit = Unit::new();
    let long = "x".repeat(600_000);
    unit.place.secret("prod", "long", &json!({"k": long}));
    let mut running =
        unit.start(&["--give", "slow.service/k=prod/long:k", "--give", "web.service/password=prod/db:password"]);
    // Who asks and does not read what they get, more of it than the kernel holds for them.
    let mut slow: Vec<UnixStream> =
        (0..8).map(|number| connected(&unit.socket, &format!("{number:x}/unit/slow.service/k"))).collect();
    for _ in 0..4 {
        assert_eq!(asked(&unit.socket, "web.service", "password"), "pa$$\nw0rd");
    }
    // A stop waits for what has begun: nobody is left with a part of it.
    running.signal("-TERM");
    let readers: Vec<_> = slow
        .drain(..)
        .map(|mut stream| {
            std::thread::spawn(move || {
                let mut text = String::new();
                stream.read_to_string(&mut text).map(|_| text.len())
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.join().unwrap().unwrap(), long.len());
    }
    assert!(running.end().success());
}

#[test]
fn another_user_is_given_nothing() {
    let unit = Unit::new();
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let Some(python) = crate::support::clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let running = unit.start(&["--give", "web.service/password=prod/db:password"]);
    // As wide open as somebody might make them.
    fs::set_permissions(&unit.socket, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(unit.place.person.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = "import os, socket, sys\n\
        os.setgroups([]); os.setgid(65534); os.setuid(65534)\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.bind('\\0abc/unit/web.service/password')\n\
        s.connect(sys.argv[1])\n\
        sys.stdout.write(repr(s.recv(1000)))";
    // The interpreter is found by root before it is somebody else.
    let output = Command::new(python).args(["-c", script]).arg(&unit.socket).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b''", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told(&running, "another user").contains("65534"));
    assert_eq!(asked(&unit.socket, "web.service", "password"), "pa$$\nw0rd");
}

#[test]
fn systemd_may_hold_the_socket() {
    let unit = Unit::new();
    let listener = UnixListener::bind(&unit.socket).unwrap();
    let give = ["--socket", "-", "--give", "web.service/password=prod/db:password"];
    let command = unit.place.command("credentials", &give);
    // Who comes before it runs waits.
    let waiting = connected(&unit.socket, "0/unit/web.service/password");
    let mut running = Running::start_fed(command, Stdio::from(OwnedFd::from(listener)));
    assert_eq!(running.line(), "1 credentials for systemd at -");
    let mut value = String::new();
    (&waiting).read_to_string(&mut value).unwrap();
    assert_eq!(value, "pa$$\nw0rd");
    assert_eq!(asked(&unit.socket, "web.service", "password"), "pa$$\nw0rd");
    running.signal("-TERM");
    assert!(running.end().success());
    // It is systemd's, and stays.
    assert!(unit.socket.exists());
    // What is no such socket is told.
    let (one, _other) = UnixStream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    for input in [Stdio::from(OwnedFd::from(one)), Stdio::from(null)] {
        let mut running = Running::start_fed(unit.place.command("credentials", &give), input);
        assert_eq!(running.end().code(), Some(1));
        told(&running, "no Unix socket that is listened on");
    }
}

#[test]
fn a_place_that_others_can_write_to_is_refused() {
    let unit = Unit::new();
    let give = ["--give", "web.service/password=prod/db:password"];
    let folder = unit.place.person.at("open");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let at = |path: &Path| {
        let options = [&["--socket", path.to_str().unwrap()], &give[..]].concat();
        let mut running = Running::start(unit.place.command("credentials", &options));
        (running.end().code(), running.errors.iter().collect::<Vec<_>>().join("\n"))
    };
    let (code, said) = at(&folder.join("s"));
    assert!(code == Some(1) && said.contains("other users replace"), "{said}");
    let (code, said) = at(Path::new("/nowhere/s"));
    assert!(code == Some(1) && said.contains("no directory to lie in"), "{said}");
    let file = unit.place.person.file("file", "x");
    let (code, said) = at(Path::new(&file));
    assert!(code == Some(1) && said.contains("is not a socket"), "{said}");
    let _running = unit.start(&give);
    let (code, said) = at(&unit.socket);
    assert!(code == Some(1) && said.contains("another program that is running"), "{said}");
    assert_eq!(fs::metadata(&unit.socket).unwrap().uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn a_value_is_in_no_log_and_may_be_kept_for_when_the_server_is_away() {
    let mut unit = Unit::new();
    let canary = [Canary::new("a credential")];
    unit.place.secret("prod", "planted", &json!({"k": canary[0].value}));
    let key = unit.place.person.at("offline.key");
    let options = [
        "--log",
        "trace",
        "--give",
        "web.service/k=prod/planted:k",
        "--offline-max-age",
        "1h",
        "--offline-key-file",
        key.to_str().unwrap(),
    ];
    let mut running = unit.start(&options);
    assert_eq!(asked(&unit.socket, "web.service", "k"), canary[0].value);
    assert_eq!(asked(&unit.socket, "web.service", "other"), REFUSED);
    assert_eq!(unit.place.app.stop(), Some(0));
    assert_eq!(asked(&unit.socket, "web.service", "k"), canary[0].value);
    let mut leaks = Vec::new();
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", running.child.id())).unwrap_or_default();
        leaks.extend(found(&canary, &bytes, file));
    }
    running.signal("-TERM");
    assert!(running.end().success());
    let mut said = String::new();
    eventually(LONG, || {
        said.extend(running.errors.try_iter().map(|line| line + "\n"));
        said.contains("values of 2").then_some(())
    })
    .unwrap();
    said.extend(running.errors.iter().map(|line| line + "\n"));
    leaks.extend(found(&canary, said.as_bytes(), "the log"));
    leaks.extend(found_in_files(&canary, unit.place.person.home()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}
