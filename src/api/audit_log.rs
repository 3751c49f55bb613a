//! Reading the audit log: `GET /strongroom/v1/audit`, its `follow=true`, and `/strongroom/v1/audit/verify`.
//!
//! Who may is decided like for every path. Events hold no values; they do say who did what to which object everywhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::{HttpResponse, body::BoxBody};
use bytes::Bytes;
use serde_json::Value;

use super::guard::Guard;
use super::status::Failure;
use super::{Context, State, respond};
use crate::audit::query::AuditQuery;
use crate::audit::search::{Follower, Mutations, SearchError, search, search_and_follow};
use crate::rbac::Permit;

/// Where it is.
pub const PATH: &str = "/strongroom/v1/audit";
/// Where it is checked.
pub const VERIFY_PATH: &str = "/strongroom/v1/audit/verify";
/// What is said of a log that cannot be read.
pub const UNREADABLE: &str = "the audit log cannot be read: see the server's log";
/// How often is looked for what is new.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// Records of each chain that are looked at at once.
const FOLLOW_RECORDS: usize = 1000;
/// Parameters that are not the query's own.
const OTHER_PARAMETERS: [&str; 4] = ["follow", "order", "pretty", "timeout"];

/// The committed changes' records. Supplied by `server`, which has the store.
pub type MutationRecords = Arc<dyn Mutations + Send + Sync>;
/// Checks both chains: a report. Supplied by `server`, which has the keys.
pub type VerifyAudit = Arc<dyn Fn() -> Result<Value, &'static str> + Send + Sync>;

pub(super) async fn route(context: &Context<'_>, permit: &Permit) -> Result<Option<HttpResponse>, Failure> {
    match context.http.path() {
        PATH if context.query.flag("follow") => follow(context, permit).await.map(Some),
        PATH => query(context).await.map(Some),
        VERIFY_PATH => verify(context).await.map(Some),
        _ => Ok(None),
    }
}

async fn query(context: &Context<'_>) -> Result<HttpResponse, Failure> {
    let query = parse(context)?;
    let oldest_first = oldest_first(context.query.value("order")).map_err(Failure::bad_request)?;
    let state = context.state.clone();
    let found = blocking(move || search(&state.audit, &*state.home.mutation_records, &query)).await?;
    let mut page = found.map_err(|error| unreadable(&error))?;
    if oldest_first {
        page.events.reverse();
    }
    let mut warnings = Vec::new();
    if !page.is_complete {
        warnings.push("not every record was looked at: narrow the time".to_owned());
    }
    if page.unreadable > 0 {
        warnings.push(format!("{} records cannot be read: see {VERIFY_PATH}", page.unreadable));
    }
    Ok(respond::json_text(&context.style, 200, page.to_json(), &warnings))
}

async fn follow(context: &Context<'_>, permit: &Permit) -> Result<HttpResponse, Failure> {
    let query = parse(context)?;
    let state = context.state.clone();
    let (reader, first) = (state.clone(), query.clone());
    // What is there already first, up to where following begins.
    let begun = blocking(move || search_and_follow(&reader.audit, &first));
    let (page, follower) = begun.await?.map_err(|error| unreadable(&error))?;
    let mut text = Vec::new();
    for event in page.events.iter().rev() {
        text.extend_from_slice(&event.json);
        text.push(b'\n');
    }
    let guard = Guard::new(state.clone(), context.standing.clone(), permit.attributes().clone());
    let stream = Following { state, query, follower, guard, first: Some(Bytes::from(text)) };
    let lines = futures_util::stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let head = respond::head(&context.style, 200, "application/x-ndjson", &[]);
    Ok(head.set_body(BoxBody::new(BodyStream::new(lines))))
}

struct Following {
    state: State,
    query: AuditQuery,
    follower: Follower,
    guard: Guard,
    first: Option<Bytes>,
}

impl Following {
    /// The next lines; `None` when the caller may not have more, or there is nothing to read from.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first);
        }
        loop {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
            if self.guard.check().is_err() || self.state.health.is_stopping() {
                return None;
            }
            let (query, mut follower) = (self.query.clone(), self.follower.clone());
            let polled = blocking(move || {
                let found = follower.poll(&query, FOLLOW_RECORDS);
                found.map(|(events, _)| (follower, events))
            });
            let (follower, events) = polled.await.ok()?.ok()?;
            self.follower = follower;
            let mut text = Vec::new();
            for event in events {
                text.extend_from_slice(&event.json);
                text.push(b'\n');
            }
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
        }
    }
}

async fn verify(context: &Context<'_>) -> Result<HttpResponse, Failure> {
    let verify = Arc::clone(&context.state.home.verify_audit);
    let report = blocking(move || verify()).await?.map_err(Failure::unavailable)?;
    Ok(respond::value(&context.style, 200, &report, &[]))
}

/// The parameter `order`.
pub(super) fn oldest_first(order: Option<&str>) -> Result<bool, String> {
    match order {
        None | Some("newest") => Ok(false),
        Some("oldest") => Ok(true),
        Some(_) => Err("order: newest or oldest".to_owned()),
    }
}

fn parse(context: &Context<'_>) -> Result<AuditQuery, Failure> {
    let pairs = context.query.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs = pairs.filter(|(name, _)| !OTHER_PARAMETERS.contains(name));
    AuditQuery::parse(pairs, context.state.clock.unix_millis()).map_err(|error| Failure::bad_request(error.to_string()))
}

/// On a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::internal())
}

pub(super) fn unreadable(error: &SearchError) -> Failure {
    tracing::error!(%error, "the audit log cannot be read");
    Failure::unavailable(UNREADABLE)
}
