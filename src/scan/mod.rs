//! Finds secrets where they should not be: Secret manifests with data in them, and values of a store by their
//! fingerprints. Pure: bytes go in, lines come out.
//!
//! What it never does: show a value, or need one to look for it.

mod encodings;
mod manifests;

use std::collections::HashMap;

use crate::crypto::SCAN_WINDOW;
pub use crate::crypto::ScanKey;

pub use self::encodings::{Encoding, encodings};
pub use self::manifests::{InManifest, in_manifests};

/// Values that are shorter are not fingerprinted: they could be guessed, and found by chance.
pub const VALUE_MIN_BYTES: usize = 16;

/// A form of a value, as it may stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// 32 bits of the hash of its first bytes.
    pub window: u32,
    /// Its length in bytes.
    pub length: usize,
    /// The MAC of all of it.
    pub mac: [u8; 16],
    /// Which form.
    pub encoding: Encoding,
    /// Which value, as the caller counts them.
    pub value: usize,
}

/// The fingerprints of a value; none of one that is too short.
#[must_use]
pub fn fingerprints(key: &ScanKey, value: &[u8], number: usize) -> Vec<Fingerprint> {
    if value.len() < VALUE_MIN_BYTES {
        return Vec::new();
    }
    let forms = encodings(value).into_iter().filter(|(_, text)| text.len() >= SCAN_WINDOW);
    let made = forms.map(|(encoding, text)| Fingerprint {
        window: ScanKey::shortened(key.window(&text)),
        length: text.len(),
        mac: key.mac(&text),
        encoding,
        value: number,
    });
    made.collect()
}

/// A value in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Where it begins, in bytes.
    pub at: usize,
    /// Which value.
    pub value: usize,
    /// In which form.
    pub encoding: Encoding,
}

/// Looks for values by their fingerprints.
pub struct Scanner<'a> {
    key: &'a ScanKey,
    windows: HashMap<u32, Vec<&'a Fingerprint>>,
}

impl<'a> Scanner<'a> {
    /// Of these fingerprints, which were made with this key.
    pub fn new(key: &'a ScanKey, fingerprints: impl IntoIterator<Item = &'a Fingerprint>) -> Self {
        let mut windows: HashMap<u32, Vec<&Fingerprint>> = HashMap::new();
        for fingerprint in fingerprints {
            windows.entry(fingerprint.window).or_default().push(fingerprint);
        }
        Self { key, windows }
    }

    /// Every value in the bytes, in order; of several forms in one place, one.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        if self.windows.is_empty() || bytes.len() < SCAN_WINDOW {
            return found;
        }
        let mut hash = self.key.window(bytes);
        let mut at = 0_usize;
        loop {
            for fingerprint in self.windows.get(&ScanKey::shortened(hash)).into_iter().flatten() {
                let text = bytes.get(at..at.saturating_add(fingerprint.length));
                if text.is_some_and(|text| self.key.mac(text) == fingerprint.mac) {
                    let Fingerprint { value, encoding, .. } = **fingerprint;
                    if !found.iter().rev().take(8).any(|one| one.value == value && one.at.abs_diff(at) < 4) {
                        found.push(Match { at, value, encoding });
                    }
                }
            }
            let (Some(leaves), Some(enters)) = (bytes.get(at), bytes.get(at + SCAN_WINDOW)) else { return found };
            hash = self.key.roll(hash, *leaves, *enters);
            at += 1;
        }
    }
}

/// The line of a place in a file, from 1.
#[must_use]
pub fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
