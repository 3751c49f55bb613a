//! The audit log of an open home: opened over the store, looked after once a second, verified from outside. The store's
//! records of mutations are copied into it, and removed there once the log has them for good.
//!
//! What it never does: decide what is recorded. That is for whoever answers requests.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::verify::{Finding, KeptMutations, Report, Trust, verify_log, verify_mutations};
use crate::audit::{AuditLog, OpenOptions, Refused, SyncMode, anchor};
use crate::clock::SharedClock;
use crate::config::{AuditConfig, HomePaths};
use crate::crypto::{AuditPublicKey, Keyring};
use crate::store::{self, AuditReadError, AuditRow, Store};

use super::private_files::FileError;
use super::{ServeError, backup};

const TICK: Duration = Duration::from_secs(1);
/// Ticks after which the last checkpoint is noted in the store, which costs a commit.
const NOTE_TICKS: u32 = 10;
/// Records of mutations that are read at once.
const BATCH: usize = 512;
/// How often is looked for records of mutations that are not copied yet.
const COPY_INTERVAL: Duration = Duration::from_millis(100);
/// Records of mutations that one commit removes.
const REMOVED_AT_ONCE: usize = 1024;
/// What a command reads, it reads once.
const CACHE_BYTES: usize = 1024 * 1024;

/// What a verification has found, for the person who asked for it.
pub struct AuditReport {
    /// What was looked at, what was found, and the public key.
    pub text: String,
    /// How many things are not as they were written.
    pub findings: u64,
}

/// Opens the log of a home.
pub fn open(
    paths: &HomePaths,
    config: AuditConfig,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    store: &Store,
) -> Result<Arc<AuditLog>, ServeError> {
    let store_of_end = store.clone();
    let options = OpenOptions {
        directory: paths.audit(),
        keyring,
        clock,
        settings: crate::audit::Settings {
            max_file_bytes: config.max_file_bytes,
            keep_files: config.keep_files,
            keep_seconds: config.keep_seconds,
            sync: if config.syncs_always { SyncMode::Always } else { SyncMode::Checkpoints },
            records_reads: config.records_reads,
            ..crate::audit::Settings::default()
        },
        kept: anchor::stored(store).map_err(ServeError::store)?,
        begins_behind: store.audit_removed().sequence,
        mutations_end: Box::new(move || Some(store_of_end.audit_end())),
    };
    let log = AuditLog::open(options).map_err(|error| ServeError::Audit(error.to_string()))?;
    log.heed_end(store.audit_end().sequence);
    Ok(Arc::new(log))
}

/// Looks after the log until it is aborted.
pub async fn look_after(log: Arc<AuditLog>, store: Store) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    loop {
        interval.tick().await;
        // A former data key is waited for, which nothing but records needs that the log is to take over.
        let is_awaited = store.resealing().awaits_audit;
        if is_awaited {
            log.want_checkpoint();
        }
        let ticking = Arc::clone(&log);
        if let Err(error) = tokio::task::spawn_blocking(move || ticking.tick()).await {
            tracing::error!(%error, "the audit log was not looked after");
        }
        ticks = ticks.wrapping_add(1);
        if is_awaited || ticks.is_multiple_of(NOTE_TICKS) {
            note(&log, &store).await;
        }
    }
}

/// Copies records of mutations into the log until it is aborted.
pub async fn copy_mutations(log: Arc<AuditLog>, store: Store) {
    let mut interval = tokio::time::interval(COPY_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut copied = 0;
    loop {
        interval.tick().await;
        if store.audit_end().sequence <= copied {
            continue;
        }
        let (log, store) = (Arc::clone(&log), store.clone());
        match tokio::task::spawn_blocking(move || copy_all(&log, &store)).await {
            Ok(until) => copied = until,
            Err(error) => tracing::error!(%error, "records of mutations were not copied into the audit log"),
        }
    }
}

/// Copies what is not copied yet, as far as the log can be written; the number of the last record that is.
fn copy_all(log: &AuditLog, store: &Store) -> u64 {
    loop {
        let copied = log.copied().max(store.audit_removed().sequence);
        let end = store.audit_end().sequence;
        if copied >= end {
            return copied;
        }
        // A row behind the end is none of the store's: whoever put it there would have those that come passed over.
        let missing = usize::try_from(end - copied).unwrap_or(BATCH);
        let written = match store.audit_records(copied, BATCH.min(missing)) {
            Ok(records) if records.last().is_none_or(|(last, _)| *last > end) => return copied,
            Ok(records) => log.append_copies(records),
            Err(AuditReadError::Integrity { sequence }) if sequence > end => return copied,
            Err(AuditReadError::Integrity { sequence }) => copy_up_to(log, store, copied, sequence),
            Err(AuditReadError::Unavailable) => return copied,
        };
        if written.is_err() {
            return copied;
        }
    }
}

/// Copies up to a record that does not pass authentication, and says so of it.
fn copy_up_to(log: &AuditLog, store: &Store, copied: u64, damaged: u64) -> Result<(), Refused> {
    let intact = usize::try_from(damaged.saturating_sub(copied + 1)).unwrap_or_default();
    if intact > 0 {
        log.append_copies(store.audit_records(copied, intact).unwrap_or_default())?;
    }
    tracing::error!(audit.mutation = damaged, "the record of a mutation does not pass authentication");
    log.append_missing_copy(damaged, "it does not pass authentication")
}

/// Ends the log. The store is still open.
pub async fn close(log: &Arc<AuditLog>, store: &Store) {
    let (closing, records) = (Arc::clone(log), store.clone());
    let closed = tokio::task::spawn_blocking(move || {
        copy_all(&closing, &records);
        closing.close();
    });
    if let Err(error) = closed.await {
        tracing::error!(%error, "the audit log was not closed well");
    }
    note(log, store).await;
}

/// Notes the last checkpoint in the store. Records that are copied before it need not be kept there any more.
async fn note(log: &AuditLog, store: &Store) {
    match anchor::note(store, log).await {
        Ok(copied) => remove_until(store, copied).await,
        Err(error) => tracing::warn!(%error, "the last checkpoint of the audit log was not noted in the store"),
    }
}

async fn remove_until(store: &Store, copied: u64) {
    while store.audit_removed().sequence < copied {
        let reader = store.clone();
        let read = tokio::task::spawn_blocking(move || reader.removable_audit(copied, REMOVED_AT_ONCE)).await;
        let removed = match read {
            Ok(Ok(Some(end))) => store.remove_audit(end).await.map_err(|error| error.to_string()),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(error, "records of mutations that are in the audit log could not be removed from the store");
            return;
        }
    }
}

/// Checks log and records of mutations of a home whose keys are open. It must not be served meanwhile.
pub async fn verify(paths: &HomePaths, keyring: Keyring, clock: SharedClock) -> Result<AuditReport, ServeError> {
    let keyring = Arc::new(keyring);
    let options =
        store::OpenOptions { path: paths.database(), keyring: Arc::clone(&keyring), clock, cache_bytes: CACHE_BYTES };
    let mut findings = Vec::new();
    let opened = match Store::open(options).await {
        Ok((store, _)) => match anchor::stored(&store) {
            Ok(kept) => Some((store, kept)),
            Err(error) => {
                findings.push(of_database(&error));
                Some((store, None))
            }
        },
        // The log can be checked without it.
        Err(error) => {
            findings.push(of_database(&error));
            None
        }
    };
    let kept = opened.as_ref().and_then(|(_, kept)| *kept);
    let mut report = check_log(&paths.audit(), Trust::Keyring(&keyring), kept)?;
    let restored = opened.as_ref().and_then(|(store, _)| backup::last_restore(store).ok().flatten());
    if let Some((store, None)) = &opened
        && report.files == 0
    {
        // Nothing was noted, so nothing was removed but before a restore: that log is elsewhere.
        report.copied = store.audit_removed().sequence;
    }
    let mut records = None;
    if let Some((store, _)) = opened {
        let chain = KeptMutations {
            removed: store.audit_removed(),
            removed_now: &|| store.audit_removed(),
            head: store.audit_end(),
        };
        let (found, count) = verify_mutations(rows(&store), &chain, &keyring, &report);
        findings.extend(found);
        findings.extend(report.copied_beyond(chain.head.sequence));
        records = Some(count);
        store.close().await.map_err(ServeError::store)?;
    }
    report.findings.extend(findings);
    let mut text = to_text(&report, records, keyring.derive_audit_signer().public_key());
    text.text.insert_str(0, &restored.map_or_else(String::new, |restored| of_restore(&restored, paths)));
    Ok(text)
}

/// Says where the log begins, and where the one before it may be.
fn of_restore(restored: &backup::LastRestore, paths: &HomePaths) -> String {
    let backup::LastRestore { restored, created, before } = restored;
    let before = paths.root().join(before).join("audit");
    let there = if before.exists() {
        format!("The log of before is in {}.", before.display())
    } else {
        "The log of before is not in this home.".to_owned()
    };
    format!("The home was restored at {restored} from a backup of {created}, and the log begins there. {there}\n")
}

/// Checks log and records of mutations of a home that is being served: what was there when this began.
pub fn verify_open(log: &AuditLog, store: &Store, keyring: &Keyring) -> Result<Value, &'static str> {
    let kept = anchor::stored(store).map_err(|_| "the store cannot be read")?;
    // In this order: what a checkpoint names, and what is removed once it is copied, is there when it is read.
    let removed = store.audit_removed();
    let mut report = verify_log(log.directory(), Trust::Keyring(keyring), kept)
        .map_err(|_| "the audit log cannot be read: see the server's log")?;
    let end = store.audit_end();
    let until = rows(store).take_while(|row| row.as_ref().map_or(true, |row| row.sequence <= end.sequence));
    let chain = KeptMutations { removed, removed_now: &|| store.audit_removed(), head: end };
    let (found, records) = verify_mutations(until, &chain, keyring, &report);
    report.findings.extend(found);
    report.findings.extend(report.copied_beyond(chain.head.sequence));
    let problems: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    Ok(json!({
        "intact": problems.is_empty(), "problems": problems, "moreProblems": report.more_findings,
        "files": report.files, "lines": report.lines, "events": report.events, "checkpoints": report.checkpoints,
        "linesBehindLastCheckpoint": report.unsigned_lines, "mutations": records,
        "copiedMutations": report.copied,
        "publicKey": log.public_key().to_pem(),
    }))
}

/// Checks a log by its signatures: without the home's keys, and while it is written.
pub fn verify_signatures(directory: &Path, public_key: &Path) -> Result<AuditReport, ServeError> {
    let text = fs::read_to_string(public_key).map_err(|error| FileError::io(public_key, error))?;
    let key = AuditPublicKey::from_pem(&text)
        .ok_or_else(|| ServeError::Audit(format!("{} holds no Ed25519 public key in PEM", public_key.display())))?;
    let report = check_log(directory, Trust::PublicKey(&key), None)?;
    if report.files == 0 {
        return Err(ServeError::Audit(format!("{} holds no file of a log", directory.display())));
    }
    Ok(to_text(&report, None, key))
}

fn check_log(directory: &Path, trust: Trust<'_>, kept: Option<crate::crypto::ChainEnd>) -> Result<Report, ServeError> {
    verify_log(directory, trust, kept).map_err(|error| FileError::io(directory, error).into())
}

/// Every record of mutations, a batch at a time.
pub fn rows(store: &Store) -> impl Iterator<Item = Result<AuditRow, AuditReadError>> + '_ {
    let mut after = 0;
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let batch = store.audit_rows(after, BATCH);
        match &batch {
            Ok(rows) => match rows.last() {
                Some(last) => after = last.sequence,
                None => is_over = true,
            },
            Err(_) => is_over = true,
        }
        Some(match batch {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    })
    .flatten()
}

fn of_database(error: &store::StoreError) -> Finding {
    Finding { file: String::new(), line: 0, problem: format!("the database cannot be used: {error}") }
}

fn to_text(report: &Report, records: Option<u64>, key: AuditPublicKey) -> AuditReport {
    let mut text = format!(
        "audit log: {} files, {} lines, {} events, {} checkpoints, {} lines behind the last checkpoint\n",
        report.files, report.lines, report.events, report.checkpoints, report.unsigned_lines
    );
    // Writing to a String cannot fail.
    if report.torn_bytes > 0 {
        let _ =
            writeln!(text, "{} bytes at its end are no whole line: the next start cuts them off", report.torn_bytes);
    }
    if let Some(records) = records {
        let copied = report.copied;
        let _ = writeln!(
            text,
            "records of mutations: {records} in the database, copied into the log up to number {copied}"
        );
    }
    let findings = report.findings.len() as u64 + report.more_findings;
    if findings == 0 {
        let _ = writeln!(text, "everything that was looked at is as it was written");
    }
    for finding in &report.findings {
        let _ = writeln!(text, "WRONG: {finding}");
    }
    if report.more_findings > 0 {
        let _ = writeln!(text, "WRONG: and {} more", report.more_findings);
    }
    text.push_str(&key.to_pem());
    AuditReport { text, findings }
}
