//! Options that several commands share, and those of `serve` that concern backups.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::backup::{Identity, Manifest, parse_identities};
use crate::cli::CliError;
use crate::cli::connection::read_bounded;
use crate::cli::home_options::UnlockOptions;
use crate::cli::progress::Progress;
use crate::config::{BackupFlags, UnlockConfig};
use crate::server::backup::OpenWith;

const IDENTITIES_MAX_BYTES: u64 = 64 * 1024;
const BYTES_PER_MIB: u64 = 1024 * 1024;

/// Options of `serve`.
#[derive(Args)]
pub struct BackupOptions {
    /// Make backups by yourself, in this directory [env: STRONGROOM_BACKUP_DIRECTORY]
    #[arg(long = "backup-directory", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// From one backup to the next: 6h, 1d [env: STRONGROOM_BACKUP_EVERY] [default: 24h]
    #[arg(long = "backup-every", value_name = "DURATION")]
    every: Option<String>,
    /// How many backups are kept, or for how long: 7, 30d [env: STRONGROOM_BACKUP_KEEP] [default: 7]
    #[arg(long = "backup-keep", value_name = "N|DURATION")]
    keep: Option<String>,
    /// Encrypt backups to this age recipient besides; may be repeated [env: STRONGROOM_BACKUP_RECIPIENTS, separated by commas]
    #[arg(long = "backup-recipient", value_name = "AGE1…")]
    recipient: Vec<String>,
}

impl BackupOptions {
    pub(in crate::cli) fn into_flags(self) -> BackupFlags {
        BackupFlags { directory: self.directory, every: self.every, keep: self.keep, recipients: self.recipient }
    }
}

/// What opens a backup.
#[derive(Args)]
pub struct OpenOptions {
    #[command(flatten)]
    pub unlock: UnlockOptions,
    /// Unlock with the written recovery key in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_file", "passphrase_file", "passphrase_prompt"])]
    recovery_key_file: Option<PathBuf>,
    /// Decrypt with the age identities in this file
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl OpenOptions {
    /// The identities, and what is left of the options.
    pub fn identities(&self) -> Result<Vec<Identity>, CliError> {
        let Some(path) = &self.identity else { return Ok(Vec::new()) };
        let identities = parse_identities(&read_bounded(path, IDENTITIES_MAX_BYTES)?);
        identities.map_err(|error| CliError::NotDone(format!("{}: {error}", path.display())))
    }

    /// The recovery key's file beside the usual ways.
    pub fn with(recovery_key_file: Option<PathBuf>, unlock: UnlockConfig) -> OpenWith {
        OpenWith { unlock, recovery_key_file }
    }

    /// `--recovery-key-file`
    pub fn recovery_key_file(&self) -> Option<PathBuf> {
        self.recovery_key_file.clone()
    }
}

/// Shows how much of a backup was read or received.
pub struct Bytes {
    progress: Progress,
    bytes: u64,
}

impl Bytes {
    /// Of a file of this length.
    pub fn of(length: u64, what: &'static str) -> Self {
        Self { progress: Progress::of(Some(length.div_ceil(BYTES_PER_MIB)), what), bytes: 0 }
    }

    /// Of the file at `path`.
    pub fn of_file(path: &Path, what: &'static str) -> Self {
        Self::of(std::fs::metadata(path).map_or(0, |metadata| metadata.len()), what)
    }

    /// So many bytes more.
    pub fn advance(&mut self, count: u64) {
        let before = self.bytes / BYTES_PER_MIB;
        self.bytes += count;
        self.progress.advance(self.bytes / BYTES_PER_MIB - before);
    }
}

/// What a backup says of itself, for people.
pub fn described(manifest: &Manifest) -> String {
    let left_out = match manifest.slots_left_out {
        0 => String::new(),
        1 => " (the passphrase's slot was left out)".to_owned(),
        count => format!(" ({count} slots of passphrases were left out)"),
    };
    format!(
        "backup of {}, made by release {}\nstore {}, revision {}, sequence {}, restore epoch {}\nopened by: {}{left_out}\n",
        manifest.created(),
        manifest.release,
        hex::encode(manifest.store_id),
        manifest.revision,
        manifest.sequence,
        manifest.restore_epoch,
        manifest.slots.join(", "),
    )
}
