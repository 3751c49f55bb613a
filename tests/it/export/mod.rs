//! Each format of an export, re-read by the tool it is for.

mod command;
mod environment;
mod kubeseal;
mod manifests;
mod requests;
mod round_trips;
mod sealed_secrets;
mod sops;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use strongroom::export::{ExportError, Format, NoRandomness, Options, SecretDocument, render};
use strongroom::sensitive::Document;

/// A Secret in namespace `prod` with these values.
fn secret<V: AsRef<[u8]>>(name: &str, values: &[(&str, V)]) -> SecretDocument {
    stored(json!({"metadata": {"name": name, "namespace": "prod"}, "data": encoded(values)}))
}

fn encoded<V: AsRef<[u8]>>(values: &[(&str, V)]) -> Value {
    let entries = values.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into()));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn stored(object: Value) -> SecretDocument {
    SecretDocument::read(&Document::new(object)).unwrap()
}

fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was exported")]
fn export(secrets: &[SecretDocument], format: Format, options: &Options<'_>) -> Result<Vec<u8>, ExportError> {
    Ok(render(secrets, format, options, &mut random)?.expose().to_vec())
}
