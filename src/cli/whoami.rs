//! `strongroom whoami`

use clap::Args;
use serde_json::{Value, json};

use super::CliError;
use super::connection::{ConnectionOptions, body};
use super::output::{Format, Table, show, text_at, texts_at};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::Document;

const PATH: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Options of `whoami`.
#[derive(Args)]
pub struct Whoami {
    /// How the answer is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Whoami {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer = connection.object(Request::post(PATH, body(&Document::new(asked))))?;
        show(&answer, self.output, table, |review| vec![text_at(review, "/status/userInfo/username").to_owned()]);
        Ok(())
    }
}

/// As `kubectl auth whoami` lays it out.
fn table(review: &Value) -> String {
    let mut table = Table::new(&["ATTRIBUTE", "VALUE"]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("Username", text_at(review, "/status/userInfo/username").to_owned());
    let uid = text_at(review, "/status/userInfo/uid");
    if !uid.is_empty() {
        row("UID", uid.to_owned());
    }
    row("Groups", format!("[{}]", texts_at(review, "/status/userInfo/groups").join(" ")));
    let extra = review.pointer("/status/userInfo/extra").and_then(Value::as_object);
    for (key, values) in extra.into_iter().flatten() {
        row(&format!("Extra: {key}"), format!("[{}]", texts_at(values, "").join(" ")));
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_reads_as_kubectl_shows_it() {
        let review = json!({"status": {"userInfo": {"username": "ada", "groups": ["dev", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]}}}});
        assert_eq!(
            table(&review),
            "ATTRIBUTE                                           VALUE\n\
             Username                                            ada\n\
             Groups                                              [dev system:authenticated]\n\
             Extra: authentication.kubernetes.io/credential-id   [JTI=1]\n"
        );
    }
}
