//! The KMS v2 plugin of a cluster's API server: `v2.KeyManagementService` over a Unix socket, by the keys of KMSKeys.
//!
//! ```text
//! kube-apiserver ──gRPC──► socket ──► service ──► Provider ─┬─ Room     this process has the keys
//!                          peer's user   messages            └─ a client of a server that has them
//! ```
//!
//! `etcd` looks at what an API server has stored, so that it can be said whether all of it is encrypted.
//!
//! Facts of the interface: `k8s.io/kms/apis/v2/api.proto`, and what kube-apiserver makes of it
//! (`staging/src/k8s.io/apiserver/pkg/storage/value/encrypt/envelope`) in Kubernetes 1.34.
//!
//! What it never does: encrypt or decrypt what could not be recorded, for an account that may not, or under a key id that is
//! not the ciphertext's own.

mod bolt;
pub mod etcd;
pub mod keeper;
pub mod messages;
mod provider;
mod room;
mod service;
mod socket;
mod stored;
mod usage;

pub use bolt::BoltError;
pub use provider::{Encrypted, Failure, FailureKind, Origin, Provider};
pub use room::{Account, Caller, KEY_ID, REQUEST_UID, Room};
pub use socket::{AllowedPeers, Stop, serve};
pub use stored::Stored;

/// The longest plaintext: what is made of it must be shorter than the 1 KiB that kube-apiserver takes.
pub const PLAINTEXT_MAX_BYTES: usize = 1023 - crate::crypto::KMS_OVERHEAD_BYTES;
/// The longest ciphertext that is looked at.
pub const CIPHERTEXT_MAX_BYTES: usize = 1023;
