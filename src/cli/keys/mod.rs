//! `strongroom keys`: the keys of a running room.
//!
//! What it never does: take a secret as an argument, or do away with a key file before the server has stored what makes it
//! needless.

mod given;
mod harden;
mod recovery_key;
mod rotate;
mod set_passphrase;
mod slot;
mod status;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::CliError;
use super::connection::Connection;
use super::output::{several_lines, text_at};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::Document;

const PATH: &str = "/strongroom/v1/keys";

/// Commands about the keys of a room.
#[derive(Args)]
pub struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Show which keys there are, what opens the room, and what that protects against
    Status(status::Status),
    /// Replace keys
    Rotate(rotate::Rotate),
    /// Add and remove what opens the room
    Slot(slot::Slot),
    /// Have a passphrase open the room, in place of the one there is
    SetPassphrase(set_passphrase::SetPassphrase),
    /// Write a new recovery key into a file, which opens the room when everything else is lost
    RecoveryKey(recovery_key::RecoveryKey),
    /// Have a passphrase alone open the room: replace all keys, and do away with the key file
    Harden(harden::Harden),
}

impl Keys {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            KeysCommand::Status(command) => command.run(environment),
            KeysCommand::Rotate(command) => command.run(environment),
            KeysCommand::Slot(command) => command.run(environment),
            KeysCommand::SetPassphrase(command) => command.run(environment),
            KeysCommand::RecoveryKey(command) => command.run(environment),
            KeysCommand::Harden(command) => command.run(environment),
        }
    }
}

/// The keys as the server tells of them.
fn status_of(connection: &Connection) -> Result<Document, CliError> {
    connection.object(Request::get(PATH))
}

/// What the server says of a change that it has made, as a sentence.
#[expect(clippy::disallowed_methods, reason = "the server's message holds no secret")]
fn message(answer: &Document) -> String {
    let text = several_lines(text_at(answer.expose(), "/message"));
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>() + ".\n")
}

/// The slots that there are, by the names of their kinds, and whether the server was opened with them.
fn slots(status: &Value) -> Vec<(String, bool)> {
    let slots = super::output::list_at(status, "/slots").iter();
    slots.map(|slot| (text_at(slot, "/kind").to_owned(), slot["inUse"] == true)).collect()
}
