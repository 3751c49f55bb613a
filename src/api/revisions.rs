//! `secretrevisions`: the versions of Secrets, listed, read and destroyed.
//!
//! What it never does: show a value in a list, or to somebody who may not `get` the Secret of that name.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::negotiate::{Negotiated, Offer, Shape};
use super::objects::{Call, withheld_warning};
use super::respond::{self, Style};
use super::sight::Sight;
use super::status::Failure;
use super::table;
use crate::model::kinds::{Kind, SECRET, Verb};
use crate::objects::{DestroyedRevision, SecretRevision};

/// What whoever destroys a version is told.
pub(super) const BACKUPS: &str = "backups that were made before still hold this revision, until they are deleted";
const LOG: &str = "a reader holds the write-ahead log: it still holds this revision, until the next checkpoint";
const NO_VALUES: &str = "the values are left out: reading them needs the right to get the Secret, too";

pub(super) async fn route(call: &Call<'_>, verb: Verb, payload: web::Payload) -> Result<HttpResponse, Failure> {
    match verb {
        Verb::Get => get(call),
        Verb::List => list(call),
        Verb::Delete => destroy(call, payload).await,
        Verb::DeleteCollection => destroy_collection(call, payload).await,
        _ => Err(Failure::method_not_allowed()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the answer to a permitted read")]
fn get(call: &Call<'_>) -> Result<HttpResponse, Failure> {
    let (agreed, style) = call.negotiate(Offer::Object)?;
    let objects = &call.context.state.objects;
    let revision = objects.revision_of_secret(call.request())?;
    if agreed.shape != Shape::Plain {
        let metadata = json!({"resourceVersion": objects.revision().to_string()});
        return shaped(call, agreed, &style, metadata, std::slice::from_ref(&revision), &[]);
    }
    let sight = Sight::of_caller(&call.context.access, &call.context.user, &SECRET);
    if !sight.shows(revision.namespace(), revision.secret_name()) {
        return Ok(respond::value(&style, 200, &revision.bare()?, &[NO_VALUES.to_owned()]));
    }
    let document = objects.revision_document(&revision)?;
    Ok(respond::value(&style, 200, document.expose(), &[]))
}

fn list(call: &Call<'_>) -> Result<HttpResponse, Failure> {
    let (agreed, style) = call.negotiate(Offer::List)?;
    let page = call.context.state.objects.revisions_of_secrets(call.request(), &call.page()?)?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let (Some(token), Some(fields)) = (&page.continue_token, metadata.as_object_mut()) {
        fields.insert("continue".to_owned(), token.as_str().into());
    }
    let warnings = withheld_warning(&call.context.state.objects, page.withheld);
    if agreed.shape != Shape::Plain {
        return shaped(call, agreed, &style, metadata, &page.items, &warnings);
    }
    let items = page.items.iter().map(SecretRevision::item).collect::<Result<Vec<Value>, _>>()?;
    Ok(respond::value(&style, 200, &whole_list(call, metadata, items), &warnings))
}

fn whole_list(call: &Call<'_>, metadata: Value, items: Vec<Value>) -> Value {
    let Kind { list_kind, api_version, .. } = call.kind;
    let members = [("kind", Value::from(*list_kind)), ("apiVersion", (*api_version).into()), ("metadata", metadata)];
    let members = members.into_iter().chain([("items", items.into())]);
    members.map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
}

/// Revisions as a table, or their metadata alone; of one that was asked for by name, or of a list.
fn shaped(
    call: &Call<'_>,
    agreed: Negotiated,
    style: &Style,
    metadata: Value,
    revisions: &[SecretRevision],
    warnings: &[String],
) -> Result<HttpResponse, Failure> {
    let bare = revisions.iter().map(SecretRevision::bare).collect::<Result<Vec<Value>, _>>()?;
    let body = match agreed.shape {
        Shape::Table(version) => {
            let (include, now) = (call.include()?, call.context.state.clock.unix_seconds());
            let rows = bare
                .iter()
                .map(|one| table::row(call.kind, one, table::OfSecret::default(), include, now, version))
                .collect();
            table::table(version, metadata, Some(table::columns(call.kind)), rows)
        }
        Shape::PartialList(version) => {
            let items: Vec<Value> = bare.iter().map(|one| table::partial_object_metadata(one, version)).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": metadata, "items": items})
        }
        Shape::Partial(version) => bare.first().map_or(Value::Null, |one| table::partial_object_metadata(one, version)),
        Shape::Plain => Value::Null,
    };
    Ok(respond::value(style, 200, &body, warnings))
}

async fn destroy(call: &Call<'_>, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let (_, style) = call.negotiate(Offer::Object)?;
    let options = call.delete_options(payload).await?;
    let destroyed = call.context.state.objects.destroy_revision(call.request(), &options).await?;
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": destroyed.revision.name(), "group": call.kind.group, "kind": call.kind.plural,
            "uid": destroyed.revision.uid(),
        },
    });
    Ok(respond::value(&style, 200, &body, &warnings(std::slice::from_ref(&destroyed), options.dry_run)))
}

async fn destroy_collection(call: &Call<'_>, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let (_, style) = call.negotiate(Offer::List)?;
    let options = call.delete_options(payload).await?;
    let objects = &call.context.state.objects;
    let destroyed = objects.destroy_revisions(call.request(), &call.page()?, &options).await?;
    let items = destroyed.iter().map(|one| one.revision.item()).collect::<Result<Vec<Value>, _>>()?;
    let metadata = json!({"resourceVersion": objects.revision().to_string()});
    Ok(respond::value(&style, 200, &whole_list(call, metadata, items), &warnings(&destroyed, options.dry_run)))
}

fn warnings(destroyed: &[DestroyedRevision], is_dry_run: bool) -> Vec<String> {
    if destroyed.is_empty() || is_dry_run {
        return Vec::new();
    }
    let mut warnings = vec![BACKUPS.to_owned()];
    if destroyed.last().is_some_and(|last| !last.log_emptied) {
        warnings.push(LOG.to_owned());
    }
    warnings
}
