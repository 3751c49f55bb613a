//! Who holds the root key and the slots while the room is open.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use crate::clock::SharedClock;
use crate::crypto::{
    Argon2Cost, Keyring, RootKey, SealError, Slot, SlotKind, SlotLimits, TermState, UnlockError, UnlockSecret,
    UnlockText, parse_recovery_text, parse_unlock_key, parse_unlock_text,
};
use crate::sensitive::SecretBytes;
use crate::store::{KeyChange, Resealing, Store, StoreError};

use super::status::{KeyStatus, of_slots, protection};

/// Terms of which rows may be left at once: a rotation beyond that waits for those before it.
const TERMS_MAX: usize = 16;

/// What unlocking has given.
pub struct Opened {
    /// The root key.
    pub root: RootKey,
    /// Every slot of the home.
    pub slots: Vec<Slot>,
    /// Which of them it was.
    pub with: OpenedWith,
}

/// The keys of a room, open, and what opened them.
pub struct OpenKeys {
    /// The keys.
    pub keyring: Keyring,
    /// What unlocking has given besides.
    pub opened: Opened,
}

/// What the room was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedWith {
    /// The kind of the slot.
    pub kind: SlotKind,
    /// Whether the file with the secret lies in the home, beside the database; `None` where that is not known.
    pub is_colocated: Option<bool>,
}

/// Whether a change is to be made.
pub enum Change {
    /// Everything is looked at, and nothing is stored.
    Trial,
    /// It is made, with this line for the audit chain.
    Made(Vec<u8>),
}

/// A new root key, and what becomes of the slots.
pub struct RootRotation {
    /// Secrets of the slots that stay.
    pub secrets: Vec<SlotSecret>,
    /// Slots that go: nothing can be wrapped for a secret that nobody tells. Each slot is here or there.
    pub drop: Vec<SlotKind>,
    /// Lets go of the one that the server was opened with, too.
    pub force: bool,
}

/// Whether the change took, and whether anything of what was replaced may be left in the write-ahead log for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapped {
    /// Slots that are gone.
    pub dropped: Vec<SlotKind>,
    /// See [`Store::change_keys`].
    pub is_log_emptied: bool,
}

/// A secret, and the slot it is for.
pub struct SlotSecret {
    /// The slot.
    pub kind: SlotKind,
    /// The secret.
    pub secret: UnlockSecret,
}

impl SlotSecret {
    /// The secret as it stands in a request: a passphrase, or the content of a key file, of a systemd credential or of a file with a
    /// recovery key.
    pub fn read(kind: SlotKind, text: &SecretBytes) -> Result<Self, KeysError> {
        let key = |key: Option<SecretBytes>| key.ok_or(KeysError::NotOfKind(kind)).and_then(|key| secret_of_key(&key));
        let passphrase = |text| UnlockSecret::passphrase(text).map_err(KeysError::Secret);
        let secret = match kind {
            SlotKind::KeyFile => key(parse_unlock_key(text))?,
            SlotKind::Recovery => key(parse_recovery_text(text).ok())?,
            // As it is, to the last line end: so it is compared when the room is unsealed. Whoever gives a file's content would
            // have to type that ever after.
            SlotKind::Passphrase => match parse_unlock_text(text) {
                Some(UnlockText::Passphrase(_)) => passphrase(copy(text))?,
                Some(UnlockText::Key(_)) | None => return Err(KeysError::NotOfKind(kind)),
            },
            // The content of its file, as a start reads it.
            SlotKind::SystemdCredential => match parse_unlock_text(text) {
                Some(UnlockText::Key(given)) => secret_of_key(&given)?,
                Some(UnlockText::Passphrase(text)) => passphrase(text)?,
                None => return Err(KeysError::NotOfKind(kind)),
            },
        };
        Ok(Self { kind, secret })
    }
}

#[expect(clippy::disallowed_methods, reason = "the secret goes into another one")]
fn copy(text: &SecretBytes) -> SecretBytes {
    SecretBytes::new(text.expose().to_vec())
}

fn secret_of_key(key: &SecretBytes) -> Result<UnlockSecret, KeysError> {
    UnlockSecret::key(key).map_err(KeysError::Secret)
}

/// Why keys were not changed. Nothing was, then.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no such slot.
    #[error("the room has no {0} slot")]
    NoSlot(SlotKind),
    /// There is one.
    #[error("the room has a {0} slot already: replace its secret, or remove it first")]
    SlotExists(SlotKind),
    /// The secret is not that of the slot.
    #[error("the secret given for the {0} slot does not open it")]
    WrongSecret(SlotKind),
    /// The secret is not of the kind that the slot takes.
    #[error("this is not what a {0} slot takes")]
    NotOfKind(SlotKind),
    /// The secret cannot be one.
    #[error("{0}")]
    Secret(UnlockError),
    /// It is not said what is to become of a slot.
    #[error("the room has a {0} slot: give its secret, or say that it goes")]
    NotNamed(SlotKind),
    /// Nothing would open the room any more.
    #[error("nothing would open the room any more: add another slot first")]
    LastSlot,
    /// The running server was opened with it.
    #[error(
        "the server was opened with its {0}, and would not open at its next start: see to another one, and force it"
    )]
    InUse(SlotKind),
    /// Too many terms have rows left.
    #[error("rows of earlier rotations are still to be sealed anew: wait for those")]
    Busy,
    /// No randomness, or no memory.
    #[error("{0}")]
    Unable(String),
    /// The store cannot be written.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<SealError> for KeysError {
    fn from(error: SealError) -> Self {
        Self::Unable(error.to_string())
    }
}

/// See the module. One change at a time, each to its end: also if whoever asked for it goes away.
pub struct Custody {
    pub(super) store: Store,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: SharedClock,
    cost: Argon2Cost,
    opened: OpenedWith,
    held: Mutex<Held>,
    /// What may be told of the slots, also while a change is being made.
    slots: RwLock<Vec<super::SlotStatus>>,
}

struct Held {
    root: Arc<RootKey>,
    slots: Vec<Slot>,
}

impl Custody {
    /// Takes charge. `cost` is that of passphrase slots to be made.
    pub fn new(store: Store, keyring: Arc<Keyring>, clock: SharedClock, cost: Argon2Cost, opened: Opened) -> Self {
        let Opened { root, slots, with } = opened;
        let told = RwLock::new(of_slots(&slots, with));
        let held = Mutex::new(Held { root: Arc::new(root), slots });
        Self { store, keyring, clock, cost, opened: with, held, slots: told }
    }

    /// What there is.
    pub fn status(&self) -> KeyStatus {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (protects, does_not_protect) = protection(&slots, self.opened);
        KeyStatus { terms: self.keyring.terms(), resealing: self.resealing(), slots, protects, does_not_protect }
    }

    fn resealing(&self) -> Resealing {
        self.store.resealing()
    }

    /// Makes a new data term and returns its number. What is written from now on is sealed with it; the rest follows.
    pub async fn rotate_data(self: &Arc<Self>, change: Change) -> Result<u32, KeysError> {
        let custody = Arc::clone(self);
        to_its_end(async move {
            let held = custody.held.lock().await;
            if custody.keyring.terms().len() >= TERMS_MAX {
                return Err(KeysError::Busy);
            }
            let next = custody.keyring.next_term(custody.clock.unix_seconds())?;
            let (term, keyring) = (next.active(), custody.keyring.wrap_next(&held.root, &next)?);
            let Change::Made(audit) = change else { return Ok(term) };
            custody.store.change_keys(KeyChange { keyring, terms: Some(next), slots: None, audit }).await?;
            Ok(term)
        })
        .await
    }

    /// Destroys the former terms that no row needs any more; how many those were. `audit` makes the record of it.
    pub(super) async fn destroy_unused(&self, audit: impl Fn(u32) -> Vec<u8>) -> Result<usize, KeysError> {
        let held = self.held.lock().await;
        let mut destroyed = 0;
        for term in self.keyring.terms().into_iter().filter(|term| term.state == TermState::DecryptOnly) {
            let store = self.store.clone();
            let used = tokio::task::spawn_blocking(move || store.is_term_in_use(term.id)).await;
            // Whatever cannot be found out counts as used: what is destroyed never comes back.
            if !matches!(used, Ok(Ok(false))) {
                continue;
            }
            let next = self.keyring.without_term(term.id).map_err(|error| KeysError::Unable(error.to_string()))?;
            let keyring = self.keyring.wrap_next(&held.root, &next)?;
            let change = KeyChange { keyring, terms: Some(next), slots: None, audit: audit(term.id) };
            self.store.change_keys(change).await?;
            destroyed += 1;
        }
        Ok(destroyed)
    }

    /// Makes a new root key. Every secret must open the slot that it is for.
    pub async fn rotate_root(
        self: &Arc<Self>,
        RootRotation { secrets, drop, force }: RootRotation,
        change: Change,
    ) -> Result<Rewrapped, KeysError> {
        let custody = Arc::clone(self);
        to_its_end(async move {
            let mut held = custody.held.lock().await;
            let stays = |kind: SlotKind| secrets.iter().any(|secret| secret.kind == kind);
            let dropped: Vec<SlotKind> = held.slots.iter().map(Slot::kind).filter(|kind| !stays(*kind)).collect();
            if let Some(kind) = dropped.iter().find(|kind| !drop.contains(kind)) {
                return Err(KeysError::NotNamed(*kind));
            }
            if secrets.is_empty() {
                return Err(KeysError::LastSlot);
            }
            if !force && dropped.contains(&custody.opened.kind) {
                return Err(KeysError::InUse(custody.opened.kind));
            }
            let (slots, store_id, cost) = (held.slots.clone(), custody.keyring.store_id(), custody.cost);
            let (root, rewrapped) = blocking(move || rewrap(&slots, &secrets, store_id, cost)).await?;
            let keyring = custody.keyring.wrap(&root)?;
            let Change::Made(audit) = change else { return Ok(Rewrapped { dropped, is_log_emptied: true }) };
            let is_log_emptied = custody.store_slots(&mut held, keyring, rewrapped, audit).await?;
            held.root = Arc::new(root);
            Ok(Rewrapped { dropped, is_log_emptied })
        })
        .await
    }

    /// Has a secret open the room. `replace` says whether it takes the place of the slot of the same kind that there is.
    pub async fn set_slot(
        self: &Arc<Self>,
        SlotSecret { kind, secret }: SlotSecret,
        replace: bool,
        change: Change,
    ) -> Result<Rewrapped, KeysError> {
        let custody = Arc::clone(self);
        to_its_end(async move {
            let mut held = custody.held.lock().await;
            if !replace && held.slots.iter().any(|slot| slot.kind() == kind) {
                return Err(KeysError::SlotExists(kind));
            }
            let id = next_id(&held.slots);
            let (root, store_id, cost) = (Arc::clone(&held.root), custody.keyring.store_id(), custody.cost);
            let made = blocking(move || Slot::make(kind, id, &secret, cost, store_id, &root).map_err(refused)).await?;
            let mut slots: Vec<Slot> = held.slots.iter().filter(|slot| slot.kind() != kind).cloned().collect();
            slots.push(made);
            let keyring = custody.keyring.wrap(&held.root)?;
            let Change::Made(audit) = change else {
                return Ok(Rewrapped { dropped: Vec::new(), is_log_emptied: true });
            };
            let is_log_emptied = custody.store_slots(&mut held, keyring, slots, audit).await?;
            Ok(Rewrapped { dropped: Vec::new(), is_log_emptied })
        })
        .await
    }

    /// Removes a slot. `force` lets go of the one that the server was opened with, too; the last one stays.
    pub async fn remove_slot(
        self: &Arc<Self>,
        kind: SlotKind,
        force: bool,
        change: Change,
    ) -> Result<Rewrapped, KeysError> {
        let custody = Arc::clone(self);
        to_its_end(async move {
            let mut held = custody.held.lock().await;
            let (gone, left): (Vec<Slot>, Vec<Slot>) = held.slots.iter().cloned().partition(|slot| slot.kind() == kind);
            if gone.is_empty() {
                return Err(KeysError::NoSlot(kind));
            }
            if left.is_empty() {
                return Err(KeysError::LastSlot);
            }
            if !force && kind == custody.opened.kind {
                return Err(KeysError::InUse(kind));
            }
            let keyring = custody.keyring.wrap(&held.root)?;
            let Change::Made(audit) = change else {
                return Ok(Rewrapped { dropped: vec![kind], is_log_emptied: true });
            };
            let is_log_emptied = custody.store_slots(&mut held, keyring, left, audit).await?;
            Ok(Rewrapped { dropped: vec![kind], is_log_emptied })
        })
        .await
    }

    async fn store_slots(
        &self,
        held: &mut Held,
        keyring: Vec<u8>,
        slots: Vec<Slot>,
        audit: Vec<u8>,
    ) -> Result<bool, KeysError> {
        let encoded = slots.iter().map(Slot::encode).collect();
        let change = KeyChange { keyring, terms: None, slots: Some(encoded), audit };
        let is_log_emptied = self.store.change_keys(change).await?;
        *self.slots.write().unwrap_or_else(PoisonError::into_inner) = of_slots(&slots, self.opened);
        held.slots = slots;
        Ok(is_log_emptied)
    }
}

/// Slots of a new root key, one for each secret, each of which must open the slot that it is for.
fn rewrap(
    slots: &[Slot],
    secrets: &[SlotSecret],
    store_id: [u8; 16],
    cost: Argon2Cost,
) -> Result<(RootKey, Vec<Slot>), KeysError> {
    let root = RootKey::make().map_err(|error| KeysError::Unable(error.to_string()))?;
    let mut rewrapped = Vec::with_capacity(secrets.len());
    for (SlotSecret { kind, secret }, id) in secrets.iter().zip(next_id(slots)..) {
        let slot = slots.iter().find(|slot| slot.kind() == *kind).ok_or(KeysError::NoSlot(*kind))?;
        match slot.open(secret, store_id, &SlotLimits::default()) {
            Ok(_) => {}
            Err(UnlockError::WrongSecret | UnlockError::WrongMaterial(_)) => return Err(KeysError::WrongSecret(*kind)),
            Err(error) => return Err(refused(error)),
        }
        rewrapped.push(Slot::make(*kind, id, secret, cost, store_id, &root).map_err(refused)?);
    }
    Ok((root, rewrapped))
}

fn next_id(slots: &[Slot]) -> u32 {
    slots.iter().map(Slot::id).max().unwrap_or_default().saturating_add(1)
}

fn refused(error: UnlockError) -> KeysError {
    match error {
        UnlockError::Random | UnlockError::OutOfMemory => KeysError::Unable(error.to_string()),
        error => KeysError::Secret(error),
    }
}

/// On its own: a request that is given up ends its future, and a change of keys must not stop half-way.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, KeysError>> + Send + 'static,
) -> Result<T, KeysError> {
    tokio::spawn(change).await.unwrap_or_else(|_| Err(KeysError::Unable("the change was cut off".to_owned())))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeysError> + Send + 'static,
) -> Result<T, KeysError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(KeysError::Unable("the change was cut off".to_owned())))
}
