//! The least HTTP/1.1 client that reads answers correctly: one request at a time, over TLS 1.3, with keep-alive.
//!
//! Bodies are counted where they lie in the receive buffer, so that the generator costs the servers little.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::Outcome;

const RECEIVE_BYTES: usize = 32 * 1024;

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    tls: TlsConnector,
    /// Header lines of every request, each with its line end.
    headers: String,
}

/// One connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
    /// What of `received` has been dealt with.
    consumed: usize,
    rest: Rest,
}

/// An answer of which only the size is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// Without chunk headers.
    pub body_bytes: usize,
}

/// What of an answer is still to come.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Nothing,
    Bytes(usize),
    ChunkHead,
    Chunk(usize),
    ChunkEnd,
    Trailer,
}

impl Endpoint {
    /// Trusts `ca_pem` alone and resumes no session, as a client that has just been started.
    pub fn new(address: SocketAddr, ca_pem: &[u8], credential: &str) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let headers = format!("Host: localhost:{}\r\nUser-Agent: against/1\r\n{credential}", address.port());
        Ok(Self { address, tls: TlsConnector::from(Arc::new(config)), headers })
    }

    /// Appends a request to `into`.
    pub fn write_request(&self, method: &str, path: &str, body: &str, into: &mut Vec<u8>) {
        self.write_typed(method, path, "application/json", body, into);
    }

    /// Appends a request with a body of this content type to `into`.
    pub fn write_typed(&self, method: &str, path: &str, content_type: &str, body: &str, into: &mut Vec<u8>) {
        for part in [method, " ", path, " HTTP/1.1\r\n", &self.headers] {
            into.extend_from_slice(part.as_bytes());
        }
        if !body.is_empty() {
            for part in ["Content-Type: ", content_type, "\r\nContent-Length: "] {
                into.extend_from_slice(part.as_bytes());
            }
            into.extend_from_slice(body.len().to_string().as_bytes());
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(body.as_bytes());
    }

    /// A request.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let mut request = Vec::new();
        self.write_request(method, path, body, &mut request);
        request
    }

    /// Connects and shakes hands.
    pub async fn connect(&self) -> io::Result<Connection> {
        self.connect_with(TcpSocket::new_v4()?).await
    }

    /// Connects with a receive buffer that is soon full.
    pub async fn connect_narrow(&self) -> io::Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        self.connect_with(socket).await
    }

    /// One request on a connection of its own, with its answer's body.
    pub async fn once(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut connection = self.connect().await?;
        let answer = connection.fetch(&self.request(method, path, body)).await?;
        connection.close().await;
        Ok(answer)
    }

    async fn connect_with(&self, socket: TcpSocket) -> io::Result<Connection> {
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        Ok(Connection { stream, received: Vec::with_capacity(RECEIVE_BYTES), consumed: 0, rest: Rest::Nothing })
    }
}

impl Connection {
    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let code = self.begin(request).await?;
        let mut body_bytes = 0;
        while let Some(piece) = self.piece().await? {
            body_bytes += piece.len();
        }
        Ok(Answer { code, body_bytes })
    }

    /// Sends a request and keeps its answer's body.
    pub async fn fetch(&mut self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let code = self.begin(request).await?;
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(piece);
        }
        Ok((code, body))
    }

    /// Sends a request and does not read.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await
    }

    /// Sends a request and reads the head of its answer. The body is read by [`Self::piece`].
    pub async fn begin(&mut self, request: &[u8]) -> io::Result<u16> {
        self.send(request).await?;
        self.head().await
    }

    /// Reads the head of an answer.
    pub async fn head(&mut self) -> io::Result<u16> {
        loop {
            let unread = self.unread();
            if let Some(end) = find(unread, b"\r\n\r\n") {
                let (code, rest) = read_head(unread.get(..end).unwrap_or_default())?;
                self.consumed += end + 4;
                self.rest = rest;
                return Ok(code);
            }
            self.receive().await?;
        }
    }

    /// The next bytes of the body, as they come; `None` at its end.
    pub async fn piece(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.rest {
                Rest::Nothing => return Ok(None),
                Rest::Bytes(0) => self.rest = Rest::Nothing,
                Rest::Chunk(0) => self.rest = Rest::ChunkEnd,
                Rest::Bytes(left) | Rest::Chunk(left) => {
                    let length = self.unread().len().min(left);
                    if length > 0 {
                        self.rest = match self.rest {
                            Rest::Chunk(_) => Rest::Chunk(left - length),
                            _ => Rest::Bytes(left - length),
                        };
                        let start = self.consumed;
                        self.consumed += length;
                        return Ok(self.received.get(start..start + length));
                    }
                    self.receive().await?;
                }
                Rest::ChunkHead | Rest::ChunkEnd | Rest::Trailer => match find(self.unread(), b"\r\n") {
                    Some(end) => {
                        let line = self.unread().get(..end).unwrap_or_default();
                        self.rest = after_line(self.rest, line)?;
                        self.consumed += end + 2;
                    }
                    None => self.receive().await?,
                },
            }
        }
    }

    /// Says goodbye; a server that is gone already is no error.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }

    fn unread(&self) -> &[u8] {
        self.received.get(self.consumed..).unwrap_or_default()
    }

    async fn receive(&mut self) -> io::Result<()> {
        if self.consumed == self.received.len() {
            self.received.clear();
            self.consumed = 0;
        }
        // A line that is cut by the buffer's end: make room at the front.
        if self.received.len() + RECEIVE_BYTES / 2 > RECEIVE_BYTES {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        self.received.reserve(RECEIVE_BYTES / 2);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Where `wanted` begins.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn read_head(head: &[u8]) -> io::Result<(u16, Rest)> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the head of an answer cannot be read");
    let head = std::str::from_utf8(head).map_err(|_| malformed())?;
    let mut lines = head.split("\r\n");
    let code: u16 = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).ok_or_else(malformed)?;
    let mut rest = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        if name.eq_ignore_ascii_case("content-length") {
            rest = Some(Rest::Bytes(value.trim().parse().map_err(|_| malformed())?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            rest = Some(Rest::ChunkHead);
        }
    }
    match rest {
        _ if code == 204 || code == 304 => Ok((code, Rest::Nothing)),
        Some(rest) => Ok((code, rest)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer does not say where it ends")),
    }
}

fn after_line(rest: Rest, line: &[u8]) -> io::Result<Rest> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "a chunk of an answer cannot be read");
    match rest {
        Rest::ChunkHead => {
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let digits = std::str::from_utf8(digits).map_err(|_| malformed())?.trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| malformed())?;
            Ok(if length == 0 { Rest::Trailer } else { Rest::Chunk(length) })
        }
        Rest::ChunkEnd if line.is_empty() => Ok(Rest::ChunkHead),
        Rest::Trailer => Ok(if line.is_empty() { Rest::Nothing } else { Rest::Trailer }),
        _ => Err(malformed()),
    }
}
