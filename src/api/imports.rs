//! `POST …/secretimports` (SecretImport): several Secrets of a namespace, all of them in one transaction or none; or all
//! that can be written.
//!
//! What it never does: send a value back, or look whether a Secret is there before the caller may get it. Which Secrets were
//! written is part of the request's record.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::status::Failure;
use super::writes::pair_warning;
use super::{Context, respond};
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET, SECRET_IMPORT};
use crate::model::validation::{self, names, options};
use crate::objects::{Error, ImportOptions, ImportOutcome, Imported, Request, Resource, ToImport};
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
    let flag = |name: &str| object.pointer(&format!("/spec/{name}")).and_then(Value::as_bool).unwrap_or_default();
    let how = ImportOptions {
        overwrite: flag("overwrite"),
        partial: flag("partial"),
        assume_namespace: flag("assumeNamespace"),
    };
    if how.assume_namespace && !asked.options.dry_run {
        return Err(invalid(vec![FieldError::forbidden("spec.assumeNamespace", "may only be set with dryRun=All")]));
    }
    let secrets = object.pointer_mut("/spec/secrets").and_then(Value::as_array_mut).map(std::mem::take);
    let documents: Vec<Document> = secrets.unwrap_or_default().into_iter().map(Document::new).collect();
    let secrets = admitted(context, permit, documents, how)?;
    let mut options = asked.options.clone();
    if options.field_manager.is_empty() {
        options.field_manager = options::manager_from_user_agent(&context.facts.user_agent);
    }
    let request = Request { permit, facts: &context.facts };
    let mut imported = context.state.objects.import(request, &secrets, how, &options).await?;
    for (one, secret) in imported.iter_mut().zip(&secrets) {
        if matches!(one.outcome, ImportOutcome::Created | ImportOutcome::Replaced) {
            one.warnings.extend(pair_warning(&secret.document));
        }
    }
    let body = json!({
        "kind": SECRET_IMPORT.kind, "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"namespace": permit.namespace(), "creationTimestamp": null},
        "spec": {
            "secrets": [], "overwrite": how.overwrite, "partial": how.partial, "assumeNamespace": how.assume_namespace,
        },
        "status": {"secrets": imported.iter().map(told).collect::<Vec<_>>()},
    });
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

/// The Secrets, with those that are refused before they are looked at; in an import of all or none that is the end of it.
fn admitted(
    context: &Context<'_>,
    permit: &Permit,
    documents: Vec<Document>,
    how: ImportOptions,
) -> Result<Vec<ToImport>, Failure> {
    if documents.is_empty() {
        return Err(invalid(vec![FieldError::required("spec.secrets", "at least one Secret is needed")]));
    }
    if documents.len() > SECRETS_MAX {
        return Err(invalid(vec![FieldError::too_many("spec.secrets", documents.len(), SECRETS_MAX)]));
    }
    let (mut secrets, mut errors, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, document) in documents.into_iter().enumerate() {
        let place = if how.partial { String::new() } else { format!("spec.secrets[{at}].") };
        let found = named(&document, permit.namespace(), &place, &mut seen);
        let refused = (!found.is_empty()).then(|| validation::message(&found));
        errors.extend(found);
        secrets.push(ToImport { document, refused });
    }
    if !how.partial && !errors.is_empty() {
        return Err(invalid(errors));
    }
    for secret in &mut secrets {
        if secret.refused.is_some() {
            continue;
        }
        let name = name(&secret.document);
        for verb in ["get", "create", "update"] {
            if verb != "update" || how.overwrite {
                // A create has no name.
                let name = if verb == "create" { "" } else { &name };
                match may(context, Attributes::object(verb, &SECRET, permit.namespace(), name)) {
                    Err(denial) if how.partial => secret.refused = Some(denial.message),
                    answer => answer.map_err(|denial| Failure::forbidden(&denial))?,
                }
            }
        }
    }
    Ok(secrets)
}

/// What is wrong with the name of a Secret, each of which must have one of its own.
fn named(document: &Document, namespace: &str, place: &str, seen: &mut HashSet<String>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (name, path) = (name(document), format!("{place}metadata"));
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), "a name must be given"));
    } else if !names::dns1123_subdomain(&name).is_empty() {
        errors.push(FieldError::forbidden(format!("{path}.name"), "this is no name of a Secret"));
    } else if !seen.insert(name.clone()) {
        errors.push(FieldError::duplicate(format!("{path}.name"), &name));
    }
    let sent = metadata(document, "namespace");
    if !sent.is_empty() && sent != namespace {
        errors.push(FieldError::forbidden(format!("{path}.namespace"), "must be that of the request, or left out"));
    }
    errors
}

fn name(document: &Document) -> String {
    metadata(document, "name")
}

#[expect(clippy::disallowed_methods, reason = "a name is no secret")]
fn metadata(document: &Document, field: &str) -> String {
    let text = document.expose().pointer("/metadata").and_then(|meta| meta.get(field)?.as_str());
    text.unwrap_or_default().to_owned()
}

fn may(context: &Context<'_>, attributes: Attributes) -> Result<(), Box<rbac::Denial>> {
    let access = context.state.objects.access();
    rbac::authorize(&access.policy, &context.user, attributes).map(drop).map_err(Box::new)
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
    let Some(fields) = told.as_object_mut() else { return told };
    if imported.outcome != ImportOutcome::Unchanged {
        fields.insert("keys".to_owned(), keys.collect());
    }
    if !imported.message.is_empty() {
        fields.insert("message".to_owned(), imported.message.as_str().into());
    }
    if !imported.warnings.is_empty() {
        fields.insert("warnings".to_owned(), imported.warnings.clone().into());
    }
    told
}

/// What is wrong with the request.
pub(super) fn invalid(errors: Vec<FieldError>) -> Failure {
    Error::Invalid(Resource::new(&SECRET_IMPORT, ""), errors).into()
}
