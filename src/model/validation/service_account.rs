//! What is particular to a ServiceAccount: nothing is refused beyond its metadata, one annotation is warned about.

use serde_json::Value;

use super::{map, meta};

const ENFORCE_MOUNTABLE_SECRETS: &str = "kubernetes.io/enforce-mountable-secrets";

/// The warning about the deprecated annotation, when this write is what sets it.
pub(super) fn mountable_secrets_warning(new: &Value, old: Option<&Value>) -> Option<String> {
    let is_set = |object| {
        map(meta(object), "annotations").is_some_and(|annotations| annotations.contains_key(ENFORCE_MOUNTABLE_SECRETS))
    };
    (is_set(new) && !old.is_some_and(is_set)).then(|| {
        format!(
            "metadata.annotations[{ENFORCE_MOUNTABLE_SECRETS}]: deprecated in v1.32+; prefer separate namespaces to \
             isolate access to mounted secrets"
        )
    })
}
