//! The socket: who may connect, as whom it acts, what is recorded, and that nothing is lost by a restart.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{KEYS, Lender};
use crate::support::actors::{bind, rbac, role, rule_for};
use crate::support::clients::eventually;
use crate::support::kms::Refused;

const INVALID: u32 = 3;
const NOT_FOUND: u32 = 5;
const DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;

fn code<T>(answer: Result<T, Refused>) -> u32 {
    answer.err().expect("it is refused").code
}

/// What the audit log has of the plugin.
fn recorded(lender: &Lender) -> Vec<Value> {
    let folder = lender.app.home().join("audit");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|event| event["requestURI"].as_str().is_some_and(|uri| uri.starts_with("/v2.KeyManagementService/")))
        .collect()
}

#[test]
fn what_is_encrypted_is_decrypted_under_its_own_key_id_alone() {
    let mut lender = Lender::start();
    assert_eq!(std::fs::metadata(lender.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    let mut plugin = lender.plugin();
    let status = plugin.status();
    assert_eq!((status.version.as_str(), status.healthz.as_str()), ("v2", "ok"));
    let seed = [0x5a; 32];
    let first = plugin.encrypt(&seed).unwrap();
    assert_eq!(first.key_id, status.key_id);
    assert!(first.ciphertext.len() < 1024 && first.annotations.is_empty());
    assert!(!first.ciphertext.windows(8).any(|window| window == &seed[..8]));
    assert_eq!(plugin.decrypt(&first.ciphertext, &first.key_id).unwrap(), seed);

    let second_id = lender.rotate();
    assert_eq!(plugin.status().key_id, second_id);
    let second = plugin.encrypt(&seed).unwrap();
    assert_eq!(second.key_id, second_id);
    assert_eq!(plugin.decrypt(&first.ciphertext, &first.key_id).unwrap(), seed);
    assert_eq!(plugin.decrypt(&second.ciphertext, &second_id).unwrap(), seed);
    assert_eq!(code(plugin.decrypt(&first.ciphertext, &second_id)), INVALID);
    assert_eq!(code(plugin.decrypt(&second.ciphertext, &first.key_id)), INVALID);
    let unknown = first.key_id.replace(":1:", ":9:");
    let untagged = first.key_id.rsplit_once(':').unwrap().0.to_owned();
    let other_tag = format!("{untagged}:0123456789abcdef");
    let other_key = "sr1:00000000-0000-4000-8000-000000000000:1:0123456789abcdef";
    for wrong in ["", "sr1:x:1", &unknown, &untagged, &other_tag, other_key] {
        assert_eq!(code(plugin.decrypt(&first.ciphertext, wrong)), NOT_FOUND, "{wrong}");
    }
    let mut changed = first.ciphertext.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(code(plugin.decrypt(&changed, &first.key_id)), INVALID);
    assert_eq!(code(plugin.decrypt(&[], &first.key_id)), INVALID);
    assert_eq!(code(plugin.encrypt(&[0; 978])), INVALID);
    assert!(plugin.encrypt(&[0; 977]).unwrap().ciphertext.len() < 1024);
    let none: Result<strongroom::kms::messages::StatusResponse, _> =
        plugin.call("Other", &strongroom::kms::messages::StatusRequest {});
    assert_eq!(code(none), UNIMPLEMENTED);
    // A ciphertext of another key does not open here, whatever it says.
    lender.admin.json("POST", KEYS, &json!({"metadata": {"name": "other"}})).ok();
    let plain = json!({"spec": {"plaintext": "c2VlZA=="}});
    let other = lender.admin.json("POST", &format!("{KEYS}/other/encrypt"), &plain).ok().json();
    let other_id = other["status"]["keyID"].as_str().unwrap();
    assert_eq!(code(plugin.decrypt(&first.ciphertext, other_id)), NOT_FOUND);
}

#[test]
fn it_acts_as_its_account_and_every_use_is_recorded() {
    let mut lender = Lender::start_bare();
    let mut plugin = lender.plugin();
    // Neither account nor key: the API server is told what is missing.
    assert!(plugin.status().healthz.contains("there is no service account \"kms\""), "{:?}", plugin.status());
    assert_eq!(code(plugin.encrypt(b"seed")), DENIED);
    lender.make_account();
    assert!(plugin.status().healthz.contains("cannot encrypt resource \"kmskeys\""), "{:?}", plugin.status());
    assert_eq!(code(plugin.encrypt(b"seed")), DENIED);
    role(&mut lender.admin, "", "encrypts", &[rule_for(&["encrypt"], "strongroom.dev", &["kmskeys"], &["etcd"])]);
    bind(&mut lender.admin, "", "encrypts", "ClusterRole/encrypts", "ServiceAccount/lent/kms");
    assert_eq!(code(plugin.encrypt(b"seed")), NOT_FOUND);
    lender.make_key(&json!({}));
    let made = plugin.encrypt(b"seed").unwrap();
    assert_eq!(code(plugin.decrypt(&made.ciphertext, &made.key_id)), DENIED);
    assert!(plugin.status().healthz.contains("cannot decrypt"));
    role(&mut lender.admin, "", "decrypts", &[rule_for(&["decrypt"], "strongroom.dev", &["kmskeys"], &["etcd"])]);
    bind(&mut lender.admin, "", "decrypts", "ClusterRole/decrypts", "ServiceAccount/lent/kms");
    assert_eq!(plugin.decrypt(&made.ciphertext, &made.key_id).unwrap(), b"seed");
    assert_eq!(plugin.status().healthz, "ok");
    // A right that is taken away is gone with the next call; so is an account.
    lender.admin.delete(&format!("{}/decrypts", rbac("", "clusterrolebindings"))).ok();
    assert_eq!(code(plugin.decrypt(&made.ciphertext, &made.key_id)), DENIED);
    plugin.encrypt(b"seed").unwrap();
    lender.admin.delete("/api/v1/namespaces/lent/serviceaccounts/kms").ok();
    assert_eq!(code(plugin.encrypt(b"seed")), DENIED);

    let events = recorded(&lender);
    let done: Vec<(&str, u64)> = events
        .iter()
        .map(|event| (event["verb"].as_str().unwrap(), event["responseStatus"]["code"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        done,
        [
            ("encrypt", 403),
            ("encrypt", 403),
            ("encrypt", 404),
            ("encrypt", 200),
            ("decrypt", 403),
            ("decrypt", 200),
            ("decrypt", 403),
            ("encrypt", 200),
            ("encrypt", 403),
        ]
    );
    let event = &events[5];
    assert_eq!(event["user"]["username"], "system:serviceaccount:lent:kms");
    assert_eq!(event["objectRef"]["resource"], "kmskeys");
    assert_eq!(event["objectRef"]["name"], "etcd");
    assert_eq!(event["annotations"]["strongroom.dev/kms-key-id"], made.key_id.as_str());
    assert_eq!(event["annotations"]["strongroom.dev/kms-request-uid"], "a-request");
    assert!(event["sourceIPs"][0].as_str().unwrap().starts_with("unix:"));
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let lender = Lender::start();
    let mut silent: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(lender.socket()).unwrap()).collect();
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Closed, or reset: not kept.
        let read = stream.read(&mut [0]);
        assert!(
            read.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |read| *read == 0),
            "{read:?}"
        );
    }
    assert_eq!(lender.plugin().status().healthz, "ok");
}

#[test]
fn a_restart_loses_neither_keys_nor_what_was_seen() {
    let mut lender = Lender::start();
    let mut plugin = lender.plugin();
    let old = plugin.encrypt(b"old").unwrap();
    let current = lender.rotate();
    let new = plugin.encrypt(b"new").unwrap();
    lender.until_terms(|terms| terms.iter().all(|term| term["encryptions"] == 1));
    let mut lender = lender.restart();
    let mut plugin = lender.plugin();
    assert_eq!(plugin.status().key_id, current);
    assert_eq!(plugin.decrypt(&old.ciphertext, &old.key_id).unwrap(), b"old");
    assert_eq!(plugin.decrypt(&new.ciphertext, &new.key_id).unwrap(), b"new");
    lender.until_terms(|terms| {
        terms.iter().all(|term| term["encryptions"] == 1 && term["decryptions"] == 1)
            && terms.iter().all(|term| term["lastDecryptionTime"].is_string())
    });
    // What is not written down yet is when the server stops.
    plugin.decrypt(&old.ciphertext, &old.key_id).unwrap();
    assert_eq!(lender.app.stop(), Some(0));
    assert!(!lender.socket().exists());
    let Lender { app, folder, .. } = lender;
    let mut lender = Lender::start_again(app.kill(), folder);
    assert_eq!(lender.key()["status"]["terms"][0]["decryptions"], 2);
}

#[test]
fn many_ask_at_once_while_the_key_is_rotated() {
    let mut lender = Lender::start();
    let socket = lender.socket();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let socket = socket.clone();
            std::thread::spawn(move || {
                let mut plugin = crate::support::kms::Plugin::connect(&socket).unwrap();
                for round in 0..50_u8 {
                    let made = plugin.encrypt(&[round; 32]).unwrap();
                    assert_eq!(plugin.decrypt(&made.ciphertext, &made.key_id).unwrap(), [round; 32]);
                }
            })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..10 {
        ids.insert(lender.rotate());
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(ids.len(), 10);
    assert_eq!(lender.key()["status"]["terms"].as_array().unwrap().len(), 11);
    let deadline = Duration::from_secs(30);
    let counted = eventually(deadline, || {
        let key = lender.key();
        let terms = key["status"]["terms"].as_array().unwrap();
        let sum = |field: &str| terms.iter().filter_map(|term| term[field].as_u64()).sum::<u64>();
        (sum("encryptions") > 0).then_some(())
    });
    counted.expect("uses are counted");
}
