//! Field ownership under POST, PUT and every patch but apply: who changes a field owns it.

use serde_json::Value;

use super::Writer;
use super::compare::compare;
use super::managed::Managed;
use crate::model::schema::Message;

/// Sets `new.metadata.managedFields` for a create (`live` absent) or an update.
///
/// `new` is the whole object as it will be stored, defaults included and nulls left out (but for RBAC rules); its `metadata.managedFields` is what the client
/// sent. Absent or null keeps the live entries, as does anything unreadable or oversized and everything sent through a
/// subresource; `[]` or `[{}]` clears them, after which updates leave no trace until the next apply; a readable list
/// replaces them before this write is recorded. Fields that did not change keep their owners.
pub fn track_update(message: &'static Message, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let sent = new
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .and_then(|metadata| metadata.shift_remove("managedFields"));
    let mut managed = basis(sent.as_ref(), live, writer);
    if managed.is_empty() && live.is_some() {
        return;
    }
    record(&mut managed, message, live, new, writer);
    managed.write(new);
}

/// The writer comes to own what differs between `live` and `new`, and nobody owns what is gone.
pub(super) fn record(managed: &mut Managed, message: &Message, live: Option<&Value>, new: &Value, writer: &Writer<'_>) {
    managed.reconcile(message, writer.api_version);
    let difference = compare(message, live, new);
    managed.dispossess(&difference.gained, &difference.removed);
    if !difference.gained.is_empty() {
        managed.gain(writer, difference.gained);
    }
    managed.cap_updaters();
}

fn basis(sent: Option<&Value>, live: Option<&Value>, writer: &Writer<'_>) -> Managed {
    if writer.subresource.is_empty()
        && let Some(sent) = sent
    {
        if is_reset(sent) {
            return Managed::default();
        }
        if let Some(managed) = Managed::of_sent(sent)
            && !managed.is_empty()
        {
            return managed;
        }
    }
    live.map(Managed::of_live).unwrap_or_default()
}

/// `[]`, or one entry in which nothing is set.
fn is_reset(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(only)]) => only.values().all(|value| value.is_null() || value.as_str() == Some("")),
        _ => false,
    }
}
