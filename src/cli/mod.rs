//! The command line: one file per command. Owns standard output and exit codes.
//!
//! Exit codes: 0 done, 1 not done (the reason is on standard error), 2 the command line or a setting is wrong.
//!
//! What it never does: take a secret as an argument, or print one.

mod admin;
mod audit;
mod healthcheck;
mod home_options;
mod serve;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::log::LogFilter;
use crate::config::{ConfigError, Environment};
use crate::server::{self, ServeError};

const NOT_DONE: u8 = 1;
const USAGE: u8 = 2;

/// Kubernetes Secrets without the cluster.
#[derive(Parser)]
#[command(name = "strongroom", version, propagate_version = true)]
struct Cli {
    /// What is logged to standard error: off, error, warn, info, debug, trace, or a filter [env: STRONGROOM_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a home if there is none, and serve the Kubernetes API over it
    Serve(Box<serve::Serve>),
    /// Exit with 0 if the server of this home is ready, with 1 if not
    Healthcheck(healthcheck::Healthcheck),
    /// Look after a home
    Admin(admin::Admin),
    /// Look into the audit log
    Audit(audit::Audit),
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the audit log is not as it was written: {0} findings")]
    AuditFindings(u64),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    // Clap prints help and usage errors itself, and leaves with 0 or 2.
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "strongroom: {error}");
            ExitCode::from(if matches!(error, CliError::Config(_)) { USAGE } else { NOT_DONE })
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let environment = Environment::of_process();
    start_log(&LogFilter::resolve(cli.log, &environment)?)?;
    // Before a setting is read, for one of them may be a passphrase.
    server::harden();
    match cli.command {
        Command::Serve(command) => command.run(&environment),
        Command::Healthcheck(command) => command.run(&environment),
        Command::Admin(command) => command.run(&environment),
        Command::Audit(command) => command.run(&environment),
    }
}

fn start_log(filter: &LogFilter) -> Result<(), CliError> {
    let filter =
        EnvFilter::try_new(filter.as_str()).map_err(|_| ConfigError::new("--log", "is not a level or a filter"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours only where a person looks.
    let _ = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init();
    Ok(())
}

/// Prints to standard output. A reader that has gone away is not an error of ours.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_understood() {
        for line in [
            "strongroom serve",
            "strongroom serve --home /h --listen 127.0.0.1:0 --advertise a:1 --advertise b:2 --log debug",
            "strongroom serve --tls-cert c --tls-key k --swagger-ui --key-file k --cache-size 128",
            "strongroom serve --client-certificates --client-ca a --client-ca b --listen-unix s --listen-unix-mode 0660",
            "strongroom --log warn healthcheck --home /h",
            "strongroom admin rotate --home /h --passphrase-file p",
            "strongroom serve --audit-max-size 1 --audit-max-age 2 --audit-max-files 3 --audit-sync always --audit-reads off",
            "strongroom audit verify --home /h --key-file k",
            "strongroom audit verify --public-key p --directory d",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "strongroom",
            "strongroom serve --passphrase x",
            "strongroom admin",
            "strongroom audit",
            "strongroom audit verify --directory d",
            "strongroom audit verify --public-key p --key-file k",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
