//! `strongroom secret expiring`: what ends soon, or is to be made anew.
//!
//! What it never does: ask for values. The server says in a Table when they end.

use clap::Args;
use serde_json::Value;

use super::list::{AS_TABLE, pages};
use super::place::{Place, collection, namespace_option};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, list_at, print, text_at};
use crate::cli::{CliError, completion};
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::config::{Environment, Length};
use crate::model::age::{human_age, parse_rfc3339};
use crate::model::expiry::{EXPIRES_AT, ROTATE_AFTER, annotated};

/// Options of `secret expiring`.
#[derive(Args)]
pub struct Expiring {
    /// Of this namespace [default: that of the context]
    #[arg(value_name = "NAMESPACE", add = completion::namespaces(), value_parser = namespace_option)]
    of: Option<String>,
    /// The same
    #[arg(short, long, value_name = "NAMESPACE", add = completion::namespaces(), value_parser = namespace_option, conflicts_with = "of", hide = true)]
    namespace: Option<String>,
    /// Of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["of", "namespace"])]
    all_namespaces: bool,
    /// How soon: 12h, 30d. What has ended is always listed
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = Length::parse)]
    within: Length,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Expiring {
    #[expect(clippy::disallowed_methods, reason = "rows and metadata hold no values")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let given = self.of.as_deref().or(self.namespace.as_deref());
        let place = Place::connect(&self.connection, given, environment)?;
        let path = if self.all_namespaces { "/api/v1/secrets".to_owned() } else { collection(place.namespace()) };
        let all = pages(&place, &path, AS_TABLE, "rows", None)?;
        let now = SystemClock.unix_seconds();
        print(&table(&endings(all.expose(), now.saturating_add(self.within.seconds())), now, self.all_namespaces));
        Ok(())
    }
}

/// What ends, when, and how that is known.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ending {
    at: i64,
    namespace: String,
    name: String,
    by: &'static str,
}

/// What ends by then, the first at first.
fn endings(all: &Value, until: i64) -> Vec<Ending> {
    let columns = list_at(all, "/columnDefinitions");
    let expires = columns.iter().position(|column| text_at(column, "/name") == "Expires");
    let mut endings = Vec::new();
    for row in list_at(all, "/rows") {
        let Some(secret) = row.get("object") else { continue };
        let cell = expires.and_then(|at| list_at(row, "/cells").get(at)?.as_str());
        let ends = cell.and_then(parse_rfc3339);
        let annotated_end = annotated(secret, EXPIRES_AT);
        let by = if ends.is_some() && ends != annotated_end { "certificate" } else { EXPIRES_AT };
        let rotates = annotated(secret, ROTATE_AFTER);
        for (at, by) in [(ends.or(annotated_end), by), (rotates, ROTATE_AFTER)] {
            let Some(at) = at.filter(|at| *at <= until) else { continue };
            endings.push(Ending {
                at,
                namespace: text_at(secret, "/metadata/namespace").to_owned(),
                name: text_at(secret, "/metadata/name").to_owned(),
                by,
            });
        }
    }
    endings.sort();
    endings
}

fn table(endings: &[Ending], now: i64, with_namespace: bool) -> String {
    if endings.is_empty() {
        return "Nothing ends so soon.\n".to_owned();
    }
    let headings = ["NAMESPACE", "NAME", "IN", "AT", "BY"];
    let mut table = Table::new(headings.get(usize::from(!with_namespace)..).unwrap_or_default());
    for ending in endings {
        let left = ending.at.saturating_sub(now);
        let when = if left <= 0 { "ended".to_owned() } else { human_age(left) };
        let cells = [ending.name.clone(), when, rfc3339(ending.at), ending.by.to_owned()];
        table.row(with_namespace.then(|| ending.namespace.clone()).into_iter().chain(cells));
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn what_ends_is_listed_in_the_order_in_which_it_does() {
        let row = |name: &str, cell: &str, annotations: Value| {
            let metadata = json!({"name": name, "namespace": "prod", "annotations": annotations});
            json!({"cells": [name, "Opaque", 1, "1d", cell], "object": {"metadata": metadata}})
        };
        let names = ["Name", "Type", "Data", "Age", "Expires"];
        let all = json!({
            "columnDefinitions": names.map(|name| json!({"name": name})),
            "rows": [
                row("web", "2026-09-28T14:13:20Z", json!({})),
                row("api", "2026-09-20T14:13:20Z", json!({EXPIRES_AT: "2026-09-20T14:13:20Z"})),
                row("db", "<none>", json!({ROTATE_AFTER: "2026-09-22T14:13:20Z"})),
                row("late", "2027-09-20T14:13:20Z", json!({})),
                row("never", "<none>", json!({})),
            ],
        });
        let shown = table(&endings(&all, NOW + 30 * 86_400), NOW, true);
        let expected = "NAMESPACE   NAME   IN      AT                     BY\n\
                        prod        api    ended   2026-09-20T14:13:20Z   strongroom.dev/expires-at\n\
                        prod        db     24h     2026-09-22T14:13:20Z   strongroom.dev/rotate-after\n\
                        prod        web    7d      2026-09-28T14:13:20Z   certificate\n";
        assert_eq!(shown, expected);
        assert!(table(&endings(&all, NOW), NOW, false).starts_with("NAME   IN      AT"));
        assert_eq!(table(&[], NOW, true), "Nothing ends so soon.\n");
    }
}
