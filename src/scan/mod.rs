//! Finds secrets where they should not be: Secret manifests with data in them, and values of a store by their
//! fingerprints. Pure: bytes go in, lines come out.
//!
//! What it never does: show a value, or need one to look for it.

mod decode;
mod fingerprint;
mod manifests;
mod scanner;

pub use crate::crypto::ScanKey;

pub use self::fingerprint::{Fingerprint, VALUE_MIN_BYTES, fingerprint};
pub use self::manifests::{InManifest, in_manifests};
pub use self::scanner::{Encoding, Match, Scanner};

#[cfg(test)]
mod tests;
