//! What happens to the keys without anybody asking: former terms are destroyed, old ones are replaced.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::crypto::{TermInfo, TermState};

use super::{Change, Custody};

/// How long whoever has read a row may take to open it. A watch that takes nothing for half a minute is ended.
const GRACE: Duration = Duration::from_mins(5);
/// Until it is tried again what the store has refused.
const RETRY: Duration = Duration::from_secs(5);
/// How often is looked whether a term is too old.
const INTERVAL: Duration = Duration::from_mins(1);

/// Looks after the keys for ever. `max_age_seconds` is how old the active term gets before there is a new one; `record` makes the
/// audit record of what is done to the term of a number.
pub async fn look_after(custody: Arc<Custody>, max_age_seconds: Option<i64>, record: impl Fn(&str, u32) -> Vec<u8>) {
    let mut told = custody.store.resealing_changes();
    let mut forget_at: Option<Instant> = None;
    let mut look_at = Instant::now();
    // Whether a term is needed takes a look at every row: once for each pass, and again where that failed.
    let mut is_to_be_looked_through = true;
    loop {
        let is_finished = told.borrow_and_update().is_finished;
        if is_finished && is_to_be_looked_through {
            is_to_be_looked_through = false;
            match custody.destroy_unused(|term| record("destroy", term)).await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(keys.destroyed = count, "former data keys were destroyed");
                    forget_at = Some(Instant::now() + GRACE);
                }
                Err(error) => {
                    is_to_be_looked_through = true;
                    tracing::warn!(%error, "a former data key could not be destroyed yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        if Instant::now() >= look_at {
            look_at = Instant::now() + INTERVAL;
            let now = custody.clock.unix_seconds();
            if max_age_seconds.is_some_and(|max_age| is_due(&custody.keyring.terms(), now, max_age)) {
                match custody.rotate_data(Change::Made(record("rotate", 0))).await {
                    Ok(term) => tracing::info!(keys.term = term, "the data key was old, and there is a new one"),
                    Err(error) => tracing::warn!(%error, "the data key is old, and could not be replaced yet"),
                }
            }
        }
        tokio::select! {
            changed = told.changed() => match changed {
                Ok(()) => is_to_be_looked_through = true,
                Err(_) => return,
            },
            () = tokio::time::sleep_until(look_at) => {}
            () = until(forget_at) => {
                forget_at = None;
                custody.store.forget_retired_terms();
            }
        }
    }
}

/// Whether there is to be a new term: the active one is old, and none is being replaced.
pub(super) fn is_due(terms: &[TermInfo], now_unix_seconds: i64, max_age_seconds: i64) -> bool {
    match terms {
        [only] if only.state == TermState::Active => {
            now_unix_seconds.saturating_sub(only.created_unix_seconds) >= max_age_seconds
        }
        _ => false,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
