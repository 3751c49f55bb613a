//! Client certificates: the server's own for its users, and those of an outside authority.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::site::{SECRETS, Site, USERS, user_info, who};
use crate::support::clients;
use crate::support::http::{Client, Response};
use crate::support::jwt::openssl;
use crate::support::kubectl;
use crate::support::watch::Watch;

/// A key and a request for a certificate, by OpenSSL; both PEM.
fn key_and_request(subject: &str, algorithm: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let key = openssl(&[&["genpkey"], algorithm].concat(), b"");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    fs::write(&path, &key).unwrap();
    let request = openssl(&["req", "-new", "-key", path.to_str().unwrap(), "-subj", subject], b"");
    (key, request)
}

const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn ask(client: &mut Client, name: &str, spec: &Value) -> Response {
    client.json("POST", &format!("{USERS}/{name}/certificate"), &json!({"spec": spec}))
}

/// A certificate for a user, and its key; both PEM.
fn certificate_of(site: &mut Site, name: &str) -> (Vec<u8>, Vec<u8>) {
    let (key, request) = key_and_request("/CN=whatever", P256);
    let answer = ask(&mut site.admin, name, &json!({"request": STANDARD.encode(request)})).ok().json();
    (STANDARD.decode(answer["status"]["certificate"].as_str().unwrap()).unwrap(), key)
}

fn with(site: &Site, (certificate, key): &(Vec<u8>, Vec<u8>)) -> Client {
    Client::with_certificate(&site.app, certificate, key)
}

#[test]
fn a_user_gets_a_certificate_for_any_sort_of_key_and_is_known_by_it() {
    let mut site = Site::start(&["--client-certificates"]);
    site.add("ada", &["dev", "ops"]);
    let uid = site.admin.get(&format!("{USERS}/ada")).ok().json()["metadata"]["uid"].clone();
    for algorithm in [P256, &["-algorithm", "ED25519"], &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]] {
        // What the request says of a name counts for nothing.
        let (key, request) = key_and_request("/CN=admin/O=system:masters", algorithm);
        let spec = json!({"request": STANDARD.encode(&request), "expirationSeconds": 3600});
        let answer = ask(&mut site.admin, "ada", &spec);
        assert_eq!(answer.status, 201, "{algorithm:?}: {}", answer.text());
        let status = answer.json()["status"].clone();
        let pem = STANDARD.decode(status["certificate"].as_str().unwrap()).unwrap();
        let shown = openssl(&["x509", "-noout", "-enddate", "-subject", "-dateopt", "iso_8601"], &pem);
        let shown = String::from_utf8(shown).unwrap();
        let ends = status["expirationTimestamp"].as_str().unwrap().replace('T', " ");
        assert!(shown.contains(&ends) && shown.contains("ada") && !shown.contains("masters"), "{shown} {ends}");
        let expected = json!({"username": "ada", "uid": uid, "groups": ["dev", "ops", "system:authenticated"]});
        assert_eq!(user_info(&mut Client::with_certificate(&site.app, &pem, &key)), expected, "{algorithm:?}");
    }
}

#[test]
fn requests_that_are_none_and_people_who_may_not_get_no_certificate() {
    let mut site = Site::start(&["--client-certificates"]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    let request = STANDARD.encode(key_and_request("/CN=x", P256).1);
    let weak = key_and_request("/CN=x", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]).1;
    let mut forged = key_and_request("/CN=x", P256).1;
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    for (what, spec) in [
        ("nothing", json!({"request": ""})),
        ("no PEM", json!({"request": STANDARD.encode("hello")})),
        ("a weak key", json!({"request": STANDARD.encode(weak)})),
        ("another signature", json!({"request": STANDARD.encode(forged)})),
        ("too short", json!({"request": request, "expirationSeconds": 60})),
        ("too long", json!({"request": request, "expirationSeconds": 40_000_000})),
        ("a negative time", json!({"request": request, "expirationSeconds": -1})),
    ] {
        let refused = ask(&mut site.admin, "ada", &spec);
        assert_eq!((refused.status, &refused.json()["reason"]), (422, &json!("Invalid")), "{what}: {}", refused.text());
    }
    // What is no base64 is no body of this kind.
    let undecodable = ask(&mut site.admin, "ada", &json!({"request": "-----BEGIN"}));
    assert_eq!((undecodable.status, &undecodable.json()["reason"]), (400, &json!("BadRequest")));
    let good = json!({"request": request});
    assert_eq!(ask(&mut site.admin, "nobody-there", &good).status, 404);
    let mut ada = site.with_token(&site.sign_in("ada").access);
    for name in ["ada", "bob", "nobody-there"] {
        assert_eq!(ask(&mut ada, name, &good).status, 403, "{name}");
    }
    // Without the authority there is none to ask.
    let mut site = Site::start(&[]);
    site.add("ada", &[]);
    let refused = ask(&mut site.admin, "ada", &good);
    assert!(refused.status == 400 && refused.text().contains("--client-certificates"), "{}", refused.text());
}

#[test]
fn a_certificate_ends_with_its_user_also_on_a_connection_that_is_open() {
    let mut site = Site::start(&["--client-certificates"]);
    site.add("ada", &[]);
    let pair = certificate_of(&mut site, "ada");
    let mut open = with(&site, &pair);
    assert_eq!(who(&mut open), "ada");
    site.disable("ada", true);
    assert_eq!((who(&mut open), who(&mut with(&site, &pair))), ("401".to_owned(), "401".to_owned()));
    site.disable("ada", false);
    assert_eq!(who(&mut open), "ada");
    let patch = br#"{"spec":{"groups":["late"]}}"#;
    site.admin.typed("PATCH", &format!("{USERS}/ada"), "application/merge-patch+json", patch).ok();
    assert_eq!(user_info(&mut open)["groups"], json!(["late", "system:authenticated"]), "groups are those of now");
    site.admin.delete(&format!("{USERS}/ada")).ok();
    assert_eq!(who(&mut open), "401");
    site.add("ada", &[]);
    assert_eq!((who(&mut open), who(&mut with(&site, &pair))), ("401".to_owned(), "401".to_owned()));
    let pair = certificate_of(&mut site, "ada");
    assert_eq!(who(&mut with(&site, &pair)), "ada");
    // The authority is the home's, and stays.
    let site = site.stopped_and_started();
    assert_eq!(who(&mut with(&site, &pair)), "ada");
}

/// A certificate for a user, its key, and its serial number as the answer shows it.
fn numbered_certificate_of(site: &mut Site, name: &str) -> ((Vec<u8>, Vec<u8>), String) {
    let (key, request) = key_and_request("/CN=whatever", P256);
    let status =
        ask(&mut site.admin, name, &json!({"request": STANDARD.encode(request)})).ok().json()["status"].clone();
    let certificate = STANDARD.decode(status["certificate"].as_str().unwrap()).unwrap();
    ((certificate, key), status["serialNumber"].as_str().unwrap().to_owned())
}

fn revoke(client: &mut Client, name: &str, serial: &str) -> Response {
    let body = json!({"spec": {"serialNumber": serial}});
    client.json("POST", &format!("{USERS}/{name}/certificaterevocation"), &body)
}

#[test]
fn a_revoked_certificate_is_refused_by_the_next_request_of_an_open_connection_and_no_other_is() {
    let mut site = Site::start(&["--client-certificates"]);
    site.add("ada", &["readers"]);
    site.add("bob", &[]);
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["watch"]}]});
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).ok();
    let binding = json!({
        "metadata": {"name": "r"}, "subjects": [{"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
    });
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).ok();
    let (pair, serial) = numbered_certificate_of(&mut site, "ada");
    let (other_pair, other_serial) = numbered_certificate_of(&mut site, "ada");
    // What OpenSSL shows of it is what is asked for.
    let shown = openssl(&["x509", "-noout", "-serial"], &pair.0);
    let shown = String::from_utf8(shown).unwrap().trim().strip_prefix("serial=").unwrap().to_owned();
    assert_eq!(shown.to_lowercase(), serial);
    let (mut open, mut other) = (with(&site, &pair), with(&site, &other_pair));
    let mut watch = Watch::begin(&with(&site, &pair), &format!("{SECRETS}?watch=true"), "application/json");
    assert_eq!((who(&mut open), who(&mut other)), ("ada".to_owned(), "ada".to_owned()));

    // In another's name it is no revocation of this one, and a dry run is none.
    revoke(&mut site.admin, "bob", &serial).ok();
    let path = format!("{USERS}/ada/certificaterevocation?dryRun=All");
    site.admin.json("POST", &path, &json!({"spec": {"serialNumber": serial}})).ok();
    assert_eq!(who(&mut open), "ada");

    let answer = revoke(&mut site.admin, "ada", &shown).ok().json();
    assert_eq!((&answer["kind"], &answer["status"]["serialNumber"]), (&json!("CertificateRevocation"), &json!(serial)));
    assert!(
        answer["status"]["rememberedUntil"].as_str().unwrap()
            > answer["metadata"]["creationTimestamp"].as_str().unwrap()
    );
    assert_eq!(
        (who(&mut open), who(&mut with(&site, &pair)), who(&mut other)),
        ("401".to_owned(), "401".to_owned(), "ada".to_owned())
    );
    let last = std::iter::from_fn(|| watch.event()).last().unwrap();
    assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(401)), "{last}");
    revoke(&mut site.admin, "ada", &serial).ok();

    // One record each, with the number; the one of the signing has it too.
    for (resource, numbers) in [
        ("users/certificate", vec![other_serial.clone(), serial.clone()]),
        ("users/certificaterevocation", vec![serial.clone(), serial.clone(), serial.clone()]),
    ] {
        let found = site.admin.get(&format!("/strongroom/v1/audit?resource={resource}&name=ada")).ok().json();
        let events = found["items"].as_array().unwrap();
        let recorded: Vec<&str> = events
            .iter()
            .map(|event| event["annotations"]["strongroom.dev/certificate-serial"].as_str().unwrap())
            .collect();
        assert_eq!(recorded, numbers, "{found}");
        assert!(events.iter().all(|event| event["responseStatus"]["code"] == 201), "{found}");
    }
    let mut site = site.killed_and_started();
    assert_eq!(
        (who(&mut with(&site, &pair)), who(&mut with(&site, &other_pair))),
        ("401".to_owned(), "ada".to_owned())
    );
    revoke(&mut site.admin, "ada", &other_serial).ok();
    assert_eq!(who(&mut with(&site, &other_pair)), "401");
}

#[test]
fn who_may_revoke_certificates_is_a_right_of_its_own() {
    let mut site = Site::start(&["--client-certificates"]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    for serial in ["", "0", "0x4a", "4a 0b", "nine", &"f".repeat(129)] {
        let refused = revoke(&mut site.admin, "ada", serial);
        assert_eq!(
            (refused.status, &refused.json()["reason"]),
            (422, &json!("Invalid")),
            "{serial}: {}",
            refused.text()
        );
    }
    assert_eq!(revoke(&mut site.admin, "nobody-there", "4a").status, 404);
    let mut ada = site.with_token(&site.sign_in("ada").access);
    for name in ["ada", "bob", "nobody-there"] {
        assert_eq!(revoke(&mut ada, name, "4a").status, 403, "{name}");
    }
    let rule = json!({
        "apiGroups": ["strongroom.dev"], "resources": ["users/certificaterevocation"], "resourceNames": ["bob"], "verbs": ["create"],
    });
    let role = json!({"metadata": {"name": "revoker"}, "rules": [rule]});
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).ok();
    let binding = json!({
        "metadata": {"name": "revoker"}, "subjects": [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "revoker"},
    });
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).ok();
    assert_eq!((revoke(&mut ada, "bob", "4a").status, revoke(&mut ada, "ada", "4a").status), (201, 403));
    let request = STANDARD.encode(key_and_request("/CN=x", P256).1);
    assert_eq!(ask(&mut ada, "bob", &json!({"request": request})).status, 403, "it lets nobody sign");
}

#[test]
fn a_token_decides_and_must_be_of_the_one_the_certificate_is_of() {
    let mut site = Site::start(&["--client-certificates"]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    let (ada, bob) = (site.sign_in("ada").access, site.sign_in("bob").access);
    let pair = certificate_of(&mut site, "ada");
    let client = with(&site, &pair);
    assert_eq!(who(&mut client.with_token(&ada)), "ada");
    for (what, token) in [("somebody else's", &*bob), ("the administrator's", &*site.app.token), ("none", "x")] {
        assert_eq!(who(&mut client.with_token(token)), "401", "{what}");
    }
    // With no token that is one, the certificate counts.
    let basic = [("Authorization", "Basic YWRhOng="), ("Content-Type", "application/json")];
    let answer = client.another().send("POST", super::site::WHO_AM_I, &basic, b"{}").unwrap().ok().json();
    assert_eq!(answer["status"]["userInfo"]["username"], "ada");
    site.disable("ada", true);
    assert_eq!(who(&mut client.with_token(&ada)), "401");
}

/// An authority outside, and what it signs.
struct Outside(Issuer<'static, KeyPair>, String);

impl Outside {
    fn make() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "corporate");
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, name: &str, group: &str, years: (i32, i32)) -> (Vec<u8>, Vec<u8>) {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

const NOW: (i32, i32) = (2020, 2090);

#[test]
fn an_outside_authority_names_users_and_groups_but_none_of_the_systems_own() {
    let (outside, foreign) = (Outside::make(), Outside::make());
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("corporate.crt");
    fs::write(&bundle, &outside.1).unwrap();
    let mut site = Site::start(&["--client-ca", bundle.to_str().unwrap()]);
    site.add("carol", &["dev"]);
    let expected = json!({"username": "ada", "groups": ["ops", "system:authenticated"]});
    assert_eq!(user_info(&mut with(&site, &outside.sign("ada", "ops", NOW))), expected);
    // A User of the same name lends no groups; shutting that one out shuts out both.
    let carol = outside.sign("carol", "ops", NOW);
    assert_eq!(user_info(&mut with(&site, &carol))["groups"], json!(["ops", "system:authenticated"]));
    site.disable("carol", true);
    assert_eq!(who(&mut with(&site, &carol)), "401");

    let masters = outside.sign("eve", "system:masters", NOW);
    assert_eq!(user_info(&mut with(&site, &masters))["groups"], json!(["system:authenticated"]));
    assert_eq!(with(&site, &masters).get(SECRETS).status, 403);
    assert_eq!(who(&mut with(&site, &outside.sign("admin", "ops", NOW))), "401");
    for name in ["system:admin", "System:serviceaccount:default:default", ""] {
        // It stands for nobody.
        let mut nobody = with(&site, &outside.sign(name, "ops", NOW));
        let answer = nobody.get(SECRETS);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(answer.status == 403 && message.contains("system:anonymous"), "{name}: {message}");
    }
    for (what, pair) in [
        ("over", outside.sign("ada", "ops", (2020, 2021))),
        ("not yet", outside.sign("ada", "ops", (2089, 2090))),
        ("of another authority", foreign.sign("ada", "ops", NOW)),
    ] {
        let answer = with(&site, &pair).send("GET", "/livez", &[], b"");
        assert!(answer.is_err(), "{what}: {answer:?}");
    }
    assert!(site.app.is_running());
}

#[test]
fn kubectl_signs_in_with_a_certificate_in_its_kubeconfig() {
    let mut site = Site::start(&["--client-certificates"]);
    site.add("ada", &["dev"]);
    let (certificate, key) = certificate_of(&mut site, "ada");
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": site.app.url, "certificate-authority-data": STANDARD.encode(&site.app.ca_pem),
        }}],
        "users": [{"name": "u", "user": {
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        }}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    fs::write(&kubeconfig, text.to_string()).unwrap();
    for kubectl in kubectl::all() {
        let printed = run(kubectl.program(), &kubeconfig, &["auth", "whoami", "-o", "json"]).unwrap();
        let info: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(info["status"]["userInfo"]["username"], "ada");
        assert_eq!(info["status"]["userInfo"]["groups"], json!(["dev", "system:authenticated"]));
        let error = run(kubectl.program(), &kubeconfig, &["get", "secrets"]).unwrap_err();
        assert!(error.contains("User \"ada\" cannot list resource \"secrets\""), "{error}");
    }
}

/// What kubectl printed, or its complaint.
fn run(program: &Path, kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).env("HOME", kubeconfig.parent().unwrap());
    let output = clients::run(&mut command, b"", std::time::Duration::from_mins(2));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
