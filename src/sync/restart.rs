//! Restarts the workloads that a target names, after its values have changed.
//!
//! That a restart is due stands on the target itself, from the apply that changes values until the workloads are
//! restarted ([`RESTART_DUE_ANNOTATION`]). Whoever is ended in between, or is refused, leaves it to the next pass.

use std::collections::BTreeMap;

use super::RESTART_DUE_ANNOTATION;
use super::origin::{Sync, Unrendered};
use super::remote::Remote;
use super::report::{Report, TargetReport};

/// Restarts what is due, each workload once, and takes the annotation away. `at` is RFC 3339. Returns how many writes
/// were sent.
pub async fn restart_due(sync: &Sync, remote: &Remote, report: &mut Report, at: &str) -> usize {
    let mut writes = 0;
    let mut tried: BTreeMap<(String, &'static str, String), bool> = BTreeMap::new();
    for target in report.targets.iter_mut().filter(|target| target.is_restart_due && target.is_ready) {
        let workloads = sync.spec.targets.get(target.place).map_or(&[][..], |target| &target.rollout_restart);
        let mut all_done = true;
        for workload in workloads {
            let key = (target.namespace.clone(), workload.resource(), workload.name.clone());
            if let Some(is_done) = tried.get(&key) {
                all_done &= is_done;
                continue;
            }
            writes += 1;
            let restarted = remote.restart(&target.namespace, workload.resource(), &workload.name, at).await;
            all_done &= restarted.is_ok();
            match &restarted {
                Ok(()) => report.restarted.push(place(target, workload.resource(), &workload.name)),
                Err(error) => {
                    report.is_restart_passing |= error.is_passing();
                    report.problems.push(Unrendered {
                        target: Some(target.place),
                        namespace: target.namespace.clone(),
                        source: target.source.clone(),
                        reason: "RestartFailed".to_owned(),
                        message: format!(
                            "{} could not be restarted: {error}",
                            place(target, workload.resource(), &workload.name)
                        ),
                    });
                }
            }
            tried.insert(key, restarted.is_ok());
        }
        if !all_done {
            continue;
        }
        writes += 1;
        match remote.remove_annotation(&target.namespace, &target.name, RESTART_DUE_ANNOTATION).await {
            Ok(revision) => target.resource_version = Some(revision),
            // It is due still, and the next pass restarts once more: better than not at all.
            Err(error) => tracing::debug!(%error, "a restart stays noted as due"),
        }
    }
    writes
}

fn place(target: &TargetReport, resource: &str, name: &str) -> String {
    format!("{resource} {}/{name}", target.namespace)
}
