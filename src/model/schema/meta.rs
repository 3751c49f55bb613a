//! `meta.k8s.io/v1`: what every object has, and the objects that are not stored.

use super::{Field, ListKind, Message, Type};

/// Metadata that every stored object has.
pub static OBJECT_META: Message = Message {
    name: "ObjectMeta",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    description: "Metadata that every stored object has: what identifies it, what organises it, and what the server keeps about it.",
    fields: &[
        Field::new(
            "name",
            1,
            Type::String,
            "string",
            "Name of the object, unique among objects of its kind in its namespace. Required unless generateName is given; cannot be changed.",
        ),
        Field::new(
            "generateName",
            2,
            Type::String,
            "string",
            "Prefix to which the server adds five random characters to make a unique name. Used only when name is empty.",
        ),
        Field::new(
            "namespace",
            3,
            Type::String,
            "string",
            "Namespace within which the name is unique. Empty for kinds that belong to no namespace; cannot be changed.",
        ),
        Field::new("selfLink", 4, Type::String, "string", "Formerly the path of the object. The server no longer fills it in."),
        Field::new(
            "uid",
            5,
            Type::String,
            "types.UID",
            "Identity of the object in time as well as in name: an object that is deleted and created again has another uid. Set by the server.",
        ),
        Field::new(
            "resourceVersion",
            6,
            Type::String,
            "string",
            "Opaque version of the object, for detecting concurrent changes and for starting watches. Clients hand it back as they got it.",
        ),
        Field::new(
            "generation",
            7,
            Type::Int64,
            "int64",
            "Number of the desired state, for kinds that count it. The kinds served here do not change it.",
        ),
        Field::new(
            "creationTimestamp",
            8,
            Type::Time,
            "v1.Time",
            "When the server created the object, as RFC 3339 in UTC. Set by the server.",
        ),
        Field::new(
            "deletionTimestamp",
            9,
            Type::Time,
            "v1.Time",
            "When the object was asked to be deleted, while finalizers still hold it. Set by the server; once set it stays.",
        )
        .pointer(),
        Field::new(
            "deletionGracePeriodSeconds",
            10,
            Type::Int64,
            "int64",
            "Seconds that the object was given to end. Set by the server together with deletionTimestamp.",
        )
        .pointer(),
        Field::new(
            "labels",
            11,
            Type::MapOfString,
            "map[string]string",
            "Keys and values that organise objects and by which selectors find them. Both have the restricted syntax of labels.",
        ),
        Field::new(
            "annotations",
            12,
            Type::MapOfString,
            "map[string]string",
            "Keys and values that tools keep with the object. They cannot be selected by, and together hold at most 256 KiB.",
        ),
        Field::new(
            "ownerReferences",
            13,
            Type::Messages(&OWNER_REFERENCE, ListKind::Map(&["uid"])),
            "[]v1.OwnerReference",
            "Objects that this one depends on. It is deleted when the last of them is gone.",
        ),
        Field::new(
            "finalizers",
            14,
            Type::Strings(ListKind::Set),
            "[]string",
            "Names of the parties that must act before a deleted object goes away; each removes its own. None can be added once deletion has begun.",
        ),
        Field::new(
            "managedFields",
            17,
            Type::Messages(&MANAGED_FIELDS_ENTRY, ListKind::Atomic),
            "[]v1.ManagedFieldsEntry",
            "Which manager set which fields. The server keeps it for server-side apply; there is seldom a reason to write it.",
        ),
    ],
    atomic: false,
};

/// Names an object that another one depends on.
pub static OWNER_REFERENCE: Message = Message {
    name: "OwnerReference",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    description: "Names an object that another one depends on. The owner is in the same namespace, or in none.",
    fields: &[
        Field::new("apiVersion", 5, Type::String, "string", "API group and version of the owner.").required(),
        Field::new("kind", 1, Type::String, "string", "Kind of the owner.").required(),
        Field::new("name", 3, Type::String, "string", "Name of the owner.").required(),
        Field::new("uid", 4, Type::String, "types.UID", "Uid of the owner.").required(),
        Field::new(
            "controller",
            6,
            Type::Bool,
            "bool",
            "Whether this owner is the controller of the object. At most one owner is.",
        )
        .pointer(),
        Field::new(
            "blockOwnerDeletion",
            7,
            Type::Bool,
            "bool",
            "Whether a foreground deletion of the owner waits until this object is gone. False by default.",
        )
        .pointer(),
    ],
    atomic: true,
};

/// The fields that one manager has set with one kind of operation.
pub static MANAGED_FIELDS_ENTRY: Message = Message {
    name: "ManagedFieldsEntry",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
    description: "The fields that one manager has set with one kind of operation.",
    fields: &[
        Field::new("manager", 1, Type::String, "string", "Name of the manager, as the client gave it in fieldManager."),
        Field::new(
            "operation",
            2,
            Type::String,
            "v1.ManagedFieldsOperationType",
            "How the fields were set: Apply (server-side apply) or Update (anything else).",
        ),
        Field::new(
            "apiVersion",
            3,
            Type::String,
            "string",
            "Group and version of the kind in whose terms the fields are named.",
        ),
        Field::new("time", 4, Type::Time, "v1.Time", "When the manager last took, changed or removed a field.")
            .pointer(),
        Field::new("fieldsType", 6, Type::String, "string", "Format of the set of fields. FieldsV1 is the only one."),
        Field::new(
            "fieldsV1",
            7,
            Type::FieldsV1,
            "v1.FieldsV1",
            "The set of fields, as a tree whose keys are field names, list keys and values.",
        )
        .pointer(),
        Field::new(
            "subresource",
            8,
            Type::String,
            "string",
            "Subresource through which the fields were set; empty for the object itself.",
        ),
    ],
    atomic: false,
};

/// Metadata of a list.
pub static LIST_META: Message = Message {
    name: "ListMeta",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    description: "Metadata of a list: which state of the store it shows, and how to go on reading it.",
    fields: &[
        Field::new(
            "selfLink",
            1,
            Type::String,
            "string",
            "Formerly the path of the list. The server no longer fills it in.",
        ),
        Field::new(
            "resourceVersion",
            2,
            Type::String,
            "string",
            "Version of the store that the list shows. A watch that starts from it misses nothing.",
        ),
        Field::new(
            "continue",
            3,
            Type::String,
            "string",
            "Opaque token that asks for the next page of the same state. Empty on the last page; it expires after some minutes.",
        ),
        Field::new(
            "remainingItemCount",
            4,
            Type::Int64,
            "int64",
            "How many objects follow this page. Absent on the last page and when a selector is used.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Selects objects by labels; all requirements must hold.
pub static LABEL_SELECTOR: Message = Message {
    name: "LabelSelector",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    description: "Selects objects by their labels. All requirements must hold; without any, every object is selected.",
    fields: &[
        Field::new(
            "matchLabels",
            1,
            Type::MapOfString,
            "map[string]string",
            "Labels that an object must carry with exactly these values.",
        ),
        Field::new(
            "matchExpressions",
            2,
            Type::Messages(&LABEL_SELECTOR_REQUIREMENT, ListKind::Atomic),
            "[]v1.LabelSelectorRequirement",
            "Requirements with an operator, for what equality cannot say.",
        ),
    ],
    atomic: true,
};

/// One requirement on a label.
pub static LABEL_SELECTOR_REQUIREMENT: Message = Message {
    name: "LabelSelectorRequirement",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
    description: "One requirement on a label: a key, an operator, and the values it is compared with.",
    fields: &[
        Field::new("key", 1, Type::String, "string", "Key of the label.").required(),
        Field::new(
            "operator",
            2,
            Type::String,
            "v1.LabelSelectorOperator",
            "One of In, NotIn, Exists and DoesNotExist.",
        )
        .required(),
        Field::new(
            "values",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Values of the label. In and NotIn need at least one, Exists and DoesNotExist take none.",
        ),
    ],
    atomic: false,
};

/// One requirement on a field.
pub static FIELD_SELECTOR_REQUIREMENT: Message = Message {
    name: "FieldSelectorRequirement",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
    description: "One requirement on a field: its name, an operator, and the values it is compared with.",
    fields: &[
        Field::new("key", 1, Type::String, "string", "Name of the field, as in a field selector.").required(),
        Field::new(
            "operator",
            2,
            Type::String,
            "v1.FieldSelectorOperator",
            "One of In, NotIn, Exists and DoesNotExist; others may come.",
        )
        .required(),
        Field::new(
            "values",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Values of the field. In and NotIn need at least one, Exists and DoesNotExist take none.",
        ),
    ],
    atomic: false,
};

/// What must hold for an operation to be carried out.
pub static PRECONDITIONS: Message = Message {
    name: "Preconditions",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions",
    description: "What must hold of the object for the operation to be carried out; otherwise it fails with a conflict.",
    fields: &[
        Field::new("uid", 1, Type::String, "types.UID", "The uid that the object must have.").pointer(),
        Field::new("resourceVersion", 2, Type::String, "string", "The resourceVersion that the object must have.")
            .pointer(),
    ],
    atomic: false,
};

/// Options of a delete.
pub static DELETE_OPTIONS: Message = Message {
    name: "DeleteOptions",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    description: "Options of a delete, given as its body or as query parameters.",
    fields: &[
        Field::new(
            "gracePeriodSeconds",
            1,
            Type::Int64,
            "int64",
            "Seconds before the object is deleted. None of the kinds served here wait, so it changes nothing.",
        )
        .pointer(),
        Field::new(
            "preconditions",
            2,
            Type::Message(&PRECONDITIONS),
            "v1.Preconditions",
            "What must hold of the object for the delete to be carried out.",
        )
        .pointer(),
        Field::new(
            "orphanDependents",
            3,
            Type::Bool,
            "bool",
            "Deprecated: use propagationPolicy. Whether objects that depend on this one are kept.",
        )
        .pointer(),
        Field::new(
            "propagationPolicy",
            4,
            Type::String,
            "v1.DeletionPropagation",
            "What happens to objects that depend on this one: Background deletes them afterwards, Foreground before, Orphan keeps them.",
        )
        .pointer(),
        Field::new(
            "dryRun",
            5,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "With All, everything is checked and nothing is stored. No other value is known.",
        ),
        Field::new(
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            6,
            Type::Bool,
            "bool",
            "Whether to delete an object that can no longer be read, without any of the usual checks. False by default.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// One cause of a failure.
pub static STATUS_CAUSE: Message = Message {
    name: "StatusCause",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause",
    description: "One cause of a failure; a failure may have several.",
    fields: &[
        Field::new("reason", 1, Type::String, "v1.CauseType", "The class of the cause, for programs."),
        Field::new("message", 2, Type::String, "string", "The cause in words, for people."),
        Field::new(
            "field",
            3,
            Type::String,
            "string",
            "The field that caused it, as a path such as metadata.name or rules[0].verbs.",
        ),
    ],
    atomic: false,
};

/// What a Status is about.
pub static STATUS_DETAILS: Message = Message {
    name: "StatusDetails",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails",
    description: "What a Status is about; which fields are there depends on its reason.",
    fields: &[
        Field::new("name", 1, Type::String, "string", "Name of the object."),
        Field::new("group", 2, Type::String, "string", "API group of the object."),
        Field::new("kind", 3, Type::String, "string", "Kind of the object, or the resource it belongs to."),
        Field::new("uid", 6, Type::String, "types.UID", "Uid of the object."),
        Field::new(
            "causes",
            4,
            Type::Messages(&STATUS_CAUSE, ListKind::Atomic),
            "[]v1.StatusCause",
            "The single causes of the failure.",
        ),
        Field::new("retryAfterSeconds", 5, Type::Int32, "int32", "Seconds after which the call may be tried again."),
    ],
    atomic: false,
};

/// The answer of a call that returns no object.
pub static STATUS: Message = Message {
    name: "Status",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    description: "The answer of a call that returns no object: that it succeeded, or why it did not.",
    fields: &[
        Field::new(
            "metadata",
            1,
            Type::Message(&LIST_META),
            "v1.ListMeta",
            "Metadata in the form that lists have; mostly empty.",
        ),
        Field::new("status", 2, Type::String, "string", "Success or Failure."),
        Field::new("message", 3, Type::String, "string", "What happened, in words."),
        Field::new(
            "reason",
            4,
            Type::String,
            "v1.StatusReason",
            "The class of the failure in one word, for programs. Empty where there is none.",
        ),
        Field::new(
            "details",
            5,
            Type::Message(&STATUS_DETAILS),
            "v1.StatusDetails",
            "What the answer is about, and the single causes.",
        )
        .pointer(),
        Field::new("code", 6, Type::Int32, "int32", "The HTTP status code."),
    ],
    atomic: false,
};
