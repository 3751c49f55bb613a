//! The server: whether it is found, answers, is to be trusted, and has the same time.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use super::Finding;
use crate::cli::CliError;
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::output::text_at;
use crate::clock::{Clock as _, SystemClock};
use crate::config::connection::kubeconfig_files;
use crate::config::{Environment, ServerUrl};
use crate::kube_client::{Client, Request, presented_chain};
use crate::model::age::{human_age, parse_rfc3339};
use crate::pki::CertificateFacts;
use crate::sensitive::Document;

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/// Tokens say when they begin; other servers allow this much.
const SKEW_FAIL_SECONDS: u64 = 60;
const SKEW_WARN_SECONDS: u64 = 5;
const CERTIFICATE_WARN_SECONDS: i64 = 14 * 86_400;

pub fn look(options: &ConnectionOptions, environment: &Environment) -> Vec<Finding> {
    let mut findings = kubeconfigs(options, environment);
    let connection = match options.connect(environment) {
        Ok(connection) => connection,
        Err(error) => {
            findings.push(Finding::fail(
                "server",
                error.to_string(),
                "`strongroom login`, or `strongroom serve` on this machine",
            ));
            return findings;
        }
    };
    findings.push(certificate(&connection));
    let (is_ready, ready) = readiness(&connection);
    findings.push(ready);
    if is_ready {
        findings.extend(who_and_when(&connection));
    }
    findings
}

/// A kubeconfig may hold a token.
fn kubeconfigs(options: &ConnectionOptions, environment: &Environment) -> Vec<Finding> {
    let files = kubeconfig_files(options.kubeconfig().as_ref(), environment);
    let there = files.iter().filter_map(|file| Some((file, fs::metadata(file).ok()?)));
    let look = |(file, found): (&std::path::PathBuf, fs::Metadata)| {
        let shown = file.display();
        if found.mode() & 0o077 != 0 {
            let text = format!("others may read {shown} (mode {:04o}), where tokens may stand", found.mode() & 0o7777);
            return Finding::warn("kubeconfig", text, format!("chmod 600 {shown}"));
        }
        Finding::ok("kubeconfig", format!("{shown}, which only you may read"))
    };
    let found: Vec<Finding> = there.map(look).collect();
    if found.is_empty() { vec![Finding::ok("kubeconfig", "there is none")] } else { found }
}

/// When it ends; whether it is to be trusted shows when something is asked.
fn certificate(connection: &Connection) -> Finding {
    let server = connection.server();
    let chain = ServerUrl::parse("--server", server).map_err(CliError::from).and_then(|url| Ok(presented_chain(&url)?));
    let chain = match chain {
        Ok(chain) => chain,
        Err(error) => return Finding::fail("tls", error.to_string(), "is the address right, and does the server run?"),
    };
    let now = SystemClock.unix_seconds();
    let Some(facts) = chain.first().and_then(|first| CertificateFacts::read(first).ok()) else {
        return Finding::fail(
            "tls",
            format!("{server} shows a certificate that cannot be read"),
            "look at --tls-cert of the server",
        );
    };
    let left = facts.not_after.saturating_sub(now);
    let renew = "the server renews its own by itself; one of --tls-cert is yours to renew";
    if now < facts.not_before {
        let text = format!("the certificate of {server} is not valid yet");
        Finding::fail("tls", text, "set the clock of this machine, or of the server")
    } else if left < 0 {
        Finding::fail("tls", format!("the certificate of {server} has expired {} ago", human_age(-left)), renew)
    } else if left < CERTIFICATE_WARN_SECONDS {
        Finding::warn("tls", format!("the certificate of {server} expires in {}", human_age(left)), renew)
    } else {
        Finding::ok("tls", format!("the certificate of {server} is valid for {}", human_age(left)))
    }
}

fn readiness(connection: &Connection) -> (bool, Finding) {
    let server = connection.server();
    let answer = connection.wait_for(async |client: &Client| client.request(Request::get("/readyz")).await);
    match answer {
        Ok(answer) if answer.code == 200 => (true, Finding::ok("server", format!("{server} is ready"))),
        Ok(answer) => {
            #[expect(clippy::disallowed_methods, reason = "the report names checks and advice, nothing secret")]
            let report = String::from_utf8_lossy(answer.body.expose()).into_owned();
            let failing = report.lines().find_map(|line| line.strip_prefix("[-]"));
            (false, not_ready(server, answer.code, failing))
        }
        Err(error) => (
            false,
            Finding::fail("server", error.to_string(), "`strongroom login` again where the authority is a new one"),
        ),
    }
}

/// `failing` is the first check that fails, as the server tells it: `CHECK failed: WHY: WHAT TO DO`.
fn not_ready(server: &str, code: u16, failing: Option<&str>) -> Finding {
    let Some(failing) = failing else {
        return Finding::fail("server", format!("{server} answers {code}: it is not ready"), "its log says why");
    };
    let (why, next) = failing.rsplit_once(": ").unwrap_or((failing, "its log says why"));
    Finding::fail("server", format!("{server} is not ready: {why}"), next)
}

fn who_and_when(connection: &Connection) -> Vec<Finding> {
    let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let before = SystemClock.unix_seconds();
    let review = match connection.object(Request::post(REVIEW, body(&Document::new(asked)))) {
        Ok(review) => review,
        Err(error) => return vec![Finding::fail("user", error.to_string(), "`strongroom login`")],
    };
    let after = SystemClock.unix_seconds();
    #[expect(clippy::disallowed_methods, reason = "a review names the user and holds no secret")]
    let review = review.expose();
    let mut findings = vec![Finding::ok("user", text_at(review, "/status/userInfo/username"))];
    if let Some(theirs) = parse_rfc3339(text_at(review, "/metadata/creationTimestamp")) {
        findings.push(clock(theirs, before, after));
    }
    findings
}

/// The server's second, between two of ours.
fn clock(theirs: i64, before: i64, after: i64) -> Finding {
    let skew = theirs.abs_diff(theirs.clamp(before, after));
    let text = format!("this machine and the server differ by {skew} s");
    let advice = "let NTP set both clocks";
    match skew {
        SKEW_FAIL_SECONDS.. => Finding::fail("clock", text, advice),
        SKEW_WARN_SECONDS.. => Finding::warn("clock", text, advice),
        _ => Finding::ok("clock", "as the server's"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        for (theirs, level) in [
            (100, Level::Ok),
            (98, Level::Ok),
            (106, Level::Warn),
            (94, Level::Warn),
            (200, Level::Fail),
            (0, Level::Fail),
        ] {
            assert_eq!(clock(theirs, 99, 101).level, level, "{theirs}");
        }
    }
}
