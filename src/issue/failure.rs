//! Why nothing was issued, for a condition and an Event. Holds no value.

use crate::model::validation::message;
use crate::objects::Error;

/// One word, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Whether somebody else has just changed the Secret: looked at again, it is another matter.
    pub is_race: bool,
}

impl Failure {
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), is_race: false }
    }

    /// Of a write of the Secret.
    pub fn of_write(error: &Error) -> Self {
        let race = |reason: &str| Self { is_race: true, ..Self::new(reason, "the Secret was changed meanwhile") };
        match error {
            Error::AlreadyExists(..) | Error::Conflict(..) => race("SecretChanged"),
            Error::NotFound(_) => race("SecretGone"),
            Error::Invalid(_, errors) => Self::new("SecretInvalid", message(errors)),
            Error::NamespaceTerminating(..) => Self::new("NamespaceTerminating", "the namespace is going away"),
            _ => Self::new("SecretNotWritten", "the Secret could not be written"),
        }
    }

    /// Of a read.
    pub fn unreadable() -> Self {
        Self::new("SecretUnreadable", "the Secret cannot be read")
    }
}
