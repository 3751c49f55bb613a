//! Attempts to unseal: what is taken, from whom, and how often.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{UNSEAL, key, run, seal, state, status, try_unseal, unseal, unseal_patiently, wrong_key};
use crate::support::app::App;
use crate::support::canary::{Canary, found, found_in_files};
use crate::support::clients;
use crate::support::http::{Client, Response};

#[test]
fn a_secret_comes_in_one_form_and_in_a_small_body() {
    let app = App::start();
    seal(&app);
    let mut anyone = Client::anonymous(&app);
    for body in [
        &b"{}"[..],
        b"[]",
        b"{\"passphrase\":",
        b"{\"passphrase\":\"x\",\"key\":\"eA==\"}",
        b"{\"key\":\"not base64\"}",
        b"{\"passphrase\":\"x\",\"passphrase\":\"y\"}",
        b"{\"passphrase\":\"x\",\"slot\":-1}",
        b"{\"passphrase\":7}",
    ] {
        let answer = anyone.typed("POST", UNSEAL, "application/json", body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(body));
    }
    // What a web page can send to a server on its reader's machine without asking it first.
    for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
        assert_eq!(anyone.typed("POST", UNSEAL, media_type, b"passphrase=x").status, 415);
    }
    assert_eq!(anyone.send("POST", UNSEAL, &[], b"{\"passphrase\":\"x\"}").unwrap().status, 415);
    let large = json!({"passphrase": "x".repeat(5000)}).to_string();
    assert_eq!(Client::anonymous(&app).typed("POST", UNSEAL, "application/json", large.as_bytes()).status, 413);
    // None of these was an attempt: the next one does not wait.
    let wrong = try_unseal(&app, &wrong_key(1));
    let text = |status: u16, answer: &Response| {
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(401, &wrong), "the secret does not open this home");
    let next = try_unseal(&app, &wrong_key(1));
    assert_eq!((next.header("retry-after"), next.status), (Some("1"), 429));
    assert!(state(&app) == "sealed" && status(&app)["why"] == "an attempt failed");
    // Every failure reads alike: a form that nothing takes, and a slot that is not there.
    for body in [json!({"recoveryKey": "x"}), json!({"key": key(app.home()), "slot": 9})] {
        assert_eq!(text(401, &answered(&app, &body)), "the secret does not open this home");
    }
    unseal_patiently(&app);
}

#[test]
fn the_recovery_key_that_was_written_down_unseals_and_another_one_does_not() {
    let app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, other) = (written("recovery.txt"), written("other.txt"));
    run(&app, &["keys", "recovery-key", "-o", &file]).done();
    let foreign = App::start();
    run(&foreign, &["keys", "recovery-key", "-o", &other]).done();
    // The only secret that is left.
    std::fs::rename(app.home().join("keys/unlock.key"), folder.path().join("gone")).unwrap();

    seal(&app);
    let refused = run(&app, &["unseal", "--recovery-key-file", &other]);
    assert!(refused.code == 1 && refused.stderr.contains("does not open this home"), "{}", refused.stderr);
    clients::eventually(super::LIMIT, || {
        let ended = run(&app, &["unseal", "--recovery-key-file", &file]);
        assert!(ended.code == 0 || ended.stderr.contains("too many failed attempts"), "{}", ended.stderr);
        (ended.code == 0).then_some(())
    })
    .unwrap();
    assert_eq!(state(&app), "ready", "{}", app.log());

    // As it is read from paper: in the other case, with other spaces.
    seal(&app);
    let text = std::fs::read_to_string(&file).unwrap().trim().to_lowercase().replace('-', " - ");
    let unsealed = try_unseal(&app, &json!({"recoveryKey": text}));
    assert_eq!(unsealed.status, 200, "{}", unsealed.text());
    assert!(clients::eventually(super::LIMIT, || (state(&app) == "ready").then_some(())).is_some(), "{}", app.log());

    // And a server that was started sealed.
    let address = app.url.strip_prefix("https://").unwrap().to_owned();
    let app = App::start_at(app.kill(), &address, &["--sealed"]);
    run(&app, &["unseal", "--recovery-key-file", &file]).done();
    assert_eq!(Client::admin(&app).get("/readyz").ok().text(), "ok");
    let log = app.log();
    let groups = text.split_whitespace().filter(|group| group.len() > 3);
    assert!(groups.into_iter().all(|group| !log.to_lowercase().contains(group)), "no part of it is logged");
}

/// The answer to an attempt that is looked at.
fn answered(app: &App, body: &Value) -> Response {
    let looked_at = clients::eventually(super::LIMIT, || {
        let answer = try_unseal(app, body);
        (answer.status != 429).then_some(answer)
    });
    looked_at.unwrap()
}

#[test]
fn a_flood_of_wrong_secrets_is_not_looked_at_and_lets_the_owner_through() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let arguments = ["--listen-unix", socket.to_str().unwrap()];
    let app = App::start_in(tempfile::tempdir().unwrap(), &arguments);
    seal(&app);
    let (looked_at, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let until = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::anonymous(&app);
                while Instant::now() < until {
                    let answer = client.json("POST", UNSEAL, &wrong_key(7));
                    match answer.status {
                        401 => looked_at.fetch_add(1, Ordering::Relaxed),
                        429 => {
                            let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
                            assert!((1..=60).contains(&wait));
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {}", answer.text()),
                    };
                }
            });
        }
    });
    let (looked_at, refused) = (looked_at.into_inner(), refused.into_inner());
    // After 0, 1 and 3 seconds.
    assert!((2..=3).contains(&looked_at) && refused > 20, "{looked_at} were looked at, {refused} were not");
    assert_eq!(Client::anonymous(&app).get("/livez").status, 200);

    // Whom the kernel knows for the owner does not wait for what others did.
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["unseal", "--socket"]).arg(&socket).arg("--key-file").arg(app.home().join("keys/unlock.key"));
    assert_eq!(crate::support::person::Ended::of(&mut command, "").done(), "The server is unsealed.\n");
    let log = app.log();
    assert!(log.contains(&format!("attempts.failed={looked_at}")), "{log}");
}

#[test]
fn the_socket_stays_where_it_is_while_the_server_goes_over() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--listen-unix", socket.to_str().unwrap()]);
    let curl = |path: &str| {
        let output = Command::new("curl")
            .args(["-sS", "--unix-socket"])
            .arg(&socket)
            .arg(format!("http://strongroom{path}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&socket);
    assert!(curl(super::SECRETS).contains("SecretList"), "the owner is the administrator");
    seal(&app);
    assert_eq!(curl("/livez"), "ok");
    assert!(curl(super::SECRETS).contains("the server is sealed"));
    unseal(&app);
    assert!(curl(super::SECRETS).contains("SecretList"));
    assert_eq!(inode(&socket), before);
}

#[test]
fn a_server_is_not_unsealed_from_another_machine() {
    let Some(address) = own_address() else {
        return clients::left_out("this machine has no address but loopback");
    };
    let app = App::start_at(tempfile::tempdir().unwrap(), "0.0.0.0:0", &[]);
    let port: u16 = app.url.rsplit(':').next().unwrap().parse().unwrap();
    let url = format!("https://{}{UNSEAL}", std::net::SocketAddr::new(address, port));
    let right = json!({"key": key(app.home())}).to_string();
    // The certificate does not stand for the address.
    let remote = || {
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "-X", "POST", "-H", "Content-Type: application/json", "-d", "@-", &url]);
        let output = clients::run(&mut curl, right.as_bytes(), super::LIMIT);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["code"].clone()
    };
    assert_eq!(remote(), 403, "while it is open");
    seal(&app);
    assert_eq!(remote(), 403);
    assert_eq!(state(&app), "sealed");
    unseal(&app);
}

/// An address of this machine that is not loopback. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

#[test]
fn an_unlock_secret_is_found_nowhere() {
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    seal(&app);
    let wrong = Canary::new("a wrong passphrase");
    let broken = Canary::new("a body that breaks off");
    let right = Canary::of("the key", key(app.home()));
    let mut answers = vec![answered(&app, &json!({"passphrase": wrong.value}))];
    let torn = format!("{{\"passphrase\":\"{}", broken.value);
    answers.push(Client::anonymous(&app).typed("POST", UNSEAL, "application/json", torn.as_bytes()));
    answers.push(answered(&app, &json!({"key": key(app.home())})));
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 400, 200]);
    let canaries = [wrong, broken, right];
    let mut leaks = Vec::new();
    for answer in &answers {
        leaks.extend(found(&canaries, &answer.body, "an answer"));
        leaks.extend(found(&canaries, answer.head().as_bytes(), "the head of an answer"));
    }
    clients::eventually(super::LIMIT, || (state(&app) == "ready").then_some(())).unwrap();
    assert_eq!(app.stop(), Some(0));
    leaks.extend(found_in_files(&canaries, app.logs()));
    leaks.extend(found_in_files(&canaries[..2], app.home()));
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(run(&app, &["unseal"]).not_done().contains("no server runs"));
}
