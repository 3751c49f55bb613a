//! The shape of every object: one table of messages and fields, taken from the Kubernetes API reference.
//!
//! From it come the protobuf decoder, strict field validation, defaulting of lists, the field sets of
//! server-side apply, the strategies of strategic merge patch, and the OpenAPI documents. It never
//! holds values.

mod access;
mod authn;
mod authz;
mod cluster;
mod core;
mod events;
mod export;
mod import;
mod issue;
mod kms;
mod meta;
mod rbac;
mod rendering;
mod revision;
mod scan;
mod sync;
mod users;

pub use self::access::*;
pub use self::authn::*;
pub use self::authz::*;
pub use self::cluster::*;
pub use self::core::*;
pub use self::events::*;
pub use self::export::*;
pub use self::import::*;
pub use self::issue::*;
pub use self::kms::*;
pub use self::meta::*;
pub use self::rbac::*;
pub use self::rendering::*;
pub use self::revision::*;
pub use self::scan::*;
pub use self::sync::*;
pub use self::users::*;

/// A message: what protobuf calls a message, Go a struct and OpenAPI an object schema.
#[derive(Debug)]
pub struct Message {
    /// Go's name without its package, as in error texts: `Secret`, `ObjectMeta`.
    pub name: &'static str,
    /// OpenAPI component name: `io.k8s.api.core.v1.Secret`.
    pub component: &'static str,
    /// The API reference's own kind of sentence about it, in our words.
    pub description: &'static str,
    /// Fields in the order in which Kubernetes writes them as JSON.
    pub fields: &'static [Field],
    /// Server-side apply treats the whole message as one leaf (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// JSON name: `stringData`.
    pub json: &'static str,
    /// Protobuf field number.
    pub number: u32,
    /// Type of the value.
    pub ty: Type,
    /// Go type of the field without `*`, as in decoding errors: `v1.SecretType`, `bool`, `map[string][]uint8`,
    /// `[]v1.PolicyRule`. The type of an element is what follows `[]` or `map[string]`.
    pub go: &'static str,
    /// A Go pointer: presence matters, so protobuf's zero value is a value and not "absent".
    pub pointer: bool,
    /// Listed under `required` in OpenAPI.
    pub required: bool,
    /// One or two sentences, shown by `kubectl explain`.
    pub description: &'static str,
}

/// The type of a field, with what merging needs to know of lists.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// UTF-8 text.
    String,
    /// `true` or `false`.
    Bool,
    /// Signed 32-bit.
    Int32,
    /// Signed 64-bit.
    Int64,
    /// Bytes: standard base64 in JSON, raw in protobuf.
    Bytes,
    /// `metav1.Time`: RFC 3339 in JSON, `{seconds=1,nanos=2}` in protobuf.
    Time,
    /// `metav1.MicroTime`: RFC 3339 with six digits of a second's fraction in JSON, `{seconds=1,nanos=2}` in protobuf.
    MicroTime,
    /// `metav1.FieldsV1`: any JSON object; `{Raw=1 bytes(JSON)}` in protobuf.
    FieldsV1,
    /// `map[string]string`, merged key by key (granular).
    MapOfString,
    /// `map[string][]byte`, merged key by key (granular).
    MapOfBytes,
    /// `map[string][]string` (`ExtraValue`: `{items=1}` in protobuf).
    MapOfStrings,
    /// A nested message.
    Message(&'static Message),
    /// A list of text.
    Strings(ListKind),
    /// A list of messages.
    Messages(&'static Message, ListKind),
}

/// How a list merges, in server-side apply (`x-kubernetes-list-type`) and in strategic merge patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Replaced as a whole by both.
    Atomic,
    /// A set of scalars; strategic merge patch merges it too (`finalizers`).
    Set,
    /// A list-map by these keys; strategic merge patch merges by the first of them.
    Map(&'static [&'static str]),
}

/// `metadata` of every object.
const METADATA: Field = Field::new(
    "metadata",
    1,
    Type::Message(&OBJECT_META),
    "v1.ObjectMeta",
    "Metadata that every object has: its name, its labels and annotations, and what the server keeps about it.",
);

/// The first field of a status.
const OBSERVED_GENERATION: Field =
    Field::new("observedGeneration", 1, Type::Int64, "int64", "The generation of the spec that this is about.");

/// The second field of a status, and which conditions there are.
const fn conditions(description: &'static str) -> Field {
    Field::new("conditions", 2, Type::Messages(&CONDITION, ListKind::Map(&["type"])), "[]v1.Condition", description)
}

impl Field {
    /// A row of the table: no pointer, not required.
    const fn new(json: &'static str, number: u32, ty: Type, go: &'static str, description: &'static str) -> Self {
        Self { json, number, ty, go, pointer: false, required: false, description }
    }

    const fn pointer(self) -> Self {
        Self { pointer: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

impl Message {
    /// The field with this JSON name (case-sensitive, as in Kubernetes' strict decoder).
    #[must_use]
    pub fn field(&self, json: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == json)
    }

    /// The field with this protobuf number.
    #[must_use]
    pub fn field_numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}
