//! A load generator: HTTP/1.1 over TLS 1.3 with keep-alive, closed loop, one task a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Makes the bytes of the next request from a counter.
pub type MakeRequest = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// One measurement.
pub struct Plan {
    pub address: SocketAddr,
    pub roots: Arc<rustls::ClientConfig>,
    pub connections: usize,
    pub duration: Duration,
    pub request: MakeRequest,
}

/// What was measured.
pub struct Figures {
    pub per_second: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    pub errors: u64,
}

/// Connects, with Nagle off and the handshake done.
pub async fn connect(address: SocketAddr, config: Arc<rustls::ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.set_nodelay(true).unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await.expect("a TLS handshake")
}

/// Sends one request and reads its answer to the end; the status code.
pub async fn exchange(stream: &mut TlsStream<TcpStream>, request: &[u8], buffer: &mut Vec<u8>) -> u16 {
    stream.write_all(request).await.expect("the request is sent");
    stream.flush().await.unwrap();
    buffer.clear();
    loop {
        if let Some(head_end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
            let code = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|length| length.trim().parse::<usize>().ok());
            match length {
                Some(length) => {
                    let missing = (head_end + 4 + length).saturating_sub(buffer.len());
                    if missing > 0 {
                        let from = buffer.len();
                        buffer.resize(from + missing, 0);
                        stream.read_exact(&mut buffer[from..]).await.expect("the body is sent whole");
                    }
                    return code;
                }
                None if code == 204 => return code,
                None if buffer.ends_with(b"0\r\n\r\n") => return code,
                None => {}
            }
        }
        if stream.read_buf(buffer).await.expect("the answer is sent") == 0 {
            return 0;
        }
    }
}

/// Runs a measurement.
pub async fn run(plan: &Plan) -> Figures {
    let warm = Duration::from_millis(300);
    let started = Instant::now();
    let local = tokio::task::LocalSet::new();
    let mut tasks = Vec::new();
    for connection in 0..plan.connections {
        let (address, roots, make) = (plan.address, Arc::clone(&plan.roots), Arc::clone(&plan.request));
        let (from, until) = (started + warm, started + warm + plan.duration);
        tasks.push(local.spawn_local(async move {
            let mut stream = connect(address, roots).await;
            let (mut buffer, mut micros, mut errors, mut counter) = (Vec::new(), Vec::new(), 0_u64, connection as u64);
            while Instant::now() < until {
                let request = make(counter);
                counter += 1_000_003;
                let begun = Instant::now();
                let code = exchange(&mut stream, &request, &mut buffer).await;
                if begun >= from {
                    micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
                    errors += u64::from(!(200..300).contains(&code));
                }
            }
            (micros, errors)
        }));
    }
    let (mut micros, mut errors) = (Vec::new(), 0);
    local
        .run_until(async {
            for task in tasks {
                let (some, failed) = task.await.unwrap();
                micros.extend(some);
                errors += failed;
            }
        })
        .await;
    micros.sort_unstable();
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]);
    Figures {
        per_second: micros.len() as f64 / plan.duration.as_secs_f64(),
        p50_micros: at(0.5),
        p99_micros: at(0.99),
        errors,
    }
}
