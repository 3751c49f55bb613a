//! Errors of validation: which field, what is wrong with it, in Kubernetes' words.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/field`. A secret value is never put in one:
//! `<secret contents redacted>` stands in its place.

use std::fmt;

/// What is wrong with a field; each is a `causes[].reason` of a Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// `FieldValueRequired`
    Required,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueNotFound`
    NotFound,
    /// `FieldValueTypeInvalid`
    TypeInvalid,
}

impl FieldErrorKind {
    /// The reason string of a Status cause.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
        }
    }
}

/// One field's error. `Display` is `<field>: <what>`, the form joined into a Status message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path as Kubernetes writes it: `metadata.name`, `data[tls.crt]`, `rules[0].verbs`.
    pub field: String,
    /// Class of the error.
    pub kind: FieldErrorKind,
    /// The offending value already rendered (`"x"`, `599`, `[]string{"foo"}`), where the text shows one.
    pub value: Option<String>,
    /// The rest of the sentence; may be empty.
    pub detail: String,
}

impl FieldError {
    fn new(kind: FieldErrorKind, field: impl Into<String>, value: Option<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), kind, value, detail: detail.into() }
    }

    /// `field: Required value[: detail]`
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    /// `field: Invalid value: "value": detail`; `value` is quoted as Go's `%q` does.
    pub fn invalid(field: impl Into<String>, value: &str, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, field, Some(go_quote(value)), detail)
    }

    /// As [`FieldError::invalid`], the value already rendered as Go's `%#v` would (numbers, structs).
    pub fn invalid_raw(field: impl Into<String>, value: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, field, Some(value.into()), detail)
    }

    /// `field: Unsupported value: "value": supported values: "a", "b"`
    pub fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        Self::not_supported_raw(field, go_quote(value), supported)
    }

    /// As [`FieldError::not_supported`], the value already rendered.
    pub fn not_supported_raw(field: impl Into<String>, value: impl Into<String>, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|item| go_quote(item)).collect();
        Self::new(
            FieldErrorKind::NotSupported,
            field,
            Some(value.into()),
            format!("supported values: {}", list.join(", ")),
        )
    }

    /// `field: Forbidden: detail`
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// `field: Too long: may not be more than N bytes`
    pub fn too_long(field: impl Into<String>, max_bytes: usize) -> Self {
        Self::new(FieldErrorKind::TooLong, field, None, format!("may not be more than {max_bytes} bytes"))
    }

    /// `field: Duplicate value: "value"`
    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self::new(FieldErrorKind::Duplicate, field, Some(go_quote(value)), "")
    }

    /// The text without the field, as in `causes[].message`.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = self.kind.text().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Text quoted as Go's `%q`: double quotes, `\"`, `\\`, `\n`, `\t`, `\r`, other control characters as `\x00`/`\u0000`.
#[must_use]
pub fn go_quote(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_in_kubernetes() {
        assert_eq!(FieldError::required("data[tls.crt]", "").to_string(), "data[tls.crt]: Required value");
        assert_eq!(
            FieldError::invalid("type", "Opaque", "field is immutable").to_string(),
            "type: Invalid value: \"Opaque\": field is immutable"
        );
        assert_eq!(
            FieldError::not_supported("x", "Foo", &["Exact", "NotOlderThan", ""]).to_string(),
            "x: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\""
        );
        assert_eq!(
            FieldError::too_long("data", 1_048_576).to_string(),
            "data: Too long: may not be more than 1048576 bytes"
        );
    }
}
