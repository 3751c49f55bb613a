//! What signing in ends with, and what the audit record of it may say.
//!
//! The client of a refused attempt is told `invalid credentials` and nothing else; [`Refusal`] is for the record.

use std::fmt;

use crate::sensitive::SecretBytes;

/// What a client gets who has signed in (RFC 6749, 5.1).
pub struct Tokens {
    /// A JWT of type `at+jwt`.
    pub access_token: SecretBytes,
    /// Seconds that the access token is valid.
    pub expires_in_seconds: i64,
    /// `sr_rt_…`, good for one use.
    pub refresh_token: SecretBytes,
    /// Seconds within which the refresh token has to be used.
    pub refresh_expires_in_seconds: i64,
    /// Whose session it is.
    pub facts: SessionFacts,
}

/// What an audit record says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Name of the User.
    pub user: String,
    /// Uid of the User.
    pub uid: String,
    /// Number of the session; no secret.
    pub session: String,
}

/// Why somebody did not get tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// 401: the credentials are wrong, whatever is wrong about them.
    Invalid(Refusal),
    /// 429: too many failures; the attempt was not looked at.
    Throttled {
        /// Seconds after which the next attempt is looked at.
        retry_after_seconds: u32,
    },
    /// 429: too many passwords are being hashed.
    Busy {
        /// Seconds after which to try again.
        retry_after_seconds: u32,
    },
    /// 422: the new password is not taken; why.
    Password(&'static str),
    /// 503: nothing can be written, or no token can be signed.
    Unavailable,
}

/// Why credentials were refused: for the audit record, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The User whose credentials they would be. `None` where there is no such user: the text that was given as a
    /// name must not be recorded then, for people type passwords there.
    pub user: Option<String>,
    /// What is wrong.
    pub reason: RefusalReason,
}

/// What is wrong with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// There is no such user.
    UnknownUser,
    /// The user has no password.
    NoPassword,
    /// The password is wrong.
    WrongPassword,
    /// The password is right, and the user is disabled.
    Disabled,
    /// The refresh token is none of ours, or its session is gone.
    UnknownToken,
    /// The session was over, or the user of it is disabled, gone, or has another password.
    SessionOver,
    /// The refresh token was used before: somebody else may have it, and the session was ended.
    SpentToken,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "unknown user",
            Self::NoPassword => "the user has no password",
            Self::WrongPassword => "wrong password",
            Self::Disabled => "the user is disabled",
            Self::UnknownToken => "unknown refresh token, or its session is gone",
            Self::SessionOver => "the session is over, or its user is disabled, gone or has another password",
            Self::SpentToken => "a refresh token was used twice; the session was ended",
        })
    }
}
