//! Why a request about an object failed. Knows nothing of HTTP; `api::status` turns each into a Status.

use crate::model::field_error::FieldError;
use crate::model::kinds::Kind;
use crate::rbac::Denial;

/// The errors of every verb.
#[derive(Debug)]
pub enum Error {
    /// No such object.
    NotFound(Resource),
    /// The name is taken; `terminating`: by an object that is being deleted.
    AlreadyExists(Resource, bool),
    /// The object changed, or a precondition does not hold; the text after the colon.
    Conflict(Resource, String),
    /// A precondition of a delete does not hold; the text after the colon. Named by kind, not by resource.
    DeletePrecondition(Resource, String),
    /// Conflict of field managers.
    Apply(super::fields::ApplyError),
    /// Field errors.
    Invalid(Resource, Vec<FieldError>),
    /// The request makes no sense; the whole text, safe to show.
    BadRequest(String),
    /// A patch that cannot be applied.
    Unprocessable,
    /// A patch or body beyond a limit; the whole text.
    TooLarge(String),
    /// Not allowed whoever asks (deleting `default`); the text after `is forbidden: `.
    Forbidden(Resource, String),
    /// Not allowed to this caller: what was found only while the request was carried out.
    Denied(Box<Denial>),
    /// The namespace is going away.
    NamespaceTerminating(Resource, String),
    /// The revision is below the compaction line; the whole text, and a token to go on with.
    Expired(String, Option<String>),
    /// The revision is ahead of the store.
    FutureRevision {
        /// What was asked for.
        asked: u64,
        /// What the store has.
        current: u64,
    },
    /// The stored row failed authentication.
    Integrity(Resource),
    /// The store cannot be written or read now.
    Unavailable(&'static str),
    /// A limit on what one user may have at once; the whole text.
    TooMany(&'static str),
    /// A defect or a failing system call; the text is for the log only.
    Internal(&'static str),
}

/// What an error is about.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its name, or `""`.
    pub name: String,
}

impl Resource {
    /// The resource `name` of `kind`.
    pub fn new(kind: &'static Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}
