//! Where the log ended: read at a start from the end of the newest file back to its last checkpoint, and checked
//! line by line from there.
//!
//! What it never does: write, or read more than the lines since a checkpoint. What lies before that is for
//! [`super::verify`].

use std::io;
use std::path::Path;

use super::copies;
use super::files::{Lines, LinesBackward, LogFile, list};
use super::line::Line;
use super::records::{CHECKPOINT, Checkpoint, EVENT, FileStart};
use super::segment::Segment;
use crate::crypto::{AuditPublicKey, ChainEnd, Keyring};

/// More than the lines since a checkpoint can take.
const TAIL_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Where the log ended.
pub struct Recovered {
    /// Its last line; where lines are known to be missing behind it, the last that is known of.
    pub end: ChainEnd,
    /// Name of the file with the last line; empty where there is none.
    pub last_file: String,
    /// Number of the next file.
    pub next_number: u64,
    /// The file to go on in, which is that file or one that was made and not begun.
    pub file: Option<LogFile>,
    /// Bytes of its whole lines.
    pub whole_bytes: u64,
    /// Bytes behind them.
    pub torn_bytes: u64,
    /// When it was begun, as its first line says.
    pub begun_unix_millis: Option<i64>,
    /// The lines since the last checkpoint.
    pub segment: Segment,
    /// The last record of mutations that is copied, as far as was read.
    pub copied: u64,
    /// What is not as it was written.
    pub damage: Vec<String>,
}

/// Reads the end of the log. `kept` is the last checkpoint that was noted elsewhere.
pub fn recover(
    directory: &Path,
    keyring: &Keyring,
    key: &AuditPublicKey,
    kept: Option<ChainEnd>,
) -> io::Result<Recovered> {
    let start = ChainEnd { sequence: 0, link: keyring.audit_start(super::CHAIN) };
    let mut files = list(directory)?;
    let next_number = files.last().map_or(0, |file| file.number) + 1;
    let mut recovered = Recovered {
        end: start,
        last_file: String::new(),
        next_number,
        file: None,
        whole_bytes: 0,
        torn_bytes: 0,
        begun_unix_millis: None,
        segment: Segment::default(),
        copied: 0,
        damage: Vec::new(),
    };
    let mut unbegun = None;
    while let Some(file) = files.pop() {
        let mut tail = Tail::read(&file, keyring, key, kept)?;
        if tail.is_empty && unbegun.is_none() {
            unbegun = Some((file, tail.torn_bytes));
            continue;
        }
        recovered.damage.append(&mut tail.damage);
        if tail.is_empty {
            recovered.damage.push(format!("{} has no line", file.name()));
        }
        recovered.end = tail.end.or(kept).unwrap_or(start);
        recovered.whole_bytes = tail.whole_bytes;
        recovered.torn_bytes = tail.torn_bytes;
        recovered.begun_unix_millis = first_time(&file);
        recovered.segment = tail.segment;
        recovered.copied = tail.copied;
        recovered.last_file = file.name();
        recovered.file = Some(file);
        break;
    }
    if let Some((file, torn_bytes)) = unbegun {
        if recovered.torn_bytes > 0 {
            recovered.damage.push(format!("{} does not end in a whole line, and is not the last", recovered.last_file));
        }
        if file.number != recovered.file.map_or(0, |last| last.number) + 1 {
            recovered.damage.push(format!("what was before {} is missing", file.name()));
        }
        recovered.file = Some(file);
        recovered.whole_bytes = 0;
        recovered.torn_bytes = torn_bytes;
        recovered.begun_unix_millis = None;
        recovered.segment = Segment::default();
    }
    if let Some(kept) = kept.filter(|kept| recovered.end.sequence < kept.sequence) {
        recovered.damage.push(format!(
            "the log ends with line {}, but it had line {}: lines are missing",
            recovered.end.sequence, kept.sequence
        ));
        recovered.end = kept;
    }
    Ok(recovered)
}

/// The end of one file.
struct Tail {
    is_empty: bool,
    end: Option<ChainEnd>,
    whole_bytes: u64,
    torn_bytes: u64,
    segment: Segment,
    copied: u64,
    damage: Vec<String>,
}

impl Tail {
    fn read(file: &LogFile, keyring: &Keyring, key: &AuditPublicKey, kept: Option<ChainEnd>) -> io::Result<Self> {
        let mut backward = LinesBackward::of(&file.path)?;
        let mut tail = Self {
            is_empty: true,
            end: None,
            whole_bytes: 0,
            torn_bytes: backward.torn_bytes(),
            segment: Segment::default(),
            copied: 0,
            damage: Vec::new(),
        };
        let mut lines = Vec::new();
        let mut bytes = 0;
        loop {
            let (line, at) = match backward.next() {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tail.damage.push(format!("{}: {error}", file.name()));
                    break;
                }
                Err(error) => return Err(error),
            };
            bytes += line.len();
            let is_last = at == 0 || Line::parse(&line).is_some_and(|line| line.kind() == CHECKPOINT);
            lines.push((line, at));
            if is_last {
                break;
            }
            if bytes > TAIL_MAX_BYTES {
                tail.damage.push(format!("{} has no checkpoint where one must be", file.name()));
                break;
            }
        }
        if let Some((line, at)) = lines.first() {
            tail.is_empty = false;
            tail.whole_bytes = at + line.len() as u64 + 1;
        }
        tail.walk(file, lines, keyring, key, kept);
        Ok(tail)
    }

    /// Takes the lines from the oldest on.
    fn walk(
        &mut self,
        file: &LogFile,
        mut lines: Vec<(Vec<u8>, u64)>,
        keyring: &Keyring,
        key: &AuditPublicKey,
        kept: Option<ChainEnd>,
    ) {
        let mut before = None;
        let mut is_first = true;
        while let Some((mut text, at)) = lines.pop() {
            let Some(line) = Line::parse(&text) else {
                self.damage.push(format!("{}: at byte {at} there is no line of the log", file.name()));
                is_first = false;
                continue;
            };
            let content = line.content();
            if is_first {
                let opening = opening(&content, at, keyring, key);
                self.copied = opening.map_or(0, |(_, copied)| copied);
                before = opening.map(|(end, _)| end);
                is_first = false;
            }
            let place = ChainEnd { sequence: line.sequence, link: line.link };
            let follows = before.is_some_and(|before: ChainEnd| {
                before.sequence.checked_add(1) == Some(place.sequence)
                    && keyring.audit_link(&before.link, &content) == place.link
            });
            if !follows || kept.is_some_and(|kept| kept.sequence == place.sequence && kept.link != place.link) {
                self.damage.push(format!(
                    "{}: line {} at byte {at} is not what was written there",
                    file.name(),
                    place.sequence
                ));
            }
            let kind = line.kind();
            let (is_checkpoint, is_event) = (kind == CHECKPOINT, kind == EVENT);
            text.push(b'\n');
            if is_checkpoint {
                self.segment.begin_with(&text);
            } else {
                self.segment.add(&text);
                self.segment.events += u64::from(is_event);
                self.copied = copies::number(&content).unwrap_or(0).max(self.copied);
            }
            before = Some(place);
            self.end = before;
        }
    }
}

/// What the first line that is looked at was linked to, as it says itself, and which record of mutations was the last
/// to be copied before it.
fn opening(content: &[u8], at: u64, keyring: &Keyring, key: &AuditPublicKey) -> Option<(ChainEnd, u64)> {
    if at > 0 {
        let checkpoint = Checkpoint::read(content, key)?;
        return (checkpoint.store_id.0 == keyring.store_id()).then(|| (checkpoint.last.into(), checkpoint.copied));
    }
    let start = FileStart::read(content).filter(|start| start.store_id.0 == keyring.store_id())?;
    let before = match start.previous {
        Some(previous) => previous.last.into(),
        None => ChainEnd { sequence: 0, link: keyring.audit_start(super::CHAIN) },
    };
    Some((before, start.copied))
}

/// When the file was begun, as its first line says.
pub fn first_time(file: &LogFile) -> Option<i64> {
    let start = file_start(file)?;
    start.time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// The first line of a file.
pub fn file_start(file: &LogFile) -> Option<FileStart> {
    let mut line = Vec::new();
    Lines::of(&file.path).ok()?.next(&mut line).ok()?;
    FileStart::read(&Line::parse(&line)?.content())
}
