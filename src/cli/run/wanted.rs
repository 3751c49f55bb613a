//! What a command is to get, and whether all of it is there.

use std::collections::BTreeSet;

use super::options::EnvOption;
use crate::cli::CliError;
use crate::cli::delivery::list;
use crate::deliver::{
    Container, EnvFrom, EnvValue, EnvVar, Found, Mount, ObjectKind, ObjectName, Objects, Payload, Problem, Reference,
    Variables, Volume, make, payload,
};
use crate::sensitive::SecretBytes;

/// What was asked for.
#[derive(Default)]
pub struct Wanted {
    env_from: Vec<EnvFrom>,
    env: Vec<EnvVar>,
    volumes: Vec<Volume>,
    mounts: Vec<Mount>,
}

/// What the command gets.
pub struct Delivery<'o> {
    /// Its variables.
    pub variables: Variables,
    /// The files of each volume.
    pub payloads: Vec<Payload<'o>>,
}

impl Delivery<'_> {
    /// Every value that the command gets.
    pub fn values(&self) -> Vec<SecretBytes> {
        let of_files = self.payloads.iter().flat_map(Payload::files).map(|(_, file)| file.value);
        self.variables.values.values().chain(of_files).map(SecretBytes::duplicate).collect()
    }
}

impl Wanted {
    /// What the options name.
    pub fn of_options(env_from: &[Reference], env: &[EnvOption], namespace: &str) -> Self {
        let env_from = env_from.iter().map(|reference| EnvFrom {
            object: reference.secret(namespace),
            prefix: reference.rest.clone().unwrap_or_default(),
            optional: reference.optional,
        });
        let env = env.iter().map(|option| EnvVar {
            name: option.name.clone(),
            value: EnvValue::Key {
                object: option.secret.secret(namespace),
                key: option.key.clone(),
                optional: option.secret.optional,
            },
        });
        Self { env_from: env_from.collect(), env: env.collect(), ..Self::default() }
    }

    /// What a container gets, and a line for each thing that it cannot be given here. ConfigMaps were given on the side.
    pub fn of_container(container: Container, config_maps: &Objects) -> (Self, Vec<String>) {
        let Container { env_from, env, mut volumes, mounts, mut unsupported, .. } = container;
        let mut lacking = BTreeSet::new();
        let mut is_there = |object: &ObjectName| {
            let is_there = object.kind == ObjectKind::Secret || !matches!(config_maps.find(object), Found::Absent);
            if !is_there {
                lacking.insert(object.clone());
            }
            is_there
        };
        let env_from = env_from.into_iter().filter(|from| is_there(&from.object)).collect();
        let env = env.into_iter().filter(|variable| match &variable.value {
            EnvValue::Key { object, .. } => is_there(object),
            EnvValue::Text(_) => true,
        });
        let env = env.collect();
        for volume in &mut volumes {
            volume.sources.retain(|source| is_there(&source.object));
        }
        unsupported.extend(lacking.iter().map(|object| format!("{object} (--configmap FILE gives it)")));
        (Self { env_from, env, volumes, mounts }, unsupported)
    }

    /// The Secrets that are needed.
    pub fn names(&self) -> BTreeSet<ObjectName> {
        let of_env = self.env.iter().filter_map(|variable| match &variable.value {
            EnvValue::Key { object, .. } => Some(object),
            EnvValue::Text(_) => None,
        });
        let of_volumes = self.volumes.iter().flat_map(|volume| &volume.sources).map(|source| &source.object);
        let all = self.env_from.iter().map(|from| &from.object).chain(of_env).chain(of_volumes);
        all.filter(|object| object.kind == ObjectKind::Secret).cloned().collect()
    }

    /// Volumes that are mounted.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// Where.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// All of it, or a list of what is missing.
    pub fn make<'o>(&self, objects: &'o Objects, only: &[String]) -> Result<Delivery<'o>, CliError> {
        let mut problems = Vec::new();
        let mut variables = make(&self.env_from, &self.env, objects).unwrap_or_else(|missing| {
            problems.extend(missing);
            Variables::default()
        });
        let mut payloads = Vec::new();
        for volume in &self.volumes {
            let made = payload(volume, objects).unwrap_or_else(|missing| {
                problems.extend(missing);
                Payload::default()
            });
            if problems.is_empty() {
                problems.extend(self.without_sub_path(volume, &made));
            }
            payloads.push(made);
        }
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            return Err(CliError::NotDone(list("nothing was started:", &problems)));
        }
        if !only.is_empty() {
            let unknown: Vec<&str> =
                only.iter().map(String::as_str).filter(|name| !variables.values.contains_key(*name)).collect();
            if !unknown.is_empty() {
                let names = unknown.join(", ");
                return Err(CliError::NotDone(format!("nothing was started: --only names what is not there: {names}")));
            }
            variables.values.retain(|name, _| only.contains(name));
            variables.skipped.clear();
        }
        Ok(Delivery { variables, payloads })
    }

    /// Mounts of a part of a volume that is not in it. The kubelet would mount an empty folder there.
    fn without_sub_path(&self, volume: &Volume, payload: &Payload<'_>) -> Vec<Problem> {
        let of_volume = self.mounts.iter().filter(|mount| mount.volume == volume.name && !mount.sub_path.is_empty());
        let is_missing = |mount: &&Mount| {
            !payload.files().any(|(path, _)| {
                path.strip_prefix(&mount.sub_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let missing = of_volume.filter(is_missing);
        missing
            .map(|mount| Problem::Path(volume.name.clone(), mount.sub_path.clone(), "is not in the volume"))
            .collect()
    }
}
