//! What is recorded of a request, and what never is.
//!
//! There are two chains. The record of a committed change is sealed and committed in the change's own transaction
//! (`store`). Everything else (reads, denials, logins, dry runs, what failed) goes into files of JSON lines, the log.
//! The records of changes are copied into it within a moment, each with its number in its own chain; once a
//! copy is vouched for by a checkpoint that is noted in the store, the row in the store may go.
//!
//! ```text
//! Event::to_json ──► AuditLog::append ──► audit-0000000001.jsonl, … ──► verify, query
//!                        │                     │ checkpoints name the other chain's end
//!        append_denial ──┴─ flood              ▼
//!                                         anchor: the last checkpoint, noted in the store
//! ```
//!
//! Events have the shape of `audit.k8s.io/v1 Event` at level Metadata: who did what to which object, when and with what
//! result. What they never hold: a request or response body, a value, a token or a free-form query.
//!
//! What the log can prove. A line that was edited, moved, taken out or put in shows: each is linked to the one before
//! with a key that only an open home has. So do files that are missing. A checkpoint is signed, so that whoever has the
//! public key alone can check that what is before it is what was written; the last one is noted in the store, so
//! that lines before it cannot be cut off the end unseen. What can be cut off unseen are the lines behind the last
//! noted checkpoint: those of the last minute before a process was killed. A clean stop sets a checkpoint and notes
//! it, and then nothing can. Whoever has the keys of the home can write a log of their own.

pub mod anchor;
mod appender;
mod copies;
mod event;
mod files;
mod flood;
mod json;
mod line;
mod log;
pub mod query;
mod records;
mod recovery;
mod refused;
mod request_uri;
mod retention;
pub mod search;
mod segment;
mod settings;
mod sink;
pub mod verify;
mod view;

pub use appender::MutationsEnd;
pub use event::{
    DECISION, Decision, Event, REASON, REPEATED, RESTORED, RequestFacts, Stage, mutation, with_annotation,
};
pub use log::{Anchor, AuditLog, Boundary, OpenError, OpenOptions};
pub use refused::Refused;
pub use request_uri::ReducedQuery;
pub use settings::{Settings, SyncMode};

/// The chain that the log's lines are linked in.
const CHAIN: &str = "reads";
