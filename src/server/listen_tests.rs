//! The listener as clients meet it, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::super::client_certificates::{self, ClientAuthentication};
use super::super::connections::{Connection, NoDelay};
use super::super::tls::{ServerCertificate, certified_key, server_config};
use super::super::unix_socket::{self, SocketFile};
use super::*;
use crate::config::{HomePaths, UnixSocket};
use crate::model::user::{PeerOwner, PeerUid};
use crate::pki::client::{
    CLIENT_DEFAULT_TTL_SECONDS, ClientSubject, PeerCertificate, make_csr, sign_client_certificate,
};
use crate::pki::{
    Authority, Leaf, Names, encode_certificate, encode_private_key, make_authority, make_client_authority, make_leaf,
    read_blocks,
};

#[derive(Clone, Default)]
struct Toy {
    stopping: Arc<AtomicBool>,
}

impl Application for Toy {
    fn configure(&self, routes: &mut ServiceConfig) {
        routes
            .route("/", web::get().to(HttpResponse::Ok))
            .route(
                "/no-delay",
                web::get().to(|request: HttpRequest| async move {
                    format!(
                        "{} {}",
                        request.conn_data::<NoDelay>().unwrap().0,
                        request.conn_data::<Connection>().is_some()
                    )
                }),
            )
            .route("/who", web::get().to(|request: HttpRequest| async move { who(&request) }))
            .route(
                "/slow",
                web::get().to(|| async {
                    tokio::time::sleep(Duration::from_millis(600)).await;
                    "done"
                }),
            )
            .route("/panic", web::get().to(|| async { panic_now() }));
    }

    fn begin_shutdown(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}

/// What the data of the connection say of its peer.
fn who(request: &HttpRequest) -> String {
    let certificate = request.conn_data::<PeerCertificate>().map(|peer| {
        let identity = &peer.0;
        format!("{} {:?} {:?}", identity.common_name, identity.organizations, identity.uid)
    });
    let uid = request.conn_data::<PeerUid>().map(|peer| peer.0);
    format!("{certificate:?} uid {uid:?} owner {}", request.conn_data::<PeerOwner>().is_some())
}

fn panic_now() -> HttpResponse {
    panic!("the message may hold a secret")
}

struct Running {
    address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
    certificate: Arc<ServerCertificate>,
    authority: Authority,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

fn now() -> i64 {
    use crate::clock::{Clock as _, SystemClock};
    SystemClock.unix_seconds()
}

fn certified(leaf: &Leaf) -> rustls::sign::CertifiedKey {
    certified_key(encode_certificate(&leaf.certificate).as_bytes(), &encode_private_key(&leaf.key)).unwrap()
}

impl Running {
    fn start(limits: Limits) -> Self {
        Self::start_with(limits, None, None)
    }

    fn start_with(limits: Limits, clients: Option<&ClientAuthentication>, unix: Option<UnixListener>) -> Self {
        let authority = make_authority(now()).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), now()).unwrap();
        let certificate = Arc::new(ServerCertificate::new(certified(&leaf)));
        let tls =
            server_config(Arc::clone(&certificate), clients.map(|clients| Arc::clone(&clients.verifier))).unwrap();
        let peers = Peers::new(clients.map(|clients| Arc::clone(&clients.own_authority)));
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async move {
                let hosts = Hosts { names: Names::local(), any_address: false };
                let listeners = Listeners { tcp: listener, tls, unix };
                let server = serve(listeners, peers, &limits, hosts, (Toy::default(), Gate::default()), 1).unwrap();
                send.send(server.handle()).unwrap();
                server.await
            })
        });
        Self { address, handle: receive.recv().unwrap(), certificate, authority, thread: Some(thread) }
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.connect_with(&Arc::new(self.client(None)))
    }

    /// How a client speaks TLS, perhaps with a certificate and its key.
    fn client(&self, certificate: Option<ClientPair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.certificate.clone())).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        match certificate {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => config.with_no_client_auth(),
        }
    }

    fn connect_with(&self, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str, host: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Stops with grace and says how long that took.
    fn stop(mut self) -> Duration {
        let started = Instant::now();
        drop(self.handle.stop(true));
        self.thread.take().unwrap().join().unwrap().unwrap();
        started.elapsed()
    }
}

type ClientPair = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// Asks who it is on a connection of its own; the answer, and how the handshake went.
fn ask(server: &Running, config: &Arc<ClientConfig>) -> (String, Option<HandshakeKind>) {
    let mut stream = server.connect_with(config);
    let mut answer = Vec::new();
    let _ = stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    (answer.rsplit("\r\n").next().unwrap_or_default().to_owned(), stream.conn.handshake_kind())
}

/// A pair as `strongroom user certificate` and the server make it.
#[expect(clippy::disallowed_methods, reason = "the test connects with a key that it made")]
fn client_pair(authority: &Authority, user: &str, groups: &[&str]) -> ClientPair {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let made = make_csr(user).unwrap();
    let subject = ClientSubject { user, groups: &groups, uid: "0f2d" };
    let pem = sign_client_certificate(authority, &made.csr, &subject, CLIENT_DEFAULT_TTL_SECONDS, now()).unwrap();
    let der = |pem: &[u8]| read_blocks(pem).remove(0).bytes.expose().to_vec();
    (CertificateDer::from(der(pem.as_bytes())), PrivateKeyDer::try_from(der(made.key.expose())).unwrap())
}

/// A server that asks for client certificates, its client authority, and an outside one.
fn with_client_certificates() -> (Running, Authority, Authority, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let paths = HomePaths::in_directory(directory.path().to_owned());
    let (own, outside) = (make_client_authority(now()).unwrap(), make_client_authority(now()).unwrap());
    let bundle = directory.path().join("outside.crt");
    std::fs::write(&bundle, encode_certificate(&outside.certificate)).unwrap();
    let clients = client_certificates::prepare(&paths, &own, &[bundle], now()).unwrap();
    (Running::start_with(Limits::default(), Some(&clients), None), own, outside, directory)
}

#[test]
fn a_client_certificate_is_known_for_every_request_and_none_is_fine() {
    let (server, own, outside, _directory) = with_client_certificates();
    let asked = |pair| ask(&server, &Arc::new(server.client(pair))).0;
    let ada = r#"Some("ada [\"dev\", \"ops\"] Some(\"0f2d\")") uid None owner false"#;
    assert_eq!(asked(Some(client_pair(&own, "ada", &["dev", "ops"]))), ada);
    let bob = r#"Some("bob [] None") uid None owner false"#;
    assert_eq!(asked(Some(client_pair(&outside, "bob", &[]))), bob, "an outside authority's uid is not ours");
    assert_eq!(asked(None), "None uid None owner false");
    server.stop();
}

#[test]
fn a_certificate_of_an_authority_that_is_not_ours_ends_the_handshake() {
    let (server, _own, _outside, _directory) = with_client_certificates();
    let foreign = make_client_authority(now()).unwrap();
    // A client names no certificate whose authority was not asked for, unless it is made to.
    let mut config = server.client(Some(client_pair(&foreign, "mallory", &[])));
    let resolver = Arc::clone(&config.client_auth_cert_resolver);
    config.client_auth_cert_resolver = Arc::new(Always(resolver));
    let mut stream = server.connect_with(&Arc::new(config));
    let mut answer = Vec::new();
    let _ = stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let error = stream.read_to_end(&mut answer).unwrap_err().to_string();
    assert!(answer.is_empty() && error.contains("alert"), "{error}");
    assert_eq!(ask(&server, &Arc::new(server.client(None))).0, "None uid None owner false");
    server.stop();
}

/// Presents its certificate whatever the server asks for.
#[derive(Debug)]
struct Always(Arc<dyn rustls::client::ResolvesClientCert>);

impl rustls::client::ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], schemes: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.resolve(&[], schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_resumed_session_keeps_its_certificate_and_gets_no_other() {
    let (server, own, _outside, _directory) = with_client_certificates();
    let ada = Arc::new(server.client(Some(client_pair(&own, "ada", &["dev"]))));
    let first = ask(&server, &ada);
    let second = ask(&server, &ada);
    assert_eq!((first.1, second.1), (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)));
    assert!(first.0.starts_with(r#"Some("ada "#) && first.0 == second.0, "{first:?} {second:?}");
    let nobody = Arc::new(server.client(None));
    assert_eq!(
        (ask(&server, &nobody).1, ask(&server, &nobody).1),
        (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed))
    );
    assert_eq!(ask(&server, &nobody).0, "None uid None owner false");
    server.stop();
}

#[test]
fn a_server_that_does_not_ask_gets_no_certificate() {
    let server = Running::start(Limits::default());
    let authority = make_client_authority(now()).unwrap();
    let config = Arc::new(server.client(Some(client_pair(&authority, "ada", &[]))));
    assert_eq!(ask(&server, &config).0, "None uid None owner false");
    server.stop();
}

/// A server with a Unix socket in a folder of its own.
fn with_unix_socket(limits: Limits) -> (Running, UnixSocket, SocketFile, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = UnixSocket { path: directory.path().join("api.sock"), mode: 0o600 };
    let (listener, file) = unix_socket::bind(&socket).unwrap();
    (Running::start_with(limits, None, Some(listener)), socket, file, directory)
}

fn exchange_by_unix(path: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = Vec::new();
    let _ = stream.write_all(request);
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_unix_socket_answers_to_every_host_name_and_knows_its_peer() {
    let (server, socket, _file, _directory) = with_unix_socket(Limits::default());
    let uid = rustix::process::geteuid().as_raw();
    for host in ["localhost", "anything.example"] {
        let request = format!("GET /who HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange_by_unix(&socket.path, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&format!("None uid Some({uid}) owner true")), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("cache-control: no-store"));
    }
    // The network stays as it was.
    assert!(server.get("/who", "localhost").ends_with("None uid None owner false"));
    assert!(server.get("/who", "anything.example").starts_with("HTTP/1.1 421"));
    server.stop();
}

#[test]
fn a_user_at_the_unix_socket_has_the_same_bounds_as_an_address() {
    let limits = Limits { connections_per_address: 1, requests_per_address: 1, ..Limits::default() };
    let (server, socket, _file, _directory) = with_unix_socket(limits);
    let mut held = UnixStream::connect(&socket.path).unwrap();
    held.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    held.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange_by_unix(&socket.path, request), "", "one connection too many is closed");
    assert!(server.get("/", "localhost").starts_with("HTTP/1.1 200"), "the network is counted apart");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !exchange_by_unix(&socket.path, request).starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "the place was not given back");
    }
    server.stop();
}

#[test]
fn requests_in_progress_at_the_unix_socket_are_bounded_and_finish_when_the_server_stops() {
    let limits = Limits { requests_per_address: 1, ..Limits::default() };
    let (server, socket, _file, _directory) = with_unix_socket(limits);
    let mut slow = UnixStream::connect(&socket.path).unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let deadline = Instant::now() + Duration::from_secs(5);
    let refused = loop {
        let answer = exchange_by_unix(&socket.path, request);
        if answer.starts_with("HTTP/1.1 429") {
            break answer;
        }
        assert!(Instant::now() < deadline, "the slow request was not counted");
    };
    assert!(refused.contains("requests of this user"), "{refused}");
    let waiting = std::thread::spawn(move || {
        let mut done = String::new();
        let _ = slow.read_to_string(&mut done);
        done
    });
    server.stop();
    assert!(waiting.join().unwrap().ends_with("done"));
}

#[test]
fn small_writes_leave_at_once() {
    let server = Running::start(Limits::default());
    assert!(server.get("/no-delay", "localhost").ends_with("true true"));
    server.stop();
}

#[test]
fn answers_tell_nothing_of_the_server_and_keep_browsers_out() {
    let server = Running::start(Limits::default());
    let answer = server.get("/", "localhost").to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(!answer.contains("\r\nserver:") && !answer.contains("access-control"));
    for header in ["cache-control: no-store", "x-content-type-options: nosniff", "x-frame-options: deny"] {
        assert!(answer.contains(header), "{answer}");
    }
    server.stop();
}

#[test]
fn a_request_by_another_name_is_misdirected() {
    let server = Running::start(Limits::default());
    let answer = server.get("/", "evil.example");
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert!(answer.contains(r#""kind":"Status""#) && answer.contains(r#""code":421"#));
    let twice = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(!server.exchange(twice).starts_with("HTTP/1.1 200"));
    let absolute = "GET https://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(server.exchange(absolute).starts_with("HTTP/1.1 421"));
    assert!(!server.exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    server.stop();
}

#[test]
fn one_connection_too_many_of_an_address_is_closed_and_room_is_given_back() {
    let server = Running::start(Limits { connections_per_address: 1, ..Limits::default() });
    let mut held = server.connect();
    held.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    held.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut refused = server.connect();
    let mut answer = Vec::new();
    let _ = refused.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let _ = refused.read_to_end(&mut answer);
    assert!(answer.is_empty());
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !server.exchange_or_nothing().starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "the place was not given back");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.stop();
}

impl Running {
    fn exchange_or_nothing(&self) -> String {
        let mut stream = self.connect();
        let mut answer = Vec::new();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

#[test]
fn an_address_with_too_many_requests_in_progress_is_told_to_wait() {
    let server = Running::start(Limits { requests_per_address: 1, ..Limits::default() });
    let mut slow = server.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let answer = server.get("/", "localhost");
    assert!(answer.starts_with("HTTP/1.1 429") && answer.to_ascii_lowercase().contains("retry-after: 1"), "{answer}");
    let mut done = String::new();
    let _ = slow.read_to_string(&mut done);
    assert!(done.ends_with("done"));
    assert!(server.get("/", "localhost").starts_with("HTTP/1.1 200"));
    server.stop();
}

#[test]
fn tls_1_2_is_refused() {
    let server = Running::start(Limits::default());
    // The library is built without TLS 1.2, so the client hello is written out: one suite, group and signature scheme
    // of its time, and no word of version 1.3.
    let groups_and_signatures = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    let mut body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 16], &groups_and_signatures].concat();
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.append(&mut body);
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.write_all(&hello).unwrap();
    let mut answer = [0; 7];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 0x15, "an alert");
    assert_eq!((answer[5], answer[6]), (2, 70), "a fatal one: protocol_version");
    if let Ok(output) = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &server.address.to_string()])
        .stdin(std::process::Stdio::null())
        .output()
    {
        assert!(!output.status.success());
    }
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "nothing is answered without TLS");
    server.stop();
}

#[test]
fn a_handshake_and_a_request_head_have_to_come_in_time() {
    let quick = Limits {
        tls_handshake: Duration::from_millis(300),
        request_head: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Running::start(quick);
    let started = Instant::now();
    let mut silent = TcpStream::connect(server.address).unwrap();
    let mut nothing = Vec::new();
    let _ = silent.read_to_end(&mut nothing);
    let mut slow = server.connect();
    slow.write_all(b"GET / HTT").unwrap();
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert!(String::from_utf8(answer).unwrap().starts_with("HTTP/1.1 408"));
    assert!(started.elapsed() < Duration::from_secs(5));
    server.stop();
}

#[test]
fn stopping_lets_requests_finish_and_does_not_wait_for_idle_connections() {
    let server = Running::start(Limits::default());
    let mut idle = server.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    let mut slow = server.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let waiting = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = slow.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    });
    let took = server.stop();
    assert!(waiting.join().unwrap().ends_with("done"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(idle);
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    let server = Running::start(Limits::default());
    let shown = |server: &Running| {
        let mut stream = server.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown(&server);
    let next = make_leaf(&server.authority, &Names::local(), now()).unwrap();
    server.certificate.replace(certified(&next));
    assert_ne!(shown(&server), before);
    assert_eq!(shown(&server), next.certificate);
    server.stop();
}

#[test]
fn a_panic_in_a_handler_costs_one_connection_and_not_the_server() {
    let server = Running::start(Limits::default());
    assert!(!server.get("/panic", "localhost").contains("secret"));
    assert!(server.get("/", "localhost").starts_with("HTTP/1.1 200"));
    server.stop();
}
