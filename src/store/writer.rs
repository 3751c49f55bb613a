//! The one writer: takes what waits, makes it one transaction, and tells of it only when it is on the disk.
//!
//! ```text
//! check against the index and what the batch has done so far ─► number, seal ─► insert, head, commit ─► index, feed, replies
//! ```
//!
//! What it never does: make half a group, reuse a revision that was told of, or write on after the disk has
//! failed in a way that leaves open what it holds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::audit::link;
use super::compaction::{CLEANED_ROWS, Marks};
use super::connection::connect;
use super::index::Known;
use super::keys::KeyMaterial;
use super::reseal::Pass;
use super::sentry::Sentry;
use super::state::{StateOverlay, write_overlay};
use super::statements::{self, Commits, NewAudit, NewVersion};
use super::verify::toggle;
use super::{
    Change, CommitError, Committed, Destroyed, Destruction, Entry, Expect, Flags, Group, KeyChange, Mutation,
    Operation, Restart, SealedRow, Shared, StateChange, StoreError,
};
use crate::clock::SharedClock;
use crate::crypto::{ChainEnd, Head, Keyring, Sealed};
use crate::failpoint;
use crate::model::kinds;

/// Groups of one transaction.
const BATCH_GROUPS: usize = 256;
/// Sealed bytes after which a transaction takes no further group.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How often the compaction line moves.
const TICK: Duration = Duration::from_secs(30);

const DISK: &str = "the store cannot be written: see the server's log, then free disk space or mend the disk";
const UNCERTAIN: &str = "the store was closed for writing because the disk failed during a commit: restart the server";
const IN_THE_WAY: &str = "the store is read-only because a row that is none of ours is in the way: see the server's log, stop it, and run `strongroom verify`";
/// What SQLite says of a second row with a key, among others.
const CONSTRAINT: i64 = 19;
const TAMPERED: &str = "the store is read-only because rows were changed from outside: see the server's log, stop it, and run `strongroom verify`";

/// What the writer is asked for.
pub enum Command {
    Commit { group: Group, reply: oneshot::Sender<Result<Committed, CommitError>> },
    State { rows: Vec<StateChange>, audit: Option<Vec<u8>>, reply: oneshot::Sender<Result<(), StoreError>> },
    RemoveAudit { end: ChainEnd, reply: oneshot::Sender<Result<(), StoreError>> },
    Keys { change: KeyChange, reply: oneshot::Sender<Result<bool, StoreError>> },
    Destroy { destruction: Destruction, reply: oneshot::Sender<Result<Destroyed, StoreError>> },
    Restart { restart: Box<Restart>, reply: oneshot::Sender<Result<(), StoreError>> },
    Compact { line: u64, reply: oneshot::Sender<Result<(), StoreError>> },
    Close { reply: oneshot::Sender<Result<(), StoreError>> },
}

/// See the module.
pub struct Writer {
    pub(super) connection: SqliteConnection,
    path: PathBuf,
    /// A transaction on it failed: whether that has ended, only a new connection makes certain.
    is_broken: bool,
    /// The keyring and the slots as they were last written.
    pub(super) kept: KeyMaterial,
    sentry: Sentry,
    pub(super) shared: Arc<Shared>,
    pub(super) head: Head,
    pub(super) audit_sequence: u64,
    clock: SharedClock,
    feed: mpsc::UnboundedSender<Arc<[Change]>>,
    marks: Marks,
    commits: Commits,
    /// Versions written for which no old ones have been cleaned up yet.
    written: usize,
    /// What is being sealed anew.
    pub(super) resealing: Option<Pass>,
    /// Cleaning up has failed since the last tick.
    pub(super) cleaning_paused: bool,
    /// Why nothing is written any more.
    pub(super) closed_for_writing: Option<&'static str>,
}

/// A group whose changes were checked and sealed, waiting for the commit.
struct Pending {
    rows: Vec<Arc<SealedRow>>,
    reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// Groups that share a transaction.
struct Batch {
    head: Head,
    audit_sequence: u64,
    versions: Vec<NewVersion>,
    audit: Vec<NewAudit>,
    /// What the batch makes of the store's own values; `None` is removed.
    state: StateOverlay,
    /// What the batch has made of names so far; `None` is deleted.
    overlay: HashMap<(u8, String, String), Option<Entry>>,
    pending: Vec<Pending>,
    /// What was refused in the light of changes that are not yet on the disk: told of when they are, so that whoever
    /// tries again finds what stood in the way, and nobody hears of a change that then fails.
    refused: Vec<(oneshot::Sender<Result<Committed, CommitError>>, CommitError)>,
    bytes: usize,
}

impl Writer {
    pub(super) fn new(
        (connection, path): (SqliteConnection, PathBuf),
        (head, kept): (Head, KeyMaterial),
        sentry: Sentry,
        shared: Arc<Shared>,
        audit_sequence: u64,
        clock: SharedClock,
        feed: mpsc::UnboundedSender<Arc<[Change]>>,
    ) -> Self {
        let closed_for_writing = Some(TAMPERED).filter(|_| shared.findings.forbids_writes());
        let marks = Marks::new(clock.unix_millis(), head.revision);
        let commits = Commits::default();
        Self {
            connection,
            path,
            is_broken: false,
            kept,
            sentry,
            shared,
            head,
            audit_sequence,
            clock,
            feed,
            marks,
            commits,
            written: 0,
            resealing: None,
            cleaning_paused: false,
            closed_for_writing,
        }
    }

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let command = tokio::select! {
                // In turn, and not by chance: the line moves however much waits.
                biased;
                _ = tick.tick() => {
                    self.on_tick().await;
                    continue;
                }
                command = queue.recv() => match command {
                    Some(command) => Some(command),
                    None => return,
                },
                () = std::future::ready(()), if self.may_clean_up() => {
                    self.heed_incidents();
                    self.clean_up().await;
                    continue;
                }
                () = until(self.resealing_due()) => {
                    self.heed_incidents();
                    self.reseal().await;
                    continue;
                }
            };
            let mut next = command;
            while let Some(command) = next.take() {
                self.heed_incidents();
                match command {
                    Command::Commit { group, reply } => next = self.commit(group, reply, &mut queue).await,
                    Command::State { rows, audit, reply } => {
                        let _ = reply.send(self.write_state(rows, audit).await);
                    }
                    Command::RemoveAudit { end, reply } => {
                        let _ = reply.send(self.remove_audit(end).await);
                    }
                    Command::Keys { change, reply } => {
                        let _ = reply.send(self.change_keys(change).await);
                    }
                    Command::Destroy { destruction, reply } => {
                        let _ = reply.send(self.destroy(destruction).await);
                    }
                    Command::Restart { restart, reply } => {
                        let _ = reply.send(self.restart(*restart).await);
                    }
                    Command::Compact { line, reply } => {
                        let _ = reply.send(self.compact_to(line).await);
                    }
                    Command::Close { reply } => {
                        self.mend_own_rows().await;
                        let _ = reply.send(self.close().await);
                        return;
                    }
                }
            }
            self.keep_up().await;
        }
    }

    /// Nothing more is written once something is foreign in the schema, or too many rows were changed from outside.
    fn heed_incidents(&mut self) {
        if self.closed_for_writing.is_some() {
            return;
        }
        if let Some(foreign) = self.sentry.look() {
            self.shared.incidents.tell_of_schema(foreign);
        }
        self.closed_for_writing = self.shared.incidents.refusal();
    }

    /// Cleans up as much as was written since the last time, and seals anew what is due: otherwise neither would get its
    /// turn under a load that never pauses.
    async fn keep_up(&mut self) {
        while self.written >= CLEANED_ROWS && self.may_clean_up() {
            self.clean_up().await;
            self.written -= CLEANED_ROWS;
        }
        if self.resealing_due().is_some_and(|due| due <= Instant::now()) {
            self.reseal().await;
        }
    }

    /// Commits `first` and whatever waits behind it. Returns a command of another sort that it came upon.
    async fn commit(
        &mut self,
        group: Group,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
        queue: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let mut batch = Batch {
            head: self.head.clone(),
            audit_sequence: self.audit_sequence,
            versions: Vec::new(),
            audit: Vec::new(),
            state: StateOverlay::new(),
            overlay: HashMap::new(),
            pending: Vec::new(),
            refused: Vec::new(),
            bytes: 0,
        };
        let mut other = None;
        self.add(&mut batch, group, reply);
        while batch.pending.len() + batch.refused.len() < BATCH_GROUPS && batch.bytes < BATCH_BYTES {
            match queue.try_recv() {
                Ok(Command::Commit { group, reply }) => self.add(&mut batch, group, reply),
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(_) => break,
            }
        }
        if !batch.pending.is_empty() {
            self.finish(batch).await;
        }
        other
    }

    /// Checks and seals a group onto the batch, or answers why not.
    fn add(&self, batch: &mut Batch, group: Group, reply: oneshot::Sender<Result<Committed, CommitError>>) {
        match self.take(batch, group) {
            Ok(rows) => batch.pending.push(Pending { rows, reply }),
            Err(error) if batch.pending.is_empty() => {
                let _ = reply.send(Err(error));
            }
            Err(error) => batch.refused.push((reply, error)),
        }
    }

    fn take(&self, batch: &mut Batch, group: Group) -> Result<Vec<Arc<SealedRow>>, CommitError> {
        const UNSEALED: CommitError =
            CommitError::Unavailable("the change could not be sealed: the system gave no randomness");
        if let Some(why) = self.closed_for_writing {
            return Err(CommitError::Unavailable(why));
        }
        let checked = self.check(batch, &group.mutations)?;
        failpoint::reached("commit.before-seal");
        let keyring = &self.shared.keyring;
        let unsealed = |_| UNSEALED;
        let refused_state =
            |error| if matches!(error, StoreError::Superseded) { CommitError::Conflict } else { UNSEALED };
        let made = (batch.head.revision + 1..)
            .zip(group.mutations)
            .map(|(revision, mutation)| seal(keyring, mutation, revision))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unsealed)?;
        failpoint::reached("commit.after-seal");
        let audit = group
            .audit
            .map(|line| link(keyring, &batch.head, batch.audit_sequence, line))
            .transpose()
            .map_err(unsealed)?;
        let mut accumulators = None;
        if !group.state.is_empty() {
            // The commit's own number, which `finish` gives the head.
            let mut head = Head { sequence: batch.head.sequence + 1, ..batch.head.clone() };
            let made = self.replace_state(&mut head, &batch.state, group.state).map_err(refused_state)?;
            accumulators = Some((head.accumulators, made));
        }
        // From here on nothing fails: the group is part of the batch.
        if let Some((accumulators, made)) = accumulators {
            batch.head.accumulators = accumulators;
            batch.state.extend(made);
        }
        if let Some(audit) = audit {
            batch.head.audit_chain_head = audit.link;
            batch.audit_sequence = audit.sequence;
            batch.audit.push(audit);
        }
        for version in &made {
            batch.bytes += version.row.bytes();
            toggle(&mut batch.head.accumulators, keyring, &version.row);
            count(&mut batch.head, &version.row, &checked);
        }
        batch.head.revision += made.len() as u64;
        batch.overlay.extend(checked.after);
        let rows = made.iter().map(|version| Arc::clone(&version.row)).collect();
        batch.versions.extend(made);
        Ok(rows)
    }

    /// What the group would make of names, if every expectation of it holds.
    fn check(&self, batch: &Batch, mutations: &[Mutation]) -> Result<Checked, CommitError> {
        let index = self.shared.index();
        let mut checked = Checked { after: HashMap::new(), created: Vec::new() };
        for (revision, mutation) in (batch.head.revision + 1..).zip(mutations) {
            let find = |kind_id: u8, namespace: &str, name: &str| {
                let key = (kind_id, namespace.to_owned(), name.to_owned());
                match checked.after.get(&key).or_else(|| batch.overlay.get(&key)) {
                    Some(entry) => *entry,
                    None => index.find(kind_id, namespace, name),
                }
            };
            let Mutation { kind_id, namespace, name, .. } = mutation;
            if self.shared.findings.refuses(&self.shared.keyring, *kind_id, namespace, name) {
                return Err(CommitError::Integrity);
            }
            let current = find(*kind_id, namespace, name);
            match (mutation.expect, current) {
                (Expect::Absent, Some(entry)) => {
                    return Err(CommitError::AlreadyExists { terminating: entry.flags.has(Flags::TERMINATING) });
                }
                (Expect::Revision(_), None) => return Err(CommitError::NotFound),
                (Expect::Revision(expected), Some(entry)) if entry.revision != expected => {
                    return Err(CommitError::Conflict);
                }
                _ => {}
            }
            if mutation.namespace_must_be_active {
                match find(kinds::NAMESPACE.id, "", namespace) {
                    None => return Err(CommitError::NamespaceNotFound),
                    Some(entry) if entry.flags.has(Flags::TERMINATING) => {
                        return Err(CommitError::NamespaceTerminating);
                    }
                    Some(_) => {}
                }
            }
            if current.is_none() {
                checked.created.push(revision);
            }
            let entry = Some(Entry { revision, flags: mutation.flags }).filter(|entry| !entry.flags.is_tombstone());
            checked.after.insert((*kind_id, namespace.clone(), name.clone()), entry);
        }
        Ok(checked)
    }

    /// Notes the time in a head that is about to be committed.
    pub(super) fn mark_time(&self, head: &mut Head) {
        if let Some(mark) = self.shared.time_mark.get() {
            head.time_high_water_unix_seconds = mark();
        }
    }

    async fn finish(&mut self, mut batch: Batch) {
        batch.head.sequence += 1;
        self.mark_time(&mut batch.head);
        if let Err(why) = self.write(&batch).await {
            let refused = batch.refused.into_iter().map(|(reply, _)| reply);
            for reply in batch.pending.into_iter().map(|pending| pending.reply).chain(refused) {
                let _ = reply.send(Err(CommitError::Unavailable(why)));
            }
            return;
        }
        failpoint::reached("commit.after-commit");
        self.head = batch.head;
        self.audit_sequence = batch.audit_sequence;
        self.tell_audit_end();
        // Bounded: where nothing is to be cleaned up there is nothing to catch up with either.
        self.written = (self.written + batch.versions.len()).min(4 * CLEANED_ROWS);
        self.keep_state(batch.state);
        let changes = self.publish(&batch.versions);
        // Nobody listens only while the server stops.
        let _ = self.feed.send(changes);
        for pending in batch.pending {
            // A caller that went away has lost its answer, not its change.
            let _ = pending.reply.send(Ok(Committed { rows: pending.rows }));
        }
        for (reply, error) in batch.refused {
            let _ = reply.send(Err(error));
        }
    }

    fn publish(&self, versions: &[NewVersion]) -> Arc<[Change]> {
        let mut index = self.shared.index_mut();
        let access = versions.iter().rev().find(|version| kinds::decides_access(version.row.kind_id));
        let changes = versions
            .iter()
            .map(|version| {
                let row = Arc::clone(&version.row);
                self.shared.rows.keep(&row);
                let previous = index.add(Known {
                    revision: row.revision,
                    kind_id: row.kind_id,
                    flags: row.flags,
                    namespace: Arc::clone(&row.namespace),
                    name: Box::from(&*row.name),
                });
                let op = if row.flags.is_tombstone() { Operation::Delete } else { Operation::Put };
                Change { revision: row.revision, kind_id: row.kind_id, op, previous, row }
            })
            .collect();
        if let Some(version) = access {
            self.shared.access_revision.store(version.row.revision, Ordering::Release);
        }
        changes
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), &'static str> {
        let sealed = self.shared.keyring.seal_head(&batch.head.encode()).map_err(|_| DISK)?;
        self.reconnect_if_broken().await?;
        let (connection, commits) = (&mut self.connection, &mut self.commits);
        failpoint::reached("commit.before-commit");
        let outcome = if batch.state.is_empty() {
            statements::commit(connection, commits, &batch.versions, &batch.audit, sealed).await
        } else {
            let written = async {
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                write_overlay(&mut transaction, &batch.state).await?;
                statements::commit(&mut transaction, commits, &batch.versions, &batch.audit, sealed).await?;
                transaction.commit().await
            };
            written.await
        };
        self.judge(outcome)
    }

    /// Another connection after a transaction that failed. SQLite may have ended it by itself, of which the library does not
    /// know: it would begin none on that connection any more.
    pub(super) async fn reconnect_if_broken(&mut self) -> Result<(), &'static str> {
        if !self.is_broken {
            return Ok(());
        }
        match connect(&self.path, false).await {
            Ok(connection) => {
                self.connection = connection;
                self.is_broken = false;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "the database cannot be opened again yet");
                *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(DISK);
                Err(DISK)
            }
        }
    }

    /// Whether own rows may be written whatever else was found: not where it is unknown what the disk holds, nor where something
    /// foreign would do its work with it.
    pub(super) fn may_mend(&mut self) -> bool {
        self.closed_for_writing != Some(UNCERTAIN) && self.sentry.look().is_none()
    }

    /// Full disks and quotas are a matter of trying again later. Anything else leaves open what the disk holds.
    pub(super) fn judge(&mut self, outcome: Result<(), sqlx::Error>) -> Result<(), &'static str> {
        let judged = self.judge_failure(outcome);
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        judged
    }

    fn judge_failure(&mut self, outcome: Result<(), sqlx::Error>) -> Result<(), &'static str> {
        let Err(error) = outcome else { return Ok(()) };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code: i64 = code.and_then(|code| code.parse().ok()).unwrap_or_default();
        tracing::error!(error.code = code, %error, "a commit failed");
        self.is_broken = true;
        if is_passing(code) {
            return Err(DISK);
        }
        if code & 0xff == CONSTRAINT {
            // A row lies where the next one of ours belongs.
            self.closed_for_writing = Some(IN_THE_WAY);
            return Err(IN_THE_WAY);
        }
        self.closed_for_writing = Some(UNCERTAIN);
        Err(UNCERTAIN)
    }

    pub(super) fn tell_audit_end(&self) {
        let end = ChainEnd { sequence: self.audit_sequence, link: self.head.audit_chain_head };
        *self.shared.audit_end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn may_clean_up(&self) -> bool {
        !self.cleaning_paused && self.has_superseded()
    }

    /// Moves the compaction line; where the disk was full, finds out whether it still is, so that readiness comes back
    /// without anybody writing.
    async fn on_tick(&mut self) {
        self.heed_incidents();
        self.mend_own_rows().await;
        self.cleaning_paused = false;
        let was_refused = self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if was_refused && self.write_state(Vec::new(), None).await.is_ok() {
            tracing::info!("the store can be written again");
        }
        self.advance_line();
    }

    fn advance_line(&mut self) {
        let logged = |newer| self.shared.index().logged_before(newer);
        if let Some(line) = self.marks.line(self.clock.unix_millis(), self.head.revision, logged) {
            self.shared.index_mut().draw_line(line);
        }
    }

    /// The last connection that closes moves the write-ahead log into the database file and removes it.
    async fn close(self) -> Result<(), StoreError> {
        let Self { connection, sentry, shared, .. } = self;
        shared.rows.close();
        drop(sentry);
        connection.close().await.map_err(StoreError::sqlite("the database cannot be closed"))
    }
}

/// Waits for a time, or for ever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a checked group makes of names, and which of its changes make new objects.
struct Checked {
    after: HashMap<(u8, String, String), Option<Entry>>,
    created: Vec<u64>,
}

fn seal(keyring: &Keyring, mutation: Mutation, revision: u64) -> Result<NewVersion, crate::crypto::SealError> {
    let mut row = SealedRow {
        kind_id: mutation.kind_id,
        namespace: Arc::from(mutation.namespace),
        name: Arc::from(mutation.name),
        uid: mutation.uid,
        revision,
        flags: mutation.flags,
        sealed: Sealed::from_stored(0, Vec::new(), Vec::new()),
    };
    let sealed = (mutation.seal)(keyring, &row.record_id())?;
    row.sealed = sealed;
    Ok(NewVersion { row: Arc::new(row), created_at: mutation.created_at })
}

/// Keeps the head's number of objects, and the generation of what decides who may do what.
fn count(head: &mut Head, row: &SealedRow, checked: &Checked) {
    let Some(kind) = kinds::by_id(row.kind_id) else { return };
    let counted = head.counts.entry(kind.stored_name().to_owned()).or_default();
    if row.flags.is_tombstone() {
        *counted = counted.saturating_sub(1);
    } else if checked.created.contains(&row.revision) {
        *counted += 1;
    }
    if kinds::decides_access(kind.id) {
        head.policy_generation += 1;
    }
}

/// SQLITE_BUSY, SQLITE_NOMEM, SQLITE_FULL, SQLITE_IOERR_WRITE and SQLITE_IOERR_NOMEM: before the commit they change nothing.
fn is_passing(code: i64) -> bool {
    matches!(code, 5 | 7 | 13 | 778 | 3082)
}
