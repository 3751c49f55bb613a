//! Secrets that are made here: certificates that are issued and renewed, values that are generated and rotated, and when
//! the values of any Secret end.
//!
//! ```text
//! Certificate, GeneratedSecret ─┐
//! the Secret, by its marks ─────┴─► decide (pure) ─► certificate, generated ─► one write of the Secret ─► status
//! ```
//!
//! Key and certificate, or value and former value, are written together with the marks that say what they were made
//! for (`model::secret_owner`), in one change of the Secret. So there is nothing to undo after a crash: what a start finds
//! is the former state or the new one.
//!
//! What it never does: write a Secret that does not bear the mark of the object it works for, open another than that one
//! and its issuer's, or let a private key go anywhere else.

mod certificate;
pub mod controller;
mod decide;
pub mod expiry;
mod failure;
mod generated;
mod metrics;
mod secret;
mod status;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use self::metrics::Metrics;
use crate::pki::Authority;

/// Who writes Secrets and statuses, as the audit shows it; also the field manager.
pub const COMPONENT: &str = "issuing-controller";

/// The room's own authority for workloads, made where there is none yet. Supplied by `server`, which keeps it sealed.
pub type RoomAuthority = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Authority>> + Send>> + Send + Sync>;
