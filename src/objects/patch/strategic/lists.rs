//! Lists that merge: sets of text, and messages under a key. The order of the result is Kubernetes':
//! `$setElementOrder` before the patch's own order before the object's.
//!
//! Everything is linear in the lists, with hash maps for what Kubernetes searches again and again.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Directive, Members, Merge, PatchError, Path, directive};
use crate::model::schema::Message;

/// Adds the patch's items to a set of text.
pub(super) fn merge_set(target: &mut Value, patch: &[Value], order: Option<&Value>) -> Result<(), PatchError> {
    let before = array_in(target);
    let server_order = positions(&keys_of(&before, None)?);
    let patch_keys = keys_of(patch, None)?;
    let wanted = wanted_order(&patch_keys, None, order)?;
    let mut seen = HashSet::new();
    let merged = before
        .into_iter()
        .chain(patch.iter().cloned())
        .filter(|item| item.as_str().is_none_or(|text| seen.insert(text.to_owned())))
        .map(|item| Ok((key_of(&item, None)?, item)))
        .collect::<Result<Vec<_>, _>>()?;
    *target = arrange(merged, &wanted, &server_order);
    Ok(())
}

/// Merges the patch's items into those of the same key; the others are new and come first.
pub(super) fn merge_keyed(
    merge: &mut Merge,
    message: &'static Message,
    key: &'static str,
    target: &mut Value,
    patch: &[Value],
    order: Option<&Value>,
    path: Path<'_>,
) -> Result<(), PatchError> {
    let mut changes: Vec<(usize, String, &Map<String, Value>)> = Vec::new();
    let mut deletions: HashSet<String> = HashSet::new();
    let mut replace = false;
    for (index, item) in patch.iter().enumerate() {
        let Value::Object(members) = item else { continue };
        match directive(members)? {
            Directive::Merge => changes.push((index, key_of(item, Some(key))?, members)),
            Directive::Delete => {
                deletions.insert(key_of(item, Some(key))?);
            }
            // The item says that the list is what the other items make; it is none itself.
            Directive::Replace => replace = true,
        }
    }
    let mut before = array_in(target);
    if replace {
        before.clear();
    }
    let mut merged: Vec<(String, Value)> = Vec::with_capacity(before.len());
    for item in before {
        let item_key = key_of(&item, Some(key))?;
        if !deletions.contains(&item_key) {
            merged.push((item_key, item));
        }
    }
    let server_order = positions(&merged.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
    let mut places = server_order.clone();
    let patch_keys: Vec<String> = changes.iter().map(|(_, key, _)| key.clone()).collect();
    let wanted = wanted_order(&patch_keys, Some(key), order)?;
    for (index, item_key, members) in changes {
        let place = *places.entry(item_key.clone()).or_insert(merged.len());
        if place == merged.len() {
            merged.push((item_key, Value::Object(Map::new())));
        }
        if let Some((_, item)) = merged.get_mut(place) {
            merge.object(Members::Fields(message), item, members, Path::Item(&path, index))?;
        }
    }
    *target = arrange(merged, &wanted, &server_order);
    Ok(())
}

/// Puts a list that the patch does not change into the order it asks for.
pub(super) fn reorder(list: &mut Value, key: Option<&str>, order: &[Value]) -> Result<(), PatchError> {
    let keyed = array_in(list)
        .into_iter()
        .map(|item| Ok((key_of(&item, key)?, item)))
        .collect::<Result<Vec<_>, PatchError>>()?;
    let server_order = positions(&keyed.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
    *list = arrange(keyed, &positions(&keys_of(order, key)?), &server_order);
    Ok(())
}

/// Takes items out of a set of text.
pub(super) fn subtract(list: &mut Value, items: &[Value]) {
    let gone: HashSet<&str> = items.iter().filter_map(Value::as_str).collect();
    if let Value::Array(list) = list {
        list.retain(|item| item.as_str().is_none_or(|text| !gone.contains(text)));
    }
}

/// The items of a list, taken out of it. What is not a list counts as an empty one.
fn array_in(value: &mut Value) -> Vec<Value> {
    match value.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// What an item is known by: itself, or its member `key`.
fn key_of(item: &Value, key: Option<&str>) -> Result<String, PatchError> {
    let text = key.map_or(Some(item), |key| item.get(key)).and_then(Value::as_str);
    text.map(ToOwned::to_owned).ok_or_else(|| {
        PatchError::Invalid(match key {
            Some(key) => format!("map: <secret contents redacted> does not contain declared merge key: {key}"),
            None => "list element types are not identical".to_owned(),
        })
    })
}

fn keys_of(items: &[Value], key: Option<&str>) -> Result<Vec<String>, PatchError> {
    items.iter().map(|item| key_of(item, key)).collect()
}

/// The first position of each key.
fn positions(keys: &[String]) -> HashMap<String, usize> {
    let mut positions = HashMap::with_capacity(keys.len());
    for (position, key) in keys.iter().enumerate() {
        positions.entry(key.clone()).or_insert(position);
    }
    positions
}

/// The order that the patch asks for. Its items must follow each other as in `$setElementOrder`.
fn wanted_order(
    patch_keys: &[String],
    key: Option<&str>,
    order: Option<&Value>,
) -> Result<HashMap<String, usize>, PatchError> {
    let Some(order) = order else { return Ok(positions(patch_keys)) };
    let Value::Array(order) = order else {
        return Err(PatchError::Invalid("invalid patch format of setElementOrder list".to_owned()));
    };
    let order_keys = keys_of(order, key)?;
    let mut remaining = order_keys.iter();
    if !order_keys.is_empty() && !patch_keys.iter().all(|wanted| remaining.any(|found| found == wanted)) {
        return Err(PatchError::Invalid(
            "the order in the patch list doesn't match its $setElementOrder list".to_owned(),
        ));
    }
    Ok(positions(&order_keys))
}

/// Sorts the items of the wanted order by it, and lets each of the others keep its place before the first
/// of them that it preceded in the object.
fn arrange(
    items: Vec<(String, Value)>,
    wanted: &HashMap<String, usize>,
    server_order: &HashMap<String, usize>,
) -> Value {
    let (mut ordered, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|(key, _)| wanted.contains_key(key));
    ordered.sort_by_key(|(key, _)| wanted.get(key));
    let mut ordered = ordered.into_iter().peekable();
    let mut arranged = Vec::with_capacity(ordered.len() + others.len());
    for (key, item) in others {
        let place = server_order.get(&key);
        while let Some((_, next)) = ordered.next_if(|(next, _)| {
            let next_place = server_order.get(next);
            place.is_none() || next_place.is_none() || place >= next_place
        }) {
            arranged.push(next);
        }
        arranged.push(item);
    }
    arranged.extend(ordered.map(|(_, item)| item));
    Value::Array(arranged)
}
