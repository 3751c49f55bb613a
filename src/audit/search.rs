//! Finds events in the log and among the records of mutations that are not copied into it yet, newest first, and
//! follows the log.
//!
//! What it never does: hold a file in memory, or check links (that is [`super::verify`]). Lines that are no events are
//! passed over, and counted where they are no lines of the log at all.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{Found as FoundLine, Lines, LinesBackward, LogFile, list, open};
use super::line::Line;
use super::query::AuditQuery;
use super::records::EVENT;
use super::recovery::first_time;
use super::view::EventView;
use super::{AuditLog, Boundary};
use crate::sensitive::SecretBytes;
use crate::store::{AuditReadError, Store};

/// A search ends where so many records in a row are older than what is asked for. Records of two threads may stand in
/// another order than their times; those of an hour do not.
const OLD_RECORDS: u32 = 1000;
/// A search looks at so many records at most.
const MOST_RECORDS: u64 = 5_000_000;
/// Records of mutations that are read at once.
const BATCH: usize = 256;
/// A search is begun again so often, where records of mutations were removed meanwhile.
const TRIES: u32 = 3;
/// How much later than its lines' times a file may say that it was begun.
const BEGUN_SLACK_MICROS: i64 = 600_000_000;

/// Which chain a record is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// The log.
    Log,
    /// The records of mutations.
    Mutations,
}

/// An event that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// Where it was found.
    pub chain: Chain,
    /// Its number there.
    pub sequence: u64,
    /// When it happened, microseconds since the epoch.
    pub unix_micros: i64,
    /// The event, a JSON object.
    pub json: Vec<u8>,
}

impl FoundEvent {
    /// On one line, for people.
    pub fn text(&self) -> String {
        EventView::read(&self.json).map(|view| view.text()).unwrap_or_default()
    }
}

/// What a search has found.
#[derive(Debug, Default)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<FoundEvent>,
    /// Whether everything was looked at, up to the limit. Otherwise: narrow the time.
    pub is_complete: bool,
    /// Records that are none.
    pub unreadable: u64,
}

impl Page {
    /// An `audit.k8s.io/v1 EventList`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out =
            b"{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":[".to_vec();
        for (at, event) in self.events.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&event.json);
        }
        out.extend_from_slice(b"]}");
        out
    }
}

/// The records of mutations.
pub trait Mutations {
    /// Number of the last one.
    fn end(&self) -> u64;
    /// At most `limit` before number `before`, newest first.
    fn before(&self, before: u64, limit: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError>;
}

impl Mutations for Store {
    fn end(&self) -> u64 {
        self.audit_end().sequence
    }

    fn before(&self, before: u64, limit: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
        self.audit_records_before(before, limit)
    }
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file of the log.
    #[error("the audit log cannot be read: {0}")]
    Log(#[from] io::Error),
    /// The records of mutations.
    #[error("the records of mutations cannot be read: {0}")]
    Mutations(#[from] AuditReadError),
    /// Records of mutations that were to be read here were copied and removed meanwhile.
    #[error("records of mutations were removed while they were searched")]
    Moved,
    /// Where the log ends cannot be told.
    #[error("the audit log cannot be written, so where it ends is not known")]
    NoEnd,
}

/// The newest events that `query` asks for.
pub fn search(log: &AuditLog, mutations: &dyn Mutations, query: &AuditQuery) -> Result<Page, SearchError> {
    let mut tries = TRIES;
    loop {
        let boundary = log.boundary().ok_or(SearchError::NoEnd)?;
        tries -= 1;
        match search_before(log.directory(), Some(mutations), query, boundary) {
            Err(SearchError::Moved) if tries > 0 => {}
            found => return found,
        }
    }
}

/// The newest events that `query` asks for of the log before its present end, and what follows from there.
pub fn search_and_follow(log: &AuditLog, query: &AuditQuery) -> Result<(Page, Follower), SearchError> {
    let boundary = log.boundary().ok_or(SearchError::NoEnd)?;
    let page = search_before(log.directory(), None, query, boundary)?;
    let (directory, number, position) = (log.directory().to_owned(), boundary.file, boundary.position);
    Ok((page, Follower { directory, number, position }))
}

/// Lines before `boundary`, and of `mutations` those behind the ones that are copied there. A copy stands a moment
/// behind its time in the log: a page is in the order of the times, but what falls off its end is chosen by the order
/// of the log.
fn search_before(
    directory: &Path,
    mutations: Option<&dyn Mutations>,
    query: &AuditQuery,
    boundary: Boundary,
) -> Result<Page, SearchError> {
    let mut page = Page { is_complete: true, ..Page::default() };
    let mut budget = MOST_RECORDS;
    let mut log = LogBackward::new(directory, query, boundary)?;
    let mut changes = mutations.map(|mutations| MutationsBackward::new(mutations, boundary.copied));
    let mut next_change = || changes.as_mut().map_or(Ok(None), MutationsBackward::next);
    let (mut newest_line, mut newest_change) = (Ahead::default(), Ahead::default());
    // Only as far as is needed: the next one behind the last may be at the other end of the log.
    while page.events.len() < query.limit {
        newest_line.look(&mut || log.next(), query, &mut budget, &mut page)?;
        newest_change.look(&mut next_change, query, &mut budget, &mut page)?;
        let takes_line = match (&newest_line.event, &newest_change.event) {
            (None, None) => break,
            (Some(line), Some(change)) => line.unix_micros >= change.unix_micros,
            (line, _) => line.is_some(),
        };
        let taken = if takes_line { newest_line.event.take() } else { newest_change.event.take() };
        page.events.extend(taken);
    }
    page.is_complete &= budget > 0;
    page.unreadable += log.unreadable;
    page.events.sort_by_key(|event| std::cmp::Reverse(event.unix_micros));
    Ok(page)
}

/// What a visit has seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Visited {
    /// When the oldest event happened that was looked at, microseconds since the epoch.
    pub oldest: Option<i64>,
    /// Whether everything was looked at.
    pub is_complete: bool,
}

/// Shows `see` every event since `since_micros`: the records of mutations that are not copied yet, then the log, each
/// newest first.
pub fn visit(
    log: &AuditLog,
    mutations: &dyn Mutations,
    since_micros: i64,
    see: &mut dyn FnMut(&EventView<'_>),
) -> Result<Visited, SearchError> {
    let mut visited = Visited { oldest: None, is_complete: true };
    let boundary = log.boundary().ok_or(SearchError::NoEnd)?;
    let mut lines = LogBackward::new(log.directory(), &AuditQuery::default(), boundary)?;
    let mut changes = MutationsBackward::new(mutations, boundary.copied);
    let mut budget = MOST_RECORDS;
    let mut of_chain = |next: &mut dyn FnMut() -> Result<Option<Record>, SearchError>| {
        let mut old_records = 0;
        while old_records < OLD_RECORDS {
            let Some((_, _, json)) = next()? else { return Ok(()) };
            if budget == 0 {
                visited.is_complete = false;
                return Ok(());
            }
            budget -= 1;
            let Some(view) = EventView::read(&json) else { continue };
            let happened = view.unix_micros();
            if happened < since_micros {
                old_records += 1;
                continue;
            }
            old_records = 0;
            visited.oldest = Some(visited.oldest.map_or(happened, |oldest: i64| oldest.min(happened)));
            see(&view);
        }
        Ok::<(), SearchError>(())
    };
    of_chain(&mut || changes.next())?;
    of_chain(&mut || lines.next())?;
    Ok(visited)
}

type Record = (Chain, u64, Vec<u8>);

/// The newest event of one chain that is asked for and was not taken yet.
#[derive(Default)]
struct Ahead {
    event: Option<FoundEvent>,
    /// How many records in a row were older than what is asked for.
    old_records: u32,
    is_over: bool,
}

impl Ahead {
    /// Finds it.
    fn look(
        &mut self,
        read: &mut dyn FnMut() -> Result<Option<Record>, SearchError>,
        query: &AuditQuery,
        budget: &mut u64,
        page: &mut Page,
    ) -> Result<(), SearchError> {
        while self.event.is_none() && !self.is_over {
            if *budget == 0 || self.old_records >= OLD_RECORDS {
                self.is_over = true;
                return Ok(());
            }
            let Some((chain, sequence, json)) = read()? else {
                self.is_over = true;
                return Ok(());
            };
            *budget -= 1;
            let Some(view) = EventView::read(&json) else {
                page.unreadable += 1;
                continue;
            };
            let unix_micros = view.unix_micros();
            let is_old = query.since.is_some_and(|since| unix_micros < since);
            self.old_records = if is_old { self.old_records + 1 } else { 0 };
            if query.matches(&view) {
                self.event = Some(FoundEvent { chain, sequence, unix_micros, json });
            }
        }
        Ok(())
    }
}

/// Events of the log, newest first.
struct LogBackward {
    files: Vec<LogFile>,
    lines: Option<LinesBackward>,
    /// Up to where is read.
    boundary: Boundary,
    until_micros: Option<i64>,
    unreadable: u64,
}

impl LogBackward {
    fn new(directory: &Path, query: &AuditQuery, boundary: Boundary) -> io::Result<Self> {
        let mut files = list(directory)?;
        files.retain(|file| file.number <= boundary.file);
        Ok(Self { files, lines: None, boundary, until_micros: query.until, unreadable: 0 })
    }

    fn next(&mut self) -> Result<Option<Record>, SearchError> {
        loop {
            let Some(lines) = &mut self.lines else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            match lines.next() {
                Ok(Some((text, _))) => match Line::parse(&text) {
                    Some(line) if line.kind() == EVENT => {
                        return Ok(Some((Chain::Log, line.sequence, line.content())));
                    }
                    Some(_) => {}
                    None => self.unreadable += 1,
                },
                Ok(None) => self.lines = None,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.unreadable += 1;
                    self.lines = None;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether there was one.
    fn open_next(&mut self) -> io::Result<bool> {
        while let Some(file) = self.files.pop() {
            if let Some(until) = self.until_micros
                && first_time(&file)
                    .is_some_and(|begun| begun.saturating_mul(1000) > until.saturating_add(BEGUN_SLACK_MICROS))
            {
                continue;
            }
            let opened = match open(&file.path) {
                // Removed meanwhile, because it was too old.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let length = opened.metadata()?.len();
            let end = if file.number == self.boundary.file { self.boundary.position.min(length) } else { length };
            self.lines = Some(LinesBackward::before(opened, end)?);
            return Ok(true);
        }
        Ok(false)
    }
}

/// Records of mutations behind number `copied`, newest first.
struct MutationsBackward<'m> {
    mutations: &'m dyn Mutations,
    before: u64,
    copied: u64,
    read: VecDeque<Record>,
}

impl<'m> MutationsBackward<'m> {
    fn new(mutations: &'m dyn Mutations, copied: u64) -> Self {
        Self { mutations, before: mutations.end().saturating_add(1), copied, read: VecDeque::new() }
    }

    fn next(&mut self) -> Result<Option<Record>, SearchError> {
        if self.before <= self.copied.saturating_add(1) {
            return Ok(None);
        }
        if self.read.is_empty() {
            self.read.extend(self.mutations.before(self.before, BATCH)?.into_iter().map(record));
        }
        match self.read.pop_front() {
            Some(next) if next.1 + 1 == self.before => {
                self.before = next.1;
                Ok(Some(next))
            }
            _ => Err(SearchError::Moved),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the record says who did what; it holds no value")]
fn record((sequence, text): (u64, SecretBytes)) -> Record {
    (Chain::Mutations, sequence, text.expose().to_vec())
}

/// A place in the log, behind which events are followed. Those of mutations come when they are copied there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    directory: PathBuf,
    number: u64,
    position: u64,
}

impl Follower {
    /// What came since, of what `query` asks for, in the order of the log. Looks at `most` lines; where there may be
    /// more at once, it says so.
    pub fn poll(&mut self, query: &AuditQuery, most: usize) -> Result<(Vec<FoundEvent>, bool), SearchError> {
        let mut found = Vec::new();
        let mut take = |(chain, sequence, json): Record| {
            if let Some(view) = EventView::read(&json).filter(|view| query.matches(view)) {
                let unix_micros = view.unix_micros();
                found.push(FoundEvent { chain, sequence, unix_micros, json });
            }
        };
        let has_more = self.read_lines(most, &mut take)?;
        Ok((found, has_more))
    }

    /// Whether there may be more.
    fn read_lines(&mut self, most: usize, take: &mut dyn FnMut(Record)) -> io::Result<bool> {
        let (mut left, mut text) = (most, Vec::new());
        loop {
            // Asked before the file is read to its end: once there is a next one, this one grows no more.
            let next = list(&self.directory)?.into_iter().find(|file| file.number > self.number);
            let file = LogFile::numbered(&self.directory, self.number);
            match open(&file.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    let mut lines = Lines::from(opened?, self.position)?;
                    loop {
                        if left == 0 {
                            return Ok(true);
                        }
                        match lines.next(&mut text)? {
                            FoundLine::Line => {
                                left -= 1;
                                if let Some(line) = Line::parse(&text).filter(|line| line.kind() == EVENT) {
                                    take((Chain::Log, line.sequence, line.content()));
                                }
                            }
                            FoundLine::TooLong => {}
                            FoundLine::Torn | FoundLine::End => break,
                        }
                        self.position = lines.position();
                    }
                }
            }
            let Some(next) = next else { return Ok(false) };
            (self.number, self.position) = (next.number, 0);
        }
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
