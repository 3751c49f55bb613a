//! `strongroom.dev/v1alpha1`: clusters, and what is observed of them.

use super::{Field, ListKind, METADATA, Message, OBSERVED_GENERATION, Type, conditions};

/// A Kubernetes cluster, or another server of this kind, that Secrets can be sent to.
pub static CLUSTER: Message = Message {
    name: "Cluster",
    component: "dev.strongroom.v1alpha1.Cluster",
    description: "A Kubernetes cluster, or another server of this kind, that Secrets can be sent to. Writing one needs the right to get the Secret that holds its kubeconfig; using one needs the verb use.",
    fields: &[
        METADATA,
        Field::new("spec", 2, Type::Message(&CLUSTER_SPEC), "v1alpha1.ClusterSpec", "How the cluster is reached.")
            .required(),
        Field::new(
            "status",
            3,
            Type::Message(&CLUSTER_STATUS),
            "v1alpha1.ClusterStatus",
            "What the server knows of the cluster.",
        ),
    ],
    atomic: false,
};

/// How a cluster is reached, and what may be written there.
pub static CLUSTER_SPEC: Message = Message {
    name: "ClusterSpec",
    component: "dev.strongroom.v1alpha1.ClusterSpec",
    description: "How a cluster is reached, and what may be written there.",
    fields: &[
        Field::new(
            "kubeconfigSecretRef",
            1,
            Type::Message(&KUBECONFIG_REFERENCE),
            "v1alpha1.KubeconfigReference",
            "The Secret that holds the kubeconfig.",
        )
        .required(),
        Field::new(
            "allowedNamespaces",
            2,
            Type::Strings(ListKind::Atomic),
            "[]string",
            "Namespaces of the cluster that may be written to: names, in which * stands for any characters. Without any, all of them.",
        ),
        Field::new("qps", 3, Type::Int32, "int32", "Requests a second; 100 if nothing is given.").pointer(),
        Field::new("burst", 4, Type::Int32, "int32", "Requests at once after a rest; 200 if nothing is given.")
            .pointer(),
    ],
    atomic: false,
};

/// A key of a Secret that holds a kubeconfig.
pub static KUBECONFIG_REFERENCE: Message = Message {
    name: "KubeconfigReference",
    component: "dev.strongroom.v1alpha1.KubeconfigReference",
    description: "A key of a Secret that holds a kubeconfig. What it may hold: https servers, certificates and tokens inline. What would start a process, read a file, or leave out verification is refused.",
    fields: &[
        Field::new("namespace", 1, Type::String, "string", "Namespace of the Secret.").required(),
        Field::new("name", 2, Type::String, "string", "Name of the Secret.").required(),
        Field::new("key", 3, Type::String, "string", "The key; kubeconfig if nothing is given."),
        Field::new("context", 4, Type::String, "string", "The context; the current one if nothing is given."),
    ],
    atomic: false,
};

/// What the server knows of a cluster.
pub static CLUSTER_STATUS: Message = Message {
    name: "ClusterStatus",
    component: "dev.strongroom.v1alpha1.ClusterStatus",
    description: "What the server knows of a cluster.",
    fields: &[
        OBSERVED_GENERATION,
        conditions("Healthy: whether the cluster answered and took the credential."),
        Field::new("serverVersion", 3, Type::String, "string", "What the cluster says its version is."),
        Field::new("lastContactTime", 4, Type::Time, "v1.Time", "When the cluster last answered.").pointer(),
    ],
    atomic: false,
};

/// One observation of an object.
pub static CONDITION: Message = Message {
    name: "Condition",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
    description: "One observation of an object: whether something holds, since when, and why.",
    fields: &[
        Field::new("type", 1, Type::String, "string", "What is observed.").required(),
        Field::new("status", 2, Type::String, "v1.ConditionStatus", "Whether it holds: True, False or Unknown.")
            .required(),
        Field::new("observedGeneration", 3, Type::Int64, "int64", "The generation of the spec that this is about."),
        Field::new("lastTransitionTime", 4, Type::Time, "v1.Time", "Since when.").required(),
        Field::new("reason", 5, Type::String, "string", "Why, in one word.").required(),
        Field::new("message", 6, Type::String, "string", "Why, for people.").required(),
    ],
    atomic: false,
};
