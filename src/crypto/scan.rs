//! Fingerprints of values, by which a scanner finds them in files without having them.
//!
//! A short hash of a value's first bytes says where to look; a MAC over the whole says whether it is there. Whoever holds the key
//! can test guesses at the whole: it is no password hash. The short hash has few bits on purpose: of a beginning alone it
//! confirms next to nothing, so that a value cannot be guessed piece by piece.

use zeroize::Zeroizing;

use super::derive::{KEY_BYTES, KeyBytes, Mac};
use crate::sensitive::SecretBytes;

/// Bytes that the short hash is about.
pub const SCAN_WINDOW: usize = 16;
/// Bits of the short hash.
pub const SCAN_WINDOW_BITS: u32 = 20;

/// Makes fingerprints with one key.
pub struct ScanKey {
    mac: Mac,
    /// Two factors and a summand.
    window: Zeroizing<[u128; 3]>,
}

impl ScanKey {
    /// Of 32 bytes; `None` of any other number.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the key becomes keys")]
    pub fn from_bytes(key: &SecretBytes) -> Option<Self> {
        let mac = Mac::new(&KeyBytes::copied_from(key.expose())?);
        let mut window = Zeroizing::new([0; 3]);
        for (number, word) in (0_u8..).zip(window.iter_mut()) {
            let seed = Zeroizing::new(mac.of_prefixed(&[b"window", &[number]]));
            *word = u128::from_be_bytes(*seed.first_chunk()?);
        }
        Some(Self { mac, window })
    }

    /// The short hash: vector multiply-shift, of which the upper bits are strongly universal (Thorup, "High Speed Hashing for
    /// Integers and Strings", 2015).
    #[inline]
    #[must_use]
    pub fn window(&self, bytes: &[u8; SCAN_WINDOW]) -> u32 {
        let bytes = u128::from_le_bytes(*bytes);
        let [first, second, summand] = *self.window;
        let low = first.wrapping_mul(bytes & u128::from(u64::MAX));
        let sum = low.wrapping_add(second.wrapping_mul(bytes >> 64)).wrapping_add(summand);
        u32::try_from(sum >> (128 - SCAN_WINDOW_BITS)).unwrap_or_default()
    }

    /// The MAC of a value.
    #[must_use]
    pub fn mac(&self, value: &[u8]) -> [u8; 16] {
        let whole = self.mac.of_prefixed(&[b"value", value]);
        whole.first_chunk().copied().unwrap_or_default()
    }
}

impl super::Keyring {
    /// The key by which a hook scans in one period: `HMAC(k_scan, LP(part) ‖ …)`. It is not stored: who asks again gets it
    /// again.
    #[must_use]
    pub fn scan_key(&self, parts: &[&[u8]]) -> SecretBytes {
        let key: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(self.scan_mac().of_prefixed(parts));
        SecretBytes::new(key.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ScanKey {
        ScanKey::from_bytes(&SecretBytes::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn a_short_hash_has_few_bits_and_depends_on_every_byte_and_the_key() {
        let text = *b"0123456789abcdef";
        let hash = key(1).window(&text);
        assert!(hash < 1 << SCAN_WINDOW_BITS);
        assert_ne!(hash, key(2).window(&text));
        for at in 0..SCAN_WINDOW {
            let mut other = text;
            other[at] ^= 1;
            assert_ne!(hash, key(1).window(&other), "{at}");
        }
    }

    #[test]
    fn each_key_has_its_own_macs() {
        let text = b"0123456789abcdefXYZ";
        assert_ne!(key(1).mac(text), key(2).mac(text));
        assert_ne!(key(1).mac(text), key(1).mac(&text[1..]));
        assert!(ScanKey::from_bytes(&SecretBytes::new(vec![1; 31])).is_none());
    }
}
