//! Why nothing is written, in words fit for clients: what happened and what to do, no path.

use std::io;

/// Why nothing is written, and what to do about it. Fit for clients: it names no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    pub(super) why: &'static str,
}

impl Refused {
    /// A disk that does not work.
    pub const OF_DISK: Self = Self { why: DISK };

    /// The text.
    pub fn why(&self) -> &'static str {
        self.why
    }
}

/// The disk is full.
pub const FULL: &str = "the audit log cannot be written because the disk is full: free disk space";
/// A quota, or a limit on file sizes.
pub const QUOTA: &str = "the audit log cannot be written because a quota or a limit on file sizes is reached: raise it";
/// A file system that is read-only.
pub const READ_ONLY: &str =
    "the audit log cannot be written because its file system is read-only: mend it and remount it";
/// Anything else.
pub const DISK: &str = "the audit log cannot be written: see the server's log, then mend the disk";
/// The log was closed.
pub const CLOSED: &str = "the server is stopping";
/// What was to be written is no line.
pub const NO_LINE: &str = "the event is no single line, or too long a one";

/// Whether trying again later may help.
pub fn is_passing(error: &io::Error) -> bool {
    reason(error) != DISK || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// What to say of it.
pub fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::WriteZero => FULL,
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => QUOTA,
        io::ErrorKind::ReadOnlyFilesystem => READ_ONLY,
        _ => DISK,
    }
}
