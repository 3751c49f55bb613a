//! What a process gets of Secrets, as the kubelet gives it to a container: variables of its environment, files of volumes.
//!
//! The rules are Kubernetes' own, each named where it is followed: they are in `pkg/kubelet/kubelet_pods.go`
//! (`makeEnvironmentVariables`), `third_party/forked/golang/expansion`, `pkg/volume/secret`, `pkg/volume/projected` and
//! `pkg/volume/util/atomic_writer.go` of release 1.34.
//!
//! What it never does: start anything with a part of what was asked for, or put a value into an error.

mod atomic_writer;
mod environment;
mod expansion;
mod fetch;
mod keep;
mod manifest;
mod mount_namespace;
mod objects;
mod offline;
mod private_root;
mod redact;
mod reference;
mod requester;
mod volume;
mod watch;

pub use atomic_writer::{AtomicWriter, FolderLock, WriteError};
pub use environment::{EnvFrom, EnvValue, EnvVar, Problem, Variables, is_variable_name, make};
pub use expansion::expand;
pub use fetch::{FetchError, Witness, fetch};
pub use keep::{Begin, Update, keep};
pub use manifest::{Container, ManifestError, Mount, Which, config_maps, read as read_manifest};
pub use mount_namespace::{EnterError, MountNamespace, Point};
pub use objects::{Found, ObjectKind, ObjectName, Objects, Values};
pub use offline::{OfflineSealer, OfflineTimes, Unusable};
pub use private_root::{PrivateRoot, is_in_memory};
pub use redact::{Redaction, Redactor, TooMuch};
pub use reference::{Reference, ReferenceError};
pub use requester::{Requester, UnitPattern};
pub use volume::{DEFAULT_MODE, File, Item, MODE_MAX, Payload, Source, Volume, clean, payload};
