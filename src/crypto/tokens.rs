//! Secrets that people and programs carry: opaque tokens, unlock keys, the written form of a recovery key.
//!
//! Nothing here is stored: of a token the store keeps [`Keyring::lookup_hash`](super::Keyring::lookup_hash) only.

use std::error::Error;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::derive::{KEY_BYTES, RECOVERY_CHECK, make_random};
use super::errors::RandomError;
use crate::sensitive::SecretBytes;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of base 62 are 256.03 bits.
const TOKEN_CHARS: usize = 43;
/// The largest multiple of 62 that a byte can count to; bytes from here on would favour some characters.
const UNBIASED_BELOW: u8 = 248;

/// Crockford's base 32: no I, L, O or U.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 256 bits of key and 19 bits of check.
const RECOVERY_CHARS: usize = 55;
const RECOVERY_GROUP_CHARS: usize = 5;

/// `prefix`, then 43 random letters and digits (256 bits). The prefix (`sr_`, `sr_rt_`) lets secret scanners know it.
pub fn make_token(prefix: &str) -> Result<SecretBytes, RandomError> {
    let mut token = Zeroizing::new(Vec::with_capacity(prefix.len() + TOKEN_CHARS));
    token.extend_from_slice(prefix.as_bytes());
    let mut random = Zeroizing::new([0; 64]);
    while token.len() < prefix.len() + TOKEN_CHARS {
        make_random(random.as_mut_slice())?;
        let missing = prefix.len() + TOKEN_CHARS - token.len();
        let unbiased = random.iter().filter(|byte| **byte < UNBIASED_BELOW);
        token.extend(unbiased.filter_map(|byte| BASE62.get(usize::from(byte % 62))).take(missing));
    }
    Ok(SecretBytes::new(std::mem::take(&mut *token)))
}

/// 32 random bytes: the content of a key file, or a recovery key.
pub fn make_unlock_key() -> Result<SecretBytes, RandomError> {
    let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
    make_random(&mut key)?;
    Ok(SecretBytes::new(std::mem::take(&mut *key)))
}

/// A recovery key as people write it down: eleven groups of five characters, with `-` between them. The last
/// characters check the others, so that a slip of the pen is told from a wrong key.
#[expect(clippy::disallowed_methods, reason = "the key is read to be written down")]
pub fn recovery_text(key: &SecretBytes) -> Result<SecretBytes, RecoveryTextError> {
    let key: &[u8; KEY_BYTES] = key.expose().try_into().map_err(|_| RecoveryTextError::Length)?;
    let chars = recovery_chars(key);
    let mut text = Zeroizing::new(Vec::with_capacity(RECOVERY_CHARS + RECOVERY_CHARS / RECOVERY_GROUP_CHARS));
    for group in chars.chunks(RECOVERY_GROUP_CHARS) {
        if !text.is_empty() {
            text.push(b'-');
        }
        text.extend_from_slice(group);
    }
    Ok(SecretBytes::new(std::mem::take(&mut *text)))
}

/// The recovery key that [`recovery_text`] wrote. Case, `-` and white space do not matter; `O` is read as 0, `I`
/// and `L` as 1.
#[expect(clippy::disallowed_methods, reason = "the text is read to be decoded")]
pub fn parse_recovery_text(text: &SecretBytes) -> Result<SecretBytes, RecoveryTextError> {
    let mut values = Zeroizing::new(Vec::with_capacity(RECOVERY_CHARS));
    for byte in text.expose().iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-') {
        if values.len() == RECOVERY_CHARS {
            return Err(RecoveryTextError::Length);
        }
        let canonical = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = BASE32.iter().position(|known| *known == canonical).ok_or(RecoveryTextError::Character)?;
        values.push(u8::try_from(value).unwrap_or_default());
    }
    if values.len() != RECOVERY_CHARS {
        return Err(RecoveryTextError::Length);
    }
    let mut key = Zeroizing::new(Vec::with_capacity(RECOVERY_CHARS * 5 / 8));
    let (mut held, mut held_bits) = (Zeroizing::new(0_u16), 0_u32);
    for value in values.iter() {
        *held = (*held << 5) | u16::from(*value);
        held_bits += 5;
        if held_bits >= 8 {
            held_bits -= 8;
            let [_, byte] = (*held >> held_bits).to_be_bytes();
            key.push(byte);
        }
    }
    key.truncate(KEY_BYTES);
    let exact: &[u8; KEY_BYTES] = key.as_slice().try_into().map_err(|_| RecoveryTextError::Length)?;
    let expected = recovery_chars(exact);
    let mut given = Zeroizing::new(Vec::with_capacity(RECOVERY_CHARS));
    given.extend(values.iter().filter_map(|value| BASE32.get(usize::from(*value))));
    if bool::from(expected.ct_eq(given.as_slice())) {
        Ok(SecretBytes::new(std::mem::take(&mut *key)))
    } else {
        Err(RecoveryTextError::Check)
    }
}

/// The key and the beginning of its hash, five bits to the character.
fn recovery_chars(key: &[u8; KEY_BYTES]) -> Zeroizing<Vec<u8>> {
    let check =
        Zeroizing::new(<[u8; 32]>::from(Sha256::new().chain_update(RECOVERY_CHECK).chain_update(key).finalize()));
    let mut chars = Zeroizing::new(Vec::with_capacity(RECOVERY_CHARS));
    let (mut held, mut held_bits) = (Zeroizing::new(0_u16), 0_u32);
    for byte in key.iter().chain(check.iter()) {
        *held = (*held << 8) | u16::from(*byte);
        held_bits += 8;
        while held_bits >= 5 && chars.len() < RECOVERY_CHARS {
            held_bits -= 5;
            chars.extend(BASE32.get(usize::from((*held >> held_bits) & 31)));
        }
        if chars.len() == RECOVERY_CHARS {
            break;
        }
    }
    chars
}

/// Why a text is no recovery key. Never says which characters it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryTextError {
    /// Not 55 characters (or, to be written down, not 32 bytes).
    Length,
    /// A character that no recovery key has.
    Character,
    /// The check characters do not fit the others: there is a slip.
    Check,
}

impl fmt::Display for RecoveryTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a recovery key has 55 letters and digits, in 11 groups of 5",
            Self::Character => "there is a character that no recovery key has",
            Self::Check => "the recovery key has a slip in it: compare it with what was written down",
        })
    }
}

impl Error for RecoveryTextError {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was made")]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_prefix_and_256_bits_of_letters_and_digits() {
        let (one, two) = (make_token("sr_rt_").unwrap(), make_token("sr_rt_").unwrap());
        assert_ne!(one.expose(), two.expose());
        let random = one.expose().strip_prefix(b"sr_rt_").unwrap();
        assert_eq!(random.len(), 43);
        assert!(random.iter().all(u8::is_ascii_alphanumeric));
    }

    #[test]
    fn every_character_occurs_in_tokens_about_equally_often() {
        let mut counts = [0_u32; 128];
        for _ in 0..2000 {
            for byte in make_token("").unwrap().expose() {
                counts[usize::from(*byte)] += 1;
            }
        }
        // 86,000 characters, 1,387 of each expected, standard deviation 37.
        assert!(BASE62.iter().all(|byte| (1130..1645).contains(&counts[usize::from(*byte)])));
    }

    #[test]
    fn a_recovery_key_survives_being_written_down() {
        let key = make_unlock_key().unwrap();
        let text = recovery_text(&key).unwrap();
        assert_eq!(text.len(), 65);
        assert!(text.expose().chunks(6).all(|group| group.len() == 5 || group[5] == b'-'));
        assert_eq!(parse_recovery_text(&text).unwrap().expose(), key.expose());
        let sloppy = String::from_utf8(text.expose().to_vec()).unwrap().to_lowercase();
        let sloppy = format!("  {}\n", sloppy.replace('-', " ").replace('0', "o").replace('1', "l"));
        assert_eq!(parse_recovery_text(&SecretBytes::new(sloppy.into_bytes())).unwrap().expose(), key.expose());
    }

    #[test]
    fn a_slip_of_the_pen_in_a_recovery_key_is_noticed() {
        let text = recovery_text(&SecretBytes::new(vec![0x5a; 32])).unwrap();
        let parse = |text: Vec<u8>| parse_recovery_text(&SecretBytes::new(text)).err();
        for place in 0..text.len() {
            let mut slip = text.expose().to_vec();
            if slip[place] == b'-' {
                continue;
            }
            slip[place] = if slip[place] == b'7' { b'8' } else { b'7' };
            assert_eq!(parse(slip.clone()), Some(RecoveryTextError::Check), "{place}");
            slip[place] = b'U';
            assert_eq!(parse(slip.clone()), Some(RecoveryTextError::Character));
            slip.remove(place);
            assert_eq!(parse(slip), Some(RecoveryTextError::Length));
        }
        assert_eq!(parse([text.expose(), b"0"].concat()), Some(RecoveryTextError::Length));
        assert_eq!(recovery_text(&SecretBytes::new(vec![0; 31])).err(), Some(RecoveryTextError::Length));
    }
}
