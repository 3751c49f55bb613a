//! Tokens of service accounts that never end, as Kubernetes puts them into Secrets of type
//! `kubernetes.io/service-account-token`. Made and accepted only where [`super::Settings::legacy_tokens`] says so.
//!
//! Such a token is good for as long as its Secret holds it: with every request the account's uid and the Secret are
//! looked at, and the Secret must be there, not be going, and hold this very token. A key of their own signs them, so
//! that they are never taken for a token that ends, nor the other way round; it is not published, for nobody but this
//! server can tell whether the Secret is still there.
//!
//! Source: `pkg/serviceaccount/legacy.go` of Kubernetes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::access_tokens::OwnHeader;
use super::accounts::Accounts;
use super::identity::{Credential, HeldToken, Identity, Source, Unauthorized};
use super::jwt::{self, SignError, Unverified};
use super::service_accounts::{MintError, subject};
use super::signing::{KeySet, Purpose};
use super::{Arc, Authenticator};
use crate::model::user::User;
use crate::sensitive::SecretBytes;

/// `iss` of these tokens, whatever the server is called.
pub(super) const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// Whose token it is, and where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyToken<'a> {
    /// Namespace of the service account and of the Secret.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub secret: &'a str,
    /// Name of the service account.
    pub account: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    account: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
    sub: String,
    /// The store's epoch, where it is not the first: a restored backup brings no token back.
    #[serde(default, skip_serializing_if = "is_first")]
    ep: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_first(epoch: &u64) -> bool {
    *epoch == 0
}

/// Makes a token.
fn mint(token: &LegacyToken<'_>, keys: &KeySet, epoch: u64) -> Result<SecretBytes, MintError> {
    let purpose = Purpose::LegacyTokens;
    let (key, signing) = keys.signer(purpose).ok_or(MintError::Unavailable)?;
    let claims = Claims {
        iss: LEGACY_ISSUER.to_owned(),
        namespace: token.namespace.to_owned(),
        secret: token.secret.to_owned(),
        account: token.account.to_owned(),
        uid: token.uid.to_owned(),
        sub: subject(token.namespace, token.account),
        ep: epoch,
    };
    let header = OwnHeader { alg: purpose.algorithm_name(), kid: &key.kid, typ: None };
    jwt::sign(&header, &claims, signing, purpose.algorithm()).map_err(|error| match error {
        SignError::TooLong => MintError::TooLarge,
        SignError::Key => MintError::Unavailable,
    })
}

/// Reads the claims of a token whose signature is good.
fn read(claims: &Map<String, Value>, epoch: u64) -> Result<Claims, Unauthorized> {
    let claims: Claims = jwt::typed(claims)?;
    let is_ours = claims.iss == LEGACY_ISSUER
        && claims.ep == epoch
        && claims.sub == subject(&claims.namespace, &claims.account)
        && ![&claims.namespace, &claims.account, &claims.secret, &claims.uid].iter().any(|text| text.is_empty());
    if is_ours { Ok(claims) } else { Err(Unauthorized) }
}

impl Authenticator {
    /// Makes a token that is good for as long as the Secret holds it. The caller has checked that account and Secret
    /// exist, and puts it there.
    pub fn make_legacy_token(&self, token: &LegacyToken<'_>) -> Result<SecretBytes, MintError> {
        if !self.settings.legacy_tokens {
            return Err(MintError::Unavailable);
        }
        mint(token, &self.keys.current(), self.store.restore_epoch())
    }

    /// Whom a token of this kind stands for. `sha256` is the token's own.
    pub(super) fn legacy_token(
        &self,
        token: &Unverified<'_>,
        sha256: [u8; 32],
        accounts: &dyn Accounts,
    ) -> Result<Identity, Unauthorized> {
        if !self.settings.legacy_tokens {
            return Err(Unauthorized);
        }
        let key = self.verify_own(token, self.time.unix_seconds())?;
        if key.purpose != Purpose::LegacyTokens {
            return Err(Unauthorized);
        }
        let claims = read(&token.claims, self.store.restore_epoch())?;
        let user = User::service_account(&claims.namespace, &claims.account, &claims.uid);
        let held = HeldToken {
            namespace: claims.namespace,
            secret: claims.secret,
            account: claims.account,
            uid: claims.uid,
            sha256,
            key: Arc::clone(&key.kid),
        };
        self.check_held(&held, accounts)?;
        Ok(Identity { user: Arc::new(user), credential: Credential::new(Source::LegacyToken(held)) })
    }

    /// Whether the token still counts.
    pub(super) fn check_held(&self, token: &HeldToken, accounts: &dyn Accounts) -> Result<(), Unauthorized> {
        self.check_key(&token.key, self.time.unix_seconds())?;
        let is_live = self.settings.legacy_tokens
            && accounts.service_account_uid(&token.namespace, &token.account).as_ref() == Some(&token.uid)
            && accounts.secret_holds_token(&token.namespace, &token.secret, &token.sha256);
        if is_live { Ok(()) } else { Err(Unauthorized) }
    }
}

#[cfg(test)]
#[path = "legacy_tokens_tests.rs"]
mod tests;
