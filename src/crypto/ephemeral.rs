//! A key that is random, lives as long as what made it, and is written nowhere.

use super::derive::{KeyBytes, Mac};
use super::errors::RandomError;

/// Keyed hashes that only this process can make and compare.
pub struct EphemeralMac(Mac);

impl EphemeralMac {
    /// A new random key.
    pub fn make() -> Result<Self, RandomError> {
        KeyBytes::make().map(|key| Self(Mac::new(&key)))
    }

    /// `HMAC(key, LP(part) ‖ …)`
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.of_prefixed(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_own_and_parts_are_told_apart() {
        let (one, other) = (EphemeralMac::make().unwrap(), EphemeralMac::make().unwrap());
        assert_eq!(one.mac(&[b"a", b"b"]), one.mac(&[b"a", b"b"]));
        assert_ne!(one.mac(&[b"a", b"b"]), other.mac(&[b"a", b"b"]));
        assert_ne!(one.mac(&[b"ab"]), one.mac(&[b"a", b"b"]));
        assert_ne!(one.mac(&[b"ab", b""]), one.mac(&[b"a", b"b"]));
    }
}
