//! Bearer tokens that are not what they say: one answer for all of them, and it says nothing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::outside::{ISSUER as OUTSIDE, Issuer, claims as outside_claims, wait_until};
use super::site::{ROTATE_KEYS, SECRETS, Site, Tokens, WHO_AM_I, lasting, refresh, who};
use crate::support::http::{Client, Response};
use crate::support::jwt::{self, Key, encode, hmac, parts};

/// What a request with these headers is answered.
fn present(client: &mut Client, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    client.send("POST", WHO_AM_I, &all, b"{}").unwrap()
}

/// Presents each token twice (what was seen before may be remembered), and says of all at once which were not refused
/// like `first`.
fn check(site: &Site, corpus: &[(String, String)], first: &Response) {
    assert_eq!((first.status, &first.json()["message"]), (401, &json!("Unauthorized")));
    let mut wrong = Vec::new();
    let mut client = site.anonymous();
    for (what, token) in corpus.iter().chain(corpus) {
        let answer = present(&mut client, &[("Authorization", &format!("Bearer {token}"))]);
        if lasting(&answer) != lasting(first) {
            wrong.push(format!("{what}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!site.app.log().contains("panicked"), "{}", site.app.log());
}

fn first_refusal(site: &Site) -> Response {
    present(&mut site.anonymous(), &[("Authorization", "Bearer x")])
}

/// A text with something put in place of something else, once.
fn with(value: &Value, field: &str, other: impl Into<Value>) -> String {
    let mut value = value.clone();
    value[field] = other.into();
    value.to_string()
}

fn without(value: &Value, field: &str) -> String {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(field);
    value.to_string()
}

/// Everything that can be done to a token without its key.
fn tampered(token: &str) -> Vec<(String, String)> {
    let (header, claims, signature) = parts(token);
    let (header_text, claims_text) = (header.to_string(), claims.to_string());
    let join = |header: &str, claims: &str| format!("{}.{}.{signature}", encode(header), encode(claims));
    let last = signature.chars().last().unwrap();
    let after = if last == 'A' { 'B' } else { 'A' };
    let cut = &signature[..signature.len() - 1];
    let signed = token.rsplit_once('.').unwrap().0;
    let standard = |segment: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(segment).unwrap());
    let mut corpus = vec![
        ("alg none", join(&with(&header, "alg", "none"), &claims_text)),
        ("alg none without a signature", format!("{}.{}.", encode(with(&header, "alg", "none")), encode(&claims_text))),
        ("alg None", join(&with(&header, "alg", "None"), &claims_text)),
        ("no alg", join(&without(&header, "alg"), &claims_text)),
        ("no kid", join(&without(&header, "kid"), &claims_text)),
        ("a kid that is a path", join(&with(&header, "kid", "../../../../dev/null"), &claims_text)),
        ("a kid that is SQL", join(&with(&header, "kid", "x' OR '1'='1"), &claims_text)),
        ("a kid that is a number", join(&with(&header, "kid", 7), &claims_text)),
        ("another typ", join(&with(&header, "typ", "dpop+jwt"), &claims_text)),
        ("a crit", join(&with(&header, "crit", json!(["exp"])), &claims_text)),
        ("b64 false", join(&with(&header, "b64", false), &claims_text)),
        ("zip", join(&with(&header, "zip", "DEF"), &claims_text)),
        ("jku", join(&with(&header, "jku", "https://127.0.0.1:1/keys"), &claims_text)),
        ("x5u", join(&with(&header, "x5u", "https://127.0.0.1:1/x"), &claims_text)),
        ("a later end", join(&header_text, &with(&claims, "exp", 4_000_000_000_u64))),
        ("another user", join(&header_text, &with(&claims, "sub", "admin"))),
        ("another issuer", join(&header_text, &with(&claims, "iss", "https://elsewhere.example"))),
        ("issuers", join(&header_text, &with(&claims, "iss", json!(["https://strongroom.local", "x"])))),
        ("no signature", format!("{signed}.")),
        ("two segments", signed.to_owned()),
        ("one segment", signed.split('.').next().unwrap().to_owned()),
        ("four segments", format!("{token}.{signature}")),
        ("five segments, as encrypted ones have", format!("{token}.{signature}.{signature}")),
        ("an empty segment", token.replacen('.', "..", 1)),
        ("only dots", "..".to_owned()),
        ("padding", format!("{token}==")),
        ("the other alphabet", format!("{signed}.{}", standard(&signature))),
        ("another last character", format!("{signed}.{cut}{after}")),
        ("one character less", format!("{signed}.{cut}")),
        ("another signature of the same length", format!("{signed}.{}", "A".repeat(signature.len()))),
        ("a space within", token.replacen('.', ". ", 1)),
        ("a header that is no object", join("[]", &claims_text)),
        ("a header that is no JSON", join("{", &claims_text)),
        ("claims that are no object", join(&header_text, "\"x\"")),
        ("claims that are nested", join(&header_text, &format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000)))),
        ("9 KiB", join(&header_text, &with(&claims, "x", "y".repeat(9 * 1024)))),
        ("nothing but length", "a".repeat(9 * 1024)),
    ];
    // Bits that are left over at the end of a signature of 64 bytes, and that a decoder may overlook.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    corpus.push(("left-over bits", format!("{signed}.{cut}{next}")));
    corpus.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

#[test]
fn what_was_done_to_a_token_of_ours_is_not_told() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    site.add_account("robot");
    let access = site.sign_in("ada").access;
    let of_account = site.account_token("robot", &json!({}));
    let first = first_refusal(&site);

    let jwks = site.admin.get("/openid/v1/jwks").ok().json();
    let key = &jwks["keys"][0];
    let point = ["x", "y"].map(|part| URL_SAFE_NO_PAD.decode(key[part].as_str().unwrap()).unwrap()).concat();
    let public_keys = [key.to_string().into_bytes(), point.clone(), [&[4][..], &point].concat(), pem_of(&point)];

    let mut corpus = Vec::new();
    for (whose, token) in [("a user", &access), ("an account", &of_account)] {
        let (header, claims, _) = parts(token);
        let claims_text = claims.to_string();
        let of_hmac = with(&header, "alg", "HS256");
        corpus.extend(tampered(token));
        corpus.extend(
            public_keys
                .iter()
                .map(|secret| ("HS256 with the public key".to_owned(), hmac(&of_hmac, &claims_text, secret))),
        );
        corpus.push(("HS256 with nothing".to_owned(), hmac(&of_hmac, &claims_text, b"")));
        // Keys of somebody else under the name of ours, also as the token itself brings them along.
        for key in [Key::rsa("own"), Key::p256("own"), Key::ed25519("own")] {
            let header = with(&header, "alg", key.header()["alg"].clone());
            corpus.push((format!("{:?} of somebody else", key.algorithm), key.sign(&header, &claims_text)));
            let mut bringing: Value = serde_json::from_str(&header).unwrap();
            bringing["jwk"] = key.jwk();
            corpus.push((format!("{:?} brought along", key.algorithm), key.sign(&bringing.to_string(), &claims_text)));
            corpus.push((format!("{:?} under its own name", key.algorithm), key.token(&claims)));
        }
        // The one kind of token under the header of the other.
        let (other, _, signature) = parts(if whose == "a user" { &of_account } else { &access });
        corpus.push((
            "the other header".to_owned(),
            format!("{}.{}.{signature}", encode(other.to_string()), encode(&claims_text)),
        ));
    }
    check(&site, &corpus, &first);
    assert_eq!(who(&mut site.with_token(&access)), "ada");
    assert_eq!(who(&mut site.with_token(&of_account)), "system:serviceaccount:default:robot");
}

/// A P-256 public key in PEM form.
fn pem_of(point: &[u8]) -> Vec<u8> {
    let prefix = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    jwt::openssl(&["pkey", "-pubin", "-inform", "DER"], &[prefix, point.to_vec()].concat())
}

#[test]
fn claims_and_headers_are_held_to_their_form_also_where_the_signature_is_good() {
    let (rsa, ec) = (Key::rsa("rsa-1"), Key::p256("ec-1"));
    let issuer = Issuer::of_keys(&[&rsa, &ec]);
    let site = Site::start(&issuer.arguments());
    let first = first_refusal(&site);
    let claims = outside_claims("ada");
    let now = claims["iat"].as_u64().unwrap();
    let text = claims.to_string();
    for key in [&rsa, &ec] {
        wait_until(&site, &key.token(&claims), "oidc:ada");
    }
    let mut corpus: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, token: String| corpus.push((what.to_owned(), token));
    for key in [&rsa, &ec] {
        let header = key.header();
        for (what, header) in [
            ("crit", with(&header, "crit", json!(["exp"]))),
            ("an empty crit", with(&header, "crit", json!([]))),
            ("b64", with(&header, "b64", false)),
            ("zip", with(&header, "zip", "DEF")),
            ("another typ", with(&header, "typ", "logout+jwt")),
            ("a typ that is no text", with(&header, "typ", json!(["JWT"]))),
            ("an unknown kid", with(&header, "kid", "none")),
            ("a kid that is a path", with(&header, "kid", "../keys.json")),
            ("a kid that is no text", with(&header, "kid", json!(["rsa-1"]))),
            ("no kid where there are two keys", without(&header, "kid")),
            ("alg none", with(&header, "alg", "none")),
            ("alg twice", header.to_string().replacen('{', r#"{"alg":"none","#, 1)),
            ("the other key's name", with(&header, "kid", if key.kid == "rsa-1" { "ec-1" } else { "rsa-1" })),
        ] {
            add(what, key.sign(&header, &text));
        }
        let header = header.to_string();
        for (what, claims) in [
            ("issuers", with(&claims, "iss", json!([OUTSIDE]))),
            ("an issuer with a slash", with(&claims, "iss", format!("{OUTSIDE}/"))),
            ("no issuer", without(&claims, "iss")),
            ("our own issuer", with(&claims, "iss", "https://strongroom.local")),
            ("another audience", with(&claims, "aud", "elsewhere")),
            ("other audiences", with(&claims, "aud", json!(["a", "b"]))),
            ("audiences within audiences", with(&claims, "aud", json!([["strongroom"]]))),
            ("an audience that is a number", with(&claims, "aud", 1)),
            ("no audience", without(&claims, "aud")),
            ("no user", without(&claims, "sub")),
            ("an empty user", with(&claims, "sub", "")),
            ("a user that is a number", with(&claims, "sub", 7)),
            ("users", with(&claims, "sub", json!(["ada"]))),
            ("no end", without(&claims, "exp")),
            ("an end that is over", with(&claims, "exp", now - 1)),
            ("a fraction", with(&claims, "exp", 4e9 + 0.5)),
            ("a text", with(&claims, "exp", "4000000000")),
            ("a negative end", with(&claims, "exp", -1)),
            ("1e19", text.replacen(&format!("\"exp\":{}", claims["exp"]), "\"exp\":10000000000000000000", 1)),
            ("1e300", text.replacen(&format!("\"exp\":{}", claims["exp"]), "\"exp\":1e300", 1)),
            ("the largest", with(&claims, "exp", u64::MAX)),
            (
                "more than the largest",
                text.replacen(&format!("\"exp\":{}", claims["exp"]), "\"exp\":18446744073709551616", 1),
            ),
            ("not yet", with(&claims, "nbf", now + 3600)),
            ("made in the future", with(&claims, "iat", now + 3600)),
            ("a claim twice", text.replacen('{', r#"{"sub":"root","#, 1)),
            ("a claim twice, far down", with(&claims, "x", 0).replacen("\"x\":0", r#""x":{"y":[{"z":1,"z":2}]}"#, 1)),
            ("something after the claims", format!("{text}{{}}")),
            ("too long", with(&claims, "x", "y".repeat(8 * 1024))),
        ] {
            assert_ne!(claims, text, "{what}");
            add(what, key.sign(&header, &claims));
        }
        for (what, token) in tampered(&key.token(&claims)) {
            // A typ and addresses of keys mean nothing here; what the signature is of has changed all the same.
            add(&what, token);
        }
    }
    let of = |algorithm: &str| with(&rsa.header(), "alg", algorithm);
    add("PS256 for a key of RS256", rsa.sign_as(&of("PS256"), &text, Algorithm::PS256));
    add("RS512 for a key of RS256", rsa.sign_as(&of("RS512"), &text, Algorithm::RS512));
    let modulus = URL_SAFE_NO_PAD.decode(rsa.jwk()["n"].as_str().unwrap()).unwrap();
    for secret in [rsa.jwk().to_string().into_bytes(), modulus] {
        add("HS256 with the public key", hmac(&of("HS256"), &text, &secret));
    }
    check(&site, &corpus, &first);
    for key in [&rsa, &ec] {
        assert_eq!(who(&mut site.with_token(&key.token(&claims))), "oidc:ada");
    }
}

#[test]
fn tokens_of_another_home_are_refused_though_it_has_the_same_name() {
    let (mut here, mut there) = (Site::start(&[]), Site::start(&[]));
    for site in [&mut here, &mut there] {
        site.add_person("ada");
        site.add_account("robot");
    }
    let corpus = vec![
        ("a user's".to_owned(), there.sign_in("ada").access),
        ("an account's".to_owned(), there.account_token("robot", &json!({}))),
        ("the administrator's".to_owned(), there.app.token.clone()),
        ("a refresh token".to_owned(), there.sign_in("ada").refresh),
        ("no administrator's".to_owned(), "sr_admin_".to_owned() + &"A".repeat(43)),
    ];
    check(&here, &corpus, &first_refusal(&here));
    let foreign = refresh(&mut here.anonymous(), &there.sign_in("ada").refresh);
    assert_eq!(foreign.status, 401, "{}", foreign.text());
}

#[test]
fn headers_that_are_no_bearer_token_are_nobody_and_two_of_them_are_refused() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    let token = site.sign_in("ada").access;
    let mut client = site.anonymous();
    let first = first_refusal(&site);
    let bearer = format!("Bearer {token}");
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(present(&mut client, &[("Authorization", &format!("{scheme} {token}"))]).status, 201, "{scheme}");
    }
    for (what, headers) in [
        ("the same twice", vec![("Authorization", bearer.as_str()), ("Authorization", &bearer)]),
        ("a good and a bad one", vec![("Authorization", bearer.as_str()), ("Authorization", "Bearer x")]),
        ("Basic and a good one", vec![("Authorization", "Basic YWRhOng="), ("authorization", &bearer)]),
        ("two tokens in one", vec![("Authorization", &*format!("{bearer} {token}"))]),
        ("two in one list", vec![("Authorization", &*format!("{bearer}, {bearer}"))]),
        ("9 KiB", vec![("Authorization", &*format!("Bearer {}", "a".repeat(9 * 1024)))]),
    ] {
        let answer = present(&mut client, &headers);
        assert_eq!(lasting(&answer), lasting(&first), "{what}");
    }
    // As in Kubernetes, a header that is no bearer token is none: who comes with it is anonymous.
    for value in ["", "Bearer", "Bearer ", "Basic YWRhOng=", "Token x", &token, &format!("Bearer\u{a0}{token}")] {
        let answer = present(&mut client, &[("Authorization", value)]);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(answer.status == 403 && message.contains("system:anonymous"), "{value}: {message}");
    }
    let cookie = format!("access_token={token}");
    assert_eq!(present(&mut client, &[("Cookie", &cookie)]).status, 403);
    let mut in_query = site.anonymous();
    assert_eq!(in_query.get(&format!("{SECRETS}?access_token={token}")).status, 403);
    assert!(!site.app.log().contains(&token));
}

#[test]
fn tokens_of_former_keys_live_on_unless_they_are_revoked() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    site.add_account("robot");
    let first = first_refusal(&site);
    let old = (site.sign_in("ada"), site.account_token("robot", &json!({})));
    let kid = |token: &str| parts(token).0["kid"].clone();
    let published = |site: &mut Site| {
        let keys = site.admin.get("/openid/v1/jwks").ok().json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    site.admin.json("POST", ROTATE_KEYS, &json!({})).ok();
    let new = (site.sign_in("ada"), site.account_token("robot", &json!({})));
    assert!(kid(&new.0.access) != kid(&old.0.access) && kid(&new.1) != kid(&old.1));
    for (tokens, account) in [&old, &new] {
        assert_eq!(who(&mut site.with_token(&tokens.access)), "ada");
        assert_eq!(who(&mut site.with_token(account)), "system:serviceaccount:default:robot");
        assert!(published(&mut site).contains(&kid(account)));
    }

    site.admin.json("POST", ROTATE_KEYS, &json!({"revoke": true})).ok();
    let revoked: Vec<(String, String)> =
        [&old.0.access, &old.1, &new.0.access, &new.1].map(|token| (token.clone(), token.clone())).into();
    check(&site, &revoked, &first);
    assert!(!published(&mut site).iter().any(|key| *key == kid(&old.1) || *key == kid(&new.1)));
    // Sessions go on: only what was signed is void.
    let next = Tokens::of(refresh(&mut site.anonymous(), &new.0.refresh));
    assert_eq!(who(&mut site.with_token(&next.access)), "ada");
    let site = site.killed_and_started();
    check(&site, &revoked, &first_refusal(&site));
    assert_eq!(who(&mut site.with_token(&next.access)), "ada");

    // Nobody else may.
    let mut ada = site.with_token(&next.access);
    assert_eq!(ada.json("POST", ROTATE_KEYS, &json!({"revoke": true})).status, 403);
    assert_eq!(site.admin.another().json("POST", ROTATE_KEYS, &json!({"revoke": "yes"})).status, 400);
    assert_eq!(who(&mut ada), "ada");
}

#[test]
fn another_name_of_the_server_is_in_its_tokens_and_ends_those_of_the_former_name() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    site.add_account("robot");
    let old = (site.sign_in("ada"), site.account_token("robot", &json!({})));
    assert_eq!(parts(&old.0.access).1["iss"], "https://strongroom.local");
    let home = site.app.kill();
    let mut site = Site::start_in(home, &["--issuer", "https://vault.example.com/a"]);
    for token in [&old.0.access, &old.1] {
        assert_eq!(who(&mut site.with_token(token)), "401");
    }
    let next = Tokens::of(refresh(&mut site.anonymous(), &old.0.refresh));
    assert_eq!(parts(&next.access).1["iss"], "https://vault.example.com/a");
    assert_eq!(who(&mut site.with_token(&next.access)), "ada");
    let account = parts(&site.account_token("robot", &json!({}))).1;
    assert_eq!(
        (&account["iss"], &account["aud"]),
        (&json!("https://vault.example.com/a"), &json!(["https://vault.example.com/a"]))
    );
    let document = site.admin.get("/.well-known/openid-configuration").ok().json();
    assert_eq!(document["jwks_uri"], "https://vault.example.com/a/openid/v1/jwks");
}
