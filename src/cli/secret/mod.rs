//! `strongroom secret`: what a person does with Secrets every day.
//!
//! What it never does: show a value on a terminal unasked, or hold anything back from the server: every command is a request
//! or two of the API, under the caller's own rights.

mod copy;
mod delete;
mod describe;
mod destroy;
mod diff;
mod draft;
mod edit;
mod expiring;
mod generate;
mod get;
mod history;
mod inspect;
mod list;
mod place;
mod revision;
mod rollback;
mod set;
mod unset;
mod writing;

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
    /// Show all about a Secret but its values
    Describe(describe::Describe),
    /// List Secrets that end soon, or are to be made anew
    Expiring(expiring::Expiring),
    /// Set keys of a Secret; the others stay
    Set(set::Set),
    /// Take keys away from a Secret; the others stay
    Unset(unset::Unset),
    /// Edit a Secret in your editor, text as it is
    Edit(edit::Edit),
    /// Make passwords, keys and certificates where they are kept
    Generate(Box<generate::Generate>),
    /// Copy a Secret
    Copy(copy::Copy),
    /// Give a Secret another name: a copy, and the deletion of what was copied
    Rename(copy::Copy),
    /// Delete Secrets
    Delete(delete::Delete),
    /// Show what a manifest on disk gives away; asks no server
    Inspect(inspect::Inspect),
    /// Show which versions of a Secret are kept, and who changed what
    History(history::History),
    /// Show what differs between two versions: keys and lengths
    Diff(diff::Diff),
    /// Give a Secret the values of a former version
    Rollback(rollback::Rollback),
    /// Destroy former versions for good
    Destroy(destroy::Destroy),
}

impl Secret {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let done = match self.command {
            SecretCommand::Get(command) => command.run(environment),
            SecretCommand::List(command) => command.run(environment),
            SecretCommand::Describe(command) => command.run(environment),
            SecretCommand::Expiring(command) => command.run(environment),
            SecretCommand::Set(command) => command.run(environment),
            SecretCommand::Unset(command) => command.run(environment),
            SecretCommand::Edit(command) => command.run(environment),
            SecretCommand::Generate(command) => command.run(environment),
            SecretCommand::Copy(command) => command.copy(environment),
            SecretCommand::Rename(command) => command.rename(environment),
            SecretCommand::Delete(command) => command.run(environment),
            SecretCommand::Inspect(command) => command.run(),
            SecretCommand::History(command) => command.run(environment),
            SecretCommand::Diff(command) => command.run(environment),
            SecretCommand::Rollback(command) => command.run(environment),
            SecretCommand::Destroy(command) => command.run(environment),
        };
        done.map_err(CliError::or_unavailable)
    }
}
