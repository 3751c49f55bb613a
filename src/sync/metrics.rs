//! Counters of sync. Labels are bounded: no name of an object or a cluster is one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::report::Report;

/// See the module.
#[derive(Debug, Default)]
pub struct Metrics {
    passes: AtomicU64,
    failed_passes: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    drifts: AtomicU64,
    conflicts: AtomicU64,
}

impl Metrics {
    /// Counts a pass.
    pub(super) fn passed(&self, report: &Report) {
        let add = |counter: &AtomicU64, count: usize| {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        };
        add(&self.passes, 1);
        add(&self.failed_passes, usize::from(report.failure.is_some()));
        add(&self.writes, report.writes);
        add(&self.deletes, report.deleted.len());
        add(&self.drifts, report.targets.iter().filter(|target| target.is_drifted).count());
        let conflicts = report.targets.iter().filter(|target| target.state == super::State::Conflict);
        add(&self.conflicts, conflicts.count());
    }

    /// Writes them in Prometheus' text format. Writing to a String does not fail.
    pub fn write(&self, text: &mut String) {
        for (name, help, counter) in [
            ("passes", "Passes of a SecretSync over a cluster.", &self.passes),
            ("passes_failed", "Passes that ended early.", &self.failed_passes),
            ("writes", "Changes sent to clusters.", &self.writes),
            ("deletes", "Objects deleted in clusters.", &self.deletes),
            ("drifts", "Objects found changed by somebody else.", &self.drifts),
            ("conflicts", "Objects found to be somebody else's.", &self.conflicts),
        ] {
            let count = counter.load(Ordering::Relaxed);
            let name = format!("strongroom_sync_{name}_total");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}");
        }
    }
}
