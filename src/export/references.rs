//! Manifests that refer to Secrets: for the External Secrets Operator, which fetches them from here, and for a Pod that
//! uses them. No value is in them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::secret::texts;
use super::{ExportError, Format, SecretDocument};
use crate::codec::yaml;
use crate::sensitive::{SecretBuffer, SecretBytes};

const API_VERSION: &str = "external-secrets.io/v1";
/// A volume's name is a DNS label.
const MAX_VOLUME_NAME_CHARS: usize = 63;
/// 0400: only the container's user reads the files.
const FILE_MODE: u32 = 0o400;

/// How the External Secrets Operator reaches this server.
#[derive(Debug, Clone, Copy)]
pub struct ExternalStore<'a> {
    /// `https://…`, as the cluster reaches it.
    pub url: &'a str,
    /// The authorities of the server's certificate, as PEM.
    pub authorities: &'a [u8],
    /// What the SecretStore is called.
    pub name: &'a str,
    /// The Secret of the cluster with a token for this server, under the key `token`.
    pub token_secret: &'a str,
}

/// A SecretStore for each namespace, and an ExternalSecret for each Secret.
pub(super) fn external_secrets(secrets: &[SecretDocument], store: &ExternalStore<'_>) -> SecretBytes {
    let namespaces: BTreeSet<&str> = secrets.iter().map(|secret| &*secret.namespace).collect();
    let stores = namespaces.into_iter().map(|namespace| secret_store(namespace, store));
    documents(stores.chain(secrets.iter().map(|secret| external_secret(secret, store))))
}

fn secret_store(namespace: &str, store: &ExternalStore<'_>) -> Value {
    let mut provider = json!({
        "server": {"url": store.url, "caBundle": STANDARD.encode(store.authorities)},
        "auth": {"token": {"bearerToken": {"name": store.token_secret, "key": "token"}}},
    });
    if let (Some(fields), false) = (provider.as_object_mut(), namespace.is_empty()) {
        fields.insert("remoteNamespace".to_owned(), namespace.into());
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "SecretStore",
        "metadata": named(store.name, namespace),
        "spec": {"provider": {"kubernetes": provider}},
    })
}

/// With a template that has no data of its own, the operator takes all keys as they are.
fn external_secret(secret: &SecretDocument, store: &ExternalStore<'_>) -> Value {
    let mut metadata = Map::new();
    for (field, entries) in [("labels", &secret.labels), ("annotations", &secret.annotations)] {
        if !entries.is_empty() {
            metadata.insert(field.to_owned(), texts(entries));
        }
    }
    let mut template = Map::new();
    if !metadata.is_empty() {
        template.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if let Some(kind) = &secret.kind {
        template.insert("type".to_owned(), kind.as_str().into());
    }
    let mut target = Map::new();
    target.insert("name".to_owned(), secret.name.as_str().into());
    if !template.is_empty() {
        target.insert("template".to_owned(), Value::Object(template));
    }
    if let Some(immutable) = secret.immutable {
        target.insert("immutable".to_owned(), immutable.into());
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "ExternalSecret",
        "metadata": named(&secret.name, &secret.namespace),
        "spec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "SecretStore", "name": store.name},
            "target": target,
            "dataFrom": [{"extract": {"key": secret.name}}],
        },
    })
}

fn named(name: &str, namespace: &str) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), name.into());
    if !namespace.is_empty() {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    Value::Object(metadata)
}

/// The parts of a Pod's `spec` by which a container `app` uses the Secrets: all keys as variables and as files, and those
/// whose names are no variables under one that is.
pub(super) fn pod(secrets: &[SecretDocument]) -> Result<SecretBytes, ExportError> {
    let (mut env, mut env_from, mut mounts, mut volumes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut variables: BTreeMap<String, &SecretDocument> = BTreeMap::new();
    let mut volume_names = BTreeSet::new();
    for (index, secret) in secrets.iter().enumerate() {
        if secrets.first().is_some_and(|first| first.namespace != secret.namespace) {
            let reason = "a Pod uses Secrets of one namespace";
            return Err(ExportError::NotHeld { format: Format::Pod, secret: secret.title(), reason });
        }
        for key in secret.data.keys() {
            let (variable, renamed) = variable(key);
            if let Some(first) = variables.insert(variable.clone(), secret) {
                return Err(ExportError::KeyTwice { key: variable, first: first.title(), second: secret.title() });
            }
            if renamed {
                env.push(json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}));
            }
        }
        let mut volume = secret.name.replace('.', "-");
        if volume.len() > MAX_VOLUME_NAME_CHARS || volume_names.contains(&volume) {
            volume = format!("secret-{index}");
        }
        volume_names.insert(volume.clone());
        env_from.push(json!({"secretRef": {"name": secret.name}}));
        mounts.push(json!({
            "name": volume, "mountPath": format!("/run/secrets/{}", secret.name), "readOnly": true,
        }));
        volumes.push(json!({"name": volume, "secret": {"secretName": secret.name, "defaultMode": FILE_MODE}}));
    }
    let mut container = json!({"name": "app", "envFrom": env_from, "volumeMounts": mounts});
    if let (Some(fields), false) = (container.as_object_mut(), env.is_empty()) {
        fields.insert("env".to_owned(), env.into());
    }
    Ok(documents([json!({"spec": {"containers": [container], "volumes": volumes}})]))
}

/// The variable for a key, and whether it is another name than the key.
fn variable(key: &str) -> (String, bool) {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.chars().all(is_letter) && !key.starts_with(|c: char| c.is_ascii_digit()) {
        return (key.to_owned(), false);
    }
    let mut variable: String = key.chars().map(|c| if is_letter(c) { c.to_ascii_uppercase() } else { '_' }).collect();
    if variable.starts_with(|c: char| c.is_ascii_digit()) {
        variable.insert(0, '_');
    }
    (variable, true)
}

fn documents(documents: impl IntoIterator<Item = Value>) -> SecretBytes {
    let mut out = SecretBuffer::default();
    for (index, document) in documents.into_iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        yaml::write(&mut out, &document);
    }
    out.take()
}
