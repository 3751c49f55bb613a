//! Users' access tokens: JWTs of type `at+jwt` (RFC 9068 in form; nobody but this server reads them).

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::identity::Unauthorized;
use super::jwt::{self, Times};
use super::sessions::{ACCESS_SECONDS, SessionId};
use super::signing::{KeySet, Purpose};
use crate::sensitive::SecretBytes;

/// `typ` in the header of users' access tokens. Those of service accounts have none, as in Kubernetes, so that the
/// one kind can never be taken for the other.
pub const ACCESS_TYPE: &str = "at+jwt";

/// The header of our own tokens; there is nothing else in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnHeader<'a> {
    /// The key's algorithm.
    pub alg: &'a str,
    /// The key.
    pub kid: &'a str,
    /// The kind of token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    uid: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    /// The session.
    sid: String,
    /// The store's epoch: a restored backup brings no token back.
    ep: u64,
    /// The password with which the session was begun.
    pg: u64,
}

/// What an access token says.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Name of the User.
    pub user: String,
    /// Uid of the User.
    pub uid: String,
    /// The session.
    pub session: SessionId,
    /// The password with which the session was begun.
    pub generation: u64,
}

impl AccessToken {
    /// Signs a token that is made now. `None` if it cannot be signed.
    pub fn sign(&self, keys: &KeySet, issuer: &str, epoch: u64, now: i64) -> Option<SecretBytes> {
        let (key, signing) = keys.signer(Purpose::Users)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let times = Times::made(now, ACCESS_SECONDS);
        let claims = Claims {
            iss: issuer.to_owned(),
            aud: issuer.to_owned(),
            sub: self.user.clone(),
            uid: self.uid.clone(),
            exp: times.expires,
            nbf: times.not_before,
            iat: times.issued,
            jti: hex::encode(id),
            sid: self.session.to_string(),
            ep: epoch,
            pg: self.generation,
        };
        let header = OwnHeader { alg: Purpose::Users.algorithm_name(), kid: &key.kid, typ: Some(ACCESS_TYPE) };
        jwt::sign(&header, &claims, signing, Algorithm::EdDSA).ok()
    }

    /// Reads the claims of a token whose signature is good, and when it ends.
    pub fn read(claims: &Map<String, Value>, issuer: &str, epoch: u64, now: i64) -> Result<(Self, i64), Unauthorized> {
        let claims: Claims = jwt::typed(claims)?;
        if claims.iss != issuer || claims.aud != issuer || claims.ep != epoch {
            return Err(Unauthorized);
        }
        let times = Times { expires: claims.exp, not_before: claims.nbf, issued: claims.iat };
        let expires = times.check(now, ACCESS_SECONDS)?;
        let session = SessionId::parse(&claims.sid).ok_or(Unauthorized)?;
        Ok((Self { user: claims.sub, uid: claims.uid, session, generation: claims.pg }, expires))
    }
}
