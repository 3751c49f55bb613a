//! Files and folders that only their owner may touch: read by rule, replaced whole or not at all.
//!
//! What it never does: follow a symbolic link to a secret, overwrite in place, or repair the permissions of a secret
//! it was given: a secret that others could read is refused, for it may have been read.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::sensitive::SecretBytes;

/// The longest unlock secret, kubeconfig or key that is read.
pub const SECRET_FILE_MAX_BYTES: usize = 64 * 1024;

const GROUP_AND_OTHERS: u32 = 0o077;
const WRITE_BY_GROUP_OR_OTHERS: u32 = 0o022;
const PERMISSION_BITS: u32 = 0o7777;
/// Of the name of a file that is being written.
const RANDOM_BYTES: usize = 8;

/// Who besides the owner may have rights on a secret file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    OwnerOnly,
    /// The group may read. systemd grants its service user by an access list, whose mask shows as the group's bits.
    GroupMayRead,
    /// Nobody, and the owner may be this user, whose home it lies in: root looks after the homes of others.
    HomeOf(u32),
}

impl Access {
    fn trusts(self, uid: u32) -> bool {
        uid == 0 || uid == rustix::process::geteuid().as_raw() || self == Self::HomeOf(uid)
    }
}

/// A file or folder that was not used or not written.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    problem: Problem,
}

/// What was wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system said so.
    Io(io::Error),
    /// A symbolic link.
    Link,
    /// A folder, a pipe, a device.
    NotAFile,
    /// A file where a folder belongs.
    NotADirectory,
    /// Owned by somebody who is neither this user nor root.
    Owner(u32),
    /// A folder owned by another user than this one.
    FolderOwner(u32),
    /// Others have rights on it.
    Open(u32),
    /// Others may replace it.
    OpenParent(u32),
    /// Somebody else owns the folder it lies in, and may replace it.
    ParentOwner(u32),
    /// A folder with something else in it, that others may enter.
    NotOurs(u32),
    /// Longer than it may be.
    TooLong(usize),
}

impl FileError {
    fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }

    /// What the operating system said of `path`.
    pub fn io(path: &Path, error: io::Error) -> Self {
        Self::new(path, Problem::Io(error))
    }

    /// What was wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Whether the file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.problem, Problem::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Io(error) => write!(f, "{path}: {error}"),
            Problem::Link => write!(f, "{path} is a symbolic link: give the file itself"),
            Problem::NotAFile => write!(f, "{path} is not a regular file"),
            Problem::NotADirectory => write!(f, "{path} is not a directory"),
            Problem::Owner(uid) => {
                write!(f, "{path} belongs to user id {uid}: it must belong to the user who runs strongroom, or to root")
            }
            Problem::FolderOwner(uid) => {
                write!(
                    f,
                    "{path} belongs to user id {uid}: run strongroom as that user, or give the folder to this one (chown)"
                )
            }
            Problem::Open(mode) => write!(
                f,
                "{path} has mode {mode:04o}, so others may have read it: make it 0600 (chmod 600; for a container \
                 secret set its mode to 0400 and its uid to the container's user)"
            ),
            Problem::OpenParent(mode) => write!(
                f,
                "the directory of {path} has mode {mode:04o}, so others could replace the file: chmod go-w the directory"
            ),
            Problem::ParentOwner(uid) => write!(
                f,
                "the directory of {path} belongs to user id {uid}, who could replace the file: it must belong to the user \
                 who runs strongroom, or to root"
            ),
            Problem::NotOurs(mode) => write!(
                f,
                "{path} has mode {mode:04o} and holds other files: choose an empty directory, or chmod 700 this one"
            ),
            Problem::TooLong(max_bytes) => write!(f, "{path} is longer than {max_bytes} bytes"),
        }
    }
}

impl std::error::Error for FileError {}

/// Reads a secret: a regular file, not a link, of this user or root, closed to others, in a folder that others
/// cannot write to.
pub fn read_secret(path: &Path, access: Access, max_bytes: usize) -> Result<SecretBytes, FileError> {
    let fail = |problem| FileError::new(path, problem);
    // Non-blocking, so that a pipe put in the file's place does not hang the start.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(raw_flags(flags)).open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            fail(Problem::Link)
        } else {
            fail(Problem::Io(error))
        }
    })?;
    let metadata = file.metadata().map_err(|error| fail(Problem::Io(error)))?;
    if !metadata.is_file() {
        return Err(fail(Problem::NotAFile));
    }
    if !access.trusts(metadata.uid()) {
        return Err(fail(Problem::Owner(metadata.uid())));
    }
    let refused = match access {
        Access::OwnerOnly | Access::HomeOf(_) => GROUP_AND_OTHERS,
        Access::GroupMayRead => GROUP_AND_OTHERS & !0o040,
    };
    if metadata.mode() & refused != 0 {
        return Err(fail(Problem::Open(metadata.mode() & PERMISSION_BITS)));
    }
    let parent = folder_of(path);
    let parent_metadata = fs::metadata(parent).map_err(|error| fail(Problem::Io(error)))?;
    if !access.trusts(parent_metadata.uid()) {
        return Err(fail(Problem::ParentOwner(parent_metadata.uid())));
    }
    if parent_metadata.mode() & WRITE_BY_GROUP_OR_OTHERS != 0 {
        return Err(fail(Problem::OpenParent(parent_metadata.mode() & PERMISSION_BITS)));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(max_bytes + 1));
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| fail(Problem::Io(error)))?;
    if bytes.len() > max_bytes {
        return Err(fail(Problem::TooLong(max_bytes)));
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// Puts `bytes` at `path` with mode 0600, replacing what was there in one step that survives a power cut.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |error| FileError::new(path, Problem::Io(error));
    let (temporary, directory) = write_beside(path, bytes).map_err(fail)?;
    fs::rename(&temporary, path).and_then(|()| directory.sync_all()).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        fail(error)
    })
}

/// As [`replace`], but an error where there is a file already.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |error| FileError::new(path, Problem::Io(error));
    let (temporary, directory) = write_beside(path, bytes).map_err(fail)?;
    link_new(&temporary, path).and_then(|()| directory.sync_all()).map_err(fail)
}

/// Gives `temporary` the name `path`, or an error where that is taken. The former name is gone in any case.
pub(super) fn link_new(temporary: &Path, path: &Path) -> io::Result<()> {
    // A link, unlike a rename, fails where the name is taken. Not every file system has links.
    let linked = match fs::hard_link(temporary, path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            match fs::symlink_metadata(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(temporary, path),
                Err(error) => Err(error),
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            }
        }
        other => other,
    };
    let _ = fs::remove_file(temporary);
    linked
}

/// A name that [`remove_leftovers`] knows, for what is to be called `name`.
pub(super) fn make_temporary_name(name: &str) -> io::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the operating system gave no randomness"))?;
    Ok(temporary_of(name, random))
}

/// A new folder (0700) of files that nobody can change by mistake (0400), whole or not at all. `files` are given by their
/// paths below it, of which a part may be a folder.
pub fn create_folder(path: &Path, files: &[(PathBuf, &SecretBytes)]) -> Result<(), FileError> {
    let fail = |error| FileError::new(path, Problem::Io(error));
    if fs::symlink_metadata(path).is_ok() {
        return Err(fail(io::ErrorKind::AlreadyExists.into()));
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| fail(io::Error::other("the operating system gave no randomness")))?;
    let temporary = parent.join(format!(".{}.{}", std::process::id(), hex::encode(random)));
    let written = write_folder(&temporary, files)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(parent)?.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_dir_all(&temporary);
        fail(error)
    })
}

#[expect(clippy::disallowed_methods, reason = "the files are what was asked for")]
fn write_folder(folder: &Path, files: &[(PathBuf, &SecretBytes)]) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    for (below, value) in files {
        // Names of keys cannot lead out; nor does anything else that comes here.
        if below.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let file = folder.join(below);
        if let Some(parent) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(file)?;
        file.write_all(value.expose())?;
        file.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

/// Makes a folder with mode 0700, and those above it that are missing.
///
/// A folder that is there is used if it is this user's. One that others may enter is closed to them where that
/// surprises nobody: it is empty, or `is_ours` knows what lies in it.
pub fn make_directory(path: &Path, is_ours: impl FnOnce() -> bool) -> Result<(), FileError> {
    let fail = |problem| FileError::new(path, problem);
    let io = |error| FileError::new(path, Problem::Io(error));
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => missing.into_iter().for_each(sync_entry),
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) => {
            return Err(fail(Problem::NotADirectory));
        }
        Err(error) => return Err(io(error)),
    }
    let metadata = fs::metadata(path).map_err(io)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(fail(Problem::FolderOwner(metadata.uid())));
    }
    if metadata.mode() & GROUP_AND_OTHERS != 0 {
        let is_empty = fs::read_dir(path).map_err(io)?.next().is_none();
        if !is_empty && !is_ours() {
            return Err(fail(Problem::NotOurs(metadata.mode() & PERMISSION_BITS)));
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io)?;
    }
    Ok(())
}

/// Has the entry of a new folder survive a power cut: a key must not be lost with the folder it was put into.
fn sync_entry(folder: &Path) {
    // Where the folder above may be written to but not read, there is no way to.
    if let Some(above) = folder.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = above.sync_all();
    }
}

/// Removes what [`replace`] and [`create_new`] leave beside `path` when the process is killed in their midst.
pub fn remove_leftovers(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|found| is_temporary_of(name, found)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The same for every file in `folder` whose name, were it finished, `is_own`.
pub fn remove_leftovers_of(folder: &Path, is_own: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let finished = name.to_str().and_then(|found| {
            let (finished, _) = found.strip_prefix('.')?.strip_suffix(".new")?.rsplit_once('.')?;
            Some(finished).filter(|finished| is_temporary_of(finished, found))
        });
        if finished.is_some_and(&is_own) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The folder that a file lies in: a bare name lies in the current one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_of(name: &str, random: [u8; RANDOM_BYTES]) -> String {
    format!(".{name}.{}.new", hex::encode(random))
}

fn is_temporary_of(name: &str, found: &str) -> bool {
    let middle = || found.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".new");
    middle().is_some_and(|random| {
        random.len() == 2 * RANDOM_BYTES && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

pub(super) fn raw_flags(flags: OFlags) -> i32 {
    // The bits go back to the type that the standard library takes them in.
    flags.bits().cast_signed()
}

/// The new file, written and on the disk under another name, and its folder.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = folder_of(path);
    let directory = File::open(parent)?;
    let temporary = parent.join(make_temporary_name(&name.to_string_lossy())?);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok((temporary, directory)),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

#[cfg(test)]
#[path = "private_files_tests.rs"]
mod tests;
