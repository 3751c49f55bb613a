//! `strongroom seal`

use std::time::{Duration, Instant};

use clap::Args;

use super::CliError;
use super::connection::{Connection, ConnectionOptions, body};
use super::consent::{agrees, is_asked};
use super::output::print;
use crate::config::Environment;
use crate::kube_client::{Client, Request};
use crate::sensitive::Document;

const SEAL: &str = "/strongroom/v1/seal";
const SEAL_STATUS: &str = "/strongroom/v1/seal-status";
/// Sealing takes a second, and what was going on has to end.
const SEALED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Options of `seal`.
#[derive(Args)]
pub struct Seal {
    /// Do not ask first
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Seal {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        if is_sealed(&connection) {
            print("The server is sealed already.\n");
            return Ok(());
        }
        let server = connection.server();
        let question =
            || format!("Nothing at {server} is served until somebody unseals it on its machine. Seal it? [y/N] ");
        if !self.yes && is_asked() && !agrees(&question())? {
            return Err(CliError::NotDone("nothing was sealed".to_owned()));
        }
        connection.object(Request::post(SEAL, body(&Document::new(serde_json::json!({})))))?;
        let until = Instant::now() + SEALED_WITHIN;
        while !is_sealed(&connection) {
            if Instant::now() > until {
                return Err(CliError::NotDone(
                    "the server does not say that it is sealed: its log says why".to_owned(),
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        print(
            "The server is sealed: its keys are no longer in memory. `strongroom unseal` on its machine opens it again.\n",
        );
        Ok(())
    }
}

/// Whether the server says so. While it goes over it may not answer.
fn is_sealed(connection: &Connection) -> bool {
    let answer = connection.wait_for(async |client: &Client| client.request(Request::get(SEAL_STATUS)).await);
    #[expect(clippy::disallowed_methods, reason = "the state is told to everybody")]
    let told = answer.ok().and_then(|answer| serde_json::from_slice::<serde_json::Value>(answer.body.expose()).ok());
    told.is_some_and(|told| told.get("state").is_some_and(|state| state == "sealed"))
}
