//! What a SecretExport asks for besides Secrets: the format, and what that format needs.
//!
//! What it never does: take an option that the format has no use for. Whoever gives one expects an effect.

use std::str::FromStr as _;

use serde_json::Value;

use crate::export::{
    EarlierSealedSecret, ExternalStore, Format, Options, PREVIOUS_MAX_BYTES, Recipient, Scope, Sealing,
    SealingCertificate,
};
use crate::model::field_error::FieldError;
use crate::model::validation::names;
use crate::sensitive::SecretBytes;

/// What the SecretStore is called, and the Secret with the token for this server.
const STORE_NAME: &str = "strongroom";
const TOKEN_SECRET: &str = "strongroom-token";
/// Each costs an encryption, and lines in the file.
const RECIPIENTS_MAX: usize = 100;

/// What was asked for.
pub struct Order {
    /// As what.
    pub format: Format,
    string_data: bool,
    sealing: Option<Seal>,
    recipients: Vec<Recipient>,
    external_store: Option<Store>,
    now_unix_seconds: i64,
}

struct Seal {
    certificate: SealingCertificate,
    scope: Scope,
    earlier: Vec<EarlierSealedSecret>,
}

struct Store {
    url: String,
    authorities: String,
    name: String,
    token_secret: String,
}

impl Order {
    /// Reads `spec`; what is wrong with it otherwise.
    pub fn read(export: &Value, now_unix_seconds: i64) -> Result<Self, Vec<FieldError>> {
        let spec = export.get("spec").unwrap_or(&Value::Null);
        let format = format(text(spec, "format")).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let string_data = is(spec, "stringData");
        if string_data && !matches!(format, Format::Yaml | Format::Json | Format::Sops) {
            let why = format!("format {format} has no stringData");
            errors.push(FieldError::forbidden("spec.stringData", why));
        }
        let sealing = options(spec, "sealedSecret", format, Format::SealedSecret, &mut errors)
            .and_then(|options| sealing(options, now_unix_seconds, &mut errors));
        let recipients =
            options(spec, "sops", format, Format::Sops, &mut errors).map(|options| recipients(options, &mut errors));
        let external_store = options(spec, "externalStore", format, Format::ExternalSecret, &mut errors)
            .map(|options| store(options, &mut errors));
        let recipients = recipients.unwrap_or_default();
        if errors.is_empty() {
            Ok(Self { format, string_data, sealing, recipients, external_store, now_unix_seconds })
        } else {
            Err(errors)
        }
    }

    /// As `export` takes it; the key is that of the fingerprints in SealedSecrets.
    pub fn options<'a>(&'a self, fingerprint_key: &'a SecretBytes) -> Options<'a> {
        let sealing = self.sealing.as_ref().map(|seal| Sealing {
            certificate: &seal.certificate,
            scope: seal.scope,
            fingerprint_key: Some(fingerprint_key),
            earlier: &seal.earlier,
        });
        let external_store = self.external_store.as_ref().map(|store| ExternalStore {
            url: &store.url,
            authorities: store.authorities.as_bytes(),
            name: &store.name,
            token_secret: &store.token_secret,
        });
        Options {
            string_data: self.string_data,
            now_seconds: self.now_unix_seconds,
            recipients: &self.recipients,
            sealing,
            external_store,
        }
    }
}

fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is(object: &Value, field: &str) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or_default()
}

fn format(wanted: &str) -> Result<Format, FieldError> {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    if wanted.is_empty() {
        return Err(FieldError::required("spec.format", format!("supported formats: {}", names.join(", "))));
    }
    Format::from_str(wanted).map_err(|_| FieldError::not_supported("spec.format", wanted, &names))
}

/// The options of one format, which must be there for that one and for no other.
fn options<'v>(
    spec: &'v Value,
    field: &str,
    format: Format,
    of: Format,
    errors: &mut Vec<FieldError>,
) -> Option<&'v Value> {
    let found = spec.get(field).filter(|options| !options.is_null());
    let path = format!("spec.{field}");
    match found {
        Some(_) if format != of => errors.push(FieldError::forbidden(path, format!("is for format {of} alone"))),
        None if format == of => errors.push(FieldError::required(path, format!("format {of} needs it"))),
        _ => {}
    }
    found.filter(|_| format == of)
}

fn sealing(options: &Value, now_unix_seconds: i64, errors: &mut Vec<FieldError>) -> Option<Seal> {
    let pem = text(options, "certificates").as_bytes();
    let certificate = SealingCertificate::choose(pem, now_unix_seconds, is(options, "allowExpired"))
        .map_err(|why| errors.push(FieldError::forbidden("spec.sealedSecret.certificates", why.to_string())));
    let scope = match text(options, "scope") {
        "" => Ok(Scope::default()),
        scope => Scope::from_str(scope).map_err(|_| {
            let scopes = ["cluster-wide", "namespace-wide", "strict"];
            errors.push(FieldError::not_supported("spec.sealedSecret.scope", scope, &scopes));
        }),
    };
    let earlier = earlier(text(options, "previous"), errors);
    Some(Seal { certificate: certificate.ok()?, scope: scope.ok()?, earlier })
}

/// Nothing of it is trusted: what is kept of it is what the fingerprints prove to be ours.
fn earlier(file: &str, errors: &mut Vec<FieldError>) -> Vec<EarlierSealedSecret> {
    let field = "spec.sealedSecret.previous";
    if file.len() > PREVIOUS_MAX_BYTES {
        errors.push(FieldError::too_long(field, PREVIOUS_MAX_BYTES));
        return Vec::new();
    }
    let read = EarlierSealedSecret::read_all(file.as_bytes());
    read.map_err(|why| errors.push(FieldError::forbidden(field, why.to_string()))).unwrap_or_default()
}

/// A key that is not one is not repeated: it may be an identity, which is secret.
fn recipients(options: &Value, errors: &mut Vec<FieldError>) -> Vec<Recipient> {
    let field = "spec.sops.ageRecipients";
    let listed = options.get("ageRecipients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        errors.push(FieldError::required(field, "without one nobody could decrypt the file"));
    }
    if listed.len() > RECIPIENTS_MAX {
        errors.push(FieldError::too_many(field, listed.len(), RECIPIENTS_MAX));
        return Vec::new();
    }
    let read = |(at, recipient): (usize, &Value)| {
        Recipient::from_str(recipient.as_str().unwrap_or_default())
            .map_err(|why| errors.push(FieldError::forbidden(format!("{field}[{at}]"), why.to_string())))
            .ok()
    };
    listed.iter().enumerate().filter_map(read).collect()
}

fn store(options: &Value, errors: &mut Vec<FieldError>) -> Store {
    let or = |field: &str, other: &str| {
        Some(text(options, field)).filter(|text| !text.is_empty()).unwrap_or(other).to_owned()
    };
    let (url, authorities) = (or("url", ""), or("authorities", ""));
    if !url.starts_with("https://") {
        errors.push(FieldError::invalid("spec.externalStore.url", &url, "must begin with https://"));
    }
    if !authorities.contains("-----BEGIN CERTIFICATE-----") {
        errors.push(FieldError::forbidden("spec.externalStore.authorities", "holds no certificate in PEM form"));
    }
    let (name, token_secret) = (or("name", STORE_NAME), or("tokenSecret", TOKEN_SECRET));
    for (field, name) in [("name", &name), ("tokenSecret", &token_secret)] {
        let problems = names::dns1123_subdomain(name);
        errors
            .extend(problems.iter().map(|why| FieldError::invalid(format!("spec.externalStore.{field}"), name, *why)));
    }
    Store { url, authorities, name, token_secret }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(spec: &Value) -> String {
        let errors = Order::read(&json!({"spec": spec}), 1_790_000_000).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_a_format_has_no_use_for_is_refused() {
        for (spec, expected) in [
            (
                json!({"format": "dotenv", "stringData": true}),
                "spec.stringData: Forbidden: format dotenv has no stringData",
            ),
            (json!({"format": "yaml", "sops": {}}), "spec.sops: Forbidden: is for format sops alone"),
            (
                json!({"format": "sops", "sealedSecret": {}, "sops": {"ageRecipients": []}}),
                "spec.sealedSecret: Forbidden: is for format sealedsecret alone; \
                 spec.sops.ageRecipients: Required value: without one nobody could decrypt the file",
            ),
            (
                json!({"format": "json", "externalStore": {}}),
                "spec.externalStore: Forbidden: is for format external-secret alone",
            ),
        ] {
            assert_eq!(refused(&spec), expected, "{spec}");
        }
    }

    #[test]
    fn what_a_format_needs_is_asked_for() {
        for (spec, expected) in [
            (json!({"format": "sealedsecret"}), "spec.sealedSecret: Required value: format sealedsecret needs it"),
            (json!({"format": "sops"}), "spec.sops: Required value: format sops needs it"),
            (
                json!({"format": "external-secret"}),
                "spec.externalStore: Required value: format external-secret needs it",
            ),
            (
                json!({"format": "external-secret", "externalStore": {"url": "http://x", "authorities": "x"}}),
                "spec.externalStore.url: Invalid value: \"http://x\": must begin with https://; \
                 spec.externalStore.authorities: Forbidden: holds no certificate in PEM form",
            ),
        ] {
            assert_eq!(refused(&spec), expected, "{spec}");
        }
        let store = json!({"url": "https://x", "authorities": "-----BEGIN CERTIFICATE-----", "name": "A b"});
        let text = refused(&json!({"format": "external-secret", "externalStore": store}));
        assert!(text.starts_with("spec.externalStore.name: Invalid value: \"A b\": "), "{text}");
        assert!(refused(&json!({})).starts_with("spec.format: Required value: supported formats: yaml, json, "));
        assert!(
            refused(&json!({"format": "xml"}))
                .starts_with("spec.format: Unsupported value: \"xml\": supported values: ")
        );
        let broken = json!({"format": "sealedsecret", "sealedSecret": {"certificates": "x", "scope": "world"}});
        let text = refused(&broken);
        assert!(text.contains("spec.sealedSecret.certificates: Forbidden: ") && text.contains("\"world\""), "{text}");
    }

    #[test]
    fn recipients_are_bounded() {
        let many = vec!["x"; RECIPIENTS_MAX + 1];
        let text = refused(&json!({"format": "sops", "sops": {"ageRecipients": many}}));
        assert_eq!(text, "spec.sops.ageRecipients: Too many: 101: must have at most 100 items");
    }

    #[test]
    fn a_secret_key_in_the_place_of_a_recipient_is_not_repeated() {
        let key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQSF8LW2";
        let text = refused(&json!({"format": "sops", "sops": {"ageRecipients": [key]}}));
        assert!(text.starts_with("spec.sops.ageRecipients[0]: Forbidden: not an age recipient"), "{text}");
        assert!(!text.contains("QQQQ"), "{text}");
    }
}
