//! `v2.KeyManagementService`: the three calls, as tonic takes them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::messages::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
};
use super::provider::{Failure, FailureKind, Origin, Provider};
use super::{CIPHERTEXT_MAX_BYTES, PLAINTEXT_MAX_BYTES};
use crate::sensitive::SecretBytes;

/// The path of a call is this and the call's name.
pub const SERVICE: &str = "/v2.KeyManagementService/";
/// Annotations alone may have 32 KiB.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;
const VERSION: &str = "v2";
const OK: &str = "ok";

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

struct StatusCall<P>(Arc<P>);
struct EncryptCall<P>(Arc<P>, u32);
struct DecryptCall<P>(Arc<P>, u32);

impl<P: Provider> UnaryService<StatusRequest> for StatusCall<P> {
    type Response = StatusResponse;
    type Future = Answer<StatusResponse>;

    fn call(&mut self, _: Request<StatusRequest>) -> Self::Future {
        let provider = Arc::clone(&self.0);
        Box::pin(async move {
            // kube-apiserver takes an error for a plugin that is gone, and shows what is wrong only in `healthz`; without
            // a key id it takes no notice of it.
            let (healthz, key_id) = match provider.status().await {
                Ok(key_id) => (OK.to_owned(), key_id),
                Err(failure) => (failure.message, "unknown".to_owned()),
            };
            Ok(Response::new(StatusResponse { version: VERSION.to_owned(), healthz, key_id }))
        })
    }
}

impl<P: Provider> UnaryService<EncryptRequest> for EncryptCall<P> {
    type Response = EncryptResponse;
    type Future = Answer<EncryptResponse>;

    fn call(&mut self, request: Request<EncryptRequest>) -> Self::Future {
        let (provider, peer_uid) = (Arc::clone(&self.0), self.1);
        Box::pin(async move {
            let mut request = request.into_inner();
            let plain = SecretBytes::new(std::mem::take(&mut request.plaintext));
            if plain.len() > PLAINTEXT_MAX_BYTES {
                let text = format!("a plaintext may have {PLAINTEXT_MAX_BYTES} bytes");
                return Err(Status::new(Code::InvalidArgument, text));
            }
            let origin = Origin { request_uid: std::mem::take(&mut request.uid), peer_uid };
            let made = provider.encrypt(plain, &origin).await.map_err(status)?;
            let answer =
                EncryptResponse { ciphertext: made.ciphertext, key_id: made.key_id, annotations: HashMap::new() };
            Ok(Response::new(answer))
        })
    }
}

impl<P: Provider> UnaryService<DecryptRequest> for DecryptCall<P> {
    type Response = DecryptResponse;
    type Future = Answer<DecryptResponse>;

    #[expect(clippy::disallowed_methods, reason = "the plaintext is the answer")]
    fn call(&mut self, request: Request<DecryptRequest>) -> Self::Future {
        let (provider, peer_uid) = (Arc::clone(&self.0), self.1);
        Box::pin(async move {
            let mut request = request.into_inner();
            if request.ciphertext.len() > CIPHERTEXT_MAX_BYTES {
                let text = format!("a ciphertext has {CIPHERTEXT_MAX_BYTES} bytes at most");
                return Err(Status::new(Code::InvalidArgument, text));
            }
            let origin = Origin { request_uid: std::mem::take(&mut request.uid), peer_uid };
            let plain = provider.decrypt(&request.ciphertext, &request.key_id, &origin).await.map_err(status)?;
            Ok(Response::new(DecryptResponse { plaintext: plain.expose().to_vec() }))
        })
    }
}

/// Answers one request.
pub async fn answer<P: Provider>(
    provider: Arc<P>,
    peer_uid: u32,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    let call = request.uri().path().strip_prefix(SERVICE).unwrap_or_default().to_owned();
    Ok(match call.as_str() {
        "Status" => grpc().unary(StatusCall(provider), request).await,
        "Encrypt" => grpc().unary(EncryptCall(provider, peer_uid), request).await,
        "Decrypt" => grpc().unary(DecryptCall(provider, peer_uid), request).await,
        _ => Status::new(Code::Unimplemented, "there is no such call").into_http(),
    })
}

fn grpc<T, U>() -> Grpc<ProstCodec<T, U>>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MESSAGE_MAX_BYTES)
}

fn status(failure: Failure) -> Status {
    let code = match failure.kind {
        FailureKind::Invalid => Code::InvalidArgument,
        FailureKind::NoKey | FailureKind::NoTerm => Code::NotFound,
        FailureKind::Denied => Code::PermissionDenied,
        FailureKind::Unavailable => Code::Unavailable,
        FailureKind::Internal => Code::Internal,
    };
    Status::new(code, failure.message)
}
