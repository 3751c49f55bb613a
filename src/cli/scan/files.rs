//! The files that are scanned: those named, those below folders, and what Git is about to commit.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{CliError, warn};

/// A larger file is passed over, and that is said.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Git's mode of what is another repository.
const SUBMODULE: &str = "160000";

/// Hands on every file named, and every one below a folder named.
pub fn below(paths: &[PathBuf], look: &mut dyn FnMut(&str, &[u8])) -> Result<(), CliError> {
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|error| failed(path, &error))?;
        if !metadata.is_dir() {
            read(path, look)?;
        } else if let Some(listed) = listed_by_git(path) {
            for file in listed {
                // What was deleted and not yet committed is listed too, and so are links and other repositories.
                if file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                    read(&file, look)?;
                }
            }
        } else {
            walk(path, look)?;
        }
    }
    Ok(())
}

/// Hands on what is staged.
pub fn staged(look: &mut dyn FnMut(&str, &[u8])) -> Result<(), CliError> {
    let arguments = [
        "diff",
        "--cached",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--ignore-submodules=all",
        "--diff-filter=ACMRT",
    ];
    let listed = git(&arguments)?;
    let mut parts = listed.split(|byte| *byte == 0);
    // `:MODE MODE ID ID STATUS`, then the name from the top of the repository.
    while let (Some(change), Some(name)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let mut fields = change.split(' ').skip(1);
        let (Some(mode), Some(id)) = (fields.next(), fields.nth(1)) else { continue };
        // Another repository's commit; a file of which only the name is staged.
        if mode == SUBMODULE || id.bytes().all(|digit| digit == b'0') {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        let size = String::from_utf8(git(&["cat-file", "-s", id])?).unwrap_or_default();
        if size.trim().parse::<u64>().unwrap_or(u64::MAX) > FILE_MAX_BYTES {
            warn(&format!("{name} is too large, and was passed over"));
            continue;
        }
        look(&name, &zeroize::Zeroizing::new(git(&["cat-file", "blob", id])?));
    }
    Ok(())
}

/// What Git knows below a folder, and what it does not ignore; `None` outside a repository.
fn listed_by_git(folder: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Some(names.map(|name| folder.join(OsStr::from_bytes(name))).collect())
}

fn walk(folder: &Path, look: &mut dyn FnMut(&str, &[u8])) -> Result<(), CliError> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| failed(folder, &error))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Links are not followed: they may lead round in circles.
        let kind = entry.file_type().map_err(|error| failed(&entry.path(), &error))?;
        if kind.is_dir() {
            if entry.file_name() != ".git" {
                walk(&entry.path(), look)?;
            }
        } else if kind.is_file() {
            read(&entry.path(), look)?;
        }
    }
    Ok(())
}

fn read(path: &Path, look: &mut dyn FnMut(&str, &[u8])) -> Result<(), CliError> {
    let length = std::fs::metadata(path).map_err(|error| failed(path, &error))?.len();
    if length > FILE_MAX_BYTES {
        warn(&format!("{} is too large, and was passed over", path.display()));
        return Ok(());
    }
    let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(|error| failed(path, &error))?);
    look(&path.display().to_string(), &bytes);
    Ok(())
}

/// What Git prints.
pub fn git(arguments: &[&str]) -> Result<Vec<u8>, CliError> {
    let output = Command::new("git").args(arguments).output();
    let output = output.map_err(|error| CliError::NotDone(format!("git cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CliError::NotDone(format!("git {}: {why}", arguments.first().copied().unwrap_or_default())))
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::NotDone(format!("{}: {error}", path.display()))
}
