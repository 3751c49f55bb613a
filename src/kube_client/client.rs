//! One server, asked over connections of its own.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Config;
use kube::client::Body;
use secrecy::SecretString;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::{ConnectError, Failure, shown};
use super::request::Request;
use super::{identity, kubeconfig};
use crate::config::ServerUrl;
use crate::sensitive::SecretBytes;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two bytes of an answer, and for the whole of it.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// For what the server makes first.
const MAKING_TIMEOUT: Duration = Duration::from_hours(1);
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
const LINE_MAX_BYTES: u64 = 1024 * 1024;
const USER_AGENT: &str = concat!("strongroom/", env!("CARGO_PKG_VERSION"));

/// Where a server is, how it is known, and who asks.
pub struct Endpoint {
    /// Where.
    pub server: ServerUrl,
    /// The certificates to trust, DER; none leaves it to the operating system.
    pub trust: Vec<Vec<u8>>,
    /// The name that the server's certificate must be for, where that is not the host.
    pub server_name: Option<String>,
    /// The bearer token; none asks without one.
    pub token: Option<SecretBytes>,
    /// The client certificate to present.
    pub certificate: Option<Certificate>,
}

/// A client certificate and its key.
pub struct Certificate {
    /// The certificate, then those that lead to its authority, PEM.
    pub chain_pem: Vec<u8>,
    /// Its key, PEM.
    pub key_pem: SecretBytes,
}

/// A server that can be asked. Made and used inside a tokio runtime.
pub struct Client {
    config: Config,
    requests: OnceLock<kube::Client>,
    server: String,
    identity: String,
}

/// An answer. The body may hold a secret.
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// What the server warns of (`Warning`, RFC 9111, code 299).
    pub warnings: Vec<String>,
    /// The body.
    pub body: SecretBytes,
}

/// A file that is being received.
pub struct Download {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    server: String,
}

impl Download {
    /// Some more of it; nothing at its end. Whether the end is the end, the file itself has to say.
    pub async fn next(&mut self) -> Result<Vec<u8>, ConnectError> {
        let filled = tokio::time::timeout(ANSWER_TIMEOUT, self.reader.fill_buf()).await;
        let stalled = |_| ConnectError::Stalled { server: self.server.clone(), seconds: ANSWER_TIMEOUT.as_secs() };
        let bytes = filled.map_err(stalled)?.map_err(|error| ConnectError::broken_off(&self.server, &error))?.to_vec();
        self.reader.as_mut().consume(bytes.len());
        Ok(bytes)
    }
}

/// Lines of an answer that goes on.
pub struct Lines {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    server: String,
}

impl Client {
    /// A client of the server at `endpoint`. Does not connect yet.
    pub fn new(endpoint: Endpoint) -> Result<Self, ConnectError> {
        let address = endpoint.server.to_string();
        let uri = address.parse().map_err(|_| ConnectError::Address(address))?;
        let mut config = Config::new(uri);
        config.root_cert = Some(endpoint.trust).filter(|trust| !trust.is_empty());
        config.tls_server_name = endpoint.server_name;
        config.auth_info.token = endpoint.token.as_ref().map(bearer).transpose()?;
        if let Some(certificate) = &endpoint.certificate {
            config.auth_info.client_certificate_data = Some(STANDARD.encode(&certificate.chain_pem));
            config.auth_info.client_key_data = Some(key_data(&certificate.key_pem));
        }
        Self::of_config(config, ["", ""])
    }

    /// A client of a server of this machine that speaks without TLS. Does not connect yet.
    pub fn of_loopback(address: SocketAddr) -> Result<Self, ConnectError> {
        let text = format!("http://{address}");
        if !address.ip().is_loopback() {
            return Err(ConnectError::Address(text));
        }
        let uri = text.parse().map_err(|_| ConnectError::Address(text))?;
        Self::of_any_config(Config::new(uri), ["", ""])
    }

    /// A client of the server that a context leads to: the one named, else the current one of the first file that
    /// has one. Does not connect yet. The first request runs the credential plugin that the user's entry names, if any:
    /// kubectl does the same with the same file, which is the user's own.
    pub fn of_kubeconfig(files: &[PathBuf], context: Option<&str>) -> Result<Self, ConnectError> {
        let loaded = kubeconfig::load(files, context)?;
        Self::of_config(loaded.config, [&loaded.context, &loaded.user])
    }

    fn of_config(config: Config, entries: [&str; 2]) -> Result<Self, ConnectError> {
        if config.cluster_url.scheme_str() != Some("https") {
            return Err(ConnectError::Address(config.cluster_url.to_string().trim_end_matches('/').to_owned()));
        }
        Self::of_any_config(config, entries)
    }

    fn of_any_config(mut config: Config, entries: [&str; 2]) -> Result<Self, ConnectError> {
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.write_timeout = Some(ANSWER_TIMEOUT);
        config.read_timeout = Some(ANSWER_TIMEOUT);
        config.reset_reader_on_write = true;
        config.default_retry = false;
        let identity = identity::digest(&config.auth_info, entries);
        // A plugin is run as the client is made. Where it fails, because its server is away say, the rest is known all the
        // same; everything else that could be wrong shows now.
        let is_lazy = config.auth_info.exec.is_some();
        let client = Self { config, requests: OnceLock::new(), server, identity };
        if !is_lazy {
            client.requests()?;
        }
        Ok(client)
    }

    fn requests(&self) -> Result<&kube::Client, ConnectError> {
        if let Some(requests) = self.requests.get() {
            return Ok(requests);
        }
        // A token of a plugin is not seen before kube's client has made a header of it, which panics where that cannot be.
        let make = AssertUnwindSafe(|| kube::Client::try_from(self.config.clone()));
        let made = catch_unwind(make).map_err(|_| ConnectError::Token)?;
        let made = made.map_err(|error| ConnectError::of_kube(&self.server, &error))?;
        Ok(self.requests.get_or_init(|| made))
    }

    /// Who asks: a digest over the entries of the kubeconfig and the credential, which says nothing of either. It is the same
    /// after a token was renewed for the same subject.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// `https://HOST:PORT`, and the path below which it is reached.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificates that are trusted, DER; none means those of the operating system.
    pub fn trust(&self) -> &[Vec<u8>] {
        self.config.root_cert.as_deref().unwrap_or_default()
    }

    /// The namespace of the context; `default` where it names none.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// Sends a request once and reads the whole answer, whatever its code.
    pub async fn request(&self, request: Request) -> Result<Answer, ConnectError> {
        let (server, seconds) = (self.server.clone(), ANSWER_TIMEOUT.as_secs());
        let end = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        let sent = self.requests()?.send(http_request(request, &self.server)?);
        let Ok(response) = tokio::time::timeout_at(end, sent).await else {
            return Err(ConnectError::Timeout { server, seconds });
        };
        let response = response.map_err(|error| ConnectError::of_kube(&self.server, &error))?;
        // From here on there is an answer.
        let head = Head::of(&response);
        if head.length.is_some_and(|length| length > ANSWER_MAX_BYTES as u64) {
            return Err(ConnectError::TooLong(server));
        }
        // What comes in chunks has no length that could be looked at before.
        let bounded = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
        let Ok(collected) = tokio::time::timeout_at(end, bounded.collect()).await else {
            return Err(ConnectError::Stalled { server, seconds });
        };
        let bytes = match collected {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(ConnectError::TooLong(server)),
            Err(error) => return Err(ConnectError::broken_off(&self.server, &*error)),
        };
        let Head { code, retry_after_seconds, warnings, .. } = head;
        Ok(Answer { code, retry_after_seconds, warnings, body: take(bytes) })
    }

    /// Sends a request whose answer goes on. The wait between two lines is not bounded: whoever reads them ends it.
    pub async fn lines(&self, request: Request) -> Result<Result<Lines, Failure>, ConnectError> {
        let opened = self.open_stream(request, ANSWER_TIMEOUT).await?;
        Ok(opened.map(|reader| Lines { reader, server: self.server.clone() }))
    }

    /// Sends a request whose answer is a file of any length, which the server may take up to an hour to make.
    pub async fn download(&self, request: Request) -> Result<Result<Download, Failure>, ConnectError> {
        let opened = self.open_stream(request, MAKING_TIMEOUT).await?;
        Ok(opened.map(|reader| Download { reader, server: self.server.clone() }))
    }

    #[expect(clippy::disallowed_methods, reason = "the body goes into the request, inside TLS")]
    async fn open_stream(
        &self,
        request: Request,
        until_answered: Duration,
    ) -> Result<Result<Pin<Box<dyn AsyncBufRead + Send>>, Failure>, ConnectError> {
        let mut config = self.config.clone();
        config.read_timeout = None;
        let client = kube::Client::try_from(config).map_err(|error| ConnectError::of_kube(&self.server, &error))?;
        let body = request.body.as_ref().map_or_else(Vec::new, |body| body.expose().to_vec());
        let (parts, _) = http_request(request, &self.server)?.into_parts();
        let opened = client.request_stream(http::Request::from_parts(parts, body));
        match tokio::time::timeout(until_answered, opened).await {
            Ok(Ok(reader)) => Ok(Ok(Box::pin(reader))),
            Ok(Err(kube::Error::Api(status))) => Ok(Err(Failure::of_status(&status))),
            Ok(Err(error)) => Err(ConnectError::of_kube(&self.server, &error)),
            Err(_) => Err(ConnectError::Timeout { server: self.server.clone(), seconds: until_answered.as_secs() }),
        }
    }
}

impl Lines {
    /// The next line without its end; `None` where the answer ends.
    pub async fn next(&mut self) -> Result<Option<SecretBytes>, ConnectError> {
        let mut line = Zeroizing::new(Vec::with_capacity(4096));
        let mut bounded = self.reader.as_mut().take(LINE_MAX_BYTES);
        let read = bounded.read_until(b'\n', &mut line).await;
        read.map_err(|error| ConnectError::connection(&self.server, &error))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if u64::try_from(line.len()).unwrap_or(u64::MAX) >= LINE_MAX_BYTES {
            return Err(ConnectError::TooLong(self.server.clone()));
        } else if line.is_empty() {
            return Ok(None);
        }
        Ok(Some(SecretBytes::new(std::mem::take(&mut *line))))
    }
}

/// What an answer begins with.
struct Head {
    code: u16,
    length: Option<u64>,
    retry_after_seconds: Option<u64>,
    warnings: Vec<String>,
}

impl Head {
    fn of<B>(response: &http::Response<B>) -> Self {
        let number = |name| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse().ok());
        let warnings = response.headers().get_all("warning").iter().filter_map(|value| warning(value.to_str().ok()?));
        Self {
            code: response.status().as_u16(),
            length: number("content-length"),
            retry_after_seconds: number("retry-after"),
            warnings: warnings.collect(),
        }
    }
}

/// Nothing else can stand in a header, and kube's client would panic of it.
pub(super) fn check_token(token: &str) -> Result<(), ConnectError> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(ConnectError::Token) }
}

#[expect(clippy::disallowed_methods, reason = "the token moves into the client's own secret type")]
fn bearer(token: &SecretBytes) -> Result<SecretString, ConnectError> {
    let text = std::str::from_utf8(token.expose()).map_err(|_| ConnectError::Token)?;
    check_token(text)?;
    Ok(SecretString::from(text))
}

#[expect(clippy::disallowed_methods, reason = "the key moves into the client's own secret type")]
fn key_data(key: &SecretBytes) -> SecretString {
    SecretString::from(STANDARD.encode(key.expose()))
}

/// A body that is wiped once it was sent.
struct Sent(SecretBytes);

impl AsRef<[u8]> for Sent {
    #[expect(clippy::disallowed_methods, reason = "the body goes into the request, inside TLS")]
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn http_request(request: Request, server: &str) -> Result<http::Request<Body>, ConnectError> {
    let builder = http::Request::builder()
        .method(request.method)
        .uri(request.target())
        .header("accept", request.accept)
        .header("user-agent", USER_AGENT);
    let built = match request.body {
        Some(body) => {
            let body = Body::from(Bytes::from_owner(Sent(body)));
            builder.header("content-type", request.content_type).body(body)
        }
        None => builder.body(Body::empty()),
    };
    built.map_err(|error| ConnectError::connection(server, &error))
}

/// The text of a warning, `299 - "TEXT"`, without what would steer a terminal.
fn warning(value: &str) -> Option<String> {
    let text = value.strip_prefix("299 ")?.split_once(" \"")?.1.strip_suffix('"')?;
    Some(shown(&text.replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// Copies the bytes and wipes them where nobody else holds them.
fn take(bytes: Bytes) -> SecretBytes {
    let copy = SecretBytes::new(bytes.to_vec());
    if let Ok(mut own) = bytes.try_into_mut() {
        own.as_mut().zeroize();
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        assert!(bearer(&SecretBytes::new(b"sr_x.y-z".to_vec())).is_ok());
        for token in [&b"sr_x\nsr_y"[..], b"sr x", b"sr_\xff", "sr_\u{e4}".as_bytes()] {
            let error = bearer(&SecretBytes::new(token.to_vec())).err().unwrap().to_string();
            assert!(error.contains("the token") && !error.contains("sr"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_in_chunks_without_end_is_given_up_at_the_bound() {
        use std::io::{BufRead as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sending = std::thread::spawn(move || {
            let mut stream = std::io::BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let stream = stream.get_mut();
            write!(stream, "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
            let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
            let mut sent = 0;
            while stream.write_all(&chunk).is_ok() {
                sent += 1 << 20;
            }
            sent
        });
        let client = Client::of_loopback(address).unwrap();
        let refused = client.request(Request::get("/".to_owned())).await.err().unwrap();
        assert!(matches!(refused, ConnectError::TooLong(_)), "{refused}");
        drop(client);
        // What was on its way is more than what was taken, but not by much. The connection ends while this waits.
        let sent = tokio::task::spawn_blocking(|| sending.join().unwrap()).await.unwrap();
        assert!(sent < 2 * ANSWER_MAX_BYTES);
    }

    #[test]
    fn a_warning_is_its_text() {
        assert_eq!(warning(r#"299 - "unknown field \"x\"""#).as_deref(), Some("unknown field \"x\""));
        for value in ["", "299", "299 - text", "199 - \"text\""] {
            assert_eq!(warning(value), None, "{value}");
        }
    }
}
