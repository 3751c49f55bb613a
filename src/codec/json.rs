//! JSON as Kubernetes reads and writes it.
//!
//! Reading: the last of several equal keys wins and is reported; depth and number of values are bounded.
//! Writing: byte for byte what Go's `encoding/json` writes. Errors never quote the body.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    go_text,
    report::{MAX_NODES, ParseError, Place, Reports, Syntax},
    text::Text,
};

/// A body that is JSON.
pub struct Parsed {
    /// The document; of equal keys, the last one's value at the first one's position.
    pub value: Value,
    /// Paths of keys that were set more than once, in document order: `data`, `data.x`,
    /// `metadata.ownerReferences[0].name`. At most 100.
    pub duplicates: Vec<String>,
}

/// Reads one JSON value; nothing but white space may follow it.
pub fn parse(body: &[u8]) -> Result<Parsed, ParseError> {
    let mut walk = Walk { nodes: 0, duplicates: Reports::default(), refusal: None };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Node { walk: &mut walk, at: None }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(Parsed { value, duplicates: walk.duplicates.into_paths() }),
        Err(error) => Err(ParseError {
            class: walk.refusal.unwrap_or_else(|| class(&error)),
            line: error.line(),
            column: error.column(),
            syntax: Syntax::Json,
        }),
    }
}

/// Compact JSON, without a line break at the end (Kubernetes' encoder adds one).
#[must_use]
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write(&mut out, value, None);
    out.into_bytes()
}

/// JSON indented by two spaces, as `?pretty=true` shows it; without a line break at the end.
#[must_use]
pub fn to_pretty(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write(&mut out, value, Some(Indent { column: 0, step: 2 }));
    out.into_bytes()
}

/// JSON indented by `step` spaces a level, appended to `out`, whose last line is indented by `column`; without a line
/// break at the end.
pub fn write_pretty(out: &mut impl Text, value: &Value, step: usize, column: usize) {
    write(out, value, Some(Indent { column, step }));
}

/// Where the closing bracket of a value stands, and how much further right what is inside.
#[derive(Clone, Copy)]
struct Indent {
    column: usize,
    step: usize,
}

/// Go's sentence for a syntax error, less the character it quotes.
fn class(error: &serde_json::Error) -> &'static str {
    const CLASSES: [(&str, &str); 16] = [
        ("recursion limit exceeded", "exceeded max depth"),
        ("expected value", "invalid character looking for beginning of value"),
        ("expected ident", "invalid character in literal"),
        ("trailing characters", "invalid character after top-level value"),
        ("trailing comma", "invalid character after comma"),
        ("key must be a string", "invalid character looking for beginning of object key string"),
        ("expected `:`", "invalid character after object key"),
        ("expected `,` or `}`", "invalid character after object key:value pair"),
        ("expected `,` or `]`", "invalid character after array element"),
        ("control character", "invalid character in string literal"),
        ("invalid escape", "invalid character in string escape code"),
        ("lone leading surrogate", "invalid character in string escape code"),
        ("unexpected end of hex escape", "invalid character in string escape code"),
        ("invalid unicode code point", "invalid UTF-8 in string literal"),
        ("invalid number", "invalid character in numeric literal"),
        ("number out of range", "number out of range"),
    ];
    if error.is_eof() {
        return "unexpected end of JSON input";
    }
    // The text only picks a class and is dropped here.
    let text = error.to_string();
    CLASSES.iter().find(|(start, _)| text.starts_with(start)).map_or("invalid JSON", |(_, class)| class)
}

struct Walk {
    nodes: usize,
    duplicates: Reports,
    /// Set when it was us who stopped the deserializer.
    refusal: Option<&'static str>,
}

/// The value at one place of the document.
struct Node<'a> {
    walk: &'a mut Walk,
    at: Option<&'a Place<'a>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.walk.nodes += 1;
        if self.walk.nodes > MAX_NODES {
            self.walk.refusal = Some("too many values");
            return Err(D::Error::custom("refused"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // `-0` is a whole number to Go and a fraction to serde_json.
        Ok(if value == 0.0 { 0.into() } else { Number::from_f64(value).map_or(Value::Null, Value::Number) })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::index(self.at, list.len());
            match elements.next_element_seed(Node { walk: self.walk, at: Some(&place) })? {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let place = Place::field(self.at, &key);
            if map.contains_key(&key) {
                self.walk.duplicates.record(&place);
            }
            let value = entries.next_value_seed(Node { walk: self.walk, at: Some(&place) })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Writes `value`, in one line if there is no `indent`.
fn write(out: &mut impl Text, value: &Value, indent: Option<Indent>) {
    let inner = indent.map(|Indent { column, step }| Indent { column: column + step, step });
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(list) if list.is_empty() => out.push_str("[]"),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(list) => {
            out.push('[');
            for (index, element) in list.iter().enumerate() {
                separate(out, index, inner);
                write(out, element, inner);
            }
            break_line(out, indent);
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, entry)) in map.iter().enumerate() {
                separate(out, index, inner);
                write_string(out, key);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write(out, entry, inner);
            }
            break_line(out, indent);
            out.push('}');
        }
    }
}

fn separate(out: &mut impl Text, index: usize, indent: Option<Indent>) {
    if index > 0 {
        out.push(',');
    }
    break_line(out, indent);
}

fn break_line(out: &mut impl Text, indent: Option<Indent>) {
    if let Some(Indent { column, .. }) = indent {
        out.push('\n');
        (0..column).for_each(|_| out.push(' '));
    }
}

fn write_number(out: &mut impl Text, number: &Number) {
    match number.as_f64() {
        Some(float) if number.is_f64() => out.push_str(&go_text::json_float(float)),
        _ => out.push_str(&number.to_string()),
    }
}

fn write_string(out: &mut impl Text, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut rest = text;
    // Everything up to the next character that Go escapes is copied in one piece.
    while let Some(at) =
        rest.find(|c: char| c < ' ' || matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'))
    {
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = escaped.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let nibble = (u32::from(c) >> shift) & 0xf;
                    out.push(HEX.get(nibble as usize).map_or('0', |&digit| char::from(digit)));
                }
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
pub(super) mod tests;
