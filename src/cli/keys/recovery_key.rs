//! `strongroom keys recovery-key`

use std::path::PathBuf;

use clap::Args;

use super::slot::put_made;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::print;
use crate::config::Environment;
use crate::server::unlock_files;

/// Options of `keys recovery-key`.
#[derive(Args)]
pub struct RecoveryKey {
    /// File to write it into, mode 0600; it must not be there
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// In place of the recovery key that there is
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl RecoveryKey {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        // First the file: a key that opens the room and that nobody has would be of no use.
        let key = unlock_files::make_recovery_file(&self.output)?;
        put_made(&connection, "recovery-key", &key, self.replace, &self.output)?;
        print(&format!(
            "The recovery key is in {}. Write it down or print it, keep it where this machine is not, and remove the file. \
             Whoever has it and a copy of the database can read everything.\n",
            self.output.display()
        ));
        Ok(())
    }
}
