//! Client certificates: who a verified one stands for, and signing them for the home's users.
//!
//! The common name is the user, each organization a group, as in Kubernetes. Those that the home's own client
//! authority signs carry the uid of the User object too, so that a user who is deleted and made again under the same
//! name is somebody else.
//!
//! What it never does: yield a user or group in `system:`, or judge whether a certificate can be trusted: the TLS
//! library has verified it before it comes here.

mod identity;
mod request;
mod serial;
mod signing;
mod subject;

pub use identity::{ClientIdentity, IdentityFault, PeerCertificate};
pub use request::{ClientRequest, make_csr};
pub use serial::{SERIAL_TEXT_MAX_BYTES, parse_serial, serial_hex};
pub use signing::{
    CLIENT_DEFAULT_TTL_SECONDS, CLIENT_MAX_TTL_SECONDS, CLIENT_MIN_TTL_SECONDS, sign_client_certificate,
};
pub use subject::{ClientSubject, GROUPS_MAX, NAME_MAX_BYTES};

#[cfg(test)]
pub(crate) use signing::testing;
