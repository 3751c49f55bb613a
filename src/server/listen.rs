//! The listeners: HTTP/1.1 over TLS 1.3 on the network, and plain on a Unix socket, with bounds on time and number.
//!
//! What it never does: speak without TLS on the network, tell its name or version, or run a handler on after its
//! client is gone.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use actix_web::dev::Server;
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;

use crate::config::Limits;

use super::connections::Connections;
use super::edge::{Edge, Hosts, pass};
use super::gate::Gate;
use super::peers::Peers;

/// What is served. One copy per worker thread.
pub trait Application: Clone + Send + Sync + 'static {
    /// Adds its routes.
    fn configure(&self, routes: &mut ServiceConfig);

    /// Is told once that the server stops: streams end cleanly, and the server is no longer ready.
    fn begin_shutdown(&self);
}

/// Takes the address. Connections wait in the kernel's queue until [`serve`].
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What is listened on.
pub struct Listeners {
    /// The network.
    pub tcp: TcpListener,
    /// How TLS is spoken there.
    pub tls: ServerConfig,
    /// This machine.
    pub unix: Option<UnixListener>,
}

/// Answers requests on all listeners alike, with `workers` threads, once the returned server is awaited, and as long as
/// the gate is open.
pub fn serve<A: Application>(
    listeners: Listeners,
    peers: Peers,
    limits: &Limits,
    hosts: Hosts,
    (application, gate): (A, Gate),
    workers: usize,
) -> io::Result<Server> {
    let edge = Edge::new(hosts, limits.requests_per_address, gate);
    let connections = Connections::new(limits.connections_per_address, peers);
    let workers = workers.max(1);
    let server = HttpServer::new(move || {
        let application = application.clone();
        App::new()
            .app_data(web::Data::new(edge.clone()))
            .wrap(from_fn(pass))
            .configure(move |routes| application.configure(routes))
    })
    .workers(workers)
    .max_connections(limits.connections.div_ceil(workers))
    .keep_alive(KeepAlive::Timeout(limits.keep_alive))
    .client_request_timeout(limits.request_head)
    .client_disconnect_timeout(limits.tls_handshake)
    .tls_handshake_timeout(limits.tls_handshake)
    .tcp_nodelay(true)
    // A client that closes its side has gone; otherwise a dead watcher would be noticed only when written to.
    .h1_allow_half_closed(false)
    .shutdown_timeout(limits.drain.as_secs())
    .disable_signals()
    .on_connect(move |stream, data| connections.accept(stream, data))
    .listen_rustls_0_23(listeners.tcp, listeners.tls)?;
    let server = match listeners.unix {
        Some(unix) => server.listen_uds(unix)?,
        None => server,
    };
    Ok(server.run())
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
