//! The bridge from `kubectl apply` (client side) to `kubectl apply --server-side`: the annotation in which the former
//! keeps its last configuration.
//!
//! The annotation of a Secret holds its values: what is parsed here is wiped, and never appears in a message.

use serde_json::{Map, Value};

use super::compare::{compare, fields_of};
use super::set::FieldSet;
use super::typed;
use crate::model::schema::Message;
use crate::sensitive::{Document, wipe};

/// Annotation of client-side apply.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The manager that gets these courtesies.
pub(super) const KUBECTL: &str = "kubectl";

/// Bytes of keys and values that an object's annotations may have.
const MAX_ANNOTATIONS_BYTES: usize = 262_144;

/// The fields that the annotation names and that the live object still has with the same values: those of `kubectl`
/// itself, whatever manager is recorded. `None` without a usable annotation.
pub(super) fn unchanged_since(message: &Message, live: &Value, api_version: &str) -> Option<FieldSet> {
    let text = annotation(live)?;
    let last: Value = serde_json::from_str(text).ok()?;
    let last = Document::new(last);
    #[expect(clippy::disallowed_methods, reason = "compared with the live object; only paths leave this function")]
    let last = last.expose();
    if last.get("apiVersion").and_then(Value::as_str) != Some(api_version) || !typed::problems(message, last).is_empty()
    {
        return None;
    }
    let difference = compare(message, Some(last), live);
    let mut fields = fields_of(message, last);
    fields.subtract(&difference.gained);
    fields.subtract(&difference.removed);
    Some(fields)
}

/// Makes the annotation, if the object has one, say `config`, so that client-side apply can take over again.
///
/// Compact JSON with sorted keys and a final newline, as kubectl writes it, without the annotation itself. If all
/// annotations together become too large, it is removed.
pub fn rewrite_last_applied(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    let others: usize = annotations
        .iter()
        .filter(|(name, _)| *name != LAST_APPLIED)
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    let text = encode(config);
    let old = if others + LAST_APPLIED.len() + text.len() > MAX_ANNOTATIONS_BYTES {
        annotations.shift_remove(LAST_APPLIED)
    } else {
        annotations.insert(LAST_APPLIED.to_owned(), Value::String(text))
    };
    if let Some(mut old) = old {
        wipe(&mut old);
    }
}

fn annotation(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str().filter(|text| !text.is_empty())
}

fn encode(config: &Value) -> String {
    let mut sorted = config.clone();
    if let Some(annotations) = sorted.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        && let Some(mut own) = annotations.shift_remove(LAST_APPLIED)
    {
        wipe(&mut own);
    }
    sort_keys(&mut sorted);
    let json = zeroize::Zeroizing::new(sorted.to_string());
    wipe(&mut sorted);
    // Go's encoder writes these as escapes; in compact JSON they occur inside of strings only.
    let mut text = String::with_capacity(json.len() + json.len() / 8 + 1);
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text.push('\n');
    text
}

/// Sorts the keys of every object. The shape of the tree was checked, so its depth is that of the schema.
fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = std::mem::take(fields).into_iter().collect();
            sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            for (_, value) in &mut sorted {
                sort_keys(value);
            }
            *fields = sorted.into_iter().collect::<Map<String, Value>>();
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}
