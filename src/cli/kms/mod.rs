//! `strongroom kms`: keys that are lent to clusters.

mod check;
mod config;
mod report;
mod serve;
mod terms;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Environment;

/// Where KMSKeys are.
const KEYS: &str = "/apis/strongroom.dev/v1alpha1/kmskeys";

/// Subcommands of `kms`.
#[derive(Args)]
pub struct Kms {
    #[command(subcommand)]
    command: KmsCommand,
}

#[derive(Subcommand)]
enum KmsCommand {
    /// Serve the KMS plugin of a cluster's API server, with a key of a server somewhere else
    Serve(serve::Serve),
    /// Print what kube-apiserver needs to encrypt with a key: its EncryptionConfiguration and its flags
    Config(config::Config),
    /// Make a new term of a key, which encrypts from then on
    Rotate(terms::Rotate),
    /// Say which terms of a key are in use, and which may be retired
    Report(report::Report),
    /// Destroy a former term of a key that nothing has used for long
    Retire(terms::Retire),
    /// Look into an etcd, and say of each Secret whether it is encrypted, and with which key
    Check(Box<check::Check>),
}

impl Kms {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            KmsCommand::Serve(command) => command.run(),
            KmsCommand::Config(command) => command.run(),
            KmsCommand::Rotate(command) => command.run(environment),
            KmsCommand::Report(command) => command.run(environment),
            KmsCommand::Retire(command) => command.run(environment),
            KmsCommand::Check(command) => command.run(),
        }
    }
}
