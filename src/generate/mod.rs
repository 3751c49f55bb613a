//! Makes values that nobody has to think up: passwords, identifiers, keys.
//!
//! Randomness is a parameter, but for keys whose making the library of primitives keeps to itself. What it never does:
//! favour one character over another, or make a value that is short enough to guess.

mod password;
mod ssh;

pub use password::{Alphabet, AlphabetError, LENGTH_MAX, LENGTH_MIN, password};
pub use ssh::{SshKey, ssh_key};

use crate::sensitive::SecretBytes;

/// Fills a buffer with randomness.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), NoRandomness>;

/// The operating system gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// `bytes` random bytes in hexadecimal: twice as many digits.
pub fn hex_digits(bytes: usize, random: Random<'_>) -> Result<SecretBytes, NoRandomness> {
    let mut raw = zeroize::Zeroizing::new(vec![0; bytes]);
    random(&mut raw)?;
    Ok(SecretBytes::new(hex::encode(raw.as_slice()).into_bytes()))
}

/// A random UUID (RFC 9562, version 4).
pub fn uuid(random: Random<'_>) -> Result<SecretBytes, NoRandomness> {
    let mut raw = zeroize::Zeroizing::new([0; 16]);
    random(raw.as_mut_slice())?;
    let uuid = uuid::Builder::from_random_bytes(*raw).into_uuid();
    let mut text = vec![0; uuid::fmt::Hyphenated::LENGTH];
    uuid.hyphenated().encode_lower(&mut text);
    Ok(SecretBytes::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn identifiers_are_what_they_are_called() {
        let mut random = |bytes: &mut [u8]| {
            bytes.fill(0xab);
            Ok(())
        };
        assert_eq!(hex_digits(3, &mut random).unwrap().expose(), b"ababab");
        assert_eq!(uuid(&mut random).unwrap().expose(), b"abababab-abab-4bab-abab-abababababab");
        assert_eq!(uuid(&mut |_| Err(NoRandomness)).err(), Some(NoRandomness));
    }
}
