//! `strongroom audit tail`

use clap::Args;

use super::events::{PATH, heading, line, table};
use crate::cli::CliError;
use crate::cli::connection::{Connection, ConnectionOptions, document};
use crate::cli::output::{list_at, print, print_unless_closed};
use crate::config::Environment;
use crate::kube_client::Request;

/// Options of `audit tail`.
#[derive(Args)]
pub struct Tail {
    /// Go on with each event as it happens, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many events that are there already
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "20")]
    lines: u32,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Tail {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        if self.follow { follow(&connection, self.lines) } else { latest(&connection, self.lines) }
    }
}

#[expect(clippy::disallowed_methods, reason = "an event holds no secret")]
fn latest(connection: &Connection, lines: u32) -> Result<(), CliError> {
    let request = Request::get(PATH).with("limit", lines.to_string()).with("order", "newest");
    let answer = connection.object(request)?;
    // The newest stands last, next to the prompt.
    print(&table(list_at(answer.expose(), "/items").iter().rev()));
    Ok(())
}

/// The server sends the latest ones, the oldest of them first, and goes on.
#[expect(clippy::disallowed_methods, reason = "an event holds no secret")]
fn follow(connection: &Connection, lines: u32) -> Result<(), CliError> {
    if !print_unless_closed(&heading()) {
        return Ok(());
    }
    let request = Request::get(PATH).with("limit", lines.to_string()).with("follow", "true");
    connection.each_line(request, |text| match document(text) {
        Some(event) => print_unless_closed(&line(event.expose())),
        // An empty line keeps the connection alive.
        None => true,
    })?;
    Err(CliError::NotDone("the server ended the stream: run the command again to go on".to_owned()))
}
