//! `strongroom backup`

mod create;
mod options;
mod restore;
mod schedule;
mod verify;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Environment;

pub use options::BackupOptions;

/// Backups of a home.
#[derive(Args)]
pub struct Backup {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Subcommand)]
enum BackupCommand {
    /// Make a backup, while the server runs or not
    Create(create::Create),
    /// Authenticate everything in a backup, without serving it
    Verify(verify::Verify),
    /// Put a backup in a home's place
    Restore(restore::Restore),
    /// Show when the server makes backups by itself, and the last one
    Schedule(schedule::Schedule),
}

impl Backup {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            BackupCommand::Create(command) => command.run(environment),
            BackupCommand::Verify(command) => command.run(environment),
            BackupCommand::Restore(command) => command.run(environment),
            BackupCommand::Schedule(command) => command.run(environment),
        }
    }
}
