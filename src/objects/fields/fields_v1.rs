//! FieldsV1, the JSON form of a set of paths: `{"f:data":{".":{},"f:a":{}}}`.
//!
//! Written sorted, `.` first. Reading is bounded in depth and in the number of paths, whoever sent it.

use serde_json::{Map, Value};

use super::path::{Element, Parsed};
use super::set::FieldSet;

/// Steps in a path. The deepest field of any kind here is five down.
const MAX_DEPTH: usize = 24;

/// The JSON object of a set.
pub(super) fn write(set: &FieldSet) -> Value {
    let mut object = Map::with_capacity(set.children().len() + 1);
    for (element, paths) in set.children() {
        object.insert(element.to_key(), write_node(paths));
    }
    Value::Object(object)
}

/// Reads a set; each key costs one of `budget`. `None` if it is not FieldsV1 or too big.
pub(super) fn read(value: &Value, budget: &mut usize) -> Option<FieldSet> {
    let mut set = read_node(value, MAX_DEPTH, budget)?;
    // The object as a whole is nobody's field.
    set.set_member(false);
    Some(set)
}

fn write_node(set: &FieldSet) -> Value {
    if set.children().is_empty() {
        return Value::Object(Map::new());
    }
    let mut object = Map::with_capacity(set.children().len() + 1);
    if set.is_member() {
        object.insert(".".to_owned(), Value::Object(Map::new()));
    }
    for (element, paths) in set.children() {
        object.insert(element.to_key(), write_node(paths));
    }
    Value::Object(object)
}

fn read_node(value: &Value, depth: usize, budget: &mut usize) -> Option<FieldSet> {
    let mut set = FieldSet::default();
    let empty = Map::new();
    let object = if value.is_null() { &empty } else { value.as_object()? };
    for (key, below) in object {
        *budget = budget.checked_sub(1)?;
        if key == "." {
            set.set_member(true);
            continue;
        }
        match Element::from_key(key) {
            Parsed::Element(element) => set.attach(element, read_node(below, depth.checked_sub(1)?, budget)?),
            Parsed::Unknown => {}
            Parsed::Malformed => return None,
        }
    }
    if set.children().is_empty() {
        set.set_member(true);
    }
    Some(set)
}
