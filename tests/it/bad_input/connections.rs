//! Connections that are slow, broken, or do not speak HTTP.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{SECRETS, listing};
use crate::support::app::App;
use crate::support::http::{Client, Connection};

/// Longer than any limit of the server's on a head, a handshake or a silent body.
const PATIENCE: Duration = Duration::from_secs(25);

struct Server {
    app: App,
    client: Client,
}

impl Server {
    fn start() -> Self {
        let app = App::start();
        let client = Client::admin(&app);
        Self { app, client }
    }

    fn address(&self) -> SocketAddr {
        self.app.url.strip_prefix("https://").unwrap().parse().unwrap()
    }

    fn connect(&self) -> Connection {
        self.client.connect().unwrap()
    }

    /// A head with the administrator's token, without the empty line that ends it.
    fn open_head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        self.client.head(method, path, headers).trim_end().to_owned() + "\r\n"
    }

    /// It still serves, and there is nothing in it.
    fn must_be_unharmed(mut self) {
        let mut client = self.client.another();
        assert_eq!(client.get("/readyz").ok().text(), "ok");
        let left = listing(&mut Client::admin(&self.app));
        assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "{left}");
        assert!(self.app.is_running());
        assert!(!self.app.log().contains("panicked"), "{}", self.app.log());
    }
}

/// The status of the answer to these bytes, or `None` where the connection ends without one.
fn answer(mut connection: Connection, bytes: &[u8]) -> Option<u16> {
    let _ = connection.write(bytes);
    connection.response(false).ok().map(|response| response.status)
}

#[test]
fn what_is_no_tls_ends_the_connection() {
    let server = Server::start();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice(),
        b"\x16\x03\x01\xff\xff".as_slice(),
        &[0; 4096],
        b"SSH-2.0-x\r\n",
    ] {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too; a time-out is none.
        let end = socket.read_to_end(&mut answer);
        assert!(end.as_ref().is_ok() || end.as_ref().is_err_and(is_reset), "{end:?}");
        assert!(!answer.starts_with(b"HTTP"), "HTTP is spoken over TLS only");
    }
    server.must_be_unharmed();
}

fn is_reset(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionReset
}

#[test]
fn heads_that_are_broken_are_refused() {
    let server = Server::start();
    let head = |headers: &[(&str, &str)]| server.client.head("POST", SECRETS, headers);
    let rows: Vec<(&str, String, &[Option<u16>])> = vec![
        ("no HTTP", "nonsense\r\n\r\n".into(), &[Some(400), None]),
        ("an unknown version", "GET / HTTP/3.7\r\nHost: localhost\r\n\r\n".into(), &[Some(400), Some(505), None]),
        ("no host", "GET /version HTTP/1.1\r\n\r\n".into(), &[Some(400), Some(421)]),
        ("a foreign host", "GET /version HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), &[Some(421)]),
        (
            "two hosts",
            "GET /version HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".into(),
            &[Some(400), Some(421)],
        ),
        (
            "a header without a name",
            "GET /version HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n".into(),
            &[Some(400), None],
        ),
        (
            "a space in a header's name",
            "GET /version HTTP/1.1\r\nHost: localhost\r\na b: x\r\n\r\n".into(),
            &[Some(400), None],
        ),
        ("a negative length", head(&[("Content-Length", "-1")]), &[Some(400), None]),
        ("a length that is no number", head(&[("Content-Length", "x")]), &[Some(400), None]),
        ("two lengths", head(&[("Content-Length", "2"), ("Content-Length", "3")]), &[Some(400), None]),
        (
            "a length and chunks",
            head(&[("Content-Length", "2"), ("Transfer-Encoding", "chunked")]) + "0\r\n\r\n",
            &[Some(400), None],
        ),
        ("an unknown coding", head(&[("Transfer-Encoding", "bogus")]), &[Some(400), Some(501), None]),
        ("a chunk without a size", head(&[("Transfer-Encoding", "chunked")]) + "zz\r\nabc\r\n", &[Some(400), None]),
        (
            "a chunk that is too large",
            head(&[("Transfer-Encoding", "chunked")]) + "10000000000000000\r\nabc\r\n",
            &[Some(400), Some(413), None],
        ),
        ("a header of a megabyte", head(&[("X", &"x".repeat(1 << 20))]), &[Some(400), Some(431), None]),
        ("ten thousand headers", head(&vec![("X", "x"); 10_000]), &[Some(400), Some(431), None]),
        (
            "a path of a megabyte",
            server.client.head("GET", &format!("/{}", "a".repeat(1 << 20)), &[]),
            &[Some(400), Some(414), Some(431), None],
        ),
        (
            "a path with a zero",
            server.client.head("GET", "/api/v1/namespaces/default/secrets/a%00b", &[]),
            &[Some(400), Some(404)],
        ),
        (
            "a request to a proxy",
            "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n".into(),
            &[Some(400), Some(405), Some(421)],
        ),
        (
            "another server's address",
            "GET https://evil.example/version HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            &[Some(400), Some(421)],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, allowed) in rows {
        let status = answer(server.connect(), bytes.as_bytes());
        if !allowed.contains(&status) {
            wrong.push(format!("{what}: {status:?} instead of one of {allowed:?}"));
        }
    }
    server.must_be_unharmed();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bodies_that_break_off_leave_nothing_behind() {
    let server = Server::start();
    let document = br#"{"metadata":{"name":"half"},"data":{"k":"dg=="}}"#;
    let json = ("Content-Type", "application/json");
    for end in (0..document.len()).step_by(7) {
        let head = server.client.head("POST", SECRETS, &[json, ("Content-Length", &document.len().to_string())]);
        let mut connection = server.connect();
        connection.write(&[head.as_bytes(), &document[..end]].concat()).unwrap();
        drop(connection);
        let mut connection = server.connect();
        let head = server.client.head("POST", SECRETS, &[json, ("Transfer-Encoding", "chunked")]);
        // The document is whole; what is missing is the last chunk, so that nobody can know that it is.
        connection.write(format!("{head}{:x}\r\n", document.len()).as_bytes()).unwrap();
        connection.write(&document[..]).unwrap();
        connection.write(b"\r\n").unwrap();
        drop(connection);
    }
    server.must_be_unharmed();
}

#[test]
fn slow_clients_are_cut_off_and_disturb_nobody() {
    let server = Server::start();
    let address = server.address();
    std::thread::scope(|scope| {
        let silent_handshake = scope.spawn(|| {
            let socket = TcpStream::connect(address).unwrap();
            time_until_closed(socket)
        });
        let dripping_head = scope.spawn(|| {
            let mut connection = server.connect();
            let head = server.open_head("GET", "/version", &[]);
            drip(&mut connection, head.as_bytes())
        });
        let silent_head = scope.spawn(|| {
            let mut connection = server.connect();
            connection.write(server.open_head("GET", "/version", &[]).as_bytes()).unwrap();
            status_within_patience(&mut connection)
        });
        let silent_body = scope.spawn(|| {
            let mut connection = server.connect();
            let headers = [("Content-Type", "application/json"), ("Content-Length", "100")];
            connection.write(server.client.head("POST", SECRETS, &headers).as_bytes()).unwrap();
            connection.write(b"{\"metadata\":").unwrap();
            status_within_patience(&mut connection)
        });
        let others = scope.spawn(|| {
            let mut client = Client::admin(&server.app);
            let until = Instant::now() + Duration::from_secs(3);
            let mut slowest = Duration::ZERO;
            while Instant::now() < until {
                let begun = Instant::now();
                client.get(SECRETS).ok();
                slowest = slowest.max(begun.elapsed());
            }
            slowest
        });
        assert!(silent_handshake.join().unwrap() < PATIENCE, "a handshake that does not come is waited for");
        assert!(dripping_head.join().unwrap() < PATIENCE, "a head may drip forever");
        assert!(matches!(silent_head.join().unwrap(), Some(408) | None), "a head that does not end");
        assert!(matches!(silent_body.join().unwrap(), Some(408) | None), "a body that does not come");
        assert!(others.join().unwrap() < Duration::from_secs(2), "slow clients hold up others");
    });
    server.must_be_unharmed();
}

/// How long the server keeps a connection on which nothing is said.
fn time_until_closed(mut socket: TcpStream) -> Duration {
    let begun = Instant::now();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
    let took = begun.elapsed();
    let _ = socket.shutdown(Shutdown::Both);
    took
}

/// Sends a byte every half second until the server has enough of it; how long that took.
fn drip(connection: &mut Connection, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    for byte in bytes {
        // An ended connection takes a few more bytes before a write fails.
        if connection.write(&[*byte]).is_err() || begun.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    begun.elapsed()
}

fn status_within_patience(connection: &mut Connection) -> Option<u16> {
    let begun = Instant::now();
    let status = connection.response(false).ok().map(|response| response.status);
    assert!(begun.elapsed() < PATIENCE, "the server waits for more than {PATIENCE:?}");
    status
}
