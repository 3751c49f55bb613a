//! What of a pass is worth an Event: what was changed, and what has begun or ceased to be wrong. Pure.
//!
//! What is wrong and stays so is told once: the status says it for as long as it lasts. Messages name objects, never a
//! value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::origin::Unrendered;
use super::report::{Report, TargetReport};
use super::status::LaneState;
use crate::objects::Occurrence;

/// Objects that a message names; of more it tells the number.
const NAMED_MAX: usize = 5;

/// What became of a pass over a cluster, of which `before` was known.
pub fn of_pass(cluster: &str, before: &LaneState, report: &Report) -> Vec<Occurrence> {
    let mut events = Vec::new();
    let written = report.targets.iter().filter(|target| target.is_changed && target.is_ready);
    let (corrected, applied): (Vec<&TargetReport>, Vec<_>) = written.partition(|target| target.is_drifted);
    if !applied.is_empty() {
        events.push(Occurrence::normal("Applied", format!("wrote {} in cluster {cluster:?}", named(&applied))));
    }
    if !corrected.is_empty() {
        let message = format!("put right what somebody else changed: {} in cluster {cluster:?}", named(&corrected));
        events.push(Occurrence::normal("DriftCorrected", message));
    }
    if !report.deleted.is_empty() {
        let names = report.deleted.iter().map(|(namespace, name)| format!("{namespace}/{name}"));
        events.push(Occurrence::normal("Deleted", format!("deleted {} in cluster {cluster:?}", listed(names))));
    }
    if !report.restarted.is_empty() {
        let names = report.restarted.iter().cloned();
        events.push(Occurrence::normal("Restarted", format!("restarted {} in cluster {cluster:?}", listed(names))));
    }
    for (reason, targets) in refused(before, report) {
        let more = if targets.len() > 1 { format!(" (and {} more targets)", targets.len() - 1) } else { String::new() };
        let Some(first) = targets.first() else { continue };
        let message = format!("{}/{} in cluster {cluster:?}: {}{more}", first.namespace, first.name, first.message);
        events.push(Occurrence::warning(reason, message));
    }
    let (was, is) = (before.failure.as_ref(), report.failure.as_ref());
    match is {
        Some(failed) if was.is_none_or(|was| was.reason != failed.reason) => {
            events.push(Occurrence::warning(&failed.reason, format!("cluster {cluster:?}: {}", failed.message)));
        }
        None if was.is_some() => {
            events.push(Occurrence::normal("Recovered", format!("cluster {cluster:?} can be written to again")));
        }
        _ => {}
    }
    for problem in report.problems.iter().filter(|problem| !before.problems.iter().any(|was| is_same(was, problem))) {
        events.push(of_problem(problem));
    }
    if let Some(held) = report.deletes_held.as_ref().filter(|_| before.deletes_held.is_none()) {
        events.push(Occurrence::warning("DeleteLimit", format!("cluster {cluster:?}: {held}")));
    }
    events
}

/// What concerns no cluster.
pub fn of_unresolved(before: &[Unrendered], now: &[Unrendered]) -> Vec<Occurrence> {
    now.iter().filter(|problem| !before.iter().any(|was| is_same(was, problem))).map(of_problem).collect()
}

/// That everything is as it is to be, which it was not before.
pub fn of_status(former: &Value, status: &Value) -> Option<Occurrence> {
    let is_ready = |status: &Value| {
        let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        conditions.into_iter().any(|condition| {
            condition.get("type").is_some_and(|kind| kind == "Ready")
                && condition.get("status").is_some_and(|status| status == "True")
        })
    };
    let count = |field: &str| status.get(field).and_then(Value::as_u64).unwrap_or_default();
    (is_ready(status) && !is_ready(former)).then(|| {
        let message = format!("{}/{} targets are in sync", count("targetsReady"), count("targetsTotal"));
        Occurrence::normal("InSync", message)
    })
}

fn of_problem(problem: &Unrendered) -> Occurrence {
    let source = if problem.source.is_empty() { String::new() } else { format!("Secret {:?}: ", problem.source) };
    Occurrence::warning(&problem.reason, format!("{source}{}", problem.message))
}

fn is_same(a: &Unrendered, b: &Unrendered) -> bool {
    (a.target, &a.namespace, &a.source, &a.reason) == (b.target, &b.namespace, &b.source, &b.reason)
}

/// The targets that are not as they are to be, and were not so for this reason before.
fn refused<'r>(before: &LaneState, report: &'r Report) -> BTreeMap<&'r str, Vec<&'r TargetReport>> {
    let mut refused: BTreeMap<&str, Vec<&TargetReport>> = BTreeMap::new();
    for target in report.targets.iter().filter(|target| !target.is_ready) {
        let was = before.targets.get(&(target.namespace.clone(), target.name.clone()));
        if !was.is_some_and(|was| !was.report.is_ready && was.report.reason == target.reason) {
            refused.entry(&target.reason).or_default().push(target);
        }
    }
    refused
}

fn named(targets: &[&TargetReport]) -> String {
    listed(targets.iter().map(|target| format!("{}/{}", target.namespace, target.name)))
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut text = names.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sync::report::Failed;
    use crate::sync::status::Seen;

    fn target(name: &str, reason: &str) -> TargetReport {
        let mut target = TargetReport::of("east", "app", name);
        reason.clone_into(&mut target.reason);
        target.is_ready = reason == "InSync";
        target
    }

    fn told(before: &LaneState, report: &Report) -> Vec<String> {
        let events = of_pass("east", before, report).into_iter();
        let kind = |is_warning| if is_warning { "Warning" } else { "Normal" };
        events.map(|event| format!("{} {}: {}", kind(event.is_warning), event.reason, event.message)).collect()
    }

    #[test]
    fn what_was_written_put_right_or_deleted_is_told() {
        let mut targets: Vec<TargetReport> = (0..7).map(|n| target(&format!("t{n}"), "InSync")).collect();
        for target in &mut targets {
            target.is_changed = true;
        }
        targets.push(target("same", "InSync"));
        targets.push(TargetReport { is_changed: true, is_drifted: true, ..target("edited", "InSync") });
        let report = Report { targets, deleted: vec![("app".into(), "old".into())], ..Report::default() };
        assert_eq!(
            told(&LaneState::default(), &report),
            [
                "Normal Applied: wrote app/t0, app/t1, app/t2, app/t3, app/t4 and 2 more in cluster \"east\"",
                "Normal DriftCorrected: put right what somebody else changed: app/edited in cluster \"east\"",
                "Normal Deleted: deleted app/old in cluster \"east\"",
            ]
        );
        assert_eq!(
            told(&LaneState::default(), &Report { targets: vec![target("a", "InSync")], ..Report::default() }),
            [""; 0]
        );
    }

    #[test]
    fn what_is_wrong_is_told_once_and_again_when_it_is_wrong_in_another_way() {
        let conflict = TargetReport { message: "somebody else owns it".into(), ..target("a", "Conflict") };
        let report = Report { targets: vec![conflict.clone(), target("b", "Conflict")], ..Report::default() };
        let text = "Warning Conflict: app/a in cluster \"east\": somebody else owns it (and 1 more targets)";
        assert_eq!(told(&LaneState::default(), &report), [text]);

        let mut before = LaneState::default();
        before.take_in(Report { targets: report.targets.clone(), ..Report::default() }, true, 0);
        assert_eq!(told(&before, &report), [""; 0]);
        before
            .targets
            .insert(("app".into(), "a".into()), Seen { report: target("a", "Forbidden"), last_applied_at: None });
        assert_eq!(told(&before, &report), ["Warning Conflict: app/a in cluster \"east\": somebody else owns it"]);
    }

    #[test]
    fn a_cluster_that_cannot_be_reached_is_told_and_that_it_can_again() {
        let failed = |reason: &str| {
            let failure = Failed { reason: reason.into(), message: "no".into(), is_passing: true, retry_after: None };
            Report { failure: Some(failure), ..Report::default() }
        };
        let mut lane = LaneState::default();
        assert_eq!(told(&lane, &failed("Unreachable")), ["Warning Unreachable: cluster \"east\": no"]);
        lane.take_in(failed("Unreachable"), true, 0);
        assert_eq!(told(&lane, &failed("Unreachable")), [""; 0]);
        assert_eq!(told(&lane, &failed("Unauthorized")), ["Warning Unauthorized: cluster \"east\": no"]);
        assert_eq!(told(&lane, &Report::default()), ["Normal Recovered: cluster \"east\" can be written to again"]);
    }

    #[test]
    fn problems_and_held_deletions_are_told_when_they_begin() {
        let problem = |source: &str| Unrendered {
            target: Some(0),
            namespace: String::new(),
            source: source.into(),
            reason: "SourceForbidden".into(),
            message: "may not be read".into(),
        };
        let report = || Report {
            problems: vec![problem("a"), problem("b")],
            deletes_held: Some("12 of 20".into()),
            ..Report::default()
        };
        let mut lane = LaneState::default();
        assert_eq!(
            told(&lane, &report()),
            [
                "Warning SourceForbidden: Secret \"a\": may not be read",
                "Warning SourceForbidden: Secret \"b\": may not be read",
                "Warning DeleteLimit: cluster \"east\": 12 of 20",
            ]
        );
        lane.take_in(report(), true, 0);
        assert_eq!(told(&lane, &report()), [""; 0]);
        assert_eq!(of_unresolved(&[problem("a")], &[problem("a"), problem("c")]).len(), 1);
    }

    #[test]
    fn that_all_is_well_is_told_when_it_comes_to_be() {
        let status = |ready: &str| json!({"conditions": [{"type": "Ready", "status": ready}], "targetsReady": 2, "targetsTotal": 2});
        let event = of_status(&status("False"), &status("True")).unwrap();
        assert_eq!((event.reason.as_str(), event.message.as_str()), ("InSync", "2/2 targets are in sync"));
        assert_eq!(of_status(&Value::Null, &status("True")), Some(event));
        assert_eq!(of_status(&status("True"), &status("True")), None);
        assert_eq!(of_status(&status("True"), &status("False")), None);
    }
}
