//! The life of a signing key, and what is published of it.

use super::*;
use crate::auth::jwt::{Unverified, sign};

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const LIVES: TokenLives = TokenLives { users_seconds: 900, service_accounts_seconds: DAY, has_legacy: false };

fn first() -> KeySet {
    KeySet::default().due(NOW, LIVES).unwrap().unwrap()
}

fn kid(set: &KeySet, purpose: Purpose) -> String {
    set.signer(purpose).unwrap().0.kid.to_string()
}

#[test]
fn a_new_home_has_a_key_for_users_and_one_for_service_accounts() {
    let set = first();
    assert_eq!(set.keys.len(), 2);
    assert!(set.due(NOW, LIVES).unwrap().is_none());
    for purpose in Purpose::USUAL {
        let kid = kid(&set, purpose);
        assert!(kid.len() <= 64 && kid.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{kid}");
        let (key, encoding) = set.signer(purpose).unwrap();
        let token = sign(&json!({}), &json!({}), encoding, purpose.algorithm()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test checks what it signed")]
        let parsed = Unverified::parse(token.expose()).unwrap();
        assert_eq!(parsed.verify(&key.decoding, purpose.algorithm()), Ok(()));
    }
}

#[test]
fn a_key_signs_for_thirty_days_and_is_known_until_its_last_token_has_ended() {
    let set = first();
    let (user, account) = (kid(&set, Purpose::Users), kid(&set, Purpose::ServiceAccounts));
    assert!(set.due(NOW + 30 * DAY - 1, LIVES).unwrap().is_none());
    let rotated_at = NOW + 30 * DAY;
    let next = set.due(rotated_at, LIVES).unwrap().unwrap();
    assert_ne!((kid(&next, Purpose::Users), kid(&next, Purpose::ServiceAccounts)), (user.clone(), account.clone()));
    for (kid, life) in [(&user, 900), (&account, DAY)] {
        assert!(next.find(kid, rotated_at + life, LIVES).is_some());
        assert!(next.find(kid, rotated_at + life + 61, LIVES).is_none());
    }
    let later = next.due(rotated_at + DAY + 61, LIVES).unwrap().unwrap();
    assert_eq!((later.keys.len(), kid(&later, Purpose::Users)), (2, kid(&next, Purpose::Users)));
}

#[test]
fn a_retired_key_cannot_sign_any_more() {
    let set = first();
    let next = set.rotated(false, NOW, LIVES).unwrap();
    let retired = next.keys.iter().find(|key| key.kid == set.signer(Purpose::Users).unwrap().0.kid).unwrap();
    assert!(retired.private.is_none() && retired.encoding.is_none());
}

#[test]
fn revoking_leaves_no_former_key() {
    let set = first();
    let next = set.rotated(true, NOW, LIVES).unwrap();
    assert_eq!(next.keys.len(), 2);
    assert!(set.keys.iter().all(|key| next.find(&key.kid, NOW, LIVES).is_none()));
}

#[test]
fn no_rotation_drops_a_key_whose_tokens_still_live() {
    let mut set = first();
    let first_kid = kid(&set, Purpose::Users);
    let mut rotations = 0;
    while let Ok(next) = set.rotated(false, NOW, LIVES) {
        set = next;
        rotations += 1;
    }
    assert_eq!(rotations, RETIRED_MAX / 2);
    assert!(set.find(&first_kid, NOW, LIVES).is_some());
    assert_eq!(set.rotated(false, NOW, LIVES).err(), Some(RotateError::TooMany));
    assert!(set.rotated(true, NOW, LIVES).is_ok());
    assert!(set.rotated(false, NOW + DAY + 61, LIVES).is_ok());
}

#[test]
fn keys_are_read_as_they_were_written() {
    let set = first().rotated(false, NOW + 5, LIVES).unwrap();
    let read = KeySet::decode(&set.encode()).unwrap();
    assert_eq!(read.keys.len(), 4);
    for (one, other) in set.keys.iter().zip(&read.keys) {
        assert_eq!((&one.kid, one.purpose, &one.public), (&other.kid, other.purpose, &other.public));
        assert_eq!(
            (one.created, one.retired_at, one.encoding.is_some()),
            (other.created, other.retired_at, other.encoding.is_some())
        );
    }
    let (key, _) = set.signer(Purpose::Users).unwrap();
    let token = sign(&json!({}), &json!({}), read.signer(Purpose::Users).unwrap().1, Algorithm::EdDSA).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test checks what it signed")]
    let parsed = Unverified::parse(token.expose()).unwrap();
    assert_eq!(parsed.verify(&key.decoding, Algorithm::EdDSA), Ok(()));
    for junk in ["", "{}", r#"{"keys":[{"kid":"a","alg":"HS256","created":1,"public":""}]}"#] {
        assert!(KeySet::decode(&SecretBytes::new(junk.into())).is_none(), "{junk}");
    }
}

#[test]
fn only_keys_of_service_accounts_are_published_and_only_their_public_half() {
    let set = first();
    let before = kid(&set, Purpose::ServiceAccounts);
    let set = set.rotated(false, NOW, LIVES).unwrap();
    let document = set.jwks(NOW, LIVES);
    let keys = document["keys"].as_array().unwrap();
    let kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, [before, kid(&set, Purpose::ServiceAccounts)]);
    for key in keys {
        let mut fields: Vec<&String> = key.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("EC"), &json!("P-256"), &json!("ES256")));
        assert_eq!(key["x"].as_str().unwrap().len(), 43);
    }
    // What others read out of it checks what we sign.
    let published: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys[1].clone()).unwrap();
    let token =
        sign(&json!({}), &json!({}), set.signer(Purpose::ServiceAccounts).unwrap().1, Algorithm::ES256).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test checks what it signed")]
    let parsed = Unverified::parse(token.expose()).unwrap();
    assert_eq!(parsed.verify(&DecodingKey::from_jwk(&published).unwrap(), Algorithm::ES256), Ok(()));
}

#[test]
fn the_key_of_tokens_that_never_end_is_made_where_it_is_asked_for_and_stays_until_it_is_revoked() {
    let lives = TokenLives { has_legacy: true, ..LIVES };
    assert!(first().signer(Purpose::LegacyTokens).is_none());
    let set = first().due(NOW, lives).unwrap().unwrap();
    let (legacy, usual) = (kid(&set, Purpose::LegacyTokens), kid(&set, Purpose::ServiceAccounts));
    assert_eq!((set.keys.len(), legacy == usual), (3, false));
    assert!(set.due(NOW, lives).unwrap().is_none());
    // Neither age nor a rotation replaces it, and switching the setting off does not drop it.
    let much_later = NOW + 3_000 * DAY;
    let aged = set.due(much_later, lives).unwrap().unwrap();
    for set in [&aged, &set.rotated(false, NOW, lives).unwrap(), &aged.rotated(false, much_later, LIVES).unwrap()] {
        assert_eq!(kid(set, Purpose::LegacyTokens), legacy);
        assert_ne!(kid(set, Purpose::ServiceAccounts), usual);
        let read = KeySet::decode(&set.encode()).unwrap();
        assert_eq!(read.find(&legacy, much_later, lives).unwrap().purpose, Purpose::LegacyTokens);
        let published = set.jwks(NOW, lives)["keys"].to_string();
        assert!(!published.contains(&legacy) && published.contains("kid"));
    }
    let revoked = set.rotated(true, NOW, lives).unwrap();
    assert!(revoked.find(&legacy, NOW, lives).is_none() && revoked.signer(Purpose::LegacyTokens).is_some());
    assert!(set.rotated(true, NOW, LIVES).unwrap().signer(Purpose::LegacyTokens).is_none());
}
