//! Does a configuration have the shape of its kind? What structured-merge-diff calls creating a typed object.
//!
//! Kubernetes prints the offending value (`expected map, got &{…}`); here only its JSON type is named, because it may
//! be a secret.

use std::collections::BTreeSet;

use serde_json::Value;

use super::path::Element;
use super::shape::{Place, Shape};
use crate::model::field_error::go_quote;
use crate::model::schema::{ListKind, Message, Type};

/// Problems reported at most.
const MAX_PROBLEMS: usize = 64;

/// Every problem, `path: text`, in the configuration's own order.
pub(super) fn problems(message: &Message, config: &Value) -> Vec<String> {
    let mut check = Check { path: String::new(), problems: Vec::new() };
    check.message(message, Place::Root, config);
    check.problems
}

/// Joins problems as Go prints its `ValidationErrors`.
pub(super) fn join(problems: &[String]) -> String {
    if let [only] = problems {
        return only.clone();
    }
    let mut text = String::from("errors:");
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(problem);
    }
    text
}

struct Check {
    path: String,
    problems: Vec<String>,
}

impl Check {
    fn report(&mut self, text: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(if self.path.is_empty() { text.to_owned() } else { format!("{}: {text}", self.path) });
        }
    }

    fn expected(&mut self, what: &str, got: &Value) {
        self.report(&format!("expected {what}, got {}", json_type(got)));
    }

    fn below(&mut self, element: &Element, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        element.push_text(&mut self.path);
        check(self);
        self.path.truncate(length);
    }

    fn message(&mut self, message: &Message, place: Place, value: &Value) {
        let Value::Object(fields) = value else {
            if !value.is_null() {
                self.expected("map", value);
            }
            return;
        };
        for (name, value) in fields {
            if self.problems.len() >= MAX_PROBLEMS {
                return;
            }
            self.below(&Element::field(name), |check| match message.field(name) {
                Some(field) => check.value(field.ty, place.below(name), value),
                None if place == Place::Root && place.is_untracked(name) => check.value(Type::String, place, value),
                None => check.report("field not declared in schema"),
            });
        }
    }

    fn value(&mut self, ty: Type, place: Place, value: &Value) {
        if value.is_null() {
            return;
        }
        match ty {
            Type::String | Type::Bytes | Type::Time | Type::MicroTime if !value.is_string() => {
                self.expected("string", value);
            }
            Type::Bool if !value.is_boolean() => self.expected("boolean", value),
            Type::Int32 | Type::Int64 if !value.is_number() => self.expected("numeric (int or float)", value),
            Type::FieldsV1 if !value.is_object() => self.expected("map", value),
            Type::String
            | Type::Bytes
            | Type::Time
            | Type::MicroTime
            | Type::Bool
            | Type::Int32
            | Type::Int64
            | Type::FieldsV1 => {}
            Type::MapOfString | Type::MapOfBytes => self.map(Type::String, value),
            Type::MapOfStrings => self.map(Type::Strings(ListKind::Atomic), value),
            Type::Message(message) => self.message(message, place, value),
            Type::Strings(_) => self.list(ty, Type::String, value),
            Type::Messages(message, _) => self.list(ty, Type::Message(message), value),
        }
    }

    fn map(&mut self, of: Type, value: &Value) {
        let Value::Object(entries) = value else { return self.expected("map", value) };
        for (key, value) in entries {
            // The path is built for problems only: a map may be large.
            if matches!(of, Type::String) && (value.is_string() || value.is_null()) {
                continue;
            }
            if self.problems.len() >= MAX_PROBLEMS {
                return;
            }
            self.below(&Element::field(key), |check| check.value(of, Place::Inner, value));
        }
    }

    fn list(&mut self, list: Type, of: Type, value: &Value) {
        let Value::Array(items) = value else { return self.expected("list", value) };
        let shape = Shape::of(list);
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if self.problems.len() >= MAX_PROBLEMS {
                return;
            }
            let element = match shape {
                Shape::Set | Shape::Keyed(..) => {
                    if let Some(problem) = unidentified(shape, item) {
                        return self.report(&format!("element {index}: {problem}"));
                    }
                    let element = shape.element(item);
                    if !seen.insert(element.clone()) {
                        let mut text = String::from("duplicate entries for key ");
                        element.push_text(&mut text);
                        self.report(&text);
                    }
                    element
                }
                _ => Element::Index(i64::try_from(index).unwrap_or(i64::MAX)),
            };
            self.below(&element, |check| check.value(of, Place::Inner, item));
        }
    }
}

/// Why an item cannot be told apart from the others.
fn unidentified(shape: Shape, item: &Value) -> Option<String> {
    match (shape, item) {
        (Shape::Keyed(_, keys), Value::Object(fields)) => keys.iter().find(|key| !fields.contains_key(**key)).map(|key| {
            format!(
                "associative list with keys has an element that omits key field {} (and doesn't have default value)",
                go_quote(key)
            )
        }),
        (Shape::Keyed(..), Value::Null) => Some("associative list with keys may not have a null element".to_owned()),
        (Shape::Keyed(..), _) => Some("associative list with keys may not have non-map elements".to_owned()),
        (_, Value::Null) => {
            Some("associative list without keys has an element that's an explicit null".to_owned())
        }
        (_, Value::Array(_)) => Some("not supported: associative list with lists as elements".to_owned()),
        (_, Value::Object(_)) => {
            Some("associative list without keys has an element that's a map type".to_owned())
        }
        _ => None,
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}
