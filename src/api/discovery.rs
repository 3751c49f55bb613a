//! Discovery: which groups, versions and resources there are, in the legacy and the aggregated form.
//!
//! Source: Kubernetes API concepts, "API Discovery". Everything follows from the table of kinds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::respond::{self, Style};
use super::{Context, negotiate};
use crate::model::kinds::{KINDS, Kind, Verb};

/// Group and versions, in the order in which they are shown: by name.
static GROUPS: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut groups: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for kind in KINDS.iter().filter(|kind| !kind.group.is_empty()) {
        let versions = groups.entry(kind.group).or_default();
        if !versions.contains(&kind.version) {
            versions.push(kind.version);
        }
    }
    groups
});

/// `GROUP/VERSION` of everything that is served; `v1` for core.
pub fn group_versions() -> Vec<String> {
    let mut all = vec!["v1".to_owned()];
    all.extend(
        GROUPS.iter().flat_map(|(group, versions)| versions.iter().map(move |version| format!("{group}/{version}"))),
    );
    all
}

/// `/api`: the core versions. `host` is `HOST:PORT` as the client named it.
pub fn api_versions(host: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    })
}

/// `/apis`: every group.
pub fn api_group_list() -> Value {
    let groups: Vec<Value> = GROUPS.keys().map(|group| group_body(group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub fn api_group(group: &str) -> Option<Value> {
    let (group, _) = GROUPS.get_key_value(group)?;
    let mut body = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Some(fields), Value::Object(group)) = (body.as_object_mut(), group_body(group)) {
        fields.extend(group);
    }
    Some(body)
}

fn group_body(group: &str) -> Value {
    let versions: Vec<Value> = GROUPS
        .get(group)
        .into_iter()
        .flatten()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group, "versions": versions, "preferredVersion": preferred})
}

/// `/api/v1` and `/apis/GROUP/VERSION`; `group` is empty for core.
pub fn api_resource_list(group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in served(group, version) {
        resources.push(legacy_row(kind));
        for sub in kind.subresources {
            let mut row = Map::new();
            row.insert("name".to_owned(), format!("{}/{}", kind.plural, sub.name).into());
            row.insert("singularName".to_owned(), "".into());
            row.insert("namespaced".to_owned(), kind.namespaced.into());
            if !sub.group.is_empty() {
                row.insert("group".to_owned(), sub.group.into());
                row.insert("version".to_owned(), sub.version.into());
            }
            row.insert("kind".to_owned(), sub.kind.into());
            row.insert("verbs".to_owned(), verbs(sub.verbs));
            resources.push(Value::Object(row));
        }
    }
    if resources.is_empty() {
        return None;
    }
    let mut body = Map::new();
    body.insert("kind".to_owned(), "APIResourceList".into());
    if !group.is_empty() {
        body.insert("apiVersion".to_owned(), "v1".into());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    body.insert("groupVersion".to_owned(), group_version.into());
    body.insert("resources".to_owned(), resources.into());
    Some(Value::Object(body))
}

fn served<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + 'a {
    let mut kinds: Vec<&'static Kind> =
        KINDS.iter().copied().filter(|kind| kind.group == group && kind.version == version).collect();
    kinds.sort_unstable_by_key(|kind| kind.plural);
    kinds.into_iter()
}

fn legacy_row(kind: &Kind) -> Value {
    let mut row = Map::new();
    row.insert("name".to_owned(), kind.plural.into());
    row.insert("singularName".to_owned(), kind.singular.into());
    row.insert("namespaced".to_owned(), kind.namespaced.into());
    row.insert("kind".to_owned(), kind.kind.into());
    row.insert("verbs".to_owned(), verbs(kind.verbs));
    if !kind.short_names.is_empty() {
        row.insert("shortNames".to_owned(), json!(kind.short_names));
    }
    if kind.stored {
        // Tells clients that watch several versions whether they are stored alike.
        let digest = Sha256::digest(kind.stored_name().as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest.get(..8).unwrap_or_default());
        row.insert("storageVersionHash".to_owned(), hash.into());
    }
    Value::Object(row)
}

fn verbs(verbs: &[Verb]) -> Value {
    verbs.iter().map(|verb| Value::from(verb.as_str())).collect()
}

/// The aggregated form of `/api` (`core`) or `/apis`, of this version: `v2` or `v2beta1`.
pub fn aggregated(core: bool, version: &str) -> Value {
    let items: Vec<Value> = if core {
        vec![aggregated_group("", &["v1"])]
    } else {
        GROUPS.iter().map(|(group, versions)| aggregated_group(group, versions)).collect()
    };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group(group: &str, versions: &[&str]) -> Value {
    let metadata = if group.is_empty() {
        json!({"creationTimestamp": null})
    } else {
        json!({"name": group, "creationTimestamp": null})
    };
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = served(group, version).map(aggregated_row).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_row(kind: &'static Kind) -> Value {
    let mut row = Map::new();
    row.insert("resource".to_owned(), kind.plural.into());
    row.insert("responseKind".to_owned(), json!({"group": "", "version": "", "kind": kind.kind}));
    row.insert("scope".to_owned(), if kind.namespaced { "Namespaced" } else { "Cluster" }.into());
    row.insert("singularResource".to_owned(), kind.singular.into());
    row.insert("verbs".to_owned(), verbs(kind.verbs));
    if !kind.short_names.is_empty() {
        row.insert("shortNames".to_owned(), json!(kind.short_names));
    }
    if !kind.subresources.is_empty() {
        let subresources: Vec<Value> = kind
            .subresources
            .iter()
            .map(|sub| {
                let response = json!({"group": sub.group, "version": sub.version, "kind": sub.kind});
                json!({"subresource": sub.name, "responseKind": response, "verbs": verbs(sub.verbs)})
            })
            .collect();
        row.insert("subresources".to_owned(), subresources.into());
    }
    Value::Object(row)
}

/// `/`: the paths that can be read.
pub fn root() -> Value {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    paths.extend(GROUPS.keys().map(|group| format!("/apis/{group}")));
    paths.extend(group_versions().iter().map(|group_version| group_version_path(group_version)));
    paths.sort_unstable();
    json!({"paths": paths})
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub fn group_version_path(group_version: &str) -> String {
    let root = if group_version.contains('/') { "apis" } else { "api" };
    format!("/{root}/{group_version}")
}

pub(super) fn route(context: &Context<'_>, path: &str) -> Option<HttpResponse> {
    let host = context.header("host").unwrap_or_default();
    answer(&context.style, path, context.accept(), context.header("if-none-match"), host)
}

fn answer(
    style: &Style,
    path: &str,
    accept: Option<&str>,
    if_none_match: Option<&str>,
    host: &str,
) -> Option<HttpResponse> {
    if path == "/" {
        return Some(respond::value(style, 200, &root(), &[]));
    }
    // One slash at the end is fine; an empty segment is not.
    let path = path.strip_suffix('/').unwrap_or(path);
    if let ("/api" | "/apis", Some(version)) = (path, negotiate::aggregated_discovery(accept)) {
        return Some(aggregated_answer(style, path == "/api", version, if_none_match));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let body = match segments.as_slice() {
        ["api"] => Some(api_versions(host)),
        ["apis"] => Some(api_group_list()),
        ["api", version] => api_resource_list("", version),
        ["apis", group] => api_group(group),
        ["apis", group, version] if !group.is_empty() => api_resource_list(group, version),
        _ => None,
    }?;
    let mut response = respond::value(style, 200, &body, &[]);
    if matches!(path, "/api" | "/apis") {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    }
    Some(response)
}

fn aggregated_answer(style: &Style, core: bool, version: &'static str, if_none_match: Option<&str>) -> HttpResponse {
    let body = aggregated(core, version).to_string().into_bytes();
    let etag = format!("\"{}\"", hex::encode_upper(Sha512::digest(&body)));
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    let (code, body) = if respond::knows(if_none_match, &etag) { (304, Vec::new()) } else { (200, body) };
    let mut response = respond::finished(style, code, content_type, body, &[]);
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(list: &'a Value, name: &str) -> &'a Value {
        list["resources"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
    }

    #[test]
    fn the_legacy_lists_show_every_kind_with_its_verbs() {
        let core = api_resource_list("", "v1").unwrap();
        assert!(core.get("apiVersion").is_none());
        let all = json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
        assert_eq!(row(&core, "secrets")["verbs"], all);
        assert_eq!(
            row(&core, "namespaces")["verbs"],
            json!(["create", "delete", "get", "list", "patch", "update", "watch"])
        );
        assert_eq!(row(&core, "namespaces/finalize")["verbs"], json!(["update"]));
        assert_eq!(row(&core, "namespaces/status")["verbs"], json!(["get", "patch", "update"]));
        let rbac = api_resource_list("rbac.authorization.k8s.io", "v1").unwrap();
        assert_eq!(rbac["apiVersion"], "v1");
        for name in ["roles", "rolebindings", "clusterroles", "clusterrolebindings"] {
            assert_eq!(row(&rbac, name)["verbs"], all);
        }
        let reviews = api_resource_list("authorization.k8s.io", "v1").unwrap();
        assert_eq!(row(&reviews, "localsubjectaccessreviews")["namespaced"], true);
        assert_eq!(row(&reviews, "subjectaccessreviews")["verbs"], json!(["create"]));
        assert!(api_resource_list("nope", "v1").is_none() && api_group("nope").is_none());
    }

    #[test]
    fn groups_are_listed_by_name() {
        let list = api_group_list();
        let names: Vec<&str> =
            list["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            ["authentication.k8s.io", "authorization.k8s.io", "rbac.authorization.k8s.io", "strongroom.dev"]
        );
        assert_eq!(group_versions()[0], "v1");
    }

    #[test]
    fn the_aggregated_form_names_the_version_it_was_asked_for() {
        let body = aggregated(true, "v2beta1");
        assert_eq!(body["apiVersion"], "apidiscovery.k8s.io/v2beta1");
        let resources = body["items"][0]["versions"][0]["resources"].as_array().unwrap();
        let secret = resources.iter().find(|row| row["resource"] == "secrets").unwrap();
        assert_eq!(secret["scope"], "Namespaced");
        assert_eq!(secret["responseKind"], json!({"group": "", "version": "", "kind": "Secret"}));
    }

    const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    fn get(path: &str, accept: Option<&str>, if_none_match: Option<&str>) -> Option<HttpResponse> {
        answer(&Style::json(String::new()), path, accept, if_none_match, "localhost:8443")
    }

    fn header_of<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn body(response: HttpResponse) -> Value {
        use actix_web::body::MessageBody as _;
        serde_json::from_slice(&response.into_body().try_into_bytes().ok().unwrap()).unwrap()
    }

    #[test]
    fn the_aggregated_form_can_be_cached_by_its_hash() {
        for path in ["/api", "/apis/"] {
            let first = get(path, Some(AGGREGATED), None).unwrap();
            let media_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            assert_eq!(header_of(&first, "content-type"), media_type);
            assert_eq!((header_of(&first, "vary"), header_of(&first, "cache-control")), ("Accept", "public"));
            let etag = header_of(&first, "etag").to_owned();
            assert_eq!(etag.len(), 128 + 2);
            let again = get(path, Some(AGGREGATED), Some(&etag)).unwrap();
            assert_eq!((again.status().as_u16(), header_of(&again, "etag")), (304, etag.as_str()));
            assert_eq!(get(path, Some(AGGREGATED), Some("\"x\"")).unwrap().status(), 200);
        }
        let (core, groups) =
            (get("/api", Some(AGGREGATED), None).unwrap(), get("/apis", Some(AGGREGATED), None).unwrap());
        assert_ne!(header_of(&core, "etag"), header_of(&groups, "etag"));
        assert_eq!(body(core)["items"].as_array().unwrap().len(), 1);
        assert_eq!(body(groups)["items"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn who_does_not_ask_for_the_aggregated_form_gets_the_legacy_one() {
        let response = get("/api", Some("application/json, */*"), None).unwrap();
        assert_eq!(
            (header_of(&response, "content-type"), header_of(&response, "vary")),
            ("application/json", "Accept")
        );
        assert!(header_of(&response, "cache-control").contains("private"));
        let versions = body(response);
        assert_eq!(versions["serverAddressByClientCIDRs"][0]["serverAddress"], "localhost:8443");
        assert_eq!(body(get("/api/v1", Some(AGGREGATED), None).unwrap())["kind"], "APIResourceList");
    }

    #[test]
    fn one_slash_may_end_a_path_and_none_may_follow_another() {
        for path in
            ["/api/", "/apis/", "/api/v1/", "/apis/rbac.authorization.k8s.io/", "/apis/authorization.k8s.io/v1/"]
        {
            assert!(get(path, None, None).is_some(), "{path}");
        }
        for path in
            ["//", "/api//", "/api//v1", "/apis//v1", "/apis/nope", "/api/v2", "/apis/rbac.authorization.k8s.io/v2"]
        {
            assert!(get(path, None, None).is_none(), "{path}");
        }
    }

    #[test]
    fn the_root_lists_every_path_of_discovery() {
        let listed = body(get("/", None, None).unwrap());
        let paths: Vec<&str> = listed["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        assert!(paths.is_sorted());
        for path in ["/api/v1", "/apis/rbac.authorization.k8s.io", "/apis/rbac.authorization.k8s.io/v1", "/readyz"] {
            assert!(paths.contains(&path), "{path}");
        }
        for path in paths.iter().filter(|path| path.starts_with("/api")) {
            assert!(get(path, None, None).is_some(), "{path}");
        }
    }
}
