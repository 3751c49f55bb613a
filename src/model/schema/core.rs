//! The core group: Secret, Namespace, ServiceAccount.

use super::{Field, ListKind, METADATA, Message, Type};

/// Holds secret values of a certain type.
pub static SECRET: Message = Message {
    name: "Secret",
    component: "io.k8s.api.core.v1.Secret",
    description: "Holds secret values such as passwords, keys and certificates. All values together are at most 1 MiB, and they are encrypted before they are stored.",
    fields: &[
        METADATA,
        Field::new(
            "immutable",
            5,
            Type::Bool,
            "bool",
            "Once true, the values can no longer be changed; the object can still be deleted. Absent means false.",
        )
        .pointer(),
        Field::new(
            "data",
            2,
            Type::MapOfBytes,
            "map[string][]uint8",
            "The secret values, base64 encoded. A key has letters, digits, dashes, underscores and dots.",
        ),
        Field::new(
            "stringData",
            4,
            Type::MapOfString,
            "map[string]string",
            "Secret values as plain text, for convenience when writing: each replaces the value of its key in data. Never returned.",
        ),
        Field::new(
            "type",
            3,
            Type::String,
            "v1.SecretType",
            "Says what the Secret is for, and with that which keys it must have. Opaque by default; cannot be changed.",
        ),
    ],
    atomic: false,
};

/// A scope for names.
pub static NAMESPACE: Message = Message {
    name: "Namespace",
    component: "io.k8s.api.core.v1.Namespace",
    description: "A scope for names: objects of the same kind may have the same name in different namespaces.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&NAMESPACE_SPEC),
            "v1.NamespaceSpec",
            "What must happen before the namespace can go away.",
        ),
        Field::new(
            "status",
            3,
            Type::Message(&NAMESPACE_STATUS),
            "v1.NamespaceStatus",
            "The state of the namespace, kept by the server.",
        ),
    ],
    atomic: false,
};

/// What holds a namespace.
pub static NAMESPACE_SPEC: Message = Message {
    name: "NamespaceSpec",
    component: "io.k8s.api.core.v1.NamespaceSpec",
    description: "What must happen before a namespace can go away.",
    fields: &[Field::new(
        "finalizers",
        1,
        Type::Strings(ListKind::Atomic),
        "[]v1.FinalizerName",
        "Names that must all be removed before the namespace goes away. The server removes its own, kubernetes, once the namespace is empty.",
    )],
    atomic: false,
};

/// The state of a namespace.
pub static NAMESPACE_STATUS: Message = Message {
    name: "NamespaceStatus",
    component: "io.k8s.api.core.v1.NamespaceStatus",
    description: "The state of a namespace.",
    fields: &[
        Field::new(
            "phase",
            1,
            Type::String,
            "v1.NamespacePhase",
            "Active, or Terminating while the namespace is being emptied. Nothing can be created in a terminating namespace.",
        ),
        Field::new(
            "conditions",
            2,
            Type::Messages(&NAMESPACE_CONDITION, ListKind::Map(&["type"])),
            "[]v1.NamespaceCondition",
            "The latest observations of the state, one of each type.",
        ),
    ],
    atomic: false,
};

/// One condition of a namespace.
pub static NAMESPACE_CONDITION: Message = Message {
    name: "NamespaceCondition",
    component: "io.k8s.api.core.v1.NamespaceCondition",
    description: "One observation of the state of a namespace.",
    fields: &[
        Field::new("type", 1, Type::String, "v1.NamespaceConditionType", "What was observed.").required(),
        Field::new("status", 2, Type::String, "v1.ConditionStatus", "Whether it holds: True, False or Unknown.")
            .required(),
        Field::new("lastTransitionTime", 4, Type::Time, "v1.Time", "When the status last became another."),
        Field::new("reason", 5, Type::String, "string", "Why, in one word, for programs."),
        Field::new("message", 6, Type::String, "string", "Why, in words, for people."),
    ],
    atomic: false,
};

/// An identity for processes.
pub static SERVICE_ACCOUNT: Message = Message {
    name: "ServiceAccount",
    component: "io.k8s.api.core.v1.ServiceAccount",
    description: "An identity for programs. It gets tokens through its token subresource, and rights through role bindings.",
    fields: &[
        METADATA,
        Field::new(
            "secrets",
            2,
            Type::Messages(&OBJECT_REFERENCE, ListKind::Map(&["name"])),
            "[]v1.ObjectReference",
            "Secrets of the same namespace that programs running as this account may use. Only their names are kept.",
        ),
        Field::new(
            "imagePullSecrets",
            3,
            Type::Messages(&LOCAL_OBJECT_REFERENCE, ListKind::Atomic),
            "[]v1.LocalObjectReference",
            "Secrets of the same namespace with which images are pulled for programs running as this account.",
        ),
        Field::new(
            "automountServiceAccountToken",
            4,
            Type::Bool,
            "bool",
            "Whether pods that run as this account get a token mounted. A pod can say otherwise for itself.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Refers to another object.
pub static OBJECT_REFERENCE: Message = Message {
    name: "ObjectReference",
    component: "io.k8s.api.core.v1.ObjectReference",
    description: "Refers to another object, or to a part of it.",
    fields: &[
        Field::new("kind", 1, Type::String, "string", "Kind of the object."),
        Field::new("namespace", 2, Type::String, "string", "Namespace of the object."),
        Field::new("name", 3, Type::String, "string", "Name of the object."),
        Field::new("uid", 4, Type::String, "types.UID", "Uid of the object."),
        Field::new("apiVersion", 5, Type::String, "string", "API group and version of the object."),
        Field::new(
            "resourceVersion",
            6,
            Type::String,
            "string",
            "The version of the object that is meant, if a certain one is.",
        ),
        Field::new("fieldPath", 7, Type::String, "string", "The part of the object that is meant, if not the whole."),
    ],
    atomic: true,
};

/// Refers to an object of the same namespace.
pub static LOCAL_OBJECT_REFERENCE: Message = Message {
    name: "LocalObjectReference",
    component: "io.k8s.api.core.v1.LocalObjectReference",
    description: "Refers to an object of a known kind in the same namespace.",
    fields: &[Field::new("name", 1, Type::String, "string", "Name of the object.")],
    atomic: true,
};
