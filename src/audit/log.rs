//! The audit log of a home: everything that is recorded and is no committed change goes through here.
//!
//! ```text
//! event ──► append ──► number, link, write(2) ──► answer
//!              │ every 1,000 events or 60 s            │ the write fails
//!              ▼                                       ▼
//!          checkpoint, signed                    refused: 503 until a probe has written again
//! ```
//!
//! When [`AuditLog::append`] returns, the line has left the process: it survives kill -9. Against a power cut there is
//! [`SyncMode::Always`]; otherwise the disk has it with the next checkpoint's sync.
//!
//! What it never does: drop a record in silence, write on behind a failed write, or wait for a disk while others
//! could write (but to begin a file).

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::appender::{Appended, Appender, Checkpointed, MutationsEnd, Tools};
use super::copies;
use super::files::LINE_MAX_BYTES;
use super::flood::{Flood, FloodLimits, Source};
use super::refused::{CLOSED, DISK, NO_LINE, Refused, is_passing, reason};
use super::retention;
use super::settings::{Settings, SyncMode};
use super::sink::{OpenSink, Sink};
use crate::clock::SharedClock;
use crate::crypto::{AuditPublicKey, ChainEnd, Keyring};
use crate::sensitive::SecretBytes;

/// Milliseconds after which lines without a checkpoint get one.
const CHECKPOINT_MILLIS: u64 = 60_000;
/// How often old files are looked for.
const RETENTION_MILLIS: u64 = 3_600_000;
/// Copies that are written before others get their turn.
const COPIES_AT_ONCE: usize = 16;
/// What verifies signatures, for third parties.
const PUBLIC_KEY_FILE: &str = "signing-key.pub";

/// What a log is opened with.
pub struct OpenOptions {
    /// Where its files are. The directory above must be there.
    pub directory: PathBuf,
    /// Links lines; the key of signatures is derived from it.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: SharedClock,
    /// How it is kept.
    pub settings: Settings,
    /// The last checkpoint that was noted in the store: lines before it cannot be missing.
    pub kept: Option<ChainEnd>,
    /// A log that has no line yet begins with the copies of records of mutations behind this one: those up to it are in another
    /// log, of before a backup was restored.
    pub begins_behind: u64,
    /// How far the chain of mutations has come, for checkpoints.
    pub mutations_end: MutationsEnd,
}

/// The log cannot be opened, and trying again would not help.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source} (the audit log needs a directory that it may read and write)", .directory.display())]
pub struct OpenError {
    directory: PathBuf,
    source: io::Error,
}

/// See the module.
pub struct AuditLog {
    directory: PathBuf,
    settings: Settings,
    clock: SharedClock,
    public_key: AuditPublicKey,
    appender: Mutex<Appender>,
    refused: Mutex<Option<Refused>>,
    flood: Mutex<Flood>,
    progress: Mutex<Progress>,
    synced: Condvar,
    /// Held while the disk is waited for. A failure is told to one caller only: it must be known to all before another
    /// one asks.
    syncing: Mutex<()>,
    anchor: Mutex<Anchor>,
    /// See [`AuditLog::want_checkpoint`].
    is_checkpoint_wanted: AtomicBool,
    retention: Mutex<RetentionMark>,
}

/// The last checkpoint that is on the disk. What is noted of it elsewhere cannot be missing later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anchor {
    /// The line before it, if there is one.
    pub end: Option<ChainEnd>,
    /// The last record of mutations that is known to be copied before it.
    pub copied: u64,
}

impl From<Checkpointed> for Anchor {
    fn from(checkpoint: Checkpointed) -> Self {
        Self { end: Some(checkpoint.end), copied: checkpoint.copied }
    }
}

/// A place in the log, and which records of mutations are copied before it: what is behind that one in their chain and
/// what is before this place in the log is every event once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// Number of the file.
    pub file: u64,
    /// Bytes of it.
    pub position: u64,
    /// The last record of mutations that is copied.
    pub copied: u64,
}

/// How far the disk has come, for those who wait for it.
#[derive(Default)]
struct Progress {
    synced: u64,
    is_syncing: bool,
    /// Lines that were not known to be on the disk when it failed, first and last.
    lost: Option<(u64, u64)>,
}

impl Progress {
    fn has_lost(&self, sequence: u64) -> bool {
        self.lost.is_some_and(|(first, last)| (first..=last).contains(&sequence))
    }

    /// Lines behind those that are on the disk, up to `last`, are lost. Two such ranges become one: who waits for a line
    /// in between has long been told.
    fn lose(&mut self, last: u64) {
        let first = self.lost.map_or(self.synced + 1, |(first, _)| first);
        self.lost = Some((first, last));
    }
}

/// When old files were looked for last.
#[derive(Default)]
struct RetentionMark {
    unix_millis: Option<i64>,
    file: u64,
}

impl AuditLog {
    /// Finds the end of the log and goes on from there. What is not as it was written is recorded and told by
    /// [`AuditLog::findings`]; a disk that is full only now is no error but a refusal.
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        Self::open_with(options, Box::new(|file| Ok(Arc::new(file))))
    }

    pub(super) fn open_with(options: OpenOptions, open_sink: OpenSink) -> Result<Self, OpenError> {
        let OpenOptions { directory, keyring, clock, settings, kept, begins_behind, mutations_end } = options;
        let signer = keyring.derive_audit_signer();
        let public_key = signer.public_key();
        let tools = Tools {
            directory: directory.clone(),
            keyring,
            signer,
            clock: Arc::clone(&clock),
            open_sink,
            mutations_end,
            max_file_bytes: settings.max_file_bytes,
        };
        let log = Self {
            settings,
            clock,
            public_key,
            appender: Mutex::new(Appender::new(tools, kept, begins_behind)),
            refused: Mutex::default(),
            flood: Mutex::new(Flood::new(FloodLimits::default())),
            progress: Mutex::default(),
            synced: Condvar::new(),
            syncing: Mutex::default(),
            anchor: Mutex::new(Anchor { end: kept, copied: 0 }),
            is_checkpoint_wanted: AtomicBool::new(false),
            retention: Mutex::default(),
            directory,
        };
        {
            let mut appender = lock(&log.appender);
            if let Err(source) = appender.mend() {
                if !is_passing(&source) {
                    return Err(OpenError { directory: log.directory, source });
                }
                log.refuse(&mut appender, &source);
            }
        }
        log.write_public_key();
        Ok(log)
    }

    /// Writes one event: a JSON object on one line, without the line's end, as [`super::Event`] makes it. When this
    /// returns without an error, the operating system has the whole line.
    pub fn append(&self, event: &[u8]) -> Result<(), Refused> {
        if !is_event(event) {
            return Err(Refused { why: NO_LINE });
        }
        let sequence = self.write(&mut lock(&self.appender), event, None)?;
        match self.settings.sync {
            SyncMode::Checkpoints => Ok(()),
            SyncMode::Always => self.wait_until_synced(sequence),
        }
    }

    /// Writes copies of records of mutations, given with their numbers and in order. Those that are copied already are
    /// passed over; of one that cannot be a line is said so in its place. A copy is not waited for on the disk: what it
    /// is the copy of is there.
    pub fn append_copies(&self, records: Vec<(u64, SecretBytes)>) -> Result<(), Refused> {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut appender = lock(&self.appender);
            for (number, record) in records.by_ref().take(COPIES_AT_ONCE) {
                if number > appender.copied() {
                    let copy = copy_of(&appender, number, &record);
                    self.write(&mut appender, &copy, Some(number))?;
                }
            }
        }
        Ok(())
    }

    /// Says in the log that record `number` of mutations cannot be copied, unless it is behind that already.
    pub fn append_missing_copy(&self, number: u64, why: &str) -> Result<(), Refused> {
        let mut appender = lock(&self.appender);
        if number > appender.copied() {
            let stub = appender.missing_copy(number, why);
            self.write(&mut appender, &stub, Some(number))?;
        }
        Ok(())
    }

    /// The store has records of mutations up to number `last`. Where more are copied, its database is an older one:
    /// says so, and has those that are made from there on copied like others.
    pub fn heed_end(&self, last: u64) {
        let mut appender = lock(&self.appender);
        let copied = appender.copied();
        if copied <= last {
            return;
        }
        appender.find(format!(
            "the log has copies of the records of mutations up to {copied}, but the database ends with {last}: it is an \
             older one"
        ));
        appender.copy_again_behind(last);
        if let Err(error) = appender.mend() {
            self.refuse(&mut appender, &error);
        }
    }

    /// The last record of mutations that is copied.
    pub fn copied(&self) -> u64 {
        lock(&self.appender).copied()
    }

    /// The present end of the log. `None` where nothing can be written.
    pub fn boundary(&self) -> Option<Boundary> {
        let appender = lock(&self.appender);
        let current = appender.current()?;
        Some(Boundary { file: current.file.number, position: current.length, copied: appender.copied() })
    }

    /// Takes the event of a request that was denied or not authenticated. The first of each source and second are
    /// written like others; what goes beyond that is counted and written within two seconds, as one event a source.
    /// `peer` is `None` for the Unix socket.
    pub fn append_denial(&self, peer: Option<IpAddr>, event: Vec<u8>) -> Result<(), Refused> {
        if let Some(refused) = self.refusal() {
            return Err(refused);
        }
        let admitted = lock(&self.flood).admit(Source::of(peer), self.clock.unix_millis(), event);
        admitted.map_or(Ok(()), |event| self.append(&event))
    }

    /// Why nothing can be written now.
    pub fn refusal(&self) -> Option<Refused> {
        lock(&self.refused).clone()
    }

    /// Where nothing could be written, tries whether it can be now: mends what the failed write left, and records it.
    pub fn probe(&self) -> Result<(), Refused> {
        let mut appender = lock(&self.appender);
        match self.refusal() {
            None => return Ok(()),
            Some(closed) if closed.why == CLOSED => return Err(closed),
            Some(_) => {}
        }
        let mended = appender.mend();
        self.tell_lost(&mut appender);
        if let Err(error) = mended {
            return Err(self.refuse(&mut appender, &error));
        }
        *lock(&self.refused) = None;
        tracing::info!("the audit log can be written again");
        drop(appender);
        self.write_public_key();
        Ok(())
    }

    /// What is to be done once a second, on a thread that may wait for the disk: probe, write what was counted, set
    /// checkpoints and have the disk take them, begin files, remove old ones.
    pub fn tick(&self) {
        let now = self.clock.unix_millis();
        if self.probe().is_err() {
            return;
        }
        self.write_repeated(|flood| flood.take(now));
        let unsynced = {
            let mut appender = lock(&self.appender);
            if self.refusal().is_some() {
                return;
            }
            if let Err(error) = self.look_after(&mut appender, now) {
                self.refuse(&mut appender, &error);
                return;
            }
            let checkpointed = appender.checkpointed().map(Anchor::from).filter(|anchor| *anchor != self.anchor());
            checkpointed.zip(appender.current().map(|current| Arc::clone(&current.sink)))
        };
        if let Some((anchor, sink)) = unsynced
            && self.sync(sink.as_ref())
        {
            *lock(&self.anchor) = anchor;
        }
        self.remove_old(now);
    }

    /// Has the next [`AuditLog::tick`] set a checkpoint, however young the last one is.
    pub fn want_checkpoint(&self) {
        self.is_checkpoint_wanted.store(true, Ordering::Relaxed);
    }

    /// The last checkpoint that is on the disk. What is noted of it elsewhere cannot be missing later.
    pub fn anchor(&self) -> Anchor {
        *lock(&self.anchor)
    }

    /// Sets the last checkpoint and waits for the disk. Nothing is written afterwards.
    pub fn close(&self) {
        self.write_repeated(Flood::take_all);
        let mut appender = lock(&self.appender);
        if self.refusal().is_none() {
            match appender.close() {
                Ok(()) => *lock(&self.anchor) = appender.checkpointed().map_or_else(|| self.anchor(), Anchor::from),
                Err(error) => tracing::error!(%error, "the audit log was not closed well"),
            }
        }
        *lock(&self.refused) = Some(Refused { why: CLOSED });
    }

    /// What somebody else has done to the log, as far as it was seen. A bounded number.
    pub fn findings(&self) -> Vec<String> {
        lock(&self.appender).findings().to_vec()
    }

    /// Whether allowed reads are recorded.
    pub fn records_reads(&self) -> bool {
        self.settings.records_reads
    }

    /// Whether [`AuditLog::append`] may wait for the disk.
    pub fn waits_for_disk(&self) -> bool {
        self.settings.sync == SyncMode::Always
    }

    /// What verifies the signatures.
    pub fn public_key(&self) -> AuditPublicKey {
        self.public_key
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The number of the line.
    fn write(&self, appender: &mut Appender, event: &[u8], copy_of: Option<u64>) -> Result<u64, Refused> {
        if let Some(refused) = self.refusal() {
            return Err(refused);
        }
        let Appended { sequence, trouble } =
            appender.append(event, copy_of).map_err(|error| self.refuse(appender, &error))?;
        if let Some(trouble) = trouble {
            self.refuse(appender, &trouble);
        }
        Ok(sequence)
    }

    fn look_after(&self, appender: &mut Appender, now: i64) -> io::Result<()> {
        if appender.inspect()?.is_some() {
            let mended = appender.mend();
            self.tell_lost(appender);
            mended?;
        }
        let is_wanted = self.is_checkpoint_wanted.swap(false, Ordering::Relaxed);
        if appender.unsigned_millis(now).is_some_and(|age| is_wanted || age >= CHECKPOINT_MILLIS) {
            appender.checkpoint()?;
        }
        let max_age_millis = self.settings.max_file_age_seconds.saturating_mul(1000);
        let is_old = appender
            .current()
            .is_some_and(|current| current.events > 0 && now.abs_diff(current.begun_unix_millis) >= max_age_millis);
        if is_old { appender.rotate() } else { Ok(()) }
    }

    fn write_repeated(&self, take: impl Fn(&mut Flood) -> Option<super::flood::Repeated>) {
        loop {
            // Taken in a statement of its own, so that the lock is not held while it is written.
            let taken = take(&mut lock(&self.flood));
            let Some(repeated) = taken else { return };
            if self.append(&repeated.to_event()).is_err() {
                lock(&self.flood).put_back(repeated);
                return;
            }
        }
    }

    fn remove_old(&self, now: i64) {
        let Some(file) = lock(&self.appender).current().map(|current| current.file.number) else { return };
        let mut mark = lock(&self.retention);
        let is_recent = mark.unix_millis.is_some_and(|last| now.abs_diff(last) < RETENTION_MILLIS);
        if is_recent && mark.file == file {
            return;
        }
        *mark = RetentionMark { unix_millis: Some(now), file };
        let (keep_files, keep_seconds) = (self.settings.keep_files, self.settings.keep_seconds);
        let plan = match retention::plan(&self.directory, file, keep_files, keep_seconds, now) {
            Ok(Some(plan)) => plan,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "old files of the audit log were not looked for");
                return;
            }
        };
        {
            let mut appender = lock(&self.appender);
            if self.refusal().is_some() {
                return;
            }
            if let Err(error) = appender.cut(plan.files.len() as u64, plan.up_to.clone()) {
                self.refuse(&mut appender, &error);
                return;
            }
        }
        plan.remove(&self.directory);
    }

    /// Until the disk has line `sequence`.
    fn wait_until_synced(&self, sequence: u64) -> Result<(), Refused> {
        let mut progress = lock(&self.progress);
        loop {
            if progress.has_lost(sequence) {
                return Err(self.refusal().unwrap_or(Refused { why: DISK }));
            }
            if progress.synced >= sequence {
                return Ok(());
            }
            if progress.is_syncing {
                progress = self.synced.wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.is_syncing = true;
            drop(progress);
            let outcome = self.sync_what_is_written();
            progress = lock(&self.progress);
            progress.is_syncing = false;
            if let Some(reached) = outcome {
                progress.synced = progress.synced.max(reached);
            }
            self.synced.notify_all();
        }
    }

    /// The number of the last line that the disk has afterwards; older files were synced when they were left.
    fn sync_what_is_written(&self) -> Option<u64> {
        let (sink, reached) = {
            let appender = lock(&self.appender);
            (appender.current().map(|current| Arc::clone(&current.sink)), appender.end().sequence)
        };
        sink.is_some_and(|sink| self.sync(sink.as_ref())).then_some(reached)
    }

    /// Whether the disk has what was written. If not, the file is left, and who waits for its lines is refused.
    fn sync(&self, sink: &dyn Sink) -> bool {
        let _alone = lock(&self.syncing);
        let synced = sink.sync();
        // The appender waits for the disk too, under its own lock: what it was told is known behind that.
        let mut appender = lock(&self.appender);
        if let Err(error) = &synced {
            appender.doubt_file();
            self.refuse(&mut appender, error);
        }
        synced.is_ok()
    }

    /// Wakes those who wait for lines that the disk may not have.
    fn tell_lost(&self, appender: &mut Appender) {
        if let Some(last) = appender.take_doubtful() {
            appender.copy_again_behind(self.anchor().copied);
            lock(&self.progress).lose(last);
            self.synced.notify_all();
        }
    }

    fn refuse(&self, appender: &mut Appender, error: &io::Error) -> Refused {
        self.tell_lost(appender);
        let mut refused = lock(&self.refused);
        let why = reason(error);
        if refused.as_ref().is_none_or(|before| before.why != why) {
            tracing::error!(%error, "the audit log cannot be written: requests are refused");
            appender.note(format!("nothing was written for a time, and requests were refused: {error}"));
        }
        refused.insert(Refused { why }).clone()
    }

    /// For third parties. That it is missing keeps nobody from anything: it is tried again with every probe and start.
    fn write_public_key(&self) {
        let path = self.directory.join(PUBLIC_KEY_FILE);
        let pem = self.public_key.to_pem();
        if fs::read(&path).is_ok_and(|found| found == pem.as_bytes()) {
            return;
        }
        let temporary = self.directory.join(format!(".{PUBLIC_KEY_FILE}.new"));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| io::Write::write_all(&mut file, pem.as_bytes()))
            .and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            tracing::warn!(%error, "the public key of the audit log was not written");
        }
    }
}

fn is_event(event: &[u8]) -> bool {
    !event.contains(&b'\n') && event.ends_with(b"}") && event.len() <= LINE_MAX_BYTES / 2
}

#[expect(clippy::disallowed_methods, reason = "the record says who did what; it holds no value")]
fn copy_of(appender: &Appender, number: u64, record: &SecretBytes) -> Vec<u8> {
    let copy = copies::copy(record.expose().to_vec(), number);
    let is_marked = is_event(&copy) && copies::number(&copy) == Some(number);
    if is_marked { copy } else { appender.missing_copy(number, "it is no event") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
