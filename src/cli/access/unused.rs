//! `strongroom access unused`

use clap::Args;
use serde_json::{Map, Value};

use super::grants::{reference, rule, subject};
use super::review;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::duration::Length;
use crate::cli::output::{Format, Table, list_at, one_line, show, text_at};
use crate::config::Environment;
use crate::model::kinds::GRANT_USAGE_REVIEW;

/// Options of `access unused`.
#[derive(Args)]
pub struct Unused {
    /// How far to look back, such as 30d or 12w
    #[arg(long, value_name = "DURATION", value_parser = Length::parse, default_value = "90d")]
    since: Length,
    /// List the grants that the server itself made too
    #[arg(long)]
    bootstrap: bool,
    /// How the answer is shown; table and name leave out what the server itself made, unless --bootstrap is given
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Unused {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let mut spec = Map::new();
        spec.insert("sinceSeconds".to_owned(), self.since.seconds().into());
        let answer = review(&connection, &GRANT_USAGE_REVIEW, &Value::Object(spec))?;
        let bootstrap = self.bootstrap;
        show(&answer, self.output, |answer| text(answer, bootstrap), |answer| names(answer, bootstrap));
        Ok(())
    }
}

/// The grants that are shown.
fn unused(answer: &Value, bootstrap: bool) -> impl Iterator<Item = &Value> {
    let is_bootstrap = |grant: &Value| grant.get("bootstrap").is_some_and(|is| *is == true);
    list_at(answer, "/status/unused").iter().filter(move |grant| bootstrap || !is_bootstrap(grant))
}

fn part<'a>(grant: &'a Value, name: &str) -> &'a Value {
    grant.get(name).unwrap_or(&Value::Null)
}

fn text(answer: &Value, bootstrap: bool) -> String {
    let mut table = Table::new(&["SUBJECT", "BINDING", "ROLE", "RULE"]);
    for grant in unused(answer, bootstrap) {
        table.row([
            subject(part(grant, "subject")),
            reference(part(grant, "binding")),
            reference(part(grant, "role")),
            rule(part(grant, "rule")),
        ]);
    }
    let listed = if table.is_empty() { "Every grant was used.\n".to_owned() } else { table.text() };
    let requests = answer.pointer("/status/requests").and_then(Value::as_i64).unwrap_or(0);
    let since = one_line(text_at(answer, "/status/since"));
    let note = match text_at(answer, "/status/observedFrom") {
        "" => String::new(),
        observed if observed <= since.as_str() => String::new(),
        observed => format!(" The audit log reaches back to {} only.", one_line(observed)),
    };
    format!("{listed}\n{requests} requests since {since} were looked at.{note}\n")
}

/// Each binding once.
fn names(answer: &Value, bootstrap: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for grant in unused(answer, bootstrap) {
        let name = reference(part(grant, "binding"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        let grant = |name: &str, bootstrap: bool| {
            json!({"subject": {"kind": "User", "name": name}, "binding": {"kind": "ClusterRoleBinding", "name": "b"},
                "role": {"kind": "ClusterRole", "name": "r"},
                "rule": {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}, "bootstrap": bootstrap})
        };
        json!({"status": {"since": "2026-06-23T14:13:20Z", "observedFrom": "2026-09-01T00:00:00Z", "requests": 7,
            "unused": [grant("ada", false), grant("eve", true)]}})
    }

    #[test]
    fn unused_grants_are_listed_with_how_far_the_log_reaches() {
        assert_eq!(
            text(&answer(), false),
            "SUBJECT    BINDING                ROLE            RULE\n\
             User ada   ClusterRoleBinding b   ClusterRole r   get secrets\n\n\
             7 requests since 2026-06-23T14:13:20Z were looked at. The audit log reaches back to \
             2026-09-01T00:00:00Z only.\n"
        );
        assert!(text(&answer(), true).contains("User eve"));
        assert_eq!(names(&answer(), true), ["ClusterRoleBinding b"]);
        let none = json!({"status": {"since": "2026-06-23T14:13:20Z", "requests": 0}});
        assert!(text(&none, false).starts_with("Every grant was used.\n\n0 requests"));
    }
}
