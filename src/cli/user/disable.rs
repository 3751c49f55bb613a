//! `strongroom user disable` and `strongroom user enable`

use clap::Args;
use serde_json::json;

use super::item;
use crate::cli::CliError;
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::print;
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::Document;

/// Options of `user disable`.
#[derive(Args)]
pub struct Disable {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// Options of `user enable`.
#[derive(Args)]
pub struct Enable {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Disable {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        set(self.connection, environment, &self.name, true)
    }
}

impl Enable {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        set(self.connection, environment, &self.name, false)
    }
}

fn set(connection: ConnectionOptions, environment: &Environment, name: &str, disabled: bool) -> Result<(), CliError> {
    let patch = Document::new(json!({"spec": {"disabled": disabled}}));
    let request = Request::merge_patch(item(name), body(&patch)).with("fieldManager", "strongroom");
    connection.connect(environment)?.object(request)?;
    print(&format!("user/{name} {}\n", if disabled { "disabled" } else { "enabled" }));
    Ok(())
}
