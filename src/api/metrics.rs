//! Prometheus metrics, in the text format. Labels are bounded; an object's name is never one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::HttpResponse;

use super::{Context, respond};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters of the HTTP edge.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; 5]; 6],
}

impl Metrics {
    /// Counts one answered request.
    pub fn observe(&self, method: &str, code: u16) {
        let row = METHODS.iter().position(|name| *name == method).unwrap_or(5);
        let column = usize::from((code / 100).clamp(1, 5) - 1);
        if let Some(counter) = self.requests.get(row).and_then(|row| row.get(column)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters, and these gauges: name, help and value.
    pub(super) fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut text = String::from(
            "# HELP strongroom_requests_total Requests answered, by method and class of status.\n# TYPE strongroom_requests_total counter\n",
        );
        // Writing to a String does not fail.
        for (method, row) in METHODS.iter().zip(&self.requests) {
            for (class, counter) in CLASSES.iter().zip(row) {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    let _ = writeln!(text, "strongroom_requests_total{{method=\"{method}\",code=\"{class}\"}} {count}");
                }
            }
        }
        for (name, help, value) in gauges {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        text
    }
}

pub(super) fn respond(context: &Context<'_>) -> HttpResponse {
    let state = context.state;
    let gauges = [
        ("strongroom_store_revision", "Revision of the store.", state.objects.revision()),
        ("strongroom_watches", "Open watches.", state.hub.open() as u64),
    ];
    let text = state.metrics.text(&gauges);
    respond::finished(&context.style, 200, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_class() {
        let metrics = Metrics::default();
        metrics.observe("GET", 200);
        metrics.observe("GET", 204);
        metrics.observe("BREW", 418);
        let text = metrics.text(&[("g", "h", 7)]);
        assert!(text.contains("strongroom_requests_total{method=\"GET\",code=\"2xx\"} 2\n"));
        assert!(text.contains("strongroom_requests_total{method=\"other\",code=\"4xx\"} 1\n"));
        assert!(text.ends_with("# TYPE g gauge\ng 7\n"));
    }
}
