//! Backups of a home that is served: one at a time, for whoever asks and by the schedule.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::make::{make, recipients, write_new};
use crate::api::{Backup, BackupRefused, Backups};
use crate::backup::{BackupName, Keep, Manifest, Recipient, Schedule};
use crate::clock::SharedClock;
use crate::config::{BackupKeep, BackupSchedule, HomePaths};
use crate::crypto::Keyring;
use crate::sensitive::SecretBytes;
use crate::server::ServeError;
use crate::server::private_files::{FileError, remove_leftovers_of};
use crate::store::{StateChange, Store};

/// The store's own value that tells of the last backup.
const LAST_KEY: &str = "backup.last";
/// How often is looked whether one is due.
const LOOK: Duration = Duration::from_mins(1);
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
/// After one that failed.
const RETRY_SECONDS: i64 = 300;
/// The last one may be older than the schedule says by this part of it before that is worth saying.
const LATE_PART: i64 = 4;

/// See the module.
pub struct Online {
    paths: HomePaths,
    store: Store,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    runtime: tokio::runtime::Handle,
    /// Held while one is made.
    gate: Arc<Semaphore>,
    /// Held while one is made for whoever asks, and sent. The schedule does not wait for who reads slowly.
    sending: Arc<Semaphore>,
    scheduled: Option<Scheduled>,
    status: Mutex<Status>,
}

struct Scheduled {
    directory: PathBuf,
    schedule: Schedule,
    recipients: Vec<Recipient>,
}

#[derive(Default)]
struct Status {
    last: Option<Last>,
    made: u64,
    failures: u64,
    /// The last attempt failed.
    is_failing: bool,
    retry_at_unix_seconds: Option<i64>,
}

/// The last backup.
#[derive(Clone)]
struct Last {
    created_unix_seconds: i64,
    sequence: u64,
    revision: u64,
    bytes: u64,
    /// By the schedule.
    is_scheduled: bool,
}

impl Last {
    fn of(manifest: &Manifest, bytes: u64, is_scheduled: bool) -> Self {
        let Manifest { created_unix_seconds, sequence, revision, .. } = *manifest;
        Self { created_unix_seconds, sequence, revision, bytes, is_scheduled }
    }

    fn to_value(&self) -> Value {
        json!({
            "created": shown(self.created_unix_seconds), "sequence": self.sequence, "revision": self.revision,
            "bytes": self.bytes, "by": if self.is_scheduled { "schedule" } else { "request" },
        })
    }

    fn read(value: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(value).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            created_unix_seconds: value.get("created")?.as_str()?.parse::<jiff::Timestamp>().ok()?.as_second(),
            sequence: number("sequence")?,
            revision: number("revision")?,
            bytes: number("bytes")?,
            is_scheduled: value.get("by")?.as_str()? == "schedule",
        })
    }
}

/// Why one by the schedule was not made.
enum NotMade {
    /// Another one is being made; the next look will do.
    Busy,
    Failed(ServeError),
}

impl Online {
    /// Of an open home. Call inside the runtime.
    #[expect(clippy::disallowed_methods, reason = "times and numbers of the last backup are no secret")]
    pub fn open(
        paths: &HomePaths,
        store: Store,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        schedule: Option<BackupSchedule>,
    ) -> Result<Arc<Self>, ServeError> {
        let scheduled = schedule.map(Scheduled::of).transpose()?;
        let last = store.read_state(LAST_KEY).map_err(ServeError::store)?;
        let last = last.and_then(|value| Last::read(value.expose()));
        let status = Mutex::new(Status { last, ..Status::default() });
        let (gate, sending) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let runtime = tokio::runtime::Handle::current();
        Ok(Arc::new(Self { paths: paths.clone(), store, keyring, clock, runtime, gate, sending, scheduled, status }))
    }

    /// Whether there is a schedule to be [run](Online::run).
    pub fn is_scheduled(&self) -> bool {
        self.scheduled.is_some()
    }

    /// Makes what is due, until it is aborted.
    pub async fn run(self: Arc<Self>) {
        if let Some(scheduled) = &self.scheduled {
            scheduled.clean(self.keyring.store_id());
        }
        loop {
            let own = Arc::clone(&self);
            let wait = tokio::task::spawn_blocking(move || own.look()).await.unwrap_or(LOOK);
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until none is being made.
    pub async fn settle(&self) {
        // Never closed.
        drop(self.gate.acquire().await);
    }

    /// Makes one if it is due; how long to wait before the next look.
    fn look(&self) -> Duration {
        let Some(scheduled) = &self.scheduled else { return LOOK };
        let now = self.clock.unix_seconds();
        let retry = self.status().retry_at_unix_seconds.filter(|at| *at <= now.saturating_add(RETRY_SECONDS));
        let due = scheduled.next_due(self.keyring.store_id(), now).max(retry.unwrap_or(i64::MIN));
        if now < due {
            let seconds = u64::try_from(due.saturating_sub(now)).unwrap_or_default();
            return Duration::from_secs(seconds).clamp(LOOK_AT_LEAST, LOOK);
        }
        match self.make_scheduled(scheduled, now) {
            Ok(()) => LOOK_AT_LEAST,
            Err(NotMade::Busy) => LOOK,
            Err(NotMade::Failed(error)) => {
                tracing::error!(%error, directory = %scheduled.directory.display(), "the backup that is due was not made");
                let mut status = self.status();
                status.failures += 1;
                status.is_failing = true;
                status.retry_at_unix_seconds = Some(now.saturating_add(RETRY_SECONDS));
                LOOK
            }
        }
    }

    fn make_scheduled(&self, scheduled: &Scheduled, now: i64) -> Result<(), NotMade> {
        let Ok(_permit) = Arc::clone(&self.gate).try_acquire_owned() else { return Err(NotMade::Busy) };
        let write = || {
            scheduled.prepare_directory()?;
            let made = make(&self.paths, &self.keyring, false, now)?;
            let name = scheduled.name(made.manifest.store_id, now);
            let path = scheduled.directory.join(name.to_text());
            let last = Last::of(&made.manifest, made.length(), true);
            write_new(&path, &mut made.into_content(), &scheduled.recipients)?;
            Ok::<_, ServeError>((path, last))
        };
        let (path, last) = write().map_err(NotMade::Failed)?;
        tracing::info!(file = %path.display(), backup.sequence = last.sequence, "a backup was made");
        self.note_success(last);
        scheduled.remove_superseded(self.keyring.store_id(), now);
        Ok(())
    }

    /// Where there is a schedule, that alone is what is looked after: somebody's download is no backup that is kept.
    fn note_success(&self, last: Last) {
        if self.is_scheduled() && !last.is_scheduled {
            self.status().made += 1;
            return;
        }
        let value = SecretBytes::new(last.to_value().to_string().into_bytes());
        {
            let mut status = self.status();
            status.last = Some(last);
            status.made += 1;
            status.is_failing = false;
            status.retry_at_unix_seconds = None;
        }
        let store = self.store.clone();
        self.runtime.spawn(async move {
            if let Err(error) = store.write_state(vec![StateChange::put(LAST_KEY, value)], None).await {
                tracing::warn!(%error, "the time of the last backup could not be noted");
            }
        });
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backups for Arc<Online> {
    fn make(&self, keep_passphrase_slots: bool) -> Result<Backup, BackupRefused> {
        let permit = Arc::clone(&self.sending).try_acquire_owned().map_err(|_| BackupRefused::Busy)?;
        let making = self.gate.try_acquire().map_err(|_| BackupRefused::Busy)?;
        let now = self.clock.unix_seconds();
        let made = make(&self.paths, &self.keyring, keep_passphrase_slots, now).map_err(|error| {
            tracing::error!(%error, "a backup was not made");
            self.status().failures += 1;
            BackupRefused::Failed
        })?;
        drop(making);
        let name = BackupName { store_id: made.manifest.store_id, created_unix_seconds: now, is_encrypted: false };
        let (length, last) = (made.length(), Last::of(&made.manifest, made.length(), false));
        let own = Arc::clone(self);
        Ok(Backup {
            length,
            name: name.to_text(),
            content: Box::new(Held { content: made.into_content(), _permit: permit }),
            sent: Box::new(move || own.note_success(last)),
        })
    }

    fn report(&self) -> Value {
        let now = self.clock.unix_seconds();
        let schedule = self.scheduled.as_ref().map(|scheduled| scheduled.report(self.keyring.store_id(), now));
        let status = self.status();
        json!({
            "schedule": schedule,
            "last": status.last.as_ref().map(Last::to_value),
            "failures": status.failures,
            "failing": status.is_failing,
        })
    }

    fn note(&self) -> Option<String> {
        let status = self.status();
        let schedule = self.scheduled.as_ref().map(|scheduled| scheduled.schedule);
        if status.last.is_none() && schedule.is_none() {
            return None;
        }
        let age = status.last.as_ref().map(|last| self.clock.unix_seconds().saturating_sub(last.created_unix_seconds));
        let mut text = match age {
            None => "there is none yet".to_owned(),
            Some(age) => format!("the last one is {} old", length(age)),
        };
        if let Some(Schedule { every_seconds, .. }) = schedule {
            let is_late = age.is_some_and(|age| age > every_seconds.saturating_add(every_seconds / LATE_PART));
            if status.is_failing {
                text.push_str(", and the last try failed: see the server's log");
            } else if is_late {
                let _ = write!(text, ", and one is due every {}", length(every_seconds));
            }
        }
        Some(text)
    }

    fn write_metrics(&self, text: &mut String) {
        let status = self.status();
        // Writing to a String does not fail.
        let mut metric = |name: &str, kind: &str, help: &str, value: i128| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        if let Some(last) = &status.last {
            let (made, age) = (last.created_unix_seconds, self.clock.unix_seconds() - last.created_unix_seconds);
            let help = "When the last backup was made.";
            metric("strongroom_backup_last_success_timestamp_seconds", "gauge", help, made.into());
            metric("strongroom_backup_age_seconds", "gauge", "Age of the last backup.", age.into());
            metric("strongroom_backup_size_bytes", "gauge", "Size of the last backup.", last.bytes.into());
        }
        metric("strongroom_backups_total", "counter", "Backups made since the start.", status.made.into());
        let help = "Backups that were not made, since the start.";
        metric("strongroom_backup_failures_total", "counter", help, status.failures.into());
    }
}

/// What is sent, and the right to be the only one.
struct Held<R> {
    content: R,
    _permit: OwnedSemaphorePermit,
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.content.read(out)
    }
}

impl Scheduled {
    fn of(config: BackupSchedule) -> Result<Self, ServeError> {
        let BackupSchedule { directory, every, keep, recipients: texts } = config;
        let keep = match keep {
            BackupKeep::Newest(count) => Keep::Newest(count),
            BackupKeep::Age(length) => Keep::Seconds(length.seconds()),
        };
        let schedule = Schedule { every_seconds: every.seconds(), keep };
        Ok(Self { directory, schedule, recipients: recipients(&texts)? })
    }

    fn name(&self, store_id: [u8; 16], created_unix_seconds: i64) -> BackupName {
        BackupName { store_id, created_unix_seconds, is_encrypted: !self.recipients.is_empty() }
    }

    /// Makes the directory, but none above it: what is to be mounted there may be missing.
    fn prepare_directory(&self) -> Result<(), FileError> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(FileError::io(&self.directory, error)),
            _ => Ok(()),
        }
    }

    /// This store's backups that are there, with their sizes.
    fn own(&self, store_id: [u8; 16]) -> Vec<(BackupName, u64)> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let own = entries.filter_map(|entry| {
            let name = BackupName::parse(entry.file_name().to_str()?).filter(|name| name.store_id == store_id)?;
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((name, metadata.len()))
        });
        let mut own: Vec<_> = own.collect();
        own.sort_unstable_by_key(|(name, _)| name.created_unix_seconds);
        own
    }

    fn next_due(&self, store_id: [u8; 16], now: i64) -> i64 {
        self.schedule.next_due(self.own(store_id).iter().map(|(name, _)| name.created_unix_seconds), now)
    }

    fn remove_superseded(&self, store_id: [u8; 16], now: i64) {
        let names: Vec<BackupName> = self.own(store_id).into_iter().map(|(name, _)| name).collect();
        for name in self.schedule.superseded(store_id, &names, now) {
            let path = self.directory.join(name.to_text());
            match fs::remove_file(&path) {
                Ok(()) => tracing::info!(file = %path.display(), "a backup that is not to be kept was removed"),
                Err(error) => tracing::warn!(%error, file = %path.display(), "a backup could not be removed"),
            }
        }
    }

    /// Takes away what a process that was killed has left of one.
    fn clean(&self, store_id: [u8; 16]) {
        let is_own = |name: &str| BackupName::parse(name).is_some_and(|name| name.store_id == store_id);
        remove_leftovers_of(&self.directory, is_own);
    }

    fn report(&self, store_id: [u8; 16], now: i64) -> Value {
        let files: Vec<Value> = self
            .own(store_id)
            .iter()
            .map(|(name, bytes)| {
                json!({"name": name.to_text(), "created": shown(name.created_unix_seconds), "bytes": bytes})
            })
            .collect();
        let keep = match self.schedule.keep {
            Keep::Newest(count) => json!({"newest": count}),
            Keep::Seconds(seconds) => json!({"seconds": seconds}),
        };
        let recipients: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        json!({
            "directory": directory_text(&self.directory), "everySeconds": self.schedule.every_seconds, "keep": keep,
            "recipients": recipients, "next": shown(self.next_due(store_id, now)), "files": files,
        })
    }
}

fn directory_text(directory: &Path) -> String {
    directory.display().to_string()
}

fn shown(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).unwrap_or_default().to_string()
}

/// A length of time in its largest unit.
fn length(seconds: i64) -> String {
    let (count, unit) = match seconds.max(0) {
        seconds @ ..120 => (seconds, "second"),
        seconds @ ..7_200 => (seconds / 60, "minute"),
        seconds @ ..172_800 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
