//! `strongroom.dev/v1alpha1`: what is kept in clusters.

use super::{Field, LABEL_SELECTOR, ListKind, METADATA, Message, OBSERVED_GENERATION, Type, conditions};

/// Keeps Secrets of its namespace in clusters, by server-side apply.
pub static SECRET_SYNC: Message = Message {
    name: "SecretSync",
    component: "dev.strongroom.v1alpha1.SecretSync",
    description: "Keeps Secrets of its namespace in clusters, by server-side apply. Writing one needs the right to use each of the clusters, and to act as the service account.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SECRET_SYNC_SPEC),
            "v1alpha1.SecretSyncSpec",
            "Which Secrets, and where they go.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_SYNC_STATUS),
            "v1alpha1.SecretSyncStatus",
            "How it stands with each target.",
        ),
    ],
    atomic: false,
};

/// Which Secrets go where, and as whom they are read.
pub static SECRET_SYNC_SPEC: Message = Message {
    name: "SecretSyncSpec",
    component: "dev.strongroom.v1alpha1.SecretSyncSpec",
    description: "Which Secrets go where, and as whom they are read.",
    fields: &[
        Field::new("serviceAccountName", 1, Type::String, "string", "The service account of the namespace as which Secrets are read and clusters are used, with its permissions and no others.").required(),
        Field::new("source", 2, Type::Message(&SECRET_SYNC_SOURCE), "v1alpha1.SecretSyncSource", "Which Secrets of the namespace.").required(),
        Field::new("targets", 3, Type::Messages(&SECRET_SYNC_TARGET, ListKind::Atomic), "[]v1alpha1.SecretSyncTarget", "Where they go.").required(),
        Field::new("refresh", 4, Type::Message(&SECRET_SYNC_REFRESH), "v1alpha1.SecretSyncRefresh", "How often everything is looked at.").pointer(),
        Field::new("suspend", 5, Type::Bool, "bool", "Whether nothing is written for now.").pointer(),
        Field::new("limits", 6, Type::Message(&SECRET_SYNC_LIMITS), "v1alpha1.SecretSyncLimits", "What one pass may do at most.").pointer(),
    ],
    atomic: false,
};

/// Secrets of the namespace.
pub static SECRET_SYNC_SOURCE: Message = Message {
    name: "SecretSyncSource",
    component: "dev.strongroom.v1alpha1.SecretSyncSource",
    description: "Secrets of the namespace: those named, and those with labels.",
    fields: &[
        Field::new("names", 1, Type::Strings(ListKind::Atomic), "[]string", "Names."),
        Field::new(
            "selector",
            2,
            Type::Message(&LABEL_SELECTOR),
            "v1.LabelSelector",
            "Labels; without a requirement all Secrets of the namespace.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// Where Secrets go, what they become there, and what to do where something is in the way.
pub static SECRET_SYNC_TARGET: Message = Message {
    name: "SecretSyncTarget",
    component: "dev.strongroom.v1alpha1.SecretSyncTarget",
    description: "Where Secrets go, what they become there, and what to do where something is in the way.",
    fields: &[
        Field::new("cluster", 1, Type::String, "string", "Name of a Cluster."),
        Field::new(
            "clusterSelector",
            2,
            Type::Message(&LABEL_SELECTOR),
            "v1.LabelSelector",
            "Labels of Clusters, instead of a name.",
        )
        .pointer(),
        Field::new(
            "namespaces",
            3,
            Type::Message(&SECRET_SYNC_NAMESPACES),
            "v1alpha1.SecretSyncNamespaces",
            "Namespaces of the cluster; without any, the one that is called as the SecretSync's own.",
        )
        .pointer(),
        Field::new(
            "name",
            4,
            Type::String,
            "string",
            "What the object is called there: a template of name, namespace and target_namespace.",
        ),
        Field::new(
            "metadata",
            5,
            Type::Message(&SECRET_SYNC_METADATA),
            "v1alpha1.SecretSyncMetadata",
            "Labels and annotations that the object gets. None of the source's are copied.",
        )
        .pointer(),
        Field::new(
            "keys",
            6,
            Type::Message(&SECRET_SYNC_KEYS),
            "v1alpha1.SecretSyncKeys",
            "Which keys the object gets, and what they are called there; all if nothing is given.",
        )
        .pointer(),
        Field::new(
            "template",
            7,
            Type::Message(&SECRET_SYNC_TEMPLATE),
            "v1alpha1.SecretSyncTemplate",
            "Keys that are made of the source's values.",
        )
        .pointer(),
        Field::new("type", 8, Type::String, "string", "Type of the object; the source's if nothing is given."),
        Field::new(
            "creationPolicy",
            9,
            Type::String,
            "string",
            "What is made of the object: Owner (made, and all its data), Orphan (the same, but it outlives the SecretSync), Merge (never made, own keys only), CreateOrMerge (made if missing, own keys only), None (only compared).",
        ),
        Field::new(
            "conflictPolicy",
            10,
            Type::String,
            "string",
            "What is done where an object is there that is not the SecretSync's: Fail, Adopt or Merge.",
        ),
        Field::new(
            "onSourceDelete",
            11,
            Type::String,
            "string",
            "What becomes of the object when its source is deleted: Retain, Delete or Merge (the SecretSync's keys are taken out).",
        ),
        Field::new(
            "onSyncDelete",
            12,
            Type::String,
            "string",
            "What becomes of the object when the SecretSync is deleted or no longer wants it: Retain or Delete.",
        ),
        Field::new(
            "driftPolicy",
            13,
            Type::String,
            "string",
            "What is done where somebody else has changed the object: Correct, Warn or Ignore.",
        ),
        Field::new(
            "recreate",
            14,
            Type::String,
            "string",
            "Whether an object whose type is to be another is deleted and made anew: Never or OnTypeChange.",
        ),
        Field::new(
            "rolloutRestart",
            15,
            Type::Messages(&WORKLOAD_REFERENCE, ListKind::Atomic),
            "[]v1alpha1.WorkloadReference",
            "Workloads of the target's namespace that are restarted when the data has changed.",
        ),
    ],
    atomic: false,
};

/// Namespaces of a cluster.
pub static SECRET_SYNC_NAMESPACES: Message = Message {
    name: "SecretSyncNamespaces",
    component: "dev.strongroom.v1alpha1.SecretSyncNamespaces",
    description: "Namespaces of a cluster: those named, those that a pattern matches, and those with labels, without those excluded.",
    fields: &[
        Field::new("names", 1, Type::Strings(ListKind::Atomic), "[]string", "Names."),
        Field::new(
            "matchNames",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names in which * stands for any characters.",
        ),
        Field::new("selector", 3, Type::Message(&LABEL_SELECTOR), "v1.LabelSelector", "Labels of namespaces.")
            .pointer(),
        Field::new(
            "exclude",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names in which * stands for any characters, of namespaces that are left out.",
        ),
        Field::new("create", 5, Type::Bool, "bool", "Whether a namespace that is named and missing is made.").pointer(),
    ],
    atomic: false,
};

/// Labels and annotations of an object in a cluster.
pub static SECRET_SYNC_METADATA: Message = Message {
    name: "SecretSyncMetadata",
    component: "dev.strongroom.v1alpha1.SecretSyncMetadata",
    description: "Labels and annotations of an object in a cluster.",
    fields: &[
        Field::new("labels", 1, Type::MapOfString, "map[string]string", "Labels."),
        Field::new("annotations", 2, Type::MapOfString, "map[string]string", "Annotations."),
    ],
    atomic: false,
};

/// Which keys of a Secret are taken, and what they are called.
pub static SECRET_SYNC_KEYS: Message = Message {
    name: "SecretSyncKeys",
    component: "dev.strongroom.v1alpha1.SecretSyncKeys",
    description: "Which keys of a Secret are taken, and what they are called.",
    fields: &[
        Field::new(
            "include",
            1,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Regular expressions of which one must match; without any, every key is taken.",
        ),
        Field::new(
            "exclude",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Regular expressions of which none may match.",
        ),
        Field::new(
            "rewrite",
            3,
            Type::Messages(&SECRET_SYNC_REWRITE, ListKind::Atomic),
            "[]v1alpha1.SecretSyncRewrite",
            "What keys are called, one rule after the other.",
        ),
    ],
    atomic: false,
};

/// Replaces a part of a key.
pub static SECRET_SYNC_REWRITE: Message = Message {
    name: "SecretSyncRewrite",
    component: "dev.strongroom.v1alpha1.SecretSyncRewrite",
    description: "Replaces a part of a key.",
    fields: &[
        Field::new("regexp", 1, Type::String, "string", "What is replaced, once.").required(),
        Field::new("to", 2, Type::String, "string", "By what; $1 and ${name} stand for groups.").pointer(),
    ],
    atomic: false,
};

/// Keys that are made of the source's values.
pub static SECRET_SYNC_TEMPLATE: Message = Message {
    name: "SecretSyncTemplate",
    component: "dev.strongroom.v1alpha1.SecretSyncTemplate",
    description: "Keys that are made of the source's values.",
    fields: &[Field::new(
        "data",
        1,
        Type::MapOfString,
        "map[string]string",
        "Text for each key, in which {{ key | filter }} stands for a value. Filters: urlencode, base64, base64decode, json, lower, upper, trim, default \"text\".",
    )],
    atomic: false,
};

/// A workload.
pub static WORKLOAD_REFERENCE: Message = Message {
    name: "WorkloadReference",
    component: "dev.strongroom.v1alpha1.WorkloadReference",
    description: "A workload.",
    fields: &[
        Field::new("kind", 1, Type::String, "string", "Deployment, StatefulSet or DaemonSet.").required(),
        Field::new("name", 2, Type::String, "string", "Its name.").required(),
    ],
    atomic: false,
};

/// How often everything is looked at though nothing has changed here.
pub static SECRET_SYNC_REFRESH: Message = Message {
    name: "SecretSyncRefresh",
    component: "dev.strongroom.v1alpha1.SecretSyncRefresh",
    description: "How often everything is looked at though nothing has changed here.",
    fields: &[Field::new(
        "interval",
        1,
        Type::String,
        "string",
        "A length of time: 90s, 30m, 1h30m; at least 10s, and 1h if nothing is given.",
    )],
    atomic: false,
};

/// What one pass may do at most.
pub static SECRET_SYNC_LIMITS: Message = Message {
    name: "SecretSyncLimits",
    component: "dev.strongroom.v1alpha1.SecretSyncLimits",
    description: "What one pass may do at most.",
    fields: &[
        Field::new("maxTargets", 1, Type::Int32, "int32", "Objects that are written to; 500 if nothing is given.")
            .pointer(),
        Field::new(
            "maxDeletesPerPass",
            2,
            Type::Int32,
            "int32",
            "Objects that are deleted; more are none. 10 if nothing is given.",
        )
        .pointer(),
        Field::new(
            "maxDeletePercent",
            3,
            Type::Int32,
            "int32",
            "The same in hundredths of all objects; 20 if nothing is given.",
        )
        .pointer(),
    ],
    atomic: false,
};

/// How it stands with each target of a SecretSync.
pub static SECRET_SYNC_STATUS: Message = Message {
    name: "SecretSyncStatus",
    component: "dev.strongroom.v1alpha1.SecretSyncStatus",
    description: "How it stands with each target of a SecretSync.",
    fields: &[
        OBSERVED_GENERATION,
        conditions("Ready, Synced, Drifted and Stalled."),
        Field::new("source", 3, Type::String, "string", "What is selected, in short."),
        Field::new("targetsTotal", 4, Type::Int32, "int32", "Objects there are to be."),
        Field::new("targetsReady", 5, Type::Int32, "int32", "Objects that are as they are to be."),
        Field::new("lastSyncTime", 6, Type::Time, "v1.Time", "When everything was last looked at or changed.")
            .pointer(),
        Field::new(
            "lastHandledRequest",
            7,
            Type::String,
            "string",
            "The value of the annotation strongroom.dev/requested-at that was last answered with a pass.",
        ),
        Field::new(
            "targets",
            8,
            Type::Messages(&SECRET_SYNC_TARGET_STATUS, ListKind::Atomic),
            "[]v1alpha1.SecretSyncTargetStatus",
            "The objects, those that are not as they are to be first; at most 1000.",
        ),
    ],
    atomic: false,
};

/// How it stands with one object in a cluster.
pub static SECRET_SYNC_TARGET_STATUS: Message = Message {
    name: "SecretSyncTargetStatus",
    component: "dev.strongroom.v1alpha1.SecretSyncTargetStatus",
    description: "How it stands with one object in a cluster.",
    fields: &[
        Field::new("cluster", 1, Type::String, "string", "The Cluster.").required(),
        Field::new("namespace", 2, Type::String, "string", "Namespace of the object.").required(),
        Field::new("name", 3, Type::String, "string", "Its name.").required(),
        Field::new("source", 4, Type::String, "string", "Name of the Secret that it is made of."),
        Field::new("sourceRevision", 5, Type::String, "string", "Revision of that Secret."),
        Field::new("state", 6, Type::String, "string", "InSync, or what is different.").required(),
        Field::new("reason", 7, Type::String, "string", "Why, in one word."),
        Field::new("message", 8, Type::String, "string", "Why, for people. Never a value."),
        Field::new("attempts", 9, Type::Int32, "int32", "Passes that failed in a row."),
        Field::new("nextRetryAt", 10, Type::Time, "v1.Time", "When it is tried again.").pointer(),
        Field::new("lastAppliedAt", 11, Type::Time, "v1.Time", "When it was last written.").pointer(),
    ],
    atomic: false,
};
