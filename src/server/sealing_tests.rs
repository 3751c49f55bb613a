//! Attempts to unseal a home, with slots that cost little.

use super::*;
use crate::crypto::{Argon2Cost, RootKey, recovery_text};
use crate::sensitive::SecretBytes;

const NOW: i64 = 1_790_000_000;

fn limits() -> SlotLimits {
    SlotLimits { memory_kib: 8..=1024, passes: 1..=2, lanes: 1..=1 }
}

/// A home that two passphrases, a key, a credential and a recovery key open: slots 1 to 5.
fn home() -> (Arc<Sealing>, mpsc::UnboundedReceiver<Unsealed>) {
    let (root, keyring) = (RootKey::make().unwrap(), Keyring::make(NOW).unwrap());
    let passphrase = |text: &str| UnlockSecret::passphrase(SecretBytes::new(text.into())).unwrap();
    let key = |byte: u8| UnlockSecret::key(&SecretBytes::new(vec![byte; 32])).unwrap();
    let cost = Argon2Cost::new(8, 1, 1, &limits()).unwrap();
    let slots = [
        (SlotKind::Passphrase, passphrase("one")),
        (SlotKind::Passphrase, passphrase("two")),
        (SlotKind::KeyFile, key(3)),
        (SlotKind::SystemdCredential, key(4)),
        (SlotKind::Recovery, key(5)),
    ];
    let slots = slots
        .iter()
        .zip(1..)
        .map(|((kind, secret), id)| Slot::make(*kind, id, secret, cost, keyring.store_id(), &root).unwrap().encode());
    let stored =
        StoredKeys { store_id: keyring.store_id(), wrapped: keyring.wrap(&root).unwrap(), slots: slots.collect() };
    Sealing::new(stored, limits(), "a start").ok().unwrap()
}

fn request(secret: UnsealSecret, slot: Option<u32>) -> UnsealRequest {
    UnsealRequest { secret, slot, peer: "127.0.0.1".to_owned(), is_owner: true }
}

fn passphrase(text: &str) -> UnsealSecret {
    UnsealSecret::Passphrase(SecretBytes::new(text.into()))
}

fn key(byte: u8) -> UnsealSecret {
    UnsealSecret::Key(SecretBytes::new(vec![byte; 32]))
}

fn recovery(byte: u8) -> UnsealSecret {
    UnsealSecret::RecoveryKey(recovery_text(&SecretBytes::new(vec![byte; 32])).unwrap())
}

#[tokio::test]
async fn each_secret_opens_the_slot_of_its_kind_and_no_other() {
    for (secret, slot, kind) in [
        (passphrase("one"), None, Some("passphrase")),
        (passphrase("one"), Some(1), Some("passphrase")),
        (passphrase("two"), Some(2), Some("passphrase")),
        (passphrase("two"), None, None),
        (passphrase("one"), Some(3), None),
        (key(3), None, Some("key file")),
        (key(4), Some(4), Some("systemd credential")),
        (key(5), None, None),
        (key(5), Some(5), None),
        (recovery(5), None, Some("recovery key")),
        (recovery(3), None, None),
        (UnsealSecret::RecoveryKey(SecretBytes::new(b"no key".to_vec())), None, None),
        (UnsealSecret::Key(SecretBytes::new(vec![3; 31])), None, None),
        (passphrase(""), None, None),
    ] {
        let (sealing, mut keys) = home();
        let outcome = Arc::clone(&sealing).unseal(request(secret, slot)).await;
        let state = sealing.now().borrow().state;
        if let Some(kind) = kind {
            assert_eq!((outcome, state), (Ok(()), SealState::Verifying));
            let facts = keys.try_recv().unwrap().facts;
            assert_eq!((facts.kind.as_str(), facts.failed, facts.peer.as_str()), (kind, 0, "127.0.0.1"));
        } else {
            assert_eq!((outcome, state), (Err(UnsealError::Wrong), SealState::Sealed));
            assert!(keys.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn failures_make_the_next_attempt_wait_but_not_the_owner() {
    let (sealing, mut keys) = home();
    for _ in 0..3 {
        assert_eq!(Arc::clone(&sealing).unseal(request(passphrase("x"), None)).await, Err(UnsealError::Wrong));
    }
    let stranger = UnsealRequest { is_owner: false, ..request(passphrase("one"), None) };
    let refused = Arc::clone(&sealing).unseal(stranger).await;
    assert!(matches!(refused, Err(UnsealError::Throttled { retry_after_seconds: 1..=4 })), "{refused:?}");
    assert_eq!(sealing.now().borrow().state, SealState::Sealed);
    assert_eq!(sealing.begin(false, Instant::now() + Duration::from_secs(5)), Ok(()));
    assert_eq!(sealing.end(None, &request(passphrase("x"), None)), Err(UnsealError::Wrong));
    Arc::clone(&sealing).unseal(request(passphrase("one"), None)).await.unwrap();
    assert_eq!(keys.try_recv().unwrap().facts.failed, 4, "those that waited were not looked at");
}

#[test]
fn one_attempt_is_looked_at_at_a_time() {
    let (sealing, _keys) = home();
    sealing.begin(true, Instant::now()).unwrap();
    assert_eq!(sealing.now().borrow().state, SealState::Unsealing);
    assert_eq!(sealing.begin(true, Instant::now()), Err(UnsealError::Busy));
    assert_eq!(sealing.end(None, &request(passphrase("x"), None)), Err(UnsealError::Wrong));
    sealing.begin(true, Instant::now()).unwrap();
}

#[tokio::test]
async fn a_home_that_cannot_be_opened_is_sealed_again_and_says_so() {
    let (sealing, mut keys) = home();
    Arc::clone(&sealing).unseal(request(key(3), None)).await.unwrap();
    assert_eq!(Arc::clone(&sealing).unseal(request(key(3), None)).await, Err(UnsealError::Busy));
    drop(keys.try_recv().unwrap());
    sealing.failed();
    let now = sealing.now().borrow().clone();
    assert!(now.state == SealState::Sealed && now.why.contains("log"), "{now:?}");
    let kinds: Vec<&str> = now.slots.iter().map(|slot| slot.kind.as_str()).collect();
    assert_eq!(kinds, ["passphrase", "passphrase", "key-file", "systemd-credential", "recovery-key"]);
    Arc::clone(&sealing).unseal(request(key(3), None)).await.unwrap();
}

#[test]
fn the_delay_doubles_up_to_a_minute() {
    let seconds: Vec<u64> = (1..=8).map(|failed| delay(failed).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(delay(u32::MAX), LONGEST_DELAY);
}
