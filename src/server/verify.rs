//! `strongroom verify`: the whole examination of a home's database while no server runs, and the acceptance of what is left.
//!
//! What it never does: change anything without being told to.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::audit::verify::{Trust, verify_log};
use crate::audit::{self, RequestFacts};
use crate::clock::SharedClock;
use crate::config::{AuditConfig, HomePaths, UnlockConfig};
use crate::crypto::Keyring;
use crate::model::user::User;
use crate::rbac::Attributes;
use crate::store::{self, Acceptance, OpenOptions, Store};
use crate::terminal::Terminal;

pub use crate::store::{Effect, Examination, Finding};

use super::{ServeError, audit_log, offline};

/// Annotation: what was found wrong and left behind.
const ACCEPTED: &str = "strongroom.dev/accepted";
/// So much of what was accepted stands in its record.
const RECORDED_FINDINGS: usize = 256;
const RECORDED_BYTES: usize = 32 * 1024;
/// What a command reads, it reads once.
const CACHE_BYTES: usize = 1024 * 1024;

/// What a verification has found, and what was done about it.
pub struct Verified {
    /// What was found.
    pub found: Examination,
    /// What was found after everything wrong was left behind; `None` where that was not done.
    pub accepted: Option<Examination>,
}

/// Examines a home's database. Where something is wrong, and all of it can be left behind, `accept` is asked whether to.
pub fn verify(
    paths: &HomePaths,
    unlock: UnlockConfig,
    clock: &SharedClock,
    accept: Option<&mut dyn FnMut(&Examination) -> bool>,
) -> Result<Verified, ServeError> {
    super::runtime()?.block_on(verify_and_accept(paths, unlock, clock, accept))
}

async fn verify_and_accept(
    paths: &HomePaths,
    unlock: UnlockConfig,
    clock: &SharedClock,
    accept: Option<&mut dyn FnMut(&Examination) -> bool>,
) -> Result<Verified, ServeError> {
    let unlocked = offline::unlock(paths, unlock, clock, &mut Terminal, false).await?;
    let keyring = Arc::new(unlocked.keys.keyring);
    let database = paths.database();
    let examined = match &accept {
        Some(_) => store::examine_to_accept(&database, &keyring).await,
        None => store::examine(&database, &keyring).await,
    };
    let found = examined.map_err(ServeError::store)?;
    let is_wanted = !found.is_intact() && found.is_acceptable() && accept.is_some_and(|accept| accept(&found));
    if !is_wanted {
        return Ok(Verified { found, accepted: None });
    }
    let (copied, named) = in_the_log(paths, &keyring);
    let acceptance = Acceptance {
        path: &database,
        keyring: &keyring,
        examination: &found,
        copied,
        named,
        now_unix_seconds: clock.unix_seconds(),
        record: record(clock, &found),
    };
    let lost = store::accept(&acceptance).map_err(ServeError::store)?;
    settle(paths, &keyring, clock, copied, lost).await?;
    let accepted = store::examine(&database, &keyring).await.map_err(ServeError::store)?;
    Ok(Verified { found, accepted: Some(accepted) })
}

/// The last record of mutations that the audit log has a copy of, and the last one that it names.
fn in_the_log(paths: &HomePaths, keyring: &Keyring) -> (u64, u64) {
    let Ok(report) = verify_log(&paths.audit(), Trust::Keyring(keyring), None) else { return (0, 0) };
    (report.copied, report.mutations.keys().next_back().copied().unwrap_or(0))
}

/// Opens the home once, as a start does, so that the audit log has the record too; says there which ones are lost.
async fn settle(
    paths: &HomePaths,
    keyring: &Arc<Keyring>,
    clock: &SharedClock,
    copied: u64,
    lost: Option<u64>,
) -> Result<(), ServeError> {
    let options = OpenOptions {
        path: paths.database(),
        keyring: Arc::clone(keyring),
        clock: Arc::clone(clock),
        cache_bytes: CACHE_BYTES,
    };
    let (store, _feed) = Store::open(options).await.map_err(ServeError::store)?;
    match audit_log::open(paths, AuditConfig::default(), Arc::clone(keyring), Arc::clone(clock), &store) {
        Ok(log) => {
            for number in copied.saturating_add(1)..=lost.unwrap_or(copied) {
                if log.append_missing_copy(number, "it was lost, which was accepted by `strongroom verify`").is_err() {
                    break;
                }
            }
            audit_log::close(&log, &store).await;
        }
        Err(error) => tracing::warn!(%error, "the audit log was not opened"),
    }
    store.close().await.map_err(ServeError::store)
}

fn record(clock: &SharedClock, found: &Examination) -> Vec<u8> {
    let facts = RequestFacts::own(clock.unix_millis());
    let attributes = Attributes::path("accept", "/strongroom/v1/store");
    let mut told = String::new();
    let mut count = 0;
    for finding in found.findings.iter().take(RECORDED_FINDINGS) {
        let (area, problem) = (finding.area, &finding.problem);
        if told.len() + problem.len() > RECORDED_BYTES {
            break;
        }
        if !told.is_empty() {
            told.push('\n');
        }
        told.push_str(area);
        told.push_str(": ");
        told.push_str(problem);
        count += 1;
    }
    let more = found.findings.len() - count;
    if more > 0 {
        // Writing to a String does not fail.
        let _ = write!(told, "\nand {more} more");
    }
    let event = audit::mutation(&facts, &User::system("server"), &attributes, "", "", 200);
    audit::with_annotation(event, ACCEPTED, &told)
}
