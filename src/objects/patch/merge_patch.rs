//! JSON merge patch, RFC 7396: objects merge, `null` removes, everything else replaces.
//!
//! Never looks at the shape of the object: what it makes is checked when it is decoded.

use serde_json::{Map, Value};

use super::{MAX_DEPTH, PatchError, deeper_than};
use crate::codec::typed::go_type;

/// Applies `patch` to `target`, in time linear in the patch. Source: RFC 7396, section 2.
///
/// # Errors
/// [`PatchError::Decode`] if the patch is not an object, or nests too deep.
pub fn merge_patch(target: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let Value::Object(members) = patch else {
        return Err(PatchError::Decode(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go_type(patch)
        )));
    };
    if deeper_than(patch, MAX_DEPTH) {
        return Err(PatchError::Decode("exceeded max depth".to_owned()));
    }
    merge(target, members);
    Ok(())
}

/// The recursion ends with the patch, whose depth is known by now.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(members) => merge(fields.entry(name.as_str()).or_insert(Value::Null), members),
            other => {
                fields.insert(name.clone(), other.clone());
            }
        }
    }
}
