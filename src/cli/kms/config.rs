//! `strongroom kms config`: what kube-apiserver needs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::CliError;
use crate::cli::output::print;
use crate::codec::yaml;
use crate::config::{ConfigError, UnixSocket};
use crate::model::validation::names;

/// Options of `kms config`.
#[derive(Args)]
pub struct Config {
    /// The socket, as the API server sees it
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// What the provider is called; it stands before everything that is encrypted, and must stay
    #[arg(long, value_name = "NAME", default_value = "strongroom")]
    name: String,
    /// What is encrypted, RESOURCE or RESOURCE.GROUP; may be repeated [default: secrets]
    #[arg(long, value_name = "RESOURCE")]
    resource: Vec<String>,
    /// Where the configuration is going to be, as the API server sees it
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/encryption.yaml")]
    file: PathBuf,
}

impl Config {
    pub(super) fn run(self) -> Result<(), CliError> {
        let socket = UnixSocket::of_path("--socket", &self.socket, 0o600)?;
        // The endpoint is read as a URL, in which others have a meaning or are written differently.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        if !socket.path.to_str().is_some_and(|path| path.chars().all(is_plain)) {
            let text = "give a path of letters, digits, dots, dashes and underscores: kube-apiserver reads it as a URL";
            return Err(ConfigError::new("--socket", text).into());
        }
        if !names::dns1123_label(&self.name).is_empty() {
            return Err(ConfigError::new("--name", "give lower-case letters, digits and dashes").into());
        }
        let mut resources = self.resource;
        if resources.is_empty() {
            resources.push("secrets".to_owned());
        }
        for resource in &resources {
            if !names::dns1123_subdomain(resource).is_empty() {
                return Err(ConfigError::new("--resource", "give RESOURCE or RESOURCE.GROUP, in lower case").into());
            }
        }
        let again = resources
            .iter()
            .map(|resource| format!("#   kubectl get {resource} --all-namespaces -o json | kubectl replace -f -\n"));
        let configuration = json!({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [{"resources": resources, "providers": [
                {"kms": {
                    "apiVersion": "v2", "name": self.name, "endpoint": format!("unix://{}", socket.path.display()),
                    "timeout": "3s",
                }},
                {"identity": {}},
            ]}],
        });
        let file = self.file.display();
        let mut text = format!(
            "# {file}, for kube-apiserver with these flags, on every API server of the cluster:\n\
             #   --encryption-provider-config={file}\n\
             #   --encryption-provider-config-automatic-reload=true\n\
             # Whether it works: kubectl get --raw '/readyz/kms-providers'\n\
             # What is there already is encrypted when it is written again, as after each `strongroom kms rotate`:\n"
        );
        text.extend(again);
        text.push_str(
            "# `identity` reads what is not encrypted yet. Once `strongroom kms check` finds nothing in clear text, it can go.\n",
        );
        text.push_str(&yaml::to_string(&configuration));
        print(&text);
        Ok(())
    }
}
