//! What is issued, as OpenSSL, curl and rustls see it; and what a crash leaves.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::{OURS, Room, certificate};
use crate::support::actors;
use crate::support::app::App;
use crate::support::canary::{Canary, found, found_in_files};
use crate::support::clients;
use crate::support::http::Client;
use crate::support::jwt::openssl;
use crate::support::person::Person;

/// Writes a Secret's pair into files, and returns their names.
fn files(room: &mut Room, person: &Person, secret: &str) -> [String; 3] {
    ["tls.crt", "tls.key", "ca.crt"].map(|key| {
        let value = String::from_utf8(room.value(secret, key)).unwrap();
        let file = person.file(&format!("{secret}-{key}"), &value);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    })
}

fn text(certificate: &str) -> String {
    String::from_utf8(openssl(&["x509", "-in", certificate, "-noout", "-text"], b"")).unwrap()
}

#[test]
fn openssl_takes_the_chain_of_every_kind_of_key_and_of_an_authority_below() {
    let mut room = Room::start();
    let person = Person::new();
    room.certificate("ca", &json!({"isCA": true, "commonName": "Shop CA", "dnsNames": null}));
    let below = json!({"kind": "Secret", "name": "ca"});
    for (name, key, shown) in [
        ("ec", json!({"algorithm": "ECDSA", "size": 384}), "P-384"),
        ("rsa", json!({"algorithm": "RSA"}), "Public-Key: (2048 bit)"),
        ("ed", json!({"algorithm": "Ed25519"}), "ED25519"),
    ] {
        let more = json!({
            "privateKey": key, "issuerRef": below, "commonName": "web", "ipAddresses": ["127.0.0.1"],
            "uris": ["spiffe://example.com/web"], "duration": "24h", "usages": ["server auth", "digital signature"],
        });
        room.certificate(name, &more);
        let object = room.ready("certificates", name);
        let [chain, key, ca] = files(&mut room, &person, name);
        let verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", &ca, "-untrusted", &chain, &chain];
        assert!(String::from_utf8(openssl(&verify, b"")).unwrap().ends_with(": OK\n"));
        openssl(&["pkey", "-in", &key, "-noout", "-check"], b"");
        let text = text(&chain);
        for part in [shown, "DNS:localhost, IP Address:127.0.0.1, URI:spiffe://example.com/web", "CA:FALSE", "CN = web"]
        {
            let spaceless = |text: &str| text.replace(' ', "");
            assert!(spaceless(&text).contains(&spaceless(part)), "{part}: {text}");
        }
        let end =
            String::from_utf8(openssl(&["x509", "-in", &chain, "-noout", "-enddate", "-dateopt", "iso_8601"], b""));
        let end = end.unwrap().trim().trim_start_matches("notAfter=").replace(' ', "T");
        assert_eq!(object["status"]["notAfter"], end);
    }
    let [authority, _, root] = files(&mut room, &person, "ca");
    assert!(text(&authority).contains("CA:TRUE, pathlen:0") && text(&root).contains("CA:TRUE, pathlen:1"));
    let published = room.admin.get("/strongroom/v1/workload-authority").ok();
    assert_eq!(published.body, room.value("ca", "ca.crt"), "whom to trust can be had without a Secret");
    assert_ne!(published.body, room.app.ca_pem, "the server's own authority signs nothing of workloads");
    let told = clients::eventually(super::LIMIT, || room.events("rsa").contains(&"Issued".to_owned()).then_some(()));
    assert!(told.is_some(), "an Event says so too");
}

#[test]
fn an_authority_that_openssl_has_made_signs_here() {
    let mut room = Room::start();
    let person = Person::new();
    let (key, ca) = (person.file("own.key", ""), person.file("own.crt", ""));
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key], b"");
    let request = ["req", "-x509", "-new", "-key", &key, "-subj", "/CN=Own CA", "-days", "2", "-out", &ca];
    openssl(&request, b"");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&key).contains("BEGIN EC PRIVATE KEY"), "not PKCS #8");
    actors::secret(&mut room.admin, "prod", "own", &json!({"tls.crt": read(&ca), "tls.key": read(&key)}));
    room.certificate("web", &json!({"issuerRef": {"kind": "Secret", "name": "own"}}));
    let object = room.ready("certificates", "web");
    let [chain, _, trust] = files(&mut room, &person, "web");
    assert_eq!(read(&trust), read(&ca));
    openssl(&["verify", "-CAfile", &ca, &chain], b"");
    let end = String::from_utf8(openssl(&["x509", "-in", &ca, "-noout", "-enddate", "-dateopt", "iso_8601"], b""));
    let end = end.unwrap().trim().trim_start_matches("notAfter=").replace(' ', "T");
    assert_eq!(object["status"]["notAfter"], end, "ninety days were asked for, and the authority ends sooner");
}

#[test]
fn curl_talks_to_a_server_that_bears_it() {
    let mut room = Room::start();
    let person = Person::new();
    room.certificate("web", &json!({}));
    room.ready("certificates", "web");
    let [chain, key, ca] = files(&mut room, &person, "web");
    let whole = std::fs::read_to_string(&chain).unwrap() + &std::fs::read_to_string(&ca).unwrap();
    let whole = person.file("whole.crt", &whole);
    // Rustls, as it happens.
    let server = App::start_in(tempfile::tempdir().unwrap(), &["--tls-cert", &whole, "--tls-key", &key]);
    let address = server.url.replace("127.0.0.1", "localhost");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--cacert", &ca, &format!("{address}/livez")]);
    let output = clients::run(&mut curl, b"", super::LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"ok");
}

#[test]
fn a_crash_leaves_the_former_certificate_or_the_new_one() {
    let mut room = Room::start();
    room.certificate("web", &json!({"duration": "1h"}));
    room.ready("certificates", "web");
    let mut request = 0;
    for _ in 0..8 {
        request += 1;
        room.rotate("certificates", "web", &request.to_string());
        let app = App::start_in(room.app.kill(), &[]);
        let admin = Client::admin(&app);
        room = Room { app, admin };
        let expected = i64::from(request) + 1;
        let object = room.until_revision("certificates", "web", expected);
        assert_eq!(object["status"]["lastHandledRequest"], request.to_string());
        let (chain, key) = (room.value("web", "tls.crt"), room.value("web", "tls.key"));
        assert_eq!(strongroom::pki::pair_warning(&chain, &key), None);
    }
}

#[test]
fn keys_and_values_are_found_nowhere_but_in_the_secret() {
    let mut room = Room::start_with(&["--log", "trace"]);
    room.certificate("web", &json!({}));
    room.certificate("old", &json!({"privateKey": {"algorithm": "RSA"}}));
    let keys = json!([{"key": "a", "generator": "password"}, {"key": "b", "generator": "hex"}]);
    let spec = json!({"secretName": "db", "keys": keys, "keepPrevious": true});
    let object = json!({"metadata": {"name": "db"}, "spec": spec});
    room.admin.json("POST", &format!("{OURS}/generatedsecrets"), &object).ok();
    let refused = room.admin.json("POST", &format!("{OURS}/certificates"), &certificate("x", &json!({"isCA": 1})));
    assert_eq!(refused.status, 400);
    let mut canaries = Vec::new();
    for resource in ["certificates/web", "certificates/old", "generatedsecrets/db"] {
        let (kind, name) = resource.split_once('/').unwrap();
        room.ready(kind, name);
        for request in ["1", "2"] {
            let keys = if kind == "certificates" { vec!["tls.key"] } else { vec!["a", "b"] };
            for key in keys {
                let value = String::from_utf8(room.value(name, key)).unwrap();
                // Of a key a line in its midst, which no two have in common.
                let line = value.lines().nth(1).unwrap_or(&value).trim_end_matches('=').to_owned();
                canaries.push(Canary::of("a value", line));
            }
            room.rotate(kind, name, request);
            room.until_revision(kind, name, request.parse::<i64>().unwrap() + 1);
        }
    }
    let mut leaks = Vec::new();
    for path in [
        "/metrics",
        "/api/v1/namespaces/prod/events",
        "/apis/strongroom.dev/v1alpha1/certificates",
        "/apis/strongroom.dev/v1alpha1/generatedsecrets",
        "/strongroom/v1/audit",
        "/strongroom/v1/workload-authority",
    ] {
        leaks.extend(found(&canaries, &room.admin.get(path).ok().body, path));
    }
    leaks.extend(found_in_files(&canaries, room.app.home()));
    leaks.extend(found_in_files(&canaries, room.app.logs()));
    assert!(leaks.is_empty(), "{leaks:#?}");
    let metrics = room.admin.get("/metrics").ok().text();
    assert!(metrics.contains("strongroom_certificates_issued_total 6\n"), "{metrics}");
    let audit = room.admin.get("/strongroom/v1/audit").ok().text();
    assert!(audit.contains("system:strongroom:issuing-controller"));
}

#[test]
fn nothing_is_issued_where_it_is_switched_off() {
    let mut room = Room::start_with(&["--no-issuing"]);
    room.certificate("web", &json!({}));
    let app = App::start_in(room.app.kill(), &["--no-issuing"]);
    let admin = Client::admin(&app);
    room = Room { app, admin };
    let object = room.admin.get(&format!("{OURS}/certificates/web")).ok().json();
    assert_eq!(object.get("status"), None);
    let app = App::start_in(room.app.kill(), &[]);
    let admin = Client::admin(&app);
    room = Room { app, admin };
    room.ready("certificates", "web");
}
