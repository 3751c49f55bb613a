//! `strongroom keys slot add` and `strongroom keys slot remove`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::given::new_passphrase;
use super::{PATH, message};
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::output::print;
use crate::cli::{CliError, note, password, warn};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::{Document, SecretBytes};
use crate::server::unlock_files;

/// What is done to slots.
#[derive(Args)]
pub struct Slot {
    #[command(subcommand)]
    command: SlotCommand,
}

#[derive(Subcommand)]
enum SlotCommand {
    /// Have another secret open the room
    Add(Add),
    /// Have a secret open the room no longer
    Remove(Remove),
}

impl Slot {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            SlotCommand::Add(command) => command.run(environment),
            SlotCommand::Remove(command) => command.run(environment),
        }
    }
}

// The variants have no documentation of their own: clap would make long help of it.

/// Kinds of slots whose secret is a file's or a person's. A recovery key has a command of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Added {
    Passphrase,
    KeyFile,
    SystemdCredential,
}

/// Options of `keys slot add`.
#[derive(Args)]
struct Add {
    /// What opens it
    #[arg(value_name = "SLOT")]
    slot: Added,
    /// File with the secret, mode 0600; a key file that is not there is made [default: a passphrase is asked for]
    #[arg(long, value_name = "FILE", required_if_eq_any = [("slot", "key-file"), ("slot", "systemd-credential")])]
    from: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Add {
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let (name, secret) = match (self.slot, self.from.as_deref()) {
            (Added::Passphrase, file) => ("passphrase", new_passphrase(file)?),
            (Added::KeyFile, Some(path)) if !path.exists() => {
                let made = unlock_files::make_key_file(path)?;
                let answer = put_made(&connection, "key-file", &made, false, path)?;
                note(&format!("a key file was made: {}", path.display()));
                print(&message(&answer));
                return Ok(());
            }
            (Added::KeyFile, Some(path)) => ("key-file", unlock_files::read_text(path)?),
            (Added::SystemdCredential, Some(path)) => ("systemd-credential", unlock_files::read_text(path)?),
            (_, None) => return Err(CliError::NotDone("give the file with --from".into())),
        };
        print(&message(&put(&connection, name, &secret, false)?));
        Ok(())
    }
}

/// Options of `keys slot remove`.
#[derive(Args)]
struct Remove {
    /// What opens it
    #[arg(value_name = "SLOT", value_parser = ["passphrase", "key-file", "systemd-credential", "recovery-key"])]
    slot: String,
    /// Also if the running server was opened with it, and needs another one at its next start
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Remove {
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let request = Request::delete(format!("{PATH}/slots/{}", self.slot));
        let request = if self.force { request.with("force", "true") } else { request };
        print(&message(&connection.object(request)?));
        Ok(())
    }
}

/// Has a secret open the room that was made just now, and is in a file. Where the server refuses it, it opens nothing, and goes;
/// where the answer was lost, it may be what opens the room.
pub fn put_made(
    connection: &Connection,
    slot: &str,
    secret: &SecretBytes,
    replace: bool,
    path: &Path,
) -> Result<Document, CliError> {
    put(connection, slot, secret, replace).inspect_err(|error| {
        if matches!(error, CliError::Server(_)) {
            let _ = std::fs::remove_file(path);
        } else {
            warn(&format!(
                "it is not known whether what is in {} opens the room: see `strongroom keys status`",
                path.display()
            ));
        }
    })
}

/// Has a secret open the room.
pub fn put(connection: &Connection, slot: &str, secret: &SecretBytes, replace: bool) -> Result<Document, CliError> {
    let asked = Document::new(json!({"secret": password::text(secret)?, "replace": replace}));
    connection.object(Request::put(format!("{PATH}/slots/{slot}"), body(&asked)))
}
