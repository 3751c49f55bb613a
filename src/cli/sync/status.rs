//! `strongroom sync status`: how SecretSyncs stand with each target.

use clap::Args;
use serde_json::Value;

use super::{Which, not_done};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, print};
use crate::config::Environment;
use crate::sync::job::Job;

/// Options of `sync status`.
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Status {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let namespace = self.which.namespace(&connection).to_owned();
        let found = connection.wait_for(async |room| {
            let job = Job::new(room)?;
            let mut found = Vec::new();
            for id in self.which.find(&job, &namespace).await? {
                found.push((id.clone(), job.sync(&id).await?.1));
            }
            Ok(found)
        });
        let mut table = Table::new(&["SYNC", "TARGET", "SOURCE", "STATE", "REASON", "MESSAGE"]);
        let mut all_ready = true;
        for (id, object) in found.map_err(|error| not_done(&error))? {
            let name = format!("{}/{}", id.namespace, id.name);
            let status = object.get("status").unwrap_or(&Value::Null);
            let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
            let ready =
                conditions.into_iter().find(|condition| condition.get("type").is_some_and(|kind| kind == "Ready"));
            let of = |value: Option<&Value>, field: &str| -> String {
                value.and_then(|value| value.get(field)?.as_str()).unwrap_or_default().to_owned()
            };
            let is_ready = of(ready, "status") == "True";
            all_ready &= is_ready;
            let state = if is_ready { "Ready" } else { "NotReady" };
            table.row([
                name.clone(),
                "-".to_owned(),
                of(Some(status), "source"),
                state.to_owned(),
                of(ready, "reason"),
                of(ready, "message"),
            ]);
            for target in status.get("targets").and_then(Value::as_array).into_iter().flatten() {
                let text = |field: &str| of(Some(target), field);
                let place = format!("{}/{}/{}", text("cluster"), text("namespace"), text("name"));
                table.row([name.clone(), place, text("source"), text("state"), text("reason"), text("message")]);
            }
        }
        print(&table.text());
        if all_ready { Ok(()) } else { Err(CliError::Partial) }
    }
}
