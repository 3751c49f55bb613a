//! `strongroom user create`

use clap::Args;
use serde_json::json;

use super::{collection, set_password};
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::print;
use crate::cli::{CliError, password};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::model::kinds::OWN_API_VERSION;
use crate::sensitive::Document;
use crate::terminal::Terminal;

/// Options of `user create`. None of them takes the password.
#[derive(Args)]
pub struct Create {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    /// Group that the user belongs to; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Make the user without a password: for certificates, or to set one later
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Create {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let password = if self.no_password {
            None
        } else if self.password_stdin {
            let [password] = password::read(std::io::stdin())?;
            Some(password)
        } else {
            Some(password::ask_new(&mut Terminal, &self.name)?)
        };
        let user = json!({
            "apiVersion": OWN_API_VERSION,
            "kind": "User",
            "metadata": {"name": self.name},
            "spec": {"groups": self.group},
        });
        connection.object(Request::post(collection(), body(&Document::new(user))))?;
        if let Some(password) = password {
            set_password(&connection, &self.name, &password).map_err(|error| {
                CliError::NotDone(format!(
                    "user {0} is created, but without a password: {error}\nSet one with `strongroom user passwd {0}`.",
                    self.name
                ))
            })?;
        }
        print(&format!("user/{} created\n", self.name));
        Ok(())
    }
}
