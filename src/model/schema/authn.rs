//! `authentication.k8s.io/v1`: who somebody is.

use super::{Field, ListKind, METADATA, Message, Type};

/// Asks who a token belongs to.
pub static TOKEN_REVIEW: Message = Message {
    name: "TokenReview",
    component: "io.k8s.api.authentication.v1.TokenReview",
    description: "Asks who a token belongs to. The answer comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&TOKEN_REVIEW_SPEC),
            "v1.TokenReviewSpec",
            "The token that is asked about.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&TOKEN_REVIEW_STATUS),
            "v1.TokenReviewStatus",
            "The answer, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// A token and for whom it is meant.
pub static TOKEN_REVIEW_SPEC: Message = Message {
    name: "TokenReviewSpec",
    component: "io.k8s.api.authentication.v1.TokenReviewSpec",
    description: "A token, and for whom it is meant.",
    fields: &[
        Field::new("token", 1, Type::String, "string", "The bearer token."),
        Field::new(
            "audiences",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Audiences that the asker stands for; the token must be meant for one of them. Without any, this server is the audience.",
        ),
    ],
    atomic: false,
};

/// Who a token belongs to.
pub static TOKEN_REVIEW_STATUS: Message = Message {
    name: "TokenReviewStatus",
    component: "io.k8s.api.authentication.v1.TokenReviewStatus",
    description: "Who a token belongs to.",
    fields: &[
        Field::new("authenticated", 1, Type::Bool, "bool", "Whether the token is valid and belongs to a known user."),
        Field::new("user", 2, Type::Message(&USER_INFO), "v1.UserInfo", "The user to whom the token belongs."),
        Field::new(
            "audiences",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Those of the audiences asked for that the token is meant for.",
        ),
        Field::new("error", 3, Type::String, "string", "Why the token could not be accepted."),
    ],
    atomic: false,
};

/// What is known of a user.
pub static USER_INFO: Message = Message {
    name: "UserInfo",
    component: "io.k8s.api.authentication.v1.UserInfo",
    description: "What is known of a user.",
    fields: &[
        Field::new("username", 1, Type::String, "string", "Name of the user."),
        Field::new(
            "uid",
            2,
            Type::String,
            "string",
            "Identity of the user in time: another user who later gets the same name has another uid.",
        ),
        Field::new("groups", 3, Type::Strings(ListKind::Atomic), "[]string", "Groups that the user belongs to."),
        Field::new(
            "extra",
            4,
            Type::MapOfStrings,
            "map[string]v1.ExtraValue",
            "What else the authenticator knows of the user.",
        ),
    ],
    atomic: false,
};

/// Asks who the caller is.
pub static SELF_SUBJECT_REVIEW: Message = Message {
    name: "SelfSubjectReview",
    component: "io.k8s.api.authentication.v1.SelfSubjectReview",
    description: "Asks who the caller is. The answer comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "status",
            2,
            Type::Message(&SELF_SUBJECT_REVIEW_STATUS),
            "v1.SelfSubjectReviewStatus",
            "The answer, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Who the caller is.
pub static SELF_SUBJECT_REVIEW_STATUS: Message = Message {
    name: "SelfSubjectReviewStatus",
    component: "io.k8s.api.authentication.v1.SelfSubjectReviewStatus",
    description: "Who the caller is.",
    fields: &[Field::new(
        "userInfo",
        1,
        Type::Message(&USER_INFO),
        "v1.UserInfo",
        "The caller; under impersonation, the user that is impersonated.",
    )],
    atomic: false,
};

/// Asks for a token of a service account.
pub static TOKEN_REQUEST: Message = Message {
    name: "TokenRequest",
    component: "io.k8s.api.authentication.v1.TokenRequest",
    description: "Asks for a token of a service account, through its token subresource. The token comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&TOKEN_REQUEST_SPEC),
            "v1.TokenRequestSpec",
            "What kind of token is asked for.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&TOKEN_REQUEST_STATUS),
            "v1.TokenRequestStatus",
            "The token, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What kind of token is asked for.
pub static TOKEN_REQUEST_SPEC: Message = Message {
    name: "TokenRequestSpec",
    component: "io.k8s.api.authentication.v1.TokenRequestSpec",
    description: "What kind of token is asked for.",
    fields: &[
        Field::new(
            "audiences",
            1,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "For whom the token is meant. Whoever is given the token should refuse it when not named here; this server by default.",
        )
        .required(),
        Field::new(
            "expirationSeconds",
            4,
            Type::Int64,
            "int64",
            "Seconds for which the token should be valid, at least 600; one hour by default. The server may give less.",
        )
        .pointer(),
        Field::new(
            "boundObjectRef",
            3,
            Type::Message(&BOUND_OBJECT_REFERENCE),
            "v1.BoundObjectReference",
            "An object of the same namespace to which the token is bound: when that is deleted, the token is no longer valid.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// A token and its end.
pub static TOKEN_REQUEST_STATUS: Message = Message {
    name: "TokenRequestStatus",
    component: "io.k8s.api.authentication.v1.TokenRequestStatus",
    description: "A token, and when it ends.",
    fields: &[
        Field::new("token", 1, Type::String, "string", "The bearer token.").required(),
        Field::new("expirationTimestamp", 2, Type::Time, "v1.Time", "When the token stops being valid.").required(),
    ],
    atomic: false,
};

/// The object to which a token is bound.
pub static BOUND_OBJECT_REFERENCE: Message = Message {
    name: "BoundObjectReference",
    component: "io.k8s.api.authentication.v1.BoundObjectReference",
    description: "Names the object to which a token is bound.",
    fields: &[
        Field::new("kind", 1, Type::String, "string", "Kind of the object, such as Secret."),
        Field::new("apiVersion", 2, Type::String, "string", "API group and version of the object."),
        Field::new("name", 3, Type::String, "string", "Name of the object."),
        Field::new(
            "uid",
            4,
            Type::String,
            "types.UID",
            "Uid of the object; when given, it must be the one that the object has.",
        ),
    ],
    atomic: false,
};
