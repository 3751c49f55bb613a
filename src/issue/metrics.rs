//! Counters of what is issued. Labels are bounded: no name of an object is one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(super) certificates: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) refusals: AtomicU64,
}

impl Metrics {
    /// Writes them in Prometheus' text format. Writing to a String does not fail.
    pub fn write(&self, text: &mut String) {
        for (name, help, counter) in [
            ("certificates_issued", "Certificates issued into Secrets.", &self.certificates),
            ("generated_secrets_written", "Times that generated values were written.", &self.rotations),
            ("issue_failures", "Attempts to issue or to generate that failed.", &self.failures),
            ("issue_refusals", "Attempts that ended at a Secret of somebody else.", &self.refusals),
        ] {
            let count = counter.load(Ordering::Relaxed);
            let name = format!("strongroom_{name}_total");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}");
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
