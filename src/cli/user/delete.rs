//! `strongroom user delete`

use clap::Args;

use super::item;
use crate::cli::CliError;
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::print;
use crate::config::Environment;
use crate::kube_client::Request;

/// Options of `user delete`.
#[derive(Args)]
pub struct Delete {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Delete {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        self.connection.connect(environment)?.object(Request::delete(item(&self.name)))?;
        print(&format!("user/{} deleted\n", self.name));
        Ok(())
    }
}
