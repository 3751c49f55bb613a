//! Who a request is done as, and whether that still holds.
//!
//! A request that takes time (its body arrives slowly, its answer goes on) is judged again by what holds then: nothing
//! is done for a caller after the end of a right was acknowledged.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use super::State;
use super::impersonation::Asked;
use super::session::TOKEN_PATHS;
use super::status::Failure;
use crate::auth::{Accounts, CertificateIdentity, Identity, Presented};
use crate::model::kinds;
use crate::model::user::{PeerOwner, USER_ADMIN, User, UserAccount};
use crate::objects::{Access, Objects};
use crate::pki::client::{ClientIdentity, PeerCertificate};
use crate::rbac::{self, Attributes};

/// How often credentials are looked after.
const CREDENTIALS_INTERVAL: Duration = Duration::from_mins(1);

/// What decides access: the revision of roles, bindings and users, and how often credentials were revoked.
pub type Stamp = (u64, u64);

/// Who a request is done as.
#[derive(Clone)]
pub struct Standing {
    /// Who presented credentials.
    pub identity: Identity,
    /// Whom that one asked to act as.
    asked: Option<Asked>,
    /// Who it is done as: the one or the other.
    pub user: Arc<User>,
    /// As of when that holds.
    stamp: Stamp,
}

/// Why a request is done as nobody.
pub struct NotStanding {
    /// What the client is told.
    pub failure: Failure,
    /// Who presented credentials, if that is known.
    pub user: Option<Arc<User>>,
}

impl From<Failure> for NotStanding {
    fn from(failure: Failure) -> Self {
        Self { failure, user: None }
    }
}

/// The accounts that credentials are held against.
pub struct Live<'a> {
    /// Users.
    pub access: &'a Access,
    /// Everything else.
    pub objects: &'a Objects,
}

impl Standing {
    /// Reads credentials and `Impersonate-*` headers.
    pub async fn of(state: &State, http: &HttpRequest, access: &Access, stamp: Stamp) -> Result<Self, NotStanding> {
        let mut headers: Vec<&[u8]> = http.headers().get_all("authorization").map(HeaderValue::as_bytes).collect();
        if TOKEN_PATHS.contains(&http.path()) {
            headers.retain(|header| !is_basic(header));
        }
        let certificate = http.conn_data::<PeerCertificate>().map(|peer| &*peer.0);
        // A connection, and a session that is resumed, may outlive the certificate.
        let now = state.clock.unix_seconds();
        let is_refused = |certificate: &ClientIdentity| {
            // The built-in administrator has a token, and no authority can make another.
            !certificate.is_valid_at(now) || certificate.common_name == USER_ADMIN
        };
        if certificate.is_some_and(is_refused) {
            return Err(Failure::unauthorized().into());
        }
        let certificate = certificate.map(|certificate| CertificateIdentity {
            name: certificate.common_name.clone(),
            groups: certificate.organizations.clone(),
            uid: certificate.uid.clone(),
            serial_hex: certificate.serial_hex.clone(),
            not_after_unix_seconds: certificate.not_after,
        });
        let presented = Presented {
            authorization: &headers,
            certificate: certificate.as_ref(),
            local_owner: http.conn_data::<PeerOwner>().is_some(),
        };
        let live = Live { access, objects: &state.objects };
        let identity = state.authenticator.authenticate_fetching(&presented, &live).await;
        let identity = identity.map_err(|_| Failure::unauthorized())?;
        let user = Arc::clone(&identity.user);
        let mut standing = Self { identity, asked: None, user: Arc::clone(&user), stamp };
        let uri = http.uri().path();
        let by_real = |failure| NotStanding { failure, user: Some(Arc::clone(&user)) };
        if let Some(asked) = Asked::read(http.headers(), uri).map_err(by_real)? {
            standing.user = Arc::new(asked.become_user(&access.policy, &user).map_err(by_real)?);
            standing.asked = Some(asked);
        }
        Ok(standing)
    }

    /// Whether it is done as somebody else than who presented credentials.
    pub fn impersonates(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the caller may still do this, if anything has changed since it was last asked.
    pub fn confirm(&mut self, state: &State, attributes: &Attributes) -> Result<(), Failure> {
        let now = state.stamp();
        if now == self.stamp { Ok(()) } else { self.renew(state, attributes) }
    }

    /// Whether the caller may still do this.
    pub fn renew(&mut self, state: &State, attributes: &Attributes) -> Result<(), Failure> {
        // Taken first: what changes while it is asked is seen the next time.
        let stamp = state.stamp();
        let access = state.objects.access();
        let live = Live { access: &access, objects: &state.objects };
        let identity = state.authenticator.current(&self.identity, &live).map_err(|_| Failure::unauthorized())?;
        let user = match &self.asked {
            Some(asked) => Arc::new(asked.become_user(&access.policy, &identity.user)?),
            None => Arc::clone(&identity.user),
        };
        rbac::authorize(&access.policy, &user, attributes.clone()).map_err(|denial| Failure::forbidden(&denial))?;
        (self.identity, self.user, self.stamp) = (identity, user, stamp);
        Ok(())
    }
}

impl State {
    /// What decides access now.
    pub(super) fn stamp(&self) -> Stamp {
        (self.objects.access_revision(), self.authenticator.revocations())
    }
}

impl Accounts for Live<'_> {
    fn user(&self, name: &str) -> Option<Arc<UserAccount>> {
        self.access.users.get(name).cloned()
    }

    fn service_account_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.objects.uid(&kinds::SERVICE_ACCOUNT, namespace, name)
    }

    fn secret_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.objects.uid(&kinds::SECRET, namespace, name)
    }

    fn secret_holds_token(&self, namespace: &str, name: &str, sha256: &[u8; 32]) -> bool {
        self.objects.holds_account_token(namespace, name, sha256)
    }
}

/// Whether it is the name and secret of an OAuth client.
fn is_basic(header: &[u8]) -> bool {
    header.split_at_checked(6).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "))
}

/// Has credentials looked after until it is aborted: keys renewed, sessions that are over removed.
pub async fn look_after_credentials(state: State) {
    let mut tick = tokio::time::interval(CREDENTIALS_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let access = state.objects.access();
        state.authenticator.tick(&Live { access: &access, objects: &state.objects }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_that_oauth_libraries_send_unasked_is_known() {
        for basic in ["Basic Og==", "basic dW5kZWZpbmVkOnVuZGVmaW5lZA==", "BASIC "] {
            assert!(is_basic(basic.as_bytes()), "{basic}");
        }
        for other in ["", "Basic", "Bearer Og==", "Basics Og=="] {
            assert!(!is_basic(other.as_bytes()), "{other}");
        }
    }
}
