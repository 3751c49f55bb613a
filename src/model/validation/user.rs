//! Rules of a User: names that cannot be mistaken for another, and groups that only the server gives left out.

use serde_json::Value;

use super::{list, meta, text};
use crate::model::field_error::FieldError;
use crate::model::user::{SYSTEM_PREFIX, USER_ADMIN};

/// The longest name of a user or group, in bytes.
const NAME_MAX_BYTES: usize = 253;
/// The most groups of one user.
const GROUPS_MAX: usize = 256;

/// The errors of a User's own fields.
pub(super) fn user(object: &Value, errors: &mut Vec<FieldError>) {
    let name = text(meta(object), "name");
    if let Some(problem) = name_problem(name) {
        errors.push(FieldError::invalid("metadata.name", name, problem));
    }
    let groups = object.get("spec").map_or(&[][..], |spec| list(spec, "groups"));
    if groups.len() > GROUPS_MAX {
        errors.push(FieldError::too_many("spec.groups", groups.len(), GROUPS_MAX));
        return;
    }
    for (at, group) in groups.iter().enumerate() {
        let (field, group) = (format!("spec.groups[{at}]"), group.as_str().unwrap_or_default());
        if let Some(problem) = group_problem(group) {
            errors.push(FieldError::invalid(&field, group, problem));
        }
        if groups.iter().take(at).any(|earlier| earlier == group) {
            errors.push(FieldError::duplicate(&field, group));
        }
    }
}

/// Why no User can have this name.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._@+".contains(c);
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name == USER_ADMIN {
        return Some("this is the name of the built-in administrator");
    }
    // Of ASCII in lower case only, so that no two names look alike or differ in case.
    let fits = name.len() <= NAME_MAX_BYTES
        && name.chars().all(is_inner)
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name != "..";
    (!fits).then_some(
        "the name of a user consists of lower case letters, digits and '-', '.', '_', '@', '+', begins and ends with a letter or digit, and has at most 253 characters",
    )
}

/// Why no User can be in this group.
pub fn group_problem(group: &str) -> Option<&'static str> {
    if group.get(..SYSTEM_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM_PREFIX)) {
        return Some("groups that begin with system: are given by the server alone");
    }
    let fits = !group.is_empty()
        && group.len() <= NAME_MAX_BYTES
        && !group.chars().any(char::is_control)
        && group.trim() == group;
    (!fits)
        .then_some("the name of a group has 1 to 253 bytes, no control characters and no space at its beginning or end")
}

#[cfg(test)]
mod tests {
    use crate::model::kinds::USER;
    use crate::model::validation::validate_create;
    use serde_json::json;

    fn errors(name: &str, groups: &[&str]) -> Vec<String> {
        let object = json!({
            "metadata": {"name": name, "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"groups": groups},
        });
        validate_create(&USER, &object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_that_differ_only_in_looks_are_refused() {
        for name in ["alice", "a", "alice@example.com", "ci-bot_2", "a+b"] {
            assert_eq!(errors(name, &[]), [""; 0], "{name}");
        }
        for name in ["Alice", "system:node", "admin", "\u{0430}lice", "-a", "a.", "a b", &"a".repeat(254)] {
            assert_eq!(errors(name, &[]).len(), 1, "{name}");
        }
    }

    #[test]
    fn groups_of_the_server_and_groups_that_hide_are_refused() {
        assert_eq!(errors("a", &["dev", "oidc:Team Ä", "x:y"]), [""; 0]);
        for group in ["system:masters", "SYSTEM:masters", "", " dev", "a\nb"] {
            assert_eq!(errors("a", &[group]).len(), 1, "{group}");
        }
        assert_eq!(errors("a", &["dev", "qa", "dev"]), ["spec.groups[2]: Duplicate value: \"dev\""]);
        assert_eq!(errors("a", &vec!["g"; 300]).len(), 1);
    }
}
