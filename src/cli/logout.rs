//! `strongroom logout`

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::connection::{Connection, ConnectionOptions, certificates};
use super::kubeconfig::{self, Found};
use super::login::endpoint;
use super::output::print;
use super::session::{Cache, SessionKey, log_out};
use super::{CliError, warn};
use crate::config::connection::kubeconfig_files;
use crate::config::{ConfigError, Environment, ServerUrl};
use crate::sensitive::{Document, SecretBytes};

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
        let (file, found) = find(&files, self.context.as_deref())?;
        if found.exec_arguments.is_empty() {
            return end_embedded(&file, &found, environment);
        }
        end(&Cache::open(environment)?, &session(&found)?)
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
fn end_embedded(file: &Path, found: &Found, environment: &Environment) -> Result<(), CliError> {
    let connection = ConnectionOptions::of_context(file.to_owned(), found.context.clone()).connect(environment)?;
    log_out(&connection, None)?;
    kubeconfig::change(file, |config| kubeconfig::remove_token(config, &found.context))?;
    print(&format!("The session of context {} is ended, and its token removed.\n", found.context));
    Ok(())
}

/// The file and the context of ours in it.
fn find(files: &[PathBuf], context: Option<&str>) -> Result<(PathBuf, Found), CliError> {
    let mut configs = Vec::new();
    for file in files {
        configs.push((file, kubeconfig::read(file)?));
    }
    let name = context.map(str::to_owned).or_else(|| configs.iter().find_map(|(_, config)| current(config)));
    let found = name
        .as_deref()
        .and_then(|name| configs.iter().find_map(|(file, config)| Some(((*file).clone(), in_file(config, name)?))));
    found.ok_or_else(|| {
        let which = name.map_or_else(
            || "there is no current context".into(),
            |name| format!("context {name} is not one that `strongroom login` wrote"),
        );
        CliError::NotDone(format!("{which}: give --context, or --all for every session kept here"))
    })
}

#[expect(clippy::disallowed_methods, reason = "the kubeconfig is searched for its current context")]
fn current(config: &Document) -> Option<String> {
    let name = config.expose().get("current-context")?.as_str()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the kubeconfig is searched for a context")]
fn in_file(config: &Document, name: &str) -> Option<Found> {
    kubeconfig::find(config.expose(), Some(name))
}

/// Whose session an `exec` entry of ours is about.
fn session(found: &Found) -> Result<SessionKey, CliError> {
    let after = |name: &str| {
        let at = found.exec_arguments.iter().position(|argument| argument == name)?;
        found.exec_arguments.get(at + 1).cloned()
    };
    let wrong =
        || ConfigError::new(&found.context, "its `exec` entry was changed: sign in again with `strongroom login`");
    let (server, user) = (after("--server").ok_or_else(wrong)?, after("--user").ok_or_else(wrong)?);
    let pem = STANDARD.decode(&found.trust).map_err(|_| wrong())?;
    Ok(SessionKey {
        server: ServerUrl::parse(&found.context, &server)?,
        trust: certificates(&SecretBytes::new(pem)),
        user,
    })
}
