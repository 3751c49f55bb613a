//! The paths that are no kind's: health, version, metrics, discovery, documents, and our own.

use std::sync::Arc;

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Content, HeaderBuilder, ResponseBuilder};

use super::failures::{self, Case};
use super::parameters::{pretty, query};
use super::responses::{JSON, Shared, YAML, header, response};
use super::schemas::{reference, text};
use super::{ADMINISTRATION, DISCOVERY, HEALTH};
use crate::api::discovery;
use crate::api::health::{self, Health};
use crate::api::metrics::Metrics;
use crate::api::status::Failure;
use crate::model::user::User;
use crate::rbac::{self, Attributes, Policy};

/// Path, method and operation of each.
pub fn all(shared: &mut Shared) -> Vec<(String, HttpMethod, Operation)> {
    let mut all = health_checks(shared);
    all.extend(discovered(shared));
    all.extend(documents(shared));
    all.push(version(shared));
    all.push(metrics(shared));
    all.push(rotate(shared));
    all
}

/// Who may call an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Whoever the authorizer allows.
    Granted,
    /// Everyone; a token that is wrong is refused all the same.
    Public,
    /// Everyone, and no token is looked at.
    Unguarded,
}

/// A GET with its failures. The answer is added by the caller.
fn get(path: &str, id: &str, tag: &str, summary: &str, access: Access, shared: &mut Shared) -> OperationBuilder {
    let operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
    guarded(operation, ("get", path), id, access, &[], shared)
}

fn guarded(
    operation: OperationBuilder,
    (verb, path): (&str, &str),
    id: &str,
    access: Access,
    more: &[u16],
    shared: &mut Shared,
) -> OperationBuilder {
    let mut operation = match access {
        Access::Granted => operation,
        Access::Public | Access::Unguarded => operation.securities(Some([])),
    };
    if access != Access::Unguarded {
        operation = operation.response("401", shared.failure(id, id, 401, &failures::general(401)));
    }
    if access == Access::Granted {
        let denied =
            rbac::authorize(&Policy::empty(), &Arc::new(User::anonymous()), Attributes::path(verb, path)).err();
        let cases: Vec<Case> = denied.iter().map(|denial| ("anonymous", Failure::forbidden(denial))).collect();
        operation = operation.response("403", shared.failure(id, id, 403, &cases));
    }
    [421, 429].iter().chain(more).fold(operation, |operation, code| {
        operation.response(code.to_string(), shared.failure(id, id, *code, &failures::general(*code)))
    })
}

/// A JSON answer, which YAML can take the place of.
fn answered(schema: &str, id: &str, example: Value, description: &str, shared: &mut Shared) -> ResponseBuilder {
    let content = shared.content(reference(schema), [(format!("{id}.output"), example)]);
    response(description, [(JSON, content.clone()), (YAML, content)])
}

fn plain_text(example: &str) -> Content {
    Content::builder().schema(Some(text())).example(Some(json!(example))).build()
}

fn health_checks(shared: &mut Shared) -> Vec<(String, HttpMethod, Operation)> {
    let failing = Health::default();
    failing.fail("store-writable", "the disk is full: free some space");
    let mut all = Vec::new();
    for (path, id, summary, only_alive) in [
        ("/livez", "getLiveness", "Is the process alive?", true),
        ("/readyz", "getReadiness", "Can requests be served?", false),
        ("/healthz", "getHealth", "Can requests be served? (Older name of /readyz.)", false),
    ] {
        let verbose = query("verbose", "List every check, whatever the value.", text());
        let ok = Health::default().report(false, path, only_alive).1;
        let mut operation = get(path, id, HEALTH, summary, Access::Public, shared)
            .parameter(verbose)
            .response("200", response("It is.", [("text/plain", plain_text(&ok))]));
        if !only_alive {
            let text = failing.report(true, path, false).1;
            let response =
                response("It is not; what fails, and what to do about it.", [("text/plain", plain_text(&text))]);
            operation = operation.response("503", response);
        }
        all.push((path.to_owned(), HttpMethod::Get, operation.build()));
    }
    all
}

fn version(shared: &mut Shared) -> (String, HttpMethod, Operation) {
    let (path, id) = ("/version", "getVersion");
    let mut example = health::version();
    if let Some(platform) = example.get_mut("platform") {
        // The document is the same wherever it is made.
        *platform = json!("linux/amd64");
    }
    let answer = answered("Version", id, example, "The version.", shared);
    let operation = get(path, id, HEALTH, "Which version is this?", Access::Public, shared).response("200", answer);
    (path.to_owned(), HttpMethod::Get, operation.build())
}

fn metrics(shared: &mut Shared) -> (String, HttpMethod, Operation) {
    let (path, id) = ("/metrics", "getMetrics");
    let metrics = Metrics::default();
    metrics.observe("GET", 200, std::time::Duration::from_millis(1));
    let mut example = String::new();
    metrics.write(&mut example);
    let answer = response("Metrics in Prometheus' text format.", [("text/plain", plain_text(&example))]);
    let operation = get(path, id, HEALTH, "Metrics", Access::Granted, shared).response("200", answer);
    (path.to_owned(), HttpMethod::Get, operation.build())
}

fn discovered(shared: &mut Shared) -> Vec<(String, HttpMethod, Operation)> {
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

fn documents(shared: &mut Shared) -> Vec<(String, HttpMethod, Operation)> {
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
fn own_document(shared: &mut Shared) -> (String, HttpMethod, Operation) {
    let (path, id) = ("/openapi/strongroom.json", "getOpenAPI");
    let schema =
        ObjectBuilder::new().property("openapi", text()).required("openapi").property("paths", ObjectBuilder::new());
    let content = Content::builder().schema(Some(schema)).example(Some(
        json!({"openapi": "3.1.0", "info": {"title": super::TITLE, "version": super::VERSION}, "paths": {}}),
    ));
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

fn rotate(shared: &mut Shared) -> (String, HttpMethod, Operation) {
    let (path, id) = ("/strongroom/v1/admin/rotate", "rotateAdminToken");
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "message": ROTATED,
    });
    let answer = answered("Status", id, status, "The former token is no longer valid.", shared);
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(ADMINISTRATION)
        .summary(Some("Replace the administrator's token"))
        .description(Some("The new token is written into `admin.kubeconfig` in the server's home, and nowhere else."))
        .response("200", answer);
    let operation = guarded(operation, ("post", path), id, Access::Granted, &[408, 413, 503], shared);
    (path.to_owned(), HttpMethod::Post, operation.build())
}

/// What a rotation answers.
pub(super) const ROTATED: &str =
    "the administrator's token was replaced; admin.kubeconfig in the server's home holds the new one";

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
