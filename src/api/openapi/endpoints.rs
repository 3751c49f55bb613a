//! The paths that are no kind's: health, version, metrics, discovery, documents, and our own.

mod audit;
mod backups;
mod credentials;
mod discovery;
mod health;
mod issuer;
mod keys;
mod sealing;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ResponseBuilder};

use super::failures::{self, Case};
use super::responses::{JSON, Shared, YAML, response};
use super::schemas::{Components, reference, text};
use crate::api::recorded::is_health;
use crate::api::status::Failure;
use crate::model::user::User;
use crate::rbac::{self, Attributes, Policy};

/// Path, method and operation.
pub type Listed = (String, HttpMethod, Operation);

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    let mut all = health::all(shared);
    all.extend(discovery::all(shared));
    all.extend(issuer::all(shared));
    all.extend(credentials::all(shared));
    all.extend(keys::all(shared));
    all.extend(audit::all(shared));
    all.extend(backups::all(shared));
    all.extend(sealing::all(shared));
    all
}

/// Adds the schemas of what our own endpoints take and answer.
pub fn add_schemas(all: &mut Components) {
    credentials::add_schemas(all);
    keys::add_schemas(all);
    audit::add_schemas(all);
    backups::add_schemas(all);
    issuer::add_schemas(all);
    sealing::add_schemas(all);
}

/// Who may call an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Whoever the authorizer allows.
    Granted,
    /// Everyone, unless the server's own binding was taken away; a token that is wrong is refused all the same.
    Public,
    /// As [`Access::Public`], and a token means something to it.
    PublicOrToken,
    /// Everyone, and no token is looked at.
    Unguarded,
}

/// A GET with the failures that every request can meet. The answer is added by the caller.
fn get(path: &str, id: &str, tag: &str, summary: &str, access: Access, shared: &mut Shared) -> OperationBuilder {
    operation(("get", path), id, tag, summary, access, Vec::new(), shared)
}

/// An operation with the failures that every request can meet, and more: of a code that is there already, further cases.
fn operation(
    (verb, path): (&str, &str),
    id: &str,
    tag: &str,
    summary: &str,
    access: Access,
    more: Vec<(u16, Vec<Case>)>,
    shared: &mut Shared,
) -> OperationBuilder {
    let mut operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
    operation = match access {
        Access::Granted => operation,
        Access::Public | Access::Unguarded => operation.securities(Some([])),
        Access::PublicOrToken => operation.securities(Some(super::tokens().into_iter().chain([anyone()]))),
    };
    let mut all: BTreeMap<u16, Vec<Case>> =
        [421, 429].into_iter().map(|code| (code, failures::general(code))).collect();
    if access != Access::Unguarded {
        let denied =
            rbac::authorize(&Policy::empty(), &Arc::new(User::anonymous()), Attributes::path(verb, path)).err();
        all.insert(401, failures::general(401));
        all.insert(403, denied.iter().map(|denial| ("anonymous", Failure::forbidden(denial))).collect());
    }
    if !is_health(path) {
        all.insert(503, vec![failures::unrecorded()]);
    }
    for (code, cases) in more {
        all.entry(code).or_default().extend(cases);
    }
    all.into_iter().fold(operation, |operation, (code, cases)| {
        // A refusal names the path.
        let family = if code == 403 { id } else { tag };
        operation.response(code.to_string(), shared.failure(family, id, code, &cases))
    })
}

/// No token at all.
fn anyone() -> SecurityRequirement {
    SecurityRequirement::default()
}

/// A JSON answer, which YAML can take the place of.
fn answered(schema: &str, id: &str, example: Value, description: &str, shared: &mut Shared) -> ResponseBuilder {
    let content = shared.content(reference(schema), [(format!("{id}.output"), example)]);
    response(description, [(JSON, content.clone()), (YAML, content)])
}

fn plain_text(example: &str) -> Content {
    Content::builder().schema(Some(text())).example(Some(json!(example))).build()
}
