//! Why the server did not start, as the person who started it is told.
//!
//! What it never does: show a secret, or leave open what to do next.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::pki::PkiError;

use super::backup::BackupError;
use super::certificates::CertificateError;
use super::client::ClientError;
use super::client_certificates::ClientAuthorityError;
use super::lock::LockError;
use super::private_files::FileError;
use super::root_key::RootKeyError;
use super::tls::TlsError;
use super::unix_socket::UnixSocketError;
use super::unlock::UnlockSourceError;

/// Why the server did not start, or did not stop well. Each text says what to do next; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A file or folder of the home's.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process owns the home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No unlock secret.
    #[error(transparent)]
    UnlockSource(#[from] UnlockSourceError),
    /// The unlock secret does not open the home.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The store or the API over it.
    #[error("the store: {0}")]
    Store(String),
    /// The audit log.
    #[error("the audit log: {0}")]
    Audit(String),
    /// No certificate to present.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Pki(#[from] PkiError),
    /// Whose client certificates to accept.
    #[error("client certificates: {0}")]
    ClientAuthority(#[from] ClientAuthorityError),
    /// The Unix socket.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// A file that settings name says something that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source} (choose another with --listen)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A command for an existing home was given another directory.
    #[error("{} is no home: check --home, or make one with `strongroom serve`", .0.display())]
    NoHome(PathBuf),
    /// The database is gone, and what SQLite had not yet carried over into it is not.
    #[error("{} is missing, but {} is there: put the database back, or move the other file away to start anew", .database.display(), .log.display())]
    DatabaseMissing {
        /// The database.
        database: PathBuf,
        /// What is left of it.
        log: PathBuf,
    },
    /// The database is gone, and what else a server leaves in a home is there.
    #[error("the database {} is missing, but {} is there: restore a backup into this home (`strongroom backup restore`), or remove the rest to begin anew", .database.display(), .left.display())]
    DatabaseGone {
        /// The database.
        database: PathBuf,
        /// What is left of the home.
        left: PathBuf,
    },
    /// A file in the database's place holds no keys.
    #[error("{} is no database of strongroom, or its keys are gone: restore it from a backup, or choose another --home", .0.display())]
    NoKeys(PathBuf),
    /// There is no kubeconfig to write a new token into.
    #[error("{} cannot be read: start the server once, which writes it with a new token", .0.display())]
    NoKubeconfig(PathBuf),
    /// The running server was asked and did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The running server says that it cannot serve.
    #[error("the server is not ready: {0}")]
    NotReady(String),
    /// The running server does not know the token.
    #[error("the server refused the token in {}, and changed nothing: restart the server, which writes a valid one there", .0.display())]
    TokenRefused(PathBuf),
    /// The running server did not do it.
    #[error("the server answered {0} and did not replace the token: its log says why")]
    Refused(u16),
    /// A backup was not made, is not whole, or was not restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The running server did not say whether it is sealed.
    #[error("the server answered {0} and did not say whether it is sealed: is it an older one?")]
    NoSealStatus(u16),
    /// The running server was not unsealed.
    #[error("the server was not unsealed: {0}")]
    NotUnsealed(String),
    /// A passphrase that cannot be sent.
    #[error("the secret is not text in UTF-8: name it to `strongroom serve` with --passphrase-file instead")]
    NotText,
    /// Something holds keys that should be gone.
    #[error("the keys are still in memory after sealing: the process ends, so that they are gone")]
    KeysRemain,
    /// A home without a store cannot be sealed.
    #[error("{} is no home yet, so there is nothing to unseal: start it once without --sealed", .0.display())]
    NothingToSeal(PathBuf),
    /// No randomness.
    #[error("the operating system gave no randomness")]
    Random,
    /// Threads, signals, the listener.
    #[error("the server: {0}")]
    Io(#[from] io::Error),
}

impl ServeError {
    pub(super) fn store(error: impl std::fmt::Display) -> Self {
        Self::Store(error.to_string())
    }
}
