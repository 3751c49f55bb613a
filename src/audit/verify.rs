//! Checks the log and the chain of mutations from one end to the other.
//!
//! With the keyring every line is checked against the one before it. With the public key alone the signatures are, and
//! what they are over: each checkpoint holds a digest of the lines before it, so that an edit shows there too.
//!
//! What it never does: write, hold a file in memory, or stop at the first finding: behind one, it goes on from what
//! stands there.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::copies;
use super::files::{Found, Lines, LogFile, list};
use super::line::Line;
use super::records::{CHECKPOINT, CUT, Checkpoint, Cut, EVENT, FILE, FileEnd, FileStart};
use super::segment::Segment;
use crate::crypto::{AuditPublicKey, ChainEnd, Keyring};
use crate::store::AuditRow;

/// Findings that are told one by one.
const TOLD_FINDINGS: usize = 1000;

/// By what the log is checked.
#[derive(Clone, Copy)]
pub enum Trust<'k> {
    /// Links and signatures.
    Keyring(&'k Keyring),
    /// Signatures.
    PublicKey(&'k AuditPublicKey),
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the file; empty where the log as a whole is meant.
    pub file: String,
    /// Number of the line in the file, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.problem),
            (file, 0) => write!(f, "{file}: {}", self.problem),
            (file, line) => write!(f, "{file}, line {line}: {}", self.problem),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, in order; at most 1,000.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
    /// Files that were read.
    pub files: u64,
    /// Their whole lines.
    pub lines: u64,
    /// Events among them.
    pub events: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Lines behind the last checkpoint, which no signature vouches for yet.
    pub unsigned_lines: u64,
    /// Bytes at the very end that are no whole line: one is being written, or the process was killed in its midst.
    pub torn_bytes: u64,
    /// The last line.
    pub end: Option<ChainEnd>,
    /// Ends of the chain of mutations that checkpoints name, by number.
    pub mutations: BTreeMap<u64, [u8; 32]>,
    /// The last record of mutations that is copied.
    pub copied: u64,
}

impl Report {
    /// Whether everything is as it was written.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// What is wrong where more records are copied than a database has that ends with record `end`. Where a checkpoint names
    /// one of them, [`verify_mutations`] says so.
    pub fn copied_beyond(&self, end: u64) -> Option<Finding> {
        let is_named = self.mutations.keys().next_back().is_some_and(|last| *last > end);
        let copied = self.copied;
        (copied > end && !is_named).then(|| Finding {
            file: String::new(),
            line: 0,
            problem: format!(
                "the log has copies of the records of mutations up to {copied}, but the database ends with {end}: the \
                 database is an older one"
            ),
        })
    }

    fn find(&mut self, file: &str, line: u64, problem: impl Into<String>) {
        if self.findings.len() < TOLD_FINDINGS {
            self.findings.push(Finding { file: file.to_owned(), line, problem: problem.into() });
        } else {
            self.more_findings += 1;
        }
    }
}

/// Checks every file of the log. `kept` is the last checkpoint that was noted in the store, where that is known.
pub fn verify_log(directory: &Path, trust: Trust<'_>, kept: Option<ChainEnd>) -> io::Result<Report> {
    let (key, store_id) = match trust {
        Trust::Keyring(keyring) => (keyring.derive_audit_signer().public_key(), Some(keyring.store_id())),
        Trust::PublicKey(key) => (*key, None),
    };
    let mut walk = Walk {
        keyring: if let Trust::Keyring(keyring) = trust { Some(keyring) } else { None },
        key,
        store_id,
        kept,
        report: Report::default(),
        end: None,
        last_file: None,
        segment: Segment::default(),
        is_segment_intact: true,
        first: None,
        cut: None,
        copied: None,
    };
    let files = list(directory)?;
    let newest = files.last().map(|file| file.number);
    for file in &files {
        walk.file(file, Some(file.number) == newest)?;
    }
    Ok(walk.finish())
}

/// What the store keeps of the chain of mutations.
pub struct KeptMutations<'s> {
    /// The last record that was removed, as of before the log was read.
    pub removed: ChainEnd,
    /// The last record that was removed by now.
    pub removed_now: &'s dyn Fn() -> ChainEnd,
    /// The last record, as the sealed head has it.
    pub head: ChainEnd,
}

/// Checks the chain of mutations. `rows` are all of its records that are kept, in order; `log` is what the log says of
/// it. Returns what is wrong, and the number of records.
pub fn verify_mutations<E: std::fmt::Display>(
    rows: impl Iterator<Item = Result<AuditRow, E>>,
    kept: &KeptMutations<'_>,
    keyring: &Keyring,
    log: &Report,
) -> (Vec<Finding>, u64) {
    let named = &log.mutations;
    let mut report = Report::default();
    let mut end = kept.removed;
    if end.sequence > log.copied {
        let (removed, copied) = (end.sequence, log.copied);
        report.find(
            "",
            0,
            format!("the log has copies of the records of mutations up to {copied}, but had them up to {removed}"),
        );
    }
    let mut records = 0;
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                report.find("", 0, format!("the records of mutations behind {} cannot be read: {error}", end.sequence));
                break;
            }
        };
        records += 1;
        let number = row.sequence;
        if end.sequence.checked_add(1) != Some(number) {
            // Removed since this began, by the store itself, which looked at them before.
            let now = (kept.removed_now)();
            end = if (end.sequence + 1..number).contains(&now.sequence) { now } else { end };
        }
        if end.sequence.checked_add(1) != Some(number) {
            report.find("", 0, format!("records of mutations between {} and {number} are missing", end.sequence));
        } else if keyring.audit_link(&end.link, row.sealed.meta()) != row.link {
            report.find("", 0, format!("the record of mutation {number} is not the one that was linked there"));
        }
        if keyring.verify(&row.record_id(), &row.sealed).is_err() {
            report.find("", 0, format!("the record of mutation {number} does not pass authentication"));
        }
        if named.get(&number).is_some_and(|link| *link != row.link) {
            report.find("", 0, format!("the record of mutation {number} is another one than a checkpoint names"));
        }
        end = ChainEnd { sequence: number, link: row.link };
    }
    let now = (kept.removed_now)().sequence;
    let is_all_removed_since = now > end.sequence && now >= kept.head.sequence;
    if end != kept.head && !is_all_removed_since {
        let (last, expected) = (end.sequence, kept.head.sequence);
        report.find(
            "",
            0,
            format!("the records of mutations end with {last}, and not as the sealed head says ({expected})"),
        );
    }
    // What was removed while this was looked at was there.
    let there = end.sequence.max(now);
    if let Some(last) = named.keys().next_back().filter(|last| **last > there) {
        report.find(
            "",
            0,
            format!(
                "a checkpoint names the record of mutation {last}, but there are {}: the database is an older one",
                end.sequence
            ),
        );
    }
    (report.findings, records)
}

struct Walk<'k> {
    keyring: Option<&'k Keyring>,
    key: AuditPublicKey,
    /// Without a keyring: as the first line says.
    store_id: Option<[u8; 16]>,
    kept: Option<ChainEnd>,
    report: Report,
    /// The last line.
    end: Option<ChainEnd>,
    last_file: Option<LogFile>,
    segment: Segment,
    /// Nothing was found wrong since the last checkpoint: only then a wrong digest says anything new.
    is_segment_intact: bool,
    /// What the first file goes on from.
    first: Option<(String, Option<FileEnd>)>,
    /// The last cut.
    cut: Option<Cut>,
    /// The last record of mutations that is copied; nothing before the first line says it.
    copied: Option<u64>,
}

impl Walk<'_> {
    fn file(&mut self, file: &LogFile, is_newest: bool) -> io::Result<()> {
        let name = file.name();
        let mut lines = Lines::of(&file.path)?;
        self.report.files += 1;
        if let Some(last) = self.last_file.as_ref().filter(|last| last.number + 1 != file.number) {
            let problem = format!("files between {} and this one are missing", last.name());
            self.report.find(&name, 0, problem);
        }
        self.segment = Segment::default();
        self.is_segment_intact = true;
        let (mut text, mut number) = (Vec::new(), 0);
        loop {
            number += 1;
            match lines.next(&mut text)? {
                Found::End => break,
                Found::Line => {}
                Found::Torn if is_newest => {
                    self.report.torn_bytes = text.len() as u64;
                    break;
                }
                Found::Torn => {
                    self.report.find(&name, number, "the file does not end in a whole line");
                    break;
                }
                Found::TooLong => {
                    self.find(&name, number, "this is no line of the log");
                    continue;
                }
            }
            self.line(file, &name, number, &mut text);
        }
        if self.segment.unsigned_lines() > 0 && !is_newest && self.keyring.is_none() {
            let problem = format!("no checkpoint vouches for the last {} lines", self.segment.unsigned_lines());
            self.report.find(&name, 0, problem);
        }
        if number == 1 && !is_newest {
            self.report.find(&name, 0, "the file has no line");
        }
        self.last_file = Some(file.clone());
        Ok(())
    }

    fn line(&mut self, file: &LogFile, name: &str, number: u64, text: &mut Vec<u8>) {
        let Some(line) = Line::parse(text) else {
            self.find(name, number, "this is no line of the log");
            return;
        };
        self.report.lines += 1;
        let content = line.content();
        let kind = line.kind();
        let place = ChainEnd { sequence: line.sequence, link: line.link };
        if number == 1 {
            self.start(file, name, &content);
        } else if kind == FILE {
            self.find(name, number, "a file begins in its midst");
        }
        self.follow(name, number, place, &content);
        match kind {
            CHECKPOINT => self.checkpoint(name, number, &content),
            CUT => self.cut(name, number, &content),
            EVENT => self.event(name, number, &content),
            FILE => {}
            _ => self.find(name, number, "a line of this kind is unknown"),
        }
        if self.kept.is_some_and(|kept| kept.sequence == place.sequence && kept.link != place.link) {
            self.find(name, number, "this is another line than the one that was noted in the store");
        }
        let is_checkpoint = kind == CHECKPOINT;
        text.push(b'\n');
        if is_checkpoint {
            self.segment.begin_with(text);
            self.is_segment_intact = true;
        } else {
            self.segment.add(text);
        }
        self.end = Some(place);
    }

    /// The first line of a file says what it goes on from. Behind a gap that is what the lines are checked against.
    fn start(&mut self, file: &LogFile, name: &str, content: &[u8]) {
        let Some(start) = FileStart::read(content) else {
            self.find(name, 1, "the file does not begin with a first line");
            return;
        };
        if start.number != file.number {
            self.find(name, 1, format!("this was the first line of {}", super::files::name(start.number)));
        }
        if *self.store_id.get_or_insert(start.store_id.0) != start.store_id.0 {
            self.find(name, 1, "the file belongs to another store");
        }
        self.copied_before(name, 1, start.copied);
        let before = start.previous.as_ref().map(|previous| ChainEnd::from(previous.last));
        if self.last_file.is_none() {
            if file.number > 1 && start.previous.is_none() {
                self.find(name, 1, "it does not say what it goes on from");
            }
            self.first = Some((name.to_owned(), start.previous));
        } else if before != self.end && self.last_file.as_ref().is_some_and(|last| last.number + 1 == file.number) {
            let (goes_on, ends) = (before.map_or(0, |end| end.sequence), self.end.map_or(0, |end| end.sequence));
            let problem = if goes_on == ends {
                format!("it does not go on from the last line before it ({ends}), but from another one")
            } else {
                format!("it goes on from line {goes_on}, but the file before it ends with line {ends}")
            };
            self.find(name, 1, problem);
        }
        // What it says itself: its link holds or not, whatever is before it.
        self.end = before;
        if self.end.is_none() {
            self.end = self.keyring.map(|keyring| ChainEnd { sequence: 0, link: keyring.audit_start(super::CHAIN) });
        }
    }

    fn follow(&mut self, name: &str, number: u64, place: ChainEnd, content: &[u8]) {
        let Some(before) = self.end else {
            if place.sequence != 1 {
                self.find(name, number, format!("the log begins with line {}", place.sequence));
            }
            return;
        };
        if before.sequence.checked_add(1) != Some(place.sequence) {
            let problem = if place.sequence > before.sequence {
                format!("lines between {} and {} are missing", before.sequence, place.sequence)
            } else {
                format!("line {} stands behind line {}", place.sequence, before.sequence)
            };
            self.find(name, number, problem);
        } else if let Some(keyring) = self.keyring
            && keyring.audit_link(&before.link, content) != place.link
        {
            self.find(name, number, "the line was changed, or is not the one that was written here");
        }
    }

    fn checkpoint(&mut self, name: &str, number: u64, content: &[u8]) {
        let Some(checkpoint) = Checkpoint::read(content, &self.key) else {
            self.find(name, number, "the checkpoint's signature does not hold");
            return;
        };
        if *self.store_id.get_or_insert(checkpoint.store_id.0) != checkpoint.store_id.0 {
            self.find(name, number, "the checkpoint belongs to another store");
            return;
        }
        self.report.checkpoints += 1;
        self.copied_before(name, number, checkpoint.copied);
        let sum = (checkpoint.lines, checkpoint.digest.0);
        // Where lines were found wrong already, it is clear that they are not those that were signed.
        if self.is_segment_intact && (self.end != Some(checkpoint.last.into()) || sum != self.segment.sum()) {
            self.find(name, number, "the lines before the checkpoint are not those that were signed");
        }
        if let Some(mutations) = checkpoint.mutations {
            let known = self.report.mutations.insert(mutations.sequence, mutations.link.0);
            if known.is_some_and(|known| known != mutations.link.0) {
                let problem = format!("two checkpoints name different records of mutation {}", mutations.sequence);
                self.find(name, number, problem);
            }
        }
    }

    /// Records are copied in order. One may be copied twice: where the disk failed and it was not known what it held.
    fn event(&mut self, name: &str, number: u64, content: &[u8]) {
        self.report.events += 1;
        if let Some(copied) = copies::number(content) {
            self.copied_before(name, number, copied - 1);
            self.copied = self.copied.max(Some(copied));
        }
    }

    fn copied_before(&mut self, name: &str, number: u64, wanted: u64) {
        let copied = *self.copied.get_or_insert(wanted);
        if copied < wanted {
            let problem = format!("the copies of the records of mutations between {copied} and {wanted} are missing");
            self.report.find(name, number, problem);
            self.copied = Some(wanted);
        }
    }

    fn cut(&mut self, name: &str, number: u64, content: &[u8]) {
        match Cut::read(content, &self.key) {
            Some(cut) if self.store_id == Some(cut.store_id.0) => self.cut = Some(cut),
            _ => self.find(name, number, "the signature of the record of removed files does not hold"),
        }
    }

    fn find(&mut self, name: &str, number: u64, problem: impl Into<String>) {
        self.is_segment_intact = false;
        self.report.find(name, number, problem);
    }

    fn finish(mut self) -> Report {
        // What is before the first file was removed by the log itself, or by somebody else.
        if let Some((name, Some(previous))) = &self.first {
            let before = ChainEnd::from(previous.last);
            let is_allowed = self.cut.as_ref().is_some_and(|cut| {
                let up_to = ChainEnd::from(cut.up_to.last);
                up_to.sequence > before.sequence || up_to == before
            });
            if !is_allowed {
                let problem = format!("the files before it, up to line {}, are missing", before.sequence);
                self.report.find(name, 0, problem);
            }
        }
        let last = self.end.map_or(0, |end| end.sequence);
        if let Some(kept) = self.kept.filter(|kept| kept.sequence > last) {
            let problem =
                format!("the log ends with line {last}, but it had line {}: lines are missing", kept.sequence);
            self.report.find("", 0, problem);
        }
        self.report.unsigned_lines = self.segment.unsigned_lines();
        self.report.end = self.end;
        self.report.copied = self.copied.unwrap_or_default();
        self.report
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
