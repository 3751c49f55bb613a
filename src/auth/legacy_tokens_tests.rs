//! Tokens that never end: for whom they stand, and everything that ends them or is none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::super::test_home::{Home, ISSUER, PASSWORD, close, text};
use super::super::{Presented, Settings, TokenRequest, TokenVerdict};
use super::*;

const ROBOT: &str = "system:serviceaccount:default:robot";

fn on() -> Settings {
    Settings { legacy_tokens: true, ..Home::settings() }
}

fn of_robot(uid: &str) -> LegacyToken<'_> {
    LegacyToken { namespace: "default", secret: "robot-token", account: "robot", uid }
}

/// A home in which a Secret holds a token of service account `robot`.
async fn held() -> (Home, Authenticator, String) {
    let home = Home::make().await;
    let auth = home.open_with(on()).await;
    home.people.set("ServiceAccount", "default", "robot", Some("u-1"));
    let token = text(&auth.make_legacy_token(&of_robot("u-1")).unwrap());
    home.people.set_token("default", "robot-token", Some(&token));
    (home, auth, token)
}

fn name(home: &Home, auth: &Authenticator, token: &str) -> Option<String> {
    home.bearer(auth, token.as_bytes()).ok().map(|identity| identity.user.name.clone())
}

#[tokio::test]
async fn a_token_says_what_kubernetes_says_in_it_and_stands_for_its_account() {
    let (home, auth, token) = held().await;
    let parsed = Unverified::parse(token.as_bytes()).unwrap();
    let claims = json!({
        "iss": "kubernetes/serviceaccount", "sub": ROBOT,
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": "robot-token",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": "u-1",
    });
    assert_eq!(Value::Object(parsed.claims), claims);
    assert_eq!((&parsed.header["alg"], parsed.header.len()), (&json!("ES256"), 2));
    let identity = home.bearer(&auth, token.as_bytes()).unwrap();
    assert_eq!(*identity.user, User::service_account("default", "robot", "u-1"));
    assert_eq!(identity.credential.kind(), "legacy-service-account-token");
    assert!(identity.credential.expires_at_unix_seconds().is_none() && identity.credential.ends_with_other_objects());
    home.advance(100 * 365 * 86_400);
    assert_eq!(name(&home, &auth, &token).as_deref(), Some(ROBOT));
}

#[tokio::test]
async fn a_token_ends_with_its_account_and_with_what_its_secret_holds() {
    let (home, auth, token) = held().await;
    let identity = home.bearer(&auth, token.as_bytes()).unwrap();
    let is_good = || {
        let is_good = name(&home, &auth, &token).is_some();
        assert_eq!(is_good, auth.still_valid(&identity.credential, &home.people));
        is_good
    };
    let another = text(&auth.make_legacy_token(&of_robot("u-1")).unwrap());
    assert_ne!(another, token);
    assert!(is_good());
    for held in [None, Some(another.as_str()), Some(""), Some(&token[1..])] {
        home.people.set_token("default", "robot-token", held);
        assert!(!is_good(), "{held:?}");
        home.people.set_token("default", "robot-token", Some(&token));
        assert!(is_good());
    }
    assert_eq!(name(&home, &auth, &another), None, "another good token of the same Secret, which does not hold it");
    for uid in [None, Some("u-2")] {
        home.people.set("ServiceAccount", "default", "robot", uid);
        assert!(!is_good(), "{uid:?}");
    }
    home.people.set("ServiceAccount", "default", "robot", Some("u-1"));
    assert!(is_good());
    auth.rotate_signing_keys(false, None).await.unwrap();
    assert!(is_good(), "it never ends, so its key does not either");
    auth.rotate_signing_keys(true, None).await.unwrap();
    assert!(!is_good());
}

#[tokio::test]
async fn where_the_setting_is_off_none_is_made_or_accepted() {
    let (home, auth, token) = held().await;
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(name(&home, &auth, &token), None);
    assert_eq!(auth.make_legacy_token(&of_robot("u-1")).err(), Some(MintError::Unavailable));
    assert!(matches!(auth.token_user(token.as_bytes(), &[], &home.people), TokenVerdict::Invalid));
    close(auth).await;
    let auth = home.open_with(on()).await;
    assert_eq!(name(&home, &auth, &token).as_deref(), Some(ROBOT), "the Secret holds it still");
}

#[tokio::test]
async fn a_token_is_for_this_server_alone() {
    let (home, auth, token) = held().await;
    for (asked, good) in [(&[][..], true), (&[ISSUER, "vault"], true), (&["vault"], false)] {
        let asked: Vec<String> = asked.iter().map(|audience| (*audience).to_owned()).collect();
        match auth.token_user(token.as_bytes(), &asked, &home.people) {
            TokenVerdict::Authenticated { user, audiences } => {
                assert!(good && user.name == ROBOT && audiences == [ISSUER], "{asked:?}: {audiences:?}");
            }
            _ => assert!(!good, "{asked:?}"),
        }
    }
    // Its key is not among those that others check tokens with.
    let kid = &Unverified::parse(token.as_bytes()).unwrap().header["kid"];
    assert!(auth.jwks()["keys"].as_array().unwrap().iter().all(|key| key["kid"] != *kid));
    // The caller of somebody else by certificate is not this one.
    let header = format!("Bearer {token}").into_bytes();
    let certificate = super::super::CertificateIdentity {
        name: "ada".to_owned(),
        groups: Vec::new(),
        uid: None,
        serial_hex: "4a0b".to_owned(),
        not_after_unix_seconds: i64::MAX,
    };
    let presented = Presented { authorization: &[&header], certificate: Some(&certificate), local_owner: false };
    assert!(auth.authenticate(&presented, &home.people).is_err());
}

#[tokio::test]
async fn bad_tokens_of_this_kind_are_refused_even_where_a_secret_holds_them() {
    let (home, auth, token) = held().await;
    home.add_user(&auth, "alice", "u-9").await;
    let keys = auth.keys.current();
    let (key, signing) = keys.signer(Purpose::LegacyTokens).unwrap();
    let (account_key, account_signing) = keys.signer(Purpose::ServiceAccounts).unwrap();
    let (user_key, user_signing) = keys.signer(Purpose::Users).unwrap();
    let parsed = Unverified::parse(token.as_bytes()).unwrap();
    let (header, claims) = (Value::Object(parsed.header), Value::Object(parsed.claims));
    let sign =
        |header: &Value, claims: &Value, key, algorithm| text(&jwt::sign(header, claims, key, algorithm).unwrap());
    let with_claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        sign(&header, &claims, signing, Algorithm::ES256)
    };
    let with_header = |field: &str, value: Value| {
        let mut header = header.clone();
        header[field] = value;
        sign(&header, &claims, signing, Algorithm::ES256)
    };
    let set = |field: &'static str, value: Value| move |claims: &mut Value| claims[field] = value.clone();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let bound = TokenRequest {
        namespace: "default",
        name: "robot",
        uid: "u-1",
        audiences: &[],
        expiration_seconds: 3600,
        secret: None,
    };
    let bound = text(&auth.mint(&bound).unwrap().token);
    let bound_claims = Value::Object(Unverified::parse(bound.as_bytes()).unwrap().claims);
    let foreign = {
        let other = Home::make().await;
        let other_auth = other.open_with(on()).await;
        text(&other_auth.make_legacy_token(&of_robot("u-1")).unwrap())
    };
    let corpus: Vec<(&str, String)> = vec![
        ("alg none, unsigned", format!("{}.{body}.", encode(&json!({"alg": "none", "kid": &*key.kid})))),
        (
            "alg none, with the signature",
            format!("{}.{body}.{signature}", encode(&json!({"alg": "none", "kid": &*key.kid}))),
        ),
        ("alg none, signed", with_header("alg", json!("none"))),
        ("alg in lower case", with_header("alg", json!("es256"))),
        ("alg of the other key", with_header("alg", json!("EdDSA"))),
        ("RS256, as Kubernetes signs them", with_header("alg", json!("RS256"))),
        ("a typ", with_header("typ", json!("JWT"))),
        ("the typ of users' tokens", with_header("typ", json!("at+jwt"))),
        ("crit", with_header("crit", json!(["exp"]))),
        ("jku", with_header("jku", json!("https://evil.example/keys"))),
        ("unknown kid", with_header("kid", json!("nowhere"))),
        ("the name of the accounts' key", with_header("kid", json!(&*account_key.kid))),
        (
            "signed with the accounts' key",
            sign(&json!({"alg": "ES256", "kid": &*account_key.kid}), &claims, account_signing, Algorithm::ES256),
        ),
        (
            "signed with the users' key",
            sign(&json!({"alg": "EdDSA", "kid": &*user_key.kid}), &claims, user_signing, Algorithm::EdDSA),
        ),
        (
            "signed with the users' key, as a user's",
            sign(
                &json!({"alg": "EdDSA", "kid": &*user_key.kid, "typ": "at+jwt"}),
                &claims,
                user_signing,
                Algorithm::EdDSA,
            ),
        ),
        ("the claims of a bound token", sign(&header, &bound_claims, signing, Algorithm::ES256)),
        ("iss of the server", with_claims(&set("iss", json!(ISSUER)))),
        ("iss as a list", with_claims(&set("iss", json!(["kubernetes/serviceaccount"])))),
        ("iss with a slash", with_claims(&set("iss", json!("kubernetes/serviceaccount/")))),
        ("no iss", with_claims(&|claims| drop(claims.as_object_mut().unwrap().remove("iss")))),
        ("sub of another", with_claims(&set("sub", json!("system:serviceaccount:default:other")))),
        ("sub of the system", with_claims(&set("sub", json!("system:admin")))),
        ("another namespace", with_claims(&set("kubernetes.io/serviceaccount/namespace", json!("prod")))),
        ("another account", with_claims(&set("kubernetes.io/serviceaccount/service-account.name", json!("other")))),
        ("another uid", with_claims(&set("kubernetes.io/serviceaccount/service-account.uid", json!("u-2")))),
        ("no uid", with_claims(&set("kubernetes.io/serviceaccount/service-account.uid", json!("")))),
        ("another Secret", with_claims(&set("kubernetes.io/serviceaccount/secret.name", json!("nowhere")))),
        ("another epoch", with_claims(&set("ep", json!(1)))),
        ("an audience", with_claims(&set("aud", json!([ISSUER])))),
        ("an end", with_claims(&set("exp", json!(u32::MAX)))),
        ("a group", with_claims(&set("groups", json!(["system:masters"])))),
        ("two segments", format!("{head}.{body}")),
        ("four segments", format!("{token}.{signature}")),
        ("padding", format!("{token}==")),
        ("another signature", format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode([7; 64]))),
        ("another store's token", foreign),
    ];
    for (what, bad) in &corpus {
        home.people.set_token("default", "robot-token", Some(bad));
        assert_eq!(name(&home, &auth, bad), None, "{what}");
        assert!(matches!(auth.token_user(bad.as_bytes(), &[], &home.people), TokenVerdict::Invalid), "{what}");
    }
    home.people.set_token("default", "robot-token", Some(&token));
    assert_eq!(name(&home, &auth, &token).as_deref(), Some(ROBOT));
    // And its key makes no good token of another kind.
    let session = text(&home.login(&auth, "alice", PASSWORD).await.unwrap().access_token);
    for other in [&bound, &session] {
        let claims = Value::Object(Unverified::parse(other.as_bytes()).unwrap().claims);
        for typ in [Value::Null, json!("at+jwt")] {
            let mut header = header.clone();
            if !typ.is_null() {
                header["typ"] = typ;
            }
            assert_eq!(name(&home, &auth, &sign(&header, &claims, signing, Algorithm::ES256)), None);
        }
    }
}
