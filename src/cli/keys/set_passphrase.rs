//! `strongroom keys set-passphrase`

use std::path::PathBuf;

use clap::Args;

use super::given::new_passphrase;
use super::message;
use super::slot::put;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::print;
use crate::config::Environment;

/// Options of `keys set-passphrase`. None of them takes the passphrase itself.
#[derive(Args)]
pub struct SetPassphrase {
    /// File with the new passphrase, mode 0600 [default: it is asked for on the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl SetPassphrase {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let passphrase = new_passphrase(self.passphrase_file.as_deref())?;
        print(&message(&put(&connection, "passphrase", &passphrase, true)?));
        Ok(())
    }
}
