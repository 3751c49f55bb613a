//! `strongroom backup schedule`

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{ObjectFormat, age, list_at, one_line, print, print_object, text_at, texts_at};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::Request;

const PATH: &str = "/strongroom/v1/backups";

/// Options of `backup schedule`. What is scheduled is set where the server is started: `serve --backup-directory`.
#[derive(Args)]
pub struct Schedule {
    /// Show it as an object
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Schedule {
    #[expect(clippy::disallowed_methods, reason = "a schedule holds no secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let report = self.connection.connect(environment)?.object(Request::get(PATH))?;
        match self.output {
            Some(format) => print_object(&report, format),
            None => print(&text(report.expose(), SystemClock.unix_seconds())),
        }
        Ok(())
    }
}

fn text(report: &Value, now: i64) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{:<11}{}", format!("{name}:"), one_line(value));
    };
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    if report.pointer("/schedule/directory").is_some() {
        line("Directory", text_at(report, "/schedule/directory"));
        line("Every", &length(number("/schedule/everySeconds")));
        let keep = match number("/schedule/keep/newest") {
            0 => format!("those of the last {}", length(number("/schedule/keep/seconds"))),
            1 => "the newest".to_owned(),
            count => format!("the newest {count}"),
        };
        line("Keep", &keep);
        for recipient in texts_at(report, "/schedule/recipients") {
            line("Recipient", recipient);
        }
        line("Next", text_at(report, "/schedule/next"));
    } else {
        line("Schedule", "none: `strongroom serve --backup-directory DIR` makes backups by itself");
    }
    let last = match text_at(report, "/last/created") {
        "" => "none".to_owned(),
        created => format!("{created} ({} ago, revision {})", age(created, now), number("/last/revision")),
    };
    line("Last", &last);
    if number("/failures") > 0 {
        let since = if report.get("failing") == Some(&Value::Bool(true)) { "; the last try failed" } else { "" };
        line("Failures", &format!("{} since the start{since}: see the server's log", number("/failures")));
    }
    for file in list_at(report, "/schedule/files") {
        let bytes = file.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        line("Kept", &format!("{} ({} KiB)", text_at(file, "/name"), bytes.div_ceil(1024)));
    }
    text
}

/// In the largest unit that it is a whole number of.
fn length(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_is_told_with_what_came_of_it() {
        let report = json!({
            "schedule": {
                "directory": "/b", "everySeconds": 86_400, "keep": {"seconds": 5_400}, "recipients": ["age1x"],
                "next": "2026-01-16T09:30:00Z",
                "files": [{"name": "strongroom-x", "created": "2026-01-15T09:30:00Z", "bytes": 2_049}],
            },
            "last": {"created": "2026-01-15T09:30:00Z", "sequence": 3, "revision": 7, "bytes": 2_049, "by": "schedule"},
            "failures": 2, "failing": true,
        });
        let expected = "Directory: /b\nEvery:     1d\nKeep:      those of the last 90m\nRecipient: age1x\n\
                        Next:      2026-01-16T09:30:00Z\n\
                        Last:      2026-01-15T09:30:00Z (60m ago, revision 7)\n\
                        Failures:  2 since the start; the last try failed: see the server's log\n\
                        Kept:      strongroom-x (3 KiB)\n";
        assert_eq!(text(&report, 1_768_473_000), expected);
        let none = text(&json!({"schedule": null, "last": null, "failures": 0, "failing": false}), 0);
        assert!(none.starts_with("Schedule:  none: ") && none.ends_with("Last:      none\n"), "{none}");
    }
}
