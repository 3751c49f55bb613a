//! A played API server: real TLS, a certificate of a new authority, and answers that the test decides on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::{Names, encode_certificate, make_authority, make_leaf};

/// Longer than anything in a test takes.
const LIMIT: Duration = Duration::from_mins(1);

/// A server that goes on until the test ends.
pub struct Played {
    address: SocketAddr,
    /// Its authority, PEM.
    pub authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request that it was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub authorization: Option<String>,
    pub accept: Option<String>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// What it answers.
pub struct Answer {
    code: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Lines(mpsc::Receiver<String>),
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

impl Answer {
    pub fn json(code: u16, body: &Value) -> Self {
        Self { code, headers: Vec::new(), body: Body::Whole(body.to_string().into_bytes()) }
    }

    /// A `Status` that is a refusal.
    pub fn refusal(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": reason, "message": message, "code": code});
        Self::json(code, &status)
    }

    /// Lines as they are sent, until the sender is dropped.
    pub fn lines(lines: mpsc::Receiver<String>) -> Self {
        Self { code: 200, headers: Vec::new(), body: Body::Lines(lines) }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Played {
    /// Answers as `handler` says. What it does not answer for is refused with 404.
    pub fn start(handler: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let now = SystemClock.unix_seconds();
        let authority = make_authority(now).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), now).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the key of a server of the test's own")]
        let key = PrivateKeyDer::try_from(leaf.key.expose().to_vec()).unwrap();
        let chain = [&leaf.certificate, &authority.certificate].map(|der| CertificateDer::from(der.clone()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.to_vec(), key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let unknown = "the server could not find the requested resource";
        let handler: Arc<Handler> =
            Arc::new(move |asked| handler(asked).unwrap_or_else(|| Answer::refusal(404, "NotFound", unknown)));
        let (config, seen) = (Arc::new(config), Arc::clone(&asked));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (config, seen, handler) = (Arc::clone(&config), Arc::clone(&seen), Arc::clone(&handler));
                // A client that goes away in the midst of something ends its thread.
                std::thread::spawn(move || serve(socket, config, &seen, &*handler));
            }
        });
        Self { address, authority: encode_certificate(&authority.certificate), asked }
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn authority_of_url(&self) -> String {
        self.address.to_string()
    }

    /// What it was sent so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests for one path.
    pub fn asked_for(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path() == path).collect()
    }
}

fn serve(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    seen: &Mutex<Vec<Asked>>,
    handler: &Handler,
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, socket));
    while let Some(asked) = read(&mut stream)? {
        seen.lock().unwrap().push(asked.clone());
        write(stream.get_mut(), handler(&asked))?;
    }
    Ok(())
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn read(stream: &mut BufReader<Stream>) -> std::io::Result<Option<Asked>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut asked = Asked { method, target, authorization: None, accept: None, content_type: None, body: Vec::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => asked.authorization = Some(value.to_owned()),
            "accept" => asked.accept = Some(value.to_owned()),
            "content-type" => asked.content_type = Some(value.to_owned()),
            _ => {}
        }
    }
    asked.body.resize(length, 0);
    stream.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}

fn write(stream: &mut Stream, answer: Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\ncontent-type: application/json\r\n", answer.code);
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    match answer.body {
        Body::Whole(body) => {
            write!(stream, "{head}content-length: {}\r\n\r\n", body.len())?;
            stream.write_all(&body)?;
            stream.flush()
        }
        Body::Lines(lines) => {
            write!(stream, "{head}transfer-encoding: chunked\r\n\r\n")?;
            stream.flush()?;
            while let Ok(line) = lines.recv_timeout(LIMIT) {
                write!(stream, "{:x}\r\n{line}\n\r\n", line.len() + 1)?;
                stream.flush()?;
            }
            write!(stream, "0\r\n\r\n")?;
            stream.flush()
        }
    }
}
