//! PEM (RFC 7468), read as leniently as Go's `encoding/pem` and written strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::sensitive::SecretBytes;

const LINE_CHARS: usize = 64;
const LONGEST_LABEL_BYTES: usize = 64;

/// One block. Its bytes may be a private key.
pub struct Block {
    /// `CERTIFICATE`, `EC PRIVATE KEY`, …; whatever the input says.
    pub label: String,
    /// The decoded bytes.
    pub bytes: SecretBytes,
}

/// Every whole block, in order. Text around blocks, blocks without an end and blocks that are not base64 are skipped.
#[must_use]
pub fn read_blocks(text: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    let mut body = Zeroizing::new(Vec::with_capacity(text.len()));
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
        if let Some(label) = boundary(line, b"-----BEGIN ") {
            open = Some(label.to_owned());
            body.clear();
        } else if let Some(label) = boundary(line, b"-----END ") {
            if open.take().is_some_and(|opened| opened == label)
                && let Ok(bytes) = STANDARD.decode(body.as_slice())
                && !bytes.is_empty()
            {
                blocks.push(Block { label: label.to_owned(), bytes: SecretBytes::new(bytes) });
            }
        } else if open.is_some() && !line.contains(&b':') {
            body.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
    blocks
}

/// A certificate as PEM.
#[must_use]
pub fn encode_certificate(certificate: &[u8]) -> String {
    let mut text = Vec::new();
    encode(&mut text, "CERTIFICATE", certificate);
    String::from_utf8(text).unwrap_or_default()
}

/// A PKCS #8 private key as PEM.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a private key is written in another form, still as a secret")]
pub fn encode_private_key(key: &SecretBytes) -> SecretBytes {
    // Room for the whole, so that growing leaves no copy behind.
    let mut text = Vec::with_capacity(key.len() * 2 + 128);
    encode(&mut text, "PRIVATE KEY", key.expose());
    SecretBytes::new(text)
}

fn encode(text: &mut Vec<u8>, label: &str, bytes: &[u8]) {
    let body = Zeroizing::new(STANDARD.encode(bytes).into_bytes());
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.chunks(LINE_CHARS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
}

fn boundary<'a>(line: &'a [u8], opening: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(opening)?.strip_suffix(b"-----")?;
    (label.len() <= LONGEST_LABEL_BYTES).then(|| std::str::from_utf8(label).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        read_blocks(text.as_bytes()).into_iter().map(|block| block.label).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn what_was_written_is_read() {
        let key = SecretBytes::new((0..=255).collect());
        let blocks = read_blocks(encode_private_key(&key).expose());
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].label, "PRIVATE KEY");
        assert_eq!(blocks[0].bytes.expose(), key.expose());
    }

    #[test]
    fn text_around_blocks_and_headers_inside_are_skipped() {
        let text = "subject=x\r\n-----BEGIN A-----\r\nProc-Type: 4\r\n\r\nAAAA\r\n-----END A-----\r\ntrailing\n-----BEGIN B-----\nAA\nAA\n-----END B-----";
        assert_eq!(labels(text), ["A", "B"]);
    }

    #[test]
    fn a_block_that_is_not_whole_is_skipped() {
        assert!(labels("-----BEGIN A-----\nAAAA\n-----END B-----\n").is_empty());
        assert!(labels("-----BEGIN A-----\nAAAA\n").is_empty());
        assert!(labels("-----BEGIN A-----\n!!!\n-----END A-----\n").is_empty());
        assert_eq!(labels("-----BEGIN A-----\nzz\n-----BEGIN B-----\nAAAA\n-----END B-----\n"), ["B"]);
    }
}
