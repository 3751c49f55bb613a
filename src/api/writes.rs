//! Requests that write objects: create, update, the patches, delete and deletecollection.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::body;
use super::negotiate::{Negotiated, Offer};
use super::objects::{Call, item};
use super::respond::{self, Style};
use super::sight::Sight;
use super::status::Failure;
use crate::model::schema;
use crate::model::validation::options::{self, FieldValidation, OptionsError, WriteOptions};
use crate::objects::record::Form;
use crate::objects::{CollectionOptions, Created, Deleted, PatchBody, PatchType, Request, Updated};
use crate::sensitive::Document;

/// An object that a client has sent.
struct Sent {
    agreed: Negotiated,
    style: Style,
    options: WriteOptions,
    document: Document,
    warnings: Vec<String>,
}

impl Call<'_> {
    pub(super) async fn create(&self, payload: web::Payload) -> Result<HttpResponse, Failure> {
        let Sent { agreed, style, options, document, mut warnings } = self.sent(options::create, payload).await?;
        let objects = &self.context.state.objects;
        let created = objects.create(self.request(), document, &options, &mut warnings).await?;
        self.created(agreed, &style, created, &warnings)
    }

    pub(super) async fn update(&self, payload: web::Payload) -> Result<HttpResponse, Failure> {
        let Sent { agreed, style, options, document, mut warnings } = self.sent(options::update, payload).await?;
        let objects = &self.context.state.objects;
        if self.kind.create_on_update && !objects.exists(self.request())? {
            let permit = self.context.authorize(self.permit.attributes().with_verb("create"))?;
            let request = Request { permit: &permit, facts: &self.context.facts };
            let created = objects.create_by_update(request, document, &options, &mut warnings).await?;
            return self.created(agreed, &style, created, &warnings);
        }
        let updated = objects.update(self.request(), document, &options, &mut warnings).await?;
        self.updated(agreed, &style, &updated, &warnings)
    }

    /// Reads the object of a create or an update, after the options, which `read` knows.
    async fn sent(
        &self,
        read: impl FnOnce(&[(String, String)]) -> Result<WriteOptions, OptionsError>,
        payload: web::Payload,
    ) -> Result<Sent, Failure> {
        let (agreed, style) = self.negotiate(Offer::Object)?;
        let format = body::format(self.context.header("content-type"))?;
        let options = self.defaulted(read(self.context.query.pairs()))?;
        let bytes = body::read(payload).await?;
        self.context.confirm(&self.permit)?;
        let decoded = body::decode_object(self.kind, format, &bytes)?;
        let mut warnings = Vec::new();
        body::judge(self.kind, options.field_validation, decoded.findings, &mut warnings)?;
        warnings.extend(pair_warning(&decoded.document));
        Ok(Sent { agreed, style, options, document: decoded.document, warnings })
    }

    fn created(
        &self,
        agreed: Negotiated,
        style: &Style,
        created: Created,
        warnings: &[String],
    ) -> Result<HttpResponse, Failure> {
        match created {
            Created::Stored(loaded) => self.loaded(agreed, style, 201, &loaded, &Sight::All, warnings),
            Created::DryRun(document) => Ok(self.document(agreed, style, 201, &document, &Sight::All, warnings)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the patch is decoded here")]
    pub(super) async fn patch(&self, payload: web::Payload) -> Result<HttpResponse, Failure> {
        let (agreed, style) = self.negotiate(Offer::Object)?;
        let patch_type = match body::media_type(self.context.header("content-type")).as_deref() {
            Some("application/json-patch+json") => PatchType::Json,
            Some("application/merge-patch+json") => PatchType::Merge,
            Some("application/strategic-merge-patch+json") => PatchType::Strategic,
            Some("application/apply-patch+yaml") => PatchType::Apply,
            _ => return Err(Failure::unsupported_media_type("415: Unsupported Media Type", Some(json!({})))),
        };
        let options = self.defaulted(options::patch(self.context.query.pairs(), patch_type == PatchType::Apply))?;
        let bytes = body::read(payload).await?;
        self.context.confirm(&self.permit)?;
        let mut warnings = Vec::new();
        let document = if patch_type == PatchType::Apply {
            let parsed = crate::codec::yaml::parse(bytes.expose())
                .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
            let document = Document::new(parsed.value);
            let lines: Vec<String> = parsed
                .duplicates
                .iter()
                .map(|duplicate| format!("line {}: key \"{}\" already set in map", duplicate.line, duplicate.key))
                .collect();
            match options.field_validation {
                FieldValidation::Strict if !lines.is_empty() => {
                    return Err(Failure::bad_request(format!(
                        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
                        lines.join("\n  ")
                    )));
                }
                FieldValidation::Warn => warnings.extend(lines),
                _ => {}
            }
            document
        } else {
            let parsed = crate::codec::json::parse(bytes.expose())
                .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
            Document::new(parsed.value)
        };
        let body = PatchBody { patch_type, document };
        let objects = &self.context.state.objects;
        let creates = patch_type == PatchType::Apply && self.permit.attributes().subresource.is_empty();
        if creates && !objects.exists(self.request())? {
            self.context.authorize(self.permit.attributes().with_verb("create"))?;
            let updated = objects.apply_create(self.request(), &body, &options, &mut warnings).await?;
            return self.updated(agreed, &style, &updated, &warnings);
        }
        let updated = objects.patch(self.request(), &body, &options, &mut warnings).await?;
        self.updated(agreed, &style, &updated, &warnings)
    }

    pub(super) async fn delete(&self, payload: web::Payload) -> Result<HttpResponse, Failure> {
        let (agreed, style) = self.negotiate(Offer::Object)?;
        let options = self.delete_options(payload).await?;
        let objects = &self.context.state.objects;
        match objects.delete(self.request(), &options).await? {
            Deleted::Gone(last) if !self.kind.delete_returns_object => {
                let mut details = json!({"name": last.name()});
                if let Some(fields) = details.as_object_mut() {
                    if !self.kind.group.is_empty() {
                        fields.insert("group".to_owned(), self.kind.group.into());
                    }
                    fields.insert("kind".to_owned(), self.kind.plural.into());
                    let uid = last.bare()?.pointer("/metadata/uid").cloned().unwrap_or_default();
                    fields.insert("uid".to_owned(), uid);
                }
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                });
                Ok(respond::value(&style, 200, &body, &[]))
            }
            Deleted::Gone(last) => self.loaded(agreed, &style, 200, &last, &self.sight(), &[]),
            Deleted::Terminating(loaded) => {
                let code = if options.orphan_dependents == Some(false) { 202 } else { 200 };
                self.loaded(agreed, &style, code, &loaded, &self.sight(), &[])
            }
            Deleted::DryRun(document, gone) if gone && !self.kind.delete_returns_object => {
                let _ = document;
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": {"name": self.permit.name(), "kind": self.kind.plural},
                });
                Ok(respond::value(&style, 200, &body, &[]))
            }
            Deleted::DryRun(document, _) => Ok(self.document(agreed, &style, 200, &document, &self.sight(), &[])),
        }
    }

    pub(super) async fn delete_collection(&self, payload: web::Payload) -> Result<HttpResponse, Failure> {
        let (_, style) = self.negotiate(Offer::List)?;
        let delete = self.delete_options(payload).await?;
        let page = self.page()?;
        let objects = &self.context.state.objects;
        let (revision, deleted) =
            objects.delete_collection(self.request(), &CollectionOptions { page, delete }).await?;
        let sight = self.sight();
        let mut text = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{revision}\"}},\"items\":[",
            self.kind.list_kind, self.kind.api_version
        )
        .into_bytes();
        for (at, loaded) in deleted.iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            if sight.shows(loaded.namespace(), loaded.name()) {
                objects.write_json(loaded, Form::Item, &mut text)?;
            } else {
                text.extend_from_slice(item(loaded)?.to_string().as_bytes());
            }
        }
        text.extend_from_slice(b"]}");
        Ok(respond::json_text(&style, 200, text, &[]))
    }

    pub(super) async fn delete_options(&self, payload: web::Payload) -> Result<options::DeleteOptions, Failure> {
        let bytes = body::read(payload).await?;
        self.context.confirm(&self.permit)?;
        if bytes.is_empty() {
            return options::delete_from_query(self.context.query.pairs()).map_err(Failure::options);
        }
        let format = body::format(self.context.header("content-type"))?;
        let body = body::decode_message(&schema::DELETE_OPTIONS, format, &bytes)?;
        options::delete_from_body(&body).map_err(Failure::options)
    }

    /// The options of a write, its field manager defaulted from the user agent.
    fn defaulted(&self, options: Result<WriteOptions, OptionsError>) -> Result<WriteOptions, Failure> {
        let mut options = options.map_err(Failure::options)?;
        if options.field_manager.is_empty() {
            options.field_manager = options::manager_from_user_agent(&self.context.facts.user_agent);
        }
        Ok(options)
    }

    fn updated(
        &self,
        agreed: Negotiated,
        style: &Style,
        updated: &Updated,
        warnings: &[String],
    ) -> Result<HttpResponse, Failure> {
        let code = |created: bool| if created { 201 } else { 200 };
        let sight = self.sight();
        match updated {
            Updated::Stored { object, created } => self.loaded(agreed, style, code(*created), object, &sight, warnings),
            Updated::DryRun { document, created } => {
                Ok(self.document(agreed, style, code(*created), document, &sight, warnings))
            }
        }
    }
}

/// A TLS secret whose pair does not fit is stored all the same, with a warning.
#[expect(clippy::disallowed_methods, reason = "certificate and key are compared, the warning holds neither")]
pub(super) fn pair_warning(document: &Document) -> Option<String> {
    use base64::Engine as _;
    let object = document.expose();
    if object.get("type").and_then(Value::as_str) != Some("kubernetes.io/tls") {
        return None;
    }
    let part = |key: &str| {
        let text = object.get("data")?.get(key)?.as_str()?;
        base64::engine::general_purpose::STANDARD.decode(text).ok().map(zeroize::Zeroizing::new)
    };
    crate::pki::pair_warning(&part("tls.crt")?, &part("tls.key")?)
}
