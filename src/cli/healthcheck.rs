//! `strongroom healthcheck`: for containers, which have no other program to ask with.

use std::time::Duration;

use clap::Args;

use super::CliError;
use super::home_options::HomeOption;
use crate::config::{Environment, HomePaths};
use crate::server;

const TIMEOUT: Duration = Duration::from_secs(4);

/// Options of `healthcheck`.
#[derive(Args)]
pub struct Healthcheck {
    #[command(flatten)]
    home: HomeOption,
}

impl Healthcheck {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let paths = HomePaths::resolve(self.home.home, environment)?;
        Ok(server::check_ready(&paths, TIMEOUT)?)
    }
}
