//! Secrets of slots as they are given to a command: from files, or typed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::slots;
use crate::cli::{CliError, password};
use crate::config::{Environment, HomePaths};
use crate::sensitive::{Document, SecretBytes};
use crate::server::unlock_files;
use crate::terminal::{Prompt as _, Terminal};

/// Names of the kinds of slots, and of the fields that carry their secrets.
const FIELDS: [(&str, &str); 4] = [
    ("passphrase", "passphrase"),
    ("key-file", "keyFile"),
    ("systemd-credential", "systemdCredential"),
    ("recovery-key", "recoveryKey"),
];

/// What opens the slots that stay.
#[derive(Clone, Default, Args)]
pub struct GivenSecrets {
    /// Key file of the room [default: that of the home, where it is on this machine]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with its passphrase [default: it is asked for on the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File with its recovery key
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// File with what systemd hands over as its credential
    #[arg(long, value_name = "FILE")]
    systemd_credential_file: Option<PathBuf>,
    /// Slot that is given up, because its secret is not at hand; may be repeated
    #[arg(long, value_name = "SLOT", value_parser = ["passphrase", "key-file", "systemd-credential", "recovery-key"])]
    drop: Vec<String>,
}

impl GivenSecrets {
    /// The home's key file, on this machine.
    pub(super) fn key_file(&self, home: Option<PathBuf>, environment: &Environment) -> Option<PathBuf> {
        self.key_file.clone().or_else(|| {
            let paths = HomePaths::resolve(home, environment).ok()?;
            Some(paths.default_key_file().to_owned()).filter(|path| path.exists())
        })
    }

    /// The same, with one slot more that is given up.
    pub(super) fn dropping(&self, slot: &str) -> Self {
        let mut same = self.clone();
        if !same.drop.iter().any(|dropped| dropped == slot) {
            same.drop.push(slot.to_owned());
        }
        same
    }

    /// The same, without the passphrase if it was not given.
    pub(super) fn without_unknown_passphrase(&self) -> Self {
        if self.passphrase_file.is_some() { self.clone() } else { self.dropping("passphrase") }
    }

    /// What a rotation of the root key is asked with: the secret of each slot that stays. `passphrase` is the one that is known
    /// already.
    pub(super) fn collect(
        &self,
        status: &Value,
        passphrase: Option<&SecretBytes>,
        home: Option<&PathBuf>,
        environment: &Environment,
    ) -> Result<Document, CliError> {
        let mut fields = Map::new();
        let mut dropped = Vec::new();
        for (slot, is_in_use) in slots(status) {
            let field = FIELDS.iter().find(|(name, _)| *name == slot).map(|(_, field)| *field);
            let Some(field) = field else {
                return Err(CliError::NotDone(format!("the room has a {slot} slot, which this release does not know")));
            };
            if self.drop.contains(&slot) {
                if is_in_use {
                    fields.insert("force".to_owned(), Value::Bool(true));
                }
                dropped.push(Value::from(slot));
                continue;
            }
            let secret = match slot.as_str() {
                "passphrase" => match passphrase {
                    Some(passphrase) => Some(clone(passphrase)),
                    None => self.passphrase()?,
                },
                "key-file" => read(self.key_file(home.cloned(), environment).as_deref())?,
                "systemd-credential" => read(self.systemd_credential_file.as_deref())?,
                _ => read(self.recovery_key_file.as_deref())?,
            };
            let secret = secret.ok_or_else(|| {
                CliError::NotDone(format!(
                    "the room has a {slot} slot: give its secret with --{slot}{}, or give the slot up with --drop {slot}",
                    if slot == "key-file" { "" } else { "-file" }
                ))
            })?;
            fields.insert(field.to_owned(), Value::from(password::text(&secret)?));
        }
        // By name: a slot that is new since then is neither here nor there, and the server says so.
        fields.insert("drop".to_owned(), Value::Array(dropped));
        Ok(Document::new(Value::Object(fields)))
    }

    fn passphrase(&self) -> Result<Option<SecretBytes>, CliError> {
        if let Some(path) = &self.passphrase_file {
            return Ok(Some(unlock_files::read_passphrase(path)?));
        }
        if !Terminal.is_available() {
            return Ok(None);
        }
        password::ask(&mut Terminal, "Passphrase of the room: ").map(Some)
    }
}

fn read(path: Option<&Path>) -> Result<Option<SecretBytes>, CliError> {
    Ok(path.map(unlock_files::read_text).transpose()?)
}

#[expect(clippy::disallowed_methods, reason = "the secret goes into another one")]
fn clone(secret: &SecretBytes) -> SecretBytes {
    SecretBytes::new(secret.expose().to_vec())
}

/// A new passphrase: from a file, or typed twice.
pub fn new_passphrase(file: Option<&Path>) -> Result<SecretBytes, CliError> {
    match file {
        Some(path) => Ok(unlock_files::read_passphrase(path)?),
        None if Terminal.is_available() => password::ask_new(&mut Terminal, "the room"),
        None => Err(CliError::NotDone(
            "there is no terminal to ask for the passphrase on: give it in a file, with --passphrase-file".into(),
        )),
    }
}
