//! Fields of a manifest, with Kubernetes' types: what has another type is named by its path.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::deliver::fetch::decode;
use crate::sensitive::SecretBytes;

/// A field, by its path, and what it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    path: String,
    problem: &'static str,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// A value, and where it is. A missing one is null.
#[derive(Clone)]
pub struct At<'a> {
    value: &'a Value,
    path: String,
}

const NULL: &Value = &Value::Null;

impl<'a> At<'a> {
    /// The object itself.
    pub fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// At a JSON pointer, which need not lead anywhere.
    pub fn pointer(value: &'a Value, pointer: &str) -> Self {
        Self { value: value.pointer(pointer).unwrap_or(NULL), path: pointer.trim_start_matches('/').replace('/', ".") }
    }

    /// What is wrong here.
    pub fn wrong(&self, problem: &'static str) -> FieldError {
        FieldError { path: self.path.clone(), problem }
    }

    /// Whether there is nothing.
    pub fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// A field of an object.
    pub fn field(&self, name: &str) -> Result<Self, FieldError> {
        let value = match self.value {
            Value::Null => NULL,
            Value::Object(fields) => fields.get(name).unwrap_or(NULL),
            _ => return Err(self.wrong("must be an object")),
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        Ok(Self { value, path: format!("{}{dot}{name}", self.path) })
    }

    /// The names of the fields that are set.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// The items of a list.
    pub fn list(&self, name: &str) -> Result<Vec<Self>, FieldError> {
        let at = self.field(name)?;
        match at.value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => {
                let item = |(index, value)| Self { value, path: format!("{}[{index}]", at.path) };
                Ok(items.iter().enumerate().map(item).collect())
            }
            _ => Err(at.wrong("must be a list")),
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        let at = self.field(name)?;
        match at.value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(at.wrong("must be a text: put it in quotes")),
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, name: &str) -> Result<&'a str, FieldError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.field(name)?.wrong("is required")),
        }
    }

    /// A switch.
    pub fn switch(&self, name: &str) -> Result<bool, FieldError> {
        let at = self.field(name)?;
        match at.value {
            Value::Null => Ok(false),
            Value::Bool(value) => Ok(*value),
            _ => Err(at.wrong("must be true or false")),
        }
    }

    /// A file mode: a number, which YAML can write in octal (`0400`) and JSON in decimal (256) only.
    pub fn mode(&self, name: &str, max: u32) -> Result<Option<u32>, FieldError> {
        let at = self.field(name)?;
        match at.value {
            Value::Null => Ok(None),
            Value::Number(number) => {
                let mode = number.as_u64().and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode <= max);
                mode.map(Some).ok_or_else(|| at.wrong("must be a number between 0 and 0777 (octal), both inclusive"))
            }
            _ => Err(at.wrong("must be a number, without quotes")),
        }
    }

    /// A map of texts, as secrets.
    pub fn texts(&self, name: &str) -> Result<BTreeMap<String, SecretBytes>, FieldError> {
        self.map(name, "must be a text: put it in quotes", |value| match value {
            Value::Null => Some(SecretBytes::new(Vec::new())),
            Value::String(text) => Some(SecretBytes::new(text.clone().into_bytes())),
            _ => None,
        })
    }

    /// A map of bytes in base64, as secrets.
    pub fn base64_texts(&self, name: &str) -> Result<BTreeMap<String, SecretBytes>, FieldError> {
        self.map(name, "must be base64", decode)
    }

    fn map(
        &self,
        name: &str,
        problem: &'static str,
        read: impl Fn(&Value) -> Option<SecretBytes>,
    ) -> Result<BTreeMap<String, SecretBytes>, FieldError> {
        let at = self.field(name)?;
        let mut map = BTreeMap::new();
        match at.value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, value) in fields {
                    map.insert(
                        key.clone(),
                        read(value).ok_or_else(|| at.field(key).map_or_else(|e| e, |f| f.wrong(problem)))?,
                    );
                }
            }
            _ => return Err(at.wrong("must be an object")),
        }
        Ok(map)
    }
}
