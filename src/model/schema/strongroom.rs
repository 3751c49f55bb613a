//! `strongroom.dev/v1alpha1`: our own kinds.

use super::{
    Field, LABEL_SELECTOR, ListKind, METADATA, Message, NON_RESOURCE_ATTRIBUTES, POLICY_RULE, RESOURCE_ATTRIBUTES,
    SUBJECT, Type, USER_INFO,
};

/// Somebody who signs in.
pub static USER: Message = Message {
    name: "User",
    component: "dev.strongroom.v1alpha1.User",
    description: "Somebody who signs in with a password or a client certificate. Roles are granted to the name and to the groups.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&USER_SPEC), "v1alpha1.UserSpec", "What is wanted of the user."),
        Field::new(
            "status",
            3,
            Type::Message(&USER_STATUS),
            "v1alpha1.UserStatus",
            "What the server knows of the user; writes to it are ignored.",
        ),
    ],
    atomic: false,
};

/// What is wanted of a user.
pub static USER_SPEC: Message = Message {
    name: "UserSpec",
    component: "dev.strongroom.v1alpha1.UserSpec",
    description: "What is wanted of a user.",
    fields: &[
        Field::new(
            "groups",
            1,
            Type::Strings(ListKind::Set),
            "[]string",
            "Groups that the user belongs to. Adding one takes the permission to impersonate it. None may begin with system:.",
        ),
        Field::new(
            "disabled",
            2,
            Type::Bool,
            "bool",
            "Whether the user is shut out: signing in fails, and every token and certificate of the user is refused.",
        ),
    ],
    atomic: false,
};

/// What the server knows of a user.
pub static USER_STATUS: Message = Message {
    name: "UserStatus",
    component: "dev.strongroom.v1alpha1.UserStatus",
    description: "What the server knows of a user.",
    fields: &[Field::new(
        "passwordSetAt",
        1,
        Type::Time,
        "v1.Time",
        "When the password was last set; absent while there is none.",
    )
    .pointer()],
    atomic: false,
};

/// Sets a password.
pub static PASSWORD_REQUEST: Message = Message {
    name: "PasswordRequest",
    component: "dev.strongroom.v1alpha1.PasswordRequest",
    description: "Sets the password of a user, through its password subresource. The password is not sent back.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&PASSWORD_REQUEST_SPEC),
            "v1alpha1.PasswordRequestSpec",
            "The new password.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&USER_STATUS),
            "v1alpha1.UserStatus",
            "What the server knows of the user now.",
        ),
    ],
    atomic: false,
};

/// A new password.
pub static PASSWORD_REQUEST_SPEC: Message = Message {
    name: "PasswordRequestSpec",
    component: "dev.strongroom.v1alpha1.PasswordRequestSpec",
    description: "A new password.",
    fields: &[Field::new(
        "password",
        1,
        Type::String,
        "string",
        "The password: 12 to 1024 bytes of text, and none of those that everybody tries first.",
    )
    .required()],
    atomic: false,
};

/// Asks for a client certificate.
pub static CERTIFICATE_REQUEST: Message = Message {
    name: "CertificateRequest",
    component: "dev.strongroom.v1alpha1.CertificateRequest",
    description: "Asks for a client certificate of a user, through its certificate subresource. The certificate comes back in status; nothing is stored.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&CERTIFICATE_REQUEST_SPEC),
            "v1alpha1.CertificateRequestSpec",
            "For which key, and for how long.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&CERTIFICATE_REQUEST_STATUS),
            "v1alpha1.CertificateRequestStatus",
            "The certificate, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// For which key, and for how long.
pub static CERTIFICATE_REQUEST_SPEC: Message = Message {
    name: "CertificateRequestSpec",
    component: "dev.strongroom.v1alpha1.CertificateRequestSpec",
    description: "For which key a certificate is asked for, and for how long.",
    fields: &[
        Field::new(
            "request",
            1,
            Type::Bytes,
            "[]uint8",
            "A certificate signing request (PKCS #10) in PEM form. Of it the public key is taken and nothing else.",
        )
        .required(),
        Field::new(
            "expirationSeconds",
            2,
            Type::Int64,
            "int64",
            "Seconds for which the certificate should be valid: at least 600, at most a year; thirty days by default.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// A client certificate.
pub static CERTIFICATE_REQUEST_STATUS: Message = Message {
    name: "CertificateRequestStatus",
    component: "dev.strongroom.v1alpha1.CertificateRequestStatus",
    description: "A client certificate, and when it ends.",
    fields: &[
        Field::new("certificate", 1, Type::Bytes, "[]uint8", "The certificate in PEM form.").required(),
        Field::new("expirationTimestamp", 2, Type::Time, "v1.Time", "When the certificate stops being valid.")
            .required(),
        Field::new(
            "serialNumber",
            3,
            Type::String,
            "string",
            "The serial number of the certificate, in hexadecimal digits: by it the certificate can be revoked.",
        )
        .required(),
    ],
    atomic: false,
};

/// Revokes a client certificate.
pub static CERTIFICATE_REVOCATION: Message = Message {
    name: "CertificateRevocation",
    component: "dev.strongroom.v1alpha1.CertificateRevocation",
    description: "Revokes one client certificate that this server has signed for a user, through the user's certificaterevocation subresource. It is refused from the next request on, also on connections that are open.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&CERTIFICATE_REVOCATION_SPEC),
            "v1alpha1.CertificateRevocationSpec",
            "Which certificate.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&CERTIFICATE_REVOCATION_STATUS),
            "v1alpha1.CertificateRevocationStatus",
            "What is revoked, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Which certificate is to be revoked.
pub static CERTIFICATE_REVOCATION_SPEC: Message = Message {
    name: "CertificateRevocationSpec",
    component: "dev.strongroom.v1alpha1.CertificateRevocationSpec",
    description: "Which certificate is to be revoked.",
    fields: &[Field::new(
        "serialNumber",
        1,
        Type::String,
        "string",
        "The serial number of the certificate in hexadecimal digits, in either case, with or without colons. Whether there is such a certificate is not known to the server.",
    )
    .required()],
    atomic: false,
};

/// A revoked certificate.
pub static CERTIFICATE_REVOCATION_STATUS: Message = Message {
    name: "CertificateRevocationStatus",
    component: "dev.strongroom.v1alpha1.CertificateRevocationStatus",
    description: "A revoked certificate.",
    fields: &[
        Field::new("serialNumber", 1, Type::String, "string", "The serial number, as it is compared.").required(),
        Field::new(
            "rememberedUntil",
            2,
            Type::Time,
            "v1.Time",
            "When the revocation is forgotten: no certificate of before is valid then.",
        )
        .required(),
    ],
    atomic: false,
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

/// Renders Secrets.
pub static SECRET_EXPORT: Message = Message {
    name: "SecretExport",
    component: "dev.strongroom.v1alpha1.SecretExport",
    description: "Renders Secrets of a namespace as a file of another format. The file comes back in status; nothing is stored. The caller must be allowed to get each of the Secrets, and to list Secrets where they are selected by labels.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SECRET_EXPORT_SPEC),
            "v1alpha1.SecretExportSpec",
            "Which Secrets, and as what.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_EXPORT_STATUS),
            "v1alpha1.SecretExportStatus",
            "The file, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Which Secrets, and as what.
pub static SECRET_EXPORT_SPEC: Message = Message {
    name: "SecretExportSpec",
    component: "dev.strongroom.v1alpha1.SecretExportSpec",
    description: "Which Secrets are to be exported, by name or by their labels, and as what.",
    fields: &[
        Field::new(
            "names",
            1,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of the Secrets, in the order in which they are written.",
        ),
        Field::new(
            "selector",
            2,
            Type::Message(&LABEL_SELECTOR),
            "v1.LabelSelector",
            "Labels of the Secrets, instead of names; without a requirement all Secrets of the namespace.",
        )
        .pointer(),
        Field::new("format", 3, Type::String, "string", "What the file is.").required(),
        Field::new(
            "stringData",
            4,
            Type::Bool,
            "bool",
            "For yaml and json: values that are text stand under stringData as they are.",
        ),
        Field::new(
            "sealedSecret",
            5,
            Type::Message(&SEALED_SECRET_OPTIONS),
            "v1alpha1.SealedSecretOptions",
            "For sealedsecret: to whom it is sealed.",
        )
        .pointer(),
        Field::new(
            "sops",
            6,
            Type::Message(&SOPS_OPTIONS),
            "v1alpha1.SopsOptions",
            "For sops: to whom it is encrypted.",
        )
        .pointer(),
        Field::new(
            "externalStore",
            7,
            Type::Message(&EXTERNAL_STORE_OPTIONS),
            "v1alpha1.ExternalStoreOptions",
            "For external-secret: how the operator reaches this server.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// To whom a SOPS file is encrypted.
pub static SOPS_OPTIONS: Message = Message {
    name: "SopsOptions",
    component: "dev.strongroom.v1alpha1.SopsOptions",
    description: "To whom a SOPS file is encrypted.",
    fields: &[Field::new(
        "ageRecipients",
        1,
        Type::Strings(ListKind::Atomic),
        "[]string",
        "Recipients of age, age1…; each of them can decrypt.",
    )
    .required()],
    atomic: false,
};

/// How the External Secrets Operator reaches this server.
pub static EXTERNAL_STORE_OPTIONS: Message = Message {
    name: "ExternalStoreOptions",
    component: "dev.strongroom.v1alpha1.ExternalStoreOptions",
    description: "How the External Secrets Operator in a cluster reaches this server. A SecretStore that says so is part of the file.",
    fields: &[
        Field::new("url", 1, Type::String, "string", "The server as the cluster reaches it, https://….").required(),
        Field::new("authorities", 2, Type::String, "string", "The authorities of its certificate, PEM.").required(),
        Field::new(
            "name",
            3,
            Type::String,
            "string",
            "What the SecretStore is called; strongroom if nothing is given.",
        ),
        Field::new(
            "tokenSecret",
            4,
            Type::String,
            "string",
            "The Secret of the cluster that holds a token for this server under the key token; strongroom-token if nothing is given.",
        ),
    ],
    atomic: false,
};

/// To whom a SealedSecret is sealed.
pub static SEALED_SECRET_OPTIONS: Message = Message {
    name: "SealedSecretOptions",
    component: "dev.strongroom.v1alpha1.SealedSecretOptions",
    description: "To whom a SealedSecret is sealed, and where it can be unsealed.",
    fields: &[
        Field::new(
            "certificates",
            1,
            Type::String,
            "string",
            "Certificates of the sealed-secrets controller, PEM. The newest one that is valid is taken.",
        )
        .required(),
        Field::new(
            "scope",
            2,
            Type::String,
            "string",
            "Where it can be unsealed: strict, which is the default (under its name in its namespace), namespace-wide or cluster-wide.",
        ),
        Field::new("allowExpired", 3, Type::Bool, "bool", "Take a certificate that has expired."),
        Field::new(
            "previous",
            4,
            Type::String,
            "string",
            "An earlier file of such SealedSecrets. What is sealed in it to the same certificate and for the same place keeps its ciphertext, as long as the value is the same. At most 2 MiB, and not part of the answer.",
        ),
    ],
    atomic: false,
};

/// The file.
pub static SECRET_EXPORT_STATUS: Message = Message {
    name: "SecretExportStatus",
    component: "dev.strongroom.v1alpha1.SecretExportStatus",
    description: "A file that holds Secrets.",
    fields: &[
        Field::new("document", 1, Type::String, "string", "The file. It holds the values.").required(),
        Field::new(
            "secrets",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of the Secrets that are in it, in their order.",
        )
        .required(),
    ],
    atomic: false,
};
