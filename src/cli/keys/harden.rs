//! `strongroom keys harden`: from a key file beside the room to a passphrase that is nowhere on the machine.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::given::{GivenSecrets, new_passphrase};
use super::rotate::{rotate_data, rotate_root, try_rotate_root, wait};
use super::slot::put;
use super::{slots, status_of};
use crate::cli::connection::{Connection, ConnectionOptions};
use crate::cli::consent::{agrees, is_asked};
use crate::cli::output::print;
use crate::cli::{CliError, warn};
use crate::config::Environment;
use crate::sensitive::SecretBytes;
use crate::server::unlock_files;

const NOTHING_TO_HARDEN: &str = "no key file opens this room: there is nothing to harden";

/// Options of `keys harden`. None of them takes the passphrase itself.
#[derive(Args)]
pub struct Harden {
    /// File with the new passphrase, mode 0600 [default: it is asked for on the terminal]
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Leave the key file where it is, for backups and other homes that it opens
    #[arg(long, conflicts_with = "yes")]
    keep_key_file: bool,
    /// Overwrite and remove the key file without asking first
    #[arg(long, short = 'y')]
    yes: bool,
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
        let has_slot = |status: &Value, wanted: &str| slots(status).iter().any(|(slot, _)| slot == wanted);
        let status = status_of(&connection)?;
        if !has_slot(status.expose(), "key-file") {
            let own = GivenSecrets::default().key_file(home, environment);
            return match own.filter(|_| has_slot(status.expose(), "passphrase")) {
                Some(left) => finish(&connection, &left),
                None => Err(CliError::NotDone(NOTHING_TO_HARDEN.into())),
            };
        }
        let removed = key_file.as_deref().filter(|_| !self.keep_key_file);
        if let Some(path) = removed
            && !self.yes
        {
            consent(path)?;
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
            try_rotate_root(&connection, &collect(&self.secrets.without_unknown_passphrase(), None)?)?;
        }
        put(&connection, "passphrase", &passphrase, true)?;
        rotate_root(&connection, &collect(&last, Some(&passphrase))?)?;
        let rotated = rotate_data(&connection);
        let done_away = match (&key_file, removed) {
            (_, Some(path)) => unlock_files::shred(path).map(|()| {
                format!(
                    "{} is overwritten and removed; a disk that writes elsewhere than where something stood, and backups, may \
                     still have it.",
                    path.display()
                )
            }),
            (Some(path), None) => Ok(format!("{} was left where it is.", path.display())),
            (None, None) => Ok("The key file is not on this machine: do away with it where it is.".to_owned()),
        };
        let is_left = done_away.is_err();
        let told = done_away.unwrap_or_else(|error| {
            warn(&format!("the key file could not be removed ({error}): do away with it by hand"));
            "The key file is still there.".to_owned()
        });
        print(&format!(
            "The passphrase alone opens the room, with new keys. {told} It opens nothing any more but copies of the database \
             that were made before, and homes that were restored from them. The next start asks for the passphrase, on the terminal \
             or with --passphrase-file.\n"
        ));
        rotated?;
        wait(&connection)?;
        if is_left { Err(CliError::Partial) } else { Ok(()) }
    }
}

/// What is to be lost is said first.
fn consent(path: &Path) -> Result<(), CliError> {
    let what = format!(
        "{} will be overwritten and removed. Backups and copies of the database that were made until now, and homes that were restored \
         from them, open with it and not with the new passphrase: where they are needed, keep a copy of it elsewhere first, or give \
         --keep-key-file.",
        path.display()
    );
    if !is_asked() {
        return Err(CliError::NotDone(format!("{what} To go on, give --yes")));
    }
    if agrees(&format!("{what} Go on? [y/N] "))? {
        Ok(())
    } else {
        Err(CliError::NotDone("nothing was changed".into()))
    }
}

/// An earlier run was interrupted, or has kept the key file. Whether that was ever this room's nothing tells any more: it stays.
fn finish(connection: &Connection, left: &Path) -> Result<(), CliError> {
    rotate_data(connection)?;
    print(&format!(
        "No key file opens this room any more, and there is a new data key. {} is still there: if it was this room's, it opens copies of \
         the database that were made before. Do away with it when nothing needs it.\n",
        left.display()
    ));
    wait(connection)
}
