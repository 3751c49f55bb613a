//! What a SecretSync's status says: conditions, numbers, and the targets that deserve a line. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::origin::{Sync, Unrendered};
use super::report::{Failed, Report, TargetReport};
use crate::model::condition::{condition, cut};

/// Lines of a status; those that are not as they should be come first.
const TARGETS_MAX: usize = 1_000;

/// How a SecretSync stands with one cluster.
#[derive(Debug, Default, Clone)]
pub struct LaneState {
    /// The targets by namespace and name, as they were seen last.
    pub targets: BTreeMap<(String, String), Seen>,
    /// Why the last pass ended early.
    pub failure: Option<Failed>,
    /// What concerned no single target, in the last pass.
    pub problems: Vec<Unrendered>,
    /// Why nothing was deleted, where something was to be.
    pub deletes_held: Option<String>,
    /// A restart failed that may succeed if it is tried again.
    pub is_restart_passing: bool,
    /// A pass over everything has ended well since the last change of the SecretSync.
    pub has_passed: bool,
    /// Deletions of sources that this cluster has been rid of.
    pub settled: BTreeSet<String>,
    /// A pass over everything has ended, well or not, since it was last asked for one.
    pub has_ended: bool,
    /// Passes that failed in a row.
    pub attempts: u32,
    /// When it is tried again, seconds since the epoch.
    pub next_retry_at: Option<i64>,
}

/// A target as it was seen last.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What a pass said of it.
    pub report: TargetReport,
    /// When it was written last, seconds since the epoch.
    pub last_applied_at: Option<i64>,
}

impl LaneState {
    /// Takes in what a pass has found. `is_whole` tells a pass over everything from one over some sources.
    pub fn take_in(&mut self, report: Report, is_whole: bool, now_unix_seconds: i64) {
        let former = if is_whole {
            std::mem::take(&mut self.targets)
        } else {
            let sources: BTreeSet<&str> = report.targets.iter().map(|target| target.source.as_str()).collect();
            let (replaced, kept) = std::mem::take(&mut self.targets)
                .into_iter()
                .partition(|(_, seen)| sources.contains(seen.report.source.as_str()));
            self.targets = kept;
            replaced
        };
        let failed_early = report.failure.is_some();
        let of_problems = report.problems.iter().map(|problem| &problem.source);
        let looked_at: BTreeSet<String> =
            report.targets.iter().map(|target| &target.source).chain(of_problems).cloned().collect();
        for target in report.targets {
            let key = (target.namespace.clone(), target.name.clone());
            let before = former.get(&key).and_then(|seen: &Seen| seen.last_applied_at);
            let last_applied_at = if target.is_changed && target.is_ready { Some(now_unix_seconds) } else { before };
            // Of two sources for one object the one that was refused is shown.
            self.targets.insert(key, Seen { report: target, last_applied_at });
        }
        if failed_early {
            // What was not come to is as it was.
            for (key, seen) in former {
                self.targets.entry(key).or_insert(seen);
            }
        }
        self.failure = report.failure;
        self.is_restart_passing = report.is_restart_passing || (self.is_restart_passing && !is_whole);
        if is_whole {
            self.problems = report.problems;
            self.deletes_held = report.deletes_held;
        } else {
            // What is told of a source now is all that is to be told of it.
            self.problems.retain(|problem| !looked_at.contains(&problem.source));
            self.problems.extend(report.problems);
        }
        self.settled.extend(report.settled_deletions);
        self.has_passed |= is_whole && !failed_early;
        self.has_ended |= is_whole;
    }

    /// Whether something is left to try again.
    pub fn is_unsettled(&self) -> bool {
        self.failure.as_ref().is_some_and(|failed| failed.is_passing)
            || self.targets.values().any(|seen| seen.report.is_passing && !seen.report.is_ready)
            || self.is_restart_passing
            || self.problems.iter().any(|problem| problem.reason == "SourceUnreadable")
    }
}

/// The status of a SecretSync. `former` is the one that is stored: a condition keeps the time of its last change.
pub fn status(
    sync: &Sync,
    lanes: &BTreeMap<String, LaneState>,
    unresolved: &[Unrendered],
    requested: &str,
    former: &Value,
    now: &str,
    time: &dyn Fn(i64) -> String,
) -> Value {
    let is_handled = lanes.values().all(|lane| lane.has_ended);
    let seen: Vec<&Seen> = lanes.values().flat_map(|lane| lane.targets.values()).collect();
    let ready = seen.iter().filter(|seen| seen.report.is_ready).count();
    let problems: Vec<&Unrendered> = unresolved.iter().chain(lanes.values().flat_map(|lane| &lane.problems)).collect();
    let failures: Vec<(&String, &Failed)> =
        lanes.iter().filter_map(|(name, lane)| Some((name, lane.failure.as_ref()?))).collect();
    let has_passed = !lanes.is_empty() && lanes.values().all(|lane| lane.has_passed);
    let drifted = seen.iter().filter(|seen| seen.report.is_drifted && !seen.report.is_ready).count();

    let (mut reason, mut message) = ("InSync".to_owned(), String::new());
    if sync.spec.suspend {
        (reason, message) = ("Suspended".to_owned(), "spec.suspend is set".to_owned());
    } else if let Some((cluster, failed)) = failures.first() {
        (reason, message) = (failed.reason.clone(), format!("cluster {cluster:?}: {}", failed.message));
    } else if let Some(problem) = problems.first() {
        (reason, message) = (problem.reason.clone(), told(problem));
    } else if let Some(seen) = seen.iter().find(|seen| !seen.report.is_ready) {
        let report = &seen.report;
        reason.clone_from(&report.reason);
        message = format!("{}/{}/{}: {}", report.cluster, report.namespace, report.name, report.message);
    } else if let Some(held) = lanes.values().find_map(|lane| lane.deletes_held.as_ref()) {
        (reason, message) = ("DeleteLimit".to_owned(), held.clone());
    } else if !has_passed {
        (reason, message) = ("Progressing".to_owned(), "the first pass is under way".to_owned());
    } else if seen.is_empty() {
        (reason, message) = ("NoTargets".to_owned(), "no source or no namespace is selected".to_owned());
    }
    let is_ready = reason == "InSync";
    let is_stalled = !is_ready && reason != "Progressing" && !lanes.values().any(LaneState::is_unsettled);
    let is_synced = has_passed && ready == seen.len() && failures.is_empty();
    let of = |kind: &str, is_true: bool, reason: &str, message: &str| {
        condition(former, kind, is_true, reason, message, sync.generation, now)
    };
    let drift_message =
        if drifted > 0 { format!("{drifted} targets differ from what was written") } else { String::new() };
    let conditions = vec![
        of("Ready", is_ready, &reason, &message),
        of("Synced", is_synced, if is_synced { "Written" } else { &reason }, ""),
        of("Drifted", drifted > 0, if drifted > 0 { "Drift" } else { "NoDrift" }, &drift_message),
        of(
            "Stalled",
            is_stalled,
            if is_stalled { &reason } else { "NotStalled" },
            if is_stalled { &message } else { "" },
        ),
    ];
    json!({
        "observedGeneration": sync.generation,
        "conditions": conditions,
        "source": sync.spec.source.shown(),
        "targetsTotal": seen.len() + unreached(&problems),
        "targetsReady": ready,
        "lastSyncTime": if has_passed { Value::from(now) } else { former.get("lastSyncTime").cloned().unwrap_or_default() },
        "lastHandledRequest": if is_handled { requested.into() } else { former.get("lastHandledRequest").cloned().unwrap_or_default() },
        "targets": lines(lanes, time),
    })
}

/// Problems that stand for a target each.
fn unreached(problems: &[&Unrendered]) -> usize {
    problems.iter().filter(|problem| problem.target.is_some() && !problem.namespace.is_empty()).count()
}

/// The targets, worst first; not all of very many.
fn lines(lanes: &BTreeMap<String, LaneState>, time: &dyn Fn(i64) -> String) -> Vec<Value> {
    let mut seen: Vec<(&LaneState, &Seen)> =
        lanes.values().flat_map(|lane| lane.targets.values().map(move |seen| (lane, seen))).collect();
    seen.sort_by_key(|(_, seen)| seen.report.is_ready);
    seen.truncate(TARGETS_MAX);
    seen.iter().map(|(lane, seen)| line(lane, seen, time)).collect()
}

fn line(lane: &LaneState, seen: &Seen, time: &dyn Fn(i64) -> String) -> Value {
    let report = &seen.report;
    let mut line = Map::new();
    for (name, text) in [
        ("cluster", &report.cluster),
        ("namespace", &report.namespace),
        ("name", &report.name),
        ("source", &report.source),
        ("sourceRevision", &report.source_revision),
    ] {
        line.insert(name.to_owned(), Value::from(text.as_str()));
    }
    line.insert("state".to_owned(), Value::from(report.state.as_str()));
    line.insert("reason".to_owned(), Value::from(report.reason.as_str()));
    if !report.message.is_empty() {
        line.insert("message".to_owned(), Value::from(cut(&report.message)));
    }
    if !report.is_ready && lane.attempts > 0 {
        line.insert("attempts".to_owned(), Value::from(lane.attempts));
        if let Some(at) = lane.next_retry_at {
            line.insert("nextRetryAt".to_owned(), Value::from(time(at)));
        }
    }
    if let Some(at) = seen.last_applied_at {
        line.insert("lastAppliedAt".to_owned(), Value::from(time(at)));
    }
    Value::Object(line)
}

fn told(problem: &Unrendered) -> String {
    let source = if problem.source.is_empty() { String::new() } else { format!("Secret {:?}: ", problem.source) };
    format!("{source}{}", problem.message)
}

/// Whether two statuses say the same, but for when.
pub fn says_the_same(a: &Value, b: &Value) -> bool {
    let timeless = |status: &Value| {
        let mut status = status.clone();
        if let Some(fields) = status.as_object_mut() {
            fields.shift_remove("lastSyncTime");
        }
        status
    };
    timeless(a) == timeless(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(source: &str) -> TargetReport {
        TargetReport { source: source.to_owned(), is_ready: true, ..TargetReport::of("east", "app", source) }
    }

    fn failed_restart(source: &str, is_passing: bool) -> Report {
        let problem = Unrendered {
            target: Some(0),
            namespace: "app".to_owned(),
            source: source.to_owned(),
            reason: "RestartFailed".to_owned(),
            message: String::new(),
        };
        Report {
            targets: vec![target(source)],
            problems: vec![problem],
            is_restart_passing: is_passing,
            ..Report::default()
        }
    }

    #[test]
    fn a_restart_that_may_succeed_is_tried_again_until_it_has() {
        for is_whole in [true, false] {
            let mut lane = LaneState::default();
            lane.take_in(failed_restart("db", true), is_whole, 0);
            assert!(lane.is_unsettled());
            // Something else in between.
            lane.take_in(Report { targets: vec![target("mail")], ..Report::default() }, false, 1);
            assert!(lane.is_unsettled() && lane.problems.len() == 1);
            lane.take_in(Report { targets: vec![target("db"), target("mail")], ..Report::default() }, true, 2);
            assert!(!lane.is_unsettled() && lane.problems.is_empty());
        }
        let mut lane = LaneState::default();
        lane.take_in(failed_restart("db", false), true, 0);
        assert!(!lane.is_unsettled(), "what is refused for good waits for a change");
        // Which is one of the source too.
        lane.take_in(Report { targets: vec![target("db")], ..Report::default() }, false, 1);
        assert!(lane.problems.is_empty());
    }
}
