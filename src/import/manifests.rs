//! Secret manifests: one JSON object, or any number of YAML documents; lists of Secrets are taken apart.

use serde_json::Value;

use crate::codec::{DocumentsError, documents};
use crate::export::{ExportError, SecretDocument};
use crate::sensitive::Document;

/// Why manifests were not read. Documents and items are counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Neither YAML nor JSON, or a key is set twice.
    #[error(transparent)]
    File(#[from] DocumentsError),
    /// Another object, or a Secret that is wrong.
    #[error("document {document}{}: {error}", item.map(|item| format!(", item {item}")).unwrap_or_default())]
    Secret {
        /// Which.
        document: usize,
        /// Which of a list.
        item: Option<usize>,
        /// What is wrong.
        error: ExportError,
    },
}

/// Every Secret of a file, in its order.
pub fn read(file: &[u8]) -> Result<Vec<SecretDocument>, ManifestError> {
    secrets(documents(file)?)
}

/// Every Secret of the documents of a file, in their order.
pub fn secrets(documents: Vec<Document>) -> Result<Vec<SecretDocument>, ManifestError> {
    let mut secrets = Vec::new();
    for (document, index) in documents.into_iter().zip(1..) {
        for (secret, item) in taken_apart(document) {
            let read = SecretDocument::read(&secret);
            secrets.push(read.map_err(|error| ManifestError::Secret { document: index, item, error })?);
        }
    }
    Ok(secrets)
}

/// The items of a `List` or `SecretList`, which is emptied; else the document itself. An empty document is nothing.
#[expect(clippy::disallowed_methods, reason = "items are moved into documents of their own")]
fn taken_apart(mut document: Document) -> Vec<(Document, Option<usize>)> {
    let kind = document.expose().get("kind").and_then(Value::as_str);
    if document.expose().is_null() {
        return Vec::new();
    }
    if !matches!(kind, Some("List" | "SecretList")) {
        return vec![(document, None)];
    }
    match document.expose_mut().get_mut("items") {
        Some(Value::Array(items)) => items.drain(..).map(Document::new).zip((1..).map(Some)).collect(),
        _ => Vec::new(),
    }
}
