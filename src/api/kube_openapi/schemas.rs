//! The schemas of Kubernetes' own documents, with how lists and maps merge.

use serde_json::{Map, Value, json};

use crate::model::kinds::Kind;
use crate::model::schema::{self, ListKind, Message, Type};

/// A reference to a component.
pub(super) fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

/// The schemas of a kind, its list, and everything they are made of.
pub(super) fn components(kind: &'static Kind) -> Map<String, Value> {
    let mut schemas = Map::new();
    add_component(kind.message, &[kind.kind, kind.group, kind.version], &mut schemas);
    if kind.stored {
        let list = json!({
            "description": format!("A list of {} objects.", kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string", "description": "Version of the shape of this object."},
                "items": {"type": "array", "description": "The objects.", "items": {"default": {}, "allOf": [reference(kind.message.component)]}},
                "kind": {"type": "string", "description": "The kind of this object."},
                "metadata": {"default": {}, "allOf": [reference(schema::LIST_META.component)], "description": "Metadata of the list."},
            },
            "x-kubernetes-group-version-kind": [{"group": kind.group, "version": kind.version, "kind": kind.list_kind}],
        });
        schemas.insert(format!("{}List", kind.message.component), list);
        add_component(&schema::LIST_META, &[], &mut schemas);
    }
    schemas
}

/// Adds a message and what it refers to. `identity` is kind, group and version of a top-level object.
pub(super) fn add_component(message: &'static Message, identity: &[&str], schemas: &mut Map<String, Value>) {
    if schemas.contains_key(message.component) {
        return;
    }
    // A place is kept first, so that a message that refers to itself ends.
    schemas.insert(message.component.to_owned(), Value::Null);
    let mut properties = Map::new();
    if let [_, _, _] = identity {
        properties.insert(
            "apiVersion".to_owned(),
            json!({"type": "string", "description": "Version of the shape of this object."}),
        );
        properties.insert("kind".to_owned(), json!({"type": "string", "description": "The kind of this object."}));
    }
    for field in message.fields {
        properties.insert(field.json.to_owned(), property(field.ty, field.description));
        if let Type::Message(inner) | Type::Messages(inner, _) = field.ty {
            add_component(inner, &[], schemas);
        }
    }
    let mut body = json!({"description": message.description, "type": "object", "properties": properties});
    if let Some(fields) = body.as_object_mut() {
        let required: Vec<&str> =
            message.fields.iter().filter(|field| field.required).map(|field| field.json).collect();
        if !required.is_empty() {
            fields.insert("required".to_owned(), json!(required));
        }
        if message.atomic {
            fields.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        if let [kind, group, version] = identity {
            let gvk = json!([{"group": group, "version": version, "kind": kind}]);
            fields.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
        }
    }
    schemas.insert(message.component.to_owned(), body);
}

fn property(ty: Type, description: &str) -> Value {
    let mut body = match ty {
        Type::String => json!({"type": "string"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int32 => json!({"type": "integer", "format": "int32"}),
        Type::Int64 => json!({"type": "integer", "format": "int64"}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Time | Type::MicroTime => json!({"type": "string", "format": "date-time"}),
        Type::FieldsV1 => json!({"type": "object"}),
        Type::MapOfString => json!({"type": "object", "additionalProperties": {"type": "string", "default": ""}}),
        Type::MapOfBytes => json!({"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}),
        Type::MapOfStrings => {
            json!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string", "default": ""}}})
        }
        Type::Message(message) => json!({"default": {}, "allOf": [reference(message.component)]}),
        Type::Strings(_) => json!({"type": "array", "items": {"type": "string", "default": ""}}),
        Type::Messages(message, _) => {
            json!({"type": "array", "items": {"default": {}, "allOf": [reference(message.component)]}})
        }
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert("description".to_owned(), description.into());
        if let Type::Strings(list) | Type::Messages(_, list) = ty {
            add_list_kind(list, fields);
        }
    }
    body
}

fn add_list_kind(list: ListKind, fields: &mut Map<String, Value>) {
    match list {
        ListKind::Atomic => {
            fields.insert("x-kubernetes-list-type".to_owned(), "atomic".into());
        }
        ListKind::Set => {
            fields.insert("x-kubernetes-list-type".to_owned(), "set".into());
            fields.insert("x-kubernetes-patch-strategy".to_owned(), "merge".into());
        }
        ListKind::Map(keys) => {
            fields.insert("x-kubernetes-list-type".to_owned(), "map".into());
            fields.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
            fields.insert("x-kubernetes-patch-strategy".to_owned(), "merge".into());
            fields.insert("x-kubernetes-patch-merge-key".to_owned(), json!(keys.first()));
        }
    }
}
