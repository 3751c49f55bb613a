//! `strongroom admin`: commands that look after a home and its server.

mod ca_pin;
mod rotate;
mod rotate_signing_keys;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Environment;

/// Commands that look after a home.
#[derive(Args)]
pub struct Admin {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Replace the administrator's token; the old one stops working at once
    Rotate(rotate::Rotate),
    /// Replace the keys that tokens are signed with
    RotateSigningKeys(rotate_signing_keys::RotateSigningKeys),
    /// Print the pin of the home's certificate authority, for `strongroom login --ca-pin` on another machine
    CaPin(ca_pin::CaPin),
}

impl Admin {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            AdminCommand::Rotate(command) => command.run(environment),
            AdminCommand::RotateSigningKeys(command) => command.run(environment),
            AdminCommand::CaPin(command) => command.run(environment),
        }
    }
}
