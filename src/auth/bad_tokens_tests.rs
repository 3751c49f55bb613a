//! Bad tokens, each bad in one way, from a forge that makes good ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::super::test_home::{Home, ISSUER, PASSWORD, START, text};
use super::tests::signed_in;
use super::*;

/// Everything that makes a token of alice's session, to be changed piece by piece.
struct Forge<'a> {
    auth: &'a Authenticator,
    header: Value,
    claims: Value,
}

impl<'a> Forge<'a> {
    fn of(auth: &'a Authenticator, token: &str) -> Self {
        let parsed = Unverified::parse(token.as_bytes()).unwrap();
        Self { auth, header: Value::Object(parsed.header), claims: Value::Object(parsed.claims) }
    }

    fn sign_texts(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let keys = self.auth.keys.current();
        let (_, key) = keys.signer(Purpose::Users).unwrap();
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        self.sign_texts(&header.to_string(), &self.claims.to_string())
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.sign_texts(&self.header.to_string(), &claims.to_string())
    }

    /// The claims with a raw text put in place of a claim's value.
    fn with_raw(&self, claim: &str, raw: &str) -> String {
        let claims = self.claims.to_string();
        let was = format!("\"{claim}\":{}", self.claims[claim]);
        assert!(claims.contains(&was), "{claim}");
        self.sign_texts(&self.header.to_string(), &claims.replace(&was, &format!("\"{claim}\":{raw}")))
    }

    /// The claims with a raw text put before them.
    fn with_more(&self, raw: &str) -> String {
        self.sign_texts(&self.header.to_string(), &format!("{{{raw},{}", &self.claims.to_string()[1..]))
    }

    fn with_more_header(&self, raw: &str) -> String {
        self.sign_texts(&format!("{{{raw},{}", &self.header.to_string()[1..]), &self.claims.to_string())
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_and_nothing_is_said_of_why() {
    let (home, auth, token) = signed_in().await;
    let forge = Forge::of(&auth, &token);
    let set = |field: &'static str, value: Value| move |object: &mut Value| object[field] = value;
    assert!(home.bearer(&auth, forge.with_claims(|_| ()).as_bytes()).is_ok(), "the forge makes good tokens");
    assert!(
        home.bearer(&auth, forge.sign_texts(&format!(" {} ", forge.header), &forge.claims.to_string()).as_bytes())
            .is_ok()
    );

    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let keys = auth.keys.current();
    let user_key = keys.signer(Purpose::Users).unwrap().0;
    let (account_key, account_signing) = keys.signer(Purpose::ServiceAccounts).unwrap();
    let sign_with =
        |header: &Value, key: &EncodingKey, algorithm| text(&jwt::sign(header, &forge.claims, key, algorithm).unwrap());
    let public = match user_key.decoding.try_get_as_bytes() {
        Ok(bytes) => bytes.to_vec(),
        Err(error) => panic!("{error}"),
    };
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let issued = START.cast_unsigned();

    let other_home = Home::make().await;
    let other = other_home.open().await;
    other_home.add_user(&other, "alice", "u-1").await;
    let foreign = text(&other_home.login(&other, "alice", PASSWORD).await.unwrap().access_token);

    // The last character of 64 bytes in base64url carries four bits that count for nothing.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let loose = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let not_canonical = format!("{}{loose}", &token[..token.len() - 1]);

    let corpus: Vec<(&str, String)> = vec![
        // Algorithms and keys.
        (
            "alg none, unsigned",
            format!("{}.{claims}.", encode(json!({"alg": "none", "kid": &*user_key.kid, "typ": "at+jwt"}))),
        ),
        (
            "alg none, with the signature",
            format!("{}.{claims}.{signature}", encode(json!({"alg": "none", "kid": &*user_key.kid, "typ": "at+jwt"}))),
        ),
        ("alg none in the signed header", forge.with_header(set("alg", json!("none")))),
        ("alg NONE in the signed header", forge.with_header(set("alg", json!("NONE")))),
        ("alg in lower case", forge.with_header(set("alg", json!("eddsa")))),
        ("alg of the other key", forge.with_header(set("alg", json!("ES256")))),
        ("alg as a list", forge.with_header(set("alg", json!(["EdDSA"])))),
        ("no alg", forge.with_header(|header| drop(header.as_object_mut().unwrap().remove("alg")))),
        (
            "HS256 with the public key",
            sign_with(
                &json!({"alg": "HS256", "kid": &*user_key.kid, "typ": "at+jwt"}),
                &EncodingKey::from_secret(&public),
                Algorithm::HS256,
            ),
        ),
        (
            "EdDSA in the header, HS256 with the public key",
            sign_with(&forge.header, &EncodingKey::from_secret(&public), Algorithm::HS256),
        ),
        (
            "signed with the other key",
            sign_with(
                &json!({"alg": "ES256", "kid": &*account_key.kid, "typ": "at+jwt"}),
                account_signing,
                Algorithm::ES256,
            ),
        ),
        (
            "signed with the other key, as a service account",
            sign_with(&json!({"alg": "ES256", "kid": &*account_key.kid}), account_signing, Algorithm::ES256),
        ),
        ("the name of the other key", forge.with_header(set("kid", json!(&*account_key.kid)))),
        ("no kid", forge.with_header(|header| drop(header.as_object_mut().unwrap().remove("kid")))),
        ("unknown kid", forge.with_header(set("kid", json!("nowhere")))),
        ("kid in capitals", forge.with_header(set("kid", json!(user_key.kid.to_uppercase())))),
        ("kid as a path", forge.with_header(set("kid", json!("../../../dev/null")))),
        ("kid as a query", forge.with_header(set("kid", json!("' OR 1=1 --")))),
        ("kid as a number", forge.with_header(set("kid", json!(1)))),
        // Headers that would lead somewhere else.
        ("crit", forge.with_header(set("crit", json!(["exp"])))),
        ("empty crit", forge.with_header(set("crit", json!([])))),
        ("zip", forge.with_header(set("zip", json!("DEF")))),
        ("b64", forge.with_header(set("b64", json!(false)))),
        ("jku", forge.with_header(set("jku", json!("https://evil.example/keys")))),
        ("jwk", forge.with_header(set("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})))),
        ("x5u", forge.with_header(set("x5u", json!("https://evil.example/chain")))),
        ("x5c", forge.with_header(set("x5c", json!(["AA"])))),
        ("cty", forge.with_header(set("cty", json!("JWT")))),
        ("kid twice", forge.with_more_header(r#""kid":"x""#)),
        ("alg twice", forge.with_more_header(r#""alg":"none""#)),
        // Kinds of token.
        ("typ JWT", forge.with_header(set("typ", json!("JWT")))),
        ("typ in capitals", forge.with_header(set("typ", json!("AT+JWT")))),
        ("typ null", forge.with_header(set("typ", Value::Null))),
        ("no typ", forge.with_header(|header| drop(header.as_object_mut().unwrap().remove("typ")))),
        ("typ in long form", forge.with_header(set("typ", json!("application/at+jwt")))),
        // Claims of other types and values.
        ("iss as a list", forge.with_claims(set("iss", json!(["https://evil.example", ISSUER])))),
        ("iss of another", forge.with_claims(set("iss", json!("https://evil.example")))),
        ("iss with a slash", forge.with_claims(set("iss", json!(format!("{ISSUER}/"))))),
        ("no iss", forge.with_claims(|claims| drop(claims.as_object_mut().unwrap().remove("iss")))),
        ("aud as a list", forge.with_claims(set("aud", json!([ISSUER])))),
        ("aud of another", forge.with_claims(set("aud", json!("vault")))),
        ("sub as a number", forge.with_claims(set("sub", json!(1)))),
        ("sub of another", forge.with_claims(set("sub", json!("bob")))),
        ("sub of the system", forge.with_claims(set("sub", json!("system:admin")))),
        ("uid of another", forge.with_claims(set("uid", json!("u-2")))),
        ("sid of another", forge.with_claims(set("sid", json!("00000000000000000000000000000000")))),
        (
            "sid in capitals",
            forge.with_claims(|claims| claims["sid"] = claims["sid"].as_str().unwrap().to_uppercase().into()),
        ),
        ("another epoch", forge.with_claims(set("ep", json!(1)))),
        ("another password", forge.with_claims(set("pg", json!(1)))),
        ("no password", forge.with_claims(set("pg", json!(0)))),
        ("a claim too many", forge.with_claims(set("groups", json!(["system:masters"])))),
        ("no jti", forge.with_claims(|claims| drop(claims.as_object_mut().unwrap().remove("jti")))),
        ("exp twice", forge.with_more(&format!(r#""exp":{}"#, issued + 90))),
        ("sub twice", forge.with_more(r#""sub":"bob""#)),
        ("sub twice, once escaped", forge.with_more(r#""s\u0075b":"bob""#)),
        // Times.
        ("exp as a fraction", forge.with_raw("exp", &format!("{}.5", issued + 90))),
        ("exp as a float", forge.with_raw("exp", &format!("{}.0", issued + 90))),
        ("exp in exponents", forge.with_raw("exp", "1.79e9")),
        ("exp as text", forge.with_raw("exp", &format!("\"{}\"", issued + 90))),
        ("exp negative", forge.with_raw("exp", "-1")),
        ("exp null", forge.with_raw("exp", "null")),
        ("exp huge", forge.with_raw("exp", &u64::MAX.to_string())),
        ("exp beyond 64 bits", forge.with_raw("exp", "18446744073709551616")),
        ("exp 1e19", forge.with_raw("exp", "1e19")),
        ("exp over", forge.with_claims(set("exp", json!(issued)))),
        ("exp beyond its life", forge.with_claims(set("exp", json!(issued + 901)))),
        (
            "iat in the future",
            forge.with_claims(|claims| {
                claims["iat"] = json!(issued + 6);
                claims["exp"] = json!(issued + 900);
            }),
        ),
        (
            "iat huge",
            forge.with_claims(|claims| {
                claims["iat"] = json!(u64::MAX);
                claims["exp"] = json!(u64::MAX);
            }),
        ),
        ("nbf in the future", forge.with_claims(set("nbf", json!(issued + 1)))),
        ("no nbf", forge.with_claims(|claims| drop(claims.as_object_mut().unwrap().remove("nbf")))),
        ("no exp", forge.with_claims(|claims| drop(claims.as_object_mut().unwrap().remove("exp")))),
        // Form.
        ("two segments", format!("{head}.{claims}")),
        ("two segments and a dot", format!("{head}.{claims}.")),
        ("four segments", format!("{token}.{signature}")),
        ("five segments", format!("{head}.{head}.{claims}.{claims}.{signature}")),
        ("padding", format!("{token}==")),
        ("padding inside", format!("{head}=.{claims}.{signature}")),
        ("a last character that is not canonical", not_canonical),
        ("the other base64", format!("{token}+")),
        ("a new line at the end", format!("{token}\nx")),
        ("a new line inside", format!("{head}.\n{claims}.{signature}")),
        ("a space inside", format!("{head}. {claims}.{signature}")),
        ("a zero byte", format!("{token}\0")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{head}..{signature}")),
        ("claims that are a list", forge.sign_texts(&forge.header.to_string(), "[]")),
        ("claims that are no JSON", forge.sign_texts(&forge.header.to_string(), "sub=alice")),
        ("something behind the claims", forge.sign_texts(&forge.header.to_string(), &format!("{}{{}}", forge.claims))),
        ("header and claims changed places", format!("{claims}.{head}.{signature}")),
        ("another signature", format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 64]))),
        ("a signature that is too short", format!("{head}.{claims}.{}", &signature[..signature.len() - 4])),
        ("oversize", forge.with_claims(set("jti", json!("x".repeat(8_000))))),
        ("deep junk", forge.with_more(&format!(r#""x":{}{}"#, "[".repeat(2_000), "]".repeat(2_000)))),
        // Others.
        ("another store's token", foreign),
    ];
    let session = auth.session_count();
    for (what, bad) in &corpus {
        assert_ne!(*bad, token, "{what}");
        assert_eq!(home.bearer(&auth, bad.as_bytes()).err(), Some(Unauthorized), "{what}");
        let verdict = auth.token_user(bad.as_bytes(), &[], &home.people);
        assert!(matches!(verdict, TokenVerdict::Invalid), "{what}");
    }
    assert_eq!((auth.session_count(), corpus.len() > 80), (session, true));
    // In a header white space around a token is no part of it; in a TokenReview it is.
    for space in ["\n", " ", "\r\n"] {
        let verdict = auth.token_user(format!("{token}{space}").as_bytes(), &[], &home.people);
        assert!(matches!(verdict, TokenVerdict::Invalid));
    }
    assert!(home.bearer(&auth, token.as_bytes()).is_ok());
}
