//! Which certificates a server presents, before anything is known that could be trusted.
//!
//! What it never does: send a byte of a request. What it returns is a claim, to be compared with a pin.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::error::ConnectError;
use super::judged::config_judged_by;
use crate::config::ServerUrl;

const TIMEOUT: Duration = Duration::from_secs(10);

type Chain = Vec<Vec<u8>>;

/// The chain that the server presents, DER, its own certificate first. The server has proven that it holds the key of
/// the first; nothing else is checked.
pub fn presented_chain(server: &ServerUrl) -> Result<Vec<Vec<u8>>, ConnectError> {
    let fail = |error: io::Error| ConnectError::connection(&server.to_string(), &error);
    let seen = Arc::default();
    handshake(server, &seen).map_err(fail)?;
    let chain = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
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

fn handshake(server: &ServerUrl, seen: &Arc<Mutex<Chain>>) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (server.host(), server.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(socket) => return exchange(server, seen, socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(server: &ServerUrl, seen: &Arc<Mutex<Chain>>, mut socket: TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    let seen = Arc::clone(seen);
    // Kept instead of judged.
    let config = config_judged_by(Box::new(move |first, rest| {
        let all = std::iter::once(first).chain(rest).map(|certificate| certificate.to_vec());
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        Ok(())
    }))?;
    let name = ServerName::try_from(server.host().to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    connection.send_close_notify();
    let _ = connection.complete_io(&mut socket);
    Ok(())
}
