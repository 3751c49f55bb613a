//! Bytes to JSON values and back, by Kubernetes' decoding rules.
//!
//! Pure: no I/O, no clock. It never puts what it read into an error; an error says what kind of mistake
//! was found and where.

pub mod json;
pub mod json_path;
pub mod protobuf;
pub mod text;
pub mod typed;
pub mod yaml;

mod documents;
mod go_text;
mod report;

pub use self::documents::{DocumentsError, Duplicate, documents, lenient_documents};
pub use self::report::ParseError;
