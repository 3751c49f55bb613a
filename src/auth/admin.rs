//! The administrator's opaque token: kept as a keyed hash, compared in constant time.

use std::sync::{PoisonError, RwLock};

use subtle::ConstantTimeEq as _;

use crate::crypto::{Keyring, RandomError, make_token};
use crate::sensitive::SecretBytes;

/// What every administrator's token begins with.
pub(super) const ADMIN_TOKEN_PREFIX: &str = "sr_admin_";
/// The purpose under which an administrator's token is hashed.
const ADMIN_PURPOSE: &str = "admin-token";
/// Longer ones are not looked at: the prefix and 43 characters are 52 bytes.
const TOKEN_MAX_BYTES: usize = 64;

/// Key of the sealed row that holds the hash of the administrator's token.
pub const ADMIN_STATE_KEY: &str = "admin-token";

/// The keyed hash of a token: HMAC-SHA-256 under the lookup key.
#[derive(Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

/// A new administrator's token and the hash that is stored of it.
pub struct AdminToken {
    /// The token: handed over once.
    pub token: SecretBytes,
    /// What is stored.
    pub hash: TokenHash,
}

impl AdminToken {
    /// Makes a random one.
    pub fn make(keyring: &Keyring) -> Result<Self, RandomError> {
        let token = make_token(ADMIN_TOKEN_PREFIX)?;
        #[expect(clippy::disallowed_methods, reason = "hashed, not kept")]
        let hash = TokenHash(keyring.lookup_hash(ADMIN_PURPOSE, token.expose()));
        Ok(Self { token, hash })
    }
}

/// The hash by which the administrator is known.
pub(super) struct Admin(RwLock<TokenHash>);

impl Admin {
    pub(super) fn new(hash: TokenHash) -> Self {
        Self(RwLock::new(hash))
    }

    pub(super) fn replace(&self, hash: TokenHash) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hash;
    }

    /// The hash of `token`, if it is the administrator's.
    pub(super) fn check(&self, keyring: &Keyring, token: &[u8]) -> Option<TokenHash> {
        if token.len() > TOKEN_MAX_BYTES || !token.starts_with(ADMIN_TOKEN_PREFIX.as_bytes()) {
            return None;
        }
        let hash = TokenHash(keyring.lookup_hash(ADMIN_PURPOSE, token));
        self.is_current(&hash).then_some(hash)
    }

    /// Whether a token with this hash is still the administrator's.
    pub(super) fn is_current(&self, hash: &TokenHash) -> bool {
        let admin = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        bool::from(admin.0.ct_eq(&hash.0))
    }
}
