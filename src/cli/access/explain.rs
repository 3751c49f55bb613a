//! `strongroom access explain`

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Map, Value, json};

use super::grants::{reference, rule, subject};
use super::review;
use super::target::{Target, TargetOptions};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Format, list_at, one_line, several_lines, show, text_at};
use crate::config::Environment;
use crate::model::kinds::ACCESS_EXPLANATION;

/// Options of `access explain`.
#[derive(Args)]
#[command(after_help = "\
Exits with 0 where it is allowed, with 1 where it is not.

Examples:
  strongroom access explain get secrets/db -n prod
  strongroom access explain --as ada list secrets -A
  strongroom access explain --as system:serviceaccount:prod:app create sa/app --subresource token -n prod
  strongroom access explain get /metrics")]
pub struct Explain {
    /// Who is asked about [default: you]
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// Group to assume besides those that the user is known to have; may be repeated
    #[arg(long = "as-group", value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    target: TargetOptions,
    /// How the answer is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Explain {
    #[expect(clippy::disallowed_methods, reason = "an explanation holds no secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let target = self.target.resolve(&connection)?;
        let spec = spec(&target, self.user.as_deref(), &self.groups);
        let answer = review(&connection, &ACCESS_EXPLANATION, &spec)?;
        let verdict = |explanation: &Value| {
            vec![if is_allowed(explanation) { "allowed".to_owned() } else { "denied".to_owned() }]
        };
        show(&answer, self.output, |explanation| text(explanation, &target), verdict);
        if is_allowed(answer.expose()) { Ok(()) } else { Err(CliError::Denied) }
    }
}

fn spec(target: &Target, user: Option<&str>, groups: &[String]) -> Value {
    let (field, attributes) = target.attributes();
    let mut spec = Map::new();
    if let Some(user) = user {
        spec.insert("user".to_owned(), user.into());
    }
    if !groups.is_empty() {
        spec.insert("groups".to_owned(), json!(groups));
    }
    spec.insert(field.to_owned(), attributes);
    Value::Object(spec)
}

fn is_allowed(explanation: &Value) -> bool {
    explanation.pointer("/status/allowed").is_some_and(|allowed| *allowed == true)
}

fn text(explanation: &Value, target: &Target) -> String {
    let status = |name: &str| text_at(explanation, &format!("/status/{name}"));
    let who = match status("user/username") {
        "" => "You".to_owned(),
        name => one_line(name),
    };
    let is_allowed = is_allowed(explanation);
    let may = if is_allowed { "may" } else { "may not" };
    let why = one_line(status(if is_allowed { "reason" } else { "missing" }));
    let mut text = format!("{who} {may} {}", target.phrase());
    // Writing to a String cannot fail.
    let _ = if why.is_empty() { writeln!(text, ".") } else { writeln!(text, ": {why}") };
    let considered = list_at(explanation, "/status/considered");
    if !considered.is_empty() {
        text.push_str("\nbindings considered:\n");
    }
    for grant in considered {
        add_grant(&mut text, grant);
    }
    let suggestion = status("suggestion").trim_end();
    if !suggestion.is_empty() {
        let _ = writeln!(text, "\nto allow it:\n\n{}", several_lines(suggestion));
    }
    text
}

fn add_grant(text: &mut String, grant: &Value) {
    let part = |name: &str| grant.get(name).unwrap_or(&Value::Null);
    let outcome = match text_at(grant, "/outcome") {
        "Allowed" => "allows it",
        "NoRuleMatches" => "no rule of it matches",
        "OtherSubjects" => "is for other subjects",
        "OtherNamespace" => "is for another namespace",
        "RoleNotFound" => "the role does not exist",
        other => other,
    };
    let subject = match subject(part("subject")) {
        subject if subject.is_empty() => subject,
        subject => format!(", as {subject}"),
    };
    let line = format!("{} ({}){subject}: {outcome}", reference(part("binding")), reference(part("role")));
    let _ = writeln!(text, "  {}", one_line(&line));
    for considered in list_at(grant, "/rules") {
        let shown = rule(considered.get("rule").unwrap_or(&Value::Null));
        let matches = considered.get("matches").is_some_and(|matches| *matches == true);
        let verdict = match text_at(considered, "/mismatch") {
            _ if matches => "matches".to_owned(),
            "" => "does not match".to_owned(),
            mismatch => mismatch.to_owned(),
        };
        let _ = writeln!(text, "    {}", one_line(&format!("{shown}: {verdict}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::Resource {
            group: String::new(),
            version: "v1".into(),
            resource: "secrets".into(),
            subresource: String::new(),
            name: "db".into(),
            namespace: "prod".into(),
            namespaced: true,
            verb: "get".into(),
        }
    }

    #[test]
    fn a_denial_says_what_was_considered_and_what_would_allow_it() {
        let explanation = json!({"status": {
            "allowed": false,
            "missing": "no rule lets ada get secrets/db",
            "user": {"username": "ada", "groups": ["dev"]},
            "considered": [
                {"binding": {"kind": "RoleBinding", "namespace": "prod", "name": "b"},
                 "role": {"kind": "Role", "namespace": "prod", "name": "r"},
                 "subject": {"kind": "Group", "name": "dev"}, "outcome": "NoRuleMatches",
                 "rules": [{"rule": {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]},
                            "matches": false, "mismatch": "another resource"}]},
                {"binding": {"kind": "ClusterRoleBinding", "name": "c"}, "role": {"kind": "ClusterRole", "name": "d"},
                 "outcome": "RoleNotFound"},
            ],
            "suggestion": "kind: Role\nmetadata: {}\n",
        }});
        assert_eq!(
            text(&explanation, &target()),
            "ada may not get secrets/db in namespace prod: no rule lets ada get secrets/db\n\n\
             bindings considered:\n  \
             RoleBinding prod/b (Role prod/r), as Group dev: no rule of it matches\n    \
             get configmaps: another resource\n  \
             ClusterRoleBinding c (ClusterRole d): the role does not exist\n\n\
             to allow it:\n\nkind: Role\nmetadata: {}\n"
        );
        assert!(!is_allowed(&explanation));
    }

    #[test]
    fn an_allowance_says_by_what() {
        let explanation = json!({"status": {"allowed": true, "reason": "RBAC: allowed by RoleBinding \"b/prod\"",
            "user": {"username": "ada"}, "considered": [
                {"binding": {"kind": "RoleBinding", "namespace": "prod", "name": "b"},
                 "role": {"kind": "ClusterRole", "name": "view"}, "subject": {"kind": "User", "name": "ada"},
                 "outcome": "Allowed",
                 "rules": [{"rule": {"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]}, "matches": true}]}]}});
        assert_eq!(
            text(&explanation, &target()),
            "ada may get secrets/db in namespace prod: RBAC: allowed by RoleBinding \"b/prod\"\n\n\
             bindings considered:\n  \
             RoleBinding prod/b (ClusterRole view), as User ada: allows it\n    * secrets: matches\n"
        );
        assert!(is_allowed(&explanation));
        assert_eq!(text(&json!({}), &target()), "You may not get secrets/db in namespace prod.\n");
    }

    #[test]
    fn who_is_asked_about_stands_in_the_spec() {
        let attributes = target().attributes().1;
        assert_eq!(spec(&target(), None, &[]), json!({"resourceAttributes": attributes}));
        assert_eq!(
            spec(&target(), Some("ada"), &["dev".into()]),
            json!({"user": "ada", "groups": ["dev"], "resourceAttributes": attributes})
        );
    }
}
