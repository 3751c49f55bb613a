//! `strongroom secret history`: the versions of a Secret that are kept.
//!
//! What it never does: ask for values.

use clap::Args;
use serde_json::{Value, json};

use super::place::{Place, SecretName, namespace_option};
use super::revision::{self, Revision};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, age, list_at, text_at, texts_at};
use crate::cli::shown::Shown;
use crate::cli::{CliError, completion};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::model::kinds::SECRET_REVISION;
use crate::sensitive::Document;

/// Options of `secret history`.
#[derive(Args)]
pub struct History {
    /// The Secret; it may be deleted
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    namespace: Option<String>,
    /// How they are shown: table, json, yaml, name, or jsonpath=TEMPLATE
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Shown::parse)]
    output: Shown,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl History {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = Place::connect(&self.connection, self.namespace.as_deref(), environment)?;
        let id = place.id(&self.secret);
        let all = revision::all(&place, &id)?;
        if all.is_empty() {
            return Err(CliError::NotDone(format!("there is no Secret {id}, and no version of one is kept")));
        }
        let items: Vec<Value> = all.into_iter().map(|one| one.object).collect();
        let list = json!({
            "kind": SECRET_REVISION.list_kind, "apiVersion": SECRET_REVISION.api_version, "metadata": {}, "items": items,
        });
        let now = SystemClock.unix_seconds();
        self.output.show(&Document::new(list), |list| table(list, now), names);
        Ok(())
    }
}

fn table(list: &Value, now_unix_seconds: i64) -> String {
    let mut table = Table::new(&["REVISION", "STATE", "CHANGED BY", "AGE", "CHANGES"]);
    let items: Vec<Revision> =
        list_at(list, "/items").iter().map(|object| Revision { object: object.clone() }).collect();
    // Numbers of former Secrets of this name say nothing without their names.
    let uid = items.last().map(|last| last.secret_uid().to_owned()).unwrap_or_default();
    for one in &items {
        let number = if one.secret_uid() == uid { one.number().to_string() } else { one.name().to_owned() };
        let state = match (one.is_current(), one.is_deleted()) {
            (true, _) => "current".to_owned(),
            (_, true) => format!("deleted by {}", text_at(&one.object, "/status/deletedBy")),
            _ => String::new(),
        };
        let since = age(text_at(&one.object, "/metadata/creationTimestamp"), now_unix_seconds);
        table.row([number, state, text_at(&one.object, "/status/changedBy").to_owned(), since, changes(&one.object)]);
    }
    table.text()
}

/// `+added ~changed -removed metadata`
fn changes(object: &Value) -> String {
    let marked =
        [("keysAdded", '+'), ("keysChanged", '~'), ("keysRemoved", '-')].into_iter().flat_map(|(field, mark)| {
            texts_at(object, &format!("/status/{field}")).into_iter().map(move |key| format!("{mark}{key}"))
        });
    let is_of_metadata = object.pointer("/status/metadataChanged").and_then(Value::as_bool).unwrap_or_default();
    let metadata = is_of_metadata.then(|| "metadata".to_owned());
    marked.chain(metadata).collect::<Vec<_>>().join(" ")
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| format!("{}/{}", SECRET_REVISION.singular, text_at(item, "/metadata/name"));
    list_at(list, "/items").iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_former_secrets_are_named_and_others_counted() {
        let item = |uid: &str, number: u64, status: Value| {
            json!({
                "metadata": {"name": format!("db.{uid}.{number}"), "creationTimestamp": "1970-01-01T00:00:10Z"},
                "spec": {"revision": number, "secretUID": uid}, "status": status,
            })
        };
        let list = json!({"items": [
            item("a", 2, json!({"deleted": true, "deletedBy": "jane", "changedBy": "joe", "keysAdded": ["k"]})),
            item("b", 1, json!({"changedBy": "joe", "keysAdded": ["k", "l"]})),
            item("b", 2, json!({"current": true, "keysChanged": ["k"], "keysRemoved": ["l"], "metadataChanged": true})),
        ]});
        assert_eq!(
            table(&list, 70),
            "REVISION   STATE             CHANGED BY   AGE   CHANGES\n\
             db.a.2     deleted by jane   joe          60s   +k\n\
             1                            joe          60s   +k +l\n\
             2          current                        60s   ~k -l metadata\n"
        );
        assert_eq!(names(&list)[0], "secretrevision/db.a.2");
    }
}
