//! `strongroom logout`

use std::path::PathBuf;

use clap::Args;

use super::connection::{Connection, ConnectionOptions};
use super::kubeconfig;
use super::login::endpoint;
use super::output::print;
use super::session::{Cache, OwnContext, SessionKey, log_out};
use super::{CliError, warn};
use crate::config::Environment;
use crate::config::connection::kubeconfig_files;

/// Options of `logout`.
#[derive(Args)]
#[command(after_help = "\
The session ends at the server, and its tokens are removed here. The kubeconfig keeps its context, so that kubectl or \
`strongroom login` can begin another session.")]
pub struct Logout {
    /// Context whose session ends [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Kubeconfig with the context [env: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// End every session that is kept on this machine
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    all: bool,
}

impl Logout {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        if self.all {
            return end_all(&Cache::open(environment)?);
        }
        let files = kubeconfig_files(self.kubeconfig.as_ref(), environment);
        let own = OwnContext::find(&files, self.context.as_deref())?;
        match own.session()? {
            Some(key) => end(&Cache::open(environment)?, &key),
            None => end_embedded(&own, environment),
        }
    }
}

/// Ends each, and goes on after one that could not be ended.
fn end_all(cache: &Cache) -> Result<(), CliError> {
    let keys = cache.keys()?;
    if keys.is_empty() {
        print("There is no session.\n");
    }
    let mut failed = 0_usize;
    for key in &keys {
        if let Err(error) = end(cache, key) {
            warn(&error.to_string());
            failed += 1;
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CliError::NotDone(format!("{failed} of {} sessions could not be ended", keys.len()))),
    }
}

fn end(cache: &Cache, key: &SessionKey) -> Result<(), CliError> {
    let locked = cache.lock(key)?;
    let Some(tokens) = locked.load()? else {
        print(&format!("{} had no session at {}.\n", key.user, key.server));
        return Ok(());
    };
    let told = Connection::to(endpoint(key)).and_then(|connection| log_out(&connection, Some(&tokens.refresh)));
    // Whatever the server says: here the tokens are gone.
    locked.remove()?;
    match told {
        Ok(_) => print(&format!("{} is signed out at {}.\n", key.user, key.server)),
        Err(error) => {
            return Err(CliError::NotDone(format!(
                "the tokens of {} are removed from this machine, but the session lives on at the server until it \
                 ends by itself, which could not be told: {error}",
                key.user
            )));
        }
    }
    Ok(())
}

/// A token in the kubeconfig itself: it names its session.
fn end_embedded(own: &OwnContext, environment: &Environment) -> Result<(), CliError> {
    let connection = ConnectionOptions::of_context(own.file.clone(), own.name().to_owned()).connect(environment)?;
    log_out(&connection, None)?;
    kubeconfig::change(&own.file, |config| kubeconfig::set_token(config, own.name(), None))?;
    print(&format!("The session of context {} is ended, and its token removed.\n", own.name()));
    Ok(())
}
