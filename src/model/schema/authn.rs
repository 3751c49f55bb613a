//! `authentication.k8s.io/v1`: who somebody is.

use super::{Field, ListKind, Message, OBJECT_META, Type};

/// Asks who a token belongs to.
pub static TOKEN_REVIEW: Message = Message {
    name: "TokenReview",
    component: "io.k8s.api.authentication.v1.TokenReview",
    description: "Asks who a token belongs to.",
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
            ty: Type::Message(&TOKEN_REVIEW_SPEC),
            go: "v1.TokenReviewSpec",
            pointer: false,
            required: true,
            description: "The token.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&TOKEN_REVIEW_STATUS),
            go: "v1.TokenReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// A token and for whom it is meant.
pub static TOKEN_REVIEW_SPEC: Message = Message {
    name: "TokenReviewSpec",
    component: "io.k8s.api.authentication.v1.TokenReviewSpec",
    description: "A token and for whom it is meant.",
    fields: &[
        Field {
            json: "token",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "The opaque bearer token.",
        },
        Field {
            json: "audiences",
            number: 2,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Audiences that the asker stands for.",
        },
    ],
    atomic: false,
};

/// Who a token belongs to.
pub static TOKEN_REVIEW_STATUS: Message = Message {
    name: "TokenReviewStatus",
    component: "io.k8s.api.authentication.v1.TokenReviewStatus",
    description: "Who a token belongs to.",
    fields: &[
        Field {
            json: "authenticated",
            number: 1,
            ty: Type::Bool,
            go: "bool",
            pointer: false,
            required: false,
            description: "Whether the token is valid.",
        },
        Field {
            json: "user",
            number: 2,
            ty: Type::Message(&USER_INFO),
            go: "v1.UserInfo",
            pointer: false,
            required: false,
            description: "The user.",
        },
        Field {
            json: "audiences",
            number: 4,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Audiences for which it is valid.",
        },
        Field {
            json: "error",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Why it is not valid.",
        },
    ],
    atomic: false,
};

/// What is known of a user.
pub static USER_INFO: Message = Message {
    name: "UserInfo",
    component: "io.k8s.api.authentication.v1.UserInfo",
    description: "What is known of a user.",
    fields: &[
        Field {
            json: "username",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Name of the user.",
        },
        Field {
            json: "uid",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Uid of the user.",
        },
        Field {
            json: "groups",
            number: 3,
            ty: Type::Strings(ListKind::Atomic),
            go: "[]string",
            pointer: false,
            required: false,
            description: "Groups of the user.",
        },
        Field {
            json: "extra",
            number: 4,
            ty: Type::MapOfStrings,
            go: "v1.ExtraValue",
            pointer: false,
            required: false,
            description: "What else is known.",
        },
    ],
    atomic: false,
};

/// Asks who the caller is.
pub static SELF_SUBJECT_REVIEW: Message = Message {
    name: "SelfSubjectReview",
    component: "io.k8s.api.authentication.v1.SelfSubjectReview",
    description: "Asks who the caller is.",
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
            json: "status",
            number: 2,
            ty: Type::Message(&SELF_SUBJECT_REVIEW_STATUS),
            go: "v1.SelfSubjectReviewStatus",
            pointer: false,
            required: false,
            description: "The answer, filled in by the server.",
        },
    ],
    atomic: false,
};

/// Who the caller is.
pub static SELF_SUBJECT_REVIEW_STATUS: Message = Message {
    name: "SelfSubjectReviewStatus",
    component: "io.k8s.api.authentication.v1.SelfSubjectReviewStatus",
    description: "Who the caller is.",
    fields: &[Field {
        json: "userInfo",
        number: 1,
        ty: Type::Message(&USER_INFO),
        go: "v1.UserInfo",
        pointer: false,
        required: false,
        description: "The caller.",
    }],
    atomic: false,
};
