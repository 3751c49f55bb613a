//! Who is connected: how many connections and unanswered requests each client address has.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as AsyncTcpStream;

/// How long a client may leave what it was sent unread before the kernel ends its connection.
#[cfg(target_os = "linux")]
const WRITE_STALL_MILLIS: u32 = 30_000;

/// The counts of every client address that has a connection.
#[derive(Clone)]
pub struct Connections {
    limit_per_address: u32,
    addresses: Arc<Mutex<HashMap<IpAddr, Arc<Address>>>>,
}

#[derive(Default)]
struct Address {
    connections: AtomicU32,
    requests: AtomicU32,
}

/// One connection, from its handshake to its end. Requests reach it by `conn_data`.
pub struct Connection {
    key: IpAddr,
    address: Arc<Address>,
    all: Connections,
}

/// What the socket of a connection says of `TCP_NODELAY`.
#[cfg(test)]
pub struct NoDelay(pub bool);

/// One request that has no response yet.
pub struct Unanswered(Arc<Address>);

impl Connections {
    /// Nobody connected.
    #[must_use]
    pub fn new(limit_per_address: u32) -> Self {
        Self { limit_per_address, addresses: Arc::default() }
    }

    /// To be called for each new connection, after its TLS handshake. One too many is closed.
    pub fn accept(&self, stream: &dyn Any, data: &mut Extensions) {
        let Some(tls) = stream.downcast_ref::<TlsStream<AsyncTcpStream>>() else { return };
        let socket = tls.get_ref().0;
        let Ok(peer) = socket.peer_addr() else { return };
        if let Some(connection) = self.count(peer) {
            // Without it a client that stops reading would be waited for without end.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, WRITE_STALL_MILLIS);
            #[cfg(test)]
            data.insert(NoDelay(socket.nodelay().unwrap_or(false)));
            data.insert(connection);
            return;
        }
        tracing::debug!(peer.address = %peer.ip(), "too many connections of one address: one was closed");
        // The descriptor is shared with the stream, so this ends the connection itself.
        if let Ok(shared) = socket.as_fd().try_clone_to_owned() {
            let _ = TcpStream::from(shared).shutdown(Shutdown::Both);
        }
    }

    fn count(&self, peer: SocketAddr) -> Option<Connection> {
        let key = client(peer.ip());
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let address = Arc::clone(addresses.entry(key).or_default());
        if address.connections.load(Ordering::Relaxed) >= self.limit_per_address {
            return None;
        }
        address.connections.fetch_add(1, Ordering::Relaxed);
        Some(Connection { key, address, all: self.clone() })
    }
}

impl Connection {
    /// Counts a request of this client address until the value is dropped; `None` where it has `limit` already.
    #[must_use]
    pub fn begin_request(&self, limit: u32) -> Option<Unanswered> {
        if self.address.requests.fetch_add(1, Ordering::Relaxed) >= limit {
            self.address.requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Unanswered(Arc::clone(&self.address)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut addresses = self.all.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if self.address.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            addresses.remove(&self.key);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 site has.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[test]
    fn connections_of_one_address_are_bounded_and_given_back() {
        let all = Connections::new(2);
        let first = all.count(at("10.0.0.1")).unwrap();
        let _second = all.count(at("::ffff:10.0.0.1")).unwrap();
        assert!(all.count(at("10.0.0.1")).is_none());
        assert!(all.count(at("10.0.0.2")).is_some());
        drop(first);
        assert!(all.count(at("10.0.0.1")).is_some());
    }

    #[test]
    fn an_ipv6_site_is_one_client() {
        let all = Connections::new(1);
        let _held = all.count(at("2001:db8::1")).unwrap();
        assert!(all.count(at("2001:db8::ffff")).is_none());
        assert!(all.count(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_address_that_has_gone() {
        let all = Connections::new(4);
        let held = (all.count(at("10.0.0.1")), all.count(at("10.0.0.1")));
        assert_eq!(all.addresses.lock().unwrap().len(), 1);
        drop(held);
        assert!(all.addresses.lock().unwrap().is_empty());
    }

    #[test]
    fn requests_are_counted_over_all_connections_of_an_address() {
        let all = Connections::new(4);
        let (one, two) = (all.count(at("10.0.0.1")).unwrap(), all.count(at("10.0.0.1")).unwrap());
        let held = one.begin_request(1).unwrap();
        assert!(two.begin_request(1).is_none());
        drop(held);
        assert!(two.begin_request(1).is_some());
    }
}
