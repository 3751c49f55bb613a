//! Who is connected: how many connections and unanswered requests each client has, and who the client is as far as
//! the connection tells.
//!
//! A client is an address, or a user of this machine who comes by the Unix socket.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream as AsyncTcpStream, UnixStream as AsyncUnixStream};

use super::peers::Peers;

/// How long a client may leave what it was sent unread before the kernel ends its connection. Unix sockets have no
/// such clock; there the number of a user's connections is the bound.
#[cfg(target_os = "linux")]
const WRITE_STALL_MILLIS: u32 = 30_000;

/// The counts of every client that has a connection.
#[derive(Clone)]
pub struct Connections {
    limit_per_client: u32,
    peers: Peers,
    clients: Arc<Mutex<HashMap<Client, Arc<Counts>>>>,
}

/// Who is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    /// An IPv4 address, or the /64 that one IPv6 site has.
    Address(IpAddr),
    /// A user id of this machine.
    User(u32),
}

#[derive(Default)]
struct Counts {
    connections: AtomicU32,
    requests: AtomicU32,
}

/// One connection, from its handshake to its end. Requests reach it by `conn_data`.
pub struct Connection {
    client: Client,
    counts: Arc<Counts>,
    all: Connections,
}

/// What the socket of a connection says of `TCP_NODELAY`.
#[cfg(test)]
pub struct NoDelay(pub bool);

/// One request that has no response yet.
pub struct Unanswered(Arc<Counts>);

impl Connections {
    /// Nobody connected.
    #[must_use]
    pub fn new(limit_per_client: u32, peers: Peers) -> Self {
        Self { limit_per_client, peers, clients: Arc::default() }
    }

    /// To be called for each new connection, after its TLS handshake. One too many is closed.
    pub fn accept(&self, stream: &dyn Any, data: &mut Extensions) {
        if let Some(tls) = stream.downcast_ref::<TlsStream<AsyncTcpStream>>() {
            let (socket, session) = tls.get_ref();
            if self.accept_tcp(socket, data) {
                self.peers.identify_certificate(session.peer_certificates().unwrap_or_default(), data);
            }
        } else if let Some(socket) = stream.downcast_ref::<AsyncUnixStream>() {
            self.accept_unix(socket, data);
        }
    }

    fn accept_tcp(&self, socket: &AsyncTcpStream, data: &mut Extensions) -> bool {
        let Ok(peer) = socket.peer_addr() else { return false };
        if let Some(connection) = self.count(Client::at(peer.ip())) {
            // Without it a client that stops reading would be waited for without end.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, WRITE_STALL_MILLIS);
            #[cfg(test)]
            data.insert(NoDelay(socket.nodelay().unwrap_or(false)));
            data.insert(connection);
            return true;
        }
        tracing::debug!(peer.address = %peer.ip(), "too many connections of one address: one was closed");
        // The descriptor is shared with the stream, so this ends the connection itself.
        if let Ok(shared) = socket.as_fd().try_clone_to_owned() {
            let _ = TcpStream::from(shared).shutdown(Shutdown::Both);
        }
        false
    }

    /// A peer that the kernel cannot name is not served.
    fn accept_unix(&self, socket: &AsyncUnixStream, data: &mut Extensions) {
        let uid = socket.peer_cred().ok().map(|peer| peer.uid());
        if let Some((uid, connection)) = uid.and_then(|uid| Some((uid, self.count(Client::User(uid))?))) {
            data.insert(connection);
            self.peers.identify_process(uid, data);
            return;
        }
        tracing::debug!(peer.uid = uid, "too many connections of one user, or an unknown one: one was closed");
        if let Ok(shared) = socket.as_fd().try_clone_to_owned() {
            let _ = UnixStream::from(shared).shutdown(Shutdown::Both);
        }
    }

    fn count(&self, client: Client) -> Option<Connection> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = Arc::clone(clients.entry(client).or_default());
        if counts.connections.load(Ordering::Relaxed) >= self.limit_per_client {
            return None;
        }
        counts.connections.fetch_add(1, Ordering::Relaxed);
        Some(Connection { client, counts, all: self.clone() })
    }
}

impl Connection {
    /// Counts a request of this client until the value is dropped; `None` where it has `limit` already.
    #[must_use]
    pub fn begin_request(&self, limit: u32) -> Option<Unanswered> {
        if self.counts.requests.fetch_add(1, Ordering::Relaxed) >= limit {
            self.counts.requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Unanswered(Arc::clone(&self.counts)))
    }

    /// Whether it came by the Unix socket.
    #[must_use]
    pub fn is_by_unix_socket(&self) -> bool {
        matches!(self.client, Client::User(_))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut clients = self.all.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if self.counts.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            clients.remove(&self.client);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Client {
    fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Client {
        Client::at(text.parse().unwrap())
    }

    fn connections(limit_per_client: u32) -> Connections {
        Connections::new(limit_per_client, Peers::new(None))
    }

    #[test]
    fn connections_of_one_address_are_bounded_and_given_back() {
        let all = connections(2);
        let first = all.count(at("10.0.0.1")).unwrap();
        let _second = all.count(at("::ffff:10.0.0.1")).unwrap();
        assert!(all.count(at("10.0.0.1")).is_none());
        assert!(all.count(at("10.0.0.2")).is_some());
        drop(first);
        assert!(all.count(at("10.0.0.1")).is_some());
    }

    #[test]
    fn an_ipv6_site_is_one_client() {
        let all = connections(1);
        let _held = all.count(at("2001:db8::1")).unwrap();
        assert!(all.count(at("2001:db8::ffff")).is_none());
        assert!(all.count(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_user_of_this_machine_is_a_client_whatever_number_the_address_of_another_has() {
        let all = connections(1);
        let held = all.count(Client::User(1)).unwrap();
        assert!(all.count(Client::User(1)).is_none());
        assert!(all.count(Client::User(2)).is_some() && all.count(at("0.0.0.1")).is_some());
        assert!(held.is_by_unix_socket() && !all.count(at("10.0.0.1")).unwrap().is_by_unix_socket());
    }

    #[test]
    fn nothing_is_kept_of_an_address_that_has_gone() {
        let all = connections(4);
        let held = (all.count(at("10.0.0.1")), all.count(at("10.0.0.1")));
        assert_eq!(all.clients.lock().unwrap().len(), 1);
        drop(held);
        assert!(all.clients.lock().unwrap().is_empty());
    }

    #[test]
    fn requests_are_counted_over_all_connections_of_an_address() {
        let all = connections(4);
        let (one, two) = (all.count(at("10.0.0.1")).unwrap(), all.count(at("10.0.0.1")).unwrap());
        let held = one.begin_request(1).unwrap();
        assert!(two.begin_request(1).is_none());
        drop(held);
        assert!(two.begin_request(1).is_some());
    }
}
