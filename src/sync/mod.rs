//! Secrets in clusters, kept as they shall be: what is to be there is made of the sources, compared with what is there,
//! and written by server-side apply where it differs.
//!
//! ```text
//! origin (this room, or one that is asked) ─► desired ┐
//! remote (a cluster) ─► observed ─────────────────────┴─► decide (pure) ─► remote
//! ```
//!
//! A [`pass`] does this once for one SecretSync and one cluster. The [`controller`] does it in the server whenever
//! something changes; the [`job`] does it once, from anywhere.
//!
//! What it never does: send a value that the SecretSync's service account may not get, delete because something could
//! not be read, or write what is as it shall be.

pub mod controller;
mod decide;
mod desired;
mod events;
mod finalizer;
mod health;
pub mod job;
mod lane;
mod limiter;
mod metrics;
mod observed;
mod origin;
pub mod pass;
mod plan;
mod pool;
mod preflight;
mod refusal;
mod remote;
pub mod report;
mod restart;
mod room;
mod status;
mod watching;

pub use self::decide::State;
pub use self::desired::Desired;
pub use self::metrics::Metrics;
pub use self::observed::{Digests, Mac, Observed};
pub use self::origin::{Ask, Origin, OriginError, Page, Rendered, Sync, SyncName, Unrendered};
pub use self::plan::{Change, KeyChange};
pub use self::remote::{Namespace, Remote};
pub use self::room::Room;

/// Before the uid of a SecretSync in the name of its field manager.
pub const FIELD_MANAGER_PREFIX: &str = "strongroom/";
/// Label: who manages the object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGED_BY: &str = "strongroom";
/// Label: the uid of the SecretSync.
pub const SYNC_UID_LABEL: &str = "strongroom.dev/sync-uid";
/// Annotation: namespace and name of the SecretSync.
pub const SYNC_ANNOTATION: &str = "strongroom.dev/sync";
/// Annotation: namespace and name of the source.
pub const SOURCE_ANNOTATION: &str = "strongroom.dev/source";
/// Annotation: revision of the source when the object was written.
pub const SOURCE_REVISION_ANNOTATION: &str = "strongroom.dev/source-revision";
/// Annotation: a keyed hash of what was written.
pub const MAC_ANNOTATION: &str = "strongroom.dev/mac";

/// Annotation: its values have changed, and the workloads that are to be restarted for that have not been yet.
pub const RESTART_DUE_ANNOTATION: &str = "strongroom.dev/restart-due";

/// The labels of an object that is a SecretSync's.
pub const MARKER_LABELS: &[&str] = &[MANAGED_BY_LABEL, SYNC_UID_LABEL];
/// Its annotations.
pub const MARKER_ANNOTATIONS: &[&str] =
    &[SYNC_ANNOTATION, SOURCE_ANNOTATION, SOURCE_REVISION_ANNOTATION, MAC_ANNOTATION, RESTART_DUE_ANNOTATION];
