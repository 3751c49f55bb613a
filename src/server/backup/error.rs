//! Why a backup was not made, is not whole, or was not restored.

use std::path::{Path, PathBuf};

use crate::backup::{AgeKeyError, FormatError};
use crate::crypto::RecoveryTextError;

/// See the module. Each text says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is not one that can be used.
    #[error("{}: {source}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FormatError,
    },
    /// Its manifest is another store's, or nobody's.
    #[error("{}: the manifest was not written by the store whose keys these are, or was changed since", .0.display())]
    NotAuthentic(PathBuf),
    /// Its database does not agree with its manifest.
    #[error("{}: the database is not the one that the manifest tells of: {what}", .path.display())]
    OtherDatabase {
        /// The file.
        path: PathBuf,
        /// In what they differ.
        what: &'static str,
    },
    /// Rows are not as they were written.
    #[error("the backup's database is not as it was written:\n  {}", .0.join("\n  "))]
    Damaged(Vec<String>),
    /// A home that would be written over.
    #[error("{0}")]
    WouldGoBack(String),
    /// The log of what is there could not be moved aside.
    #[error(
        "{} is a mount point, and cannot be moved aside: nothing was done. Unmount it first, or restore into an empty directory",
        .0.display()
    )]
    MountedLog(PathBuf),
    /// Decided, and not finished.
    #[error(
        "{}: {source}. The restore is decided and nothing is lost: mend this, and start the server or restore again, which finishes it",
        .path.display()
    )]
    Unfinished {
        /// Where it stopped.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A home of another store.
    #[error(
        "{} holds another store (its identifier is {there}, the backup's is {in_backup}): choose an empty directory, or move \
         that home away", .home.display()
    )]
    OtherStore {
        /// The home.
        home: PathBuf,
        /// The identifier of its store.
        there: String,
        /// The backup's.
        in_backup: String,
    },
    /// The recovery key cannot be read.
    #[error("{} holds no recovery key: {source}", .path.display())]
    RecoveryText {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecoveryTextError,
    },
    /// No slot takes a recovery key.
    #[error(
        "the backup cannot be opened with a recovery key: none was made before it (`strongroom keys recovery-key`)"
    )]
    NoRecoverySlot,
    /// A setting names no recipient.
    #[error("{text}: {source}")]
    Recipient {
        /// What was given.
        text: String,
        /// What is wrong.
        source: AgeKeyError,
    },
    /// The process was asked to stop.
    #[error("interrupted by {0}: nothing was changed")]
    Interrupted(&'static str),
}

impl BackupError {
    pub(super) fn format(path: &Path, source: FormatError) -> Self {
        Self::Format { path: path.to_owned(), source }
    }
}
