//! Kubeconfigs that are taken, and those that are not.

use serde_json::{Value, json};

use super::*;
use crate::pki::{Names, encode_certificate, encode_private_key, make_authority, make_leaf};

const CANARY: &str = "canary-5b1f9d";

fn usual() -> Value {
    let authority = make_authority(1_800_000_000).unwrap();
    let pem = encode_certificate(&authority.certificate);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "main", "preferences": {},
        "clusters": [{"name": "c", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority-data": STANDARD.encode(pem),
        }}],
        "users": [{"name": "u", "user": {"token": CANARY}}],
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "x"}},
            {"name": "other", "context": {"cluster": "gone", "user": "u"}},
        ],
    })
}

/// A certificate and its key, PEM.
#[expect(clippy::disallowed_methods, reason = "the test hands its own key over")]
fn pair() -> (String, Vec<u8>) {
    let authority = make_authority(1_800_000_000).unwrap();
    let leaf = make_leaf(&authority, &Names::local(), 1_800_000_000).unwrap();
    (encode_certificate(&leaf.certificate), encode_private_key(&leaf.key).expose().to_vec())
}

fn of_pair(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Value {
    json!({"client-certificate-data": STANDARD.encode(chain), "client-key-data": STANDARD.encode(key)})
}

fn refused(kubeconfig: &Value, context: Option<&str>) -> String {
    let error = parse(kubeconfig.to_string().as_bytes(), context).err().map(|error| error.to_string());
    let text = error.unwrap_or_default();
    assert!(!text.contains(CANARY), "{text}");
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
fn what_kubectl_writes_is_read() {
    let yaml = yaml::to_string(&usual());
    let read = parse(yaml.as_bytes(), None).unwrap();
    assert_eq!((read.server.as_str(), read.server_name, read.trust.len()), ("https://10.0.0.1:6443", None, 1));
    let Credential::Token(token) = read.credential else { panic!("a token is expected") };
    assert_eq!(token.expose(), CANARY.as_bytes());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
fn a_client_certificate_and_another_name_of_the_server_are_taken() {
    let mut kubeconfig = usual();
    let (chain, key) = pair();
    kubeconfig["users"][0]["user"] = of_pair(&chain, &key);
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = "kubernetes".into();
    let read = parse(kubeconfig.to_string().as_bytes(), Some("main")).unwrap();
    assert_eq!(read.server_name.as_deref(), Some("kubernetes"));
    let Credential::Certificate { chain_pem, key_pem } = read.credential else { panic!("a certificate is expected") };
    assert_eq!((&*chain_pem, key_pem.expose()), (chain.as_bytes(), &*key));
}

#[test]
fn a_credential_is_one_and_whole() {
    let (chain, key) = pair();
    let (other, _) = pair();
    let both = [chain.as_bytes(), &key].concat();
    let mut with_token = of_pair(&chain, &key);
    with_token["token"] = CANARY.into();
    for (user, expected) in [
        (with_token, "users[0].user: holds a token and a client certificate"),
        (json!({"token": CANARY, "client-key-data": STANDARD.encode(&key)}), "users[0].user: holds a token and"),
        (of_pair(&chain, ""), "users[0].user: must hold a token, or"),
        (of_pair(CANARY, &key), "users[0].user.client-certificate-data: must hold a certificate"),
        (of_pair(&both, &key), "users[0].user.client-certificate-data: must hold a certificate"),
        (of_pair(&key, &chain), "users[0].user.client-certificate-data: must hold a certificate"),
        (of_pair(&other, &key), "users[0].user.client-key-data: must hold the key"),
        (of_pair(&chain, CANARY), "users[0].user.client-key-data: must hold the key"),
    ] {
        let mut kubeconfig = usual();
        kubeconfig["users"][0]["user"] = user;
        let text = refused(&kubeconfig, None);
        assert!(text.starts_with(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_server_is_a_host_a_port_and_a_plain_path_and_its_authorities_are_certificates() {
    for (address, expected) in [
        ("https://k.example.com", "https://k.example.com:443"),
        ("https://K.example.com:6443/", "https://k.example.com:6443"),
        ("https://[2001:db8::1]:6443", "https://[2001:db8::1]:6443"),
        ("https://rancher.example.com/k8s/clusters/c-m-1x", "https://rancher.example.com:443/k8s/clusters/c-m-1x"),
    ] {
        let mut kubeconfig = usual();
        kubeconfig["clusters"][0]["cluster"]["server"] = address.into();
        assert_eq!(parse(kubeconfig.to_string().as_bytes(), None).unwrap().server, expected);
    }
    let (chain, key) = pair();
    let with_key = [chain.as_bytes(), &key].concat();
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let authority = |pem: &[u8]| ("certificate-authority-data", STANDARD.encode(pem));
    for (field, value) in [
        ("server", "https://".to_owned()),
        ("server", "https://:6443".to_owned()),
        ("server", "https://a:0".to_owned()),
        ("server", "https://a:99999".to_owned()),
        ("server", "https://a:1:2".to_owned()),
        ("server", "https://[::1".to_owned()),
        ("server", "https://a/k8s//c".to_owned()),
        ("server", "https://a/k8s/../c".to_owned()),
        ("server", "https://a/k8s%2fc".to_owned()),
        ("server", "https://a/k8s?c".to_owned()),
        ("server", "https://a?b".to_owned()),
        ("server", "https://a#b".to_owned()),
        ("server", "https://user:pass@a".to_owned()),
        ("server", "HTTPS://a".to_owned()),
        ("server", " https://a".to_owned()),
        ("tls-server-name", "a b".to_owned()),
        ("tls-server-name", format!("{CANARY}/..")),
        authority(b""),
        authority(&key),
        authority(&with_key),
        authority(no_certificate.as_bytes()),
    ] {
        let mut kubeconfig = usual();
        kubeconfig["clusters"][0]["cluster"][field] = value.as_str().into();
        let text = refused(&kubeconfig, None);
        assert!(text.starts_with(&format!("clusters[0].cluster.{field}: must ")), "{field} {value}: {text}");
    }
}

#[test]
fn whatever_acts_on_the_machine_that_reads_it_is_refused_by_name() {
    for (pointer, field) in [
        ("users", "exec"),
        ("users", "auth-provider"),
        ("users", "tokenFile"),
        ("users", "client-certificate"),
        ("users", "client-key"),
        ("users", "username"),
        ("users", "password"),
        ("users", "as"),
        ("users", "as-groups"),
        ("users", "as-uid"),
        ("users", "as-user-extra"),
        ("clusters", "certificate-authority"),
        ("clusters", "insecure-skip-tls-verify"),
        ("clusters", "proxy-url"),
    ] {
        let member = pointer.trim_end_matches('s');
        for value in [json!({"command": CANARY}), json!(CANARY), json!(false), Value::Null] {
            let mut kubeconfig = usual();
            kubeconfig[pointer][0][member][field] = value;
            let text = refused(&kubeconfig, None);
            assert!(text.starts_with(&format!("{pointer}[0].{member}.{field}: ")), "{text}");
            assert!(!text.contains(UNKNOWN), "{text}");
        }
    }
}

#[test]
fn entries_that_are_not_used_are_held_to_it_too() {
    let mut kubeconfig = usual();
    let users = kubeconfig["users"].as_array_mut().unwrap();
    users.push(json!({"name": "v", "user": {"exec": {"command": CANARY}}}));
    assert!(refused(&kubeconfig, None).starts_with("users[1].user.exec: "));
}

#[test]
fn unknown_fields_wrong_values_and_missing_entries_are_named() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut kubeconfig = usual();
        change(&mut kubeconfig);
        refused(&kubeconfig, None)
    };
    for (change, expected) in [
        (&(|k: &mut Value| k["extensions"] = json!([])) as &dyn Fn(&mut Value), "extensions: "),
        (&|k| k[CANARY] = json!(1), "?: "),
        (&|k| k["preferences"] = json!({"colors": true}), "preferences: "),
        (&|k| k["kind"] = json!("Secret"), "kind: "),
        (&|k| k["users"] = json!({"name": CANARY}), "users: must be a list"),
        (&|k| k["users"][0]["user"]["token"] = json!(7), "users[0].user.token: must be text"),
        (&|k| k["users"][0]["user"]["token"] = json!(format!("{CANARY}\r\nx: y")), "users[0].user.token: holds"),
        (&|k| k["users"][0]["user"] = json!({}), "users[0].user: must hold a token"),
        (&|k| k["users"][0]["extra"] = json!({}), "users[0].extra: "),
        (
            &|k| k["clusters"][0]["cluster"]["server"] = json!("http://10.0.0.1"),
            "clusters[0].cluster.server: must begin",
        ),
        (&|k| k["clusters"][0]["cluster"]["server"] = json!("https://a@b"), "clusters[0].cluster.server: must be"),
        (&|k| k["clusters"][0]["cluster"]["server"] = json!("https://a/../b"), "clusters[0].cluster.server: must be"),
        (
            &|k| k["clusters"][0]["cluster"]["certificate-authority-data"] = json!("%"),
            "clusters[0].cluster.certificate-authority-data: is not base64",
        ),
        (
            &|k| drop(k["clusters"][0]["cluster"].as_object_mut().unwrap().remove("certificate-authority-data")),
            "clusters[0].cluster.certificate-authority-data: must hold",
        ),
        (&|k| k["current-context"] = json!("none"), "current-context: there is no such context"),
        (&|k| k["current-context"] = json!(""), "current-context: is missing"),
        (&|k| k["current-context"] = json!("other"), "contexts[1].context.cluster: there is no such cluster"),
        (&|k| k["contexts"][1]["name"] = json!("main"), "contexts[1].name: "),
    ] {
        let text = with(change);
        assert!(text.starts_with(expected), "{expected}\n{text}");
    }
    assert!(refused(&usual(), Some("none")).starts_with("contexts: there is no such context"));
    for (body, expected) in [
        ("a: 1\n---\nb: 2\n", "is not one document"),
        ("current-context: a\ncurrent-context: b\n", "sets a key twice"),
        (&"x".repeat(MAX_BYTES + 1), "is larger"),
    ] {
        let error = parse(body.as_bytes(), None).err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
