//! `strongroom audit`: what was done, by whom.

mod events;
mod options;
mod query;
mod tail;
mod verify;

use clap::{Args, Subcommand};

pub use self::options::AuditOptions;
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
    /// Check that nothing in the audit log was changed, removed or added; the server must be stopped, or give --public-key
    Verify(verify::Verify),
}

impl Audit {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            AuditCommand::Tail(command) => command.run(environment),
            AuditCommand::Query(command) => command.run(environment),
            AuditCommand::Verify(command) => command.run(environment),
        }
    }
}
