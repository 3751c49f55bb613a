//! The audit log of an open home: opened over the store, looked after once a second, verified from outside.
//!
//! What it never does: decide what is recorded. That is for whoever answers requests.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::verify::{Finding, Report, Trust, verify_log, verify_mutations};
use crate::audit::{AuditLog, OpenOptions, SyncMode, anchor};
use crate::clock::SharedClock;
use crate::config::{AuditConfig, HomePaths};
use crate::crypto::{AuditPublicKey, Keyring};
use crate::store::{self, AuditReadError, AuditRow, Store};

use super::ServeError;
use super::private_files::FileError;

const TICK: Duration = Duration::from_secs(1);
/// Ticks after which the last checkpoint is noted in the store, which costs a commit.
const NOTE_TICKS: u32 = 10;
/// Records of mutations that are read at once.
const BATCH: usize = 512;
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
        mutations_end: Box::new(move || Some(store_of_end.audit_end())),
    };
    AuditLog::open(options).map(Arc::new).map_err(|error| ServeError::Audit(error.to_string()))
}

/// Looks after the log until it is aborted.
pub async fn look_after(log: Arc<AuditLog>, store: Store) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    loop {
        interval.tick().await;
        let ticking = Arc::clone(&log);
        if let Err(error) = tokio::task::spawn_blocking(move || ticking.tick()).await {
            tracing::error!(%error, "the audit log was not looked after");
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(NOTE_TICKS) {
            note(&log, &store).await;
        }
    }
}

/// Ends the log. The store is still open.
pub async fn close(log: &Arc<AuditLog>, store: &Store) {
    let closing = Arc::clone(log);
    if let Err(error) = tokio::task::spawn_blocking(move || closing.close()).await {
        tracing::error!(%error, "the audit log was not closed well");
    }
    note(log, store).await;
}

async fn note(log: &AuditLog, store: &Store) {
    if let Err(error) = anchor::note(store, log).await {
        tracing::warn!(%error, "the last checkpoint of the audit log was not noted in the store");
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
    let mut records = None;
    if let Some((store, _)) = opened {
        let (found, count) = verify_mutations(rows(&store), &keyring, store.audit_end(), &report.mutations);
        findings.extend(found);
        records = Some(count);
        store.close().await.map_err(ServeError::store)?;
    }
    report.findings.extend(findings);
    Ok(to_text(&report, records, keyring.derive_audit_signer().public_key()))
}

/// Checks log and records of mutations of a home that is being served: what was there when this began.
pub fn verify_open(log: &AuditLog, store: &Store, keyring: &Keyring) -> Result<Value, &'static str> {
    let kept = anchor::stored(store).map_err(|_| "the store cannot be read")?;
    // In this order: what a checkpoint names is there when it is read.
    let mut report = verify_log(log.directory(), Trust::Keyring(keyring), kept)
        .map_err(|_| "the audit log cannot be read: see the server's log")?;
    let end = store.audit_end();
    let until = rows(store).take_while(|row| row.as_ref().map_or(true, |row| row.sequence <= end.sequence));
    let (found, records) = verify_mutations(until, keyring, end, &report.mutations);
    report.findings.extend(found);
    let problems: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    Ok(json!({
        "intact": problems.is_empty(), "problems": problems, "moreProblems": report.more_findings,
        "files": report.files, "lines": report.lines, "events": report.events, "checkpoints": report.checkpoints,
        "linesBehindLastCheckpoint": report.unsigned_lines, "mutations": records,
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
fn rows(store: &Store) -> impl Iterator<Item = Result<AuditRow, AuditReadError>> + '_ {
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
        let _ = writeln!(text, "records of mutations: {records}");
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
