//! `strongroom user list`

use clap::Args;
use serde_json::Value;

use super::collection;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Format, Table, age, list_at, show, text_at, texts_at};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::Request;

/// Options of `user list`.
#[derive(Args)]
pub struct List {
    /// How the answer is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl List {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let users = self.connection.connect(environment)?.object(Request::get(collection()))?;
        let names = |users: &Value| {
            list_at(users, "/items").iter().map(|user| format!("user/{}", text_at(user, "/metadata/name"))).collect()
        };
        show(&users, self.output, |users| table(users, SystemClock.unix_seconds()), names);
        Ok(())
    }
}

fn table(users: &Value, now_unix_seconds: i64) -> String {
    let mut table = Table::new(&["NAME", "GROUPS", "DISABLED", "PASSWORD", "AGE"]);
    for user in list_at(users, "/items") {
        let is_disabled = user.pointer("/spec/disabled").is_some_and(|disabled| *disabled == true);
        let groups = texts_at(user, "/spec/groups").join(",");
        let password = match text_at(user, "/status/passwordSetAt") {
            "" => "none".to_owned(),
            set_at => format!("{} old", age(set_at, now_unix_seconds)),
        };
        table.row([
            text_at(user, "/metadata/name").to_owned(),
            if groups.is_empty() { "<none>".to_owned() } else { groups },
            is_disabled.to_string(),
            password,
            age(text_at(user, "/metadata/creationTimestamp"), now_unix_seconds),
        ]);
    }
    if table.is_empty() { "There are no users.\n".to_owned() } else { table.text() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn users_are_listed_with_what_matters_about_them() {
        let users = json!({"items": [
            {"metadata": {"name": "ada", "creationTimestamp": "2026-09-21T14:13:20Z"},
             "spec": {"groups": ["dev", "ops"]}, "status": {"passwordSetAt": "2026-09-21T14:13:20Z"}},
            {"metadata": {"name": "eve"}, "spec": {"disabled": true}},
        ]});
        assert_eq!(
            table(&users, 1_790_000_000 + 3 * 86_400),
            "NAME   GROUPS    DISABLED   PASSWORD   AGE\n\
             ada    dev,ops   false      3d old     3d\n\
             eve    <none>    true       none       <unknown>\n"
        );
        assert_eq!(table(&json!({"items": []}), 0), "There are no users.\n");
    }
}
