//! The least server that is still actix-web behind rustls: what the same crates can do at most.
//!
//! Workers, TLS and options are those of Strongroom's own listener (`src/server/listen.rs`, `src/server/tls.rs`).

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::KeepAlive;
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::failure::{Outcome, within};
use crate::http::Endpoint;
use crate::process::{Process, end_with_parent};

use super::{Api, Product, Server, self_signed};

/// Turns this program into the bare server: `--bare-server CERTIFICATE KEY BODY_BYTES`.
pub const ARGUMENT: &str = "--bare-server";

const START_LIMIT: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 10_000;

/// Starts it, to answer everything with a body of `body_bytes`.
pub async fn start(home: Rc<TempDir>, body_bytes: usize) -> Outcome<Server> {
    let (certificate, key) = self_signed(home.path())?;
    let log = home.path().join("bare.log");
    let size = body_bytes.to_string();
    let arguments = [ARGUMENT.as_ref(), certificate.as_os_str(), key.as_os_str(), size.as_ref()];
    let mut process = Process::start(&std::env::current_exe()?, arguments, log.clone())?;
    let address = within(START_LIMIT, "the bare server's start", async {
        loop {
            process.check_alive()?;
            // It prints its address once it listens.
            let printed = std::fs::read_to_string(&log)?;
            if let Some(address) = printed.strip_suffix('\n') {
                return Outcome::<SocketAddr>::Ok(address.parse()?);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await??;
    let endpoint = Endpoint::new(address, &std::fs::read(certificate)?, "")?;
    Ok(Server { api: Api { product: Product::Bare, endpoint }, process, home })
}

/// The bare server's process.
pub fn run() -> Outcome<()> {
    end_with_parent()?;
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [certificate, key, body_bytes] = arguments.as_slice() else { return Err("three arguments".into()) };
    let body = Bytes::from(vec![b'x'; body_bytes.parse()?]);
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_file(certificate)?], PrivateKeyDer::from_pem_file(key)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(tls, body))
}

async fn serve(tls: ServerConfig, body: Bytes) -> Outcome<()> {
    let workers = std::thread::available_parallelism()?.get();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().default_service(web::to(answer))
    })
    .workers(workers)
    .max_connections(CONNECTIONS.div_ceil(workers))
    .keep_alive(KeepAlive::Timeout(Duration::from_secs(95)))
    .client_request_timeout(Duration::from_secs(5))
    .client_disconnect_timeout(Duration::from_secs(3))
    .tls_handshake_timeout(Duration::from_secs(3))
    .tcp_nodelay(true)
    .h1_allow_half_closed(false)
    .disable_signals()
    .listen_rustls_0_23(listener, tls)?
    .run();
    writeln!(std::io::stdout(), "{address}")?;
    Ok(server.await?)
}
