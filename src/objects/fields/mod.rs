//! Who set which field: `metadata.managedFields` and server-side apply (KEP-555).
//!
//! Everything here is a pure function of JSON trees and the shape table. Nothing reads a clock, touches the
//! store or validates an object's meaning, and no text made here holds a value: conflicts and type errors name
//! paths, map keys and the identities of list items, never what is stored under them.

mod apply;
mod compare;
mod fields_v1;
mod last_applied;
mod managed;
mod path;
mod set;
mod shape;
mod typed;
mod update;

pub use self::apply::apply;
pub use self::last_applied::{LAST_APPLIED, rewrite_last_applied};
pub use self::managed::same_but_times;
pub use self::update::track_update;

use std::fmt;

use serde_json::Value;

/// Who writes, and how it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// Field manager; empty is recorded as `unknown`.
    pub manager: &'a str,
    /// Subresource written through, empty for the object itself.
    pub subresource: &'a str,
    /// API version in which the fields are named: `v1`, `rbac.authorization.k8s.io/v1`.
    pub api_version: &'a str,
    /// Now: RFC 3339, UTC, whole seconds, `Z`.
    pub now: &'a str,
}

/// A field that an apply would take from somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager as Kubernetes prints it: `"m1"`, `"ed" using v1`, `"x" with subresource "status" using v1`.
    pub manager: String,
    /// Path of the field: `.data.k1`.
    pub field: String,
}

impl Conflict {
    /// `conflict with "m1"`: the message of a `FieldManagerConflict` cause.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// Why an apply was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyError {
    /// Others own fields that would change; in the order of managers, then of paths. Never empty.
    Conflicts(Vec<Conflict>),
    /// The configuration does not have the shape of its kind; the whole text.
    Untyped(String),
}

impl ApplyError {
    /// Kubernetes' text: `Apply failed with 1 conflict: …`, one line a path when there are several.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Untyped(text) => text.clone(),
            Self::Conflicts(conflicts) => conflicts_message(conflicts),
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for ApplyError {}

/// What an apply makes of an object.
pub struct Applied {
    /// The merged object, its `metadata.managedFields` final; defaulting and validation are still to come.
    pub object: Value,
    /// Whether anything but times in `managedFields` differs from the live object.
    pub changed: bool,
}

fn conflicts_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message(), only.field);
    }
    let mut text = format!("Apply failed with {} conflicts: ", conflicts.len());
    for (index, of_one) in conflicts.chunk_by(|a, b| a.manager == b.manager).enumerate() {
        let Some(first) = of_one.first() else { continue };
        if index > 0 {
            text.push('\n');
        }
        text.push_str("conflicts with ");
        text.push_str(&first.manager);
        text.push(':');
        for conflict in of_one {
            text.push_str("\n- ");
            text.push_str(&conflict.field);
        }
    }
    text
}

#[cfg(test)]
mod last_applied_tests;
#[cfg(test)]
mod managed_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod test_shapes;
#[cfg(test)]
mod tests;
