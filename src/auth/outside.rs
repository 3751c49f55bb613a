//! Tokens of other systems: JWTs of configured OpenID Connect issuers (a company's sign-in, a CI system, a cluster).
//!
//! A token is held to the same form as our own. Its issuer must be configured, its key in that issuer's key set, its
//! algorithm one of a short list and the one that the key is for. Nothing in the token leads anywhere: no key, no
//! address. What comes out never begins with `system:`, which only this server gives; a cluster's service accounts
//! therefore come in under the issuer's prefix, as `oidc:system:serviceaccount:ns:name`.
//!
//! Key sets are fetched by whoever set this up, as seldom as possible: at a start, every hour, and when a token names
//! a key that is not known, but no more often than every thirty seconds.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::identity::Unauthorized;
use super::jwt::{Times, Unverified};
use crate::model::user::{GROUP_AUTHENTICATED, SYSTEM_PREFIX, USER_ADMIN, User};

/// Before the names of users and groups of an issuer, where nothing else is set.
pub const DEFAULT_PREFIX: &str = "oidc:";
/// The longest key set that is read.
pub const JWKS_MAX_BYTES: usize = 64 * 1024;

/// The most keys of an issuer.
const KEYS_MAX: usize = 64;
/// The longest name of a user or group.
const NAME_MAX_BYTES: usize = 1024;
/// The most groups of a user.
const GROUPS_MAX: usize = 1024;
/// A key set is not fetched again sooner.
const FETCH_PAUSE: Duration = Duration::from_secs(30);
/// A key set is fetched again after so long, so that a key which the issuer has withdrawn is not taken for ever.
const FETCH_AGAIN: Duration = Duration::from_hours(1);
/// Extra of the user: which token it was, as Kubernetes names it.
pub(super) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

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

/// Reads nothing: where no issuers are configured.
pub fn fetch_nothing() -> Fetch {
    Arc::new(|_| Box::pin(async { Err(FetchFailed("no way to read key sets is set up".to_owned())) }))
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// For good.
    Unauthorized,
    /// The key is not known; this issuer's key set may have it by now.
    UnknownKey(usize),
}

impl From<Unauthorized> for Refused {
    fn from(_: Unauthorized) -> Self {
        Self::Unauthorized
    }
}

/// What a token of another system says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutsideToken {
    pub user: User,
    /// Place of the issuer in the configuration.
    pub issuer: usize,
    /// Hash-like name of the key: its place is not stable, its bytes are.
    pub key: Arc<[u8]>,
    pub expires: i64,
}

/// The configured issuers with their keys.
pub(super) struct Outside {
    issuers: Vec<Issuer>,
    fetch: Fetch,
}

struct Issuer {
    config: OutsideIssuer,
    keys: RwLock<Arc<[OutsideKey]>>,
    /// When a fetch last began, and when one last succeeded, since the start.
    fetched: Mutex<Fetched>,
}

#[derive(Default, Clone, Copy)]
struct Fetched {
    begun: Option<Duration>,
    done: Option<Duration>,
}

struct OutsideKey {
    kid: Option<String>,
    /// The one algorithm the key set allows it, if it says.
    only: Option<Algorithm>,
    family: Family,
    decoding: DecodingKey,
    /// The key itself, by which it is known again.
    bytes: Arc<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Outside {
    pub fn new(issuers: Vec<OutsideIssuer>, fetch: Fetch) -> Self {
        let issuers = issuers
            .into_iter()
            .map(|config| Issuer { config, keys: RwLock::new(Arc::from([])), fetched: Mutex::default() })
            .collect();
        Self { issuers, fetch }
    }

    /// The user that a token of a configured issuer makes.
    pub fn check(&self, token: &Unverified<'_>, now: i64) -> Result<OutsideToken, Refused> {
        let issuer = token.issuer().ok_or(Refused::Unauthorized)?;
        let place = self.issuers.iter().position(|known| known.config.issuer == issuer);
        let (place, issuer) = place.and_then(|at| Some((at, self.issuers.get(at)?))).ok_or(Refused::Unauthorized)?;
        let (kid, algorithm) = read_header(&token.header)?;
        let keys = issuer.keys();
        let key = find(&keys, kid, algorithm).ok_or(Refused::UnknownKey(place))?;
        token.verify(&key.decoding, algorithm)?;
        let claims: Claims = super::jwt::typed(&token.claims)?;
        let expires = Times::check_of_others(now, claims.exp, claims.nbf, claims.iat)?;
        let is_meant = issuer.config.audiences.iter().any(|audience| claims.aud.has(audience));
        let has_required =
            |(name, value): (&String, &String)| token.claims.get(name).and_then(Value::as_str) == Some(value.as_str());
        if !is_meant || !issuer.config.required_claims.iter().all(has_required) {
            return Err(Refused::Unauthorized);
        }
        let user = issuer.config.user(&token.claims)?;
        Ok(OutsideToken { user, issuer: place, key: Arc::clone(&key.bytes), expires })
    }

    /// Whether a key that a token was signed with is still in its issuer's key set.
    pub fn has_key(&self, issuer: usize, key: &[u8]) -> bool {
        self.issuers.get(issuer).is_some_and(|issuer| issuer.keys().iter().any(|known| &*known.bytes == key))
    }

    /// Fetches an issuer's key set, unless that was tried a moment ago. Whether there is another one now.
    pub async fn fetch(&self, issuer: usize, elapsed: Duration) -> bool {
        let Some(issuer) = self.issuers.get(issuer) else { return false };
        if !issuer.begin_fetch(elapsed) {
            return false;
        }
        let wanted = FetchKeys { source: issuer.config.keys.clone(), ca: issuer.config.ca.clone() };
        let read = (self.fetch)(wanted).await.and_then(|bytes| read_key_set(&bytes));
        match read {
            Ok(keys) => {
                *issuer.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
                issuer.fetched().done = Some(elapsed);
                true
            }
            Err(error) => {
                tracing::warn!(oidc.issuer = issuer.config.issuer, %error, "the issuer's key set was not read");
                false
            }
        }
    }

    /// Fetches the key sets that were not fetched for long, or never.
    pub async fn fetch_due(&self, elapsed: Duration) {
        for (at, issuer) in self.issuers.iter().enumerate() {
            let done = issuer.fetched().done;
            if done.is_none_or(|done| elapsed.saturating_sub(done) >= FETCH_AGAIN) {
                self.fetch(at, elapsed).await;
            }
        }
    }
}

impl Issuer {
    fn keys(&self) -> Arc<[OutsideKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn fetched(&self) -> std::sync::MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_fetch(&self, elapsed: Duration) -> bool {
        let mut fetched = self.fetched();
        let may = fetched.begun.is_none_or(|begun| elapsed.saturating_sub(begun) >= FETCH_PAUSE);
        if may {
            fetched.begun = Some(elapsed);
        }
        may
    }
}

impl OutsideIssuer {
    fn user(&self, claims: &Map<String, Value>) -> Result<User, Unauthorized> {
        let name = claims.get(&self.username_claim).and_then(Value::as_str).ok_or(Unauthorized)?;
        // As Kubernetes: an address that the issuer says is not verified is nobody's.
        if self.username_claim == "email" && claims.get("email_verified").is_some_and(|is| *is != Value::Bool(true)) {
            return Err(Unauthorized);
        }
        let name = format!("{}{name}", self.username_prefix);
        if name.len() == self.username_prefix.len() || !is_foreign_name(&name) || name == USER_ADMIN {
            return Err(Unauthorized);
        }
        let mut user = User::new(&name, "", []);
        user.groups = self.groups(claims)?;
        user.groups.push(GROUP_AUTHENTICATED.to_owned());
        if let Some(id) = claims.get("jti").and_then(Value::as_str).filter(|id| is_foreign_name(id)) {
            user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("JTI={id}")]);
        }
        Ok(user)
    }

    /// Groups that only this server gives are left out.
    fn groups(&self, claims: &Map<String, Value>) -> Result<Vec<String>, Unauthorized> {
        let claimed = match self.groups_claim.as_ref().and_then(|claim| claims.get(claim)) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(groups)) => groups.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        if claimed.len() > GROUPS_MAX {
            return Err(Unauthorized);
        }
        let mut groups = Vec::new();
        for group in claimed {
            let group = group.as_str().ok_or(Unauthorized)?;
            let group = format!("{}{group}", self.groups_prefix);
            if is_foreign_name(&group) && !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}

/// Whether somebody outside may have this name, or be in a group of this name.
pub(super) fn is_foreign_name(name: &str) -> bool {
    let is_ours = name.get(..SYSTEM_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM_PREFIX));
    !is_ours && (1..=NAME_MAX_BYTES).contains(&name.len()) && !name.chars().any(char::is_control) && name.trim() == name
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// Key and algorithm that a header names. Other fields are ignored, save those that would change what the signature
/// means (RFC 7515, 4.1.11; RFC 7797), and kinds of token that are no proof of who somebody is.
fn read_header(header: &Map<String, Value>) -> Result<(Option<&str>, Algorithm), Unauthorized> {
    if ["crit", "b64", "zip"].iter().any(|field| header.contains_key(*field)) {
        return Err(Unauthorized);
    }
    let text = |field: &str| match header.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Unauthorized),
    };
    let is_known =
        |typ: &str| ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ));
    if text("typ")?.is_some_and(|typ| !is_known(typ)) {
        return Err(Unauthorized);
    }
    let algorithm = match text("alg")? {
        Some("RS256") => Algorithm::RS256,
        Some("RS384") => Algorithm::RS384,
        Some("RS512") => Algorithm::RS512,
        Some("PS256") => Algorithm::PS256,
        Some("PS384") => Algorithm::PS384,
        Some("PS512") => Algorithm::PS512,
        Some("ES256") => Algorithm::ES256,
        Some("ES384") => Algorithm::ES384,
        Some("EdDSA") => Algorithm::EdDSA,
        _ => return Err(Unauthorized),
    };
    Ok((text("kid")?, algorithm))
}

/// The key of this name for this algorithm. Without a name, the only key there is.
fn find<'a>(keys: &'a [OutsideKey], kid: Option<&str>, algorithm: Algorithm) -> Option<&'a OutsideKey> {
    let key = match (kid, keys) {
        (None, [only]) => only,
        (None, _) => return None,
        (Some(kid), _) => keys.iter().find(|key| key.kid.as_deref() == Some(kid) && key.suits(algorithm))?,
    };
    key.suits(algorithm).then_some(key)
}

impl OutsideKey {
    fn suits(&self, algorithm: Algorithm) -> bool {
        let family = match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Family::Rsa,
            Algorithm::ES256 => Family::P256,
            Algorithm::ES384 => Family::P384,
            Algorithm::EdDSA => Family::Ed25519,
            _ => return false,
        };
        self.family == family && self.only.is_none_or(|only| only == algorithm)
    }

    /// `None` for keys that are for something else: other algorithms, encryption, shared secrets.
    fn read(value: &Value) -> Option<Self> {
        let key = Jwk::deserialize(value).ok()?;
        if key.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
            return None;
        }
        let (family, bytes) = match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => (Family::Rsa, format!("{}.{}", rsa.n, rsa.e)),
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => (Family::P256, format!("{}.{}", point.x, point.y)),
                EllipticCurve::P384 => (Family::P384, format!("{}.{}", point.x, point.y)),
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (Family::Ed25519, pair.x.clone())
            }
            _ => return None,
        };
        let only = match key.common.key_algorithm {
            None => None,
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
        };
        let decoding = DecodingKey::from_jwk(&key).ok()?;
        Some(Self { kid: key.common.key_id, only, family, decoding, bytes: bytes.into_bytes().into() })
    }
}

fn read_key_set(bytes: &[u8]) -> Result<Vec<OutsideKey>, FetchFailed> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    let failed = |why: &str| FetchFailed(why.to_owned());
    if bytes.len() > JWKS_MAX_BYTES {
        return Err(failed("the key set is larger than 64 KiB"));
    }
    let set: KeySet = serde_json::from_slice(bytes).map_err(|_| failed("this is no JSON Web Key Set"))?;
    if set.keys.len() > KEYS_MAX {
        return Err(failed("the key set has more than 64 keys"));
    }
    let keys: Vec<OutsideKey> = set.keys.iter().filter_map(OutsideKey::read).collect();
    if keys.is_empty() {
        return Err(failed("the key set has no key that signs tokens"));
    }
    Ok(keys)
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
