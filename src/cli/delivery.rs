//! What `run` and `mount` share: Secrets got for a process, and how it is told that they could not be.

use std::collections::BTreeSet;

use super::CliError;
use super::connection::Connection;
use super::offline::{Kept, witness};
use super::output::one_line;
use crate::deliver::{Begin, FetchError, ObjectName, Objects, Problem, fetch};
use crate::kube_client::Client;

/// Gets Secrets, and whence they are; a server that is not there, or serves nobody now, is told from all else.
pub fn get(
    connection: &Connection,
    names: &BTreeSet<ObjectName>,
    kept: Option<&Kept>,
) -> Result<(Objects, Begin), CliError> {
    match connection.wait_for(async |client: &Client| fetch(client, names, &witness(kept)).await) {
        Ok(objects) => Ok((objects, Begin::Got)),
        Err(error) => match (&error, kept) {
            (FetchError::Connect(silence), Some(kept)) if silence.is_silence() => {
                Ok((kept.stand_in(names, silence)?, Begin::Kept))
            }
            _ => Err(told(connection, error)),
        },
    }
}

/// What kept Secrets from being got.
pub fn told(connection: &Connection, error: FetchError) -> CliError {
    match error {
        FetchError::Connect(error) => CliError::from(error).or_unavailable(),
        FetchError::Server(failure) => connection.refusal(failure).or_unavailable(),
        other => CliError::NotDone(other.to_string()),
    }
}

/// All that is missing, a line each.
pub fn list(what: &str, problems: &[Problem]) -> String {
    let mut text = what.to_owned();
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&one_line(&problem.to_string()));
    }
    text
}
