//! The Secrets and ConfigMaps that are referred to, and what was found of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::sensitive::SecretBytes;

/// What holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Of the store.
    Secret,
    /// Of a file that was given, for the store holds none.
    ConfigMap,
}

/// Which one. `Display` gives `Secret prod/db`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Of which kind.
    pub kind: ObjectKind,
    /// In which namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The values of one.
pub struct Values {
    /// What it is a state of: uid and resourceVersion. Equal where nothing has changed.
    pub version: String,
    /// Under their keys.
    pub data: BTreeMap<String, SecretBytes>,
    /// A ConfigMap's `binaryData`, which becomes files and no variables.
    pub binary_data: BTreeMap<String, SecretBytes>,
}

/// What was found of one.
pub enum Found {
    /// It is there.
    Values(Values),
    /// It is not there.
    Absent,
    /// It may not be read, in the server's words.
    Refused(String),
}

/// The state of each, as [`Values::version`] has it; `None` where it is not there.
pub type States = BTreeMap<ObjectName, Option<String>>;

/// All that were asked for.
#[derive(Default)]
pub struct Objects(BTreeMap<ObjectName, Found>);

impl ObjectName {
    /// A Secret.
    #[must_use]
    pub fn secret(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: ObjectKind::Secret, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ObjectKind::Secret => "Secret",
            ObjectKind::ConfigMap => "ConfigMap",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

impl Objects {
    /// Puts one in, or another state of it.
    pub fn insert(&mut self, name: ObjectName, found: Found) {
        self.0.insert(name, found);
    }

    /// What was found of one; what was not asked for is not there.
    #[must_use]
    pub fn find(&self, name: &ObjectName) -> &Found {
        self.0.get(name).unwrap_or(&Found::Absent)
    }

    /// The state it was found in; `None` where it is not there.
    #[must_use]
    pub fn version(&self, name: &ObjectName) -> Option<&str> {
        match self.find(name) {
            Found::Values(values) => Some(&values.version),
            Found::Absent | Found::Refused(_) => None,
        }
    }

    /// The states of all Secrets that were asked for.
    #[must_use]
    pub fn states(&self) -> States {
        let secrets = self.0.keys().filter(|name| name.kind == ObjectKind::Secret);
        secrets.map(|name| (name.clone(), self.version(name).map(str::to_owned))).collect()
    }

    /// Takes over what `others` hold.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}
