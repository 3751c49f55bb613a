//! Lists, written while they are sent: memory does not grow with what is listed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::objects::record::{Form, push_string};
use crate::objects::{Error, Objects, Page};

/// Bytes collected before a chunk is sent.
const CHUNK_BYTES: usize = 64 * 1024;

/// A list as JSON, read from the store chunk by chunk.
pub struct ListBody {
    objects: Arc<Objects>,
    page: Page,
    next: usize,
    begun: bool,
    written: usize,
    ended: bool,
    skipped: usize,
}

impl ListBody {
    /// The body of `page`.
    pub fn new(objects: Arc<Objects>, page: Page) -> Self {
        Self { objects, page, next: 0, begun: false, written: 0, ended: false, skipped: 0 }
    }

    /// The whole list at once.
    pub fn into_text(mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while !self.ended {
            self.fill(&mut text, usize::MAX);
        }
        text
    }

    fn fill(&mut self, out: &mut Vec<u8>, until: usize) {
        if !self.begun {
            self.begun = true;
            self.open(out);
        }
        while out.len() < until {
            let Some(revision) = self.page.rows.get(self.next).copied() else {
                out.extend_from_slice(b"]}");
                self.ended = true;
                return;
            };
            self.next += 1;
            let before = out.len();
            if self.written > 0 {
                out.push(b',');
            }
            let written = self
                .objects
                .open_page(&self.page, revision)
                .and_then(|loaded| self.objects.write_json(&loaded, Form::Item, out));
            match written {
                Ok(()) => self.written += 1,
                Err(error) => {
                    out.truncate(before);
                    self.skipped += 1;
                    if let Error::Integrity(resource) = error {
                        tracing::error!(
                            object.kind = resource.kind.kind,
                            object.name = resource.name,
                            "a row that does not pass authentication was left out of a list"
                        );
                    }
                }
            }
        }
    }

    fn open(&self, out: &mut Vec<u8>) {
        let kind = self.page.kind();
        out.extend_from_slice(b"{\"kind\":");
        push_string(out, kind.list_kind);
        out.extend_from_slice(b",\"apiVersion\":");
        push_string(out, kind.api_version);
        out.extend_from_slice(format!(",\"metadata\":{{\"resourceVersion\":\"{}\"", self.page.revision).as_bytes());
        if let Some(token) = &self.page.continue_token {
            out.extend_from_slice(b",\"continue\":");
            push_string(out, token);
        }
        if let Some(remaining) = self.page.remaining {
            out.extend_from_slice(format!(",\"remainingItemCount\":{remaining}").as_bytes());
        }
        out.extend_from_slice(b"},\"items\":[");
    }
}

impl MessageBody for ListBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        self.fill(&mut out, CHUNK_BYTES);
        if self.ended {
            out.push(b'\n');
        }
        Poll::Ready(Some(Ok(Bytes::from(out))))
    }
}
