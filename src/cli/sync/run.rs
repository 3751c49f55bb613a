//! `strongroom sync run`: asks the server for a pass, or makes one in this process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::{Which, not_done, place, problem};
use crate::cli::CliError;
use crate::cli::connection::{Connection, ConnectionOptions};
use crate::cli::duration::Length;
use crate::cli::output::print;
use crate::cli::progress::Progress;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::{Client, Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, SECRET_SYNC};
use crate::sensitive::SecretBytes;
use crate::sync::controller::REQUESTED;
use crate::sync::job::Job;
use crate::sync::pass::Scope;
use crate::sync::report::Report;
use crate::sync::{OriginError, Sync, SyncName};

/// Between two looks at a status, and the first wait before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const GONE: &str = "is deleted, and what it wrote is taken back as it says";
const KEPT: &str = "is held yet: what is left of it cannot be listed in every cluster";

/// Options of `sync run`.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    which: Which,
    /// Write into the clusters from this process, instead of asking the server to
    #[arg(long)]
    once: bool,
    /// Until everything is as it is to be; what fails in passing is tried again
    #[arg(long)]
    wait: bool,
    /// How long to wait: 90s, 5m
    #[arg(long, value_name = "LENGTH", value_parser = Length::parse, default_value = "5m", requires = "wait")]
    timeout: Length,
    /// With --once: take over fields that others manage
    #[arg(long, requires = "once")]
    force: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Run {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let namespace = self.which.namespace(&connection).to_owned();
        let until = Instant::now() + Duration::from_secs(self.timeout.seconds().unsigned_abs());
        let all_done = if self.once {
            self.run_here(&connection, &namespace, until)?
        } else {
            self.ask(&connection, &namespace, until)?
        };
        if all_done { Ok(()) } else { Err(CliError::Partial) }
    }

    /// Makes passes in this process. Whether everything is as it is to be.
    fn run_here(&self, connection: &Connection, namespace: &str, until: Instant) -> Result<bool, CliError> {
        let scope = Scope { force: self.force, ..Scope::default() };
        let ran = connection.wait_for(async |room| {
            let job = Job::new(room)?;
            let mut all_done = true;
            for id in self.which.find(&job, namespace).await? {
                let (sync, object) = job.sync(&id).await?;
                if sync.spec.suspend && !sync.is_deleting {
                    print(&format!("SecretSync {}/{} is suspended\n", id.namespace, id.name));
                    continue;
                }
                let clusters = job.clusters(&sync).await?;
                let mut pause = PAUSE;
                let reports = loop {
                    let reports = passes(&job, &sync, &object, &clusters, &scope).await;
                    let is_passing = reports.iter().any(|(_, report)| may_pass(report));
                    if !self.wait || !is_passing || Instant::now() + pause > until {
                        break reports;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                };
                for (cluster, report) in &reports {
                    print(&told(&id, cluster, report));
                }
                let is_done = reports.iter().all(|(_, report)| is_done(report));
                all_done &= is_done;
                if sync.is_deleting && is_done {
                    let is_gone = job.release(&sync, &reports).await?;
                    all_done &= is_gone;
                    print(&format!("SecretSync {}/{} {}\n", id.namespace, id.name, if is_gone { GONE } else { KEPT }));
                }
            }
            Ok::<_, OriginError>(all_done)
        });
        ran.map_err(|error| not_done(&error))
    }

    /// Asks the server for passes. Whether everything is as it is to be, if that is waited for.
    fn ask(&self, connection: &Connection, namespace: &str, until: Instant) -> Result<bool, CliError> {
        let asked = connection.wait_for(async |room| {
            let job = Job::new(room)?;
            self.which.find(&job, namespace).await
        });
        let mut all_done = true;
        for id in asked.map_err(|error| not_done(&error))? {
            let at = format!("{}-{}", SystemClock.unix_millis(), std::process::id());
            let patch = json!({"metadata": {"annotations": {REQUESTED: at}}});
            let path = format!(
                "/apis/{OWN_API_VERSION}/namespaces/{}/{}/{}",
                encode_segment(&id.namespace),
                SECRET_SYNC.plural,
                encode_segment(&id.name)
            );
            let body = SecretBytes::new(patch.to_string().into_bytes());
            connection.object(Request::merge_patch(path.as_str(), body))?;
            if !self.wait {
                print(&format!("a pass of SecretSync {}/{} is asked for\n", id.namespace, id.name));
                continue;
            }
            all_done &= wait_for_status(connection, &id, &path, &at, until)?;
        }
        Ok(all_done)
    }
}

#[expect(clippy::disallowed_methods, reason = "a SecretSync holds no secret values")]
fn wait_for_status(
    connection: &Connection,
    id: &SyncName,
    path: &str,
    at: &str,
    until: Instant,
) -> Result<bool, CliError> {
    let name = format!("{}/{}", id.namespace, id.name);
    let progress = Progress::waiting(format!("waiting for SecretSync {name}"));
    loop {
        let object = connection.object(Request::get(path))?;
        let status = object.expose().get("status").cloned().unwrap_or_default();
        let condition = |kind: &str| -> (bool, String) {
            let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
            let found =
                conditions.into_iter().find(|condition| condition.get("type").is_some_and(|found| found == kind));
            let text = |field: &str| found.and_then(|found| found.get(field)?.as_str()).unwrap_or_default();
            (text("status") == "True", format!("{} {}", text("reason"), text("message")))
        };
        if status.get("lastHandledRequest").is_some_and(|handled| handled == at) {
            let ((is_ready, _), (is_stalled, why)) = (condition("Ready"), condition("Stalled"));
            if is_ready {
                print(&format!("SecretSync {name} is in sync\n"));
                return Ok(true);
            }
            if is_stalled {
                print(&format!("SecretSync {name} is not in sync: {why}\n"));
                return Ok(false);
            }
        }
        if Instant::now() + PAUSE > until {
            print(&format!("SecretSync {name} is not in sync in time: {}\n", condition("Ready").1));
            return Ok(false);
        }
        let targets = |field: &str| status.get(field).and_then(Value::as_u64).unwrap_or_default();
        let (ready, total) = (targets("targetsReady"), targets("targetsTotal"));
        progress.say(format!("waiting for SecretSync {name}, {ready} of {total} targets in sync"));
        connection.wait_for(async |_: &Client| tokio::time::sleep(PAUSE).await);
    }
}

async fn passes(
    job: &Job<'_>,
    sync: &Sync,
    object: &Value,
    clusters: &BTreeMap<String, Vec<usize>>,
    scope: &Scope,
) -> Vec<(String, Report)> {
    let passes = clusters.iter().map(async |(name, places)| {
        let report = job.pass(sync, object, name, places, scope).await;
        (name.clone(), report)
    });
    futures_util::future::join_all(passes).await
}

/// Whether trying again may help.
fn may_pass(report: &Report) -> bool {
    report.is_restart_passing
        || report.failure.as_ref().is_some_and(|failed| failed.is_passing)
        || report.targets.iter().any(|target| !target.is_ready && target.is_passing)
}

fn is_done(report: &Report) -> bool {
    report.failure.is_none()
        && report.problems.is_empty()
        && report.deletes_held.is_none()
        && report.targets.iter().all(|target| target.is_ready)
}

fn told(id: &SyncName, cluster: &str, report: &Report) -> String {
    let mut lines = Vec::new();
    for target in report.targets.iter().filter(|target| !target.is_ready) {
        lines.push(format!("  {} {}: {}", place(target), target.reason, target.message));
    }
    lines.extend(report.restarted.iter().map(|workload| format!("  restarted {workload}")));
    lines.extend(report.problems.iter().map(|found| format!("  {}", problem(found))));
    lines.extend(report.deletes_held.iter().map(|held| format!("  {held}")));
    lines.extend(report.failure.iter().map(|failed| format!("  {} ({})", failed.message, failed.reason)));
    let ready = report.targets.iter().filter(|target| target.is_ready).count();
    let written = report.targets.iter().filter(|target| target.is_changed && target.is_ready).count();
    let mut text = format!(
        "SecretSync {}/{}, cluster {cluster}: {ready} of {} in sync, {written} written, {} deleted\n",
        id.namespace,
        id.name,
        report.targets.len(),
        report.deleted.len()
    );
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
