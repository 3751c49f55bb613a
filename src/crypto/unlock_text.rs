//! How unlock secrets stand in files: a key with its first word, or a passphrase. Because of that word a key is never taken for
//! a passphrase, nor a passphrase for a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::derive::KEY_BYTES;
use crate::sensitive::SecretBytes;

const PREFIX: &[u8] = b"strongroom-unlock-key-v1:";

/// What stands in a file that holds an unlock secret.
pub enum UnlockText {
    /// A key of 32 bytes.
    Key(SecretBytes),
    /// A passphrase of at least one byte.
    Passphrase(SecretBytes),
}

/// The line of a key file: `strongroom-unlock-key-v1:` and the key in base64.
#[expect(clippy::disallowed_methods, reason = "the key is encoded into a secret of its own")]
pub fn unlock_key_text(key: &SecretBytes) -> SecretBytes {
    let encoded = Zeroizing::new(STANDARD.encode(key.expose()));
    let mut line = Zeroizing::new(Vec::with_capacity(PREFIX.len() + encoded.len() + 1));
    line.extend_from_slice(PREFIX);
    line.extend_from_slice(encoded.as_bytes());
    line.push(b'\n');
    SecretBytes::new(std::mem::take(&mut *line))
}

/// A key: the line of a key file, or 32 bytes as they are.
#[expect(clippy::disallowed_methods, reason = "a key is decoded into a secret of its own")]
pub fn parse_unlock_key(content: &SecretBytes) -> Option<SecretBytes> {
    if let Some(encoded) = without_line_end(content.expose()).strip_prefix(PREFIX) {
        let mut key = Zeroizing::new(vec![0; KEY_BYTES + 3]);
        let length = STANDARD.decode_slice(encoded, key.as_mut_slice()).ok()?;
        key.truncate(length);
        return (length == KEY_BYTES).then(|| SecretBytes::new(std::mem::take(&mut *key)));
    }
    (content.len() == KEY_BYTES).then(|| SecretBytes::new(content.expose().to_vec()))
}

/// A secret of which nobody said what it is; `None` if it is empty. 32 random bytes are practically never UTF-8, and text
/// always is.
#[expect(clippy::disallowed_methods, reason = "the passphrase moves into a secret of its own")]
pub fn parse_unlock_text(content: &SecretBytes) -> Option<UnlockText> {
    let is_text = std::str::from_utf8(content.expose()).is_ok();
    if (content.expose().starts_with(PREFIX) || !is_text)
        && let Some(key) = parse_unlock_key(content)
    {
        return Some(UnlockText::Key(key));
    }
    let passphrase = without_line_end(content.expose());
    (!passphrase.is_empty()).then(|| UnlockText::Passphrase(SecretBytes::new(passphrase.to_vec())))
}

/// Without the one line end that editors and `echo` add.
fn without_line_end(content: &[u8]) -> &[u8] {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    line.strip_suffix(b"\r").filter(|_| line.len() < content.len()).unwrap_or(line)
}
