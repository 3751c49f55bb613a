//! `rbac.authorization.k8s.io/v1`: roles and bindings.

use super::{Field, LABEL_SELECTOR, ListKind, METADATA, Message, Type};

const RULES: Field = Field::new(
    "rules",
    2,
    Type::Messages(&POLICY_RULE, ListKind::Atomic),
    "[]v1.PolicyRule",
    "What the role allows. Rules only ever add to each other: nothing can be denied.",
);

const SUBJECTS: Field = Field::new(
    "subjects",
    2,
    Type::Messages(&SUBJECT, ListKind::Atomic),
    "[]v1.Subject",
    "The users, groups and service accounts that are granted the role.",
);

/// Rules that can be granted within one namespace.
pub static ROLE: Message = Message {
    name: "Role",
    component: "io.k8s.api.rbac.v1.Role",
    description: "A set of rules within one namespace. A RoleBinding of the same namespace grants it.",
    fields: &[METADATA, RULES],
    atomic: false,
};

/// Rules that can be granted everywhere, or within one namespace.
pub static CLUSTER_ROLE: Message = Message {
    name: "ClusterRole",
    component: "io.k8s.api.rbac.v1.ClusterRole",
    description: "A set of rules that belongs to no namespace. A ClusterRoleBinding grants it everywhere, a RoleBinding within one namespace.",
    fields: &[
        METADATA,
        RULES,
        Field::new(
            "aggregationRule",
            3,
            Type::Message(&AGGREGATION_RULE),
            "v1.AggregationRule",
            "Which other cluster roles the rules of this one are put together from. With it, the server overwrites rules.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Grants a role within one namespace.
pub static ROLE_BINDING: Message = Message {
    name: "RoleBinding",
    component: "io.k8s.api.rbac.v1.RoleBinding",
    description: "Grants the rules of a Role or ClusterRole within its own namespace.",
    fields: &[
        METADATA,
        SUBJECTS,
        Field::new(
            "roleRef",
            3,
            Type::Message(&ROLE_REF),
            "v1.RoleRef",
            "The role that is granted: a Role of the same namespace or a ClusterRole. Cannot be changed.",
        )
        .required(),
    ],
    atomic: false,
};

/// Grants a cluster role everywhere.
pub static CLUSTER_ROLE_BINDING: Message = Message {
    name: "ClusterRoleBinding",
    component: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    description: "Grants the rules of a ClusterRole everywhere.",
    fields: &[
        METADATA,
        SUBJECTS,
        Field::new(
            "roleRef",
            3,
            Type::Message(&ROLE_REF),
            "v1.RoleRef",
            "The ClusterRole that is granted. Cannot be changed.",
        )
        .required(),
    ],
    atomic: false,
};

/// One rule: which verbs on which resources or paths.
pub static POLICY_RULE: Message = Message {
    name: "PolicyRule",
    component: "io.k8s.api.rbac.v1.PolicyRule",
    description: "One rule: which verbs are allowed on which resources, or on which paths.",
    fields: &[
        Field::new(
            "verbs",
            1,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Verbs such as get, list or create; * is all of them.",
        )
        .required(),
        Field::new(
            "apiGroups",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "API groups of the resources. Empty text is the core group, * is all groups.",
        ),
        Field::new(
            "resources",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Resources, as secrets, or serviceaccounts/token for a subresource; * is all, */status that subresource of all.",
        ),
        Field::new(
            "resourceNames",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of the objects to which the rule is limited. Without any, it is for all of them.",
        ),
        Field::new(
            "nonResourceURLs",
            5,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Paths that are no resources, such as /metrics; a * at the end stands for anything. Only in a ClusterRole that a ClusterRoleBinding grants.",
        ),
    ],
    atomic: false,
};

/// Chooses the cluster roles whose rules are put together.
pub static AGGREGATION_RULE: Message = Message {
    name: "AggregationRule",
    component: "io.k8s.api.rbac.v1.AggregationRule",
    description: "Chooses the cluster roles whose rules are put together.",
    fields: &[Field::new(
        "clusterRoleSelectors",
        1,
        Type::Messages(&LABEL_SELECTOR, ListKind::Atomic),
        "[]v1.LabelSelector",
        "Selectors over the labels of cluster roles. The rules of every cluster role that any of them selects are included.",
    )],
    atomic: false,
};

/// Who a binding is about: a user, a group or a service account.
pub static SUBJECT: Message = Message {
    name: "Subject",
    component: "io.k8s.api.rbac.v1.Subject",
    description: "Who a binding is about: a user, a group or a service account.",
    fields: &[
        Field::new("kind", 1, Type::String, "string", "One of User, Group and ServiceAccount.").required(),
        Field::new(
            "apiGroup",
            2,
            Type::String,
            "string",
            "API group of the subject: rbac.authorization.k8s.io for a User or Group, empty for a ServiceAccount. These are the defaults.",
        ),
        Field::new("name", 3, Type::String, "string", "Name of the subject.").required(),
        Field::new("namespace", 4, Type::String, "string", "Namespace of a ServiceAccount; a User or Group has none."),
    ],
    atomic: true,
};

/// The role that a binding grants.
pub static ROLE_REF: Message = Message {
    name: "RoleRef",
    component: "io.k8s.api.rbac.v1.RoleRef",
    description: "Names the role that a binding grants.",
    fields: &[
        Field::new("apiGroup", 1, Type::String, "string", "API group of the role: rbac.authorization.k8s.io.")
            .required(),
        Field::new("kind", 2, Type::String, "string", "Role or ClusterRole.").required(),
        Field::new("name", 3, Type::String, "string", "Name of the role.").required(),
    ],
    atomic: true,
};
