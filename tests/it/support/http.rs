//! HTTP/1.1 as a client speaks it that must see every byte: over TLS to the server, in the clear to a local tool.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::app::App;

const LIMIT: Duration = Duration::from_mins(1);

/// Both ways of a connection.
pub trait Stream: Read + Write + Send + Sync {
    /// Says that nothing more is going to be sent.
    fn finish(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

/// A client with one connection, which it keeps.
pub struct Client {
    address: SocketAddr,
    /// The address of this machine to come from; `None` leaves it to the operating system.
    source: Option<IpAddr>,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
    /// Sent with every request.
    headers: Vec<(String, String)>,
    connection: Option<Connection>,
}

/// A time that a client takes for the right one.
#[derive(Debug)]
struct Fixed(UnixTime);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The headers as text.
    pub fn head(&self) -> String {
        self.headers.iter().flat_map(|(name, value)| [name, ": ", value, "\n"]).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text()))
    }

    /// This answer, which must be a success.
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }
}

impl Client {
    /// Speaks to the server as its administrator.
    pub fn admin(app: &App) -> Self {
        Self { token: Some(app.token.clone()), ..Self::anonymous(app) }
    }

    /// The same at a time (seconds since the Unix epoch) by which certificates are judged.
    pub fn admin_at(app: &App, unix_seconds: u64) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&app.ca_pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let time = Arc::new(Fixed(UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds))));
        let builder = ClientConfig::builder_with_details(provider, time).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Self { tls: Some(Arc::new(config)), ..Self::admin(app) }
    }

    /// Speaks to the server without a credential.
    pub fn anonymous(app: &App) -> Self {
        Self::over(app, None)
    }

    /// Speaks to the server with a client certificate, and no token. Both in PEM form.
    pub fn with_certificate(app: &App, chain_pem: &[u8], key_pem: &[u8]) -> Self {
        Self::over(app, Some((chain_pem, key_pem)))
    }

    fn over(app: &App, certificate: Option<(&[u8], &[u8])>) -> Self {
        let address = app.url.strip_prefix("https://").unwrap().parse().unwrap();
        Self::trusting(address, &app.ca_pem, certificate)
    }

    /// Speaks to another server, whose authority is this one, without a credential.
    pub fn of(address: SocketAddr, authority_pem: &[u8]) -> Self {
        Self::trusting(address, authority_pem, None)
    }

    fn trusting(address: SocketAddr, authority_pem: &[u8], certificate: Option<(&[u8], &[u8])>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority_pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().unwrap();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key).unwrap()).unwrap()
            }
        };
        Self { address, source: None, tls: Some(Arc::new(config)), token: None, headers: Vec::new(), connection: None }
    }

    /// Speaks to a tool of this machine without TLS.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, source: None, tls: None, token: None, headers: Vec::new(), connection: None }
    }

    /// Another client like this one, with a connection of its own.
    pub fn another(&self) -> Self {
        let (tls, token, headers) = (self.tls.clone(), self.token.clone(), self.headers.clone());
        Self { address: self.address, source: self.source, tls, token, headers, connection: None }
    }

    /// Another client, which presents this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.another() }
    }

    /// Another client, which presents none.
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.another() }
    }

    /// Another client, which sends this header with every request.
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.another();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// The token that it presents.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same from another address of this machine.
    pub fn from(&self, source: impl Into<IpAddr>) -> Self {
        Self { source: Some(source.into()), ..self.another() }
    }

    /// A connection on which nothing was said yet.
    pub fn connect(&self) -> io::Result<Connection> {
        let socket = match self.source {
            None => TcpStream::connect_timeout(&self.address, LIMIT)?,
            Some(source) => connect_from(source, self.address)?,
        };
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, socket))
            }
            None => Box::new(socket),
        };
        Ok(Connection { stream, unread: Vec::new() })
    }

    /// The head of a request, with host, credential and `headers`, ended by an empty line.
    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            head.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        let always = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in always.chain(headers.iter().copied()) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }

    /// Sends a request and reads the answer. After an error nothing is known of what the server did.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            all.push(("Content-Length", &length));
        }
        let head = self.head(method, path, &all);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        // An answer may come before the body was taken: then what was left of it cannot be written.
        let written = connection.write(head.as_bytes()).and_then(|()| connection.write(body));
        let response = match connection.response(method == "HEAD") {
            Ok(response) => response,
            Err(error) => return written.and(Err(error)),
        };
        if written.is_ok() && response.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    /// Reads.
    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, &[], b"").unwrap()
    }

    /// Sends a JSON document.
    pub fn json(&mut self, method: &str, path: &str, document: &Value) -> Response {
        self.typed(method, path, "application/json", document.to_string().as_bytes())
    }

    /// Sends a body of this content type.
    pub fn typed(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Response {
        self.send(method, path, &[("Content-Type", content_type)], body).unwrap()
    }

    /// Deletes.
    pub fn delete(&mut self, path: &str) -> Response {
        self.send("DELETE", path, &[], b"").unwrap()
    }
}

/// A connection from an address that is chosen.
fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}

/// A connection, byte by byte.
pub struct Connection {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

impl Connection {
    /// Writes these bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Ends it as a client does that says so. One that is dropped is gone without a word.
    pub fn end(mut self) -> io::Result<()> {
        self.stream.finish()
    }

    /// Reads status and headers of an answer.
    pub fn head(&mut self) -> io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {status_line}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Response { status, headers, body: Vec::new() })
    }

    /// Reads an answer; `bodyless` for one to a HEAD.
    pub fn response(&mut self, bodyless: bool) -> io::Result<Response> {
        let mut response = self.head()?;
        let status = response.status;
        if bodyless || matches!(status, 204 | 304) {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                response.body.extend(chunk);
            }
        } else if let Some(length) = response.header("content-length") {
            response.body = self.exactly(length.parse().map_err(io::Error::other)?)?;
        } else {
            while self.fill()? {}
            response.body = std::mem::take(&mut self.unread);
        }
        Ok(response)
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line()?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).map_err(io::Error::other)?;
        let chunk = self.exactly(size)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next bytes, so many.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let length = self.stream.read(&mut buffer)?;
        self.unread.extend_from_slice(&buffer[..length]);
        Ok(length > 0)
    }
}
