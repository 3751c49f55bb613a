//! Backups of a home: made while it is served or not, checked, and restored; and made by a schedule.
//!
//! What it never does: hold a database in memory, put a file in the place of another, or leave a copy behind.

mod error;
mod examine;
mod keys;
mod make;
mod online;
mod restore;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

pub use error::BackupError;
pub use examine::Verified;
pub use keys::OpenWith;
pub(super) use make::clean as clean_work;
pub use make::{recipients, write_new};
pub(super) use online::Online;
pub(super) use restore::{LastRestore, last as last_restore};
pub use restore::{RestoreOptions, Restored};
pub(super) use restore::{clean as clean_restore, finish as finish_restore, is_pending as is_restore_pending};

use super::private_files::FileError;
use super::{ServeError, lock, runtime};
use crate::backup::{Header, Identity, Manifest, Recipient, copy_database, open};
use crate::clock::SharedClock;
use crate::config::{HomePaths, UnlockConfig};
use crate::terminal::Terminal;

/// Whether a process owns the home: then that one makes its backups.
pub fn is_served(paths: &HomePaths) -> Result<bool, ServeError> {
    Ok(lock::holder(&paths.lock())?.is_some())
}

/// Makes a backup of a home that is not served now, in a new file. Also returns whether nothing but passphrases open it.
pub fn create(
    paths: &HomePaths,
    unlock: UnlockConfig,
    clock: &SharedClock,
    file: &Path,
    recipients: &[Recipient],
    keep_passphrase_slots: bool,
) -> Result<(Manifest, bool), ServeError> {
    let to = (file, recipients);
    runtime()?.block_on(make::create(paths, unlock, clock, &mut Terminal, to, keep_passphrase_slots))
}

/// Checks a backup without serving it. `home` is where a default key file may lie; nothing in it is changed.
pub fn verify(
    backup: &Path,
    identities: &[Identity],
    with: &OpenWith,
    home: &HomePaths,
    clock: SharedClock,
    advance: &mut dyn FnMut(u64),
) -> Result<Verified, ServeError> {
    runtime()?.block_on(examine::verify(backup, identities, with, home.root(), clock, &mut Terminal, advance))
}

/// Puts the database of a backup in a home's place. The home must not be served.
pub fn restore(
    paths: &HomePaths,
    options: &RestoreOptions<'_>,
    clock: SharedClock,
    advance: &mut dyn FnMut(u64),
) -> Result<Restored, ServeError> {
    runtime()?.block_on(restore::restore(paths, options, clock, &mut Terminal, advance))
}

/// Takes the database out of a backup, into a new file (0600) at `to`, which is compared with the manifest. The manifest is not
/// authenticated yet.
fn extract(
    backup: &Path,
    identities: &[Identity],
    to: &Path,
    advance: &mut dyn FnMut(u64),
) -> Result<Header, ServeError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let wrong = |error| BackupError::format(backup, error);
    let file = File::open(backup).map_err(|error| FileError::io(backup, error))?;
    let mut opened = open(BufReader::new(file), identities).map_err(wrong)?;
    let unwritten = |error| ServeError::from(FileError::io(to, error));
    let target = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(unwritten)?;
    let mut target = BufWriter::new(target);
    copy_database(&mut opened.rest, &opened.header.manifest, &mut target, advance).map_err(wrong)?;
    target.flush().map_err(unwritten)?;
    let target = target.into_inner().map_err(|error| unwritten(error.into_error()))?;
    target.sync_all().map_err(unwritten)?;
    Ok(opened.header)
}
