//! `strongroom backup restore`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::options::{Bytes, OpenOptions, described};
use crate::cli::CliError;
use crate::cli::home_options::HomeOption;
use crate::cli::output::print;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::server::backup::{self as backups, RestoreOptions};

/// Options of `backup restore`. The home must not be served.
#[derive(Args)]
pub struct Restore {
    /// The backup
    file: PathBuf,
    /// The home to restore into
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Go back to the backup even where the home holds a store; what is there is kept beside it
    #[arg(long)]
    accept_rollback: bool,
    #[command(flatten)]
    open: OpenOptions,
}

impl Restore {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let identities = self.open.identities()?;
        let recovery = self.open.recovery_key_file();
        let config = self.open.unlock.resolve(HomeOption { home: Some(self.home) }, environment)?;
        let with = OpenOptions::with(recovery, config.unlock);
        let options = RestoreOptions {
            backup: &self.file,
            identities: &identities,
            with: &with,
            accept_rollback: self.accept_rollback,
        };
        let mut progress = Bytes::of_file(&self.file, "MiB read");
        let mut advance = |count| progress.advance(count);
        let restored = backups::restore(&config.home, &options, Arc::new(SystemClock), &mut advance)?;
        drop(progress);
        let home = config.home.root().display();
        let kept = restored.kept.map_or_else(String::new, |kept| {
            format!("What was there is in {}: remove it when it is not needed any more.\n", kept.display())
        });
        print(&format!(
            "{}{home} goes on from it, behind revision {}.\n{kept}\
             Tokens and sessions of before have ended; watches and lists that go on from before are answered 410, and begin anew.\n\
             Passwords, roles, and certificates that were revoked since, are those of the backup: look them over.\n\
             What clusters encrypted with terms of KMSKeys that were made since cannot be read with it: restart none of their API \
             servers before every Secret there was written anew.\n\
             Start the server with what opens the backup. Where Secrets are sent to clusters, start it with --no-sync, and see \
             `strongroom sync plan` first: the backup's values would replace newer ones there.\n",
            described(&restored.manifest),
            restored.revision,
        ));
        Ok(())
    }
}
