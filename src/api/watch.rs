//! Watches: one JSON document a line, written when the client can take it.
//!
//! A watch is polled by its connection and by nothing else. While the client does not read, events wait in the
//! watcher's bounded queue; when that is full, the hub empties it and the watch ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, Sleep};

use super::Failure;
use super::guard::Guard;
use super::negotiate::Shape;
use super::recorded::Begun;
use super::sight::{self, Sight};
use super::table;
use crate::clock::SharedClock;
use crate::model::kinds::Kind;
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::objects::record::Form;
use crate::objects::watch::{Event, EventType, Hub, Watcher};
use crate::objects::{Error, Loaded, Objects, Page};

/// Bytes collected before a chunk is sent, where more events wait.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a bookmark tells an idle watcher how far the store is.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// Turns events into lines.
pub struct WatchWriter {
    /// Reads the objects.
    pub objects: Arc<Objects>,
    /// For the ages in a Table.
    pub clock: SharedClock,
    /// What is watched.
    pub kind: &'static Kind,
    /// In which form.
    pub shape: Shape,
    /// What stands in a Table's rows.
    pub include: table::IncludeObject,
    /// Whose values are shown.
    pub sight: Sight,
    /// A Table's columns are sent with its first event only.
    pub columns_sent: bool,
}

/// One watch.
pub struct WatchStream {
    writer: WatchWriter,
    watcher: Watcher,
    labels: LabelSelector,
    fields: FieldSelector,
    initial: Option<(Page, usize)>,
    missed: VecDeque<Arc<Event>>,
    bookmarks: bool,
    tick: Interval,
    end: Pin<Box<Sleep>>,
    guard: Guard,
    /// The last line is out.
    ended: bool,
    /// Records its end.
    _begun: Option<Begun>,
}

impl WatchStream {
    /// Begins with the objects of a page, if there is one, and goes on with the events that were missed.
    pub fn new(
        writer: WatchWriter,
        watcher: Watcher,
        (labels, fields): (LabelSelector, FieldSelector),
        (page, missed): (Option<Page>, Vec<Arc<Event>>),
        bookmarks: bool,
        lifetime: Duration,
        (guard, begun): (Guard, Option<Begun>),
    ) -> Self {
        let tick = tokio::time::interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        let end = Box::pin(tokio::time::sleep(lifetime));
        let initial = page.map(|page| (page, 0));
        Self {
            writer,
            watcher,
            labels,
            fields,
            initial,
            missed: missed.into(),
            bookmarks,
            tick,
            end,
            guard,
            ended: false,
            _begun: begun,
        }
    }

    /// The chunks of its body. `hub` tells bookmarks how far the store is.
    pub fn into_stream(self, hub: Arc<Hub>) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold((self, hub), |(mut watch, hub)| async move {
            let chunk = watch.next(&hub).await?;
            Some((Ok(chunk), (watch, hub)))
        })
    }

    async fn next(&mut self, hub: &Hub) -> Option<Bytes> {
        let mut out = Vec::new();
        if self.ended {
            return None;
        }
        if self.may_not_go_on(&mut out) {
            return Some(Bytes::from(out));
        }
        self.write_initial(&mut out);
        while out.len() < CHUNK_BYTES
            && self.initial.is_none()
            && let Some(event) = self.missed.pop_front()
        {
            self.write_event(&event, &mut out);
        }
        loop {
            if !out.is_empty() {
                return Some(Bytes::from(out));
            }
            tokio::select! {
                biased;
                () = self.guard.changed() => {
                    self.may_not_go_on(&mut out);
                }
                event = self.watcher.next() => {
                    let event = event?;
                    if self.may_not_go_on(&mut out) {
                        continue;
                    }
                    self.write_event(&event, &mut out);
                    while out.len() < CHUNK_BYTES && let Some(event) = self.watcher.try_next() {
                        self.write_event(&event, &mut out);
                    }
                }
                () = &mut self.end => return None,
                _ = self.tick.tick(), if self.bookmarks => {
                    let revision = hub.revision();
                    if self.watcher.is_idle() {
                        self.writer.bookmark(revision, false, &mut out);
                    }
                }
            }
        }
    }

    /// Ends the watch with the reason, where the caller may not have it any more.
    fn may_not_go_on(&mut self, out: &mut Vec<u8>) -> bool {
        let Err(failure) = self.guard.check() else { return false };
        framed("ERROR", failure.body.to_string().as_bytes(), out);
        self.ended = true;
        true
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        let Some((page, next)) = &mut self.initial else { return };
        while let Some(revision) = page.rows.get(*next) {
            if out.len() >= CHUNK_BYTES {
                return;
            }
            *next += 1;
            match self.writer.objects.open_page(page, *revision) {
                Ok(loaded) => self.writer.object(EventType::Added, &loaded, out),
                // The head has gone out without a word of it: half a list must not look like a whole one. The next watch leaves
                // the row out, and says so.
                Err(error) => {
                    framed("ERROR", Failure::from(error).body.to_string().as_bytes(), out);
                    self.ended = true;
                    return;
                }
            }
        }
        let revision = page.revision;
        self.initial = None;
        if self.bookmarks {
            self.writer.bookmark(revision, true, out);
        }
    }

    fn write_event(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Some(event_type) = event.seen_by(&self.labels, &self.fields) else { return };
        let Some(loaded) = event.shown(event_type) else { return };
        if self.writer.shape == Shape::Plain && self.writer.sight.shows(loaded.namespace(), loaded.name()) {
            event.write_json(event_type, &self.writer.objects, |text| framed(event_type.as_str(), text, out));
        } else {
            self.writer.object(event_type, loaded, out);
        }
    }
}

impl WatchWriter {
    fn object(&mut self, event_type: EventType, loaded: &Loaded, out: &mut Vec<u8>) {
        let shows = self.sight.shows(loaded.namespace(), loaded.name());
        let written = match self.shape {
            Shape::Plain if !shows => {
                loaded.bare().map(|object| framed(event_type.as_str(), object.to_string().as_bytes(), out))
            }
            Shape::Plain => {
                let mut text = zeroize::Zeroizing::new(Vec::new());
                self.objects
                    .write_json(loaded, Form::Object, &mut text)
                    .map(|()| framed(event_type.as_str(), &text, out))
            }
            Shape::Partial(version) | Shape::PartialList(version) => loaded.bare().map(|object| {
                let shown = table::partial_object_metadata(&object, version);
                framed(event_type.as_str(), shown.to_string().as_bytes(), out);
            }),
            Shape::Table(version) => self.row(loaded, version).map(|row| {
                let metadata = json!({"resourceVersion": loaded.revision().to_string()});
                let mut shown = table::table(version, metadata, self.columns(), vec![row]);
                let text = zeroize::Zeroizing::new(shown.to_string());
                framed(event_type.as_str(), text.as_bytes(), out);
                crate::sensitive::wipe(&mut shown);
            }),
        };
        if written.is_err() {
            tracing::error!(object.kind = self.kind.kind, object.name = loaded.name(), "an event could not be written");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "includeObject=Object asks for the whole object")]
    fn row(&self, loaded: &Loaded, version: &'static str) -> Result<Value, Error> {
        let now = self.clock.unix_seconds();
        let more = sight::of_secret(&self.objects, loaded, &self.sight);
        if self.include == table::IncludeObject::Object && self.sight.shows(loaded.namespace(), loaded.name()) {
            let document = self.objects.document(loaded)?;
            return Ok(table::row(self.kind, document.expose(), more, self.include, now, version));
        }
        Ok(table::row(self.kind, &loaded.bare()?, more, self.include, now, version))
    }

    fn columns(&mut self) -> Option<Value> {
        (!std::mem::replace(&mut self.columns_sent, true)).then(|| table::columns(self.kind))
    }

    fn bookmark(&mut self, revision: u64, initial_events_end: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_events_end && let Some(fields) = metadata.as_object_mut() {
            let blueprint = format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{{}},\"items\":null}}\n",
                self.kind.list_kind, self.kind.api_version
            );
            let annotations = json!({
                "k8s.io/initial-events-end": "true",
                "kubernetes.io/initial-events-list-blueprint": STANDARD.encode(blueprint),
            });
            fields.insert("annotations".to_owned(), annotations);
        }
        let object = match self.shape {
            Shape::Plain => json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}),
            Shape::Partial(version) | Shape::PartialList(version) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata})
            }
            Shape::Table(version) => {
                let empty = json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": {}});
                let row = json!({"cells": [], "object": empty});
                table::table(version, json!({"resourceVersion": revision.to_string()}), self.columns(), vec![row])
            }
        };
        framed("BOOKMARK", object.to_string().as_bytes(), out);
    }
}

fn framed(event_type: &str, object: &[u8], out: &mut Vec<u8>) {
    out.reserve(object.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(event_type.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

/// How long a watch lasts that names no time: between 30 and 60 minutes, so that clients do not all come
/// back at once.
pub fn default_lifetime(jitter: u8) -> Duration {
    Duration::from_secs(1800 + u64::from(jitter) * 1800 / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_live_between_half_an_hour_and_an_hour() {
        assert_eq!(default_lifetime(0), Duration::from_mins(30));
        assert_eq!(default_lifetime(255), Duration::from_hours(1));
    }
}
