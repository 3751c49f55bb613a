//! Where a pass gets from what it is to write: this room itself, or a room elsewhere that is asked over the network.

use std::sync::Arc;

use super::desired::Desired;
use super::observed::Mac;
use super::remote::Namespace;
use crate::model::secret_sync::Spec;

/// Which SecretSync.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A SecretSync as a pass works by it.
#[derive(Clone)]
pub struct Sync {
    /// Which one.
    pub id: SyncName,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`
    pub generation: i64,
    /// What is wanted.
    pub spec: Arc<Spec>,
    /// It is being deleted: nothing is written any more, and what its policies say is taken back.
    pub is_deleting: bool,
}

/// What a page of objects is asked for.
pub struct Ask<'a> {
    /// For which SecretSync.
    pub sync: &'a Sync,
    /// For which cluster.
    pub cluster: &'a str,
    /// Its uid: what is written is bound to it.
    pub cluster_uid: &'a str,
    /// For each target of the spec that concerns this cluster: its place in the spec, and the namespaces to write to.
    pub namespaces: &'a [(usize, Vec<Namespace>)],
    /// Of these sources only; `None` is all.
    pub sources: Option<&'a [String]>,
    /// From the page before.
    pub continue_token: Option<String>,
    /// Nothing of it is going to be written.
    pub dry_run: bool,
}

/// An object as it is to be in a cluster.
pub struct Rendered {
    /// Place of the target in the spec.
    pub target: usize,
    /// Name of the source.
    pub source: String,
    /// Its revision.
    pub source_revision: String,
    /// What is to be there.
    pub desired: Desired,
}

/// A source, or one of its targets, that nothing can be written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrendered {
    /// Place of the target in the spec; `None` concerns all.
    pub target: Option<usize>,
    /// Namespace in the cluster; empty concerns all.
    pub namespace: String,
    /// Name of the source; empty concerns all of them.
    pub source: String,
    /// One word (`SourceForbidden`).
    pub reason: String,
    /// For people; no value.
    pub message: String,
}

/// A page of objects.
#[derive(Default)]
pub struct Page {
    /// What is to be there.
    pub objects: Vec<Rendered>,
    /// What is not known to be.
    pub problems: Vec<Unrendered>,
    /// On the first page: every source that there is, whether it can be rendered or not.
    pub sources: Vec<String>,
    /// On the first page: sources whose deletion is recorded.
    pub deleted: Vec<String>,
    /// For the next page.
    pub continue_token: Option<String>,
}

/// Nothing can be said: nothing is written, and above all nothing deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OriginError {
    /// One word.
    pub reason: &'static str,
    /// For people; no value.
    pub message: String,
    /// Trying again without any change may help.
    pub is_passing: bool,
}

/// See the module.
pub trait Origin: Send + std::marker::Sync {
    /// The next objects that are to be in a cluster.
    fn page(&self, ask: Ask<'_>) -> impl Future<Output = Result<Page, OriginError>> + Send;

    /// Now, seconds since the epoch.
    fn unix_seconds(&self) -> i64;

    /// Makes digests of values. Digests of two origins are not comparable.
    fn mac(&self) -> Mac<'_>;

    /// Records that a source's values are about to leave for a cluster; nothing may be sent where that fails.
    fn record(&self, sync: &Sync, source: &str, place: &str) -> impl Future<Output = Result<(), OriginError>> + Send;
}
