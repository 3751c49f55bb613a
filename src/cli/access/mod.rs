//! `strongroom access`: who may do what, and why.

mod discovery;
mod explain;
mod grants;
mod target;
mod unused;
mod who_can;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::connection::{Connection, body};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::model::kinds::{Kind, OWN_API_VERSION};
use crate::sensitive::Document;

/// Ask who may do what.
#[derive(Args)]
pub struct Access {
    #[command(subcommand)]
    command: AccessCommand,
}

#[derive(Subcommand)]
enum AccessCommand {
    /// Say why somebody may do something, or what is missing
    Explain(explain::Explain),
    /// List who may do something, and by which binding
    WhoCan(who_can::WhoCan),
    /// List grants that nobody has used
    Unused(unused::Unused),
}

impl Access {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            AccessCommand::Explain(command) => command.run(environment),
            AccessCommand::WhoCan(command) => command.run(environment),
            AccessCommand::Unused(command) => command.run(environment),
        }
    }
}

/// Sends a review; it comes back with its answer in `status`.
fn review(connection: &Connection, kind: &Kind, spec: &Value) -> Result<Document, CliError> {
    let asked = json!({"apiVersion": OWN_API_VERSION, "kind": kind.kind, "spec": spec});
    connection.object(Request::post(format!("/apis/{OWN_API_VERSION}/{}", kind.plural), body(&Document::new(asked))))
}
