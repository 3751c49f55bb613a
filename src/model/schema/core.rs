//! The core group: Secret, Namespace, ServiceAccount.

use super::{Field, ListKind, Message, OBJECT_META, Type};

/// Holds secret values of a certain type, sealed at rest.
pub static SECRET: Message = Message {
    name: "Secret",
    component: "io.k8s.api.core.v1.Secret",
    description: "Holds secret values of a certain type, sealed at rest.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "data",
            number: 2,
            ty: Type::MapOfBytes,
            go: "map[string][]uint8",
            pointer: false,
            required: false,
            description: "The secret values, base64 encoded. Keys are alphanumeric, dash, underscore or dot.",
        },
        Field {
            json: "stringData",
            number: 4,
            ty: Type::MapOfString,
            go: "string",
            pointer: false,
            required: false,
            description: "Values given as plain text; written into data on the way in and never returned.",
        },
        Field {
            json: "immutable",
            number: 5,
            ty: Type::Bool,
            go: "bool",
            pointer: true,
            required: false,
            description: "Once true, values cannot be changed and the object can only be deleted.",
        },
        Field {
            json: "type",
            number: 3,
            ty: Type::String,
            go: "v1.SecretType",
            pointer: false,
            required: false,
            description: "Says which keys the Secret must have; Opaque by default. Cannot be changed.",
        },
    ],
    atomic: false,
};

/// A scope for names.
pub static NAMESPACE: Message = Message {
    name: "Namespace",
    component: "io.k8s.api.core.v1.Namespace",
    description: "A scope for names.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "spec",
            number: 2,
            ty: Type::Message(&NAMESPACE_SPEC),
            go: "v1.NamespaceSpec",
            pointer: false,
            required: false,
            description: "What holds the namespace.",
        },
        Field {
            json: "status",
            number: 3,
            ty: Type::Message(&NAMESPACE_STATUS),
            go: "v1.NamespaceStatus",
            pointer: false,
            required: false,
            description: "Phase and conditions.",
        },
    ],
    atomic: false,
};

/// What holds a namespace.
pub static NAMESPACE_SPEC: Message = Message {
    name: "NamespaceSpec",
    component: "io.k8s.api.core.v1.NamespaceSpec",
    description: "What holds a namespace.",
    fields: &[Field {
        json: "finalizers",
        number: 1,
        ty: Type::Strings(ListKind::Atomic),
        go: "[]v1.FinalizerName",
        pointer: false,
        required: false,
        description: "Names that must be removed before the namespace goes away.",
    }],
    atomic: false,
};

/// The state of a namespace.
pub static NAMESPACE_STATUS: Message = Message {
    name: "NamespaceStatus",
    component: "io.k8s.api.core.v1.NamespaceStatus",
    description: "The state of a namespace.",
    fields: &[
        Field {
            json: "phase",
            number: 1,
            ty: Type::String,
            go: "v1.NamespacePhase",
            pointer: false,
            required: false,
            description: "Active or Terminating.",
        },
        Field {
            json: "conditions",
            number: 2,
            ty: Type::Messages(&NAMESPACE_CONDITION, ListKind::Map(&["type"])),
            go: "[]v1.NamespaceCondition",
            pointer: false,
            required: false,
            description: "What is known of its state.",
        },
    ],
    atomic: false,
};

/// One condition of a namespace.
pub static NAMESPACE_CONDITION: Message = Message {
    name: "NamespaceCondition",
    component: "io.k8s.api.core.v1.NamespaceCondition",
    description: "One condition of a namespace.",
    fields: &[
        Field {
            json: "type",
            number: 1,
            ty: Type::String,
            go: "v1.NamespaceConditionType",
            pointer: false,
            required: true,
            description: "Type of the condition.",
        },
        Field {
            json: "status",
            number: 2,
            ty: Type::String,
            go: "v1.ConditionStatus",
            pointer: false,
            required: true,
            description: "True, False or Unknown.",
        },
        Field {
            json: "lastTransitionTime",
            number: 4,
            ty: Type::Time,
            go: "v1.Time",
            pointer: false,
            required: false,
            description: "When the status last changed.",
        },
        Field {
            json: "reason",
            number: 5,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Why, for machines.",
        },
        Field {
            json: "message",
            number: 6,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Why, for people.",
        },
    ],
    atomic: false,
};

/// An identity for processes.
pub static SERVICE_ACCOUNT: Message = Message {
    name: "ServiceAccount",
    component: "io.k8s.api.core.v1.ServiceAccount",
    description: "An identity for processes.",
    fields: &[
        Field {
            json: "metadata",
            number: 1,
            ty: Type::Message(&OBJECT_META),
            go: "v1.ObjectMeta",
            pointer: false,
            required: false,
            description: "Standard object metadata: name, labels, annotations and what the server keeps.",
        },
        Field {
            json: "secrets",
            number: 2,
            ty: Type::Messages(&OBJECT_REFERENCE, ListKind::Map(&["name"])),
            go: "[]v1.ObjectReference",
            pointer: false,
            required: false,
            description: "Secrets that the account may use; only the names are kept.",
        },
        Field {
            json: "imagePullSecrets",
            number: 3,
            ty: Type::Messages(&LOCAL_OBJECT_REFERENCE, ListKind::Atomic),
            go: "[]v1.LocalObjectReference",
            pointer: false,
            required: false,
            description: "Secrets for pulling images.",
        },
        Field {
            json: "automountServiceAccountToken",
            number: 4,
            ty: Type::Bool,
            go: "bool",
            pointer: true,
            required: false,
            description: "Whether pods get a token of this account mounted.",
        },
    ],
    atomic: false,
};

/// Refers to another object.
pub static OBJECT_REFERENCE: Message = Message {
    name: "ObjectReference",
    component: "io.k8s.api.core.v1.ObjectReference",
    description: "Refers to another object.",
    fields: &[
        Field {
            json: "kind",
            number: 1,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Kind of the object.",
        },
        Field {
            json: "namespace",
            number: 2,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Its namespace.",
        },
        Field {
            json: "name",
            number: 3,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Its name.",
        },
        Field {
            json: "uid",
            number: 4,
            ty: Type::String,
            go: "types.UID",
            pointer: false,
            required: false,
            description: "Its uid.",
        },
        Field {
            json: "apiVersion",
            number: 5,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Its API version.",
        },
        Field {
            json: "resourceVersion",
            number: 6,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "Its version.",
        },
        Field {
            json: "fieldPath",
            number: 7,
            ty: Type::String,
            go: "string",
            pointer: false,
            required: false,
            description: "A part of it.",
        },
    ],
    atomic: true,
};

/// Refers to an object of the same namespace.
pub static LOCAL_OBJECT_REFERENCE: Message = Message {
    name: "LocalObjectReference",
    component: "io.k8s.api.core.v1.LocalObjectReference",
    description: "Refers to an object of the same namespace.",
    fields: &[Field {
        json: "name",
        number: 1,
        ty: Type::String,
        go: "string",
        pointer: false,
        required: false,
        description: "Its name.",
    }],
    atomic: true,
};
