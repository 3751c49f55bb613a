//! The OpenAPI 3.1 document of the whole REST API, for people and for what they generate from it.
//!
//! Made from the tables that the routes are made of: kinds, shapes, discovery; its texts and examples come from the
//! code that answers. Kubernetes' own documents, which kubectl reads, are `kube_openapi`'s. It never holds anything of
//! a store. `openapi/strongroom.json` is a copy that a test compares.

mod constraints;
mod endpoints;
mod examples;
mod failures;
mod meta;
mod operations;
mod parameters;
mod refinements;
mod responses;
mod routes;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use utoipa::openapi::path::{HttpMethod, Operation, PathItem, PathsBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, ServerBuilder};

use self::responses::Shared;
use crate::model::kinds::KINDS;

const TITLE: &str = "Strongroom";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REVIEWS: &str = "Reviews";
const DISCOVERY: &str = "Discovery";
const HEALTH: &str = "Health";
const ADMINISTRATION: &str = "Administration";
const BEARER: &str = "bearer";

const ABOUT: &str = "\
Kubernetes Secrets without the cluster: the Kubernetes API of Secrets and of what is needed to share them, \
on an encrypted store.

Whatever speaks Kubernetes speaks this API: kubectl, the client libraries, curl. Requests carry a bearer token; the \
administrator's is in `admin.kubeconfig` in the server's home. Names, values and answers are as in Kubernetes 1.32; \
where Kubernetes answers 500 for a client's mistake, this server answers 400.

Answers are JSON, or YAML for `Accept: application/yaml`. Bodies may be JSON, YAML or Kubernetes' protobuf. \
`Accept: application/json;as=Table;v=v1;g=meta.k8s.io` asks for rows and cells, `…;as=PartialObjectMetadata;…` for \
metadata alone. Failures are `Status` objects. A method \
that a path does not list is answered with 405, and so is HEAD of an object or a list.";

static JSON: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut json = serde_json::to_vec(&document()).unwrap_or_default();
    json.push(b'\n');
    json
});

/// The document as JSON. Made at the first call.
pub fn json() -> &'static [u8] {
    &JSON
}

/// The document.
pub fn document() -> OpenApi {
    let mut shared = Shared::default();
    let mut paths = PathsBuilder::new();
    let of_kinds: Vec<(String, HttpMethod, Operation)> = routes::all()
        .iter()
        .map(|route| (route.path(), route.method(), operations::operation(route, &mut shared)))
        .collect();
    for (path, method, operation) in of_kinds.into_iter().chain(endpoints::all(&mut shared)) {
        paths = paths.path(path, PathItem::new(method, operation));
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token, such as the administrator's in `admin.kubeconfig`."))
        .build();
    let mut components = ComponentsBuilder::new()
        .schemas_from_iter(schemas::components())
        .security_scheme(BEARER, SecurityScheme::Http(bearer));
    for (name, example) in shared.examples() {
        components = components.example(name, example);
    }
    for (name, parameter) in shared.parameters() {
        components = components.parameter(name, parameter.clone());
    }
    for (name, header) in responses::headers() {
        components = components.header(name, header);
    }
    for (name, response) in shared.responses() {
        components = components.response(name, RefOr::T(response.clone()));
    }
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new().title(TITLE).version(VERSION).description(Some(ABOUT)).license(Some(license));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("The server that this document is from."))
            .build()]))
        .tags(Some(tags()))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

fn tags() -> Vec<Tag> {
    let tag = |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    let stored = KINDS.iter().filter(|kind| kind.stored);
    let mut tags: Vec<Tag> = stored.map(|kind| tag(operations::tag(kind), kind.message.description)).collect();
    tags.extend([
        tag(REVIEWS, "Questions about who somebody is and what they may do. They are answered and forgotten."),
        tag(DISCOVERY, "What the server offers, for programs."),
        tag(HEALTH, "Whether the server is well, and which it is."),
        tag(ADMINISTRATION, "What is particular to this server."),
    ]);
    tags
}
