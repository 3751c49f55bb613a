//! Kubernetes' own OpenAPI documents, which kubectl validates, merges and explains by. They follow from the
//! tables of kinds and shapes.
//!
//! Source: OpenAPI 3.0, KEP-2896 (OpenAPI v3), KEP-3352 (aggregated discovery), and what kubectl reads:
//! `fieldValidation` among a PATCH's parameters, `x-kubernetes-group-version-kind`, merge keys and list types.

mod operations;
mod schemas;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

pub(super) use self::operations::subresource_kind;

use self::operations::add_paths;
use self::schemas::{add_component, components};
use super::respond::{self, Style};
use super::{Context, discovery};
use crate::model::kinds::KINDS;
use crate::model::schema;

/// A document and the hash under which it may be cached for good.
pub struct Prepared {
    /// The document.
    pub json: Vec<u8>,
    /// Upper-case hex SHA-512 of it.
    pub hash: String,
}

impl Prepared {
    /// Where it may be cached for good; `path` is its own below `/openapi/v3/`.
    fn url(&self, path: &str) -> String {
        format!("/openapi/v3/{path}?hash={}", self.hash)
    }
}

/// The document of every group and version, by its path below `/openapi/v3/`.
static DOCUMENTS: LazyLock<BTreeMap<String, Prepared>> = LazyLock::new(|| {
    discovery::group_versions()
        .into_iter()
        .map(|group_version| {
            let json = build(&group_version).to_string().into_bytes();
            let hash = hex::encode_upper(Sha512::digest(&json));
            let path = discovery::group_version_path(&group_version).trim_start_matches('/').to_owned();
            (path, Prepared { json, hash })
        })
        .collect()
});

/// `/openapi/v3`: where each document is.
pub fn index() -> Value {
    let paths: Map<String, Value> = DOCUMENTS
        .iter()
        .map(|(path, document)| (path.clone(), json!({"serverRelativeURL": document.url(path)})))
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
        for sub in kind.subresources {
            schemas.extend(components(subresource_kind(kind, sub)));
        }
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

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn route(context: &Context<'_>, path: &str) -> Option<HttpResponse> {
    let (hash, known) = (context.query.value("hash"), context.header("if-none-match"));
    answer(&context.style, path, context.accept(), hash, known)
}

fn answer(
    style: &Style,
    path: &str,
    accept: Option<&str>,
    hash: Option<&str>,
    if_none_match: Option<&str>,
) -> Option<HttpResponse> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "/openapi/v3" => Some(respond::value(style, 200, &index(), &[])),
        "/openapi/v2" => {
            let is_protobuf = accept.is_some_and(|accept| accept.contains("proto-openapi.spec.v2"));
            let mut response = if is_protobuf {
                respond::finished(style, 200, V2_PROTOBUF, v2_protobuf(), &[])
            } else {
                respond::value(style, 200, &v2_json(), &[])
            };
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
            Some(response)
        }
        _ => document_answer(style, path.strip_prefix("/openapi/v3/")?, hash, if_none_match),
    }
}

/// A document, under its hash or without one; a hash that it no longer has leads to the one that it has.
fn document_answer(style: &Style, name: &str, hash: Option<&str>, if_none_match: Option<&str>) -> Option<HttpResponse> {
    let prepared = document(name)?;
    if hash.is_some_and(|hash| hash != prepared.hash) {
        let mut response = respond::finished(style, 301, "application/json", Vec::new(), &[]);
        if let Ok(url) = HeaderValue::from_str(&prepared.url(name)) {
            response.headers_mut().insert(header::LOCATION, url);
        }
        return Some(response);
    }
    let etag = format!("\"{}\"", prepared.hash);
    let (code, json) =
        if respond::knows(if_none_match, &etag) { (304, Vec::new()) } else { (200, prepared.json.clone()) };
    let mut response = respond::finished(style, code, "application/json", json, &[]);
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    if hash.is_some() {
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
        assert_eq!(
            patches, 19,
            "fourteen stored kinds, and the status of a namespace, a cluster, a sync and what is issued"
        );
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

    fn get(path: &str, accept: Option<&str>, hash: Option<&str>, known: Option<&str>) -> HttpResponse {
        answer(&Style::json(String::new()), path, accept, hash, known).unwrap()
    }

    fn header_of<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_document_can_be_kept_under_its_hash_only() {
        let path = "/openapi/v3/apis/rbac.authorization.k8s.io/v1";
        let hash = document("apis/rbac.authorization.k8s.io/v1").unwrap().hash.as_str();
        let kept = get(path, None, Some(hash), None);
        assert_eq!((kept.status().as_u16(), header_of(&kept, "cache-control")), (200, "public, immutable"));
        assert!(header_of(&kept, "expires").ends_with("2037 23:55:55 GMT"));
        assert_eq!((header_of(&kept, "etag"), header_of(&kept, "vary")), (format!("\"{hash}\"").as_str(), "Accept"));
        let plain = get(path, None, None, None);
        assert!(header_of(&plain, "cache-control").contains("no-cache"));
        assert_eq!((header_of(&plain, "expires"), header_of(&plain, "etag")), ("", header_of(&kept, "etag")));
        let known = get(path, None, None, Some(header_of(&kept, "etag")));
        assert_eq!(known.status(), 304);
    }

    #[test]
    fn a_hash_of_the_past_leads_to_the_present_one() {
        let moved = get("/openapi/v3/api/v1", None, Some("00"), None);
        assert_eq!(moved.status(), 301);
        let url = index()["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
        assert_eq!(header_of(&moved, "location"), url);
        assert!(url.starts_with("/openapi/v3/api/v1?hash=") && url.len() == "/openapi/v3/api/v1?hash=".len() + 128);
    }

    #[test]
    fn version_two_is_protobuf_for_kubectl_and_json_for_others() {
        let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let protobuf = get("/openapi/v2", Some(accept), None, None);
        assert_eq!(header_of(&protobuf, "content-type"), V2_PROTOBUF);
        let json = get("/openapi/v2", Some("application/json"), None, None);
        assert_eq!((header_of(&json, "content-type"), header_of(&json, "vary")), ("application/json", "Accept"));
        assert!(header_of(&json, "cache-control").contains("private"));
        assert!(answer(&Style::json(String::new()), "/openapi/v3/apis/nope/v1", None, None, None).is_none());
    }
}
