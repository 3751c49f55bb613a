//! `strongroom.dev/v1alpha1`: Secrets as files of other formats.

use super::{Field, LABEL_SELECTOR, ListKind, METADATA, Message, Type};

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
