//! The keys of a database that lies in no home: opened as a home's are, or with the written recovery key.

use std::path::{Path, PathBuf};

use super::BackupError;
use crate::config::UnlockConfig;
use crate::crypto::{Keyring, Slot, SlotKind, SlotLimits, UnlockError, UnlockSecret, parse_recovery_text};
use crate::server::ServeError;
use crate::server::private_files::{Access, read_secret};
use crate::server::root_key::{self, RootKeyError};
use crate::server::unlock::{self, UnlockSource};
use crate::store::keys::KeyMaterial;
use crate::terminal::Prompt;

const RECOVERY_FILE_MAX_BYTES: usize = 4096;

/// What opens a backup.
pub struct OpenWith {
    /// As a home is opened.
    pub unlock: UnlockConfig,
    /// A file with the written recovery key, which is used instead.
    pub recovery_key_file: Option<PathBuf>,
}

/// A secret that was found, and may open more than one database.
pub enum Secret {
    Usual(UnlockSource),
    Recovery(UnlockSecret),
}

/// Finds the secret that opens a database with these keys. `home` is the home that is worked on.
pub fn find(
    with: &OpenWith,
    home: &Path,
    material: &KeyMaterial,
    prompt: &mut dyn Prompt,
) -> Result<Secret, ServeError> {
    if let Some(path) = &with.recovery_key_file {
        let text = read_secret(path, Access::OwnerOnly, RECOVERY_FILE_MAX_BYTES)?;
        let key =
            parse_recovery_text(&text).map_err(|source| BackupError::RecoveryText { path: path.clone(), source })?;
        let secret = UnlockSecret::key(&key).map_err(RootKeyError::from)?;
        return Ok(Secret::Recovery(secret));
    }
    let stage = root_key::stage(&slots(material)?);
    // A backup is never opened with a key that was made just now.
    Ok(Secret::Usual(unlock::resolve(&with.unlock, home, stage, &|| None, prompt)?))
}

/// Opens the keys of a database.
pub fn open(secret: &Secret, material: &KeyMaterial) -> Result<Keyring, ServeError> {
    let slots = slots(material)?;
    let limits = SlotLimits::default();
    match secret {
        Secret::Usual(source) => {
            let (keyring, _) = root_key::open(slots, source, material.store_id, &material.keyring, &limits)?;
            Ok(keyring)
        }
        Secret::Recovery(secret) => {
            let slot = slots.iter().find(|slot| slot.kind() == SlotKind::Recovery);
            let slot = slot.ok_or(BackupError::NoRecoverySlot)?;
            let root = slot.open(secret, material.store_id, &limits).map_err(|error| match error {
                UnlockError::WrongSecret => RootKeyError::WrongRecoveryKey,
                other => RootKeyError::Unlock(other),
            })?;
            Ok(Keyring::unwrap(&root, material.store_id, &material.keyring).map_err(RootKeyError::from)?)
        }
    }
}

/// The slots of a database.
pub fn slots(material: &KeyMaterial) -> Result<Vec<Slot>, ServeError> {
    Ok(root_key::read_slots(material.slots.iter().map(Vec::as_slice))?)
}
