//! `POST …/kmskeys/NAME/…`: a new term, a term destroyed, and what a plugin that runs somewhere else has encrypted and
//! decrypted.

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::asked::Asked;
use super::status::Failure;
use super::{Context, respond};
use crate::clock::rfc3339;
use crate::kms::{self, FailureKind};
use crate::model::field_error::FieldError;
use crate::model::kinds::{
    KMS_DECRYPTION, KMS_ENCRYPTION, KMS_KEY, KMS_KEY_RETIREMENT, KMS_KEY_ROTATION, Kind, OWN_API_VERSION,
};
use crate::model::kms_key::{KeyId, Retirement, current_key_id, key_ids};
use crate::objects::{Error, Loaded, Request, Resource};
use crate::rbac::{Attributes, Permit};
use crate::sensitive::{Document, SecretBytes};

const REQUEST_UID_MAX_CHARS: usize = 64;

/// Whether this is answered here.
pub(super) fn is_of(kind: &Kind) -> bool {
    [&KMS_KEY_ROTATION, &KMS_KEY_RETIREMENT, &KMS_ENCRYPTION, &KMS_DECRYPTION].iter().any(|one| one.id == kind.id)
}

pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(context, permit, kind, payload).await?;
    match kind.kind {
        "KMSKeyRotation" => rotate(context, permit, &asked).await,
        "KMSKeyRetirement" => retire(context, permit, &asked).await,
        "KMSEncryption" => encrypt(context, permit, &asked),
        _ => decrypt(context, permit, &asked),
    }
}

async fn rotate(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let request = Request { permit, facts: &context.facts };
    let rotated = context.state.objects.rotate_kms_key(request, asked.options.dry_run).await?;
    let status = status_of(&rotated)?;
    let answer = json!({"currentKeyID": current_key_id(&status)});
    context.facts.annotate(kms::KEY_ID, current_key_id(&status).to_owned());
    Ok(respond(context, permit, &KMS_KEY_ROTATION, asked, None, answer))
}

#[expect(clippy::disallowed_methods, reason = "a key id is no secret")]
async fn retire(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let document = asked.document.expose();
    let retirement = Retirement::parse(document).map_err(|errors| invalid(&KMS_KEY_RETIREMENT, errors))?;
    context.facts.annotate(kms::KEY_ID, retirement.key_id.to_string());
    // What was seen a moment ago counts.
    if !context.state.home.kms.write_usage(false).await {
        return Err(Failure::unavailable("how terms were used cannot be written down now"));
    }
    let request = Request { permit, facts: &context.facts };
    let retired = context.state.objects.retire_kms_term(request, &retirement, asked.options.dry_run).await?;
    let status = status_of(&retired)?;
    let spec = document.get("spec").cloned();
    Ok(respond(context, permit, &KMS_KEY_RETIREMENT, asked, spec, json!({"keyIDs": key_ids(&status)})))
}

fn encrypt(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let permit_to = also(context, "encrypt", permit)?;
    let plain = bytes(&asked.document, "plaintext", &KMS_ENCRYPTION)?;
    let request_uid = request_uid(context, &asked.document);
    let made = context.state.home.kms.seal(&permit_to, &plain).map_err(|failure| failed(failure, permit))?;
    context.facts.annotate(kms::KEY_ID, made.key_id.clone());
    let status = json!({"ciphertext": STANDARD.encode(&made.ciphertext), "keyID": made.key_id});
    Ok(respond(context, permit, &KMS_ENCRYPTION, asked, Some(request_uid), status))
}

#[expect(clippy::disallowed_methods, reason = "the plaintext is told to who may decrypt")]
fn decrypt(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let permit_to = also(context, "decrypt", permit)?;
    let ciphertext = bytes(&asked.document, "ciphertext", &KMS_DECRYPTION)?;
    let key_id = field(&asked.document, "keyID").to_owned();
    if key_id.is_empty() {
        return Err(invalid(&KMS_DECRYPTION, vec![FieldError::required("spec.keyID", "")]));
    }
    if KeyId::parse(&key_id).is_some() {
        context.facts.annotate(kms::KEY_ID, key_id.clone());
    }
    let request_uid = request_uid(context, &asked.document);
    let opened = context.state.home.kms.open(&permit_to, ciphertext.expose(), &key_id);
    let opened = opened.map_err(|failure| failed(failure, permit))?;
    let mut told = Zeroizing::new(String::with_capacity(opened.len().div_ceil(3) * 4));
    STANDARD.encode_string(opened.expose(), &mut told);
    let answer = Document::new(json!({"plaintext": told.as_str()}));
    Ok(respond_document(context, permit, &KMS_DECRYPTION, asked, Some(request_uid), &answer))
}

/// The right to use the key, besides that to ask here.
fn also(context: &Context<'_>, verb: &str, permit: &Permit) -> Result<Permit, Failure> {
    let permit = context.authorize(Attributes::object(verb, &KMS_KEY, "", permit.name()))?;
    context.confirm(&permit)?;
    Ok(permit)
}

/// Bytes of the spec in base64, of which an error shows nothing.
fn bytes(document: &Document, field: &'static str, kind: &'static Kind) -> Result<SecretBytes, Failure> {
    let path = format!("spec.{field}");
    let written = self::field(document, field);
    if written.is_empty() {
        return Err(invalid(kind, vec![FieldError::required(path, "")]));
    }
    // In one piece: a vector that grows leaves copies behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(written.len()));
    STANDARD
        .decode_vec(written, &mut decoded)
        .map_err(|_| invalid(kind, vec![FieldError::forbidden(path, "must be base64 with padding")]))?;
    Ok(SecretBytes::new(std::mem::take(&mut *decoded)))
}

/// What the cluster calls the request: recorded, and all that is sent back of the spec.
fn request_uid(context: &Context<'_>, document: &Document) -> Value {
    let uid: String = field(document, "uid").chars().filter(|c| !c.is_control()).take(REQUEST_UID_MAX_CHARS).collect();
    context.facts.annotate(kms::REQUEST_UID, uid.clone());
    if uid.is_empty() { json!({}) } else { json!({"uid": uid}) }
}

/// A text of the spec, which may be a secret.
#[expect(clippy::disallowed_methods, reason = "the text is decoded, or compared, where it lies")]
fn field<'a>(document: &'a Document, name: &str) -> &'a str {
    document.expose().pointer("/spec").and_then(|spec| spec.get(name)?.as_str()).unwrap_or_default()
}

fn status_of(key: &Loaded) -> Result<Value, Failure> {
    Ok(key.bare()?.get("status").cloned().unwrap_or_default())
}

fn respond(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    asked: &Asked,
    spec: Option<Value>,
    status: Value,
) -> HttpResponse {
    respond_document(context, permit, kind, asked, spec, &Document::new(status))
}

#[expect(clippy::disallowed_methods, reason = "the answer to a permitted request")]
fn respond_document(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    asked: &Asked,
    spec: Option<Value>,
    status: &Document,
) -> HttpResponse {
    let mut body = Document::new(json!({
        "kind": kind.kind, "apiVersion": OWN_API_VERSION,
        "metadata": {"name": permit.name(), "creationTimestamp": rfc3339(context.state.clock.unix_seconds())},
    }));
    if let Some(fields) = body.expose_mut().as_object_mut() {
        if let Some(spec) = spec {
            fields.insert("spec".to_owned(), spec);
        }
        fields.insert("status".to_owned(), status.expose().clone());
    }
    respond::value(&asked.style, 201, body.expose(), &asked.warnings)
}

fn failed(failure: kms::Failure, permit: &Permit) -> Failure {
    match failure.kind {
        FailureKind::NoKey => Error::NotFound(Resource::new(&KMS_KEY, permit.name())).into(),
        FailureKind::Invalid | FailureKind::NoTerm | FailureKind::Denied => Failure::bad_request(failure.message),
        FailureKind::Unavailable => Failure::unavailable(failure.message),
        FailureKind::Internal => Failure::internal(),
    }
}

fn invalid(kind: &'static Kind, errors: Vec<FieldError>) -> Failure {
    Error::Invalid(Resource::new(kind, ""), errors).into()
}
