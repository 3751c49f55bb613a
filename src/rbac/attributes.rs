//! What a request asks for, as Kubernetes' authorizer attributes.

use crate::model::kinds::Kind;

/// The attributes of one request: of a resource (`kind` or `resource` set) or of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, …; for a path the lower-cased method.
    pub verb: String,
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural resource; empty for a path.
    pub resource: String,
    /// `status`, `finalize`, …; empty for the object itself.
    pub subresource: String,
    /// Namespace; empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Object name; for list and watch the name that the field selector demands, if it does.
    pub name: String,
    /// The URL path.
    pub path: String,
    /// The served kind, where the resource is one.
    pub kind: Option<&'static Kind>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.plural == other.plural && self.group == other.group
    }
}

impl Eq for Kind {}

impl Attributes {
    /// Attributes of a request for a path that is no resource.
    pub fn path(verb: &str, path: &str) -> Self {
        Self { verb: verb.to_owned(), path: path.to_owned(), ..Self::default() }
    }

    /// Attributes of a request for `namespace`/`name` of `kind`.
    pub fn object(verb: &str, kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            resource: kind.plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// Attributes of acting as `namespace`/`name` of `resource`.
    pub fn impersonate(group: &str, resource: &str, namespace: &str, name: &str) -> Self {
        Self {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Whether a resource is asked for, rather than a path.
    pub fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }

    /// The same request with another verb (the `create` check of an upsert).
    #[must_use]
    pub fn with_verb(&self, verb: &str) -> Self {
        Self { verb: verb.to_owned(), ..self.clone() }
    }
}
