//! Prometheus metrics, in the text format. Labels are bounded; an object's name is never one, but for up to a hundred
//! namespaces.
//!
//! Source: Prometheus text exposition format 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;

use super::{Context, respond};
use crate::model::kinds::{KINDS, SECRET_REVISION};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the buckets of durations, in microseconds, with their labels in seconds.
const BUCKETS: [(u64, &str); 8] = [
    (100, "0.0001"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (5_000, "0.005"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
];

/// Counters of the HTTP edge.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    /// Not cumulative; the last one is for what is longer than every bucket.
    durations: [AtomicU64; BUCKETS.len() + 1],
    total_micros: AtomicU64,
}

impl Metrics {
    /// Counts one answered request, and how long it took until its answer began.
    pub fn observe(&self, method: &str, code: u16, took: Duration) {
        let row = METHODS.iter().position(|name| *name == method).unwrap_or(METHODS.len() - 1);
        let column = usize::from((code / 100).clamp(1, 5) - 1);
        if let Some(counter) = self.requests.get(row).and_then(|row| row.get(column)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(bound, _)| micros <= *bound).unwrap_or(BUCKETS.len());
        if let Some(counter) = self.durations.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Writes the counters. Writing to a String does not fail.
    pub fn write(&self, text: &mut String) {
        head(text, "strongroom_requests_total", "counter", "Requests answered, by method and class of status.");
        for (method, row) in METHODS.iter().zip(&self.requests) {
            for (class, counter) in CLASSES.iter().zip(row) {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    let _ = writeln!(text, "strongroom_requests_total{{method=\"{method}\",code=\"{class}\"}} {count}");
                }
            }
        }
        let name = "strongroom_request_duration_seconds";
        head(text, name, "histogram", "Time from a request's head to the beginning of its answer.");
        let mut sum = 0;
        for (counter, label) in self.durations.iter().zip(BUCKETS.iter().map(|(_, label)| *label).chain(["+Inf"])) {
            sum += counter.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{label}\"}} {sum}");
        }
        let micros = self.total_micros.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name}_sum {}.{:06}\n{name}_count {sum}", micros / 1_000_000, micros % 1_000_000);
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(text, name, kind, help);
    let _ = writeln!(text, "{name} {value}");
}

pub(super) fn respond(context: &Context<'_>) -> HttpResponse {
    let state = context.state;
    let mut text = String::new();
    state.metrics.write(&mut text);
    head(&mut text, "strongroom_objects", "gauge", "Stored objects, by resource.");
    for kind in KINDS.iter().filter(|kind| kind.stored && kind.id != SECRET_REVISION.id) {
        let (resource, count) = (kind.plural, state.objects.count(kind));
        let _ = writeln!(text, "strongroom_objects{{resource=\"{resource}\"}} {count}");
    }
    single(&mut text, "strongroom_store_revision", "gauge", "Revision of the store.", state.objects.revision());
    let compacted = state.objects.compacted();
    single(&mut text, "strongroom_store_compacted_revision", "gauge", "Oldest revision that can be shown.", compacted);
    let rows = state.objects.rows_withheld() as u64;
    single(&mut text, "strongroom_store_rows_withheld", "gauge", "Rows found not to pass authentication.", rows);
    let incidents = state.objects.incidents() as u64;
    let name = "strongroom_store_integrity_failures_total";
    single(&mut text, name, "counter", "Rows and schemas found changed from outside while the server runs.", incidents);
    single(&mut text, "strongroom_watches", "gauge", "Open watches.", state.hub.open() as u64);
    state.home.backups.write_metrics(&mut text);
    state.home.sync_metrics.write(&mut text);
    state.home.issuing.metrics.write(&mut text);
    state.home.issuing.expiry.write(&mut text, state.clock.unix_seconds());
    let dropped = state.hub.dropped();
    single(&mut text, "strongroom_watches_dropped_total", "counter", "Watches ended for not keeping up.", dropped);
    respond::finished(&context.style, 200, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_class_and_time() {
        let metrics = Metrics::default();
        metrics.observe("GET", 200, Duration::from_micros(100));
        metrics.observe("GET", 204, Duration::from_millis(1));
        metrics.observe("BREW", 418, Duration::from_secs(3));
        let mut text = String::new();
        metrics.write(&mut text);
        for line in [
            "strongroom_requests_total{method=\"GET\",code=\"2xx\"} 2\n",
            "strongroom_requests_total{method=\"other\",code=\"4xx\"} 1\n",
            "strongroom_request_duration_seconds_bucket{le=\"0.0001\"} 1\n",
            "strongroom_request_duration_seconds_bucket{le=\"0.001\"} 2\n",
            "strongroom_request_duration_seconds_bucket{le=\"2.5\"} 2\n",
            "strongroom_request_duration_seconds_bucket{le=\"+Inf\"} 3\n",
            "strongroom_request_duration_seconds_sum 3.001100\n",
            "strongroom_request_duration_seconds_count 3\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
