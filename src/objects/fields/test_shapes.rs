//! A small shape table of the kinds that matter here, so that these tests stand on their own.

use crate::model::schema::{Field, ListKind, Message, Type};

const fn field(json: &'static str, ty: Type) -> Field {
    Field { json, number: 0, ty, go: "", pointer: false, required: false, description: "" }
}

const fn pointer(json: &'static str, ty: Type) -> Field {
    Field { json, number: 0, ty, go: "", pointer: true, required: false, description: "" }
}

const fn message(name: &'static str, fields: &'static [Field], atomic: bool) -> Message {
    Message { name, component: "", description: "", fields, atomic }
}

static OWNER_REFERENCE: Message = message(
    "OwnerReference",
    &[
        field("apiVersion", Type::String),
        field("kind", Type::String),
        field("name", Type::String),
        field("uid", Type::String),
        pointer("controller", Type::Bool),
    ],
    true,
);

static MANAGED_FIELDS_ENTRY: Message = message(
    "ManagedFieldsEntry",
    &[field("manager", Type::String), field("time", Type::Time), field("fieldsV1", Type::FieldsV1)],
    false,
);

static OBJECT_META: Message = message(
    "ObjectMeta",
    &[
        field("name", Type::String),
        field("generateName", Type::String),
        field("namespace", Type::String),
        field("uid", Type::String),
        field("resourceVersion", Type::String),
        field("generation", Type::Int64),
        field("creationTimestamp", Type::Time),
        field("labels", Type::MapOfString),
        field("annotations", Type::MapOfString),
        field("ownerReferences", Type::Messages(&OWNER_REFERENCE, ListKind::Map(&["uid"]))),
        field("finalizers", Type::Strings(ListKind::Set)),
        field("managedFields", Type::Messages(&MANAGED_FIELDS_ENTRY, ListKind::Atomic)),
    ],
    false,
);

const METADATA: Field = field("metadata", Type::Message(&OBJECT_META));

pub(super) static SECRET: Message = message(
    "Secret",
    &[
        METADATA,
        field("data", Type::MapOfBytes),
        field("stringData", Type::MapOfString),
        pointer("immutable", Type::Bool),
        field("type", Type::String),
    ],
    false,
);

static NAMESPACE_SPEC: Message =
    message("NamespaceSpec", &[field("finalizers", Type::Strings(ListKind::Atomic))], false);

static NAMESPACE_CONDITION: Message = message(
    "NamespaceCondition",
    &[field("type", Type::String), field("status", Type::String), field("reason", Type::String)],
    false,
);

static NAMESPACE_STATUS: Message = message(
    "NamespaceStatus",
    &[
        field("phase", Type::String),
        field("conditions", Type::Messages(&NAMESPACE_CONDITION, ListKind::Map(&["type"]))),
    ],
    false,
);

pub(super) static NAMESPACE: Message = message(
    "Namespace",
    &[METADATA, field("spec", Type::Message(&NAMESPACE_SPEC)), field("status", Type::Message(&NAMESPACE_STATUS))],
    false,
);

static OBJECT_REFERENCE: Message = message("ObjectReference", &[field("name", Type::String)], true);

static LOCAL_OBJECT_REFERENCE: Message = message("LocalObjectReference", &[field("name", Type::String)], true);

pub(super) static SERVICE_ACCOUNT: Message = message(
    "ServiceAccount",
    &[
        METADATA,
        field("secrets", Type::Messages(&OBJECT_REFERENCE, ListKind::Map(&["name"]))),
        field("imagePullSecrets", Type::Messages(&LOCAL_OBJECT_REFERENCE, ListKind::Atomic)),
    ],
    false,
);

static POLICY_RULE: Message = message(
    "PolicyRule",
    &[
        field("verbs", Type::Strings(ListKind::Atomic)),
        field("apiGroups", Type::Strings(ListKind::Atomic)),
        field("resources", Type::Strings(ListKind::Atomic)),
    ],
    false,
);

static LABEL_SELECTOR: Message = message("LabelSelector", &[field("matchLabels", Type::MapOfString)], true);

static AGGREGATION_RULE: Message = message(
    "AggregationRule",
    &[field("clusterRoleSelectors", Type::Messages(&LABEL_SELECTOR, ListKind::Atomic))],
    false,
);

pub(super) static CLUSTER_ROLE: Message = message(
    "ClusterRole",
    &[
        METADATA,
        field("rules", Type::Messages(&POLICY_RULE, ListKind::Atomic)),
        pointer("aggregationRule", Type::Message(&AGGREGATION_RULE)),
    ],
    false,
);

static ROLE_REF: Message = message("RoleRef", &[field("kind", Type::String), field("name", Type::String)], true);

static SUBJECT: Message = message("Subject", &[field("kind", Type::String), field("name", Type::String)], true);

pub(super) static ROLE_BINDING: Message = message(
    "RoleBinding",
    &[
        METADATA,
        field("subjects", Type::Messages(&SUBJECT, ListKind::Atomic)),
        field("roleRef", Type::Message(&ROLE_REF)),
    ],
    false,
);
