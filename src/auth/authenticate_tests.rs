//! Credentials as they come with requests: what is taken for whom, and everything that is not.

use serde_json::{Value, json};

use super::super::test_home::{Home, ISSUER, PASSWORD, START, close, text};
use super::super::{AdminToken, MintedToken, Settings, TokenRequest};
use super::*;
use crate::auth::signing::KeySet;
use crate::crypto::Keyring;

fn certificate(name: &str, groups: &[&str], uid: Option<&str>) -> CertificateIdentity {
    CertificateIdentity {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        uid: uid.map(str::to_owned),
        serial_hex: "4a0b".to_owned(),
        not_after_unix_seconds: START + 86_400,
    }
}

/// What a request with these headers is taken for.
fn named(auth: &Authenticator, home: &Home, headers: &[&[u8]]) -> Result<String, Unauthorized> {
    let presented = Presented { authorization: headers, certificate: None, local_owner: false };
    auth.authenticate(&presented, &home.people).map(|identity| identity.user.name.clone())
}

fn with_certificate(
    auth: &Authenticator,
    home: &Home,
    certificate: &CertificateIdentity,
    token: Option<&str>,
) -> Result<Identity, Unauthorized> {
    let header = token.map(|token| format!("Bearer {token}").into_bytes());
    let authorization: Vec<&[u8]> = header.iter().map(Vec::as_slice).collect();
    let presented = Presented { authorization: &authorization, certificate: Some(certificate), local_owner: false };
    auth.authenticate(&presented, &home.people)
}

pub(super) async fn signed_in() -> (Home, Authenticator, String) {
    let home = Home::make().await;
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    (home, auth, text(&tokens.access_token))
}

#[tokio::test]
async fn the_administrators_token_is_known_until_it_is_replaced() {
    let home = Home::make().await;
    let auth = home.open().await;
    let (first, second) = (AdminToken::make(&home.keyring).unwrap(), AdminToken::make(&home.keyring).unwrap());
    auth.replace_admin(first.hash);
    let [one, two] = [&first, &second].map(|made| text(&made.token).into_bytes());
    let identity = home.bearer(&auth, &one).unwrap();
    assert_eq!(*identity.user, User::admin());
    assert!(auth.is_admin_token(&one) && !auth.is_admin_token(&two));
    assert_eq!(home.bearer(&auth, &two).err(), Some(Unauthorized));
    assert!(auth.still_valid(&identity.credential, &home.people));
    auth.replace_admin(second.hash);
    assert!(!auth.still_valid(&identity.credential, &home.people));
    assert_eq!(home.bearer(&auth, &one).err(), Some(Unauthorized));
    assert_eq!(home.bearer(&auth, &two).unwrap().credential.expires_at_unix_seconds(), None);
    let other = AdminToken::make(&Keyring::make(0).unwrap()).unwrap();
    assert_eq!(home.bearer(&auth, text(&other.token).as_bytes()).err(), Some(Unauthorized));
}

#[tokio::test]
async fn what_is_no_bearer_token_is_anonymous_and_two_headers_are_too_many() {
    let (home, auth, token) = signed_in().await;
    let anonymous = Ok("system:anonymous".to_owned());
    assert_eq!(named(&auth, &home, &[]), anonymous);
    for header in [&b"Basic YTpi"[..], b"Bearer", b"Bearer   ", b"bearerx", b"", b"Token x"] {
        assert_eq!(named(&auth, &home, &[header]), anonymous, "{header:?}");
    }
    let good = format!("bEaReR {token}").into_bytes();
    assert_eq!(named(&auth, &home, &[&good]), Ok("alice".to_owned()));
    for headers in [[&good[..], &good], [&good, b"Basic YTpi"], [b"Basic YTpi", &good]] {
        assert_eq!(named(&auth, &home, &headers), Err(Unauthorized));
    }
    for junk in [&b"Bearer x"[..], b"Bearer sr_admin_", b"Bearer sr_rt_x", b"Bearer .", b"Bearer ..", b"Bearer \xff"] {
        assert_eq!(named(&auth, &home, &[junk]), Err(Unauthorized), "{junk:?}");
    }
    assert_eq!(named(&auth, &home, &[&[b"Bearer ".to_vec(), vec![b'x'; 100_000]].concat()]), Err(Unauthorized));
}

#[tokio::test]
async fn the_owner_of_the_local_socket_is_the_administrator_unless_there_is_a_token() {
    let (home, auth, token) = signed_in().await;
    let header = format!("Bearer {token}").into_bytes();
    let local = |authorization: &[&[u8]]| {
        let presented = Presented { authorization, certificate: None, local_owner: true };
        auth.authenticate(&presented, &home.people).map(|identity| (*identity.user).clone())
    };
    assert_eq!(local(&[]), Ok(User::admin()));
    assert_eq!(local(&[&header]).unwrap().name, "alice");
    assert_eq!(local(&[b"Bearer x"]), Err(Unauthorized));
}

#[tokio::test]
async fn a_certificate_is_its_subject_and_never_the_system() {
    let (home, auth, token) = signed_in().await;
    let ci = certificate("ci-bot", &["builders", "system:masters", "System:x"], None);
    let identity = with_certificate(&auth, &home, &ci, None).unwrap();
    assert_eq!(
        (identity.user.name.as_str(), &*identity.user.groups),
        ("ci-bot", &["builders".to_owned(), GROUP_AUTHENTICATED.to_owned()][..])
    );
    for name in ["system:admin", "SYSTEM:admin", "admin", "", "a\nb"] {
        assert_eq!(
            with_certificate(&auth, &home, &certificate(name, &[], None), None).err(),
            Some(Unauthorized),
            "{name}"
        );
    }
    assert_eq!(with_certificate(&auth, &home, &ci, Some(&token)).err(), Some(Unauthorized), "alice is not ci-bot");
    let both = with_certificate(&auth, &home, &certificate("alice", &["other"], None), Some(&token)).unwrap();
    assert_eq!((both.user.groups[0].as_str(), both.credential.kind()), ("dev", "session"), "the token decides");
    assert!(with_certificate(&auth, &home, &ci, Some("x")).is_err());
    home.advance(86_400);
    assert!(with_certificate(&auth, &home, &ci, None).is_err(), "it has ended");
    assert!(!auth.still_valid(&identity.credential, &home.people));
}

#[tokio::test]
async fn a_certificate_of_ours_is_good_as_long_as_its_user_is() {
    let (home, auth, _) = signed_in().await;
    let issued = certificate("alice", &["old-group"], Some("u-1"));
    let identity = with_certificate(&auth, &home, &issued, None).unwrap();
    assert_eq!(
        (identity.user.uid.as_str(), &*identity.user.groups),
        ("u-1", &["dev".to_owned(), GROUP_AUTHENTICATED.to_owned()][..])
    );
    home.people.set_user("alice", "u-1", &["ops"], false);
    assert_eq!(auth.current(&identity, &home.people).unwrap().user.groups[0], "ops");
    home.people.set_user("alice", "u-1", &["ops"], true);
    assert!(!auth.still_valid(&identity.credential, &home.people));
    assert!(with_certificate(&auth, &home, &issued, None).is_err());
    let foreign = certificate("alice", &[], None);
    assert!(with_certificate(&auth, &home, &foreign, None).is_err(), "a disabled name is shut out, whoever vouches");
    home.people.set_user("alice", "u-2", &["ops"], false);
    assert!(with_certificate(&auth, &home, &issued, None).is_err(), "another one of the same name");
    assert!(with_certificate(&auth, &home, &foreign, None).is_ok());
    home.people.remove_user("alice");
    assert!(with_certificate(&auth, &home, &issued, None).is_err());
}

#[tokio::test]
async fn an_expired_token_stays_expired_when_the_clock_is_set_back() {
    let (home, auth, token) = signed_in().await;
    assert!(home.bearer(&auth, token.as_bytes()).is_ok());
    home.advance(899);
    assert!(home.bearer(&auth, token.as_bytes()).is_ok());
    home.advance(1);
    let identity = home.bearer(&auth, token.as_bytes());
    assert_eq!(identity.err(), Some(Unauthorized));
    for back in [1, 500, START * 2] {
        home.advance(-back);
        assert_eq!(home.bearer(&auth, token.as_bytes()).err(), Some(Unauthorized), "{back}");
    }
    // Also not after a restart.
    auth.tick(&home.people).await;
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(home.bearer(&auth, token.as_bytes()).err(), Some(Unauthorized));
    home.advance(500 + START * 2 + 1);
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_ok(), "signing in goes on");
    home.advance(-300);
    auth.accept_clock(None).await.unwrap();
    assert!(home.bearer(&auth, token.as_bytes()).is_ok(), "until the clock is said to be right");
}

#[tokio::test]
async fn retired_keys_count_until_their_tokens_end_and_revoked_ones_no_more() {
    let (home, auth, token) = signed_in().await;
    auth.rotate_signing_keys(false, None).await.unwrap();
    assert!(home.bearer(&auth, token.as_bytes()).is_ok());
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let newer = text(&tokens.access_token);
    let identity = home.bearer(&auth, newer.as_bytes()).unwrap();
    auth.rotate_signing_keys(true, Some(b"{}".to_vec())).await.unwrap();
    for token in [&token, &newer] {
        assert_eq!(home.bearer(&auth, token.as_bytes()).err(), Some(Unauthorized), "though it was checked before");
    }
    assert!(!auth.still_valid(&identity.credential, &home.people));
    let refreshed = home.refresh(&auth, &text(&tokens.refresh_token)).await.unwrap();
    assert!(home.bearer(&auth, text(&refreshed.access_token).as_bytes()).is_ok());
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(home.bearer(&auth, newer.as_bytes()).err(), Some(Unauthorized));
    assert!(home.bearer(&auth, text(&refreshed.access_token).as_bytes()).is_ok());
}

#[tokio::test]
async fn keys_are_renewed_after_thirty_days_with_the_tick() {
    let (home, auth, _) = signed_in().await;
    let kids = |auth: &Authenticator| -> Vec<String> {
        auth.jwks()["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let before = kids(&auth);
    home.advance(30 * 86_400);
    auth.tick(&home.people).await;
    let after = kids(&auth);
    assert_eq!((before.len(), after.len(), &after[0]), (1, 2, &before[0]));
    home.advance(86_400 + 61);
    auth.tick(&home.people).await;
    assert_eq!(kids(&auth), after[1..]);
}

fn minted(auth: &Authenticator, audiences: &[&str], seconds: i64, secret: Option<(&str, &str)>) -> MintedToken {
    let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
    auth.mint(&TokenRequest {
        namespace: "prod",
        name: "app",
        uid: "sa-1",
        audiences: &audiences,
        expiration_seconds: seconds,
        secret,
    })
    .unwrap()
}

#[tokio::test]
async fn a_service_account_is_known_by_its_token_as_in_kubernetes() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.people.set("ServiceAccount", "prod", "app", Some("sa-1"));
    let made = minted(&auth, &[], 3_600, None);
    assert_eq!((made.expires_at_unix_seconds, made.expiration_seconds), (START + 3_600, 3_600));
    assert_eq!(made.audiences, [ISSUER]);
    let token = text(&made.token);
    let identity = home.bearer(&auth, token.as_bytes()).unwrap();
    assert_eq!(identity.user.name, "system:serviceaccount:prod:app");
    assert_eq!(identity.user.uid, "sa-1");
    assert_eq!(identity.user.groups, ["system:serviceaccounts", "system:serviceaccounts:prod", "system:authenticated"]);
    assert_eq!(identity.user.extra[CREDENTIAL_ID], [format!("JTI={}", made.id)]);
    let parsed = Unverified::parse(token.as_bytes()).unwrap();
    assert_eq!(parsed.header.keys().collect::<Vec<_>>(), ["alg", "kid"]);
    assert_eq!(parsed.claims["sub"], "system:serviceaccount:prod:app");
    assert_eq!(
        parsed.claims["kubernetes.io"],
        json!({"namespace": "prod", "serviceaccount": {"name": "app", "uid": "sa-1"}})
    );
    // Whoever reads the published key set can check it.
    let keys = auth.jwks();
    let published: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys["keys"][0].clone()).unwrap();
    assert_eq!(parsed.header["kid"], keys["keys"][0]["kid"]);
    parsed.verify(&jsonwebtoken::DecodingKey::from_jwk(&published).unwrap(), Algorithm::ES256).unwrap();
    home.advance(3_600);
    assert_eq!(home.bearer(&auth, token.as_bytes()).err(), Some(Unauthorized));
}

#[tokio::test]
async fn a_service_accounts_token_ends_with_the_account_and_with_the_secret_it_is_bound_to() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.people.set("ServiceAccount", "prod", "app", Some("sa-1"));
    home.people.set("Secret", "prod", "key", Some("s-1"));
    home.people.set("Secret", "other", "key", Some("s-1"));
    let bound = text(&minted(&auth, &[], 600, Some(("key", "s-1"))).token).into_bytes();
    let free = text(&minted(&auth, &[], 600, None).token).into_bytes();
    let identity = home.bearer(&auth, &bound).unwrap();
    home.people.set("Secret", "prod", "key", Some("s-2"));
    assert!(home.bearer(&auth, &bound).is_err() && !auth.still_valid(&identity.credential, &home.people));
    home.people.set("Secret", "prod", "key", None);
    assert!(home.bearer(&auth, &bound).is_err() && home.bearer(&auth, &free).is_ok());
    home.people.set("ServiceAccount", "prod", "app", Some("sa-2"));
    assert!(home.bearer(&auth, &free).is_err(), "deleted and made again");
    home.people.set("ServiceAccount", "prod", "app", None);
    assert!(home.bearer(&auth, &free).is_err());
}

#[tokio::test]
async fn a_service_accounts_token_lives_ten_minutes_to_a_day() {
    let home = Home::make().await;
    let auth = home.open().await;
    for (asked, given) in [(0, 600), (600, 600), (86_400, 86_400), (1 << 32, 86_400), (i64::MAX, 86_400)] {
        assert_eq!(minted(&auth, &[], asked, None).expiration_seconds, given, "{asked}");
    }
    let many: Vec<String> = (0..200).map(|at| format!("https://audience-{at}.example.com")).collect();
    let request =
        TokenRequest { namespace: "n", name: "a", uid: "u", audiences: &many, expiration_seconds: 600, secret: None };
    assert_eq!(auth.mint(&request).err(), Some(super::super::MintError::TooLarge));
}

#[tokio::test]
async fn a_token_for_others_is_no_key_to_this_server_and_a_review_says_whom_it_is_for() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.people.set("ServiceAccount", "prod", "app", Some("sa-1"));
    let for_vault = text(&minted(&auth, &["vault", "db"], 600, None).token).into_bytes();
    assert_eq!(home.bearer(&auth, &for_vault).err(), Some(Unauthorized));
    let review = |token: &[u8], audiences: &[&str]| {
        let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        match auth.token_user(token, &audiences, &home.people) {
            TokenVerdict::Authenticated { user, audiences } => format!("{} {audiences:?}", user.name),
            TokenVerdict::WrongAudience { token_audiences } => format!("for {token_audiences:?}"),
            TokenVerdict::Invalid => "invalid".to_owned(),
        }
    };
    assert_eq!(review(&for_vault, &["x", "vault"]), "system:serviceaccount:prod:app [\"vault\"]");
    assert_eq!(review(&for_vault, &[]), "for [\"vault\", \"db\"]");
    assert_eq!(review(&for_vault, &["x"]), "for [\"vault\", \"db\"]");
    let ours = text(&minted(&auth, &[], 600, None).token).into_bytes();
    assert_eq!(review(&ours, &[]), format!("system:serviceaccount:prod:app [{ISSUER:?}]"));
    assert_eq!(review(&ours, &["vault", ISSUER]), format!("system:serviceaccount:prod:app [{ISSUER:?}]"));
    home.people.set("ServiceAccount", "prod", "app", None);
    assert_eq!(review(&for_vault, &["vault"]), "invalid");
    // Tokens without audiences are for this server.
    home.add_user(&auth, "alice", "u-1").await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let access = text(&tokens.access_token).into_bytes();
    assert_eq!(review(&access, &[]), format!("alice [{ISSUER:?}]"));
    assert_eq!(review(&access, &["vault"]), "invalid");
    assert_eq!(review(b"junk", &[]), "invalid");
}

type Change<'a> = &'a dyn Fn(&mut Value);

#[tokio::test]
async fn claims_of_a_service_account_that_do_not_agree_are_refused() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.people.set("ServiceAccount", "prod", "app", Some("sa-1"));
    home.people.set("ServiceAccount", "prod", "root", Some("sa-2"));
    let token = text(&minted(&auth, &[], 600, None).token);
    let parsed = Unverified::parse(token.as_bytes()).unwrap();
    let keys = auth.keys.current();
    let (key, signing) = keys.signer(Purpose::ServiceAccounts).unwrap();
    let sign = |typ: Option<&str>, change: &dyn Fn(&mut Value)| {
        let mut claims = Value::Object(parsed.claims.clone());
        change(&mut claims);
        let header = OwnHeader { alg: "ES256", kid: &key.kid, typ };
        text(&jwt::sign(&header, &claims, signing, Algorithm::ES256).unwrap()).into_bytes()
    };
    assert!(home.bearer(&auth, &sign(None, &|_| ())).is_ok());
    assert!(home.bearer(&auth, &sign(Some("JWT"), &|_| ())).is_err());
    assert!(home.bearer(&auth, &sign(Some(ACCESS_TYPE), &|_| ())).is_err());
    let changes: &[(&str, Change<'_>)] = &[
        ("sub of another account", &|claims| claims["sub"] = "system:serviceaccount:prod:root".into()),
        ("name of another account", &|claims| claims["kubernetes.io"]["serviceaccount"]["name"] = "root".into()),
        ("sub that is a user", &|claims| claims["sub"] = "admin".into()),
        ("another namespace", &|claims| claims["kubernetes.io"]["namespace"] = "dev".into()),
        ("aud as text", &|claims| claims["aud"] = ISSUER.into()),
        ("no aud", &|claims| claims["aud"] = json!([])),
        ("bound to a pod", &|claims| claims["kubernetes.io"]["pod"] = json!({"name": "p", "uid": "u"})),
        ("a secret without uid", &|claims| claims["kubernetes.io"]["secret"] = json!({"name": "key"})),
        ("another epoch", &|claims| claims["ep"] = json!(7)),
        ("a longer life", &|claims| claims["exp"] = json!(START + 86_401)),
        ("no life", &|claims| claims["exp"] = json!(START)),
    ];
    for (what, change) in changes {
        assert_eq!(home.bearer(&auth, &sign(None, change)).err(), Some(Unauthorized), "{what}");
    }
}

#[tokio::test]
async fn discovery_names_issuer_and_keys() {
    let home = Home::make().await;
    let auth = home.open().await;
    assert_eq!(
        auth.openid_configuration(),
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    );
}

#[tokio::test]
async fn a_changed_issuer_ends_every_token() {
    let (home, auth, token) = signed_in().await;
    close(auth).await;
    let auth = home.open_with(Settings { issuer: "https://other.test".to_owned(), ..Home::settings() }).await;
    assert_eq!(home.bearer(&auth, token.as_bytes()).err(), Some(Unauthorized));
}

#[tokio::test]
async fn a_home_that_cannot_be_written_still_knows_its_administrator() {
    let home = Home::make().await;
    let auth = home.open().await;
    let admin = AdminToken::make(&home.keyring).unwrap();
    auth.store.clone().close().await.unwrap();
    auth.keys.replace(KeySet::default());
    auth.replace_admin(admin.hash);
    assert!(home.bearer(&auth, text(&admin.token).as_bytes()).is_ok());
    assert_eq!(auth.jwks(), json!({"keys": []}));
    auth.tick(&home.people).await;
}
