//! Contexts that `strongroom login` wrote, found again in the user's kubeconfig.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cache::{Cache, SessionKey};
use super::tokens::{Tokens, text};
use crate::cli::CliError;
use crate::cli::connection::certificates;
use crate::cli::kubeconfig::{self, Found};
use crate::config::{ConfigError, Environment, ServerUrl};
use crate::sensitive::{Document, SecretBytes};

/// A context, and the file it is in.
pub struct OwnContext {
    /// The file.
    pub file: PathBuf,
    found: Found,
}

impl OwnContext {
    /// Finds the context of this name, or the current one.
    pub fn find(files: &[PathBuf], context: Option<&str>) -> Result<Self, CliError> {
        let mut configs = Vec::new();
        for file in files {
            configs.push((file, kubeconfig::read(file)?));
        }
        let name = context.map(str::to_owned).or_else(|| configs.iter().find_map(|(_, config)| current(config)));
        let found = name.as_deref().and_then(|name| {
            configs
                .iter()
                .find_map(|(file, config)| Some(Self { file: (*file).clone(), found: in_file(config, name)? }))
        });
        found.ok_or_else(|| {
            let which = name.map_or_else(
                || "there is no current context".to_owned(),
                |name| format!("context {name} is not one that `strongroom login` wrote"),
            );
            CliError::NotDone(format!("{which}: give --context, or --all for every session kept here"))
        })
    }

    /// The context's name.
    pub fn name(&self) -> &str {
        &self.found.context
    }

    /// Whose session it is; `None` where the token itself stands in the kubeconfig.
    pub fn session(&self) -> Result<Option<SessionKey>, CliError> {
        let arguments = &self.found.exec_arguments;
        if arguments.is_empty() {
            return Ok(None);
        }
        let after = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let advice = "its `exec` entry was changed: sign in again with `strongroom login`";
        let wrong = || ConfigError::new(self.name(), advice);
        let (server, user) = (after("--server").ok_or_else(wrong)?, after("--user").ok_or_else(wrong)?);
        let pem = STANDARD.decode(&self.found.trust).map_err(|_| wrong())?;
        let trust = certificates(&SecretBytes::new(pem));
        Ok(Some(SessionKey { server: ServerUrl::parse(self.name(), &server)?, trust, user }))
    }

    /// Puts tokens in the place of those before, wherever they are kept.
    pub fn store(&self, tokens: &Tokens, environment: &Environment) -> Result<(), CliError> {
        if let Some(key) = self.session()? {
            return Cache::open(environment)?.lock(&key)?.store(tokens);
        }
        let token = text(&tokens.access)?;
        kubeconfig::change(&self.file, |config| kubeconfig::set_token(config, self.name(), Some(token)))
    }
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
