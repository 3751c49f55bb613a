//! Where the unlock secret comes from.
//!
//! The first way that is configured is the one; if it fails, that is an error and no other is tried:
//!
//! 1. `--key-file`, `--passphrase-file` or `--passphrase-prompt`
//! 2. `$CREDENTIALS_DIRECTORY/strongroom-unlock` (systemd)
//! 3. `/run/secrets/strongroom-unlock` (Docker, Podman)
//! 4. `STRONGROOM_KEY_FILE` or `STRONGROOM_PASSPHRASE_FILE`
//! 5. `STRONGROOM_PASSPHRASE`, where `--allow-env-passphrase` allows it
//! 6. the default key file, which a first start makes
//! 7. the terminal, for a home that takes a passphrase
//!
//! A key file is the line `strongroom-unlock-key-v1:` with 32 bytes in base64, or 32 bytes as they are. Because of
//! its first word a key is never taken for a passphrase, nor a passphrase for a key.
//!
//! What this never does: change a file that is there, make a key for a home that has one, or show a secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{PassphraseFromEnvironment, UnlockConfig};
use crate::crypto::{UnlockText, parse_unlock_key, parse_unlock_text, unlock_key_text};
use crate::sensitive::SecretBytes;
use crate::terminal::Prompt;

use super::first_steps::Opener;
use super::private_files::{Access, FileError, create_new, make_directory, read_secret};

const UNLOCK_FILE_MAX_BYTES: usize = 4096;

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 32 random bytes.
    Key,
    /// What a person chose.
    Passphrase,
}

/// Which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A key file that was named.
    KeyFile,
    /// A passphrase file that was named.
    PassphraseFile,
    /// systemd.
    SystemdCredential,
    /// Docker or Podman.
    ContainerSecret,
    /// `STRONGROOM_PASSPHRASE`
    Environment,
    /// The key file of last resort.
    DefaultKeyFile,
    /// The terminal.
    Terminal,
}

/// An unlock secret and how it was come by.
pub struct UnlockSource {
    /// Which way it came.
    pub origin: Origin,
    /// What it is.
    pub form: Form,
    /// The secret: 32 bytes, or the passphrase.
    pub secret: SecretBytes,
    /// The file it was read from.
    pub path: Option<PathBuf>,
    /// Whether that file lies in the home, beside the database.
    pub colocated: bool,
    /// Whether the file was made just now.
    pub is_new: bool,
}

impl UnlockSource {
    /// What may be told of it. The secret is wiped.
    pub fn into_opener(self) -> Opener {
        let name = match self.origin {
            Origin::KeyFile | Origin::DefaultKeyFile => Some("key file"),
            Origin::PassphraseFile => Some("passphrase"),
            // Those files are there for as long as the process is.
            Origin::SystemdCredential | Origin::ContainerSecret | Origin::Environment | Origin::Terminal => None,
        };
        Opener { file: name.zip(self.path), is_in_home: self.colocated }
    }
}

/// What is known of the home when its secret is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is no store: a key may be made.
    FirstStart,
    /// There is one, with these kinds of secret.
    Existing {
        /// Some slot takes a key.
        takes_key: bool,
        /// Some slot takes a passphrase.
        takes_passphrase: bool,
    },
}

/// Why there is no unlock secret.
#[derive(Debug, thiserror::Error)]
pub enum UnlockSourceError {
    /// The file breaks a rule or cannot be read.
    #[error("the unlock secret was not read: {0}")]
    File(#[from] FileError),
    /// A home exists and its key file does not.
    #[error("{} is missing, and the home cannot be opened without it: put the key file back (or name it with --key-file)", .0.display())]
    KeyFileMissing(PathBuf),
    /// The file does not hold a key.
    #[error("{} does not hold a key (the line `strongroom-unlock-key-v1:…`, or 32 bytes): use --passphrase-file for a passphrase", .0.display())]
    NotAKey(PathBuf),
    /// The file holds a key.
    #[error("{} holds a key, not a passphrase: use --key-file", .0.display())]
    NotAPassphrase(PathBuf),
    /// Nothing but the recovery key opens the home.
    #[error(
        "nothing but its recovery key opens this home: a server that is sealed takes it (`strongroom unseal --recovery-key-file`), \
         and so do the commands for backups (--recovery-key-file)"
    )]
    RecoveryAlone,
    /// It could be given at a start, and never be sent.
    #[error("the passphrase is not text in UTF-8: nobody could unseal the server with it. Choose another one")]
    NotText,
    /// No passphrase at all.
    #[error("the passphrase is empty")]
    Empty,
    /// A passphrase in the environment, without leave.
    #[error(
        "STRONGROOM_PASSPHRASE is set but not used: other processes may read a process's environment. Use \
         --passphrase-file, or allow it with --allow-env-passphrase"
    )]
    EnvironmentNotAllowed,
    /// Two different answers.
    #[error("the two passphrases differ: nothing was made")]
    Different,
    /// Nobody to ask.
    #[error("this home is opened with a passphrase, and there is no terminal to ask on: use --passphrase-file")]
    NoTerminal,
    /// The terminal failed or was interrupted.
    #[error("no passphrase was read: {0}")]
    Terminal(io::Error),
    /// No randomness for a key.
    #[error("the operating system gave no randomness: no key was made")]
    Random,
}

/// Finds the unlock secret. `make_key` gives 32 random bytes, and is called only at a first start.
#[expect(clippy::disallowed_methods, reason = "it is looked whether a new secret is text")]
pub fn resolve(
    config: &UnlockConfig,
    home: &Path,
    stage: Stage,
    make_key: &dyn Fn() -> Option<SecretBytes>,
    prompt: &mut dyn Prompt,
) -> Result<UnlockSource, UnlockSourceError> {
    let found = find(config, home, stage, make_key, prompt)?;
    let is_sendable = found.form == Form::Key || std::str::from_utf8(found.secret.expose()).is_ok();
    if stage == Stage::FirstStart && !is_sendable { Err(UnlockSourceError::NotText) } else { Ok(found) }
}

fn find(
    config: &UnlockConfig,
    home: &Path,
    stage: Stage,
    make_key: &dyn Fn() -> Option<SecretBytes>,
    prompt: &mut dyn Prompt,
) -> Result<UnlockSource, UnlockSourceError> {
    let key_file = |path: &Path, origin| key_file(path, origin, home, stage, make_key);
    if let Some(path) = &config.key_file_flag {
        return key_file(path, Origin::KeyFile);
    }
    if let Some(path) = &config.passphrase_file_flag {
        return passphrase_file(path, home);
    }
    if config.prompt {
        return ask(stage, prompt);
    }
    if let Some(path) = config.systemd_credential.as_deref().filter(|path| is_configured(path)) {
        return either_file(path, Origin::SystemdCredential, Access::GroupMayRead, home);
    }
    if is_configured(&config.container_secret) {
        return either_file(&config.container_secret, Origin::ContainerSecret, Access::OwnerOnly, home);
    }
    if let Some(path) = &config.key_file_variable {
        return key_file(path, Origin::KeyFile);
    }
    if let Some(path) = &config.passphrase_file_variable {
        return passphrase_file(path, home);
    }
    match &config.passphrase_variable {
        PassphraseFromEnvironment::Absent => {}
        PassphraseFromEnvironment::NotAllowed => return Err(UnlockSourceError::EnvironmentNotAllowed),
        PassphraseFromEnvironment::Allowed(passphrase) => return from_environment(passphrase),
    }
    match stage {
        // The default is no choice of the user's: a home that takes no key is not held up by a key of another one.
        Stage::Existing { takes_key: false, takes_passphrase: true } => ask(stage, prompt),
        Stage::Existing { takes_key: false, takes_passphrase: false } => Err(UnlockSourceError::RecoveryAlone),
        Stage::Existing { takes_passphrase: true, .. } if !is_configured(&config.default_key_file) => {
            ask(stage, prompt)
        }
        Stage::FirstStart | Stage::Existing { .. } => key_file(&config.default_key_file, Origin::DefaultKeyFile),
    }
}

/// Anything but "not there" counts: a file that cannot be looked at is a configured way that fails.
fn is_configured(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn key_file(
    path: &Path,
    origin: Origin,
    home: &Path,
    stage: Stage,
    make_key: &dyn Fn() -> Option<SecretBytes>,
) -> Result<UnlockSource, UnlockSourceError> {
    let (secret, is_new) = match read_secret(path, Access::OwnerOnly, UNLOCK_FILE_MAX_BYTES) {
        Ok(content) => (parse_unlock_key(&content).ok_or_else(|| UnlockSourceError::NotAKey(path.to_owned()))?, false),
        Err(error) if error.is_not_found() && stage == Stage::FirstStart => (make_key_file(path, make_key)?, true),
        Err(error) if error.is_not_found() => return Err(UnlockSourceError::KeyFileMissing(path.to_owned())),
        Err(error) => return Err(error.into()),
    };
    Ok(from_file(path, origin, Form::Key, secret, home, is_new))
}

/// The key in a file, as [`resolve`] reads it.
pub fn read_key(path: &Path) -> Result<SecretBytes, UnlockSourceError> {
    let content = read_secret(path, Access::OwnerOnly, UNLOCK_FILE_MAX_BYTES)?;
    parse_unlock_key(&content).ok_or_else(|| UnlockSourceError::NotAKey(path.to_owned()))
}

/// The passphrase in a file, as [`resolve`] reads it.
pub fn read_passphrase(path: &Path) -> Result<SecretBytes, UnlockSourceError> {
    let content = read_secret(path, Access::OwnerOnly, UNLOCK_FILE_MAX_BYTES)?;
    match parse_either(&content)? {
        (Form::Passphrase, secret) => Ok(secret),
        (Form::Key, _) => Err(UnlockSourceError::NotAPassphrase(path.to_owned())),
    }
}

#[expect(clippy::disallowed_methods, reason = "a new key is written to its file")]
fn make_key_file(path: &Path, make_key: &dyn Fn() -> Option<SecretBytes>) -> Result<SecretBytes, UnlockSourceError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        make_directory(parent, || false)?;
    }
    let key = make_key().ok_or(UnlockSourceError::Random)?;
    create_new(path, unlock_key_text(&key).expose())?;
    // Read back under the rules of every later start, so that a home is never made whose key would be refused.
    let written = read_secret(path, Access::OwnerOnly, UNLOCK_FILE_MAX_BYTES)?;
    parse_unlock_key(&written).ok_or_else(|| UnlockSourceError::NotAKey(path.to_owned()))
}

fn passphrase_file(path: &Path, home: &Path) -> Result<UnlockSource, UnlockSourceError> {
    let secret = read_passphrase(path)?;
    Ok(from_file(path, Origin::PassphraseFile, Form::Passphrase, secret, home, false))
}

fn either_file(path: &Path, origin: Origin, access: Access, home: &Path) -> Result<UnlockSource, UnlockSourceError> {
    let content = read_secret(path, access, UNLOCK_FILE_MAX_BYTES)?;
    let (form, secret) = parse_either(&content)?;
    Ok(from_file(path, origin, form, secret, home, false))
}

fn from_file(path: &Path, origin: Origin, form: Form, secret: SecretBytes, home: &Path, is_new: bool) -> UnlockSource {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let colocated = real(path).starts_with(real(home));
    UnlockSource { origin, form, secret, path: Some(path.to_owned()), colocated, is_new }
}

#[expect(clippy::disallowed_methods, reason = "the passphrase moves into the source")]
fn from_environment(passphrase: &SecretBytes) -> Result<UnlockSource, UnlockSourceError> {
    if passphrase.is_empty() {
        return Err(UnlockSourceError::Empty);
    }
    let secret = SecretBytes::new(passphrase.expose().to_vec());
    Ok(without_file(Origin::Environment, secret))
}

#[expect(clippy::disallowed_methods, reason = "the two answers are compared")]
fn ask(stage: Stage, prompt: &mut dyn Prompt) -> Result<UnlockSource, UnlockSourceError> {
    if !prompt.is_available() {
        return Err(UnlockSourceError::NoTerminal);
    }
    let secret = if stage == Stage::FirstStart {
        let first = prompt.ask("New passphrase for this home: ").map_err(UnlockSourceError::Terminal)?;
        let second = prompt.ask("The same again: ").map_err(UnlockSourceError::Terminal)?;
        if first.expose() != second.expose() {
            return Err(UnlockSourceError::Different);
        }
        first
    } else {
        prompt.ask("Passphrase: ").map_err(UnlockSourceError::Terminal)?
    };
    if secret.is_empty() {
        return Err(UnlockSourceError::Empty);
    }
    Ok(without_file(Origin::Terminal, secret))
}

fn without_file(origin: Origin, secret: SecretBytes) -> UnlockSource {
    UnlockSource { origin, form: Form::Passphrase, secret, path: None, colocated: false, is_new: false }
}

fn parse_either(content: &SecretBytes) -> Result<(Form, SecretBytes), UnlockSourceError> {
    match parse_unlock_text(content) {
        Some(UnlockText::Key(key)) => Ok((Form::Key, key)),
        Some(UnlockText::Passphrase(passphrase)) => Ok((Form::Passphrase, passphrase)),
        None => Err(UnlockSourceError::Empty),
    }
}

#[cfg(test)]
#[path = "unlock_tests.rs"]
mod tests;
