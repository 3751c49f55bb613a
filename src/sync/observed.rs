//! A target as it was found: what is needed to decide about it, and no value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{MAC_ANNOTATION, RESTART_DUE_ANNOTATION, SOURCE_ANNOTATION, SYNC_ANNOTATION, SYNC_UID_LABEL};
use crate::crypto::Keyring;
use crate::model::validation::secret::decoded_len;

/// Makes keyed hashes. Who does not have the key learns nothing from one, not even of a short value.
pub trait Digests: Send + Sync {
    /// A keyed hash over parts, each with its length.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32];
}

impl Digests for Keyring {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.sync_mac(parts)
    }
}

/// See [`Digests`].
pub type Mac<'a> = &'a dyn Digests;

/// A value as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest {
    /// Bound to the object and the key: equal values elsewhere have other digests.
    pub mac: [u8; 16],
    /// Length of the value in bytes.
    pub bytes: usize,
}

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one object")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub resource_version: String,
    /// `type`
    pub type_: String,
    /// `immutable`
    pub is_immutable: bool,
    /// It is being deleted.
    pub is_terminating: bool,
    /// Of which SecretSync it is, as its label says.
    pub sync_uid: Option<String>,
    /// The same, for people.
    pub sync: Option<String>,
    /// Namespace and name of its source.
    pub source: Option<String>,
    /// The mac that it was written with.
    pub mac: Option<String>,
    /// Workloads are to be restarted for its values, and have not been yet.
    pub is_restart_due: bool,
    /// Whose it is besides: a tool or a controller that would put back what is changed.
    pub owner: Option<String>,
    /// Its values, as digests.
    pub keys: BTreeMap<String, KeyDigest>,
    /// The keys that the SecretSync has applied, and nobody has changed since.
    pub our_keys: BTreeSet<String>,
    /// Keys that others apply, and who.
    pub applied_by_others: BTreeMap<String, String>,
    /// Whether the SecretSync has applied anything.
    pub is_managed: bool,
    /// Labels (`l:`) and annotations (`a:`), as digests: what stands in an annotation may be a secret.
    pub metadata: BTreeMap<String, [u8; 16]>,
}

impl Observed {
    /// Name of its source; empty where it names none.
    #[must_use]
    pub fn source_name(&self) -> &str {
        self.source.as_deref().and_then(|source| source.split_once('/')).map_or("", |(_, name)| name)
    }
}

/// Looks at a Secret. `None` if it has no identity.
pub fn observe(object: &Value, manager: &str, mac: Mac<'_>) -> Option<Observed> {
    let metadata = object.get("metadata")?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let of = |map: &str, key: &str| metadata.get(map).and_then(|map| map.get(key)?.as_str()).map(str::to_owned);
    let mut observed = Observed {
        uid: text("uid").to_owned(),
        resource_version: text("resourceVersion").to_owned(),
        type_: object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        is_immutable: object.get("immutable").and_then(Value::as_bool).unwrap_or_default(),
        is_terminating: metadata.get("deletionTimestamp").is_some(),
        sync_uid: of("labels", SYNC_UID_LABEL),
        sync: of("annotations", SYNC_ANNOTATION),
        source: of("annotations", SOURCE_ANNOTATION),
        mac: of("annotations", MAC_ANNOTATION),
        is_restart_due: of("annotations", RESTART_DUE_ANNOTATION).is_some(),
        owner: owner(metadata),
        ..Observed::default()
    };
    for (key, value) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
        let digest = key_digest(mac, namespace, name, key, value.as_str().unwrap_or_default());
        observed.keys.insert(key.clone(), digest);
    }
    for (prefix, map) in [("l:", "labels"), ("a:", "annotations")] {
        for (key, value) in metadata.get(map).and_then(Value::as_object).into_iter().flatten() {
            let key = format!("{prefix}{key}");
            let digest = metadata_digest(mac, &key, value.as_str().unwrap_or_default());
            observed.metadata.insert(key, digest);
        }
    }
    managers(metadata, manager, &mut observed);
    (!observed.uid.is_empty()).then_some(observed)
}

fn managers(metadata: &Value, manager: &str, observed: &mut Observed) {
    let entries = metadata.get("managedFields").and_then(Value::as_array).into_iter().flatten();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("operation") != "Apply" || !text("subresource").is_empty() {
            continue;
        }
        let is_ours = text("manager") == manager;
        observed.is_managed |= is_ours;
        let keys = entry.pointer("/fieldsV1/f:data").and_then(Value::as_object).into_iter().flatten();
        for key in keys.filter_map(|(field, _)| field.strip_prefix("f:")) {
            if is_ours {
                observed.our_keys.insert(key.to_owned());
            } else {
                observed.applied_by_others.insert(key.to_owned(), text("manager").chars().take(128).collect());
            }
        }
    }
}

/// A tool or a controller that would put back what is changed.
fn owner(metadata: &Value) -> Option<String> {
    let of = |map: &str, key: &str| metadata.get(map).and_then(|map| map.get(key)?.as_str()).map(shortened);
    if let Some(release) = of("annotations", "meta.helm.sh/release-name") {
        return Some(format!("Helm release {release:?}"));
    }
    if of("labels", "app.kubernetes.io/managed-by").as_deref() == Some("Helm") {
        return Some("Helm".to_owned());
    }
    for (map, key, tool) in [
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD application"),
        ("labels", "argocd.argoproj.io/instance", "Argo CD application"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux Kustomization"),
        ("labels", "helm.toolkit.fluxcd.io/name", "Flux HelmRelease"),
    ] {
        if let Some(name) = of(map, key) {
            return Some(format!("{tool} {name:?}"));
        }
    }
    let owners = metadata.get("ownerReferences").and_then(Value::as_array)?;
    let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |name: &str| shortened(owner.get(name).and_then(Value::as_str).unwrap_or_default());
    Some(format!("{} {:?}", text("kind"), text("name")))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// The digest of a value. `base64` is how the API writes it, which is one way only.
pub(super) fn key_digest(mac: Mac<'_>, namespace: &str, name: &str, key: &str, base64: &str) -> KeyDigest {
    let parts = [b"key", namespace.as_bytes(), name.as_bytes(), key.as_bytes(), base64.as_bytes()];
    KeyDigest { mac: half(mac.mac(&parts)), bytes: decoded_len(base64) }
}

/// The digest of a label or annotation; its key has the prefix `l:` or `a:`.
pub(super) fn metadata_digest(mac: Mac<'_>, key: &str, value: &str) -> [u8; 16] {
    half(mac.mac(&[b"metadata", key.as_bytes(), value.as_bytes()]))
}

fn half(mac: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    half
}
