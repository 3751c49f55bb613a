//! `strongroom doctor`: looks at what usually is wrong, and says what to do about it. Changes nothing.

mod home;
mod server;

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use clap::Args;

use super::CliError;
use super::connection::ConnectionOptions;
use super::output::{one_line, print};
use crate::config::Environment;

const WHAT_COLUMN: usize = 13;

/// Options of `doctor`.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line.
struct Finding {
    level: Level,
    what: &'static str,
    text: String,
    /// What to do.
    advice: String,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, what, text: text.into(), advice: String::new() }
    }

    fn warn(what: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warn, what, text: text.into(), advice: advice.into() }
    }

    fn fail(what: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Fail, what, text: text.into(), advice: advice.into() }
    }
}

impl Doctor {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let mut findings = home::look(&self.connection, environment);
        findings.extend(memory());
        findings.extend(server::look(&self.connection, environment));
        let has_colours = std::io::stdout().is_terminal() && !super::wants_no_colour();
        print(&findings.iter().map(|finding| line(finding, has_colours)).collect::<String>());
        if findings.iter().any(|finding| finding.level == Level::Fail) { Err(CliError::Unwell) } else { Ok(()) }
    }
}

/// Where secrets of this process could end up.
fn memory() -> Vec<Finding> {
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    let mut findings = vec![match core.current {
        Some(0) => Finding::ok("core dumps", "none: every command forbids them itself"),
        _ => Finding::fail("core dumps", "a crash would write memory to a file", "ulimit -c 0, before the command"),
    }];
    let swap = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    findings.push(if swap.lines().skip(1).any(|line| !line.trim().is_empty()) {
        Finding::warn(
            "swap",
            "memory may be written to a disk",
            "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity) for `strongroom serve`, or encrypted swap",
        )
    } else {
        Finding::ok("swap", "none")
    });
    findings
}

fn line(finding: &Finding, has_colours: bool) -> String {
    let (level, colour) = match finding.level {
        Level::Ok => ("ok", "32"),
        Level::Warn => ("warn", "33"),
        Level::Fail => ("fail", "31"),
    };
    let level = if has_colours { format!("\u{1b}[{colour}m{level:<4}\u{1b}[0m") } else { format!("{level:<4}") };
    let mut out = format!("{level}  {:WHAT_COLUMN$}{}\n", finding.what, one_line(&finding.text));
    if !finding.advice.is_empty() {
        let _ = writeln!(out, "      {:WHAT_COLUMN$}-> {}", "", one_line(&finding.advice));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_what_to_do() {
        assert_eq!(line(&Finding::ok("swap", "none"), false), "ok    swap         none\n");
        let warned = Finding::warn("a", "b", "c");
        assert_eq!(line(&warned, false), "warn  a            b\n                   -> c\n");
        assert!(line(&warned, true).starts_with("\u{1b}[33mwarn\u{1b}[0m  a"));
    }
}
