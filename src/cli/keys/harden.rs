//! `strongroom keys harden`: from a key file beside the room to a passphrase that is nowhere on the machine.

use std::path::PathBuf;

use clap::Args;

use super::given::{GivenSecrets, new_passphrase};
use super::rotate::{rotate_data, rotate_root, wait};
use super::slot::put;
use super::{slots, status_of};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::print;
use crate::config::Environment;
use crate::sensitive::SecretBytes;
use crate::server::unlock_files;

/// Options of `keys harden`. None of them takes the passphrase itself.
#[derive(Args)]
pub struct Harden {
    /// File with the new passphrase, mode 0600 [default: it is asked for on the terminal]
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    secrets: GivenSecrets,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Harden {
    /// Each step leaves a room that opens: with the key file until the root key is another one without it, and with the passphrase
    /// once that is set. Run again after an interruption, it goes on.
    #[expect(clippy::disallowed_methods, reason = "nothing of the status is secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let home = self.connection.home();
        let key_file = self.secrets.key_file(home.clone(), environment);
        let has_key_file = |status: &serde_json::Value| slots(status).iter().any(|(slot, _)| slot == "key-file");
        if !has_key_file(status_of(&connection)?.expose()) {
            return Err(CliError::NotDone("no key file opens this room: there is nothing to harden".into()));
        }
        let passphrase = new_passphrase(self.new_passphrase_file.as_deref())?;
        let collect = |secrets: &GivenSecrets, passphrase: Option<&SecretBytes>| {
            secrets.collect(status_of(&connection)?.expose(), passphrase, home.as_ref(), environment)
        };
        let last = self.secrets.dropping("key-file");
        // What is missing is told before anything is changed.
        collect(&last, Some(&passphrase))?;
        if key_file.is_some() {
            // The server takes no secret that does not open its slot: a key file that passes is this room's, and not that of
            // another one on this machine, which would be lost with it.
            rotate_root(&connection, &collect(&self.secrets.without_unknown_passphrase(), None)?)?;
        }
        put(&connection, "passphrase", &passphrase, true)?;
        rotate_root(&connection, &collect(&last, Some(&passphrase))?)?;
        rotate_data(&connection)?;
        let waited = wait(&connection);
        let done_away = match &key_file {
            Some(path) => {
                unlock_files::shred(path)?;
                format!(
                    "{} is overwritten and removed; a disk that writes elsewhere than where something stood, and backups, may \
                     still have it.",
                    path.display()
                )
            }
            None => "The key file is not on this machine: do away with it where it is.".to_owned(),
        };
        print(&format!(
            "The passphrase alone opens the room, with new keys. {done_away} It opens nothing any more but copies of the database \
             that were made before. The next start asks for the passphrase, on the terminal or with --passphrase-file.\n"
        ));
        waited
    }
}
