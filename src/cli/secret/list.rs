//! `strongroom secret list`: names, types and numbers of keys.
//!
//! What it never does: ask for values. The server is asked for a Table, or for metadata alone (`meta.k8s.io/v1`).

use clap::Args;
use serde_json::{Map, Value};

use super::place::{Place, collection, namespace_option};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, list_at, text_at};
use crate::cli::shown::Shown;
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::Document;

const PAGE: &str = "500";
pub const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const AS_METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// Options of `secret list`.
#[derive(Args)]
pub struct List {
    /// Of this namespace [default: that of the context]
    #[arg(value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    of: Option<String>,
    /// The same
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, conflicts_with = "of", hide = true)]
    namespace: Option<String>,
    /// Of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["of", "namespace"])]
    all_namespaces: bool,
    /// With these labels, such as app=web,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// How they are shown: table, json, yaml (metadata alone), name, or jsonpath=TEMPLATE
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Shown::parse)]
    output: Shown,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl List {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let given = self.of.as_deref().or(self.namespace.as_deref());
        let place = Place::connect(&self.connection, given, environment)?;
        let is_table = self.output == Shown::Table;
        let (accept, field) = if is_table { (AS_TABLE, "rows") } else { (AS_METADATA, "items") };
        let path = if self.all_namespaces { "/api/v1/secrets".to_owned() } else { collection(place.namespace()) };
        let all = pages(&place, &path, accept, field, self.selector.as_deref())?;
        self.output.show(&all, |all| table(all, self.all_namespaces), |all| names(all, self.all_namespaces));
        Ok(())
    }
}

/// The first page, with the rows or items of the others behind its own.
#[expect(clippy::disallowed_methods, reason = "rows and metadata hold no values")]
pub fn pages(
    place: &Place,
    path: &str,
    accept: &'static str,
    field: &str,
    selector: Option<&str>,
) -> Result<Document, CliError> {
    let mut all: Option<Document> = None;
    let mut from = String::new();
    loop {
        let mut request = Request::get(path).accepting(accept).with("limit", PAGE);
        if let Some(selector) = selector {
            request = request.with("labelSelector", selector);
        }
        if !from.is_empty() {
            request = request.with("continue", from.as_str());
        }
        let mut page = place.connection.object(request)?;
        text_at(page.expose(), "/metadata/continue").clone_into(&mut from);
        match &mut all {
            None => {
                if let Some(metadata) = page.expose_mut().get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.retain(|name, _| name != "continue" && name != "remainingItemCount");
                }
                all = Some(page);
            }
            Some(all) => {
                let more = page.expose_mut().get_mut(field).map(Value::take);
                let into = all.expose_mut().get_mut(field).and_then(Value::as_array_mut);
                if let (Some(into), Some(Value::Array(more))) = (into, more) {
                    into.extend(more);
                }
            }
        }
        if from.is_empty() {
            return Ok(all.unwrap_or_else(|| Document::new(Value::Object(Map::new()))));
        }
    }
}

/// The server's own columns, and the namespace before them.
fn table(all: &Value, with_namespace: bool) -> String {
    let columns = list_at(all, "/columnDefinitions");
    let wanted: Vec<usize> = (0..columns.len())
        .filter(|at| columns.get(*at).and_then(|column| column.get("priority")).is_none_or(|priority| *priority == 0))
        .collect();
    let headings =
        wanted.iter().filter_map(|at| columns.get(*at)).map(|column| text_at(column, "/name").to_uppercase());
    let headings: Vec<String> = with_namespace.then(|| "NAMESPACE".to_owned()).into_iter().chain(headings).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for row in list_at(all, "/rows") {
        let cells = list_at(row, "/cells");
        let namespace = with_namespace.then(|| text_at(row, "/object/metadata/namespace").to_owned());
        let shown = wanted.iter().filter_map(|at| cells.get(*at)).map(|cell| match cell {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        table.row(namespace.into_iter().chain(shown));
    }
    if table.is_empty() { "There are no Secrets.\n".to_owned() } else { table.text() }
}

fn names(all: &Value, with_namespace: bool) -> Vec<String> {
    let name = |item: &Value| match text_at(item, "/metadata/namespace") {
        namespace if with_namespace => format!("{namespace}/{}", text_at(item, "/metadata/name")),
        _ => format!("secret/{}", text_at(item, "/metadata/name")),
    };
    list_at(all, "/items").iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_the_servers_and_wide_ones_are_left_out() {
        let all = json!({
            "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Data", "priority": 0}, {"name": "Wide", "priority": 1}],
            "rows": [{"cells": ["db", 2, "x"], "object": {"metadata": {"namespace": "prod"}}}],
        });
        assert_eq!(table(&all, false), "NAME   DATA\ndb     2\n");
        assert_eq!(table(&all, true), "NAMESPACE   NAME   DATA\nprod        db     2\n");
        assert_eq!(table(&json!({"columnDefinitions": [], "rows": []}), false), "There are no Secrets.\n");
        let all = json!({"items": [{"metadata": {"name": "db", "namespace": "prod"}}]});
        assert_eq!((names(&all, false), names(&all, true)), (vec!["secret/db".to_owned()], vec!["prod/db".to_owned()]));
    }
}
