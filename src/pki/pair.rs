//! Whether a certificate and a key belong together, in the words of Go's `tls.X509KeyPair`, which Kubernetes puts
//! into a warning for a Secret of type `kubernetes.io/tls`.
//!
//! What it never does: show anything of the input but well-known block labels.

use rcgen::{KeyPair, PublicKeyData};
use zeroize::Zeroizing;

use super::certificate::{CertificateFacts, KeyAlgorithm};
use super::der::{SEQUENCE, only};
use super::pem::{Block, read_blocks};

/// Labels that may be shown; another one could hold anything.
const KNOWN_LABELS: [&str; 14] = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "TRUSTED CERTIFICATE",
    "X509 CRL",
    "PKCS7",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "EC PARAMETERS",
    "DH PARAMETERS",
];

/// `None` where the pair is usable, else what `tls.X509KeyPair(cert_pem, key_pem)` says.
///
/// A key that is well formed but of a kind this program cannot load (RSA below 2,048 bits, P-224) gets the benefit
/// of the doubt: a false warning would be worse than none.
#[must_use]
pub fn pair_warning(cert_pem: &[u8], key_pem: &[u8]) -> Option<String> {
    check(cert_pem, key_pem).err()
}

#[expect(clippy::disallowed_methods, reason = "certificate and key are compared; nothing of them is kept or shown")]
fn check(cert_pem: &[u8], key_pem: &[u8]) -> Result<(), String> {
    let cert_blocks = read_blocks(cert_pem);
    let Some(certificate) = cert_blocks.iter().find(|block| block.label == "CERTIFICATE") else {
        return Err(match cert_blocks.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [only] if only.label.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate \
                input, but did find a private key; PEM inputs may have been switched"
                .to_owned(),
            skipped => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
                 following types: {}",
                labels(skipped)
            ),
        });
    };
    let key_blocks = read_blocks(key_pem);
    let is_key = |block: &&Block| block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY");
    let Some(key) = key_blocks.iter().find(is_key) else {
        return Err(match key_blocks.as_slice() {
            [] => "tls: failed to find any PEM data in key input".to_owned(),
            [only] if only.label == "CERTIFICATE" => {
                "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
            }
            skipped => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM \
                 blocks of the following types: {}",
                labels(skipped)
            ),
        });
    };
    let facts =
        CertificateFacts::read(certificate.bytes.expose()).map_err(|_| "x509: malformed certificate".to_owned())?;
    let Ok(pair) = KeyPair::try_from(key.bytes.expose()) else {
        let well_formed = key.label != "ENCRYPTED PRIVATE KEY" && only(key.bytes.expose(), SEQUENCE).is_some();
        return if well_formed { Ok(()) } else { Err("tls: failed to parse private key".to_owned()) };
    };
    let pair = Zeroizing::new(pair);
    if facts.key_algorithm == KeyAlgorithm::Unknown {
        Err("tls: unknown public key algorithm".to_owned())
    } else if facts.key_algorithm != algorithm(&pair) {
        Err("tls: private key type does not match public key type".to_owned())
    } else if facts.public_key != pair.der_bytes() {
        Err("tls: private key does not match public key".to_owned())
    } else {
        Ok(())
    }
}

fn algorithm(pair: &KeyPair) -> KeyAlgorithm {
    let is_one_of =
        |algorithms: &[&'static rcgen::SignatureAlgorithm]| algorithms.contains(&PublicKeyData::algorithm(pair));
    if is_one_of(&[&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA384, &rcgen::PKCS_RSA_SHA512]) {
        KeyAlgorithm::Rsa
    } else if is_one_of(&[&rcgen::PKCS_ED25519]) {
        KeyAlgorithm::Ed25519
    } else {
        KeyAlgorithm::Ecdsa
    }
}

/// A Go slice of strings as `%v` prints it.
fn labels(blocks: &[Block]) -> String {
    let shown = |block: &Block| {
        KNOWN_LABELS.iter().find(|known| **known == block.label).copied().unwrap_or("<secret contents redacted>")
    };
    format!("[{}]", blocks.iter().map(shown).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::{Names, encode_certificate, encode_private_key, make_authority, make_leaf};
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[expect(clippy::disallowed_methods, reason = "the test hands its own key over")]
    fn pair() -> (String, Vec<u8>) {
        let authority = make_authority(NOW).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), NOW).unwrap();
        (encode_certificate(&leaf.certificate), encode_private_key(&leaf.key).expose().to_vec())
    }

    fn warning(cert: &[u8], key: &[u8]) -> String {
        pair_warning(cert, key).unwrap_or_default()
    }

    #[test]
    fn a_pair_that_belongs_together_has_no_warning() {
        let (cert, key) = pair();
        assert_eq!(pair_warning(cert.as_bytes(), &key), None);
        let second = encode_certificate(&make_authority(NOW).unwrap().certificate);
        assert_eq!(pair_warning(format!("{cert}{second}").as_bytes(), &key), None, "only the first one counts");
    }

    #[test]
    fn warnings_are_in_the_words_of_go() {
        let (cert, key) = pair();
        let cert = cert.as_bytes();
        assert_eq!(warning(b"x", &key), "tls: failed to find any PEM data in certificate input");
        assert_eq!(warning(cert, b""), "tls: failed to find any PEM data in key input");
        assert_eq!(warning(cert, cert), "tls: found a certificate rather than a key in the PEM for the private key");
        assert!(warning(&key, cert).ends_with("but did find a private key; PEM inputs may have been switched"));
        assert_eq!(warning(cert, &pair().1), "tls: private key does not match public key");
        let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        assert_eq!(warning(cert, ed.as_bytes()), "tls: private key type does not match public key type");
        let broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(warning(cert, broken), "tls: failed to parse private key");
        let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(warning(junk, &key), "x509: malformed certificate");
    }

    #[test]
    fn a_label_that_is_not_well_known_is_not_shown() {
        let (cert, key) = pair();
        let odd =
            "-----BEGIN hunter2-----\nAAAA\n-----END hunter2-----\n-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n";
        for text in [warning(odd.as_bytes(), &key), warning(cert.as_bytes(), odd.as_bytes())] {
            assert!(text.ends_with("following types: [<secret contents redacted> PKCS7]"), "{text}");
            assert!(!text.contains("hunter2"));
        }
    }

    #[test]
    fn a_key_too_small_to_load_is_given_the_benefit_of_the_doubt() {
        let (cert, _) = pair();
        let unknown = b"-----BEGIN RSA PRIVATE KEY-----\nMAMCAQA=\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(pair_warning(cert.as_bytes(), unknown), None);
    }
}
