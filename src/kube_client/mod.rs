//! Talks to a server as any Kubernetes client does: connections, single requests, lines that arrive over time.
//!
//! What it never does: try a request again (a spent refresh token must not be sent twice), follow a redirect, go
//! through a proxy, or put a body, a token or a header into an error.

mod client;
mod document;
mod error;
mod identity;
mod judged;
mod kubeconfig;
mod presented;
mod request;

pub use client::{Answer, Certificate, Client, Download, Endpoint, Lines};
pub use document::{Document, fetch_document};
pub use error::{ConnectError, Failure};
pub use judged::config_judged_by;
pub use presented::{presented_chain, verifies};
pub use request::{Request, encode_segment};
