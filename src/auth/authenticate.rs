//! From what a request presents to who it comes from, and the same again for what was recognised before.
//!
//! One credential decides. What is ambiguous is refused: two `Authorization` headers, a bearer token of somebody else
//! than the certificate. The hot paths (the administrator's token, a token that was checked before) neither verify
//! signatures nor allocate much.

use std::sync::{Arc, PoisonError};

use jsonwebtoken::Algorithm;
use sha2::{Digest as _, Sha256};

use super::access_tokens::{ACCESS_TYPE, AccessToken, OwnHeader};
use super::accounts::{Accounts, UserAccount};
use super::identity::{
    CertificateIdentity, Credential, Identity, OutsideSource, Presented, ServiceAccountToken, SessionToken, Source,
    TokenVerdict, Unauthorized,
};
use super::jwt::{TOKEN_MAX_BYTES, Unverified};
use super::legacy_tokens::LEGACY_ISSUER;
use super::outside::{CREDENTIAL_ID, OutsideToken, Refused, is_foreign_name};
use super::passwords::{StoredPassword, password_key};
use super::service_accounts::{self, AccountToken};
use super::sessions::Session;
use super::signing::{Key, Purpose};
use super::{Authenticator, jwt};
use crate::model::user::{GROUP_AUTHENTICATED, USER_ADMIN, User};
use crate::store::StoreError;

/// What opaque tokens of ours begin with, which are no JWTs.
const OPAQUE_PREFIX: &[u8] = b"sr_";
/// Passwords whose generation is remembered.
const GENERATIONS_MAX: usize = 65_536;

impl Authenticator {
    /// Who a request comes from. No credential is the anonymous user, not an error.
    ///
    /// A token of another system whose key is not known is refused, and the issuer's key set is fetched for the next
    /// attempt; [`Authenticator::authenticate_fetching`] waits for it.
    pub fn authenticate(&self, presented: &Presented<'_>, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
        self.try_authenticate(presented, accounts).map_err(|refused| {
            if let Refused::UnknownKey(issuer) = refused
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                let (outside, elapsed) = (Arc::clone(&self.outside), (self.elapsed)());
                runtime.spawn(async move { outside.fetch(issuer, elapsed).await });
            }
            Unauthorized
        })
    }

    /// As [`Authenticator::authenticate`], but fetches an issuer's key set where that may help. Does not wait for
    /// anything else.
    pub async fn authenticate_fetching(
        &self,
        presented: &Presented<'_>,
        accounts: &dyn Accounts,
    ) -> Result<Identity, Unauthorized> {
        match self.try_authenticate(presented, accounts) {
            Ok(identity) => Ok(identity),
            Err(Refused::Unauthorized) => Err(Unauthorized),
            Err(Refused::UnknownKey(issuer)) => {
                if !self.outside.fetch(issuer, (self.elapsed)()).await {
                    return Err(Unauthorized);
                }
                self.try_authenticate(presented, accounts).map_err(|_| Unauthorized)
            }
        }
    }

    /// The same identity as it is now: with the groups that the user has now, or not at all any more. For streams
    /// that outlive their first check.
    pub fn current(&self, identity: &Identity, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
        let now = self.time.unix_seconds();
        let lives = |expires: i64| if now < expires { Ok(()) } else { Err(Unauthorized) };
        match &*identity.credential.0 {
            Source::Anonymous | Source::LocalOwner => Ok(identity.clone()),
            Source::Admin(hash) if self.admin.is_current(hash) => Ok(identity.clone()),
            Source::Admin(_) => Err(Unauthorized),
            Source::Session(token) => {
                lives(token.expires)?;
                self.check_key(&token.key, now)?;
                let account = self.check_session(token, accounts, now)?;
                if is_same(&account, &token.account) {
                    return Ok(identity.clone());
                }
                let user = Arc::new(local_user(&token.user, &account));
                let credential = Credential::new(Source::Session(SessionToken { account, ..token.clone() }));
                Ok(Identity { user, credential })
            }
            Source::ServiceAccount(token) => {
                lives(token.expires)?;
                self.check_key(&token.key, now)?;
                check_service_account(token, accounts)?;
                Ok(identity.clone())
            }
            Source::LegacyToken(token) => {
                self.check_held(token, accounts)?;
                Ok(identity.clone())
            }
            Source::Outside(token) => {
                lives(token.expires)?;
                if !self.outside.has_key(token.issuer, &token.key) || is_disabled(&token.name, accounts) {
                    return Err(Unauthorized);
                }
                Ok(identity.clone())
            }
            Source::Certificate { certificate, account } => {
                lives(certificate.not_after_unix_seconds)?;
                match (account, self.certificate_account(certificate, accounts)?) {
                    (Some(before), Some(now)) if !is_same(before, &now) => Ok(certificate_user(certificate, Some(now))),
                    _ => Ok(identity.clone()),
                }
            }
        }
    }

    /// Whether a credential is still good.
    pub fn still_valid(&self, credential: &Credential, accounts: &dyn Accounts) -> bool {
        let identity = Identity { user: Arc::clone(&self.anonymous.user), credential: credential.clone() };
        self.current(&identity, accounts).is_ok()
    }

    /// Whose token it is, for a TokenReview. Without audiences this server is the audience. Tokens other than those of
    /// service accounts are meant for this server alone.
    pub fn token_user(&self, token: &[u8], audiences: &[String], accounts: &dyn Accounts) -> TokenVerdict {
        let ours = [self.settings.issuer.clone()];
        let asked = if audiences.is_empty() { &ours[..] } else { audiences };
        let meant = |token_audiences: &[String]| -> Vec<String> {
            asked.iter().filter(|audience| token_audiences.contains(audience)).cloned().collect()
        };
        if let Some((identity, token_audiences)) = self.service_account(token, accounts) {
            let audiences = meant(&token_audiences);
            return if audiences.is_empty() {
                TokenVerdict::WrongAudience { token_audiences }
            } else {
                TokenVerdict::Authenticated { user: identity.user, audiences }
            };
        }
        match self.bearer(token, accounts) {
            Ok(identity) => match meant(&ours) {
                audiences if audiences.is_empty() => TokenVerdict::Invalid,
                audiences => TokenVerdict::Authenticated { user: identity.user, audiences },
            },
            Err(_) => TokenVerdict::Invalid,
        }
    }

    fn try_authenticate(&self, presented: &Presented<'_>, accounts: &dyn Accounts) -> Result<Identity, Refused> {
        let token = match presented.authorization {
            [] => None,
            [header] => bearer(header),
            _ => return Err(Refused::Unauthorized),
        };
        if let Some(token) = token {
            let identity = self.bearer(token, accounts)?;
            let is_other = |certificate: &CertificateIdentity| certificate.name != identity.user.name;
            return if presented.certificate.is_some_and(is_other) { Err(Refused::Unauthorized) } else { Ok(identity) };
        }
        if let Some(certificate) = presented.certificate {
            return Ok(self.certificate(certificate, accounts)?);
        }
        if presented.local_owner {
            let credential = Credential::new(Source::LocalOwner);
            return Ok(Identity { user: Arc::clone(&self.administrator), credential });
        }
        Ok(self.anonymous.clone())
    }

    fn bearer(&self, token: &[u8], accounts: &dyn Accounts) -> Result<Identity, Refused> {
        if token.starts_with(OPAQUE_PREFIX) {
            let hash = self.admin.check(&self.keyring, token).ok_or(Refused::Unauthorized)?;
            let credential = Credential::new(Source::Admin(hash));
            return Ok(Identity { user: Arc::clone(&self.administrator), credential });
        }
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Refused::Unauthorized);
        }
        let digest = Sha256::digest(token).into();
        if let Some(known) = self.cache.find(&digest) {
            let Ok(current) = self.current(&known, accounts) else {
                self.cache.forget(&digest);
                return Err(Refused::Unauthorized);
            };
            if !Arc::ptr_eq(&current.user, &known.user) {
                self.cache.keep(digest, current.clone());
            }
            return Ok(current);
        }
        let token = Unverified::parse(token)?;
        let identity = match token.issuer() {
            Some(issuer) if issuer == self.settings.issuer => self.own_token(&token, accounts)?,
            Some(LEGACY_ISSUER) => self.legacy_token(&token, digest, accounts)?,
            _ => self.outside_token(&token, accounts)?,
        };
        self.cache.keep(digest, identity.clone());
        Ok(identity)
    }

    fn own_token(&self, token: &Unverified<'_>, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
        let now = self.time.unix_seconds();
        let key = self.verify_own(token, now)?;
        match key.purpose {
            Purpose::Users => {
                let (access, expires) =
                    AccessToken::read(&token.claims, &self.settings.issuer, self.store.restore_epoch(), now)?;
                let account = accounts.user(&access.user).ok_or(Unauthorized)?;
                let token = SessionToken {
                    session: access.session,
                    password: password_key(&access.uid),
                    user: access.user,
                    uid: access.uid,
                    generation: access.generation,
                    key: Arc::clone(&key.kid),
                    expires,
                    account,
                };
                let account = self.check_session(&token, accounts, now)?;
                let user = Arc::new(local_user(&token.user, &account));
                let credential = Credential::new(Source::Session(SessionToken { account, ..token }));
                Ok(Identity { user, credential })
            }
            Purpose::ServiceAccounts => {
                let token = self.read_service_account(token, now)?;
                if !token.audiences.contains(&self.settings.issuer) {
                    return Err(Unauthorized);
                }
                service_account_identity(token, &key, accounts)
            }
            // Theirs do not name this issuer.
            Purpose::LegacyTokens => Err(Unauthorized),
        }
    }

    /// A valid token of a service account, whoever it is meant for, and whom that is.
    fn service_account(&self, token: &[u8], accounts: &dyn Accounts) -> Option<(Identity, Vec<String>)> {
        let now = self.time.unix_seconds();
        let token = Unverified::parse(token).ok()?;
        if token.issuer() != Some(&self.settings.issuer) {
            return None;
        }
        let key = self.verify_own(&token, now).ok().filter(|key| key.purpose == Purpose::ServiceAccounts)?;
        let token = self.read_service_account(&token, now).ok()?;
        let audiences = token.audiences.clone();
        Some((service_account_identity(token, &key, accounts).ok()?, audiences))
    }

    fn read_service_account(&self, token: &Unverified<'_>, now: i64) -> Result<AccountToken, Unauthorized> {
        let longest = self.settings.service_account_token_max_seconds;
        service_accounts::read(&token.claims, &self.settings.issuer, self.store.restore_epoch(), now, longest)
    }

    /// The key that signed a token of ours: the one it names, with that key's algorithm, for that key's kind of token.
    pub(super) fn verify_own(&self, token: &Unverified<'_>, now: i64) -> Result<Arc<Key>, Unauthorized> {
        let header: OwnHeader<'_> = jwt::typed(&token.header)?;
        let keys = self.keys.current();
        let key = keys.find(header.kid, now, self.lives()).ok_or(Unauthorized)?;
        let typ = match key.purpose {
            Purpose::Users => Some(ACCESS_TYPE),
            Purpose::ServiceAccounts | Purpose::LegacyTokens => None,
        };
        let algorithm: Algorithm = key.purpose.algorithm();
        if header.typ != typ || header.alg != key.purpose.algorithm_name() {
            return Err(Unauthorized);
        }
        token.verify(&key.decoding, algorithm)?;
        Ok(Arc::clone(key))
    }

    fn outside_token(&self, token: &Unverified<'_>, accounts: &dyn Accounts) -> Result<Identity, Refused> {
        let OutsideToken { user, issuer, key, expires } = self.outside.check(token, self.time.unix_seconds())?;
        if is_disabled(&user.name, accounts) {
            return Err(Refused::Unauthorized);
        }
        let source = OutsideSource { name: user.name.clone(), issuer, key, expires };
        Ok(Identity { user: Arc::new(user), credential: Credential::new(Source::Outside(source)) })
    }

    fn certificate(
        &self,
        certificate: &CertificateIdentity,
        accounts: &dyn Accounts,
    ) -> Result<Identity, Unauthorized> {
        let account = self.certificate_account(certificate, accounts)?;
        Ok(certificate_user(certificate, account))
    }

    /// The account behind a certificate that this server issued; `None` for one of another authority.
    fn certificate_account(
        &self,
        certificate: &CertificateIdentity,
        accounts: &dyn Accounts,
    ) -> Result<Option<Arc<UserAccount>>, Unauthorized> {
        let is_over = self.time.unix_seconds() >= certificate.not_after_unix_seconds;
        if is_over || !is_foreign_name(&certificate.name) || certificate.name == USER_ADMIN {
            return Err(Unauthorized);
        }
        let is_revoked = |uid: &String| self.revoked_certificates.contains(uid, &certificate.serial_hex);
        if certificate.uid.as_ref().is_some_and(is_revoked) {
            return Err(Unauthorized);
        }
        let account = accounts.user(&certificate.name);
        match (&certificate.uid, account) {
            (Some(uid), Some(account)) if account.uid == *uid && !account.disabled => Ok(Some(account)),
            (Some(_), _) => Err(Unauthorized),
            (None, Some(account)) if account.disabled => Err(Unauthorized),
            (None, _) => Ok(None),
        }
    }

    pub(super) fn check_key(&self, kid: &str, now: i64) -> Result<(), Unauthorized> {
        self.keys.current().find(kid, now, self.lives()).map(|_| ()).ok_or(Unauthorized)
    }

    /// The account of a session: the user of this name is still the one who signed in, with the same password.
    fn check_session(
        &self,
        token: &SessionToken,
        accounts: &dyn Accounts,
        now: i64,
    ) -> Result<Arc<UserAccount>, Unauthorized> {
        let account = accounts.user(&token.user).ok_or(Unauthorized)?;
        let is_live = account.uid == token.uid
            && !account.disabled
            && self.sessions.is_live(token.session, &token.uid, token.generation, now)
            && self.generation(&token.password) == Some(token.generation);
        if is_live { Ok(account) } else { Err(Unauthorized) }
    }

    /// Whether the user of a session is still the one who signed in, with the same password.
    pub(super) fn may_go_on(&self, session: &Session, accounts: &dyn Accounts) -> bool {
        accounts.user(&session.user).is_some_and(|account| account.uid == session.uid && !account.disabled)
            && self.generation(&password_key(&session.uid)) == Some(session.generation)
    }

    /// Which password a user has. Asks the store which writing of the row is in place, and opens the row only when
    /// that has changed: whoever sets a password need not tell anybody.
    fn generation(&self, password_key: &str) -> Option<u64> {
        let version = self.store.state_version(password_key)?;
        {
            let known = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, generation)) = known.get(password_key)
                && *known == version
            {
                return Some(*generation);
            }
        }
        // The row may be a later one by now: what is remembered of it under this version is asked for once more then.
        let generation = self.stored_password(password_key).ok().flatten()?.generation;
        if self.store.state_version(password_key) == Some(version) {
            let mut known = self.generations.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= GENERATIONS_MAX {
                known.clear();
            }
            known.insert(password_key.to_owned(), (version, generation));
        }
        Some(generation)
    }

    pub(super) fn stored_password(&self, password_key: &str) -> Result<Option<StoredPassword>, StoreError> {
        let Some(row) = self.store.read_state(password_key)? else { return Ok(None) };
        StoredPassword::decode(&row).map(Some).ok_or_else(|| StoreError::Integrity("a password".to_owned()))
    }
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

fn is_same(one: &Arc<UserAccount>, other: &Arc<UserAccount>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn is_disabled(name: &str, accounts: &dyn Accounts) -> bool {
    accounts.user(name).is_some_and(|account| account.disabled)
}

/// The user that a User object is. No stored group gives what only the server gives.
fn local_user(name: &str, account: &UserAccount) -> User {
    let groups = account.groups.iter().map(String::as_str).filter(|group| is_foreign_name(group));
    User::new(name, &account.uid, groups.chain([GROUP_AUTHENTICATED]))
}

fn certificate_user(certificate: &CertificateIdentity, account: Option<Arc<UserAccount>>) -> Identity {
    let user = if let Some(account) = &account {
        local_user(&certificate.name, account)
    } else {
        let groups = certificate.groups.iter().map(String::as_str).filter(|group| is_foreign_name(group));
        User::new(&certificate.name, "", groups.chain([GROUP_AUTHENTICATED]))
    };
    let source = Source::Certificate { certificate: certificate.clone(), account };
    Identity { user: Arc::new(user), credential: Credential::new(source) }
}

fn check_service_account(token: &ServiceAccountToken, accounts: &dyn Accounts) -> Result<(), Unauthorized> {
    let is_live = accounts.service_account_uid(&token.namespace, &token.name).as_ref() == Some(&token.uid)
        && token
            .secret
            .as_ref()
            .is_none_or(|(name, uid)| accounts.secret_uid(&token.namespace, name).as_ref() == Some(uid));
    if is_live { Ok(()) } else { Err(Unauthorized) }
}

fn service_account_identity(token: AccountToken, key: &Key, accounts: &dyn Accounts) -> Result<Identity, Unauthorized> {
    let mut user = User::service_account(&token.namespace, &token.name, &token.uid);
    user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("JTI={}", token.id)]);
    let token = ServiceAccountToken {
        namespace: token.namespace,
        name: token.name,
        uid: token.uid,
        secret: token.secret,
        key: Arc::clone(&key.kid),
        expires: token.expires,
    };
    check_service_account(&token, accounts)?;
    Ok(Identity { user: Arc::new(user), credential: Credential::new(Source::ServiceAccount(token)) })
}

#[cfg(test)]
#[path = "bad_tokens_tests.rs"]
mod bad_tokens;
#[cfg(test)]
#[path = "authenticate_tests.rs"]
mod tests;
