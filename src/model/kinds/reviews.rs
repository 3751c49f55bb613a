//! What is answered and forgotten: reviews of tokens and of rights, and requests for tokens.

use super::{CREATE_ONLY, Kind};
use crate::model::schema;

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
/// [`super::KINDS`].
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
