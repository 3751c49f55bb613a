//! What is said of a pass: of each target, and of all of it. No value is in it.

use std::collections::BTreeSet;

use super::decide::State;
use super::origin::{OriginError, Unrendered};
use super::plan::KeyChange;
use super::refusal::RemoteError;

/// What became of one target.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one target")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetReport {
    /// The cluster.
    pub cluster: String,
    /// Namespace in it.
    pub namespace: String,
    /// Name in it.
    pub name: String,
    /// Name of the source.
    pub source: String,
    /// Its revision.
    pub source_revision: String,
    /// How it is after the pass.
    pub state: State,
    /// One word.
    pub reason: String,
    /// For people; no value.
    pub message: String,
    /// It is as it is to be.
    pub is_ready: bool,
    /// It was changed in this pass, or would be.
    pub is_changed: bool,
    /// The workloads that use it are to be restarted.
    pub is_restart_due: bool,
    /// It differed by somebody else's hand.
    pub is_drifted: bool,
    /// Trying again without any change may help.
    pub is_passing: bool,
    /// Place of the target in the spec.
    pub place: usize,
    /// The revision that it has after the pass, where that is known.
    pub resource_version: Option<String>,
    /// Which keys; for plans only.
    pub keys: Vec<KeyChange>,
}

impl TargetReport {
    /// Of a target of which nothing is known.
    pub(super) fn of(cluster: &str, namespace: &str, name: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            source: String::new(),
            source_revision: String::new(),
            state: State::Unknown,
            reason: String::new(),
            message: String::new(),
            is_ready: false,
            is_changed: false,
            is_restart_due: false,
            is_drifted: false,
            is_passing: false,
            place: 0,
            resource_version: None,
            keys: Vec::new(),
        }
    }
}

/// What became of a pass.
#[derive(Debug, Default)]
pub struct Report {
    /// Every target, in order.
    pub targets: Vec<TargetReport>,
    /// Why the pass ended early, or could not begin.
    pub failure: Option<Failed>,
    /// What concerns no single target.
    pub problems: Vec<Unrendered>,
    /// Objects that were deleted, or would be.
    pub deleted: Vec<(String, String)>,
    /// Workloads that were restarted: `deployments NAMESPACE/NAME`.
    pub restarted: Vec<String>,
    /// A restart that failed may succeed if it is tried again.
    pub is_restart_passing: bool,
    /// Why none was, where some were to be.
    pub deletes_held: Option<String>,
    /// Writes that were sent.
    pub writes: usize,
    /// Every source there is.
    pub sources: BTreeSet<String>,
    /// Deletions of sources that have been dealt with.
    pub settled_deletions: Vec<String>,
    /// The cluster's revision when everything marked was listed.
    pub listed_at: Option<String>,
    /// Its revision when its namespaces were listed.
    pub namespaces_at: Option<String>,
}

/// Why a pass ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// One word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Trying again without any change may help.
    pub is_passing: bool,
    /// When, where the cluster says so.
    pub retry_after: Option<std::time::Duration>,
}

impl From<&RemoteError> for Failed {
    fn from(error: &RemoteError) -> Self {
        Self {
            reason: error.reason().to_owned(),
            message: error.to_string(),
            is_passing: error.is_passing(),
            retry_after: error.retry_after(),
        }
    }
}

impl From<OriginError> for Failed {
    fn from(error: OriginError) -> Self {
        Self {
            reason: error.reason.to_owned(),
            message: error.message,
            is_passing: error.is_passing,
            retry_after: None,
        }
    }
}
