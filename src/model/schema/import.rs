//! `strongroom.dev/v1alpha1`: several Secrets at once.

use super::{Field, ListKind, METADATA, Message, SECRET, Type};

/// Imports Secrets.
pub static SECRET_IMPORT: Message = Message {
    name: "SecretImport",
    component: "dev.strongroom.v1alpha1.SecretImport",
    description: "Writes several Secrets of a namespace, all of them in one transaction or none; with `partial`, all that can be written. The caller must be allowed to create Secrets, to get each of these, and to update them where they may be replaced. With dryRun=All it is only said what would be done.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&SECRET_IMPORT_SPEC), "v1alpha1.SecretImportSpec", "The Secrets.")
            .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_IMPORT_STATUS),
            "v1alpha1.SecretImportStatus",
            "What became of each, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// The Secrets.
pub static SECRET_IMPORT_SPEC: Message = Message {
    name: "SecretImportSpec",
    component: "dev.strongroom.v1alpha1.SecretImportSpec",
    description: "The Secrets to write.",
    fields: &[
        Field::new(
            "secrets",
            1,
            Type::Messages(&SECRET, ListKind::Atomic),
            "[]v1.Secret",
            "The Secrets; at most 1000, each once. They are not sent back.",
        )
        .required(),
        Field::new(
            "overwrite",
            2,
            Type::Bool,
            "bool",
            "Whether those that are there and differ are replaced: type, data, labels and annotations. Otherwise nothing is written where one is.",
        ),
        Field::new(
            "partial",
            3,
            Type::Bool,
            "bool",
            "Whether what can be written is written although others cannot: those are told with the outcome Refused. Otherwise all are written or none.",
        ),
        Field::new(
            "assumeNamespace",
            4,
            Type::Bool,
            "bool",
            "With dryRun=All only: what is told is what would be done once the namespace is made, if it is missing.",
        ),
    ],
    atomic: false,
};

/// What became of them.
pub static SECRET_IMPORT_STATUS: Message = Message {
    name: "SecretImportStatus",
    component: "dev.strongroom.v1alpha1.SecretImportStatus",
    description: "What became of the Secrets, or would.",
    fields: &[Field::new(
        "secrets",
        1,
        Type::Messages(&IMPORTED_SECRET, ListKind::Atomic),
        "[]v1alpha1.ImportedSecret",
        "Each, in the order of the request.",
    )
    .required()],
    atomic: false,
};

/// One of them.
pub static IMPORTED_SECRET: Message = Message {
    name: "ImportedSecret",
    component: "dev.strongroom.v1alpha1.ImportedSecret",
    description: "What became of one Secret, or would.",
    fields: &[
        Field::new("name", 1, Type::String, "string", "Its name.").required(),
        Field::new("outcome", 2, Type::String, "string", "Created, Replaced, Unchanged or, with `partial`, Refused.")
            .required(),
        Field::new(
            "keys",
            3,
            Type::Messages(&IMPORTED_KEY, ListKind::Atomic),
            "[]v1alpha1.ImportedKey",
            "The keys whose values differ from those that were there.",
        ),
        Field::new("message", 4, Type::String, "string", "Why it is refused."),
        Field::new(
            "warnings",
            5,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "What a create or an update of it alone would warn of.",
        ),
    ],
    atomic: false,
};

/// A key of one of them.
pub static IMPORTED_KEY: Message = Message {
    name: "ImportedKey",
    component: "dev.strongroom.v1alpha1.ImportedKey",
    description: "A key whose value differs.",
    fields: &[
        Field::new("key", 1, Type::String, "string", "The key.").required(),
        Field::new(
            "before",
            2,
            Type::Int64,
            "int64",
            "Length of the value that was there, in bytes; absent if there was none.",
        )
        .pointer(),
        Field::new(
            "after",
            3,
            Type::Int64,
            "int64",
            "Length of the value that comes, in bytes; absent if there is none.",
        )
        .pointer(),
    ],
    atomic: false,
};
