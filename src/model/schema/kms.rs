//! `strongroom.dev/v1alpha1`: keys that are lent to clusters.

use super::{Field, ListKind, METADATA, Message, OBSERVED_GENERATION, Type, conditions};

/// A key with which the API server of a cluster encrypts what it stores.
pub static KMS_KEY: Message = Message {
    name: "KMSKey",
    component: "dev.strongroom.v1alpha1.KMSKey",
    description: "A key with which the API server of a cluster encrypts what it stores. The key itself is in no answer: it encrypts and decrypts here.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&KMS_KEY_SPEC), "v1alpha1.KMSKeySpec", "What is wanted of the key."),
        Field::new(
            "status",
            3,
            Type::Message(&KMS_KEY_STATUS),
            "v1alpha1.KMSKeyStatus",
            "How it stands with the key; writes to it are ignored.",
        ),
    ],
    atomic: false,
};

/// What is wanted of a key.
pub static KMS_KEY_SPEC: Message = Message {
    name: "KMSKeySpec",
    component: "dev.strongroom.v1alpha1.KMSKeySpec",
    description: "What is wanted of a key.",
    fields: &[
        Field::new(
            "rotateAfter",
            1,
            Type::String,
            "string",
            "How old the current term may become before there is a new one, as Go writes a length of time: 2160h; 1h at least. Never if nothing is given.",
        ),
        Field::new(
            "allowDeletion",
            2,
            Type::Bool,
            "bool",
            "Whether the key may be deleted. What it encrypted can never be read again then.",
        ),
    ],
    atomic: false,
};

/// How it stands with a key.
pub static KMS_KEY_STATUS: Message = Message {
    name: "KMSKeyStatus",
    component: "dev.strongroom.v1alpha1.KMSKeyStatus",
    description: "How it stands with a key.",
    fields: &[
        OBSERVED_GENERATION,
        conditions("Ready: the key encrypts."),
        Field::new("currentKeyID", 3, Type::String, "string", "The key id of the term that encrypts now."),
        Field::new(
            "terms",
            4,
            Type::Messages(&KMS_KEY_TERM, ListKind::Map(&["keyID"])),
            "[]v1alpha1.KMSKeyTerm",
            "Its terms, oldest first.",
        ),
    ],
    atomic: false,
};

/// A term of a key.
pub static KMS_KEY_TERM: Message = Message {
    name: "KMSKeyTerm",
    component: "dev.strongroom.v1alpha1.KMSKeyTerm",
    description: "A term of a key. How often and when it was used is written down once a minute at most.",
    fields: &[
        Field::new("keyID", 1, Type::String, "string", "What clusters keep beside what it encrypted.").required(),
        Field::new("state", 2, Type::String, "string", "Current: it encrypts and decrypts. DecryptOnly: it decrypts.")
            .required(),
        Field::new("createdTime", 3, Type::Time, "v1.Time", "When it was made.").pointer(),
        Field::new("supersededTime", 4, Type::Time, "v1.Time", "When another one became the current one.").pointer(),
        Field::new("encryptions", 5, Type::Int64, "int64", "How often it has encrypted."),
        Field::new("decryptions", 6, Type::Int64, "int64", "How often it has decrypted."),
        Field::new("lastEncryptionTime", 7, Type::Time, "v1.Time", "When it last encrypted.").pointer(),
        Field::new("lastDecryptionTime", 8, Type::Time, "v1.Time", "When it last decrypted.").pointer(),
    ],
    atomic: false,
};

/// Makes a new term.
pub static KMS_KEY_ROTATION: Message = Message {
    name: "KMSKeyRotation",
    component: "dev.strongroom.v1alpha1.KMSKeyRotation",
    description: "Makes a new term of a key, through its rotate subresource. It encrypts from then on; former ones decrypt.",
    fields: &[
        METADATA,
        Field::new(
            "status",
            2,
            Type::Message(&KMS_KEY_ROTATION_STATUS),
            "v1alpha1.KMSKeyRotationStatus",
            "The new term, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What a rotation has made.
pub static KMS_KEY_ROTATION_STATUS: Message = Message {
    name: "KMSKeyRotationStatus",
    component: "dev.strongroom.v1alpha1.KMSKeyRotationStatus",
    description: "What a rotation has made.",
    fields: &[Field::new("currentKeyID", 1, Type::String, "string", "The key id of the term that encrypts now.")],
    atomic: false,
};

/// Destroys a former term.
pub static KMS_KEY_RETIREMENT: Message = Message {
    name: "KMSKeyRetirement",
    component: "dev.strongroom.v1alpha1.KMSKeyRetirement",
    description: "Destroys a former term of a key, through its retire subresource. What it encrypted can never be read again. Refused while the term is seen.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&KMS_KEY_RETIREMENT_SPEC), "v1alpha1.KMSKeyRetirementSpec", "Which term.")
            .required(),
        Field::new(
            "status",
            3,
            Type::Message(&KMS_KEY_RETIREMENT_STATUS),
            "v1alpha1.KMSKeyRetirementStatus",
            "What is left, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Which term is destroyed.
pub static KMS_KEY_RETIREMENT_SPEC: Message = Message {
    name: "KMSKeyRetirementSpec",
    component: "dev.strongroom.v1alpha1.KMSKeyRetirementSpec",
    description: "Which term is destroyed.",
    fields: &[
        Field::new("keyID", 1, Type::String, "string", "Its key id.").required(),
        Field::new(
            "unseenFor",
            2,
            Type::String,
            "string",
            "For how long it must have been neither current nor used, as Go writes a length of time: 49h if nothing is given; 1m at least.",
        ),
    ],
    atomic: false,
};

/// What is left of a key.
pub static KMS_KEY_RETIREMENT_STATUS: Message = Message {
    name: "KMSKeyRetirementStatus",
    component: "dev.strongroom.v1alpha1.KMSKeyRetirementStatus",
    description: "What is left of a key.",
    fields: &[Field::new(
        "keyIDs",
        1,
        Type::Strings(ListKind::Atomic),
        "[]string",
        "Key ids of the terms that are left.",
    )],
    atomic: false,
};

/// Encrypts.
pub static KMS_ENCRYPTION: Message = Message {
    name: "KMSEncryption",
    component: "dev.strongroom.v1alpha1.KMSEncryption",
    description: "Encrypts with a key, through its encrypt subresource, for a plugin that runs somewhere else. Needs verb encrypt on the key besides. Nothing is stored, and what was sent is not sent back.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&KMS_ENCRYPTION_SPEC), "v1alpha1.KMSEncryptionSpec", "What to encrypt.")
            .required(),
        Field::new(
            "status",
            3,
            Type::Message(&KMS_ENCRYPTION_STATUS),
            "v1alpha1.KMSEncryptionStatus",
            "What it has become, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What to encrypt.
pub static KMS_ENCRYPTION_SPEC: Message = Message {
    name: "KMSEncryptionSpec",
    component: "dev.strongroom.v1alpha1.KMSEncryptionSpec",
    description: "What to encrypt.",
    fields: &[
        Field::new("plaintext", 1, Type::String, "string", "In base64: 977 bytes at most.").required(),
        Field::new("uid", 2, Type::String, "string", "What the cluster calls the request; it is recorded."),
    ],
    atomic: false,
};

/// What it has become.
pub static KMS_ENCRYPTION_STATUS: Message = Message {
    name: "KMSEncryptionStatus",
    component: "dev.strongroom.v1alpha1.KMSEncryptionStatus",
    description: "What it has become.",
    fields: &[
        Field::new("ciphertext", 1, Type::String, "string", "In base64.").required(),
        Field::new("keyID", 2, Type::String, "string", "The key id to keep beside it.").required(),
    ],
    atomic: false,
};

/// Decrypts.
pub static KMS_DECRYPTION: Message = Message {
    name: "KMSDecryption",
    component: "dev.strongroom.v1alpha1.KMSDecryption",
    description: "Decrypts with a key, through its decrypt subresource, for a plugin that runs somewhere else. Needs verb decrypt on the key besides. Nothing is stored.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&KMS_DECRYPTION_SPEC), "v1alpha1.KMSDecryptionSpec", "What to decrypt.")
            .required(),
        Field::new(
            "status",
            3,
            Type::Message(&KMS_DECRYPTION_STATUS),
            "v1alpha1.KMSDecryptionStatus",
            "What it was, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// What to decrypt.
pub static KMS_DECRYPTION_SPEC: Message = Message {
    name: "KMSDecryptionSpec",
    component: "dev.strongroom.v1alpha1.KMSDecryptionSpec",
    description: "What to decrypt.",
    fields: &[
        Field::new("ciphertext", 1, Type::String, "string", "In base64.").required(),
        Field::new("keyID", 2, Type::String, "string", "The key id that was kept beside it.").required(),
        Field::new("uid", 3, Type::String, "string", "What the cluster calls the request; it is recorded."),
    ],
    atomic: false,
};

/// What it was.
pub static KMS_DECRYPTION_STATUS: Message = Message {
    name: "KMSDecryptionStatus",
    component: "dev.strongroom.v1alpha1.KMSDecryptionStatus",
    description: "What it was.",
    fields: &[Field::new("plaintext", 1, Type::String, "string", "In base64.").required()],
    atomic: false,
};
