//! `strongroom user`: the people who sign in.

mod certificate;
mod create;
mod delete;
mod disable;
mod list;
mod passwd;
mod revoke_certificate;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::connection::{Connection, body};
use super::password;
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, USER};
use crate::sensitive::{Document, SecretBytes};

/// Look after users.
#[derive(Args)]
pub struct User {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Make a user, with a password or without
    Create(create::Create),
    /// Set a password: your own, or another user's
    Passwd(passwd::Passwd),
    /// Shut a user out: signing in, tokens and certificates are refused at once
    Disable(disable::Disable),
    /// Let a user in again
    Enable(disable::Enable),
    /// Delete a user; a later one of the same name is another
    Delete(delete::Delete),
    /// List the users
    List(list::List),
    /// Make a key here and have its certificate signed
    Certificate(certificate::Certificate),
    /// Revoke one certificate of a user at once; the others go on
    RevokeCertificate(revoke_certificate::RevokeCertificate),
}

impl User {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        match self.command {
            UserCommand::Create(command) => command.run(environment),
            UserCommand::Passwd(command) => command.run(environment),
            UserCommand::Disable(command) => command.run(environment),
            UserCommand::Enable(command) => command.run(environment),
            UserCommand::Delete(command) => command.run(environment),
            UserCommand::List(command) => command.run(environment),
            UserCommand::Certificate(command) => command.run(environment),
            UserCommand::RevokeCertificate(command) => command.run(environment),
        }
    }
}

/// `/apis/…/users`
fn collection() -> String {
    format!("/apis/{OWN_API_VERSION}/{}", USER.plural)
}

/// `/apis/…/users/NAME`
fn item(name: &str) -> String {
    format!("{}/{}", collection(), encode_segment(name))
}

/// Sets somebody's password.
fn set_password(connection: &Connection, name: &str, password: &SecretBytes) -> Result<(), CliError> {
    let asked = Document::new(json!({
        "apiVersion": OWN_API_VERSION,
        "kind": "PasswordRequest",
        "spec": {"password": password::text(password)?},
    }));
    connection.object(Request::post(format!("{}/password", item(name)), body(&asked))).map(drop)
}
