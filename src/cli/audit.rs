//! `strongroom audit verify`, and the options of `serve` that concern the audit log.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::home_options::{HomeOption, UnlockOptions};
use super::{CliError, print};
use crate::clock::SystemClock;
use crate::config::{AuditFlags, Environment, HomePaths, ServeConfig, ServeFlags};
use crate::server;

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
    pub(super) fn into_flags(self) -> AuditFlags {
        AuditFlags {
            max_size_mib: self.max_size,
            max_age_days: self.max_age,
            max_files: self.max_files,
            sync: self.sync,
            reads: self.reads,
        }
    }
}

/// Commands for the audit log.
#[derive(Args)]
pub struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check that nothing in the audit log was changed, removed or added; the server must be stopped, or give --public-key
    Verify(Verify),
}

/// Options of `audit verify`.
#[derive(Args)]
struct Verify {
    #[command(flatten)]
    home: HomeOption,
    #[command(flatten)]
    unlock: UnlockOptions,
    /// Check the signatures alone, with this key: needs no unlocking, and the server may run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_file", "passphrase_file", "passphrase_prompt", "allow_env_passphrase"])]
    public_key: Option<PathBuf>,
    /// With --public-key: where the files of the log are [default: `audit` in the home]
    #[arg(long, value_name = "DIR", requires = "public_key", conflicts_with = "home")]
    directory: Option<PathBuf>,
}

impl Audit {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let AuditCommand::Verify(verify) = self.command;
        let report = verify.run(environment)?;
        print(&report.text);
        if report.findings > 0 { Err(CliError::AuditFindings(report.findings)) } else { Ok(()) }
    }
}

impl Verify {
    fn run(self, environment: &Environment) -> Result<server::AuditReport, CliError> {
        if let Some(public_key) = self.public_key {
            let directory = match self.directory {
                Some(directory) => directory,
                None => HomePaths::resolve(self.home.home, environment)?.audit(),
            };
            return Ok(server::verify_audit_signatures(&directory, &public_key)?);
        }
        let flags = ServeFlags {
            home: self.home.home,
            key_file: self.unlock.key_file,
            passphrase_file: self.unlock.passphrase_file,
            passphrase_prompt: self.unlock.passphrase_prompt,
            allow_env_passphrase: self.unlock.allow_env_passphrase,
            ..ServeFlags::default()
        };
        let config = ServeConfig::resolve(flags, environment)?;
        Ok(server::verify_audit(&config.home, config.unlock, Arc::new(SystemClock))?)
    }
}
