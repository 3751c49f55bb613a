//! The kinds that are served: one row each, from which routes, discovery, OpenAPI, storage and validation follow.
//!
//! Adding a kind is one row here and one message in `schema`.

mod own;

pub use self::own::*;
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
    /// PUT of a missing object creates it (the RBAC kinds).
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
        matches!(self.id, 9 | 10)
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

/// A namespace has no deletecollection, as in Kubernetes.
const NAMESPACE_VERBS: &[Verb] =
    &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];

const NAMESPACE_SUBRESOURCES: &[Subresource] = &[
    Subresource { name: "finalize", group: "", version: "", kind: "Namespace", verbs: &[Verb::Update] },
    Subresource {
        name: "status",
        group: "",
        version: "",
        kind: "Namespace",
        verbs: &[Verb::Get, Verb::Patch, Verb::Update],
    },
];

/// Secret
pub static SECRET: Kind = Kind {
    id: 1,
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Secret",
    list_kind: "SecretList",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::SECRET,
};

/// Namespace
pub static NAMESPACE: Kind = Kind {
    id: 2,
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Namespace",
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    stored: true,
    create_on_update: false,
    delete_returns_object: true,
    verbs: NAMESPACE_VERBS,
    subresources: NAMESPACE_SUBRESOURCES,
    message: &schema::NAMESPACE,
};

/// ServiceAccount
pub static SERVICE_ACCOUNT: Kind = Kind {
    id: 3,
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "ServiceAccount",
    list_kind: "ServiceAccountList",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: true,
    verbs: STORED_VERBS,
    subresources: &[Subresource {
        name: "token",
        group: "authentication.k8s.io",
        version: "v1",
        kind: "TokenRequest",
        verbs: &[Verb::Create],
    }],
    message: &schema::SERVICE_ACCOUNT,
};

/// Role
pub static ROLE: Kind = Kind {
    id: 4,
    group: "rbac.authorization.k8s.io",
    version: "v1",
    api_version: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    list_kind: "RoleList",
    plural: "roles",
    singular: "role",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: true,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::ROLE,
};

/// RoleBinding
pub static ROLE_BINDING: Kind = Kind {
    id: 5,
    group: "rbac.authorization.k8s.io",
    version: "v1",
    api_version: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    list_kind: "RoleBindingList",
    plural: "rolebindings",
    singular: "rolebinding",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: true,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::ROLE_BINDING,
};

/// ClusterRole
pub static CLUSTER_ROLE: Kind = Kind {
    id: 6,
    group: "rbac.authorization.k8s.io",
    version: "v1",
    api_version: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    list_kind: "ClusterRoleList",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    namespaced: false,
    stored: true,
    create_on_update: true,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::CLUSTER_ROLE,
};

/// ClusterRoleBinding
pub static CLUSTER_ROLE_BINDING: Kind = Kind {
    id: 7,
    group: "rbac.authorization.k8s.io",
    version: "v1",
    api_version: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    list_kind: "ClusterRoleBindingList",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    namespaced: false,
    stored: true,
    create_on_update: true,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::CLUSTER_ROLE_BINDING,
};

/// TokenReview
pub static TOKEN_REVIEW: Kind = Kind {
    id: 101,
    group: "authentication.k8s.io",
    version: "v1",
    api_version: "authentication.k8s.io/v1",
    kind: "TokenReview",
    list_kind: "TokenReviewList",
    plural: "tokenreviews",
    singular: "tokenreview",
    message: &schema::TOKEN_REVIEW,
    ..CREATE_ONLY
};

/// SelfSubjectReview
pub static SELF_SUBJECT_REVIEW: Kind = Kind {
    id: 102,
    group: "authentication.k8s.io",
    version: "v1",
    api_version: "authentication.k8s.io/v1",
    kind: "SelfSubjectReview",
    list_kind: "SelfSubjectReviewList",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    message: &schema::SELF_SUBJECT_REVIEW,
    ..CREATE_ONLY
};

/// SelfSubjectAccessReview
pub static SELF_SUBJECT_ACCESS_REVIEW: Kind = Kind {
    id: 103,
    group: "authorization.k8s.io",
    version: "v1",
    api_version: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    list_kind: "SelfSubjectAccessReviewList",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    message: &schema::SELF_SUBJECT_ACCESS_REVIEW,
    ..CREATE_ONLY
};

/// SelfSubjectRulesReview
pub static SELF_SUBJECT_RULES_REVIEW: Kind = Kind {
    id: 104,
    group: "authorization.k8s.io",
    version: "v1",
    api_version: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    list_kind: "SelfSubjectRulesReviewList",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    message: &schema::SELF_SUBJECT_RULES_REVIEW,
    ..CREATE_ONLY
};

/// SubjectAccessReview
pub static SUBJECT_ACCESS_REVIEW: Kind = Kind {
    id: 105,
    group: "authorization.k8s.io",
    version: "v1",
    api_version: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    list_kind: "SubjectAccessReviewList",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    message: &schema::SUBJECT_ACCESS_REVIEW,
    ..CREATE_ONLY
};

/// LocalSubjectAccessReview
pub static LOCAL_SUBJECT_ACCESS_REVIEW: Kind = Kind {
    id: 106,
    group: "authorization.k8s.io",
    version: "v1",
    api_version: "authorization.k8s.io/v1",
    kind: "LocalSubjectAccessReview",
    list_kind: "LocalSubjectAccessReviewList",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    namespaced: true,
    message: &schema::LOCAL_SUBJECT_ACCESS_REVIEW,
    ..CREATE_ONLY
};

/// TokenRequest: what `serviceaccounts/token` takes and returns. It has no path of its own, so it is not one of
/// [`KINDS`].
pub static TOKEN_REQUEST: Kind = Kind {
    id: 107,
    group: "authentication.k8s.io",
    version: "v1",
    api_version: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    list_kind: "TokenRequestList",
    plural: "tokenrequests",
    singular: "tokenrequest",
    namespaced: true,
    message: &schema::TOKEN_REQUEST,
    ..CREATE_ONLY
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
pub static REQUEST_KINDS: &[&Kind] =
    &[&TOKEN_REQUEST, &PASSWORD_REQUEST, &CERTIFICATE_REQUEST, &CERTIFICATE_REVOCATION, &SECRET_SYNC_RENDERING];

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
