//! Where Secrets go, as what, and what to do there.

use std::collections::BTreeMap;

use super::{Glob, Keys, Template};
use crate::model::selector::LabelSelector;

/// One entry of `spec.targets`.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Which clusters.
    pub clusters: Clusters,
    /// Which of their namespaces.
    pub namespaces: Namespaces,
    /// What the object is called there.
    pub name: Template,
    /// Labels that it gets.
    pub labels: BTreeMap<String, String>,
    /// Annotations that it gets.
    pub annotations: BTreeMap<String, String>,
    /// Which keys it gets.
    pub keys: Keys,
    /// Keys that are made of values.
    pub data: BTreeMap<String, Template>,
    /// Its type, where it is to be another than the source's.
    pub type_: Option<String>,
    /// See [`CreationPolicy`].
    pub creation_policy: CreationPolicy,
    /// See [`ConflictPolicy`].
    pub conflict_policy: ConflictPolicy,
    /// See [`SourceDeletePolicy`].
    pub on_source_delete: SourceDeletePolicy,
    /// See [`SyncDeletePolicy`].
    pub on_sync_delete: SyncDeletePolicy,
    /// See [`DriftPolicy`].
    pub drift_policy: DriftPolicy,
    /// See [`Recreate`].
    pub recreate: Recreate,
    /// What is restarted when the data has changed.
    pub rollout_restart: Vec<Workload>,
}

impl Target {
    /// Whether anything is written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.creation_policy != CreationPolicy::None
    }

    /// Whether objects may be deleted.
    #[must_use]
    pub fn may_delete(&self) -> bool {
        let at_the_end =
            self.on_sync_delete == SyncDeletePolicy::Delete && self.creation_policy == CreationPolicy::Owner;
        self.on_source_delete == SourceDeletePolicy::Delete || at_the_end || self.recreate == Recreate::OnTypeChange
    }
}

/// Clusters: one by name, or those with labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clusters {
    /// `cluster`
    Named(String),
    /// `clusterSelector`
    Selected(LabelSelector),
}

/// Namespaces of a cluster: those named, those that a pattern or the labels match, without those excluded. Without
/// any of it, the one that is called as the SecretSync's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `names`
    pub names: Vec<String>,
    /// `matchNames`
    pub match_names: Vec<Glob>,
    /// `selector`
    pub selector: Option<LabelSelector>,
    /// `exclude`
    pub exclude: Vec<Glob>,
    /// A named one that is missing is made.
    pub create: bool,
}

impl Namespaces {
    /// Whether they can be told without asking the cluster.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.match_names.is_empty() && self.selector.is_none()
    }

    /// Those that are named, or the SecretSync's own where none is described.
    #[must_use]
    pub fn named(&self, own: &str) -> Vec<String> {
        if self.names.is_empty() && self.is_static() { vec![own.to_owned()] } else { self.names.clone() }
    }

    /// Whether a namespace with these labels is one of them.
    #[must_use]
    pub fn is_wanted(&self, own: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
        if self.exclude.iter().any(|glob| glob.matches(name)) {
            return false;
        }
        if self.names.is_empty() && self.is_static() {
            return name == own;
        }
        let selects = |selector: &LabelSelector| selector.matches(|key| labels.get(key).map(String::as_str));
        self.names.iter().any(|named| named == name)
            || self.match_names.iter().any(|glob| glob.matches(name))
            || self.selector.as_ref().is_some_and(selects)
    }
}

/// A `Word` of an API enumeration: Kubernetes' spelling and back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// As the API spells them; the first is the default.
            pub const WORDS: &'static [&'static str] = &[$(stringify!($variant)),+];

            pub(super) fn parse(text: &str) -> Option<Self> {
                match text {
                    $(stringify!($variant) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// What a SecretSync makes of a target (names of the External Secrets Operator).
    CreationPolicy {
        /// It makes the object and owns all of its data.
        Owner,
        /// As `Owner`; but the object outlives the SecretSync, without its markers.
        Orphan,
        /// It never makes the object, and owns its own keys only.
        Merge,
        /// It makes the object if it is missing, and owns its own keys only.
        CreateOrMerge,
        /// It writes nothing, and only compares.
        None,
    }
}

words! {
    /// What to do where an object is there that is not the SecretSync's.
    ConflictPolicy {
        /// Leave it, and say so.
        Fail,
        /// Take it over, with all fields that others manage.
        Adopt,
        /// Add to it what nobody else manages.
        Merge,
    }
}

words! {
    /// What becomes of an object whose source was deleted.
    SourceDeletePolicy {
        /// It stays as it is.
        Retain,
        /// It is deleted.
        Delete,
        /// The SecretSync's keys are taken out of it.
        Merge,
    }
}

words! {
    /// What becomes of an object when the SecretSync is deleted, or no longer wants it.
    SyncDeletePolicy {
        /// It stays as it is.
        Retain,
        /// It is deleted; of one that others have a part in, the SecretSync's keys.
        Delete,
    }
}

words! {
    /// What to do where an object was changed by somebody else.
    DriftPolicy {
        /// Put it right.
        Correct,
        /// Leave it, and say so.
        Warn,
        /// Leave it.
        Ignore,
    }
}

words! {
    /// Whether an object is deleted and made anew where it cannot be changed.
    Recreate {
        /// It is not: this is an error.
        Never,
        /// It is, where its type is to be another.
        OnTypeChange,
    }
}

words! {
    /// What can be restarted.
    WorkloadKind {
        /// A Deployment.
        Deployment,
        /// A StatefulSet.
        StatefulSet,
        /// A DaemonSet.
        DaemonSet,
    }
}

/// A workload of the target's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

impl Workload {
    /// The plural of its kind.
    #[must_use]
    pub fn resource(&self) -> &'static str {
        match self.kind {
            WorkloadKind::Deployment => "deployments",
            WorkloadKind::StatefulSet => "statefulsets",
            WorkloadKind::DaemonSet => "daemonsets",
        }
    }
}
