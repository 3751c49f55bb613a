//! `POST …/secretimports` (SecretImport): several Secrets of a namespace, all of them in one transaction or none.
//!
//! What it never does: send a value back, or look whether a Secret is there before the caller may get it. Which Secrets were
//! written is part of the request's record.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::status::Failure;
use super::{Context, respond};
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET, SECRET_IMPORT};
use crate::model::validation::names;
use crate::model::validation::options;
use crate::objects::{Error, ImportOutcome, Imported, Request, Resource};
use crate::rbac::{self, Attributes, Permit};
use crate::sensitive::Document;

/// Secrets of one import.
const SECRETS_MAX: usize = 1_000;

#[expect(clippy::disallowed_methods, reason = "the Secrets are taken out of the request, to be stored")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let mut asked = Asked::read(context, permit, &SECRET_IMPORT, payload).await?;
    let object = asked.document.expose_mut();
    let overwrite = object.pointer("/spec/overwrite").and_then(Value::as_bool).unwrap_or_default();
    let secrets = object.pointer_mut("/spec/secrets").and_then(Value::as_array_mut).map(std::mem::take);
    let documents: Vec<Document> = secrets.unwrap_or_default().into_iter().map(Document::new).collect();
    let names = named(&documents, permit.namespace()).map_err(invalid)?;
    for name in &names {
        for verb in ["get", "create", "update"] {
            if verb != "update" || overwrite {
                // A create has no name.
                let name = if verb == "create" { "" } else { name };
                may(context, Attributes::object(verb, &SECRET, permit.namespace(), name))?;
            }
        }
    }
    let mut options = asked.options.clone();
    if options.field_manager.is_empty() {
        options.field_manager = options::manager_from_user_agent(&context.facts.user_agent);
    }
    let request = Request { permit, facts: &context.facts };
    let imported = context.state.objects.import(request, &documents, overwrite, &options).await?;
    let body = json!({
        "kind": SECRET_IMPORT.kind, "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"namespace": permit.namespace(), "creationTimestamp": null},
        "spec": {"secrets": [], "overwrite": overwrite},
        "status": {"secrets": imported.iter().map(told).collect::<Vec<_>>()},
    });
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

/// The names of the Secrets, each of which must have one of its own.
#[expect(clippy::disallowed_methods, reason = "a name is no secret")]
fn named(documents: &[Document], namespace: &str) -> Result<Vec<String>, Vec<FieldError>> {
    if documents.is_empty() {
        return Err(vec![FieldError::required("spec.secrets", "at least one Secret is needed")]);
    }
    if documents.len() > SECRETS_MAX {
        return Err(vec![FieldError::too_many("spec.secrets", documents.len(), SECRETS_MAX)]);
    }
    let (mut names, mut errors, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, document) in documents.iter().enumerate() {
        let text = |field: &str| {
            document.expose().pointer("/metadata").and_then(|meta| meta.get(field)?.as_str()).unwrap_or_default()
        };
        let (name, path) = (text("name"), format!("spec.secrets[{at}].metadata"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), "a name must be given"));
        } else if !names::dns1123_subdomain(name).is_empty() {
            errors.push(FieldError::forbidden(format!("{path}.name"), "this is no name of a Secret"));
        } else if !seen.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        if !text("namespace").is_empty() && text("namespace") != namespace {
            errors.push(FieldError::forbidden(format!("{path}.namespace"), "must be that of the request, or left out"));
        }
        names.push(name.to_owned());
    }
    if errors.is_empty() { Ok(names) } else { Err(errors) }
}

fn may(context: &Context<'_>, attributes: Attributes) -> Result<(), Failure> {
    let access = context.state.objects.access();
    rbac::authorize(&access.policy, &context.user, attributes).map(drop).map_err(|denial| Failure::forbidden(&denial))
}

fn told(imported: &Imported) -> Value {
    let keys = imported.keys.iter().map(|(key, (before, after))| {
        let mut told = json!({"key": key});
        if let Some(fields) = told.as_object_mut() {
            fields.extend(before.map(|bytes| ("before".to_owned(), bytes.into())));
            fields.extend(after.map(|bytes| ("after".to_owned(), bytes.into())));
        }
        told
    });
    let mut told = json!({"name": imported.name, "outcome": imported.outcome.as_str()});
    if let (false, Some(fields)) = (imported.outcome == ImportOutcome::Unchanged, told.as_object_mut()) {
        fields.insert("keys".to_owned(), keys.collect());
    }
    told
}

/// What is wrong with the request.
pub(super) fn invalid(errors: Vec<FieldError>) -> Failure {
    Error::Invalid(Resource::new(&SECRET_IMPORT, ""), errors).into()
}
