//! `strongroom.dev/v1alpha1`: what a SecretSync wants in a cluster, for those who write it elsewhere.

use super::{Field, ListKind, METADATA, Message, Type};

/// What a SecretSync wants to be in one cluster, through its render subresource.
pub static SECRET_SYNC_RENDERING: Message = Message {
    name: "SecretSyncRendering",
    component: "dev.strongroom.v1alpha1.SecretSyncRendering",
    description: "What a SecretSync wants to be in one cluster, through its render subresource: for a job that writes it there from somewhere else. Nothing is stored. Secrets are read as the SecretSync's service account, whom the caller must be allowed to act as.",
    fields: &[
        METADATA,
        Field::new(
            "spec",
            2,
            Type::Message(&SECRET_SYNC_RENDERING_SPEC),
            "v1alpha1.SecretSyncRenderingSpec",
            "For which cluster, and which namespaces it has.",
        )
        .required(),
        Field::new(
            "status",
            3,
            Type::Message(&SECRET_SYNC_RENDERING_STATUS),
            "v1alpha1.SecretSyncRenderingStatus",
            "The objects, filled in by the server.",
        ),
    ],
    atomic: false,
};

/// For which cluster, and which namespaces it has.
pub static SECRET_SYNC_RENDERING_SPEC: Message = Message {
    name: "SecretSyncRenderingSpec",
    component: "dev.strongroom.v1alpha1.SecretSyncRenderingSpec",
    description: "For which cluster, and which namespaces it has.",
    fields: &[
        Field::new("cluster", 1, Type::String, "string", "Name of the Cluster.").required(),
        Field::new(
            "namespaces",
            2,
            Type::Messages(&RENDERED_NAMESPACE, ListKind::Atomic),
            "[]v1alpha1.RenderedNamespace",
            "Namespaces that the cluster has; without any, those that the SecretSync names.",
        ),
        Field::new(
            "sources",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Only of these Secrets; without any, of all.",
        ),
        Field::new("continue", 4, Type::String, "string", "Goes on behind the page that gave this."),
        Field::new(
            "released",
            5,
            Type::Bool,
            "bool",
            "Says that nothing is left to be taken back of a SecretSync that is being deleted, in any cluster: it is let go, and the answer has no objects.",
        ),
    ],
    atomic: false,
};

/// A namespace of a cluster.
pub static RENDERED_NAMESPACE: Message = Message {
    name: "RenderedNamespace",
    component: "dev.strongroom.v1alpha1.RenderedNamespace",
    description: "A namespace of a cluster.",
    fields: &[
        Field::new("name", 1, Type::String, "string", "Its name.").required(),
        Field::new("labels", 2, Type::MapOfString, "map[string]string", "Its labels."),
    ],
    atomic: false,
};

/// What is to be in a cluster.
pub static SECRET_SYNC_RENDERING_STATUS: Message = Message {
    name: "SecretSyncRenderingStatus",
    component: "dev.strongroom.v1alpha1.SecretSyncRenderingStatus",
    description: "What is to be in a cluster.",
    fields: &[
        Field::new(
            "objects",
            1,
            Type::Messages(&RENDERED_OBJECT, ListKind::Atomic),
            "[]v1alpha1.RenderedObject",
            "The objects.",
        ),
        Field::new(
            "problems",
            2,
            Type::Messages(&RENDERING_PROBLEM, ListKind::Atomic),
            "[]v1alpha1.RenderingProblem",
            "What cannot be made.",
        ),
        Field::new(
            "sources",
            3,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of the Secrets that this page is made of.",
        ),
        Field::new(
            "deletedSources",
            4,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Names of Secrets whose deletion is recorded.",
        ),
        Field::new("continue", 5, Type::String, "string", "For the next page; absent on the last."),
    ],
    atomic: false,
};

/// A Secret as it is to be applied.
pub static RENDERED_OBJECT: Message = Message {
    name: "RenderedObject",
    component: "dev.strongroom.v1alpha1.RenderedObject",
    description: "A Secret as it is to be applied.",
    fields: &[
        Field::new("target", 1, Type::Int32, "int32", "Place of the target in the spec.").pointer(),
        Field::new("source", 2, Type::String, "string", "Name of the Secret that it is made of.").required(),
        Field::new("sourceRevision", 3, Type::String, "string", "Revision of that Secret.").required(),
        Field::new(
            "manifest",
            4,
            Type::String,
            "string",
            "The configuration for server-side apply, JSON. It holds the values.",
        )
        .required(),
    ],
    atomic: false,
};

/// Something that cannot be made.
pub static RENDERING_PROBLEM: Message = Message {
    name: "RenderingProblem",
    component: "dev.strongroom.v1alpha1.RenderingProblem",
    description: "Something that cannot be made.",
    fields: &[
        Field::new("target", 1, Type::Int32, "int32", "Place of the target in the spec; absent where it concerns all.")
            .pointer(),
        Field::new("namespace", 2, Type::String, "string", "Namespace in the cluster; absent where it concerns all."),
        Field::new("source", 3, Type::String, "string", "Name of the Secret; absent where it concerns all."),
        Field::new("reason", 4, Type::String, "string", "Why, in one word.").required(),
        Field::new("message", 5, Type::String, "string", "Why, for people. Never a value.").required(),
    ],
    atomic: false,
};
