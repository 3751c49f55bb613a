//! Variables, as the kubelet makes them for a container (`makeEnvironmentVariables`).
//!
//! `envFrom` comes first, in its order, then `env` in its order; what comes later wins. `optional` forgives a missing object
//! or key, and leaves a variable of that name as it was. A text is expanded with the variables made so far.
//!
//! Names are of printable ASCII without `=`: `IsRelaxedEnvVarName`, for good since Kubernetes 1.34 (KEP-4369), where the
//! kubelet does not look at names at all any more. So a key such as `tls.crt` becomes a variable. What is no such name is
//! skipped, and told. Values may be binary but for the byte NUL, which ends a variable: neither the kubelet (which has
//! no check for it) nor `execve` could pass it on, so it is an error that names the key.

use std::collections::BTreeMap;

use super::expansion::expand;
use super::objects::{Found, ObjectKind, ObjectName, Objects};
use crate::sensitive::SecretBytes;

/// All keys of an object (`envFrom`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFrom {
    /// Of which.
    pub object: ObjectName,
    /// Put before each key.
    pub prefix: String,
    /// Whether it may be missing.
    pub optional: bool,
}

/// One variable (`env`).
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub value: EnvValue,
}

/// Where the value of a variable comes from.
pub enum EnvValue {
    /// The manifest itself, with references to variables before it. It may hold a password that somebody put there.
    Text(SecretBytes),
    /// A key (`secretKeyRef`, `configMapKeyRef`).
    Key {
        /// Of which object.
        object: ObjectName,
        /// Which.
        key: String,
        /// Whether object or key may be missing.
        optional: bool,
    },
}

/// What came of it.
#[derive(Default)]
pub struct Variables {
    /// Name → value.
    pub values: BTreeMap<String, SecretBytes>,
    /// Keys that are no names, each with its object.
    pub skipped: Vec<(ObjectName, String)>,
}

/// Something without which nothing is started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The object is not there.
    #[error("{0} is not there")]
    Object(ObjectName),
    /// The object may not be read.
    #[error("{0}: {1}")]
    Refused(ObjectName, String),
    /// The key is not in it.
    #[error("{0} has no key {1}")]
    Key(ObjectName, String),
    /// The value holds what an environment cannot.
    #[error("{0}, key {1}: the value holds a NUL byte, which no environment variable can; deliver it as a file")]
    Nul(ObjectName, String),
    /// A text holds what an environment cannot.
    #[error("variable {0}: the value holds a NUL byte, which no environment variable can")]
    NulInText(String),
    /// A path of a volume that Kubernetes would refuse, or that cannot be.
    #[error("volume {0}, path {1:?}: {2}")]
    Path(String, String, &'static str),
}

/// Whether Kubernetes takes it as the name of a variable (`IsRelaxedEnvVarName`).
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

/// Makes the variables, or says all that is missing.
#[expect(clippy::disallowed_methods, reason = "values become values of variables")]
pub fn make(from: &[EnvFrom], variables: &[EnvVar], objects: &Objects) -> Result<Variables, Vec<Problem>> {
    let mut made = Variables::default();
    let mut problems = Vec::new();
    for EnvFrom { object, prefix, optional } in from {
        match objects.find(object) {
            Found::Values(values) => {
                for (key, value) in &values.data {
                    let name = format!("{prefix}{key}");
                    if !is_variable_name(&name) {
                        made.skipped.push((object.clone(), key.clone()));
                    } else if value.expose().contains(&0) {
                        problems.push(Problem::Nul(object.clone(), key.clone()));
                    } else {
                        made.values.insert(name, value.duplicate());
                    }
                }
            }
            Found::Absent if *optional => {}
            found => problems.extend(missing(object, found)),
        }
    }
    for EnvVar { name, value } in variables {
        let value = match value {
            EnvValue::Text(text) => {
                let value = expand(text.expose(), |name| made.values.get(std::str::from_utf8(name).ok()?));
                if value.expose().contains(&0) {
                    problems.push(Problem::NulInText(name.clone()));
                    continue;
                }
                value
            }
            EnvValue::Key { object, key, optional } => match objects.find(object) {
                Found::Values(values) => match values.data.get(key) {
                    Some(value) if value.expose().contains(&0) => {
                        problems.push(Problem::Nul(object.clone(), key.clone()));
                        continue;
                    }
                    Some(value) => value.duplicate(),
                    None => {
                        if !optional {
                            problems.push(Problem::Key(object.clone(), key.clone()));
                        }
                        continue;
                    }
                },
                Found::Absent if *optional => continue,
                found => {
                    problems.extend(missing(object, found));
                    continue;
                }
            },
        };
        made.values.insert(name.clone(), value);
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(made) } else { Err(problems) }
}

/// What is wrong where an object is not there.
pub(super) fn missing(object: &ObjectName, found: &Found) -> Option<Problem> {
    match found {
        Found::Values(_) => None,
        Found::Absent => Some(Problem::Object(object.clone())),
        Found::Refused(why) => Some(Problem::Refused(object.clone(), why.clone())),
    }
}

impl Variables {
    /// What is said of the keys that were skipped, a line for each object.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut by_object: BTreeMap<&ObjectName, Vec<&str>> = BTreeMap::new();
        for (object, key) in &self.skipped {
            by_object.entry(object).or_default().push(key);
        }
        let line = |(object, keys): (&ObjectName, Vec<&str>)| {
            let kind = if object.kind == ObjectKind::Secret { "" } else { " (given on the side)" };
            format!("{object}{kind}: skipped, for they are no names of variables: {}", keys.join(", "))
        };
        by_object.into_iter().map(line).collect()
    }
}
