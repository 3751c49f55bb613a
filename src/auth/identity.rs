//! What a request presents, and who that turned out to be.
//!
//! A [`Credential`] remembers how a user was recognised, so that a stream which outlives its first check can be
//! checked again. It holds no token and no key.

use std::sync::Arc;

use super::TokenHash;
use super::accounts::UserAccount;
use super::sessions::SessionId;
use crate::model::user::User;

/// A credential that is wrong, expired, revoked or ambiguous. That there is no more to it is on purpose: who
/// presents a bad credential learns nothing from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unauthorized;

/// The credentials that came with a request.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Every `Authorization` header, in order.
    pub authorization: &'a [&'a [u8]],
    /// The client certificate, if the TLS handshake verified one.
    pub certificate: Option<&'a CertificateIdentity>,
    /// The peer of the local socket is the owner of the server's process, or root.
    pub local_owner: bool,
}

/// What a verified client certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateIdentity {
    /// The subject's common name.
    pub name: String,
    /// The subject's organisations.
    pub groups: Vec<String>,
    /// Uid of the User for whom this server issued it; absent in certificates of other authorities.
    pub uid: Option<String>,
    /// Its serial number, lower-case hexadecimal without leading zeros. Unique per authority.
    pub serial_hex: String,
    /// When it ends, seconds since the epoch.
    pub not_after_unix_seconds: i64,
}

/// Who a request comes from.
#[derive(Clone)]
pub struct Identity {
    /// The user.
    pub user: Arc<User>,
    /// How the user was recognised.
    pub credential: Credential,
}

/// How a user was recognised. Cheap to clone.
#[derive(Clone)]
pub struct Credential(pub(super) Arc<Source>);

pub(super) enum Source {
    Anonymous,
    Admin(TokenHash),
    LocalOwner,
    Session(SessionToken),
    ServiceAccount(ServiceAccountToken),
    LegacyToken(HeldToken),
    Certificate { certificate: CertificateIdentity, account: Option<Arc<UserAccount>> },
    Outside(OutsideSource),
}

/// A token of another system.
pub(super) struct OutsideSource {
    pub name: String,
    /// Place of the issuer in the configuration.
    pub issuer: usize,
    pub key: Arc<[u8]>,
    pub expires: i64,
}

/// An access token of a user who has signed in.
#[derive(Clone)]
pub(super) struct SessionToken {
    pub session: SessionId,
    pub user: String,
    pub uid: String,
    pub generation: u64,
    /// Key of the row that holds the user's password.
    pub password: String,
    pub key: Arc<str>,
    pub expires: i64,
    /// The account from which the user was made.
    pub account: Arc<UserAccount>,
}

/// A token of a service account.
pub(super) struct ServiceAccountToken {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Name and uid of the Secret to which the token is bound.
    pub secret: Option<(String, String)>,
    pub key: Arc<str>,
    pub expires: i64,
}

/// A token of a service account that is good for as long as a Secret holds it.
pub(super) struct HeldToken {
    pub namespace: String,
    pub secret: String,
    pub account: String,
    /// Uid of the account.
    pub uid: String,
    /// By which the token is known again.
    pub sha256: [u8; 32],
    pub key: Arc<str>,
}

impl Credential {
    pub(super) fn new(source: Source) -> Self {
        Self(Arc::new(source))
    }

    /// When the credential ends by itself, seconds since the epoch; `None` for those that do not.
    pub fn expires_at_unix_seconds(&self) -> Option<i64> {
        match &*self.0 {
            Source::Anonymous | Source::Admin(_) | Source::LocalOwner | Source::LegacyToken(_) => None,
            Source::Session(token) => Some(token.expires),
            Source::ServiceAccount(token) => Some(token.expires),
            Source::Outside(token) => Some(token.expires),
            Source::Certificate { certificate, .. } => Some(certificate.not_after_unix_seconds),
        }
    }

    /// The kind of credential, as audit records and metrics name it.
    pub fn kind(&self) -> &'static str {
        match &*self.0 {
            Source::Anonymous => "none",
            Source::Admin(_) => "admin-token",
            Source::LocalOwner => "local-socket",
            Source::Session(_) => "session",
            Source::ServiceAccount(_) => "service-account-token",
            Source::LegacyToken(_) => "legacy-service-account-token",
            Source::Certificate { .. } => "client-certificate",
            Source::Outside(_) => "outside-token",
        }
    }

    /// Whether it may end with objects that decide nothing else, a service account or a Secret: that they are gone
    /// moves neither the revision of access nor the count of revocations.
    pub fn ends_with_other_objects(&self) -> bool {
        matches!(&*self.0, Source::ServiceAccount(_) | Source::LegacyToken(_))
    }

    /// The session of a user who has signed in with a password.
    pub fn session(&self) -> Option<SessionId> {
        match &*self.0 {
            Source::Session(token) => Some(token.session),
            _ => None,
        }
    }
}

/// What a TokenReview is answered with.
pub enum TokenVerdict {
    /// The token is good for one of the audiences asked for.
    Authenticated {
        /// Whose it is.
        user: Arc<User>,
        /// Those of the audiences asked for that the token is meant for; without a question, this server.
        audiences: Vec<String>,
    },
    /// The token is ours and valid, but meant for others.
    WrongAudience {
        /// Whom it is meant for.
        token_audiences: Vec<String>,
    },
    /// Not a valid token.
    Invalid,
}
