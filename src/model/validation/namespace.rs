//! The rules of a Namespace beyond its metadata.
//!
//! Source: `pkg/apis/core/validation` of Kubernetes. Who may write which part is settled in `defaults`.

use serde_json::Value;

use super::metadata::finalizer_is_known;
use super::{invalid_each, is_full, meta, names, strings, text};
use crate::model::field_error::FieldError;
use crate::model::retention;

/// Finalizers of the spec are qualified names or Kubernetes' own.
pub fn create(object: &Value, errors: &mut Vec<FieldError>) {
    for finalizer in spec_finalizers(object) {
        if is_full(errors) {
            break;
        }
        invalid_each("spec.finalizers", finalizer, names::qualified_name(finalizer), errors);
        finalizer_is_known("spec.finalizers", finalizer, errors);
    }
    retention::validate(object, errors);
}

/// The phase follows from the deletion time.
pub(super) fn update_status(new: &Value, errors: &mut Vec<FieldError>) {
    let phase = new.get("status").map_or("", |status| text(status, "phase"));
    let is_deleted = !text(meta(new), "deletionTimestamp").is_empty();
    let (expected, detail) = if is_deleted {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase != expected {
        errors.push(FieldError::invalid("status.Phase", phase, detail));
    }
}

/// The finalizers that `finalize` leaves.
pub(super) fn update_finalizers(new: &Value, errors: &mut Vec<FieldError>) {
    for (index, finalizer) in spec_finalizers(new).enumerate() {
        if is_full(errors) {
            break;
        }
        let field = format!("spec.finalizers[{index}]");
        invalid_each(&field, finalizer, names::qualified_name(finalizer), errors);
        finalizer_is_known(&field, finalizer, errors);
    }
}

fn spec_finalizers(object: &Value) -> impl Iterator<Item = &str> {
    strings(object.get("spec").unwrap_or(&Value::Null), "finalizers")
}
