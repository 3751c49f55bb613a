//! One container of a Pod: its variables, and the volumes that it mounts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{At, FieldError};
use super::{Container, DEFAULT_CONTAINER, ManifestError, Mount};
use crate::deliver::environment::{EnvFrom, EnvValue, EnvVar, is_variable_name};
use crate::deliver::objects::{ObjectKind, ObjectName};
use crate::deliver::volume::{DEFAULT_MODE, Item, MODE_MAX, Source, Volume};
use crate::sensitive::SecretBytes;

/// Reads the container that is meant.
pub(super) fn read(
    object: &Value,
    pod: &str,
    namespace: &str,
    wanted: Option<&str>,
    title: &str,
) -> Result<Container, ManifestError> {
    let wrong = |error: FieldError| ManifestError::Field(title.to_owned(), error);
    let annotations = object.pointer(&format!("{pod}/metadata/annotations"));
    let by_annotation = annotations.and_then(|all| all.get(DEFAULT_CONTAINER)?.as_str());
    let spec = At::pointer(object, &format!("{pod}/spec"));
    let mut containers = spec.list("containers").map_err(wrong)?;
    let is_alone = containers.len() == 1;
    if wanted.is_some() {
        containers.extend(spec.list("initContainers").map_err(wrong)?);
    }
    let mut named = Vec::new();
    for container in containers {
        named.push((container.required_text("name").map_err(wrong)?, container));
    }
    let names = || named.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = |name: &str| named.iter().find(|(own, _)| *own == name).cloned();
    let (name, container) = match wanted.or(by_annotation) {
        Some(name) => {
            found(name).ok_or_else(|| ManifestError::NoContainer(title.to_owned(), name.to_owned(), names()))?
        }
        None => named.first().filter(|_| is_alone).cloned().ok_or_else(|| {
            if named.is_empty() {
                wrong(spec.wrong("has no containers"))
            } else {
                ManifestError::Containers(title.to_owned(), names())
            }
        })?,
    };
    let reader = Reader { namespace, unsupported: Vec::new() };
    reader.read(format!("{title}, container {name}"), &spec, &container).map_err(wrong)
}

struct Reader<'n> {
    namespace: &'n str,
    unsupported: Vec<String>,
}

impl Reader<'_> {
    fn read(mut self, title: String, spec: &At<'_>, container: &At<'_>) -> Result<Container, FieldError> {
        let env_from = self.env_from(container)?;
        let env = self.env(container)?;
        let (volumes, mounts) = self.volumes(spec, container)?;
        let namespace = self.namespace.to_owned();
        Ok(Container { title, namespace, env_from, env, volumes, mounts, unsupported: self.unsupported })
    }

    fn object(&self, kind: ObjectKind, name: &str) -> ObjectName {
        ObjectName { kind, namespace: self.namespace.to_owned(), name: name.to_owned() }
    }

    fn env_from(&mut self, container: &At<'_>) -> Result<Vec<EnvFrom>, FieldError> {
        let mut all = Vec::new();
        for source in container.list("envFrom")? {
            let prefix = source.text("prefix")?.unwrap_or_default();
            if !prefix.is_empty() && !is_variable_name(prefix) {
                return Err(source
                    .field("prefix")?
                    .wrong("must consist only of printable ASCII characters other than '='"));
            }
            let (secret, config_map) = (source.field("secretRef")?, source.field("configMapRef")?);
            let (kind, reference) = match (secret.is_absent(), config_map.is_absent()) {
                (false, true) => (ObjectKind::Secret, secret),
                (true, false) => (ObjectKind::ConfigMap, config_map),
                (false, false) => return Err(source.wrong("may not have more than one field specified at a time")),
                (true, true) => return Err(source.wrong("must specify one of: `configMapRef` or `secretRef`")),
            };
            all.push(EnvFrom {
                object: self.object(kind, reference.required_text("name")?),
                prefix: prefix.to_owned(),
                optional: reference.switch("optional")?,
            });
        }
        Ok(all)
    }

    fn env(&mut self, container: &At<'_>) -> Result<Vec<EnvVar>, FieldError> {
        let mut all = Vec::new();
        for variable in container.list("env")? {
            let name = variable.required_text("name")?;
            if !is_variable_name(name) {
                return Err(variable
                    .field("name")?
                    .wrong("must consist only of printable ASCII characters other than '='"));
            }
            let text = variable.text("value")?.unwrap_or_default();
            let from = variable.field("valueFrom")?;
            let value = if from.is_absent() {
                EnvValue::Text(SecretBytes::new(text.as_bytes().to_vec()))
            } else if !text.is_empty() {
                return Err(from.wrong("may not be specified when `value` is not empty"));
            } else {
                let mut set = from.names();
                let kind = match (set.next(), set.next()) {
                    (Some("secretKeyRef"), None) => ObjectKind::Secret,
                    (Some("configMapKeyRef"), None) => ObjectKind::ConfigMap,
                    (Some(other), None) => {
                        self.unsupported.push(format!("variable {name} ({other})"));
                        continue;
                    }
                    (Some(_), Some(_)) => {
                        return Err(from.wrong("may not have more than one field specified at a time"));
                    }
                    (None, _) => return Err(from.wrong("must specify one field")),
                };
                let field = if kind == ObjectKind::Secret { "secretKeyRef" } else { "configMapKeyRef" };
                let reference = from.field(field)?;
                EnvValue::Key {
                    object: self.object(kind, reference.required_text("name")?),
                    key: reference.required_text("key")?.to_owned(),
                    optional: reference.switch("optional")?,
                }
            };
            all.push(EnvVar { name: name.to_owned(), value });
        }
        Ok(all)
    }

    /// The volumes that the container mounts, and where.
    fn volumes(&mut self, spec: &At<'_>, container: &At<'_>) -> Result<(Vec<Volume>, Vec<Mount>), FieldError> {
        let mut known = BTreeMap::new();
        for volume in spec.list("volumes")? {
            known.insert(volume.required_text("name")?, volume);
        }
        let (mut volumes, mut mounts): (Vec<Volume>, Vec<Mount>) = (Vec::new(), Vec::new());
        let mut unsupported = BTreeSet::new();
        for mount in container.list("volumeMounts")? {
            let name = mount.required_text("name")?;
            let path = absolute(mount.required_text("mountPath")?)
                .ok_or_else(|| mount.wrong("mountPath must be an absolute path without '..'"))?;
            let volume = known.get(name).ok_or_else(|| mount.wrong("names no volume of the Pod"))?;
            if mounts.iter().any(|other| other.path == path) {
                return Err(mount.wrong("mountPath must be unique"));
            }
            let is_within =
                |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
            if mounts.iter().any(|other| is_within(&path, &other.path) || is_within(&other.path, &path)) {
                return Err(mount.wrong("mountPath lies within that of another volume, which is read-only"));
            }
            if mount.text("subPathExpr")?.is_some_and(|text| !text.is_empty()) {
                unsupported.insert(format!("mount of volume {name} at {path} (subPathExpr)"));
                continue;
            }
            let sub_path = match mount.text("subPath")?.unwrap_or_default() {
                "" => String::new(),
                text => crate::deliver::volume::clean(text)
                    .map_err(|why| mount.field("subPath").map_or_else(|error| error, |field| field.wrong(why)))?,
            };
            if !volumes.iter().any(|volume| volume.name == name) {
                match self.volume(name, volume)? {
                    Ok(volume) => volumes.push(volume),
                    Err(kind) => {
                        unsupported.insert(format!("volume {name} ({kind}), at {path}"));
                        continue;
                    }
                }
            }
            mounts.push(Mount { volume: name.to_owned(), path, sub_path });
        }
        self.unsupported.extend(unsupported);
        Ok((volumes, mounts))
    }

    /// A volume, or the name of the kind that is none of ours.
    fn volume(&mut self, name: &str, volume: &At<'_>) -> Result<Result<Volume, String>, FieldError> {
        let kind = volume.names().find(|field| *field != "name").unwrap_or("emptyDir");
        let source = volume.field(kind)?;
        let mode = |source: &At<'_>| Ok(source.mode("defaultMode", MODE_MAX)?.unwrap_or(DEFAULT_MODE));
        let (default_mode, sources) = match kind {
            "secret" => (mode(&source)?, vec![self.source(ObjectKind::Secret, "secretName", &source)?]),
            "configMap" => (mode(&source)?, vec![self.source(ObjectKind::ConfigMap, "name", &source)?]),
            "projected" => {
                let mut sources = Vec::new();
                for (index, projection) in source.list("sources")?.iter().enumerate() {
                    let kind = projection.names().next().unwrap_or("nothing");
                    let field = projection.field(kind)?;
                    match kind {
                        "secret" => sources.push(self.source(ObjectKind::Secret, "name", &field)?),
                        "configMap" => sources.push(self.source(ObjectKind::ConfigMap, "name", &field)?),
                        other => self.unsupported.push(format!("source {index} ({other}) of projected volume {name}")),
                    }
                }
                unique_paths(&sources, &source)?;
                (mode(&source)?, sources)
            }
            other => return Ok(Err(other.to_owned())),
        };
        Ok(Ok(Volume { name: name.to_owned(), default_mode, sources }))
    }

    fn source(&self, kind: ObjectKind, name_field: &str, source: &At<'_>) -> Result<Source, FieldError> {
        let mut items = Vec::new();
        for item in source.list("items")? {
            let path = item.required_text("path")?;
            crate::deliver::volume::clean(path)
                .map_err(|why| item.field("path").map_or_else(|error| error, |field| field.wrong(why)))?;
            items.push(Item {
                key: item.required_text("key")?.to_owned(),
                path: path.to_owned(),
                mode: item.mode("mode", MODE_MAX)?,
            });
        }
        let object = self.object(kind, source.required_text(name_field)?);
        Ok(Source { object, items, optional: source.switch("optional")? })
    }
}

/// As the API's validation has it: two items of a projected volume may not have one path.
fn unique_paths(sources: &[Source], at: &At<'_>) -> Result<(), FieldError> {
    let mut paths = BTreeSet::new();
    let all = sources.iter().flat_map(|source| &source.items).map(|item| item.path.as_str());
    if all.into_iter().all(|path| paths.insert(path)) { Ok(()) } else { Err(at.wrong("conflicting duplicate paths")) }
}

/// A mount path in its shortest form.
fn absolute(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let is_plain = !parts.is_empty() && !parts.contains(&"..") && !path.contains([':', '\0']);
    is_plain.then(|| format!("/{}", parts.join("/")))
}
