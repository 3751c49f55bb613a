//! The command: what it inherits, and how it is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::wanted::Delivery;
use crate::cli::{CliError, NOT_STARTED};
use crate::server::Former;

/// What is set for Strongroom itself: where the server is, where its token lies.
const OWN_PREFIX: &[u8] = b"STRONGROOM_";
/// As env(1) and shells end.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// What Linux takes for one `NAME=VALUE` with the NUL behind it (`MAX_ARG_STRLEN`, 32 pages of 4 KiB).
const VARIABLE_MAX_BYTES: usize = 128 * 1024;

/// A command, before it is known what it gets.
pub struct Program {
    words: Vec<OsString>,
    inherited: BTreeMap<OsString, OsString>,
    preserved: Vec<OsString>,
}

impl Program {
    /// These words, with the environment of this process unless `clears` it. What is `preserved` is not replaced.
    pub fn new(words: &[OsString], clears: bool, preserved: &[String]) -> Self {
        let all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let is_own = |name: &OsStr| name.as_encoded_bytes().starts_with(OWN_PREFIX);
        let preserved: Vec<OsString> =
            preserved.iter().map(OsString::from).filter(|name| all.contains_key(name)).collect();
        let mut inherited = all;
        // A name that was given is wanted, whatever it begins with.
        inherited.retain(|name, _| preserved.contains(name) || !(clears || is_own(name)));
        Self { words: words.to_vec(), inherited, preserved }
    }

    /// The command, with what it gets.
    ///
    /// From here on the values are plain, in this process's memory until it is another program, and in that program's
    /// environment for as long as it runs: that is what an environment is. Whoever may debug it can read it.
    #[expect(clippy::disallowed_methods, reason = "the command is given the values")]
    pub fn command(
        &self,
        delivery: &Delivery<'_>,
        volumes: Option<(&'static str, &Path)>,
    ) -> Result<Command, CliError> {
        let mut environment = self.inherited.clone();
        for (name, value) in &delivery.variables.values {
            if cfg!(target_os = "linux") && name.len() + value.len() + 2 > VARIABLE_MAX_BYTES {
                return Err(CliError::NotDone(format!(
                    "nothing was started: the value of variable {name} is longer than a variable can be (128 KiB): deliver it as a file"
                )));
            }
            let name = OsString::from(name);
            if !self.preserved.contains(&name) {
                environment.insert(name, OsString::from_vec(value.expose().to_vec()));
            }
        }
        if let Some((name, path)) = volumes {
            environment.insert(name.into(), path.into());
        }
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().map(OsString::as_os_str).unwrap_or_default());
        command.args(words).env_clear().envs(environment);
        Ok(command)
    }

    /// Turns this process into the command. Returns only if that fails.
    pub fn exec(&self, delivery: &Delivery<'_>, former: &Former) -> CliError {
        match self.command(delivery, None) {
            Ok(mut command) => {
                former.give_back();
                self.failed(&command.exec())
            }
            Err(error) => error,
        }
    }

    /// Why the command does not run.
    pub fn failed(&self, error: &io::Error) -> CliError {
        let name = self.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let (text, code) = match error.kind() {
            io::ErrorKind::NotFound => (format!("{name}: there is no such command"), NOT_FOUND),
            io::ErrorKind::ArgumentListTooLong => (
                format!("{name}: arguments and environment are too long together: deliver values as files"),
                NOT_STARTED,
            ),
            _ => (format!("{name}: {error}"), NOT_EXECUTABLE),
        };
        CliError::NotStarted { text, code }
    }
}
