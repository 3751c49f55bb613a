//! `strongroom access who-can`

use clap::Args;
use serde_json::{Value, json};

use super::grants::{reference, rule, subject};
use super::review;
use super::target::{Target, TargetOptions};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Format, Table, list_at, show};
use crate::config::Environment;
use crate::model::kinds::RESOURCE_ACCESS_REVIEW;

/// Options of `access who-can`.
#[derive(Args)]
pub struct WhoCan {
    #[command(flatten)]
    target: TargetOptions,
    /// How the answer is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl WhoCan {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let target = self.target.resolve(&connection)?;
        let (field, attributes) = target.attributes();
        let answer = review(&connection, &RESOURCE_ACCESS_REVIEW, &json!({field: attributes}))?;
        show(&answer, self.output, |answer| text(answer, &target), names);
        Ok(())
    }
}

fn text(answer: &Value, target: &Target) -> String {
    let mut table = Table::new(&["SUBJECT", "BINDING", "ROLE", "RULE"]);
    for holder in list_at(answer, "/status/holders") {
        let part = |name: &str| holder.get(name).unwrap_or(&Value::Null);
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        table.row([
            subject(part("subject")),
            or(reference(part("binding")), "<built in>"),
            or(reference(part("role")), "<built in>"),
            or(rule(part("rule")).trim().to_owned(), "<everything>"),
        ]);
    }
    if table.is_empty() { format!("Nobody may {}.\n", target.phrase()) } else { table.text() }
}

/// Each subject once.
fn names(answer: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for holder in list_at(answer, "/status/holders") {
        let name = subject(holder.get("subject").unwrap_or(&Value::Null));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_listed_with_what_lets_them() {
        let target = Target::Path { path: "/metrics".into(), verb: "get".into() };
        let answer = json!({"status": {"holders": [
            {"subject": {"kind": "Group", "name": "system:masters"}},
            {"subject": {"kind": "ServiceAccount", "namespace": "prod", "name": "app"},
             "binding": {"kind": "ClusterRoleBinding", "name": "b"}, "role": {"kind": "ClusterRole", "name": "r"},
             "rule": {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}},
            {"subject": {"kind": "Group", "name": "system:masters"}},
        ]}});
        assert_eq!(
            text(&answer, &target),
            "SUBJECT                   BINDING                ROLE            RULE\n\
             Group system:masters      <built in>             <built in>      <everything>\n\
             ServiceAccount prod/app   ClusterRoleBinding b   ClusterRole r   get /metrics\n\
             Group system:masters      <built in>             <built in>      <everything>\n"
        );
        assert_eq!(names(&answer), ["Group system:masters", "ServiceAccount prod/app"]);
        assert_eq!(text(&json!({}), &target), "Nobody may get /metrics.\n");
    }
}
