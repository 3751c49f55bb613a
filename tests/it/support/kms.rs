//! Speaks to the KMS plugin as kube-apiserver does: gRPC over a Unix socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use strongroom::kms::messages::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_secs(30);

/// A connection.
pub struct Plugin {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// `grpc-status`
    pub code: u32,
    /// `grpc-message`, as it is sent.
    pub message: String,
}

impl Plugin {
    /// Connects; `None` if nobody answers.
    pub fn connect(socket: &Path) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.ok()?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            Some(sender)
        })?;
        Some(Self { runtime, sender })
    }

    /// `Status`
    pub fn status(&mut self) -> StatusResponse {
        self.call("Status", &StatusRequest {}).unwrap()
    }

    /// `Encrypt`
    pub fn encrypt(&mut self, plaintext: &[u8]) -> Result<EncryptResponse, Refused> {
        self.call("Encrypt", &EncryptRequest { plaintext: plaintext.to_vec(), uid: "a-request".into() })
    }

    /// `Decrypt`
    pub fn decrypt(&mut self, ciphertext: &[u8], key_id: &str) -> Result<Vec<u8>, Refused> {
        let request = DecryptRequest {
            ciphertext: ciphertext.to_vec(),
            uid: "a-request".into(),
            key_id: key_id.into(),
            ..DecryptRequest::default()
        };
        self.call("Decrypt", &request).map(|response: DecryptResponse| response.plaintext.clone())
    }

    /// Any call.
    pub fn call<R: Message + Default>(&mut self, name: &str, request: &impl Message) -> Result<R, Refused> {
        let mut body = vec![0];
        let message = request.encode_to_vec();
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&message);
        let uri: Uri = format!("http://localhost/v2.KeyManagementService/{name}").parse().unwrap();
        let request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let gone = |error: hyper::Error| Refused { code: 14, message: error.to_string() };
        self.runtime.block_on(async {
            let answer = async {
                let response = self.sender.send_request(request).await.map_err(gone)?;
                let head = response.headers().clone();
                let collected = response.into_body().collect().await.map_err(gone)?;
                let trailers = collected.trailers().cloned().unwrap_or_default();
                let field = |name: &str| trailers.get(name).or_else(|| head.get(name)).cloned();
                let code = field("grpc-status").unwrap().to_str().unwrap().parse().unwrap();
                if code != 0 {
                    let message = field("grpc-message").map(|text| text.to_str().unwrap().to_owned());
                    return Err(Refused { code, message: message.unwrap_or_default() });
                }
                Ok(R::decode(&collected.to_bytes()[5..]).unwrap())
            };
            tokio::time::timeout(LIMIT, answer).await.expect("the plugin answers")
        })
    }
}
