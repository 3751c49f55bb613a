//! Backups: `POST /strongroom/v1/backups` makes one and sends it; `GET` tells of the schedule and of the last one.
//!
//! Who may is decided like for every path. A backup is sealed as the database is, and whoever has one and the key that opens
//! the home has everything. What it never does: hold a backup in memory, or take the name of a file from a request.

use std::io::{self, Read};
use std::sync::Arc;

use actix_web::body::{BoxBody, SizedStream};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde_json::Value;

use super::audit_log::blocking;
use super::guard::Guard;
use super::session::Fields;
use super::status::Failure;
use super::{Context, body, respond};
use crate::rbac::Permit;

/// Where it is.
pub const PATH: &str = "/strongroom/v1/backups";
/// What is sent.
pub const CONTENT_TYPE: &str = "application/octet-stream";
/// The largest body of a request.
const BODY_MAX_BYTES: usize = 4096;
const SENT_AT_ONCE: usize = 256 * 1024;
/// When to try again while another one is being made.
const BUSY_RETRY_SECONDS: u32 = 5;

/// What is said while another one is being made.
pub const BUSY: &str = "a backup is being made: one at a time";
/// What is said of one that was not made.
pub const NOT_MADE: &str = "the backup was not made: see the server's log";

/// A backup that was made.
pub struct Backup {
    /// Its bytes.
    pub length: u64,
    /// What its file may be called.
    pub name: String,
    /// The bytes themselves.
    pub content: Box<dyn Read + Send>,
    /// To be called when all of them are sent.
    pub sent: Box<dyn FnOnce() + Send>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupRefused {
    /// Another one is being made.
    Busy,
    /// The log says why.
    Failed,
}

/// Makes backups and knows of them. Supplied by `server`, which owns the home.
pub trait Backups: Send + Sync {
    /// Makes one; its slots of passphrases are left out where it opens otherwise, unless they are to be kept. Blocks.
    fn make(&self, keep_passphrase_slots: bool) -> Result<Backup, BackupRefused>;
    /// The schedule, and the last one. Blocks.
    fn report(&self) -> Value;
    /// How old the last one is, for readiness; `None` where nobody makes any.
    fn note(&self) -> Option<String>;
    /// Writes counters in Prometheus' text format.
    fn write_metrics(&self, text: &mut String);
}

pub(super) async fn route(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<Option<HttpResponse>, Failure> {
    if context.http.path() != PATH {
        return Ok(None);
    }
    match *context.http.method() {
        Method::POST => make(context, permit, payload).await.map(Some),
        Method::GET | Method::HEAD => report(context).await.map(Some),
        _ => Err(Failure::method_not_allowed()),
    }
}

async fn report(context: &Context<'_>) -> Result<HttpResponse, Failure> {
    let backups = Arc::clone(&context.state.home.backups);
    let report = blocking(move || backups.report()).await?;
    Ok(respond::value(&context.style, 200, &report, &[]))
}

async fn make(context: &Context<'_>, permit: &Permit, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    context.confirm(permit)?;
    let keep_passphrase_slots = if bytes.is_empty() {
        false
    } else {
        Fields::read(context.header("content-type"), &bytes)?.flag("keepPassphraseSlots")?
    };
    let backups = Arc::clone(&context.state.home.backups);
    let made = blocking(move || backups.make(keep_passphrase_slots)).await?;
    let Backup { length, name, content, sent } = made.map_err(refused)?;
    let mut head = respond::head(&context.style, 200, CONTENT_TYPE, &[]);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        head.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    let guard = Guard::new(context.state.clone(), context.standing.clone(), permit.attributes().clone());
    let sending = Sending { content: Some(content), left: length, sent: Some(sent), guard };
    let chunks = futures_util::stream::unfold(sending, |mut sending| async move {
        let chunk = sending.next().await?;
        Some((chunk, sending))
    });
    Ok(head.set_body(BoxBody::new(SizedStream::new(length, Box::pin(chunks)))))
}

/// The failure that a refusal is told as.
pub fn refused(refused: BackupRefused) -> Failure {
    match refused {
        BackupRefused::Busy => Failure::too_many(BUSY, BUSY_RETRY_SECONDS),
        BackupRefused::Failed => Failure::unavailable(NOT_MADE),
    }
}

struct Sending {
    content: Option<Box<dyn Read + Send>>,
    left: u64,
    sent: Option<Box<dyn FnOnce() + Send>>,
    guard: Guard,
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut content = self.content.take()?;
        if self.guard.check().is_err() {
            return Some(Err(io::Error::other("the caller may not have it any more")));
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; SENT_AT_ONCE];
            let length = content.read(&mut chunk)?;
            chunk.truncate(length);
            Ok::<_, io::Error>((content, chunk))
        });
        let (content, chunk) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Some(Err(error)),
            Err(error) => return Some(Err(io::Error::other(error))),
        };
        if chunk.is_empty() {
            let cut_off = self.left > 0;
            return cut_off.then(|| Err(io::Error::other("the copy is shorter than it was")));
        }
        self.left = self.left.saturating_sub(chunk.len() as u64);
        if self.left == 0
            && let Some(sent) = self.sent.take()
        {
            sent();
        }
        self.content = Some(content);
        Some(Ok(Bytes::from(chunk)))
    }
}
