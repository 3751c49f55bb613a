//! Talks to other servers over https.
//!
//! What it never does: follow a redirect, go through a proxy, or put a header into an error.

mod document;

pub use document::{Document, fetch_document};
