//! The lock that makes one process the owner of a home.
//!
//! It is the operating system's, so that a killed process leaves nothing behind that has to be cleaned up. The file
//! also says who holds it, for people and for the commands that talk to the running server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::private_files::raw_flags;

const NOTE_MAX_BYTES: u64 = 256;
const LOOK_ATTEMPTS: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_millis(25);

/// Held for as long as the value lives.
pub struct HomeLock {
    file: File,
}

/// Who holds a lock, as far as its file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// Where it listens, once it does.
    pub address: Option<SocketAddr>,
}

/// Why a home was not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process owns it.
    #[error("{} is in use by another strongroom process{}: stop it first, or choose another --home", .home.display(), shown_pid(.holder))]
    Held {
        /// The home.
        home: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The file cannot be opened or locked.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl HomeLock {
    /// Takes the lock within a tenth of a second or not at all.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(raw_flags(OFlags::NOFOLLOW))
            .open(path)
            .map_err(io)?;
        let mut attempts_left = LOOK_ATTEMPTS;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Perhaps only somebody who is looking, see `holder`; that takes microseconds.
                Err(TryLockError::WouldBlock) if attempts_left > 0 => {
                    attempts_left -= 1;
                    std::thread::sleep(LOOK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let home = path.parent().unwrap_or(path).to_owned();
                    return Err(LockError::Held { home, holder: read_note(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        let mut lock = Self { file };
        lock.note(None).map_err(io)?;
        Ok(lock)
    }

    /// Writes down where this process listens.
    pub fn note(&mut self, address: Option<SocketAddr>) -> std::io::Result<()> {
        let pid = std::process::id();
        let note = address.map_or_else(|| format!("{pid}\n"), |address| format!("{pid}\n{address}\n"));
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(note.as_bytes())
    }
}

/// Who holds the lock; `None` where nobody does, or the home is not there.
pub fn holder(path: &Path) -> Result<Option<Holder>, LockError> {
    let io = |source| LockError::Io { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    // A shared lock: two who look at the same time do not take each other for the owner.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(Some(read_note(&mut file))),
        Ok(()) => Ok(None),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn read_note(file: &mut File) -> Holder {
    let mut text = String::new();
    if file.rewind().is_err() || file.take(NOTE_MAX_BYTES).read_to_string(&mut text).is_err() {
        return Holder::default();
    }
    let mut lines = text.lines();
    Holder {
        pid: lines.next().and_then(|line| line.parse().ok()),
        address: lines.next().and_then(|line| line.parse().ok()),
    }
}

fn shown_pid(holder: &Holder) -> String {
    holder.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None);
        let mut first = HomeLock::take(&path).unwrap();
        let address = "127.0.0.1:8443".parse().unwrap();
        first.note(Some(address)).unwrap();
        let error = HomeLock::take(&path).err().unwrap().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        let known = Holder { pid: Some(std::process::id()), address: Some(address) };
        assert_eq!(holder(&path).unwrap(), Some(known));
        drop(first);
        assert_eq!(holder(&path).unwrap(), None);
        let again = HomeLock::take(&path).unwrap();
        assert_eq!(holder(&path).unwrap().unwrap().address, None, "an old address is not kept");
        drop(again);
    }

    #[test]
    fn a_note_that_cannot_be_read_still_gives_a_clear_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = HomeLock::take(&path).unwrap();
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        let error = HomeLock::take(&path).err().unwrap().to_string();
        assert!(error.contains("is in use by another strongroom process:"), "{error}");
        drop(first);
    }

    #[test]
    fn a_lock_that_cannot_be_looked_at_is_not_taken_for_a_free_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let path = directory.path().join("file/lock");
        assert!(matches!(holder(&path), Err(LockError::Io { .. })));
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(HomeLock::take(&path), Err(LockError::Io { .. })));
    }
}
