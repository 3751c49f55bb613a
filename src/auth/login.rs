//! Signing in and out: passwords and refresh tokens → [`Tokens`].
//!
//! Whatever is wrong with a name or a password takes the same time and gets the same answer: a user who does not
//! exist, or has no password, is checked against a hash that no password has.

use std::net::IpAddr;
use std::sync::Arc;

use super::Authenticator;
use super::access_tokens::AccessToken;
use super::accounts::{Accounts, UserAccount};
use super::identity::{Identity, Source};
use super::outcome::{LoginError, Refusal, RefusalReason, SessionFacts, Tokens};
use super::password_policy::{normalise, policy_problem};
use super::passwords::{Busy, StoredPassword, password_key, password_row};
use super::sessions::{ACCESS_SECONDS, Grant, NotRefreshed};
use super::throttle::{AccountKey, Network, canonical_name};
use crate::crypto::{PasswordError, Verified, hash_of_nothing, hash_password, verify_password};
use crate::sensitive::SecretBytes;
use crate::store::{StateChange, StoreError};

/// The purpose under which the names of attempts are hashed.
const NAME_PURPOSE: &str = "login-name";
/// Generations are exact numbers in every JSON reader.
const GENERATION_BITS: u64 = (1 << 53) - 1;

/// Makes the audit record of a change to a session, which is written with the change.
pub type Record = Box<dyn FnOnce(&SessionFacts) -> Vec<u8> + Send>;

/// A password that may be set, hashed.
pub struct NewPassword {
    /// What to write in the transaction that changes the User.
    pub row: StateChange,
    /// The number by which this password is told from others of the user.
    pub generation: u64,
    /// `status.passwordSetAt`, seconds since the epoch.
    pub set_at_unix_seconds: i64,
}

/// What checking a password came to.
struct Checked {
    outcome: Result<Verified, PasswordError>,
    /// The password hashed anew, where it was hashed at a lower cost than is wanted.
    rehashed: Option<SecretBytes>,
}

/// A user who has proved to know the password.
struct Proved {
    account: Arc<UserAccount>,
    password: StoredPassword,
    /// Version of the row that the password is in.
    version: u64,
    rehashed: Option<SecretBytes>,
}

impl Authenticator {
    /// Signs a user in. `client` is the peer's address, `None` on the local socket.
    pub async fn login(
        &self,
        username: &str,
        password: SecretBytes,
        client: Option<IpAddr>,
        accounts: &dyn Accounts,
        record: Record,
    ) -> Result<Tokens, LoginError> {
        let proved = self.prove(username, password, client, accounts).await?;
        let Proved { account, password, version, rehashed } = proved;
        let (now, uid) = (self.time.unix_seconds(), account.uid.as_str());
        let rehashed = rehashed.map(|phc| password_row(uid, &phc, password.generation, password.set_at).over(version));
        let subject = (username, uid, password.generation);
        match self.sessions.begin(subject, now, rehashed.into_iter().collect(), record).await {
            Ok(grant) => self.tokens(grant, now),
            // The password was changed while this one was looked at.
            Err(StoreError::Superseded) => Err(refused(Some(username), RefusalReason::WrongPassword)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Exchanges a refresh token for new tokens.
    pub async fn refresh(
        &self,
        refresh_token: SecretBytes,
        accounts: &dyn Accounts,
        record: Record,
    ) -> Result<Tokens, LoginError> {
        let now = self.time.unix_seconds();
        let may_go_on = |session: &_| self.may_go_on(session, accounts);
        match self.sessions.refresh(&refresh_token, now, may_go_on, record).await {
            Ok(grant) => self.tokens(grant, now),
            Err(NotRefreshed::Unknown) => Err(refused(None, RefusalReason::UnknownToken)),
            Err(NotRefreshed::Over(facts)) => Err(refused(Some(&facts.user), RefusalReason::SessionOver)),
            Err(NotRefreshed::Spent(facts)) => Err(refused(Some(&facts.user), RefusalReason::SpentToken)),
            Err(NotRefreshed::Store(error)) => Err(unavailable(&error)),
        }
    }

    /// Ends the session of a bearer token. Other credentials have none: [`RefusalReason::UnknownToken`].
    pub async fn logout(&self, identity: &Identity, record: Record) -> Result<SessionFacts, LoginError> {
        let unknown = || refused(Some(&identity.user.name), RefusalReason::UnknownToken);
        let session = identity.credential.session().ok_or_else(unknown)?;
        let ended = self.sessions.end(session, record).await.ok_or_else(unknown)?;
        ended.map_err(|error| unavailable(&error))
    }

    /// Ends the session of a refresh token, spent or not.
    pub async fn logout_by_refresh_token(
        &self,
        refresh_token: SecretBytes,
        record: Record,
    ) -> Result<SessionFacts, LoginError> {
        let unknown = || refused(None, RefusalReason::UnknownToken);
        let session = self.sessions.of_token(&refresh_token).ok_or_else(unknown)?;
        let ended = self.sessions.end(session, record).await.ok_or_else(unknown)?;
        ended.map_err(|error| unavailable(&error))
    }

    /// Sets one's own password; every other session of the user ends. The former tokens of this session are void too:
    /// the client goes on with those returned. The old password counts as an attempt to sign in.
    pub async fn change_own_password(
        &self,
        identity: &Identity,
        old: SecretBytes,
        new: SecretBytes,
        client: Option<IpAddr>,
        accounts: &dyn Accounts,
        record: Record,
    ) -> Result<Tokens, LoginError> {
        let unknown = || refused(Some(&identity.user.name), RefusalReason::UnknownToken);
        let Source::Session(token) = &*identity.credential.0 else { return Err(unknown()) };
        let proved = self.prove(&token.user, old, client, accounts).await?;
        let Proved { account, version, .. } = proved;
        if account.uid != token.uid {
            return Err(unknown());
        }
        let made = self.new_password(&token.user, &token.uid, new).await?;
        let now = self.time.unix_seconds();
        let row = made.row.over(version);
        match self.sessions.go_on(token.session, made.generation, now, row, record).await.ok_or_else(unknown)? {
            Ok(grant) => {
                // They are over already, for they were begun with another password. Here they are removed.
                if let Err(error) = self.sessions.end_all(&token.uid, Some(token.session), None).await {
                    tracing::warn!(%error, "sessions that are over were not removed");
                }
                self.tokens(grant, now)
            }
            Err(StoreError::Superseded) => Err(refused(Some(&token.user), RefusalReason::WrongPassword)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Checks and hashes a new password for the User of this name and uid, for a caller that writes it together with
    /// the User. Once it is written every session of the user is over.
    pub async fn new_password(&self, user: &str, uid: &str, password: SecretBytes) -> Result<NewPassword, LoginError> {
        const NOT_TEXT: LoginError = LoginError::Password("the password must be text of 12 to 1024 bytes");
        let password = normalise(&password).ok_or(NOT_TEXT)?;
        if let Some(problem) = policy_problem(user, &password) {
            return Err(LoginError::Password(problem));
        }
        let cost = self.settings.password_cost;
        let hashed = self.hashing.run(move || hash_password(&password, cost)).await.map_err(busy)?;
        let phc = hashed.map_err(|error| {
            tracing::error!(%error, "a password was not hashed");
            LoginError::Unavailable
        })?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| LoginError::Unavailable)?;
        let generation = (u64::from_be_bytes(random) & GENERATION_BITS).max(1);
        let set_at_unix_seconds = self.time.unix_seconds();
        let row = password_row(uid, &phc, generation, set_at_unix_seconds);
        Ok(NewPassword { row, generation, set_at_unix_seconds })
    }

    /// Ends every session of a user; how many those were.
    pub async fn end_sessions(&self, uid: &str, audit: Option<Vec<u8>>) -> Result<usize, LoginError> {
        self.sessions.end_all(uid, None, audit).await.map_err(|error| unavailable(&error))
    }

    /// Whether somebody knows a user's password. The same path, the same time and the same error for whatever is
    /// wrong.
    async fn prove(
        &self,
        username: &str,
        password: SecretBytes,
        client: Option<IpAddr>,
        accounts: &dyn Accounts,
    ) -> Result<Proved, LoginError> {
        let (name, network) = (self.account_key(username), Network::of(client));
        self.throttle
            .begin(name, network, self.time.unix_millis())
            .map_err(|locked| LoginError::Throttled { retry_after_seconds: locked.retry_after_seconds })?;
        let abandoned = |error| {
            self.throttle.abandoned(name, network);
            error
        };
        let account = accounts.user(username);
        let key = password_key(account.as_ref().map_or("", |account| &account.uid));
        let version = self.store.state_version(&key);
        let stored = self.stored_password(&key).map_err(|error| abandoned(unavailable(&error)))?;
        let checked = self.check(password, stored.as_ref()).await.map_err(abandoned)?;
        let refuse = |reason| Err(refused(account.as_ref().map(|_| username), reason));
        match checked.outcome {
            Ok(_) => {}
            Err(PasswordError::Wrong) => {
                return refuse(match (&account, &stored) {
                    (None, _) => RefusalReason::UnknownUser,
                    (Some(_), None) => RefusalReason::NoPassword,
                    (Some(_), Some(_)) => RefusalReason::WrongPassword,
                });
            }
            Err(PasswordError::Malformed) => {
                tracing::error!("a stored password hash is not one that this release makes: set the password again");
                return refuse(RefusalReason::NoPassword);
            }
            Err(error @ (PasswordError::OutOfMemory | PasswordError::Random)) => {
                tracing::error!(%error, "a password was not checked");
                return Err(abandoned(LoginError::Unavailable));
            }
        }
        // It took a while: the user may be gone or have another password by now.
        let (Some(before), Some(now), Some(password), Some(version)) =
            (&account, accounts.user(username), stored, version)
        else {
            return refuse(RefusalReason::UnknownUser);
        };
        if now.uid != before.uid || self.store.state_version(&key) != Some(version) {
            return refuse(RefusalReason::WrongPassword);
        }
        if now.disabled {
            return refuse(RefusalReason::Disabled);
        }
        self.throttle.succeeded(name, network);
        Ok(Proved { account: now, password, version, rehashed: checked.rehashed })
    }

    async fn check(&self, password: SecretBytes, stored: Option<&StoredPassword>) -> Result<Checked, LoginError> {
        // What is no text, or longer than any password, is looked at as the empty password, which nobody has.
        let password = normalise(&password).unwrap_or_else(|| SecretBytes::new(Vec::new()));
        let cost = self.settings.password_cost;
        let phc = match stored {
            Some(stored) => stored.phc.duplicate(),
            None => hash_of_nothing(cost).map_err(|_| LoginError::Unavailable)?,
        };
        let work = move || {
            let outcome = verify_password(&phc, &password, cost);
            let needs_rehash = matches!(outcome, Ok(Verified { needs_rehash: true }));
            // A hash that cannot be made better now is made better the next time.
            let rehashed = needs_rehash.then(|| hash_password(&password, cost).ok()).flatten();
            Checked { outcome, rehashed }
        };
        self.hashing.run(work).await.map_err(busy)
    }

    fn account_key(&self, username: &str) -> AccountKey {
        self.keyring.lookup_hash(NAME_PURPOSE, canonical_name(username).as_bytes())
    }

    fn tokens(&self, grant: Grant, now: i64) -> Result<Tokens, LoginError> {
        let Grant { id, session, refresh_token, refresh_expires_in_seconds, facts } = grant;
        let access = AccessToken { user: session.user, uid: session.uid, session: id, generation: session.generation };
        let signed = access.sign(&self.keys.current(), &self.settings.issuer, self.store.restore_epoch(), now);
        let access_token = signed.ok_or_else(|| {
            tracing::error!("an access token could not be signed");
            LoginError::Unavailable
        })?;
        let expires_in_seconds = ACCESS_SECONDS;
        Ok(Tokens { access_token, expires_in_seconds, refresh_token, refresh_expires_in_seconds, facts })
    }
}

fn refused(user: Option<&str>, reason: RefusalReason) -> LoginError {
    LoginError::Invalid(Refusal { user: user.map(str::to_owned), reason })
}

fn busy(busy: Busy) -> LoginError {
    LoginError::Busy { retry_after_seconds: busy.retry_after_seconds }
}

fn unavailable(error: &StoreError) -> LoginError {
    tracing::error!(%error, "nobody can sign in or out: the store failed");
    LoginError::Unavailable
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
