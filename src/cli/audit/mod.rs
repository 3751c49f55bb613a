//! `strongroom audit`: what was done, by whom.

mod events;
mod query;
mod tail;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Environment;

/// Read the audit log.
#[derive(Args)]
pub struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Show the latest events, and those that follow
    Tail(tail::Tail),
    /// Search for events
    Query(query::Query),
}

impl Audit {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            AuditCommand::Tail(command) => command.run(environment),
            AuditCommand::Query(command) => command.run(environment),
        }
    }
}
