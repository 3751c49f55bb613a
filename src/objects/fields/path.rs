//! One step of a field path: a struct field or map key, a list-map item, a set item.
//!
//! The order is structured-merge-diff's, so that sorted sets serialise as Kubernetes writes them.

use serde_json::{Map, Value};

use crate::model::field_error::go_quote;

/// A step from a value into one of its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// `f:name`: a field of a struct, or a key of a map (any text).
    Field(String),
    /// `k:{"uid":"…"}`: the item of a list-map with these keys, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// `v:"…"`: the item of a set.
    Item(Scalar),
    /// `i:0`: a position. Nothing here makes these; they are kept as read.
    Index(i64),
}

/// A value that identifies an item of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// Anything else, as compact JSON.
    Other(String),
}

impl Scalar {
    /// The identity of a JSON value.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(flag) => Self::Bool(*flag),
            other => other.as_i64().map_or_else(|| Self::Other(other.to_string()), Self::Int),
        }
    }

    fn push_json(&self, out: &mut String) {
        match self {
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Text(text) => push_json_text(text, out),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Other(json) => out.push_str(json),
        }
    }

    /// As Kubernetes prints it in paths: text quoted as Go's `%q`.
    fn push_text(&self, out: &mut String) {
        if let Self::Text(text) = self { out.push_str(&go_quote(text)) } else { self.push_json(out) }
    }
}

/// What a key of FieldsV1 turned out to be.
pub(super) enum Parsed {
    /// A step.
    Element(Element),
    /// A kind of step that a later version may know: left out.
    Unknown,
    /// Not FieldsV1.
    Malformed,
}

impl Element {
    /// The field of this name.
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// The item of a list-map by its key fields. Absent ones count as null: validation is elsewhere.
    pub(super) fn keyed(item: &Value, keys: &[&str]) -> Self {
        let mut pairs: Vec<(String, Scalar)> =
            keys.iter().map(|key| ((*key).to_owned(), Scalar::of(item.get(*key).unwrap_or(&Value::Null)))).collect();
        pairs.sort_unstable();
        Self::Key(pairs)
    }

    /// A key of FieldsV1.
    pub(super) fn to_key(&self) -> String {
        match self {
            Self::Field(name) => {
                let mut out = String::with_capacity(name.len() + 2);
                out.push_str("f:");
                out.push_str(name);
                out
            }
            Self::Key(pairs) => {
                let mut out = String::from("k:{");
                for (index, (name, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_json_text(name, &mut out);
                    out.push(':');
                    value.push_json(&mut out);
                }
                out.push('}');
                out
            }
            Self::Item(value) => {
                let mut out = String::from("v:");
                value.push_json(&mut out);
                out
            }
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a key of FieldsV1 (other than `.`).
    pub(super) fn from_key(key: &str) -> Parsed {
        let Some((prefix, rest)) = key.split_once(':') else { return Parsed::Malformed };
        let element = match prefix {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => serde_json::from_str::<Map<String, Value>>(rest).ok().map(|map| {
                let mut pairs: Vec<_> = map.iter().map(|(name, value)| (name.clone(), Scalar::of(value))).collect();
                pairs.sort_unstable();
                Self::Key(pairs)
            }),
            "v" => serde_json::from_str::<Value>(rest).ok().map(|value| Self::Item(Scalar::of(&value))),
            "i" => rest.parse().ok().map(Self::Index),
            other if other.len() == 1 => return Parsed::Unknown,
            _ => None,
        };
        element.map_or(Parsed::Malformed, Parsed::Element)
    }

    /// Appends the step as it appears in messages: `.name`, `[uid="u-1"]`, `[="x.com/f"]`, `[0]`.
    pub(super) fn push_text(&self, out: &mut String) {
        match self {
            Self::Field(name) => {
                out.push('.');
                out.push_str(name);
            }
            Self::Key(pairs) => {
                out.push('[');
                for (index, (name, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(name);
                    out.push('=');
                    value.push_text(out);
                }
                out.push(']');
            }
            Self::Item(value) => {
                out.push_str("[=");
                value.push_text(out);
                out.push(']');
            }
            Self::Index(index) => {
                out.push('[');
                out.push_str(&index.to_string());
                out.push(']');
            }
        }
    }
}

fn push_json_text(text: &str, out: &mut String) {
    // Writing text as JSON cannot fail; `Value`'s Display is the infallible spelling of it.
    out.push_str(&Value::from(text).to_string());
}
