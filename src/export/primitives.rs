//! The primitives that the sealed formats are made of, each with the shape it is used in.
//!
//! What it never does: choose a key or a nonce. `None` is a refusal: input that does not authenticate, or that the
//! library does not take.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _, consts::U32};
use aes_gcm::{AesGcm, aes::Aes256};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

/// A key or another secret of 256 bits.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// GCM with the long nonce of SOPS, which is hashed first.
type Gcm32 = AesGcm<Aes256, U32>;

/// Bytes of an authentication tag.
pub(super) const TAG_BYTES: usize = 16;

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

/// HKDF-SHA-256 (RFC 5869), one block.
pub(super) fn derived_key(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<Key> {
    let extracted = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, salt).extract(secret);
    let mut key = Key::default();
    extracted.expand(&[info], aws_lc_rs::hkdf::HKDF_SHA256).ok()?.fill(key.as_mut()).ok()?;
    Some(key)
}

/// The public half of an X25519 key.
pub(super) fn x25519_public(secret: &[u8; 32]) -> Option<[u8; 32]> {
    let key = PrivateKey::from_private_key(&X25519, secret).ok()?;
    key.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// What the two halves agree on; `None` for a public half of low order.
pub(super) fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Option<Key> {
    let key = PrivateKey::from_private_key(&X25519, secret).ok()?;
    agree(&key, UnparsedPublicKey::new(&X25519, public), (), |shared| shared.try_into().map(Key::new).map_err(|_| ()))
        .ok()
}

/// ChaCha20-Poly1305 (RFC 8439): ciphertext and tag.
pub(super) fn chacha_seal(key: &Key, nonce: [u8; 12], plaintext: &[u8]) -> Option<Vec<u8>> {
    seal(&CHACHA20_POLY1305, key, nonce, plaintext)
}

/// What [`chacha_seal`] was given.
pub(super) fn chacha_open(key: &Key, nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).ok()?);
    let mut out = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut out).ok()?.len();
    out.truncate(length);
    Some(out)
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

/// AES-256-GCM with a nonce of 32 bytes: `buffer` becomes the ciphertext; the tag is returned.
pub(super) fn gcm32_seal(key: &Key, nonce: &[u8; 32], context: &[u8], buffer: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
    let cipher = Gcm32::new_from_slice(key.as_ref()).ok()?;
    cipher.encrypt_inout_detached(nonce.into(), context, buffer.into()).ok().map(Into::into)
}

/// The reverse of [`gcm32_seal`].
pub(super) fn gcm32_open(
    key: &Key,
    nonce: &[u8; 32],
    context: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let cipher = Gcm32::new_from_slice(key.as_ref()).ok()?;
    cipher.decrypt_inout_detached(nonce.into(), context, buffer.into(), tag.into()).ok()
}
