//! Pins: the SHA-256 of a certificate's `subjectPublicKeyInfo` (as in RFC 7469), by which an authority is known.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::pki::CertificateFacts;

/// A pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads hexadecimal digits (colons between them are skipped) or base64, with or without `sha256:` before it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = ["sha256//", "sha256:"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let digits: String = bare.chars().filter(|c| *c != ':').collect();
        let decoded = hex::decode(&digits).or_else(|_| STANDARD.decode(bare)).or_else(|_| STANDARD_NO_PAD.decode(bare));
        decoded
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| "a pin is a SHA-256 in hexadecimal digits or base64".to_owned())
    }

    /// The first of these certificates (DER) that has it.
    pub fn find<'a>(&self, certificates: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
        certificates.iter().find(|certificate| pin_of(certificate) == Some(*self))
    }
}

/// The pin of a certificate (DER); `None` where it cannot be read.
pub fn pin_of(certificate: &[u8]) -> Option<Pin> {
    let facts = CertificateFacts::read(certificate).ok()?;
    Some(Pin(Sha256::digest(facts.public_key_info).into()))
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::make_authority;

    /// Made with `openssl req -x509 -newkey ed25519`; the pin with `openssl x509 -pubkey -noout | openssl pkey -pubin
    /// -outform der | sha256sum`.
    const CERTIFICATE: &str = include_str!("testdata/authority.crt");
    const PIN: &str = include_str!("testdata/authority.pin");

    #[test]
    fn a_pin_is_what_openssl_computes() {
        let blocks = crate::pki::read_blocks(CERTIFICATE.as_bytes());
        #[expect(clippy::disallowed_methods, reason = "a certificate is public")]
        let pin = pin_of(blocks[0].bytes.expose()).unwrap();
        assert_eq!(pin.to_string(), format!("sha256:{}", PIN.trim()));
    }

    #[test]
    fn a_pin_is_read_in_every_form_it_is_written_in() {
        let certificate = make_authority(1_790_000_000).unwrap().certificate;
        let pin = pin_of(&certificate).unwrap();
        let digits = hex::encode(pin.0);
        let colons: Vec<String> = digits.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).into()).collect();
        for text in [
            pin.to_string(),
            digits.to_uppercase(),
            colons.join(":"),
            STANDARD.encode(pin.0),
            STANDARD_NO_PAD.encode(pin.0),
            format!("sha256//{}", STANDARD.encode(pin.0)),
        ] {
            assert_eq!(Pin::parse(&text), Ok(pin), "{text}");
        }
        for text in ["", "sha256:", "00", &digits[1..], "not a pin"] {
            assert!(Pin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_certificate_with_the_pin_is_found() {
        let make = || make_authority(1_790_000_000).unwrap().certificate;
        let chain = [make(), make()];
        assert_eq!(pin_of(&chain[1]).unwrap().find(&chain), Some(&chain[1]));
        assert_eq!(pin_of(&make()).unwrap().find(&chain), None);
        assert_eq!(pin_of(b"junk"), None);
    }
}
