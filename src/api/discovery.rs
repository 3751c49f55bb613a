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

use super::negotiate;
use super::{Context, respond};
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

pub(super) fn route(context: &Context<'_>, path: &str) -> Option<HttpResponse> {
    let path = path.trim_end_matches('/');
    if let ("/api" | "/apis", Some(version)) = (path, negotiate::aggregated_discovery(context.accept())) {
        return Some(aggregated_answer(context, path == "/api", version));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let body = match segments.as_slice() {
        ["api"] => Some(api_versions(context.header("host").unwrap_or_default())),
        ["apis"] => Some(api_group_list()),
        ["api", version] => api_resource_list("", version),
        ["apis", group] => api_group(group),
        ["apis", group, version] if !group.is_empty() => api_resource_list(group, version),
        _ => None,
    }?;
    Some(respond::value(&context.style, 200, &body, &[]))
}

fn aggregated_answer(context: &Context<'_>, core: bool, version: &'static str) -> HttpResponse {
    let body = aggregated(core, version);
    let etag = format!("\"{}\"", hex::encode_upper(Sha512::digest(body.to_string().as_bytes())));
    let known = context.header("if-none-match") == Some(etag.as_str());
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    let bytes = if known { Vec::new() } else { body.to_string().into_bytes() };
    let code = if known { 304 } else { 200 };
    let mut response = respond::finished(&context.style, code, content_type, bytes, &[]);
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
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
        assert_eq!(names, ["authentication.k8s.io", "authorization.k8s.io", "rbac.authorization.k8s.io"]);
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
}
