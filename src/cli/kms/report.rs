//! `strongroom kms report`: which terms of a key are in use.

use clap::Args;

use super::KEYS;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, age, list_at, print, text_at};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::model::age::parse_rfc3339;
use crate::model::kms_key::{UNSEEN, last_seen};

/// Options of `kms report`.
#[derive(Args)]
pub struct Report {
    /// The KMSKey
    key: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Report {
    #[expect(clippy::disallowed_methods, reason = "a KMSKey's object holds no secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let key = connection.object(Request::get(format!("{KEYS}/{}", encode_segment(&self.key))))?;
        let status = key.expose().get("status").cloned().unwrap_or_default();
        let now = SystemClock.unix_seconds();
        let unseen = i64::try_from(UNSEEN.as_secs()).unwrap_or(i64::MAX);
        let in_use = format!("no: in use within {} h", UNSEEN.as_secs() / 3600);
        let mut table = Table::new(&["KEY ID", "STATE", "CREATED", "ENCRYPTIONS", "DECRYPTIONS", "SEEN", "RETIRE"]);
        for term in list_at(&status, "/terms") {
            let count = |pointer: &str| term.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or_default();
            let used = ["/lastEncryptionTime", "/lastDecryptionTime"].map(|pointer| text_at(term, pointer));
            // RFC 3339 in UTC, so that the later one is the greater text.
            let used = used.into_iter().max().filter(|time| parse_rfc3339(time).is_some());
            let id = text_at(term, "/keyID");
            let may_retire = match last_seen(&status, id) {
                None => "no: it encrypts",
                Some(seen) if now.saturating_sub(seen) < unseen => in_use.as_str(),
                Some(_) => "yes, if nothing is left under it",
            };
            table.row([
                id.to_owned(),
                text_at(term, "/state").to_owned(),
                age(text_at(term, "/createdTime"), now),
                count("/encryptions").to_string(),
                count("/decryptions").to_string(),
                used.map_or_else(|| "never".to_owned(), |time| age(time, now)),
                may_retire.to_owned(),
            ]);
        }
        print(&table.text());
        print(
            "\nA term that is not seen may still be needed: an API server decrypts once and remembers. Encrypt everything anew,\n\
             let `strongroom kms check` look for the key id, restart the API servers, and then retire the term. Counts are as of\n\
             the last minute.\n",
        );
        Ok(())
    }
}
