//! How passwords are hashed without holding up requests, and how their hashes are stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroize as _;

use crate::sensitive::SecretBytes;
use crate::store::StateChange;

const WAITING_MAX: usize = 32;
const WAIT: Duration = Duration::from_secs(3);

/// Too many passwords are being hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Seconds after which to try again.
    pub retry_after_seconds: u32,
}

/// Hashing, off the workers and only so many at once: each takes megabytes and a core for a tenth of a second.
pub struct HashingQueue {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    wait: Duration,
}

impl HashingQueue {
    /// Half of the processors hash at most.
    pub fn new(processors: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new((processors / 2).max(1))), waiting: AtomicUsize::new(0), wait: WAIT }
    }

    /// Runs `work` when it is its turn. Work that has begun goes on if the caller goes away.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        const BUSY: Busy = Busy { retry_after_seconds: 2 };
        let permit = {
            let _place = Place::take(&self.waiting).ok_or(BUSY)?;
            let permit = tokio::time::timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await;
            permit.map_err(|_| BUSY)?.map_err(|_| BUSY)?
        };
        let hashing = tokio::task::spawn_blocking(move || {
            let made = work();
            drop(permit);
            made
        });
        hashing.await.map_err(|_| BUSY)
    }
}

#[cfg(test)]
impl HashingQueue {
    /// Puts one in its place whose turn never comes.
    pub fn blocked_for_test(&mut self) -> Self {
        let blocked =
            Self { permits: Arc::new(Semaphore::new(0)), waiting: AtomicUsize::new(0), wait: Duration::from_millis(1) };
        std::mem::replace(self, blocked)
    }
}

/// A place in the queue, free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A user's password as it is stored.
pub struct StoredPassword {
    /// The hash, a PHC string.
    pub phc: SecretBytes,
    /// Which password it is: sessions of another one are over. Random and not 0; only equality counts.
    pub generation: u64,
    /// When it was set, seconds since the epoch.
    pub set_at: i64,
}

/// Key of the sealed row that holds a user's password. Remove it in the transaction that deletes the User.
pub fn password_key(uid: &str) -> String {
    format!("password/{uid}")
}

/// Stores the hash of a password, in the same transaction as the User.
#[expect(clippy::disallowed_methods, reason = "the hash goes into the text that is sealed")]
pub fn password_row(uid: &str, phc: &SecretBytes, generation: u64, set_at_unix_seconds: i64) -> StateChange {
    let phc = std::str::from_utf8(phc.expose()).unwrap_or_default();
    let row = Row { phc, generation, set_at: set_at_unix_seconds };
    // A struct of text and numbers always serialises.
    let text = serde_json::to_vec(&row).unwrap_or_default();
    StateChange::put(password_key(uid), SecretBytes::new(text))
}

#[derive(Serialize)]
struct Row<'a> {
    phc: &'a str,
    generation: u64,
    set_at: i64,
}

#[derive(Deserialize)]
struct OwnedRow {
    phc: String,
    generation: u64,
    set_at: i64,
}

impl StoredPassword {
    /// Reads what [`password_row`] wrote.
    #[expect(clippy::disallowed_methods, reason = "the sealed text is read into its parts")]
    pub fn decode(row: &SecretBytes) -> Option<Self> {
        let OwnedRow { mut phc, generation, set_at } = serde_json::from_slice(row.expose()).ok()?;
        let hash = SecretBytes::new(phc.as_bytes().to_vec());
        phc.zeroize();
        Some(Self { phc: hash, generation, set_at })
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
