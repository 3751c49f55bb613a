//! Options that several commands share: which home, and how to unlock it.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Environment, ServeConfig, ServeFlags};

use super::CliError;

/// Which home.
#[derive(Args)]
pub struct HomeOption {
    /// Directory that holds everything [env: STRONGROOM_HOME] [default: the XDG data directory]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

/// How to unlock it. None of them takes a secret on the command line.
#[derive(Args)]
#[group(multiple = true)]
pub struct UnlockOptions {
    /// Unlock with this key file; a first start makes it [env: STRONGROOM_KEY_FILE]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_file", "passphrase_prompt"])]
    pub key_file: Option<PathBuf>,
    /// Unlock with the passphrase in this file [env: STRONGROOM_PASSPHRASE_FILE]
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_prompt")]
    pub passphrase_file: Option<PathBuf>,
    /// Unlock with a passphrase, asked for on the terminal
    #[arg(long)]
    pub passphrase_prompt: bool,
    /// Accept STRONGROOM_PASSPHRASE, which other processes may read [env: STRONGROOM_ALLOW_ENV_PASSPHRASE]
    #[arg(long)]
    pub allow_env_passphrase: bool,
}

impl UnlockOptions {
    /// The home that a command works on, with everything else as it is by default.
    pub fn resolve(self, home: HomeOption, environment: &Environment) -> Result<ServeConfig, CliError> {
        let flags = ServeFlags {
            home: home.home,
            key_file: self.key_file,
            passphrase_file: self.passphrase_file,
            passphrase_prompt: self.passphrase_prompt,
            allow_env_passphrase: self.allow_env_passphrase,
            ..ServeFlags::default()
        };
        Ok(ServeConfig::resolve(flags, environment)?)
    }
}
