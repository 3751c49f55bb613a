//! The spec of a SecretSync, read once: which Secrets, into which namespaces of which clusters, as what, and what to do
//! where something is in the way.
//!
//! Pure. Reading it is validating it: what is wrong is told as Kubernetes' validation does, and what is here is right.

mod glob;
mod keys;
mod literals;
pub(in crate::model) mod read;
mod target;
mod template;

use std::time::Duration;

pub use self::glob::Glob;
pub use self::keys::{KeyError, Keys};
pub use self::literals::literals;
pub use self::target::{
    Clusters, ConflictPolicy, CreationPolicy, DriftPolicy, Namespaces, Recreate, SourceDeletePolicy, SyncDeletePolicy,
    Target, Workload, WorkloadKind,
};
pub use self::template::{Template, TemplateError};
use super::selector::LabelSelector;

/// What is wanted of a SecretSync.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The service account of its namespace as which Secrets are read.
    pub service_account_name: String,
    /// Which Secrets of its namespace.
    pub source: Source,
    /// Where they go.
    pub targets: Vec<Target>,
    /// How often everything is looked at though nothing has changed here.
    pub refresh: Duration,
    /// Nothing is written.
    pub suspend: bool,
    /// Bounds on what one pass may do.
    pub limits: Limits,
}

/// Secrets by name, and those with labels; each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Names.
    pub names: Vec<String>,
    /// Labels.
    pub selector: Option<LabelSelector>,
}

impl Source {
    /// For a column: names, or the selector.
    #[must_use]
    pub fn shown(&self) -> String {
        const MAX_CHARS: usize = 60;
        let selector = self.selector.iter().map(|selector| match selector.to_string() {
            all if all.is_empty() => "*".to_owned(),
            some => some,
        });
        let text: Vec<String> = self.names.iter().cloned().chain(selector).collect();
        let text = text.join(",");
        if text.chars().count() <= MAX_CHARS {
            return text;
        }
        let cut: String = text.chars().take(MAX_CHARS - 1).collect();
        format!("{cut}…")
    }
}

/// Bounds on what one pass may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects that are written to, in all clusters.
    pub max_targets: usize,
    /// Objects that are deleted in a pass over one cluster; more are none.
    pub max_deletes_per_pass: usize,
    /// The same in hundredths of all objects there, rounded up.
    pub max_delete_percent: usize,
}

impl Spec {
    /// Whether anything is to be done when the SecretSync is deleted.
    #[must_use]
    pub fn is_to_be_taken_back(&self) -> bool {
        self.targets.iter().any(|target| {
            target.on_sync_delete == SyncDeletePolicy::Delete || target.creation_policy == CreationPolicy::Orphan
        })
    }
}

#[cfg(test)]
mod tests;
