//! What a Secret's annotations say of its end: `strongroom.dev/expires-at` and `strongroom.dev/rotate-after`.

use serde_json::Value;

use super::age::parse_rfc3339;
use super::field_error::FieldError;
use super::validation::{meta, text};

/// Annotation of a Secret: when its values end, RFC 3339.
pub const EXPIRES_AT: &str = "strongroom.dev/expires-at";
/// Annotation of a Secret: when its values are to be made anew, RFC 3339.
pub const ROTATE_AFTER: &str = "strongroom.dev/rotate-after";
/// Type of Secrets that hold a certificate and its key.
pub const TLS: &str = "kubernetes.io/tls";

/// When what an annotation names is due, in seconds since the epoch.
#[must_use]
pub fn annotated(secret: &Value, annotation: &str) -> Option<i64> {
    parse_rfc3339(text(meta(secret).get("annotations")?, annotation))
}

/// Both are times, or are not there. What `old` says already is not judged again.
pub(super) fn check(secret: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let said = |secret: &Value, annotation: &str| -> Option<String> {
        Some(meta(secret).get("annotations")?.get(annotation)?.as_str()?.to_owned())
    };
    for annotation in [EXPIRES_AT, ROTATE_AFTER] {
        let Some(value) = said(secret, annotation) else { continue };
        let is_new = old.is_none_or(|old| said(old, annotation).as_ref() != Some(&value));
        if is_new && parse_rfc3339(&value).is_none() {
            let detail = "must be a time as in RFC 3339, such as 2027-01-31T12:00:00Z";
            errors.push(FieldError::invalid(format!("metadata.annotations[{annotation}]"), &value, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_and_anything_else_is_refused() {
        let secret = |value: &str| json!({"metadata": {"annotations": {EXPIRES_AT: value}}});
        let fields = |value: &str| {
            let mut errors = Vec::new();
            check(&secret(value), None, &mut errors);
            errors.len()
        };
        assert_eq!(annotated(&secret("2026-09-21T16:13:20+02:00"), EXPIRES_AT), Some(1_790_000_000));
        assert_eq!(annotated(&secret("2026-09-21T16:13:20+02:00"), ROTATE_AFTER), None);
        assert_eq!(fields("2026-09-21T14:13:20Z"), 0);
        for wrong in ["", "soon", "2026-09-21", "1790000000"] {
            assert_eq!(fields(wrong), 1, "{wrong}");
            let mut errors = Vec::new();
            check(&secret(wrong), Some(&secret(wrong)), &mut errors);
            assert_eq!(errors, [], "it was there before");
        }
        assert_eq!(annotated(&json!({"metadata": {}}), EXPIRES_AT), None);
    }
}
