//! `rbac.authorization.k8s.io/v1`: roles and bindings.

use super::{Field, LABEL_SELECTOR, ListKind, Message, OBJECT_META, Type};

/// Rules that can be granted within one namespace.
pub static ROLE: Message = Message {
    name: "Role",
    component: "io.k8s.api.rbac.v1.Role",
    description: "Rules that can be granted within one namespace.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "rules",
            number: 2,
            ty: Type::Messages(&POLICY_RULE, ListKind::Atomic),
            go: "[]v1.PolicyRule",
            pointer: false,
            required: false,
            description: "The rules that the role grants; nothing is granted without one.",
        },
    ],
    atomic: false,
};

/// Rules that can be granted everywhere, or within one namespace.
pub static CLUSTER_ROLE: Message = Message {
    name: "ClusterRole",
    component: "io.k8s.api.rbac.v1.ClusterRole",
    description: "Rules that can be granted everywhere, or within one namespace.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "rules",
            number: 2,
            ty: Type::Messages(&POLICY_RULE, ListKind::Atomic),
            go: "[]v1.PolicyRule",
            pointer: false,
            required: false,
            description: "The rules that the role grants; nothing is granted without one.",
        },
        Field {
            json: "aggregationRule",
            number: 3,
            ty: Type::Message(&AGGREGATION_RULE),
            go: "v1.AggregationRule",
            pointer: true,
            required: false,
            description: "Fills the rules from other cluster roles, chosen by their labels.",
        },
    ],
    atomic: false,
};

/// Grants a role within one namespace.
pub static ROLE_BINDING: Message = Message {
    name: "RoleBinding",
    component: "io.k8s.api.rbac.v1.RoleBinding",
    description: "Grants a role within one namespace.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "subjects",
            number: 2,
            ty: Type::Messages(&SUBJECT, ListKind::Atomic),
            go: "[]v1.Subject",
            pointer: false,
            required: false,
            description: "Who is granted the role.",
        },
        Field {
            json: "roleRef",
            number: 3,
            ty: Type::Message(&ROLE_REF),
            go: "v1.RoleRef",
            pointer: false,
            required: true,
            description: "The role that is granted. Cannot be changed.",
        },
    ],
    atomic: false,
};

/// Grants a cluster role everywhere.
pub static CLUSTER_ROLE_BINDING: Message = Message {
    name: "ClusterRoleBinding",
    component: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    description: "Grants a cluster role everywhere.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "subjects",
            number: 2,
            ty: Type::Messages(&SUBJECT, ListKind::Atomic),
            go: "[]v1.Subject",
            pointer: false,
            required: false,
            description: "Who is granted the role.",
        },
        Field {
            json: "roleRef",
            number: 3,
            ty: Type::Message(&ROLE_REF),
            go: "v1.RoleRef",
            pointer: false,
            required: true,
            description: "The role that is granted. Cannot be changed.",
        },
    ],
    atomic: false,
};

/// One rule: which verbs on which resources or paths.
pub static POLICY_RULE: Message = Message {
    name: "PolicyRule",
    component: "io.k8s.api.rbac.v1.PolicyRule",
    description: "One rule: which verbs on which resources or paths.",
    fields: &[
        Field {
            json: "verbs",
            number: 1,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: true,
            description: "Verbs; * is all of them.",
        },
        Field {
            json: "apiGroups",
            number: 2,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "API groups of the resources; empty text is the core group, * is all.",
        },
        Field {
            json: "resources",
            number: 3,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Resources, or resource/subresource; * is all.",
        },
        Field {
            json: "resourceNames",
            number: 4,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Names to which the rule is limited; none is every name.",
        },
        Field {
            json: "nonResourceURLs",
            number: 5,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Paths that are no resources; * as the last step is a prefix. For cluster roles only.",
        },
    ],
    atomic: false,
};

/// Chooses the cluster roles whose rules are put together.
pub static AGGREGATION_RULE: Message = Message {
    name: "AggregationRule",
    component: "io.k8s.api.rbac.v1.AggregationRule",
    description: "Chooses the cluster roles whose rules are put together.",
    fields: &[Field {
        json: "clusterRoleSelectors",
        number: 1,
        ty: Type::Messages(&LABEL_SELECTOR, ListKind::Atomic),
        go: "[]v1.LabelSelector",
        pointer: false,
        required: false,
        description: "Selectors; a cluster role that matches any of them is included.",
    }],
    atomic: false,
};

/// Who a binding is about: a user, a group or a service account.
pub static SUBJECT: Message = Message {
    name: "Subject",
    component: "io.k8s.api.rbac.v1.Subject",
    description: "Who a binding is about: a user, a group or a service account.",
    fields: &[
        Field {
            json: "kind",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "User, Group or ServiceAccount.",
        },
        Field {
            json: "apiGroup",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "API group of the subject: rbac.authorization.k8s.io for users and groups, empty for service accounts.",
        },
        Field {
            json: "name",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "Name of the subject.",
        },
        Field {
            json: "namespace",
            number: 4,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Namespace of a service account.",
        },
    ],
    atomic: true,
};

/// The role that a binding grants.
pub static ROLE_REF: Message = Message {
    name: "RoleRef",
    component: "io.k8s.api.rbac.v1.RoleRef",
    description: "The role that a binding grants.",
    fields: &[
        Field {
            json: "apiGroup",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "Always rbac.authorization.k8s.io.",
        },
        Field {
            json: "kind",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "Role or ClusterRole.",
        },
        Field {
            json: "name",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "Name of the role.",
        },
    ],
    atomic: true,
};
