//! Makes a backup: a copy of the database in the home, without the slots that may be guessed, and what it says of itself.

use std::fs::{self, File};
use std::io::{Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BackupError, keys};
use crate::backup::{AgeWriter, Header, Manifest, NoRandomness, Recipient};
use crate::clock::SharedClock;
use crate::config::{HomePaths, UnlockConfig};
use crate::crypto::Keyring;
use crate::failpoint;
use crate::server::new_file::NewFile;
use crate::server::private_files::{FileError, make_directory};
use crate::server::{ServeError, lifecycle, offline};
use crate::store::backup::{copy, read_head, remove_slots};
use crate::store::keys::read_now;
use crate::terminal::Prompt;

const READ_AT_ONCE: usize = 256 * 1024;

/// A backup that was made, and is not yet written anywhere. The copy has no name any more: it is gone with this.
pub struct Made {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What opens it are passphrases alone: whoever has it can try to guess them.
    pub has_passphrases_alone: bool,
    header: Vec<u8>,
    database: File,
}

impl Made {
    /// Bytes of the whole.
    pub fn length(&self) -> u64 {
        self.header.len() as u64 + self.manifest.database_bytes
    }

    /// The whole.
    pub fn into_content(self) -> impl Read + Send {
        std::io::Cursor::new(self.header).chain(self.database)
    }
}

/// Removes a file, and what SQLite may have put beside it.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            let mut name = self.0.clone().into_os_string();
            name.push(ending);
            let _ = fs::remove_file(name);
        }
    }
}

/// Makes a backup of a home's database, by whoever owns the home. Writes to it may go on. Blocks.
pub fn make(
    paths: &HomePaths,
    keyring: &Keyring,
    keep_passphrase_slots: bool,
    now_unix_seconds: i64,
) -> Result<Made, ServeError> {
    let folder = paths.backup_work();
    make_directory(&folder, || true)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| ServeError::Random)?;
    let place = folder.join(format!("{}.db", hex::encode(random)));
    let copied = Removed(place.clone());
    copy(&paths.database(), &place).map_err(ServeError::store)?;
    failpoint::reached("backup.after-copy");
    let material = read_now(&place).map_err(ServeError::store)?;
    let slots = keys::slots(&material)?;
    let has_passphrases_alone = slots.iter().all(|slot| slot.cost().is_some());
    let leaves_out = |guessable: bool| guessable && !keep_passphrase_slots && !has_passphrases_alone;
    let (mut left_out, mut kept) = (Vec::new(), Vec::new());
    for (slot, encoded) in slots.iter().zip(&material.slots) {
        if leaves_out(slot.cost().is_some()) {
            left_out.push(encoded.as_slice());
        } else {
            kept.push(slot.kind().to_string());
        }
    }
    remove_slots(&place, &left_out).map_err(ServeError::store)?;
    failpoint::reached("backup.after-slots");
    let head = read_head(&place, keyring).map_err(ServeError::store)?;
    let unreadable = |error| FileError::io(&place, error);
    let mut database = File::open(&place).map_err(unreadable)?;
    drop(copied);
    let (database_bytes, database_sha256) = digest(&mut database).map_err(unreadable)?;
    database.rewind().map_err(unreadable)?;
    let manifest = Manifest {
        store_id: material.store_id,
        sequence: head.sequence,
        revision: head.revision,
        restore_epoch: head.restore_epoch,
        created_unix_seconds: now_unix_seconds,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        slots: kept,
        slots_left_out: left_out.len() as u64,
        database_bytes,
        database_sha256,
    };
    let header = Header::encode(&manifest, keyring);
    Ok(Made { manifest, has_passphrases_alone, header, database })
}

fn digest(file: &mut File) -> std::io::Result<(u64, [u8; 32])> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_AT_ONCE];
    let mut bytes = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((bytes, hash.finalize().into()));
        }
        hash.update(buffer.get(..length).unwrap_or_default());
        bytes += length as u64;
    }
}

/// Takes away what a process that was killed has left of a copy, and nothing else. The caller holds the home's lock.
pub fn clean(paths: &HomePaths) {
    for entry in fs::read_dir(paths.backup_work()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_copy) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file has the name of a copy, or of what SQLite puts beside one.
fn is_copy(name: &str) -> bool {
    let Some((stem, ending)) = name.split_once('.') else { return false };
    let is_random = stem.len() == 16 && stem.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_random && matches!(ending, "db" | "db-journal" | "db-wal" | "db-shm")
}

/// Writes what `content` gives into a new file, encrypted to `recipients` if there are any.
pub fn write_new(path: &Path, content: &mut dyn Read, recipients: &[Recipient]) -> Result<(), ServeError> {
    let mut file = NewFile::begin(path)?;
    let fail = |error| FileError::io(path, error);
    if recipients.is_empty() {
        copy_all(content, &mut file).map_err(fail)?;
    } else {
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
        let mut writer = AgeWriter::begin(&mut file, recipients, &mut random).map_err(fail)?;
        copy_all(content, &mut writer).map_err(fail)?;
        writer.finish().map_err(fail)?;
    }
    failpoint::reached("backup.before-name");
    file.finish()?;
    failpoint::reached("backup.after-name");
    Ok(())
}

fn copy_all(from: &mut dyn Read, to: &mut dyn Write) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_AT_ONCE];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..length).unwrap_or_default())?;
    }
}

/// Makes a backup of a home that is not served now, in a new file.
pub async fn create(
    paths: &HomePaths,
    unlock: UnlockConfig,
    clock: &SharedClock,
    prompt: &mut dyn Prompt,
    (file, recipients): (&Path, &[Recipient]),
    keep_passphrase_slots: bool,
) -> Result<(Manifest, bool), ServeError> {
    // Before anything is asked for or computed.
    if fs::symlink_metadata(file).is_ok() {
        return Err(FileError::io(file, std::io::ErrorKind::AlreadyExists.into()).into());
    }
    let _file_size = lifecycle::survive_file_size_limit()?;
    let unlocked = offline::unlock(paths, unlock, clock, prompt, false).await?;
    let made = make(paths, &unlocked.keys.keyring, keep_passphrase_slots, clock.unix_seconds())?;
    let (manifest, has_passphrases_alone) = (made.manifest.clone(), made.has_passphrases_alone);
    write_new(file, &mut made.into_content(), recipients)?;
    Ok((manifest, has_passphrases_alone))
}

/// The recipients of `--recipient` and `--backup-recipient`.
pub fn recipients(texts: &[String]) -> Result<Vec<Recipient>, BackupError> {
    let parse = |text: &String| text.parse().map_err(|source| BackupError::Recipient { text: text.clone(), source });
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_of_a_copy_is_removed_and_what_somebody_has_put_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let paths = HomePaths::in_directory(folder.path().to_owned());
        fs::create_dir(paths.backup_work()).unwrap();
        let kept = ["monday.strongroom-backup", "0123456789abcde.db", "0123456789abcdef.db.old", "0123456789ABCDEF.db"];
        for name in ["0123456789abcdef.db", "0123456789abcdef.db-wal"].iter().chain(&kept) {
            fs::write(paths.backup_work().join(name), name).unwrap();
        }
        clean(&paths);
        assert_eq!(fs::read_dir(paths.backup_work()).unwrap().count(), kept.len());
        assert!(kept.iter().all(|name| paths.backup_work().join(name).exists()));
    }
}
