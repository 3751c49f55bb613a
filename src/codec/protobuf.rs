//! Kubernetes protobuf to JSON trees, driven by the shape table.
//!
//! Typed clients send creates, updates and delete options as protobuf; answers are JSON, so there is no
//! encoder. Source: `k8s.io/apimachinery/pkg/runtime/serializer/protobuf` and the `generated.proto` files.
//! It never puts content into an error, never allocates for lengths that are merely claimed, and wipes what it
//! had decoded when it fails.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::json;
use super::report::MAX_NODES;
use crate::model::schema::{Field, Message, Type};
use crate::sensitive::wipe;

/// What every protobuf body of Kubernetes begins with: `k8s` and a zero byte.
const MAGIC: &[u8] = b"k8s\0";
/// Media type of a body, which its envelope may repeat.
const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// Deepest nesting of messages. The shape table stays far below it.
const MAX_DEPTH: usize = 16;

/// `runtime.Unknown`: what a body says about itself, and the object's own message. No `Debug`: `raw` may hold
/// secret values.
pub struct Envelope<'a> {
    /// `v1`, `rbac.authorization.k8s.io/v1`; empty when the client left it out.
    pub api_version: &'a str,
    /// `Secret`; empty when the client left it out.
    pub kind: &'a str,
    /// The message.
    pub raw: &'a [u8],
    /// Always empty: no encoding within the envelope is served.
    pub content_encoding: &'a str,
    /// Empty, or the protobuf media type.
    pub content_type: &'a str,
}

/// Why a body is no protobuf of the expected message. Field names come from the shape table, never from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The body does not begin with `k8s\0`.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    /// The body ends within a value, or a length leads past its end.
    #[error("unexpected EOF")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// Field number 0 or beyond protobuf's range, or a wire type that does not exist.
    #[error("proto: illegal tag")]
    Tag,
    /// A group; no Kubernetes message has one.
    #[error("proto: groups are not supported")]
    Group,
    /// A known field with another wire type than its own.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WireType {
        /// Wire type that was found.
        wire_type: u8,
        /// JSON name of the field.
        field: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("proto: field {field} contains invalid UTF-8")]
    Utf8 {
        /// JSON name of the field.
        field: &'static str,
    },
    /// A time outside the years 0 to 9999, which RFC 3339 cannot show.
    #[error("proto: field {field} is a time outside of the range [0,9999] of years")]
    Time {
        /// JSON name of the field.
        field: &'static str,
    },
    /// A set of fields that is not JSON.
    #[error("proto: field {field} is not JSON")]
    FieldsV1 {
        /// JSON name of the field.
        field: &'static str,
    },
    /// More values than one document may have.
    #[error("proto: too many values")]
    TooManyValues,
    /// Nested too deeply.
    #[error("proto: exceeded max depth")]
    Depth,
    /// The envelope names a content encoding or content type that is not served.
    #[error("proto: the content encoding or content type of the object is not supported")]
    Content,
}

/// Opens the envelope of a body.
pub fn decode_envelope(body: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    let rest = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let mut envelope = Envelope { api_version: "", kind: "", raw: &[], content_encoding: "", content_type: "" };
    let mut fields = Reader { rest };
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => {
                let mut type_meta = Reader { rest: value.bytes("typeMeta")? };
                while let Some((number, value)) = type_meta.next()? {
                    match number {
                        1 => envelope.api_version = value.text("apiVersion")?,
                        2 => envelope.kind = value.text("kind")?,
                        _ => {}
                    }
                }
            }
            2 => envelope.raw = value.bytes("raw")?,
            3 => envelope.content_encoding = value.text("contentEncoding")?,
            4 => envelope.content_type = value.text("contentType")?,
            _ => {}
        }
    }
    if !envelope.content_encoding.is_empty() || !matches!(envelope.content_type, "" | CONTENT_TYPE) {
        return Err(ProtobufError::Content);
    }
    Ok(envelope)
}

/// Decodes a message into its JSON form, fields in the order of the shape table.
///
/// Go's encoder writes zero values too, so `""`, 0, `false` and empty messages are left out, except as elements,
/// as map values and in pointer fields. Unknown fields are skipped. A repeated field that is not a list is read as
/// protobuf demands: the last scalar wins, messages are merged. The tree may hold secret values; the caller wraps it.
pub fn decode_message(message: &'static Message, raw: &[u8]) -> Result<Value, ProtobufError> {
    let mut object = Map::new();
    let outcome = Decoder { values: 0 }.message(message, raw, &mut object, 0);
    if let Err(error) = outcome {
        wipe(&mut Value::Object(object));
        return Err(error);
    }
    settle(message, &mut object);
    Ok(Value::Object(object))
}

struct Decoder {
    values: usize,
}

impl Decoder {
    fn count(&mut self) -> Result<(), ProtobufError> {
        self.values += 1;
        if self.values > MAX_NODES { Err(ProtobufError::TooManyValues) } else { Ok(()) }
    }

    /// Merges `raw` into `object`. Whatever is decoded is put into the tree at once, so that a failure leaves
    /// nothing outside it to wipe.
    fn message(
        &mut self,
        message: &'static Message,
        raw: &[u8],
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > MAX_DEPTH {
            return Err(ProtobufError::Depth);
        }
        let mut fields = Reader { rest: raw };
        while let Some((number, value)) = fields.next()? {
            if let Some(field) = message.field_numbered(number) {
                self.count()?;
                self.field(field, value, object, depth)?;
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &'static Field,
        wire: Wire<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let name = field.json;
        match field.ty {
            Type::String => {
                let text = wire.text(name)?;
                put_scalar(object, field, text.is_empty(), Value::from(text));
            }
            Type::Bool => {
                let on = wire.varint(name)? != 0;
                put_scalar(object, field, !on, Value::from(on));
            }
            Type::Int32 => {
                #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low 32 bits")]
                let number = wire.varint(name)?.cast_signed() as i32;
                put_scalar(object, field, number == 0, Value::from(number));
            }
            Type::Int64 => {
                let number = wire.varint(name)?.cast_signed();
                put_scalar(object, field, number == 0, Value::from(number));
            }
            Type::Bytes => {
                let bytes = wire.bytes(name)?;
                put_scalar(object, field, bytes.is_empty(), Value::from(STANDARD.encode(bytes)));
            }
            Type::Time | Type::MicroTime => match time(field, wire.bytes(name)?)? {
                Some(text) => put(object, name, Value::from(text)),
                None => discard(object, name),
            },
            Type::FieldsV1 => match self.fields_v1(name, wire.bytes(name)?)? {
                Some(fields) => put(object, name, fields),
                None => discard(object, name),
            },
            Type::MapOfString => {
                let (key, value) = entry(name, wire.bytes(name)?)?;
                let value = Value::from(text(name, value)?);
                put(map_in(object, name), key, value);
            }
            Type::MapOfBytes => {
                let (key, value) = entry(name, wire.bytes(name)?)?;
                put(map_in(object, name), key, Value::from(STANDARD.encode(value)));
            }
            Type::MapOfStrings => {
                let (key, value) = entry(name, wire.bytes(name)?)?;
                let mut items = Vec::new();
                let mut fields = Reader { rest: value };
                while let Some((number, value)) = fields.next()? {
                    if number == 1 {
                        self.count()?;
                        items.push(Value::from(value.text(name)?));
                    }
                }
                put(map_in(object, name), key, Value::Array(items));
            }
            Type::Message(inner) => {
                let raw = wire.bytes(name)?;
                self.message(inner, raw, map_in(object, name), depth + 1)?;
            }
            Type::Strings(_) => {
                let item = Value::from(wire.text(name)?);
                list_in(object, name).push(item);
            }
            Type::Messages(inner, _) => {
                let raw = wire.bytes(name)?;
                let items = list_in(object, name);
                items.push(Value::Object(Map::new()));
                if let Some(Value::Object(item)) = items.last_mut() {
                    self.message(inner, raw, item, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// `FieldsV1{Raw=1}`: the bytes are JSON; none is null.
    fn fields_v1(&mut self, name: &'static str, raw: &[u8]) -> Result<Option<Value>, ProtobufError> {
        let mut text: &[u8] = &[];
        let mut fields = Reader { rest: raw };
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                text = value.bytes(name)?;
            }
        }
        if text.is_empty() {
            return Ok(None);
        }
        // Every value but the first takes two bytes of JSON at least, so this bounds all trees of a body together.
        self.values = self.values.saturating_add(text.len() / 2);
        self.count()?;
        json::parse(text).map(|parsed| Some(parsed.value)).map_err(|_| ProtobufError::FieldsV1 { field: name })
    }
}

/// Puts the fields into the table's order and drops empty messages that are no pointers.
fn settle(message: &Message, object: &mut Map<String, Value>) {
    let mut unordered = std::mem::take(object);
    for field in message.fields {
        let Some(mut value) = unordered.remove(field.json) else { continue };
        match (field.ty, &mut value) {
            (Type::Message(inner), Value::Object(fields)) => {
                settle(inner, fields);
                if fields.is_empty() && !field.pointer {
                    continue;
                }
            }
            (Type::Messages(inner, _), Value::Array(items)) => {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    settle(inner, item);
                }
            }
            _ => {}
        }
        object.insert(field.json.to_owned(), value);
    }
}

/// Sets a field, wiping what it had before.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(mut before) = object.insert(name.to_owned(), value) {
        wipe(&mut before);
    }
}

fn put_scalar(object: &mut Map<String, Value>, field: &Field, is_zero: bool, value: Value) {
    if is_zero && !field.pointer {
        discard(object, field.json);
    } else {
        put(object, field.json, value);
    }
}

fn discard(object: &mut Map<String, Value>, name: &str) {
    if let Some(mut before) = object.remove(name) {
        wipe(&mut before);
    }
}

/// The object at `name`, made if it is not there.
fn map_in<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let slot = object.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(fields) => fields,
        _ => unreachable!("set above"),
    }
}

/// The list at `name`, made if it is not there.
fn list_in<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let slot = object.entry(name).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    match slot {
        Value::Array(items) => items,
        _ => unreachable!("set above"),
    }
}

/// `{key=1, value=2}` of a map; what is missing is empty.
fn entry<'a>(field: &'static str, raw: &'a [u8]) -> Result<(&'a str, &'a [u8]), ProtobufError> {
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    let mut fields = Reader { rest: raw };
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => key = wire.text(field)?,
            2 => value = wire.bytes(field)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// `Timestamp{seconds=1, nanos=2}` as RFC 3339, as Kubernetes keeps times: in whole seconds, or of a `MicroTime` in
/// microseconds; an empty message is null.
fn time(field: &Field, raw: &[u8]) -> Result<Option<String>, ProtobufError> {
    if raw.is_empty() {
        return Ok(None);
    }
    let is_micro = matches!(field.ty, Type::MicroTime);
    let field = field.json;
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Reader { rest: raw };
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => seconds = wire.varint(field)?.cast_signed(),
            2 => nanos = wire.varint(field)?.cast_signed(),
            _ => {}
        }
    }
    let refused = || ProtobufError::Time { field };
    let nanos = if is_micro { i32::try_from(nanos).map_err(|_| refused())? } else { 0 };
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(refused());
    }
    let at = Timestamp::new(seconds, nanos).map_err(|_| refused())?;
    let (layout, bytes) = if is_micro { ("%Y-%m-%dT%H:%M:%S.%6fZ", 27) } else { ("%Y-%m-%dT%H:%M:%SZ", 20) };
    let text = at.strftime(layout).to_string();
    // Years before 0 carry a sign.
    if text.len() == bytes && !text.starts_with('-') { Ok(Some(text)) } else { Err(refused()) }
}

fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, ProtobufError> {
    std::str::from_utf8(bytes).map_err(|_| ProtobufError::Utf8 { field })
}

/// The fields of one message, in the order in which they were written.
struct Reader<'a> {
    rest: &'a [u8],
}

/// One value as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Eight or four bytes. No field of the table has them.
    Fixed(u8),
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(ProtobufError::Tag)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Wire::Fixed(1)
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            3 | 4 => return Err(ProtobufError::Group),
            5 => {
                self.take(4)?;
                Wire::Fixed(5)
            }
            _ => return Err(ProtobufError::Tag),
        };
        Ok(Some((number, wire)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first; ten bytes at most.
    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(ProtobufError::Truncated)?;
            self.rest = rest;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Overflow)
    }
}

impl<'a> Wire<'a> {
    fn varint(self, field: &'static str) -> Result<u64, ProtobufError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(self.wrong(field)),
        }
    }

    fn bytes(self, field: &'static str) -> Result<&'a [u8], ProtobufError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong(field)),
        }
    }

    fn text(self, field: &'static str) -> Result<&'a str, ProtobufError> {
        text(field, self.bytes(field)?)
    }

    fn wrong(self, field: &'static str) -> ProtobufError {
        let wire_type = match self {
            Self::Varint(_) => 0,
            Self::Bytes(_) => 2,
            Self::Fixed(wire_type) => wire_type,
        };
        ProtobufError::WireType { wire_type, field }
    }
}

#[cfg(test)]
mod tests;
