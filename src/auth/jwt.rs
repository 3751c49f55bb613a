//! JSON Web Tokens (RFC 7519) in the one form that is taken, and not a byte besides.
//!
//! A token is measured before it is parsed, has exactly three segments of canonical base64url, and names nothing twice
//! anywhere in it. What it says of itself (which key, which algorithm, where to get a key) decides nothing: the key is
//! looked up by name, and the key says the algorithm. The `jsonwebtoken` crate makes and checks the signature alone,
//! for it ignores `typ` and `crit` and takes claims of other types than their own.
//!
//! Every failure is the same [`Unauthorized`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::identity::Unauthorized;
use crate::sensitive::SecretBytes;

/// Longer tokens are not parsed.
pub const TOKEN_MAX_BYTES: usize = 8_192;
/// How far the clock of an issuer may be ahead of ours.
const AHEAD_SECONDS: u64 = 5;
/// How much earlier than it is made a token of ours is valid, for clocks that are behind.
pub const BACKDATED_SECONDS: i64 = 5;

/// A token that has the form of one. Nothing in it is to be believed before [`Unverified::verify`].
pub struct Unverified<'a> {
    /// The header (JOSE).
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a [u8]) -> Result<Self, Unauthorized> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Unauthorized);
        }
        let token = std::str::from_utf8(token).map_err(|_| Unauthorized)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(Unauthorized)?;
        let (header, claims) = signed.split_once('.').ok_or(Unauthorized)?;
        // A further dot is no base64url. Canonical: no padding, no white space, no bits left over.
        if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(Unauthorized);
        }
        Ok(Self { header: object(header)?, claims: object(claims)?, signed, signature })
    }

    /// Who it says has issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Checks the signature.
    pub fn verify(&self, key: &DecodingKey, algorithm: Algorithm) -> Result<(), Unauthorized> {
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Unauthorized),
        }
    }
}

/// Reads an object into a type that says what may be in it.
pub fn typed<'de, T: Deserialize<'de>>(object: &'de Map<String, Value>) -> Result<T, Unauthorized> {
    T::deserialize(object).map_err(|_| Unauthorized)
}

/// Why a token was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignError {
    /// It would be longer than any token may be.
    TooLong,
    /// The key does not sign.
    Key,
}

/// A token of `header` and `claims`.
pub fn sign(
    header: &impl Serialize,
    claims: &impl Serialize,
    key: &EncodingKey,
    algorithm: Algorithm,
) -> Result<SecretBytes, SignError> {
    let text = |json: serde_json::Result<Vec<u8>>| json.map(|json| URL_SAFE_NO_PAD.encode(json));
    let header = text(serde_json::to_vec(header)).map_err(|_| SignError::Key)?;
    let claims = text(serde_json::to_vec(claims)).map_err(|_| SignError::Key)?;
    let mut token = format!("{header}.{claims}");
    let signature = jsonwebtoken::crypto::sign(token.as_bytes(), key, algorithm).map_err(|_| SignError::Key)?;
    token.reserve_exact(1 + signature.len());
    token.push('.');
    token.push_str(&signature);
    if token.len() > TOKEN_MAX_BYTES { Err(SignError::TooLong) } else { Ok(SecretBytes::new(token.into_bytes())) }
}

/// The times of a token, in whole seconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// `exp`
    pub expires: u64,
    /// `nbf`
    pub not_before: u64,
    /// `iat`
    pub issued: u64,
}

impl Times {
    /// Those of a token that is made now.
    pub fn made(now: i64, ttl_seconds: i64) -> Self {
        let at = |seconds: i64| u64::try_from(seconds).unwrap_or_default();
        Self {
            expires: at(now.saturating_add(ttl_seconds)),
            not_before: at(now.saturating_sub(BACKDATED_SECONDS)),
            issued: at(now),
        }
    }

    /// When a token ends that is valid now and lives no longer than `ttl_seconds`. No leeway: the clock is our own.
    pub fn check(self, now: i64, ttl_seconds: i64) -> Result<i64, Unauthorized> {
        let moment = u64::try_from(now).map_err(|_| Unauthorized)?;
        let longest = u64::try_from(ttl_seconds).map_err(|_| Unauthorized)?;
        let is_valid = moment < self.expires
            && self.not_before <= moment
            && self.issued <= moment.saturating_add(AHEAD_SECONDS)
            && self.expires <= self.issued.saturating_add(longest);
        if is_valid { i64::try_from(self.expires).map_err(|_| Unauthorized) } else { Err(Unauthorized) }
    }

    /// As [`Times::check`] for another issuer, whose clock may be a little ahead and whose tokens may live as long as
    /// it likes.
    pub fn check_of_others(
        now: i64,
        expires: u64,
        not_before: Option<u64>,
        issued: Option<u64>,
    ) -> Result<i64, Unauthorized> {
        let moment = u64::try_from(now).map_err(|_| Unauthorized)?;
        let has_begun = |time: Option<u64>| time.is_none_or(|time| time <= moment.saturating_add(AHEAD_SECONDS));
        let is_valid = moment < expires && has_begun(not_before) && has_begun(issued);
        if is_valid { i64::try_from(expires).map_err(|_| Unauthorized) } else { Err(Unauthorized) }
    }
}

/// The JSON object that a segment holds.
fn object(segment: &str) -> Result<Map<String, Value>, Unauthorized> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).map_err(|_| Unauthorized)?;
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let value = Unrepeated.deserialize(&mut reader).map_err(|_| Unauthorized)?;
    reader.end().map_err(|_| Unauthorized)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Unauthorized),
    }
}

/// Any JSON in which no object names a field twice.
struct Unrepeated;

impl<'de> DeserializeSeed<'de> for Unrepeated {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unrepeated {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Unrepeated)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.insert(name, fields.next_value_seed(Unrepeated)?).is_some() {
                return Err(A::Error::custom("a field occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_lives_no_longer_than_it_may_and_not_before_its_time() {
        let now = 1_790_000_000;
        let times = Times::made(now, 900);
        assert_eq!(times.check(now, 900), Ok(now + 900));
        assert_eq!(times.check(now + 899, 900), Ok(now + 900));
        assert_eq!(times.check(now - 5, 900), Ok(now + 900), "made by a clock that is a little ahead");
        for (at, longest) in [(now + 900, 900), (now - 6, 900), (now, 899), (-1, 900), (now, -1)] {
            assert_eq!(times.check(at, longest), Err(Unauthorized), "{at} {longest}");
        }
        for times in [
            Times { expires: u64::MAX, ..times },
            Times { expires: u64::MAX, issued: u64::MAX, ..times },
            Times { not_before: u64::MAX, ..times },
            Times { issued: times.issued + 6, ..times },
        ] {
            assert_eq!(times.check(now, 900), Err(Unauthorized), "{times:?}");
        }
        // A clock before 1970 makes tokens that nothing accepts, and does not panic.
        assert_eq!(Times::made(-10, 900).check(-10, 900), Err(Unauthorized));
        assert_eq!(Times::made(i64::MAX, 900).check(i64::MAX, 900), Err(Unauthorized));
    }

    #[test]
    fn fields_named_twice_are_found_at_every_depth() {
        let parse = |text: &str| object(&URL_SAFE_NO_PAD.encode(text));
        assert!(parse(r#"{"a":1,"b":{"a":[1,{"c":null}]}}"#).is_ok());
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"\u0061":2}]}"#,
            "[]",
            "1",
            "",
            "{} ",
            "{}x",
            "\u{feff}{}",
        ] {
            assert_eq!(parse(text).is_ok(), text == "{} ", "{text}");
        }
        assert!(parse(&format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200))).is_err());
    }
}
