//! What to do with a target: from what is to be and what is there. Pure; every rule of ownership and drift is here.

use std::time::Duration;

use super::desired::Desired;
use super::observed::Observed;
use crate::model::secret_sync::{
    ConflictPolicy, CreationPolicy, DriftPolicy, Recreate, SourceDeletePolicy, Spec, SyncDeletePolicy, Target,
};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(7);

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it is to be.
    InSync,
    /// As it was to be before the source, or what is wanted of it, changed.
    Outdated,
    /// Its values were changed by somebody else.
    DataDrift,
    /// Its labels or annotations were.
    MetadataDrift,
    /// It has keys that are not the SecretSync's, who owns all.
    ForeignKeys,
    /// It is not there.
    Missing,
    /// It is somebody else's.
    Conflict,
    /// It is being deleted.
    Terminating,
    /// It cannot be changed.
    Immutable,
    /// It cannot be changed, for it is of another type.
    TypeChanged,
    /// It is not known.
    Unknown,
}

impl State {
    /// As status shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Outdated => "Outdated",
            Self::DataDrift => "DataDrift",
            Self::MetadataDrift => "MetadataDrift",
            Self::ForeignKeys => "ForeignKeys",
            Self::Missing => "Missing",
            Self::Conflict => "Conflict",
            Self::Terminating => "Terminating",
            Self::Immutable => "Immutable",
            Self::TypeChanged => "TypeChanged",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether somebody else has changed what was written.
    #[must_use]
    pub fn is_drift(self) -> bool {
        matches!(self, Self::DataDrift | Self::MetadataDrift | Self::ForeignKeys)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Server-side apply.
    Apply {
        /// Take over what others have.
        force: bool,
        /// Before it: keys of others that are taken out.
        remove_keys: Vec<String>,
    },
    /// Delete what is there, and apply.
    Recreate,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it stands now.
    pub state: State,
    /// What to do.
    pub action: Action,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, for people; no value.
    pub message: String,
    /// As good as it is to be, without any action.
    pub is_ready: bool,
    /// Values that were there are others after the action.
    pub is_data_changed: bool,
}

impl Verdict {
    fn nothing(state: State, reason: &'static str, message: impl Into<String>) -> Self {
        let is_ready = state == State::InSync;
        Self { state, action: Action::Nothing, reason, message: message.into(), is_ready, is_data_changed: false }
    }

    fn apply(state: State, force: bool, remove_keys: Vec<String>, is_data_changed: bool) -> Self {
        let action = Action::Apply { force, remove_keys };
        Self { state, action, reason: state.as_str(), message: String::new(), is_ready: false, is_data_changed }
    }
}

/// How what is to be differs from what is there.
struct Difference {
    /// Wanted keys that are missing, or have other values.
    wrong: Vec<String>,
    /// Keys that the SecretSync has applied and no longer wants.
    stale: bool,
    /// Keys that it has not applied and does not want.
    foreign: Vec<String>,
    /// Labels or annotations that are missing, or have other values.
    metadata: bool,
    /// Who applies a wanted key besides.
    other: Option<(String, String)>,
}

impl Difference {
    fn of(desired: &Desired, observed: &Observed) -> Self {
        let wrong = desired.keys.iter().filter(|(key, digest)| observed.keys.get(*key) != Some(*digest));
        let unwanted = || observed.keys.keys().filter(|key| !desired.keys.contains_key(*key));
        let other = desired.keys.keys().find_map(|key| {
            let by = observed.applied_by_others.get(key)?;
            (observed.keys.get(key) != desired.keys.get(key)).then(|| (key.clone(), by.clone()))
        });
        Self {
            wrong: wrong.map(|(key, _)| key.clone()).collect(),
            stale: unwanted().any(|key| observed.our_keys.contains(key)),
            foreign: unwanted().filter(|key| !observed.our_keys.contains(*key)).cloned().collect(),
            metadata: desired.metadata.iter().any(|(key, digest)| observed.metadata.get(key) != Some(digest)),
            other,
        }
    }

    fn is_of_data(&self) -> bool {
        !self.wrong.is_empty() || self.stale
    }
}

/// What to do with a target. `was_written`: it is known to have been as it was to be.
pub fn decide(
    target: &Target,
    desired: &Desired,
    observed: Option<&Observed>,
    sync_uid: &str,
    was_written: bool,
) -> Verdict {
    let policy = target.creation_policy;
    let Some(observed) = observed else { return decide_missing(target, was_written) };
    if observed.is_terminating {
        return Verdict::nothing(State::Terminating, "TargetTerminating", "the object is being deleted");
    }
    let difference = Difference::of(desired, observed);
    let owns_all = matches!(policy, CreationPolicy::Owner | CreationPolicy::Orphan);
    if policy == CreationPolicy::None {
        return match (difference.is_of_data(), difference.foreign.is_empty()) {
            (false, _) => Verdict::nothing(State::InSync, "Compared", ""),
            (true, _) => Verdict::nothing(State::DataDrift, "Differs", "creationPolicy is None: it is only compared"),
        };
    }
    if let Some(other) = observed.sync_uid.as_deref().filter(|uid| *uid != sync_uid && !uid.is_empty()) {
        let who = observed.sync.as_deref().unwrap_or(other);
        let message = format!("the object is kept by SecretSync {who:?}: each object has one writer");
        return Verdict::nothing(State::Conflict, "OtherSync", message);
    }
    // Where only the mark was taken away, who applied it is known still. To delete takes both.
    let is_ours = observed.is_managed;
    let adopts = target.conflict_policy == ConflictPolicy::Adopt;
    if !is_ours && !adopts {
        if let Some(owner) = &observed.owner {
            let message = format!("the object belongs to {owner}: conflictPolicy Adopt takes it over");
            return Verdict::nothing(State::Conflict, "OwnedByOther", message);
        }
        if owns_all {
            let message =
                "an object of this name is there that is not the SecretSync's: conflictPolicy Adopt takes it over";
            return Verdict::nothing(State::Conflict, "Conflict", message);
        }
    }
    if !desired.type_.is_empty() && desired.type_ != observed.type_ {
        if target.recreate == Recreate::OnTypeChange && (is_ours || adopts) && policy != CreationPolicy::Merge {
            return Verdict {
                action: Action::Recreate,
                is_data_changed: true,
                ..Verdict::nothing(State::TypeChanged, "TypeChanged", "")
            };
        }
        let message = format!(
            "the object is of type {:?} and is to be of type {:?}, which cannot be changed: recreate OnTypeChange makes it anew",
            shortened(&observed.type_),
            desired.type_
        );
        return Verdict::nothing(State::TypeChanged, "TypeChanged", message);
    }
    let foreign = if owns_all { difference.foreign.clone() } else { Vec::new() };
    if observed.is_immutable && (difference.is_of_data() || !foreign.is_empty()) {
        let message = "the object is immutable: delete it, and it is made anew";
        return Verdict::nothing(State::Immutable, "TargetImmutable", message);
    }
    let data_changed = difference.is_of_data();
    if !is_ours {
        return Verdict::apply(State::Outdated, adopts, foreign, data_changed);
    }
    let is_current = observed.mac.as_deref() == Some(desired.mac.as_str());
    let wants_immutable = desired.is_immutable && !observed.is_immutable;
    let state = match (is_current, data_changed, foreign.is_empty(), difference.metadata || wants_immutable) {
        (true, false, true, false) => return Verdict::nothing(State::InSync, "InSync", ""),
        (false, ..) => State::Outdated,
        (true, true, ..) => State::DataDrift,
        (true, false, false, _) => State::ForeignKeys,
        (true, false, true, true) => State::MetadataDrift,
    };
    if state.is_drift() && target.drift_policy != DriftPolicy::Correct {
        let message = "the object was changed by somebody else";
        let ignored = target.drift_policy == DriftPolicy::Ignore;
        return Verdict { is_ready: ignored, ..Verdict::nothing(state, "Drift", message) };
    }
    // Whoever edits an object by hand becomes the manager of what is edited, and is not asked; another who applies is.
    let force = adopts || (target.drift_policy == DriftPolicy::Correct && difference.other.is_none());
    Verdict::apply(state, force, foreign, data_changed)
}

fn decide_missing(target: &Target, was_written: bool) -> Verdict {
    match target.creation_policy {
        CreationPolicy::Merge => Verdict::nothing(State::Missing, "TargetMissing", "there is no object to add to"),
        CreationPolicy::None => Verdict::nothing(State::Missing, "TargetMissing", "there is no object to compare with"),
        _ if was_written && target.drift_policy != DriftPolicy::Correct => {
            let ignored = target.drift_policy == DriftPolicy::Ignore;
            Verdict {
                is_ready: ignored,
                ..Verdict::nothing(State::Missing, "Drift", "the object was deleted by somebody else")
            }
        }
        _ => Verdict::apply(State::Missing, target.conflict_policy == ConflictPolicy::Adopt, Vec::new(), false),
    }
}

/// Why an object with the SecretSync's mark is not among those that are to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Its source was deleted, and that is recorded.
    SourceDeleted,
    /// Its source is there, but the object is no longer wanted in this place.
    NotWanted,
    /// Nothing is known of its source.
    SourceUnknown,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Nothing.
    Keep,
    /// Delete it.
    Delete,
    /// Take the SecretSync's keys and marks out.
    RemoveKeys,
    /// Take its marks away.
    StripMarkers,
}

/// What to do with all that is left over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removals {
    /// For each in its order.
    pub each: Vec<Removal>,
    /// Why nothing is deleted, where something was to be.
    pub held: Option<String>,
}

/// What to do with objects that are marked and not to be there. `total` is how many objects there are in all.
pub fn leftovers<'o>(
    spec: &Spec,
    left: impl Iterator<Item = &'o Observed>,
    total: usize,
    is_deleting: bool,
    why: &dyn Fn(&str) -> Leftover,
) -> Removals {
    let mut each: Vec<Removal> = left.map(|observed| removal(spec, observed, is_deleting, why)).collect();
    let deletions = each.iter().filter(|removal| **removal == Removal::Delete).count();
    let limits = &spec.limits;
    let allowed = limits.max_deletes_per_pass.min((total * limits.max_delete_percent).div_ceil(100));
    // Whoever deletes the SecretSync has said what is to become of all of its objects.
    if is_deleting || deletions <= allowed {
        return Removals { each, held: None };
    }
    for removal in each.iter_mut().filter(|removal| **removal == Removal::Delete) {
        *removal = Removal::Keep;
    }
    let held = format!("{deletions} objects of {total} would be deleted, and spec.limits allow {allowed}: none is");
    Removals { each, held: Some(held) }
}

fn removal(spec: &Spec, observed: &Observed, is_deleting: bool, why: &dyn Fn(&str) -> Leftover) -> Removal {
    // A mark alone can be put on by anybody; what was applied in the SecretSync's name was.
    if !observed.is_managed || observed.is_terminating {
        return Removal::Keep;
    }
    // Which of several targets an object was for is not known any more: only what all of them agree on is done.
    let all = |rule: &dyn Fn(&Target) -> Removal| {
        let mut removals = spec.targets.iter().map(rule);
        let first = removals.next().unwrap_or(Removal::Keep);
        if removals.all(|removal| removal == first) { first } else { Removal::Keep }
    };
    let is_shared = observed.keys.keys().any(|key| !observed.our_keys.contains(key));
    let whole = if is_shared { Removal::RemoveKeys } else { Removal::Delete };
    match why(observed.source_name()) {
        Leftover::SourceDeleted if !is_deleting => all(&|target| match target.on_source_delete {
            SourceDeletePolicy::Retain => Removal::Keep,
            SourceDeletePolicy::Merge => Removal::RemoveKeys,
            SourceDeletePolicy::Delete if target.creation_policy == CreationPolicy::CreateOrMerge => whole,
            SourceDeletePolicy::Delete => Removal::Delete,
        }),
        Leftover::SourceUnknown if !is_deleting => Removal::Keep,
        _ => all(&|target| match (target.creation_policy, target.on_sync_delete) {
            (CreationPolicy::Orphan, _) => Removal::StripMarkers,
            (CreationPolicy::None, _) | (_, SyncDeletePolicy::Retain) => Removal::Keep,
            (CreationPolicy::Owner, SyncDeletePolicy::Delete) => Removal::Delete,
            (CreationPolicy::Merge | CreationPolicy::CreateOrMerge, SyncDeletePolicy::Delete) => Removal::RemoveKeys,
        }),
    }
}

/// How long to wait after so many failures: twice as long each time, and a random part of that (full jitter), so that
/// those who failed together do not come back together.
#[must_use]
pub fn backoff(attempts: u32, random: u64) -> Duration {
    let longest = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(BACKOFF_MAX);
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % (millis + 1))
}

fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
