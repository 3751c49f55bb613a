//! The socket: HTTP/2 for those whom the kernel says to be allowed, and for nobody else.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener as AsyncUnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::provider::Provider;
use super::service;

const ROOT: u32 = 0;
const USUAL_OVERFLOW_UID: u32 = 65_534;
/// An API server has one or two.
const CONNECTIONS: usize = 64;
const STREAMS: u32 = 1024;
const HEADERS_MAX_BYTES: u32 = 16 * 1024;
/// Requests that are under way when the socket closes get so long.
const DRAIN: Duration = Duration::from_secs(2);
/// When no connection can be accepted (too many open files), it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may connect: root, the user this process runs as, and others that were named. Never the user that stands for all
/// those that a user namespace has no number for.
#[derive(Debug, Clone)]
pub struct AllowedPeers {
    uids: Vec<u32>,
    overflow: u32,
}

impl AllowedPeers {
    /// With others besides.
    pub fn new(others: &[u32]) -> Self {
        let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
        let overflow = overflow.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_OVERFLOW_UID);
        Self { uids: [&[ROOT, rustix::process::geteuid().as_raw()], others].concat(), overflow }
    }

    fn allows(&self, uid: u32) -> bool {
        uid != self.overflow && self.uids.contains(&uid)
    }
}

/// Closes the socket when it is dropped, or says so.
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// A way to stop, and what is stopped by it.
    pub fn new() -> (Self, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), receiver)
    }

    /// Nothing is accepted any more, and what is under way is finished.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Answers on `listener` until it is to stop.
pub async fn serve<P: Provider>(
    listener: UnixListener,
    allowed: AllowedPeers,
    provider: P,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = AsyncUnixListener::from_std(listener)?;
    let (provider, places) = (Arc::new(provider), Arc::new(Semaphore::new(CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        let Some(uid) = uid.filter(|uid| allowed.allows(*uid)) else {
            tracing::warn!(peer.uid = uid, "a user who may not connected to the socket of the KMS plugin");
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("the socket of the KMS plugin has too many connections");
            continue;
        };
        let (provider, stop) = (Arc::clone(&provider), stop.clone());
        connections.spawn(async move {
            let _place = place;
            connection(stream, uid, provider, stop).await;
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

async fn connection<P: Provider>(stream: UnixStream, uid: u32, provider: Arc<P>, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request| service::answer(Arc::clone(&provider), uid, request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS_MAX_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends concerns nobody but its peer.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_named_may_connect_and_who_stands_for_the_unknown_may_not() {
        let own = rustix::process::geteuid().as_raw();
        let allowed = AllowedPeers::new(&[4_000_000_001, 65_534]);
        assert!(allowed.allows(0) && allowed.allows(4_000_000_001) && allowed.allows(own));
        assert!(!allowed.allows(4_000_000_002) && !allowed.allows(allowed.overflow));
        assert!(!AllowedPeers::new(&[]).allows(4_000_000_001));
    }
}
