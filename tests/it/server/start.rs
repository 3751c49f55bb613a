//! The first start, later ones, and starts that must not happen.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::{Names, encode_certificate, encode_private_key, make_authority, make_leaf};

use super::process::{Ended, Place, Server, field, mode, token};
use crate::support::clients::eventually;

/// What the shell makes of a printed line.
fn in_a_shell(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_first_start_prints_lines_that_work_as_they_are_and_nothing_secret() {
    let place = Place::new();
    let server = place.start(&[]);
    let (printed, logged) = (server.stdout(), server.stderr());
    let line = |start: &str| {
        let found = printed.lines().find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("no line {start}: {printed}")).trim().to_owned()
    };
    let kubeconfig = place.home().join("admin.kubeconfig");
    assert!(line("kubectl").starts_with(&format!("kubectl --kubeconfig {} ", kubeconfig.display())), "{printed}");
    assert!(in_a_shell(&line("sed")).contains("SecretList"));
    assert!(printed.ends_with(&format!("\n  {}/swagger-ui/\n", server.url())), "{printed}");
    assert_eq!(server.code(&line("https"), ""), 200);

    let key = fs::read_to_string(place.home().join("keys/unlock.key")).unwrap();
    for secret in [token(&place).as_str(), key.trim().rsplit(':').next().unwrap(), "PRIVATE KEY"] {
        assert!(!printed.contains(secret) && !logged.contains(secret));
    }
    // A command line is read by every user of the machine.
    assert!(!line("sed").contains("sr_admin_"));
}

#[test]
fn a_first_start_makes_a_home_that_is_closed_to_others() {
    let place = Place::new();
    let server = place.start(&[]);
    for folder in ["", "keys", "tls"] {
        assert_eq!(mode(&place.home().join(folder)), 0o700, "{folder}");
    }
    for (path, (mode, _)) in place.content() {
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let kubeconfig = place.home().join("admin.kubeconfig");
    assert_eq!(field(&kubeconfig, "server"), server.url());
    let authority = STANDARD.decode(field(&kubeconfig, "certificate-authority-data")).unwrap();
    assert_eq!(authority, fs::read(place.home().join("tls/ca.crt")).unwrap());
    assert_eq!(server.code_for(&token(&place)), 200);
    assert_eq!(server.code_for("sr_admin_x"), 401);
}

#[test]
fn a_later_start_keeps_everything_but_the_address() {
    let place = Place::new();
    place.start(&[]).stop();
    let before = place.content();
    let server = place.start(&[]);
    let kubeconfig = place.home().join("admin.kubeconfig");
    assert_eq!(field(&kubeconfig, "server"), server.url());
    assert_eq!(server.code_for(&token(&place)), 200);
    assert!(!server.stdout().contains("Try next"), "{}", server.stdout());
    server.stop();
    let mut after = place.content();
    for name in ["keys/unlock.key", "tls/ca.crt", "tls/server.pem", "tls/presented.crt"] {
        let path = place.home().join(name);
        assert_eq!(after.remove(&path).unwrap(), before[&path], "{name}");
    }
    let old = String::from_utf8(before[&kubeconfig].1.0.clone()).unwrap();
    let new = String::from_utf8(after[&kubeconfig].1.0.clone()).unwrap();
    let without_server =
        |text: &str| text.lines().filter(|line| !line.contains("server:")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_server(&old), without_server(&new));
}

#[test]
fn an_advertised_name_is_in_the_kubeconfig_the_certificate_and_the_list_of_hosts() {
    let place = Place::new();
    let server = place.start(&["--advertise", "vault.example:9443", "--advertise", "other.example:1"]);
    assert_eq!(server.url(), "https://vault.example:9443");
    assert_eq!(field(&place.home().join("admin.kubeconfig"), "server"), server.url());
    let note = fs::read_to_string(place.home().join("lock")).unwrap();
    let address = note.lines().nth(1).unwrap();
    let port = address.rsplit(':').next().unwrap();
    let code = |host: &str| {
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
            .arg(place.home().join("tls/ca.crt"))
            .args(["--connect-to", &format!("::{address}"), &format!("https://{host}:{port}/readyz")])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(code("vault.example"), "200");
    assert_eq!(code("other.example"), "200");
    assert_eq!(code("localhost"), "200");
    assert_eq!(code("evil.example"), "000", "the certificate does not stand for it");
    place.run(&["healthcheck"]).done();
}

#[test]
fn by_default_the_key_lies_apart_from_the_database_and_the_text_says_what_that_is_worth() {
    let place = Place::new();
    let server =
        Server::start(place.command(&["serve", "--listen", "127.0.0.1:0"]), place.at(".local/share/strongroom"));
    assert!(place.at(".local/share/strongroom/strongroom.db").exists());
    assert_eq!(mode(&place.at(".config/strongroom/unlock.key")), 0o600);
    assert!(server.stdout().contains("What unlocks this home lies outside it"), "{}", server.stdout());
    let together = Place::new();
    let printed = together.start(&[]).stdout();
    assert!(printed.contains("What unlocks this home lies in it, beside the database"), "{printed}");
}

#[test]
fn a_second_process_is_told_who_has_the_home_and_disturbs_nothing() {
    let place = Place::new();
    let server = place.start(&[]);
    // What it does itself would look like a disturbance.
    server.signal("STOP");
    let state = || fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    eventually(Duration::from_secs(20), || state().contains(") T ").then_some(())).expect("the server stands still");
    let before = place.content();
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains(&format!("is in use by another strongroom process (pid {})", server.pid())), "{error}");
    assert_eq!(place.content(), before);
    server.signal("CONT");
    assert_eq!(server.code_for(&token(&place)), 200);
}

#[test]
fn after_a_taken_port_the_next_start_still_shows_the_first_steps() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Ended::of(place.command(&["serve", "--home", "home", "--listen", &address])).not_done();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")) && error.contains("--listen"), "{error}");
    assert!(place.start(&[]).stdout().contains("Try next"));
}

#[test]
fn a_certificate_of_ones_own_is_presented_and_a_pair_that_does_not_fit_is_refused() {
    let place = Place::new();
    let now = SystemClock.unix_seconds();
    let authority = make_authority(now).unwrap();
    let mut names = Names::local();
    names.add("vault.example");
    let pair = || make_leaf(&authority, &names, now).unwrap();
    let (leaf, other) = (pair(), pair());
    let chain = encode_certificate(&leaf.certificate) + &encode_certificate(&authority.certificate);
    let certificate = place.secret_file("own.crt", chain.as_bytes());
    #[expect(clippy::disallowed_methods, reason = "the test writes keys it made")]
    let (key, wrong) = (
        place.secret_file("own.key", encode_private_key(&leaf.key).expose()),
        place.secret_file("other.key", encode_private_key(&other.key).expose()),
    );
    let own = |key: &std::path::Path| {
        ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()].map(str::to_owned)
    };
    let (right, wrong) = (own(&key), own(&wrong));
    let server = place.start(&right.each_ref().map(String::as_str));
    let trusted = STANDARD.decode(field(&place.home().join("admin.kubeconfig"), "certificate-authority-data")).unwrap();
    assert_eq!(String::from_utf8(trusted).unwrap(), encode_certificate(&authority.certificate));
    assert_eq!(fs::read_to_string(place.home().join("tls/presented.crt")).unwrap(), chain);
    let line = server.stdout().lines().find(|line| line.trim_start().starts_with("sed")).unwrap().to_owned();
    assert!(in_a_shell(&line).contains("SecretList"));
    place.run(&["healthcheck"]).done();
    server.stop();
    let error = Ended::of(place.serve(&wrong.each_ref().map(String::as_str))).not_done();
    assert!(error.ends_with("the private key does not belong to the certificate"), "{error}");
}

#[test]
fn a_setting_that_is_wrong_is_named_and_makes_nothing() {
    let place = Place::new();
    for (arguments, setting) in [
        (["--listen", "nowhere"], "--listen: "),
        (["--advertise", "vault"], "--advertise: "),
        (["--cache-size", "0"], "--cache-size: "),
        (["--max-connections", "0"], "--max-connections: "),
    ] {
        let mut command = place.command(&["serve", "--home", "home"]);
        command.args(arguments);
        let ended = Ended::of(command);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.starts_with(&format!("strongroom: {setting}")), "{}", ended.stderr);
    }
    assert!(!place.home().exists());
}

#[test]
fn a_folder_with_other_things_in_it_that_others_may_enter_is_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    fs::write(place.home().join("photo.jpg"), b"x").unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains("holds other files"), "{error}");
    assert_eq!((mode(&place.home()), fs::read_dir(place.home()).unwrap().count()), (0o755, 1));
}

#[test]
fn a_database_that_has_gone_without_its_log_is_not_made_anew() {
    let place = Place::new();
    place.start(&[]).stop();
    fs::remove_file(place.home().join("strongroom.db")).unwrap();
    fs::write(place.home().join("strongroom.db-wal"), b"pages").unwrap();
    let before = place.content();
    let error = Ended::of(place.serve(&[])).not_done();
    assert!(error.contains("put the database back"), "{error}");
    assert_eq!(place.content(), before);
}

#[test]
fn a_home_that_was_used_and_has_no_database_is_not_taken_for_a_first_start() {
    let place = Place::new();
    place.start(&[]).stop();
    fs::remove_file(place.home().join("strongroom.db")).unwrap();
    let before = place.content();
    for arguments in [&[][..], &["--sealed"]] {
        let error = Ended::of(place.serve(arguments)).not_done();
        assert!(error.contains("restore a backup into this home") && error.contains("to begin anew"), "{error}");
        assert_eq!(place.content(), before);
    }
    for left in ["audit", "tls"] {
        fs::remove_dir_all(place.home().join(left)).unwrap();
        assert!(Ended::of(place.serve(&[])).not_done().contains("admin.kubeconfig is there"));
    }
    fs::remove_file(place.home().join("admin.kubeconfig")).unwrap();
    place.start(&[]).stop();
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_forbids_itself_what_could_spill_its_memory() {
    let place = Place::new();
    let server = place.start(&[]);
    let of_process = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", server.pid())).unwrap();
    let limits = of_process("limits");
    // Soft and hard.
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let status = of_process("status");
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(value("Umask:"), "0077");
    if !rustix::process::geteuid().is_root() {
        // Another process of the same user; root may read everything.
        assert!(fs::read(format!("/proc/{}/environ", server.pid())).is_err());
    }
    // Memory is locked where that cannot fail later, and not at all otherwise.
    assert_eq!(value("VmLck:") != "0 kB", limit("Max locked memory")[0] == "unlimited");
}
