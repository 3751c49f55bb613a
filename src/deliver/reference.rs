//! How a Secret is named on a command line: `[NAMESPACE/]NAME[?][:REST]`.
//!
//! A question mark says that it may be missing (Kubernetes' `optional`); none of the characters can be in a name.

use super::objects::ObjectName;

/// A Secret, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its namespace, where one is given.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it may be missing.
    pub optional: bool,
    /// What follows the colon: a key, a prefix.
    pub rest: Option<String>,
}

/// It is not written like one.
#[derive(Debug, thiserror::Error)]
#[error("give NAMESPACE/NAME or NAME: lower-case letters, digits, - and .")]
pub struct ReferenceError;

impl Reference {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (object, rest) = match text.split_once(':') {
            Some((object, rest)) => (object, Some(rest.to_owned())),
            None => (text, None),
        };
        let (object, optional) = object.strip_suffix('?').map_or((object, false), |object| (object, true));
        let (namespace, name) = match object.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, object),
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.')
        };
        if !is_name(name) || !namespace.is_none_or(is_name) {
            return Err(ReferenceError);
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned(), optional, rest })
    }
}

impl Reference {
    /// The Secret that is meant, where it names no namespace of `namespace`.
    #[must_use]
    pub fn secret(&self, namespace: &str) -> ObjectName {
        ObjectName::secret(self.namespace.as_deref().unwrap_or(namespace), self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_with_or_without_its_namespace() {
        for (text, namespace, name, optional, rest) in [
            ("db", None, "db", false, None),
            ("prod/db", Some("prod"), "db", false, None),
            ("prod/db?", Some("prod"), "db", true, None),
            ("prod/db:KEY", Some("prod"), "db", false, Some("KEY")),
            ("db.v1?:DB_", None, "db.v1", true, Some("DB_")),
            ("db:a:b?", None, "db", false, Some("a:b?")),
            ("db:", None, "db", false, Some("")),
        ] {
            let read = Reference::parse(text).unwrap();
            assert_eq!(
                (read.namespace.as_deref(), read.name.as_str(), read.optional, read.rest.as_deref()),
                (namespace, name, optional, rest),
                "{text}"
            );
        }
        for text in ["", "/", "a/", "/a", "a/b/c", "A", "a_b", "?", "a b", "..%2f", ":k"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
