//! The marks by which a Secret is known to be an object's own: who made it, from which wish, and at whose request.
//!
//! They are annotations of the Secret, written together with its values: a crash in between leaves nothing that is
//! half true. Whoever may change a Secret may give it away by them, and no more than that.

use serde_json::{Map, Value};

use super::field_error::FieldError;
use super::validation::{meta, text};

/// Annotation of a Secret: `KIND/NAME` of the object that makes its values. Removed, the Secret is left alone.
pub const ISSUED_BY: &str = "strongroom.dev/issued-by";
/// Annotation of a Secret: a fingerprint of what was asked for when its values were made.
pub const ISSUED_FOR: &str = "strongroom.dev/issued-for";
/// Annotation of a Secret: when its values were made, RFC 3339.
pub const ISSUED_AT: &str = "strongroom.dev/issued-at";
/// Annotation of a Secret: how often there were others before.
pub const ISSUED_REVISION: &str = "strongroom.dev/issued-revision";
/// Annotation of a Secret: the request that was followed last.
pub const ISSUED_REQUEST: &str = "strongroom.dev/issued-request";
/// Annotation of a Certificate or a GeneratedSecret: another value than before asks for new values now.
pub const ROTATE_NOW: &str = "strongroom.dev/rotate-now";

/// Bytes of a request.
const REQUEST_MAX_BYTES: usize = 253;

/// What the marks of a Secret say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// See [`ISSUED_BY`]; empty is nobody.
    pub by: String,
    /// See [`ISSUED_FOR`].
    pub wish: String,
    /// See [`ISSUED_AT`], in seconds since the epoch.
    pub at: Option<i64>,
    /// See [`ISSUED_REVISION`].
    pub revision: i64,
    /// See [`ISSUED_REQUEST`].
    pub request: String,
}

impl Marks {
    /// Reads those of a Secret.
    #[must_use]
    pub fn of(secret: &Value) -> Self {
        let annotations = meta(secret).get("annotations").unwrap_or(&Value::Null);
        Self {
            by: text(annotations, ISSUED_BY).to_owned(),
            wish: text(annotations, ISSUED_FOR).to_owned(),
            at: super::age::parse_rfc3339(text(annotations, ISSUED_AT)),
            revision: text(annotations, ISSUED_REVISION).parse().unwrap_or_default(),
            request: text(annotations, ISSUED_REQUEST).to_owned(),
        }
    }

    /// As annotations. `time` writes seconds since the epoch as RFC 3339.
    pub fn annotations(&self, time: impl Fn(i64) -> String) -> Map<String, Value> {
        let mut annotations = Map::new();
        let mut put = |name: &str, value: String| drop(annotations.insert(name.to_owned(), value.into()));
        put(ISSUED_BY, self.by.clone());
        put(ISSUED_FOR, self.wish.clone());
        if let Some(at) = self.at {
            put(ISSUED_AT, time(at));
        }
        put(ISSUED_REVISION, self.revision.to_string());
        if !self.request.is_empty() {
            put(ISSUED_REQUEST, self.request.clone());
        }
        annotations
    }
}

/// `KIND/NAME`
#[must_use]
pub fn mark(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

/// What is asked for now by [`ROTATE_NOW`]; empty is nothing.
#[must_use]
pub fn requested(object: &Value) -> &str {
    text(meta(object).get("annotations").unwrap_or(&Value::Null), ROTATE_NOW)
}

/// It is copied into the Secret, which has room for so much.
pub(super) fn check_request(object: &Value, errors: &mut Vec<FieldError>) {
    if requested(object).len() > REQUEST_MAX_BYTES {
        errors.push(FieldError::too_long(format!("metadata.annotations[{ROTATE_NOW}]"), REQUEST_MAX_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        let marks = Marks {
            by: mark("Certificate", "web"),
            wish: "abc".to_owned(),
            at: Some(1_790_000_000),
            revision: 3,
            request: "now".to_owned(),
        };
        let written = marks.annotations(|_| "2026-09-21T14:13:20Z".to_owned());
        assert_eq!(Marks::of(&json!({"metadata": {"annotations": written}})), marks);
        assert_eq!(Marks::of(&json!({"metadata": {"name": "a"}})), Marks::default());
    }
}
