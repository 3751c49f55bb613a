//! A workload's manifest, read for what one of its containers gets.
//!
//! What is read is what the API's types have (`core/v1`); unknown fields are passed over, as by a server that does not
//! validate them. What this cannot deliver is named: fields of the Pod, resources, volumes of other kinds.
//!
//! What it never does: put a value into an error.

mod container;
mod fields;

use serde_json::Value;

use self::fields::{At, FieldError};
use super::environment::{EnvFrom, EnvVar};
use super::objects::{Found, ObjectKind, ObjectName, Objects, Values};
use super::volume::Volume;
use crate::codec::{DocumentsError, documents};

/// Kinds that run containers, and where in them the Pod is.
const WORKLOADS: [(&str, &str); 8] = [
    ("Pod", ""),
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];
/// kubectl's way to say which container is meant.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
const DEFAULT_NAMESPACE: &str = "default";

/// What a container gets.
pub struct Container {
    /// `Deployment shop/web, container app`
    pub title: String,
    /// Where what it refers to is.
    pub namespace: String,
    /// All keys of these.
    pub env_from: Vec<EnvFrom>,
    /// Single variables.
    pub env: Vec<EnvVar>,
    /// Volumes that are mounted.
    pub volumes: Vec<Volume>,
    /// Where.
    pub mounts: Vec<Mount>,
    /// What was asked for and cannot be delivered, a line each.
    pub unsupported: Vec<String>,
}

/// Where a volume is mounted (`volumeMounts`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// An absolute path, in its shortest form.
    pub path: String,
    /// What of the volume; empty for all of it.
    pub sub_path: String,
}

/// What is wanted of a manifest.
#[derive(Debug, Default, Clone, Copy)]
pub struct Which<'a> {
    /// The container; else the one that an annotation names, else the only one.
    pub container: Option<&'a str>,
    /// Wins over the manifest's.
    pub namespace: Option<&'a str>,
    /// Where neither says.
    pub default_namespace: Option<&'a str>,
}

/// Why a manifest was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Neither YAML nor JSON, or a key is set twice.
    #[error(transparent)]
    File(#[from] DocumentsError),
    /// No workload.
    #[error("the file has no Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob")]
    NoWorkload,
    /// More than one, and which is meant cannot be known.
    #[error("the file has more than one workload: {0}: give a file with the one that is meant")]
    Workloads(String),
    /// The container is not known.
    #[error("{0} has these containers: {1}: say which with --container")]
    Containers(String, String),
    /// No such container.
    #[error("{0} has no container {1}: it has {2}")]
    NoContainer(String, String, String),
    /// A field is wrong.
    #[error("{0}: {1}")]
    Field(String, FieldError),
    /// No ConfigMap.
    #[error("the file has no ConfigMap")]
    NoConfigMap,
}

/// Reads the one workload of a file. ConfigMaps that stand beside it come along.
#[expect(clippy::disallowed_methods, reason = "the manifest is read field by field")]
pub fn read(file: &[u8], which: Which<'_>) -> Result<(Container, Objects), ManifestError> {
    let documents = documents(file)?;
    let all: Vec<&Value> = documents.iter().flat_map(|document| items(document.expose())).collect();
    let workloads: Vec<(&Value, &str)> = all.iter().filter_map(|object| Some((*object, pod_of(object)?))).collect();
    let title = |object: &Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{} {}", text("/kind"), text("/metadata/name"))
    };
    let (object, pod) = match workloads.as_slice() {
        [] => return Err(ManifestError::NoWorkload),
        [one] => *one,
        more => {
            let titles: Vec<String> = more.iter().map(|(object, _)| title(object)).collect();
            return Err(ManifestError::Workloads(titles.join(", ")));
        }
    };
    let own_namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|name| !name.is_empty());
    let namespace =
        which.namespace.or(own_namespace).or(which.default_namespace).unwrap_or(DEFAULT_NAMESPACE).to_owned();
    let title = title(object);
    let container = container::read(object, pod, &namespace, which.container, &title)?;
    let mut config_maps = Objects::default();
    for object in all.iter().filter(|object| is_kind(object, "ConfigMap")) {
        let (name, found) = config_map(object, &namespace).map_err(|error| field(object, error))?;
        config_maps.insert(name, found);
    }
    Ok((container, config_maps))
}

/// Reads the ConfigMaps of a file. One that names no namespace is of `namespace`.
#[expect(clippy::disallowed_methods, reason = "a ConfigMap's values become secrets, in case they are")]
pub fn config_maps(file: &[u8], namespace: &str) -> Result<Objects, ManifestError> {
    let mut objects = Objects::default();
    let mut count = 0;
    for document in documents(file)? {
        for object in items(document.expose()).into_iter().filter(|object| is_kind(object, "ConfigMap")) {
            let (name, found) = config_map(object, namespace).map_err(|error| field(object, error))?;
            objects.insert(name, found);
            count += 1;
        }
    }
    if count == 0 { Err(ManifestError::NoConfigMap) } else { Ok(objects) }
}

fn field(object: &Value, error: FieldError) -> ManifestError {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    ManifestError::Field(format!("{} {}", text("/kind"), text("/metadata/name")), error)
}

fn config_map(object: &Value, namespace: &str) -> Result<(ObjectName, Found), FieldError> {
    let at = At::root(object);
    let metadata = at.field("metadata")?;
    let own = metadata.text("namespace")?;
    let name = ObjectName {
        kind: ObjectKind::ConfigMap,
        namespace: own.filter(|own| !own.is_empty()).unwrap_or(namespace).to_owned(),
        name: metadata.required_text("name")?.to_owned(),
    };
    let values =
        Values { version: String::new(), data: at.texts("data")?, binary_data: at.base64_texts("binaryData")? };
    Ok((name, Found::Values(values)))
}

fn is_kind(object: &Value, kind: &str) -> bool {
    object.get("kind").is_some_and(|own| own == kind)
}

/// Where the Pod is in an object that has one.
fn pod_of(object: &Value) -> Option<&'static str> {
    let kind = object.get("kind")?.as_str()?;
    WORKLOADS.iter().find(|(known, _)| *known == kind).map(|(_, pod)| *pod)
}

/// The items of a List, else the object itself.
fn items(object: &Value) -> Vec<&Value> {
    match object.get("items").and_then(Value::as_array) {
        Some(items) if object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List")) => {
            items.iter().collect()
        }
        _ => vec![object],
    }
}
