//! Passwords: characters of an alphabet, each as likely as any other.

use zeroize::Zeroizing;

use super::{NoRandomness, Random};
use crate::sensitive::SecretBytes;

/// Shorter ones are refused, whatever the alphabet.
pub const LENGTH_MIN: usize = 8;
/// Longer ones help nobody.
pub const LENGTH_MAX: usize = 4096;

/// Distinct printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alphabet(Vec<u8>);

/// Not an alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give at least ten different printable ASCII characters, each once and none of them a blank")]
pub struct AlphabetError;

impl Alphabet {
    /// Letters and digits: 5.95 bits a character, and nothing that a shell, a URL or a file format takes for its own.
    #[must_use]
    pub fn alphanumeric() -> Self {
        Self((b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect())
    }

    /// These characters.
    pub fn of(characters: &str) -> Result<Self, AlphabetError> {
        let bytes = characters.as_bytes().to_vec();
        let is_once = |(at, byte): (usize, &u8)| bytes.iter().position(|other| other == byte) == Some(at);
        let is_valid =
            bytes.len() >= 10 && bytes.iter().all(u8::is_ascii_graphic) && bytes.iter().enumerate().all(is_once);
        if is_valid { Ok(Self(bytes)) } else { Err(AlphabetError) }
    }

    /// How many bits an attacker has to guess, rounded down.
    #[must_use]
    pub fn bits(&self, length: usize) -> usize {
        // Sixteenths of a bit, so that little is lost before it is multiplied.
        let log2 = |n: usize| (u128::try_from(n).unwrap_or(1).pow(16)).ilog2();
        length.saturating_mul(usize::try_from(log2(self.0.len())).unwrap_or(0)) / 16
    }
}

/// `length` characters. A byte that would favour some of them is thrown away.
pub fn password(alphabet: &Alphabet, length: usize, random: Random<'_>) -> Result<SecretBytes, NoRandomness> {
    let count = alphabet.0.len();
    let fair = 256 - 256 % count;
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    let mut pool = Zeroizing::new([0; 64]);
    while out.len() < length {
        random(pool.as_mut_slice())?;
        let chosen = pool.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let chosen = chosen.filter_map(|byte| alphabet.0.get(byte % count)).take(length - out.len());
        out.extend(chosen);
    }
    Ok(SecretBytes::new(std::mem::take(&mut *out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test counts what it made")]
    fn every_character_is_as_likely_as_any_other() {
        let alphabet = Alphabet::of("abcdefghij").unwrap();
        // Every byte equally often: what is not fair about the choice would show exactly.
        let mut next = 0_u8;
        let mut random = |bytes: &mut [u8]| {
            for byte in bytes.iter_mut() {
                *byte = next;
                next = next.wrapping_add(1);
            }
            Ok(())
        };
        let made = password(&alphabet, 2500, &mut random).unwrap();
        for character in b'a'..=b'j' {
            let times = made.expose().iter().map(|byte| usize::from(*byte == character)).sum::<usize>();
            assert_eq!(times, 250);
        }
    }

    #[test]
    fn an_alphabet_is_distinct_and_its_strength_is_told() {
        assert_eq!(Alphabet::alphanumeric().bits(32), 190);
        assert_eq!(Alphabet::of("0123456789").unwrap().bits(20), 66);
        for characters in ["", "abc", "aabcdefghijk", "abcdefghi j", "abcdefghij\u{e4}"] {
            assert!(Alphabet::of(characters).is_err(), "{characters}");
        }
    }
}
