//! Tokens of other systems: a company's sign-in, a cluster, each with its key set in a file or at an https address.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::{Authority, Names, encode_certificate, make_authority, make_leaf};
use tempfile::TempDir;

use super::site::{SECRETS, Site, TOKEN_REVIEWS, user_info, who};
use crate::support::clients::eventually;
use crate::support::jwt::Key;

pub const ISSUER: &str = "https://login.example.com";
const LIMIT: Duration = Duration::from_secs(45);

/// An issuer's files: the configuration that names it, and its key set.
pub struct Issuer {
    folder: TempDir,
    config: String,
}

impl Issuer {
    /// With these keys in a file.
    pub fn of_keys(keys: &[&Key]) -> Self {
        let issuer = Self::of(&json!([{"issuer": ISSUER, "audiences": ["strongroom"], "jwks": {"file": "keys.json"}}]));
        issuer.write("keys.json", key_set(keys).to_string().as_bytes());
        issuer
    }

    /// With this configuration.
    pub fn of(config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oidc.yaml");
        fs::write(&path, config.to_string()).unwrap();
        Self { folder, config: path.to_str().unwrap().to_owned() }
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// What `serve` is told.
    pub fn arguments(&self) -> [&str; 2] {
        ["--oidc-config", &self.config]
    }
}

/// Waits until a token makes this user: the server reads key sets beside what it serves.
pub fn wait_until(site: &Site, token: &str, name: &str) {
    let mut client = site.with_token(token);
    let known = eventually(LIMIT, || (who(&mut client) == name).then_some(()));
    known.unwrap_or_else(|| panic!("{name} is not let in: {}", site.app.log()));
}

pub fn key_set(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

/// Claims that are good for ten minutes.
pub fn claims(user: &str) -> Value {
    let now = SystemClock.unix_seconds();
    json!({"iss": ISSUER, "aud": "strongroom", "sub": user, "iat": now, "exp": now + 600})
}

fn with(mut claims: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    claims
}

#[test]
fn tokens_of_rsa_elliptic_and_edwards_keys_make_users_of_the_issuer() {
    let keys = [Key::rsa("rsa-1"), Key::p256("ec-1"), Key::ed25519("ed-1")];
    let issuer = Issuer::of_keys(&keys.each_ref());
    let mut site = Site::start(&issuer.arguments());
    let binding = json!({
        "metadata": {"name": "outside"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "oidc:ada"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    site.admin.json("POST", bindings, &binding).ok();
    for key in &keys {
        let token = key.token(&with(claims("ada"), &json!({"aud": ["other", "strongroom"], "jti": "j-1"})));
        wait_until(&site, &token, "oidc:ada");
        let mut ada = site.with_token(&token);
        let expected = json!({
            "username": "oidc:ada", "groups": ["system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=j-1"]},
        });
        assert_eq!(user_info(&mut ada), expected);
        assert_eq!(ada.get(SECRETS).status, 200);
        assert_eq!(site.with_token(&key.token(&claims("bob"))).get(SECRETS).status, 403);
        let review = json!({"spec": {"token": token}});
        let status = site.admin.json("POST", TOKEN_REVIEWS, &review).ok().json()["status"].clone();
        assert_eq!((&status["authenticated"], &status["user"]["username"]), (&json!(true), &json!("oidc:ada")));
    }
    let token = keys[0].token(&claims("ada"));
    for path in ["/strongroom/v1/logout", "/strongroom/v1/password"] {
        let body = json!({"old_password": "x", "new_password": "y"});
        assert_eq!(site.with_token(&token).json("POST", path, &body).status, 401, "{path}: there is no session");
    }
}

#[test]
fn claims_are_mapped_as_the_configuration_says() {
    let key = Key::p256("ec-1");
    let config = json!([{
        "issuer": ISSUER, "audiences": ["strongroom", "vault"], "jwks": {"file": "keys.json"},
        "usernameClaim": "email", "usernamePrefix": "-", "groupsClaim": "teams", "groupsPrefix": "corp:",
        "requiredClaims": {"tenant": "blue"},
    }]);
    let issuer = Issuer::of(&config);
    issuer.write("keys.json", key_set(&[&key]).to_string().as_bytes());
    let mut site = Site::start(&issuer.arguments());
    site.add("carol@example.com", &["dev"]);
    let token = |more: Value| {
        let usual = json!({"email": "ada@example.com", "tenant": "blue", "aud": "vault"});
        key.token(&with(with(claims("ignored"), &usual), &more))
    };
    let info = |more: Value| user_info(&mut site.with_token(&token(more)));
    wait_until(&site, &token(json!({})), "ada@example.com");
    let groups = json!(["a", "b", "a", "system:masters"]);
    let ada = info(json!({"teams": groups}));
    let expected = json!(["corp:a", "corp:b", "corp:system:masters", "system:authenticated"]);
    assert_eq!((&ada["username"], &ada["groups"]), (&json!("ada@example.com"), &expected));
    assert_eq!(info(json!({"teams": "one"}))["groups"], json!(["corp:one", "system:authenticated"]));
    // Without a prefix an issuer may name a User: that one's groups are not lent, and shutting out works.
    let carol = json!({"email": "carol@example.com"});
    assert_eq!(info(carol.clone())["groups"], json!(["system:authenticated"]));
    for (what, more) in [
        ("a claim that is missing", json!({"tenant": null})),
        ("another value of it", json!({"tenant": "red"})),
        ("values of it", json!({"tenant": ["blue"]})),
        ("an address that is not verified", json!({"email_verified": false})),
        ("an address that is hardly verified", json!({"email_verified": "true"})),
        ("the administrator", json!({"email": "admin"})),
        ("the system's own", json!({"email": "system:admin"})),
        ("the system's own, in capitals", json!({"email": "SYSTEM:anonymous"})),
        ("a service account of ours", json!({"email": "system:serviceaccount:default:default"})),
        ("a space before the name", json!({"email": " ada@example.com"})),
        ("a control character", json!({"email": "ada\nx"})),
        ("groups that are numbers", json!({"teams": [1]})),
        ("groups that are an object", json!({"teams": {"a": "b"}})),
        ("very many groups", json!({"teams": (0..1025).map(|n| n.to_string()).collect::<Vec<_>>()})),
    ] {
        assert_eq!(who(&mut site.with_token(&token(more))), "401", "{what}");
    }
    let of_carol = token(carol);
    site.disable("carol@example.com", true);
    assert_eq!(who(&mut site.with_token(&of_carol)), "401");
}

#[test]
fn a_clusters_service_account_comes_in_under_the_prefix_of_its_issuer() {
    let cluster = "https://kubernetes.default.svc.cluster.local";
    let key = Key::rsa("cluster-1");
    let issuer = Issuer::of(&json!([{
        "issuer": cluster, "audiences": ["https://strongroom.local"], "jwks": {"file": "keys.json"},
        "usernamePrefix": "prod:", "requiredClaims": {"sub": "system:serviceaccount:apps:web"},
    }]));
    issuer.write("keys.json", key_set(&[&key]).to_string().as_bytes());
    let site = Site::start(&issuer.arguments());
    let token = |account: &str| {
        let now = SystemClock.unix_seconds();
        // As a kube-apiserver makes them: no typ, and claims of its own.
        let header = json!({"alg": "RS256", "kid": "cluster-1"}).to_string();
        let claims = json!({
            "aud": ["https://strongroom.local"], "exp": now + 3607, "iat": now, "iss": cluster,
            "jti": "4d9d3a6e-8b6c-4f0e-9f0a-5b1c2d3e4f50",
            "kubernetes.io": {
                "namespace": "apps", "node": {"name": "n1", "uid": "u-n"}, "pod": {"name": "web-0", "uid": "u-p"},
                "serviceaccount": {"name": account, "uid": "u-sa"}, "warnafter": now + 3607,
            },
            "nbf": now, "sub": format!("system:serviceaccount:apps:{account}"),
        });
        key.sign(&header, &claims.to_string())
    };
    wait_until(&site, &token("web"), "prod:system:serviceaccount:apps:web");
    let info = user_info(&mut site.with_token(&token("web")));
    assert_eq!(info["groups"], json!(["system:authenticated"]), "and in no group of service accounts");
    assert_eq!(who(&mut site.with_token(&token("other"))), "401");
}

/// An issuer that answers over https, with what it is told to.
struct Server {
    address: SocketAddr,
    authority: Authority,
    answer: Arc<Mutex<String>>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test presents a key it made")]
    fn start() -> Self {
        let now = SystemClock.unix_seconds();
        let authority = make_authority(now).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), now).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from(leaf.certificate)];
        let key = PrivatePkcs8KeyDer::from(leaf.key.expose().to_vec()).into();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Arc<Mutex<String>> = Arc::default();
        let answered = Arc::clone(&answer);
        // Ends with the test's process; it holds nothing.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (config, answer) = (Arc::clone(&config), answered.lock().unwrap().clone());
                std::thread::spawn(move || serve(socket.unwrap(), config, &answer));
            }
        });
        Self { address, authority, answer }
    }

    /// Answers with this status line and body from now on.
    fn answer(&self, status: &str, body: &str) {
        *self.answer.lock().unwrap() =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }

    fn url(&self) -> String {
        format!("https://{}/keys?of=all", self.address)
    }

    fn authority_pem(&self) -> String {
        encode_certificate(&self.authority.certificate)
    }
}

fn serve(socket: TcpStream, config: Arc<ServerConfig>, answer: &str) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    // Whoever does not like the certificate goes away here.
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => head.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    assert!(head.starts_with(b"GET /keys?of=all HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
    assert!(!String::from_utf8_lossy(&head).to_lowercase().contains("authorization"));
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn of_url(server: &Server, authority: &Path) -> Issuer {
    let config = json!([{
        "issuer": ISSUER, "audiences": ["strongroom"], "jwks": {"url": server.url()}, "caFile": authority,
    }]);
    Issuer::of(&config)
}

#[test]
fn a_key_set_is_fetched_over_https_and_again_when_a_token_names_a_new_key() {
    let (old, new) = (Key::p256("old"), Key::p256("new"));
    let server = Server::start();
    server.answer("200 OK", &key_set(&[&old]).to_string());
    let issuer = of_url(&server, Path::new("ca.crt"));
    issuer.write("ca.crt", server.authority_pem().as_bytes());
    let site = Site::start(&issuer.arguments());
    wait_until(&site, &old.token(&claims("ada")), "oidc:ada");
    assert_eq!(who(&mut site.with_token(&new.token(&claims("ada")))), "401");
    // The issuer's keys are others now: seldom asked, but asked, and those of before are forgotten.
    server.answer("200 OK", &key_set(&[&new]).to_string());
    wait_until(&site, &new.token(&claims("ada")), "oidc:ada");
    assert_eq!(who(&mut site.with_token(&old.token(&claims("ada")))), "401");
}

#[test]
fn an_issuer_that_cannot_be_trusted_or_read_gives_no_keys_and_the_log_says_why() {
    let key = Key::p256("k");
    let good = key_set(&[&key]).to_string();
    let elsewhere = Server::start();
    elsewhere.answer("200 OK", &good);
    let location = format!("302 Found\r\nLocation: {}", elsewhere.url());
    let long = format!("{good}{}", " ".repeat(70 * 1024));
    for (status, body, says) in [
        ("200 OK", "<html>sign in</html>", "no JSON Web Key Set"),
        ("200 OK", r#"{"keys":[]}"#, "no key that signs tokens"),
        ("200 OK", long.as_str(), "larger than 64 KiB"),
        ("500 Internal Server Error", good.as_str(), "the server answered 500"),
        ("404 Not Found", good.as_str(), "the server answered 404"),
        (location.as_str(), "", "no JSON Web Key Set"),
    ] {
        let server = Server::start();
        server.answer(status, body);
        let issuer = of_url(&server, Path::new("ca.crt"));
        issuer.write("ca.crt", server.authority_pem().as_bytes());
        refuses(&issuer, &key, says);
    }
    // Another authority's server, and one that the system does not trust.
    let server = Server::start();
    server.answer("200 OK", &good);
    let issuer = of_url(&server, Path::new("ca.crt"));
    issuer.write("ca.crt", elsewhere.authority_pem().as_bytes());
    refuses(&issuer, &key, "certificate");
    let config = json!([{"issuer": ISSUER, "audiences": ["strongroom"], "jwks": {"url": server.url()}}]);
    refuses(&Issuer::of(&config), &key, "certificate");
    // A file that is not there.
    let config = json!([{"issuer": ISSUER, "audiences": ["strongroom"], "jwks": {"file": "none.json"}}]);
    refuses(&Issuer::of(&config), &key, "No such file");
}

/// The server runs, says what is wrong with the key set, and lets nobody in by it.
fn refuses(issuer: &Issuer, key: &Key, says: &str) {
    let site = Site::start(&issuer.arguments());
    let told = eventually(LIMIT, || site.app.log().contains("the issuer's key set was not read").then_some(()));
    assert!(told.is_some() && site.app.log().contains(says), "{says}: {}", site.app.log());
    assert_eq!(who(&mut site.with_token(&key.token(&claims("ada")))), "401", "{says}");
    assert_eq!(who(&mut site.admin.another()), "admin");
}
