//! The three patches of the Kubernetes API, as pure functions over JSON.
//!
//! Target and patch may hold secrets: no error carries a value, and a finding names fields only. The
//! caller gives a copy of the object, because a failed patch leaves its target half changed; it then
//! decodes and validates the result like the body of an update. Every patch is bounded in depth, in
//! work and in what it may make grow.

mod json_patch;
mod merge_patch;
mod strategic;

use serde_json::Value;

pub use self::json_patch::{JsonPatchFindings, json_patch};
pub use self::merge_patch::merge_patch;
pub use self::strategic::{StrategicFindings, strategic_merge};

/// Nesting beyond which neither a patch nor its result may go: what the JSON parser accepts.
const MAX_DEPTH: usize = 128;

/// Findings kept; later ones are dropped.
const MAX_FINDINGS: usize = 100;

/// Why a patch was refused. No variant holds a value of the patch or of the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not of its format (400); the decoder's words, without `error decoding patch: `.
    #[error("error decoding patch: {0}")]
    Decode(String),
    /// More operations than a JSON patch may have (413).
    #[error("The allowed maximum operations in a JSON patch is {max}, got {got}")]
    TooManyOperations {
        /// The limit.
        max: usize,
        /// What the patch has.
        got: usize,
    },
    /// A well-formed patch that cannot be applied (422): a missing path, a failed `test`, an unknown operation.
    #[error("the server rejected our request due to an error in our request")]
    Unprocessable,
    /// The patch would copy or move more than it may (413).
    #[error("the patch makes the object too large")]
    TooLarge,
    /// A strategic merge patch whose directives contradict themselves (400); the whole text.
    #[error("{0}")]
    Invalid(String),
}

/// Whether `value` nests deeper than `levels`; looks no deeper than that.
fn deeper_than(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Array(_) | Value::Object(_), None) => true,
        (Value::Array(items), Some(levels)) => items.iter().any(|item| deeper_than(item, levels)),
        (Value::Object(members), Some(levels)) => members.values().any(|member| deeper_than(member, levels)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
