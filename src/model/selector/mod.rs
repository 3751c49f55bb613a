//! Label and field selectors, with Kubernetes' syntax, meaning and error texts.
//!
//! Parsed once per request: who decides access and who selects objects share the parsed selector. Never
//! costs more than linear time in its text, which is capped; an error repeats what the client sent and
//! nothing of any object.

mod field;
mod label;

use std::fmt;

pub use self::field::{FieldOperator, FieldRequirement, FieldSelector};
pub use self::label::{LabelSelector, Operator, Requirement};

/// Longest text of a selector.
const MAX_BYTES: usize = 64 * 1024;

/// Most requirements in one selector.
const MAX_REQUIREMENTS: usize = 1000;

/// Why a selector was refused (400); its whole text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorError(String);

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SelectorError {}

fn check_length(text: &str) -> Result<(), SelectorError> {
    if text.len() > MAX_BYTES {
        return Err(SelectorError(format!("invalid selector: must be no more than {MAX_BYTES} bytes")));
    }
    Ok(())
}

fn check_count(requirements: usize) -> Result<(), SelectorError> {
    if requirements > MAX_REQUIREMENTS {
        return Err(SelectorError(format!("invalid selector: must have at most {MAX_REQUIREMENTS} requirements")));
    }
    Ok(())
}
