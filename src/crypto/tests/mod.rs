//! Tests of more than one file: known answers, and what tampering with each format leads to.

mod known_answers;
mod ring;
mod rows;
mod slots;

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::derive::{KeyBytes, RootKey};
use super::{Keyring, UnlockSecret};
use crate::sensitive::SecretBytes;

/// One case of a file of known answers.
struct Case(BTreeMap<String, String>);

impl Case {
    fn all(file: &str) -> Vec<Self> {
        let lines = file.lines().filter(|line| !line.starts_with('#'));
        let mut cases = vec![Self(BTreeMap::new())];
        for line in lines {
            if let Some((name, value)) = line.split_once(" =") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                assert!(cases.last_mut().unwrap().0.insert(name.to_owned(), value.to_owned()).is_none(), "{name}");
            } else if !cases.last().unwrap().0.is_empty() {
                assert_eq!(line, "");
                cases.push(Self(BTreeMap::new()));
            }
        }
        cases.retain(|case| !case.0.is_empty());
        assert!(!cases.is_empty());
        cases
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the case has no {name}"))
    }

    fn text(&self, name: &str) -> &str {
        self.value(&format!("{name}.text"))
    }

    fn number<N: std::str::FromStr<Err: Debug>>(&self, name: &str) -> N {
        self.value(&format!("{name}.number")).parse().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.value(name)).unwrap()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }
}

fn ring_case() -> Case {
    Case::all(include_str!("../../../tests/it/crypto/ring-v1.txt")).remove(0)
}

fn known_root() -> RootKey {
    RootKey::from_key(KeyBytes::copied_from(&ring_case().bytes("root_key")).unwrap())
}

/// The keyring of the known answers: term 2 is active, term 1 opens only.
fn known_keyring() -> Keyring {
    let case = ring_case();
    Keyring::unwrap(&known_root(), case.array("store_id"), &case.bytes("wrapped")).unwrap()
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}

#[expect(clippy::disallowed_methods, reason = "tests compare what was opened")]
fn plain(bytes: &SecretBytes) -> &[u8] {
    bytes.expose()
}

/// `<T as NeitherCloneNorDebug<_>>` is ambiguous, and does not compile, once `T` is `Clone` or `Debug`.
trait NeitherCloneNorDebug<Ambiguity> {
    fn holds() -> bool {
        true
    }
}

impl<T> NeitherCloneNorDebug<()> for T {}
impl<T: Clone> NeitherCloneNorDebug<[(); 1]> for T {}
impl<T: Debug> NeitherCloneNorDebug<[(); 2]> for T {}

#[test]
fn keys_can_be_neither_cloned_nor_printed() {
    assert!(<Keyring as NeitherCloneNorDebug<_>>::holds());
    assert!(<RootKey as NeitherCloneNorDebug<_>>::holds());
    assert!(<UnlockSecret as NeitherCloneNorDebug<_>>::holds());
}
