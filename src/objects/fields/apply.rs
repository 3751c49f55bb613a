//! Server-side apply: the configuration says which fields its manager wants, and those it no longer names are let go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compare::{compare, fields_of};
use super::managed::{Identity, Managed, Operation};
use super::path::Element;
use super::set::FieldSet;
use super::shape::{Place, Shape};
use super::{Applied, ApplyError, Conflict, Writer, last_applied, managed, typed, update};
use crate::model::schema::{Message, Type};
use crate::sensitive::wipe;

/// Manager under which an object's fields are recorded when they were not tracked before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Applies `config`, a complete intent of `writer`, to the live object, or creates one from it.
///
/// The caller has checked that `config` is of this kind and has no `managedFields`. `name`, `namespace`, `uid` and
/// `resourceVersion` are carried over as given (preconditions are the caller's to compare), other server-owned
/// metadata never is. Fields set to null are null in the result. `stringData` is merged and owned as a field of its own; turning it into data, defaulting and
/// validation are done with the result, after which [`super::same_but_times`] decides whether there is anything to
/// write. A manager named `kubectl` gets the courtesies for client-side apply's annotation, here and at no other place.
pub fn apply(
    message: &'static Message,
    live: Option<&Value>,
    config: &Value,
    force: bool,
    writer: &Writer<'_>,
) -> Result<Applied, ApplyError> {
    let problems = typed::problems(message, config);
    if !problems.is_empty() {
        return Err(ApplyError::Untyped(untyped_message(message, config, writer, &problems)));
    }
    let mut managed = live.map(Managed::of_live).unwrap_or_default();
    if let Some(live) = live
        && managed.is_empty()
    {
        let before = Writer { manager: BEFORE_FIRST_APPLY, ..*writer };
        update::record(&mut managed, message, None, live, &before);
    } else {
        managed.reconcile(message, writer.api_version);
    }

    let identity = Identity::of(writer, Operation::Apply);
    let fields = fields_of(message, config);
    let previous = managed.take(&identity);
    let mut merged = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    merge_object(message, &mut merged, config);
    let (mut previous_time, mut emptied) = (None, FieldSet::default());
    if let Some(previous) = previous {
        let (mut lost, time) = previous.into_parts();
        previous_time = time;
        lost.subtract(&fields);
        if !lost.is_empty() {
            let mut owned = managed.owned();
            owned.union(fields.clone());
            if let Value::Object(object) = &mut merged {
                emptied = prune_struct(message, Place::Root, object, &lost, &owned);
            }
        }
    }

    let mut difference = compare(message, live, &merged);
    // Kubernetes keeps it, empty, until after the comparison: whoever owns it as a whole goes on to.
    difference.removed.subtract(&emptied);
    if !force {
        let conflicts = conflicts(message, live, &managed, &identity, &difference.gained, writer);
        if !conflicts.is_empty() {
            wipe(&mut merged);
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    managed.dispossess(&difference.gained, &difference.removed);
    let object_changed = live != Some(&merged);
    let time = if object_changed { Some(writer.now.to_owned()) } else { previous_time };
    managed.put(identity, fields, writer.api_version, time);
    managed.write(&mut merged);
    if writer.manager == last_applied::KUBECTL {
        last_applied::rewrite_last_applied(&mut merged, config);
    }
    let changed = live.is_none_or(|live| !managed::same_but_times(live, &merged));
    Ok(Applied { object: merged, changed })
}

fn untyped_message(message: &Message, config: &Value, writer: &Writer<'_>, problems: &[String]) -> String {
    let metadata = |name: &str| config.pointer(&format!("/metadata/{name}")).and_then(Value::as_str).unwrap_or("");
    let slash = if writer.api_version.contains('/') { "" } else { "/" };
    format!(
        "failed to create typed patch object ({}/{}; {slash}{}, Kind={}): {}",
        metadata("namespace"),
        metadata("name"),
        writer.api_version,
        message.name,
        typed::join(problems)
    )
}

/// What others own of the fields that this apply changes or adds, less what client-side apply had set.
fn conflicts(
    message: &Message,
    live: Option<&Value>,
    managed: &Managed,
    identity: &Identity,
    gained: &FieldSet,
    writer: &Writer<'_>,
) -> Vec<Conflict> {
    let mut overlaps: Vec<(&Identity, FieldSet)> = managed
        .others(identity)
        .map(|(other, entry)| (other, entry.fields.intersection(gained)))
        .filter(|(_, overlap)| !overlap.is_empty())
        .collect();
    if !overlaps.is_empty()
        && writer.manager == last_applied::KUBECTL
        && let Some(forgiven) = live.and_then(|live| last_applied::unchanged_since(message, live, writer.api_version))
    {
        for (_, overlap) in &mut overlaps {
            overlap.subtract(&forgiven);
        }
    }
    let mut conflicts = Vec::new();
    for (other, overlap) in overlaps {
        let manager = other.printed();
        overlap.for_each_path(&mut |path| {
            conflicts.push(Conflict { manager: manager.clone(), field: path.to_owned() });
        });
    }
    conflicts
}

fn merge_object(message: &Message, object: &mut Value, config: &Value) {
    if let (Value::Object(object), Value::Object(config)) = (object, config) {
        merge_struct(message, Place::Root, object, config);
    }
}

fn merge_struct(message: &Message, place: Place, target: &mut Map<String, Value>, config: &Map<String, Value>) {
    for (name, value) in config {
        if place.is_untracked(name) {
            let carried =
                place == Place::Root || matches!(name.as_str(), "name" | "namespace" | "uid" | "resourceVersion");
            if carried && !value.is_null() {
                target.insert(name.clone(), value.clone());
            }
            continue;
        }
        let Some(field) = message.field(name) else { continue };
        match (Shape::of(field.ty), value) {
            // Null takes the value away, and stays to tell that from a field that was let go.
            (Shape::Leaf, Value::Null) if !target.contains_key(name) => {}
            (Shape::Leaf, _) => replace(target, name, value.clone()),
            (Shape::Struct(inner), Value::Object(fields)) => {
                // An empty message says something only where absence does too.
                if (!fields.is_empty() || field.pointer)
                    && let Some(object) = object_in(target, name)
                {
                    merge_struct(inner, place.below(name), object, fields);
                }
            }
            (Shape::Map, Value::Object(entries)) if !entries.is_empty() => {
                // A null entry decodes as the zero value; in stringData it stands for no change, left to the caller.
                let zero = match field.ty {
                    Type::MapOfString if place != Place::Metadata => Value::Null,
                    Type::MapOfStrings => Value::Array(Vec::new()),
                    _ => Value::String(String::new()),
                };
                let Some(map) = object_in(target, name) else { continue };
                for (key, value) in entries {
                    replace(map, key, if value.is_null() { zero.clone() } else { value.clone() });
                }
            }
            (shape @ (Shape::Set | Shape::Keyed(..)), Value::Array(items)) if !items.is_empty() => {
                let live = match target.get_mut(name) {
                    Some(Value::Array(live)) => std::mem::take(live),
                    _ => Vec::new(),
                };
                target.insert(name.clone(), Value::Array(merge_list(shape, live, items)));
            }
            // Null and empty maps and lists are owned by the manager, but change nothing.
            _ => {}
        }
    }
}

/// Items of both, in the configuration's order, with the live object's others kept where they stood between them.
fn merge_list(shape: Shape, live: Vec<Value>, config: &[Value]) -> Vec<Value> {
    let left: Vec<Element> = live.iter().map(|item| shape.element(item)).collect();
    let right: Vec<Element> = config.iter().map(|item| shape.element(item)).collect();
    let left_at: BTreeMap<&Element, usize> = left.iter().enumerate().rev().map(|(at, element)| (element, at)).collect();
    let in_right: BTreeSet<&Element> = right.iter().collect();
    let mut live: Vec<Option<Value>> = live.into_iter().map(Some).collect();
    let mut take = |at: usize| live.get_mut(at).and_then(Option::take);
    let mut shared = right.iter().filter(|element| left_at.contains_key(element));
    let mut next_shared = shared.next();
    let mut merged: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let mut lefts = left.iter().enumerate().peekable();
    let mut rights = right.iter().zip(config).peekable();
    while lefts.peek().is_some() || rights.peek().is_some() {
        if let Some(&(at, element)) = lefts.peek() {
            let next_right = rights.peek().map(|(next, _)| *next);
            if !in_right.contains(element) {
                out.extend(take(at));
                lefts.next();
                continue;
            }
            if next_right == Some(element) || merged.contains(element) {
                lefts.next();
            } else if next_right.is_some() && next_shared.is_some_and(|next| next != element) {
                // Shared, but another shared item comes first in the configuration: met again from the right.
                lefts.next();
                continue;
            }
        }
        if let Some((element, item)) = rights.next() {
            merged.insert(element);
            let old = left_at.get(element).and_then(|at| take(*at));
            out.push(merge_item(shape, old, item));
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    out
}

fn merge_item(shape: Shape, live: Option<Value>, config: &Value) -> Value {
    match (shape, live, config) {
        (Shape::Keyed(message, _), Some(Value::Object(mut live)), Value::Object(config)) if !message.atomic => {
            merge_struct(message, Place::Inner, &mut live, config);
            Value::Object(live)
        }
        _ => config.clone(),
    }
}

/// Removes what is in `lost` and in nobody's `owned`, and containers that this empties; of those the ones that somebody
/// owns are told.
fn prune_struct(
    message: &Message,
    place: Place,
    object: &mut Map<String, Value>,
    lost: &FieldSet,
    owned: &FieldSet,
) -> FieldSet {
    let mut emptied = FieldSet::default();
    for (element, lost) in lost.children() {
        let Element::Field(name) = element else { continue };
        let Some(field) = message.field(name).filter(|_| !place.is_untracked(name)) else { continue };
        let below = place.below(name);
        let Some(value) = object.get_mut(name) else { continue };
        let (goes, told) = prune_value(Shape::of(field.ty), below, value, lost, owned.child(element));
        emptied.attach(element.clone(), told);
        if goes && below != Place::Metadata {
            remove(object, name);
        }
    }
    emptied
}

/// Prunes inside one value; true if the value itself shall go.
fn prune_value(
    shape: Shape,
    place: Place,
    value: &mut Value,
    lost: &FieldSet,
    owned: Option<&FieldSet>,
) -> (bool, FieldSet) {
    let nothing = FieldSet::default();
    let kept = owned.unwrap_or(&nothing);
    let mut told = FieldSet::default();
    let is_empty = match (shape, value) {
        (Shape::Map, Value::Object(entries)) => {
            let gone: BTreeSet<&str> = lost
                .children()
                .keys()
                .filter(|element| kept.child(element).is_none())
                .filter_map(|element| if let Element::Field(key) = element { Some(key.as_str()) } else { None })
                .collect();
            entries.retain(|key, value| {
                let goes = gone.contains(key.as_str());
                if goes {
                    wipe(value);
                }
                !goes
            });
            entries.is_empty()
        }
        (Shape::Struct(message), Value::Object(fields)) => {
            told = prune_struct(message, place, fields, lost, kept);
            fields.is_empty()
        }
        (Shape::Set | Shape::Keyed(..), Value::Array(items)) => {
            items.retain_mut(|item| {
                let element = shape.element(item);
                let Some(lost) = lost.child(&element) else { return true };
                let kept = kept.child(&element);
                if kept.is_none() && lost.is_member() {
                    return false;
                }
                if let (Shape::Keyed(message, _), Value::Object(fields)) = (shape, item)
                    && !message.atomic
                {
                    let inner = prune_struct(message, Place::Inner, fields, lost, kept.unwrap_or(&nothing));
                    told.attach(element, inner);
                }
                true
            });
            items.is_empty()
        }
        _ => true,
    };
    // Kubernetes stores no empty map or list, so those go whoever owns them; messages it does.
    let is_collection = matches!(shape, Shape::Map | Shape::Set | Shape::Keyed(..));
    if is_empty && is_collection && owned.is_some_and(FieldSet::is_member) {
        told.set_member(true);
    }
    (is_empty && (owned.is_none() || is_collection), told)
}

/// The object under `name`, made if there is none.
fn object_in<'a>(target: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let value = target.entry(name).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

fn replace(target: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(mut old) = target.insert(name.to_owned(), value) {
        wipe(&mut old);
    }
}

fn remove(target: &mut Map<String, Value>, name: &str) {
    if let Some(mut old) = target.shift_remove(name) {
        wipe(&mut old);
    }
}
