//! What is to be done to what: a verb, and a resource or a path.

use clap::Args;
use serde_json::{Value, json};

use super::discovery::{Resource, discover, resolve};
use crate::cli::connection::Connection;
use crate::cli::{CliError, warn};

/// Verb and object on the command line.
#[derive(Args)]
pub struct TargetOptions {
    /// What is done: get, list, watch, create, update, patch, delete, … or * for all
    #[arg(value_name = "VERB")]
    verb: String,
    /// To what: RESOURCE, RESOURCE/NAME or a path such as /metrics. Short names and RESOURCE.GROUP are understood
    #[arg(value_name = "RESOURCE[/NAME]")]
    object: String,
    /// Namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// In all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Subresource, such as token or status
    #[arg(long, value_name = "SUBRESOURCE")]
    subresource: Option<String>,
}

/// What is asked about.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// An object, or every object of a resource.
    Resource {
        /// Empty for core.
        group: String,
        /// Empty where the resource is not known.
        version: String,
        /// Plural.
        resource: String,
        /// Empty for none.
        subresource: String,
        /// Empty for all.
        name: String,
        /// Empty for all, and for what lies in none.
        namespace: String,
        /// Whether a namespace means something.
        namespaced: bool,
        /// What is done.
        verb: String,
    },
    /// A path that is no resource.
    Path {
        /// The path.
        path: String,
        /// The method in lower case.
        verb: String,
    },
}

impl TargetOptions {
    /// Finds out what is meant; asks the server which resources it has.
    pub(super) fn resolve(self, connection: &Connection) -> Result<Target, CliError> {
        if self.object.starts_with('/') {
            return self.target(&[], "");
        }
        let namespace = connection.namespace(self.namespace.as_deref()).to_owned();
        self.target(&discover(connection)?, &namespace)
    }

    fn target(self, resources: &[Resource], namespace: &str) -> Result<Target, CliError> {
        let verb = self.verb.to_ascii_lowercase();
        if self.object.starts_with('/') {
            if self.subresource.is_some() || self.namespace.is_some() || self.all_namespaces {
                return Err(CliError::NotDone("a path has no namespace and no subresource".to_owned()));
            }
            return Ok(Target::Path { path: self.object, verb });
        }
        let (asked, name) = self.object.split_once('/').unwrap_or((&self.object, ""));
        let found = resolve(resources, asked);
        if found.is_none() && asked != "*" {
            warn(&format!("the server has no resource {asked:?}; it is taken as it stands"));
        }
        let (resource, group, version, namespaced) = match found {
            Some(found) => (found.plural.as_str(), found.group.as_str(), found.version.as_str(), found.namespaced),
            None if asked == "*" => ("*", "*", "*", true),
            None => {
                let (resource, group) = asked.split_once('.').unwrap_or((asked, ""));
                (resource, group, "", true)
            }
        };
        let namespace = if group.is_empty() && resource == "namespaces" {
            // As the server sees a request for a namespace itself.
            name
        } else if namespaced && !self.all_namespaces {
            namespace
        } else {
            ""
        };
        Ok(Target::Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            subresource: self.subresource.unwrap_or_default(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            namespaced,
            verb,
        })
    }
}

impl Target {
    /// The field of a review's spec that says it, and its value.
    pub fn attributes(&self) -> (&'static str, Value) {
        match self {
            Self::Path { path, verb } => ("nonResourceAttributes", json!({"path": path, "verb": verb})),
            Self::Resource { group, version, resource, subresource, name, namespace, verb, .. } => {
                let all = [
                    ("namespace", namespace),
                    ("verb", verb),
                    ("group", group),
                    ("version", version),
                    ("resource", resource),
                    ("subresource", subresource),
                    ("name", name),
                ];
                let given = all.into_iter().filter(|(_, value)| !value.is_empty());
                let fields = given.map(|(key, value)| (key.to_owned(), Value::from(value.as_str()))).collect();
                ("resourceAttributes", Value::Object(fields))
            }
        }
    }

    /// As a sentence goes on: `get secrets/db in namespace prod`.
    pub fn phrase(&self) -> String {
        match self {
            Self::Path { path, verb } => format!("{verb} {path}"),
            Self::Resource { group, resource, subresource, name, namespace, namespaced, verb, .. } => {
                let mut phrase = format!("{verb} {resource}");
                if !group.is_empty() && group != "*" {
                    phrase.extend([".", group]);
                }
                if !name.is_empty() {
                    phrase.extend(["/", name]);
                }
                if !subresource.is_empty() {
                    phrase.extend([" (subresource ", subresource, ")"]);
                }
                match namespace.as_str() {
                    "" if *namespaced => phrase.push_str(" in all namespaces"),
                    "" => {}
                    _ if !namespaced => {}
                    namespace => phrase.extend([" in namespace ", namespace]),
                }
                phrase
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::discovery::tests::resources;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        target: TargetOptions,
    }

    fn target(line: &str) -> Result<Target, CliError> {
        let options = Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).unwrap().target;
        let namespace = options.namespace.clone().unwrap_or_else(|| "default".to_owned());
        options.target(&resources(), &namespace)
    }

    #[test]
    fn the_command_line_becomes_attributes_and_a_phrase() {
        for (line, phrase, attributes) in [
            (
                "get secret/db -n prod",
                "get secrets/db in namespace prod",
                json!({"namespace": "prod", "verb": "get", "version": "v1", "resource": "secrets", "name": "db"}),
            ),
            (
                "LIST secrets",
                "list secrets in namespace default",
                json!({"namespace": "default", "verb": "list", "version": "v1", "resource": "secrets"}),
            ),
            (
                "list secrets -A",
                "list secrets in all namespaces",
                json!({"verb": "list", "version": "v1", "resource": "secrets"}),
            ),
            (
                "delete clusterrole/x",
                "delete clusterroles.rbac.authorization.k8s.io/x",
                json!({"verb": "delete", "group": "rbac.authorization.k8s.io", "version": "v1",
                    "resource": "clusterroles", "name": "x"}),
            ),
            (
                "create sa/app --subresource token",
                "create serviceaccounts/app (subresource token) in namespace default",
                json!({"namespace": "default", "verb": "create", "version": "v1", "resource": "serviceaccounts",
                    "subresource": "token", "name": "app"}),
            ),
            (
                "get ns/prod",
                "get namespaces/prod",
                json!({"namespace": "prod", "verb": "get", "version": "v1", "resource": "namespaces", "name": "prod"}),
            ),
            (
                "* *",
                "* * in namespace default",
                json!({"namespace": "default", "verb": "*", "group": "*", "version": "*", "resource": "*"}),
            ),
            (
                "get widgets.example.org/w",
                "get widgets.example.org/w in namespace default",
                json!({"namespace": "default", "verb": "get", "group": "example.org", "resource": "widgets", "name": "w"}),
            ),
        ] {
            let target = target(line).unwrap();
            assert_eq!(target.phrase(), phrase, "{line}");
            assert_eq!(target.attributes(), ("resourceAttributes", attributes), "{line}");
        }
    }

    #[test]
    fn a_path_is_asked_about_as_one() {
        let path = target("get /metrics").unwrap();
        assert_eq!(path.attributes(), ("nonResourceAttributes", json!({"path": "/metrics", "verb": "get"})));
        assert_eq!(path.phrase(), "get /metrics");
        assert!(target("get /metrics -n prod").is_err() && target("get /metrics --subresource x").is_err());
    }
}
