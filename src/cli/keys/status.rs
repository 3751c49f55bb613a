//! `strongroom keys status`

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::status_of;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{ObjectFormat, Table, age, list_at, one_line, print, print_object, text_at, texts_at};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;

/// Options of `keys status`.
#[derive(Args)]
pub struct Status {
    /// Print it as it is [default: a summary]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Status {
    #[expect(clippy::disallowed_methods, reason = "nothing of it is secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let status = status_of(&self.connection.connect(environment)?)?;
        match self.output {
            Some(format) => print_object(&status, format),
            None => print(&summary(status.expose(), SystemClock.unix_seconds())),
        }
        Ok(())
    }
}

fn summary(status: &Value, now_unix_seconds: i64) -> String {
    let mut terms = Table::new(&["DATA KEY", "STATE", "AGE"]);
    for term in list_at(status, "/terms") {
        let created = age(text_at(term, "/created"), now_unix_seconds);
        terms.row([term["id"].to_string(), text_at(term, "/state").to_owned(), created]);
    }
    let mut slots = Table::new(&["SLOT", "SECRET", "IN USE"]);
    for slot in list_at(status, "/slots") {
        let secret = if slot["highEntropy"] == true { "random" } else { "chosen" };
        let used = if slot["inUse"] == true { "yes" } else { "" };
        slots.row([text_at(slot, "/kind").to_owned(), secret.to_owned(), used.to_owned()]);
    }
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let (done, total, damaged) = (number("/resealing/done"), number("/resealing/total"), number("/resealing/damaged"));
    // Writing to a String does not fail.
    let mut text = format!("{}\n{}", terms.text(), slots.text());
    if status.pointer("/resealing/finished") == Some(&Value::Bool(false)) {
        let _ = writeln!(text, "\nSealed anew: {done} of {total} rows");
    }
    if damaged > 0 {
        let _ = writeln!(text, "\n{damaged} rows do not open and keep a former key: see the server's log");
    }
    for (heading, pointer) in [("Protects against", "/protects"), ("Does not protect against", "/doesNotProtect")] {
        let _ = writeln!(text, "\n{heading}:");
        for line in texts_at(status, pointer) {
            let _ = writeln!(text, "  - {}", one_line(line));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_summary_says_what_there_is_and_how_far_it_has_come() {
        let mut status = json!({
            "terms": [{"id": 2, "state": "Active", "created": "1970-01-01T00:00:00Z"}],
            "resealing": {"finished": false, "total": 10, "done": 4, "damaged": 1},
            "slots": [{"id": 1, "kind": "key-file", "highEntropy": true, "inUse": true}],
            "protects": ["a copy"], "doesNotProtect": ["root"],
        });
        let text = summary(&status, 60);
        assert!(text.starts_with("DATA KEY   STATE    AGE\n2          Active   60s\n\n"), "{text}");
        assert!(text.contains("key-file   random   yes\n"), "{text}");
        assert!(text.contains("Sealed anew: 4 of 10 rows\n") && text.contains("1 rows do not open"), "{text}");
        assert!(text.ends_with("Protects against:\n  - a copy\n\nDoes not protect against:\n  - root\n"), "{text}");
        status["resealing"] = json!({"finished": true, "total": 10, "done": 10, "damaged": 0});
        assert!(!summary(&status, 60).contains("Sealed anew"));
    }
}
