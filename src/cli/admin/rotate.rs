//! `strongroom admin rotate`

use std::sync::Arc;

use clap::Args;

use crate::cli::CliError;
use crate::cli::home_options::{HomeOption, UnlockOptions};
use crate::cli::output::print;
use crate::clock::SystemClock;
use crate::config::Environment;
use crate::server;

/// Options of `admin rotate`. The server may run or not; unlocking is needed only if not.
#[derive(Args)]
pub struct Rotate {
    #[command(flatten)]
    home: HomeOption,
    #[command(flatten)]
    unlock: UnlockOptions,
}

impl Rotate {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let config = self.unlock.resolve(self.home, environment)?;
        server::rotate_admin_token(&config.home, config.unlock, Arc::new(SystemClock))?;
        print(&format!("The administrator's new token is in {}\n", config.home.kubeconfig().display()));
        Ok(())
    }
}
