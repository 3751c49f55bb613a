//! Changes of keys over a real store: what opens it afterwards, what does not, and what is refused.

use crate::clock::ManualClock;
use crate::crypto::{Argon2Cost, Keyring, RootKey, Slot, SlotKind, SlotLimits, TermInfo, TermState, UnlockSecret};
use crate::sensitive::SecretBytes;
use crate::store::{self, OpenOptions, Store};

use super::look_after::is_due;
use super::*;

use std::sync::Arc;

const PASSPHRASE: &[u8] = b"nine lanterns over quiet water";

struct Home {
    folder: tempfile::TempDir,
    custody: Arc<Custody>,
    store: Store,
}

fn limits() -> SlotLimits {
    SlotLimits { memory_kib: 8..=2 * 1024 * 1024, passes: 1..=16, lanes: 1..=8 }
}

fn text(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}

fn key_text(byte: u8) -> SecretBytes {
    crate::crypto::unlock_key_text(&text(&[byte; 32]))
}

fn secret(kind: SlotKind, given: &[u8]) -> SlotSecret {
    SlotSecret::read(kind, &text(given)).unwrap()
}

fn key(byte: u8) -> SlotSecret {
    SlotSecret::read(SlotKind::KeyFile, &key_text(byte)).unwrap()
}

impl Home {
    /// A room with a key file of sevens.
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::make(0).unwrap();
        let root = RootKey::make().unwrap();
        // Cheaper than any that is made outside tests, and dear enough to be opened within the limits.
        let cost = Argon2Cost::new(64 * 1024, 1, 1, &limits()).unwrap();
        let key = UnlockSecret::key(&text(&[7; 32])).unwrap();
        let slot = Slot::make(SlotKind::KeyFile, 1, &key, cost, keyring.store_id(), &root).unwrap();
        let material = store::keys::KeyMaterial {
            store_id: keyring.store_id(),
            keyring: keyring.wrap(&root).unwrap(),
            slots: vec![slot.encode()],
        };
        let path = folder.path().join("db");
        store::keys::create(&path, &material, &keyring).await.unwrap();
        let (keyring, clock) = (Arc::new(keyring), Arc::new(ManualClock::new(9_000)));
        let options = OpenOptions { path, keyring: Arc::clone(&keyring), clock: clock.clone(), cache_bytes: 1 << 20 };
        let (store, _) = Store::open(options).await.unwrap();
        let with = OpenedWith { kind: SlotKind::KeyFile, is_colocated: Some(true) };
        let custody = Custody::new(store.clone(), keyring, clock, cost, Opened { root, slots: vec![slot], with });
        Self { folder, custody: Arc::new(custody), store }
    }

    /// What is stored, opened with a secret: the terms, or nothing.
    async fn terms_by(&self, secret: &SlotSecret) -> Option<Vec<u32>> {
        let stored = store::keys::read_key_material(&self.folder.path().join("db")).await.unwrap().unwrap();
        let slots = stored.slots.iter().map(|slot| Slot::decode(slot).unwrap());
        let slot = slots.into_iter().find(|slot| slot.kind() == secret.kind)?;
        let root = slot.open(&secret.secret, stored.store_id, &limits()).ok()?;
        let keyring = Keyring::unwrap(&root, stored.store_id, &stored.keyring).unwrap();
        Some(keyring.terms().iter().map(|term| term.id).collect())
    }

    fn kinds(&self) -> Vec<SlotKind> {
        self.custody.status().slots.iter().map(|slot| slot.kind).collect()
    }
}

fn record() -> Vec<u8> {
    b"{}".to_vec()
}

fn made() -> Change {
    Change::Made(record())
}

fn rotation(secrets: Vec<SlotSecret>, drop: &[SlotKind]) -> RootRotation {
    RootRotation { secrets, drop: drop.to_vec(), force: false }
}

#[tokio::test]
async fn a_slot_opens_the_room_until_it_is_removed() {
    let home = Home::make().await;
    let passphrase = || secret(SlotKind::Passphrase, PASSPHRASE);
    assert_eq!(home.terms_by(&passphrase()).await, None);
    home.custody.set_slot(passphrase(), false, made()).await.unwrap();
    assert_eq!(home.terms_by(&passphrase()).await, Some(vec![1]));
    assert_eq!(home.terms_by(&key(7)).await, Some(vec![1]), "the first one stays");
    let again = home.custody.set_slot(passphrase(), false, made()).await;
    assert!(matches!(again, Err(KeysError::SlotExists(SlotKind::Passphrase))));

    let other = || secret(SlotKind::Passphrase, b"another one");
    home.custody.set_slot(other(), true, made()).await.unwrap();
    assert_eq!((home.terms_by(&passphrase()).await, home.terms_by(&other()).await), (None, Some(vec![1])));
    home.custody.remove_slot(SlotKind::Passphrase, false, made()).await.unwrap();
    assert_eq!(home.terms_by(&other()).await, None);
    assert_eq!(home.kinds(), [SlotKind::KeyFile]);
}

#[tokio::test]
async fn the_room_is_never_left_without_a_way_in() {
    let home = Home::make().await;
    let last = home.custody.remove_slot(SlotKind::KeyFile, true, made()).await;
    assert!(matches!(last, Err(KeysError::LastSlot)));
    let none = home.custody.remove_slot(SlotKind::Recovery, true, made()).await;
    assert!(matches!(none, Err(KeysError::NoSlot(SlotKind::Recovery))));
    home.custody.set_slot(secret(SlotKind::Passphrase, PASSPHRASE), false, made()).await.unwrap();
    let used = home.custody.remove_slot(SlotKind::KeyFile, false, made()).await;
    assert!(matches!(used, Err(KeysError::InUse(SlotKind::KeyFile))));
    let both = [SlotKind::KeyFile, SlotKind::Passphrase];
    let none = RootRotation { secrets: Vec::new(), drop: both.to_vec(), force: true };
    assert!(matches!(home.custody.rotate_root(none, made()).await, Err(KeysError::LastSlot)));
    let passphrase = || vec![secret(SlotKind::Passphrase, PASSPHRASE)];
    let without = home.custody.rotate_root(rotation(passphrase(), &both[..1]), made()).await;
    assert!(matches!(without, Err(KeysError::InUse(SlotKind::KeyFile))));
    assert_eq!(home.kinds().len(), 2);
    assert_eq!(home.store.audit_end().sequence, 1, "what was refused is recorded by who refuses it");
    home.custody.remove_slot(SlotKind::KeyFile, true, made()).await.unwrap();
    assert_eq!(home.kinds(), [SlotKind::Passphrase]);
    // What the server was opened with is no slot any more, and is in nobody's way.
    home.custody.rotate_root(rotation(passphrase(), &[]), made()).await.unwrap();
}

#[tokio::test]
async fn a_slot_of_which_nothing_is_said_is_not_lost() {
    let home = Home::make().await;
    home.custody.set_slot(secret(SlotKind::Passphrase, PASSPHRASE), false, made()).await.unwrap();
    let silent = home.custody.rotate_root(rotation(vec![key(7)], &[SlotKind::Recovery]), made()).await;
    assert!(matches!(silent, Err(KeysError::NotNamed(SlotKind::Passphrase))));
    assert_eq!(home.kinds().len(), 2);
}

#[tokio::test]
async fn a_trial_finds_what_is_wrong_and_changes_nothing() {
    let home = Home::make().await;
    let stored = async || {
        let material = store::keys::read_key_material(&home.folder.path().join("db")).await.unwrap().unwrap();
        (material.keyring, material.slots)
    };
    let before = stored().await;
    let custody = &home.custody;
    assert_eq!(custody.rotate_data(Change::Trial).await.unwrap(), 2);
    custody.set_slot(secret(SlotKind::Passphrase, PASSPHRASE), false, Change::Trial).await.unwrap();
    custody.rotate_root(rotation(vec![key(7)], &[]), Change::Trial).await.unwrap();
    let wrong = custody.rotate_root(rotation(vec![key(8)], &[]), Change::Trial).await;
    assert!(matches!(wrong, Err(KeysError::WrongSecret(SlotKind::KeyFile))));
    assert!(matches!(custody.remove_slot(SlotKind::KeyFile, true, Change::Trial).await, Err(KeysError::LastSlot)));
    assert!(stored().await == before, "nothing is stored");
    assert_eq!((home.kinds(), home.store.audit_end().sequence), (vec![SlotKind::KeyFile], 0));
}

#[test]
fn a_passphrase_is_taken_as_it_is_and_the_content_of_a_file_as_a_start_reads_it() {
    let store_id = [3; 16];
    let root = RootKey::make().unwrap();
    let cost = Argon2Cost::new(64 * 1024, 1, 1, &limits()).unwrap();
    let opens = |kind, given: &[u8], tried: &[u8]| {
        let slot = Slot::make(kind, 1, &secret(kind, given).secret, cost, store_id, &root).unwrap();
        slot.open(&UnlockSecret::passphrase(text(tried)).unwrap(), store_id, &limits()).is_ok()
    };
    for given in [&b"line end\n"[..], b"carriage\r", b"both\r\n", b"two\n\n"] {
        assert!(opens(SlotKind::Passphrase, given, given), "{given:?}");
    }
    assert!(opens(SlotKind::SystemdCredential, b"of a file\n", b"of a file"));
    assert!(!opens(SlotKind::SystemdCredential, b"of a file\n\n", b"of a file"));
}

#[tokio::test]
async fn a_new_root_key_wraps_what_it_is_given_the_secrets_of() {
    let home = Home::make().await;
    home.custody.set_slot(secret(SlotKind::Passphrase, PASSPHRASE), false, made()).await.unwrap();
    let before = std::fs::read(home.folder.path().join("db")).unwrap();
    let drop = [SlotKind::Passphrase];
    let wrong = home.custody.rotate_root(rotation(vec![key(8)], &drop), made()).await;
    assert!(matches!(wrong, Err(KeysError::WrongSecret(SlotKind::KeyFile))));
    assert_eq!(home.terms_by(&key(7)).await, Some(vec![1]));

    let rotated = home.custody.rotate_root(rotation(vec![key(7)], &drop), made()).await.unwrap();
    assert_eq!(rotated, Rewrapped { dropped: vec![SlotKind::Passphrase], is_log_emptied: true });
    assert_eq!(home.kinds(), [SlotKind::KeyFile]);
    assert_eq!(home.terms_by(&key(7)).await, Some(vec![1]));
    // The former slot, put back into the file, opens to a root key that wraps nothing any more.
    let old = home.folder.path().join("before");
    std::fs::write(&old, before).unwrap();
    let stale = store::keys::read_key_material(&old).await.unwrap().unwrap();
    let now = store::keys::read_key_material(&home.folder.path().join("db")).await.unwrap().unwrap();
    let slot = Slot::decode(&stale.slots[0]).unwrap();
    let root = slot.open(&key(7).secret, stale.store_id, &limits()).unwrap();
    assert!(Keyring::unwrap(&root, now.store_id, &now.keyring).is_err());
}

#[tokio::test]
async fn a_former_data_key_is_destroyed_once_nothing_needs_it() {
    let home = Home::make().await;
    assert_eq!(home.custody.rotate_data(made()).await.unwrap(), 2);
    assert_eq!(home.terms_by(&key(7)).await, Some(vec![2, 1]));
    // The record of the rotation itself was sealed with the former one.
    assert_eq!(home.custody.destroy_unused(|_| record()).await.unwrap(), 0);
    while let Some(end) = home.store.removable_audit(u64::MAX, 100).unwrap() {
        home.store.remove_audit(end).await.unwrap();
    }
    home.store.resealed().await;
    assert_eq!(home.custody.destroy_unused(|_| record()).await.unwrap(), 1);
    assert_eq!(home.terms_by(&key(7)).await, Some(vec![2]));
    assert_eq!(home.custody.status().terms.len(), 1);
}

#[test]
fn a_secret_is_one_of_the_kind_that_it_is_given_for() {
    let read = |kind, given: SecretBytes| SlotSecret::read(kind, &given).err().map(|error| error.to_string());
    let recovery = || crate::crypto::recovery_text(&text(&[3; 32])).unwrap();
    for (kind, given, good) in [
        (SlotKind::Passphrase, text(PASSPHRASE), true),
        (SlotKind::Passphrase, key_text(1), false),
        (SlotKind::Passphrase, text(b""), false),
        (SlotKind::Passphrase, text(&[b'x'; 1025]), false),
        (SlotKind::KeyFile, key_text(1), true),
        (SlotKind::KeyFile, text(PASSPHRASE), false),
        (SlotKind::SystemdCredential, key_text(1), true),
        (SlotKind::SystemdCredential, text(PASSPHRASE), true),
        (SlotKind::SystemdCredential, text(b""), false),
        (SlotKind::Recovery, recovery(), true),
        (SlotKind::Recovery, key_text(1), false),
    ] {
        let error = read(kind, given);
        assert_eq!(error.is_none(), good, "{kind}: {error:?}");
        assert!(error.is_none_or(|error| !error.contains("lanterns") && !error.contains("xxx")));
    }
}

#[test]
fn a_data_key_is_replaced_when_it_is_old_and_not_twice_at_once() {
    let term = |state, created_unix_seconds| TermInfo { id: 1, state, created_unix_seconds };
    let active = |created| term(TermState::Active, created);
    assert!(!is_due(&[active(100)], 199, 100));
    assert!(is_due(&[active(100)], 200, 100));
    assert!(!is_due(&[active(100), term(TermState::DecryptOnly, 0)], 900, 100));
    // A clock that went back makes nothing old.
    assert!(!is_due(&[active(i64::MAX)], i64::MIN, 100));
}
