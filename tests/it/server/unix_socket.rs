//! The Unix socket, as curl meets it: what it answers, who may connect, when it is there and when not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process::{Ended, Place, Server, mode, token};

/// `/livez` by the socket.
fn livez(socket: &Path) -> Option<String> {
    let output = Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(socket)
        .arg("http://strongroom/livez")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn socket(place: &Place) -> PathBuf {
    place.at("api.sock")
}

fn serve(place: &Place, more: &[&str]) -> Command {
    let mut command = place.serve(&["--listen-unix", "api.sock"]);
    command.args(more);
    command
}

fn start(place: &Place, more: &[&str]) -> Server {
    Server::start(serve(place, more), place.home())
}

#[test]
fn the_socket_serves_besides_the_network_and_goes_when_the_server_stops() {
    let place = Place::new();
    let server = start(&place, &[]);
    assert_eq!(livez(&socket(&place)).as_deref(), Some("ok"));
    assert_eq!(mode(&socket(&place)), 0o600);
    assert!(server.stdout().contains(&format!("  socket      {}\n", socket(&place).display())), "{}", server.stdout());
    assert_eq!(server.code_for(&token(&place)), 200);
    place.run(&["healthcheck"]).done();
    server.stop();
    assert!(!socket(&place).exists());
}

#[test]
fn a_mode_lets_others_connect() {
    let place = Place::new();
    let _server = start(&place, &["--listen-unix-mode", "0666"]);
    assert_eq!(mode(&socket(&place)), 0o666);
}

#[test]
fn a_token_works_at_the_socket_and_a_wrong_one_does_not() {
    let place = Place::new();
    let _server = start(&place, &[]);
    let code = |token: &str| {
        let header = place.secret_file("header", format!("Authorization: Bearer {token}\n").as_bytes());
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H"])
            .arg(format!("@{}", header.display()))
            .arg("--unix-socket")
            .arg(socket(&place))
            .arg("http://localhost/api/v1/namespaces/default/secrets")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!((code(&token(&place)).as_str(), code("sr_admin_x").as_str()), ("200", "401"));
}

#[test]
fn a_killed_server_leaves_a_socket_that_the_next_one_replaces() {
    let place = Place::new();
    start(&place, &[]).kill();
    assert!(socket(&place).exists() && livez(&socket(&place)).is_none());
    let server = start(&place, &[]);
    assert_eq!(livez(&socket(&place)).as_deref(), Some("ok"));
    server.stop();
    assert!(!socket(&place).exists());
}

#[test]
fn a_second_server_neither_takes_nor_removes_the_socket_of_the_first() {
    let place = Place::new();
    let server = start(&place, &[]);
    // Of the same home, and of another.
    let same = Ended::of(serve(&place, &[])).not_done();
    assert!(same.contains("is in use by another strongroom process"), "{same}");
    let mut command = place.command(&["serve", "--home", "other", "--listen", "127.0.0.1:0"]);
    command.args(["--listen-unix", "api.sock"]);
    let other = Ended::of(command).not_done();
    assert!(other.contains("belongs to another program that is running"), "{other}");
    assert_eq!(livez(&socket(&place)).as_deref(), Some("ok"));
    server.stop();
}

#[test]
fn a_socket_of_another_program_is_left_to_it() {
    let place = Place::new();
    let _other = UnixListener::bind(socket(&place)).unwrap();
    let error = Ended::of(serve(&place, &[])).not_done();
    assert!(error.contains("belongs to another program that is running"), "{error}");
    assert!(socket(&place).exists());
}

#[test]
fn a_path_that_is_something_else_is_left_as_it_is() {
    let place = Place::new();
    fs::write(socket(&place), b"precious").unwrap();
    let error = Ended::of(serve(&place, &[])).not_done();
    assert!(error.contains("is there and is not a socket"), "{error}");
    assert_eq!(fs::read(socket(&place)).unwrap(), b"precious");
}

#[test]
fn a_folder_that_is_missing_or_open_to_others_is_refused() {
    let place = Place::new();
    let refused = |path: &str| Ended::of(place.serve(&["--listen-unix", path])).not_done();
    assert!(refused("none/api.sock").contains("has no directory to lie in"));
    let open = place.at("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refused("open/api.sock").contains("lets other users replace what is in it"));
}

#[test]
fn a_path_or_mode_that_cannot_be_is_named_and_makes_nothing() {
    let place = Place::new();
    let long = "x".repeat(200);
    for (arguments, start) in [
        (&["--listen-unix", long.as_str()][..], "--listen-unix: "),
        (&["--listen-unix", "api.sock", "--listen-unix-mode", "rw"], "--listen-unix-mode: "),
        (&["--listen-unix-mode", "0660"], "--listen-unix-mode: needs --listen-unix"),
    ] {
        let ended = Ended::of(place.serve(arguments));
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.starts_with(&format!("strongroom: {start}")), "{}", ended.stderr);
    }
    assert!(!place.home().exists());
}
