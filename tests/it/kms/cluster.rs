//! A genuine kube-apiserver with etcd that encrypts with a key of ours: what lies in etcd, what a rotation, a restart and
//! a plugin that is gone come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Lender;
use super::commands::strongroom;
use crate::support::actors::{namespace, secret, secrets};
use crate::support::apiserver::Cluster;
use crate::support::clients::{self, eventually};
use crate::support::http::Client;

/// kube-apiserver asks for the key id once a minute.
const HEARD: Duration = Duration::from_mins(2);
const PREFIX: &[u8] = b"k8s:enc:kms:v2:strongroom:";
const SECRETS: usize = 1_000;
/// Stands in every Secret, and nowhere else.
const MARK: &str = "the-mark-of-four-green-herons";

/// The option that has an API server encrypt Secrets by way of a socket.
fn encrypting(folder: &Path, socket: &Path) -> Vec<String> {
    let (configuration, code) = strongroom(&["kms", "config", "--socket", &socket.display().to_string()]);
    assert_eq!(code, 0, "{configuration}");
    let file = folder.join("encryption.yaml");
    fs::write(&file, configuration).unwrap();
    vec![format!("--encryption-provider-config={}", file.display())]
}

/// What etcd has under a prefix, asked by its gateway.
fn stored(cluster: &Cluster, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut etcd = Client::plain(cluster.etcd_address());
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().unwrap() += 1;
    let ask = json!({"key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end)});
    let answer = etcd.json("POST", "/v3/kv/range", &ask).ok().json();
    let text = |item: &Value, field: &str| STANDARD.decode(item[field].as_str().unwrap_or_default()).unwrap();
    let items = answer["kvs"].as_array().into_iter().flatten();
    items.map(|item| (String::from_utf8(text(item, "key")).unwrap(), text(item, "value"))).collect()
}

fn is_under(value: &[u8], key_id: &str) -> bool {
    value.starts_with(PREFIX) && value.windows(key_id.len()).any(|window| window == key_id.as_bytes())
}

fn contains_mark(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains_mark(&path);
        }
        let bytes = fs::read(path).unwrap();
        bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
    })
}

fn make_secrets(admin: &mut Client, namespace: &str, count: usize) {
    for number in 0..count {
        secret(admin, namespace, &format!("s{number}"), &json!({"k": format!("{MARK}-{number}")}));
    }
}

fn has_all(client: &mut Client, namespace: &str, count: usize) -> bool {
    let listed = client.get(&format!("{}?limit=5000", secrets(namespace)));
    if listed.status != 200 {
        return false;
    }
    let items = listed.json()["items"].as_array().unwrap().clone();
    items.len() == count
        && items.iter().all(|item| {
            let value = STANDARD.decode(item["data"]["k"].as_str().unwrap()).unwrap();
            let number = item["metadata"]["name"].as_str().unwrap().trim_start_matches('s').to_owned();
            value == format!("{MARK}-{number}").as_bytes()
        })
}

/// Writes every Secret again as it is, which has it encrypted anew.
fn write_again(admin: &mut Client, namespace: &str) {
    let listed = admin.get(&format!("{}?limit=5000", secrets(namespace))).ok().json();
    for item in listed["items"].as_array().unwrap() {
        let path = format!("{}/{}", secrets(namespace), item["metadata"]["name"].as_str().unwrap());
        admin.json("PUT", &path, item).ok();
    }
}

fn check(cluster: &Cluster) -> (String, i32) {
    strongroom(&["kms", "check", "--etcd", &cluster.etcd_url()])
}

/// Has etcd write a snapshot, and looks into that.
fn check_snapshot(cluster: &Cluster, folder: &Path) -> (String, i32) {
    let mut etcd = Client::plain(cluster.etcd_address());
    let answer = etcd.json("POST", "/v3/maintenance/snapshot", &json!({})).ok();
    let mut snapshot = Vec::new();
    for part in serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>() {
        let part = part.unwrap();
        snapshot.extend(STANDARD.decode(part["result"]["blob"].as_str().unwrap_or_default()).unwrap());
    }
    let file = folder.join("snapshot.db");
    fs::write(&file, snapshot).unwrap();
    strongroom(&["kms", "check", "--snapshot", &file.display().to_string()])
}

#[test]
fn what_is_not_encrypted_is_named_and_its_values_are_not_shown() {
    let Some(cluster) = Cluster::start() else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "bare");
    make_secrets(&mut admin, "bare", 3);
    admin.delete(&format!("{}/s2", secrets("bare"))).ok();
    let folder = tempfile::tempdir().unwrap();
    let (live, snapshot) = (check(&cluster), check_snapshot(&cluster, folder.path()));
    for (printed, code) in [&live, &snapshot] {
        assert_eq!(*code, 1, "{printed}");
        assert!(printed.contains("bare/s0   clear text\n"), "{printed}");
        assert!(printed.contains("2 objects under /registry/secrets/\n"), "{printed}");
        assert!(!printed.contains(MARK) && !printed.contains(&STANDARD.encode(MARK)), "{printed}");
    }
    assert!(snapshot.0.contains("1 older revisions in clear text"), "{}", snapshot.0);
    // The database of an etcd, and pages of it that are cut off.
    let file = folder.path().join("snapshot.db");
    let whole = fs::read(&file).unwrap();
    for end in [whole.len() / 2, 8_192, 4_096, 100] {
        fs::write(&file, &whole[..end]).unwrap();
        let (printed, code) = strongroom(&["kms", "check", "--snapshot", &file.display().to_string()]);
        assert!(code == 1 && !printed.contains("panicked"), "{printed}");
    }
}

#[test]
fn an_etcd_that_asks_for_a_certificate_is_read_with_one_and_refuses_others() {
    let Some(cluster) = Cluster::start_with_closed_etcd() else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "closed");
    make_secrets(&mut admin, "closed", 2);
    let [authority, certificate, key] = cluster.etcd_files().map(|path| path.to_str().unwrap().to_owned());
    let url = cluster.etcd_url();
    let base = ["kms", "check", "--etcd", &url];
    let with = |options: &[&str]| strongroom(&[&base[..], options].concat());
    let (printed, code) = with(&["--cacert", &authority, "--cert", &certificate, "--key", &key]);
    assert!(code == 1 && printed.contains("closed/s1   clear text\n") && !printed.contains(MARK), "{printed}");
    // Neither an etcd that nobody vouches for, nor without a certificate.
    for options in [&["--cert", &certificate, "--key", &key][..], &["--cacert", &authority][..]] {
        let (printed, code) = with(options);
        assert!(
            code != 0 && !printed.contains("clear text") && !printed.contains("panicked"),
            "{options:?}: {printed}"
        );
    }
    assert_eq!(with(&["--cert", &certificate]).1, 2, "a certificate without its key");
}

#[test]
fn a_genuine_api_server_encrypts_rotates_and_outlives_restarts_of_the_plugin() {
    let mut lender = Lender::start();
    let options = encrypting(lender.folder.path(), &lender.socket());
    let Some(cluster) = Cluster::start_with(&options) else { return };
    let mut admin = cluster.admin();
    let ready = admin.get("/readyz?verbose").ok().text();
    assert!(ready.contains("[+]kms-providers ok"), "{ready}");

    namespace(&mut admin, "kept");
    make_secrets(&mut admin, "kept", SECRETS);
    let first = lender.key()["status"]["currentKeyID"].as_str().unwrap().to_owned();
    let in_etcd = stored(&cluster, "/registry/secrets/kept/");
    assert_eq!(in_etcd.len(), SECRETS);
    for (key, value) in &in_etcd {
        assert!(is_under(value, &first), "{key}");
    }
    assert!(!contains_mark(&cluster.etcd_folder()), "etcd has clear text");
    assert!(has_all(&mut admin, "kept", SECRETS));

    let (printed, code) = check(&cluster);
    assert_eq!(code, 0, "{printed}");
    assert_eq!(printed.lines().filter(|line| line.starts_with("kept/") && line.ends_with(&first)).count(), SECRETS);
    assert!(printed.contains(&format!("{SECRETS} encrypted kms v2 strongroom {first}\n")), "{printed}");

    // A rotation under a running API server: it hears of it within a minute, and what is older is still read.
    let second = lender.rotate();
    let heard = eventually(HEARD, || {
        admin.json("PUT", &format!("{}/s0", secrets("kept")), &one(0)).ok();
        let now = stored(&cluster, "/registry/secrets/kept/s0");
        is_under(&now["/registry/secrets/kept/s0"], &second).then_some(())
    });
    heard.unwrap_or_else(|| panic!("the API server hears of the new term: {}", cluster.log()));
    assert!(has_all(&mut admin, "kept", SECRETS));
    write_again(&mut admin, "kept");
    for (key, value) in stored(&cluster, "/registry/secrets/kept/") {
        assert!(is_under(&value, &second), "{key}");
    }
    // An API server without a memory reads all of it.
    cluster.stop_server();
    cluster.start_server();
    let mut admin = cluster.admin();
    assert!(has_all(&mut admin, "kept", SECRETS));

    // The plugin is killed: what is known is read, and what is written waits for nobody, as long as kube-apiserver trusts
    // the term that it heard of. Started again, all goes on.
    let Lender { app, folder, .. } = lender;
    let home = app.kill();
    assert!(has_all(&mut admin, "kept", SECRETS));
    let mut lender = Lender::start_again(home, folder);
    let third = lender.rotate();
    let heard = eventually(HEARD, || {
        let answer = admin.json("PUT", &format!("{}/s1", secrets("kept")), &one(1));
        let now = stored(&cluster, "/registry/secrets/kept/s1");
        (answer.status == 200 && is_under(&now["/registry/secrets/kept/s1"], &third)).then_some(())
    });
    heard.unwrap_or_else(|| panic!("the API server finds the plugin again: {}", cluster.log()));
    assert!(has_all(&mut admin, "kept", SECRETS));
    lender.until_terms(|terms| terms.len() == 3 && terms[2]["encryptions"].as_u64().is_some());
    let (printed, code) = check_snapshot(&cluster, lender.folder.path());
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains(&format!("{SECRETS} objects under /registry/secrets/\n")), "{printed}");
    assert!(!printed.contains("clear text") && !printed.contains(MARK), "{printed}");
    assert!(!contains_mark(&cluster.etcd_folder()), "etcd has clear text");
}

fn one(number: usize) -> Value {
    json!({"metadata": {"name": format!("s{number}")}, "stringData": {"k": format!("{MARK}-{number}")}})
}

#[test]
fn without_its_plugin_a_genuine_api_server_says_so_and_recovers_by_itself() {
    let lender = Lender::start();
    let options = encrypting(lender.folder.path(), &lender.socket());
    let Some(cluster) = Cluster::start_with(&options) else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "kept");
    make_secrets(&mut admin, "kept", 3);
    // Both are gone, and the API server comes back alone.
    cluster.stop_server();
    let Lender { app, folder, .. } = lender;
    let home = app.kill();
    cluster.spawn_server();
    let refused = eventually(HEARD, || {
        let mut admin = cluster.admin();
        let answer = admin.send("POST", &secrets("kept"), &[("Content-Type", "application/json")], new().as_bytes());
        // Its own words for a plugin that it has never heard of; that it is the plugin is said by `/readyz` and its log.
        let is_refused = |text: &str| text.contains("nil transformer") || text.contains("kms");
        answer.ok().filter(|answer| answer.status == 500 && is_refused(&answer.text())).map(|answer| answer.text())
    });
    let refused = refused.unwrap_or_else(|| panic!("a write says why it fails: {}", cluster.log()));
    assert!(!refused.contains(MARK), "{refused}");
    let ready = cluster.admin().get("/readyz?verbose").text();
    assert!(ready.contains("[-]kms-providers failed"), "{ready}");

    let _lender = Lender::start_again(home, folder);
    let recovered = eventually(HEARD, || {
        let mut admin = cluster.admin();
        let answer = admin.send("POST", &secrets("kept"), &[("Content-Type", "application/json")], new().as_bytes());
        answer.ok().filter(|answer| matches!(answer.status, 201 | 409)).map(drop)
    });
    recovered.unwrap_or_else(|| panic!("the API server recovers: {}", cluster.log()));
    let mut admin = cluster.admin();
    let all = eventually(HEARD, || has_all(&mut admin, "kept", 4).then_some(()));
    all.unwrap_or_else(|| panic!("everything is read: {}", cluster.log()));
    let stored = stored(&cluster, "/registry/secrets/kept/");
    assert!(stored.len() == 4 && stored.values().all(|value| value.starts_with(PREFIX)));
}

fn new() -> String {
    one(3).to_string()
}

/// kube-apiserver trusts the key id that it heard of for three minutes: this takes four, and is part of the long form
/// (`just faults`).
#[test]
fn a_plugin_that_stays_away_stops_writes_and_not_reads_of_what_is_known() {
    if std::env::var_os("STRONGROOM_TEST_LONG").is_none() {
        return clients::left_out("a plugin that stays away for more than three minutes, which takes four");
    }
    let lender = Lender::start();
    let options = encrypting(lender.folder.path(), &lender.socket());
    let Some(cluster) = Cluster::start_with(&options) else { return };
    let mut admin = cluster.admin();
    namespace(&mut admin, "kept");
    make_secrets(&mut admin, "kept", 3);
    let Lender { app, folder, .. } = lender;
    let home = app.kill();
    let refused = eventually(Duration::from_mins(5), || {
        let answer = admin.json(
            "PUT",
            &format!("{}/s0", secrets("kept")),
            &json!({
                "metadata": {"name": "s0"},
                "stringData": {"k": format!("{MARK}-0"), "n": uuid::Uuid::new_v4().to_string()},
            }),
        );
        (answer.status == 500).then(|| answer.text())
    });
    let refused = refused.unwrap_or_else(|| panic!("writes stop: {}", cluster.log()));
    assert!(refused.contains("encryptedDEKSource") && refused.contains("expired at"), "{refused}");
    assert_eq!(admin.get(&format!("{}/s1", secrets("kept"))).status, 200);
    let _lender = Lender::start_again(home, folder);
    let recovered = eventually(HEARD, || {
        let answer = admin.json("PUT", &format!("{}/s0", secrets("kept")), &one(0));
        (answer.status == 200).then_some(())
    });
    recovered.unwrap_or_else(|| panic!("the API server recovers: {}", cluster.log()));
}
