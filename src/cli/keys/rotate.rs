//! `strongroom keys rotate data` and `strongroom keys rotate root`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::given::GivenSecrets;
use super::{PATH, message, status_of};
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::output::{list_at, print};
use crate::cli::progress::Progress;
use crate::cli::{CliError, warn};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::{Document, SecretBytes};

const LOOK: Duration = Duration::from_millis(250);

/// Which keys to replace.
#[derive(Args)]
pub struct Rotate {
    #[command(subcommand)]
    command: RotateCommand,
}

#[derive(Subcommand)]
enum RotateCommand {
    /// Seal everything with a new data key, and destroy the former one
    Data(Data),
    /// Wrap the keys with a new root key; slots stay whose secrets are given
    Root(Root),
}

impl Rotate {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            RotateCommand::Data(command) => command.run(environment),
            RotateCommand::Root(command) => command.run(environment),
        }
    }
}

/// Options of `keys rotate data`.
#[derive(Args)]
struct Data {
    /// Do not wait until everything is sealed anew and the former key is destroyed
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Data {
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        print(&message(&rotate_data(&connection)?));
        if self.no_wait { Ok(()) } else { wait(&connection) }
    }
}

/// Asks for a new data key.
pub fn rotate_data(connection: &Connection) -> Result<Document, CliError> {
    connection.object(Request::post(format!("{PATH}/rotate-data"), SecretBytes::new(Vec::new())))
}

/// Waits until there is but one data key.
#[expect(clippy::disallowed_methods, reason = "nothing of it is secret")]
pub fn wait(connection: &Connection) -> Result<(), CliError> {
    let progress = Progress::waiting("rows are sealed anew".to_owned());
    loop {
        let status = status_of(connection)?;
        let status = status.expose();
        let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        if list_at(status, "/terms").len() <= 1 {
            break;
        }
        let damaged = number("/resealing/damaged");
        if damaged > 0 && status.pointer("/resealing/finished") == Some(&Value::Bool(true)) {
            warn(&format!("{damaged} rows do not open, and the former key stays for their sake: see the server's log"));
            return Err(CliError::Partial);
        }
        let (done, total) = (number("/resealing/done"), number("/resealing/total"));
        progress.say(format!("{done} of {total} rows are sealed anew"));
        connection.wait_for(async |_| tokio::time::sleep(LOOK).await);
    }
    drop(progress);
    print("Everything is sealed with the new data key, and the former one is destroyed.\n");
    Ok(())
}

/// Options of `keys rotate root`.
#[derive(Args)]
struct Root {
    #[command(flatten)]
    secrets: GivenSecrets,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Root {
    #[expect(clippy::disallowed_methods, reason = "nothing of the status is secret")]
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let status = status_of(&connection)?;
        let asked = self.secrets.collect(status.expose(), None, self.connection.home().as_ref(), environment)?;
        print(&message(&rotate_root(&connection, &asked)?));
        Ok(())
    }
}

/// Asks for a new root key, with the secrets of the slots that stay.
pub fn rotate_root(connection: &Connection, secrets: &Document) -> Result<Document, CliError> {
    connection.object(Request::post(format!("{PATH}/rotate-root"), body(secrets)))
}

/// As [`rotate_root`], and changes nothing.
pub fn try_rotate_root(connection: &Connection, secrets: &Document) -> Result<Document, CliError> {
    connection.object(Request::post(format!("{PATH}/rotate-root"), body(secrets)).with("dryRun", "All"))
}
