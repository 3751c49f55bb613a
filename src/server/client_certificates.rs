//! Whose client certificates are accepted: the home's own authority's, and those of the outside authorities in the
//! user's files.
//!
//! A client may come without a certificate. One that comes with a certificate which does not verify is turned away in
//! the handshake.
//!
//! What it never does: go on trusting an authority that has expired, or take a certificate for an authority's that
//! does not say so itself. The library by itself does both.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::HomePaths;
use crate::pki::{Authority, CertificateFacts, encode_certificate, read_blocks};

use super::private_files::{FileError, replace};

const BUNDLE_MAX_BYTES: u64 = 1024 * 1024;
/// Each handshake names the authorities to the client; the message that does has room for 64 KiB.
const NAMES_MAX_BYTES: usize = 32 * 1024;

/// Why client certificates cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthorityError {
    /// A file of the user's cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file without a certificate.
    #[error("{}: there is no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate in a file that is not an authority's.
    #[error("{}: certificate {number} is not that of a certificate authority", .path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Which one in it, from 1.
        number: usize,
    },
    /// More names than a handshake has room for.
    #[error("there are too many authorities of client certificates for a handshake: name fewer")]
    TooMany,
    /// The home's own, stored as it is, is not usable.
    #[error("the home's own client certificate authority cannot be used")]
    Own,
    /// A file of the home's.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What the listener needs to accept client certificates.
#[derive(Clone)]
pub struct ClientAuthentication {
    /// To be given to the TLS library.
    pub verifier: Arc<dyn ClientCertVerifier>,
    /// The certificate of the home's own authority, DER.
    pub own_authority: Arc<[u8]>,
}

/// Puts the own authority's certificate into the home, reads the outside ones, and makes the verifier of all.
pub fn prepare(
    paths: &HomePaths,
    own: &Authority,
    outside: &[PathBuf],
    now_unix_seconds: i64,
) -> Result<ClientAuthentication, ClientAuthorityError> {
    let pem = encode_certificate(&own.certificate);
    let path = paths.client_authority_certificate();
    if fs::read_to_string(&path).ok().as_ref() != Some(&pem) {
        replace(&path, pem.as_bytes())?;
    }
    let mut anchors = vec![Anchor::of(&own.certificate).ok_or(ClientAuthorityError::Own)?];
    for file in outside {
        for anchor in read_bundle(file)? {
            if !anchor.is_valid_at(now_unix_seconds) {
                tracing::warn!(file = %file.display(), "an authority of client certificates is expired or not yet valid");
            }
            anchors.push(anchor);
        }
    }
    let names: Vec<DistinguishedName> = anchors.iter().flat_map(|anchor| anchor.names.clone()).collect();
    if names.iter().map(|name| name.as_ref().len()).sum::<usize>() > NAMES_MAX_BYTES {
        return Err(ClientAuthorityError::TooMany);
    }
    let verifier = Arc::new(Verifier { anchors, names, provider: default_provider() });
    Ok(ClientAuthentication { verifier, own_authority: own.certificate.as_slice().into() })
}

#[expect(clippy::disallowed_methods, reason = "certificates are public; blocks are secret because they may be keys")]
fn read_bundle(path: &Path) -> Result<Vec<Anchor>, ClientAuthorityError> {
    let fail = |source| ClientAuthorityError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(fail)?;
    if metadata.len() > BUNDLE_MAX_BYTES {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read(path).map_err(fail)?;
    let blocks = read_blocks(&text);
    let certificates: Vec<_> = blocks.iter().filter(|block| block.label == "CERTIFICATE").collect();
    if certificates.is_empty() {
        return Err(ClientAuthorityError::NoCertificate(path.to_owned()));
    }
    let read = |(certificate, number): (&&crate::pki::Block, usize)| {
        let no_authority = || ClientAuthorityError::NoAuthority { path: path.to_owned(), number };
        Anchor::of(certificate.bytes.expose()).ok_or_else(no_authority)
    };
    certificates.iter().zip(1..).map(read).collect()
}

/// One authority.
#[derive(Debug)]
struct Anchor {
    not_before: i64,
    not_after: i64,
    names: Vec<DistinguishedName>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Anchor {
    /// `None` where this is no certificate of an authority.
    fn of(certificate: &[u8]) -> Option<Self> {
        let facts = CertificateFacts::read(certificate).ok().filter(|facts| facts.is_authority)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate.to_vec())).ok()?;
        let names = roots.subjects();
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let verifier = builder.allow_unauthenticated().build().ok()?;
        Some(Self { not_before: facts.not_before, not_after: facts.not_after, names, verifier })
    }

    fn is_valid_at(&self, unix_seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&unix_seconds)
    }
}

/// Asks the authorities that are within their dates, one after the other.
struct Verifier {
    anchors: Vec<Anchor>,
    names: Vec<DistinguishedName>,
    provider: CryptoProvider,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let unix_seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut refusal = Error::from(CertificateError::UnknownIssuer);
        for anchor in self.anchors.iter().filter(|anchor| anchor.is_valid_at(unix_seconds)) {
            match anchor.verifier.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                // That another authority does not know it says nothing.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "client_certificates_tests.rs"]
mod tests;
