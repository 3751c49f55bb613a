//! Clusters and what is kept in them: who may write what leads Secrets out, and how a Cluster's kubeconfig is opened.
//!
//! What it never does: return a kubeconfig, or any part of it that is no credential of the cluster itself.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::create::name_of;
use super::{Error, Objects, Request, Resource};
use crate::kubeconfig::{self, Connection, KubeconfigError};
use crate::model::field_error::FieldError;
use crate::model::kinds::{CLUSTER, SECRET, SECRET_SYNC, SERVICE_ACCOUNT};
use crate::model::secret_sync::{Clusters, Glob, Spec};
use crate::model::validation::cluster::{DEFAULT_BURST, DEFAULT_QPS};
use crate::rbac::{Attributes, ClusterPermit, Denial};

const REFERENCE: &str = "spec.kubeconfigSecretRef";

/// A Cluster, as far as writing to it goes.
pub struct ClusterTarget {
    /// Its name.
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`
    pub generation: i64,
    /// Revision of the Secret that holds its kubeconfig.
    pub kubeconfig_revision: u64,
    /// Requests a second.
    pub qps: u32,
    /// Requests at once after a rest.
    pub burst: u32,
    /// Namespaces that may be written to; empty is all.
    pub allowed_namespaces: Arc<[Glob]>,
}

/// Why a Cluster cannot be used. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// There is none of this name.
    #[error("there is no Cluster {0:?}")]
    NotFound(String),
    /// The Secret or its key is missing.
    #[error("the kubeconfig's Secret {0} is missing, or has no such key")]
    NoKubeconfig(String),
    /// It is not taken.
    #[error("the kubeconfig is not taken: {0}")]
    Kubeconfig(KubeconfigError),
    /// A stored row cannot be read.
    #[error("a stored object cannot be read")]
    Unreadable,
}

impl ClusterError {
    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ClusterNotFound",
            Self::NoKubeconfig(_) => "KubeconfigNotFound",
            Self::Kubeconfig(_) => "InvalidKubeconfig",
            Self::Unreadable => "Unreadable",
        }
    }
}

/// Where a kubeconfig is.
struct Reference<'a> {
    namespace: &'a str,
    name: &'a str,
    key: &'a str,
    context: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn of(cluster: &'a Value) -> Self {
        let reference = cluster.pointer("/spec/kubeconfigSecretRef");
        let text = |field: &str| reference.and_then(|reference| reference.get(field)?.as_str()).unwrap_or_default();
        Self {
            namespace: text("namespace"),
            name: text("name"),
            key: text("key"),
            context: Some(text("context")).filter(|context| !context.is_empty()),
        }
    }
}

/// Who may write them.
impl Objects {
    /// A Cluster sends the credential that it refers to: whoever writes one must be allowed to read it. So what is said
    /// of it here is nothing that they could not find out themselves.
    pub(super) fn admit_cluster(&self, request: Request<'_>, old: Option<&Value>, new: &Value) -> Result<(), Error> {
        if old.is_some_and(|old| old.get("spec") == new.get("spec")) {
            return Ok(());
        }
        let reference = Reference::of(new);
        if reference.namespace.is_empty() || reference.name.is_empty() {
            // Validation says so.
            return Ok(());
        }
        self.needs(request, &Attributes::object("get", &SECRET, reference.namespace, reference.name))?;
        match self.kubeconfig(&reference) {
            // It may be made later.
            Ok(_) | Err(ClusterError::NoKubeconfig(_)) => Ok(()),
            Err(error) => {
                let errors = vec![FieldError::forbidden(REFERENCE, error.to_string())];
                Err(Error::Invalid(Resource::new(&CLUSTER, &name_of(new)), errors))
            }
        }
    }

    /// A SecretSync acts as a service account and uses clusters: whoever writes one must be allowed to do both.
    pub(super) fn admit_sync(&self, request: Request<'_>, old: Option<&Value>, new: &Value) -> Result<(), Error> {
        if old.is_some_and(|old| old.get("spec") == new.get("spec")) {
            return Ok(());
        }
        // What cannot be read is refused by validation.
        let Ok(spec) = Spec::parse(new) else { return Ok(()) };
        let names: std::collections::BTreeSet<&str> = spec
            .targets
            .iter()
            .map(|target| match &target.clusters {
                Clusters::Named(name) => name.as_str(),
                // Labels can come to mean any of them.
                Clusters::Selected(_) => "",
            })
            .collect();
        for name in names {
            self.needs(request, &Attributes::object("use", &CLUSTER, "", name))?;
        }
        self.needs_to_act_as(request, &spec.service_account_name)
    }

    /// The right to act as a service account of the permit's namespace: to impersonate it, or to have a token made of it.
    pub fn needs_to_act_as(&self, request: Request<'_>, account: &str) -> Result<(), Error> {
        let namespace = request.permit.namespace();
        let mut token = Attributes::object("create", &SERVICE_ACCOUNT, namespace, account);
        "token".clone_into(&mut token.subresource);
        if self.access().policy.allows(request.permit.user(), &token) {
            return Ok(());
        }
        self.needs(request, &Attributes::impersonate("", SERVICE_ACCOUNT.plural, namespace, account))
    }

    pub(super) fn needs(&self, request: Request<'_>, attributes: &Attributes) -> Result<(), Error> {
        let user = request.permit.user();
        if self.access().policy.allows(user, attributes) {
            return Ok(());
        }
        Err(Error::Denied(Box::new(Denial::of_request(user, attributes, ""))))
    }
}

/// How they are used.
impl Objects {
    /// The Cluster that may be used.
    pub fn cluster_target(&self, permit: &ClusterPermit) -> Result<ClusterTarget, ClusterError> {
        let (uid, cluster) = self.cluster(permit.name())?;
        let reference = Reference::of(&cluster);
        let secret = self.store.find(SECRET.id, reference.namespace, reference.name);
        let secret = secret.map_err(|_| ClusterError::Unreadable)?;
        let kubeconfig_revision = secret.ok_or_else(|| missing(&reference))?.revision;
        let spec = cluster.get("spec").unwrap_or(&Value::Null);
        let rate = |field: &str, default: u32| {
            spec.get(field).and_then(Value::as_u64).and_then(|rate| rate.try_into().ok()).unwrap_or(default)
        };
        let allowed = spec.get("allowedNamespaces").and_then(Value::as_array).into_iter().flatten();
        Ok(ClusterTarget {
            name: permit.name().to_owned(),
            uid,
            generation: cluster.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default(),
            kubeconfig_revision,
            qps: rate("qps", DEFAULT_QPS),
            burst: rate("burst", DEFAULT_BURST),
            allowed_namespaces: allowed.filter_map(|pattern| Glob::parse(pattern.as_str()?)).collect(),
        })
    }

    /// What the kubeconfig of the Cluster comes to, for a client of that cluster.
    pub fn open_kubeconfig(&self, permit: &ClusterPermit) -> Result<Connection, ClusterError> {
        let (_, cluster) = self.cluster(permit.name())?;
        self.kubeconfig(&Reference::of(&cluster))
    }

    /// Names and labels of all Clusters.
    pub fn cluster_labels(&self) -> Vec<(String, Value)> {
        let clusters = self.store.live(CLUSTER.id).into_iter();
        let opened = clusters.filter_map(|entry| self.load_in_passing(&CLUSTER, entry.revision).ok());
        let labels = opened.filter_map(|loaded| {
            let labels = loaded.bare().ok()?.pointer("/metadata/labels").cloned().unwrap_or_default();
            Some((loaded.name().to_owned(), labels))
        });
        labels.collect()
    }

    /// Whether a Cluster has its kubeconfig in the Secret of this name.
    pub fn is_kubeconfig(&self, namespace: &str, name: &str) -> bool {
        self.store.live(CLUSTER.id).into_iter().any(|entry| {
            let Ok(object) = self.load_in_passing(&CLUSTER, entry.revision).and_then(|loaded| loaded.bare()) else {
                return false;
            };
            let reference = Reference::of(&object);
            reference.namespace == namespace && reference.name == name
        })
    }

    /// Namespaces and names of all SecretSyncs.
    pub fn sync_names(&self) -> Vec<(String, String)> {
        let syncs = self.store.live(SECRET_SYNC.id).into_iter();
        let rows = syncs.filter_map(|entry| self.store.row_in_passing(entry.revision).ok());
        rows.map(|row| (row.namespace.to_string(), row.name.to_string())).collect()
    }

    fn cluster(&self, name: &str) -> Result<(String, Value), ClusterError> {
        let found = self.store.find(CLUSTER.id, "", name).map_err(|_| ClusterError::Unreadable)?;
        let entry = found.ok_or_else(|| ClusterError::NotFound(name.to_owned()))?;
        let loaded = self.load(&CLUSTER, name, entry.revision).map_err(|_| ClusterError::Unreadable)?;
        let object = loaded.bare().map_err(|_| ClusterError::Unreadable)?;
        Ok((loaded.uid(), object))
    }

    #[expect(clippy::disallowed_methods, reason = "the kubeconfig is read into a connection, and goes no further")]
    fn kubeconfig(&self, reference: &Reference<'_>) -> Result<Connection, ClusterError> {
        let found = self.store.find(SECRET.id, reference.namespace, reference.name);
        let entry = found.map_err(|_| ClusterError::Unreadable)?.ok_or_else(|| missing(reference))?;
        let loaded = self.load(&SECRET, reference.name, entry.revision).map_err(|_| ClusterError::Unreadable)?;
        let document = self.document(&loaded).map_err(|_| ClusterError::Unreadable)?;
        let value = document.expose().get("data").and_then(|data| data.get(reference.key)?.as_str());
        let value = value.ok_or_else(|| missing(reference))?;
        let mut decoded = Zeroizing::new(Vec::with_capacity(value.len()));
        STANDARD.decode_vec(value, &mut decoded).map_err(|_| ClusterError::Unreadable)?;
        kubeconfig::parse(&decoded, reference.context).map_err(ClusterError::Kubeconfig)
    }
}

fn missing(reference: &Reference<'_>) -> ClusterError {
    ClusterError::NoKubeconfig(format!("{}/{}[{}]", reference.namespace, reference.name, reference.key))
}
