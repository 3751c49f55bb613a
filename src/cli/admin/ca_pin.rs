//! `strongroom admin ca-pin`: what a person at another machine compares before the first `strongroom login`.

use clap::Args;

use crate::cli::CliError;
use crate::cli::home_options::HomeOption;
use crate::cli::login::of_home;
use crate::cli::output::print;
use crate::cli::session::pin_of;
use crate::config::{Environment, HomePaths};

/// Options of `admin ca-pin`.
#[derive(Args)]
pub struct CaPin {
    #[command(flatten)]
    home: HomeOption,
}

impl CaPin {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let paths = HomePaths::resolve(self.home.home, environment)?;
        let pin = of_home(&paths).and_then(|trust| trust.first().and_then(|certificate| pin_of(certificate)));
        let pin = pin.ok_or_else(|| {
            let root = paths.root().display();
            CliError::NotDone(format!(
                "{root} has no certificate authority yet: start the server once, or check --home"
            ))
        })?;
        print(&format!("{pin}\n"));
        Ok(())
    }
}
