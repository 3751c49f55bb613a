//! `strongroom.dev/v1alpha1`: Secrets that are made and renewed here.

use super::{Field, ListKind, METADATA, Message, OBSERVED_GENERATION, Type, conditions};

/// A certificate that is issued into a Secret, and renewed before it ends.
pub static CERTIFICATE: Message = Message {
    name: "Certificate",
    component: "dev.strongroom.v1alpha1.Certificate",
    description: "A certificate that is issued into a Secret of type kubernetes.io/tls, and renewed before it ends. Writing one needs the rights to create and to update that Secret, and to get the issuer's, if it names one.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&CERTIFICATE_SPEC),
            "v1alpha1.CertificateSpec",
            "What is certified, by whom, and for how long.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&CERTIFICATE_STATUS),
            "v1alpha1.CertificateStatus",
            "How it stands with the certificate.",
        ),
    ],
    atomic: false,
};

/// What is certified, by whom, and for how long.
pub static CERTIFICATE_SPEC: Message = Message {
    name: "CertificateSpec",
    component: "dev.strongroom.v1alpha1.CertificateSpec",
    description: "What is certified, by whom, and for how long.",
    fields: &[
        Field::new("secretName", 1, Type::String, "string", "The Secret of the namespace that gets tls.crt, tls.key and ca.crt. One that is there already and is not this certificate's is left alone.").required(),
        Field::new("commonName", 2, Type::String, "string", "Common name of the subject, 64 characters at most. Clients look at the names below instead."),
        Field::new("dnsNames", 3, Type::Strings(ListKind::Atomic), "[]string", "DNS names; the first label can be *."),
        Field::new("ipAddresses", 4, Type::Strings(ListKind::Atomic), "[]string", "IP addresses."),
        Field::new("uris", 5, Type::Strings(ListKind::Atomic), "[]string", "URIs, such as spiffe://example.com/web."),
        Field::new("duration", 6, Type::String, "string", "How long a certificate is valid, as Go writes a length of time: 2160h if nothing is given; 10m at least. The issuer's own end bounds it."),
        Field::new("renewBefore", 7, Type::String, "string", "How long before its end it is renewed: a third of the duration if nothing is given; nine tenths at most."),
        Field::new("privateKey", 8, Type::Message(&CERTIFICATE_PRIVATE_KEY), "v1alpha1.CertificatePrivateKey", "The private key.").pointer(),
        Field::new("usages", 9, Type::Strings(ListKind::Atomic), "[]string", "What the key may be used for: digital signature, key encipherment and server auth if nothing is given."),
        Field::new("isCA", 10, Type::Bool, "bool", "Whether it may sign other certificates, which then can be named as an issuer. It signs no other authorities."),
        Field::new("issuerRef", 11, Type::Message(&ISSUER_REFERENCE), "v1alpha1.IssuerReference", "Who signs it: the room's own authority if nothing is given.").pointer(),
        Field::new("secretTemplate", 12, Type::Message(&SECRET_TEMPLATE), "v1alpha1.SecretTemplate", "Labels and annotations that the Secret gets.").pointer(),
    ],
    atomic: false,
};

/// The private key of a certificate.
pub static CERTIFICATE_PRIVATE_KEY: Message = Message {
    name: "CertificatePrivateKey",
    component: "dev.strongroom.v1alpha1.CertificatePrivateKey",
    description: "The private key of a certificate, which is written as PKCS #8.",
    fields: &[
        Field::new("algorithm", 1, Type::String, "string", "RSA, ECDSA or Ed25519; ECDSA if nothing is given."),
        Field::new("size", 2, Type::Int32, "int32", "Bits: 2048, 3072 or 4096 of RSA (2048 if nothing is given), 256, 384 or 521 of ECDSA (256), none of Ed25519.").pointer(),
        Field::new("rotationPolicy", 3, Type::String, "string", "Always: each certificate has a new key, which is so if nothing is given. Never: the key stays as long as it fits."),
    ],
    atomic: false,
};

/// Who signs a certificate.
pub static ISSUER_REFERENCE: Message = Message {
    name: "IssuerReference",
    component: "dev.strongroom.v1alpha1.IssuerReference",
    description: "Who signs a certificate.",
    fields: &[
        Field::new(
            "kind",
            1,
            Type::String,
            "string",
            "Room: the room's own authority for workloads, which is so if nothing is given. Secret: the certificate and key in a Secret of type kubernetes.io/tls of the namespace.",
        ),
        Field::new("name", 2, Type::String, "string", "Name of the Secret."),
    ],
    atomic: false,
};

/// Labels and annotations of the Secret.
pub static SECRET_TEMPLATE: Message = Message {
    name: "SecretTemplate",
    component: "dev.strongroom.v1alpha1.SecretTemplate",
    description: "Labels and annotations that a Secret gets. What others have put there stays.",
    fields: &[
        Field::new("labels", 1, Type::MapOfString, "map[string]string", "Labels."),
        Field::new("annotations", 2, Type::MapOfString, "map[string]string", "Annotations."),
    ],
    atomic: false,
};

/// How it stands with a certificate.
pub static CERTIFICATE_STATUS: Message = Message {
    name: "CertificateStatus",
    component: "dev.strongroom.v1alpha1.CertificateStatus",
    description: "How it stands with a certificate.",
    fields: &[
        OBSERVED_GENERATION,
        conditions(
            "Ready: the Secret holds a certificate that is valid and as it was asked for. Issuing: another one is due, and why there is none yet.",
        ),
        Field::new("notBefore", 3, Type::Time, "v1.Time", "From when the certificate is valid.").pointer(),
        Field::new("notAfter", 4, Type::Time, "v1.Time", "Until when it is valid.").pointer(),
        Field::new("renewalTime", 5, Type::Time, "v1.Time", "When the next one is due.").pointer(),
        Field::new("revision", 6, Type::Int64, "int64", "How many there have been."),
        Field::new(
            "lastHandledRequest",
            7,
            Type::String,
            "string",
            "The value of annotation strongroom.dev/rotate-now that was followed last.",
        ),
        Field::new("failedAttempts", 8, Type::Int64, "int64", "How often in a row it could not be issued."),
    ],
    atomic: false,
};

/// Values that are made at random into a Secret, and made anew at intervals.
pub static GENERATED_SECRET: Message = Message {
    name: "GeneratedSecret",
    component: "dev.strongroom.v1alpha1.GeneratedSecret",
    description: "Values that are made at random into a Secret, and made anew at intervals. Writing one needs the rights to create and to update that Secret.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&GENERATED_SECRET_SPEC),
            "v1alpha1.GeneratedSecretSpec",
            "What is made, and how often.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&GENERATED_SECRET_STATUS),
            "v1alpha1.GeneratedSecretStatus",
            "How it stands with the values.",
        ),
    ],
    atomic: false,
};

/// What is made, and how often.
pub static GENERATED_SECRET_SPEC: Message = Message {
    name: "GeneratedSecretSpec",
    component: "dev.strongroom.v1alpha1.GeneratedSecretSpec",
    description: "What is made, and how often.",
    fields: &[
        Field::new("secretName", 1, Type::String, "string", "The Secret of the namespace that gets the values. One that is there already and is not this object's is left alone.").required(),
        Field::new("type", 2, Type::String, "string", "Type of the Secret; Opaque if nothing is given."),
        Field::new("keys", 3, Type::Messages(&GENERATED_KEY, ListKind::Map(&["key"])), "[]v1alpha1.GeneratedKey", "Its keys. Each that is new, or changed here, gets a new value at once.").required(),
        Field::new("rotationInterval", 4, Type::String, "string", "How often every value is made anew, as Go writes a length of time: 720h. Never if nothing is given."),
        Field::new("keepPrevious", 5, Type::Bool, "bool", "Whether the former value of KEY is kept as KEY.previous, for those who still use it."),
        Field::new("secretTemplate", 6, Type::Message(&SECRET_TEMPLATE), "v1alpha1.SecretTemplate", "Labels and annotations that the Secret gets.").pointer(),
    ],
    atomic: false,
};

/// One value.
pub static GENERATED_KEY: Message = Message {
    name: "GeneratedKey",
    component: "dev.strongroom.v1alpha1.GeneratedKey",
    description: "A key of a Secret, and how its value is made.",
    fields: &[
        Field::new("key", 1, Type::String, "string", "The key.").required(),
        Field::new("generator", 2, Type::String, "string", "password: characters of an alphabet. hex and base64: random bytes in this form. uuid: a UUID of version 4.").required(),
        Field::new("length", 3, Type::Int32, "int32", "Of a password in characters, 16 at least and 32 if nothing is given; of hex and base64 in random bytes, 16 at least and 32 if nothing is given.").pointer(),
        Field::new("alphabet", 4, Type::String, "string", "The characters of a password, each as likely as the others: at least 16 of ASCII's printable ones. Letters and digits if nothing is given."),
    ],
    atomic: false,
};

/// How it stands with generated values.
pub static GENERATED_SECRET_STATUS: Message = Message {
    name: "GeneratedSecretStatus",
    component: "dev.strongroom.v1alpha1.GeneratedSecretStatus",
    description: "How it stands with generated values.",
    fields: &[
        OBSERVED_GENERATION,
        conditions("Ready: the Secret holds every value. Issuing: new values are due, and why there are none yet."),
        Field::new("lastRotationTime", 3, Type::Time, "v1.Time", "When values were last made.").pointer(),
        Field::new("nextRotationTime", 4, Type::Time, "v1.Time", "When every value is made anew.").pointer(),
        Field::new("revision", 5, Type::Int64, "int64", "How often values were made."),
        Field::new(
            "lastHandledRequest",
            6,
            Type::String,
            "string",
            "The value of annotation strongroom.dev/rotate-now that was followed last.",
        ),
        Field::new("failedAttempts", 7, Type::Int64, "int64", "How often in a row they could not be made."),
    ],
    atomic: false,
};
