//! `strongroom admin rotate`

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::home_options::{HomeOption, UnlockOptions};
use super::{CliError, print};
use crate::clock::SystemClock;
use crate::config::{Environment, ServeConfig, ServeFlags};
use crate::server;

/// Commands that look after a home.
#[derive(Args)]
pub struct Admin {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Replace the administrator's token; the old one stops working at once
    Rotate(Rotate),
}

/// Options of `admin rotate`. The server may run or not; unlocking is needed only if not.
#[derive(Args)]
struct Rotate {
    #[command(flatten)]
    home: HomeOption,
    #[command(flatten)]
    unlock: UnlockOptions,
}

impl Admin {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let AdminCommand::Rotate(rotate) = self.command;
        let flags = ServeFlags {
            home: rotate.home.home,
            key_file: rotate.unlock.key_file,
            passphrase_file: rotate.unlock.passphrase_file,
            passphrase_prompt: rotate.unlock.passphrase_prompt,
            allow_env_passphrase: rotate.unlock.allow_env_passphrase,
            ..ServeFlags::default()
        };
        let config = ServeConfig::resolve(flags, environment)?;
        server::rotate_admin_token(&config.home, config.unlock, Arc::new(SystemClock))?;
        print(&format!("The administrator's new token is in {}\n", config.home.kubeconfig().display()));
        Ok(())
    }
}
