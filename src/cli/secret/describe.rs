//! `strongroom secret describe`: everything about a Secret but its values.

use clap::Args;
use serde_json::Value;

use super::place::{Place, SecretName, namespace_option, values};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, age, list_at, one_line, print, text_at};
use crate::cli::{CliError, completion};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::scan::recognise;
use crate::sensitive::Document;

/// Holds all values once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const COLUMN: usize = 14;

/// Options of `secret describe`.
#[derive(Args)]
pub struct Describe {
    /// The Secret
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    namespace: Option<String>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Describe {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = Place::connect(&self.connection, self.namespace.as_deref(), environment)?;
        let secret = place.get(&place.id(&self.secret))?;
        print(&text(&secret, SystemClock.unix_seconds())?);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "of values only lengths and forms are told")]
fn text(secret: &Document, now_unix_seconds: i64) -> Result<String, CliError> {
    let object = secret.expose();
    let field = |pointer: &str| text_at(object, pointer).to_owned();
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let name = if name.is_empty() { String::new() } else { format!("{name}:") };
            out.push_str(format!("{name:COLUMN$}{}", one_line(value)).trim_end());
            out.push('\n');
        }
    };
    line("Name", &field("/metadata/name"));
    line("Namespace", &field("/metadata/namespace"));
    line("Type", &field("/type"));
    if object.get("immutable").is_some_and(|immutable| *immutable == true) {
        line("Immutable", "yes: it can only be deleted");
    }
    let created = field("/metadata/creationTimestamp");
    line("Created", &format!("{created} ({} ago)", age(&created, now_unix_seconds)));
    line("Deleted", &field("/metadata/deletionTimestamp"));
    line("Version", &field("/metadata/resourceVersion"));
    line("UID", &field("/metadata/uid"));
    for (title, pointer) in [("Labels", "/metadata/labels"), ("Annotations", "/metadata/annotations")] {
        let entries = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
        for (at, (key, value)) in entries.enumerate() {
            let value = match value.as_str().unwrap_or_default() {
                _ if key == LAST_APPLIED => "(the manifest and its values once more)",
                value => value,
            };
            line(if at == 0 { title } else { "" }, &format!("{key}={value}"));
        }
    }
    let managers = list_at(object, "/metadata/managedFields");
    let mut managers: Vec<&str> = managers.iter().map(|entry| text_at(entry, "/manager")).collect();
    managers.sort_unstable();
    managers.dedup();
    line("Written by", &managers.join(", "));
    let owners: Vec<String> = list_at(object, "/metadata/ownerReferences")
        .iter()
        .map(|owner| format!("{} {}", text_at(owner, "/kind"), text_at(owner, "/name")))
        .collect();
    line("Owned by", &owners.join(", "));
    let values = values(secret)?;
    let mut table = Table::new(&["KEY", "BYTES", "WHAT IT IS"]);
    for (key, value) in &values {
        table.row([key.clone(), value.len().to_string(), recognise(value.expose())]);
    }
    out.push('\n');
    out.push_str(&if table.is_empty() { "It has no keys.\n".to_owned() } else { table.text() });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_is_told_but_the_values() {
        let secret = json!({
            "kind": "Secret", "apiVersion": "v1", "type": "Opaque", "immutable": true,
            "metadata": {"name": "db", "namespace": "prod", "uid": "u", "resourceVersion": "7",
                "creationTimestamp": "2026-09-21T14:13:20Z", "labels": {"a": "b", "c": "d"},
                "annotations": {LAST_APPLIED: "{\"data\":{\"user\":\"YWRh\"}}", "note": "x"},
                "managedFields": [{"manager": "kubectl"}, {"manager": "strongroom"}, {"manager": "kubectl"}]},
            "data": {"user": "YWRh", "raw": "AAE="},
        });
        assert_eq!(
            text(&Document::new(secret), 1_790_000_000 + 7200).unwrap(),
            "Name:         db\n\
             Namespace:    prod\n\
             Type:         Opaque\n\
             Immutable:    yes: it can only be deleted\n\
             Created:      2026-09-21T14:13:20Z (120m ago)\n\
             Version:      7\n\
             UID:          u\n\
             Labels:       a=b\n\
             \u{20}             c=d\n\
             Annotations:  kubectl.kubernetes.io/last-applied-configuration=(the manifest and its values once more)\n\
             \u{20}             note=x\n\
             Written by:   kubectl, strongroom\n\
             \n\
             KEY    BYTES   WHAT IT IS\n\
             raw    2       binary\n\
             user   3       text\n"
        );
    }
}
