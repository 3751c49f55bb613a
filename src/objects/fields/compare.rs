//! Which fields a configuration sets, and which fields differ between two objects.
//!
//! Values are compared where they lie; only paths are built. The two differ in `.`: comparing reports a map or list
//! that came or went, a configuration owns just what it spells out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Element;
use super::set::FieldSet;
use super::shape::{Place, Shape};
use crate::model::schema::{Field, Message};

/// The paths in which two objects differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Added or modified: what the writer comes to own.
    pub(super) gained: FieldSet,
    /// Removed: what nobody owns any more.
    pub(super) removed: FieldSet,
}

/// Compares two objects as Kubernetes stores them: null, zero and empty values of ordinary fields are absent.
pub(super) fn compare(message: &Message, old: Option<&Value>, new: &Value) -> Difference {
    compare_struct(message, Place::Root, old.and_then(Value::as_object), new.as_object())
}

/// The paths that a configuration sets.
pub(super) fn fields_of(message: &Message, config: &Value) -> FieldSet {
    config.as_object().map_or_else(FieldSet::default, |fields| struct_fields(message, Place::Root, fields))
}

impl Difference {
    fn attach(&mut self, element: impl Fn() -> Element, below: Self) {
        if !below.gained.is_empty() {
            self.gained.attach(element(), below.gained);
        }
        if !below.removed.is_empty() {
            self.removed.attach(element(), below.removed);
        }
    }

    /// The place itself came, went or changed, going by which side has a value.
    fn of_presence(had: bool, has: bool) -> Self {
        let mut difference = Self::default();
        difference.gained.set_member(has && !had);
        difference.removed.set_member(had && !has);
        difference
    }

    fn changed() -> Self {
        Self { gained: FieldSet::leaf(), removed: FieldSet::default() }
    }
}

fn compare_struct(
    message: &Message,
    place: Place,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Difference {
    let mut difference = Difference::default();
    for field in message.fields {
        if place.is_untracked(field.json) {
            continue;
        }
        let before = old.and_then(|fields| fields.get(field.json));
        let after = new.and_then(|fields| fields.get(field.json));
        if before.is_some() || after.is_some() {
            let below = compare_field(field, place.below(field.json), before, after);
            difference.attach(|| Element::field(field.json), below);
        }
    }
    difference
}

fn compare_field(field: &Field, place: Place, before: Option<&Value>, after: Option<&Value>) -> Difference {
    match Shape::of(field.ty) {
        Shape::Leaf => match (present(field, before), present(field, after)) {
            (Some(old), Some(new)) if old != new => Difference::changed(),
            // Null written out (RBAC rules, an applied null) is a new value; a field that is gone is removed.
            (Some(_), None) if after.is_some_and(Value::is_null) => Difference::changed(),
            (old, new) => Difference::of_presence(old.is_some(), new.is_some()),
        },
        Shape::Struct(message) => {
            let (old, new) = (before.and_then(Value::as_object), after.and_then(Value::as_object));
            let mut difference = compare_struct(message, place, old, new);
            // A message that is no pointer is always there, if only with zero values.
            if field.pointer {
                let own = Difference::of_presence(old.is_some(), new.is_some());
                difference.gained.union(own.gained);
                difference.removed.union(own.removed);
            }
            difference
        }
        Shape::Map => compare_map(entries(before), entries(after)),
        shape @ (Shape::Set | Shape::Keyed(..)) => compare_list(shape, items(before), items(after)),
    }
}

fn compare_map(old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>) -> Difference {
    let mut difference = Difference::of_presence(old.is_some(), new.is_some());
    for (key, value) in new.into_iter().flatten() {
        if old.and_then(|entries| entries.get(key)) != Some(value) {
            difference.gained.attach(Element::field(key), FieldSet::leaf());
        }
    }
    for (key, _) in old.into_iter().flatten() {
        if !new.is_some_and(|entries| entries.contains_key(key)) {
            difference.removed.attach(Element::field(key), FieldSet::leaf());
        }
    }
    difference
}

fn compare_list(shape: Shape, old: Option<&[Value]>, new: Option<&[Value]>) -> Difference {
    if old == new {
        return Difference::default();
    }
    let mut difference = Difference::of_presence(old.is_some(), new.is_some());
    let (old, new) = (by_element(shape, old), by_element(shape, new));
    let granular = match shape {
        Shape::Keyed(message, _) if !message.atomic => Some(message),
        _ => None,
    };
    for (element, value) in &new {
        let before = old.get(element).copied();
        let mut below = match granular {
            Some(message) => {
                compare_struct(message, Place::Inner, before.and_then(Value::as_object), value.as_object())
            }
            None if before.is_some_and(|before| before != *value) => Difference::changed(),
            None => Difference::default(),
        };
        if before.is_none() {
            below.gained.set_member(true);
        }
        difference.attach(|| element.clone(), below);
    }
    for (element, value) in &old {
        if !new.contains_key(element) {
            let mut below = granular.map_or_else(Difference::default, |message| {
                compare_struct(message, Place::Inner, value.as_object(), None)
            });
            below.removed.set_member(true);
            difference.attach(|| element.clone(), below);
        }
    }
    difference
}

fn struct_fields(message: &Message, place: Place, fields: &Map<String, Value>) -> FieldSet {
    let mut set = FieldSet::default();
    for (name, value) in fields {
        if place.is_untracked(name) {
            continue;
        }
        let Some(field) = message.field(name) else { continue };
        let below = place.below(name);
        let mut paths = field_fields(Shape::of(field.ty), below, value);
        if below == Place::Metadata {
            paths.set_member(false);
        }
        set.attach(Element::field(name), paths);
    }
    set
}

fn field_fields(shape: Shape, place: Place, value: &Value) -> FieldSet {
    match (shape, value) {
        (Shape::Map, Value::Object(entries)) if !entries.is_empty() => {
            let mut set = FieldSet::default();
            entries.keys().for_each(|key| set.attach(Element::field(key), FieldSet::leaf()));
            set
        }
        (Shape::Struct(message), Value::Object(fields)) if !fields.is_empty() => struct_fields(message, place, fields),
        (Shape::Set | Shape::Keyed(..), Value::Array(items)) => {
            let mut set = FieldSet::default();
            for item in items {
                let mut paths = FieldSet::leaf();
                if let (Shape::Keyed(message, _), Value::Object(fields)) = (shape, item)
                    && !message.atomic
                {
                    paths.union(struct_fields(message, Place::Inner, fields));
                }
                set.attach(shape.element(item), paths);
            }
            set
        }
        _ => FieldSet::leaf(),
    }
}

/// The value of a leaf, unless Kubernetes would leave it out.
fn present<'a>(field: &Field, value: Option<&'a Value>) -> Option<&'a Value> {
    value.filter(|value| match value {
        Value::Null => false,
        _ if field.pointer => true,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    })
}

fn entries(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|entries| !entries.is_empty())
}

fn items(value: Option<&Value>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice).filter(|items| !items.is_empty())
}

/// Items by what tells them apart; of duplicates the first counts.
fn by_element(shape: Shape, items: Option<&[Value]>) -> BTreeMap<Element, &Value> {
    items.into_iter().flatten().rev().map(|item| (shape.element(item), item)).collect()
}
