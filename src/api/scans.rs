//! `POST …/secretscans` (SecretScan): fingerprints of the values of a namespace, for a scanner.
//!
//! What it never does: give a fingerprint of a value that the caller may not `get`, or of one that is short.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::asked::Asked;
use super::audit_log::blocking;
use super::objects::withheld_warning;
use super::status::Failure;
use super::{Context, respond};
use crate::clock::rfc3339;
use crate::crypto::ScanKey;
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, SECRET, SECRET_SCAN};
use crate::objects::{Error, Loaded, Objects, PageRequest, Request, Resource};
use crate::rbac::{self, Attributes, Permit};
use crate::scan::fingerprint;
use crate::sensitive::{Document, SecretBytes};

/// Annotation: how many Secrets went into the fingerprints.
const SCANNED: &str = "strongroom.dev/fingerprinted-secrets";
/// How long a key is good for.
const PERIOD_SECONDS: i64 = 7 * 24 * 60 * 60;
/// Values of one request.
const VALUES_MAX: usize = 20_000;
/// Stored bytes of one request.
const MAX_BYTES: usize = 32 * 1024 * 1024;
const SCANNER_CHARS: std::ops::RangeInclusive<usize> = 16..=64;

#[expect(clippy::disallowed_methods, reason = "the key is told to who may get the values")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::read(context, permit, &SECRET_SCAN, payload).await?;
    let scanner =
        asked.document.expose().pointer("/spec/scanner").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !SCANNER_CHARS.contains(&scanner.len()) || !scanner.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(invalid(FieldError::invalid("spec.scanner", &scanner, "must be 16 to 64 letters and digits")));
    }
    let turn = Arc::clone(&context.state.exports).try_acquire_owned();
    let _turn = turn.map_err(|_| busy())?;
    let namespace = permit.namespace().to_owned();
    let list = allowed(context, Attributes::object("list", &SECRET, &namespace, "")).map_err(|denial| *denial)?;
    let now = context.state.clock.unix_seconds();
    let period = now.div_euclid(PERIOD_SECONDS);
    let user = context.user.name.as_bytes();
    let key = context.state.home.room.scan_key(&[user, scanner.as_bytes(), &period.to_be_bytes()]);
    let page = context.state.objects.list(Request { permit: &list, facts: &context.facts }, &PageRequest::default())?;
    let (mut chosen, mut skipped, mut bytes, mut values) = (Vec::new(), 0, 0, 0);
    for revision in &page.rows {
        let loaded = context.state.objects.open_page(&page, *revision)?;
        if allowed(context, Attributes::object("get", &SECRET, &namespace, loaded.name())).is_err() {
            skipped += 1;
            continue;
        }
        bytes += loaded.stored_bytes();
        values += loaded.data_keys();
        if bytes > MAX_BYTES || values > VALUES_MAX {
            return Err(too_much());
        }
        chosen.push(loaded);
    }
    let warnings = [asked.warnings.clone(), withheld_warning(&context.state.objects, page.withheld)].concat();
    context.facts.annotate(SCANNED, chosen.len().to_string());
    let objects = Arc::clone(&context.state.objects);
    let made = {
        let key = key.duplicate();
        blocking(move || make(&objects, &chosen, &key)).await??
    };
    let body = Document::new(json!({
        "kind": SECRET_SCAN.kind, "apiVersion": kinds::OWN_API_VERSION,
        "metadata": {"namespace": namespace, "creationTimestamp": null},
        "spec": {"scanner": scanner},
        "status": {
            "key": STANDARD.encode(key.expose()),
            "expirationTimestamp": rfc3339((period + 1) * PERIOD_SECONDS),
            "fingerprints": made.fingerprints, "skippedSecrets": skipped, "skippedValues": made.skipped,
        },
    }));
    Ok(respond::value(&asked.style, 201, body.expose(), &warnings))
}

struct Made {
    fingerprints: Vec<Value>,
    /// Values that are too short, or public.
    skipped: usize,
}

#[expect(clippy::disallowed_methods, reason = "values become fingerprints")]
fn make(objects: &Objects, chosen: &[Loaded], key: &SecretBytes) -> Result<Made, Failure> {
    let key = ScanKey::from_bytes(key).ok_or_else(Failure::internal)?;
    let mut made = Made { fingerprints: Vec::new(), skipped: 0 };
    for loaded in chosen {
        let document = objects.document(loaded)?;
        let data = document.expose().get("data").and_then(Value::as_object).into_iter().flatten();
        for (name, value) in data {
            let text = value.as_str().unwrap_or_default();
            let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
            let decoded = STANDARD.decode_vec(text, &mut value);
            let Some(one) = decoded.ok().and_then(|()| fingerprint(&key, &value, 0)) else {
                made.skipped += 1;
                continue;
            };
            made.fingerprints.push(json!({
                "secret": loaded.name(), "key": name,
                "length": one.length, "window": one.window, "mac": hex::encode(one.mac),
            }));
        }
    }
    Ok(made)
}

fn allowed(context: &Context<'_>, attributes: Attributes) -> Result<Permit, Box<Failure>> {
    let access = context.state.objects.access();
    rbac::authorize(&access.policy, &context.user, attributes).map_err(|denial| Box::new(Failure::forbidden(&denial)))
}

/// Other fingerprints are being made.
pub(super) fn busy() -> Failure {
    Failure::too_many("other fingerprints or exports are being made", 1)
}

/// More than is fingerprinted at once.
pub(super) fn too_much() -> Failure {
    Failure::too_large(format!("more than {MAX_BYTES} bytes or {VALUES_MAX} values are not fingerprinted at once"))
}

/// What is wrong with the request.
pub(super) fn invalid(error: FieldError) -> Failure {
    Error::Invalid(Resource::new(&SECRET_SCAN, ""), vec![error]).into()
}
