//! SealedSecrets (bitnami.com/v1alpha1), which a controller in a cluster turns into Secrets.
//!
//! Sealing is random, so a file that is made again would differ in every value. An earlier file can be given: beside each
//! sealed value it keeps a keyed hash of the plaintext, in an annotation, and a value whose hash still holds keeps its
//! ciphertext. Without the key the hash says nothing about the value; it covers the ciphertext, so one that was
//! exchanged in the file does not survive.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use super::certificate::SealingCertificate;
use super::primitives::{Key, keyed_hash};
use super::secret::{metadata, texts};
use super::{ExportError, Format, Random, SecretDocument};
use crate::codec::{ParseError, yaml};
use crate::sensitive::{Document, SecretBuffer, SecretBytes};

/// The annotation of a SealedSecret that holds the keyed hashes of its values: a JSON object, key → base64.
pub const FINGERPRINTS: &str = "strongroom.dev/fingerprints";
const NAMESPACE_WIDE: &str = "sealedsecrets.bitnami.com/namespace-wide";
const CLUSTER_WIDE: &str = "sealedsecrets.bitnami.com/cluster-wide";
/// First bytes of what is hashed.
const DOMAIN: &[u8] = b"strongroom/sealed-fingerprint/v1\0";
const FINGERPRINT_KEY_BYTES: usize = 32;
/// Kubernetes' limit for all annotations of an object, less some room for the others.
const MAX_FINGERPRINTS_BYTES: usize = 200 << 10;
/// Length of an earlier file that is read.
pub const PREVIOUS_MAX_BYTES: usize = 2 << 20;

/// Where a sealed value can be unsealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// `strict`: under its own name in its own namespace.
    #[default]
    Strict,
    /// `namespace-wide`: under any name in its namespace.
    NamespaceWide,
    /// `cluster-wide`: anywhere.
    ClusterWide,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Strict, Self::NamespaceWide, Self::ClusterWide];

    fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::NamespaceWide => "namespace-wide",
            Self::ClusterWide => "cluster-wide",
        }
    }

    fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::NamespaceWide => Some(NAMESPACE_WIDE),
            Self::ClusterWide => Some(CLUSTER_WIDE),
        }
    }

    /// What the encryption is bound to.
    fn label(self, secret: &SecretDocument) -> String {
        match self {
            Self::Strict => format!("{}/{}", secret.namespace, secret.name),
            Self::NamespaceWide => secret.namespace.clone(),
            Self::ClusterWide => String::new(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope; scopes are strict, namespace-wide and cluster-wide")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(UnknownScope)
    }
}

/// How SealedSecrets are made.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// Whose controller can unseal them.
    pub certificate: &'a SealingCertificate,
    /// Where.
    pub scope: Scope,
    /// The key of the hashes in [`FINGERPRINTS`], 32 random bytes. Without one there is no such annotation, and nothing is kept.
    pub fingerprint_key: Option<&'a SecretBytes>,
    /// The SealedSecrets of an earlier file.
    pub earlier: &'a [EarlierSealedSecret],
}

/// A SealedSecret of an earlier file: its sealed values and their hashes. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierSealedSecret {
    namespace: String,
    name: String,
    sealed: BTreeMap<String, String>,
    fingerprints: BTreeMap<String, String>,
}

/// Why an earlier file was not taken. Nothing of it is repeated: it may be another file than it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EarlierError {
    /// Not YAML.
    #[error("the earlier file cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// Another object than a SealedSecret; documents are counted from 1.
    #[error("document {0} of the earlier file is no SealedSecret")]
    Other(usize),
}

impl EarlierSealedSecret {
    /// Reads a file of SealedSecrets and nothing else; empty documents are passed over.
    #[expect(clippy::disallowed_methods, reason = "a document that turns out to be another is wiped")]
    pub fn read_all(file: &[u8]) -> Result<Vec<Self>, EarlierError> {
        let documents = yaml::parse_all(file)?.into_iter().map(|parsed| Document::new(parsed.value)).zip(1..);
        let documents = documents.filter(|(document, _)| !document.expose().is_null());
        documents.map(|(document, index)| Self::read(document.expose()).ok_or(EarlierError::Other(index))).collect()
    }

    /// Reads a parsed document; `None` for anything but a SealedSecret.
    #[must_use]
    pub fn read(document: &Value) -> Option<Self> {
        let is = |field: &str, expected: &str| document.get(field).is_some_and(|value| value == expected);
        if !is("kind", "SealedSecret") || !is("apiVersion", "bitnami.com/v1alpha1") {
            return None;
        }
        let texts = |value: &Value| -> Option<BTreeMap<String, String>> {
            let entries = value.as_object()?.iter();
            Some(entries.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect())
        };
        let metadata = document.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotation = metadata.get("annotations").and_then(|all| all.get(FINGERPRINTS)).and_then(Value::as_str);
        let fingerprints: Option<Value> = annotation.and_then(|text| serde_json::from_str(text).ok());
        Some(Self {
            namespace: text("namespace"),
            name: text("name"),
            sealed: document.pointer("/spec/encryptedData").and_then(texts).unwrap_or_default(),
            fingerprints: fingerprints.as_ref().and_then(texts).unwrap_or_default(),
        })
    }
}

pub(super) fn render(
    secrets: &[SecretDocument],
    sealing: &Sealing<'_>,
    random: Random<'_>,
) -> Result<SecretBytes, ExportError> {
    if sealing.fingerprint_key.is_some_and(|key| key.len() < FINGERPRINT_KEY_BYTES) {
        return Err(ExportError::Needs { format: Format::SealedSecret, what: "a fingerprint key of 32 bytes" });
    }
    let earlier: BTreeMap<_, _> = sealing.earlier.iter().map(|it| ((&*it.namespace, &*it.name), it)).collect();
    let mut out = SecretBuffer::default();
    for (index, secret) in secrets.iter().enumerate() {
        if secret.namespace.is_empty() && sealing.scope != Scope::ClusterWide {
            let reason = "it has no namespace, to which it would be bound";
            return Err(ExportError::NotHeld { format: Format::SealedSecret, secret: secret.title(), reason });
        }
        if index > 0 {
            out.push_str("---\n");
        }
        let earlier = earlier.get(&(&*secret.namespace, &*secret.name)).copied();
        yaml::write(&mut out, &sealed_secret(secret, sealing, earlier, random)?);
    }
    Ok(out.take())
}

#[expect(clippy::disallowed_methods, reason = "values are encrypted to the controller's key, and hashed with a key")]
fn sealed_secret(
    secret: &SecretDocument,
    sealing: &Sealing<'_>,
    earlier: Option<&EarlierSealedSecret>,
    random: Random<'_>,
) -> Result<Value, ExportError> {
    let label = sealing.scope.label(secret);
    let mut encrypted = Map::new();
    let mut fingerprints = Map::new();
    for (key, value) in &secret.data {
        let hash = |sealed: &str| {
            sealing.fingerprint_key.map(|hash_key| {
                let hash = fingerprint(hash_key.expose(), secret, sealing, key, sealed, value.expose());
                STANDARD.encode(hash)
            })
        };
        let kept = earlier.and_then(|it| {
            let (sealed, stored) = (it.sealed.get(key)?, it.fingerprints.get(key)?);
            let same = bool::from(hash(sealed)?.as_bytes().ct_eq(stored.as_bytes()));
            same.then(|| sealed.clone())
        });
        let sealed = if let Some(kept) = kept {
            kept
        } else {
            let mut session_key = Key::default();
            random(session_key.as_mut())?;
            let sealed = sealing.certificate.seal(&session_key, label.as_bytes(), value.expose());
            STANDARD.encode(sealed.ok_or(ExportError::Encryption)?)
        };
        if let Some(hash) = hash(&sealed) {
            fingerprints.insert(key.clone(), hash.into());
        }
        encrypted.insert(key.clone(), sealed.into());
    }

    let mut annotations = secret.annotations.clone();
    annotations.retain(|key, _| key != NAMESPACE_WIDE && key != CLUSTER_WIDE);
    let mut own = BTreeMap::new();
    if let Some(annotation) = sealing.scope.annotation() {
        annotations.insert(annotation.to_owned(), "true".to_owned());
        own.insert(annotation.to_owned(), "true".to_owned());
    }
    if !fingerprints.is_empty() {
        let text = Value::Object(fingerprints).to_string();
        // A file without them is sealed anew as a whole; an object with too many could not be applied.
        if text.len() <= MAX_FINGERPRINTS_BYTES {
            own.insert(FINGERPRINTS.to_owned(), text);
        }
    }
    let mut template = Map::new();
    template.insert("metadata".to_owned(), Value::Object(metadata(secret, &annotations)));
    if let Some(kind) = &secret.kind {
        template.insert("type".to_owned(), kind.as_str().into());
    }
    if let Some(immutable) = secret.immutable {
        template.insert("immutable".to_owned(), immutable.into());
    }
    let mut head = Map::new();
    head.insert("name".to_owned(), secret.name.as_str().into());
    if !secret.namespace.is_empty() {
        head.insert("namespace".to_owned(), secret.namespace.as_str().into());
    }
    if !own.is_empty() {
        head.insert("annotations".to_owned(), texts(&own));
    }
    Ok(json!({
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": head,
        "spec": {"encryptedData": encrypted, "template": template},
    }))
}

/// Bound to everything that decides whether a ciphertext may stay.
fn fingerprint(
    hash_key: &[u8],
    secret: &SecretDocument,
    sealing: &Sealing<'_>,
    key: &str,
    sealed: &str,
    value: &[u8],
) -> [u8; 32] {
    let texts = [&*secret.namespace, &*secret.name, sealing.scope.name(), key, sealed];
    let lengths = texts.map(|text| u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    let mut parts: Vec<&[u8]> = vec![DOMAIN, sealing.certificate.fingerprint()];
    for (length, text) in lengths.iter().zip(texts) {
        parts.push(length);
        parts.push(text.as_bytes());
    }
    parts.push(value);
    keyed_hash(hash_key, &parts)
}
