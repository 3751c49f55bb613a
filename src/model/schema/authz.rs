//! `authorization.k8s.io/v1`: who may do what.

use super::{Field, LABEL_SELECTOR_REQUIREMENT, ListKind, Message, OBJECT_META, Type};

/// Asks whether the caller may do something.
pub static SELF_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SelfSubjectAccessReview",
    component: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    description: "Asks whether the caller may do something.",
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
            json: "spec",
            number: 2,
            ty: Type::Message(&SELF_SUBJECT_ACCESS_REVIEW_SPEC),
            go: "v1.SelfSubjectAccessReviewSpec",
            pointer: false,
            required: true,
            description: "What is asked.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&SUBJECT_ACCESS_REVIEW_STATUS),
            go: "v1.SubjectAccessReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// Asks whether a user may do something.
pub static SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SubjectAccessReview",
    component: "io.k8s.api.authorization.v1.SubjectAccessReview",
    description: "Asks whether a user may do something.",
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
            json: "spec",
            number: 2,
            ty: Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
            go: "v1.SubjectAccessReviewSpec",
            pointer: false,
            required: true,
            description: "What is asked.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&SUBJECT_ACCESS_REVIEW_STATUS),
            go: "v1.SubjectAccessReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// Asks whether a user may do something in one namespace.
pub static LOCAL_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "LocalSubjectAccessReview",
    component: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    description: "Asks whether a user may do something in one namespace.",
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
            json: "spec",
            number: 2,
            ty: Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
            go: "v1.SubjectAccessReviewSpec",
            pointer: false,
            required: true,
            description: "What is asked.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&SUBJECT_ACCESS_REVIEW_STATUS),
            go: "v1.SubjectAccessReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// Asks which rules apply to the caller in a namespace.
pub static SELF_SUBJECT_RULES_REVIEW: Message = Message {
    name: "SelfSubjectRulesReview",
    component: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    description: "Asks which rules apply to the caller in a namespace.",
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
            json: "spec",
            number: 2,
            ty: Type::Message(&SELF_SUBJECT_RULES_REVIEW_SPEC),
            go: "v1.SelfSubjectRulesReviewSpec",
            pointer: false,
            required: true,
            description: "What is asked.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&SUBJECT_RULES_REVIEW_STATUS),
            go: "v1.SubjectRulesReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// What is asked about the caller.
pub static SELF_SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectAccessReviewSpec",
    component: "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec",
    description: "What is asked about the caller.",
    fields: &[
        Field {
            json: "resourceAttributes",
            number: 1,
            ty: Type::Message(&RESOURCE_ATTRIBUTES),
            go: "v1.ResourceAttributes",
            pointer: true,
            required: false,
            description: "What is asked about a resource.",
        },
        Field {
            json: "nonResourceAttributes",
            number: 2,
            ty: Type::Message(&NON_RESOURCE_ATTRIBUTES),
            go: "v1.NonResourceAttributes",
            pointer: true,
            required: false,
            description: "What is asked about a path.",
        },
    ],
    atomic: false,
};

/// What is asked about a user.
pub static SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SubjectAccessReviewSpec",
    component: "io.k8s.api.authorization.v1.SubjectAccessReviewSpec",
    description: "What is asked about a user.",
    fields: &[
        Field {
            json: "resourceAttributes",
            number: 1,
            ty: Type::Message(&RESOURCE_ATTRIBUTES),
            go: "v1.ResourceAttributes",
            pointer: true,
            required: false,
            description: "What is asked about a resource.",
        },
        Field {
            json: "nonResourceAttributes",
            number: 2,
            ty: Type::Message(&NON_RESOURCE_ATTRIBUTES),
            go: "v1.NonResourceAttributes",
            pointer: true,
            required: false,
            description: "What is asked about a path.",
        },
        Field {
            json: "user",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Name of the user.",
        },
        Field {
            json: "groups",
            number: 4,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Groups of the user.",
        },
        Field {
            json: "extra",
            number: 5,
            ty: Type::MapOfStrings,
            go: "v1.ExtraValue",
            pointer: false,
            required: false,
            description: "What else the authenticator knows of the user.",
        },
        Field {
            json: "uid",
            number: 6,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Uid of the user.",
        },
    ],
    atomic: false,
};

/// Where the rules are asked for.
pub static SELF_SUBJECT_RULES_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectRulesReviewSpec",
    component: "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec",
    description: "Where the rules are asked for.",
    fields: &[Field {
        json: "namespace",
        number: 1,
        ty: Type::String,
        go: "string",
        pointer: false,
        required: false,
        description: "The namespace.",
    }],
    atomic: false,
};

/// A request for a resource.
pub static RESOURCE_ATTRIBUTES: Message = Message {
    name: "ResourceAttributes",
    component: "io.k8s.api.authorization.v1.ResourceAttributes",
    description: "A request for a resource.",
    fields: &[
        Field {
            json: "namespace",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Namespace; empty is all namespaces or cluster scope.",
        },
        Field {
            json: "verb",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Verb; * is all.",
        },
        Field {
            json: "group",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "API group; * is all.",
        },
        Field {
            json: "version",
            number: 4,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "API version; * is all.",
        },
        Field {
            json: "resource",
            number: 5,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Resource; * is all.",
        },
        Field {
            json: "subresource",
            number: 6,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Subresource.",
        },
        Field {
            json: "name",
            number: 7,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Name of the object; empty is all.",
        },
        Field {
            json: "fieldSelector",
            number: 8,
            ty: Type::Message(&FIELD_SELECTOR_ATTRIBUTES),
            go: "v1.FieldSelectorAttributes",
            pointer: true,
            required: false,
            description: "Field selector of the request.",
        },
        Field {
            json: "labelSelector",
            number: 9,
            ty: Type::Message(&LABEL_SELECTOR_ATTRIBUTES),
            go: "v1.LabelSelectorAttributes",
            pointer: true,
            required: false,
            description: "Label selector of the request.",
        },
    ],
    atomic: false,
};

/// A field selector, raw or parsed.
pub static FIELD_SELECTOR_ATTRIBUTES: Message = Message {
    name: "FieldSelectorAttributes",
    component: "io.k8s.api.authorization.v1.FieldSelectorAttributes",
    description: "A field selector, raw or parsed.",
    fields: &[
        Field {
            json: "rawSelector",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "The selector as text.",
        },
        Field {
            json: "requirements",
            number: 2,
            ty: Type::Messages(&FIELD_SELECTOR_REQUIREMENT, ListKind::Atomic),
            go: "[]v1.FieldSelectorRequirement",
            pointer: false,
            required: false,
            description: "The selector as requirements.",
        },
    ],
    atomic: false,
};

/// One requirement on a field.
pub static FIELD_SELECTOR_REQUIREMENT: Message = Message {
    name: "FieldSelectorRequirement",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
    description: "One requirement on a field.",
    fields: &[
        Field {
            json: "key",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: true,
            description: "The field.",
        },
        Field {
            json: "operator",
            number: 2,
            ty: Type::String,
            go: "v1.FieldSelectorOperator",
            pointer: false,
            required: true,
            description: "In, NotIn, Exists or DoesNotExist.",
        },
        Field {
            json: "values",
            number: 3,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Values for In and NotIn.",
        },
    ],
    atomic: false,
};

/// A label selector, raw or parsed.
pub static LABEL_SELECTOR_ATTRIBUTES: Message = Message {
    name: "LabelSelectorAttributes",
    component: "io.k8s.api.authorization.v1.LabelSelectorAttributes",
    description: "A label selector, raw or parsed.",
    fields: &[
        Field {
            json: "rawSelector",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "The selector as text.",
        },
        Field {
            json: "requirements",
            number: 2,
            ty: Type::Messages(&LABEL_SELECTOR_REQUIREMENT, ListKind::Atomic),
            go: "[]v1.LabelSelectorRequirement",
            pointer: false,
            required: false,
            description: "The selector as requirements.",
        },
    ],
    atomic: false,
};

/// A request for a path.
pub static NON_RESOURCE_ATTRIBUTES: Message = Message {
    name: "NonResourceAttributes",
    component: "io.k8s.api.authorization.v1.NonResourceAttributes",
    description: "A request for a path.",
    fields: &[
        Field {
            json: "path",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "The path.",
        },
        Field {
            json: "verb",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "The lower-cased method.",
        },
    ],
    atomic: false,
};

/// Whether it is allowed.
pub static SUBJECT_ACCESS_REVIEW_STATUS: Message = Message {
    name: "SubjectAccessReviewStatus",
    component: "io.k8s.api.authorization.v1.SubjectAccessReviewStatus",
    description: "Whether it is allowed.",
    fields: &[
        Field {
            json: "allowed",
            number: 1,
            ty: Type::Bool,
            go: "bool",
            pointer: false,
            required: true,
            description: "Whether it is allowed.",
        },
        Field {
            json: "denied",
            number: 4,
            ty: Type::Bool,
            go: "bool",
            pointer: false,
            required: false,
            description: "Whether it is denied for good.",
        },
        Field {
            json: "reason",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Why.",
        },
        Field {
            json: "evaluationError",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "What went wrong while deciding.",
        },
    ],
    atomic: false,
};

/// The rules that apply.
pub static SUBJECT_RULES_REVIEW_STATUS: Message = Message {
    name: "SubjectRulesReviewStatus",
    component: "io.k8s.api.authorization.v1.SubjectRulesReviewStatus",
    description: "The rules that apply.",
    fields: &[
        Field {
            json: "resourceRules",
            number: 1,
            ty: Type::Messages(&RESOURCE_RULE, ListKind::Atomic),
            go: "[]v1.ResourceRule",
            pointer: false,
            required: true,
            description: "Rules for resources.",
        },
        Field {
            json: "nonResourceRules",
            number: 2,
            ty: Type::Messages(&NON_RESOURCE_RULE, ListKind::Atomic),
            go: "[]v1.NonResourceRule",
            pointer: false,
            required: true,
            description: "Rules for paths.",
        },
        Field {
            json: "incomplete",
            number: 3,
            ty: Type::Bool,
            go: "bool",
            pointer: false,
            required: true,
            description: "Whether rules may be missing.",
        },
        Field {
            json: "evaluationError",
            number: 4,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Why rules may be missing.",
        },
    ],
    atomic: false,
};

/// A rule for resources.
pub static RESOURCE_RULE: Message = Message {
    name: "ResourceRule",
    component: "io.k8s.api.authorization.v1.ResourceRule",
    description: "A rule for resources.",
    fields: &[
        Field {
            json: "verbs",
            number: 1,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: true,
            description: "Verbs.",
        },
        Field {
            json: "apiGroups",
            number: 2,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "API groups.",
        },
        Field {
            json: "resources",
            number: 3,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Resources.",
        },
        Field {
            json: "resourceNames",
            number: 4,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Names.",
        },
    ],
    atomic: false,
};

/// A rule for paths.
pub static NON_RESOURCE_RULE: Message = Message {
    name: "NonResourceRule",
    component: "io.k8s.api.authorization.v1.NonResourceRule",
    description: "A rule for paths.",
    fields: &[
        Field {
            json: "verbs",
            number: 1,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: true,
            description: "Verbs.",
        },
        Field {
            json: "nonResourceURLs",
            number: 2,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Paths.",
        },
    ],
    atomic: false,
};
