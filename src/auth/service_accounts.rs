//! Tokens of service accounts, as the TokenRequest API of Kubernetes makes them.
//!
//! A token names its account by uid, and the Secret it is bound to by uid: what was deleted and made again under the
//! same name is somebody else. Tokens that never end are [`super::legacy_tokens`]' business.
//!
//! Source: KEP-1205 (bound service account tokens), `pkg/serviceaccount/claims.go`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::access_tokens::OwnHeader;
use super::identity::Unauthorized;
use super::jwt::{self, SignError, Times};
use super::signing::{KeySet, Purpose};
use crate::model::user::SERVICE_ACCOUNT_PREFIX;
use crate::sensitive::SecretBytes;

/// Seconds that a token lives at least.
const MIN_SECONDS: i64 = 600;

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
    /// Seconds that it shall live; lengthened to 600 and shortened to what is allowed.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The audiences make it longer than any token may be.
    #[error("the audiences make the token longer than 8192 bytes")]
    TooLarge,
    /// There is no signing key, or no randomness.
    #[error("no token can be signed: see the server's log")]
    Unavailable,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    aud: Vec<String>,
    exp: u64,
    iat: u64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
    nbf: u64,
    sub: String,
    /// The store's epoch: a restored backup brings no token back.
    ep: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    namespace: String,
    serviceaccount: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Reference>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    name: String,
    uid: String,
}

/// What a token of a service account says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccountToken {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub secret: Option<(String, String)>,
    pub audiences: Vec<String>,
    pub id: String,
    pub expires: i64,
}

/// Makes a token.
pub(super) fn mint(
    request: &TokenRequest<'_>,
    keys: &KeySet,
    issuer: &str,
    epoch: u64,
    now: i64,
    max_seconds: i64,
) -> Result<MintedToken, MintError> {
    let (key, signing) = keys.signer(Purpose::ServiceAccounts).ok_or(MintError::Unavailable)?;
    let expiration_seconds = request.expiration_seconds.clamp(MIN_SECONDS, max_seconds.max(MIN_SECONDS));
    let audiences = if request.audiences.is_empty() { vec![issuer.to_owned()] } else { request.audiences.to_vec() };
    let times = Times::made(now, expiration_seconds);
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| MintError::Unavailable)?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    let reference = |(name, uid): (&str, &str)| Reference { name: name.to_owned(), uid: uid.to_owned() };
    let claims = Claims {
        aud: audiences.clone(),
        exp: times.expires,
        iat: times.issued,
        iss: issuer.to_owned(),
        jti: id.clone(),
        kubernetes: Bound {
            namespace: request.namespace.to_owned(),
            serviceaccount: reference((request.name, request.uid)),
            secret: request.secret.map(reference),
        },
        nbf: times.not_before,
        sub: subject(request.namespace, request.name),
        ep: epoch,
    };
    let purpose = Purpose::ServiceAccounts;
    let header = OwnHeader { alg: purpose.algorithm_name(), kid: &key.kid, typ: None };
    let token = jwt::sign(&header, &claims, signing, purpose.algorithm()).map_err(|error| match error {
        SignError::TooLong => MintError::TooLarge,
        SignError::Key => MintError::Unavailable,
    })?;
    let expires_at_unix_seconds = i64::try_from(times.expires).map_err(|_| MintError::Unavailable)?;
    Ok(MintedToken { token, expires_at_unix_seconds, expiration_seconds, audiences, id })
}

/// Reads the claims of a token whose signature is good. For whom it is meant is left to the caller.
pub(super) fn read(
    claims: &Map<String, Value>,
    issuer: &str,
    epoch: u64,
    now: i64,
    max_seconds: i64,
) -> Result<AccountToken, Unauthorized> {
    let claims: Claims = jwt::typed(claims)?;
    let Bound { namespace, serviceaccount, secret } = claims.kubernetes;
    if claims.iss != issuer
        || claims.ep != epoch
        || claims.aud.is_empty()
        || claims.sub != subject(&namespace, &serviceaccount.name)
    {
        return Err(Unauthorized);
    }
    let times = Times { expires: claims.exp, not_before: claims.nbf, issued: claims.iat };
    let expires = times.check(now, max_seconds.max(MIN_SECONDS))?;
    Ok(AccountToken {
        namespace,
        name: serviceaccount.name,
        uid: serviceaccount.uid,
        secret: secret.map(|secret| (secret.name, secret.uid)),
        audiences: claims.aud,
        id: claims.jti,
        expires,
    })
}

/// `sub` of a service account's tokens.
pub(super) fn subject(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}
