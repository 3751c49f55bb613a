//! Values that stand in a SecretSync itself, where whoever may get it reads them.

use serde_json::Value;

use super::Template;

/// Where a key is made of text alone: `spec.targets[0].template.data[password]`, for each. What is no template is none.
pub fn literals(object: &Value) -> Vec<String> {
    let targets = object.pointer("/spec/targets").and_then(Value::as_array).into_iter().flatten().enumerate();
    let templates = targets.filter_map(|(at, target)| Some((at, target.pointer("/template/data")?.as_object()?)));
    let of_target = |(at, data): (usize, &serde_json::Map<String, Value>)| {
        let fixed = data.iter().filter(|(_, text)| text.as_str().is_some_and(is_literal));
        fixed.map(|(key, _)| format!("spec.targets[{at}].template.data[{key}]")).collect::<Vec<_>>()
    };
    templates.flat_map(of_target).collect()
}

fn is_literal(text: &str) -> bool {
    !text.trim().is_empty() && Template::parse(text).is_ok_and(|template| template.keys().next().is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_without_a_key_of_the_source_is_a_literal() {
        let object = json!({"spec": {"targets": [
            {"template": {"data": {"url": "postgres://{{ user }}@db", "pass": "hunter2", "empty": " ", "broken": "{{"}}},
            {"cluster": "east"},
            {"template": {"data": {"quoted": "{{ \"hunter2\" | base64 }}", "number": 7}}},
        ]}});
        let found = literals(&object);
        assert_eq!(found, ["spec.targets[0].template.data[pass]", "spec.targets[2].template.data[quoted]"]);
        assert!(literals(&json!({})).is_empty());
    }
}
