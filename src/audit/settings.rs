//! How the log is kept.

/// When a line is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Not one by one: the disk has lines with the next checkpoint's sync. A power cut may lose those behind it.
    Checkpoints,
    /// Before [`super::AuditLog::append`] returns, the disk has the line. Those who wait together share one sync.
    Always,
}

/// How the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A file that would become longer is followed by another.
    pub max_file_bytes: u64,
    /// A file that is older is.
    pub max_file_age_seconds: u64,
    /// At most so many files are kept; `None` keeps all.
    pub keep_files: Option<usize>,
    /// Files whose last line is older are not kept; `None` keeps all.
    pub keep_seconds: Option<u64>,
    /// When a line is waited for.
    pub sync: SyncMode,
    /// Whether allowed reads are recorded. For the caller to heed.
    pub records_reads: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 * 1024 * 1024,
            max_file_age_seconds: 24 * 3600,
            keep_files: None,
            keep_seconds: None,
            sync: SyncMode::Checkpoints,
            records_reads: true,
        }
    }
}
