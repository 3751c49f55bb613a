//! Who is asking: credentials → [`Identity`].
//!
//! What it never does: keep a token (only keyed hashes), answer why a credential is refused, or trust what a
//! token says without looking whether the account, the session and the key behind it still exist.

mod accounts;
mod admin;
mod identity;
mod login;
mod outcome;
mod outside;
mod service_accounts;
mod sessions;
mod settings;

use std::sync::Arc;

pub use self::accounts::{Accounts, NoAccounts, UserAccount};
pub use self::admin::{ADMIN_STATE_KEY, AdminToken, TokenHash};
pub use self::identity::{CertificateIdentity, Credential, Identity, Presented, TokenVerdict, Unauthorized};
pub use self::login::Record;
pub use self::outcome::{LoginError, Refusal, RefusalReason, SessionFacts, Tokens};
pub use self::outside::{
    DEFAULT_PREFIX, Fetch, FetchFailed, FetchKeys, FetchedKeys, JWKS_MAX_BYTES, JwksSource, OutsideIssuer,
    fetch_nothing,
};
pub use self::service_accounts::{MintError, MintedToken, TokenRequest};
pub use self::sessions::SessionId;
pub use self::settings::{SERVICE_ACCOUNT_TOKEN_MAX_SECONDS, Settings};
use crate::clock::SharedClock;
use crate::crypto::Keyring;
use crate::model::user::User;
use crate::store::{StateChange, Store, StoreError};

/// Checks credentials, and hands out tokens.
pub struct Authenticator {
    store: Store,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    settings: Settings,
    admin: admin::Admin,
}

impl Authenticator {
    /// Knows the administrator by the hash of the token, and what the store holds of keys, sessions and passwords.
    /// Makes signing keys at a first start.
    #[expect(clippy::unused_async, reason = "interface first")]
    pub async fn open(
        store: Store,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        settings: Settings,
        admin: TokenHash,
    ) -> Result<Self, StoreError> {
        Ok(Self { store, keyring, clock, settings, admin: admin::Admin::new(admin) })
    }

    /// `iss` of the tokens that this server signs, and the audience of those that are meant for it.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Moves whenever a credential that was good may have ended by other means than its time: a session ended, the
    /// administrator's token was replaced, a signing key was revoked.
    pub fn generation(&self) -> u64 {
        0
    }

    /// Replaces the administrator's token; the former one ends with this call.
    pub fn replace_admin(&self, hash: TokenHash) {
        self.admin.replace(hash);
    }

    /// Whether `token` is the administrator's.
    pub fn is_admin_token(&self, token: &[u8]) -> bool {
        self.admin.check(&self.keyring, token).is_some()
    }

    /// Who a request comes from. No credential is the anonymous user, not an error.
    pub fn authenticate(&self, presented: &Presented<'_>, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
        let _ = accounts;
        match presented.authorization.first().and_then(|header| bearer(header)) {
            Some(token) => {
                let hash = self.admin.check(&self.keyring, token).ok_or(Unauthorized)?;
                let credential = Credential::new(identity::Source::Admin(hash));
                Ok(Identity { user: Arc::new(User::admin()), credential })
            }
            None => Ok(Identity {
                user: Arc::new(User::anonymous()),
                credential: Credential::new(identity::Source::Anonymous),
            }),
        }
    }

    /// The same identity as it is now: with the groups that the user has now, or not at all any more. For streams
    /// that outlive their first check.
    pub fn current(&self, identity: &Identity, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
        let _ = accounts;
        Ok(identity.clone())
    }

    /// Whether a credential is still good.
    pub fn still_valid(&self, credential: &Credential, accounts: &dyn Accounts) -> bool {
        let _ = (credential, accounts);
        true
    }

    /// Whose token it is, for a TokenReview. Without audiences this server is the audience.
    pub fn token_user(&self, token: &[u8], audiences: &[String], accounts: &dyn Accounts) -> TokenVerdict {
        let _ = (token, audiences, accounts);
        TokenVerdict::Invalid
    }

    /// Makes a token of a service account. The caller has checked that the account, and the Secret if there is one,
    /// exist with these uids.
    pub fn mint(&self, request: &TokenRequest<'_>) -> Result<MintedToken, MintError> {
        let _ = request;
        Err(MintError::Unavailable)
    }

    /// `GET /openid/v1/jwks`: the keys of service accounts' tokens, as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({"keys": []})
    }

    /// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0, section 3).
    pub fn openid_configuration(&self) -> serde_json::Value {
        serde_json::json!({"issuer": self.settings.issuer})
    }

    /// Makes new signing keys. Tokens of the former ones stay valid until they end, or, with `revoke`, end now.
    #[expect(clippy::unused_async, reason = "interface first")]
    pub async fn rotate_signing_keys(&self, revoke: bool, audit: Option<Vec<u8>>) -> Result<(), StoreError> {
        let _ = (revoke, audit);
        Ok(())
    }

    /// What has to be done from time to time, about every minute: rotates keys, ends sessions, keeps what must
    /// survive a crash.
    #[expect(clippy::unused_async, reason = "interface first")]
    pub async fn tick(&self, accounts: &dyn Accounts) {
        let _ = (accounts, self.clock.unix_seconds(), &self.store);
    }
}

/// Key of the sealed row that holds a user's password hash. Remove it in the transaction that deletes the User.
pub fn password_key(uid: &str) -> String {
    format!("password/{uid}")
}

/// A password that may be set, hashed.
pub struct NewPassword {
    /// What to write in the transaction that changes the User.
    pub row: StateChange,
    /// `status.passwordSetAt`, seconds since the epoch.
    pub set_at_unix_seconds: i64,
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
