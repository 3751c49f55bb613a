//! `strongroom.dev/v1alpha1`: who signs in, and by what.

use super::{Field, ListKind, METADATA, Message, Type};

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
