//! Signing in and out: passwords and refresh tokens → [`Tokens`].

use std::net::IpAddr;

use super::accounts::Accounts;
use super::identity::Identity;
use super::outcome::{LoginError, SessionFacts, Tokens};
use super::{Authenticator, NewPassword};
use crate::sensitive::SecretBytes;

/// Makes the audit record of a change to a session, which is written with the change.
pub type Record = Box<dyn FnOnce(&SessionFacts) -> Vec<u8> + Send>;

#[expect(clippy::unused_async, reason = "interface first")]
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
        drop((username, password, client, accounts.user(username), record));
        Err(LoginError::Unavailable)
    }

    /// Exchanges a refresh token for new tokens.
    pub async fn refresh(
        &self,
        refresh_token: SecretBytes,
        accounts: &dyn Accounts,
        record: Record,
    ) -> Result<Tokens, LoginError> {
        drop((refresh_token, accounts.user(""), record));
        Err(LoginError::Unavailable)
    }

    /// Ends the session of a bearer token. `Err` if the identity has no session.
    pub async fn logout(&self, identity: &Identity, record: Record) -> Result<SessionFacts, LoginError> {
        drop((identity.credential.session(), record));
        Err(LoginError::Unavailable)
    }

    /// Ends the session of a refresh token.
    pub async fn logout_by_refresh_token(
        &self,
        refresh_token: SecretBytes,
        record: Record,
    ) -> Result<SessionFacts, LoginError> {
        drop((refresh_token, record));
        Err(LoginError::Unavailable)
    }

    /// Sets one's own password; every other session of the user ends. The former tokens of this session are void too:
    /// the client goes on with those returned.
    pub async fn change_own_password(
        &self,
        identity: &Identity,
        old: SecretBytes,
        new: SecretBytes,
        client: Option<IpAddr>,
        accounts: &dyn Accounts,
        record: Record,
    ) -> Result<Tokens, LoginError> {
        drop((identity.credential.session(), old, new, client, accounts.user(""), record));
        Err(LoginError::Unavailable)
    }

    /// Checks and hashes a new password for the User of this name and uid, for a caller that writes it together with
    /// the User. Once it is written every session of the user has ended.
    pub async fn new_password(&self, user: &str, uid: &str, password: SecretBytes) -> Result<NewPassword, LoginError> {
        drop((user.len(), uid.len(), password));
        Err(LoginError::Unavailable)
    }

    /// Ends every session of a user.
    pub async fn end_sessions(&self, uid: &str, audit: Option<Vec<u8>>) -> Result<usize, LoginError> {
        drop((uid.len(), audit));
        Err(LoginError::Unavailable)
    }
}
