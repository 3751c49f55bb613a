//! Slots: each wraps the root key under one unlock secret.
//!
//! A slot is opened by its number or kind, and never tried after another one failed. A passphrase goes through
//! Argon2id, key material of 256 bits through HKDF alone. The wrapping key comes with a commitment, which is
//! compared before anything is decrypted. Kinds and derivations that this release does not know are errors.
//!
//! Associated data: `"strongroom/slot/v1\0" ‖ store id 16 ‖ id u32 ‖ kind ‖ kdf ‖ m u32 ‖ t u32 ‖ p u32 ‖ LP(salt)`.
//! The eight check bytes at the end are a truncated SHA-256, no MAC: they tell damage from a wrong secret.

use std::fmt;
use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::bytes::{Reader, put_prefixed};
use super::derive::{
    AAD_SLOT, Committed, KEY_BYTES, KeyBytes, LABEL_SLOT, LABEL_SLOT_MATERIAL, RootKey, derive_committed, derive_key,
    make_array,
};
use super::envelope::{ALGORITHM, Nonce, TAG_BYTES, VERSION, decrypt_into, encrypt_onto};
use super::errors::UnlockError;
use crate::sensitive::SecretBytes;

const KDF_ARGON2ID: u8 = 1;
const KDF_HKDF: u8 = 2;
const SALT_BYTES: RangeInclusive<usize> = 16..=64;
const MADE_SALT_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;
const PASSPHRASE_BYTES: RangeInclusive<usize> = 1..=1024;

/// What kind of secret opens a slot. Numbers of later kinds (TPM, KMS, shares) are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// A passphrase that a person types.
    Passphrase,
    /// A file with a key of 32 bytes.
    KeyFile,
    /// What systemd hands over: a key of 32 bytes or a passphrase.
    SystemdCredential,
    /// The written recovery key of 256 bits.
    Recovery,
}

impl SlotKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Passphrase, Self::KeyFile, Self::SystemdCredential, Self::Recovery];

    fn number(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::KeyFile => 2,
            Self::SystemdCredential => 3,
            Self::Recovery => 4,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// What it is called in requests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key-file",
            Self::SystemdCredential => "systemd-credential",
            Self::Recovery => "recovery-key",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn takes(self, secret: &UnlockSecret) -> bool {
        match self {
            Self::Passphrase => matches!(secret.0, Material::Passphrase(_)),
            Self::KeyFile | Self::Recovery => matches!(secret.0, Material::Key(_)),
            Self::SystemdCredential => true,
        }
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key file",
            Self::SystemdCredential => "systemd credential",
            Self::Recovery => "recovery key",
        })
    }
}

/// The secret that opens a slot.
pub struct UnlockSecret(Material);

enum Material {
    Passphrase(SecretBytes),
    Key(KeyBytes),
}

impl UnlockSecret {
    /// A passphrase of 1 to 1,024 bytes, used byte for byte.
    pub fn passphrase(passphrase: SecretBytes) -> Result<Self, UnlockError> {
        if PASSPHRASE_BYTES.contains(&passphrase.len()) {
            Ok(Self(Material::Passphrase(passphrase)))
        } else {
            Err(UnlockError::SecretLength)
        }
    }

    /// Key material of exactly 32 random bytes.
    #[expect(clippy::disallowed_methods, reason = "the key moves into the type that keys live in")]
    pub fn key(key: &SecretBytes) -> Result<Self, UnlockError> {
        KeyBytes::copied_from(key.expose()).map(|key| Self(Material::Key(key))).ok_or(UnlockError::SecretLength)
    }
}

/// What a slot's Argon2id may cost. A stored slot asking for more or for less is not computed at all: less would
/// be a downgrade, more a way to exhaust the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLimits {
    /// Memory in KiB.
    pub memory_kib: RangeInclusive<u32>,
    /// Passes over the memory.
    pub passes: RangeInclusive<u32>,
    /// Lanes.
    pub lanes: RangeInclusive<u32>,
}

impl Default for SlotLimits {
    /// 64 MiB to 2 GiB, 1 to 16 passes, 1 to 8 lanes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024..=2 * 1024 * 1024, passes: 1..=16, lanes: 1..=8 }
    }
}

/// A cost of Argon2id that was within the limits when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Cost {
    /// 256 MiB, 3 passes, 1 lane: about 0.6 s on one core.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 };

    /// 64 MiB, 3 passes, 1 lane, for the password of a user who signs in: about 0.13 s on one core.
    pub const PASSWORD: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// A cost within `limits`, so that no slot is made that the same limits would not open again.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32, limits: &SlotLimits) -> Result<Self, UnlockError> {
        let cost = Self { memory_kib, passes, lanes };
        cost.within(limits)?;
        Ok(cost)
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    pub fn lanes(self) -> u32 {
        self.lanes
    }

    fn within(self, limits: &SlotLimits) -> Result<Params, UnlockError> {
        let allowed = limits.memory_kib.contains(&self.memory_kib)
            && limits.passes.contains(&self.passes)
            && limits.lanes.contains(&self.lanes);
        match Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES)) {
            Ok(params) if allowed => Ok(params),
            _ => Err(self.out_of_range()),
        }
    }

    fn out_of_range(self) -> UnlockError {
        UnlockError::CostOutOfRange { memory_kib: self.memory_kib, passes: self.passes, lanes: self.lanes }
    }
}

#[derive(Clone, Copy)]
enum Kdf {
    Argon2id(Argon2Cost),
    Hkdf,
}

impl Kdf {
    /// Its number and its three cost fields.
    fn fields(self) -> (u8, [u32; 3]) {
        match self {
            Self::Argon2id(cost) => (KDF_ARGON2ID, [cost.memory_kib, cost.passes, cost.lanes]),
            Self::Hkdf => (KDF_HKDF, [0; 3]),
        }
    }
}

/// The root key, wrapped for one unlock secret. Holds no plaintext.
#[derive(Clone)]
pub struct Slot {
    id: u32,
    kind: SlotKind,
    kdf: Kdf,
    salt: Vec<u8>,
    nonce: Nonce,
    commitment: [u8; KEY_BYTES],
    wrapped: [u8; WRAPPED_BYTES],
}

impl Slot {
    /// Wraps `root` for `secret`. `cost` counts for passphrases only. Takes as long as the cost says.
    pub fn make(
        kind: SlotKind,
        id: u32,
        secret: &UnlockSecret,
        cost: Argon2Cost,
        store_id: [u8; 16],
        root: &RootKey,
    ) -> Result<Self, UnlockError> {
        let salt = make_array::<MADE_SALT_BYTES>()?;
        Self::make_with(kind, id, secret, cost, store_id, root, (&salt, make_array()?))
    }

    pub(super) fn make_with(
        kind: SlotKind,
        id: u32,
        secret: &UnlockSecret,
        cost: Argon2Cost,
        store_id: [u8; 16],
        root: &RootKey,
        (salt, nonce): (&[u8], Nonce),
    ) -> Result<Self, UnlockError> {
        if !kind.takes(secret) {
            return Err(UnlockError::WrongMaterial(kind));
        }
        let kdf = match secret.0 {
            Material::Passphrase(_) => Kdf::Argon2id(cost),
            Material::Key(_) => Kdf::Hkdf,
        };
        let unsealed =
            Self { id, kind, kdf, salt: salt.to_vec(), nonce, commitment: [0; KEY_BYTES], wrapped: [0; WRAPPED_BYTES] };
        // The cost was held against the caller's limits when it was made, so here it is its own limit.
        let own = SlotLimits {
            memory_kib: cost.memory_kib..=cost.memory_kib,
            passes: cost.passes..=cost.passes,
            lanes: cost.lanes..=cost.lanes,
        };
        let aad = unsealed.aad(&store_id);
        let wrapping = unsealed.derive_wrapping_key(secret, &aad, &own)?;
        let mut wrapped = Vec::with_capacity(WRAPPED_BYTES);
        encrypt_onto(&mut wrapped, &wrapping.key.cipher(), &nonce, &aad, root.key().bytes())
            .map_err(|_| UnlockError::Damaged)?;
        let wrapped = wrapped.try_into().map_err(|_| UnlockError::Damaged)?;
        Ok(Self { commitment: wrapping.commitment, wrapped, ..unsealed })
    }

    /// Its number, unique within the store.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The kind of secret that opens it.
    pub fn kind(&self) -> SlotKind {
        self.kind
    }

    /// The cost of trying a secret; `None` where the secret is key material.
    pub fn cost(&self) -> Option<Argon2Cost> {
        match self.kdf {
            Kdf::Argon2id(cost) => Some(cost),
            Kdf::Hkdf => None,
        }
    }

    /// Unwraps the root key. Takes as long as the slot's cost says, unless `limits` refuse it.
    pub fn open(&self, secret: &UnlockSecret, store_id: [u8; 16], limits: &SlotLimits) -> Result<RootKey, UnlockError> {
        let aad = self.aad(&store_id);
        let wrapping = self.derive_wrapping_key(secret, &aad, limits)?;
        if !bool::from(wrapping.commitment.ct_eq(&self.commitment)) {
            return Err(UnlockError::WrongSecret);
        }
        let mut root = Zeroizing::default();
        decrypt_into(&mut root, &wrapping.key.cipher(), &self.nonce, &aad, &self.wrapped)
            .map_err(|_| UnlockError::Damaged)?;
        KeyBytes::copied_from(&root).map(RootKey::from_key).ok_or(UnlockError::Damaged)
    }

    /// The stored form; see the table of formats in [`crate::crypto`].
    pub fn encode(&self) -> Vec<u8> {
        let (kdf, cost) = self.kdf.fields();
        let mut bytes = vec![VERSION, ALGORITHM, self.kind.number(), kdf];
        bytes.extend_from_slice(&self.id.to_be_bytes());
        for number in cost {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        put_prefixed(&mut bytes, &self.salt);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.commitment);
        bytes.extend_from_slice(&self.wrapped);
        bytes.extend_from_slice(&check_bytes(&bytes));
        bytes
    }

    /// Reads what [`Slot::encode`] wrote. Limits are held against it when it is opened.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnlockError> {
        // The version comes before the check bytes: another version may have none, or others.
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => return Err(UnlockError::UnknownVersion(version)),
            // No release has written a version below ours.
            Some(_) | None => return Err(UnlockError::Damaged),
        }
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(UnlockError::Damaged)?;
        if check_bytes(body) != *check {
            return Err(UnlockError::Damaged);
        }
        Self::decode_body(body)?.ok_or(UnlockError::Damaged)
    }

    /// `None` where the bytes end too early or go on too long.
    fn decode_body(body: &[u8]) -> Result<Option<Self>, UnlockError> {
        let mut reader = Reader::new(body);
        let Some([_version, algorithm, kind, kdf]) = reader.array() else { return Ok(None) };
        if *algorithm != ALGORITHM {
            return Err(UnlockError::UnknownAlgorithm(*algorithm));
        }
        let kind = SlotKind::from_number(*kind).ok_or(UnlockError::UnknownKind(*kind))?;
        let (Some(id), Some(memory_kib), Some(passes), Some(lanes)) =
            (reader.u32(), reader.u32(), reader.u32(), reader.u32())
        else {
            return Ok(None);
        };
        let kdf = match *kdf {
            KDF_ARGON2ID => Kdf::Argon2id(Argon2Cost { memory_kib, passes, lanes }),
            KDF_HKDF if [memory_kib, passes, lanes] == [0; 3] => Kdf::Hkdf,
            KDF_HKDF => return Ok(None),
            unknown => return Err(UnlockError::UnknownKdf(unknown)),
        };
        let (Some(salt), Some(nonce), Some(commitment), Some(wrapped), true) =
            (reader.prefixed(), reader.array(), reader.array(), reader.array(), reader.is_empty())
        else {
            return Ok(None);
        };
        if !SALT_BYTES.contains(&salt.len()) {
            return Ok(None);
        }
        Ok(Some(Self { id, kind, kdf, salt: salt.to_vec(), nonce: *nonce, commitment: *commitment, wrapped: *wrapped }))
    }

    pub(super) fn aad(&self, store_id: &[u8; 16]) -> Vec<u8> {
        let (kdf, cost) = self.kdf.fields();
        let mut aad = [AAD_SLOT, store_id, &self.id.to_be_bytes(), &[self.kind.number(), kdf]].concat();
        for number in cost {
            aad.extend_from_slice(&number.to_be_bytes());
        }
        put_prefixed(&mut aad, &self.salt);
        aad
    }

    fn derive_wrapping_key(
        &self,
        secret: &UnlockSecret,
        aad: &[u8],
        limits: &SlotLimits,
    ) -> Result<Committed, UnlockError> {
        if !self.kind.takes(secret) {
            return Err(UnlockError::WrongMaterial(self.kind));
        }
        let key_encryption_key = match (&secret.0, self.kdf) {
            (Material::Passphrase(passphrase), Kdf::Argon2id(cost)) => {
                derive_argon2id(passphrase, &self.salt, cost, limits)?
            }
            (Material::Key(key), Kdf::Hkdf) => derive_key(key.bytes(), &self.salt, &[LABEL_SLOT_MATERIAL]),
            _ => return Err(UnlockError::WrongMaterial(self.kind)),
        };
        Ok(derive_committed(key_encryption_key.bytes(), &self.nonce, &[LABEL_SLOT, aad]))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot {{ id: {}, kind: {:?}, cost: {:?} }}", self.id, self.kind, self.cost())
    }
}

#[expect(clippy::disallowed_methods, reason = "the passphrase is read to be hashed")]
pub(super) fn derive_argon2id(
    passphrase: &SecretBytes,
    salt: &[u8],
    cost: Argon2Cost,
    limits: &SlotLimits,
) -> Result<KeyBytes, UnlockError> {
    let params = cost.within(limits)?;
    // Our own memory: argon2's is not wiped, and its last block alone gives the key away.
    let block_count = params.block_count();
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::default();
    memory.try_reserve_exact(block_count).map_err(|_| UnlockError::OutOfMemory)?;
    memory.resize(block_count, Block::default());
    let mut key = KeyBytes::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.expose(), salt, key.as_mut(), memory.as_mut_slice())
        .map_err(|_| cost.out_of_range())?;
    Ok(key)
}

fn check_bytes(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::digest(body).into();
    digest.first_chunk().copied().unwrap_or_default()
}
