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
use utoipa::openapi::security::{
    Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, ServerBuilder};

use self::responses::Shared;
use crate::api::session::{LOGIN_PATH, REFRESH_PATH};
use crate::model::kinds::KINDS;

const TITLE: &str = "Strongroom";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REVIEWS: &str = "Reviews";
const DISCOVERY: &str = "Discovery";
const HEALTH: &str = "Health";
const ADMINISTRATION: &str = "Administration";
const SESSIONS: &str = "Sessions";
const AUDIT: &str = "Audit";
/// A token that somebody has.
const BEARER: &str = "bearer";
/// A token that the tool which shows the document gets for a user name and a password.
const LOGIN: &str = "login";

const ABOUT: &str = "\
Kubernetes Secrets without the cluster: the Kubernetes API of Secrets and of what is needed to share them, \
on an encrypted store.

Whatever speaks Kubernetes speaks this API: kubectl, the client libraries, curl. Requests carry a bearer token: that of \
a user who has signed in (`/strongroom/v1/login`), of a service account, or the administrator's, which is in \
`admin.kubeconfig` in the server's home. Where the server asks for client certificates, one does as well. Roles decide \
who may do what; a 403 names the command that explains it. Names, values and answers are as in Kubernetes 1.32; \
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
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas::components());
    for (name, scheme) in security_schemes() {
        components = components.security_scheme(name, scheme);
    }
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
        .security(Some(tokens()))
        .build()
}

/// A token, whichever way it was come by.
fn tokens() -> [SecurityRequirement; 2] {
    [BEARER, LOGIN].map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new()))
}

fn security_schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token: of a user who has signed in, of a service account, or the administrator's in `admin.kubeconfig`.",
        ))
        .build();
    let password = Flow::Password(Password::with_refresh_url(LOGIN_PATH, Scopes::new(), REFRESH_PATH));
    let text = "Name and password of a User. Leave client id and secret empty: clients have none.";
    let login = SecurityScheme::OAuth2(OAuth2::with_description([password], text));
    [(BEARER, SecurityScheme::Http(bearer)), (LOGIN, login)]
}

fn tags() -> Vec<Tag> {
    let tag = |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    let stored = KINDS.iter().filter(|kind| kind.stored);
    let mut tags: Vec<Tag> = stored.map(|kind| tag(operations::tag(kind), kind.message.description)).collect();
    tags.extend([
        tag(REVIEWS, "Questions about who somebody is and what they may do. They are answered and forgotten."),
        tag(DISCOVERY, "What the server offers, for programs."),
        tag(HEALTH, "Whether the server is well, and which it is."),
        tag(SESSIONS, "Signing in and out with a user name and a password."),
        tag(AUDIT, "Who did what, and whether the record of it is as it was written."),
        tag(ADMINISTRATION, "The server's own credentials, and backups."),
    ]);
    tags
}
