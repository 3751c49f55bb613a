//! Why there is no answer, and what an answer says that is a refusal.
//!
//! What it never does: show what was sent or the credential it was sent with. Texts of the kube crate are not passed
//! on as they are: they may quote a kubeconfig or what a credential plugin printed.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use kube::config::KubeconfigError;
use serde_json::Value;

use crate::sensitive::SecretBytes;

/// How the standard library begins what getaddrinfo(3) says, for which it has no kind.
const NO_ADDRESS: &str = "failed to lookup address information";
/// `EX_UNAVAILABLE` of sysexits.h.
const UNAVAILABLE: i32 = 69;

/// Why a server could not be asked. Each text says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Not an address.
    #[error("{0} is no address of a server: give https://HOST:PORT")]
    Address(String),
    /// A file of the user's cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not a kubeconfig.
    #[error("{} cannot be read as a kubeconfig: `kubectl config view` says where it is wrong", .0.display())]
    Kubeconfig(PathBuf),
    /// No context is chosen.
    #[error("the kubeconfig has no current context: give --context, or choose one with `kubectl config use-context`")]
    NoContext,
    /// The context, or its cluster, is missing.
    #[error("the kubeconfig has no {0}: `kubectl config get-contexts` lists what there is")]
    NoSuchEntry(String),
    /// Something in the kubeconfig cannot be used.
    #[error("the kubeconfig: {0}")]
    Unusable(String),
    /// The token cannot be shown to a server.
    #[error("the token is none: there is a blank, a line break or the like in it")]
    Token,
    /// A watch was answered with something else.
    #[error("a watch was answered with what is no event")]
    NoEvent,
    /// The credential plugin that the kubeconfig names did not work.
    #[error("the kubeconfig's credential plugin {0}")]
    Plugin(String),
    /// The credential plugin could not reach its server, and ended with 69 (`EX_UNAVAILABLE`), as ours does.
    #[error("the kubeconfig's credential plugin could not reach its server: what it wrote above says why")]
    PluginUnavailable,
    /// A certificate that should be trusted is none.
    #[error("a certificate to be trusted cannot be read: give certificates in PEM form")]
    Trust,
    /// The connection, the handshake or the answer failed.
    #[error("{server}: {cause}{}", advice(.cause))]
    Connection {
        /// `https://HOST:PORT`
        server: String,
        /// What went wrong.
        cause: String,
        /// Whether nobody answered at all: see [`ConnectError::is_silence`].
        is_silence: bool,
    },
    /// An answer began, and was not whole in time.
    #[error("{server}: the answer did not end within {seconds} s")]
    Stalled {
        /// `https://HOST:PORT`
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It took too long.
    #[error("{server}: no answer within {seconds} s: is it the right address, and does the server run?")]
    Timeout {
        /// `https://HOST:PORT`
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The answer is longer than any of ours.
    #[error("{0}: the answer is longer than one of this server's can be")]
    TooLong(String),
}

impl ConnectError {
    pub(super) fn connection(server: &str, error: &(dyn StdError + 'static)) -> Self {
        let is_silence = causes(error).any(is_silence);
        Self::Connection { server: server.to_owned(), cause: innermost(error).to_string(), is_silence }
    }

    /// What was answered broke off.
    pub(super) fn broken_off(server: &str, error: &(dyn StdError + 'static)) -> Self {
        Self::Connection { server: server.to_owned(), cause: innermost(error).to_string(), is_silence: false }
    }

    /// Whether the server did not answer: its name leads nowhere, nobody listens there, or nothing came in time. Not where
    /// anybody did answer, if only with a certificate that is not trusted or with half of an answer.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Connection { is_silence, .. } => *is_silence,
            Self::Timeout { .. } | Self::PluginUnavailable => true,
            _ => false,
        }
    }

    pub(super) fn of_kube(server: &str, error: &kube::Error) -> Self {
        use kube::client::AuthError;
        match error {
            kube::Error::Auth(AuthError::AuthExecStart(source)) => {
                Self::Plugin(format!("cannot be run ({source}): the `exec` entry of the user says which it is"))
            }
            kube::Error::Auth(AuthError::AuthExecRun { out, .. }) if out.status.code() == Some(UNAVAILABLE) => {
                Self::PluginUnavailable
            }
            kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => {
                Self::Plugin(format!("failed ({}): what it wrote above says why", out.status))
            }
            kube::Error::Auth(AuthError::ReadTokenFile(source, path)) => {
                Self::Unusable(format!("{}: {source}", path.display()))
            }
            kube::Error::Auth(_) => Self::Plugin("gave no credential".to_owned()),
            kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
                Self::Unusable("a proxy is not supported".to_owned())
            }
            kube::Error::InferKubeconfig(error) => Self::of_kubeconfig(error),
            kube::Error::RustlsTls(_) => Self::Unusable("its certificates or keys cannot be used".to_owned()),
            other => Self::connection(server, other),
        }
    }

    pub(super) fn of_kubeconfig(error: &KubeconfigError) -> Self {
        match error {
            KubeconfigError::CurrentContextNotSet => Self::NoContext,
            KubeconfigError::LoadContext(name) => Self::NoSuchEntry(format!("context {name:?}")),
            KubeconfigError::LoadClusterOfContext(name) => Self::NoSuchEntry(format!("cluster {name:?}")),
            KubeconfigError::MissingClusterUrl => Self::Unusable("the cluster has no `server`".to_owned()),
            KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => Self::Trust,
            KubeconfigError::LoadClientCertificate(_) | KubeconfigError::LoadClientKey(_) => {
                Self::Unusable("the client certificate or its key cannot be read".to_owned())
            }
            KubeconfigError::ReadConfig(source, path) => {
                Self::File { path: path.clone(), source: std::io::Error::from(source.kind()) }
            }
            _ => Self::Unusable("`kubectl config view` says what is wrong with it".to_owned()),
        }
    }
}

/// What a person can do about it.
fn advice(cause: &str) -> &'static str {
    let cause = cause.to_ascii_lowercase();
    if cause.contains("connection refused") {
        ": does the server run there?"
    } else if cause.contains("unknownissuer") || cause.contains("unknown issuer") {
        ": the server's certificate is not of the authority that is trusted for it"
    } else if cause.contains("notvalidforname") || cause.contains("not valid for name") {
        ": the server needs `--advertise` with this name"
    } else {
        ""
    }
}

/// The first cause: those around it only say that connecting failed.
fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}

/// The error, what caused it, and so on.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        // An I/O error hides what it carries behind its own text, which is the better one only where it carries nothing.
        let carried = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        carried.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| cause.source())
    })
}

/// Whether a cause says that nobody is there.
fn is_silence(cause: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind;
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
                | ErrorKind::TimedOut
        ) || error.to_string().starts_with(NO_ADDRESS)
    })
}

/// A `Status` that is a refusal, shown as kubectl does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status code.
    pub code: u16,
    /// Kubernetes' reason (`Forbidden`), or empty.
    pub reason: String,
    /// What the server says.
    pub message: String,
    /// What the server advises: `details.causes` with reason `AccessHint`.
    pub hints: Vec<String>,
    /// When to try again, where the server says so.
    pub retry_after_seconds: Option<u64>,
}

impl Failure {
    /// Reads the body of an answer that is no success; one that is no `Status` is shown by its code alone.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a Status names what is wrong and holds no secret")]
    pub fn read(code: u16, body: &SecretBytes, retry_after_seconds: Option<u64>) -> Self {
        let status: Value = serde_json::from_slice(body.expose()).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(shown).unwrap_or_default();
        let is_status = status.get("kind").is_some_and(|kind| kind == "Status");
        let field = |name: &str| status.get(name).filter(|_| is_status).map(text).unwrap_or_default();
        let causes = status.pointer("/details/causes").and_then(Value::as_array);
        let hints = causes
            .into_iter()
            .flatten()
            .filter(|cause| cause.get("reason").is_some_and(|reason| reason == "AccessHint"))
            .filter_map(|cause| cause.get("message").map(text))
            .collect();
        let told = status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        let message = match field("message") {
            message if message.is_empty() => format!("the server answered {code}"),
            message => message,
        };
        Self { code, reason: field("reason"), message, hints, retry_after_seconds: retry_after_seconds.or(told) }
    }

    pub(super) fn of_status(status: &kube::core::Status) -> Self {
        let details = status.details.as_ref();
        let causes = details.map(|details| details.causes.as_slice()).unwrap_or_default();
        let hints = causes.iter().filter(|cause| cause.reason == "AccessHint").map(|cause| shown(&cause.message));
        Self {
            code: status.code,
            reason: shown(&status.reason),
            message: shown(&status.message),
            hints: hints.collect(),
            retry_after_seconds: details.map(|details| u64::from(details.retry_after_seconds)).filter(|s| *s > 0),
        }
    }

    /// Whether the server does not know the path, as another server than one of ours does not.
    #[must_use]
    pub fn is_unknown_path(&self) -> bool {
        self.code == 404 && (self.reason.is_empty() || self.message.contains("could not find the requested resource"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        write!(f, "Error from server{reason}: {}", self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n{hint}"))
    }
}

impl StdError for Failure {}

/// Text from elsewhere, without what would steer a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: u16, body: &str) -> Failure {
        Failure::read(code, &SecretBytes::new(body.as_bytes().to_vec()), None)
    }

    #[test]
    fn a_refusal_reads_as_kubectl_shows_it_with_the_hint_below() {
        let body = r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"secrets \"db\" is forbidden: no",
            "details":{"causes":[{"reason":"Other","message":"x"},{"reason":"AccessHint","message":"see `strongroom access explain`"}]}}"#;
        let text = failure(403, body).to_string();
        assert_eq!(
            text,
            "Error from server (Forbidden): secrets \"db\" is forbidden: no\nsee `strongroom access explain`"
        );
    }

    #[test]
    fn a_body_that_is_no_status_is_not_shown() {
        for body in ["<html>password</html>", r#"{"message":"password"}"#, ""] {
            assert_eq!(failure(502, body).to_string(), "Error from server: the server answered 502");
        }
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let text = failure(400, r#"{"kind":"Status","message":"a\u001b[2Jb\u009b"}"#).to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }

    #[test]
    fn when_to_try_again_is_taken_from_the_header_or_the_body() {
        let body = SecretBytes::new(br#"{"kind":"Status","details":{"retryAfterSeconds":7}}"#.to_vec());
        assert_eq!(Failure::read(429, &body, None).retry_after_seconds, Some(7));
        assert_eq!(Failure::read(429, &body, Some(3)).retry_after_seconds, Some(3));
    }

    #[test]
    fn the_first_cause_is_what_is_shown() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
        let around = std::io::Error::other(std::io::Error::other(refused));
        let error = ConnectError::connection("https://h:1", &around).to_string();
        assert_eq!(error, "https://h:1: Connection refused: does the server run there?");
    }

    #[test]
    fn silence_is_where_nobody_answers() {
        use std::io::{Error, ErrorKind};
        let says = |error: Error| ConnectError::connection("https://h:1", &Error::other(error)).is_silence();
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable, ErrorKind::TimedOut] {
            assert!(says(Error::from(kind)) && says(Error::new(kind, "text")), "{kind}");
        }
        for kind in
            [ErrorKind::InvalidData, ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe]
        {
            assert!(!says(Error::from(kind)) && !says(Error::new(kind, "Connection refused")), "{kind}");
        }
        let unknown = std::net::ToSocketAddrs::to_socket_addrs("nothing.invalid:1").err().unwrap();
        assert!(says(unknown));
        let late = Error::from(ErrorKind::TimedOut);
        assert!(!ConnectError::broken_off("https://h:1", &late).is_silence());
        assert!(!ConnectError::Stalled { server: String::new(), seconds: 1 }.is_silence());
        assert!(!ConnectError::Plugin("gave no credential".to_owned()).is_silence());
    }
}
