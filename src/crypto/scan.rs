//! Fingerprints of values, by which a scanner finds them in files without having them.
//!
//! A window of a text's first bytes, hashed to 32 bits at a secret point, says where to look; a MAC over the whole text
//! says whether it is there. Whoever holds the key can test guesses with both: it is no password hash.

use zeroize::Zeroizing;

use super::derive::{KEY_BYTES, KeyBytes, Mac};
use crate::sensitive::SecretBytes;

/// Bytes of the window.
pub const SCAN_WINDOW: usize = 16;
/// The prime that windows are hashed modulo, 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

/// Makes fingerprints with one key.
pub struct ScanKey {
    mac: Mac,
    /// Where the window's polynomial is evaluated.
    point: u64,
    /// The point to the power of the window's first byte.
    highest: u64,
}

impl ScanKey {
    /// Of 32 bytes; `None` of any other number.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the key becomes keys")]
    pub fn from_bytes(key: &SecretBytes) -> Option<Self> {
        let mac = Mac::new(&KeyBytes::copied_from(key.expose())?);
        let seed = mac.of_prefixed(&[b"point"]);
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(seed).for_each(|(to, from)| *to = from);
        let point = u64::from_le_bytes(bytes) % (PRIME - 2) + 2;
        let highest = (1..SCAN_WINDOW).fold(1, |power, _| multiply(power, point));
        Some(Self { mac, point, highest })
    }

    /// The hash of a window; shorter texts have one too, which no scan looks for.
    #[must_use]
    pub fn window(&self, text: &[u8]) -> u64 {
        text.iter().take(SCAN_WINDOW).fold(0, |hash, byte| self.push(hash, *byte))
    }

    /// The hash of the window one byte further on.
    #[must_use]
    pub fn roll(&self, hash: u64, leaves: u8, enters: u8) -> u64 {
        let without = hash + PRIME - multiply(u64::from(leaves), self.highest);
        self.push(without % PRIME, enters)
    }

    /// The 32 bits of a hash that are given out.
    #[must_use]
    pub fn shortened(hash: u64) -> u32 {
        u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default()
    }

    /// The MAC of a whole text.
    #[must_use]
    pub fn mac(&self, text: &[u8]) -> [u8; 16] {
        let whole = self.mac.of_prefixed(&[b"text", text]);
        let mut half = [0; 16];
        half.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        half
    }

    fn push(&self, hash: u64, byte: u8) -> u64 {
        (multiply(hash, self.point) + u64::from(byte)) % PRIME
    }
}

fn multiply(a: u64, b: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(PRIME)).unwrap_or_default()
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
    fn a_rolled_window_is_the_window_there() {
        let (key, text) = (key(7), b"the quick brown fox jumps over the lazy dog \xff\x00\xfe");
        let mut hash = key.window(text);
        for at in 1..=text.len() - SCAN_WINDOW {
            hash = key.roll(hash, text[at - 1], text[at + SCAN_WINDOW - 1]);
            assert_eq!(hash, key.window(&text[at..]), "{at}");
        }
    }

    #[test]
    fn each_key_has_its_own_fingerprints() {
        let text = b"0123456789abcdefXYZ";
        assert_ne!(key(1).window(text), key(2).window(text));
        assert_ne!(key(1).mac(text), key(2).mac(text));
        assert_ne!(key(1).mac(text), key(1).mac(&text[1..]));
        assert!(ScanKey::from_bytes(&SecretBytes::new(vec![1; 31])).is_none());
    }
}
