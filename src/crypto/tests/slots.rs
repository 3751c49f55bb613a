//! What wrong secrets, tampering and hostile costs lead to.

use sha2::{Digest, Sha256};

use super::{known_root, secret};
use crate::crypto::{Argon2Cost, RootKey, Slot, SlotKind, SlotLimits, UnlockError, UnlockSecret, make_unlock_key};

const STORE: [u8; 16] = [3; 16];

fn cheap_limits() -> SlotLimits {
    SlotLimits { memory_kib: 8..=1024, passes: 1..=2, lanes: 1..=2 }
}

fn passphrase(text: &str) -> UnlockSecret {
    UnlockSecret::passphrase(secret(text.as_bytes())).unwrap()
}

fn key(byte: u8) -> UnlockSecret {
    UnlockSecret::key(&secret(&[byte; 32])).unwrap()
}

fn passphrase_slot() -> Slot {
    let cost = Argon2Cost::new(32, 1, 1, &cheap_limits()).unwrap();
    Slot::make(SlotKind::Passphrase, 1, &passphrase("open sesame"), cost, STORE, &known_root()).unwrap()
}

fn key_slot(kind: SlotKind) -> Slot {
    Slot::make(kind, 2, &key(5), Argon2Cost::DEFAULT, STORE, &known_root()).unwrap()
}

fn open(slot: &Slot, secret: &UnlockSecret) -> Option<UnlockError> {
    match slot.open(secret, STORE, &cheap_limits()) {
        Ok(root) => {
            assert_eq!(root.key().bytes(), known_root().key().bytes(), "it opened to another root key");
            None
        }
        Err(error) => Some(error),
    }
}

/// Makes the check bytes fit again, as an attacker would.
fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 8;
    let digest = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&digest[..8]);
    bytes
}

#[test]
fn the_right_secret_opens_and_a_wrong_one_is_called_wrong() {
    let slot = passphrase_slot();
    assert_eq!(open(&slot, &passphrase("open sesame")), None);
    assert_eq!(open(&slot, &passphrase("open sesame ")), Some(UnlockError::WrongSecret));
    for kind in [SlotKind::KeyFile, SlotKind::SystemdCredential, SlotKind::Recovery] {
        let slot = key_slot(kind);
        assert_eq!(open(&slot, &key(5)), None);
        assert_eq!(open(&slot, &key(6)), Some(UnlockError::WrongSecret));
        assert_eq!(slot.open(&key(5), [4; 16], &cheap_limits()).err(), Some(UnlockError::WrongSecret));
    }
}

#[test]
fn a_made_unlock_key_opens_the_slot_it_was_made_for() {
    let (file, root) = (make_unlock_key().unwrap(), RootKey::make().unwrap());
    let unlock = UnlockSecret::key(&file).unwrap();
    let slot = Slot::make(SlotKind::KeyFile, 1, &unlock, Argon2Cost::DEFAULT, STORE, &root).unwrap();
    let read = Slot::decode(&slot.encode()).unwrap();
    assert_eq!((read.id(), read.kind(), read.cost()), (1, SlotKind::KeyFile, None));
    let opened = read.open(&unlock, STORE, &SlotLimits::default()).unwrap();
    assert_eq!(opened.key().bytes(), root.key().bytes());
}

#[test]
fn a_key_is_never_run_as_a_passphrase_nor_a_passphrase_as_a_key() {
    let wrong = |kind| Some(UnlockError::WrongMaterial(kind));
    assert_eq!(open(&passphrase_slot(), &key(5)), wrong(SlotKind::Passphrase));
    assert_eq!(open(&key_slot(SlotKind::KeyFile), &passphrase("p")), wrong(SlotKind::KeyFile));
    assert_eq!(open(&key_slot(SlotKind::SystemdCredential), &passphrase("p")), wrong(SlotKind::SystemdCredential));
    let made = Slot::make(SlotKind::Recovery, 1, &passphrase("p"), Argon2Cost::DEFAULT, STORE, &known_root());
    assert_eq!(made.err(), wrong(SlotKind::Recovery));
}

#[test]
fn secrets_of_impossible_length_are_refused() {
    for length in [0, 1025] {
        let long = UnlockSecret::passphrase(secret(&vec![b'x'; length]));
        assert_eq!(long.err(), Some(UnlockError::SecretLength));
    }
    for length in [0, 31, 33] {
        assert_eq!(UnlockSecret::key(&secret(&vec![0; length])).err(), Some(UnlockError::SecretLength));
    }
}

#[test]
fn a_cost_outside_the_limits_is_refused_before_anything_is_computed() {
    let refuses = |memory_kib, passes, lanes, limits: &SlotLimits| {
        let expected = UnlockError::CostOutOfRange { memory_kib, passes, lanes };
        assert_eq!(Argon2Cost::new(memory_kib, passes, lanes, limits).err(), Some(expected));
        // The same cost, written into a stored slot.
        let mut bytes = passphrase_slot().encode();
        for (place, number) in [(8, memory_kib), (12, passes), (16, lanes)] {
            bytes[place..place + 4].copy_from_slice(&number.to_be_bytes());
        }
        let slot = Slot::decode(&checked(bytes)).unwrap();
        assert_eq!(slot.open(&passphrase("open sesame"), STORE, limits).err(), Some(expected));
    };
    let limits = SlotLimits::default();
    for (memory_kib, passes, lanes) in [
        (64 * 1024 - 1, 3, 1),
        (2 * 1024 * 1024 + 1, 3, 1),
        (u32::MAX, 3, 1),
        (0, 3, 1),
        (65536, 0, 1),
        (65536, 17, 1),
        (65536, u32::MAX, 1),
        (65536, 3, 0),
        (65536, 3, 9),
    ] {
        refuses(memory_kib, passes, lanes, &limits);
    }
    // Within the configured limits, but less than Argon2 itself allows for two lanes.
    refuses(8, 1, 2, &cheap_limits());
    let default = Argon2Cost::DEFAULT;
    assert_eq!(Argon2Cost::new(default.memory_kib(), default.passes(), default.lanes(), &limits), Ok(default));
}

#[test]
fn damage_to_any_byte_is_told_from_a_wrong_secret() {
    let bytes = key_slot(SlotKind::KeyFile).encode();
    for place in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[place] ^= 1;
        assert_eq!(Slot::decode(&bad).err(), Some(UnlockError::Damaged), "{place}");
        assert_eq!(Slot::decode(&bytes[..place]).err(), Some(UnlockError::Damaged), "{place}");
    }
}

#[test]
fn no_change_that_fits_the_check_bytes_opens() {
    for (slot, right) in [
        (key_slot(SlotKind::KeyFile), key(5)),
        (key_slot(SlotKind::SystemdCredential), key(5)),
        (passphrase_slot(), passphrase("open sesame")),
    ] {
        let bytes = slot.encode();
        for bit in 0..(bytes.len() - 8) * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let Ok(bad) = Slot::decode(&checked(bad)) else { continue };
            let error = open(&bad, &right).unwrap_or_else(|| panic!("bit {bit} does not matter"));
            if bit / 8 >= bytes.len() - 8 - 48 {
                assert_eq!(error, UnlockError::Damaged, "the commitment fits, the wrapped key does not");
            }
        }
        for length in 8..bytes.len() {
            assert!(Slot::decode(&checked(bytes[..length].to_vec())).is_err(), "{length}");
        }
    }
}

#[test]
fn formats_kinds_and_derivations_from_the_future_are_named() {
    let decode = |place: usize, value: u8| {
        let mut bytes = key_slot(SlotKind::KeyFile).encode();
        bytes[place] = value;
        Slot::decode(&checked(bytes)).err()
    };
    assert_eq!(decode(0, 2), Some(UnlockError::UnknownVersion(2)));
    assert_eq!(decode(1, 2), Some(UnlockError::UnknownAlgorithm(2)));
    assert_eq!(decode(2, 5), Some(UnlockError::UnknownKind(5)));
    assert_eq!(decode(3, 3), Some(UnlockError::UnknownKdf(3)));
}

#[test]
fn debug_output_of_a_slot_shows_its_kind_and_cost_only() {
    let text = format!("{:?}", passphrase_slot());
    assert_eq!(
        text,
        "Slot { id: 1, kind: Passphrase, cost: Some(Argon2Cost { memory_kib: 32, passes: 1, lanes: 1 }) }"
    );
}
