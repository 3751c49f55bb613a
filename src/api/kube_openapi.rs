//! Kubernetes' own OpenAPI documents, which kubectl validates, merges and explains by. They follow from the
//! tables of kinds and shapes.
//!
//! Source: OpenAPI 3.0, KEP-2896 (OpenAPI v3), KEP-3352 (aggregated discovery), and what kubectl reads:
//! `fieldValidation` among a PATCH's parameters, `x-kubernetes-group-version-kind`, merge keys and list types.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use super::{Context, discovery, respond};
use crate::model::kinds::{KINDS, Kind, Subresource, Verb};
use crate::model::schema::{self, ListKind, Message, Type};

/// A document and the hash under which it may be cached for good.
pub struct Prepared {
    /// The document.
    pub json: Vec<u8>,
    /// Upper-case hex SHA-512 of it.
    pub hash: String,
}

/// The document of every group and version, by its path below `/openapi/v3/`.
static DOCUMENTS: LazyLock<BTreeMap<String, Prepared>> = LazyLock::new(|| {
    discovery::group_versions()
        .into_iter()
        .map(|group_version| {
            let json = build(&group_version).to_string().into_bytes();
            let hash = hex::encode_upper(Sha512::digest(&json));
            let path = if group_version.contains('/') { format!("apis/{group_version}") } else { format!("api/{group_version}") };
            (path, Prepared { json, hash })
        })
        .collect()
});

/// `/openapi/v3`: where each document is.
pub fn index() -> Value {
    let paths: Map<String, Value> = DOCUMENTS
        .iter()
        .map(|(path, document)| {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            (path.clone(), json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The document at `/openapi/v3/PATH`.
pub fn document(path: &str) -> Option<&'static Prepared> {
    DOCUMENTS.get(path)
}

/// `/openapi/v2` as clients want it that ask for protobuf: the smallest gnostic `Document` there is
/// (`swagger = 1`, `info = 2`, `paths = 8`, `definitions = 9`). Clients that find no model in it leave
/// validation to the server.
pub fn v2_protobuf() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        // Lengths here are far below 128: one byte each.
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap_or_default()];
        out.extend_from_slice(content);
        out
    };
    let info = [field(1, b"Kubernetes"), field(2, b"v1.32.0")].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &[]), field(9, &[])].concat()
}

/// `/openapi/v2` as JSON: definitions, without paths.
pub fn v2_json() -> Value {
    let mut definitions = Map::new();
    for kind in KINDS {
        definitions.extend(components(kind).into_iter().map(|(name, schema)| {
            let text = schema.to_string().replace("#/components/schemas/", "#/definitions/");
            (name, serde_json::from_str(&text).unwrap_or(schema))
        }));
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": {},
        "definitions": definitions,
    })
}

fn build(group_version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in KINDS.iter().filter(|kind| kind.api_version == group_version) {
        add_paths(kind, &mut paths);
        schemas.extend(components(kind));
    }
    add_component(&schema::STATUS, &[], &mut schemas);
    add_component(&schema::DELETE_OPTIONS, &[], &mut schemas);
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn add_paths(kind: &'static Kind, paths: &mut Map<String, Value>) {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let root = format!("{root}/{}", kind.version);
    let scope = if kind.namespaced { format!("{root}/namespaces/{{namespace}}") } else { root.clone() };
    let collection = format!("{scope}/{}", kind.plural);
    let served = |verbs: &[Verb]| verbs.iter().copied().filter(|verb| kind.verbs.contains(verb)).collect::<Vec<_>>();
    let of_collection = served(&[Verb::List, Verb::Create, Verb::DeleteCollection]);
    let of_object = served(&[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]);
    paths.insert(collection.clone(), path_item(kind, &of_collection, kind.namespaced, false, None));
    if !of_object.is_empty() {
        paths.insert(format!("{collection}/{{name}}"), path_item(kind, &of_object, kind.namespaced, true, None));
    }
    for sub in kind.subresources {
        let path = format!("{collection}/{{name}}/{}", sub.name);
        paths.insert(path, path_item(kind, sub.verbs, kind.namespaced, true, Some(sub)));
    }
    if kind.namespaced && kind.stored {
        paths.insert(format!("{root}/{}", kind.plural), path_item(kind, &served(&[Verb::List]), false, false, None));
    }
}

fn path_item(kind: &'static Kind, verbs: &[Verb], namespaced: bool, named: bool, sub: Option<&Subresource>) -> Value {
    let mut item = Map::new();
    for verb in verbs {
        let (method, action) = match verb {
            Verb::Get => ("get", "get"),
            Verb::List | Verb::Watch => ("get", "list"),
            Verb::Create => ("post", "post"),
            Verb::Update => ("put", "put"),
            Verb::Patch => ("patch", "patch"),
            Verb::Delete => ("delete", "delete"),
            Verb::DeleteCollection => ("delete", "deletecollection"),
        };
        item.insert(method.to_owned(), operation(kind, *verb, action, namespaced, named, sub));
    }
    let mut parameters = Vec::new();
    if named {
        parameters.push(json!({"name": "name", "in": "path", "required": true, "description": format!("Name of the {}.", kind.kind), "schema": {"type": "string"}}));
    }
    if namespaced {
        parameters.push(json!({"name": "namespace", "in": "path", "required": true, "description": "Namespace of the object.", "schema": {"type": "string"}}));
    }
    parameters.push(parameter("pretty", "string", "Indent the answer."));
    item.insert("parameters".to_owned(), parameters.into());
    Value::Object(item)
}

fn operation(
    kind: &'static Kind,
    verb: Verb,
    action: &str,
    namespaced: bool,
    named: bool,
    sub: Option<&Subresource>,
) -> Value {
    let scope = if namespaced { "Namespaced" } else { "" };
    let everywhere = if !named && !namespaced && kind.namespaced { "ForAllNamespaces" } else { "" };
    let suffix = sub.map(|sub| capitalised(sub.name)).unwrap_or_default();
    let verb_name = match verb {
        Verb::Get => "read",
        Verb::List | Verb::Watch => "list",
        Verb::Create => "create",
        Verb::Update => "replace",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
        Verb::DeleteCollection => "deleteCollection",
    };
    let group = if kind.group.is_empty() { "Core" } else { kind.group.split('.').next().unwrap_or_default() };
    let id = format!("{verb_name}{}{}{scope}{}{suffix}{everywhere}", capitalised(group), capitalised(kind.version), kind.kind);
    let object = reference(kind.message.component);
    let answer = match verb {
        Verb::List | Verb::Watch => reference(&format!("{}List", kind.message.component)),
        Verb::Delete if !kind.delete_returns_object => reference(schema::STATUS.component),
        Verb::DeleteCollection => reference(schema::STATUS.component),
        _ => object.clone(),
    };
    let content = json!({
        "application/json": {"schema": answer},
        "application/yaml": {"schema": answer},
    });
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({"description": "OK", "content": content}));
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        responses.insert("201".to_owned(), json!({"description": "Created", "content": content}));
    }
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let mut body = json!({
        "operationId": id,
        "tags": [format!("{}_{}", group.to_lowercase(), kind.version)],
        "description": format!("{verb_name} {}", kind.kind),
        "parameters": parameters(verb),
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    let request = match verb {
        Verb::Create | Verb::Update => Some(json!({"*/*": {"schema": object}})),
        Verb::Patch => {
            let any = json!({"schema": {"type": "object"}});
            Some(json!({
                "application/apply-patch+yaml": any,
                "application/json-patch+json": any,
                "application/merge-patch+json": any,
                "application/strategic-merge-patch+json": any,
            }))
        }
        Verb::Delete | Verb::DeleteCollection => Some(json!({"*/*": {"schema": reference(schema::DELETE_OPTIONS.component)}})),
        _ => None,
    };
    if let (Some(fields), Some(content)) = (body.as_object_mut(), request) {
        let required = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
        fields.insert("requestBody".to_owned(), json!({"content": content, "required": required}));
    }
    body
}

fn parameters(verb: Verb) -> Value {
    let mut all = Vec::new();
    let mut add = |name: &str, ty: &str, description: &str| all.push(parameter(name, ty, description));
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection) {
        add("dryRun", "string", "All: do everything but store it.");
    }
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        add("fieldManager", "string", "Name of the manager to whom changed fields are attributed.");
        add("fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict.");
    }
    if verb == Verb::Patch {
        add("force", "boolean", "Take conflicting fields from their managers (apply only).");
    }
    if matches!(verb, Verb::Delete | Verb::DeleteCollection) {
        add("gracePeriodSeconds", "integer", "Ignored for the kinds served here.");
        add("orphanDependents", "boolean", "Deprecated: use propagationPolicy.");
        add("propagationPolicy", "string", "What happens to dependents: Foreground, Background or Orphan.");
    }
    if matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection) {
        add("allowWatchBookmarks", "boolean", "Send bookmarks on a watch.");
        add("continue", "string", "Token of the page before.");
        add("fieldSelector", "string", "Select by fields.");
        add("labelSelector", "string", "Select by labels.");
        add("limit", "integer", "The most objects of a page.");
        add("resourceVersion", "string", "Which version of the store to show or to watch from.");
        add("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan.");
        add("sendInitialEvents", "boolean", "Begin a watch with what there is.");
        add("timeoutSeconds", "integer", "How long a watch lasts.");
        add("watch", "boolean", "Watch instead of list.");
    }
    all.into()
}

fn parameter(name: &str, ty: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": ty, "uniqueItems": true}})
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

/// The schemas of a kind, its list, and everything they are made of.
fn components(kind: &'static Kind) -> Map<String, Value> {
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
fn add_component(message: &'static Message, identity: &[&str], schemas: &mut Map<String, Value>) {
    if schemas.contains_key(message.component) {
        return;
    }
    // A place is kept first, so that a message that refers to itself ends.
    schemas.insert(message.component.to_owned(), Value::Null);
    let mut properties = Map::new();
    if let [_, _, _] = identity {
        properties.insert("apiVersion".to_owned(), json!({"type": "string", "description": "Version of the shape of this object."}));
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
        let required: Vec<&str> = message.fields.iter().filter(|field| field.required).map(|field| field.json).collect();
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
        Type::Time => json!({"type": "string", "format": "date-time"}),
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

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn route(context: &Context<'_>, path: &str) -> Option<HttpResponse> {
    let path = path.trim_end_matches('/');
    match path {
        "/openapi/v3" => return Some(respond::value(&context.style, 200, &index(), &[])),
        "/openapi/v2" => {
            let protobuf = context.accept().is_some_and(|accept| accept.contains("proto-openapi.spec.v2"));
            return Some(if protobuf {
                respond::finished(&context.style, 200, V2_PROTOBUF, v2_protobuf(), &[])
            } else {
                respond::value(&context.style, 200, &v2_json(), &[])
            });
        }
        _ => {}
    }
    let name = path.strip_prefix("/openapi/v3/")?;
    let prepared = document(name)?;
    let mut response = match context.query.value("hash") {
        Some(hash) if hash != prepared.hash => {
            let mut response = respond::finished(&context.style, 301, "application/json", Vec::new(), &[]);
            let url = format!("/openapi/v3/{name}?hash={}", prepared.hash);
            if let Ok(url) = HeaderValue::from_str(&url) {
                response.headers_mut().insert(header::LOCATION, url);
            }
            return Some(response);
        }
        _ => respond::finished(&context.style, 200, "application/json", prepared.json.clone(), &[]),
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", prepared.hash)) {
        headers.insert(header::ETAG, etag);
    }
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    if context.query.value("hash").is_some() {
        // The address names the content: it never changes, and holds nothing private.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        headers.insert(header::EXPIRES, HeaderValue::from_static("Thu, 31 Dec 2037 23:55:55 GMT"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Value> {
        DOCUMENTS.values().map(|document| serde_json::from_slice(&document.json).unwrap()).collect()
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        found.push(target.clone());
                    }
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        for document in documents() {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(!found.is_empty());
            for target in found {
                let name = target.strip_prefix("#/components/schemas/").unwrap();
                assert!(document["components"]["schemas"][name].is_object(), "{target}");
            }
        }
    }

    #[test]
    fn every_patch_lists_what_kubectl_looks_for() {
        let mut patches = 0;
        for document in documents() {
            for (path, item) in document["paths"].as_object().unwrap() {
                let Some(patch) = item.get("patch") else { continue };
                patches += 1;
                let names: Vec<&str> =
                    patch["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
                for name in ["dryRun", "fieldManager", "fieldValidation", "force"] {
                    assert!(names.contains(&name), "{path}: {name}");
                }
                assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
                assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string());
            }
        }
        assert_eq!(patches, 8, "seven stored kinds and the status of a namespace");
    }

    #[test]
    fn operation_ids_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for document in documents() {
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    if let Some(id) = operation["operationId"].as_str() {
                        assert!(seen.insert(id.to_owned()), "{method} {path}: {id}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_protobuf_document_is_small_and_well_formed() {
        let bytes = v2_protobuf();
        assert_eq!(bytes.first(), Some(&0x0a));
        let mut rest = bytes.as_slice();
        let mut numbers = Vec::new();
        while let [tag, length, tail @ ..] = rest {
            numbers.push(tag >> 3);
            rest = &tail[usize::from(*length)..];
        }
        assert_eq!(numbers, [1, 2, 8, 9]);
    }
}
