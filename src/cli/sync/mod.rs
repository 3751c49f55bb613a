//! `strongroom sync`: keep Secrets in clusters from here, see what would be changed, see how it stands.

mod plan;
mod run;
mod status;

use clap::Subcommand;

use super::CliError;
use super::connection::Connection;
use crate::config::Environment;
use crate::sync::report::TargetReport;
use crate::sync::{OriginError, SyncName, Unrendered};

/// Subcommands of `sync`.
#[derive(clap::Args)]
pub struct Sync {
    #[command(subcommand)]
    command: SyncCommand,
}

#[derive(Subcommand)]
enum SyncCommand {
    /// Write into clusters what SecretSyncs want, now
    Run(run::Run),
    /// Show what would be changed in clusters, key by key, and never a value
    Plan(plan::Plan),
    /// Show how SecretSyncs stand with each target
    Status(status::Status),
}

impl Sync {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            SyncCommand::Run(command) => command.run(environment),
            SyncCommand::Plan(command) => command.run(environment),
            SyncCommand::Status(command) => command.run(environment),
        }
    }
}

/// Which SecretSyncs.
#[derive(clap::Args)]
pub struct Which {
    /// Names of the SecretSyncs [default: all of the namespace]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Their namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "names")]
    all_namespaces: bool,
}

impl Which {
    /// The SecretSyncs that are meant.
    async fn find(&self, job: &crate::sync::job::Job<'_>, namespace: &str) -> Result<Vec<SyncName>, OriginError> {
        if self.names.is_empty() {
            return job.names(Some(namespace).filter(|_| !self.all_namespaces)).await;
        }
        let names = self.names.iter().map(|name| SyncName { namespace: namespace.to_owned(), name: name.clone() });
        Ok(names.collect())
    }

    fn namespace<'a>(&'a self, connection: &'a Connection) -> &'a str {
        connection.namespace(self.namespace.as_deref())
    }
}

fn not_done(error: &OriginError) -> CliError {
    CliError::NotDone(error.to_string())
}

/// `east/team-a/db`
fn place(target: &TargetReport) -> String {
    format!("{}/{}/{}", target.cluster, target.namespace, target.name)
}

/// `Secret "db": why`
fn problem(problem: &Unrendered) -> String {
    let namespace = if problem.namespace.is_empty() { String::new() } else { format!("{}: ", problem.namespace) };
    let source = if problem.source.is_empty() { String::new() } else { format!("Secret {:?}: ", problem.source) };
    format!("{namespace}{source}{} ({})", problem.message, problem.reason)
}
