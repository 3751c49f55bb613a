//! Certificates: the home's own authorities, the server's certificate, those of clients and of workloads, and whether a
//! pair in a Secret belongs together.
//!
//! What it never does: read a clock or a file, put key material or a certificate's bytes into an error, or
//! constrain the authority by name (a later server name must not force a new authority on every client).

mod authority;
mod certificate;
pub mod client;
mod der;
mod keys;
mod names;
mod pair;
mod pem;
mod signature;
mod workload;

pub use authority::{
    AUTHORITY_VALID_SECONDS, Authority, LEAF_VALID_SECONDS, Leaf, LeafFault, leaf_fault, make_authority,
    make_client_authority, make_leaf, make_workload_authority,
};
pub use certificate::{CertificateFacts, KeyAlgorithm};
pub use keys::{CertificatePem, KeyKind, KeyPairPem, make_key_pair, make_self_signed};
pub use names::Names;
pub use pair::pair_warning;
pub use pem::{Block, encode_certificate, encode_private_key, read_blocks};
pub use workload::{IssueError, Issued, Issuer, Purpose, Workload, certificate_end, issue};

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
    /// A user, group or uid that cannot stand in a client certificate.
    #[error(
        "a user, group or uid cannot stand in a client certificate: it is reserved, empty, too long or unprintable"
    )]
    Subject,
    /// Not a certificate request, or one that its key has not signed.
    #[error(
        "not a PKCS #10 certificate request in PEM form, signed by its own ECDSA (P-256, P-384, P-521), Ed25519 or RSA \
         (2048 bits or more) key"
    )]
    Request,
    /// A client certificate for too short or too long a time.
    #[error("a client certificate is valid for 10 minutes at least and a year at most")]
    Lifetime,
}
