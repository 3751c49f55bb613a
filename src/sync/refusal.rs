//! Why a cluster did not do what it was asked.
//!
//! What it never does: keep an answer's body. A message is shortened and cannot steer a terminal.

use std::time::Duration;

use serde_json::Value;

use crate::kube_client::{Answer, ConnectError, Failure};

/// Characters of a cluster's message that are kept.
const MESSAGE_MAX_CHARS: usize = 512;
/// Conflicts of an apply that are kept.
const CONFLICTS_MAX: usize = 16;

/// Another manager of a field that an apply wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// The field, `.data.password`.
    pub field: String,
    /// What the cluster says, `conflict with "kubectl" using v1`.
    pub manager: String,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The stored kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig,
    /// No connection, no verified TLS, or no answer.
    #[error("{0}")]
    Unreachable(String),
    /// 429.
    #[error("the cluster asks for fewer requests")]
    Throttled {
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("the cluster answered {0}")]
    Server(u16),
    /// An answer that makes no sense.
    #[error("the cluster's answer cannot be read")]
    Unreadable,
    /// 401.
    #[error("the cluster does not accept the kubeconfig's credential: it may have expired")]
    Unauthorized,
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 409 of an apply: other managers have the fields.
    #[error("{message}")]
    Conflict {
        /// Which, of whom.
        conflicts: Vec<FieldConflict>,
        /// All of it, for people.
        message: String,
    },
    /// 409: it was changed meanwhile.
    #[error("the object was changed meanwhile")]
    Changed,
    /// 409: it is there already.
    #[error("it exists already")]
    AlreadyExists,
    /// 410: the list cannot be gone on with.
    #[error("the cluster has forgotten the list")]
    Expired,
    /// 422, 400 and whatever else is no use trying again.
    #[error("{message}")]
    Invalid {
        /// The code.
        code: u16,
        /// What the cluster says.
        message: String,
    },
}

impl RemoteError {
    /// Whether trying again without any change may help.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Throttled { .. }
                | Self::Server(_)
                | Self::Unreadable
                | Self::Changed
                | Self::Expired
        )
    }

    /// Whether it concerns the cluster as a whole, so that asking for the next object is no use now.
    pub fn is_of_the_cluster(&self) -> bool {
        matches!(self, Self::Kubeconfig | Self::Unreachable(_) | Self::Throttled { .. } | Self::Unauthorized)
    }

    /// One word for it, as conditions have (`Reason`).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kubeconfig => "InvalidKubeconfig",
            Self::Unreachable(_) => "ClusterUnreachable",
            Self::Throttled { .. } => "TooManyRequests",
            Self::Server(_) | Self::Unreadable | Self::Expired => "ClusterError",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound(_) => "NotFound",
            Self::Conflict { .. } => "Conflict",
            Self::Changed => "Changed",
            Self::AlreadyExists => "AlreadyExists",
            Self::Invalid { .. } => "Invalid",
        }
    }

    /// When to try again, where the cluster says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn of_connection(error: &ConnectError) -> Self {
        Self::Unreachable(shortened(&error.to_string()))
    }

    pub(super) fn of_failure(failure: &Failure) -> Self {
        let message = || shortened(&failure.message);
        let retry_after = failure.retry_after_seconds.map(Duration::from_secs);
        match (failure.code, failure.reason.as_str()) {
            (401, _) => Self::Unauthorized,
            (403, _) => Self::Forbidden(message()),
            (404, _) => Self::NotFound(message()),
            (409, "AlreadyExists") => Self::AlreadyExists,
            (409, _) => Self::Changed,
            (410, _) => Self::Expired,
            (429, _) => Self::Throttled { retry_after },
            (503, _) if retry_after.is_some() => Self::Throttled { retry_after },
            (code @ 500.., _) => Self::Server(code),
            (code, _) => Self::Invalid { code, message: message() },
        }
    }
}

/// What an answer that is no success says.
#[expect(clippy::disallowed_methods, reason = "a Status names fields and managers and holds no values")]
pub(super) fn refused(answer: &Answer) -> RemoteError {
    let failure = Failure::read(answer.code, &answer.body, answer.retry_after_seconds);
    if answer.code == 409 {
        let status: Value = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
        let causes = status.pointer("/details/causes").and_then(Value::as_array);
        let conflicts: Vec<FieldConflict> = causes
            .into_iter()
            .flatten()
            .filter(|cause| cause.get("reason").is_some_and(|reason| reason == "FieldManagerConflict"))
            .take(CONFLICTS_MAX)
            .map(|cause| {
                let text = |name: &str| shortened(cause.get(name).and_then(Value::as_str).unwrap_or_default());
                FieldConflict { field: text("field"), manager: text("message") }
            })
            .collect();
        if !conflicts.is_empty() {
            let each = conflicts.iter().map(|conflict| format!("{}: {}", conflict.field, conflict.manager));
            let message = shortened(&each.collect::<Vec<_>>().join("; "));
            return RemoteError::Conflict { conflicts, message };
        }
    }
    RemoteError::of_failure(&failure)
}

fn shortened(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MESSAGE_MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensitive::SecretBytes;

    fn answer(code: u16, body: &str) -> RemoteError {
        let body = SecretBytes::new(body.as_bytes().to_vec());
        refused(&Answer { code, retry_after_seconds: None, warnings: Vec::new(), body })
    }

    #[test]
    fn a_conflict_names_field_and_manager() {
        let error = answer(
            409,
            r#"{"kind":"Status","reason":"Conflict","message":"Apply failed","details":{"causes":[
                {"reason":"FieldManagerConflict","message":"conflict with \"kubectl\" using v1","field":".data.k"}]}}"#,
        );
        assert_eq!(error.reason(), "Conflict");
        assert_eq!(error.to_string(), r#".data.k: conflict with "kubectl" using v1"#);
        assert!(!error.is_passing());
    }

    #[test]
    fn what_is_passing_is_told_from_what_is_not() {
        for (code, reason, passing) in [
            (401, "Unauthorized", false),
            (403, "Forbidden", false),
            (409, "Changed", true),
            (422, "Invalid", false),
            (429, "TooManyRequests", true),
            (500, "ClusterError", true),
            (503, "ClusterError", true),
        ] {
            let error = answer(code, "");
            assert_eq!((error.reason(), error.is_passing()), (reason, passing), "{code}");
        }
    }

    #[test]
    fn a_long_message_is_cut_and_cannot_steer_a_terminal() {
        let text = shortened(&format!("a\u{1b}[2J{}", "x".repeat(2_000)));
        assert!(text.chars().count() <= MESSAGE_MAX_CHARS + 1 && !text.chars().any(char::is_control), "{text}");
    }
}
