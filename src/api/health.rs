//! Liveness, readiness and version.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::{Context, respond};

/// What readiness depends on. Each check is named, and says what to do when it fails.
#[derive(Default)]
pub struct Health {
    failing: Mutex<Vec<(&'static str, String)>>,
}

/// The checks, in the order in which they are shown.
const CHECKS: &[&str] = &["ping", "unsealed", "store-writable", "store-integrity", "audit-log", "shutdown"];

/// Checks that fail while what is stored is served and nothing is written, and what to do next.
const READ_ONLY: [(&str, &str); 3] = [
    ("store-integrity", "see the server's log for which rows, and restore a backup"),
    ("store-writable", "make room on the disk of the home: writing goes on by itself"),
    ("audit-log", "make room on the disk of the audit log: until then nothing is answered that has to be recorded"),
];

impl Health {
    /// Marks `check` as failing, with what to do about it.
    pub fn fail(&self, check: &'static str, advice: &str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|(name, _)| *name != check);
        failing.push((check, advice.to_owned()));
    }

    /// Marks `check` as passing.
    pub fn pass(&self, check: &'static str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| *name != check);
    }

    /// Why nothing is written, and what to do next, where what is stored is served all the same.
    pub(super) fn read_only(&self) -> Option<(String, &'static str)> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        READ_ONLY.iter().find_map(|(check, next)| {
            let (_, why) = failing.iter().find(|(name, _)| name == check)?;
            Some((why.clone(), *next))
        })
    }

    /// Whether the server is about to stop.
    pub(super) fn is_stopping(&self) -> bool {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().any(|(check, _)| *check == "shutdown")
    }

    /// Code and text of a health endpoint at `path`.
    pub(super) fn report(&self, verbose: bool, path: &str, only_alive: bool) -> (u16, String) {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = only_alive || failing.is_empty();
        if ready && !verbose {
            return (200, "ok".to_owned());
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        for check in CHECKS {
            let _ = match failing.iter().find(|(name, _)| name == check).filter(|_| !only_alive) {
                Some((_, advice)) => writeln!(text, "[-]{check} failed: {advice}"),
                None => writeln!(text, "[+]{check} ok"),
            };
        }
        let read_only = READ_ONLY.iter().find(|(check, _)| failing.iter().any(|(name, _)| name == check));
        if let Some((_, next)) = read_only.filter(|_| !only_alive) {
            let _ = writeln!(text, "the server is read-only: {next}");
        }
        let name = path.trim_matches('/');
        let _ = writeln!(text, "{name} check {}", if ready { "passed" } else { "failed" });
        (if ready { 200 } else { 503 }, text)
    }
}

/// The Kubernetes minor version whose behaviour is served.
pub const MINOR: &str = "32";

pub(super) fn route(context: &Context<'_>, path: &str) -> Option<HttpResponse> {
    match path {
        "/livez" | "/healthz" | "/readyz" => {
            let verbose = context.query.value("verbose").is_some();
            let (code, mut text) = context.state.health_now().report(verbose, path, path == "/livez");
            if verbose
                && path != "/livez"
                && let Some(note) = context.state.home.backups.note()
            {
                // A warning: how old the last backup is keeps nobody from being served.
                let end = text.rfind(path.trim_matches('/')).unwrap_or(text.len());
                text.insert_str(end, &format!("[+]backup ok: {note}\n"));
            }
            Some(respond::text(&context.style, code, &text))
        }
        "/version" | "/version/" => {
            let mut style = context.style.clone();
            style.pretty = true;
            Some(respond::value(&style, 200, &version(), &[]))
        }
        _ => None,
    }
}

/// `/version`, as Kubernetes' `version.Info`.
pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+strongroom-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch(std::env::consts::ARCH)),
    })
}

/// Go's name of an architecture.
fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_fails_and_liveness_does_not_care() {
        let health = Health::default();
        assert_eq!(health.report(false, "/readyz", false), (200, "ok".to_owned()));
        health.fail("store-writable", "free some disk space");
        let (code, text) = health.report(true, "/readyz", false);
        assert_eq!(code, 503);
        assert!(text.contains("[-]store-writable failed: free some disk space\n"), "{text}");
        assert!(text.ends_with("\nthe server is read-only: make room on the disk of the home: writing goes on by itself\nreadyz check failed\n"), "{text}");
        assert_eq!(health.read_only().unwrap().0, "free some disk space");
        assert_eq!(health.report(false, "/livez", true).0, 200);
        health.pass("store-writable");
        assert_eq!(health.read_only(), None);
        assert_eq!(health.report(false, "/readyz", false).0, 200);
    }
}
