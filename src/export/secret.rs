//! One Secret as the formats see it: what describes it, and its values as bytes.
//!
//! What a server adds to an object (uid, revision, times, managers, owners, finalizers) and the copy that `kubectl apply`
//! keeps in an annotation are left behind here, so that no format can show them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::ExportError;
use crate::sensitive::{Document, SecretBytes};

/// Holds all values once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A Secret to export.
pub struct SecretDocument {
    pub(super) name: String,
    /// Empty for a manifest without one.
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// `None` is `Opaque`, which manifests leave out, as `kubectl create secret` does.
    pub(super) kind: Option<String>,
    pub(super) immutable: Option<bool>,
    pub(super) data: BTreeMap<String, SecretBytes>,
}

impl SecretDocument {
    /// Reads a Secret as the API shows it or as a manifest has it: `stringData` wins over `data`.
    #[expect(clippy::disallowed_methods, reason = "values are decoded, into wiped buffers")]
    pub fn read(document: &Document) -> Result<Self, ExportError> {
        const NO_TEXT: ExportError = ExportError::NotASecret("a value of labels or annotations is no text");
        let object = document.expose().as_object().ok_or(ExportError::NotASecret("it is no object"))?;
        let has = |field: &str, expected: &str| object.get(field).is_none_or(|value| value == expected);
        if !has("kind", "Secret") || !has("apiVersion", "v1") {
            return Err(ExportError::NotASecret("its apiVersion or kind is another"));
        }
        let metadata = fields(object, "metadata")?.ok_or(ExportError::NotASecret("it has no metadata"))?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let texts = |field: &'static str| -> Result<BTreeMap<String, String>, ExportError> {
            let entries = fields(metadata, field)?.into_iter().flatten();
            entries.map(|(key, value)| Ok((key.clone(), value.as_str().ok_or(NO_TEXT)?.to_owned()))).collect()
        };
        let mut annotations = texts("annotations")?;
        annotations.remove(LAST_APPLIED);
        let mut secret = Self {
            name: text("name"),
            namespace: text("namespace"),
            labels: texts("labels")?,
            annotations,
            kind: object
                .get("type")
                .and_then(Value::as_str)
                .filter(|kind| !matches!(*kind, "" | "Opaque"))
                .map(str::to_owned),
            immutable: object.get("immutable").and_then(Value::as_bool),
            data: BTreeMap::new(),
        };
        if secret.name.is_empty() {
            return Err(ExportError::NotASecret("it has no name"));
        }
        for (key, value) in fields(object, "data")?.into_iter().flatten() {
            let decoded = match value {
                Value::Null => Some(Vec::new()),
                Value::String(text) => decode(text),
                _ => None,
            };
            let bytes = decoded.ok_or_else(|| ExportError::NotBase64 { secret: secret.title(), key: key.clone() })?;
            secret.data.insert(key.clone(), SecretBytes::new(bytes));
        }
        for (key, value) in fields(object, "stringData")?.into_iter().flatten() {
            let text = value.as_str().ok_or(ExportError::NotASecret("a value of stringData is no text"))?;
            secret.data.insert(key.clone(), SecretBytes::new(text.as_bytes().to_vec()));
        }
        Ok(secret)
    }

    /// `namespace/name`, or the name alone.
    #[must_use]
    pub fn title(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace, where it says one.
    #[must_use]
    pub fn namespace_or_none(&self) -> Option<String> {
        Some(self.namespace.clone()).filter(|namespace| !namespace.is_empty())
    }

    /// Its values by key.
    pub fn values(&self) -> impl Iterator<Item = (&String, &SecretBytes)> {
        self.data.iter()
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), ..self }
    }

    /// Its values by key, taken out.
    #[must_use]
    pub fn into_values(self) -> BTreeMap<String, SecretBytes> {
        self.data
    }

    /// The object as the API takes it: every value under `data`.
    #[must_use]
    pub fn object(&self) -> Document {
        self.manifest(false)
    }

    /// The manifest, in the order of fields in which Go writes them.
    pub(super) fn manifest(&self, string_data: bool) -> Document {
        let mut object = Map::new();
        object.insert("kind".to_owned(), "Secret".into());
        object.insert("apiVersion".to_owned(), "v1".into());
        object.insert("metadata".to_owned(), Value::Object(metadata(self, &self.annotations)));
        if let Some(immutable) = self.immutable {
            object.insert("immutable".to_owned(), immutable.into());
        }
        let mut data = Map::new();
        let mut texts = Map::new();
        for (key, value) in &self.data {
            match as_text(value).filter(|_| string_data) {
                Some(text) => texts.insert(key.clone(), text.into()),
                None => data.insert(key.clone(), encode(value).into()),
            };
        }
        for (field, entries) in [("data", data), ("stringData", texts)] {
            if !entries.is_empty() {
                object.insert(field.to_owned(), Value::Object(entries));
            }
        }
        if let Some(kind) = &self.kind {
            object.insert("type".to_owned(), kind.as_str().into());
        }
        Document::new(Value::Object(object))
    }
}

/// Name, namespace, labels and `annotations` of a Secret.
pub(super) fn metadata(secret: &SecretDocument, annotations: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), secret.name.as_str().into());
    if !secret.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), secret.namespace.as_str().into());
    }
    for (field, entries) in [("labels", &secret.labels), ("annotations", annotations)] {
        if !entries.is_empty() {
            metadata.insert(field.to_owned(), texts(entries));
        }
    }
    metadata
}

/// A map of texts as JSON.
pub(super) fn texts(entries: &BTreeMap<String, String>) -> Value {
    Value::Object(entries.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect())
}

/// A field that is an object or not there.
fn fields<'a>(
    object: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<&'a Map<String, Value>>, ExportError> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(ExportError::NotASecret("metadata, labels, annotations, data or stringData is no map")),
    }
}

/// Base64 as Go reads it: line breaks are passed over. `None` where it is none.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.contains(['\r', '\n']) {
        return STANDARD.decode(text).ok();
    }
    let joined = Zeroizing::new(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<u8>>());
    STANDARD.decode(joined.as_slice()).ok()
}

#[expect(clippy::disallowed_methods, reason = "the value goes into a manifest, which is wiped")]
fn encode(value: &SecretBytes) -> String {
    // Room for the whole, so that growing leaves no copy behind.
    let mut text = String::with_capacity(value.len().div_ceil(3) * 4);
    STANDARD.encode_string(value.expose(), &mut text);
    text
}

/// The value, if a person would call it text: UTF-8 without control characters but tabs and line breaks.
#[expect(clippy::disallowed_methods, reason = "whether a value is text is asked of its bytes")]
fn as_text(value: &SecretBytes) -> Option<&str> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    (!text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))).then_some(text)
}
