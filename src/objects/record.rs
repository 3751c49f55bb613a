//! An object as it is sealed: two plaintexts, `meta` and `data`, laid out so that reading costs no parsing.
//!
//! `meta` is the object's JSON without what must not be there: its revision (known only to the writer), the
//! secret values and the last-applied annotation (which repeats them). Where those belong is kept as offsets,
//! so that an answer is the text with three insertions.
//!
//! ```text
//! meta  01 ver ‖ flags ‖ revision_at u32 ‖ annotations_at u32 ‖ data_at u32 ‖ data_keys u32 ‖ JSON text
//!       02 ver: as 01, and behind the text ‖ trail ‖ length of the trail u32 (see [`super::trail`])
//! data  01 ver ‖ count u32 ‖ (LP(key) ‖ LP(value))… ‖ LP(last-applied)?
//! ```
//!
//! It never writes a value into an error.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::trail::Trail;
use crate::model::kinds::Kind;
use crate::model::schema::{Field, Message, Type};
use crate::sensitive::SecretBytes;

/// Client-side apply keeps the whole manifest, values included, in this annotation.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

const VERSION: u8 = 1;
/// With a trail behind the text.
const VERSION_WITH_TRAIL: u8 = 2;
const HEADER_BYTES: usize = 18;
const FLAG_LAST_APPLIED: u8 = 1;
const FLAG_OTHER_ANNOTATIONS: u8 = 2;

/// A record that does not have the layout above: written by another version, or a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored object does not have the layout of this version")]
pub struct RecordFormatError;

/// The two plaintexts of an object.
pub struct Plain {
    /// Everything but secret values.
    pub meta: SecretBytes,
    /// Secret values; empty for kinds that have none.
    pub data: SecretBytes,
}

/// Lays out a complete object (defaulted, validated; `metadata.resourceVersion` is ignored).
pub fn encode(kind: &'static Kind, object: &Value) -> Plain {
    let mut text = Text::new(kind);
    text.object(kind, object);
    let mut meta = Vec::with_capacity(HEADER_BYTES + text.out.len());
    meta.push(VERSION);
    meta.push(text.flags);
    let data_keys = object.get("data").and_then(Value::as_object).filter(|_| text.splits_data).map_or(0, Map::len);
    for number in [text.revision_at, text.annotations_at, text.data_at, data_keys] {
        meta.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    }
    meta.append(&mut text.out);
    Plain { meta: SecretBytes::new(meta), data: encode_data(object, text.splits_data) }
}

fn encode_data(object: &Value, splits_data: bool) -> SecretBytes {
    let last_applied =
        object.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED)).and_then(Value::as_str);
    let values = object.get("data").and_then(Value::as_object).filter(|map| splits_data && !map.is_empty());
    if last_applied.is_none() && values.is_none() {
        return SecretBytes::new(Vec::new());
    }
    let mut sorted: Vec<(&str, &str)> =
        values.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let bound: usize = sorted.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
    // Reserved in one piece: a vector that grows leaves copies of secrets behind.
    let mut out = Vec::with_capacity(9 + bound + last_applied.map_or(0, str::len));
    out.push(VERSION);
    out.extend_from_slice(&u32::try_from(sorted.len()).unwrap_or(u32::MAX).to_be_bytes());
    for (key, value) in sorted {
        push_prefixed(&mut out, key.as_bytes());
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        // Text that is not base64 was refused long before.
        let _ = STANDARD.decode_vec(value, &mut out);
        let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(slot) = out.get_mut(at..at + 4) {
            slot.copy_from_slice(&length);
        }
    }
    if let Some(text) = last_applied {
        push_prefixed(&mut out, text.as_bytes());
    }
    SecretBytes::new(out)
}

fn push_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

impl Plain {
    /// The plaintexts of a deletion: the object at its last is the version before it.
    pub fn empty() -> Self {
        Self { meta: SecretBytes::new(Vec::new()), data: SecretBytes::new(Vec::new()) }
    }

    /// The plaintexts of a deletion that says who deleted and when.
    pub fn end(trail: &Trail) -> Self {
        let mut meta = vec![VERSION_WITH_TRAIL];
        meta.extend_from_slice(&trail.encode());
        Self { meta: SecretBytes::new(meta), data: SecretBytes::new(Vec::new()) }
    }

    /// The same object with what its history says of this version.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the trail is put behind it; meta holds no secret values")]
    pub fn with_trail(self, trail: &Trail) -> Self {
        let Some((_, rest)) = self.meta.expose().split_first() else { return self };
        let trail = trail.encode();
        let mut meta = Vec::with_capacity(1 + rest.len() + trail.len() + 4);
        meta.push(VERSION_WITH_TRAIL);
        meta.extend_from_slice(rest);
        meta.extend_from_slice(&trail);
        meta.extend_from_slice(&u32::try_from(trail.len()).unwrap_or(u32::MAX).to_be_bytes());
        Self { meta: SecretBytes::new(meta), data: self.data }
    }
}

/// What the opened `meta` of a deletion says; `None` where it says nothing.
pub fn trail_of_end(meta: &[u8]) -> Result<Option<Trail>, RecordFormatError> {
    match meta.split_first() {
        None => Ok(None),
        Some((&VERSION_WITH_TRAIL, trail)) => Trail::decode(trail).map(Some),
        Some(_) => Err(RecordFormatError),
    }
}

/// The opened `meta` of a record, borrowed.
#[derive(Clone, Copy)]
pub struct Meta<'a> {
    flags: u8,
    revision_at: usize,
    annotations_at: usize,
    data_at: usize,
    /// Number of keys in `data`.
    pub data_keys: usize,
    text: &'a [u8],
    trail: Option<&'a [u8]>,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By itself, with `kind` and `apiVersion`.
    Object,
    /// An element of a list: without them.
    Item,
}

impl<'a> Meta<'a> {
    /// Reads the layout.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordFormatError> {
        let (header, text) = bytes.split_at_checked(HEADER_BYTES).ok_or(RecordFormatError)?;
        let (&[version, flags], mut numbers) = header.split_first_chunk::<2>().ok_or(RecordFormatError)?;
        let (text, trail) = match version {
            VERSION => (text, None),
            VERSION_WITH_TRAIL => {
                let (rest, length) = text.split_last_chunk::<4>().ok_or(RecordFormatError)?;
                let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| RecordFormatError)?;
                let at = rest.len().checked_sub(length).ok_or(RecordFormatError)?;
                let (text, trail) = rest.split_at_checked(at).ok_or(RecordFormatError)?;
                (text, Some(trail))
            }
            _ => return Err(RecordFormatError),
        };
        let mut next = || take_u32(&mut numbers);
        let (revision_at, annotations_at, data_at, data_keys) = (next()?, next()?, next()?, next()?);
        let meta = Self { flags, revision_at, annotations_at, data_at, data_keys, text, trail };
        let ordered = meta.revision_at <= meta.annotations_at
            && meta.annotations_at <= meta.data_at
            && meta.data_at <= text.len();
        if ordered { Ok(meta) } else { Err(RecordFormatError) }
    }

    /// Whether secret values or the last-applied annotation are missing from the text.
    pub fn needs_data(&self) -> bool {
        self.data_keys > 0 || self.flags & FLAG_LAST_APPLIED != 0
    }

    /// What its history says of this version; `None` of one that was written before there was any.
    pub fn trail(&self) -> Result<Option<Trail>, RecordFormatError> {
        self.trail.map(Trail::decode).transpose()
    }

    /// Whether the text mentions `word` (a cheap test before parsing).
    pub fn mentions(&self, word: &[u8]) -> bool {
        self.text.windows(word.len()).any(|window| window == word)
    }

    /// Writes the object without secret values and without the last-applied annotation.
    pub fn write_bare(
        &self,
        kind: &'static Kind,
        form: Form,
        revision: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordFormatError> {
        self.write(kind, form, revision, None, out)
    }

    /// Writes the whole object. `data` is the opened data column.
    pub fn write_full(
        &self,
        kind: &'static Kind,
        form: Form,
        revision: u64,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), RecordFormatError> {
        let data = if self.needs_data() { Some(Data::parse(data, self.flags & FLAG_LAST_APPLIED != 0)?) } else { None };
        out.reserve(self.text.len() + 32 + data.as_ref().map_or(0, Data::written_bytes));
        self.write(kind, form, revision, data.as_ref(), out)
    }

    fn write(
        &self,
        kind: &'static Kind,
        form: Form,
        revision: u64,
        data: Option<&Data<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordFormatError> {
        let start = match form {
            Form::Object => 0,
            Form::Item => {
                out.push(b'{');
                head_bytes(kind)
            }
        };
        let part = |from: usize, to: usize| self.text.get(from..to).ok_or(RecordFormatError);
        out.extend_from_slice(part(start, self.revision_at)?);
        push_decimal(out, revision);
        out.extend_from_slice(part(self.revision_at, self.annotations_at)?);
        if let Some(text) = data.and_then(|data| data.last_applied) {
            let text = std::str::from_utf8(text).map_err(|_| RecordFormatError)?;
            let alone = self.flags & FLAG_OTHER_ANNOTATIONS == 0;
            if alone {
                out.extend_from_slice(b",\"annotations\":{");
            }
            push_string(out, LAST_APPLIED);
            out.push(b':');
            push_string(out, text);
            out.extend_from_slice(if alone { b"}" } else { b"," });
        }
        out.extend_from_slice(part(self.annotations_at, self.data_at)?);
        if let Some(data) = data.filter(|data| data.count > 0) {
            data.write(out)?;
        }
        out.extend_from_slice(part(self.data_at, self.text.len())?);
        Ok(())
    }
}

/// The opened `data` of a record, borrowed.
struct Data<'a> {
    count: usize,
    entries: &'a [u8],
    last_applied: Option<&'a [u8]>,
}

impl<'a> Data<'a> {
    fn parse(bytes: &'a [u8], has_last_applied: bool) -> Result<Self, RecordFormatError> {
        let (&version, mut rest) = bytes.split_first().ok_or(RecordFormatError)?;
        if version != VERSION {
            return Err(RecordFormatError);
        }
        let count = take_u32(&mut rest)?;
        let entries = rest;
        for _ in 0..count {
            take_prefixed(&mut rest)?;
            take_prefixed(&mut rest)?;
        }
        let last_applied = if has_last_applied { Some(take_prefixed(&mut rest)?) } else { None };
        if rest.is_empty() { Ok(Self { count, entries, last_applied }) } else { Err(RecordFormatError) }
    }

    fn written_bytes(&self) -> usize {
        16 + self.entries.len() * 3 / 2 + self.last_applied.map_or(0, |text| text.len() * 5 / 4 + 80)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), RecordFormatError> {
        out.extend_from_slice(b"\"data\":{");
        let mut rest = self.entries;
        for at in 0..self.count {
            if at > 0 {
                out.push(b',');
            }
            let key = std::str::from_utf8(take_prefixed(&mut rest)?).map_err(|_| RecordFormatError)?;
            let value = take_prefixed(&mut rest)?;
            push_string(out, key);
            out.extend_from_slice(b":\"");
            push_base64(out, value)?;
            out.push(b'"');
        }
        out.extend_from_slice(b"},");
        Ok(())
    }
}

fn push_base64(out: &mut Vec<u8>, value: &[u8]) -> Result<(), RecordFormatError> {
    let from = out.len();
    out.resize(from + value.len().div_ceil(3) * 4, 0);
    let slot = out.get_mut(from..).ok_or(RecordFormatError)?;
    STANDARD.encode_slice(value, slot).map_err(|_| RecordFormatError)?;
    Ok(())
}

fn take_u32(bytes: &mut &[u8]) -> Result<usize, RecordFormatError> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(RecordFormatError)?;
    *bytes = rest;
    usize::try_from(u32::from_be_bytes(*head)).map_err(|_| RecordFormatError)
}

fn take_prefixed<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], RecordFormatError> {
    let length = take_u32(bytes)?;
    let (head, rest) = bytes.split_at_checked(length).ok_or(RecordFormatError)?;
    *bytes = rest;
    Ok(head)
}

/// Length of `{"kind":"Secret","apiVersion":"v1",`.
fn head_bytes(kind: &Kind) -> usize {
    r#"{"kind":"","apiVersion":"","#.len() + kind.kind.len() + kind.api_version.len()
}

/// Writes objects in the field order of the shape table, maps sorted by key, as Go does.
struct Text {
    out: Vec<u8>,
    flags: u8,
    revision_at: usize,
    annotations_at: usize,
    data_at: usize,
    splits_data: bool,
}

impl Text {
    fn new(kind: &'static Kind) -> Self {
        let splits_data = kind.holds_values();
        Self { out: Vec::with_capacity(512), flags: 0, revision_at: 0, annotations_at: 0, data_at: 0, splits_data }
    }

    fn object(&mut self, kind: &'static Kind, object: &Value) {
        self.out.extend_from_slice(b"{\"kind\":");
        push_string(&mut self.out, kind.kind);
        self.out.extend_from_slice(b",\"apiVersion\":");
        push_string(&mut self.out, kind.api_version);
        self.out.extend_from_slice(b",\"metadata\":{");
        self.metadata(object.get("metadata").unwrap_or(&Value::Null));
        self.out.extend_from_slice(b"},");
        self.data_at = self.out.len();
        for field in kind.message.fields {
            if field.json == "metadata" || (self.splits_data && (field.json == "data" || field.json == "stringData")) {
                continue;
            }
            self.field(field.json, field.ty, object.get(field.json).filter(|value| is_kept(field, value)));
        }
        // Every field ends with a comma; the last one makes room for the brace.
        close(&mut self.out);
    }

    fn metadata(&mut self, metadata: &Value) {
        let get = |name: &str| metadata.get(name).filter(|value| !is_absent(value));
        for name in ["name", "generateName", "namespace", "selfLink", "uid"] {
            self.field(name, Type::String, get(name));
        }
        self.out.extend_from_slice(b"\"resourceVersion\":\"");
        self.revision_at = self.out.len();
        self.out.extend_from_slice(b"\",");
        self.field("generation", Type::Int64, get("generation"));
        self.field("creationTimestamp", Type::Time, get("creationTimestamp"));
        self.field("deletionTimestamp", Type::Time, get("deletionTimestamp"));
        self.field("deletionGracePeriodSeconds", Type::Int64, get("deletionGracePeriodSeconds"));
        self.field("labels", Type::MapOfString, get("labels"));
        self.annotations(metadata.get("annotations").and_then(Value::as_object));
        for field in crate::model::schema::OBJECT_META.fields {
            if matches!(field.json, "ownerReferences" | "finalizers" | "managedFields") {
                self.field(field.json, field.ty, get(field.json));
            }
        }
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
    }

    fn annotations(&mut self, annotations: Option<&Map<String, Value>>) {
        // Before the comma that ends the field before (the revision, at the least): what is put there brings its own.
        self.annotations_at = self.out.len().saturating_sub(1);
        let Some(annotations) = annotations else { return };
        let others: BTreeMap<&String, &Value> = annotations.iter().filter(|(key, _)| *key != LAST_APPLIED).collect();
        if others.len() < annotations.len() {
            self.flags |= FLAG_LAST_APPLIED;
        }
        if others.is_empty() {
            return;
        }
        self.flags |= FLAG_OTHER_ANNOTATIONS;
        self.out.extend_from_slice(b"\"annotations\":{");
        self.annotations_at = self.out.len();
        for (key, value) in others {
            push_string(&mut self.out, key);
            self.out.push(b':');
            push_value(&mut self.out, value);
            self.out.push(b',');
        }
        close(&mut self.out);
        self.out.push(b',');
    }

    fn field(&mut self, name: &str, ty: Type, value: Option<&Value>) {
        let Some(value) = value else { return };
        push_string(&mut self.out, name);
        self.out.push(b':');
        push_typed(&mut self.out, ty, value);
        self.out.push(b',');
    }
}

/// Whether Go writes it: one that it has by pointer is there though it is empty (a selector without requirements selects
/// everything), and so is one that is required.
fn is_kept(field: &Field, value: &Value) -> bool {
    !is_absent(value) || ((field.pointer || field.required) && value.is_object())
}

/// Empty maps and lists are omitted, as `omitempty` does in Go.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn push_typed(out: &mut Vec<u8>, ty: Type, value: &Value) {
    match (ty, value) {
        (Type::Message(message), Value::Object(fields)) => push_message(out, message, fields),
        (Type::Messages(message, _), Value::Array(items)) => {
            out.push(b'[');
            for item in items {
                match item {
                    Value::Object(fields) => push_message(out, message, fields),
                    other => push_value(out, other),
                }
                out.push(b',');
            }
            if out.last() == Some(&b',') {
                out.pop();
            }
            out.push(b']');
        }
        _ => push_value(out, value),
    }
}

fn push_message(out: &mut Vec<u8>, message: &'static Message, fields: &Map<String, Value>) {
    out.push(b'{');
    for field in message.fields {
        if let Some(value) = fields.get(field.json).filter(|value| is_kept(field, value)) {
            push_string(out, field.json);
            out.push(b':');
            push_typed(out, field.ty, value);
            out.push(b',');
        }
    }
    close(out);
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            out.push(b'{');
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            for (key, value) in sorted {
                push_string(out, key);
                out.push(b':');
                push_value(out, value);
                out.push(b',');
            }
            close(out);
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                push_value(out, item);
                out.push(b',');
            }
            if out.last() == Some(&b',') {
                out.pop();
            }
            out.push(b']');
        }
        Value::String(text) => push_string(out, text),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
    }
}

fn close(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}

/// A JSON string as Go's encoder writes it: `<`, `>`, `&` and the line separators escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    use std::io::Write as _;
    out.push(b'"');
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let plain = c >= ' ' && !matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        if plain {
            continue;
        }
        out.extend_from_slice(text.get(from..at).unwrap_or_default().as_bytes());
        from = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c => {
                // Writing to a vector does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default().as_bytes());
    out.push(b'"');
}

fn push_decimal(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
