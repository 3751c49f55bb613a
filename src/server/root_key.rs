//! The root key: made at a first start, unwrapped from exactly one slot at every later one.
//!
//! What it never does: try a second slot after the first one failed, or write anything when a secret is wrong.

use std::path::{Path, PathBuf};

use crate::crypto::{Argon2Cost, Keyring, RingError, RootKey, Slot, SlotKind, SlotLimits, UnlockError, UnlockSecret};

use super::unlock::{Form, Origin, Stage, UnlockSource};
use crate::keys::{Opened, OpenedWith};

const FIRST_SLOT: u32 = 1;

/// Why the root key was not made or not unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The secret is not this home's.
    #[error("{} does not open this home. Nothing was changed: check --home, and that the secret belongs to it", .0.described)]
    Wrong(Described),
    /// The recovery key is not this store's.
    #[error("the recovery key does not open it: it is another store's, or was replaced since. Nothing was changed")]
    WrongRecoveryKey,
    /// The home has no slot for this form of secret.
    #[error("this home is opened with a {expected}, but {} was given", .given.described)]
    OtherForm {
        /// What the home takes.
        expected: &'static str,
        /// What was given.
        given: Described,
    },
    /// Nothing but the recovery key opens it.
    #[error("nothing but its recovery key opens this home: start it with --sealed, and unseal it with that")]
    RecoveryAlone,
    /// The home has no slot at all.
    #[error("the home's database holds no way to unlock it: restore it from a backup")]
    NoSlot,
    /// A slot was not made, is damaged or too costly.
    #[error("the home cannot be unlocked: {0}")]
    Unlock(#[from] UnlockError),
    /// The keyring does not open with the root key.
    #[error("the home's keys cannot be read: {0}")]
    Ring(#[from] RingError),
    /// No keys could be made.
    #[error("no keys could be made: the operating system gave no randomness")]
    Random,
}

/// How an unlock secret is called in a message; holds nothing of it.
#[derive(Debug)]
pub struct Described {
    described: String,
}

/// What a new home stores of its keys.
pub struct NewKeys {
    /// The keys in use.
    pub keyring: Keyring,
    /// The keyring, wrapped under the root key.
    pub wrapped: Vec<u8>,
    /// The root key, and the one slot.
    pub opened: Opened,
}

/// Makes a root key, a keyring under it, and a slot that `source` opens.
pub fn make(source: &UnlockSource, cost: Argon2Cost, now_unix_seconds: i64) -> Result<NewKeys, RootKeyError> {
    let root = RootKey::make().map_err(|_| RootKeyError::Random)?;
    let keyring = Keyring::make(now_unix_seconds).map_err(|_| RootKeyError::Random)?;
    let wrapped = keyring.wrap(&root).map_err(|_| RootKeyError::Random)?;
    let slot = Slot::make(slot_kind(source), FIRST_SLOT, &secret(source)?, cost, keyring.store_id(), &root)?;
    let with = opened_with(&slot, source);
    Ok(NewKeys { keyring, wrapped, opened: Opened { root, slots: vec![slot], with } })
}

/// Reads the slots of a home. One that is damaged, or that this release does not know, is passed over where there is another.
pub fn read_slots<'a>(encoded: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Slot>, RootKeyError> {
    let (mut slots, mut unread) = (Vec::new(), Vec::new());
    for bytes in encoded {
        match Slot::decode(bytes) {
            Ok(slot) => slots.push(slot),
            Err(error) => unread.push(error),
        }
    }
    if slots.is_empty() {
        // What a newer release may have written is no damage.
        let newer = unread.iter().find(|error| **error != UnlockError::Damaged);
        return newer.or(unread.first()).map_or(Ok(slots), |error| Err((*error).into()));
    }
    for error in unread {
        tracing::warn!(%error, "a way to unlock the home is passed over: `strongroom verify` names it");
    }
    Ok(slots)
}

/// What a home with these slots can be opened with.
pub fn stage(slots: &[Slot]) -> Stage {
    // A recovery key is given to a server that is sealed, and at no start.
    let takes = |wanted| slots.iter().any(|slot| slot.kind() != SlotKind::Recovery && form(slot) == wanted);
    Stage::Existing { takes_key: takes(Form::Key), takes_passphrase: takes(Form::Passphrase) }
}

/// Opens the keyring with `source`. Takes as long as the slot's cost says.
pub fn open(
    slots: Vec<Slot>,
    source: &UnlockSource,
    store_id: [u8; 16],
    wrapped: &[u8],
    limits: &SlotLimits,
) -> Result<(Keyring, Opened), RootKeyError> {
    let slot = choose(&slots, source)?;
    let with = opened_with(slot, source);
    let root = slot.open(&secret(source)?, store_id, limits).map_err(|error| match error {
        UnlockError::WrongSecret | UnlockError::SecretLength => RootKeyError::Wrong(described(source)),
        other => RootKeyError::Unlock(other),
    })?;
    let keyring = Keyring::unwrap(&root, store_id, wrapped)?;
    Ok((keyring, Opened { root, slots, with }))
}

fn opened_with(slot: &Slot, source: &UnlockSource) -> OpenedWith {
    OpenedWith { kind: slot.kind(), is_colocated: Some(source.colocated) }
}

/// The slot of the secret's own kind, else the first one that takes its form (a key file that became a credential).
fn choose<'a>(slots: &'a [Slot], source: &UnlockSource) -> Result<&'a Slot, RootKeyError> {
    if slots.is_empty() {
        return Err(RootKeyError::NoSlot);
    }
    let first = slots.iter().find(|slot| slot.kind() != SlotKind::Recovery).ok_or(RootKeyError::RecoveryAlone)?;
    let fits = |slot: &&Slot| slot.kind() != SlotKind::Recovery && form(slot) == source.form;
    let own_kind = |slot: &&Slot| fits(slot) && slot.kind() == slot_kind(source);
    slots.iter().find(own_kind).or_else(|| slots.iter().find(fits)).ok_or_else(|| {
        let expected = match form(first) {
            Form::Key => "key file",
            Form::Passphrase => "passphrase",
        };
        RootKeyError::OtherForm { expected, given: described(source) }
    })
}

fn form(slot: &Slot) -> Form {
    if slot.cost().is_some() { Form::Passphrase } else { Form::Key }
}

fn slot_kind(source: &UnlockSource) -> SlotKind {
    match (source.origin, source.form) {
        (Origin::SystemdCredential, _) => SlotKind::SystemdCredential,
        (_, Form::Key) => SlotKind::KeyFile,
        (_, Form::Passphrase) => SlotKind::Passphrase,
    }
}

#[expect(clippy::disallowed_methods, reason = "the secret moves into the type that opens slots")]
fn secret(source: &UnlockSource) -> Result<UnlockSecret, UnlockError> {
    match source.form {
        Form::Key => UnlockSecret::key(&source.secret),
        Form::Passphrase => {
            UnlockSecret::passphrase(crate::sensitive::SecretBytes::new(source.secret.expose().to_vec()))
        }
    }
}

fn described(source: &UnlockSource) -> Described {
    let at = |what: &str, path: Option<&PathBuf>| match path.map(PathBuf::as_path).map(Path::display) {
        Some(path) => format!("{what} {path}"),
        None => what.to_owned(),
    };
    let path = source.path.as_ref();
    let described = match (source.origin, source.form) {
        (Origin::Environment, _) => "the passphrase in STRONGROOM_PASSPHRASE".to_owned(),
        (Origin::Terminal, _) => "the passphrase that was typed".to_owned(),
        (Origin::SystemdCredential, _) => at("the systemd credential", path),
        (Origin::ContainerSecret, _) => at("the container secret", path),
        (_, Form::Key) => at("the key file", path),
        (_, Form::Passphrase) => at("the passphrase in", path),
    };
    Described { described }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensitive::SecretBytes;

    const NOW: i64 = 1_790_000_000;

    fn cheap() -> (Argon2Cost, SlotLimits) {
        let limits = SlotLimits { memory_kib: 8..=1024, passes: 1..=2, lanes: 1..=1 };
        (Argon2Cost::new(8, 1, 1, &limits).unwrap(), limits)
    }

    fn source(origin: Origin, form: Form, secret: &[u8]) -> UnlockSource {
        let secret = SecretBytes::new(secret.to_vec());
        UnlockSource { origin, form, secret, path: Some("/k/unlock.key".into()), colocated: false, is_new: false }
    }

    fn encoded(keys: &NewKeys) -> Vec<u8> {
        keys.opened.slots[0].encode()
    }

    fn try_open(keys: &NewKeys, source: &UnlockSource) -> Result<Keyring, RootKeyError> {
        let slots = read_slots([encoded(keys).as_slice()])?;
        open(slots, source, keys.keyring.store_id(), &keys.wrapped, &cheap().1).map(|(keyring, _)| keyring)
    }

    #[test]
    fn a_home_opens_with_the_secret_it_was_made_with() {
        for (origin, form) in [(Origin::DefaultKeyFile, Form::Key), (Origin::Terminal, Form::Passphrase)] {
            let own = source(origin, form, &[7; 32]);
            let keys = make(&own, cheap().0, NOW).unwrap();
            assert_eq!(try_open(&keys, &own).ok().unwrap().store_id(), keys.keyring.store_id());
            let error = try_open(&keys, &source(origin, form, &[8; 32])).err().unwrap();
            assert!(matches!(error, RootKeyError::Wrong(_)), "{error}");
            assert!(error.to_string().contains("Nothing was changed"));
        }
    }

    #[test]
    fn a_secret_of_the_other_form_is_told_apart_from_a_wrong_one() {
        let keys = make(&source(Origin::DefaultKeyFile, Form::Key, &[7; 32]), cheap().0, NOW).unwrap();
        let error = try_open(&keys, &source(Origin::Terminal, Form::Passphrase, b"x")).err().unwrap().to_string();
        assert_eq!(error, "this home is opened with a key file, but the passphrase that was typed was given");
    }

    #[test]
    fn a_key_file_that_became_a_systemd_credential_still_opens_the_home() {
        let keys = make(&source(Origin::DefaultKeyFile, Form::Key, &[7; 32]), cheap().0, NOW).unwrap();
        assert!(try_open(&keys, &source(Origin::SystemdCredential, Form::Key, &[7; 32])).is_ok());
    }

    #[test]
    fn the_stage_says_what_the_home_takes() {
        let keys = make(&source(Origin::SystemdCredential, Form::Passphrase, b"x"), cheap().0, NOW).unwrap();
        let slots = read_slots([encoded(&keys).as_slice()]).unwrap();
        assert_eq!(stage(&slots), Stage::Existing { takes_key: false, takes_passphrase: true });
        let (newer, zeros) = ([9_u8, 9], [0_u8; 99]);
        let unread = |error| Err::<(), _>(Some(error));
        let read = |slots: &[&[u8]]| match read_slots(slots.iter().copied()) {
            Ok(_) => Ok(()),
            Err(RootKeyError::Unlock(error)) => Err(Some(error)),
            Err(_) => Err(None),
        };
        assert_eq!(read(&[&newer]), unread(UnlockError::UnknownVersion(9)));
        assert_eq!(read(&[&zeros, &newer]), unread(UnlockError::UnknownVersion(9)));
        assert_eq!(read(&[&zeros]), unread(UnlockError::Damaged));
        // Another one opens.
        assert_eq!(read(&[&zeros, &newer, &encoded(&keys)]), Ok(()));
    }
}
