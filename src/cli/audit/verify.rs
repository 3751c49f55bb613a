//! `strongroom audit verify`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::super::CliError;
use super::super::home_options::{HomeOption, UnlockOptions};
use super::super::output::print;
use crate::clock::SystemClock;
use crate::config::{Environment, HomePaths};
use crate::server;

/// Options of `audit verify`.
#[derive(Args)]
pub struct Verify {
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

impl Verify {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let report = self.verify(environment)?;
        print(&report.text);
        if report.findings > 0 { Err(CliError::AuditFindings(report.findings)) } else { Ok(()) }
    }

    fn verify(self, environment: &Environment) -> Result<server::AuditReport, CliError> {
        if let Some(public_key) = self.public_key {
            let directory = match self.directory {
                Some(directory) => directory,
                None => HomePaths::resolve(self.home.home, environment)?.audit(),
            };
            return Ok(server::verify_audit_signatures(&directory, &public_key)?);
        }
        let config = self.unlock.resolve(self.home, environment)?;
        Ok(server::verify_audit(&config.home, config.unlock, Arc::new(SystemClock))?)
    }
}
