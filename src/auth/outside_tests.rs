//! Tokens of an issuer that the test plays.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::json;

use super::*;
use crate::auth::test_home::{Home, ISSUER, START, text};
use crate::auth::{Authenticator, Identity, Presented, Settings, Unauthorized};
use crate::crypto::{SigningAlgorithm, SigningKey};

const THEIRS: &str = "https://idp.example";

/// An issuer with its keys.
struct Issuer {
    es256: SigningKey,
    ed25519: SigningKey,
    key_set: Arc<Mutex<Result<Vec<u8>, FetchFailed>>>,
    fetched: Arc<AtomicUsize>,
}

impl Issuer {
    fn make() -> Self {
        let made = Self {
            es256: SigningKey::make(SigningAlgorithm::Es256).unwrap(),
            ed25519: SigningKey::make(SigningAlgorithm::EdDsa).unwrap(),
            key_set: Arc::new(Mutex::new(Err(FetchFailed("down".to_owned())))),
            fetched: Arc::default(),
        };
        made.publish(&json!({"keys": [
            jwk(&made.es256, "ec"), jwk(&made.ed25519, "ed"),
            {"kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(&made.es256.public), "alg": "HS256"},
        ]}));
        made
    }

    fn publish(&self, set: &Value) {
        *self.key_set.lock().unwrap() = Ok(serde_json::to_vec(set).unwrap());
    }

    fn fetch(&self) -> Fetch {
        let (key_set, fetched) = (Arc::clone(&self.key_set), Arc::clone(&self.fetched));
        Arc::new(move |wanted| {
            assert_eq!(wanted.source, JwksSource::Url("https://idp.example/keys".to_owned()));
            fetched.fetch_add(1, Ordering::SeqCst);
            let answer = key_set.lock().unwrap().clone();
            Box::pin(async move { answer })
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the test signs")]
    fn sign(&self, header: &Value, claims: &Value) -> Vec<u8> {
        let algorithm = if header["kid"] == "ed" { Algorithm::EdDSA } else { Algorithm::ES256 };
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(self.ed25519.private.expose()),
            _ => EncodingKey::from_ec_der(self.es256.private.expose()),
        };
        text(&crate::auth::jwt::sign(header, claims, &key, algorithm).unwrap()).into_bytes()
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut claims = json!({
            "iss": THEIRS, "aud": ["strongroom", "other"], "sub": "jane", "exp": START + 3600, "nbf": START,
            "iat": START, "jti": "t-1", "groups": ["ops", "system:masters", "ops"], "org": "acme", "level": 3,
        });
        change(&mut claims);
        self.sign(&json!({"alg": "ES256", "kid": "ec", "typ": "JWT"}), &claims)
    }
}

fn jwk(key: &SigningKey, kid: &str) -> Value {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match key.public.len() {
        32 => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(&key.public), "use": "sig"}),
        _ => json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256",
            "x": text(&key.public[1..33]), "y": text(&key.public[33..]),
        }),
    }
}

fn config() -> OutsideIssuer {
    OutsideIssuer {
        issuer: THEIRS.to_owned(),
        audiences: vec!["strongroom".to_owned()],
        keys: JwksSource::Url("https://idp.example/keys".to_owned()),
        ca: None,
        username_claim: "sub".to_owned(),
        username_prefix: DEFAULT_PREFIX.to_owned(),
        groups_claim: Some("groups".to_owned()),
        groups_prefix: DEFAULT_PREFIX.to_owned(),
        required_claims: BTreeMap::from([("org".to_owned(), "acme".to_owned())]),
    }
}

async fn open(issuer: &Issuer, config: OutsideIssuer) -> (Home, Authenticator) {
    let home = Home::make().await;
    let settings = Settings { outside: vec![config], fetch: issuer.fetch(), ..Home::settings() };
    let auth = home.open_with(settings).await;
    auth.tick(&home.people).await;
    (home, auth)
}

async fn fetching(home: &Home, auth: &Authenticator, token: &[u8]) -> Result<Identity, Unauthorized> {
    let header = [b"Bearer ", token].concat();
    let presented = Presented { authorization: &[&header], certificate: None, local_owner: false };
    auth.authenticate_fetching(&presented, &home.people).await
}

#[tokio::test]
async fn a_token_of_a_configured_issuer_makes_a_user_under_its_prefix() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, config()).await;
    let identity = home.bearer(&auth, &issuer.token(|_| ())).unwrap();
    assert_eq!(identity.user.name, "oidc:jane");
    assert_eq!(identity.user.groups, ["oidc:ops", "oidc:system:masters", "system:authenticated"]);
    assert_eq!(identity.user.extra[CREDENTIAL_ID], ["JTI=t-1"]);
    assert_eq!(identity.credential.expires_at_unix_seconds(), Some(START + 3600));
    let header = json!({"alg": "EdDSA", "kid": "ed", "x5t": "ignored", "jku": "https://evil.example"});
    let claims = json!({"iss": THEIRS, "aud": "strongroom", "sub": "system:serviceaccount:ns:app", "exp": START + 9, "org": "acme", "groups": "ci"});
    let identity = home.bearer(&auth, &issuer.sign(&header, &claims)).unwrap();
    assert_eq!(identity.user.name, "oidc:system:serviceaccount:ns:app");
    assert_eq!(identity.user.groups, ["oidc:ci", "system:authenticated"]);
}

#[tokio::test]
async fn nobody_outside_is_a_system_user_or_the_administrator() {
    let issuer = Issuer::make();
    let bare = OutsideIssuer { username_prefix: String::new(), groups_prefix: String::new(), ..config() };
    let (home, auth) = open(&issuer, bare).await;
    for name in ["system:admin", "System:Admin", "system:serviceaccount:kube-system:x", "admin", "", " jane", "ja\nne"]
    {
        assert!(home.bearer(&auth, &issuer.token(|claims| claims["sub"] = name.into())).is_err(), "{name}");
    }
    let identity = home.bearer(&auth, &issuer.token(|_| ())).unwrap();
    assert_eq!(
        (identity.user.name.as_str(), &*identity.user.groups),
        ("jane", &["ops".to_owned(), GROUP_AUTHENTICATED.to_owned()][..])
    );
    home.people.set_user("jane", "u-1", &[], true);
    assert!(home.bearer(&auth, &issuer.token(|_| ())).is_err(), "a disabled User's name is shut out");
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, config()).await;
    let changes: &[(&str, Value)] = &[
        ("iss", json!("https://idp.example/")),
        ("iss", json!([THEIRS])),
        ("iss", json!(ISSUER)),
        ("aud", json!("stronghold")),
        ("aud", json!([])),
        ("aud", json!([["strongroom"]])),
        ("exp", json!(START)),
        ("exp", json!(1_790_000_010.5)),
        ("exp", json!("1790003600")),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e19)),
        ("exp", Value::Null),
        ("nbf", json!(START + 6)),
        ("iat", json!(START + 6)),
        ("iat", json!(-1)),
        ("sub", json!(7)),
        ("sub", Value::Null),
        ("groups", json!([7])),
        ("groups", json!({"a": 1})),
        ("org", json!("other")),
        ("org", Value::Null),
    ];
    assert!(home.bearer(&auth, &issuer.token(|_| ())).is_ok());
    for (claim, value) in changes {
        let token = issuer.token(|claims| claims[*claim] = value.clone());
        assert_eq!(home.bearer(&auth, &token).err(), Some(Unauthorized), "{claim} {value}");
    }
}

#[tokio::test]
async fn headers_that_change_what_is_signed_or_with_what_are_refused() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, config()).await;
    let claims = json!({"iss": THEIRS, "aud": "strongroom", "sub": "jane", "exp": START + 9, "org": "acme"});
    for (header, is_taken) in [
        (json!({"alg": "ES256", "kid": "ec"}), true),
        (json!({"alg": "ES256", "kid": "ec", "typ": "at+JWT"}), true),
        (json!({"alg": "ES256", "kid": "ec", "typ": "logout+jwt"}), false),
        (json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]}), false),
        (json!({"alg": "ES256", "kid": "ec", "b64": false}), false),
        (json!({"alg": "ES256", "kid": "ec", "zip": "DEF"}), false),
        (json!({"alg": "ES256", "kid": "ed"}), false),
        (json!({"alg": "EdDSA", "kid": "ec"}), false),
        (json!({"alg": "ES384", "kid": "ec"}), false),
        (json!({"alg": "RS256", "kid": "ec"}), false),
        (json!({"alg": "none", "kid": "ec"}), false),
        (json!({"alg": "HS256", "kid": "hs"}), false),
        (json!({"alg": "ES256", "kid": "nowhere"}), false),
        (json!({"alg": "ES256", "kid": 7}), false),
        (json!({"alg": "ES256"}), false),
        (json!({"kid": "ec"}), false),
    ] {
        assert_eq!(home.bearer(&auth, &issuer.sign(&header, &claims)).is_ok(), is_taken, "{header}");
    }
    // Signed with the public key as a shared secret.
    let header = json!({"alg": "HS256", "kid": "hs"});
    let key = EncodingKey::from_secret(&issuer.es256.public);
    let forged = crate::auth::jwt::sign(&header, &claims, &key, Algorithm::HS256).unwrap();
    assert!(home.bearer(&auth, text(&forged).as_bytes()).is_err());
    // Another key of the same name.
    let other = Issuer::make();
    assert!(home.bearer(&auth, &other.token(|_| ())).is_err());
}

#[tokio::test]
async fn a_key_without_a_name_will_do_where_there_is_one_key() {
    let issuer = Issuer::make();
    let claims = json!({"iss": THEIRS, "aud": "strongroom", "sub": "jane", "exp": START + 9, "org": "acme"});
    let token = issuer.sign(&json!({"alg": "ES256"}), &claims);
    issuer.publish(&json!({"keys": [jwk(&issuer.es256, "ec")]}));
    let (home, auth) = open(&issuer, config()).await;
    assert!(home.bearer(&auth, &token).is_ok());
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_seen_but_not_at_every_request() {
    let issuer = Issuer::make();
    issuer.publish(&json!({"keys": [jwk(&issuer.ed25519, "ed")]}));
    let (home, auth) = open(&issuer, config()).await;
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 1);
    let token = issuer.token(|_| ());
    issuer.publish(&json!({"keys": [jwk(&issuer.es256, "ec")]}));
    for _ in 0..10 {
        assert!(fetching(&home, &auth, &token).await.is_err(), "thirty seconds have not passed");
    }
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 1);
    home.passed_seconds.store(30, Ordering::SeqCst);
    assert!(fetching(&home, &auth, &token).await.is_ok());
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 2);
    assert!(home.bearer(&auth, &token).is_ok());
    // A bad signature under a known name fetches nothing.
    home.passed_seconds.store(90, Ordering::SeqCst);
    assert!(fetching(&home, &auth, &Issuer::make().token(|_| ())).await.is_err());
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_key_that_is_seen_without_waiting_is_known_a_moment_later() {
    let issuer = Issuer::make();
    issuer.publish(&json!({"keys": [jwk(&issuer.ed25519, "ed")]}));
    let (home, auth) = open(&issuer, config()).await;
    issuer.publish(&json!({"keys": [jwk(&issuer.es256, "ec")]}));
    home.passed_seconds.store(30, Ordering::SeqCst);
    let token = issuer.token(|_| ());
    assert!(home.bearer(&auth, &token).is_err());
    while issuer.fetched.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    while home.bearer(&auth, &token).is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_that_the_issuer_withdraws_ends_its_tokens_within_the_hour() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, config()).await;
    let token = issuer.token(|_| ());
    let identity = home.bearer(&auth, &token).unwrap();
    issuer.publish(&json!({"keys": [jwk(&issuer.ed25519, "ed")]}));
    auth.tick(&home.people).await;
    assert!(home.bearer(&auth, &token).is_ok() && auth.still_valid(&identity.credential, &home.people));
    home.passed_seconds.store(3_600, Ordering::SeqCst);
    auth.tick(&home.people).await;
    assert!(home.bearer(&auth, &token).is_err() && !auth.still_valid(&identity.credential, &home.people));
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_leaves_the_keys_as_they_are() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, config()).await;
    for answer in [
        Err(FetchFailed("down".to_owned())),
        Ok(b"<html>".to_vec()),
        Ok(vec![b' '; JWKS_MAX_BYTES + 1]),
        Ok(br#"{"keys":[]}"#.to_vec()),
    ] {
        *issuer.key_set.lock().unwrap() = answer;
        home.passed_seconds.fetch_add(3_600, Ordering::SeqCst);
        auth.tick(&home.people).await;
        assert!(home.bearer(&auth, &issuer.token(|_| ())).is_ok());
    }
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn an_address_that_is_not_verified_is_nobodys() {
    let issuer = Issuer::make();
    let (home, auth) = open(&issuer, OutsideIssuer { username_claim: "email".to_owned(), ..config() }).await;
    for (verified, is_taken) in
        [(None, true), (Some(json!(true)), true), (Some(json!(false)), false), (Some(json!("true")), false)]
    {
        let token = issuer.token(|claims| {
            claims["email"] = "jane@example.com".into();
            if let Some(verified) = &verified {
                claims["email_verified"] = verified.clone();
            }
        });
        assert_eq!(home.bearer(&auth, &token).is_ok(), is_taken, "{verified:?}");
    }
}

#[test]
fn keys_for_other_things_are_left_out_of_a_key_set() {
    let issuer = Issuer::make();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut key = jwk(&issuer.es256, "ec");
        change(&mut key);
        read_key_set(&serde_json::to_vec(&json!({"keys": [key, jwk(&issuer.ed25519, "ed")]})).unwrap()).unwrap().len()
    };
    assert_eq!(with(&|_| ()), 2);
    for (field, value) in [("use", "enc"), ("alg", "ECDH-ES"), ("crv", "P-521"), ("crv", "secp256k1"), ("kty", "none")]
    {
        assert_eq!(with(&|key| key[field] = value.into()), 1, "{field} {value}");
    }
    let many: Vec<Value> = (0..65).map(|at| jwk(&issuer.ed25519, &format!("k{at}"))).collect();
    assert!(read_key_set(&serde_json::to_vec(&json!({"keys": many})).unwrap()).is_err());
}
