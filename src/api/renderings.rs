//! `POST …/secretsyncs/NAME/render` (SecretSyncRendering): what a SecretSync wants to be in a cluster, for a job elsewhere
//! that writes it there.
//!
//! What it never does: give out what the SecretSync's service account may not get, or for a cluster that it may not use,
//! or to somebody who may not act as that account. Which Secrets were given out is part of the request's record.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::audit_log::blocking;
use super::status::Failure;
use super::{Context, respond};
use crate::clock::rfc3339;
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET_SYNC, SECRET_SYNC_RENDERING};
use crate::model::user::User;
use crate::objects::{Error, Request, Resource};
use crate::rbac::Permit;
use crate::sensitive::Document;
use crate::sync::{Ask, Namespace, OriginError, Page, SyncName};

/// Annotation: for which cluster, and which Secrets went into the answer.
const RENDERED: &str = "strongroom.dev/rendered-secrets";
/// Names in the annotation.
const NAMES_IN_RECORD: usize = 100;
const NAMESPACES_MAX: usize = 20_000;

#[expect(clippy::disallowed_methods, reason = "the objects are told to who may act as the account that may get them")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(context, permit, &SECRET_SYNC_RENDERING, payload).await?;
    let spec = asked.document.expose().get("spec").cloned().unwrap_or_default();
    let id = SyncName { namespace: permit.namespace().to_owned(), name: permit.name().to_owned() };
    let room = context.state.home.room.clone();
    let (sync, object) = room.sync(&id).ok_or_else(|| Error::NotFound(Resource::new(&SECRET_SYNC, &id.name)))?;
    let account = &sync.spec.service_account_name;
    let is_itself = User::service_account_of(&context.user.name) == Some((&id.namespace, account));
    if !is_itself {
        context.state.objects.needs_to_act_as(Request { permit, facts: &context.facts }, account)?;
    }
    let cluster = spec.get("cluster").and_then(Value::as_str).unwrap_or_default().to_owned();
    if cluster.is_empty() {
        return Err(invalid(FieldError::required("spec.cluster", "")));
    }
    let answer = |status: Value| {
        let body = Document::new(json!({
            "kind": SECRET_SYNC_RENDERING.kind, "apiVersion": kinds::OWN_API_VERSION,
            "metadata": {
                "name": id.name, "namespace": id.namespace,
                "creationTimestamp": rfc3339(context.state.clock.unix_seconds()),
            },
            "spec": spec,
            "status": status,
        }));
        respond::value(&asked.style, 201, body.expose(), &asked.warnings)
    };
    if spec.get("released").is_some_and(|released| released == true) {
        if !sync.is_deleting {
            return Err(invalid(FieldError::forbidden("spec.released", "the SecretSync is not being deleted")));
        }
        if !asked.options.dry_run {
            room.release(&sync, &object).await.map_err(|error| refused(&error))?;
        }
        return Ok(answer(status(Page::default())?));
    }
    if !asked.options.dry_run {
        room.hold(&sync, &object).await.map_err(|error| refused(&error))?;
    }
    let offered = offered(&spec)?;
    let text = |field: &str| spec.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let continue_token = text("continue").map(str::to_owned);
    let listed = spec.get("sources").and_then(Value::as_array).filter(|listed| !listed.is_empty());
    let sources: Option<Vec<String>> =
        listed.map(|listed| listed.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect());
    let (named, dry_run) = (cluster.clone(), asked.options.dry_run);
    let page = blocking(move || {
        let cluster = room.usable_cluster(&sync, &named)?;
        let namespaces = room.wanted_namespaces(&sync, &cluster, offered.as_deref());
        room.render(&Ask {
            sync: &sync,
            cluster: &named,
            cluster_uid: &cluster.uid,
            namespaces: &namespaces,
            sources: sources.as_deref(),
            continue_token,
            dry_run,
        })
    });
    let page = page.await?.map_err(|error| refused(&error))?;
    context.facts.annotate(RENDERED, recorded(&cluster, &page));
    Ok(answer(status(page)?))
}

/// The namespaces that the caller says the cluster has.
fn offered(spec: &Value) -> Result<Option<Vec<Namespace>>, Failure> {
    let Some(listed) = spec.get("namespaces").and_then(Value::as_array).filter(|listed| !listed.is_empty()) else {
        return Ok(None);
    };
    if listed.len() > NAMESPACES_MAX {
        return Err(invalid(FieldError::too_many("spec.namespaces", listed.len(), NAMESPACES_MAX)));
    }
    let namespaces = listed.iter().map(|entry| {
        let labels = entry.get("labels").and_then(Value::as_object).into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        Namespace {
            name: entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            labels: labels.collect::<BTreeMap<_, _>>(),
        }
    });
    Ok(Some(namespaces.collect()))
}

#[expect(clippy::disallowed_methods, reason = "the objects are told to who may act as the account that may get them")]
fn status(page: Page) -> Result<Value, Failure> {
    let mut objects = Vec::with_capacity(page.objects.len());
    for rendered in page.objects {
        let body = rendered.desired.apply_body();
        let manifest = std::str::from_utf8(body.expose()).map_err(|_| Failure::internal())?;
        objects.push(json!({
            "target": rendered.target, "source": rendered.source, "sourceRevision": rendered.source_revision,
            "manifest": manifest,
        }));
    }
    let problems: Vec<Value> = page
        .problems
        .into_iter()
        .map(|problem| {
            let mut told = json!({
                "namespace": problem.namespace, "source": problem.source, "reason": problem.reason,
                "message": problem.message,
            });
            if let (Some(target), Some(fields)) = (problem.target, told.as_object_mut()) {
                fields.insert("target".to_owned(), target.into());
            }
            told
        })
        .collect();
    let mut status = json!({
        "objects": objects, "problems": problems, "sources": page.sources, "deletedSources": page.deleted,
    });
    if let (Some(next), Some(fields)) = (page.continue_token, status.as_object_mut()) {
        fields.insert("continue".to_owned(), next.into());
    }
    Ok(status)
}

/// What stands in the way as a whole: of the account, or of the cluster.
pub(super) fn refused(error: &OriginError) -> Failure {
    if error.is_passing {
        return Failure::unavailable("the Secrets cannot be read now, or the SecretSync cannot be held");
    }
    invalid(FieldError::forbidden("spec.cluster", error.to_string()))
}

pub(super) fn invalid(error: FieldError) -> Failure {
    Error::Invalid(Resource::new(&SECRET_SYNC_RENDERING, ""), vec![error]).into()
}

/// `east: 3: a b c`
fn recorded(cluster: &str, page: &Page) -> String {
    let shown: Vec<&str> = page.sources.iter().take(NAMES_IN_RECORD).map(String::as_str).collect();
    format!("{cluster}: {}: {}", page.sources.len(), shown.join(" "))
}
