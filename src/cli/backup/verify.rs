//! `strongroom backup verify`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::options::{Bytes, OpenOptions, described};
use crate::cli::CliError;
use crate::cli::home_options::HomeOption;
use crate::cli::output::print;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::server::backup as backups;

/// Options of `backup verify`. Needs as much room in the temporary directory ($TMPDIR) as the backup takes.
#[derive(Args)]
pub struct Verify {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    home: HomeOption,
    #[command(flatten)]
    open: OpenOptions,
}

impl Verify {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let identities = self.open.identities()?;
        let recovery = self.open.recovery_key_file();
        let config = self.open.unlock.resolve(self.home, environment)?;
        let with = OpenOptions::with(recovery, config.unlock);
        let mut progress = Bytes::of_file(&self.file, "MiB read");
        let clock = Arc::new(SystemClock);
        let mut advance = |count| progress.advance(count);
        let verified = backups::verify(&self.file, &identities, &with, &config.home, clock, &mut advance)?;
        drop(progress);
        let objects: Vec<String> = verified.objects.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        print(&format!(
            "{}{}\nEverything in it is as it was written\n",
            described(&verified.manifest),
            objects.join(", ")
        ));
        Ok(())
    }
}
