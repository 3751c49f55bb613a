//! The KMS plugin: calls of one kind over its socket, as an API server makes them.

use std::path::Path;
use std::time::Instant;

use ::strongroom::kms::messages::{DecryptRequest, EncryptRequest, EncryptResponse};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;

use crate::failure::Outcome;
use crate::figures::Spread;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

use super::make_namespace;

/// An API server has one connection, a cluster has a few API servers.
const CONNECTIONS: usize = 2;
/// Calls under way on each.
const AT_ONCE: usize = 32;
/// A seed, as kube-apiserver has it encrypted.
const SEED: [u8; 32] = [7; 32];
const KEYS: &str = "/apis/strongroom.dev/v1alpha1/kmskeys";
const ACCOUNTS: &str = "/api/v1/namespaces/lent/serviceaccounts";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const BINDING: &str = r#"{"metadata":{"name":"kms"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:strongroom:kms-plugin"},"subjects":[{"kind":"ServiceAccount","namespace":"lent","name":"kms"}]}"#;

/// Calls a second, each recorded in the audit log.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let (mut encrypts, mut decrypts) = (Vec::new(), Vec::new());
    if let Some(program) = &servers.program {
        let place = home(&options.folder())?;
        let socket = place.path().join("kms.sock");
        let path = socket.display().to_string();
        let more = ["--kms-socket", &path, "--kms-key", "etcd", "--kms-service-account", "lent/kms"];
        let (server, _) = strongroom::start_with(program, place, None, &more).await?;
        let endpoint = &server.api.endpoint;
        make_namespace(endpoint, "lent").await?;
        for (path, object) in [
            (ACCOUNTS, r#"{"metadata":{"name":"kms"}}"#),
            (BINDINGS, BINDING),
            (KEYS, r#"{"metadata":{"name":"etcd"}}"#),
        ] {
            let (code, _) = endpoint.once("POST", path, object).await?;
            if code != 201 {
                return Err(format!("{path} was answered with {code}").into());
            }
        }
        let encrypt = EncryptRequest { plaintext: SEED.to_vec(), uid: "a-request-of-the-bench".into() };
        let answer = call(&mut connect(&socket).await?, "Encrypt", &frame(&encrypt)).await?;
        let made = EncryptResponse::decode(answer.get(5..).unwrap_or_default())?;
        let decrypt = DecryptRequest {
            ciphertext: made.ciphertext,
            uid: "a-request-of-the-bench".into(),
            key_id: made.key_id,
            ..DecryptRequest::default()
        };
        for _ in 0..options.rounds {
            encrypts.push(rate(options, &socket, "Encrypt", frame(&encrypt)).await?);
            decrypts.push(rate(options, &socket, "Decrypt", frame(&decrypt)).await?);
        }
    }
    for (name, rates) in [("Encrypt", encrypts), ("Decrypt", decrypts)] {
        let median = Spread::of(rates).map(|spread| spread.median);
        let row = Row::own(format!("KMS {name} over the socket, recorded"), Unit::PerSecond, median);
        rows.push(row.with_target(Target::at_least(20_000.0)));
    }
    Ok(())
}

async fn rate(options: &Options, socket: &Path, name: &'static str, body: Bytes) -> Outcome<f64> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    let end = begun + options.turn();
    for _ in 0..CONNECTIONS {
        let sender = connect(socket).await?;
        for _ in 0..AT_ONCE {
            let (mut sender, body) = (sender.clone(), body.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let mut done = 0_u64;
                while Instant::now() < end {
                    call(&mut sender, name, &body).await.map_err(|error| error.to_string())?;
                    done += 1;
                }
                Ok::<_, String>(done)
            }));
        }
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of calls of some seconds")]
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

async fn connect(socket: &Path) -> Outcome<SendRequest<Full<Bytes>>> {
    let stream = UnixStream::connect(socket).await?;
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One call that must succeed; what it answers.
async fn call(sender: &mut SendRequest<Full<Bytes>>, name: &str, body: &Bytes) -> Outcome<Bytes> {
    let uri: Uri = format!("http://localhost/v2.KeyManagementService/{name}").parse()?;
    let request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(body.clone()))?).await?;
    let collected = response.into_body().collect().await?;
    let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    if status.is_none_or(|status| status != "0") {
        return Err(format!("{name} was refused").into());
    }
    Ok(collected.to_bytes())
}

/// A message as gRPC sends it.
fn frame(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}
