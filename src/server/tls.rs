//! TLS as the server speaks it: version 1.3 only, and a certificate that can be replaced while it runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::pki::read_blocks;
use crate::sensitive::SecretBytes;

/// Why a certificate cannot be served. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No PEM block `CERTIFICATE`.
    #[error("there is no certificate in PEM form")]
    NoCertificate,
    /// No PEM block that ends in `PRIVATE KEY`.
    #[error("there is no private key in PEM form")]
    NoKey,
    /// The key is of a kind or size that is not supported, encrypted, or damaged.
    #[error("the private key cannot be used: give an unencrypted ECDSA, Ed25519 or RSA (2048 bits or more) key")]
    Key,
    /// The certificate's key is another one.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The cryptography library refused the settings.
    #[error("TLS 1.3 is not available")]
    Unavailable,
}

/// The certificate presented to clients.
pub struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    /// Starts with `certificate`.
    #[must_use]
    pub fn new(certificate: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(certificate)))
    }

    /// From the next handshake on, presents `certificate`.
    pub fn replace(&self, certificate: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// A chain and its key, checked to belong together.
#[expect(clippy::disallowed_methods, reason = "the key moves into the TLS library")]
pub fn certified_key(chain_pem: &[u8], key_pem: &SecretBytes) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = read_blocks(chain_pem)
        .iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(|block| CertificateDer::from(block.bytes.expose().to_vec()))
        .collect();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let blocks = read_blocks(key_pem.expose());
    let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")).ok_or(TlsError::NoKey)?;
    let key = PrivateKeyDer::try_from(key.bytes.expose()).map_err(|_| TlsError::Key)?;
    let key = default_provider().key_provider.load_private_key(key.clone_key()).map_err(|_| TlsError::Key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| TlsError::Mismatch)?;
    Ok(certified)
}

/// TLS 1.3 with the library's own choice of suites and groups; no early data. Clients are asked for a certificate if
/// there is something to verify it.
///
/// Sessions that are resumed keep the certificate they began with. They lie in this process's memory, so that a
/// restart, with other authorities perhaps, begins without any.
pub fn server_config(
    certificate: Arc<ServerCertificate>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| TlsError::Unavailable)?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Names, encode_certificate, encode_private_key, make_authority, make_leaf};

    #[test]
    fn a_pair_is_checked_before_it_is_served() {
        let authority = make_authority(1_790_000_000).unwrap();
        let leaf = || make_leaf(&authority, &Names::local(), 1_790_000_000).unwrap();
        let (one, other) = (leaf(), leaf());
        let chain = encode_certificate(&one.certificate);
        let result = |chain: &str, key: &SecretBytes| certified_key(chain.as_bytes(), key).err();
        assert_eq!(result(&chain, &encode_private_key(&one.key)), None);
        assert_eq!(result(&chain, &encode_private_key(&other.key)), Some(TlsError::Mismatch));
        assert_eq!(result("", &encode_private_key(&one.key)), Some(TlsError::NoCertificate));
        assert_eq!(result(&chain, &SecretBytes::new(chain.clone().into_bytes())), Some(TlsError::NoKey));
        assert_eq!(result(&chain, &encode_private_key(&SecretBytes::new(vec![1]))), Some(TlsError::Key));
    }
}
