//! `metav1.Condition`: one observation of an object.

use serde_json::{Value, json};

/// Characters of a message.
const MESSAGE_MAX_CHARS: usize = 1_024;

/// A condition of a status. Its time is that of the last change of its status, which `former`, the status before, knows.
pub fn condition(
    former: &Value,
    kind: &str,
    is_true: bool,
    reason: &str,
    message: &str,
    generation: i64,
    now: &str,
) -> Value {
    let status = if is_true { "True" } else { "False" };
    let before = former.get("conditions").and_then(Value::as_array).into_iter().flatten();
    let before = before.into_iter().find(|condition| condition.get("type").is_some_and(|found| found == kind));
    let since = before
        .filter(|condition| condition.get("status").is_some_and(|found| found == status))
        .and_then(|condition| condition.get("lastTransitionTime"))
        .cloned()
        .unwrap_or_else(|| Value::from(now));
    json!({
        "type": kind, "status": status, "reason": reason, "message": cut(message),
        "observedGeneration": generation, "lastTransitionTime": since,
    })
}

/// A message of a length that a status has room for.
pub fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_MAX_CHARS).collect()
}
