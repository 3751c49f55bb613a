//! The primitives that the sealed formats are made of, each with the shape it is used in.
//!
//! What it never does: choose a key or a nonce. `None` is a refusal: input that does not authenticate, or that the
//! library does not take.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// A key or another secret of 256 bits.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Bytes of an authentication tag.
const TAG_BYTES: usize = 16;

/// HMAC-SHA-256 of `parts`, one after the other.
pub(super) fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let mut context = aws_lc_rs::hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// AES-256-GCM with a nonce of zeros, for a key that is used once: ciphertext and tag.
pub(super) fn gcm_seal_once(key: &Key, plaintext: &[u8]) -> Option<Vec<u8>> {
    seal(&AES_256_GCM, key, [0; 12], plaintext)
}

fn seal(algorithm: &'static Algorithm, key: &Key, nonce: [u8; 12], plaintext: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?);
    // Room for the tag, so that growing leaves no plaintext behind.
    let mut out = Vec::with_capacity(plaintext.len() + TAG_BYTES);
    out.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut out).ok()?;
    Some(out)
}
