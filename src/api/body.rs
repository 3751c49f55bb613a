//! Request bodies: read within limits, then decoded by their content type.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;

use super::recorded::CLIENT_CLOSED_REQUEST;
use super::status::Failure;
use crate::codec::{json, protobuf, typed, yaml};
use crate::model::kinds::Kind;
use crate::model::schema::Message;
use crate::model::validation::options::FieldValidation;
use crate::sensitive::{Document, SecretBytes};

/// Kubernetes' default limit of a request body.
pub const BODY_MAX_BYTES: usize = 3 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// The longest silence within a body.
const BODY_SILENCE: Duration = Duration::from_secs(10);

/// Reads a whole body.
pub async fn read(payload: web::Payload) -> Result<SecretBytes, Failure> {
    read_at_most(payload, BODY_MAX_BYTES).await
}

/// Reads a whole body of so many bytes at most.
pub async fn read_at_most(mut payload: web::Payload, max_bytes: usize) -> Result<SecretBytes, Failure> {
    let collect = async {
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        loop {
            match tokio::time::timeout(BODY_SILENCE, payload.next()).await {
                Err(_) => return Err(slow()),
                Ok(None) => return Ok(SecretBytes::new(std::mem::take(&mut *bytes))),
                Ok(Some(Err(error))) => {
                    let then = payload.next().now_or_never();
                    return Err(broken(&error, matches!(then, Some(None))));
                }
                Ok(Some(Ok(chunk))) => {
                    if bytes.len() + chunk.len() > max_bytes {
                        return Err(too_large(max_bytes));
                    }
                    bytes.extend_from_slice(&chunk);
                }
            }
        }
    };
    tokio::time::timeout(BODY_DEADLINE, collect).await.unwrap_or_else(|_| Err(slow()))
}

/// A body that breaks off because the client is gone, or that is not framed as HTTP has it.
///
/// The HTTP library calls a malformed chunk incomplete, too. What tells them apart is that the end of the connection
/// is also the end of the body, and that behind such a chunk nothing follows.
fn broken(error: &PayloadError, has_ended: bool) -> Failure {
    let text = "the request body is incomplete";
    match error {
        PayloadError::Incomplete(_) if has_ended => gone(text),
        PayloadError::Io(_) => gone(text),
        _ => Failure::bad_request(text),
    }
}

/// For the record: nobody is there to read it.
fn gone(text: &str) -> Failure {
    Failure::new(CLIENT_CLOSED_REQUEST, "ClientClosedRequest", text, None)
}

/// A body of more bytes than are read.
pub fn too_large(max_bytes: usize) -> Failure {
    Failure::too_large(format!("Request entity too large: limit is {max_bytes}"))
}

/// A body that does not arrive.
pub fn slow() -> Failure {
    Failure::new(408, "Timeout", "the request body did not arrive in time", None)
}

/// The formats of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`, and no content type
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// The format of a create, update or delete body.
pub fn format(content_type: Option<&str>) -> Result<Format, Failure> {
    match media_type(content_type).as_deref() {
        None | Some("application/json") => Ok(Format::Json),
        Some("application/yaml") => Ok(Format::Yaml),
        Some("application/vnd.kubernetes.protobuf") => Ok(Format::Protobuf),
        Some(_) => Err(Failure::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
            None,
        )),
    }
}

/// A content type without its parameters, lower-cased; `None` if there is none.
pub fn media_type(content_type: Option<&str>) -> Option<String> {
    let media_type = content_type?.split(';').next()?.trim().to_ascii_lowercase();
    if media_type.is_empty() { None } else { Some(media_type) }
}

/// A decoded body and what a strict client wants to know of it.
pub struct Decoded {
    /// The document, checked against its shape.
    pub document: Document,
    /// Unknown and duplicate fields in Kubernetes' words.
    pub findings: Vec<String>,
}

/// Decodes a body into an object of `kind`, which its own `kind` and `apiVersion` must name if they are there.
#[expect(clippy::disallowed_methods, reason = "the decoder reads the body it was given")]
pub fn decode_object(kind: &'static Kind, format: Format, body: &SecretBytes) -> Result<Decoded, Failure> {
    let unrecognized = |text: String| {
        Failure::bad_request(format!("the object provided is unrecognized (must be of type {}): {text}", kind.kind))
    };
    let mut findings = Vec::new();
    let mut document = match format {
        Format::Json => {
            let parsed = json::parse(body.expose())
                .map_err(|error| unrecognized(format!("couldn't get version/kind; json parse error: {error}")))?;
            findings.extend(parsed.duplicates.iter().map(|path| format!("duplicate field \"{path}\"")));
            Document::new(parsed.value)
        }
        Format::Yaml => {
            let parsed = yaml::parse(body.expose())
                .map_err(|error| unrecognized(format!("error converting YAML to JSON: {error}")))?;
            if !parsed.duplicates.is_empty() {
                let lines: Vec<String> = parsed
                    .duplicates
                    .iter()
                    .map(|duplicate| {
                        format!("\n  line {}: key \"{}\" already set in map", duplicate.line, duplicate.key)
                    })
                    .collect();
                findings.push(format!("yaml: unmarshal errors:{}", lines.concat()));
            }
            Document::new(parsed.value)
        }
        Format::Protobuf => {
            let envelope = protobuf::decode_envelope(body.expose()).map_err(|error| unrecognized(error.to_string()))?;
            same_type(kind, envelope.api_version, envelope.kind)?;
            let value = protobuf::decode_message(kind.message, envelope.raw)
                .map_err(|error| unrecognized(error.to_string()))?;
            Document::new(value)
        }
    };
    let value = document.expose_mut();
    if !value.is_object() {
        return Err(unrecognized("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct { APIVersion string; Kind string }".to_owned()));
    }
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    same_type(kind, &field("apiVersion"), &field("kind"))?;
    let checked = typed::check(kind.message, value).map_err(|error| cannot_be_handled(kind, &error.to_string()))?;
    findings.extend(checked.unknown.iter().map(|path| format!("unknown field \"{path}\"")));
    Ok(Decoded { document, findings })
}

/// Decodes a body into a message that is no resource (`DeleteOptions`); unknown fields are ignored.
#[expect(clippy::disallowed_methods, reason = "the decoder reads the body it was given")]
pub fn decode_message(message: &'static Message, format: Format, body: &SecretBytes) -> Result<Value, Failure> {
    let bad = |text: String| Failure::bad_request(format!("couldn't get version/kind; {text}"));
    let (mut value, api_version, name) = match format {
        Format::Json => {
            let error = |error: crate::codec::ParseError| bad(format!("json parse error: {error}"));
            named(json::parse(body.expose()).map_err(error)?.value)
        }
        Format::Yaml => named(yaml::parse(body.expose()).map_err(|error| bad(error.to_string()))?.value),
        Format::Protobuf => {
            let envelope = protobuf::decode_envelope(body.expose()).map_err(|error| bad(error.to_string()))?;
            let value = protobuf::decode_message(message, envelope.raw).map_err(|error| bad(error.to_string()))?;
            (value, envelope.api_version.to_owned(), envelope.kind.to_owned())
        }
    };
    if !name.is_empty() && name != message.name {
        return Err(Failure::bad_request(format!(
            "{name} in version \"{api_version}\" cannot be handled as a {}: the body is of another type",
            message.name
        )));
    }
    typed::check(message, &mut value).map_err(|error| bad(error.to_string()))?;
    Ok(value)
}

/// A document with the version and kind that it says it is of.
fn named(value: Value) -> (Value, String, String) {
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    (value, api_version, kind)
}

fn same_type(kind: &'static Kind, api_version: &str, name: &str) -> Result<(), Failure> {
    let version_fits = api_version.is_empty() || api_version == kind.api_version;
    if version_fits && (name.is_empty() || name == kind.kind) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "{name} in version \"{api_version}\" cannot be handled as a {}: the object is of another type than the URL names",
        kind.kind
    )))
}

fn cannot_be_handled(kind: &Kind, error: &str) -> Failure {
    Failure::bad_request(format!(
        "{} in version \"{}\" cannot be handled as a {}: {error}",
        kind.kind, kind.version, kind.kind
    ))
}

/// Refuses (Strict) or passes on as warnings (Warn) what a decoder found.
pub fn judge(
    kind: &'static Kind,
    validation: FieldValidation,
    findings: Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    match validation {
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            warnings.extend(findings);
            Ok(())
        }
        FieldValidation::Strict => {
            Err(cannot_be_handled(kind, &format!("strict decoding error: {}", findings.join(", "))))
        }
    }
}
