//! `strongroom unseal`

use std::path::{Path, PathBuf};

use clap::Args;

use super::home_options::HomeOption;
use super::output::print;
use super::{CliError, warn};
use crate::config::{Environment, HomePaths};
use crate::server::{self, LocalServer, SealState, UnsealSecret};
use crate::terminal::{Prompt as _, Terminal};

/// Options of `unseal`. None of them takes a secret on the command line.
#[derive(Args)]
pub struct Unseal {
    #[command(flatten)]
    home: HomeOption,
    /// Unix socket of the server (`serve --listen-unix`), in place of its home
    #[arg(long, value_name = "PATH", conflicts_with = "home")]
    socket: Option<PathBuf>,
    /// Unseal with the passphrase in this file [env: STRONGROOM_PASSPHRASE_FILE] [default: it is asked for]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_file", "recovery_key_file"])]
    passphrase_file: Option<PathBuf>,
    /// Unseal with this key file [env: STRONGROOM_KEY_FILE] [default, where no passphrase opens the home: the home's own]
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_key_file")]
    key_file: Option<PathBuf>,
    /// Unseal with the recovery key in this file
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// Number of the slot that the secret opens, where there are several of its kind [default: the first]
    #[arg(long, value_name = "N")]
    slot: Option<u32>,
}

impl Unseal {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let paths = HomePaths::resolve(self.home.home.clone(), environment);
        let server = match &self.socket {
            Some(socket) => LocalServer::at_socket(socket),
            None => LocalServer::find(paths.as_ref().map_err(Clone::clone)?)?,
        };
        let now = server::seal_status(&server)?;
        match now.state {
            SealState::Ready | SealState::ReadOnly => {
                print("The server is not sealed.\n");
                return Ok(());
            }
            SealState::Sealed => {}
            SealState::Unsealing | SealState::Verifying => {
                return Err(CliError::NotDone(format!("the server is {} already", now.state.as_str())));
            }
        }
        let takes_passphrase = now.slots.iter().any(|slot| slot.kind == "passphrase");
        let default_key = paths.ok().map(|paths| paths.default_key_file().to_owned());
        let secret = match (&self.passphrase_file, &self.key_file, &self.recovery_key_file) {
            (Some(file), _, _) => UnsealSecret::passphrase_file(&absolute(file))?,
            (_, Some(file), _) => UnsealSecret::key_file(&absolute(file))?,
            (_, _, Some(file)) => UnsealSecret::recovery_key_file(&absolute(file))?,
            _ => match (environment.path("STRONGROOM_KEY_FILE"), environment.path("STRONGROOM_PASSPHRASE_FILE")) {
                (Some(file), _) => UnsealSecret::key_file(&absolute(&file))?,
                (None, Some(file)) => UnsealSecret::passphrase_file(&absolute(&file))?,
                (None, None) => match default_key.filter(|file| !takes_passphrase && file.exists()) {
                    Some(file) => UnsealSecret::key_file(&file)?,
                    None => ask()?,
                },
            },
        };
        let now = server::unseal(&server, &secret, self.slot)?;
        print("The server is unsealed.\n");
        if now.state == SealState::ReadOnly {
            warn(&format!("it is read-only: {}: {}", now.why, now.next));
        }
        Ok(())
    }
}

/// So that the directory of a file can be checked.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn ask() -> Result<UnsealSecret, CliError> {
    if !Terminal.is_available() {
        let text = "there is no terminal to ask for the passphrase on: use --passphrase-file, --key-file or \
                    --recovery-key-file";
        return Err(CliError::NotDone(text.to_owned()));
    }
    let asked = Terminal.ask("Passphrase: ");
    asked.map(UnsealSecret::Passphrase).map_err(|error| CliError::NotDone(format!("no passphrase was read: {error}")))
}
