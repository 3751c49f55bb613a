//! KMSKeys as objects: their terms, who may do what with them, and that no key is in any answer.

use serde_json::json;

use super::{KEYS, Lender};
use crate::support::actors::{acting_as, bind, role, rule};

#[test]
fn a_key_has_one_term_at_first_and_its_status_is_the_servers() {
    let mut lender = Lender::start();
    let key = lender.key();
    let uid = key["metadata"]["uid"].as_str().unwrap();
    let first = key["status"]["currentKeyID"].as_str().unwrap().to_owned();
    assert!(first.starts_with(&format!("sr1:{uid}:1:")) && first.len() == 4 + 36 + 3 + 16, "{first}");
    assert_eq!(key["status"]["terms"][0]["keyID"], first.as_str());
    assert_eq!(key["status"]["terms"][0]["state"], "Current");
    let mut forged = key.clone();
    forged["status"] = json!({"currentKeyID": "sr1:forged:1"});
    lender.admin.json("PUT", &format!("{KEYS}/etcd"), &forged).ok();
    assert_eq!(lender.key()["status"], key["status"]);
    let dry = lender.admin.json("POST", &format!("{KEYS}/etcd/rotate?dryRun=All"), &json!({})).ok().json();
    assert_eq!(dry["status"]["currentKeyID"], first.as_str());
    let second = lender.rotate();
    assert!(second.starts_with(&format!("sr1:{uid}:2:")), "{second}");
    let key = lender.key();
    assert_eq!(key["status"]["terms"][0]["state"], "DecryptOnly");
    assert_eq!(key["status"]["terms"][1]["keyID"], second.as_str());
    let made = lender.admin.json("POST", KEYS, &json!({"metadata": {"name": "bad"}, "spec": {"rotateAfter": "1m"}}));
    assert_eq!((made.status, made.text().contains("spec.rotateAfter")), (422, true));
}

#[test]
fn a_key_is_deleted_only_if_it_says_so() {
    let mut lender = Lender::start();
    let path = format!("{KEYS}/etcd");
    let refused = lender.admin.delete(&path);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("set spec.allowDeletion"), "{}", refused.text());
    assert_eq!(lender.admin.delete(KEYS).status, 403);
    let allow = json!({"spec": {"allowDeletion": true}}).to_string();
    lender.admin.typed("PATCH", &path, "application/merge-patch+json", allow.as_bytes()).ok();
    lender.admin.delete(&path).ok();
    let mut plugin = lender.plugin();
    assert!(plugin.status().healthz.contains("there is no KMSKey \"etcd\""));
    // Of the same name, and another key.
    lender.make_key(&json!({}));
    assert_eq!(plugin.status().healthz, "ok");
}

#[test]
fn a_key_whose_finalizers_go_is_not_destroyed_once_that_is_forbidden_again() {
    let mut lender = Lender::start();
    let made = lender.plugin().encrypt(b"seed").unwrap();
    let path = format!("{KEYS}/etcd");
    let mut patch = |body: &serde_json::Value| {
        let body = body.to_string();
        lender.admin.typed("PATCH", &path, "application/merge-patch+json", body.as_bytes())
    };
    patch(&json!({"metadata": {"finalizers": ["example.com/held"]}, "spec": {"allowDeletion": true}})).ok();
    lender.admin.delete(&path).ok();
    let mut patch = |body: &serde_json::Value| {
        let body = body.to_string();
        lender.admin.typed("PATCH", &path, "application/merge-patch+json", body.as_bytes())
    };
    patch(&json!({"spec": {"allowDeletion": false}})).ok();
    let refused = patch(&json!({"metadata": {"finalizers": null}}));
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("set spec.allowDeletion"), "{}", refused.text());
    assert_eq!(lender.plugin().decrypt(&made.ciphertext, &made.key_id).unwrap(), b"seed");
    let both = json!({"metadata": {"finalizers": null}, "spec": {"allowDeletion": true}}).to_string();
    lender.admin.typed("PATCH", &path, "application/merge-patch+json", both.as_bytes()).ok();
    assert_eq!(lender.admin.get(&path).status, 404);
}

#[test]
fn a_term_is_retired_only_when_it_was_not_seen_for_long() {
    let mut lender = Lender::start();
    let mut plugin = lender.plugin();
    let first = plugin.encrypt(b"seed").unwrap();
    let retire = format!("{KEYS}/etcd/retire");
    let ask = |id: &str| json!({"spec": {"keyID": id, "unseenFor": "1m"}});
    let mut refused = |id: &str| {
        let answer = lender.admin.json("POST", &retire, &ask(id));
        (answer.status, answer.json()["message"].as_str().unwrap().to_owned())
    };
    let (code, why) = refused(&first.key_id);
    assert!(code == 409 && why.contains("current term"), "{code} {why}");
    let (code, why) = refused(&first.key_id.replace(":1:", ":7:"));
    assert!(code == 409 && why.contains("no term"), "{code} {why}");
    assert_eq!(refused("nonsense").0, 422);
    lender.rotate();
    let answer = lender.admin.json("POST", &retire, &ask(&first.key_id));
    assert!(answer.status == 409 && answer.text().contains("not long enough ago"), "{}", answer.text());
    assert_eq!(plugin.decrypt(&first.ciphertext, &first.key_id).unwrap(), b"seed");
}

#[test]
fn over_http_a_key_is_used_by_who_may_use_it_and_what_was_sent_is_not_sent_back() {
    let mut lender = Lender::start();
    let plain = json!({"spec": {"plaintext": "aHVudGVyMg==", "uid": "r1"}});
    let (encrypt, decrypt) = (format!("{KEYS}/etcd/encrypt"), format!("{KEYS}/etcd/decrypt"));
    let asks = rule(&["create"], "strongroom.dev", &["kmskeys/encrypt", "kmskeys/decrypt"]);
    role(&mut lender.admin, "", "asks", &[asks]);
    bind(&mut lender.admin, "", "asks", "ClusterRole/asks", "User/ann");
    let mut ann = acting_as(&lender.admin, "ann", &[]);
    let denied = ann.json("POST", &encrypt, &plain);
    assert!(denied.status == 403 && denied.text().contains("cannot encrypt"), "{}", denied.text());
    bind(&mut lender.admin, "", "uses", "ClusterRole/system:strongroom:kms-plugin", "User/ann");
    let made = ann.json("POST", &encrypt, &plain).ok();
    assert!(!made.text().contains("aHVudGVyMg"), "{}", made.text());
    let made = made.json();
    let (ciphertext, id) = (made["status"]["ciphertext"].clone(), made["status"]["keyID"].clone());
    let sealed = json!({"spec": {"ciphertext": ciphertext, "keyID": id}});
    let opened = ann.json("POST", &decrypt, &sealed).ok().json();
    assert_eq!(opened["status"]["plaintext"], "aHVudGVyMg==");
    for (path, body, code) in [
        (&encrypt, json!({"spec": {"plaintext": "@@"}}), 422),
        (&encrypt, json!({"spec": {}}), 422),
        (&encrypt, json!({"spec": {"plaintext": "A".repeat(1_308)}}), 400),
        (&decrypt, json!({"spec": {"ciphertext": ciphertext}}), 422),
        (&decrypt, json!({"spec": {"ciphertext": "AAAA", "keyID": id}}), 400),
        (&decrypt, json!({"spec": {"ciphertext": ciphertext, "keyID": "sr1:x:1"}}), 400),
    ] {
        let answer = ann.json("POST", path, &body);
        assert_eq!(answer.status, code, "{}", answer.text());
        assert!(!answer.text().contains("@@"));
    }
    let missing = lender.admin.json("POST", &format!("{KEYS}/none/encrypt"), &plain);
    assert_eq!(missing.status, 404, "{}", missing.text());
}
