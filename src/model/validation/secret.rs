//! The rules of a Secret: keys, size, the contents its type promises, and what `immutable` freezes.
//!
//! Works on the base64 text of `data`; only a registry credential is decoded, into a buffer that is wiped.
//! No text ever carries a value. Two texts of Go's JSON decoder name the one character it stumbled over, as in
//! Kubernetes; where Go would quote a whole number, the number is left out.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{is_full, map, meta, names, text};
use crate::model::field_error::{FieldError, go_quote};

/// Bytes that all values of a Secret may take together, decoded; keys are not counted.
pub const DATA_MAX_BYTES: usize = 1024 * 1024;

const REDACTED: &str = "<secret contents redacted>";
const IMMUTABLE: &str = "field is immutable when `immutable` is set";
/// The type of Secrets that hold a service account's token.
pub const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
/// Annotation of such a Secret: the name of the service account.
pub const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
/// Annotation of such a Secret: the uid of the service account.
pub const SERVICE_ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// Nesting that Go's JSON scanner accepts.
const JSON_MAX_DEPTH: usize = 10_000;

/// Keys, size and the promise of the type.
pub fn create(object: &Value, errors: &mut Vec<FieldError>) {
    let data = map(object, "data");
    let mut total_bytes = 0_usize;
    for (key, value) in data.into_iter().flatten() {
        total_bytes = total_bytes.saturating_add(decoded_len(value.as_str().unwrap_or_default()));
        let problems = names::secret_key(key);
        if !problems.is_empty() && !is_full(errors) {
            super::invalid_each(&format!("data[{key}]"), key, problems, errors);
        }
    }
    if total_bytes > DATA_MAX_BYTES {
        errors.push(FieldError::too_long("data", DATA_MAX_BYTES));
    }
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.as_str().unwrap_or_default());
    let mut require = |key: &str| errors.push(FieldError::required(format!("data[{key}]"), ""));
    match text(object, "type") {
        SERVICE_ACCOUNT_TOKEN => {
            let annotations = meta(object).get("annotations").unwrap_or(&Value::Null);
            if text(annotations, SERVICE_ACCOUNT_NAME).is_empty() {
                let field = format!("metadata.annotations[{SERVICE_ACCOUNT_NAME}]");
                errors.push(FieldError::required(field, ""));
            }
        }
        "kubernetes.io/dockercfg" => json_object(".dockercfg", value(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => json_object(".dockerconfigjson", value(".dockerconfigjson"), errors),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            require("username");
            require("password");
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").unwrap_or_default().is_empty() => {
            require("ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if value(key).is_none() {
                    require(key);
                }
            }
        }
        _ => {}
    }
}

/// The type never changes; an immutable Secret changes in its metadata only.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if text(new, "type") != text(old, "type") {
        errors.push(FieldError::invalid("type", text(new, "type"), "field is immutable"));
    }
    let is_immutable = |secret: &Value| secret.get("immutable") == Some(&Value::Bool(true));
    if is_immutable(old) {
        if !is_immutable(new) {
            errors.push(FieldError::forbidden("immutable", IMMUTABLE));
        }
        if !same_data(new, old) {
            errors.push(FieldError::forbidden("data", IMMUTABLE));
        }
    }
}

/// Bytes that a canonical base64 text decodes to.
pub fn decoded_len(base64: &str) -> usize {
    let padding = base64.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Whether both hold the same keys and values. No data and empty data are the same, and so are an empty value
/// and an absent text.
fn same_data(new: &Value, old: &Value) -> bool {
    let entries = |secret| -> HashMap<&str, &str> { super::texts(secret, "data").collect() };
    entries(new) == entries(old)
}

/// A registry credential must be present and a JSON object.
fn json_object(key: &str, base64: Option<&str>, errors: &mut Vec<FieldError>) {
    let field = || format!("data[{key}]");
    let Some(base64) = base64 else {
        errors.push(FieldError::required(field(), ""));
        return;
    };
    let mut decoded = Zeroizing::new(Vec::with_capacity(decoded_len(base64) + 3));
    // Text that is no base64 was refused when the document was read; here it counts as empty.
    let _ = STANDARD.decode_vec(base64, &mut decoded);
    if let Err(detail) = Scanner::check_object(&decoded) {
        errors.push(FieldError::invalid(field(), REDACTED, detail));
    }
}

/// Why a JSON text is refused.
#[derive(Debug)]
enum Refusal {
    /// It ends too early.
    End,
    /// A byte that may not stand here.
    Byte(u8, &'static str),
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Self::End => "unexpected end of JSON input".to_owned(),
            Self::Byte(b'\'', context) => format!("invalid character '\\'' {context}"),
            Self::Byte(b'"', context) => format!("invalid character '\"' {context}"),
            Self::Byte(byte, context) => {
                let quoted = go_quote(char::from(*byte).encode_utf8(&mut [0; 4]));
                format!("invalid character '{}' {context}", quoted.trim_matches('"'))
            }
        }
    }
}

/// Where in a container the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    Array,
}

/// Go's JSON scanner as far as its complaints go: same order, same words. It keeps nothing of what it reads and
/// never recurses.
struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
    open: Vec<Inside>,
    number_overflows: bool,
}

impl<'a> Scanner<'a> {
    /// Nothing when Go's decoder would read `bytes` into a `map[string]interface{}`.
    fn check_object(bytes: &'a [u8]) -> Result<(), String> {
        let mut scanner = Self { bytes, position: 0, open: Vec::new(), number_overflows: false };
        scanner.document().map_err(|refusal| refusal.text())?;
        let kind = match bytes.iter().copied().find(|byte| !is_space(*byte)) {
            Some(b'{') if scanner.number_overflows => {
                return Err("json: cannot unmarshal number into Go value of type float64".to_owned());
            }
            None | Some(b'{' | b'n') => return Ok(()),
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            Some(_) => "number",
        };
        Err(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
    }

    fn document(&mut self) -> Result<(), Refusal> {
        let mut byte = self.significant()?;
        loop {
            // `byte` begins a value.
            match byte {
                b'{' => {
                    self.enter(Inside::Object, byte)?;
                    byte = self.significant()?;
                    if byte != b'}' {
                        byte = self.key(byte)?;
                        continue;
                    }
                    self.open.pop();
                }
                b'[' => {
                    self.enter(Inside::Array, byte)?;
                    byte = self.significant()?;
                    if byte != b']' {
                        continue;
                    }
                    self.open.pop();
                }
                b'"' => self.string()?,
                b't' => self.literal(b"rue", &LITERAL_TRUE)?,
                b'f' => self.literal(b"alse", &LITERAL_FALSE)?,
                b'n' => self.literal(b"ull", &LITERAL_NULL)?,
                b'-' | b'0'..=b'9' => self.number(byte)?,
                other => return Err(Refusal::Byte(other, "looking for beginning of value")),
            }
            // A value has ended; so may the containers around it.
            loop {
                let Some(inside) = self.open.last().copied() else {
                    return match self.significant() {
                        Ok(other) => Err(Refusal::Byte(other, "after top-level value")),
                        Err(_) => Ok(()),
                    };
                };
                byte = self.significant()?;
                match (inside, byte) {
                    (Inside::Object, b'}') | (Inside::Array, b']') => {
                        self.open.pop();
                    }
                    (Inside::Object, b',') => {
                        byte = self.significant()?;
                        byte = self.key(byte)?;
                        break;
                    }
                    (Inside::Array, b',') => {
                        byte = self.significant()?;
                        break;
                    }
                    (Inside::Object, other) => return Err(Refusal::Byte(other, "after object key:value pair")),
                    (Inside::Array, other) => return Err(Refusal::Byte(other, "after array element")),
                }
            }
        }
    }

    /// A key that begins with `byte`, its colon, and the first byte of its value.
    fn key(&mut self, byte: u8) -> Result<u8, Refusal> {
        if byte != b'"' {
            return Err(Refusal::Byte(byte, "looking for beginning of object key string"));
        }
        self.string()?;
        match self.significant()? {
            b':' => self.significant(),
            other => Err(Refusal::Byte(other, "after object key")),
        }
    }

    fn enter(&mut self, inside: Inside, byte: u8) -> Result<(), Refusal> {
        self.open.push(inside);
        if self.open.len() > JSON_MAX_DEPTH { Err(Refusal::Byte(byte, "exceeded max depth")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), Refusal> {
        const HEX: &str = "in \\u hexadecimal character escape";
        loop {
            match self.next().ok_or(Refusal::End)? {
                b'"' => return Ok(()),
                b'\\' => match self.next_or_space() {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next_or_space();
                            if !byte.is_ascii_hexdigit() {
                                return Err(Refusal::Byte(byte, HEX));
                            }
                        }
                    }
                    other => return Err(Refusal::Byte(other, "in string escape code")),
                },
                control @ 0..0x20 => return Err(Refusal::Byte(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, rest: &[u8], contexts: &[&'static str]) -> Result<(), Refusal> {
        for (expected, context) in rest.iter().zip(contexts) {
            let byte = self.next_or_space();
            if byte != *expected {
                return Err(Refusal::Byte(byte, context));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), Refusal> {
        let start = self.position - 1;
        let leading = if first == b'-' { self.next_or_space() } else { first };
        match leading {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            other => return Err(Refusal::Byte(other, "in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        let literal = self.bytes.get(start..self.position).and_then(|bytes| std::str::from_utf8(bytes).ok());
        if literal.and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_infinite) {
            self.number_overflows = true;
        }
        Ok(())
    }

    fn some_digits(&mut self, context: &'static str) -> Result<(), Refusal> {
        match self.next_or_space() {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            other => Err(Refusal::Byte(other, context)),
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
    }

    /// The next byte that is not white space.
    fn significant(&mut self) -> Result<u8, Refusal> {
        while let Some(byte) = self.next() {
            if !is_space(byte) {
                return Ok(byte);
            }
        }
        Err(Refusal::End)
    }

    /// Go's scanner meets a space at the end of its input, and complains of it where none may stand.
    fn next_or_space(&mut self) -> u8 {
        self.next().unwrap_or(b' ')
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }
}

const LITERAL_TRUE: [&str; 3] =
    ["in literal true (expecting 'r')", "in literal true (expecting 'u')", "in literal true (expecting 'e')"];
const LITERAL_FALSE: [&str; 4] = [
    "in literal false (expecting 'a')",
    "in literal false (expecting 'l')",
    "in literal false (expecting 's')",
    "in literal false (expecting 'e')",
];
const LITERAL_NULL: [&str; 3] =
    ["in literal null (expecting 'u')", "in literal null (expecting 'l')", "in literal null (expecting 'l')"];

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
