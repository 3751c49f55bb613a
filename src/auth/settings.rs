//! What can be set about identities.

use crate::crypto::Argon2Cost;

use super::outside::{Fetch, OutsideIssuer, fetch_nothing};

/// Seconds that a service account's token may live at most, by default: a day.
pub const SERVICE_ACCOUNT_TOKEN_MAX_SECONDS: i64 = 86_400;

/// What can be set about identities.
pub struct Settings {
    /// `iss` of every token this server signs, and the audience by which it knows tokens meant for itself: an https
    /// URL without a final slash. Changing it ends every token.
    pub issuer: String,
    /// Cost of hashing a password.
    pub password_cost: Argon2Cost,
    /// Seconds that a service account's token may live at most, at least 600. Keys are kept for as long after they
    /// were retired.
    pub service_account_token_max_seconds: i64,
    /// Whether tokens of service accounts that never end are made and accepted.
    pub legacy_tokens: bool,
    /// Issuers of other systems whose tokens are accepted.
    pub outside: Vec<OutsideIssuer>,
    /// Reads the key sets of those issuers.
    pub fetch: Fetch,
}

impl Settings {
    /// The defaults, and no other issuers.
    pub fn new(issuer: String) -> Self {
        Self {
            issuer,
            password_cost: Argon2Cost::PASSWORD,
            service_account_token_max_seconds: SERVICE_ACCOUNT_TOKEN_MAX_SECONDS,
            legacy_tokens: false,
            outside: Vec::new(),
            fetch: fetch_nothing(),
        }
    }
}
