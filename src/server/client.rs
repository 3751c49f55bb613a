//! How a command on this machine talks to the running server: one request, one answer, by TLS 1.3 or a Unix socket.
//!
//! The server is known by its certificate, byte for byte, which lies in the home. So this works for every
//! certificate and address, and for no other server.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{CertificateError, ClientConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};
use zeroize::Zeroizing;

use crate::config::HomePaths;
use crate::kube_client::config_judged_by;
use crate::pki::read_blocks;
use crate::sensitive::SecretBytes;

use super::kubeconfig::AdminKubeconfig;
use super::lock::{self, LockError};
use super::private_files::Access;

const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// A server on this machine.
pub struct LocalServer(Reach);

enum Reach {
    /// The one that owns a home.
    Tls { address: SocketAddr, certificate: CertificateDer<'static> },
    /// Whoever listens on a Unix socket.
    Unix(PathBuf),
}

trait Stream: io::Read + io::Write {}

impl<T: io::Read + io::Write> Stream for T {}

/// An answer. The body may hold a secret.
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: SecretBytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody holds the home's lock.
    #[error("no server runs on {}: start it with `strongroom serve`", .0)]
    NotRunning(String),
    /// Whether somebody holds it cannot be told.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It has not got as far as listening.
    #[error("the server is starting, or its files cannot be read by this user")]
    NotListening,
    /// The administrator's file is missing.
    #[error("{0} cannot be read, or holds no token: restart the server, which writes it anew")]
    NoToken(String),
    /// The connection or the handshake failed.
    #[error("{at}: {source}")]
    Io {
        /// Where.
        at: String,
        /// What happened.
        source: io::Error,
    },
    /// Not an HTTP answer.
    #[error("{0}: the answer is not one of this server's")]
    Answer(String),
}

impl LocalServer {
    /// The server that holds the home's lock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the certificate is public; blocks are secret because they may be keys"
    )]
    pub fn find(paths: &HomePaths) -> Result<Self, ClientError> {
        let holder = lock::holder(&paths.lock())?;
        let holder = holder.ok_or_else(|| ClientError::NotRunning(paths.root().display().to_string()))?;
        let address = holder.address.ok_or(ClientError::NotListening)?;
        let presented = std::fs::read(paths.presented_certificate()).map_err(|_| ClientError::NotListening)?;
        let blocks = read_blocks(&presented);
        let certificate = blocks.first().ok_or(ClientError::NotListening)?;
        let certificate = CertificateDer::from(certificate.bytes.expose().to_vec());
        Ok(Self(Reach::Tls { address: reachable(address), certificate }))
    }

    /// The server behind a Unix socket.
    pub fn at_socket(path: &Path) -> Self {
        Self(Reach::Unix(path.to_owned()))
    }

    /// Asks without credentials.
    pub fn get(&self, path: &str, timeout: Duration) -> Result<Answer, ClientError> {
        self.send("GET", path, None, None, timeout)
    }

    /// Posts nothing, as the administrator.
    pub fn post(&self, path: &str, token: &SecretBytes, timeout: Duration) -> Result<Answer, ClientError> {
        self.send("POST", path, Some(token), None, timeout)
    }

    /// Posts JSON, without credentials.
    pub fn post_json(&self, path: &str, body: &SecretBytes, timeout: Duration) -> Result<Answer, ClientError> {
        self.send("POST", path, None, Some(body), timeout)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "token and body go into the request, inside TLS or this machine's kernel"
    )]
    fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&SecretBytes>,
        body: Option<&SecretBytes>,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let fail = |source| ClientError::Io { at: self.to_string(), source };
        let mut stream = self.connect(timeout).map_err(fail)?;
        let mut request = Zeroizing::new(Vec::with_capacity(
            1024 + [token, body].iter().flatten().map(|secret| secret.len()).sum::<usize>(),
        ));
        request.extend_from_slice(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: strongroom\r\nAccept: application/json\r\n\
                 Connection: close\r\n"
            )
            .as_bytes(),
        );
        if let Some(token) = token {
            request.extend_from_slice(b"Authorization: Bearer ");
            request.extend_from_slice(token.expose());
            request.extend_from_slice(b"\r\n");
        }
        if method == "POST" {
            let length = body.map_or(0, SecretBytes::len);
            let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
            request.extend_from_slice(headers.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        if let Some(body) = body {
            request.extend_from_slice(body.expose());
        }
        stream.write_all(&request).map_err(fail)?;
        stream.flush().map_err(fail)?;
        let mut answer = Zeroizing::new(Vec::with_capacity(16 * 1024));
        match stream.take(u64::try_from(ANSWER_MAX_BYTES).unwrap_or(u64::MAX)).read_to_end(&mut answer) {
            Ok(_) => {}
            // The answer's own length says whether it is whole, with or without a farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(fail(error)),
        }
        parse(&answer).ok_or_else(|| ClientError::Answer(self.to_string()))
    }

    fn connect(&self, timeout: Duration) -> io::Result<Box<dyn Stream>> {
        let (address, pinned) = match &self.0 {
            Reach::Tls { address, certificate } => (address, certificate.clone()),
            Reach::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(timeout))?;
                socket.set_write_timeout(Some(timeout))?;
                return Ok(Box::new(socket));
            }
        };
        let socket = TcpStream::connect_timeout(address, timeout)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))?;
        socket.set_nodelay(true)?;
        let config = config_judged_by(Box::new(move |presented, _| {
            let is_pinned = *presented == pinned;
            is_pinned.then_some(()).ok_or_else(|| CertificateError::ApplicationVerificationFailure.into())
        }))?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, socket)))
    }
}

impl fmt::Display for LocalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reach::Tls { address, .. } => address.fmt(f),
            Reach::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How the administrator connects, as the home's kubeconfig has it. Root may ask on behalf of the home's owner.
pub fn admin_kubeconfig(paths: &HomePaths) -> Result<AdminKubeconfig, ClientError> {
    let path = paths.kubeconfig();
    let owner = std::fs::metadata(paths.root()).map(|home| home.uid());
    let access = owner.map_or(Access::OwnerOnly, Access::HomeOf);
    AdminKubeconfig::read_as(&path, access).ok_or_else(|| ClientError::NoToken(path.display().to_string()))
}

/// A server that listens on every address is reached on this machine's own.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?);
    let mut lines = head.split("\r\n");
    let code = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let whole = body.get(..length?)?;
    Some(Answer { code, body: SecretBytes::new(whole.to_vec()) })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the bodies they wrote")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_whole() {
        let answer = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        assert_eq!((answer.code, answer.body.expose()), (200, &b"ok"[..]));
        for wrong in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"[..],
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 2\r\n\r\n",
            b"",
        ] {
            assert!(parse(wrong).is_none());
        }
    }

    #[test]
    fn a_server_on_every_address_is_reached_on_loopback() {
        let shown = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(shown("[::]:1"), "[::1]:1");
        assert_eq!(shown("10.0.0.1:1"), "10.0.0.1:1");
    }

    #[test]
    fn without_a_running_server_that_is_what_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let paths = HomePaths::in_directory(directory.path().to_owned());
        assert!(matches!(LocalServer::find(&paths), Err(ClientError::NotRunning(_))));
    }
}
