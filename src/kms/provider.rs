//! What encrypts and decrypts behind the socket.

use crate::sensitive::SecretBytes;

/// What something has become.
pub struct Encrypted {
    /// Shorter than 1 KiB.
    pub ciphertext: Vec<u8>,
    /// What it was encrypted with.
    pub key_id: String,
}

/// Of which kind a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The request is not one that can be followed.
    Invalid,
    /// There is no such key.
    NoKey,
    /// The key has no such term.
    NoTerm,
    /// The account may not.
    Denied,
    /// Not now.
    Unavailable,
    /// A defect.
    Internal,
}

/// Why nothing was encrypted or decrypted. Names at most; never a part of a plaintext or a ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Of which kind.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// What the API server calls the request.
    pub request_uid: String,
    /// The user at the other end of the socket.
    pub peer_uid: u32,
}

/// What encrypts and decrypts, for one account and one key.
pub trait Provider: Clone + Send + Sync + 'static {
    /// The key id that is encrypted with now, if all is well.
    fn status(&self) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Encrypts.
    fn encrypt(&self, plain: SecretBytes, origin: &Origin) -> impl Future<Output = Result<Encrypted, Failure>> + Send;

    /// Decrypts what was encrypted with `key_id`.
    fn decrypt(
        &self,
        ciphertext: &[u8],
        key_id: &str,
        origin: &Origin,
    ) -> impl Future<Output = Result<SecretBytes, Failure>> + Send;
}
