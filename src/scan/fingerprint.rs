//! What a scanner is told of a value.
//!
//! There is one fingerprint for each value and none for its forms: a hash of the first characters of a form would be one of
//! a few bytes of the value, and those can be guessed alone.

use zeroize::Zeroizing;

use super::{ScanKey, decode};
use crate::crypto::SCAN_WINDOW;

/// Values that are shorter are not fingerprinted: they could be guessed, and found by chance.
pub const VALUE_MIN_BYTES: usize = SCAN_WINDOW;
/// Of a longer value the MAC is one of its beginning, so that what begins like it costs a scan no more than that.
const COVERED_MAX_BYTES: usize = 1024;

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The short hash of its first bytes.
    pub window: u32,
    /// How many bytes the MAC is about.
    pub length: usize,
    /// The MAC.
    pub mac: [u8; 16],
    /// Which value, as the caller counts them.
    pub value: usize,
}

/// The fingerprint of a value. `None` of one that is too short, and of one that is no secret: certificates, public keys.
///
/// White space around a value does not count, nor do line ends within and the indentation behind them: files have others.
#[must_use]
pub fn fingerprint(key: &ScanKey, value: &[u8], number: usize) -> Option<Fingerprint> {
    let value = value.trim_ascii();
    if is_public(value) {
        return None;
    }
    let mut joined = Zeroizing::new(Vec::with_capacity(value.len()));
    decode::join(value, |_, byte| joined.push(byte));
    let window = key.window(joined.first_chunk()?);
    let covered = joined.get(..COVERED_MAX_BYTES).unwrap_or(&joined);
    Some(Fingerprint { window, length: covered.len(), mac: key.mac(covered), value: number })
}

/// PEM of which each block is public, with nothing around the blocks.
fn is_public(value: &[u8]) -> bool {
    const PUBLIC: [&str; 4] = ["CERTIFICATE", "TRUSTED CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"];
    let Ok(mut rest) = std::str::from_utf8(value) else { return false };
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let block = PUBLIC.iter().find_map(|label| {
            let content = rest.strip_prefix("-----BEGIN ")?.strip_prefix(label)?.strip_prefix("-----")?;
            let (content, after) = content.split_once("-----END ")?;
            let after = after.strip_prefix(label)?.strip_prefix("-----")?;
            (!content.contains("-----")).then_some(after)
        });
        let Some(after) = block else { return false };
        rest = after.trim_start();
    }
    true
}
