//! age (age-encryption.org/v1) for one small payload and X25519 recipients, with armor: what SOPS wraps its data key in.
//!
//! Written here because randomness is a parameter, and because the library brings two hundred crates for the same forty
//! lines of layout. The primitives are the library's that everything else uses. Files of more than one chunk are
//! `age_file`'s. What it never does: passphrases, plugins.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::primitives::{Key, chacha_open, chacha_seal, derived_key, keyed_hash, x25519, x25519_public};
use super::{ExportError, Random};

pub(super) const VERSION: &str = "age-encryption.org/v1\n";
const STANZA_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const ARMOR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOR_END: &str = "-----END AGE ENCRYPTED FILE-----";
const ARMOR_COLUMNS: usize = 64;
const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age");
const IDENTITY_HRP: Hrp = Hrp::parse_unchecked("age-secret-key-");
pub(super) const FILE_KEY_BYTES: usize = 16;
pub(super) const PAYLOAD_NONCE_BYTES: usize = 16;
/// The first chunk, which is the last.
const ONLY_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// More than a wrapped data key ever takes, with hundreds of stanzas.
const MAX_ARMORED_BYTES: usize = 64 << 10;

/// A key of age that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeKeyError {
    /// Not a recipient that is known here.
    #[error("not an age recipient: an X25519 key is expected, age1… with 62 characters (no plugin, ssh or hybrid key)")]
    Recipient,
    /// Not an identity that is known here.
    #[error("not an age identity: an X25519 key is expected, AGE-SECRET-KEY-1… with 74 characters")]
    Identity,
}

/// To whom is encrypted: `age1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl FromStr for Recipient {
    type Err = AgeKeyError;

    fn from_str(text: &str) -> Result<Self, AgeKeyError> {
        let bytes = bech32_bytes(text, RECIPIENT_HRP).filter(|_| text.starts_with("age1"));
        // A point of low order agrees with nobody.
        let bytes = bytes.filter(|bytes| x25519(&[1; 32], bytes).is_some());
        Ok(Self(*bytes.ok_or(AgeKeyError::Recipient)?))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode::<Bech32>(RECIPIENT_HRP, &self.0).map_err(|_| fmt::Error)?)
    }
}

/// Who can decrypt: `AGE-SECRET-KEY-1…`.
pub struct Identity {
    secret: Key,
    public: [u8; 32],
}

impl Identity {
    /// Makes a new one.
    pub fn make(random: Random<'_>) -> Result<Self, ExportError> {
        let mut secret = Key::default();
        random(secret.as_mut())?;
        Self::of(secret).ok_or(ExportError::Encryption)
    }

    fn of(secret: Key) -> Option<Self> {
        let public = x25519_public(&secret)?;
        Some(Self { secret, public })
    }

    /// Who encrypts to it.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.public)
    }

    /// Its text. Whoever holds it can decrypt.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(bech32::encode_upper::<Bech32>(IDENTITY_HRP, self.secret.as_ref()).unwrap_or_default())
    }
}

impl FromStr for Identity {
    type Err = AgeKeyError;

    fn from_str(text: &str) -> Result<Self, AgeKeyError> {
        bech32_bytes(text, IDENTITY_HRP).and_then(Self::of).ok_or(AgeKeyError::Identity)
    }
}

fn bech32_bytes(text: &str, hrp: Hrp) -> Option<Key> {
    let parsed = CheckedHrpstring::new::<Bech32>(text).ok().filter(|parsed| parsed.hrp() == hrp)?;
    let mut bytes = Key::default();
    let mut source = parsed.byte_iter();
    for byte in bytes.iter_mut() {
        *byte = source.next()?;
    }
    source.next().is_none().then_some(bytes)
}

/// An armored file with `payload`, for `recipient`.
pub(super) fn encrypt(payload: &[u8], recipient: &Recipient, random: Random<'_>) -> Result<String, ExportError> {
    let mut file_key = Zeroizing::new([0; FILE_KEY_BYTES]);
    let mut ephemeral = Key::default();
    let mut nonce = [0; PAYLOAD_NONCE_BYTES];
    random(file_key.as_mut())?;
    random(ephemeral.as_mut())?;
    random(&mut nonce)?;
    let file = file(payload, recipient, &file_key, &ephemeral, nonce).ok_or(ExportError::Encryption)?;
    let encoded = STANDARD.encode(file);
    let mut armored = format!("{ARMOR_BEGIN}\n");
    for (index, c) in encoded.chars().enumerate() {
        if index > 0 && index % ARMOR_COLUMNS == 0 {
            armored.push('\n');
        }
        armored.push(c);
    }
    armored.push('\n');
    armored.push_str(ARMOR_END);
    armored.push('\n');
    Ok(armored)
}

fn file(
    payload: &[u8],
    recipient: &Recipient,
    file_key: &[u8; FILE_KEY_BYTES],
    ephemeral: &Key,
    nonce: [u8; PAYLOAD_NONCE_BYTES],
) -> Option<Vec<u8>> {
    let header = format!("{VERSION}{}---", stanza(recipient, file_key, ephemeral)?);
    let mut out = Header::ended(header, file_key)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&chacha_seal(&derived_key(file_key, &nonce, b"payload")?, ONLY_CHUNK, payload)?);
    Some(out)
}

/// The lines by which a recipient finds the file key.
pub(super) fn stanza(recipient: &Recipient, file_key: &[u8; FILE_KEY_BYTES], ephemeral: &Key) -> Option<String> {
    let share = x25519_public(ephemeral)?;
    let wrapping = wrapping_key(&x25519(ephemeral, &recipient.0)?, &share, &recipient.0)?;
    let wrapped = chacha_seal(&wrapping, [0; 12], file_key)?;
    Some(format!("-> X25519 {}\n{}\n", STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(wrapped)))
}

fn wrapping_key(shared: &Key, share: &[u8; 32], recipient: &[u8; 32]) -> Option<Key> {
    derived_key(shared.as_ref(), &[*share, *recipient].concat(), STANZA_INFO)
}

pub(super) fn header_tag(file_key: &[u8], header: &[u8]) -> Option<[u8; 32]> {
    Some(keyed_hash(derived_key(file_key, b"", b"header")?.as_ref(), &[header]))
}

/// The payload of an armored file, if one of `identities` opens it.
pub(super) fn decrypt(armored: &str, identities: &[Identity]) -> Option<Zeroizing<Vec<u8>>> {
    let body = armored.trim().strip_prefix(ARMOR_BEGIN)?.strip_suffix(ARMOR_END)?;
    if body.len() > MAX_ARMORED_BYTES {
        return None;
    }
    let encoded: String = body.split_ascii_whitespace().collect();
    let file = STANDARD.decode(encoded).ok()?;
    let header = Header::read(&file)?;
    let file_key = identities.iter().find_map(|identity| header.file_key(identity))?;
    if !bool::from(header_tag(&file_key, header.tagged)?.ct_eq(&header.tag)) {
        return None;
    }
    let (nonce, chunk) = header.rest.split_first_chunk::<PAYLOAD_NONCE_BYTES>()?;
    chacha_open(&derived_key(&file_key, nonce, b"payload")?, ONLY_CHUNK, chunk)
}

/// The X25519 stanzas of a file, and what stands behind its header.
pub(super) struct Header<'a> {
    /// Ephemeral share and wrapped file key.
    stanzas: Vec<([u8; 32], Vec<u8>)>,
    /// What the tag is over.
    pub(super) tagged: &'a [u8],
    /// See [`header_tag`].
    pub(super) tag: [u8; 32],
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// `header`, which ends in `---`, with its tag.
    pub(super) fn ended(header: String, file_key: &[u8]) -> Option<Vec<u8>> {
        let mut out = header.into_bytes();
        let tag = header_tag(file_key, &out)?;
        out.extend_from_slice(format!(" {}\n", STANDARD_NO_PAD.encode(tag)).as_bytes());
        Some(out)
    }

    pub(super) fn read(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(VERSION.as_bytes())?;
        let mut stanzas = Vec::new();
        loop {
            let (opening, after) = line(rest)?;
            if let Some(tag) = opening.strip_prefix("--- ") {
                let tagged = file.get(..file.len() - rest.len() + "---".len())?;
                let tag = STANDARD_NO_PAD.decode(tag).ok()?.try_into().ok()?;
                return Some(Self { stanzas, tagged, tag, rest: after });
            }
            let mut words = opening.strip_prefix("-> ")?.split(' ');
            let (kind, share) = (words.next()?, words.next());
            let mut body = String::new();
            rest = after;
            // A body ends with its first line that is not full.
            loop {
                let (text, after) = line(rest)?;
                rest = after;
                body.push_str(text);
                if text.len() < ARMOR_COLUMNS {
                    break;
                }
            }
            if kind == "X25519" && words.next().is_none() {
                let share = STANDARD_NO_PAD.decode(share?).ok()?.try_into().ok()?;
                stanzas.push((share, STANDARD_NO_PAD.decode(body).ok()?));
            }
        }
    }

    pub(super) fn file_key(&self, identity: &Identity) -> Option<Zeroizing<Vec<u8>>> {
        self.stanzas.iter().find_map(|(share, wrapped)| {
            let wrapping = wrapping_key(&x25519(&identity.secret, share)?, share, &identity.public)?;
            chacha_open(&wrapping, [0; 12], wrapped).filter(|key| key.len() == FILE_KEY_BYTES)
        })
    }
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(line).ok()?, rest.split_first()?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_agrees_with_nobody_is_no_recipient() {
        let mut one = [0; 32];
        one[0] = 1;
        for low_order in [[0; 32], one] {
            let text = Recipient(low_order).to_string();
            assert!(bech32_bytes(&text, RECIPIENT_HRP).is_some(), "it is written well");
            assert!(text.parse::<Recipient>().is_err(), "{text}");
        }
    }
}
