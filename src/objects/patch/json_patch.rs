//! JSON patch, RFC 6902, over JSON pointers, RFC 6901.
//!
//! Never trusts the patch to be modest: `copy` can double a document with every operation
//! (CVE-2019-1002100), `move` can bury it, and inserting at the head of a long list moves all of it.
//! Depth, growth and work are all bounded.
//!
//! As in Kubernetes, `test` of a member that is not there compares with `null`. Unlike there, an array
//! index is only what RFC 6901 says: no negative ones, no leading zeros.

use serde_json::{Map, Value};

use super::{MAX_DEPTH, MAX_FINDINGS, PatchError, deeper_than};
use crate::codec::typed::go_type;

/// Most operations in one patch.
const MAX_OPERATIONS: usize = 10_000;

/// Bytes of memory that all `copy` operations of a patch may add: as much as a request body may have.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Values that all operations together may visit or shift besides those in the patch itself.
const MAX_WORK: usize = 4_000_000;

/// Memory that one JSON value takes besides its text.
const VALUE_BYTES: usize = size_of::<Value>();

/// What strict field validation has to say of a patch that was applied.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JsonPatchFindings {
    /// Members that no operation has, as `[0].foo`; at most 100. Duplicate members are the parser's finding.
    pub unknown: Vec<String>,
}

impl JsonPatchFindings {
    /// The findings as Kubernetes words them: `json patch unknown field "[0].foo"`.
    pub fn into_texts(self) -> Vec<String> {
        self.unknown.into_iter().map(|path| format!("json patch unknown field \"{path}\"")).collect()
    }
}

/// Applies the operations of `patch` to `target` in order.
///
/// # Errors
/// [`PatchError::Decode`] if the patch is not a list of operations, [`PatchError::TooManyOperations`] beyond
/// 10000, [`PatchError::TooLarge`] if it copies or moves too much, and [`PatchError::Unprocessable`] for the
/// first operation that cannot be done. The target is then half patched and must be dropped.
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<JsonPatchFindings, PatchError> {
    let Value::Array(items) = patch else {
        return Err(PatchError::Decode(format!(
            "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
            go_type(patch)
        )));
    };
    let mut findings = JsonPatchFindings::default();
    let operations = items
        .iter()
        .enumerate()
        .map(|(index, item)| decode(index, item, &mut findings))
        .collect::<Result<Vec<_>, _>>()?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations { max: MAX_OPERATIONS, got: operations.len() });
    }
    let mut budget = Budget { copied_bytes: 0, work: 0 };
    for operation in &operations {
        operation.apply(target, &mut budget)?;
    }
    Ok(findings)
}

/// One operation, its members of the right type but not yet checked.
#[derive(Default)]
struct Operation<'a> {
    op: &'a str,
    path: Option<&'a str>,
    from: Option<&'a str>,
    value: Option<&'a Value>,
}

fn decode<'a>(index: usize, item: &'a Value, findings: &mut JsonPatchFindings) -> Result<Operation<'a>, PatchError> {
    let mut operation = Operation::default();
    let members = match item {
        Value::Object(members) => members,
        Value::Null => return Ok(operation),
        other => {
            return Err(PatchError::Decode(format!(
                "json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                go_type(other)
            )));
        }
    };
    for (name, value) in members {
        match name.as_str() {
            "op" => operation.op = text("op", value)?.unwrap_or_default(),
            "path" => operation.path = text("path", value)?,
            "from" => operation.from = text("from", value)?,
            "value" => operation.value = Some(value),
            unknown if findings.unknown.len() < MAX_FINDINGS => findings.unknown.push(format!("[{index}].{unknown}")),
            _ => {}
        }
    }
    Ok(operation)
}

fn text<'a>(name: &str, value: &'a Value) -> Result<Option<&'a str>, PatchError> {
    match value {
        Value::String(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        other => Err(PatchError::Decode(format!(
            "json: cannot unmarshal {} into Go struct field jsonPatchOp.{name} of type string",
            go_type(other)
        ))),
    }
}

impl Operation<'_> {
    fn apply(&self, target: &mut Value, budget: &mut Budget) -> Result<(), PatchError> {
        let path = pointer(self.path)?;
        match self.op {
            "add" => add(target, &path, self.value(path.len())?.clone(), budget),
            "remove" => remove(target, &path, budget).map(drop),
            "replace" => {
                let value = self.value(path.len())?.clone();
                *find_mut(target, &path)? = value;
                Ok(())
            }
            "move" => {
                let from = pointer(self.from)?;
                if path == from {
                    return find_mut(target, &path).map(drop);
                }
                if path.starts_with(&from) {
                    return Err(PatchError::Unprocessable);
                }
                let value = remove(target, &from, budget)?;
                if path.len() > from.len() {
                    measure(&value, MAX_DEPTH.saturating_sub(path.len()), budget)?;
                }
                add(target, &path, value, budget)
            }
            "copy" => {
                let from = pointer(self.from)?;
                let source = find_mut(target, &from)?;
                measure_copy(source, MAX_DEPTH.saturating_sub(path.len()), budget)?;
                let value = source.clone();
                add(target, &path, value, budget)
            }
            "test" => {
                let expected = self.value(0)?;
                let same = find_or_absent(target, &path)?.map_or(expected.is_null(), |found| equal(found, expected));
                if same { Ok(()) } else { Err(PatchError::Unprocessable) }
            }
            _ => Err(PatchError::Unprocessable),
        }
    }

    /// The `value` member, to be put `level` levels deep.
    fn value(&self, level: usize) -> Result<&Value, PatchError> {
        self.value.filter(|value| !deeper_than(value, MAX_DEPTH.saturating_sub(level))).ok_or(PatchError::Unprocessable)
    }
}

/// What a patch has used up of what it may.
struct Budget {
    copied_bytes: usize,
    work: usize,
}

impl Budget {
    fn copy(&mut self, bytes: usize) -> Result<(), PatchError> {
        self.copied_bytes = self.copied_bytes.saturating_add(bytes);
        if self.copied_bytes > MAX_COPIED_BYTES { Err(PatchError::TooLarge) } else { Ok(()) }
    }

    fn work(&mut self, values: usize) -> Result<(), PatchError> {
        self.work = self.work.saturating_add(values);
        if self.work > MAX_WORK { Err(PatchError::TooLarge) } else { Ok(()) }
    }
}

/// A pointer's tokens, unescaped. A longer one than a document is deep leads nowhere.
fn pointer(text: Option<&str>) -> Result<Vec<String>, PatchError> {
    let text = text.ok_or(PatchError::Unprocessable)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rest = text.strip_prefix('/').ok_or(PatchError::Unprocessable)?;
    if rest.bytes().filter(|byte| *byte == b'/').count() >= MAX_DEPTH {
        return Err(PatchError::Unprocessable);
    }
    rest.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Result<String, PatchError> {
    let mut out = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '~' => match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PatchError::Unprocessable),
            },
            other => other,
        });
    }
    Ok(out)
}

/// An array index: digits, no leading zero.
fn array_index(token: &str) -> Result<usize, PatchError> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().map_err(|_| PatchError::Unprocessable) } else { Err(PatchError::Unprocessable) }
}

fn find_mut<'v>(target: &'v mut Value, path: &[String]) -> Result<&'v mut Value, PatchError> {
    path.iter().try_fold(target, |value, token| child_mut(value, token)?.ok_or(PatchError::Unprocessable))
}

/// As [`find_mut`], but `None` for a member that an existing object does not have.
fn find_or_absent<'v>(target: &'v mut Value, path: &[String]) -> Result<Option<&'v mut Value>, PatchError> {
    match path.split_last() {
        None => Ok(Some(target)),
        Some((last, parents)) => child_mut(find_mut(target, parents)?, last),
    }
}

fn child_mut<'v>(value: &'v mut Value, token: &str) -> Result<Option<&'v mut Value>, PatchError> {
    match value {
        Value::Object(members) => Ok(members.get_mut(token)),
        Value::Array(items) => items.get_mut(array_index(token)?).map(Some).ok_or(PatchError::Unprocessable),
        _ => Err(PatchError::Unprocessable),
    }
}

fn add(target: &mut Value, path: &[String], value: Value, budget: &mut Budget) -> Result<(), PatchError> {
    let Some((last, parents)) = path.split_last() else {
        *target = value;
        return Ok(());
    };
    match find_mut(target, parents)? {
        Value::Object(members) => {
            members.insert(last.clone(), value);
        }
        Value::Array(items) => {
            let index = if last == "-" { items.len() } else { array_index(last)? };
            let shifted = items.len().checked_sub(index).ok_or(PatchError::Unprocessable)?;
            budget.work(shifted)?;
            items.insert(index, value);
        }
        _ => return Err(PatchError::Unprocessable),
    }
    Ok(())
}

/// Takes a value out. Removing from an object may reorder it, which keeps the cost constant; the order of
/// members means nothing.
fn remove(target: &mut Value, path: &[String], budget: &mut Budget) -> Result<Value, PatchError> {
    let (last, parents) = path.split_last().ok_or(PatchError::Unprocessable)?;
    match find_mut(target, parents)? {
        Value::Object(members) => members.swap_remove(last).ok_or(PatchError::Unprocessable),
        Value::Array(items) => {
            let index = array_index(last)?;
            let shifted = items.len().checked_sub(index).filter(|left| *left > 0).ok_or(PatchError::Unprocessable)?;
            budget.work(shifted)?;
            Ok(items.remove(index))
        }
        _ => Err(PatchError::Unprocessable),
    }
}

/// Checks that `value` nests no deeper than `levels`, at the budget's cost.
fn measure(value: &Value, levels: usize, budget: &mut Budget) -> Result<(), PatchError> {
    budget.work(1)?;
    let nested = || levels.checked_sub(1).ok_or(PatchError::TooLarge);
    match value {
        Value::Array(items) => {
            let levels = nested()?;
            items.iter().try_for_each(|item| measure(item, levels, budget))
        }
        Value::Object(members) => {
            let levels = nested()?;
            members.values().try_for_each(|member| measure(member, levels, budget))
        }
        _ => Ok(()),
    }
}

/// Takes the memory of a copy of `value`, which may be `levels` deep, from the budget.
fn measure_copy(value: &Value, levels: usize, budget: &mut Budget) -> Result<(), PatchError> {
    budget.copy(VALUE_BYTES)?;
    let nested = || levels.checked_sub(1).ok_or(PatchError::TooLarge);
    match value {
        Value::String(text) => budget.copy(text.len()),
        Value::Array(items) => {
            let levels = nested()?;
            items.iter().try_for_each(|item| measure_copy(item, levels, budget))
        }
        Value::Object(members) => {
            let levels = nested()?;
            members.iter().try_for_each(|(name, member)| {
                budget.copy(VALUE_BYTES + name.len())?;
                measure_copy(member, levels, budget)
            })
        }
        _ => Ok(()),
    }
}

/// Equality of RFC 6902, section 4.6: numbers by value. The recursion ends with `expected`, whose depth is known.
fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.is_f64() != right.is_f64() && left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => same_members(left, right),
        _ => found == expected,
    }
}

fn same_members(found: &Map<String, Value>, expected: &Map<String, Value>) -> bool {
    found.len() == expected.len()
        && expected.iter().all(|(name, value)| found.get(name).is_some_and(|found| equal(found, value)))
}
