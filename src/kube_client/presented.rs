//! Which certificates a server presents, before anything is known that could be trusted.
//!
//! What it never does: send a byte of a request. What it returns is a claim, to be compared with a pin.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::error::ConnectError;
use crate::config::ServerUrl;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The chain that the server presents, DER, its own certificate first. The server has proven that it holds the key of
/// the first; nothing else is checked.
pub fn presented_chain(server: &ServerUrl) -> Result<Vec<Vec<u8>>, ConnectError> {
    let fail = |error: io::Error| ConnectError::connection(&server.to_string(), &error);
    let seen = Arc::new(Seen { chain: Mutex::new(Vec::new()), provider: Arc::new(default_provider()) });
    handshake(server, &seen).map_err(fail)?;
    let chain = seen.chain.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(chain)
}

/// Whether a server at `server` that presents `chain` is to be believed by someone who trusts `trust` (DER).
#[must_use]
pub fn verifies(server: &ServerUrl, chain: &[Vec<u8>], trust: &[Vec<u8>], now_unix_seconds: i64) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust.iter().map(|der| CertificateDer::from(der.as_slice())));
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let (Ok(verifier), Ok(name), Some((first, rest))) =
        (builder.build(), ServerName::try_from(server.host()), chain.split_first())
    else {
        return false;
    };
    let rest: Vec<CertificateDer<'_>> = rest.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now_unix_seconds).unwrap_or(0)));
    verifier.verify_server_cert(&CertificateDer::from(first.as_slice()), &rest, &name, &[], now).is_ok()
}

fn handshake(server: &ServerUrl, seen: &Arc<Seen>) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (server.host(), server.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(socket) => return exchange(server, seen, socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(server: &ServerUrl, seen: &Arc<Seen>, mut socket: TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    let config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(server.host().to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    connection.send_close_notify();
    let _ = connection.complete_io(&mut socket);
    Ok(())
}

/// Keeps the chain instead of judging it.
#[derive(Debug)]
struct Seen {
    chain: Mutex<Vec<Vec<u8>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.to_vec());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
