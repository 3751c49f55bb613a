//! Certificates: the home's own authority, the server's certificate, and whether a pair in a Secret belongs together.
//!
//! What it never does: read a clock or a file, put key material or a certificate's bytes into an error, or
//! constrain the authority by name (a later server name must not force a new authority on every client).

mod authority;
mod certificate;
pub mod client;
mod der;
mod names;
mod pair;
mod pem;

pub use authority::{
    AUTHORITY_VALID_SECONDS, Authority, LEAF_VALID_SECONDS, Leaf, LeafFault, leaf_fault, make_authority, make_leaf,
};
pub use certificate::{CertificateFacts, KeyAlgorithm};
pub use names::Names;
pub use pair::pair_warning;
pub use pem::{Block, encode_certificate, encode_private_key, read_blocks};

/// Why a certificate was not made or not read. Never shows what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// No key or signature could be made.
    #[error("a key or signature could not be made")]
    Make,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Random,
    /// A stored key of the authority cannot be read.
    #[error("the certificate authority's key cannot be read")]
    AuthorityKey,
    /// Not an X.509 certificate.
    #[error("not an X.509 certificate")]
    Certificate,
    /// A name that cannot stand in a certificate.
    #[error("a server name cannot stand in a certificate")]
    Name,
}
