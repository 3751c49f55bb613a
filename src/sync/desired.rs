//! A target as it is to be: a source's keys and values as a target asks for them, with the marks of whose it is. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::observed::{KeyDigest, Mac, key_digest, metadata_digest};
use super::{
    MAC_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL, RESTART_DUE_ANNOTATION, SOURCE_ANNOTATION,
    SOURCE_REVISION_ANNOTATION, SYNC_ANNOTATION, SYNC_UID_LABEL,
};
use crate::model::kinds::SECRET;
use crate::model::secret_sync::{CreationPolicy, KeyError, Target, TemplateError};
use crate::model::validation::secret::SERVICE_ACCOUNT_TOKEN;
use crate::model::validation::{self, names};
use crate::sensitive::{Document, SecretBytes};

/// Which SecretSync.
#[derive(Debug, Clone, Copy)]
pub struct SyncIdentity<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// See the module.
pub struct Desired {
    /// Namespace in the cluster.
    pub namespace: String,
    /// Name there.
    pub name: String,
    /// Its type; empty where it is left as it is.
    pub type_: String,
    /// It is to be immutable.
    pub is_immutable: bool,
    /// Its values, as digests.
    pub keys: BTreeMap<String, KeyDigest>,
    /// What its labels (`l:`) and annotations (`a:`) are to be, as digests.
    pub metadata: BTreeMap<String, [u8; 16]>,
    /// The mac that it is written with.
    pub mac: String,
    manifest: Document,
}

/// Why a target cannot be made of a source. Names keys, and no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The source is what the cluster itself makes.
    #[error("a Secret of type {SERVICE_ACCOUNT_TOKEN} is good in no other cluster")]
    AccountToken,
    /// Keys cannot be chosen.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// A template cannot be rendered.
    #[error("{field}: {error}")]
    Template {
        /// `name`, or `template.data[url]`.
        field: String,
        /// Why.
        error: TemplateError,
    },
    /// What would be its name is none.
    #[error("the target would be called {0:?}, which no Secret can be")]
    Name(String),
    /// The cluster would refuse it.
    #[error("{0}")]
    Invalid(String),
    /// Not a Secret.
    #[error("the Secret cannot be read")]
    Unreadable,
}

impl Problem {
    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AccountToken => "ServiceAccountToken",
            Self::Keys(_) => "KeyError",
            Self::Template { .. } => "TemplateError",
            Self::Name(_) => "InvalidName",
            Self::Invalid(_) => "Invalid",
            Self::Unreadable => "Unreadable",
        }
    }
}

/// What a target in `namespace` of a cluster is to be. `source` is the whole Secret.
#[expect(clippy::disallowed_methods, reason = "the values go into the object that they are meant for")]
pub fn desire(
    sync: &SyncIdentity<'_>,
    target: &Target,
    source: &Document,
    cluster_uid: &str,
    namespace: &str,
    mac: Mac<'_>,
) -> Result<Desired, Problem> {
    let source = source.expose();
    let meta = |name: &str| source.pointer("/metadata").and_then(|meta| meta.get(name)?.as_str()).unwrap_or_default();
    let source_type = source.get("type").and_then(Value::as_str).unwrap_or("Opaque");
    if source_type == SERVICE_ACCOUNT_TOKEN {
        return Err(Problem::AccountToken);
    }
    let name = name_of(target, meta("namespace"), meta("name"), namespace)?;
    let mut data = Document::new(Value::Object(chosen(target, source)?));
    let type_ = target.type_.as_deref().unwrap_or(source_type);
    let is_immutable = source.get("immutable").and_then(Value::as_bool).unwrap_or_default();
    let shares = target.creation_policy == CreationPolicy::Merge;

    let sealed = Sealed { sync_uid: sync.uid, cluster_uid, namespace, name: &name, type_, is_immutable };
    let annotations: BTreeMap<&str, String> = [
        (SYNC_ANNOTATION, format!("{}/{}", sync.namespace, sync.name)),
        (SOURCE_ANNOTATION, format!("{}/{}", meta("namespace"), meta("name"))),
        (SOURCE_REVISION_ANNOTATION, meta("resourceVersion").to_owned()),
        (MAC_ANNOTATION, sealed.mac(data.expose(), mac)),
    ]
    .into_iter()
    .chain(target.annotations.iter().map(|(key, value)| (key.as_str(), value.clone())))
    .collect();
    let mut labels: BTreeMap<&str, &str> =
        target.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    labels.insert(MANAGED_BY_LABEL, MANAGED_BY);
    labels.insert(SYNC_UID_LABEL, sync.uid);
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "data": data.expose_mut().take(),
    });
    if let Some(fields) = manifest.as_object_mut()
        && !shares
    {
        fields.insert("type".to_owned(), type_.into());
        if is_immutable {
            fields.insert("immutable".to_owned(), true.into());
        }
    }
    let manifest = Document::new(manifest);
    if !shares {
        check(&manifest)?;
    }
    Desired::of_manifest(manifest, mac)
}

impl Desired {
    /// What a configuration for server-side apply comes to.
    #[expect(clippy::disallowed_methods, reason = "values go into digests")]
    pub fn of_manifest(manifest: Document, mac: Mac<'_>) -> Result<Self, Problem> {
        let object = manifest.expose();
        let meta = |name: &str| object.pointer("/metadata").and_then(|meta| meta.get(name)?.as_str());
        let (Some(namespace), Some(name)) = (meta("namespace"), meta("name")) else { return Err(Problem::Unreadable) };
        let data = object.get("data").and_then(Value::as_object).into_iter().flatten();
        let keys = data.map(|(key, value)| {
            (key.clone(), key_digest(mac, namespace, name, key, value.as_str().unwrap_or_default()))
        });
        let mut metadata = BTreeMap::new();
        for (prefix, map) in [("l:", "labels"), ("a:", "annotations")] {
            let entries = object.pointer("/metadata").and_then(|meta| meta.get(map)?.as_object());
            for (key, value) in entries.into_iter().flatten() {
                // A new revision of the source that changes nothing here is no reason to write.
                if key == SOURCE_REVISION_ANNOTATION {
                    continue;
                }
                let key = format!("{prefix}{key}");
                let digest = metadata_digest(mac, &key, value.as_str().unwrap_or_default());
                metadata.insert(key, digest);
            }
        }
        let mac =
            object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(MAC_ANNOTATION)?.as_str());
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            type_: object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
            is_immutable: object.get("immutable").and_then(Value::as_bool).unwrap_or_default(),
            keys: keys.collect(),
            metadata,
            mac: mac.unwrap_or_default().to_owned(),
            manifest,
        })
    }

    /// Notes on the object that workloads are to be restarted for it.
    #[expect(clippy::disallowed_methods, reason = "an annotation is added; no value is looked at")]
    pub fn note_restart(&mut self) {
        let annotations = self.manifest.expose_mut().pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.insert(RESTART_DUE_ANNOTATION.to_owned(), "true".into());
        }
    }

    /// The configuration for server-side apply, JSON.
    #[expect(clippy::disallowed_methods, reason = "the body of the request that brings the values to their place")]
    pub fn apply_body(&self) -> SecretBytes {
        let mut body = Vec::with_capacity(1024);
        // Writing JSON to memory does not fail.
        let _ = serde_json::to_writer(&mut body, self.manifest.expose());
        SecretBytes::new(body)
    }
}

#[expect(clippy::disallowed_methods, reason = "a name is no secret")]
fn name_of(target: &Target, source_namespace: &str, source: &str, namespace: &str) -> Result<String, Problem> {
    let value = |key: &str| {
        let text = match key {
            "name" => source,
            "namespace" => source_namespace,
            "target_namespace" => namespace,
            _ => return None,
        };
        Some(SecretBytes::new(text.as_bytes().to_vec()))
    };
    let failed = |error| Problem::Template { field: "name".to_owned(), error };
    let rendered = target.name.render(value).map_err(failed)?.take();
    let name = String::from_utf8_lossy(rendered.expose()).into_owned();
    if names::dns1123_subdomain(&name).is_empty() { Ok(name) } else { Err(Problem::Name(name)) }
}

/// The keys and values that go to the target: those chosen, and over them those that templates make.
#[expect(clippy::disallowed_methods, reason = "the values go into the object that they are meant for")]
fn chosen(target: &Target, source: &Value) -> Result<Map<String, Value>, Problem> {
    let empty = Map::new();
    let held = source.get("data").and_then(Value::as_object).unwrap_or(&empty);
    let is_key = |key: &str| names::secret_key(key).is_empty();
    let chosen = target.keys.chosen(held.keys().map(String::as_str), is_key)?;
    let mut data = Map::new();
    for (key, from) in chosen {
        data.insert(key, held.get(from).cloned().unwrap_or_default());
    }
    for (key, template) in &target.data {
        let value = |key: &str| {
            let base64 = held.get(key)?.as_str()?;
            let mut decoded = Zeroizing::new(Vec::with_capacity(base64.len()));
            STANDARD.decode_vec(base64, &mut decoded).ok()?;
            Some(SecretBytes::new(std::mem::take(&mut *decoded)))
        };
        let failed = |error| Problem::Template { field: format!("template.data[{key}]"), error };
        let rendered = template.render(value).map_err(failed)?.take();
        if let Some(mut replaced) = data.insert(key.clone(), STANDARD.encode(rendered.expose()).into()) {
            crate::sensitive::wipe(&mut replaced);
        }
    }
    Ok(data)
}

/// What of an object is covered by its mac, besides its values.
struct Sealed<'a> {
    sync_uid: &'a str,
    cluster_uid: &'a str,
    namespace: &'a str,
    name: &'a str,
    type_: &'a str,
    is_immutable: bool,
}

impl Sealed<'_> {
    /// `v1:KEY:HASH`: says who wrote the object, for where, and what, to whoever has the key, and to nobody else.
    fn mac(&self, data: &Value, mac: Mac<'_>) -> String {
        let texts = ["object", self.sync_uid, self.cluster_uid, self.namespace, self.name, self.type_];
        let mut parts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        parts.push(if self.is_immutable { b"immutable" } else { b"" });
        let sorted: BTreeMap<&String, &Value> = data.as_object().into_iter().flatten().collect();
        for (key, value) in sorted {
            parts.push(key.as_bytes());
            parts.push(value.as_str().unwrap_or_default().as_bytes());
        }
        let key = hex::encode(mac.mac(&[b"key id"]).get(..4).unwrap_or_default());
        format!("v1:{key}:{}", hex::encode(mac.mac(&parts)))
    }
}

/// By the rules that the cluster judges it by.
#[expect(clippy::disallowed_methods, reason = "the rules read the object; their texts hold no value")]
fn check(manifest: &Document) -> Result<(), Problem> {
    let mut errors = Vec::new();
    validation::secret::create(manifest.expose(), &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    Err(Problem::Invalid(format!("{} would be refused: {}", SECRET.kind, validation::message(&errors))))
}
