//! What the server offers, for programs: discovery and documents, this one among them.

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Content, HeaderBuilder, ResponseBuilder};

use super::{Access, Listed, answered, get, plain_text};
use crate::api::discovery;
use crate::api::openapi::parameters::{pretty, query};
use crate::api::openapi::responses::{JSON, Shared, header};
use crate::api::openapi::schemas::{reference, text};
use crate::api::openapi::{DISCOVERY, TITLE, VERSION};

/// All of it.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    let mut all = discovered(shared);
    all.extend(documents(shared));
    all
}

fn discovered(shared: &mut Shared) -> Vec<Listed> {
    let mut all = Vec::new();
    let mut add =
        |path: String, id: String, summary: String, schema: &str, example: Value, aggregated: Option<bool>| {
            let mut answer = answered(schema, &id, example, "What there is.", shared);
            let operation = get(&path, &id, DISCOVERY, &summary, Access::Granted, shared);
            let mut operation = shared.parameter(operation, pretty());
            if let Some(core) = aggregated {
                for version in ["v2", "v2beta1"] {
                    let media_type =
                        format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
                    let example = (format!("{id}.{version}"), discovery::aggregated(core, version));
                    answer = answer.content(media_type, shared.content(reference("APIGroupDiscoveryList"), [example]));
                }
                answer = answer.header_ref("ETag", header("ETag"));
                operation = shared.parameter(operation, if_none_match()).response("304", not_modified());
            }
            all.push((path, HttpMethod::Get, operation.response("200", answer).build()));
        };
    let text = str::to_owned;
    add(text("/"), text("getPaths"), text("Which paths are there?"), "RootPaths", discovery::root(), None);
    let versions = discovery::api_versions("127.0.0.1:8443");
    add(text("/api"), text("getCoreVersions"), text("Versions of the core group"), "APIVersions", versions, Some(true));
    add(
        text("/apis"),
        text("getGroups"),
        text("The other groups"),
        "APIGroupList",
        discovery::api_group_list(),
        Some(false),
    );
    for group_version in discovery::group_versions() {
        let (group, version) = group_version.rsplit_once('/').unwrap_or(("", &group_version));
        let name = identifier(group);
        if let Some(body) = discovery::api_group(group) {
            let summary = format!("Versions of {group}");
            add(format!("/apis/{group}"), format!("get{name}Group"), summary, "APIGroup", body, None);
        }
        if let Some(body) = discovery::api_resource_list(group, version) {
            let path = discovery::group_version_path(&group_version);
            let id = format!("get{name}{}Resources", identifier(version));
            add(path, id, format!("Resources of {group_version}"), "APIResourceList", body, None);
        }
    }
    all
}

fn documents(shared: &mut Shared) -> Vec<Listed> {
    let mut all = Vec::new();
    let info = json!({"title": "Kubernetes", "version": "v1.32.0"});
    let mut add = |path: String, id: String, summary: &str, schema: &str, example: Value, hashed: bool| {
        let mut answer = answered(schema, &id, example, "The document.", shared);
        let mut operation = get(&path, &id, DISCOVERY, summary, Access::Granted, shared);
        if hashed {
            answer = answer.header_ref("ETag", header("ETag"));
            let location = HeaderBuilder::new().description(Some("The present one.")).schema(Some(text()));
            let moved = ResponseBuilder::new()
                .description("The document has another hash now.")
                .header("Location", location.build());
            let hash = query("hash", "The document's hash: with it the answer can be kept for good.", text());
            operation = shared.parameter(operation, hash);
            operation = shared.parameter(operation, if_none_match());
            operation = operation.response("301", moved).response("304", not_modified());
        }
        all.push((path, HttpMethod::Get, operation.response("200", answer).build()));
    };
    let v2 = json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}});
    let summary = "Kubernetes' own OpenAPI 2.0 document; as protobuf for who accepts it";
    add("/openapi/v2".to_owned(), "getOpenAPIv2".to_owned(), summary, "OpenAPIv2", v2, false);
    let index = json!({"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=9F86D081"}}});
    let summary = "Where Kubernetes' own OpenAPI 3.0 documents are";
    add("/openapi/v3".to_owned(), "getOpenAPIv3Index".to_owned(), summary, "OpenAPIIndex", index, false);
    for group_version in discovery::group_versions() {
        let path = format!("/openapi/v3{}", discovery::group_version_path(&group_version));
        let example = json!({"openapi": "3.0.0", "info": info, "paths": {}, "components": {"schemas": {}}});
        let summary = format!("Kubernetes' own OpenAPI 3.0 document of {group_version}");
        add(path, format!("getOpenAPIv3{}", identifier(&group_version)), &summary, "OpenAPIv3", example, true);
    }
    all.push(own_document(shared));
    all
}

/// This document, which like Swagger UI is there for everyone, or for no one.
fn own_document(shared: &mut Shared) -> Listed {
    let (path, id) = ("/openapi/strongroom.json", "getOpenAPI");
    let schema =
        ObjectBuilder::new().property("openapi", text()).required("openapi").property("paths", ObjectBuilder::new());
    let content = Content::builder()
        .schema(Some(schema))
        .example(Some(json!({"openapi": "3.1.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}})));
    let found = ResponseBuilder::new()
        .description("The document.")
        .content(JSON, content.build())
        .header_ref("ETag", header("ETag"));
    let off = ResponseBuilder::new()
        .description("Swagger UI is switched off.")
        .content("text/plain", plain_text("404 page not found\n"));
    let operation = get(path, id, DISCOVERY, "This document", Access::Unguarded, shared);
    let operation = shared
        .parameter(operation, if_none_match())
        .response("200", found)
        .response("304", not_modified())
        .response("404", off);
    (path.to_owned(), HttpMethod::Get, operation.build())
}

fn if_none_match() -> Parameter {
    let description = "The ETag of an answer that the client has already.";
    ParameterBuilder::from(query("If-None-Match", description, text())).parameter_in(ParameterIn::Header).build()
}

fn not_modified() -> ResponseBuilder {
    ResponseBuilder::new().description("The client has it already.").header_ref("ETag", header("ETag"))
}

/// `rbac.authorization.k8s.io/v1` as a part of a name.
fn identifier(text: &str) -> String {
    if text.is_empty() {
        return "Core".to_owned();
    }
    let mut name = String::with_capacity(text.len());
    let mut is_first = true;
    for letter in text.chars() {
        let is_part = letter.is_ascii_alphanumeric();
        if is_part {
            name.push(if is_first { letter.to_ascii_uppercase() } else { letter });
        }
        is_first = !is_part;
    }
    name
}
