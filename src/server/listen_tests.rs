//! The listener as clients meet it, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};

use super::super::connections::{Connection, NoDelay};
use super::super::tls::{ServerCertificate, certified_key, server_config};
use super::*;
use crate::pki::{Authority, Leaf, Names, encode_certificate, encode_private_key, make_authority, make_leaf};

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
        let authority = make_authority(now()).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), now()).unwrap();
        let certificate = Arc::new(ServerCertificate::new(certified(&leaf)));
        let tls = server_config(Arc::clone(&certificate)).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async move {
                let hosts = Hosts { names: Names::local(), any_address: false };
                let server = serve(listener, tls, &limits, hosts, Toy::default(), 1).unwrap();
                send.send(server.handle()).unwrap();
                server.await
            })
        });
        Self { address, handle: receive.recv().unwrap(), certificate, authority, thread: Some(thread) }
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.certificate.clone())).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
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
