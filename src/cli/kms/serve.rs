//! `strongroom kms serve`: the plugin as a process of its own, with the key of a server somewhere else.
//!
//! It holds no key: each call is a request to `kmskeys/encrypt` or `kmskeys/decrypt`, as whoever the connection says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::KEYS;
use crate::cli::CliError;
use crate::cli::connection::{ConnectionOptions, body, document};
use crate::cli::output::{print, text_at};
use crate::cli::run::Signals;
use crate::config::{ConfigError, Environment, KmsConfig};
use crate::kms::{AllowedPeers, Encrypted, Failure, FailureKind, Origin, Provider, Stop, serve};
use crate::kube_client::{Client, Failure as Refused, Request, encode_segment};
use crate::sensitive::{Document, SecretBytes};
use crate::server::unix_socket::bind_for;

/// A refused credential is read anew so often: it may have been renewed in its file.
const RENEW: Duration = Duration::from_secs(5);

/// What an account that may was found to be allowed is believed for so long.
const RIGHTS: Duration = Duration::from_mins(1);
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Options of `kms serve`.
#[derive(Args)]
pub struct Serve {
    /// Where the API server connects to
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The KMSKey
    #[arg(long, value_name = "NAME")]
    key: String,
    /// A user who may connect besides root and the one who serves; may be repeated
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), CliError> {
        let socket = KmsConfig::socket("--socket", &self.socket)?;
        if self.key.is_empty() {
            return Err(ConfigError::new("--key", "name the KMSKey that --socket is for").into());
        }
        let not_started = |error: std::io::Error| CliError::NotDone(format!("the plugin cannot be started: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(not_started)?;
        let served = runtime.block_on(async {
            let mut signals = Signals::to_end().map_err(not_started)?;
            let remote = Remote::new(self.connection, &self.key)?;
            let server = remote.client().await.server().to_owned();
            let (listener, _file) =
                bind_for(&socket, &self.allow_uid).map_err(|error| CliError::NotDone(error.to_string()))?;
            print(&format!("KMS plugin at {}, with key {} of {server}\n", socket.path.display(), self.key));
            let (stop, stopped) = Stop::new();
            let mut serving = tokio::spawn(serve(listener, AllowedPeers::new(&self.allow_uid), remote, stopped));
            let ended = tokio::select! {
                ended = &mut serving => ended,
                _ = signals.next() => {
                    stop.stop();
                    serving.await
                }
            };
            ended.unwrap_or(Ok(())).map_err(not_started)
        });
        runtime.shutdown_background();
        served
    }
}

/// A server that has the key.
#[derive(Clone)]
struct Remote(Arc<Inner>);

struct Inner {
    options: ConnectionOptions,
    key: String,
    path: String,
    client: Mutex<(Arc<Client>, Instant)>,
    /// When the account was last seen to have all rights that it needs.
    may_since: Mutex<Option<Instant>>,
}

impl Remote {
    /// Within a runtime.
    fn new(options: ConnectionOptions, key: &str) -> Result<Self, CliError> {
        let client = Arc::new(options.client(&Environment::of_process())?);
        let path = format!("{KEYS}/{}", encode_segment(key));
        let client = Mutex::new((client, Instant::now()));
        Ok(Self(Arc::new(Inner { options, key: key.to_owned(), path, client, may_since: Mutex::default() })))
    }

    async fn client(&self) -> Arc<Client> {
        Arc::clone(&self.0.client.lock().await.0)
    }

    /// Another client, whose credential is read anew; `None` where that was done a moment ago.
    async fn renewed(&self) -> Option<Arc<Client>> {
        let mut held = self.0.client.lock().await;
        if held.1.elapsed() < RENEW {
            return None;
        }
        let client = Arc::new(self.0.options.client(&Environment::of_process()).ok()?);
        *held = (Arc::clone(&client), Instant::now());
        Some(client)
    }

    async fn ask(&self, request: impl Fn() -> Request) -> Result<Document, Failure> {
        let mut client = self.client().await;
        for is_last in [false, true] {
            let unreachable =
                |error: crate::kube_client::ConnectError| Failure::new(FailureKind::Unavailable, error.to_string());
            let answer = client.request(request()).await.map_err(unreachable)?;
            if (200..300).contains(&answer.code) {
                let none = || Failure::new(FailureKind::Internal, "the server did not answer with JSON");
                return document(&answer.body).ok_or_else(none);
            }
            if answer.code == 401
                && !is_last
                && let Some(renewed) = self.renewed().await
            {
                client = renewed;
                continue;
            }
            let refused = Refused::read(answer.code, &answer.body, answer.retry_after_seconds);
            let kind = match answer.code {
                401 | 403 => FailureKind::Denied,
                404 => FailureKind::NoKey,
                429 | 503 => FailureKind::Unavailable,
                500..=599 => FailureKind::Internal,
                _ => FailureKind::Invalid,
            };
            return Err(Failure::new(kind, refused.to_string().replace('\n', " ")));
        }
        Err(Failure::new(FailureKind::Denied, "the server does not accept the credential"))
    }

    /// Whether the account may encrypt and decrypt. Reading the key, which is another right, says nothing of that.
    #[expect(clippy::disallowed_methods, reason = "a review holds no secret")]
    async fn rights(&self) -> Result<(), Failure> {
        let mut since = self.0.may_since.lock().await;
        if since.is_some_and(|since| since.elapsed() < RIGHTS) {
            return Ok(());
        }
        let key = &self.0.key;
        for verb in ["encrypt", "decrypt"] {
            // The right to the key, and that to ask for it over HTTP.
            for (verb, subresource) in [(verb, ""), ("create", verb)] {
                let wanted = json!({
                    "group": "strongroom.dev", "resource": "kmskeys", "subresource": subresource, "name": key, "verb": verb,
                });
                let review = json!({
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": wanted},
                });
                let answer = self.ask(|| Request::post(REVIEWS, body(&Document::new(review.clone())))).await?;
                if answer.expose().pointer("/status/allowed").and_then(Value::as_bool) != Some(true) {
                    let of =
                        if subresource.is_empty() { "kmskeys".to_owned() } else { format!("kmskeys/{subresource}") };
                    let text =
                        format!("the account of `kms serve` cannot {verb} resource \"{of}\" of the name {key:?}");
                    return Err(Failure::new(FailureKind::Denied, text));
                }
            }
        }
        *since = Some(Instant::now());
        Ok(())
    }

    /// What was asked of the key. A refusal means that its rights are others now.
    async fn ask_of_key(&self, request: impl Fn() -> Request) -> Result<Document, Failure> {
        let answer = self.ask(request).await;
        if matches!(&answer, Err(failure) if failure.kind == FailureKind::Denied) {
            *self.0.may_since.lock().await = None;
        }
        answer
    }

    fn post(&self, call: &str, object: &Document) -> Request {
        Request::post(format!("{}/{call}", self.0.path), body(object))
    }
}

impl Provider for Remote {
    #[expect(clippy::disallowed_methods, reason = "a KMSKey's object holds no secret")]
    async fn status(&self) -> Result<String, Failure> {
        let key = self.ask(|| Request::get(self.0.path.as_str())).await?;
        self.rights().await?;
        let id = text_at(key.expose(), "/status/currentKeyID").to_owned();
        if id.is_empty() { Err(Failure::new(FailureKind::Internal, "the key has no key id")) } else { Ok(id) }
    }

    #[expect(clippy::disallowed_methods, reason = "the plaintext goes to the server that has the key")]
    async fn encrypt(&self, plain: SecretBytes, origin: &Origin) -> Result<Encrypted, Failure> {
        let request = || {
            let plaintext = encoded(plain.expose());
            let object = json!({"spec": {"plaintext": plaintext.as_str(), "uid": origin.request_uid}});
            self.post("encrypt", &Document::new(object))
        };
        let answer = self.ask_of_key(request).await?;
        let ciphertext = STANDARD.decode(text_at(answer.expose(), "/status/ciphertext"));
        let ciphertext = ciphertext.map_err(|_| Failure::new(FailureKind::Internal, "no ciphertext was answered"))?;
        Ok(Encrypted { ciphertext, key_id: text_at(answer.expose(), "/status/keyID").to_owned() })
    }

    #[expect(clippy::disallowed_methods, reason = "the plaintext goes to the API server that asked for it")]
    async fn decrypt(&self, ciphertext: &[u8], key_id: &str, origin: &Origin) -> Result<SecretBytes, Failure> {
        let request = || {
            let ciphertext = STANDARD.encode(ciphertext);
            let object = json!({"spec": {"ciphertext": ciphertext, "keyID": key_id, "uid": origin.request_uid}});
            self.post("decrypt", &Document::new(object))
        };
        let answer = self.ask_of_key(request).await?;
        let told = text_at(answer.expose(), "/status/plaintext");
        let mut plain = Zeroizing::new(Vec::with_capacity(told.len()));
        STANDARD
            .decode_vec(told, &mut plain)
            .map_err(|_| Failure::new(FailureKind::Internal, "no plaintext was answered"))?;
        Ok(SecretBytes::new(std::mem::take(&mut *plain)))
    }
}

fn encoded(plain: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(plain.len().div_ceil(3) * 4));
    STANDARD.encode_string(plain, &mut text);
    text
}
