//! `strongroom user passwd`

use clap::Args;
use serde_json::json;

use super::set_password;
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::output::print;
use crate::cli::{CliError, password};
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
            return change_own(&connection, self.password_stdin);
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

fn change_own(connection: &Connection, from_stdin: bool) -> Result<(), CliError> {
    let [old, new]: [SecretBytes; 2] = if from_stdin {
        password::read(std::io::stdin())?
    } else {
        let question = format!("Your password at {}: ", connection.server());
        [password::ask(&mut Terminal, &question)?, password::ask_new(&mut Terminal, "yourself")?]
    };
    let asked = Document::new(json!({"old_password": password::text(&old)?, "new_password": password::text(&new)?}));
    connection.object(Request::post(OWN_PASSWORD, body(&asked)))?;
    print("Your password is set; your other sessions are ended.\n");
    Ok(())
}
