//! Writes the files of a volume so that a reader sees all of the old ones or all of the new.
//!
//! The layout and its order are those of the kubelet's writer (`pkg/volume/util/atomic_writer.go`):
//!
//! ```text
//! DIR/..2026_11_28_10_15_08.8a3f…/username   the files
//! DIR/..data     -> ..2026_11_28_10_15_08.8a3f…
//! DIR/username   -> ..data/username          what readers open
//! ```
//!
//! New files are written into a folder of their own, `..data` is replaced by a rename, names that are gone are taken away.
//! Whatever fails before the rename leaves the old state whole. Unlike the kubelet, which removes the old files at once,
//! they stay a second longer: a reader that has just followed `..data` finds what it was led to.
//!
//! Who keeps a folder holds a [`FolderLock`] on it or on one above it.
//!
//! What it never does: touch a file in the folder that it did not make, or write through a link.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::volume::Payload;
use crate::clock::rfc3339;

/// What readers go through.
const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";
/// How long replaced files stay.
const GRACE: Duration = Duration::from_secs(1);
const RANDOM_BYTES: usize = 8;

/// Keeps one folder.
pub struct AtomicWriter {
    folder: PathBuf,
    /// Whether the folder was made for this.
    is_ours: bool,
    /// Whether there were files before.
    had_files: bool,
    folder_mode: u32,
    /// Former files, and since when they are former.
    former: Vec<(PathBuf, Instant)>,
}

/// A folder that this process alone keeps, for as long as this lives.
pub struct FolderLock {
    _locked: File,
}

impl FolderLock {
    /// Takes the folder, or says that another process has it.
    pub fn take(folder: &Path) -> Result<Self, WriteError> {
        let fail = io_at(folder);
        let file = File::open(folder).map_err(&fail)?;
        if !file.metadata().map_err(&fail)?.is_dir() {
            return Err(fail(io::ErrorKind::NotADirectory.into()));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _locked: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(WriteError::Taken(folder.to_owned())),
            Err(error) => Err(fail(error.into())),
        }
    }
}

/// Why files were not written. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operating system said so.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Of what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Somebody keeps the folder already.
    #[error("{}: another process delivers Secrets there", .0.display())]
    Taken(PathBuf),
    /// Something of another making has the name of a file.
    #[error("{}: is there already, and was not written by this: choose another directory", .0.display())]
    Foreign(PathBuf),
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> WriteError + use<> {
    let path = path.to_owned();
    move |source| WriteError::Io { path: path.clone(), source }
}

impl AtomicWriter {
    /// Keeps a folder, which is made where there is none. Others may enter it, and read what they may, by `folder_mode`.
    pub fn open(folder: &Path, folder_mode: u32) -> Result<Self, WriteError> {
        let fail = io_at(folder);
        let is_ours = match DirBuilder::new().mode(folder_mode).create(folder) {
            Ok(()) => {
                // Whatever the mask is.
                fs::set_permissions(folder, Permissions::from_mode(folder_mode)).map_err(&fail)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(fail(error)),
        };
        let mut writer = Self { folder: folder.to_owned(), is_ours, had_files: false, folder_mode, former: Vec::new() };
        writer.had_files = writer.current().is_some();
        writer.remove_leftovers().map_err(fail)?;
        Ok(writer)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there were files before this was opened.
    #[must_use]
    pub fn had_files(&self) -> bool {
        self.had_files
    }

    /// Whether the folder was made for this.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Puts these files there, in place of the former. Says whether anything had to be changed.
    pub fn write(&mut self, payload: &Payload<'_>, now_unix_seconds: i64) -> Result<bool, WriteError> {
        let fail = io_at(&self.folder);
        let current = self.current();
        let data = self.folder.join(DATA);
        if current.is_none() && fs::symlink_metadata(&data).is_ok() {
            return Err(WriteError::Foreign(data));
        }
        let top: BTreeSet<&str> = payload.top_level().collect();
        for name in &top {
            let visible = self.folder.join(name);
            match fs::read_link(&visible) {
                Ok(target) if target == Path::new(DATA).join(name) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return Err(WriteError::Foreign(visible)),
            }
        }
        if let Some(current) = &current
            && Self::is_as(current, payload)
            && self.visible().map_err(&fail)?.iter().all(|name| name.to_str().is_some_and(|name| top.contains(name)))
        {
            return Ok(false);
        }
        let name = format!("..{}.{}", stamp(now_unix_seconds), random().map_err(&fail)?);
        let fresh = self.folder.join(&name);
        let swapped = self.write_files(&fresh, payload).and_then(|()| {
            for top in &top {
                match symlink(Path::new(DATA).join(top), self.folder.join(top)) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
            }
            let next = self.folder.join(DATA_NEW);
            remove_if_there(&next)?;
            symlink(&name, &next)?;
            fs::rename(&next, &data).inspect_err(|_| drop(fs::remove_file(&next)))
        });
        if let Err(error) = swapped {
            let _ = fs::remove_dir_all(&fresh);
            // Names that lead nowhere yet.
            let _ = self.remove_stale(|name| current.as_ref().is_some_and(|current| current.join(name).exists()));
            return Err(fail(error));
        }
        self.remove_stale(|visible| visible.to_str().is_some_and(|name| top.contains(name))).map_err(&fail)?;
        self.former.extend(current.map(|current| (current, Instant::now())));
        self.sweep();
        Ok(true)
    }

    /// Removes former files that nobody can be about to open any more. Returns when to call again.
    pub fn sweep(&mut self) -> Option<Instant> {
        self.former.retain(|(folder, since)| since.elapsed() < GRACE || fs::remove_dir_all(folder).is_err());
        self.former.first().map(|(_, since)| *since + GRACE)
    }

    /// Removes everything that was written, and the folder where it was made for it.
    pub fn remove(self) -> Result<(), WriteError> {
        let fail = io_at(&self.folder);
        self.remove_stale(|_| false).map_err(&fail)?;
        remove_if_there(&self.folder.join(DATA)).map_err(&fail)?;
        self.remove_leftovers().map_err(&fail)?;
        if self.is_ours {
            match fs::remove_dir(&self.folder) {
                // Somebody else put something there.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                other => other.map_err(fail)?,
            }
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the files are what was asked for")]
    fn write_files(&self, folder: &Path, payload: &Payload<'_>) -> io::Result<()> {
        let make = |folder: &Path| {
            DirBuilder::new().mode(self.folder_mode).create(folder)?;
            fs::set_permissions(folder, Permissions::from_mode(self.folder_mode))
        };
        make(folder)?;
        for (path, file) in payload.files() {
            for (at, _) in path.match_indices('/') {
                let above = folder.join(path.get(..at).unwrap_or_default());
                if !above.is_dir() {
                    make(&above)?;
                }
            }
            let at = folder.join(path);
            let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
            written.write_all(file.value.expose())?;
            written.set_permissions(Permissions::from_mode(file.mode))?;
        }
        Ok(())
    }

    /// Whether the files there are these already.
    #[expect(clippy::disallowed_methods, reason = "what is there is compared with what is to be there")]
    fn is_as(current: &Path, payload: &Payload<'_>) -> bool {
        let mut count = 0;
        let same = payload.files().all(|(path, file)| {
            count += 1;
            let at = current.join(path);
            let is_mode = fs::symlink_metadata(&at)
                .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o7777 == file.mode);
            is_mode && fs::read(&at).map(zeroize::Zeroizing::new).is_ok_and(|bytes| *bytes == file.value.expose())
        });
        same && count_files(current).is_ok_and(|found| found == count)
    }

    /// The folder that `..data` leads to.
    fn current(&self) -> Option<PathBuf> {
        let target = fs::read_link(self.folder.join(DATA)).ok()?;
        is_stamped(target.as_os_str()).then(|| self.folder.join(target))
    }

    /// The names that lead through `..data`.
    fn visible(&self) -> io::Result<Vec<std::ffi::OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let leads = fs::read_link(self.folder.join(&name));
            if leads.is_ok_and(|target| target == Path::new(DATA).join(&name)) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove_stale(&self, stays: impl Fn(&OsStr) -> bool) -> io::Result<()> {
        self.visible()?.iter().filter(|name| !stays(name)).try_for_each(|name| remove_if_there(&self.folder.join(name)))
    }

    /// What a process that was killed left behind: folders that `..data` does not lead to.
    fn remove_leftovers(&self) -> io::Result<()> {
        let current = self.current();
        remove_if_there(&self.folder.join(DATA_NEW))?;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if is_stamped(&entry.file_name()) && entry.file_type()?.is_dir() && current.as_ref() != Some(&path) {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

/// `2026_11_28_10_15_08`
fn stamp(unix_seconds: i64) -> String {
    rfc3339(unix_seconds).trim_end_matches('Z').replace(['-', ':', 'T'], "_")
}

fn random() -> io::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the operating system gave no randomness"))?;
    Ok(hex::encode(random))
}

/// Whether it is the name of a folder of files: `..`, a time, a dot and something random (the kubelet's is a number).
fn is_stamped(name: &OsStr) -> bool {
    let parts = || {
        let (time, random) = name.to_str()?.strip_prefix("..")?.split_once('.')?;
        let is_time = time.len() == 19 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        Some(is_time && !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    parts().unwrap_or(false)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn count_files(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

#[cfg(test)]
#[path = "atomic_writer_tests.rs"]
mod tests;
