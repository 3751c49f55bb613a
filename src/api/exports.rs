//! `POST …/secretexports` (SecretExport): Secrets of a namespace as a file of another format.
//!
//! What it never does: render a Secret that the caller may not `get`, or say of such a one whether it is there. Which
//! Secrets were given out is part of the request's record.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::asked::Asked;
use super::audit_log::blocking;
use super::export_order::Order;
use super::status::Failure;
use super::{Context, respond};
use crate::export::{self, ExportError, NoRandomness, SecretDocument};
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET, SECRET_EXPORT};
use crate::model::selector::LabelSelector;
use crate::model::validation::NAMESPACE_MISMATCH;
use crate::model::validation::exports::{Selection, selection};
use crate::objects::{Error, Loaded, Objects, PageRequest, Request, Resource};
use crate::rbac::{self, Attributes, Permit};
use crate::sensitive::{Document, SecretBytes};

/// Annotation: how many Secrets were given out, and their names.
const EXPORTED: &str = "strongroom.dev/exported-secrets";
/// Names in the annotation; the number says how many more there are.
const NAMES_IN_RECORD: usize = 100;
/// What is rendered at once, in bytes of what is stored.
const EXPORT_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Values that are rendered at once: one costs an encryption in some formats.
const EXPORT_MAX_VALUES: usize = 100_000;
/// Exports that are rendered or sent at once.
pub const EXPORTS_AT_ONCE: usize = 4;

#[expect(clippy::disallowed_methods, reason = "the file is told to who may get each of the Secrets in it")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(context, permit, &SECRET_EXPORT, payload).await?;
    let object = asked.document.expose();
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    if !namespace.is_empty() && namespace != permit.namespace() {
        return Err(Failure::bad_request(NAMESPACE_MISMATCH));
    }
    let order = Order::read(object, context.state.clock.unix_seconds()).map_err(invalid)?;
    let selection = selection(object).map_err(invalid)?;
    let turn = Arc::clone(&context.state.exports).try_acquire_owned();
    let turn = turn.map_err(|_| busy())?;
    let chosen = match selection {
        Selection::Names(names) => named(context, permit, &names).await?,
        Selection::Labels(labels) => selected(context, permit, labels).await?,
    };
    let names: Vec<String> = chosen.iter().map(|loaded| loaded.name().to_owned()).collect();
    let objects = Arc::clone(&context.state.objects);
    let fingerprint_key = context.state.home.room.sealed_fingerprint_key();
    let file = blocking(move || render(&objects, &chosen, &order, &fingerprint_key)).await??;
    context.facts.annotate(EXPORTED, recorded(&names));
    let document = std::str::from_utf8(file.expose()).map_err(|_| Failure::internal())?;
    let mut spec = object.get("spec").cloned().unwrap_or_default();
    // The caller has it, and it is as long as the answer.
    if let Some(options) = spec.get_mut("sealedSecret").and_then(Value::as_object_mut) {
        options.remove("previous");
    }
    let body = Document::new(json!({
        "kind": SECRET_EXPORT.kind, "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"namespace": permit.namespace(), "creationTimestamp": null},
        "spec": spec,
        "status": {"document": document, "secrets": names},
    }));
    let response = respond::value(&asked.style, 201, body.expose(), &asked.warnings);
    Ok(response.map_body(|_, sent| Held { sent, _turn: turn }.boxed()))
}

/// An answer that counts as under way until it is sent: those who read slowly do not pile up.
struct Held {
    sent: BoxBody,
    _turn: OwnedSemaphorePermit,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.sent.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.sent).poll_next(task)
    }
}

/// What has been chosen so far, as long as it is not too much.
#[derive(Default)]
struct Chosen {
    secrets: Vec<Loaded>,
    bytes: usize,
    values: usize,
}

impl Chosen {
    fn add(&mut self, loaded: Loaded) -> Result<(), Failure> {
        self.bytes += loaded.stored_bytes();
        self.values += loaded.data_keys();
        if self.bytes > EXPORT_MAX_BYTES || self.values > EXPORT_MAX_VALUES {
            return Err(too_much());
        }
        self.secrets.push(loaded);
        Ok(())
    }
}

/// The Secrets of these names. All rights are asked for before the first one is looked for.
async fn named(context: &Context<'_>, permit: &Permit, names: &[String]) -> Result<Vec<Loaded>, Failure> {
    let permits = names.iter().map(|name| may_get(context, permit, name)).collect::<Result<Vec<_>, _>>()?;
    let (objects, facts) = (Arc::clone(&context.state.objects), context.facts.clone());
    let chosen = blocking(move || {
        let mut chosen = Chosen::default();
        for permit in &permits {
            chosen.add(objects.get(Request { permit, facts: &facts })?)?;
        }
        Ok::<_, Failure>(chosen.secrets)
    });
    chosen.await?
}

/// The Secrets with these labels, for a caller who may see which ones those are.
async fn selected(context: &Context<'_>, permit: &Permit, labels: LabelSelector) -> Result<Vec<Loaded>, Failure> {
    let list = allowed(context, Attributes::object("list", &SECRET, permit.namespace(), ""))?;
    let (objects, facts) = (Arc::clone(&context.state.objects), context.facts.clone());
    let chosen = blocking(move || {
        let page = PageRequest { labels, ..PageRequest::default() };
        let page = objects.list(Request { permit: &list, facts: &facts }, &page)?;
        if page.withheld > 0 || objects.may_lack_objects() {
            // Whoever exports all must not take a part for the whole.
            return Err(Failure::from(Error::Integrity(Resource::new(&SECRET, ""))));
        }
        let mut chosen = Chosen::default();
        for revision in &page.rows {
            chosen.add(objects.open_page(&page, *revision)?)?;
        }
        Ok(chosen.secrets)
    });
    let chosen = chosen.await??;
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

fn render(
    objects: &Objects,
    chosen: &[Loaded],
    order: &Order,
    fingerprint_key: &SecretBytes,
) -> Result<SecretBytes, Failure> {
    let mut secrets = Vec::with_capacity(chosen.len());
    for loaded in chosen {
        secrets.push(SecretDocument::read(&objects.document(loaded)?).map_err(|error| refused(&error))?);
    }
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
    export::render(&secrets, order.format, &order.options(fingerprint_key), &mut random)
        .map_err(|error| refused(&error))
}

/// 422: these Secrets and this format do not go together.
pub(super) fn refused(error: &ExportError) -> Failure {
    if matches!(error, ExportError::Random(_) | ExportError::Encryption) {
        return Failure::internal();
    }
    invalid(vec![FieldError::forbidden("spec.format", error.to_string())])
}

/// As many exports as are let be are under way.
pub(super) fn busy() -> Failure {
    Failure::too_many("other exports are under way", 1)
}

/// More than is rendered at once.
pub(super) fn too_much() -> Failure {
    Failure::too_large(format!(
        "more than {EXPORT_MAX_BYTES} bytes or {EXPORT_MAX_VALUES} values are not exported at once: choose fewer Secrets"
    ))
}

/// What is wrong with the request.
pub(super) fn invalid(errors: Vec<FieldError>) -> Failure {
    Error::Invalid(Resource::new(&SECRET_EXPORT, ""), errors).into()
}

/// `3: a b c`
fn recorded(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_IN_RECORD).map(String::as_str).collect();
    format!("{}: {}", names.len(), shown.join(" "))
}
