//! `authorization.k8s.io/v1`: who may do what.

use super::{FIELD_SELECTOR_REQUIREMENT, Field, LABEL_SELECTOR_REQUIREMENT, ListKind, METADATA, Message, Type};

const ACCESS_STATUS: Field = Field::new(
    "status",
    3,
    Type::Message(&SUBJECT_ACCESS_REVIEW_STATUS),
    "v1.SubjectAccessReviewStatus",
    "The answer, filled in by the server.",
);

const RESOURCE_ATTRIBUTES_FIELD: Field = Field::new(
    "resourceAttributes",
    1,
    Type::Message(&RESOURCE_ATTRIBUTES),
    "v1.ResourceAttributes",
    "The request for a resource that is asked about. Give either this or nonResourceAttributes.",
)
.pointer();

const NON_RESOURCE_ATTRIBUTES_FIELD: Field = Field::new(
    "nonResourceAttributes",
    2,
    Type::Message(&NON_RESOURCE_ATTRIBUTES),
    "v1.NonResourceAttributes",
    "The request for a path that is asked about. Give either this or resourceAttributes.",
)
.pointer();

/// Asks whether the caller may do something.
pub static SELF_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SelfSubjectAccessReview",
    component: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    description: "Asks whether the caller may do something. The answer comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SELF_SUBJECT_ACCESS_REVIEW_SPEC),
            "v1.SelfSubjectAccessReviewSpec",
            "The request that is asked about.",
        )
        .required(),
        ACCESS_STATUS,
    ],
    atomic: false,
};

/// Asks whether a user may do something.
pub static SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SubjectAccessReview",
    component: "io.k8s.api.authorization.v1.SubjectAccessReview",
    description: "Asks whether a user may do something. The answer comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
            "v1.SubjectAccessReviewSpec",
            "The user and the request that are asked about.",
        )
        .required(),
        ACCESS_STATUS,
    ],
    atomic: false,
};

/// Asks whether a user may do something in one namespace.
pub static LOCAL_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "LocalSubjectAccessReview",
    component: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    description: "Asks whether a user may do something in one namespace, so that the right to ask can be granted for that namespace alone.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
            "v1.SubjectAccessReviewSpec",
            "The user and the request that are asked about. Its namespace must be the one in the URL.",
        )
        .required(),
        ACCESS_STATUS,
    ],
    atomic: false,
};

/// Asks which rules apply to the caller in a namespace.
pub static SELF_SUBJECT_RULES_REVIEW: Message = Message {
    name: "SelfSubjectRulesReview",
    component: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    description: "Asks which rules apply to the caller in a namespace, to show or hide what can be done. To decide, ask a SelfSubjectAccessReview.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SELF_SUBJECT_RULES_REVIEW_SPEC),
            "v1.SelfSubjectRulesReviewSpec",
            "The namespace that is asked about.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SUBJECT_RULES_REVIEW_STATUS),
            "v1.SubjectRulesReviewStatus",
            "The answer, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What is asked about the caller.
pub static SELF_SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectAccessReviewSpec",
    component: "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec",
    description: "The request that is asked about: one for a resource or one for a path.",
    fields: &[RESOURCE_ATTRIBUTES_FIELD, NON_RESOURCE_ATTRIBUTES_FIELD],
    atomic: false,
};

/// What is asked about a user.
pub static SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SubjectAccessReviewSpec",
    component: "io.k8s.api.authorization.v1.SubjectAccessReviewSpec",
    description: "A user, and the request that is asked about: one for a resource or one for a path.",
    fields: &[
        RESOURCE_ATTRIBUTES_FIELD,
        NON_RESOURCE_ATTRIBUTES_FIELD,
        Field::new(
            "user",
            3,
            Type::String,
            "string",
            "Name of the user. Without it, the question is about the groups alone.",
        ),
        Field::new(
            "groups",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Groups of the user; none is added to those given.",
        ),
        Field::new(
            "extra",
            5,
            Type::MapOfStrings,
            "map[string]v1.ExtraValue",
            "What else an authenticator would know of the user.",
        ),
        Field::new("uid", 6, Type::String, "string", "Uid of the user."),
    ],
    atomic: false,
};

/// Where the rules are asked for.
pub static SELF_SUBJECT_RULES_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectRulesReviewSpec",
    component: "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec",
    description: "The namespace whose rules are asked for.",
    fields: &[Field::new("namespace", 1, Type::String, "string", "The namespace; it must be given.")],
    atomic: false,
};

/// A request for a resource.
pub static RESOURCE_ATTRIBUTES: Message = Message {
    name: "ResourceAttributes",
    component: "io.k8s.api.authorization.v1.ResourceAttributes",
    description: "A request for a resource.",
    fields: &[
        Field::new(
            "namespace",
            1,
            Type::String,
            "string",
            "Namespace of the request. Empty is all namespaces, or none for a kind that has none.",
        ),
        Field::new("verb", 2, Type::String, "string", "Verb, such as get, list or create; * is all."),
        Field::new("group", 3, Type::String, "string", "API group of the resource; * is all."),
        Field::new("version", 4, Type::String, "string", "API version of the resource; * is all."),
        Field::new("resource", 5, Type::String, "string", "The resource, such as secrets; * is all."),
        Field::new("subresource", 6, Type::String, "string", "The subresource, if the request is for one."),
        Field::new("name", 7, Type::String, "string", "Name of the object of a get or delete; empty is all."),
        Field::new(
            "fieldSelector",
            8,
            Type::Message(&FIELD_SELECTOR_ATTRIBUTES),
            "v1.FieldSelectorAttributes",
            "Field selector by which the request is narrowed.",
        )
        .pointer(),
        Field::new(
            "labelSelector",
            9,
            Type::Message(&LABEL_SELECTOR_ATTRIBUTES),
            "v1.LabelSelectorAttributes",
            "Label selector by which the request is narrowed.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// A field selector, raw or parsed.
pub static FIELD_SELECTOR_ATTRIBUTES: Message = Message {
    name: "FieldSelectorAttributes",
    component: "io.k8s.api.authorization.v1.FieldSelectorAttributes",
    description: "A field selector, as text or as requirements; not both.",
    fields: &[
        Field::new("rawSelector", 1, Type::String, "string", "The selector as it stands in the query."),
        Field::new(
            "requirements",
            2,
            Type::Messages(&FIELD_SELECTOR_REQUIREMENT, ListKind::Atomic),
            "[]v1.FieldSelectorRequirement",
            "The selector as requirements, which must all hold.",
        ),
    ],
    atomic: false,
};

/// A label selector, raw or parsed.
pub static LABEL_SELECTOR_ATTRIBUTES: Message = Message {
    name: "LabelSelectorAttributes",
    component: "io.k8s.api.authorization.v1.LabelSelectorAttributes",
    description: "A label selector, as text or as requirements; not both.",
    fields: &[
        Field::new("rawSelector", 1, Type::String, "string", "The selector as it stands in the query."),
        Field::new(
            "requirements",
            2,
            Type::Messages(&LABEL_SELECTOR_REQUIREMENT, ListKind::Atomic),
            "[]v1.LabelSelectorRequirement",
            "The selector as requirements, which must all hold.",
        ),
    ],
    atomic: false,
};

/// A request for a path.
pub static NON_RESOURCE_ATTRIBUTES: Message = Message {
    name: "NonResourceAttributes",
    component: "io.k8s.api.authorization.v1.NonResourceAttributes",
    description: "A request for a path that is no resource.",
    fields: &[
        Field::new("path", 1, Type::String, "string", "The path of the URL."),
        Field::new("verb", 2, Type::String, "string", "The HTTP method in lower case."),
    ],
    atomic: false,
};

/// Whether it is allowed.
pub static SUBJECT_ACCESS_REVIEW_STATUS: Message = Message {
    name: "SubjectAccessReviewStatus",
    component: "io.k8s.api.authorization.v1.SubjectAccessReviewStatus",
    description: "Whether the request would be allowed.",
    fields: &[
        Field::new("allowed", 1, Type::Bool, "bool", "Whether the request would be allowed.").required(),
        Field::new(
            "denied",
            4,
            Type::Bool,
            "bool",
            "Whether the request is denied outright, so that no other authorizer is asked. Never set together with allowed.",
        ),
        Field::new("reason", 2, Type::String, "string", "Why it is allowed or not."),
        Field::new(
            "evaluationError",
            3,
            Type::String,
            "string",
            "What went wrong while deciding, for example a binding to a role that does not exist. The decision may still be right.",
        ),
    ],
    atomic: false,
};

/// The rules that apply.
pub static SUBJECT_RULES_REVIEW_STATUS: Message = Message {
    name: "SubjectRulesReviewStatus",
    component: "io.k8s.api.authorization.v1.SubjectRulesReviewStatus",
    description: "The rules that apply to the caller in a namespace.",
    fields: &[
        Field::new(
            "resourceRules",
            1,
            Type::Messages(&RESOURCE_RULE, ListKind::Atomic),
            "[]v1.ResourceRule",
            "Rules for resources, in no particular order and perhaps repeated.",
        )
        .required(),
        Field::new(
            "nonResourceRules",
            2,
            Type::Messages(&NON_RESOURCE_RULE, ListKind::Atomic),
            "[]v1.NonResourceRule",
            "Rules for paths, in no particular order and perhaps repeated.",
        )
        .required(),
        Field::new("incomplete", 3, Type::Bool, "bool", "Whether rules may be missing.").required(),
        Field::new(
            "evaluationError",
            4,
            Type::String,
            "string",
            "What went wrong while collecting the rules; some may be missing.",
        ),
    ],
    atomic: false,
};

/// A rule for resources.
pub static RESOURCE_RULE: Message = Message {
    name: "ResourceRule",
    component: "io.k8s.api.authorization.v1.ResourceRule",
    description: "A rule that allows verbs on resources.",
    fields: &[
        Field::new("verbs", 1, Type::Strings(ListKind::Atomic), "[]string", "Verbs that are allowed; * is all.")
            .required(),
        Field::new(
            "apiGroups",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "API groups of the resources; * is all.",
        ),
        Field::new(
            "resources",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Resources, or resource/subresource; * is all.",
        ),
        Field::new(
            "resourceNames",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of the objects to which the rule is limited. Without any, it is for all of them.",
        ),
    ],
    atomic: false,
};

/// A rule for paths.
pub static NON_RESOURCE_RULE: Message = Message {
    name: "NonResourceRule",
    component: "io.k8s.api.authorization.v1.NonResourceRule",
    description: "A rule that allows HTTP methods on paths.",
    fields: &[
        Field::new(
            "verbs",
            1,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "HTTP methods in lower case that are allowed; * is all.",
        )
        .required(),
        Field::new(
            "nonResourceURLs",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Paths; a * as the last step stands for anything below.",
        ),
    ],
    atomic: false,
};
