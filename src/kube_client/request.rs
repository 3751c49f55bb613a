//! A request before it is sent: method, path, query, body.

use crate::sensitive::SecretBytes;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// What is asked of a server. Answers are asked for as JSON.
pub struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) accept: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: Option<SecretBytes>,
}

impl Request {
    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path.into(), JSON, None)
    }

    /// Creates, or calls. The body is JSON.
    pub fn post(path: impl Into<String>, body: SecretBytes) -> Self {
        Self::new("POST", path.into(), JSON, Some(body))
    }

    /// Replaces. The body is JSON.
    pub fn put(path: impl Into<String>, body: SecretBytes) -> Self {
        Self::new("PUT", path.into(), JSON, Some(body))
    }

    /// Changes some fields (RFC 7386).
    pub fn merge_patch(path: impl Into<String>, body: SecretBytes) -> Self {
        Self::new("PATCH", path.into(), MERGE_PATCH, Some(body))
    }

    /// Server-side apply (KEP-555). The body is JSON, which is YAML.
    pub fn apply(path: impl Into<String>, body: SecretBytes) -> Self {
        Self::new("PATCH", path.into(), APPLY_PATCH, Some(body))
    }

    /// Changes some fields, with Kubernetes' rules for lists.
    pub fn strategic_patch(path: impl Into<String>, body: SecretBytes) -> Self {
        Self::new("PATCH", path.into(), STRATEGIC_PATCH, Some(body))
    }

    /// Deletes, under conditions: the body is a `DeleteOptions`.
    pub fn delete_if(path: impl Into<String>, options: SecretBytes) -> Self {
        Self::new("DELETE", path.into(), JSON, Some(options))
    }

    /// Deletes.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path.into(), JSON, None)
    }

    /// The same request once more, without its body.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { query: self.query.clone(), path: self.path.clone(), body: None, ..*self }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Asks for another media type than `application/json`.
    #[must_use]
    pub fn accepting(mut self, media_types: &'static str) -> Self {
        self.accept = media_types;
        self
    }

    fn new(method: &'static str, path: String, content_type: &'static str, body: Option<SecretBytes>) -> Self {
        Self { method, path, query: Vec::new(), accept: JSON, content_type, body }
    }

    /// Path and query as they stand in the request line.
    #[must_use]
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        format!("{}?{}", self.path, query.finish())
    }
}

/// A name as one segment of a path (RFC 3986): a slash in it does not begin another one.
#[must_use]
pub fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(encode_segment("ada@example.com"), "ada@example.com");
        assert_eq!(encode_segment("../a b?\u{e4}"), "..%2Fa%20b%3F%C3%A4");
    }

    #[test]
    fn a_query_is_encoded() {
        let request = Request::get("/x").with("user", "a&b=c").with("verb", "get");
        assert_eq!(request.target(), "/x?user=a%26b%3Dc&verb=get");
        assert_eq!(Request::get("/x").target(), "/x");
    }
}
