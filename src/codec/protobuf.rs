//! Kubernetes' protobuf request bodies: the envelope, and messages decoded by the table of shapes.
//!
//! Decoding only: every client that sends protobuf accepts JSON back. Proto2 rules as Kubernetes' generated
//! encoders rely on them: zero scalars are written explicitly and mean "absent", except where presence matters.
//! Errors never hold content.
//!
//! Source: `k8s.io/apimachinery/pkg/runtime/generated.proto` (`Unknown`), protobuf encoding specification.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::clock::rfc3339;
use crate::model::schema::{Field, Message, Type};

/// The four bytes before every envelope: `k8s` and a zero.
const MAGIC: &[u8] = b"k8s\0";
/// No message served here nests deeper than a handful; this bounds hostile ones.
const MAX_DEPTH: usize = 32;

/// Why a body is no protobuf object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The envelope's magic bytes are missing.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    /// The input ends within a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A varint of more than ten bytes, or a length beyond the input.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field has another wire type than its number says.
    #[error("proto: wrong wireType for a field")]
    WireType,
    /// Groups, which Kubernetes never writes, and reserved wire types.
    #[error("proto: illegal wireType")]
    Group,
    /// A string that is not UTF-8, or a set of fields that is no JSON.
    #[error("proto: invalid text in a field")]
    Text,
    /// Nested too deeply.
    #[error("exceeded max depth")]
    Depth,
}

/// A decoded envelope (`runtime.Unknown`).
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `v1`
    pub api_version: String,
    /// `Secret`
    pub kind: String,
    /// The message.
    pub raw: &'a [u8],
    /// Encoding of `raw`; empty is none.
    pub content_encoding: String,
    /// Media type of `raw`; empty is protobuf.
    pub content_type: String,
}

/// Opens an envelope.
pub fn decode_envelope(body: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    let mut rest = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let mut envelope = Envelope {
        api_version: String::new(),
        kind: String::new(),
        raw: &[],
        content_encoding: String::new(),
        content_type: String::new(),
    };
    while !rest.is_empty() {
        match take_field(&mut rest)? {
            (1, Wire::Bytes(mut type_meta)) => {
                while !type_meta.is_empty() {
                    match take_field(&mut type_meta)? {
                        (1, Wire::Bytes(bytes)) => envelope.api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => envelope.kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => envelope.raw = bytes,
            (3, Wire::Bytes(bytes)) => envelope.content_encoding = text(bytes)?,
            (4, Wire::Bytes(bytes)) => envelope.content_type = text(bytes)?,
            _ => {}
        }
    }
    Ok(envelope)
}

/// Decodes a message into its JSON form: bytes as standard base64, times as RFC 3339.
pub fn decode_message(message: &'static Message, raw: &[u8]) -> Result<Value, ProtobufError> {
    decode(message, raw, MAX_DEPTH).map(Value::Object)
}

fn decode(message: &'static Message, mut rest: &[u8], levels: usize) -> Result<Map<String, Value>, ProtobufError> {
    let levels = levels.checked_sub(1).ok_or(ProtobufError::Depth)?;
    let mut out = Map::new();
    while !rest.is_empty() {
        let (number, wire) = take_field(&mut rest)?;
        let Some(field) = message.fields.iter().find(|field| field.number == number) else { continue };
        decode_field(field, &wire, levels, &mut out)?;
    }
    Ok(out)
}

fn decode_field(
    field: &'static Field,
    wire: &Wire<'_>,
    levels: usize,
    out: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    let value = match field.ty {
        Type::String => {
            let text = text(wire.bytes()?)?;
            (field.pointer || !text.is_empty()).then(|| Value::from(text))
        }
        Type::Bool => {
            let value = wire.varint()? != 0;
            (field.pointer || value).then_some(Value::Bool(value))
        }
        Type::Int32 | Type::Int64 => {
            // Negative numbers are written as the two's complement of 64 bits.
            let value = wire.varint()?.cast_signed();
            (field.pointer || value != 0).then(|| Value::from(value))
        }
        Type::Bytes => {
            let bytes = wire.bytes()?;
            (field.pointer || !bytes.is_empty()).then(|| Value::from(STANDARD.encode(bytes)))
        }
        Type::Time => decode_time(wire.bytes()?)?.map(Value::from),
        Type::FieldsV1 => decode_fields_v1(wire.bytes()?)?,
        Type::Message(message) => {
            let fields = decode(message, wire.bytes()?, levels)?;
            (field.pointer || !fields.is_empty()).then_some(Value::Object(fields))
        }
        Type::Messages(message, _) => {
            push(out, field.json, Value::Object(decode(message, wire.bytes()?, levels)?));
            return Ok(());
        }
        Type::Strings(_) => {
            push(out, field.json, Value::from(text(wire.bytes()?)?));
            return Ok(());
        }
        Type::MapOfString | Type::MapOfBytes | Type::MapOfStrings => {
            let (key, value) = decode_entry(field.ty, wire.bytes()?)?;
            let map = out.entry(field.json).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, value);
            }
            return Ok(());
        }
    };
    match value {
        Some(value) => drop(out.insert(field.json.to_owned(), value)),
        // A later zero overrides an earlier value, as a scalar's last occurrence does.
        None => drop(out.shift_remove(field.json)),
    }
    Ok(())
}

fn push(out: &mut Map<String, Value>, name: &str, item: Value) {
    let list = out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

/// One entry of a map: `{key = 1, value = 2}`.
fn decode_entry(ty: Type, mut rest: &[u8]) -> Result<(String, Value), ProtobufError> {
    let mut key = String::new();
    let mut value = match ty {
        Type::MapOfStrings => Value::Array(Vec::new()),
        _ => Value::from(""),
    };
    while !rest.is_empty() {
        match take_field(&mut rest)? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) => {
                value = match ty {
                    Type::MapOfBytes => Value::from(STANDARD.encode(bytes)),
                    Type::MapOfStrings => Value::Array(decode_items(bytes)?),
                    _ => Value::from(text(bytes)?),
                }
            }
            (1 | 2, _) => return Err(ProtobufError::WireType),
            _ => {}
        }
    }
    Ok((key, value))
}

/// `ExtraValue`: `{items = 1}`.
fn decode_items(mut rest: &[u8]) -> Result<Vec<Value>, ProtobufError> {
    let mut items = Vec::new();
    while !rest.is_empty() {
        if let (1, wire) = take_field(&mut rest)? {
            items.push(Value::from(text(wire.bytes()?)?));
        }
    }
    Ok(items)
}

/// `Time{seconds = 1, nanos = 2}`; zero seconds are no time.
fn decode_time(mut rest: &[u8]) -> Result<Option<String>, ProtobufError> {
    let mut seconds = 0;
    while !rest.is_empty() {
        if let (1, wire) = take_field(&mut rest)? {
            seconds = wire.varint()?.cast_signed();
        }
    }
    Ok((seconds != 0).then(|| rfc3339(seconds)))
}

/// `FieldsV1{Raw = 1}`, which is JSON.
fn decode_fields_v1(mut rest: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let mut value = None;
    while !rest.is_empty() {
        if let (1, wire) = take_field(&mut rest)? {
            let raw = wire.bytes()?;
            value =
                if raw.is_empty() { None } else { Some(serde_json::from_slice(raw).map_err(|_| ProtobufError::Text)?) };
        }
    }
    Ok(value)
}

/// A field's value on the wire.
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Wire<'a> {
    fn bytes(&self) -> Result<&'a [u8], ProtobufError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(ProtobufError::WireType) }
    }

    fn varint(&self) -> Result<u64, ProtobufError> {
        if let Self::Varint(value) = self { Ok(*value) } else { Err(ProtobufError::WireType) }
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Wire<'a>), ProtobufError> {
    let tag = take_varint(rest)?;
    let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Overflow)?;
    let wire = match tag & 7 {
        0 => Wire::Varint(take_varint(rest)?),
        1 => {
            take_bytes(rest, 8)?;
            Wire::Fixed
        }
        2 => {
            let length = usize::try_from(take_varint(rest)?).map_err(|_| ProtobufError::Overflow)?;
            Wire::Bytes(take_bytes(rest, length)?)
        }
        5 => {
            take_bytes(rest, 4)?;
            Wire::Fixed
        }
        _ => return Err(ProtobufError::Group),
    };
    Ok((number, wire))
}

fn take_bytes<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], ProtobufError> {
    let (head, tail) = rest.split_at_checked(count).ok_or(ProtobufError::Truncated)?;
    *rest = tail;
    Ok(head)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(ProtobufError::Truncated)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(ProtobufError::Overflow);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ProtobufError::Overflow)
}

fn text(bytes: &[u8]) -> Result<String, ProtobufError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtobufError::Text)
}

#[cfg(test)]
#[path = "protobuf_tests.rs"]
mod tests;
