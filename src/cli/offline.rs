//! `--offline-max-age`: what the server gives is kept, sealed, and stands in where it does not answer.
//!
//! Without the option nothing is written and nothing is read. What it never does: stand in for a server that answers, whatever
//! it answers, or for one that is not to be trusted; keep anything in the clear; or fail a command that the server serves.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;

use super::connection::Connection;
use super::{CliError, warn};
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::config::connection::{offline_directory, offline_key_file};
use crate::config::{ConfigError, Environment, Length};
use crate::deliver::{Found, ObjectName, Objects, OfflineSealer, OfflineTimes, Unusable, is_in_memory};
use crate::kube_client::ConnectError;
use crate::model::age::human_age;
use crate::sensitive::SecretBytes;
use crate::server::private_files::{Access, FileError, Problem, create_new, make_directory, read_secret, replace};

/// A Secret has at most 1 MiB of data; keys and lengths come to it.
const ENTRY_MAX_BYTES: u64 = 4 * 1024 * 1024;
const KEY_MAX_BYTES: usize = 32;
/// What an entry says of its times stands before this.
const HEADER_BYTES: u64 = 64;
const NAME_DIGITS: usize = 64;
/// After so long nobody writes on a file that was begun.
const LEFTOVER: Duration = Duration::from_hours(1);

/// Whether Secrets are kept.
#[derive(Args)]
pub struct OfflineOptions {
    /// Keep what the server gives, sealed, and use it where the server does not answer and it is not older than this
    #[arg(long, value_name = "LENGTH", value_parser = Length::parse, help_heading = "Offline")]
    offline_max_age: Option<Length>,
    /// File of the key that it is sealed with, made where it is missing [default: $XDG_RUNTIME_DIR/strongroom/offline.key]
    #[arg(long, value_name = "FILE", requires = "offline_max_age", help_heading = "Offline")]
    offline_key_file: Option<PathBuf>,
}

/// What is kept of one user of one server.
pub struct Kept {
    sealer: OfflineSealer,
    folder: PathBuf,
    max_age_seconds: i64,
    has_warned: Cell<bool>,
}

impl OfflineOptions {
    /// What is kept, if that is asked for and can be done; that it cannot is told, and no reason to fail. A key that others
    /// may have read is.
    pub(super) fn open(&self, environment: &Environment, connection: &Connection) -> Result<Option<Kept>, CliError> {
        let Some(max_age) = self.offline_max_age else { return Ok(None) };
        let of_session = offline_key_file(environment);
        let Some(key_file) = self.offline_key_file.as_ref().or(of_session.as_ref()) else {
            let problem = "XDG_RUNTIME_DIR, where the key would be, is not set: give --offline-key-file";
            return Err(ConfigError::new("--offline-max-age", problem).into());
        };
        let opened = key(key_file, self.offline_key_file.is_none()).and_then(|key| Ok((key, folder(environment)?)));
        let (key, folder) = match opened {
            Ok(opened) => opened,
            Err(error @ CannotKeep::Refused(_)) => return Err(CliError::NotDone(error.to_string())),
            Err(error @ CannotKeep::Unable(_)) => {
                warn(&format!("nothing is kept for when the server does not answer: {error}"));
                return Ok(None);
            }
        };
        let sealer = connection.with(|client| OfflineSealer::new(&key, client)).ok_or_else(|| {
            let file = key_file.display();
            CliError::NotDone(format!("{file} does not hold a key of 32 bytes: remove it, and another one is made"))
        })?;
        if self.offline_key_file.is_none() && key_file.parent().is_some_and(|folder| !is_in_memory(folder)) {
            warn(&format!("{} is on a disk: whoever has the disk has what is kept", key_file.display()));
        }
        remove_what_is_over(&folder, SystemClock.unix_seconds());
        Ok(Some(Kept { sealer, folder, max_age_seconds: max_age.seconds(), has_warned: Cell::new(false) }))
    }
}

impl Kept {
    /// Is told of each answer of the server: what it gives is kept, and what it refuses or does not have is kept no longer.
    pub fn note(&self, name: &ObjectName, found: &Found) {
        let noted = match found {
            Found::Values(values) => {
                let file = self.file(name);
                let former = times(&file).map_or(0, |times| times.kept_for_seconds);
                let times = OfflineTimes {
                    got_unix_seconds: SystemClock.unix_seconds(),
                    kept_for_seconds: self.max_age_seconds.max(former),
                };
                match self.sealer.seal(name, values, times) {
                    Ok(entry) => replace(&file, &entry).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Found::Absent | Found::Refused(_) => match fs::remove_file(self.file(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(format!("{}: {error}", self.file(name).display()))
                }
                _ => Ok(()),
            },
        };
        if let Err(error) = noted
            && !self.has_warned.replace(true)
        {
            warn(&format!("what the server said is not kept for when it does not answer: {error}"));
        }
    }

    /// All of the Secrets, as they were got before. `silence` is why the server cannot be asked.
    ///
    /// # Errors
    /// One of them is not kept, is too old, or cannot be opened: which, and nothing is given of the others.
    pub fn stand_in(&self, names: &BTreeSet<ObjectName>, silence: &ConnectError) -> Result<Objects, CliError> {
        let now = SystemClock.unix_seconds();
        let (mut objects, mut oldest, mut missing) = (Objects::default(), now, Vec::new());
        for name in names {
            match self.load(name, now) {
                Ok((values, got)) => {
                    oldest = oldest.min(got);
                    objects.insert(name.clone(), Found::Values(values));
                }
                Err(why) => missing.push(format!("{name}: {why}")),
            }
        }
        match missing.as_slice() {
            [] => {
                let (time, age) = (rfc3339(oldest), human_age(now - oldest));
                warn(&format!("the server does not answer; values of {time} ({age} old) are used ({silence})"));
                Ok(objects)
            }
            [one] => Err(CliError::Unavailable(format!("the server does not answer ({silence}). {one}"))),
            several => {
                let lines = several.join("\n  ");
                Err(CliError::Unavailable(format!("the server does not answer ({silence}):\n  {lines}")))
            }
        }
    }

    fn load(&self, name: &ObjectName, now: i64) -> Result<(crate::deliver::Values, i64), String> {
        let file = self.file(name);
        let Ok(found) = fs::symlink_metadata(&file) else { return Err("nothing is kept of it".to_owned()) };
        let max_bytes = usize::try_from(found.len().min(ENTRY_MAX_BYTES)).unwrap_or(0);
        let entry = read_secret(&file, Access::OwnerOnly, max_bytes).map_err(|error| error.to_string())?;
        self.open(name, &entry, now).map_err(|problem| match problem {
            Unusable::Foreign => {
                format!("what is kept of it cannot be opened: {} is damaged, or of another key", file.display())
            }
            Unusable::Old(age) => {
                let (age, most) = (human_age(age), human_age(self.max_age_seconds));
                format!("what is kept of it is {age} old, more than {most}")
            }
            Unusable::ClockWentBack => "what is kept of it is from a time to come: the clock went back".to_owned(),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the bytes are sealed")]
    fn open(
        &self,
        name: &ObjectName,
        entry: &SecretBytes,
        now: i64,
    ) -> Result<(crate::deliver::Values, i64), Unusable> {
        self.sealer.open(name, entry.expose(), now, self.max_age_seconds)
    }

    fn file(&self, name: &ObjectName) -> PathBuf {
        self.folder.join(self.sealer.file_name(name))
    }
}

/// Tells `kept`, if anything is.
pub fn witness(kept: Option<&Kept>) -> impl Fn(&ObjectName, &Found) {
    move |name, found| {
        if let Some(kept) = kept {
            kept.note(name, found);
        }
    }
}

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
enum CannotKeep {
    /// A rule is broken: others could have the key, or could put theirs in its place.
    #[error(transparent)]
    Refused(FileError),
    /// There is no place.
    #[error("{0}")]
    Unable(String),
}

impl From<FileError> for CannotKeep {
    fn from(error: FileError) -> Self {
        match error.problem() {
            Problem::Io(_) => Self::Unable(error.to_string()),
            _ => Self::Refused(error),
        }
    }
}

/// The key, made where there is none; its folder too, where it is ours.
#[expect(clippy::disallowed_methods, reason = "the key goes into its file, mode 0600")]
fn key(file: &Path, makes_folder: bool) -> Result<SecretBytes, CannotKeep> {
    let read = || read_secret(file, Access::OwnerOnly, KEY_MAX_BYTES);
    match read() {
        Err(error) if error.is_not_found() => {}
        Err(error) if matches!(error.problem(), Problem::TooLong(_)) => return Ok(SecretBytes::new(Vec::new())),
        other => return Ok(other?),
    }
    if makes_folder && let Some(folder) = file.parent() {
        make_directory(folder, || true)?;
    }
    let key = OfflineSealer::make_key().map_err(|error| CannotKeep::Unable(error.to_string()))?;
    match create_new(file, key.expose()) {
        // Somebody was faster, and theirs is the key.
        Err(error) if is_taken(&error) => {}
        Err(error) => return Err(error.into()),
        Ok(()) => {}
    }
    Ok(read()?)
}

fn is_taken(error: &FileError) -> bool {
    matches!(error.problem(), Problem::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists)
}

fn folder(environment: &Environment) -> Result<PathBuf, CannotKeep> {
    let none = || CannotKeep::Unable("neither XDG_CACHE_HOME nor HOME is set".to_owned());
    let folder = offline_directory(environment).ok_or_else(none)?;
    make_directory(&folder, || true).map_err(|error| CannotKeep::Unable(error.to_string()))?;
    Ok(folder)
}

fn times(file: &Path) -> Option<OfflineTimes> {
    // A pipe would be waited for.
    fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file)?;
    let mut header = Vec::new();
    fs::File::open(file).ok()?.take(HEADER_BYTES).read_to_end(&mut header).ok()?;
    OfflineTimes::of_entry(&header)
}

/// Entries that are older than anybody asked for, of other users and servers too, and what a killed process has begun. What is
/// no entry is somebody else's.
#[expect(clippy::disallowed_methods, reason = "the time of a file is the system's, and so is what it is compared with")]
fn remove_what_is_over(folder: &Path, now: i64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_name = |name: &str| name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_over = if is_name(&name) {
            times(&entry.path()).is_some_and(|times| times.is_over(now))
        } else {
            let begun = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".new")?.split_once('.'));
            let written = entry.metadata().and_then(|found| found.modified());
            begun.is_some_and(|(name, _)| is_name(name))
                && written.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > LEFTOVER))
        };
        if is_over {
            // What cannot be removed is too old to be used all the same.
            let _ = fs::remove_file(entry.path());
        }
    }
}
