//! The kinds of our own group.

use super::{CREATE_ONLY, Kind, STORED_VERBS, Subresource, Verb};
use crate::model::schema;

/// The group of our own kinds.
pub const OWN_GROUP: &str = "strongroom.dev";
/// Its version.
pub const OWN_VERSION: &str = "v1alpha1";
/// Both.
pub const OWN_API_VERSION: &str = "strongroom.dev/v1alpha1";

const USER_SUBRESOURCES: &[Subresource] = &[
    Subresource { name: "certificate", group: "", version: "", kind: "CertificateRequest", verbs: &[Verb::Create] },
    Subresource {
        name: "certificaterevocation",
        group: "",
        version: "",
        kind: "CertificateRevocation",
        verbs: &[Verb::Create],
    },
    Subresource { name: "password", group: "", version: "", kind: "PasswordRequest", verbs: &[Verb::Create] },
];

/// User: somebody who signs in with a password or a client certificate.
pub static USER: Kind = Kind {
    id: 8,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "User",
    list_kind: "UserList",
    plural: "users",
    singular: "user",
    short_names: &[],
    namespaced: false,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: USER_SUBRESOURCES,
    message: &schema::USER,
};

/// AccessExplanation: why somebody may do something, or what is missing.
pub static ACCESS_EXPLANATION: Kind = Kind {
    id: 110,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "AccessExplanation",
    list_kind: "AccessExplanationList",
    plural: "accessexplanations",
    singular: "accessexplanation",
    message: &schema::ACCESS_EXPLANATION,
    ..CREATE_ONLY
};

/// ResourceAccessReview: who may do something.
pub static RESOURCE_ACCESS_REVIEW: Kind = Kind {
    id: 111,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "ResourceAccessReview",
    list_kind: "ResourceAccessReviewList",
    plural: "resourceaccessreviews",
    singular: "resourceaccessreview",
    message: &schema::RESOURCE_ACCESS_REVIEW,
    ..CREATE_ONLY
};

/// GrantUsageReview: which grants the audit log never saw used.
pub static GRANT_USAGE_REVIEW: Kind = Kind {
    id: 112,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "GrantUsageReview",
    list_kind: "GrantUsageReviewList",
    plural: "grantusagereviews",
    singular: "grantusagereview",
    message: &schema::GRANT_USAGE_REVIEW,
    ..CREATE_ONLY
};

/// PasswordRequest: what `users/password` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static PASSWORD_REQUEST: Kind = Kind {
    id: 113,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "PasswordRequest",
    list_kind: "PasswordRequestList",
    plural: "passwordrequests",
    singular: "passwordrequest",
    message: &schema::PASSWORD_REQUEST,
    ..CREATE_ONLY
};

/// CertificateRequest: what `users/certificate` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static CERTIFICATE_REQUEST: Kind = Kind {
    id: 114,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "CertificateRequest",
    list_kind: "CertificateRequestList",
    plural: "certificaterequests",
    singular: "certificaterequest",
    message: &schema::CERTIFICATE_REQUEST,
    ..CREATE_ONLY
};

/// CertificateRevocation: what `users/certificaterevocation` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of
/// its own.
pub static CERTIFICATE_REVOCATION: Kind = Kind {
    id: 115,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "CertificateRevocation",
    list_kind: "CertificateRevocationList",
    plural: "certificaterevocations",
    singular: "certificaterevocation",
    message: &schema::CERTIFICATE_REVOCATION,
    ..CREATE_ONLY
};

/// SecretExport: Secrets of a namespace as a file of another format.
pub static SECRET_EXPORT: Kind = Kind {
    id: 116,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretExport",
    list_kind: "SecretExportList",
    plural: "secretexports",
    singular: "secretexport",
    namespaced: true,
    message: &schema::SECRET_EXPORT,
    ..CREATE_ONLY
};

const STATUS_VERBS: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

/// Cluster: where Secrets can be sent.
pub static CLUSTER: Kind = Kind {
    id: 9,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "Cluster",
    list_kind: "ClusterList",
    plural: "clusters",
    singular: "cluster",
    short_names: &[],
    namespaced: false,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[Subresource { name: "status", group: "", version: "", kind: "Cluster", verbs: STATUS_VERBS }],
    message: &schema::CLUSTER,
};

/// SecretSync: which Secrets are kept in which clusters.
pub static SECRET_SYNC: Kind = Kind {
    id: 10,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretSync",
    list_kind: "SecretSyncList",
    plural: "secretsyncs",
    singular: "secretsync",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[
        Subresource { name: "render", group: "", version: "", kind: "SecretSyncRendering", verbs: &[Verb::Create] },
        Subresource { name: "status", group: "", version: "", kind: "SecretSync", verbs: STATUS_VERBS },
    ],
    message: &schema::SECRET_SYNC,
};

/// SecretSyncRendering: what `secretsyncs/render` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its
/// own.
pub static SECRET_SYNC_RENDERING: Kind = Kind {
    id: 118,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretSyncRendering",
    list_kind: "SecretSyncRenderingList",
    plural: "secretsyncrenderings",
    singular: "secretsyncrendering",
    namespaced: true,
    message: &schema::SECRET_SYNC_RENDERING,
    ..CREATE_ONLY
};

/// SecretImport: several Secrets at once, all or none.
pub static SECRET_IMPORT: Kind = Kind {
    id: 119,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretImport",
    list_kind: "SecretImportList",
    plural: "secretimports",
    singular: "secretimport",
    namespaced: true,
    message: &schema::SECRET_IMPORT,
    ..CREATE_ONLY
};

/// SecretScan: fingerprints of the values of a namespace.
pub static SECRET_SCAN: Kind = Kind {
    id: 117,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretScan",
    list_kind: "SecretScanList",
    plural: "secretscans",
    singular: "secretscan",
    namespaced: true,
    message: &schema::SECRET_SCAN,
    ..CREATE_ONLY
};

/// SecretRevision: a version of a Secret, the current one or a former one that is kept. There are no rows of this kind: what
/// there is of it are the rows of the Secret.
pub static SECRET_REVISION: Kind = Kind {
    id: 14,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "SecretRevision",
    list_kind: "SecretRevisionList",
    plural: "secretrevisions",
    singular: "secretrevision",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: &[Verb::Delete, Verb::DeleteCollection, Verb::Get, Verb::List],
    subresources: &[],
    message: &schema::SECRET_REVISION,
};

/// Certificate: a certificate that is issued into a Secret and renewed.
pub static CERTIFICATE: Kind = Kind {
    id: 12,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "Certificate",
    list_kind: "CertificateList",
    plural: "certificates",
    singular: "certificate",
    short_names: &["cert", "certs"],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[Subresource { name: "status", group: "", version: "", kind: "Certificate", verbs: STATUS_VERBS }],
    message: &schema::CERTIFICATE,
};

/// GeneratedSecret: values that are made at random into a Secret, and made anew.
pub static GENERATED_SECRET: Kind = Kind {
    id: 13,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "GeneratedSecret",
    list_kind: "GeneratedSecretList",
    plural: "generatedsecrets",
    singular: "generatedsecret",
    short_names: &[],
    namespaced: true,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[Subresource {
        name: "status",
        group: "",
        version: "",
        kind: "GeneratedSecret",
        verbs: STATUS_VERBS,
    }],
    message: &schema::GENERATED_SECRET,
};

/// KMSKey: a key with which a cluster's API server encrypts what it stores.
pub static KMS_KEY: Kind = Kind {
    id: 15,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "KMSKey",
    list_kind: "KMSKeyList",
    plural: "kmskeys",
    singular: "kmskey",
    short_names: &[],
    namespaced: false,
    stored: true,
    create_on_update: false,
    delete_returns_object: false,
    verbs: STORED_VERBS,
    subresources: &[
        Subresource { name: "decrypt", group: "", version: "", kind: "KMSDecryption", verbs: &[Verb::Create] },
        Subresource { name: "encrypt", group: "", version: "", kind: "KMSEncryption", verbs: &[Verb::Create] },
        Subresource { name: "retire", group: "", version: "", kind: "KMSKeyRetirement", verbs: &[Verb::Create] },
        Subresource { name: "rotate", group: "", version: "", kind: "KMSKeyRotation", verbs: &[Verb::Create] },
    ],
    message: &schema::KMS_KEY,
};

/// KMSKeyRotation: what `kmskeys/rotate` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static KMS_KEY_ROTATION: Kind = Kind {
    id: 120,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "KMSKeyRotation",
    list_kind: "KMSKeyRotationList",
    plural: "kmskeyrotations",
    singular: "kmskeyrotation",
    message: &schema::KMS_KEY_ROTATION,
    ..CREATE_ONLY
};

/// KMSKeyRetirement: what `kmskeys/retire` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static KMS_KEY_RETIREMENT: Kind = Kind {
    id: 121,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "KMSKeyRetirement",
    list_kind: "KMSKeyRetirementList",
    plural: "kmskeyretirements",
    singular: "kmskeyretirement",
    message: &schema::KMS_KEY_RETIREMENT,
    ..CREATE_ONLY
};

/// KMSEncryption: what `kmskeys/encrypt` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static KMS_ENCRYPTION: Kind = Kind {
    id: 122,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "KMSEncryption",
    list_kind: "KMSEncryptionList",
    plural: "kmsencryptions",
    singular: "kmsencryption",
    message: &schema::KMS_ENCRYPTION,
    ..CREATE_ONLY
};

/// KMSDecryption: what `kmskeys/decrypt` takes and returns. Like [`super::TOKEN_REQUEST`] it has no path of its own.
pub static KMS_DECRYPTION: Kind = Kind {
    id: 123,
    group: OWN_GROUP,
    version: OWN_VERSION,
    api_version: OWN_API_VERSION,
    kind: "KMSDecryption",
    list_kind: "KMSDecryptionList",
    plural: "kmsdecryptions",
    singular: "kmsdecryption",
    message: &schema::KMS_DECRYPTION,
    ..CREATE_ONLY
};
