//! The socket: HTTP/2 for those whom the kernel says to be allowed, and for nobody else.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{UnixListener as AsyncUnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::provider::Provider;
use super::service;

const ROOT: u32 = 0;
const USUAL_OVERFLOW_UID: u32 = 65_534;
/// Connections of one user; an API server has one or two. Root and the user this process runs as have theirs in any case.
const CONNECTIONS_OF_ONE: usize = 16;
/// Of all others together.
const CONNECTIONS_OF_OTHERS: usize = 32;
/// What a connection of HTTP/2 begins with (RFC 9113, 3.4), and how long it has for that.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const UNTIL_PREFACE: Duration = Duration::from_secs(5);
/// So often a peer is asked whether it is there still, and has so long to say so.
const PING: Duration = Duration::from_secs(30);
const UNTIL_PONG: Duration = Duration::from_secs(10);
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

/// Places for connections: nobody takes those of another.
struct Places {
    own: u32,
    others: Arc<Semaphore>,
    by_uid: HashMap<u32, Arc<Semaphore>>,
}

impl Places {
    fn new(allowed: &AllowedPeers) -> Self {
        let of_one = |uid: &u32| (*uid, Arc::new(Semaphore::new(CONNECTIONS_OF_ONE)));
        Self {
            own: rustix::process::geteuid().as_raw(),
            others: Arc::new(Semaphore::new(CONNECTIONS_OF_OTHERS)),
            by_uid: allowed.uids.iter().map(of_one).collect(),
        }
    }

    /// A place, for as long as what is returned is held.
    fn take(&self, uid: u32) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut wanted = vec![self.by_uid.get(&uid)?];
        if uid != ROOT && uid != self.own {
            wanted.push(&self.others);
        }
        wanted.into_iter().map(|places| Arc::clone(places).try_acquire_owned().ok()).collect()
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
    let (provider, places) = (Arc::new(provider), Places::new(&allowed));
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
        let Some(place) = places.take(uid) else {
            tracing::warn!(peer.uid = uid, "a user has too many connections to the socket of the KMS plugin");
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

/// The connection with its beginning read; `None` if that did not come in time, or is none.
async fn begun(mut stream: UnixStream) -> Option<impl AsyncRead + AsyncWrite + Unpin> {
    let mut preface = [0; PREFACE.len()];
    tokio::time::timeout(UNTIL_PREFACE, stream.read_exact(&mut preface)).await.ok()?.ok()?;
    if preface != *PREFACE {
        return None;
    }
    let (read, write) = stream.into_split();
    Some(tokio::io::join(io::Cursor::new(preface).chain(read), write))
}

async fn connection<P: Provider>(stream: UnixStream, uid: u32, provider: Arc<P>, mut stop: watch::Receiver<bool>) {
    let begun = tokio::select! {
        begun = begun(stream) => begun,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let Some(stream) = begun else { return };
    let service = service_fn(move |request| service::answer(Arc::clone(&provider), uid, request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS_MAX_BYTES);
    builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(UNTIL_PONG);
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
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::kms::{Encrypted, Failure, FailureKind, Origin};
    use crate::sensitive::SecretBytes;

    #[derive(Clone)]
    struct Nobody;

    impl Provider for Nobody {
        async fn status(&self) -> Result<String, Failure> {
            Err(Failure::new(FailureKind::NoKey, "none"))
        }

        async fn encrypt(&self, _: SecretBytes, _: &Origin) -> Result<Encrypted, Failure> {
            Err(Failure::new(FailureKind::NoKey, "none"))
        }

        async fn decrypt(&self, _: &[u8], _: &str, _: &Origin) -> Result<SecretBytes, Failure> {
            Err(Failure::new(FailureKind::NoKey, "none"))
        }
    }

    /// Waits until the other side has closed it.
    async fn until_closed(mut stream: UnixStream) {
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
    }

    // The clock stands, and goes to the next timer when nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_answers_no_ping_is_let_go() {
        let (silent, other) = UnixStream::pair().unwrap();
        let (_stop, stopped) = Stop::new();
        let start = tokio::time::Instant::now();
        let served = tokio::spawn(connection(other, 0, Arc::new(Nobody), stopped.clone()));
        until_closed(silent).await;
        served.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), UNTIL_PREFACE.as_secs());

        let (mut mute, other) = UnixStream::pair().unwrap();
        let start = tokio::time::Instant::now();
        mute.write_all(PREFACE).await.unwrap();
        // SETTINGS, with none of them.
        mute.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let served = tokio::spawn(connection(other, 0, Arc::new(Nobody), stopped));
        until_closed(mute).await;
        served.await.unwrap();
        assert!(start.elapsed() >= PING && start.elapsed() < 2 * (PING + UNTIL_PONG), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn nobody_takes_the_places_of_root_and_of_the_owner() {
        let others: Vec<u32> = (0..4).map(|more| 4_000_000_001 + more).collect();
        let places = Places::new(&AllowedPeers::new(&others));
        let mut held = Vec::new();
        let mut taken = |uid: u32| std::iter::from_fn(|| places.take(uid).map(|place| held.push(place))).count();
        assert_eq!(taken(others[0]), CONNECTIONS_OF_ONE);
        assert_eq!(taken(others[1]), CONNECTIONS_OF_ONE);
        assert_eq!((taken(others[2]), taken(others[3]), taken(4_000_000_009)), (0, 0, 0));
        assert_eq!(taken(ROOT), CONNECTIONS_OF_ONE);
        if places.own != ROOT {
            assert_eq!(taken(places.own), CONNECTIONS_OF_ONE);
        }
        held.clear();
        assert!(places.take(others[3]).is_some());
    }

    #[test]
    fn who_was_named_may_connect_and_who_stands_for_the_unknown_may_not() {
        let own = rustix::process::geteuid().as_raw();
        let allowed = AllowedPeers::new(&[4_000_000_001, 65_534]);
        assert!(allowed.allows(0) && allowed.allows(4_000_000_001) && allowed.allows(own));
        assert!(!allowed.allows(4_000_000_002) && !allowed.allows(allowed.overflow));
        assert!(!AllowedPeers::new(&[]).allows(4_000_000_001));
    }
}
