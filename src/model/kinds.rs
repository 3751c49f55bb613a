//! The kinds that are served: one row each, from which routes, discovery, OpenAPI, storage and validation follow.
//!
//! Adding a kind is one row in the file of its group, its place in the lists here, and one message in `schema`.

mod core;
mod own;
mod rbac;
mod reviews;

pub use self::core::*;
pub use self::own::*;
pub use self::rbac::*;
pub use self::reviews::*;
use super::schema::{self, Message};

/// A verb of the Kubernetes API, as discovery and RBAC name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// `create`
    Create,
    /// `delete`
    Delete,
    /// `deletecollection`
    DeleteCollection,
    /// `get`
    Get,
    /// `list`
    List,
    /// `patch`
    Patch,
    /// `update`
    Update,
    /// `watch`
    Watch,
}

impl Verb {
    /// Kubernetes' spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// The eight verbs of a stored kind, in discovery's order.
pub const STORED_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// A subresource of a kind.
#[derive(Debug)]
pub struct Subresource {
    /// Path segment: `status`, `finalize`, `token`.
    pub name: &'static str,
    /// Group, version and kind of what it takes and returns (empty group and version: the parent's own).
    pub group: &'static str,
    /// See `group`.
    pub version: &'static str,
    /// See `group`.
    pub kind: &'static str,
    /// Verbs served.
    pub verbs: &'static [Verb],
}

/// A kind of object.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one table row")]
#[derive(Debug)]
pub struct Kind {
    /// Frozen small number: orders and keys the in-memory index. Never reused.
    pub id: u8,
    /// API group, empty for core.
    pub group: &'static str,
    /// API version: `v1`.
    pub version: &'static str,
    /// `group/version`, or `version` for core.
    pub api_version: &'static str,
    /// `Secret`
    pub kind: &'static str,
    /// `SecretList`
    pub list_kind: &'static str,
    /// `secrets`
    pub plural: &'static str,
    /// `secret`
    pub singular: &'static str,
    /// `["ns"]`
    pub short_names: &'static [&'static str],
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Stored (reviews are not: they are answered and forgotten).
    pub stored: bool,
    /// PUT of a missing object creates it (the RBAC kinds, Event).
    pub create_on_update: bool,
    /// A successful DELETE answers the object instead of a Status (Namespace, ServiceAccount).
    pub delete_returns_object: bool,
    /// Verbs served.
    pub verbs: &'static [Verb],
    /// Subresources served.
    pub subresources: &'static [Subresource],
    /// Shape.
    pub message: &'static Message,
}

impl Kind {
    /// `secrets`, or `roles.rbac.authorization.k8s.io`: how error texts name the resource.
    pub fn qualified_resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Secret`, or `Role.rbac.authorization.k8s.io`: how 422 texts name the kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// `/Secret`, `rbac.authorization.k8s.io/Role`: the frozen name under which rows are stored and sealed.
    pub fn stored_name(&self) -> &'static str {
        STORED_NAMES.iter().find(|(id, _)| *id == self.id).map_or("", |(_, name)| name)
    }

    /// Whether its objects hold values that are kept apart from everything else of them (`data` of a Secret).
    pub fn holds_values(&self) -> bool {
        self.message.field("data").is_some_and(|field| matches!(field.ty, schema::Type::MapOfBytes))
    }

    /// Whether its objects count the changes of what is wanted (`metadata.generation`), and status is apart from it, as
    /// with custom resources.
    pub fn has_generation(&self) -> bool {
        matches!(self.id, 9 | 10 | 12 | 13 | 15)
    }

    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}

/// What kinds have in common that are answered and forgotten.
const CREATE_ONLY: Kind = Kind {
    id: 0,
    group: "",
    version: "",
    api_version: "",
    kind: "",
    list_kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    namespaced: false,
    stored: false,
    create_on_update: false,
    delete_returns_object: false,
    verbs: &[Verb::Create],
    subresources: &[],
    message: &schema::SECRET,
};

/// Every kind that has a path of its own, stored ones first.
pub static KINDS: &[&Kind] = &[
    &SECRET,
    &NAMESPACE,
    &SERVICE_ACCOUNT,
    &ROLE,
    &ROLE_BINDING,
    &CLUSTER_ROLE,
    &CLUSTER_ROLE_BINDING,
    &USER,
    &CLUSTER,
    &SECRET_SYNC,
    &EVENT,
    &SECRET_REVISION,
    &CERTIFICATE,
    &GENERATED_SECRET,
    &KMS_KEY,
    &TOKEN_REVIEW,
    &SELF_SUBJECT_REVIEW,
    &SELF_SUBJECT_ACCESS_REVIEW,
    &SELF_SUBJECT_RULES_REVIEW,
    &SUBJECT_ACCESS_REVIEW,
    &LOCAL_SUBJECT_ACCESS_REVIEW,
    &ACCESS_EXPLANATION,
    &RESOURCE_ACCESS_REVIEW,
    &GRANT_USAGE_REVIEW,
    &SECRET_EXPORT,
    &SECRET_IMPORT,
    &SECRET_SCAN,
];

/// The kinds without a path of their own: what subresources take and return.
pub static REQUEST_KINDS: &[&Kind] = &[
    &TOKEN_REQUEST,
    &PASSWORD_REQUEST,
    &CERTIFICATE_REQUEST,
    &CERTIFICATE_REVOCATION,
    &SECRET_SYNC_RENDERING,
    &KMS_KEY_ROTATION,
    &KMS_KEY_RETIREMENT,
    &KMS_ENCRYPTION,
    &KMS_DECRYPTION,
];

/// The kinds that decide who may do what, and who is who.
pub static ACCESS_KINDS: &[&Kind] = &[&ROLE, &ROLE_BINDING, &CLUSTER_ROLE, &CLUSTER_ROLE_BINDING, &USER];

/// The frozen names of stored kinds: group and kind.
const STORED_NAMES: &[(u8, &str)] = &[
    (1, "/Secret"),
    (2, "/Namespace"),
    (3, "/ServiceAccount"),
    (4, "rbac.authorization.k8s.io/Role"),
    (5, "rbac.authorization.k8s.io/RoleBinding"),
    (6, "rbac.authorization.k8s.io/ClusterRole"),
    (7, "rbac.authorization.k8s.io/ClusterRoleBinding"),
    (8, "strongroom.dev/User"),
    (9, "strongroom.dev/Cluster"),
    (10, "strongroom.dev/SecretSync"),
    (11, "/Event"),
    (14, "strongroom.dev/SecretRevision"),
    (12, "strongroom.dev/Certificate"),
    (13, "strongroom.dev/GeneratedSecret"),
    (15, "strongroom.dev/KMSKey"),
];

/// The kind behind `/apis/GROUP/VERSION/PLURAL` (`group` empty for core).
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

/// The kind of this name.
pub fn by_kind(group: &str, version: &str, name: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.kind == name && kind.group == group && kind.version == version)
}

/// Whether objects of this kind decide who may do what, or who is who.
pub fn decides_access(id: u8) -> bool {
    ACCESS_KINDS.iter().any(|kind| kind.id == id)
}

/// The kind of this number.
pub fn by_id(id: u8) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.id == id)
}

/// The stored kind of this frozen name.
pub fn by_stored_name(name: &str) -> Option<&'static Kind> {
    STORED_NAMES.iter().find(|(_, stored)| *stored == name).and_then(|(id, _)| by_id(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_lead_back() {
        for kind in KINDS {
            assert_eq!(by_id(kind.id).unwrap().kind, kind.kind);
            assert_eq!(find(kind.group, kind.version, kind.plural).unwrap().kind, kind.kind);
            assert_eq!(by_kind(kind.group, kind.version, kind.kind).unwrap().kind, kind.kind);
            assert_eq!(kind.stored, !kind.stored_name().is_empty());
            if kind.stored {
                assert_eq!(by_stored_name(kind.stored_name()).unwrap().kind, kind.kind);
            }
        }
    }

    #[test]
    fn texts_name_kinds_as_kubernetes_does() {
        assert_eq!(SECRET.qualified_resource(), "secrets");
        assert_eq!(ROLE.qualified_resource(), "roles.rbac.authorization.k8s.io");
        assert_eq!(ROLE.qualified_kind(), "Role.rbac.authorization.k8s.io");
        assert_eq!(SECRET.stored_name(), "/Secret");
    }
}
