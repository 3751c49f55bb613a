//! Who is asking: credentials → [`Identity`].
//!
//! ```text
//!   password ──► throttle ──► Argon2id ──► session ──► access token (15 min), refresh token
//!                                             │
//!   Authorization, certificate, socket ──► authenticate ──► Identity { user, credential }
//!                                             │
//!                       account, session, key, uid: looked at for every request
//! ```
//!
//! What it never does: keep a password or a token (hashes of passwords are sealed, tokens are signed or counted),
//! answer why a credential is refused, or take from a token what the account, the session and the key behind it no
//! longer say. Nothing here knows HTTP, opens files or connections.

mod access_tokens;
mod accounts;
mod admin;
mod authenticate;
mod identity;
mod jwt;
mod legacy_tokens;
mod login;
mod outcome;
mod outside;
mod password_policy;
mod passwords;
mod revoked_certificates;
mod service_accounts;
mod sessions;
mod settings;
mod signing;
mod throttle;
mod time;
mod token_cache;

#[cfg(test)]
mod test_home;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::Mutex;

pub use self::accounts::{Accounts, NoAccounts, UserAccount};
pub use self::admin::{ADMIN_STATE_KEY, AdminToken, TokenHash};
pub use self::identity::{CertificateIdentity, Credential, Identity, Presented, TokenVerdict, Unauthorized};
pub use self::legacy_tokens::LegacyToken;
pub use self::login::{NewPassword, Record};
pub use self::outcome::{LoginError, Refusal, RefusalReason, SessionFacts, Tokens};
use self::outside::Outside;
pub use self::outside::{
    DEFAULT_PREFIX, Fetch, FetchFailed, FetchKeys, FetchedKeys, JWKS_MAX_BYTES, JwksSource, OutsideIssuer,
    fetch_nothing,
};
pub use self::password_policy::policy_problem;
use self::passwords::HashingQueue;
pub use self::passwords::{password_key, password_row};
use self::revoked_certificates::RevokedCertificates;
pub use self::revoked_certificates::{RevokeError, RevokedCertificate};
pub use self::service_accounts::{MintError, MintedToken, TokenRequest};
pub use self::sessions::SessionId;
use self::sessions::{ACCESS_SECONDS, Session, Sessions};
pub use self::settings::{SERVICE_ACCOUNT_TOKEN_MAX_SECONDS, Settings};
use self::signing::{KeySet, RotateError, SIGNING_KEYS, SigningKeys, TokenLives};
use self::throttle::Throttle;
use self::time::{EffectiveTime, Monotonic};
use self::token_cache::TokenCache;
use crate::clock::SharedClock;
use crate::crypto::Keyring;
use crate::model::user::User;
use crate::sensitive::SecretBytes;
use crate::store::{StateChange, Store, StoreError};

/// Key of the sealed row that holds the latest time seen.
const TIME_MARK: &str = "time-mark";
/// Key of the sealed row that holds who has to wait before the next attempt to sign in.
const LOGIN_THROTTLE: &str = "login-throttle";
/// The mark is stored when it has moved so far, and besides with every commit, in the head: after a crash, and with the clock set
/// back, no token could come back that ended before the last commit, and none that ended longer ago than this and a tick.
const MARK_EVERY_MILLIS: i64 = 300_000;

/// Checks credentials, and hands out tokens.
pub struct Authenticator {
    store: Store,
    keyring: Arc<Keyring>,
    time: Arc<EffectiveTime>,
    elapsed: Arc<dyn Fn() -> std::time::Duration + Send + Sync>,
    settings: Settings,
    admin: admin::Admin,
    administrator: Arc<User>,
    anonymous: Identity,
    keys: Arc<SigningKeys>,
    /// Held while keys are replaced.
    replacing_keys: Arc<Mutex<()>>,
    sessions: Arc<Sessions>,
    /// Which password of a user is in place, by the row's key: version of the row, generation of the password.
    generations: RwLock<HashMap<String, (u64, u64)>>,
    /// How often the administrator's token or signing keys were replaced.
    revoked: Arc<AtomicU64>,
    revoked_certificates: Arc<RevokedCertificates>,
    throttle: Throttle,
    hashing: HashingQueue,
    outside: Arc<Outside>,
    cache: TokenCache,
}

/// Why signing keys were not replaced.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// So many were replaced within the life of a token that the first would have to be dropped early.
    #[error("the signing keys were replaced too often within the life of a token: wait a day, or revoke them")]
    TooMany,
    /// The store does not write, or there is no randomness.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RotateError> for KeysError {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Random => Self::Store(StoreError::Random),
            RotateError::TooMany => Self::TooMany,
        }
    }
}

impl Authenticator {
    /// Knows the administrator by the hash of the token, and what the store holds of keys, sessions and passwords.
    /// Makes signing keys at a first start; where nothing can be written, goes on without.
    pub async fn open(
        store: Store,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        settings: Settings,
        admin: TokenHash,
    ) -> Result<Self, StoreError> {
        let begun = Instant::now();
        Self::open_with(store, keyring, clock, settings, admin, Arc::new(move || begun.elapsed())).await
    }

    async fn open_with(
        store: Store,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        settings: Settings,
        admin: TokenHash,
        elapsed: Arc<dyn Fn() -> std::time::Duration + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let monotonic: Monotonic = Box::new({
            let elapsed = Arc::clone(&elapsed);
            move || elapsed()
        });
        let time = Arc::new(EffectiveTime::new(clock, monotonic, latest_mark(&store)?));
        let mark = Arc::clone(&time);
        store.mark_time(Box::new(move || mark.mark_millis().div_euclid(1_000)));
        let keys = match store.read_state(SIGNING_KEYS)? {
            None => KeySet::default(),
            Some(row) => KeySet::decode(&row).ok_or_else(|| StoreError::Integrity("the signing keys".to_owned()))?,
        };
        let throttle = Throttle::default();
        restore_throttle(&throttle, &store)?;
        let revoked_certificates = RevokedCertificates::open(&store)?;
        let anonymous = Credential::new(identity::Source::Anonymous);
        let authenticator = Self {
            sessions: Arc::new(Sessions::open(store.clone(), Arc::clone(&keyring))?),
            outside: Arc::new(Outside::new(settings.outside.clone(), Arc::clone(&settings.fetch))),
            hashing: HashingQueue::new(std::thread::available_parallelism().map_or(1, usize::from)),
            store,
            keyring,
            time,
            elapsed,
            settings,
            admin: admin::Admin::new(admin),
            administrator: Arc::new(User::admin()),
            anonymous: Identity { user: Arc::new(User::anonymous()), credential: anonymous },
            keys: Arc::new(SigningKeys::new(keys)),
            replacing_keys: Arc::default(),
            generations: RwLock::default(),
            revoked: Arc::default(),
            revoked_certificates: Arc::new(revoked_certificates),
            throttle,
            cache: TokenCache::new(),
        };
        match authenticator.renew_keys().await {
            Ok(()) => {}
            Err(KeysError::Store(error @ StoreError::ReadOnly(_))) => {
                tracing::warn!(%error, "no signing keys were made");
            }
            Err(KeysError::Store(error)) => return Err(error),
            Err(error @ KeysError::TooMany) => tracing::warn!(%error, "no signing keys were made"),
        }
        Ok(authenticator)
    }

    /// Moves whenever a credential that was good may have ended by other means than its time: a session ended, the
    /// administrator's token was replaced, a signing key or a certificate was revoked.
    pub fn revocations(&self) -> u64 {
        self.revoked.load(Ordering::Acquire) + self.sessions.ends() + self.revoked_certificates.count()
    }

    /// Replaces the administrator's token; the former one ends with this call.
    pub fn replace_admin(&self, hash: TokenHash) {
        self.admin.replace(hash);
        self.revoked.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether `token` is the administrator's.
    pub fn is_admin_token(&self, token: &[u8]) -> bool {
        self.admin.check(&self.keyring, token).is_some()
    }

    /// Makes a token of a service account. The caller has checked that the account, and the Secret if there is one,
    /// exist with these uids.
    pub fn mint(&self, request: &TokenRequest<'_>) -> Result<MintedToken, MintError> {
        let (issuer, epoch) = (&self.settings.issuer, self.store.restore_epoch());
        let longest = self.settings.service_account_token_max_seconds;
        service_accounts::mint(request, &self.keys.current(), issuer, epoch, self.time.unix_seconds(), longest)
    }

    /// `iss` of the tokens signed here, and the audience of this server.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// `GET /openid/v1/jwks`: the keys of service accounts' tokens, as a JSON Web Key Set (RFC 7517). Those of users'
    /// access tokens are nobody else's business.
    pub fn jwks(&self) -> Value {
        self.keys.current().jwks(self.time.unix_seconds(), self.lives())
    }

    /// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0, section 3), as Kubernetes gives it.
    pub fn openid_configuration(&self) -> Value {
        openid_configuration(&self.settings.issuer)
    }

    /// Makes new signing keys. Tokens of the former ones stay valid until they end, or, with `revoke`, end now; users
    /// then go on with their refresh tokens. The key of tokens that never end is replaced only with `revoke`.
    pub async fn rotate_signing_keys(&self, revoke: bool, audit: Option<Vec<u8>>) -> Result<(), KeysError> {
        let turn = Arc::clone(&self.replacing_keys).lock_owned().await;
        let set = self.keys.current().rotated(revoke, self.time.unix_seconds(), self.lives())?;
        self.replace_keys(set, audit, turn).await
    }

    /// Takes the clock's time as the right one, also where it is earlier than a time seen before. Tokens that had
    /// expired by the time seen before may count again.
    pub async fn accept_clock(&self, audit: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.time.accept_clock();
        self.store.write_state(vec![mark_row(self.time.mark_millis())], audit).await
    }

    /// What has to be done from time to time, about every minute: renews keys, ends sessions, keeps what must survive
    /// a crash, fetches key sets. What fails is told to the log and tried again the next time.
    pub async fn tick(&self, accounts: &dyn Accounts) {
        let failed = |error: &dyn std::fmt::Display, what| tracing::warn!(%error, "{what}");
        if let Err(error) = self.renew_keys().await {
            failed(&error, "the signing keys were not renewed");
        }
        let may_go_on = |session: &Session| self.may_go_on(session, accounts);
        if let Err(error) = self.sessions.clean(self.time.unix_seconds(), may_go_on).await {
            failed(&error, "sessions that are over were not removed");
        }
        if let Err(error) = self.clean_revoked_certificates(accounts).await {
            failed(&error, "revoked certificates that are over were not forgotten");
        }
        self.keep().await;
        self.outside.fetch_due((self.elapsed)()).await;
    }

    /// Stores what a restart must not forget: the latest time, and who has to wait before the next attempt to sign in.
    pub async fn keep(&self) {
        let mut rows = Vec::new();
        let mark = self.time.mark_millis();
        match stored_mark(&self.store) {
            Ok(stored) if stored.is_some_and(|stored| mark.saturating_sub(stored) < MARK_EVERY_MILLIS) => {}
            _ => rows.push(mark_row(mark)),
        }
        let throttled = self.throttle.changed(self.time.unix_millis());
        let is_throttled = throttled.is_some();
        rows.extend(throttled.map(|waits| StateChange::put(LOGIN_THROTTLE, SecretBytes::new(waits))));
        if !rows.is_empty()
            && let Err(error) = self.store.write_state(rows, None).await
        {
            if is_throttled {
                self.throttle.not_stored();
            }
            tracing::warn!(%error, "the latest time and who has to wait were not stored");
        }
    }

    /// Sessions of users who have signed in.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    async fn renew_keys(&self) -> Result<(), KeysError> {
        let turn = Arc::clone(&self.replacing_keys).lock_owned().await;
        match self.keys.current().due(self.time.unix_seconds(), self.lives())? {
            Some(set) => self.replace_keys(set, None, turn).await,
            None => Ok(()),
        }
    }

    /// On the disk first, then in use; on its own, for a client that goes away must not leave the former keys in use.
    async fn replace_keys(
        &self,
        set: KeySet,
        audit: Option<Vec<u8>>,
        turn: tokio::sync::OwnedMutexGuard<()>,
    ) -> Result<(), KeysError> {
        let (store, keys, revoked) = (self.store.clone(), Arc::clone(&self.keys), Arc::clone(&self.revoked));
        let replacing = tokio::spawn(async move {
            let _turn = turn;
            store.write_state(vec![StateChange::put(SIGNING_KEYS, set.encode())], audit).await?;
            keys.replace(set);
            revoked.fetch_add(1, Ordering::AcqRel);
            Ok(())
        });
        replacing.await.unwrap_or(Err(StoreError::Closed)).map_err(KeysError::Store)
    }

    fn lives(&self) -> TokenLives {
        TokenLives {
            users_seconds: ACCESS_SECONDS,
            service_accounts_seconds: self.settings.service_account_token_max_seconds,
            has_legacy: self.settings.legacy_tokens,
        }
    }
}

/// OpenID Connect's discovery document of an issuer whose tokens are signed here.
pub fn openid_configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [signing::Purpose::ServiceAccounts.algorithm_name()],
    })
}

fn mark_row(millis: i64) -> StateChange {
    StateChange::put(TIME_MARK, SecretBytes::new(millis.to_be_bytes().to_vec()))
}

#[expect(clippy::disallowed_methods, reason = "a time is no secret")]
fn stored_mark(store: &Store) -> Result<Option<i64>, StoreError> {
    let row = store.read_state(TIME_MARK)?;
    Ok(row.and_then(|row| row.expose().try_into().ok()).map(i64::from_be_bytes))
}

/// The later one of the stored mark and the time of the last commit.
fn latest_mark(store: &Store) -> Result<Option<i64>, StoreError> {
    let committed = Some(store.time_high_water()).filter(|seconds| *seconds != 0);
    Ok(stored_mark(store)?.max(committed.map(|seconds| seconds.saturating_mul(1_000))))
}

#[expect(clippy::disallowed_methods, reason = "who has to wait is no secret")]
fn restore_throttle(throttle: &Throttle, store: &Store) -> Result<(), StoreError> {
    if let Some(row) = store.read_state(LOGIN_THROTTLE)? {
        throttle.restore(row.expose());
    }
    Ok(())
}

#[cfg(test)]
mod clock_tests;
