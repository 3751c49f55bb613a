//! `strongroom secret`: what a person does with Secrets every day.
//!
//! What it never does: show a value on a terminal unasked, or hold anything back from the server: every command is a request
//! or two of the API, under the caller's own rights.

mod get;
mod list;
mod place;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Environment;

/// Subcommands of `secret`.
#[derive(Args)]
pub struct Secret {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Subcommand)]
enum SecretCommand {
    /// Show a Secret, its values masked, or one value
    Get(get::Get),
    /// List Secrets; values are not asked for
    List(list::List),
}

impl Secret {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let done = match self.command {
            SecretCommand::Get(command) => command.run(environment),
            SecretCommand::List(command) => command.run(environment),
        };
        done.map_err(CliError::or_unavailable)
    }
}
