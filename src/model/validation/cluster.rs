//! Rules of a Cluster.

use serde_json::Value;

use super::{list, names, text};
use crate::model::field_error::FieldError;
use crate::model::secret_sync::Glob;

/// Requests a second that can be asked for.
const RATE_MAX: i64 = 10_000;
const NAMESPACES_MAX: usize = 1_000;
/// Requests a second where nothing is said.
pub const DEFAULT_QPS: u32 = 100;
/// Requests at once where nothing is said.
pub const DEFAULT_BURST: u32 = 200;

/// The errors of a Cluster's own fields.
pub(super) fn cluster(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let reference = spec.get("kubeconfigSecretRef").unwrap_or(&Value::Null);
    let path = "spec.kubeconfigSecretRef";
    for (field, rule) in [
        ("namespace", names::dns1123_label as fn(&str) -> names::Problems),
        ("name", names::dns1123_subdomain),
        ("key", names::secret_key),
    ] {
        let (value, path) = (text(reference, field), format!("{path}.{field}"));
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else {
            super::invalid_each(&path, value, rule(value), errors);
        }
    }
    let allowed = list(spec, "allowedNamespaces");
    if allowed.len() > NAMESPACES_MAX {
        errors.push(FieldError::too_many("spec.allowedNamespaces", allowed.len(), NAMESPACES_MAX));
    }
    for (at, pattern) in allowed.iter().take(NAMESPACES_MAX).enumerate() {
        let pattern = pattern.as_str().unwrap_or_default();
        if Glob::parse(pattern).is_none() {
            let detail = "a pattern is a name in which * stands for any characters";
            errors.push(FieldError::invalid(format!("spec.allowedNamespaces[{at}]"), pattern, detail));
        }
    }
    for field in ["qps", "burst"] {
        let Some(rate) = spec.get(field).and_then(Value::as_i64) else { continue };
        if !(1..=RATE_MAX).contains(&rate) {
            let detail = format!("must be between 1 and {RATE_MAX}");
            errors.push(FieldError::invalid_raw(format!("spec.{field}"), rate.to_string(), detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_names_a_secret_patterns_and_rates() {
        let errors = |spec: Value| {
            let mut errors = Vec::new();
            cluster(&json!({"spec": spec}), &mut errors);
            errors.iter().map(|error| error.field.clone()).collect::<Vec<_>>()
        };
        let reference = json!({"namespace": "infra", "name": "east", "key": "kubeconfig"});
        assert_eq!(errors(json!({"kubeconfigSecretRef": reference})), [""; 0]);
        assert_eq!(errors(json!({})).len(), 3);
        let wrong = json!({
            "kubeconfigSecretRef": {"namespace": "A", "name": "a/b", "key": "a b"},
            "allowedNamespaces": ["team-*", "a/b"], "qps": 0, "burst": 10_001,
        });
        assert_eq!(
            errors(wrong),
            [
                "spec.kubeconfigSecretRef.namespace",
                "spec.kubeconfigSecretRef.name",
                "spec.kubeconfigSecretRef.key",
                "spec.allowedNamespaces[1]",
                "spec.qps",
                "spec.burst",
            ]
        );
    }
}
