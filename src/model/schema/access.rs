//! `strongroom.dev/v1alpha1`: who may do what, and why.

use super::{
    Field, ListKind, METADATA, Message, NON_RESOURCE_ATTRIBUTES, POLICY_RULE, RESOURCE_ATTRIBUTES, SUBJECT, Type,
    USER_INFO,
};

/// Explains a decision.
pub static ACCESS_EXPLANATION: Message = Message {
    name: "AccessExplanation",
    component: "dev.strongroom.v1alpha1.AccessExplanation",
    description: "Explains why somebody may do something, or what is missing. The answer comes back in status; nothing is stored. Only for callers who may list the RBAC objects concerned.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&ACCESS_EXPLANATION_SPEC),
            "v1alpha1.AccessExplanationSpec",
            "Who wants to do what.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&ACCESS_EXPLANATION_STATUS),
            "v1alpha1.AccessExplanationStatus",
            "The explanation, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Who wants to do what.
pub static ACCESS_EXPLANATION_SPEC: Message = Message {
    name: "AccessExplanationSpec",
    component: "dev.strongroom.v1alpha1.AccessExplanationSpec",
    description: "Who wants to do what.",
    fields: &[
        Field::new(
            "user",
            1,
            Type::String,
            "string",
            "Who is asked about; the caller when neither user nor groups are given. Groups of a User object or of a service account need not be given.",
        ),
        Field::new("groups", 2, Type::Strings(ListKind::Atomic), "[]string", "Groups to assume besides."),
        Field::new(
            "resourceAttributes",
            3,
            Type::Message(&RESOURCE_ATTRIBUTES),
            "v1.ResourceAttributes",
            "What is to be done to which resource.",
        )
        .pointer(),
        Field::new(
            "nonResourceAttributes",
            4,
            Type::Message(&NON_RESOURCE_ATTRIBUTES),
            "v1.NonResourceAttributes",
            "What is to be done with which path.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Why, or what is missing.
pub static ACCESS_EXPLANATION_STATUS: Message = Message {
    name: "AccessExplanationStatus",
    component: "dev.strongroom.v1alpha1.AccessExplanationStatus",
    description: "Why a request is allowed, or what is missing.",
    fields: &[
        Field::new("allowed", 1, Type::Bool, "bool", "Whether the request is allowed.").required(),
        Field::new("reason", 2, Type::String, "string", "Which binding and role allow it, in Kubernetes' words."),
        Field::new("missing", 3, Type::String, "string", "What is missing, in a sentence."),
        Field::new(
            "user",
            4,
            Type::Message(&USER_INFO),
            "v1.UserInfo",
            "Who was judged, with every group that counted.",
        ),
        Field::new(
            "considered",
            5,
            Type::Messages(&CONSIDERED_GRANT, ListKind::Atomic),
            "[]v1alpha1.ConsideredGrant",
            "The bindings that were looked at, the one that allows first.",
        ),
        Field::new(
            "suggestion",
            6,
            Type::String,
            "string",
            "The smallest role and binding that would allow it, as a YAML manifest.",
        ),
    ],
    atomic: false,
};

/// A binding that was looked at.
pub static CONSIDERED_GRANT: Message = Message {
    name: "ConsideredGrant",
    component: "dev.strongroom.v1alpha1.ConsideredGrant",
    description: "A binding that was looked at, with the rules of its role.",
    fields: &[
        Field::new("binding", 1, Type::Message(&GRANT_REFERENCE), "v1alpha1.GrantReference", "The binding."),
        Field::new("role", 2, Type::Message(&GRANT_REFERENCE), "v1alpha1.GrantReference", "The role it refers to."),
        Field::new(
            "subject",
            3,
            Type::Message(&SUBJECT),
            "v1.Subject",
            "The subject of the binding that the user is; absent where none is.",
        )
        .pointer(),
        Field::new(
            "outcome",
            4,
            Type::String,
            "string",
            "Allowed, NoRuleMatches, OtherSubjects, OtherNamespace, NotBound or RoleNotFound.",
        ),
        Field::new(
            "rules",
            5,
            Type::Messages(&CONSIDERED_RULE, ListKind::Atomic),
            "[]v1alpha1.ConsideredRule",
            "The rules of the role.",
        ),
    ],
    atomic: false,
};

/// A rule that was looked at.
pub static CONSIDERED_RULE: Message = Message {
    name: "ConsideredRule",
    component: "dev.strongroom.v1alpha1.ConsideredRule",
    description: "A rule that was looked at.",
    fields: &[
        Field::new("rule", 1, Type::Message(&POLICY_RULE), "v1.PolicyRule", "The rule."),
        Field::new("matches", 2, Type::Bool, "bool", "Whether it covers the request."),
        Field::new("mismatch", 3, Type::String, "string", "What of the request it does not cover."),
    ],
    atomic: false,
};

/// A role or a binding.
pub static GRANT_REFERENCE: Message = Message {
    name: "GrantReference",
    component: "dev.strongroom.v1alpha1.GrantReference",
    description: "A role or a binding.",
    fields: &[
        Field::new("kind", 1, Type::String, "string", "Role, ClusterRole, RoleBinding or ClusterRoleBinding."),
        Field::new("namespace", 2, Type::String, "string", "Its namespace, where it lies in one."),
        Field::new("name", 3, Type::String, "string", "Its name."),
    ],
    atomic: false,
};

/// Asks who may do something.
pub static RESOURCE_ACCESS_REVIEW: Message = Message {
    name: "ResourceAccessReview",
    component: "dev.strongroom.v1alpha1.ResourceAccessReview",
    description: "Asks who may do something. The answer comes back in status; nothing is stored. Only for callers who may list the RBAC objects concerned.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&RESOURCE_ACCESS_REVIEW_SPEC),
            "v1alpha1.ResourceAccessReviewSpec",
            "What is to be done.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&RESOURCE_ACCESS_REVIEW_STATUS),
            "v1alpha1.ResourceAccessReviewStatus",
            "Who may, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What is to be done.
pub static RESOURCE_ACCESS_REVIEW_SPEC: Message = Message {
    name: "ResourceAccessReviewSpec",
    component: "dev.strongroom.v1alpha1.ResourceAccessReviewSpec",
    description: "What is to be done.",
    fields: &[
        Field::new(
            "resourceAttributes",
            1,
            Type::Message(&RESOURCE_ATTRIBUTES),
            "v1.ResourceAttributes",
            "What is to be done to which resource.",
        )
        .pointer(),
        Field::new(
            "nonResourceAttributes",
            2,
            Type::Message(&NON_RESOURCE_ATTRIBUTES),
            "v1.NonResourceAttributes",
            "What is to be done with which path.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Who may do something.
pub static RESOURCE_ACCESS_REVIEW_STATUS: Message = Message {
    name: "ResourceAccessReviewStatus",
    component: "dev.strongroom.v1alpha1.ResourceAccessReviewStatus",
    description: "Who may do something.",
    fields: &[Field::new(
        "holders",
        1,
        Type::Messages(&HOLDER, ListKind::Atomic),
        "[]v1alpha1.Holder",
        "Every subject that may, once for each binding by which it may.",
    )
    .required()],
    atomic: false,
};

/// A subject that may.
pub static HOLDER: Message = Message {
    name: "Holder",
    component: "dev.strongroom.v1alpha1.Holder",
    description: "A subject that may do something, and by what.",
    fields: &[
        Field::new("subject", 1, Type::Message(&SUBJECT), "v1.Subject", "The user, group or service account."),
        Field::new(
            "binding",
            2,
            Type::Message(&GRANT_REFERENCE),
            "v1alpha1.GrantReference",
            "The binding; absent for the group that may do everything.",
        )
        .pointer(),
        Field::new("role", 3, Type::Message(&GRANT_REFERENCE), "v1alpha1.GrantReference", "The role.").pointer(),
        Field::new("rule", 4, Type::Message(&POLICY_RULE), "v1.PolicyRule", "The rule.").pointer(),
    ],
    atomic: false,
};

/// Asks which grants are unused.
pub static GRANT_USAGE_REVIEW: Message = Message {
    name: "GrantUsageReview",
    component: "dev.strongroom.v1alpha1.GrantUsageReview",
    description: "Asks which grants the audit log never saw used. The answer comes back in status; nothing is stored. Only for callers who may list the RBAC objects of all namespaces and get /strongroom/v1/audit, as ClusterRole system:strongroom:auditor lets them.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&GRANT_USAGE_REVIEW_SPEC),
            "v1alpha1.GrantUsageReviewSpec",
            "How far to look back.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&GRANT_USAGE_REVIEW_STATUS),
            "v1alpha1.GrantUsageReviewStatus",
            "The unused grants, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// How far to look back.
pub static GRANT_USAGE_REVIEW_SPEC: Message = Message {
    name: "GrantUsageReviewSpec",
    component: "dev.strongroom.v1alpha1.GrantUsageReviewSpec",
    description: "How far to look back.",
    fields: &[
        Field::new("sinceSeconds", 1, Type::Int64, "int64", "Seconds to look back; ninety days by default.").pointer()
    ],
    atomic: false,
};

/// Grants that were not used.
pub static GRANT_USAGE_REVIEW_STATUS: Message = Message {
    name: "GrantUsageReviewStatus",
    component: "dev.strongroom.v1alpha1.GrantUsageReviewStatus",
    description: "Grants that were not used.",
    fields: &[
        Field::new("since", 1, Type::Time, "v1.Time", "From when on requests were looked at.").required(),
        Field::new(
            "observedFrom",
            2,
            Type::Time,
            "v1.Time",
            "The oldest request that the audit log still has; later than since where it does not reach back so far.",
        )
        .pointer(),
        Field::new("requests", 3, Type::Int64, "int64", "How many requests were looked at.").required(),
        Field::new(
            "unused",
            4,
            Type::Messages(&UNUSED_GRANT, ListKind::Atomic),
            "[]v1alpha1.UnusedGrant",
            "Every rule of every binding, by subject, that allowed none of them.",
        )
        .required(),
    ],
    atomic: false,
};

/// A grant that was not used.
pub static UNUSED_GRANT: Message = Message {
    name: "UnusedGrant",
    component: "dev.strongroom.v1alpha1.UnusedGrant",
    description: "A rule that a binding grants to a subject and that allowed nothing that was asked.",
    fields: &[
        Field::new("subject", 1, Type::Message(&SUBJECT), "v1.Subject", "The user, group or service account."),
        Field::new(
            "binding",
            2,
            Type::Message(&GRANT_REFERENCE),
            "v1alpha1.GrantReference",
            "The binding; absent for the group that may do everything.",
        )
        .pointer(),
        Field::new("role", 3, Type::Message(&GRANT_REFERENCE), "v1alpha1.GrantReference", "The role.").pointer(),
        Field::new("rule", 4, Type::Message(&POLICY_RULE), "v1.PolicyRule", "The rule.").pointer(),
        Field::new("bootstrap", 5, Type::Bool, "bool", "Whether the server made the binding at a start."),
    ],
    atomic: false,
};
