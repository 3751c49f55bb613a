//! The keys that sign tokens: sets, each for one purpose and with one algorithm.
//!
//! Users' access tokens are signed with Ed25519, which only this server has to check. Service accounts' tokens are
//! also shown to others, who check them by this server's key set as Kubernetes does; Kubernetes' OpenID Connect
//! takes ES256 and not EdDSA, so those are signed with it. Only that set is published: nobody else has any business
//! with users' access tokens.
//!
//! Where tokens that never end are made, a third key signs those, and only it does. It is not replaced by age, for its
//! tokens would end, and not published.
//!
//! A key signs for thirty days. Its private half is forgotten then; its public half stays until the last token it
//! signed has ended. Private halves live in one sealed row and in memory.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::time::AHEAD_SECONDS;
use crate::crypto::{RandomError, SigningAlgorithm, SigningKey};
use crate::sensitive::SecretBytes;

/// Key of the sealed row that holds the keys.
pub const SIGNING_KEYS: &str = "signing-keys";

/// Seconds for which a key signs: thirty days.
const SIGNS_SECONDS: i64 = 30 * 86_400;
/// Seconds for which a retired key is kept beyond the longest life of a token, because a token may be made by a clock
/// that is a little ahead.
const MARGIN_SECONDS: i64 = 60;
/// Retired keys that are kept; there are more only after many rotations within the life of a token.
const RETIRED_MAX: usize = 16;
/// Bytes of the public key's hash that a key is called by.
const KID_BYTES: usize = 16;

/// Whose tokens a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Users' access tokens.
    Users,
    /// Tokens of service accounts.
    ServiceAccounts,
    /// Tokens of service accounts that never end.
    LegacyTokens,
}

impl Purpose {
    /// Those that every home has a key for, which is replaced by age.
    const USUAL: [Self; 2] = [Self::Users, Self::ServiceAccounts];

    /// The one algorithm of this set.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Users => Algorithm::EdDSA,
            Self::ServiceAccounts | Self::LegacyTokens => Algorithm::ES256,
        }
    }

    /// Its name in JOSE.
    pub fn algorithm_name(self) -> &'static str {
        match self {
            Self::Users => "EdDSA",
            Self::ServiceAccounts | Self::LegacyTokens => "ES256",
        }
    }

    fn make(self) -> Result<SigningKey, RandomError> {
        SigningKey::make(match self {
            Self::Users => SigningAlgorithm::EdDsa,
            Self::ServiceAccounts | Self::LegacyTokens => SigningAlgorithm::Es256,
        })
    }
}

/// One key, without its private half.
pub struct Key {
    /// What tokens call it: 32 hexadecimal digits of its own hash.
    pub kid: Arc<str>,
    /// Whose tokens it signs.
    pub purpose: Purpose,
    /// Checks signatures.
    pub decoding: DecodingKey,
    created: i64,
    retired_at: Option<i64>,
    public: Vec<u8>,
    /// `None` once it is retired.
    private: Option<SecretBytes>,
    encoding: Option<EncodingKey>,
}

/// Seconds that tokens may live, by purpose.
#[derive(Debug, Clone, Copy)]
pub struct TokenLives {
    /// Of users.
    pub users_seconds: i64,
    /// Of service accounts.
    pub service_accounts_seconds: i64,
    /// Whether tokens of service accounts are made that never end.
    pub has_legacy: bool,
}

/// Why keys were not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateError {
    /// The operating system gave no randomness.
    Random,
    /// So many keys were retired within the life of a token that one more would have to be dropped early.
    TooMany,
}

impl From<RandomError> for RotateError {
    fn from(_: RandomError) -> Self {
        Self::Random
    }
}

/// Every key. Never changed in place: a rotation makes another set.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// Reads what [`KeySet::encode`] wrote. `None` if it is something else.
    #[expect(clippy::disallowed_methods, reason = "the sealed text is read into keys")]
    pub fn decode(row: &SecretBytes) -> Option<Self> {
        let stored: StoredKeys<'_> = serde_json::from_slice(row.expose()).ok()?;
        let keys = stored.keys.into_iter().map(|key| Key::from_stored(&key).map(Arc::new)).collect::<Option<_>>()?;
        Some(Self { keys })
    }

    /// The keys, to be sealed.
    #[expect(clippy::disallowed_methods, reason = "private halves go into the text that is sealed")]
    pub fn encode(&self) -> SecretBytes {
        let texts: Vec<(String, Option<Zeroizing<String>>)> = self
            .keys
            .iter()
            .map(|key| {
                let private = key.private.as_ref().map(|private| Zeroizing::new(STANDARD.encode(private.expose())));
                (STANDARD.encode(&key.public), private)
            })
            .collect();
        let keys = self.keys.iter().zip(&texts).map(|(key, (public, private))| StoredKey {
            kid: &key.kid,
            alg: key.purpose.algorithm_name(),
            legacy: key.purpose == Purpose::LegacyTokens,
            created: key.created,
            retired_at: key.retired_at,
            public,
            private: private.as_ref().map(|text| text.as_str()),
        });
        let keys = StoredKeys { keys: keys.collect() };
        // Room for all, so that growing leaves no copy behind. A struct of text and numbers always serialises.
        let mut text = Zeroizing::new(Vec::with_capacity(1024 * (1 + self.keys.len())));
        let _ = serde_json::to_writer(&mut *text, &keys);
        SecretBytes::new(std::mem::take(&mut *text))
    }

    /// The set that follows: keys that have signed long enough are retired and replaced, those that nothing needs any
    /// more are left out. `None` if nothing changes.
    pub fn due(&self, now: i64, lives: TokenLives) -> Result<Option<Self>, RotateError> {
        let is_due = |purpose: &Purpose| self.signing(*purpose).is_none_or(|key| key.has_signed_enough(now));
        let mut due: Vec<Purpose> = Purpose::USUAL.into_iter().filter(is_due).collect();
        if lives.has_legacy && self.signing(Purpose::LegacyTokens).is_none() {
            due.push(Purpose::LegacyTokens);
        }
        let is_over = |key: &Arc<Key>| key.is_over(now, lives);
        if due.is_empty() && !self.keys.iter().any(is_over) {
            return Ok(None);
        }
        self.replaced(&due, now, lives).map(Some)
    }

    /// The set that follows when every key is replaced now, but that of tokens that never end. With `revoke`, no former
    /// one is kept at all.
    pub fn rotated(&self, revoke: bool, now: i64, lives: TokenLives) -> Result<Self, RotateError> {
        if revoke {
            let legacy = lives.has_legacy.then_some(Purpose::LegacyTokens);
            let purposes: Vec<Purpose> = Purpose::USUAL.into_iter().chain(legacy).collect();
            return Self::default().replaced(&purposes, now, lives);
        }
        self.replaced(&Purpose::USUAL, now, lives)
    }

    fn replaced(&self, purposes: &[Purpose], now: i64, lives: TokenLives) -> Result<Self, RotateError> {
        let kept = self.keys.iter().filter(|key| !key.is_over(now, lives)).map(|key| {
            let retires = key.retired_at.is_none() && purposes.contains(&key.purpose);
            if retires { Arc::new(key.retired(now)) } else { Arc::clone(key) }
        });
        let mut keys: Vec<Arc<Key>> = kept.collect();
        if keys.iter().filter(|key| key.retired_at.is_some()).count() > RETIRED_MAX {
            return Err(RotateError::TooMany);
        }
        for purpose in purposes {
            keys.push(Arc::new(Key::make(*purpose, now)?));
        }
        Ok(Self { keys })
    }

    /// The key by which a token says it is signed, if it still counts.
    pub fn find(&self, kid: &str, now: i64, lives: TokenLives) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| &*key.kid == kid && !key.is_over(now, lives))
    }

    /// The key that signs now, with its private half.
    pub fn signer(&self, purpose: Purpose) -> Option<(&Key, &EncodingKey)> {
        let key = self.signing(purpose)?;
        key.encoding.as_ref().map(|encoding| (&**key, encoding))
    }

    fn signing(&self, purpose: Purpose) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.purpose == purpose && key.encoding.is_some())
    }

    /// The keys of service accounts' tokens as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self, now: i64, lives: TokenLives) -> Value {
        let published = |key: &&Arc<Key>| key.purpose == Purpose::ServiceAccounts && !key.is_over(now, lives);
        let keys: Vec<Value> = self.keys.iter().filter(published).filter_map(|key| key.jwk()).collect();
        json!({"keys": keys})
    }
}

impl Key {
    fn make(purpose: Purpose, now: i64) -> Result<Self, RandomError> {
        let SigningKey { private, public } = purpose.make()?;
        let hash = Sha256::digest(&public);
        let kid = hex::encode(hash.as_slice().get(..KID_BYTES).unwrap_or_default());
        Ok(Self::assemble(kid.into(), purpose, now, None, public, Some(private)))
    }

    #[expect(clippy::disallowed_methods, reason = "the private half moves into the type that signs, which wipes it")]
    fn assemble(
        kid: Arc<str>,
        purpose: Purpose,
        created: i64,
        retired_at: Option<i64>,
        public: Vec<u8>,
        private: Option<SecretBytes>,
    ) -> Self {
        let (decoding, encoding) = match purpose {
            Purpose::Users => (
                DecodingKey::from_ed_der(&public),
                private.as_ref().map(|private| EncodingKey::from_ed_der(private.expose())),
            ),
            Purpose::ServiceAccounts | Purpose::LegacyTokens => (
                DecodingKey::from_ec_der(&public),
                private.as_ref().map(|private| EncodingKey::from_ec_der(private.expose())),
            ),
        };
        Self { kid, purpose, decoding, created, retired_at, public, private, encoding }
    }

    fn retired(&self, now: i64) -> Self {
        Self::assemble(Arc::clone(&self.kid), self.purpose, self.created, Some(now), self.public.clone(), None)
    }

    /// Also a key that was made by a clock far ahead, which would otherwise sign for as long as that.
    fn has_signed_enough(&self, now: i64) -> bool {
        let age = now.saturating_sub(self.created);
        !(-AHEAD_SECONDS..SIGNS_SECONDS).contains(&age)
    }

    /// Whether every token that it signed has ended.
    fn is_over(&self, now: i64, lives: TokenLives) -> bool {
        let life = match self.purpose {
            Purpose::Users => lives.users_seconds,
            Purpose::ServiceAccounts => lives.service_accounts_seconds,
            Purpose::LegacyTokens => return false,
        };
        self.retired_at.is_some_and(|at| now.saturating_sub(at) > life.saturating_add(MARGIN_SECONDS))
    }

    fn jwk(&self) -> Option<Value> {
        let (x, y) = self.public.get(1..)?.split_at_checked(32)?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Some(json!({
            "use": "sig", "kty": "EC", "kid": &*self.kid, "crv": "P-256", "alg": self.purpose.algorithm_name(),
            "x": text(x), "y": text(y),
        }))
    }

    fn from_stored(stored: &StoredKey<'_>) -> Option<Self> {
        let of_algorithm = |purpose: &Purpose| purpose.algorithm_name() == stored.alg;
        let purpose = if stored.legacy {
            Some(Purpose::LegacyTokens).filter(of_algorithm)?
        } else {
            Purpose::USUAL.into_iter().find(of_algorithm)?
        };
        let public = STANDARD.decode(stored.public).ok()?;
        let private = stored.private.map(|text| STANDARD.decode(text).map(SecretBytes::new)).transpose().ok()?;
        Some(Self::assemble(stored.kid.into(), purpose, stored.created, stored.retired_at, public, private))
    }
}

/// Texts are borrowed from the sealed row, so that no copy of a private half is left behind. Base64 needs no escapes.
#[derive(Serialize, Deserialize)]
struct StoredKeys<'a> {
    #[serde(borrow)]
    keys: Vec<StoredKey<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey<'a> {
    kid: &'a str,
    alg: &'a str,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    legacy: bool,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<i64>,
    public: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<&'a str>,
}

/// The set in use.
#[derive(Default)]
pub struct SigningKeys(RwLock<Arc<KeySet>>);

impl SigningKeys {
    /// Begins with a set.
    pub fn new(set: KeySet) -> Self {
        Self(RwLock::new(Arc::new(set)))
    }

    /// The set as it is now.
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another set in use. Keys that are not in it count no more from here on.
    pub fn replace(&self, set: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
