//! Kubernetes' strategic merge patch: a merge patch that knows lists with keys, and directives.
//!
//! What a list does is read off the shape table. Fields that the table does not have are reported and
//! not merged; values of the wrong type are put in as they are, so that decoding the result refuses
//! them. Source: the API conventions and `k8s.io/apimachinery/pkg/util/strategicpatch`.
//!
//! Deviations, all where Kubernetes loses data or fails: directives count also where the object has
//! nothing yet, `null` never becomes a value of a map, `$patch: merge`, the default, may be spelled out,
//! and an order may be given for a list that is empty.

mod lists;

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value};

use self::lists::{merge_keyed, merge_set, reorder, subtract};
use super::{MAX_DEPTH, MAX_FINDINGS, PatchError, deeper_than};
use crate::codec::typed::go_type;
use crate::model::schema::{ListKind, Message, Type};

/// What a map or an item of a list says of itself.
const PATCH: &str = "$patch";
/// The only members of a map that stay.
const RETAIN_KEYS: &str = "$retainKeys";
/// The order of a merged list: `$setElementOrder/<field>`.
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
/// Items that go from a set: `$deleteFromPrimitiveList/<field>`.
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// What strict field validation has to say of a patch that was applied.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StrategicFindings {
    /// Paths of fields that the kind does not have, as `metadata.foo` or `rules[0].bar`; at most 100.
    pub unknown: Vec<String>,
}

/// Applies `patch` to `target`, an object of the kind whose shape is `message`.
///
/// `apiVersion` and `kind` of the patch are ignored.
///
/// # Errors
/// [`PatchError::Invalid`] for what is not a patch and for directives that make no sense. The target is then
/// half patched and must be dropped.
pub fn strategic_merge(
    message: &'static Message,
    target: &mut Value,
    patch: &Value,
) -> Result<StrategicFindings, PatchError> {
    let Value::Object(members) = patch else {
        return Err(PatchError::Invalid(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go_type(patch)
        )));
    };
    if deeper_than(patch, MAX_DEPTH) {
        return Err(PatchError::Invalid("exceeded max depth".to_owned()));
    }
    let mut merge = Merge { findings: StrategicFindings::default() };
    merge.object(Members::Root(message), target, members, Path::Root)?;
    Ok(merge.findings)
}

/// What the members of a map are.
#[derive(Clone, Copy)]
enum Members {
    /// The fields of the whole object.
    Root(&'static Message),
    /// The fields of a part of it.
    Fields(&'static Message),
    /// Any name: a map of scalars or of lists, which are replaced.
    Any,
}

impl Members {
    /// `apiVersion` and `kind` of the object itself, which no patch changes.
    fn fixes(self, name: &str) -> bool {
        matches!(self, Self::Root(_)) && matches!(name, "apiVersion" | "kind")
    }
}

/// Where in the object a map is; written out only when something is reported.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The directive in a map or an item.
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, PatchError> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => Ok(Directive::Merge),
        Some(Some("replace")) => Ok(Directive::Replace),
        Some(Some("delete")) => Ok(Directive::Delete),
        Some(_) => Err(PatchError::Invalid("unknown patch type in map: only replace, merge and delete are".to_owned())),
    }
}

/// A directive that names a list: its prefix taken off.
fn list_directive(name: &str) -> Option<&str> {
    name.strip_prefix(SET_ELEMENT_ORDER).or_else(|| name.strip_prefix(DELETE_FROM_PRIMITIVE_LIST))
}

fn is_directive(name: &str) -> bool {
    name == PATCH || name == RETAIN_KEYS || list_directive(name).is_some()
}

/// One application of a patch. The recursion ends with the patch, whose depth is known.
struct Merge {
    findings: StrategicFindings,
}

impl Merge {
    /// Merges into the object in `target`, or into an empty one if there is none.
    fn object(
        &mut self,
        members: Members,
        target: &mut Value,
        patch: &Map<String, Value>,
        path: Path<'_>,
    ) -> Result<(), PatchError> {
        let mut object = match target.take() {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        self.map(members, &mut object, patch, path)?;
        *target = Value::Object(object);
        Ok(())
    }

    fn map(
        &mut self,
        members: Members,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
        path: Path<'_>,
    ) -> Result<(), PatchError> {
        match directive(patch)? {
            Directive::Merge => retain_keys(members, target, patch)?,
            Directive::Replace => target.retain(|name, _| members.fixes(name)),
            Directive::Delete => {
                target.retain(|name, _| members.fixes(name));
                return Ok(());
            }
        }
        for (name, value) in patch {
            if members.fixes(name) || is_directive(name) {
                continue;
            }
            if value.is_null() {
                target.swap_remove(name);
                continue;
            }
            let ty = match members {
                Members::Any => None,
                Members::Root(message) | Members::Fields(message) => {
                    let Some(field) = message.field(name) else {
                        self.report(Path::Field(&path, name));
                        continue;
                    };
                    Some(field.ty)
                }
            };
            let slot = target.entry(name.as_str()).or_insert(Value::Null);
            let order = patch.get(&format!("{SET_ELEMENT_ORDER}{name}"));
            self.value(ty, slot, value, order, Path::Field(&path, name))?;
        }
        list_directives(members, target, patch)
    }

    /// Merges one value that is not null. `order` is the list's `$setElementOrder`.
    fn value(
        &mut self,
        ty: Option<Type>,
        target: &mut Value,
        patch: &Value,
        order: Option<&Value>,
        path: Path<'_>,
    ) -> Result<(), PatchError> {
        match (ty, patch) {
            (Some(Type::Message(message)), Value::Object(members)) => {
                return self.object(Members::Fields(message), target, members, path);
            }
            (Some(Type::MapOfString | Type::MapOfBytes | Type::MapOfStrings), Value::Object(members)) => {
                return self.object(Members::Any, target, members, path);
            }
            (Some(Type::Strings(ListKind::Set)), Value::Array(items)) if items.iter().all(Value::is_string) => {
                return merge_set(target, items, order);
            }
            (Some(Type::Messages(message, kind)), Value::Array(items)) if items.iter().all(Value::is_object) => {
                if let ListKind::Map(&[key, ..]) = kind {
                    return merge_keyed(self, message, key, target, items, order, path);
                }
                *target = Value::Array(self.items(message, items, path)?);
                return Ok(());
            }
            _ => {}
        }
        *target = patch.clone();
        Ok(())
    }

    /// The items of a list that is replaced, without nulls, directives and unknown fields.
    fn items(&mut self, message: &'static Message, items: &[Value], path: Path<'_>) -> Result<Vec<Value>, PatchError> {
        let mut made = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let Value::Object(members) = item else { continue };
            if matches!(directive(members)?, Directive::Delete) {
                continue;
            }
            let mut made_item = Value::Null;
            self.object(Members::Fields(message), &mut made_item, members, Path::Item(&path, index))?;
            made.push(made_item);
        }
        Ok(made)
    }

    fn report(&mut self, path: Path<'_>) {
        if self.findings.unknown.len() < MAX_FINDINGS {
            self.findings.unknown.push(path.to_string());
        }
    }
}

/// Removes what `$retainKeys` does not name. Every field that the patch sets must be in it.
fn retain_keys(
    members: Members,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), PatchError> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let bad_format = || PatchError::Invalid("invalid patch format of retainKeys".to_owned());
    let keys: HashSet<&str> = keys
        .as_array()
        .ok_or_else(bad_format)?
        .iter()
        .map(Value::as_str)
        .collect::<Option<_>>()
        .ok_or_else(bad_format)?;
    let kept = |name: &str| keys.contains(name) || members.fixes(name);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !kept(name)) {
        return Err(bad_format());
    }
    target.retain(|name, _| kept(name));
    Ok(())
}

/// Orders of lists that the patch does not change, and deletions from sets.
fn list_directives(
    members: Members,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), PatchError> {
    for (name, value) in patch {
        let Some(field) = list_directive(name) else { continue };
        let ordering = name.starts_with(SET_ELEMENT_ORDER);
        let Value::Array(items) = value else {
            let list = if ordering { "setElementOrder" } else { "primitive" };
            return Err(PatchError::Invalid(format!("invalid patch format of {list} list")));
        };
        let ty = match members {
            Members::Root(message) | Members::Fields(message) => message.field(field).map(|field| field.ty),
            Members::Any => None,
        };
        let Some(list) = target.get_mut(field) else { continue };
        match ty {
            Some(Type::Strings(ListKind::Set)) if ordering && !patch.contains_key(field) => reorder(list, None, items)?,
            Some(Type::Messages(_, ListKind::Map(&[key, ..]))) if ordering && !patch.contains_key(field) => {
                reorder(list, Some(key), items)?;
            }
            Some(Type::Strings(ListKind::Set)) if !ordering => subtract(list, items),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "strategic_tests.rs"]
mod tests;
