//! A query as it may be recorded: parameters by an allow-list, and of those only values of the shape they have.
//!
//! What it never does: keep a selector, a token, a continue token or any free text. Whoever writes a secret into a
//! query finds the parameter's name in the log, and `redacted`.

use form_urlencoded::parse;

/// Longer paths are cut: none that is served is.
const PATH_MAX_CHARS: usize = 2048;
/// Parameters beyond these are left out; no request of a client has so many.
const MAX_PARAMETERS: usize = 32;
const REDACTED: &str = "redacted";

/// The recordable part of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReducedQuery(String);

impl ReducedQuery {
    /// Of a query as it was sent, without its question mark.
    pub fn of(raw: &str) -> Self {
        if raw.is_empty() {
            return Self::default();
        }
        let mut reduced = String::new();
        for part in raw.split('&').filter(|part| !part.is_empty()).take(MAX_PARAMETERS) {
            let Some((name, value)) = parse(part.as_bytes()).next() else { continue };
            if !reduced.is_empty() {
                reduced.push('&');
            }
            // Without an equals sign the whole of it may be a value.
            let name = if is_allowed(&name) || (part.contains('=') && is_name(&name)) { &name } else { REDACTED };
            reduced.push_str(name);
            reduced.push('=');
            reduced.push_str(if has_shape(name, &value) { &value } else { REDACTED });
        }
        Self(reduced)
    }

    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The path with this query.
    pub fn after(&self, path: &str) -> String {
        let mut uri: String = path.chars().take(PATH_MAX_CHARS).collect();
        if !self.is_empty() {
            uri.push('?');
            uri.push_str(&self.0);
        }
        uri
    }
}

const ALLOWED: &[&str] = &[
    "watch",
    "limit",
    "fieldManager",
    "dryRun",
    "force",
    "fieldValidation",
    "timeoutSeconds",
    "resourceVersion",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "pretty",
    "fieldSelector",
];

fn is_allowed(name: &str) -> bool {
    ALLOWED.contains(&name)
}

/// What parameters are called anywhere.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Whether the value is one that the parameter can have. None of these shapes needs to be escaped in a URI.
fn has_shape(name: &str, value: &str) -> bool {
    match name {
        "watch" | "force" | "allowWatchBookmarks" | "sendInitialEvents" | "pretty" => {
            ["", "true", "false", "1", "0", "t", "f", "T", "F", "True", "False", "TRUE", "FALSE"].contains(&value)
        }
        "limit" | "timeoutSeconds" | "resourceVersion" => {
            value.len() <= 20 && value.bytes().all(|byte| byte.is_ascii_digit())
        }
        "dryRun" => value == "All" || value.is_empty(),
        "fieldValidation" => ["", "Ignore", "Warn", "Strict"].contains(&value),
        "fieldManager" => is_plain(value, 128),
        "fieldSelector" => value.strip_prefix("metadata.name=").is_some_and(|name| is_plain(name, 253)),
        _ => false,
    }
}

/// A name as objects and programs have.
fn is_plain(value: &str, max_bytes: usize) -> bool {
    value.len() <= max_bytes && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(raw: &str) -> String {
        ReducedQuery::of(raw).after("/p")
    }

    #[test]
    fn what_clients_send_of_themselves_is_kept() {
        for kept in [
            "watch=true&resourceVersion=17&timeoutSeconds=300&allowWatchBookmarks=true",
            "limit=500",
            "fieldManager=kubectl-client-side-apply&fieldValidation=Strict&dryRun=All&force=true",
            "fieldSelector=metadata.name=db",
            "pretty=",
        ] {
            assert_eq!(reduced(kept), format!("/p?{kept}"));
        }
        assert_eq!(reduced("fieldSelector=metadata.name%3Ddb"), "/p?fieldSelector=metadata.name=db");
        assert_eq!(reduced("watch"), "/p?watch=");
        assert_eq!(reduced(""), "/p");
    }

    #[test]
    fn no_value_that_could_be_a_secret_is_kept() {
        for (raw, expected) in [
            ("labelSelector=password%3Dhunter2", "labelSelector=redacted"),
            ("continue=abc", "continue=redacted"),
            ("fieldSelector=type%3Dhunter2", "fieldSelector=redacted"),
            ("fieldSelector=metadata.name%3Da%2Cdata.x%3Dhunter2", "fieldSelector=redacted"),
            ("limit=hunter2", "limit=redacted"),
            ("resourceVersion=hunter2", "resourceVersion=redacted"),
            ("dryRun=hunter2", "dryRun=redacted"),
            ("pretty=hunter2", "pretty=redacted"),
            ("fieldManager=hunter%202", "fieldManager=redacted"),
            ("access_token=hunter2", "access_token=redacted"),
            ("hunter2", "redacted=redacted"),
            ("%68unter2%20=x", "redacted=redacted"),
            ("=hunter2", "redacted=redacted"),
            ("a=1&&b=2", "a=redacted&b=redacted"),
        ] {
            assert_eq!(reduced(raw), format!("/p?{expected}"));
        }
    }

    #[test]
    fn what_is_recorded_is_bounded() {
        assert!(reduced(&"a=1&".repeat(5000)).len() < 1000);
        assert_eq!(ReducedQuery::of("").after(&"/x".repeat(5000)).len(), PATH_MAX_CHARS);
        assert_eq!(reduced(&format!("fieldManager={}", "x".repeat(129))), "/p?fieldManager=redacted");
    }
}
