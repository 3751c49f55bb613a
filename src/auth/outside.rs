//! Tokens of other systems: JWTs of configured OpenID Connect issuers.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Before the names of users and groups of an issuer, where nothing else is set.
pub const DEFAULT_PREFIX: &str = "oidc:";

/// An issuer whose tokens are accepted, and how its claims become a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideIssuer {
    /// `iss` of its tokens, exactly.
    pub issuer: String,
    /// A token must be meant for one of these.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub keys: JwksSource,
    /// Certificates (PEM) that the server of a key set's URL is checked against; `None` is the system's own.
    pub ca: Option<Vec<u8>>,
    /// The claim that names the user.
    pub username_claim: String,
    /// Put before that name.
    pub username_prefix: String,
    /// The claim that lists groups, if any: a string or a list of strings.
    pub groups_claim: Option<String>,
    /// Put before those groups.
    pub groups_prefix: String,
    /// Claims that a token must have, with these values.
    pub required_claims: BTreeMap<String, String>,
}

/// Where an issuer's JSON Web Key Set (RFC 7517) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// At an https URL.
    Url(String),
}

/// Reads a key set: the bytes, at most [`JWKS_MAX_BYTES`] of them, or why there are none. Supplied from above, for
/// nothing here opens files or connections.
pub type Fetch = Arc<dyn Fn(FetchKeys) -> FetchedKeys + Send + Sync>;
/// The answer of [`Fetch`].
pub type FetchedKeys = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchFailed>> + Send>>;

/// What [`Fetch`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchKeys {
    /// Where the key set is.
    pub source: JwksSource,
    /// Certificates (PEM) that the server is checked against; `None` is the system's own.
    pub ca: Option<Vec<u8>>,
}

/// Why a key set was not read, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchFailed(pub String);

/// The longest key set that is read.
pub const JWKS_MAX_BYTES: usize = 64 * 1024;

/// Reads nothing: where no issuers are configured.
pub fn fetch_nothing() -> Fetch {
    Arc::new(|_| Box::pin(async { Err(FetchFailed("no way to read key sets is set up".to_owned())) }))
}
