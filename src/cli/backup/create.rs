//! `strongroom backup create`

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::options::{Bytes, described};
use crate::backup::{AgeWriter, FormatError, Manifest, NoRandomness, Recipient, copy_database, open};
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::home_options::{HomeOption, UnlockOptions};
use crate::cli::output::print;
use crate::cli::{CliError, warn};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Environment, HomePaths};
use crate::kube_client::{ConnectError, Download, Request};
use crate::sensitive::{Document, SecretBytes};
use crate::server::backup as backups;
use crate::server::new_file::NewFile;
use crate::server::private_files::FileError;
use crate::server::survive_file_size_limit;

const PATH: &str = "/strongroom/v1/backups";

/// Options of `backup create`. The server makes the backup; of a home given by --home that no server runs on, it is made here,
/// for which unlocking is needed.
#[derive(Args)]
pub struct Create {
    /// Where to write it, 0600; never over a file that is there
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Encrypt it to this age recipient besides; may be repeated
    #[arg(long, value_name = "AGE1…")]
    recipient: Vec<String>,
    /// Keep slots of passphrases, which whoever has the backup may try to guess, beside those of keys
    #[arg(long)]
    keep_passphrase_slots: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    unlock: UnlockOptions,
}

impl Create {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let recipients = backups::recipients(&self.recipient).map_err(crate::server::ServeError::from)?;
        let home = self.connection.home().map(|home| HomePaths::resolve(Some(home), environment)).transpose()?;
        let is_served = home.as_ref().map(backups::is_served).transpose()?.unwrap_or(true);
        let (manifest, has_passphrases_alone) = if is_served {
            let connection = self.connection.connect(environment)?;
            receive(&connection, &self.output, &recipients, self.keep_passphrase_slots)?
        } else {
            let config = self.unlock.resolve(HomeOption { home: self.connection.home() }, environment)?;
            let clock: SharedClock = Arc::new(SystemClock);
            let keep = self.keep_passphrase_slots;
            backups::create(&config.home, config.unlock, &clock, &self.output, &recipients, keep)?
        };
        print(&format!("{}Written to {}\n", described(&manifest), self.output.display()));
        if has_passphrases_alone {
            warn(
                "nothing but a passphrase opens the backup: whoever gets it can try to guess that. Add a key file or a \
                 recovery key to the home",
            );
        }
        Ok(())
    }
}

/// Has the server make one, and compares what arrives with its manifest.
fn receive(
    connection: &Connection,
    output: &Path,
    recipients: &[Recipient],
    keep_passphrase_slots: bool,
) -> Result<(Manifest, bool), CliError> {
    let _file_size = connection
        .wait_for(async |_| survive_file_size_limit())
        .map_err(|error| CliError::NotDone(format!("a limit on the size of files cannot be heeded: {error}")))?;
    // Before the server works for nothing.
    let mut file = NewFile::begin(output)?;
    let asked = if keep_passphrase_slots {
        body(&Document::new(json!({"keepPassphraseSlots": true})))
    } else {
        SecretBytes::new(Vec::new())
    };
    let request = Request::post(PATH, asked).accepting("*/*");
    let download = connection.wait_for(async |client| client.download(request).await)?;
    let download = download.map_err(|failure| connection.refusal(failure))?;
    let mut failure = None;
    let received = Received { connection, download, bytes: Vec::new(), given: 0, failure: &mut failure };
    let written = write(received, output, &mut file, recipients);
    // What the connection says is clearer than that something is cut off.
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let manifest = written?;
    file.finish()?;
    let has_passphrases_alone = manifest.slots.iter().all(|slot| slot == "passphrase");
    Ok((manifest, has_passphrases_alone))
}

fn write(
    received: Received<'_>,
    output: &Path,
    file: &mut NewFile,
    recipients: &[Recipient],
) -> Result<Manifest, CliError> {
    let unwritten = |error| CliError::File(FileError::io(output, error));
    // An error of reading is told by the connection.
    let failed = |error| match error {
        FormatError::Io(error) => unwritten(error),
        other => other.into(),
    };
    let mut opened = open(received, &[])?;
    let manifest = opened.header.manifest.clone();
    let mut progress = Bytes::of(manifest.database_bytes, "MiB received");
    let mut advance = |count| progress.advance(count);
    let head = opened.header.to_bytes();
    if recipients.is_empty() {
        file.write_all(&head).map_err(unwritten)?;
        copy_database(&mut opened.rest, &manifest, file, &mut advance).map_err(failed)?;
    } else {
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
        let mut writer = AgeWriter::begin(file, recipients, &mut random).map_err(unwritten)?;
        writer.write_all(&head).map_err(unwritten)?;
        copy_database(&mut opened.rest, &manifest, &mut writer, &mut advance).map_err(failed)?;
        writer.finish().map_err(unwritten)?;
    }
    Ok(manifest)
}

/// What the server sends, to be read. An error of the connection is kept in its own words.
struct Received<'c> {
    connection: &'c Connection,
    download: Download,
    bytes: Vec<u8>,
    given: usize,
    failure: &'c mut Option<ConnectError>,
}

impl Read for Received<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.bytes.len() {
            let download = &mut self.download;
            match self.connection.wait_for(async |_| download.next().await) {
                Ok(bytes) => (self.bytes, self.given) = (bytes, 0),
                Err(error) => {
                    *self.failure = Some(error);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
        let left = self.bytes.get(self.given..).unwrap_or_default();
        let (taken, _) = left.split_at(left.len().min(out.len()));
        if let Some(place) = out.get_mut(..taken.len()) {
            place.copy_from_slice(taken);
        }
        self.given += taken.len();
        Ok(taken.len())
    }
}
