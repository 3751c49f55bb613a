//! Checks a document against the shape of its kind and brings it into one form, as decoding into Go's
//! structs would.
//!
//! Unknown fields are reported and removed; wrong types are errors in Go's words. No error holds a value:
//! where Go quotes a number or a time, these texts leave it out.

use std::{borrow::Cow, fmt};

use serde_json::{Map, Value};

use super::{
    go_text,
    report::{Place, Reports},
};
use crate::model::{
    field_error::go_quote,
    schema::{Field, Message, Type},
};

/// What a document that fits its shape had besides.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Paths of fields that the kind does not have, in document order: `metadata.foo`, `rules[0].bar`.
    /// At most 100.
    pub unknown: Vec<String>,
}

/// Why a document does not fit its shape. `Display` is the decoder's sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeError {
    /// A JSON value of the wrong type.
    Mismatch {
        /// What was found: `string`, `number`, `bool`, `array`, `object`.
        found: &'static str,
        /// Go struct and path of the field: `ObjectMeta.metadata.labels`; `None` for the document itself.
        field: Option<String>,
        /// Go type that was wanted: `map[string]string`.
        wanted: String,
    },
    /// Text that is not standard base64, by the offset of the first bad byte in it.
    Base64 {
        /// Offset in bytes.
        offset: usize,
    },
    /// Text that is not a time of RFC 3339.
    Time,
    /// Text that is not one with microseconds.
    MicroTime,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { found, field: Some(field), wanted } => {
                write!(f, "json: cannot unmarshal {found} into Go struct field {field} of type {wanted}")
            }
            Self::Mismatch { found, field: None, wanted } => {
                write!(f, "json: cannot unmarshal {found} into Go value of type {wanted}")
            }
            Self::Base64 { offset } => write!(f, "illegal base64 data at input byte {offset}"),
            Self::Time => f.write_str("parsing time as \"2006-01-02T15:04:05Z07:00\": cannot parse the value"),
            Self::MicroTime => {
                f.write_str("parsing time as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse the value")
            }
        }
    }
}

impl std::error::Error for TypeError {}

/// Checks and normalises a document of the kind `message`.
///
/// Afterwards it has no unknown fields and no nulls: a null field is absent, a null entry of a map is empty
/// (of `stringData`: absent), a null element of a list is the type's zero value. Base64 is canonical, times
/// are in UTC and whole seconds. `apiVersion` and `kind` of the document itself are left alone.
pub fn check(message: &'static Message, value: &mut Value) -> Result<Checked, TypeError> {
    let mut check = Check { unknown: Reports::default(), first: None };
    match value {
        Value::Object(map) => check.message(message, map, None)?,
        other => {
            let wanted = message.component.rsplitn(3, '.').take(2).collect::<Vec<_>>();
            let wanted = wanted.into_iter().rev().collect::<Vec<_>>().join(".");
            return Err(TypeError::Mismatch { found: go_type(other), field: None, wanted });
        }
    }
    match check.first {
        Some(error) => Err(error),
        None => Ok(Checked { unknown: check.unknown.into_paths() }),
    }
}

/// What strict decoding complains about: `duplicate field "data.x"`, `unknown field "bar"`.
///
/// `duplicates` are the paths that [`crate::codec::json::parse`] found; those inside unknown fields do not
/// count, because Go does not look into them.
#[must_use]
pub fn problems(duplicates: &[String], checked: &Checked) -> Vec<String> {
    let is_inside = |path: &str, outer: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let duplicates = duplicates
        .iter()
        .filter(|path| !checked.unknown.iter().any(|unknown| is_inside(path, unknown)))
        .map(|path| format!("duplicate field {}", go_quote(path)));
    let unknown = checked.unknown.iter().map(|path| format!("unknown field {}", go_quote(path)));
    duplicates.chain(unknown).collect()
}

/// Base64 text in its canonical form, or the offset of the first bad byte as Go counts it.
pub fn canonical_base64(text: &str) -> Result<Cow<'_, str>, TypeError> {
    go_text::canonical_base64(text).map_err(|offset| TypeError::Base64 { offset })
}

/// Number of bytes that canonical base64 text stands for.
#[must_use]
pub fn base64_len(canonical: &str) -> usize {
    go_text::base64_len(canonical)
}

/// Go's word for a JSON type, as its decoding errors spell it.
#[must_use]
pub fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A field and where it is.
#[derive(Clone, Copy)]
struct Spot<'a> {
    /// The struct that has the field.
    owner: &'static str,
    /// The field, or an element of it.
    at: &'a Place<'a>,
}

impl Spot<'_> {
    fn mismatch(&self, value: &Value, wanted: &str) -> TypeError {
        TypeError::Mismatch {
            found: go_type(value),
            field: Some(format!("{}.{}", self.owner, self.at.fields())),
            wanted: wanted.to_owned(),
        }
    }
}

struct Check {
    unknown: Reports,
    /// Go reports the first mismatch, but only after it has read everything.
    first: Option<TypeError>,
}

impl Check {
    fn message(
        &mut self,
        message: &'static Message,
        map: &mut Map<String, Value>,
        at: Option<&Place<'_>>,
    ) -> Result<(), TypeError> {
        for (name, value) in std::mem::take(map) {
            let place = Place::field(at, &name);
            let spot = Spot { owner: message.name, at: &place };
            let kept = match message.field(&name) {
                Some(field) => self.field(field, value, spot)?,
                None if at.is_none() && matches!(name.as_str(), "apiVersion" | "kind") => {
                    self.scalar(value, "string", spot, Value::is_string)
                }
                None => {
                    self.unknown.record(&place);
                    None
                }
            };
            if let Some(value) = kept {
                map.insert(name, value);
            }
        }
        Ok(())
    }

    /// The normalised value, or `None` where the field is to be absent. Errors end the whole check, as those
    /// of Go's own unmarshalers do; others are kept in `first`.
    fn field(&mut self, field: &'static Field, value: Value, spot: Spot<'_>) -> Result<Option<Value>, TypeError> {
        let go = field.go.trim_start_matches('*');
        // Of a map the table may give the element's type.
        let entry = go.strip_prefix("map[string]").unwrap_or(go);
        let element = go.strip_prefix("[]").unwrap_or(go);
        if value.is_null() {
            return Ok(None);
        }
        Ok(match field.ty {
            Type::String => self.scalar(value, go, spot, Value::is_string),
            Type::Bool => self.scalar(value, go, spot, Value::is_boolean),
            Type::Int32 => {
                self.scalar(value, go, spot, |value| value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()))
            }
            Type::Int64 => self.scalar(value, go, spot, Value::is_i64),
            Type::Bytes => self.bytes(value, go, spot),
            Type::Time => match value {
                Value::String(text) => go_text::rfc3339_utc(&text).map_err(|()| TypeError::Time)?.map(Value::String),
                // metav1.Time reads a string by its own unmarshaler, hence this type.
                other => return Err(spot.mismatch(&other, "string")),
            },
            Type::MicroTime => match value {
                Value::String(text) => {
                    go_text::rfc3339_micro_utc(&text).map_err(|()| TypeError::MicroTime)?.map(Value::String)
                }
                other => return Err(spot.mismatch(&other, "string")),
            },
            Type::FieldsV1 => self.scalar(value, go, spot, Value::is_object),
            Type::MapOfString => {
                let absent = (field.json != "stringData").then(empty_text);
                self.map(value, entry, spot, |check, value, spot| match value {
                    Value::Null => absent.clone(),
                    value => check.scalar(value, entry, spot, Value::is_string),
                })
            }
            Type::MapOfBytes => self.map(value, entry, spot, |check, value, spot| match value {
                Value::Null => Some(empty_text()),
                value => check.bytes(value, entry, spot),
            }),
            Type::MapOfStrings => self.map(value, entry, spot, |check, value, spot| match value {
                Value::Null => Some(Value::Array(Vec::new())),
                value => check.strings(value, entry, "string", spot),
            }),
            Type::Strings(_) => self.strings(value, go, element, spot),
            Type::Message(message) => match value {
                Value::Object(mut map) => {
                    self.message(message, &mut map, Some(spot.at))?;
                    Some(Value::Object(map))
                }
                other => self.refuse(&other, go, spot),
            },
            Type::Messages(message, _) => match value {
                Value::Array(list) => Some(Value::Array(self.messages(message, list, element, spot)?)),
                other => self.refuse(&other, go, spot),
            },
        })
    }

    fn refuse(&mut self, value: &Value, wanted: &str, spot: Spot<'_>) -> Option<Value> {
        if self.first.is_none() {
            self.first = Some(spot.mismatch(value, wanted));
        }
        None
    }

    /// Keeps a value that fits; a null is absent.
    fn scalar(&mut self, value: Value, wanted: &str, spot: Spot<'_>, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        if value.is_null() {
            None
        } else if fits(&value) {
            Some(value)
        } else {
            self.refuse(&value, wanted, spot)
        }
    }

    fn bytes(&mut self, value: Value, wanted: &str, spot: Spot<'_>) -> Option<Value> {
        let Value::String(text) = value else {
            return self.refuse(&value, wanted, spot);
        };
        match go_text::canonical_base64(&text) {
            Ok(canonical) if canonical == text.as_str() => Some(Value::String(text)),
            Ok(canonical) => Some(Value::String(canonical.into_owned())),
            Err(offset) => {
                self.first.get_or_insert(TypeError::Base64 { offset });
                None
            }
        }
    }

    /// Entries for which `entry` gives nothing are left out.
    fn map(
        &mut self,
        value: Value,
        entry_type: &str,
        spot: Spot<'_>,
        entry: impl Fn(&mut Self, Value, Spot<'_>) -> Option<Value>,
    ) -> Option<Value> {
        let Value::Object(map) = value else {
            return self.refuse(&value, &format!("map[string]{entry_type}"), spot);
        };
        let mut kept = Map::new();
        for (key, value) in map {
            let place = Place::key(spot.at, &key);
            if let Some(value) = entry(self, value, Spot { owner: spot.owner, at: &place }) {
                kept.insert(key, value);
            }
        }
        Some(Value::Object(kept))
    }

    fn strings(&mut self, value: Value, list_type: &str, element_type: &str, spot: Spot<'_>) -> Option<Value> {
        let Value::Array(list) = value else {
            return self.refuse(&value, list_type, spot);
        };
        let kept = list.into_iter().filter_map(|value| match value {
            Value::Null => Some(empty_text()),
            value => self.scalar(value, element_type, spot, Value::is_string),
        });
        Some(kept.collect())
    }

    fn messages(
        &mut self,
        message: &'static Message,
        list: Vec<Value>,
        element_type: &str,
        spot: Spot<'_>,
    ) -> Result<Vec<Value>, TypeError> {
        let mut kept = Vec::with_capacity(list.len());
        for (index, element) in list.into_iter().enumerate() {
            let place = Place::index(Some(spot.at), index);
            match element {
                Value::Null => kept.push(Value::Object(Map::new())),
                Value::Object(mut map) => {
                    self.message(message, &mut map, Some(&place))?;
                    kept.push(Value::Object(map));
                }
                other => kept.extend(self.refuse(&other, element_type, spot)),
            }
        }
        Ok(kept)
    }
}

fn empty_text() -> Value {
    Value::String(String::new())
}

#[cfg(test)]
mod tests;
