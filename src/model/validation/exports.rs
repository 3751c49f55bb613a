//! What a SecretExport must say: which Secrets, named or selected, and not both.

use std::collections::HashSet;

use serde_json::Value;

use super::names;
use crate::model::field_error::FieldError;
use crate::model::selector::LabelSelector;

/// The most Secrets that can be named.
const NAMES_MAX: usize = 10_000;

/// Which Secrets are to be exported.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    /// These, in this order.
    Names(Vec<String>),
    /// Those with such labels.
    Labels(LabelSelector),
}

/// Reads `spec`; what is wrong with it otherwise.
pub fn selection(export: &Value) -> Result<Selection, Vec<FieldError>> {
    let field = |name: &str| export.get("spec").and_then(|spec| spec.get(name));
    let listed = field("names").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let selector = field("selector").filter(|selector| !selector.is_null());
    match (listed, selector) {
        ([], None) => Err(vec![FieldError::required("spec.names", "names or a selector must be given")]),
        ([], Some(selector)) => LabelSelector::from_api(selector, "spec.selector").map(Selection::Labels),
        (_, Some(_)) => Err(vec![FieldError::forbidden("spec.selector", "may not be given together with names")]),
        (listed, None) if listed.len() > NAMES_MAX => {
            Err(vec![FieldError::too_many("spec.names", listed.len(), NAMES_MAX)])
        }
        (listed, None) => named(listed).map(Selection::Names),
    }
}

fn named(listed: &[Value]) -> Result<Vec<String>, Vec<FieldError>> {
    let (mut wanted, mut errors, mut seen) = (Vec::with_capacity(listed.len()), Vec::new(), HashSet::new());
    for (at, name) in listed.iter().enumerate() {
        let (name, field) = (name.as_str().unwrap_or_default(), format!("spec.names[{at}]"));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(field, name));
        } else if !names::dns1123_subdomain(name).is_empty() {
            // Such a Secret cannot exist. The name is not repeated: a value may have been put in its place.
            errors.push(FieldError::forbidden(field, "this is no name of a Secret"));
        }
        wanted.push(name.to_owned());
    }
    if errors.is_empty() { Ok(wanted) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: &Value) -> Result<Selection, String> {
        selection(&json!({"spec": spec}))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn secrets_are_named_or_selected() {
        assert_eq!(read(&json!({"names": ["b", "a"]})), Ok(Selection::Names(vec!["b".into(), "a".into()])));
        assert_eq!(read(&json!({"selector": {}})), Ok(Selection::Labels(LabelSelector::default())));
        let selector = read(&json!({"selector": {"matchLabels": {"app": "web"}}}));
        assert_eq!(selector, Ok(Selection::Labels(LabelSelector::parse("app=web").unwrap())));
    }

    #[test]
    fn neither_both_and_what_cannot_be_are_refused() {
        for (spec, expected) in [
            (json!({}), "spec.names: Required value: names or a selector must be given"),
            (json!({"names": []}), "spec.names: Required value: names or a selector must be given"),
            (json!({"names": ["a"], "selector": {}}), "spec.selector: Forbidden: may not be given together with names"),
            (json!({"names": ["a", "b", "a"]}), "spec.names[2]: Duplicate value: \"a\""),
            (json!({"names": ["A/../b"]}), "spec.names[0]: Forbidden: this is no name of a Secret"),
            (json!({"names": [""]}), "spec.names[0]: Forbidden: this is no name of a Secret"),
        ] {
            assert_eq!(read(&spec), Err(expected.to_owned()), "{spec}");
        }
        let broken = read(&json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}})).unwrap_err();
        assert!(broken.starts_with("spec.selector.matchExpressions[0].operator: "), "{broken}");
    }
}
