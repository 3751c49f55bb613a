//! `strongroom cluster rbac`: the smallest roles that a SecretSync needs in a cluster.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::connection::ConnectionOptions;
use super::output::print;
use crate::codec::yaml;
use crate::config::Environment;
use crate::sync::SyncName;
use crate::sync::job::{Job, Wanted};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Subcommands of `cluster`.
#[derive(Args)]
pub struct Cluster {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Print the smallest roles that a SecretSync needs in a cluster, for `kubectl apply -f -` there
    Rbac(Rbac),
}

/// Options of `cluster rbac`.
#[derive(Args)]
struct Rbac {
    /// The SecretSync
    #[arg(long, value_name = "NAMESPACE/NAME")]
    sync: String,
    /// The Cluster, where the SecretSync is for several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The service account of the cluster whose token the kubeconfig holds
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "strongroom/strongroom")]
    service_account: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Cluster {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            ClusterCommand::Rbac(command) => command.run(environment),
        }
    }
}

impl Rbac {
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let (namespace, name) = pair("--sync", &self.sync)?;
        let account = pair("--service-account", &self.service_account)?;
        let id = SyncName { namespace, name };
        let connection = self.connection.connect(environment)?;
        let found = connection.wait_for(async |room| {
            let job = Job::new(room)?;
            let (sync, _) = job.sync(&id).await?;
            let mut all = Vec::new();
            for (cluster, places) in job.clusters(&sync).await? {
                if self.cluster.as_ref().is_none_or(|wanted| *wanted == cluster) {
                    all.push((cluster.clone(), job.wanted(&sync, &cluster, &places).await?));
                }
            }
            Ok::<_, crate::sync::OriginError>(all)
        });
        let found = found.map_err(|error| CliError::NotDone(error.to_string()))?;
        let [(_, wanted)] = found.as_slice() else {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            let problem = if names.is_empty() {
                "the SecretSync is for no such cluster".to_owned()
            } else {
                format!("the SecretSync is for several clusters: choose one with --cluster ({})", names.join(", "))
            };
            return Err(CliError::NotDone(problem));
        };
        let mut text = String::new();
        for object in roles(wanted, &id, &account) {
            if !text.is_empty() {
                text.push_str("---\n");
            }
            text.push_str(&yaml::to_string(&object));
        }
        print(&text);
        Ok(())
    }
}

fn pair(option: &str, text: &str) -> Result<(String, String), CliError> {
    let parts = text.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'));
    let (namespace, name) = parts.ok_or_else(|| CliError::NotDone(format!("{option}: give NAMESPACE/NAME")))?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// The roles and bindings, in order.
fn roles(wanted: &Wanted, id: &SyncName, account: &(String, String)) -> Vec<Value> {
    let name = format!("strongroom-{}-{}", id.namespace, id.name);
    let mut objects = Vec::new();
    let mut add = |namespace: Option<&str>, rules: Vec<Value>| {
        let prefix = if namespace.is_some() { "" } else { "Cluster" };
        let mut metadata = json!({"name": name});
        if let (Some(namespace), Some(fields)) = (namespace, metadata.as_object_mut()) {
            fields.insert("namespace".to_owned(), namespace.into());
        }
        objects.push(json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": format!("{prefix}Role"), "metadata": metadata, "rules": rules,
        }));
        objects.push(json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": format!("{prefix}RoleBinding"), "metadata": metadata,
            "subjects": [{"kind": "ServiceAccount", "namespace": account.0, "name": account.1}],
            "roleRef": {"apiGroup": RBAC, "kind": format!("{prefix}Role"), "name": name},
        }));
    };
    let mut of_cluster = Vec::new();
    if wanted.lists_namespaces {
        of_cluster.push(rule("", "namespaces", &["list", "watch"], &BTreeSet::new()));
    }
    if wanted.creates_namespaces {
        of_cluster.push(rule("", "namespaces", &["create"], &BTreeSet::new()));
    }
    for (namespace, names) in &wanted.places {
        if namespace.is_empty() {
            // Which names will be meant in namespaces that are not there yet, nobody can say.
            of_cluster.extend(rules(wanted, names));
        } else {
            add(Some(namespace), rules(wanted, names));
        }
    }
    if !of_cluster.is_empty() {
        add(None, of_cluster);
    }
    objects
}

fn rules(wanted: &Wanted, names: &BTreeSet<String>) -> Vec<Value> {
    let mut verbs = vec!["get"];
    if !wanted.only_reads {
        // An apply of an object that is missing is a `create` with its name, which a POST has not.
        verbs.extend(["create", "patch"]);
    }
    if wanted.deletes {
        verbs.push("delete");
    }
    let mut rules = vec![rule("", "secrets", &verbs, names)];
    for (resource, name) in &wanted.restarts {
        rules.push(rule("apps", resource, &["patch"], &BTreeSet::from([name.clone()])));
    }
    rules
}

fn rule(group: &str, resource: &str, verbs: &[&str], names: &BTreeSet<String>) -> Value {
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if let (false, Some(fields)) = (names.is_empty(), rule.as_object_mut()) {
        fields.insert("resourceNames".to_owned(), json!(names));
    }
    rule
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_role_names_what_is_written_and_nothing_else() {
        let wanted = Wanted {
            places: BTreeMap::from([("app".to_owned(), BTreeSet::from(["db".to_owned(), "api".to_owned()]))]),
            lists_namespaces: false,
            creates_namespaces: false,
            deletes: false,
            only_reads: false,
            restarts: BTreeSet::from([("deployments".to_owned(), "web".to_owned())]),
        };
        let id = SyncName { namespace: "prod".to_owned(), name: "db".to_owned() };
        let objects = roles(&wanted, &id, &("strongroom".to_owned(), "writer".to_owned()));
        assert_eq!(objects.len(), 2);
        assert_eq!(
            objects[0]["rules"],
            json!([
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"],
                 "resourceNames": ["api", "db"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": ["web"]},
            ])
        );
        assert_eq!(objects[1]["subjects"][0]["name"], "writer");
        let everywhere = Wanted {
            places: BTreeMap::from([(String::new(), BTreeSet::new())]),
            lists_namespaces: true,
            deletes: true,
            ..wanted
        };
        let objects = roles(&everywhere, &id, &("strongroom".to_owned(), "writer".to_owned()));
        assert_eq!((objects.len(), &objects[0]["kind"]), (2, &json!("ClusterRole")));
        assert_eq!(objects[0]["rules"][0]["resources"], json!(["namespaces"]));
        assert_eq!(objects[0]["rules"][1]["verbs"], json!(["get", "create", "patch", "delete"]));
    }
}
