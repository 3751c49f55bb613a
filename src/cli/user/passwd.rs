//! `strongroom user passwd`

use clap::Args;
use serde_json::json;

use super::set_password;
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::output::print;
use crate::cli::session::{OwnContext, Tokens};
use crate::cli::{CliError, password};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::{Document, SecretBytes};
use crate::terminal::Terminal;

const OWN_PASSWORD: &str = "/strongroom/v1/password";

/// Options of `user passwd`. None of them takes a password.
#[derive(Args)]
pub struct Passwd {
    /// User whose password is set [default: your own, for which the old one is asked; your other sessions end]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Read from standard input: the new password, or without NAME the old one and the new one, a line each
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Passwd {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let Some(name) = self.name else {
            let own = self.connection.own_context(environment);
            return change_own(&connection, self.password_stdin, own.as_ref(), environment);
        };
        let new = if self.password_stdin {
            let [new] = password::read(std::io::stdin())?;
            new
        } else {
            password::ask_new(&mut Terminal, &name)?
        };
        set_password(&connection, &name, &new)?;
        print(&format!("The password of {name} is set.\n"));
        Ok(())
    }
}

/// The session goes on, with new tokens; those before are over.
fn change_own(
    connection: &Connection,
    from_stdin: bool,
    own: Option<&OwnContext>,
    environment: &Environment,
) -> Result<(), CliError> {
    let [old, new]: [SecretBytes; 2] = if from_stdin {
        password::read(std::io::stdin())?
    } else {
        let question = format!("Your password at {}: ", connection.server());
        [password::ask(&mut Terminal, &question)?, password::ask_new(&mut Terminal, "yourself")?]
    };
    let asked = Document::new(json!({"old_password": password::text(&old)?, "new_password": password::text(&new)?}));
    let answer = connection.object(Request::post(OWN_PASSWORD, body(&asked)))?;
    match (Tokens::of_answer(&answer, SystemClock.unix_seconds()), own) {
        (Some(tokens), Some(own)) => {
            own.store(&tokens, environment)?;
            print("Your password is set; your other sessions are ended.\n");
        }
        _ => print("Your password is set. Sign in again with it: your sessions are ended.\n"),
    }
    Ok(())
}
