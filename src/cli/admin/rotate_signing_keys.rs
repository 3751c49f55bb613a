//! `strongroom admin rotate-signing-keys`

use clap::Args;
use serde_json::json;

use crate::cli::CliError;
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::print;
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::Document;

const PATH: &str = "/strongroom/v1/admin/rotate-signing-keys";

/// Options of `admin rotate-signing-keys`.
#[derive(Args)]
pub struct RotateSigningKeys {
    /// Refuse every token signed before, at once: for a key that may be known to others
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl RotateSigningKeys {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let asked = Document::new(json!({"revoke": self.revoke}));
        self.connection.connect(environment)?.object(Request::post(PATH, body(&asked)))?;
        let before = if self.revoke { "are refused from now on" } else { "stay valid until they end" };
        print(&format!("There are new signing keys; tokens signed before {before}.\n"));
        Ok(())
    }
}
