//! `strongroom.dev/v1alpha1`: versions of Secrets.

use super::{Field, ListKind, METADATA, Message, Type};

/// A version of a Secret.
pub static SECRET_REVISION: Message = Message {
    name: "SecretRevision",
    component: "dev.strongroom.v1alpha1.SecretRevision",
    description: "A version of a Secret: the current one, or a former one that is kept. Its name is that of the Secret, the first eight digits of the Secret's uid and a number, with dots between them. Lists hold no values; a single one does for who may get the Secret too. Deleting one destroys that version for good. What is kept, and how long, the annotations strongroom.dev/history-limit and strongroom.dev/history-max-age of the Namespace say.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SECRET_REVISION_SPEC),
            "v1alpha1.SecretRevisionSpec",
            "Which version of which Secret.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_REVISION_STATUS),
            "v1alpha1.SecretRevisionStatus",
            "Who made it, what changed by it, and what became of it.",
        ),
        Field::new("type", 5, Type::String, "string", "The type of the Secret."),
        Field::new(
            "data",
            4,
            Type::MapOfBytes,
            "map[string][]uint8",
            "The values, base64 encoded. Absent in lists, and for who may not get the Secret.",
        ),
    ],
    atomic: false,
};

/// Which version of which Secret.
pub static SECRET_REVISION_SPEC: Message = Message {
    name: "SecretRevisionSpec",
    component: "dev.strongroom.v1alpha1.SecretRevisionSpec",
    description: "Which version of which Secret.",
    fields: &[
        Field::new("secretName", 1, Type::String, "string", "Name of the Secret.").required(),
        Field::new(
            "secretUID",
            2,
            Type::String,
            "types.UID",
            "Its uid; another Secret of the same name has another one.",
        )
        .required(),
        Field::new("revision", 3, Type::Int64, "int64", "Number of the version, from 1.").required(),
    ],
    atomic: false,
};

/// Who made a version, what changed by it, and what became of it.
pub static SECRET_REVISION_STATUS: Message = Message {
    name: "SecretRevisionStatus",
    component: "dev.strongroom.v1alpha1.SecretRevisionStatus",
    description: "Who made a version, what changed by it, and what became of it.",
    fields: &[
        Field::new("current", 1, Type::Bool, "bool", "Whether it is the Secret as it is now.").required(),
        Field::new("changedBy", 2, Type::String, "string", "Name of the user who made it, as far as it is known."),
        Field::new("keysAdded", 3, Type::Strings(ListKind::Atomic), "[]string", "Keys that were not there before."),
        Field::new(
            "keysChanged",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Keys whose value became another. Where the one who made the change may not get the Secret, all that may have.",
        ),
        Field::new("keysRemoved", 5, Type::Strings(ListKind::Atomic), "[]string", "Keys that went."),
        Field::new("metadataChanged", 6, Type::Bool, "bool", "Whether labels, annotations or immutable became others."),
        Field::new("supersededAt", 7, Type::Time, "v1.Time", "When the next one came, or the Secret went.").pointer(),
        Field::new("deleted", 8, Type::Bool, "bool", "Whether this Secret was deleted."),
        Field::new("deletedAt", 9, Type::Time, "v1.Time", "When it was.").pointer(),
        Field::new("deletedBy", 10, Type::String, "string", "By whom, as far as it is known."),
    ],
    atomic: false,
};
