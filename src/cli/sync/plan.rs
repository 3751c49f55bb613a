//! `strongroom sync plan`: what a pass would change, by trying each apply as a dry run.

use std::fmt::Write as _;

use clap::Args;

use super::{Which, not_done, place, problem};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::print;
use crate::config::Environment;
use crate::sync::job::Job;
use crate::sync::pass::Scope;
use crate::sync::report::Report;

/// Options of `sync plan`.
#[derive(Args)]
pub struct Plan {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Plan {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let namespace = self.which.namespace(&connection).to_owned();
        let planned = connection.wait_for(async |room| {
            let job = Job::new(room)?;
            let (mut text, mut changes, mut has_failed) = (String::new(), 0, false);
            for id in self.which.find(&job, &namespace).await? {
                let (sync, object) = job.sync(&id).await?;
                let scope = Scope { dry_run: true, ..Scope::default() };
                for (cluster, places) in job.clusters(&sync).await? {
                    let report = job.pass(&sync, &object, &cluster, &places, &scope).await;
                    let _ = writeln!(text, "SecretSync {}/{}, cluster {cluster}", id.namespace, id.name);
                    changes += describe(&report, &mut text);
                    let changed: Vec<_> = report.targets.iter().filter(|target| target.is_changed).cloned().collect();
                    let missing =
                        if changed.is_empty() { Ok(Vec::new()) } else { job.missing_rights(&cluster, &changed).await };
                    let told: Vec<String> = match missing {
                        Ok(missing) => {
                            missing.iter().map(|right| format!("the cluster does not let it {right}")).collect()
                        }
                        Err(error) => {
                            vec![format!("which rights are missing cannot be found out: {}", not_done(&error))]
                        }
                    };
                    for line in &told {
                        let _ = writeln!(text, "  {line}");
                    }
                    has_failed |= !told.is_empty();
                    has_failed |= report.failure.is_some()
                        || !report.problems.is_empty()
                        || report.targets.iter().any(|target| !target.is_ready && !target.is_changed);
                }
            }
            Ok((text, changes, has_failed))
        });
        let (text, changes, has_failed) = planned.map_err(|error| not_done(&error))?;
        print(&text);
        if has_failed {
            return Err(CliError::NotDone("not all of it can be done: see above".to_owned()));
        }
        if changes > 0 {
            print(&format!("{changes} changes pending\n"));
            return Err(CliError::Pending);
        }
        print("no changes\n");
        Ok(())
    }
}

/// Writes what a pass would do; the number of objects that it would change.
fn describe(report: &Report, text: &mut String) -> usize {
    let mut changes = 0;
    for target in &report.targets {
        if target.is_changed {
            changes += 1;
        }
        let what = match (target.is_changed, target.is_ready) {
            (true, _) => target.state.as_str(),
            (false, true) => "InSync",
            (false, false) => &target.reason,
        };
        let _ = write!(text, "  {} {what}", place(target));
        let _ = if target.message.is_empty() { writeln!(text) } else { writeln!(text, ": {}", target.message) };
        if target.is_changed {
            for key in &target.keys {
                let _ = writeln!(text, "    {key}");
            }
        }
    }
    for (namespace, name) in &report.deleted {
        changes += 1;
        let _ = writeln!(text, "  {namespace}/{name} would be deleted");
    }
    for found in &report.problems {
        let _ = writeln!(text, "  {}", problem(found));
    }
    if let Some(held) = &report.deletes_held {
        let _ = writeln!(text, "  {held}");
    }
    if let Some(failed) = &report.failure {
        let _ = writeln!(text, "  {} ({})", failed.message, failed.reason);
    }
    changes
}
