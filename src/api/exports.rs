//! `POST …/secretexports` (SecretExport): Secrets of a namespace as a file of another format.
//!
//! What it never does: render a Secret that the caller may not `get`, or say of such a one whether it is there. Which
//! Secrets were given out is part of the request's record.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::asked::Asked;
use super::audit_log::blocking;
use super::export_order::Order;
use super::status::Failure;
use super::{Context, respond};
use crate::export::{self, ExportError, NoRandomness, SecretDocument};
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET, SECRET_EXPORT};
use crate::model::selector::LabelSelector;
use crate::model::validation::exports::{Selection, selection};
use crate::objects::{Error, Loaded, Objects, PageRequest, Request, Resource};
use crate::rbac::{self, Attributes, Permit};
use crate::sensitive::{Document, SecretBytes};

/// Annotation: how many Secrets were given out, and their names.
const EXPORTED: &str = "strongroom.dev/exported-secrets";
/// Names in the annotation; the number says how many more there are.
const NAMES_IN_RECORD: usize = 100;
/// What is rendered at once, in bytes of what is stored.
const EXPORT_MAX_BYTES: usize = 64 * 1024 * 1024;

#[expect(clippy::disallowed_methods, reason = "the file is told to who may get each of the Secrets in it")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(context, permit, &SECRET_EXPORT, payload).await?;
    let object = asked.document.expose();
    let order = Order::read(object, context.state.clock.unix_seconds()).map_err(invalid)?;
    let chosen = match selection(object).map_err(invalid)? {
        Selection::Names(names) => named(context, permit, &names)?,
        Selection::Labels(labels) => selected(context, permit, labels)?,
    };
    let size: usize = chosen.iter().map(Loaded::stored_bytes).sum();
    if size > EXPORT_MAX_BYTES {
        let text = format!("{size} bytes of Secrets are more than the {EXPORT_MAX_BYTES} that are exported at once");
        return Err(Failure::too_large(text));
    }
    let names: Vec<String> = chosen.iter().map(|loaded| loaded.name().to_owned()).collect();
    let objects = Arc::clone(&context.state.objects);
    let file = blocking(move || render(&objects, &chosen, &order)).await??;
    context.facts.annotate(EXPORTED, recorded(&names));
    let document = std::str::from_utf8(file.expose()).map_err(|_| Failure::internal())?;
    let body = Document::new(json!({
        "kind": SECRET_EXPORT.kind, "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"namespace": permit.namespace(), "creationTimestamp": null},
        "spec": object.get("spec").cloned().unwrap_or_default(),
        "status": {"document": document, "secrets": names},
    }));
    Ok(respond::value(&asked.style, 201, body.expose(), &asked.warnings))
}

/// The Secrets of these names. All rights are asked for before the first one is looked for.
fn named(context: &Context<'_>, permit: &Permit, names: &[String]) -> Result<Vec<Loaded>, Failure> {
    let permits = names.iter().map(|name| may_get(context, permit, name)).collect::<Result<Vec<_>, _>>()?;
    let load = |permit: &Permit| context.state.objects.get(Request { permit, facts: &context.facts });
    permits.iter().map(|permit| load(permit).map_err(Failure::from)).collect()
}

/// The Secrets with these labels, for a caller who may see which ones those are.
fn selected(context: &Context<'_>, permit: &Permit, labels: LabelSelector) -> Result<Vec<Loaded>, Failure> {
    let list = allowed(context, Attributes::object("list", &SECRET, permit.namespace(), ""))?;
    let page = PageRequest { labels, ..PageRequest::default() };
    let page = context.state.objects.list(Request { permit: &list, facts: &context.facts }, &page)?;
    if page.withheld > 0 {
        // Whoever exports all must not take a part for the whole.
        return Err(Error::Integrity(Resource::new(&SECRET, "")).into());
    }
    let open = |revision: &u64| context.state.objects.open_page(&page, *revision);
    let chosen = page.rows.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
    for loaded in &chosen {
        may_get(context, permit, loaded.name())?;
    }
    Ok(chosen)
}

fn may_get(context: &Context<'_>, permit: &Permit, name: &str) -> Result<Permit, Failure> {
    allowed(context, Attributes::object("get", &SECRET, permit.namespace(), name))
}

/// The permit for a part of what is asked for, as things are now that the body is here. The record keeps the grant
/// that allowed the export itself.
fn allowed(context: &Context<'_>, attributes: Attributes) -> Result<Permit, Failure> {
    let access = context.state.objects.access();
    rbac::authorize(&access.policy, &context.user, attributes).map_err(|denial| Failure::forbidden(&denial))
}

fn render(objects: &Objects, chosen: &[Loaded], order: &Order) -> Result<SecretBytes, Failure> {
    let mut secrets = Vec::with_capacity(chosen.len());
    for loaded in chosen {
        secrets.push(SecretDocument::read(&objects.document(loaded)?).map_err(|error| refused(&error))?);
    }
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
    export::render(&secrets, order.format, &order.options(), &mut random).map_err(|error| refused(&error))
}

/// 422: these Secrets and this format do not go together.
fn refused(error: &ExportError) -> Failure {
    if matches!(error, ExportError::Random(_) | ExportError::Encryption) {
        return Failure::internal();
    }
    invalid(vec![FieldError::forbidden("spec.format", error.to_string())])
}

fn invalid(errors: Vec<FieldError>) -> Failure {
    Error::Invalid(Resource::new(&SECRET_EXPORT, ""), errors).into()
}

/// `3: a b c`
fn recorded(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_IN_RECORD).map(String::as_str).collect();
    format!("{}: {}", names.len(), shown.join(" "))
}
