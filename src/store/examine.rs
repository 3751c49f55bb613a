//! The whole examination of a database that nobody serves: everything is read, nothing is changed.
//!
//! A start looks for what keeps it from serving. This looks at everything, goes on where something is wrong, and says for
//! each finding what it means for a start and whether [`super::accept`] can leave it behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::audit::{AUDIT_CHAIN, AuditRow, row_of as audit_row_of};
use super::index::Known;
use super::open::{audit_removed, compacted, open_head};
use super::reader::connect_at_rest;
use super::schema::{self, Difference, SchemaObject};
use super::state::{StateRow, StateRows};
use super::verify::{Findings, Scan, compare, scan};
use super::{Flags, StoreError, fingerprint};
use crate::crypto::{ChainEnd, Head, Keyring, Sealed, Slot};
use crate::model::kinds::{self, Kind};

/// Messages that SQLite's own check gives at most.
const QUICK_CHECK: &str = "PRAGMA quick_check(64)";
const UNREADABLE_STATE: &str = "the store's own values cannot be read";
const UNREADABLE_AUDIT: &str = "the audit records cannot be read";

/// What a finding means for a start, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Everything is served.
    Served,
    /// A row is not served, or not whole.
    Withheld,
    /// What lies in the same bucket is not served, and nothing is written.
    ReadOnly,
    /// There is no start.
    NoStart,
}

impl Effect {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Withheld => "withheld",
            Self::ReadOnly => "read-only",
            Self::NoStart => "no-start",
        }
    }
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: `file`, `schema`, `head`, `versions`, `state`, `sums`, `counts`, `audit`, `slots`.
    pub area: &'static str,
    /// What is wrong: names, never values.
    pub problem: String,
    /// What a start makes of it.
    pub effect: Effect,
    /// Whether it can be left behind.
    pub is_acceptable: bool,
}

/// What an examination has looked at and found.
pub struct Examination {
    /// Rows of objects.
    pub versions: u64,
    /// Objects that there are.
    pub objects: u64,
    /// Audit records.
    pub audit: u64,
    /// The store's own values.
    pub state: u64,
    /// Ways to unlock.
    pub slots: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Objects that a start would not serve.
    pub not_served: Vec<String>,
    pub(super) facts: Facts,
}

/// What is needed to leave behind what was found.
#[derive(Default)]
pub(super) struct Facts {
    pub differences: Vec<Difference>,
    pub expected: Vec<SchemaObject>,
    /// The migration whose schema is expected.
    pub migration: i64,
    /// The sealed head says so, or there is none to say another.
    pub is_migration_sure: bool,
    /// The table of migrations is not as a start needs it, and is to be made for this one.
    pub migration_to_write: Option<i64>,
    /// What the database held before anything was looked at, where something is to follow from what is found.
    pub fingerprint: Option<[u8; 32]>,
    pub damaged: Vec<u64>,
    pub damaged_state: Vec<String>,
    pub damaged_slots: Vec<i64>,
    pub head: Option<Head>,
    /// The highest revision of a row that passes authentication.
    pub last_revision: u64,
    pub line: Option<(u64, u64)>,
    pub audit_removed: Option<ChainEnd>,
    pub is_audit_broken: bool,
    /// The last audit record there is.
    pub last_audit: Option<ChainEnd>,
    /// Rows that pass authentication are newer than the head.
    pub is_head_older: bool,
    /// What becomes of objects whose rows are removed.
    pub consequences: Vec<String>,
}

impl Examination {
    /// Whether everything is as it was written.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether everything that is wrong can be left behind.
    pub fn is_acceptable(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_acceptable)
    }

    /// What a start makes of all of it.
    pub fn effect(&self) -> Effect {
        self.findings.iter().map(|finding| finding.effect).max().unwrap_or(Effect::Served)
    }

    /// What becomes of objects whose damaged rows are removed.
    pub fn consequences(&self) -> &[String] {
        &self.facts.consequences
    }

    fn find(&mut self, area: &'static str, effect: Effect, is_acceptable: bool, problem: impl Into<String>) {
        self.findings.push(Finding { area, problem: problem.into(), effect, is_acceptable });
    }

    /// What cannot even be read keeps the store from starting, and nothing can be left behind.
    fn fail(&mut self, area: &'static str, error: &StoreError) {
        self.find(area, Effect::NoStart, false, error.to_string());
    }
}

/// Examines a database that this process owns and nobody serves. An error is what keeps from examining it: a newer
/// release's database, or a file that cannot be opened.
pub async fn examine(path: &Path, keyring: &Arc<Keyring>) -> Result<Examination, StoreError> {
    examine_for(path, keyring, false).await
}

/// As [`examine`], so that what is found can be accepted: reads everything once more.
pub async fn examine_to_accept(path: &Path, keyring: &Arc<Keyring>) -> Result<Examination, StoreError> {
    examine_for(path, keyring, true).await
}

async fn examine_for(path: &Path, keyring: &Arc<Keyring>, to_accept: bool) -> Result<Examination, StoreError> {
    if !path.exists() {
        return Err(StoreError::Incomplete("the database file"));
    }
    let (applied, sealed, there) = {
        let (path, keyring) = (path.to_owned(), Arc::clone(keyring));
        let read = move || {
            let connection = connect_at_rest(&path)?;
            let sealed = read_head(&connection, &keyring).ok().map(|head| head.schema_hash);
            // What cannot be read is told of when it is looked at.
            let there = schema::read_now(&connection).unwrap_or_default();
            Ok::<_, StoreError>((schema::applied_now(&connection), sealed, there))
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Incomplete("its schema"))??
    };
    // The head decides: the table of migrations is not authenticated.
    let of_head = match sealed {
        Some(sealed) => schema::migration_of(sealed, &there).await?,
        None => None,
    };
    let migration = of_head.map_or_else(|| schema::known_migration(applied), Ok)?;
    let facts = Facts {
        expected: schema::of_release(Some(migration)).await?,
        migration,
        is_migration_sure: of_head.is_some() || sealed.is_none(),
        ..Facts::default()
    };
    let (path, keyring) = (path.to_owned(), Arc::clone(keyring));
    tokio::task::spawn_blocking(move || examine_now(&path, &keyring, facts, to_accept))
        .await
        .map_err(|_| StoreError::Incomplete("a part of its rows"))?
}

fn examine_now(
    path: &Path,
    keyring: &Arc<Keyring>,
    mut facts: Facts,
    to_accept: bool,
) -> Result<Examination, StoreError> {
    let connection = connect_at_rest(path)?;
    // Before anything is looked at: a change in the midst of it is seen too. Where it cannot be taken, a row cannot be
    // read, and what is found says so.
    facts.fingerprint = to_accept.then(|| fingerprint::take(&connection, &facts.expected).ok()).flatten();
    let mut found = Examination {
        versions: 0,
        objects: 0,
        audit: 0,
        state: 0,
        slots: 0,
        findings: Vec::new(),
        not_served: Vec::new(),
        facts,
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (checked, scanned) = std::thread::scope(|scope| {
        let checking = scope.spawn(|| quick_check(path));
        let scanned = scan(path, keyring, threads);
        (checking.join().unwrap_or(Err(StoreError::Incomplete("SQLite's own check"))), scanned)
    });
    match checked {
        Ok(messages) => {
            for message in messages {
                found.find("file", Effect::Withheld, false, format!("SQLite: {message}"));
            }
        }
        Err(error) => found.fail("file", &error),
    }
    let schema = look_at_schema(&mut found, &connection);
    look_at_head(&mut found, &connection, keyring, schema)?;
    look_at_slots(&mut found, &connection);
    let state = look_at_state(&mut found, &connection, keyring)?;
    match scanned {
        Ok(scanned) => look_at_versions(&mut found, &scanned, &state, keyring),
        Err(error) => found.fail("versions", &error),
    }
    look_at_audit(&mut found, &connection, &state, keyring);
    Ok(found)
}

fn quick_check(path: &Path) -> Result<Vec<String>, StoreError> {
    let failed = StoreError::sqlite::<rusqlite::Error>;
    let connection = connect_at_rest(path)?;
    let mut statement = connection.prepare(QUICK_CHECK).map_err(failed("the file cannot be checked"))?;
    let messages = statement
        .query_map([], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed("the file cannot be checked"))?;
    Ok(messages.iter().flat_map(|message| message.lines()).filter(|line| *line != "ok").map(str::to_owned).collect())
}

fn look_at_schema(found: &mut Examination, connection: &Connection) -> Option<[u8; 32]> {
    let objects = match schema::read_now(connection) {
        Ok(objects) => objects,
        Err(error) => {
            found.find("schema", Effect::NoStart, false, format!("the schema cannot be read: {error}"));
            return None;
        }
    };
    let differences = schema::differences(&objects, &found.facts.expected);
    for difference in &differences {
        let is_acceptable = match difference {
            Difference::Foreign(object) => object.can_be_named(),
            Difference::Missing(object) | Difference::Changed(object) => object.holds_no_rows(),
        };
        let mut problem = difference.to_string();
        if matches!(difference, Difference::Foreign(object) if !object.can_be_named()) {
            problem.push_str("; its name is no text: drop it with SQLite's own shell, or restore a backup");
        }
        found.find("schema", Effect::NoStart, is_acceptable, problem);
    }
    found.facts.differences = differences;
    let wrong = schema::wrong_migrations(connection, found.facts.migration);
    found.facts.migration_to_write = (!wrong.is_empty()).then_some(found.facts.migration);
    for problem in wrong {
        found.find("schema", Effect::NoStart, found.facts.is_migration_sure, problem);
    }
    Some(schema::hash(&objects))
}

fn read_head(connection: &Connection, keyring: &Keyring) -> Result<Head, StoreError> {
    let sealed = connection.query_row("SELECT sealed FROM head WHERE id = 1", [], |row| row.get::<_, Vec<u8>>(0));
    match sealed {
        Ok(sealed) => open_head(&sealed, keyring),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(StoreError::Incomplete("its head")),
        Err(error) => Err(StoreError::sqlite("the head cannot be read")(error)),
    }
}

fn look_at_head(
    found: &mut Examination,
    connection: &Connection,
    keyring: &Keyring,
    schema: Option<[u8; 32]>,
) -> Result<(), StoreError> {
    match read_head(connection, keyring) {
        Ok(head) => {
            if found.facts.differences.is_empty() && schema.is_some_and(|schema| schema != head.schema_hash) {
                found.find("schema", Effect::NoStart, true, "the schema is another one than was sealed");
            }
            found.facts.head = Some(head);
        }
        Err(error @ StoreError::Newer(_)) => return Err(error),
        Err(StoreError::Integrity(what)) => {
            found.find(
                "head",
                Effect::NoStart,
                true,
                format!("{what}; whether rows are missing is not known without it"),
            );
        }
        Err(StoreError::Incomplete(_)) => {
            let problem = "the head of the store is missing; whether rows are missing is not known without it";
            found.find("head", Effect::NoStart, true, problem);
        }
        Err(error) => found.fail("head", &error),
    }
    Ok(())
}

/// Of a slot only its owner can say whether it opens; that it was not damaged is seen by its check bytes.
fn look_at_slots(found: &mut Examination, connection: &Connection) {
    let slots = connection.prepare("SELECT id, slot FROM slots ORDER BY id").and_then(|mut statement| {
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.collect::<Result<Vec<_>, _>>()
    });
    match slots {
        Ok(slots) => {
            found.slots = slots.len() as u64;
            for (id, slot) in slots {
                if let Err(error) = Slot::decode(&slot) {
                    // It opens for nobody.
                    found.find("slots", Effect::Served, true, format!("row {id} of slots: {error}"));
                    found.facts.damaged_slots.push(id);
                }
            }
        }
        Err(error) => found.fail("slots", &StoreError::sqlite("the slots cannot be read")(error)),
    }
}

fn look_at_state(found: &mut Examination, connection: &Connection, keyring: &Keyring) -> Result<StateRows, StoreError> {
    let rows = match read_state(connection) {
        Ok(rows) => rows,
        Err(error) => {
            found.fail("state", &StoreError::sqlite(UNREADABLE_STATE)(error));
            return Ok(StateRows::new());
        }
    };
    found.state = rows.len() as u64;
    for (key, row) in &rows {
        match row.verify(key, keyring) {
            Ok(()) => continue,
            Err(StoreError::Integrity(what)) => found.find("state", Effect::NoStart, true, what),
            Err(newer) => return Err(newer),
        }
        found.facts.damaged_state.push(key.clone());
    }
    Ok(rows)
}

/// Every value of the store's own as it lies there; nothing is authenticated.
pub(super) fn read_state(connection: &Connection) -> Result<StateRows, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT key, sequence, term, meta, data FROM state")?;
    let rows = statement.query_map([], |row| {
        // A term that is none has no key either, and is found when the value is opened.
        let term = u32::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        let sealed = Sealed::from_stored(term, row.get(3)?, row.get(4)?);
        let sequence = row.get::<_, i64>(1)?.cast_unsigned();
        Ok((row.get::<_, String>(0)?, StateRow { sequence, sealed }))
    })?;
    rows.collect()
}

fn look_at_versions(found: &mut Examination, scanned: &Scan, state: &StateRows, keyring: &Keyring) {
    let shown = |known: &Known| {
        let kind = kinds::by_id(known.kind_id).map_or("", Kind::stored_name);
        format!("kind {kind:?}, namespace {:?}, name {:?}", known.namespace, known.name)
    };
    let nothing_refused = Findings::default();
    let mut sums = None;
    if let Some(head) = &found.facts.head {
        let mut accumulators = scanned.accumulators.clone();
        for (key, row) in state {
            row.toggle(key, &mut accumulators, keyring);
        }
        sums = Some(compare(scanned, &accumulators, head, keyring));
    }
    let refused = sums.as_ref().unwrap_or(&nothing_refused);
    found.versions = (scanned.known.len() + scanned.damaged.len()) as u64;
    let does_not_open = |known: &Known| scanned.damaged.contains_key(&known.revision);
    found.versions -= scanned.known.iter().filter(|known| does_not_open(known)).count() as u64;
    // What opens was written by a commit, however old the head is that lies there.
    let is_damaged = does_not_open;

    let mut latest: BTreeMap<(u8, &str, &str), (&Known, Option<&Known>)> = BTreeMap::new();
    for known in &scanned.known {
        let entry = latest.entry((known.kind_id, &known.namespace, &known.name)).or_insert((known, None));
        entry.0 = known;
        // What would be the latest without damaged rows.
        if !is_damaged(known) {
            entry.1 = Some(known);
            found.facts.last_revision = found.facts.last_revision.max(known.revision);
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let is_object = |known: &Known| !known.flags.has(Flags::TOMBSTONE);
    for ((kind_id, namespace, name), (last, without)) in &latest {
        let is_refused = refused.refuses(keyring, *kind_id, namespace, name);
        if is_object(last) {
            found.objects += 1;
            let kind = kinds::by_id(*kind_id).map_or("", Kind::stored_name);
            *counts.entry(kind.to_owned()).or_default() += 1;
            if is_damaged(last) || is_refused {
                found.not_served.push(shown(last));
            }
        }
        if is_damaged(last) {
            let object = shown(last);
            found.facts.consequences.push(match without {
                Some(known) if is_object(known) => {
                    format!("{object}: becomes what it was at revision {}", known.revision)
                }
                _ => format!("{object}: is gone"),
            });
        }
    }
    for (revision, row) in &scanned.damaged {
        found.find("versions", Effect::Withheld, true, row.clone());
        found.facts.damaged.push(*revision);
    }
    look_for_newer(found, scanned, state, keyring);
    let Some(sums) = sums else { return };
    if sums.refuses_state() {
        let problem = "one of the store's own values is missing, an older one or foreign";
        found.find("sums", Effect::NoStart, true, problem);
    }
    for (bucket, left) in sums.refused_and_left() {
        let left = if left.is_empty() { "no object is left in it".to_owned() } else { left.join("; ") };
        let problem = format!("bucket {bucket}: a row is missing, an older one or foreign; left in it: {left}");
        found.find("sums", Effect::ReadOnly, true, problem);
    }
    let head_counts = found.facts.head.as_ref().map(|head| head.counts.clone()).unwrap_or_default();
    let kinds: BTreeSet<&String> = head_counts.keys().chain(counts.keys()).collect();
    for kind in kinds {
        let [sealed, there] = [&head_counts, &counts].map(|counts| counts.get(kind).copied().unwrap_or(0));
        if sealed != there {
            let problem = format!("kind {kind:?}: the head counts {sealed} objects, and there are {there}");
            found.find("counts", Effect::Served, true, problem);
        }
    }
}

/// Rows that open and are newer than the head tell that an older head was put back, whose rows they outlast.
fn look_for_newer(found: &mut Examination, scanned: &Scan, state: &StateRows, keyring: &Keyring) {
    let Some(Head { revision, sequence, .. }) = found.facts.head else { return };
    let opens = |known: &&Known| !scanned.damaged.contains_key(&known.revision);
    let rows = scanned.known.iter().filter(|known| known.revision > revision).filter(opens).count();
    let is_newer = |(key, row): &(&String, &StateRow)| row.sequence > sequence && row.verify(key, keyring).is_ok();
    let values = state.iter().filter(is_newer).count();
    if rows + values > 0 {
        let problem = format!(
            "the head is an older one: it ends with revision {revision}, and {rows} rows and {values} of the store's own \
             values are newer; they are kept"
        );
        found.find("head", Effect::ReadOnly, true, problem);
        found.facts.is_head_older = true;
    }
}

fn look_at_audit(found: &mut Examination, connection: &Connection, state: &StateRows, keyring: &Keyring) {
    let damaged = found.facts.damaged_state.clone();
    let is_damaged = |key: &str| damaged.iter().any(|damaged| damaged == key);
    if !is_damaged(super::state::COMPACTED) {
        match compacted(state, keyring) {
            Ok(line) => found.facts.line = state.contains_key(super::state::COMPACTED).then_some(line),
            Err(error) => found.fail("state", &error),
        }
    }
    let mut end = None;
    if !is_damaged(super::state::AUDIT_REMOVED) {
        match audit_removed(state, keyring) {
            Ok(removed) => end = Some(removed),
            Err(error) => found.fail("state", &error),
        }
    }
    found.facts.audit_removed = end;
    let mut last = end.map_or(0, |end| end.sequence);
    let mut link = end.map_or_else(|| keyring.audit_start(AUDIT_CHAIN), |end| end.link);
    // Without the place where it goes on from, the first link cannot be judged.
    let mut is_known = end.is_some();
    let mut broken = !is_known;
    // An older head ends in the midst of the chain.
    let sealed_end = found.facts.head.as_ref().map(|head| head.audit_chain_head);
    let mut at_head = (is_known && sealed_end == Some(link)).then_some(last);
    let walked = each_audit(connection, |row| {
        found.audit += 1;
        let (number, problem) = match &row {
            Err(number) => (*number, Some("a column is not what it must be")),
            Ok(AuditRow { sequence, sealed, link: stored }) => {
                let expected = keyring.audit_link(&link, sealed.meta());
                let problem = if keyring.verify(&row_id(*sequence), sealed).is_err() {
                    Some("does not pass authentication")
                } else if is_known && last + 1 == *sequence && expected != *stored {
                    Some("is not the one that was linked there")
                } else {
                    None
                };
                (*sequence, problem)
            }
        };
        if is_known && last + 1 != number {
            found.find(
                "audit",
                Effect::Withheld,
                true,
                format!("audit records between {last} and {number} are missing"),
            );
            broken = true;
        }
        if let Some(problem) = problem {
            found.find("audit", Effect::Withheld, true, format!("audit record {number}: {problem}"));
            broken = true;
        }
        last = number;
        is_known = row.is_ok();
        if let Ok(row) = row {
            link = row.link;
            if sealed_end == Some(link) {
                at_head = Some(last);
            }
        }
    });
    if let Err(error) = walked {
        found.fail("audit", &StoreError::sqlite(UNREADABLE_AUDIT)(error));
        return;
    }
    if sealed_end.is_some_and(|sealed| sealed != link) {
        if let Some(at_head) = at_head.filter(|_| !broken) {
            let problem = format!("the head is an older one: the audit records go on from {at_head} to {last}");
            found.find("audit", Effect::ReadOnly, true, problem);
            found.facts.is_head_older = true;
        } else {
            let problem =
                format!("the audit records end with {last}, and not as was sealed: records are missing behind it");
            found.find("audit", Effect::ReadOnly, true, problem);
            broken = true;
        }
    }
    found.facts.last_audit = Some(ChainEnd { sequence: last, link });
    found.facts.is_audit_broken = broken || found.facts.head.is_none();
}

fn row_id(sequence: u64) -> crate::crypto::RecordId<'static> {
    super::audit::audit_id(sequence)
}

/// Every audit record in order; the number of one that is of another shape.
pub(super) fn each_audit(
    connection: &Connection,
    mut take: impl FnMut(Result<AuditRow, u64>),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare("SELECT sequence, term, record, link FROM audit ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let sequence = row.get::<_, i64>(0)?.cast_unsigned();
        take(audit_row_of(row, sequence).ok_or(sequence));
    }
    Ok(())
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
