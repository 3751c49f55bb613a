//! Subresources that make or end something of an object instead of changing it: tokens of service accounts, passwords
//! and certificates of users.
//!
//! Their answers are told once and stored nowhere; what a request carries goes no further than the module that is
//! meant to have it.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::asked::Asked;
use super::status::Failure;
use super::{Context, respond};
use crate::audit;
use crate::auth::{LoginError, MintError, RevokeError, RevokedCertificate, TokenRequest};
use crate::clock::rfc3339;
use crate::model::defaults;
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, Kind, SECRET_SYNC_RENDERING};
use crate::model::validation::reviews::{self, BoundKind, Refusal};
use crate::objects::{Error, Request, Resource};
use crate::pki::client::{
    CLIENT_DEFAULT_TTL_SECONDS, CLIENT_MAX_TTL_SECONDS, ClientSubject, parse_serial, serial_hex,
    sign_client_certificate,
};
use crate::pki::{Authority, CertificateFacts, PkiError};
use crate::rbac::Permit;
use crate::sensitive::{Document, SecretBytes};

/// Annotation: the serial number of a certificate that was signed or revoked.
const CERTIFICATE_SERIAL: &str = "strongroom.dev/certificate-serial";

/// The authority that signs users' certificates; `None` where client certificates are switched off. Supplied by
/// `server`, which owns it.
pub type ClientAuthority = Arc<dyn Fn() -> Option<Authority> + Send + Sync>;

/// Answers a POST to a subresource whose kind is not its parent's.
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    if kind.id == SECRET_SYNC_RENDERING.id {
        return super::renderings::create(context, permit, payload).await;
    }
    if super::kms_keys::is_of(kind) {
        return super::kms_keys::create(context, permit, kind, payload).await;
    }
    let asked = Asked::read(context, permit, kind, payload).await?;
    match kind.kind {
        "TokenRequest" => token(context, permit, asked),
        "PasswordRequest" => password(context, permit, asked).await,
        "CertificateRequest" => certificate(context, permit, &asked),
        "CertificateRevocation" => revoke_certificate(context, permit, &asked).await,
        _ => Err(Failure::no_such_resource()),
    }
}

/// `POST …/serviceaccounts/NAME/token` (TokenRequest). Source: `pkg/registry/core/serviceaccount/storage/token.go`.
#[expect(clippy::disallowed_methods, reason = "the request holds no secret; the token is told to who asked for it")]
fn token(context: &Context<'_>, permit: &Permit, mut asked: Asked) -> Result<HttpResponse, Failure> {
    let state = context.state;
    let (namespace, name) = (permit.namespace(), permit.name());
    let account = state.objects.get(Request { permit, facts: &context.facts })?;
    let uid = account.uid();
    let object = asked.document.expose_mut();
    let errors = reviews::token_request_metadata(object, name, namespace);
    if !errors.is_empty() {
        return Err(Error::Invalid(Resource::new(&kinds::SERVICE_ACCOUNT, name), errors).into());
    }
    defaults::apply_token_request_defaults(object);
    let errors = reviews::token_request_spec(object);
    if !errors.is_empty() {
        return Err(Error::Invalid(Resource::new(&kinds::TOKEN_REQUEST, ""), errors).into());
    }
    let secret = bound_secret(context, namespace, object)?;
    let spec = object.get("spec").cloned().unwrap_or_default();
    let audiences = spec.get("audiences").and_then(Value::as_array);
    let audiences: Vec<String> = audiences.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let seconds = reviews::token_seconds(object);
    let minted = state.authenticator.mint(&TokenRequest {
        namespace,
        name,
        uid: &uid,
        audiences: &audiences,
        expiration_seconds: seconds,
        secret: secret.as_ref().map(|(name, uid)| (name.as_str(), uid.as_str())),
    });
    let minted = minted.map_err(|error| match error {
        MintError::TooLarge => Failure::bad_request("the audiences make the token larger than any token may be"),
        MintError::Unavailable => Failure::unavailable("no token can be signed now"),
    })?;
    let given = minted.expiration_seconds;
    if given < seconds {
        asked.warnings.push(format!("requested expiration of {seconds} seconds shortened to {given} seconds"));
    }
    context.facts.annotate("authentication.kubernetes.io/issued-credential-id", format!("JTI={}", minted.id));
    let token = String::from_utf8_lossy(minted.token.expose()).into_owned();
    let body = Document::new(json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": name, "namespace": namespace, "creationTimestamp": rfc3339(state.clock.unix_seconds()),
        },
        "spec": {
            "audiences": minted.audiences, "expirationSeconds": given,
            "boundObjectRef": spec.get("boundObjectRef").cloned().unwrap_or_default(),
        },
        "status": {"token": token, "expirationTimestamp": rfc3339(minted.expires_at_unix_seconds)},
    }));
    Ok(respond::value(&asked.style, 201, body.expose(), &asked.warnings))
}

/// Name and uid of the Secret that the token is to be bound to.
fn bound_secret(context: &Context<'_>, namespace: &str, request: &Value) -> Result<Option<(String, String)>, Failure> {
    let kind = reviews::token_bound_kind(request).map_err(|refusal| match refusal {
        Refusal::BadRequest(text) => Failure::bad_request(text),
        Refusal::Invalid(errors) => Failure::invalid_options(".authentication.k8s.io", &errors),
    })?;
    let reference = |field: &str| {
        let text = request.pointer("/spec/boundObjectRef").and_then(|reference| reference.get(field));
        text.and_then(Value::as_str).unwrap_or_default()
    };
    let name = reference("name");
    let missing = |resource: &str| {
        let text = format!("{resource} \"{name}\" not found");
        Failure::new(404, "NotFound", text, Some(json!({"name": name, "kind": resource})))
    };
    match kind {
        None => Ok(None),
        Some(BoundKind::Pod) => Err(missing("pods")),
        Some(BoundKind::Node) => Err(missing("nodes")),
        Some(BoundKind::Secret) => {
            let live = context.state.objects.uid(&kinds::SECRET, namespace, name).ok_or_else(|| missing("secrets"))?;
            let asked = reference("uid");
            if !asked.is_empty() && asked != live {
                let text = format!(
                    "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted and then recreated"
                );
                return Err(Error::Conflict(Resource::new(&kinds::SECRET, name), text).into());
            }
            Ok(Some((name.to_owned(), live)))
        }
    }
}

/// `POST …/users/NAME/password` (PasswordRequest).
async fn password(context: &Context<'_>, permit: &Permit, asked: Asked) -> Result<HttpResponse, Failure> {
    let state = context.state;
    let request = Request { permit, facts: &context.facts };
    // Before the password is hashed, which is work, and before anything is said of it.
    let account = state.objects.user_to_act_for(request)?;
    let password =
        text(&asked.document, "/spec/password").ok_or_else(|| Failure::bad_request("spec.password: required"))?;
    let hashed = state.authenticator.new_password(permit.name(), &account.uid, password).await;
    let hashed = hashed.map_err(|error| match error {
        LoginError::Password(why) => {
            let errors = vec![FieldError::forbidden("spec.password", why)];
            Error::Invalid(Resource::new(&kinds::PASSWORD_REQUEST, permit.name()), errors).into()
        }
        LoginError::Busy { retry_after_seconds } | LoginError::Throttled { retry_after_seconds } => {
            too_many_passwords(retry_after_seconds)
        }
        LoginError::Invalid(_) | LoginError::Unavailable => Failure::unavailable("no password can be set now"),
    })?;
    let set = state.objects.set_password(request, &account.uid, hashed.row, asked.options.dry_run).await?;
    let status = set.bare()?.get("status").cloned().unwrap_or_else(|| json!({}));
    let body = json!({
        "kind": "PasswordRequest", "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"name": permit.name(), "creationTimestamp": rfc3339(state.clock.unix_seconds())},
        "spec": {}, "status": status,
    });
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

/// `POST …/users/NAME/certificate` (CertificateRequest).
#[expect(clippy::disallowed_methods, reason = "a certificate request holds no secret")]
fn certificate(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let state = context.state;
    let account = state.objects.user_to_act_for(Request { permit, facts: &context.facts })?;
    let authority = (state.home.client_authority)().ok_or_else(no_client_certificates)?;
    let request = asked.document.expose();
    let wrong = |field: &str, why: String| -> Failure {
        let errors = vec![FieldError::forbidden(field, why)];
        Error::Invalid(Resource::new(&kinds::CERTIFICATE_REQUEST, permit.name()), errors).into()
    };
    let encoded = request.pointer("/spec/request").and_then(Value::as_str).unwrap_or_default();
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pem = pem.ok_or_else(|| wrong("spec.request", PkiError::Request.to_string()))?;
    let asked_seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64);
    let ttl_seconds = asked_seconds.unwrap_or(CLIENT_DEFAULT_TTL_SECONDS);
    let subject = ClientSubject { user: permit.name(), groups: &account.groups, uid: &account.uid };
    let now = state.clock.unix_seconds();
    let signed = sign_client_certificate(&authority, &pem, &subject, ttl_seconds, now);
    let signed = signed.map_err(|error| match error {
        PkiError::Request => wrong("spec.request", error.to_string()),
        PkiError::Lifetime => wrong("spec.expirationSeconds", error.to_string()),
        PkiError::Subject => wrong("metadata.name", error.to_string()),
        _ => Failure::unavailable("no certificate can be signed now"),
    })?;
    let facts = crate::pki::read_blocks(signed.as_bytes());
    let facts = facts.first().and_then(|block| CertificateFacts::read(block.bytes.expose()).ok());
    let facts = facts.ok_or_else(Failure::internal)?;
    let serial = serial_hex(facts.serial).ok_or_else(Failure::internal)?;
    context.facts.annotate(CERTIFICATE_SERIAL, serial.clone());
    let body = json!({
        "kind": "CertificateRequest", "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"name": permit.name(), "creationTimestamp": rfc3339(now)},
        "spec": request.get("spec").cloned().unwrap_or_default(),
        "status": {
            "certificate": STANDARD.encode(&signed), "expirationTimestamp": rfc3339(facts.not_after),
            "serialNumber": serial,
        },
    });
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

/// `POST …/users/NAME/certificaterevocation` (CertificateRevocation). Also where no certificates are signed any more:
/// those of before may still be accepted at the next start.
#[expect(clippy::disallowed_methods, reason = "a serial number is no secret")]
async fn revoke_certificate(context: &Context<'_>, permit: &Permit, asked: &Asked) -> Result<HttpResponse, Failure> {
    let state = context.state;
    let user = state.objects.get(Request { permit, facts: &context.facts })?;
    let spec = asked.document.expose().get("spec").cloned().unwrap_or_default();
    let number = spec.get("serialNumber").and_then(Value::as_str).unwrap_or_default();
    let wrong = |error: FieldError| -> Failure {
        Error::Invalid(Resource::new(&kinds::CERTIFICATE_REVOCATION, permit.name()), vec![error]).into()
    };
    let serial = parse_serial(number).ok_or_else(|| wrong(no_serial(number)))?;
    context.facts.annotate(CERTIFICATE_SERIAL, serial.clone());
    let uid = user.uid();
    let certificate = RevokedCertificate {
        user: permit.name(),
        uid: &uid,
        serial_hex: &serial,
        longest_ttl_seconds: CLIENT_MAX_TTL_SECONDS,
    };
    let until = if asked.options.dry_run {
        state.authenticator.revoked_until(CLIENT_MAX_TTL_SECONDS)
    } else {
        let record = audit::mutation(&context.facts, permit.user(), permit.attributes(), permit.name(), &uid, 201);
        // Before it is: where the client goes away meanwhile, it is revoked and recorded all the same.
        context.facts.mark_recorded(true);
        state.authenticator.revoke_certificate(&certificate, record).await.map_err(|error| {
            context.facts.mark_recorded(false);
            match error {
                RevokeError::TooMany => wrong(FieldError::forbidden("spec.serialNumber", error.to_string())),
                RevokeError::Store(_) => Failure::unavailable("the store cannot be written"),
            }
        })?
    };
    let body = json!({
        "kind": "CertificateRevocation", "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"name": permit.name(), "creationTimestamp": rfc3339(state.clock.unix_seconds())},
        "spec": spec, "status": {"serialNumber": serial, "rememberedUntil": rfc3339(until)},
    });
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

/// What is wrong with a serial number that is none.
pub(super) fn no_serial(number: &str) -> FieldError {
    FieldError::invalid("spec.serialNumber", number, "must be a number in hexadecimal digits, of at most 64 bytes")
}

/// What is said where no certificate is signed.
pub(super) fn no_client_certificates() -> Failure {
    Failure::bad_request("client certificates are switched off: start the server with --client-certificates")
}

/// What is said where no more passwords can be hashed now.
pub(super) fn too_many_passwords(retry_after_seconds: u32) -> Failure {
    Failure::too_many("too many passwords are being hashed, please try again later", retry_after_seconds)
}

/// A text of the request that may be a secret.
#[expect(clippy::disallowed_methods, reason = "the text goes from one secret into another")]
fn text(document: &Document, pointer: &str) -> Option<SecretBytes> {
    let text = document.expose().pointer(pointer).and_then(Value::as_str)?;
    Some(SecretBytes::new(text.as_bytes().to_vec()))
}
