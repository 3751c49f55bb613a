//! Certificate requests (PKCS #10, RFC 2986): made where the key stays, read where it is signed.
//!
//! What reading never does: look at anything of a request but its key and that this key has signed it. Who the
//! certificate is for is decided by who asks, not by what the request says.

use rcgen::CertificateParams;

use super::super::PkiError;
use super::super::authority::common_name;
use super::super::der::{Elements, INTEGER, SEQUENCE};
use super::super::keys::{KeyKind, make_key};
use super::super::pem::{encode_private_key, read_blocks};
use super::super::signature::Signed;
use crate::sensitive::SecretBytes;

/// Room for an RSA key of 8,192 bits and a good many extensions.
const REQUEST_MAX_BYTES: usize = 32 * 1024;
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A new key and the request for its certificate.
pub struct ClientRequest {
    /// The private key, PKCS #8 PEM.
    pub key: SecretBytes,
    /// The request, PEM.
    pub csr: String,
}

/// Makes an ECDSA P-256 key, and a request for a certificate of `user`.
pub fn make_csr(user: &str) -> Result<ClientRequest, PkiError> {
    let key = make_key(KeyKind::P256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(user);
    let request = params.serialize_request(&*key).map_err(|_| PkiError::Make)?;
    let csr = request.pem().map_err(|_| PkiError::Make)?;
    Ok(ClientRequest { key: encode_private_key(&SecretBytes::new(key.serialize_der())), csr })
}

/// The `subjectPublicKeyInfo` (DER) of the one request in `pem`, which the key has signed.
#[expect(clippy::disallowed_methods, reason = "a request is public; blocks are secret because they may be keys")]
pub(super) fn requested_key(pem: &str) -> Result<Vec<u8>, PkiError> {
    if pem.len() > REQUEST_MAX_BYTES {
        return Err(PkiError::Request);
    }
    let mut requests = read_blocks(pem.as_bytes()).into_iter().filter(|block| LABELS.contains(&block.label.as_str()));
    let (Some(request), None) = (requests.next(), requests.next()) else { return Err(PkiError::Request) };
    signed_key(request.bytes.expose()).map(<[u8]>::to_vec).ok_or(PkiError::Request)
}

fn signed_key(request: &[u8]) -> Option<&[u8]> {
    let signed = Signed::read(request)?;
    let mut fields = Elements::of(signed.content);
    fields.expect(INTEGER)?;
    fields.expect(SEQUENCE)?;
    let key_info = fields.expect(SEQUENCE)?.whole;
    signed.is_signed_by(key_info).then_some(key_info)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with OpenSSL: a 2,048-bit RSA key, SHA-256, with a subject, alternative names and a requested CA bit.
    const RSA: &str = include_str!("testdata/rsa-2048.csr");
    const ED25519: &str = include_str!("testdata/ed25519.csr");
    const P384: &str = include_str!("testdata/p384-sha256.csr");
    const SHORT_RSA: &str = include_str!("testdata/rsa-1024.csr");

    #[test]
    fn requests_of_other_programs_are_read() {
        for request in [RSA, ED25519, P384] {
            assert!(requested_key(request).is_ok(), "{request}");
        }
    }

    #[test]
    fn a_key_that_is_too_short_is_refused() {
        assert_eq!(requested_key(SHORT_RSA), Err(PkiError::Request));
    }

    #[test]
    fn a_request_that_its_key_has_not_signed_is_refused() {
        let (one, other) = (make_csr("ada").unwrap(), make_csr("ada").unwrap());
        assert!(requested_key(&one.csr).is_ok());
        assert_eq!(requested_key(&(one.csr.clone() + &other.csr)), Err(PkiError::Request), "two requests");
        assert_eq!(requested_key(""), Err(PkiError::Request));
        assert_eq!(requested_key(&" ".repeat(REQUEST_MAX_BYTES + 1)), Err(PkiError::Request));
        #[expect(clippy::disallowed_methods, reason = "the test changes the request it made")]
        let der = read_blocks(one.csr.as_bytes()).remove(0).bytes.expose().to_vec();
        for index in 0..der.len() {
            let mut changed = der.clone();
            changed[index] ^= 1;
            assert_eq!(signed_key(&changed), None, "byte {index}");
            assert_eq!(signed_key(&der[..index]), None, "length {index}");
        }
    }

    #[test]
    fn a_made_request_names_the_user_and_its_key_is_not_in_it() {
        let made = make_csr("ada").unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test looks at the key it made")]
        let key = String::from_utf8(made.key.expose().to_vec()).unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let line = key.lines().nth(1).unwrap();
        assert!(!made.csr.contains(line));
    }
}
