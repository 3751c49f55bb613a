//! A sealed home: attempts to unseal it, one at a time, and what is told of its state meanwhile.
//!
//! What it never does: try a second slot after the first one failed, say why an attempt failed, or write anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::api::{SealState, SealStatus, SlotFacts, UnsealError, UnsealRequest, UnsealSecret};
use crate::crypto::{Keyring, Slot, SlotKind, SlotLimits, UnlockSecret, parse_recovery_text};

use crate::keys::{OpenKeys, Opened, OpenedWith};

use super::assembly::StoredKeys;
use super::root_key::{RootKeyError, read_slots};

/// After the first failure; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// What to do next.
const UNSEAL: &str = "run `strongroom unseal` on its machine";
const WAIT: &str = "wait until it is done";

/// What is told of what was done to unseal a home, once that can be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsealFacts {
    /// Where the attempt that succeeded came from.
    pub peer: String,
    /// The kind of secret that opened it.
    pub kind: String,
    /// Attempts before it that failed.
    pub failed: u32,
}

/// Keys that an attempt has opened.
pub struct Unsealed {
    /// The keys.
    pub keys: OpenKeys,
    /// What is recorded of it.
    pub facts: UnsealFacts,
}

/// A home whose keys are not in memory.
pub struct Sealing {
    store_id: [u8; 16],
    wrapped: Vec<u8>,
    slots: Vec<Slot>,
    limits: SlotLimits,
    now: watch::Sender<SealStatus>,
    attempts: Mutex<Attempts>,
    opened: mpsc::UnboundedSender<Unsealed>,
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    not_before: Option<Instant>,
}

impl Sealing {
    /// A home with these keys, and where they come out once they are open.
    pub fn new(
        stored: StoredKeys,
        limits: SlotLimits,
        why: &str,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Unsealed>), RootKeyError> {
        let slots = read_slots(stored.slots.iter().map(Vec::as_slice))?;
        let (opened, keys) = mpsc::unbounded_channel();
        let now = watch::Sender::new(sealed(why, facts_of(&slots)));
        let (store_id, wrapped) = (stored.store_id, stored.wrapped);
        let attempts = Mutex::default();
        Ok((Arc::new(Self { store_id, wrapped, slots, limits, now, attempts, opened }), keys))
    }

    /// How it is, from now on.
    pub fn now(&self) -> watch::Receiver<SealStatus> {
        self.now.subscribe()
    }

    /// Tries a secret. The attempt goes on, and counts, if the caller goes away.
    pub async fn unseal(self: Arc<Self>, request: UnsealRequest) -> Result<(), UnsealError> {
        self.begin(request.is_owner, Instant::now())?;
        let trying = tokio::task::spawn_blocking(move || {
            let opened = self.open(&request);
            self.end(opened, &request)
        });
        trying.await.unwrap_or(Err(UnsealError::Wrong))
    }

    /// The keys fitted, and the home could not be opened with them all the same.
    pub fn failed(&self) {
        let why = "the keys were opened, and the home could not be: the server's log says why";
        self.now.send_modify(|now| *now = sealed(why, std::mem::take(&mut now.slots)));
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever the kernel says owns the home does not wait: others could keep the owner waiting otherwise.
    fn begin(&self, is_owner: bool, at: Instant) -> Result<(), UnsealError> {
        let attempts = self.attempts();
        if let Some(left) = attempts.not_before.and_then(|time| time.checked_duration_since(at))
            && !left.is_zero()
            && !is_owner
        {
            let retry_after_seconds = u32::try_from(left.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
            return Err(UnsealError::Throttled { retry_after_seconds });
        }
        let mut is_first = false;
        self.now.send_modify(|now| {
            is_first = now.state == SealState::Sealed;
            if is_first {
                now.state = SealState::Unsealing;
                "an unlock secret is being checked".clone_into(&mut now.why);
                WAIT.clone_into(&mut now.next);
            }
        });
        if is_first { Ok(()) } else { Err(UnsealError::Busy) }
    }

    fn open(&self, request: &UnsealRequest) -> Option<OpenKeys> {
        let slot = self.choose(&request.secret, request.slot)?;
        let secret = unlock_secret(&request.secret)?;
        let root = slot.open(&secret, self.store_id, &self.limits).ok()?;
        let keyring = Keyring::unwrap(&root, self.store_id, &self.wrapped).ok()?;
        // Where the secret lies was not told.
        let with = OpenedWith { kind: slot.kind(), is_colocated: None };
        Some(OpenKeys { keyring, opened: Opened { root, slots: self.slots.clone(), with } })
    }

    /// The slot that was named, or the first one that takes the secret; those of its own kind before a credential's.
    fn choose(&self, secret: &UnsealSecret, id: Option<u32>) -> Option<&Slot> {
        let (kind, takes_passphrase) = match secret {
            UnsealSecret::Passphrase(_) => (SlotKind::Passphrase, true),
            UnsealSecret::Key(_) => (SlotKind::KeyFile, false),
            UnsealSecret::RecoveryKey(_) => (SlotKind::Recovery, false),
        };
        let kinds = [kind, SlotKind::SystemdCredential];
        let kinds = if kind == SlotKind::Recovery { &kinds[..1] } else { &kinds[..] };
        kinds.iter().find_map(|kind| {
            self.slots.iter().find(|slot| {
                slot.kind() == *kind && slot.cost().is_some() == takes_passphrase && id.is_none_or(|id| id == slot.id())
            })
        })
    }

    fn end(&self, opened: Option<OpenKeys>, request: &UnsealRequest) -> Result<(), UnsealError> {
        let mut attempts = self.attempts();
        let Some(keys) = opened else {
            attempts.failed = attempts.failed.saturating_add(1);
            attempts.not_before = Some(Instant::now() + delay(attempts.failed));
            tracing::warn!(peer.address = request.peer, attempts.failed, "an attempt to unseal the home failed");
            self.now.send_modify(|now| *now = sealed("an attempt failed", std::mem::take(&mut now.slots)));
            return Err(UnsealError::Wrong);
        };
        let facts = UnsealFacts {
            peer: request.peer.clone(),
            kind: keys.opened.with.kind.to_string(),
            failed: std::mem::take(&mut attempts.failed),
        };
        attempts.not_before = None;
        self.now.send_modify(|now| *now = verifying(std::mem::take(&mut now.slots)));
        // Whoever is to take the keys ends with the server.
        let _ = self.opened.send(Unsealed { keys, facts });
        Ok(())
    }
}

/// What is told while a home is being opened.
pub fn verifying(slots: Vec<SlotFacts>) -> SealStatus {
    let (why, next) = ("every stored row is being authenticated".to_owned(), WAIT.to_owned());
    SealStatus { state: SealState::Verifying, why, next, slots }
}

/// What is told of slots.
pub fn facts_of(slots: &[Slot]) -> Vec<SlotFacts> {
    slots.iter().map(|slot| SlotFacts { id: slot.id(), kind: slot.kind().name().to_owned() }).collect()
}

fn sealed(why: &str, slots: Vec<SlotFacts>) -> SealStatus {
    SealStatus { state: SealState::Sealed, why: why.to_owned(), next: UNSEAL.to_owned(), slots }
}

fn delay(failed: u32) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY)
}

#[expect(clippy::disallowed_methods, reason = "the secret moves into the type that opens slots")]
fn unlock_secret(secret: &UnsealSecret) -> Option<UnlockSecret> {
    match secret {
        UnsealSecret::Passphrase(passphrase) => {
            UnlockSecret::passphrase(crate::sensitive::SecretBytes::new(passphrase.expose().to_vec())).ok()
        }
        UnsealSecret::Key(key) => UnlockSecret::key(key).ok(),
        UnsealSecret::RecoveryKey(text) => UnlockSecret::key(&parse_recovery_text(text).ok()?).ok(),
    }
}

#[cfg(test)]
#[path = "sealing_tests.rs"]
mod tests;
