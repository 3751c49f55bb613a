//! A file that is written piece by piece and appears whole or not at all: 0600, on the disk before it has its name, and never
//! in the place of another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::private_files::{FileError, folder_of, link_new, make_temporary_name, remove_leftovers};

/// See the module. What is dropped unfinished is gone.
pub struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    is_finished: bool,
}

impl NewFile {
    /// Begins a file that is to have this name. What a process that was killed has left of one is removed.
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        let fail = |error| FileError::io(path, error);
        if fs::symlink_metadata(path).is_ok() {
            return Err(fail(io::ErrorKind::AlreadyExists.into()));
        }
        let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
        remove_leftovers(path);
        let temporary = folder_of(path).join(make_temporary_name(&name.to_string_lossy()).map_err(fail)?);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(fail)?;
        Ok(Self { path: path.to_owned(), temporary, file, is_finished: false })
    }

    /// Gives it its name. An error where that is taken by now.
    pub fn finish(mut self) -> Result<(), FileError> {
        let fail = |error| FileError::io(&self.path, error);
        self.file.sync_all().map_err(fail)?;
        let directory = File::open(folder_of(&self.path)).map_err(fail)?;
        link_new(&self.temporary, &self.path).map_err(fail)?;
        directory.sync_all().map_err(fail)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_finished_and_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(folder.path().join(".f.0123456789abcdef.new"), b"of one that was killed").unwrap();
        drop(NewFile::begin(&path).unwrap());
        assert_eq!(names(folder.path()), [] as [&str; 0]);
        let late = NewFile::begin(&path).unwrap();
        fs::write(&path, b"another's").unwrap();
        assert!(NewFile::begin(&path).is_err());
        assert!(late.finish().is_err());
        assert_eq!(fs::read(&path).unwrap(), b"another's");
        assert_eq!(names(folder.path()), ["f"]);
    }
}
