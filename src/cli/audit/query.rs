//! `strongroom audit query`

use clap::Args;
use serde_json::Value;

use super::events::{PATH, table};
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::duration::Moment;
use crate::cli::output::{Format, list_at, show, text_at};
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::config::Environment;
use crate::kube_client::Request;

/// Options of `audit query`. Events are those that every option given holds for, the newest first.
#[derive(Args)]
pub struct Query {
    /// Who asked
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// What was asked: get, list, create, …
    #[arg(long, value_name = "VERB")]
    verb: Option<String>,
    /// Of which resource, such as secrets
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// In which namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Of which object
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// From when on: so long ago (90m, 7d), or a time (2026-09-21T14:13:20Z)
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Option<Moment>,
    /// Until when, likewise
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// Which status code the answer had
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(100..600))]
    code: Option<u16>,
    /// Whether it was allowed
    #[arg(long, value_name = "DECISION", value_parser = ["allow", "forbid"])]
    decision: Option<String>,
    /// How many events at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "100")]
    limit: u32,
    /// How the answer is shown; name prints audit IDs
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Query {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let request = self.request(SystemClock.unix_seconds());
        let answer = self.connection.connect(environment)?.object(request)?;
        let ids =
            |list: &Value| list_at(list, "/items").iter().map(|event| text_at(event, "/auditID").to_owned()).collect();
        show(&answer, self.output, |list| table(list_at(list, "/items").iter()), ids);
        Ok(())
    }

    fn request(&self, now_unix_seconds: i64) -> Request {
        let time = |moment: &Option<Moment>| moment.map(|moment| rfc3339(moment.unix_seconds(now_unix_seconds)));
        let parameters = [
            ("user", self.user.clone()),
            ("verb", self.verb.clone()),
            ("resource", self.resource.clone()),
            ("namespace", self.namespace.clone()),
            ("name", self.name.clone()),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
            ("code", self.code.map(|code| code.to_string())),
            ("decision", self.decision.clone()),
            ("limit", Some(self.limit.to_string())),
            ("order", Some("newest".to_owned())),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(Request::get(PATH), |request, (name, value)| request.with(name, value))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        query: Query,
    }

    fn target(line: &str) -> String {
        Line::try_parse_from(line.split(' ')).unwrap().query.request(1_790_000_000).target()
    }

    #[test]
    fn options_become_parameters() {
        assert_eq!(target("x"), "/strongroom/v1/audit?limit=100&order=newest");
        assert_eq!(
            target(
                "x --user a@b --verb get --resource secrets -n prod --name db --code 403 --decision forbid --limit 5"
            ),
            "/strongroom/v1/audit?user=a%40b&verb=get&resource=secrets&namespace=prod&name=db&code=403\
             &decision=forbid&limit=5&order=newest"
        );
        assert_eq!(
            target("x --since 1h --until 2026-09-21T14:13:20Z"),
            "/strongroom/v1/audit?since=2026-09-21T13%3A13%3A20Z&until=2026-09-21T14%3A13%3A20Z&limit=100&order=newest"
        );
        for line in ["x --code 99", "x --decision maybe", "x --limit 0", "x --since yesterday"] {
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
