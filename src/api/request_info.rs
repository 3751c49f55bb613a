//! Method, path and query → what is asked for. Pure, and the only parser of either: the authorizer and the
//! handler both read its result, so that what was checked is what is done.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go` (behaviour).

use std::borrow::Cow;

use crate::model::kinds;
use crate::model::selector::FieldSelector;
use crate::model::validation::names;
use crate::rbac::Attributes;

/// Query parameters, decoded, in order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=b&c=d`, `+` and `%xx` decoded. What is not UTF-8 is replaced.
    pub fn parse(query: &str) -> Self {
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// Every parameter, in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of `name`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `true`, `1` and a bare name; absent, `0` and `false` are false, as in Kubernetes' query conversion.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

/// What a request asks for.
#[derive(Debug)]
pub struct RequestInfo {
    /// For the authorizer.
    pub attributes: Attributes,
    /// The object name in the path, as opposed to one that a field selector demands.
    pub path_name: String,
    /// A third or later segment after the name that is no subresource, or an empty segment: never served.
    pub malformed: bool,
}

/// Reads a request line.
pub fn request_info(method: &str, path: &str, query: &Query) -> RequestInfo {
    let malformed = path.contains("//");
    let trimmed = path.trim_matches('/');
    let mut segments: Vec<Cow<'_, str>> = trimmed.split('/').map(|segment| Cow::from(decode(segment, false))).collect();
    let lower = method.to_ascii_lowercase();
    let plain =
        |malformed| RequestInfo { attributes: Attributes::path(&lower, path), path_name: String::new(), malformed };
    let (group, version) = match segments.first().map(AsRef::as_ref) {
        Some("api") if segments.len() >= 3 => (String::new(), take(&mut segments, 2)),
        Some("apis") if segments.len() >= 4 => {
            let group = segments.get(1).map(ToString::to_string).unwrap_or_default();
            (group, take(&mut segments, 3))
        }
        _ => return plain(malformed),
    };
    let mut verb = match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    };
    // The deprecated form of a watch: /api/v1/watch/…
    let watch_path = segments.first().is_some_and(|segment| segment == "watch");
    if watch_path {
        segments.remove(0);
        verb = "watch";
    }
    let mut namespace = String::new();
    if let [first, name, rest @ ..] = segments.as_slice()
        && first == "namespaces"
    {
        namespace = name.to_string();
        let of_namespace = rest.first().is_none_or(|third| matches!(third.as_ref(), "status" | "finalize"));
        if !of_namespace {
            segments.drain(..2);
        }
    }
    let mut parts = segments.into_iter().map(Cow::into_owned);
    let resource = parts.next().unwrap_or_default();
    let path_name = parts.next().unwrap_or_default();
    let subresource = parts.next().unwrap_or_default();
    let deeper = parts.next().is_some();
    let mut name = path_name.clone();
    if path_name.is_empty() {
        if verb == "get" {
            verb = if query.flag("watch") { "watch" } else { "list" };
        } else if verb == "delete" {
            verb = "deletecollection";
        }
    }
    if matches!(verb, "list" | "watch") && name.is_empty() {
        // Only a selector that parses and demands one name, which an object can have, narrows the request.
        let selector = query.value("fieldSelector").and_then(|text| FieldSelector::parse(text).ok());
        let exact = selector.as_ref().and_then(|selector| selector.exact("metadata.name"));
        if let Some(exact) = exact.filter(|exact| names::path_segment(exact).is_empty()) {
            exact.clone_into(&mut name);
        }
    }
    let kind = kinds::find(&group, &version, &resource);
    RequestInfo {
        attributes: Attributes {
            verb: verb.to_owned(),
            group,
            version,
            resource,
            subresource,
            namespace,
            name,
            path: path.to_owned(),
            kind,
        },
        path_name,
        malformed: malformed || deeper,
    }
}

/// Removes the first `count` segments and returns the last of them.
fn take(segments: &mut Vec<Cow<'_, str>>, count: usize) -> String {
    segments.drain(..count).next_back().map(Cow::into_owned).unwrap_or_default()
}

/// Percent-decoding (RFC 3986); `+` is a space in queries.
pub(super) fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                match (digit(0), digit(1)) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                        rest = tail.get(2..).unwrap_or_default();
                    }
                    _ => out.push(b'%'),
                }
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// method, path and query, then verb, group, resource, subresource, namespace, name.
    const CASES: &[(&str, &str, &str, [&str; 6])] = &[
        ("GET", "/api/v1/namespaces/foo/secrets/x", "", ["get", "", "secrets", "", "foo", "x"]),
        ("GET", "/api/v1/namespaces/foo/secrets", "", ["list", "", "secrets", "", "foo", ""]),
        ("GET", "/api/v1/namespaces/foo/secrets/", "", ["list", "", "secrets", "", "foo", ""]),
        ("GET", "/api/v1/secrets", "watch=1", ["watch", "", "secrets", "", "", ""]),
        ("GET", "/api/v1/secrets", "watch=false", ["list", "", "secrets", "", "", ""]),
        ("GET", "/api/v1/watch/namespaces/foo/secrets", "", ["watch", "", "secrets", "", "foo", ""]),
        ("GET", "/api/v1/watch/namespaces/foo/secrets/x", "", ["watch", "", "secrets", "", "foo", "x"]),
        ("HEAD", "/api/v1/namespaces/foo/secrets/x", "", ["get", "", "secrets", "", "foo", "x"]),
        ("GET", "/api/v1/namespaces/foo", "", ["get", "", "namespaces", "", "foo", "foo"]),
        ("PUT", "/api/v1/namespaces/foo/finalize", "", ["update", "", "namespaces", "finalize", "foo", "foo"]),
        ("DELETE", "/api/v1/namespaces/foo/secrets", "", ["deletecollection", "", "secrets", "", "foo", ""]),
        (
            "POST",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "",
            ["create", "rbac.authorization.k8s.io", "clusterroles", "", "", ""],
        ),
        ("PATCH", "/api/v1/namespaces/a%2Fb/secrets/x%20y", "", ["patch", "", "secrets", "", "a/b", "x y"]),
        (
            "GET",
            "/api/v1/namespaces/foo/secrets",
            "fieldSelector=metadata.name%3Dx,type%3DOpaque",
            ["list", "", "secrets", "", "foo", "x"],
        ),
        (
            "GET",
            "/api/v1/namespaces/foo/secrets",
            "fieldSelector=metadata.name!%3Dx",
            ["list", "", "secrets", "", "foo", ""],
        ),
        (
            "GET",
            "/api/v1/namespaces/foo/secrets",
            "fieldSelector=metadata.name%3Da/b",
            ["list", "", "secrets", "", "foo", ""],
        ),
        (
            "DELETE",
            "/api/v1/namespaces/foo/secrets",
            "fieldSelector=metadata.name%3Dx",
            ["deletecollection", "", "secrets", "", "foo", ""],
        ),
        (
            "POST",
            "/api/v1/namespaces/n/serviceaccounts/s/token",
            "",
            ["create", "", "serviceaccounts", "token", "n", "s"],
        ),
    ];

    #[test]
    fn paths_are_read_as_kubernetes_reads_them() {
        for (method, path, query, expected) in CASES {
            let info = request_info(method, path, &Query::parse(query));
            let a = &info.attributes;
            let read = [&a.verb, &a.group, &a.resource, &a.subresource, &a.namespace, &a.name].map(String::as_str);
            assert_eq!(read, *expected, "{method} {path}?{query}");
            assert!(!info.malformed, "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_resources() {
        for path in ["/", "/api", "/api/v1", "/apis", "/apis/g/v1", "/healthz", "/openapi/v3/api/v1"] {
            assert!(!request_info("GET", path, &Query::default()).attributes.is_resource(), "{path}");
        }
        assert!(request_info("GET", "/api/v1//secrets", &Query::default()).malformed);
        assert!(request_info("GET", "/api/v1/namespaces/a/secrets/b/c/d", &Query::default()).malformed);
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(decode("a%2", false), "a%2");
        assert_eq!(decode("%zz+", true), "%zz ");
        assert_eq!(decode("%ff", false), "\u{fffd}");
    }
}
