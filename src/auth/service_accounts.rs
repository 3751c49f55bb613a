//! Tokens of service accounts (TokenRequest).

use crate::sensitive::SecretBytes;

/// What a token of a service account is made from.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// Namespace of the service account.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// For whom the token is meant; empty for this server.
    pub audiences: &'a [String],
    /// Seconds that it shall live; at least 600, and shortened to what is allowed.
    pub expiration_seconds: i64,
    /// Name and uid of the Secret to which it is bound.
    pub secret: Option<(&'a str, &'a str)>,
}

/// A token of a service account.
pub struct MintedToken {
    /// The token.
    pub token: SecretBytes,
    /// When it ends, seconds since the epoch.
    pub expires_at_unix_seconds: i64,
    /// Seconds that it lives, which may be fewer than were asked for.
    pub expiration_seconds: i64,
    /// For whom it is meant.
    pub audiences: Vec<String>,
    /// Its number (`jti`), for the audit record.
    pub id: String,
}

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintError {
    /// The audiences make it longer than any token may be.
    TooLarge,
    /// There is no signing key, or no randomness.
    Unavailable,
}
