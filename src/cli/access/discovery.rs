//! Which resource a person means: plural, singular or short name, with a group behind it or without.
//!
//! Source: Kubernetes API concepts, "Aggregated discovery".

use serde_json::Value;

use crate::cli::CliError;
use crate::cli::connection::Connection;
use crate::cli::output::{list_at, text_at, texts_at};
use crate::kube_client::Request;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A resource that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Empty for core.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `secrets`
    pub plural: String,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// What else it is called.
    names: Vec<String>,
}

/// Every resource of the server, those of core first.
pub fn discover(connection: &Connection) -> Result<Vec<Resource>, CliError> {
    let mut all = Vec::new();
    for path in ["/api", "/apis"] {
        let answer = connection.object(Request::get(path).accepting(AGGREGATED))?;
        #[expect(clippy::disallowed_methods, reason = "discovery holds no secret")]
        all.extend(read(answer.expose()));
    }
    Ok(all)
}

/// The first resource that is called so.
pub fn resolve<'a>(resources: &'a [Resource], asked: &str) -> Option<&'a Resource> {
    let asked = asked.to_ascii_lowercase();
    let (name, group) = asked.split_once('.').map_or((asked.as_str(), None), |(name, group)| (name, Some(group)));
    resources.iter().find(|resource| {
        let is_group = group
            .is_none_or(|group| group == resource.group || group == format!("{}.{}", resource.version, resource.group));
        is_group && (resource.plural == name || resource.names.iter().any(|own| own == name))
    })
}

fn read(list: &Value) -> Vec<Resource> {
    let mut resources = Vec::new();
    for group in list_at(list, "/items") {
        // The first version is the preferred one.
        for version in list_at(group, "/versions") {
            for row in list_at(version, "/resources") {
                let singular = text_at(row, "/singularResource");
                let names = texts_at(row, "/shortNames").into_iter().chain([singular]).filter(|name| !name.is_empty());
                resources.push(Resource {
                    group: text_at(group, "/metadata/name").to_owned(),
                    version: text_at(version, "/version").to_owned(),
                    plural: text_at(row, "/resource").to_owned(),
                    namespaced: text_at(row, "/scope") == "Namespaced",
                    names: names.map(str::to_owned).collect(),
                });
            }
        }
    }
    resources
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub fn resources() -> Vec<Resource> {
        let core = json!({"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
            {"resource": "secrets", "singularResource": "secret", "scope": "Namespaced"},
            {"resource": "namespaces", "singularResource": "namespace", "shortNames": ["ns"], "scope": "Cluster"},
            {"resource": "serviceaccounts", "singularResource": "serviceaccount", "shortNames": ["sa"], "scope": "Namespaced"},
        ]}]}]});
        let groups = json!({"items": [
            {"metadata": {"name": "rbac.authorization.k8s.io"}, "versions": [{"version": "v1", "resources": [
                {"resource": "roles", "singularResource": "role", "scope": "Namespaced"},
                {"resource": "clusterroles", "singularResource": "clusterrole", "scope": "Cluster"}]}]},
            {"metadata": {"name": "example.com"}, "versions": [{"version": "v2", "resources": [
                {"resource": "secrets", "singularResource": "secret", "scope": "Cluster"}]}]},
        ]});
        [read(&core), read(&groups)].concat()
    }

    #[test]
    fn a_resource_is_found_by_any_of_its_names() {
        let resources = resources();
        let found = |asked: &str| {
            resolve(&resources, asked).map(|found| format!("{}/{}/{}", found.group, found.version, found.plural))
        };
        for (asked, meant) in [
            ("secrets", "/v1/secrets"),
            ("Secret", "/v1/secrets"),
            ("sa", "/v1/serviceaccounts"),
            ("ns", "/v1/namespaces"),
            ("role", "rbac.authorization.k8s.io/v1/roles"),
            ("roles.rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1/roles"),
            ("roles.v1.rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1/roles"),
            ("secrets.example.com", "example.com/v2/secrets"),
        ] {
            assert_eq!(found(asked).as_deref(), Some(meant), "{asked}");
        }
        for asked in ["", "pods", "secrets.apps", "roles."] {
            assert_eq!(found(asked), None, "{asked}");
        }
    }
}
