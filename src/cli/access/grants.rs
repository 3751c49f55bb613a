//! Subjects, bindings, roles and rules as text.

use serde_json::Value;

use crate::cli::output::{text_at, texts_at};

/// `RoleBinding prod/readers`, or nothing where there is none.
pub fn reference(value: &Value) -> String {
    match text_at(value, "/kind") {
        "" => String::new(),
        kind => format!("{kind} {}", scoped(value)),
    }
}

/// `Group dev`, `ServiceAccount prod/app`, or nothing where there is none.
pub fn subject(value: &Value) -> String {
    reference(value)
}

/// `get,list secrets[db]`
pub fn rule(value: &Value) -> String {
    let list = |pointer: &str| texts_at(value, pointer).join(",");
    let paths = list("/nonResourceURLs");
    if !paths.is_empty() {
        return format!("{} {paths}", list("/verbs"));
    }
    let groups = texts_at(value, "/apiGroups");
    let resources: Vec<String> = texts_at(value, "/resources")
        .into_iter()
        .map(|resource| match groups.as_slice() {
            [] | [""] => resource.to_owned(),
            [group] => format!("{resource}.{group}"),
            several => {
                let shown: Vec<&str> =
                    several.iter().map(|group| if group.is_empty() { "core" } else { group }).collect();
                format!("{resource}.({})", shown.join("|"))
            }
        })
        .collect();
    let names = list("/resourceNames");
    let names = if names.is_empty() { names } else { format!("[{names}]") };
    format!("{} {}{names}", list("/verbs"), resources.join(","))
}

fn scoped(value: &Value) -> String {
    match text_at(value, "/namespace") {
        "" => text_at(value, "/name").to_owned(),
        namespace => format!("{namespace}/{}", text_at(value, "/name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_and_rules_are_short() {
        assert_eq!(reference(&json!({"kind": "RoleBinding", "namespace": "prod", "name": "r"})), "RoleBinding prod/r");
        assert_eq!(subject(&json!({"kind": "Group", "name": "dev"})), "Group dev");
        assert_eq!(reference(&Value::Null), "");
        for (value, text) in [
            (json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}), "get,list secrets"),
            (
                json!({"verbs": ["get"], "apiGroups": ["a.b"], "resources": ["x", "y"], "resourceNames": ["n"]}),
                "get x.a.b,y.a.b[n]",
            ),
            (json!({"verbs": ["*"], "apiGroups": ["", "apps"], "resources": ["*"]}), "* *.(core|apps)"),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}), "get /metrics"),
        ] {
            assert_eq!(rule(&value), text);
        }
    }
}
