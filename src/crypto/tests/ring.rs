//! What tampering with the wrapped keyring leads to.

use super::{known_keyring, known_root, ring_case};
use crate::crypto::{Keyring, RingError, RootKey, TermState};

/// Version byte, then the store id with its tag and length.
const FIRST_TERM: usize = 1 + 6 + 16;
/// Tag, length, number, state, time, seed.
const TERM_FIELD: usize = 6 + 4 + 1 + 8 + 32;
const KEY_FIELD: usize = 6 + 32;

fn encoded(keyring: &Keyring) -> zeroize::Zeroizing<Vec<u8>> {
    keyring.encode(&keyring.read_terms())
}

fn decode(content: &[u8]) -> Result<(), RingError> {
    Keyring::decode(ring_case().array("store_id"), content).map(drop)
}

#[test]
fn a_new_keyring_comes_back_from_its_wrapping() {
    let (root, keyring) = (RootKey::make().unwrap(), Keyring::make(-5).unwrap());
    let (one, two) = (keyring.wrap(&root).unwrap(), keyring.wrap(&root).unwrap());
    assert_ne!(one, two);
    let back = Keyring::unwrap(&root, keyring.store_id(), &one).unwrap();
    assert_eq!(encoded(&back), encoded(&keyring));
    assert_eq!(encoded(&back).capacity(), encoded(&back).len(), "no growth left a copy behind");
    let term = back.terms()[0];
    assert_eq!((term.id, term.state, term.created_unix_seconds), (1, TermState::Active, -5));
    assert_ne!(keyring.store_id(), Keyring::make(0).unwrap().store_id());
}

#[test]
fn terms_made_by_rotation_come_back_from_their_wrapping() {
    let keyring = known_keyring();
    for now in [9, 10] {
        let next = keyring.next_term(now).unwrap();
        let wrapped = keyring.wrap_next(&known_root(), &next).unwrap();
        let announced = next.active();
        keyring.adopt(next);
        let back = Keyring::unwrap(&known_root(), keyring.store_id(), &wrapped).unwrap();
        assert_eq!((back.terms(), back.terms()[0].id), (keyring.terms(), announced));
    }
    assert_eq!(keyring.terms().iter().map(|term| term.id).collect::<Vec<_>>(), [4, 1, 2, 3]);
}

#[test]
fn another_root_key_or_store_is_told_before_anything_is_decrypted() {
    let case = ring_case();
    let unwrap = |root: &RootKey, store_id| Keyring::unwrap(root, store_id, &case.bytes("wrapped")).err();
    assert_eq!(unwrap(&RootKey::make().unwrap(), case.array("store_id")), Some(RingError::WrongRootKey));
    assert_eq!(unwrap(&known_root(), [0; 16]), Some(RingError::WrongRootKey));
    assert_eq!(unwrap(&known_root(), case.array("store_id")), None);
}

#[test]
fn a_change_of_any_byte_and_every_truncation_is_refused() {
    let (case, root) = (ring_case(), known_root());
    let wrapped = case.bytes("wrapped");
    for place in 0..wrapped.len() {
        let mut bad = wrapped.clone();
        bad[place] ^= 4;
        let expected = match place {
            0 => RingError::UnknownVersion(5),
            1 => RingError::UnknownAlgorithm(5),
            2..58 => RingError::WrongRootKey,
            _ => RingError::Damaged,
        };
        assert_eq!(Keyring::unwrap(&root, case.array("store_id"), &bad).err(), Some(expected), "{place}");
        let short = Keyring::unwrap(&root, case.array("store_id"), &wrapped[..place]).err();
        assert_eq!(short, Some(if place < 74 { RingError::Truncated } else { RingError::Damaged }), "{place}");
    }
}

#[test]
fn what_a_newer_release_added_is_refused_and_not_dropped() {
    let content = ring_case().bytes("content");
    let with = |tag: u16, value: &[u8]| {
        let mut content = content.clone();
        content.extend_from_slice(&tag.to_be_bytes());
        content.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        content.extend_from_slice(value);
        decode(&content)
    };
    assert_eq!(with(24, &[0; 32]), Err(RingError::UnknownField(24)));
    assert_eq!(with(24, b"other length"), Err(RingError::UnknownField(24)));
    assert_eq!(with(0, b""), Err(RingError::UnknownField(0)));
    let mut newer = content.clone();
    newer[0] = 2;
    assert_eq!(decode(&newer), Err(RingError::UnknownVersion(2)));
}

#[test]
fn a_keyring_of_another_shape_is_refused() {
    let good = ring_case().bytes("content");
    decode(&good).unwrap();
    let malformed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = good.clone();
        change(&mut content);
        match decode(&content) {
            Err(RingError::Malformed(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (FIRST_TERM, FIRST_TERM + TERM_FIELD);
    let keys = second + TERM_FIELD;
    let state = 6 + 4;
    assert_eq!(malformed(&|content| content.clear()), "it is empty");
    assert_eq!(malformed(&|content| content.truncate(1)), "it lacks the store's identifier");
    assert_eq!(malformed(&|content| drop(content.drain(1..first))), "it lacks the store's identifier");
    assert_eq!(malformed(&|content| content[7] ^= 1), "it belongs to another store");
    assert_eq!(malformed(&|content| drop(content.drain(first..second))), "no data term is active");
    assert_eq!(malformed(&|content| content[second + state] = 1), "two data terms are active");
    assert_eq!(malformed(&|content| content[second + state] = 3), "a data term is not one");
    assert_eq!(malformed(&|content| content[first + 9] = 1), "its data terms are out of order");
    assert_eq!(malformed(&|content| content[second + 9] = 0), "its data terms are out of order");
    assert_eq!(
        malformed(&|content| {
            let repeated = content[keys..keys + KEY_FIELD].to_vec();
            content.extend_from_slice(&repeated);
        }),
        "a key occurs twice"
    );
    assert_eq!(
        malformed(&|content| drop(content.drain(keys..keys + KEY_FIELD))),
        "it lacks `k_head`, which seals the head of the store"
    );
    for length in 2..good.len() {
        assert!(decode(&good[..length]).is_err(), "{length}");
    }
}
