//! The kinds of the core group.

use super::{Kind, STORED_VERBS, Subresource, Verb};
use crate::model::schema;

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

/// Event: what happened to an object. Kept for a limited time.
pub static EVENT: Kind = Kind {
    id: 11,
    group: "",
    version: "v1",
    api_version: "v1",
    kind: "Event",
    list_kind: "EventList",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    namespaced: true,
    stored: true,
    create_on_update: true,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[],
    message: &schema::EVENT,
};
