//! `strongroom.dev/v1alpha1`: fingerprints of values.

use super::{Field, ListKind, METADATA, Message, Type};

/// Asks for fingerprints.
pub static SECRET_SCAN: Message = Message {
    name: "SecretScan",
    component: "dev.strongroom.v1alpha1.SecretScan",
    description: "Fingerprints of the values of a namespace, by which a scanner finds them in files without having them. The caller must be allowed to list Secrets; of those that the caller may not get, of values shorter than 16 bytes, and of certificates and public keys alone, there are none. Nothing is stored.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&SECRET_SCAN_SPEC), "v1alpha1.SecretScanSpec", "Who scans.").required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_SCAN_STATUS),
            "v1alpha1.SecretScanStatus",
            "The fingerprints, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// Who scans.
pub static SECRET_SCAN_SPEC: Message = Message {
    name: "SecretScanSpec",
    component: "dev.strongroom.v1alpha1.SecretScanSpec",
    description: "Who scans.",
    fields: &[Field::new(
        "scanner",
        1,
        Type::String,
        "string",
        "A name of the scanner's own, 16 to 64 letters and digits: each has a key of its own, another one every week.",
    )
    .required()],
    atomic: false,
};

/// The fingerprints.
pub static SECRET_SCAN_STATUS: Message = Message {
    name: "SecretScanStatus",
    component: "dev.strongroom.v1alpha1.SecretScanStatus",
    description: "Fingerprints of values. Whoever holds them can test guesses at the values.",
    fields: &[
        Field::new("key", 1, Type::Bytes, "[]byte", "The key that they are made with, 32 bytes.").required(),
        Field::new("expirationTimestamp", 2, Type::Time, "v1.Time", "When the key is replaced.").required(),
        Field::new(
            "fingerprints",
            3,
            Type::Messages(&VALUE_FINGERPRINT, ListKind::Atomic),
            "[]v1alpha1.ValueFingerprint",
            "One for each value.",
        )
        .required(),
        Field::new("skippedSecrets", 4, Type::Int32, "int32", "Secrets that the caller may not get."),
        Field::new(
            "skippedValues",
            5,
            Type::Int32,
            "int32",
            "Values that are too short, and certificates and public keys.",
        ),
    ],
    atomic: false,
};

/// What is known of a value.
pub static VALUE_FINGERPRINT: Message = Message {
    name: "ValueFingerprint",
    component: "dev.strongroom.v1alpha1.ValueFingerprint",
    description: "What a scanner knows of a value: white space around it, line ends within and indentation behind those do not count.",
    fields: &[
        Field::new("secret", 1, Type::String, "string", "Name of the Secret.").required(),
        Field::new("key", 2, Type::String, "string", "The key of the value.").required(),
        Field::new(
            "length",
            3,
            Type::Int32,
            "int32",
            "How many bytes the keyed hash is about: the value's, 1024 at most.",
        )
        .required(),
        Field::new(
            "window",
            4,
            Type::Int64,
            "int64",
            "20 bits of a keyed hash of its first 16 bytes, by which places are found that may be it.",
        )
        .required(),
        Field::new("mac", 5, Type::String, "string", "Keyed hash of the value, 16 bytes in hexadecimal digits.")
            .required(),
    ],
    atomic: false,
};
