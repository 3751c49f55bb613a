//! How many former versions of a Secret are kept, and how long: what annotations of its Namespace say, over a default.

use serde_json::Value;

use super::field_error::FieldError;
use super::length::Length;

/// Annotation of a Namespace: how many former versions of each of its Secrets are kept.
pub const LIMIT_ANNOTATION: &str = "strongroom.dev/history-limit";
/// Annotation of a Namespace: how long a former version is kept after it was superseded.
pub const MAX_AGE_ANNOTATION: &str = "strongroom.dev/history-max-age";
/// The most former versions of one Secret.
pub const LIMIT_MAX: usize = 1_000;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What is kept of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Former versions.
    pub limit: usize,
    /// Seconds after a version was superseded.
    pub max_age_seconds: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { limit: 10, max_age_seconds: 90 * DAY_SECONDS }
    }
}

impl Retention {
    /// Nothing.
    pub const NONE: Self = Self { limit: 0, max_age_seconds: 0 };

    /// Whether anything is kept.
    pub fn keeps(self) -> bool {
        self.limit > 0 && self.max_age_seconds > 0
    }

    /// These, as far as the Namespace says nothing else. What it says and cannot be read counts as nothing.
    #[must_use]
    pub fn of(self, namespace: &Value) -> Self {
        let said = |name: &str| annotation(namespace, name);
        Self {
            limit: said(LIMIT_ANNOTATION).and_then(|text| limit(text).ok()).unwrap_or(self.limit),
            max_age_seconds: said(MAX_AGE_ANNOTATION)
                .and_then(|text| max_age(text).ok())
                .unwrap_or(self.max_age_seconds),
        }
    }
}

/// Reads a number of versions, 0 to [`LIMIT_MAX`].
///
/// # Errors
/// What must be written instead.
pub fn limit(text: &str) -> Result<usize, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = Some(text).filter(|_| is_plain).and_then(|text| text.parse().ok());
    number.filter(|number| *number <= LIMIT_MAX).ok_or_else(|| format!("must be a number from 0 to {LIMIT_MAX}"))
}

/// Reads a length of time, in seconds; `0` is none.
///
/// # Errors
/// What must be written instead.
pub fn max_age(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    Length::parse(text)
        .map(Length::seconds)
        .map_err(|_| "must be 0 or a length of time such as 12h, 30d or 2w".to_owned())
}

/// What is wrong with the annotations of a Namespace.
pub fn validate(namespace: &Value, errors: &mut Vec<FieldError>) {
    let mut check = |name: &str, problem: Option<String>| {
        if let (Some(problem), Some(text)) = (problem, annotation(namespace, name)) {
            errors.push(FieldError::invalid(format!("metadata.annotations[{name}]"), text, problem));
        }
    };
    check(LIMIT_ANNOTATION, annotation(namespace, LIMIT_ANNOTATION).and_then(|text| limit(text).err()));
    check(MAX_AGE_ANNOTATION, annotation(namespace, MAX_AGE_ANNOTATION).and_then(|text| max_age(text).err()));
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(limit: &str, max_age: &str) -> Value {
        json!({"metadata": {"annotations": {LIMIT_ANNOTATION: limit, MAX_AGE_ANNOTATION: max_age}}})
    }

    #[test]
    fn a_namespace_says_what_is_kept_of_its_secrets() {
        let default = Retention::default();
        assert_eq!((default.limit, default.max_age_seconds), (10, 7_776_000));
        assert_eq!(default.of(&json!({"metadata": {}})), default);
        assert_eq!(default.of(&namespace("3", "1h")), Retention { limit: 3, max_age_seconds: 3_600 });
        assert_eq!(default.of(&namespace("many", "long")), default);
        for none in [namespace("0", "1h"), namespace("3", "0")] {
            assert!(!default.of(&none).keeps());
        }
    }

    #[test]
    fn what_is_neither_a_number_nor_a_length_is_refused_with_its_place() {
        let mut errors = Vec::new();
        validate(&namespace("1000", "0"), &mut errors);
        assert_eq!(errors.len(), 0);
        for limit in ["", "-1", "+1", " 1", "1.5", "1001", "99999999999999999999999"] {
            validate(&namespace(limit, "90"), &mut errors);
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(
                fields,
                [
                    "metadata.annotations[strongroom.dev/history-limit]",
                    "metadata.annotations[strongroom.dev/history-max-age]"
                ],
                "{limit:?}"
            );
            errors.clear();
        }
    }
}
