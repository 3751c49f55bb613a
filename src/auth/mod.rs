//! Who is asking: credentials → [`User`].
//!
//! This version knows one credential, the administrator's opaque bearer token, and otherwise the anonymous
//! user. The token is kept only as a keyed hash; nothing here can tell it.

use std::sync::{PoisonError, RwLock};

use subtle::ConstantTimeEq as _;

use crate::crypto::{Keyring, RandomError, make_token};
use crate::model::user::User;
use crate::sensitive::SecretBytes;

/// What every opaque token of ours begins with.
const ADMIN_TOKEN_PREFIX: &str = "sr_admin_";
/// Longer tokens are not looked at.
const TOKEN_MAX_BYTES: usize = 8192;
/// The purpose under which an administrator's token is hashed.
const ADMIN_PURPOSE: &str = "admin-token";

/// Key of the sealed row that holds the hash of the administrator's token.
pub const ADMIN_STATE_KEY: &str = "admin-token";

/// The keyed hash of a token: HMAC-SHA-256 under the lookup key.
#[derive(Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

/// A credential that is wrong, expired or revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unauthorized;

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

/// Checks credentials.
pub struct Authenticator {
    admin: RwLock<TokenHash>,
}

impl Authenticator {
    /// Knows the administrator by the hash of the token.
    pub fn new(admin: TokenHash) -> Self {
        Self { admin: RwLock::new(admin) }
    }

    /// Replaces the administrator's token; the former one ends with this call.
    pub fn replace_admin(&self, hash: TokenHash) {
        *self.admin.write().unwrap_or_else(PoisonError::into_inner) = hash;
    }

    /// The user behind an `Authorization` header. No bearer token is the anonymous user, not an error.
    pub fn authenticate(&self, keyring: &Keyring, authorization: Option<&[u8]>) -> Result<User, Unauthorized> {
        match authorization.and_then(bearer) {
            Some(token) => self.token_user(keyring, token),
            None => Ok(User::anonymous()),
        }
    }

    /// The user behind a bearer token.
    pub fn token_user(&self, keyring: &Keyring, token: &[u8]) -> Result<User, Unauthorized> {
        if token.len() > TOKEN_MAX_BYTES || !token.starts_with(ADMIN_TOKEN_PREFIX.as_bytes()) {
            return Err(Unauthorized);
        }
        let hash = keyring.lookup_hash(ADMIN_PURPOSE, token);
        let admin = *self.admin.read().unwrap_or_else(PoisonError::into_inner);
        if bool::from(admin.0.ct_eq(&hash)) { Ok(User::admin()) } else { Err(Unauthorized) }
    }
}

/// The token of a bearer header: the scheme in any case, then the token (RFC 6750). Anything else is no
/// credential, as in Kubernetes.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") || !rest.starts_with(b" ") {
        return None;
    }
    let token = rest.trim_ascii();
    if token.is_empty() { None } else { Some(token) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests present the tokens they made")]
mod tests {
    use super::*;

    fn header(token: &AdminToken) -> Vec<u8> {
        [b"bEaReR ", token.token.expose()].concat()
    }

    #[test]
    fn the_administrators_token_is_known_until_it_is_replaced() {
        let keyring = Keyring::make(0).unwrap();
        let (first, second) = (AdminToken::make(&keyring).unwrap(), AdminToken::make(&keyring).unwrap());
        let auth = Authenticator::new(first.hash);
        assert_eq!(auth.authenticate(&keyring, Some(&header(&first))).unwrap(), User::admin());
        assert_eq!(auth.authenticate(&keyring, Some(&header(&second))), Err(Unauthorized));
        auth.replace_admin(second.hash);
        assert_eq!(auth.authenticate(&keyring, Some(&header(&first))), Err(Unauthorized));
        assert_eq!(auth.authenticate(&keyring, Some(&header(&second))).unwrap(), User::admin());
    }

    #[test]
    fn a_token_of_another_store_is_refused() {
        let (mine, other) = (Keyring::make(0).unwrap(), Keyring::make(0).unwrap());
        let token = AdminToken::make(&other).unwrap();
        let auth = Authenticator::new(AdminToken::make(&mine).unwrap().hash);
        assert_eq!(auth.authenticate(&mine, Some(&header(&token))), Err(Unauthorized));
    }

    #[test]
    fn what_is_no_bearer_token_is_anonymous() {
        let keyring = Keyring::make(0).unwrap();
        let auth = Authenticator::new(AdminToken::make(&keyring).unwrap().hash);
        for header in [None, Some(&b"Basic YTpi"[..]), Some(b"Bearer"), Some(b"Bearer   "), Some(b"bearerx"), Some(b"")]
        {
            assert_eq!(auth.authenticate(&keyring, header).unwrap(), User::anonymous());
        }
        assert_eq!(auth.authenticate(&keyring, Some(b"Bearer x")), Err(Unauthorized));
        assert_eq!(auth.authenticate(&keyring, Some(&[b"Bearer ", &[b'x'; 9000][..]].concat())), Err(Unauthorized));
    }
}
