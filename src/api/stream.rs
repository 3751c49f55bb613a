//! Lists, written while they are sent: memory does not grow with what is listed.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::objects::item;
use super::sight::Sight;
use crate::objects::record::{Form, push_string};
use crate::objects::{Error, Loaded, Objects, Page};

/// Bytes collected before a chunk is sent.
const CHUNK_BYTES: usize = 64 * 1024;

/// A list as JSON, read from the store chunk by chunk.
pub struct ListBody {
    objects: Arc<Objects>,
    page: Page,
    sight: Sight,
    next: usize,
    begun: bool,
    written: usize,
    /// Objects that are left out because their rows were found not to pass authentication.
    left_out: usize,
    /// What [`ListBody::begin`] has written.
    first: Vec<u8>,
    ended: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl ListBody {
    /// The body of `page`.
    pub fn new(objects: Arc<Objects>, page: Page, sight: Sight) -> Self {
        let (begun, ended) = (false, false);
        Self { objects, page, sight, next: 0, begun, written: 0, left_out: 0, first: Vec::new(), ended, gzip: None }
    }

    /// Writes the first chunk, so that what is found wrong in it can be told in the head of the answer: how many objects are
    /// left out.
    pub fn begin(&mut self) -> Result<usize, Error> {
        let mut first = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        self.fill(&mut first, CHUNK_BYTES)?;
        self.first = first;
        Ok(self.left_out)
    }

    /// The body, compressed.
    #[must_use]
    pub fn compressed(self) -> Self {
        Self { gzip: Some(GzEncoder::new(Vec::new(), Compression::fast())), ..self }
    }

    /// The whole list at once, and how many objects are left out of it.
    pub fn into_text(mut self) -> Result<(Vec<u8>, usize), Error> {
        let mut text = Vec::new();
        while !self.ended {
            self.fill(&mut text, usize::MAX)?;
        }
        Ok((text, self.left_out))
    }

    fn fill(&mut self, out: &mut Vec<u8>, until: usize) -> Result<(), Error> {
        if !self.begun {
            self.begun = true;
            self.open(out);
        }
        while out.len() < until {
            let Some(revision) = self.page.rows.get(self.next).copied() else {
                out.extend_from_slice(b"]}");
                self.ended = true;
                return Ok(());
            };
            self.next += 1;
            let before = out.len();
            if self.written > 0 {
                out.push(b',');
            }
            let written = self.objects.open_page(&self.page, revision).and_then(|loaded| self.write(&loaded, out));
            match written {
                Ok(()) => self.written += 1,
                Err(Error::Integrity(_)) => {
                    out.truncate(before);
                    self.left_out += 1;
                }
                // The row was compacted away under a reader that took minutes, or the disk fails: half a list must
                // not look like a whole one.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&self, loaded: &Loaded, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.sight.shows(loaded.namespace(), loaded.name()) {
            return self.objects.write_json(loaded, Form::Item, out);
        }
        out.extend_from_slice(item(loaded)?.to_string().as_bytes());
        Ok(())
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

    fn chunk(&mut self) -> io::Result<Bytes> {
        let mut out = std::mem::take(&mut self.first);
        if out.is_empty() {
            out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
            let told = self.left_out;
            self.fill(&mut out, CHUNK_BYTES).map_err(|_| io::Error::other("the list cannot be read to its end"))?;
            if self.left_out > told {
                // The head, which says what is left out, has been sent. What is wrong in the rest is found as well, and known
                // to whoever asks again.
                while !self.ended {
                    out.clear();
                    let _ = self.fill(&mut out, CHUNK_BYTES);
                }
                return Err(io::Error::other("rows that do not pass authentication were found in the list"));
            }
        }
        if self.ended {
            out.push(b'\n');
        }
        let Some(gzip) = &mut self.gzip else { return Ok(Bytes::from(out)) };
        gzip.write_all(&out)?;
        if self.ended {
            gzip.try_finish()?;
        }
        // Compressed chunks are small: an empty one would end the body.
        if gzip.get_ref().is_empty() {
            gzip.flush()?;
        }
        Ok(Bytes::from(std::mem::take(gzip.get_mut())))
    }
}

impl MessageBody for ListBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.ended && self.first.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.chunk()))
    }
}
