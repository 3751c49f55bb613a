//! The options of `serve` that concern the audit log.

use clap::Args;

use crate::config::AuditFlags;

/// Options of `serve`.
#[derive(Args)]
pub struct AuditOptions {
    /// Length at which a file of the audit log is followed by another, in MiB [env: STRONGROOM_AUDIT_MAX_SIZE] [default: 64]
    #[arg(long = "audit-max-size", value_name = "MIB")]
    max_size: Option<u64>,
    /// Days after which a file of the audit log is removed; 0 keeps all [env: STRONGROOM_AUDIT_MAX_AGE] [default: 0]
    #[arg(long = "audit-max-age", value_name = "DAYS")]
    max_age: Option<u64>,
    /// Files of the audit log that are kept; 0 keeps all [env: STRONGROOM_AUDIT_MAX_FILES] [default: 0]
    #[arg(long = "audit-max-files", value_name = "N")]
    max_files: Option<usize>,
    /// Whether a request waits until the disk has its record: off or always [env: STRONGROOM_AUDIT_SYNC] [default: off]
    #[arg(long = "audit-sync", value_name = "WHEN")]
    sync: Option<String>,
    /// Whether allowed reads are recorded: on or off [env: STRONGROOM_AUDIT_READS] [default: on]
    #[arg(long = "audit-reads", value_name = "SWITCH")]
    reads: Option<String>,
}

impl AuditOptions {
    pub(in crate::cli) fn into_flags(self) -> AuditFlags {
        AuditFlags {
            max_size_mib: self.max_size,
            max_age_days: self.max_age,
            max_files: self.max_files,
            sync: self.sync,
            reads: self.reads,
        }
    }
}
