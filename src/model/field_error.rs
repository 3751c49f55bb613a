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

    /// `field: Too many: ACTUAL: must have at most MAX items`
    pub fn too_many(field: impl Into<String>, actual: usize, max: usize) -> Self {
        Self::too_many_of(field, actual, format!("must have at most {max} items"))
    }

    /// `field: Too many: ACTUAL: detail`, where not simply the items of the field are counted.
    pub fn too_many_of(field: impl Into<String>, actual: usize, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::TooMany, field, Some(actual.to_string()), detail)
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

/// Text quoted as Go's `%q`: double quotes, `\"`, `\\`, `\n` and its like, and what cannot be printed as `\x00`,
/// `\u0000` or `\U00000000`.
#[must_use]
pub fn go_quote(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            _ => {
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// A list of text as Go's `%#v` prints a `[]string`.
pub fn go_strings<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = items.map(go_quote).collect();
    format!("[]string{{{}}}", quoted.join(", "))
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
#[must_use]
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // The standard library knows what is printable but shows it only when escaping; behind another letter a
    // combining mark is left as it is.
    let mut buffer = [b'a', 0, 0, 0, 0];
    let end = 1 + c.len_utf8();
    if let Some(tail) = buffer.get_mut(1..end) {
        c.encode_utf8(tail);
    }
    let text = buffer.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.is_some_and(|text| text.escape_debug().nth(1) == Some(c))
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

    #[test]
    fn too_many_names_the_number() {
        assert_eq!(
            FieldError::too_many("metadata", 3, 2).to_string(),
            "metadata: Too many: 3: must have at most 2 items"
        );
    }

    #[test]
    fn quoting_is_go_s() {
        let text = "a\u{0}b\u{7}\u{8}\u{c}\u{b}\u{7f}\n\r\t\"\\";
        assert_eq!(go_quote(text), r#""a\x00b\a\b\f\v\x7f\n\r\t\"\\""#);
        assert_eq!(
            go_quote("é\u{a0}\u{200b}😀\u{e0001}e\u{301}\u{fffd}"),
            "\"é\\u00a0\\u200b😀\\U000e0001e\u{301}\u{fffd}\""
        );
        assert_eq!(go_strings(["a", "b\""].into_iter()), r#"[]string{"a", "b\""}"#);
    }
}
