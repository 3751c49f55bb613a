//! The writing end of the log: numbers, links and writes lines, sets checkpoints, begins files, mends what a failed
//! write left behind.
//!
//! What it never does: write behind a line that was not written whole, or go on in a file that somebody else has
//! changed. It knows nothing of threads; [`super::AuditLog`] has one and a lock around it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::copies;
use super::event::{Event, RequestFacts};
use super::files::{LINE_MAX_BYTES, LogFile, make_directory, make_file, open_to_append};
use super::json::push_micro_time;
use super::line::chain;
use super::records::{Checkpoint, Cut, FileEnd, FileStart};
use super::recovery::recover;
use super::segment::Segment;
use super::sink::{OpenSink, Sink};
use crate::clock::SharedClock;
use crate::crypto::{AuditSigner, ChainEnd, Keyring};
use crate::model::user::User;
use crate::rbac::Attributes;

/// Events after which there is a checkpoint.
pub const CHECKPOINT_EVENTS: u64 = 1000;
/// Bytes after which there is one, so that a start need not read far back.
const CHECKPOINT_BYTES: u64 = 4 * 1024 * 1024;
/// Findings that are told one by one.
const TOLD_FINDINGS: usize = 16;
/// What the chain of a line takes, at most.
const CHAIN_MAX_BYTES: usize = 128;

/// Says how far the chain of mutations has come, as far as it was committed.
pub type MutationsEnd = Box<dyn Fn() -> Option<ChainEnd> + Send + Sync>;

/// What an appender is made of besides what it finds.
pub struct Tools {
    /// Where the files are.
    pub directory: PathBuf,
    /// Links lines.
    pub keyring: Arc<Keyring>,
    /// Signs checkpoints.
    pub signer: AuditSigner,
    /// The time.
    pub clock: SharedClock,
    /// Makes sinks of files.
    pub open_sink: OpenSink,
    /// For checkpoints.
    pub mutations_end: MutationsEnd,
    /// A file that would become longer is followed by another.
    pub max_file_bytes: u64,
}

/// The file that is written.
pub struct Current {
    /// Which one.
    pub file: LogFile,
    /// It, open.
    pub sink: Arc<dyn Sink>,
    /// Bytes of its whole lines; 0 until it has its first.
    pub length: u64,
    /// Events in it that this process knows of.
    pub events: u64,
    /// When it was begun, milliseconds since the epoch.
    pub begun_unix_millis: i64,
}

/// Where writing goes on.
struct Position {
    /// The last line.
    end: ChainEnd,
    /// Name of the file it is in; empty where there is none.
    last_file: String,
    /// Number of the next file.
    next_number: u64,
    /// The file to go on in; `None` begins another.
    current: Option<Current>,
    /// Its lines since the last checkpoint.
    segment: Segment,
    /// The end of `current` holds part of a line.
    is_torn: bool,
    /// The last record of mutations that is copied.
    copied: u64,
}

/// A checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpointed {
    /// The line before it.
    pub end: ChainEnd,
    /// The last record of mutations that is copied before it.
    pub copied: u64,
}

/// See the module.
pub struct Appender {
    tools: Tools,
    /// The last checkpoint that was noted elsewhere.
    kept: Option<ChainEnd>,
    /// See [`Appender::new`].
    begins_behind: u64,
    /// Whether the end of the log was found.
    is_started: bool,
    position: Position,
    /// The present file is not to be gone on with.
    is_spoilt: bool,
    /// Lines up to this one may not be on the disk though they were to be; nobody was told yet.
    doubtful: Option<u64>,
    checkpointed: Option<Checkpointed>,
    checkpointed_unix_millis: i64,
    /// What is to be recorded as soon as anything can be.
    notes: Vec<String>,
    /// One of them says that part of a line was cut off.
    is_cut_noted: bool,
    /// What somebody else has done to the log, as far as it was seen.
    findings: Vec<String>,
    /// The line that is being made; its memory is used again.
    line: Vec<u8>,
}

/// What became of an event that was written.
pub struct Appended {
    /// Its number.
    pub sequence: u64,
    /// Why nothing more can be written, where the checkpoint that was due behind it failed.
    pub trouble: Option<io::Error>,
}

impl Appender {
    /// Reads and writes nothing yet: [`Appender::mend`] does. `kept` is the last checkpoint that was noted elsewhere; of a log
    /// without a line, records of mutations up to `begins_behind` are copied elsewhere.
    pub fn new(tools: Tools, kept: Option<ChainEnd>, begins_behind: u64) -> Self {
        let position = Position {
            end: ChainEnd { sequence: 0, link: tools.keyring.audit_start(super::CHAIN) },
            last_file: String::new(),
            next_number: 1,
            current: None,
            segment: Segment::default(),
            is_torn: false,
            copied: 0,
        };
        Self {
            checkpointed_unix_millis: tools.clock.unix_millis(),
            tools,
            kept,
            begins_behind,
            is_started: false,
            position,
            is_spoilt: false,
            doubtful: None,
            checkpointed: None,
            notes: Vec::new(),
            is_cut_noted: false,
            findings: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Writes an event; `copy_of` is the record of mutations that it is the copy of. After an error the file may end in
    /// part of it, and [`Appender::mend`] comes first.
    pub fn append(&mut self, event: &[u8], copy_of: Option<u64>) -> io::Result<Appended> {
        self.make_room(event.len() + CHAIN_MAX_BYTES)?;
        self.put_event(event)?;
        self.position.copied = copy_of.unwrap_or(self.position.copied);
        let sequence = self.position.end.sequence;
        let segment = &self.position.segment;
        let is_due = segment.events >= CHECKPOINT_EVENTS || segment.bytes() >= CHECKPOINT_BYTES;
        let trouble = if is_due { self.checkpoint().err() } else { None };
        Ok(Appended { sequence, trouble })
    }

    /// The copy of a record that cannot be copied: says so in its place.
    pub fn missing_copy(&self, number: u64, why: &str) -> Vec<u8> {
        copies::copy(self.event_of(&format!("the record of mutation {number} is not copied: {why}")), number)
    }

    /// The last record of mutations that is copied.
    pub fn copied(&self) -> u64 {
        self.position.copied
    }

    /// What was copied behind record `number` may not be on the disk: it is to be copied again.
    pub fn copy_again_behind(&mut self, number: u64) {
        self.position.copied = self.position.copied.min(number);
    }

    /// The last line.
    pub fn end(&self) -> ChainEnd {
        self.position.end
    }

    /// The file that is written.
    pub fn current(&self) -> Option<&Current> {
        self.position.current.as_ref()
    }

    /// The last checkpoint that this process has set.
    pub fn checkpointed(&self) -> Option<Checkpointed> {
        self.checkpointed
    }

    /// Milliseconds since the last checkpoint, or since the start; `None` where there was no event since.
    pub fn unsigned_millis(&self, now_unix_millis: i64) -> Option<u64> {
        let age = now_unix_millis.abs_diff(self.checkpointed_unix_millis);
        (self.position.segment.events > 0).then_some(age)
    }

    /// Writes a checkpoint.
    pub fn checkpoint(&mut self) -> io::Result<()> {
        let Tools { keyring, signer, clock, mutations_end, .. } = &self.tools;
        let now = clock.unix_millis();
        let sum = self.position.segment.sum();
        let Position { end, copied, .. } = self.position;
        let record = Checkpoint::new(keyring.store_id(), time(now), end, sum, mutations_end(), copied);
        let content = record.content(signer);
        self.put(&content)?;
        self.position.segment.begin_with(&self.line);
        self.checkpointed = Some(Checkpointed { end: self.position.end, copied });
        self.checkpointed_unix_millis = now;
        Ok(())
    }

    /// Ends the present file with a checkpoint and begins the next.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.close()?;
        self.begin_file()
    }

    /// Sets the last checkpoint; what was written is on the disk afterwards.
    pub fn close(&mut self) -> io::Result<()> {
        if self.position.segment.unsigned_lines() > 0 {
            self.checkpoint()?;
        }
        // On the disk before another file is: otherwise a power cut would look like lines taken away.
        self.sync()
    }

    /// Records that files at the beginning are about to be removed.
    pub fn cut(&mut self, files: u64, up_to: FileEnd) -> io::Result<()> {
        let Tools { keyring, signer, clock, .. } = &self.tools;
        let cut = Cut::new(keyring.store_id(), time(clock.unix_millis()), files, up_to);
        let content = cut.content(signer);
        self.put(&content)?;
        self.sync()
    }

    /// What somebody else has done to the present file, if anything.
    pub fn inspect(&self) -> io::Result<Option<String>> {
        let Some(current) = &self.position.current else { return Ok(None) };
        let state = current.sink.state()?;
        let name = current.file.name();
        let found = match fs::symlink_metadata(&current.file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("{name} was removed or renamed")),
            Err(error) => return Err(error),
            Ok(metadata) if (metadata.dev(), metadata.ino()) != state.identity => {
                Some(format!("{name} was replaced by another file"))
            }
            Ok(_) if state.length < current.length => {
                Some(format!("{name} was cut to {} bytes; it had {}", state.length, current.length))
            }
            Ok(_) if state.length > current.length && !self.position.is_torn => {
                Some(format!("{} bytes of somebody else's are at the end of {name}", state.length - current.length))
            }
            Ok(_) => None,
        };
        Ok(found)
    }

    /// What is on the disk of the present file is unknown: it is not gone on with. After a failed sync the system may
    /// have forgotten what it had not written: the next sync would succeed and say nothing.
    pub fn doubt_file(&mut self) {
        self.is_spoilt = true;
        self.doubtful = Some(self.position.end.sequence);
    }

    /// Lines up to this one may not be on the disk. Told once.
    pub fn take_doubtful(&mut self) -> Option<u64> {
        self.doubtful.take()
    }

    /// Has something recorded with the next [`Appender::mend`].
    pub fn note(&mut self, note: String) {
        tracing::warn!(audit.note = note, "the audit log");
        self.notes.push(note);
    }

    /// What somebody else has done to the log, as far as it was seen.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Makes the log such that it can be gone on with: finds its end, cuts part of a line off, begins a file where
    /// there is none, records what has happened. After an error it can be tried again.
    pub fn mend(&mut self) -> io::Result<()> {
        if !self.is_started {
            self.start()?;
            self.is_started = true;
        }
        if let Some(found) = self.inspect()?.filter(|_| !self.is_spoilt) {
            // Somebody may wait for what was written to it; that it failed is remembered.
            let _ = self.sync();
            self.is_spoilt = true;
            self.find(found);
        }
        if self.position.is_torn {
            self.cut_torn_line()?;
        }
        if self.position.current.is_none() || self.is_spoilt {
            self.begin_file()?;
            self.is_spoilt = false;
        }
        self.put_start()?;
        while let Some(note) = self.notes.first() {
            let event = self.event_of(note);
            self.put_event(&event)?;
            self.notes.remove(0);
        }
        self.is_cut_noted = false;
        Ok(())
    }

    /// Finds the end of the log.
    fn start(&mut self) -> io::Result<()> {
        let Tools { directory, keyring, signer, clock, open_sink, .. } = &self.tools;
        make_directory(directory)?;
        let mut found = recover(directory, keyring, &signer.public_key(), self.kept)?;
        let is_new = found.whole_bytes == 0;
        // A file with lines that are not as they were written stays as it is, to be looked at.
        let current = match found.file.filter(|_| is_new || found.damage.is_empty()) {
            Some(file) => {
                let opened = open_to_append(&file.path)?;
                opened.set_permissions(Permissions::from_mode(0o600))?;
                Some(Current {
                    sink: open_sink(opened)?,
                    file,
                    length: found.whole_bytes,
                    events: found.segment.events.max(u64::from(!is_new)),
                    begun_unix_millis: found.begun_unix_millis.unwrap_or_else(|| clock.unix_millis()),
                })
            }
            None => None,
        };
        self.position = Position {
            end: found.end,
            last_file: found.last_file,
            next_number: found.next_number,
            is_torn: current.is_some() && found.torn_bytes > 0,
            segment: if current.is_some() { found.segment } else { Segment::default() },
            copied: if found.end.sequence == 0 { self.begins_behind } else { found.copied },
            current,
        };
        let more = found.damage.len().saturating_sub(TOLD_FINDINGS);
        found.damage.truncate(TOLD_FINDINGS);
        if more > 0 {
            found.damage.push(format!("and {more} more: see `strongroom audit verify`"));
        }
        found.damage.into_iter().for_each(|damage| self.find(damage));
        Ok(())
    }

    /// Somebody else has done something to the log. It is recorded with the next [`Appender::mend`].
    pub fn find(&mut self, finding: String) {
        tracing::error!(audit.finding = finding, "the audit log is not as it was written");
        if self.findings.len() < TOLD_FINDINGS {
            self.findings.push(finding.clone());
        }
        self.notes.push(finding);
    }

    fn cut_torn_line(&mut self) -> io::Result<()> {
        if let Some(current) = &self.position.current
            && let torn = current.sink.state()?.length.saturating_sub(current.length)
            && torn > 0
        {
            current.sink.truncate(current.length)?;
            let name = current.file.name();
            // While such a note waits, what is cut off is a try to write it: a disk may be full for days.
            if !std::mem::replace(&mut self.is_cut_noted, true) {
                self.note(format!("{torn} bytes of a line that was not written whole were cut off the end of {name}"));
            }
        }
        self.position.is_torn = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &self.position.current else { return Ok(()) };
        let synced = current.sink.sync();
        if synced.is_err() {
            self.doubt_file();
        }
        synced
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > LINE_MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an event is longer than lines are"));
        }
        let is_full = |current: &Current| {
            current.events > 0 && current.length.saturating_add(bytes as u64) > self.tools.max_file_bytes
        };
        if self.position.current.as_ref().is_some_and(is_full) { self.rotate() } else { Ok(()) }
    }

    /// Makes the next file and gives it its first line.
    fn begin_file(&mut self) -> io::Result<()> {
        let position = &mut self.position;
        let file = LogFile::numbered(&self.tools.directory, position.next_number);
        let sink = (self.tools.open_sink)(make_file(&file.path)?)?;
        File::open(&self.tools.directory)?.sync_all()?;
        let begun_unix_millis = self.tools.clock.unix_millis();
        position.current = Some(Current { file, sink, length: 0, events: 0, begun_unix_millis });
        position.segment = Segment::default();
        position.is_torn = false;
        self.put_start()
    }

    /// Gives a file its first line if it has none.
    fn put_start(&mut self) -> io::Result<()> {
        let Position { current, last_file, end, copied, .. } = &self.position;
        let Some(current) = current.as_ref().filter(|current| current.length == 0) else { return Ok(()) };
        let (number, name) = (current.file.number, current.file.name());
        let previous = (end.sequence > 0).then(|| FileEnd { file: last_file.clone(), last: (*end).into() });
        let begun = time(current.begun_unix_millis);
        let start = FileStart::new(self.tools.keyring.store_id(), number, begun, previous, *copied);
        self.put(&start.content())?;
        self.position.last_file = name;
        self.position.next_number = number + 1;
        Ok(())
    }

    fn put_event(&mut self, event: &[u8]) -> io::Result<()> {
        self.put(event)?;
        self.position.segment.events += 1;
        if let Some(current) = &mut self.position.current {
            current.events += 1;
        }
        Ok(())
    }

    /// Numbers, links and writes one line, in one call. Where the system takes part of it only, it is asked for the
    /// rest: then it takes that, or says why not.
    fn put(&mut self, content: &[u8]) -> io::Result<()> {
        let position = &mut self.position;
        let Some(current) = position.current.as_mut().filter(|_| !position.is_torn) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no file that ends in a whole line"));
        };
        let link = self.tools.keyring.audit_link(&position.end.link, content);
        let end = ChainEnd { sequence: position.end.sequence + 1, link };
        self.line.clear();
        self.line.extend_from_slice(content);
        chain(&mut self.line, end.sequence, &end.link);
        // Until it is known that the line is there as a whole.
        position.is_torn = true;
        let mut rest = self.line.as_slice();
        while !rest.is_empty() {
            let taken = current.sink.write(rest)?;
            rest = rest.get(taken..).filter(|_| taken > 0).ok_or(io::ErrorKind::WriteZero)?;
        }
        position.is_torn = false;
        position.end = end;
        position.segment.add(&self.line);
        current.length += self.line.len() as u64;
        Ok(())
    }

    /// The event that records what has happened to the log itself.
    fn event_of(&self, note: &str) -> Vec<u8> {
        let facts = RequestFacts {
            audit_id: format!("audit-log-{}", self.position.end.sequence + 1),
            ..RequestFacts::own(self.tools.clock.unix_millis())
        };
        let attributes = Attributes::path("update", "/strongroom/v1/audit/log");
        let annotations = [(super::event::LOG, note)];
        let user = User::system("audit");
        Event { annotations: &annotations, ..Event::new(&facts, &user, &attributes, 200) }.to_json()
    }
}

/// A `metav1.MicroTime`.
fn time(unix_millis: i64) -> String {
    let mut out = Vec::new();
    push_micro_time(&mut out, unix_millis);
    String::from_utf8(out).unwrap_or_default()
}
