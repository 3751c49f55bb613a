//! Client certificates: making a key and the request for its certificate.

use rcgen::CertificateParams;

use super::PkiError;
use super::authority::{common_name, make_key};
use super::pem::encode_private_key;
use crate::sensitive::SecretBytes;

/// A new key and the request for its certificate.
pub struct ClientRequest {
    /// The private key, PKCS #8 PEM.
    pub key: SecretBytes,
    /// The request, PEM.
    pub csr: String,
}

/// Makes an ECDSA P-256 key, and a request for a certificate of `user`.
pub fn make_csr(user: &str) -> Result<ClientRequest, PkiError> {
    let key = make_key()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(user);
    let request = params.serialize_request(&*key).map_err(|_| PkiError::Make)?;
    let csr = request.pem().map_err(|_| PkiError::Make)?;
    Ok(ClientRequest { key: encode_private_key(&SecretBytes::new(key.serialize_der())), csr })
}
