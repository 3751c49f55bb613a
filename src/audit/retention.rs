//! Which files of the log are no longer kept.
//!
//! What it never does: name the file that is written, or remove one before the signed record of it is on the disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::files::{LogFile, list};
use super::records::FileEnd;
use super::recovery::{file_start, first_time};

/// What is to be removed.
pub struct Plan {
    /// The files, oldest first.
    pub files: Vec<LogFile>,
    /// The last line of the last of them.
    pub up_to: FileEnd,
}

/// The files before file `current` that are too many or too old. A file is as old as the one after it, which was begun
/// when this one had its last line.
pub fn plan(
    directory: &Path,
    current: u64,
    keep_files: Option<usize>,
    keep_seconds: Option<u64>,
    now_unix_millis: i64,
) -> io::Result<Option<Plan>> {
    if keep_files.is_none() && keep_seconds.is_none() {
        return Ok(None);
    }
    let mut files = list(directory)?;
    let too_many = keep_files.map_or(0, |keep| files.len().saturating_sub(keep.max(1)));
    let too_old = keep_seconds.map_or(0, |seconds| {
        let is_past = |begun: i64| now_unix_millis.saturating_sub(begun) >= saturating_millis(seconds);
        files.iter().skip(1).take_while(|next| first_time(next).is_some_and(is_past)).count()
    });
    let removable = files.iter().take_while(|file| file.number < current).count().min(too_many.max(too_old));
    if removable == 0 {
        return Ok(None);
    }
    let kept = files.split_off(removable);
    let previous = kept.first().and_then(file_start).and_then(|start| start.previous);
    match previous.filter(|previous| files.last().is_some_and(|last| last.name() == previous.file)) {
        Some(up_to) => Ok(Some(Plan { files, up_to })),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "a file does not say which one it goes on from")),
    }
}

fn saturating_millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

impl Plan {
    /// Removes the files. What cannot be removed is tried again later.
    pub fn remove(&self, directory: &Path) {
        for file in &self.files {
            if let Err(error) = fs::remove_file(&file.path) {
                tracing::warn!(file = file.name(), %error, "an old file of the audit log was not removed");
                return;
            }
        }
        // That the names are gone need not survive a power cut: then they go again.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
        tracing::info!(files = self.files.len(), up_to = self.up_to.file, "old files of the audit log were removed");
    }
}
