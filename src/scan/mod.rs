//! Finds secrets where they should not be: Secret manifests with data in them, and values of a store by their
//! fingerprints. Pure: bytes go in, lines come out. And tells what a manifest gives away, and what a value is.
//!
//! What a scan never does: show a value, or need one to look for it.

mod decode;
mod fingerprint;
mod inspect;
mod manifests;
mod recognise;
mod scanner;

pub use crate::crypto::ScanKey;

pub use self::fingerprint::{Fingerprint, VALUE_MIN_BYTES, fingerprint};
pub use self::inspect::{Entry, Found, Inspected, Protection, inspect};
pub use self::manifests::{InManifest, in_manifests};
pub use self::recognise::recognise;
pub use self::scanner::{Encoding, Match, Scanner};

#[cfg(test)]
mod tests;
