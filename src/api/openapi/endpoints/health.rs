//! Whether the server is well, and which it is.

use serde_json::json;
use utoipa::openapi::path::HttpMethod;

use super::{Access, Listed, answered, get, plain_text};
use crate::api::health::{self, Health};
use crate::api::metrics::Metrics;
use crate::api::openapi::HEALTH;
use crate::api::openapi::parameters::query;
use crate::api::openapi::responses::{Shared, response};
use crate::api::openapi::schemas::text;

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    let mut all = checks(shared);
    all.extend([version(shared), metrics(shared)]);
    all
}

fn checks(shared: &mut Shared) -> Vec<Listed> {
    let failing = Health::default();
    failing.fail("store-writable", "the disk is full: free some space");
    let mut all = Vec::new();
    for (path, id, summary, only_alive) in [
        ("/livez", "getLiveness", "Is the process alive?", true),
        ("/readyz", "getReadiness", "Can requests be served?", false),
        ("/healthz", "getHealth", "Can requests be served? (Older name of /readyz.)", false),
    ] {
        let verbose = query("verbose", "List every check, whatever the value.", text());
        let ok = Health::default().report(false, path, only_alive).1;
        let mut operation = get(path, id, HEALTH, summary, Access::Public, shared)
            .parameter(verbose)
            .response("200", response("It is.", [("text/plain", plain_text(&ok))]));
        if !only_alive {
            let text = failing.report(true, path, false).1;
            let response =
                response("It is not; what fails, and what to do about it.", [("text/plain", plain_text(&text))]);
            operation = operation.response("503", response);
        }
        all.push((path.to_owned(), HttpMethod::Get, operation.build()));
    }
    all
}

fn version(shared: &mut Shared) -> Listed {
    let (path, id) = ("/version", "getVersion");
    let mut example = health::version();
    if let Some(platform) = example.get_mut("platform") {
        // The document is the same wherever it is made.
        *platform = json!("linux/amd64");
    }
    let answer = answered("Version", id, example, "The version.", shared);
    let operation = get(path, id, HEALTH, "Which version is this?", Access::Public, shared).response("200", answer);
    (path.to_owned(), HttpMethod::Get, operation.build())
}

fn metrics(shared: &mut Shared) -> Listed {
    let (path, id) = ("/metrics", "getMetrics");
    let metrics = Metrics::default();
    metrics.observe("GET", 200, std::time::Duration::from_millis(1));
    let mut example = String::new();
    metrics.write(&mut example);
    let answer = response("Metrics in Prometheus' text format.", [("text/plain", plain_text(&example))]);
    let operation = get(path, id, HEALTH, "Metrics", Access::Granted, shared).response("200", answer);
    (path.to_owned(), HttpMethod::Get, operation.build())
}
