//! A user's own kubeconfig, read as kubectl reads it.
//!
//! What it never does: read a kubeconfig that somebody else gave. kube's loader runs what an `exec` entry or an
//! `auth-provider` names and reads the files it names, which is right for the user's own file and for no other.

use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{Kubeconfig, KubeconfigError};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::client::check_token;
use super::error::ConnectError;

/// What a context leads to.
pub(super) struct Loaded {
    pub(super) config: Config,
    /// Its name.
    pub(super) context: String,
    /// The name of its user's entry.
    pub(super) user: String,
}

/// Merges the files that are there and resolves the context.
pub(super) fn load(files: &[PathBuf], context: Option<&str>) -> Result<Loaded, ConnectError> {
    let mut merged = Kubeconfig::default();
    for file in files {
        let read = match Kubeconfig::read_from(file) {
            // As kubectl does it: a file of the list need not be there.
            Err(KubeconfigError::ReadConfig(error, _))
                if files.len() > 1 && error.kind() == std::io::ErrorKind::NotFound =>
            {
                continue;
            }
            Err(KubeconfigError::Parse(_)) => return Err(ConnectError::Kubeconfig(file.clone())),
            other => other,
        };
        merged = read.and_then(|read| merged.merge(read)).map_err(|error| ConnectError::of_kubeconfig(&error))?;
    }
    // What kubectl writes where no context is chosen.
    merged.current_context = merged.current_context.filter(|name| !name.is_empty());
    let asks_for_proxy = asks_for_proxy(&merged, context);
    let name = context.or(merged.current_context.as_deref()).unwrap_or_default().to_owned();
    let found = merged.contexts.iter().find(|context| context.name == name);
    let user = found.and_then(|found| found.context.as_ref()?.user.clone()).unwrap_or_default();
    let mut config = resolve(merged, context)?;
    if asks_for_proxy {
        return Err(ConnectError::Unusable("`proxy-url` is not supported".to_owned()));
    }
    // kube's client would send the line end that most such files have.
    if let Some(path) = config.auth_info.token_file.take().filter(|_| config.auth_info.token.is_none()) {
        config.auth_info.token = Some(read_token(Path::new(&path))?);
    }
    if let Some(token) = &config.auth_info.token {
        check_token(token.expose_secret())?;
    }
    // The loader fills it from the environment too, whose proxies are not gone through.
    config.proxy_url = None;
    Ok(Loaded { config, context: name, user })
}

fn read_token(path: &Path) -> Result<SecretString, ConnectError> {
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|source| ConnectError::File { path: path.to_owned(), source })?;
    Ok(SecretString::from(text.trim()))
}

fn resolve(merged: Kubeconfig, context: Option<&str>) -> Result<Config, ConnectError> {
    match context {
        None => Config::try_from(merged),
        Some(name) => Config::try_from(Kubeconfig { current_context: Some(name.to_owned()), ..merged }),
    }
    .map_err(|error| ConnectError::of_kubeconfig(&error))
}

fn asks_for_proxy(config: &Kubeconfig, context: Option<&str>) -> bool {
    let name = context.or(config.current_context.as_deref());
    let context = config.contexts.iter().find(|context| Some(context.name.as_str()) == name);
    let cluster = context.and_then(|context| context.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = config.clusters.iter().find(|named| Some(named.name.as_str()) == cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()).and_then(|cluster| cluster.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}
