//! Requests for objects: from a parsed request line to a verb of `objects`, and back to an answer. Those that write are in
//! [`super::writes`].

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::guard::Guard;
use super::kube_openapi::subresource_kind;
use super::negotiate::{self, Negotiated, Offer, Shape};
use super::request_info::RequestInfo;
use super::respond::Style;
use super::sight::{self, Sight};
use super::status::Failure;
use super::stream::ListBody;
use super::watch::{WatchStream, WatchWriter, default_lifetime};
use super::{Context, exports, imports, respond, reviews, revisions, scans, subresources, table};
use crate::model::expiry;
use crate::model::kinds::{KINDS, Kind, SECRET_EXPORT, SECRET_IMPORT, SECRET_REVISION, SECRET_SCAN, Verb};
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::model::validation::names;
use crate::model::validation::options::{self, ResourceVersionMatch};
use crate::objects::record::Form;
use crate::objects::{Error, Loaded, Objects, PageRequest, Request};
use crate::rbac::Permit;
use crate::sensitive::Document;

pub(super) async fn route(
    context: &Context<'_>,
    info: RequestInfo,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let attributes = &info.attributes;
    let permit = context.authorize(attributes.clone())?;
    if info.malformed {
        return Err(Failure::no_such_resource());
    }
    let Some(kind) = attributes.kind else {
        let is_served = KINDS.iter().any(|kind| kind.group == attributes.group && kind.version == attributes.version);
        if is_served {
            return Err(Failure::no_such_resource());
        }
        return Ok(respond::text(&context.style, 404, "404 page not found\n"));
    };
    let allowed = if attributes.subresource.is_empty() {
        kind.verbs
    } else {
        kind.subresource(&attributes.subresource).ok_or_else(Failure::no_such_resource)?.verbs
    };
    let scoped = kind.namespaced && attributes.namespace.is_empty();
    let reads_all = matches!(attributes.verb.as_str(), "list" | "watch");
    if scoped && !reads_all {
        return Err(Failure::method_not_allowed());
    }
    if !kind.namespaced && !attributes.namespace.is_empty() && kind.plural != "namespaces" {
        return Err(Failure::no_such_resource());
    }
    let Some(verb) = allowed.iter().copied().find(|verb| verb.as_str() == attributes.verb) else {
        return Err(Failure::method_not_allowed());
    };
    let has_name = !info.path_name.is_empty();
    let is_of_one = matches!(verb, Verb::Get | Verb::Update | Verb::Patch | Verb::Delete);
    let takes_name = is_of_one || !attributes.subresource.is_empty();
    if matches!(context.http.method().as_str(), "HEAD" | "OPTIONS") || takes_name != has_name {
        return Err(Failure::method_not_allowed());
    }
    if let Some(problem) = names::path_segment(&info.path_name).first() {
        return Err(Failure::bad_request(format!("Name parameter invalid: {:?}: {problem}", info.path_name)));
    }
    if let Some(sub) = kind.subresource(&attributes.subresource) {
        let shown = subresource_kind(kind, sub);
        if shown != kind {
            return subresources::create(context, &permit, shown, payload).await;
        }
    }
    if kind.id == SECRET_EXPORT.id {
        return exports::create(context, &permit, payload).await;
    }
    if kind.id == SECRET_SCAN.id {
        return scans::create(context, &permit, payload).await;
    }
    if kind.id == SECRET_IMPORT.id {
        return imports::create(context, &permit, payload).await;
    }
    if !kind.stored {
        return reviews::create(context, &permit, kind, payload).await;
    }
    let call = Call { context, permit, kind };
    if kind.id == SECRET_REVISION.id {
        return revisions::route(&call, verb, payload).await;
    }
    match verb {
        Verb::Get => call.get(),
        Verb::List => call.list(),
        Verb::Watch => call.watch(),
        Verb::Create => call.create(payload).await,
        Verb::Update => call.update(payload).await,
        Verb::Patch => call.patch(payload).await,
        Verb::Delete => call.delete(payload).await,
        Verb::DeleteCollection => call.delete_collection(payload).await,
    }
}

/// Longer lists are written while they are sent.
const STREAMED_ROWS: usize = 64;

/// What a list says of the objects that it leaves out, and of those that it may lack.
pub(super) fn withheld_warning(objects: &Objects, withheld: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if withheld > 0 {
        warnings.push(format!("{withheld} of the objects are left out: their stored rows do not pass authentication"));
    }
    if objects.may_lack_objects() {
        warnings.push("rows are missing or were changed from outside: this list may be incomplete".to_owned());
    }
    warnings
}

/// An item of a list without its values: items do not repeat kind and apiVersion.
pub(super) fn item(loaded: &Loaded) -> Result<Value, Error> {
    let mut bare = loaded.bare()?;
    if let Some(fields) = bare.as_object_mut() {
        fields.shift_remove("kind");
        fields.shift_remove("apiVersion");
    }
    Ok(bare)
}

/// An authorised request for objects of one kind.
pub(super) struct Call<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) permit: Permit,
    pub(super) kind: &'static Kind,
}

impl Call<'_> {
    pub(super) fn request(&self) -> Request<'_> {
        Request { permit: &self.permit, facts: &self.context.facts }
    }

    pub(super) fn negotiate(&self, offer: Offer) -> Result<(Negotiated, Style), Failure> {
        let agreed =
            negotiate::negotiate(self.context.accept(), offer).map_err(|error| Failure::not_acceptable(error.0))?;
        Ok((agreed, Style { encoding: agreed.encoding, ..self.context.style.clone() }))
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.context.query.value(name)
    }

    fn get(&self) -> Result<HttpResponse, Failure> {
        let (agreed, style) = self.negotiate(Offer::Object)?;
        let loaded = self.context.state.objects.get(self.request())?;
        self.loaded(agreed, &style, 200, &loaded, &Sight::All, &[])
    }

    /// An object in the form that was agreed upon.
    pub(super) fn loaded(
        &self,
        agreed: Negotiated,
        style: &Style,
        code: u16,
        loaded: &Loaded,
        sight: &Sight,
        warnings: &[String],
    ) -> Result<HttpResponse, Failure> {
        if agreed.shape == Shape::Plain && sight.shows(loaded.namespace(), loaded.name()) {
            let mut text = Vec::new();
            self.context.state.objects.write_json(loaded, Form::Object, &mut text)?;
            return Ok(respond::json_text(style, code, text, warnings));
        }
        let shown = self.shaped(agreed.shape, loaded, sight)?;
        Ok(respond::value(style, code, &shown, warnings))
    }

    #[expect(clippy::disallowed_methods, reason = "the answer to a permitted read")]
    fn shaped(&self, shape: Shape, loaded: &Loaded, sight: &Sight) -> Result<Value, Failure> {
        match shape {
            Shape::Plain if !sight.shows(loaded.namespace(), loaded.name()) => Ok(loaded.bare()?),
            Shape::Plain => {
                let document = self.context.state.objects.document(loaded)?;
                Ok(document.expose().clone())
            }
            Shape::Partial(version) | Shape::PartialList(version) => {
                Ok(table::partial_object_metadata(&loaded.bare()?, version))
            }
            Shape::Table(version) => {
                let row = self.row(version, loaded, sight)?;
                let metadata = json!({"resourceVersion": loaded.revision().to_string()});
                Ok(table::table(version, metadata, Some(table::columns(self.kind)), vec![row]))
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "includeObject=Object asks for the whole object")]
    fn row(&self, version: &'static str, loaded: &Loaded, sight: &Sight) -> Result<Value, Failure> {
        let include = self.include()?;
        let now = self.context.state.clock.unix_seconds();
        let more = sight::of_secret(&self.context.state.objects, loaded, sight);
        if include == table::IncludeObject::Object && sight.shows(loaded.namespace(), loaded.name()) {
            let document = self.context.state.objects.document(loaded)?;
            return Ok(table::row(self.kind, document.expose(), more, include, now, version));
        }
        Ok(table::row(self.kind, &loaded.bare()?, more, include, now, version))
    }

    pub(super) fn include(&self) -> Result<table::IncludeObject, Failure> {
        table::IncludeObject::parse(self.query("includeObject").unwrap_or_default()).map_err(Failure::bad_request)
    }

    fn selectors(&self) -> Result<(LabelSelector, FieldSelector), Failure> {
        let labels = LabelSelector::parse(self.query("labelSelector").unwrap_or_default())
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(self.query("fieldSelector").unwrap_or_default())
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        fields.check_supported(self.kind).map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok((labels, fields))
    }

    /// What the answer to a write shows.
    pub(super) fn sight(&self) -> Sight {
        Sight::of_caller(&self.context.access, &self.context.user, self.kind)
    }

    /// What lists and watches show.
    fn sight_of_many(&self) -> Sight {
        if self.context.state.settings.redact_lists { self.sight() } else { Sight::All }
    }

    fn list_options(&self) -> Result<options::ListOptions, Failure> {
        options::list(self.context.query.pairs()).map_err(Failure::options)
    }

    pub(super) fn page(&self) -> Result<PageRequest, Failure> {
        let (labels, fields) = self.selectors()?;
        let options = self.list_options()?;
        let limit = options.limit.and_then(|limit| usize::try_from(limit).ok());
        // A limit with a revision and no match means that revision exactly, as it always has.
        let exact = match options.resource_version_match {
            Some(ResourceVersionMatch::Exact) => true,
            Some(ResourceVersionMatch::NotOlderThan) => false,
            None => limit.is_some(),
        };
        let (at, not_older_than) = match options.resource_version {
            None | Some(0) => (None, None),
            Some(revision) if exact => (Some(revision), None),
            Some(revision) => (None, Some(revision)),
        };
        let continue_token = Some(options.continue_token).filter(|token| !token.is_empty());
        Ok(PageRequest { limit, continue_token, at, not_older_than, labels, fields })
    }

    fn list(&self) -> Result<HttpResponse, Failure> {
        let (agreed, style) = self.negotiate(Offer::List)?;
        let state = self.context.state;
        let page = state.objects.list(self.request(), &self.page()?)?;
        let withheld = page.withheld;
        let sight = self.sight_of_many();
        if agreed.shape == Shape::Plain {
            let objects = Arc::clone(&state.objects);
            let is_long = page.rows.len() > STREAMED_ROWS;
            let mut list = ListBody::new(objects, page, sight);
            if !style.is_compact_json() || !is_long {
                let (text, left_out) = list.into_text()?;
                return Ok(respond::json_text(
                    &style,
                    200,
                    text,
                    &withheld_warning(&state.objects, withheld + left_out),
                ));
            }
            let warnings = withheld_warning(&state.objects, withheld + list.begin()?);
            let mut head = respond::head(&style, 200, style.content_type(), &warnings);
            if !style.gzip {
                return Ok(head.set_body(BoxBody::new(list)));
            }
            respond::mark_compressed(head.headers_mut());
            return Ok(head.set_body(BoxBody::new(list.compressed())));
        }
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if let Some(fields) = metadata.as_object_mut() {
            if let Some(token) = &page.continue_token {
                fields.insert("continue".to_owned(), token.as_str().into());
            }
            if let Some(remaining) = page.remaining {
                fields.insert("remainingItemCount".to_owned(), remaining.into());
            }
        }
        let (mut shown, mut left_out) = (Vec::with_capacity(page.rows.len()), 0);
        for revision in &page.rows {
            let opened = state.objects.open_page(&page, *revision).map_err(Failure::from);
            let object = opened.and_then(|loaded| match agreed.shape {
                Shape::Table(version) => self.row(version, &loaded, &sight),
                shape => self.shaped(shape, &loaded, &sight),
            });
            match object {
                Ok(object) => shown.push(object),
                Err(failure) if failure.is_integrity() => left_out += 1,
                Err(failure) => return Err(failure),
            }
        }
        let warnings = withheld_warning(&state.objects, withheld + left_out);
        let body = match agreed.shape {
            Shape::Table(version) => table::table(version, metadata, Some(table::columns(self.kind)), shown),
            Shape::PartialList(version) | Shape::Partial(version) => json!({
                "kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": metadata, "items": shown,
            }),
            Shape::Plain => Value::Null,
        };
        Ok(respond::value(&style, 200, &body, &warnings))
    }

    /// A document that was not stored, in the form that was agreed upon.
    #[expect(clippy::disallowed_methods, reason = "the answer to the one who sent it")]
    pub(super) fn document(
        &self,
        agreed: Negotiated,
        style: &Style,
        code: u16,
        document: &Document,
        sight: &Sight,
        warnings: &[String],
    ) -> HttpResponse {
        let mut shown = document.duplicate();
        let object = shown.expose_mut();
        let more = table::OfSecret {
            data_keys: object.get("data").and_then(Value::as_object).map_or(0, serde_json::Map::len),
            ends_at: expiry::annotated(object, expiry::EXPIRES_AT),
        };
        if !sight.shows(self.permit.namespace(), self.permit.name()) {
            sight::withhold(object);
        }
        if let Some(fields) = object.as_object_mut() {
            fields.shift_insert(0, "kind".to_owned(), self.kind.kind.into());
            fields.shift_insert(1, "apiVersion".to_owned(), self.kind.api_version.into());
        }
        let now = self.context.state.clock.unix_seconds();
        match agreed.shape {
            Shape::Plain => respond::value(style, code, object, warnings),
            Shape::Partial(version) | Shape::PartialList(version) => {
                respond::value(style, code, &table::partial_object_metadata(object, version), warnings)
            }
            Shape::Table(version) => {
                let include = self.include().unwrap_or(table::IncludeObject::Metadata);
                let row = table::row(self.kind, object, more, include, now, version);
                respond::value(
                    style,
                    code,
                    &table::table(version, json!({}), Some(table::columns(self.kind)), vec![row]),
                    warnings,
                )
            }
        }
    }

    fn watch(&self) -> Result<HttpResponse, Failure> {
        let asks_list = self.context.query.flag("sendInitialEvents");
        let (agreed, style) = self.negotiate(if asks_list { Offer::WatchList } else { Offer::Watch })?;
        let (labels, fields) = self.selectors()?;
        let options = self.list_options()?;
        let state = self.context.state;
        let initial = options.send_initial_events.unwrap_or(!matches!(options.resource_version, Some(1..)));
        let head = |warnings: &[String]| respond::head(&style, 200, "application/json", warnings);
        let failed = |error: Error| {
            // A watch that ends at once.
            drop(self.context.unrecorded.begin()?);
            let line = json!({"type": "ERROR", "object": Failure::from(error).body});
            Ok(head(&[]).set_body(BoxBody::new(format!("{line}\n"))))
        };
        let after = if initial { None } else { options.resource_version };
        let (watcher, missed) = match state.hub.watch(&state.objects, self.request(), after) {
            Ok(started) => started,
            Err(error @ Error::Expired(..)) => return failed(error),
            Err(error) => return Err(error.into()),
        };
        if let (true, Some(asked)) = (initial, options.resource_version.filter(|asked| *asked > watcher.from)) {
            return failed(Error::FutureRevision { asked, current: watcher.from });
        }
        let page = if initial {
            let at = PageRequest { at: Some(watcher.from).filter(|from| *from > 0), ..self.page_for_watch()? };
            Some(state.objects.list(self.request(), &at)?)
        } else {
            None
        };
        // As a list says it.
        let told = page.as_ref().map(|page| withheld_warning(&state.objects, page.withheld));
        let warnings = told.unwrap_or_default();
        let mut jitter = [0];
        let _ = getrandom::fill(&mut jitter);
        let lifetime = options
            .timeout_seconds
            .filter(|seconds| *seconds > 0)
            .map_or_else(|| default_lifetime(jitter[0]), Duration::from_secs);
        let writer = WatchWriter {
            objects: Arc::clone(&state.objects),
            clock: Arc::clone(&state.clock),
            kind: self.kind,
            shape: agreed.shape,
            include: self.include()?,
            sight: self.sight_of_many(),
            columns_sent: false,
        };
        let bookmarks = options.allow_watch_bookmarks;
        let guard = Guard::new(state.clone(), self.context.standing.clone(), self.permit.attributes().clone());
        let begun = self.context.unrecorded.begin()?;
        let stream =
            WatchStream::new(writer, watcher, (labels, fields), (page, missed), bookmarks, lifetime, (guard, begun));
        let body = actix_web::body::BodyStream::new(stream.into_stream(Arc::clone(&state.hub)));
        Ok(head(&warnings).set_body(BoxBody::new(body)))
    }

    fn page_for_watch(&self) -> Result<PageRequest, Failure> {
        let (labels, fields) = self.selectors()?;
        Ok(PageRequest { labels, fields, ..PageRequest::default() })
    }
}
