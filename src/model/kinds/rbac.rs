//! Roles and their bindings.

use super::{Kind, STORED_VERBS};
use crate::model::schema;

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
