//! Every operation on every kind, with its path: what the table of kinds says can be done.

use utoipa::openapi::path::HttpMethod;

use super::examples;
use crate::api::kube_openapi::subresource_kind;
use crate::model::kinds::{KINDS, Kind, SECRET_EXPORT, SECRET_IMPORT, SECRET_REVISION, SECRET_SCAN, Subresource, Verb};

/// One operation. A watch is a list with a parameter, so `Watch` has none of its own.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The kind whose path it is.
    pub kind: &'static Kind,
    /// What is done.
    pub verb: Verb,
    /// With which part of the object.
    pub sub: Option<&'static Subresource>,
    /// With the objects of one namespace, rather than of all or of none.
    pub in_namespace: bool,
}

/// All of them.
pub fn all() -> Vec<Route> {
    let mut routes = Vec::new();
    for kind in KINDS.iter().copied() {
        for verb in kind.verbs.iter().copied().filter(|verb| *verb != Verb::Watch) {
            routes.push(Route { kind, verb, sub: None, in_namespace: kind.namespaced });
            if verb == Verb::List && kind.namespaced {
                routes.push(Route { kind, verb, sub: None, in_namespace: false });
            }
        }
        for sub in kind.subresources {
            let of_sub =
                sub.verbs.iter().map(|verb| Route { kind, verb: *verb, sub: Some(sub), in_namespace: kind.namespaced });
            routes.extend(of_sub);
        }
    }
    routes
}

impl Route {
    /// The kind of object that is sent and returned.
    pub fn shown(&self) -> &'static Kind {
        self.sub.map_or(self.kind, |sub| subresource_kind(self.kind, sub))
    }

    /// Whether one object is meant, by its name in the path.
    pub fn is_named(&self) -> bool {
        self.sub.is_some() || matches!(self.verb, Verb::Get | Verb::Update | Verb::Patch | Verb::Delete)
    }

    /// The path, with `{namespace}` and `{name}`.
    pub fn path(&self) -> String {
        let root = if self.kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.kind.group) };
        let namespace = if self.in_namespace { "/namespaces/{namespace}" } else { "" };
        let name = if self.is_named() { "/{name}" } else { "" };
        let sub = self.sub.map(|sub| format!("/{}", sub.name)).unwrap_or_default();
        format!("{root}/{}{namespace}/{}{name}{sub}", self.kind.version, self.kind.plural)
    }

    /// The path of the example.
    pub fn example_path(&self) -> String {
        self.path().replace("{namespace}", examples::NAMESPACE).replace("{name}", examples::name(self.kind))
    }

    /// The method.
    pub fn method(&self) -> HttpMethod {
        match self.verb {
            Verb::Get | Verb::List | Verb::Watch => HttpMethod::Get,
            Verb::Create => HttpMethod::Post,
            Verb::Update => HttpMethod::Put,
            Verb::Patch => HttpMethod::Patch,
            Verb::Delete | Verb::DeleteCollection => HttpMethod::Delete,
        }
    }

    /// The method as it stands in a request line.
    pub fn method_name(&self) -> &'static str {
        match self.method() {
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
            _ => "GET",
        }
    }

    /// A name that no other operation has: `listSecretsForAllNamespaces`, `replaceNamespaceStatus`.
    pub fn operation_id(&self) -> String {
        let kind = self.kind.kind;
        let sub = self.sub.map(|sub| capitalised(sub.name)).unwrap_or_default();
        match self.verb {
            Verb::Get => format!("get{kind}{sub}"),
            Verb::List | Verb::Watch if self.kind.namespaced && !self.in_namespace => {
                format!("list{kind}sForAllNamespaces")
            }
            Verb::List | Verb::Watch => format!("list{kind}s"),
            Verb::Create => format!("create{kind}{sub}"),
            Verb::Update => format!("replace{kind}{sub}"),
            Verb::Patch => format!("patch{kind}{sub}"),
            Verb::Delete => format!("delete{kind}{sub}"),
            Verb::DeleteCollection => format!("delete{kind}Collection"),
        }
    }

    /// Codes that are answered when it goes well.
    pub fn success(&self) -> &'static [u16] {
        match self.verb {
            Verb::Create => &[201],
            // A subresource is of an object that is there.
            Verb::Update if self.kind.create_on_update && self.sub.is_none() => &[200, 201],
            Verb::Patch if self.sub.is_none() => &[200, 201],
            // A version is gone at once.
            Verb::Delete if self.kind.id == SECRET_REVISION.id => &[200],
            Verb::Delete => &[200, 202],
            _ => &[200],
        }
    }

    /// Codes that are answered when it does not.
    pub fn failures(&self) -> Vec<u16> {
        const WITH_A_BODY: [u16; 5] = [400, 408, 413, 415, 422];
        let mut codes = vec![401, 403, 406, 421, 429, 503];
        match self.verb {
            Verb::Get => codes.extend([400, 404]),
            Verb::List | Verb::Watch => codes.extend([400, 410, 422, 504]),
            Verb::Create if !self.kind.stored => codes.extend(WITH_A_BODY),
            Verb::Create => {
                codes.extend(WITH_A_BODY);
                // A certificate changes nothing.
                codes.extend(self.sub.is_none_or(|sub| !sub.name.starts_with("certificate")).then_some(409));
                // The namespace, or the object whose part it is.
                codes.extend((self.in_namespace || self.sub.is_some()).then_some(404));
            }
            Verb::Update | Verb::Patch | Verb::Delete => {
                codes.extend(WITH_A_BODY);
                codes.extend([404, 409]);
            }
            Verb::DeleteCollection => {
                codes.extend(WITH_A_BODY);
                codes.extend([409, 410, 504]);
            }
        }
        if self.kind.id == SECRET_EXPORT.id {
            // Of the Secrets that are read.
            codes.push(404);
        }
        if self.kind.id == SECRET_IMPORT.id {
            // Of the namespace, and of what is there already.
            codes.extend([404, 409]);
        }
        if self.kind.stored || [SECRET_EXPORT.id, SECRET_IMPORT.id, SECRET_SCAN.id].contains(&self.kind.id) {
            codes.push(500);
        }
        codes.sort_unstable();
        codes
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
