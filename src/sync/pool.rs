//! Clusters that are written to, each with one client for all who write there.
//!
//! What it never does: hand out a cluster to a service account that may not `use` it now, or a client that was made of an
//! older kubeconfig.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::origin::{OriginError, Sync};
use super::pass::Cluster;
use super::remote::Remote;
use super::room::Room;
use crate::objects::{ClusterError, ClusterTarget};
use crate::rbac::{self, ClusterPermit};

/// See the module.
#[derive(Default)]
pub struct Pool {
    made: Mutex<HashMap<String, Made>>,
}

struct Made {
    uid: String,
    /// Revisions of the Cluster's spec and of its kubeconfig's Secret.
    of: (i64, u64),
    remote: Arc<Remote>,
}

impl Pool {
    /// The cluster of this name, for the service account of a SecretSync.
    pub fn cluster(&self, room: &Room, sync: &Sync, name: &str) -> Result<Cluster, OriginError> {
        let account = room.account(sync)?;
        let permit = rbac::authorize_use(&account.policy, &account.user, name).map_err(|denial| OriginError {
            reason: "ClusterForbidden",
            message: denial.message,
            is_passing: false,
        })?;
        self.permitted(room, &permit)
    }

    /// The cluster that may be used.
    pub fn permitted(&self, room: &Room, permit: &ClusterPermit) -> Result<Cluster, OriginError> {
        let name = permit.name();
        let target = room.objects.cluster_target(permit).map_err(|error| failed(&error))?;
        let ClusterTarget { uid, generation, kubeconfig_revision, qps, burst, allowed_namespaces, .. } = target;
        let of = (generation, kubeconfig_revision);
        let known = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.get(name).filter(|made| made.uid == uid && made.of == of).map(|made| Arc::clone(&made.remote))
        };
        let remote = if let Some(remote) = known {
            remote
        } else {
            let connection = room.objects.open_kubeconfig(permit).map_err(|error| failed(&error))?;
            let remote = Remote::new(connection, qps, burst).map_err(|error| OriginError {
                reason: error.reason(),
                message: error.to_string(),
                is_passing: false,
            })?;
            let remote = Arc::new(remote);
            let made = Made { uid: uid.clone(), of, remote: Arc::clone(&remote) };
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), made);
            remote
        };
        Ok(Cluster { name: name.to_owned(), uid, allowed_namespaces, remote })
    }

    /// Nobody writes to this cluster any more.
    pub fn forget(&self, name: &str) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn failed(error: &ClusterError) -> OriginError {
    OriginError { reason: error.reason(), message: error.to_string(), is_passing: false }
}
