//! Every key type and every derivation, with its label. `make_…` is random, `derive_…` is deterministic.
//!
//! A key lives in one heap place and is wiped there when dropped: it is moved by pointer, never copied. Each
//! purpose has its own type, so a key cannot be used for another purpose by mistake. No key leaves `crypto`.

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::bytes::length_prefix;
use super::errors::{RandomError, RingError};

/// HKDF `info` of a slot's wrapping key and commitment; the slot's associated data follows it.
pub(super) const LABEL_SLOT: &[u8] = b"strongroom/v1/slot";
/// HKDF `info` by which a slot's key material (no passphrase) becomes its key-encryption key.
pub(super) const LABEL_SLOT_MATERIAL: &[u8] = b"strongroom/v1/slot-material";
/// HKDF `info` of the keyring's wrapping key and commitment; the keyring's associated data follows it.
pub(super) const LABEL_KEYRING: &[u8] = b"strongroom/v1/keyring";
/// HKDF `info` by which a term's seed becomes the key of its rows.
pub(super) const LABEL_RECORD: &[u8] = b"strongroom/v1/rec";
/// HKDF `info` by which `k_acc` becomes the key that spreads rows over buckets.
pub(super) const LABEL_BUCKET: &[u8] = b"strongroom/v1/acc-bucket";

/// HKDF `info` by which `k_audit` becomes the seed of the key that signs checkpoints of the audit log.
pub(super) const LABEL_AUDIT_SIGNING: &[u8] = b"strongroom/v1/audit-signing";

/// HKDF `info` by which `k_sync_mac` becomes the key of the fingerprints in SealedSecrets.
pub(super) const LABEL_SEALED_FINGERPRINT: &[u8] = b"strongroom/v1/sealed-fingerprint";

/// HKDF `info` by which `k_head` becomes the key that vouches for backups.
pub(super) const LABEL_BACKUP: &[u8] = b"strongroom/v1/backup";

/// HKDF `info` by which a machine's offline key becomes the key that seals what is kept there.
pub(super) const LABEL_OFFLINE_SEAL: &[u8] = b"strongroom/v1/offline-seal";
/// HKDF `info` by which it becomes the key that names what is kept there.
pub(super) const LABEL_OFFLINE_NAME: &[u8] = b"strongroom/v1/offline-name";

/// HKDF `info` by which the seed of a KMSKey's term becomes the key that encrypts.
pub(super) const LABEL_KMS: &[u8] = b"strongroom/v1/kms";
/// HKDF `info` by which it becomes the tag in the term's key id, which everybody may see.
pub(super) const LABEL_KMS_TAG: &[u8] = b"strongroom/v1/kms-tag";

/// First bytes of a row's associated data.
pub(super) const AAD_RECORD: &[u8] = b"strongroom/rec/v1\0";
/// First bytes of a slot's associated data.
pub(super) const AAD_SLOT: &[u8] = b"strongroom/slot/v1\0";
/// First bytes of the keyring's associated data.
pub(super) const AAD_KEYRING: &[u8] = b"strongroom/ring/v1\0";
/// First bytes of the head's associated data.
pub(super) const AAD_HEAD: &[u8] = b"strongroom/head/v1\0";
/// First bytes of a cursor's associated data.
pub(super) const AAD_CURSOR: &[u8] = b"strongroom/cursor/v1\0";
/// First bytes of the associated data of what a machine keeps.
pub(super) const AAD_OFFLINE: &[u8] = b"strongroom/offline/v1\0";
/// First bytes of the associated data of what a KMSKey encrypts.
pub(super) const AAD_KMS: &[u8] = b"strongroom/kms/v1\0";
/// First bytes of the message whose MAC starts an audit chain.
pub(super) const AUDIT_START: &[u8] = b"strongroom/audit/v1\0";
/// First bytes of what is signed of the audit log.
pub(super) const AUDIT_SIGNED: &[u8] = b"strongroom/audit-signature/v1\0";
/// First bytes of what vouches for a backup.
pub(super) const BACKUP: &[u8] = b"strongroom/backup/v1\0";
/// First bytes of what the check characters of a written recovery key are made of.
pub(super) const RECOVERY_CHECK: &[u8] = b"strongroom/recovery/v1\0";

/// Length of every key here.
pub(super) const KEY_BYTES: usize = 32;

/// Fills `bytes` from the operating system's random source.
pub(super) fn make_random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|_| RandomError)
}

/// `N` random bytes that are no secret: a nonce, a salt, an identifier.
pub(super) fn make_array<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    make_random(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of one key.
pub(super) struct KeyBytes(Box<Zeroizing<[u8; KEY_BYTES]>>);

impl KeyBytes {
    pub(super) fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_BYTES])))
    }

    pub(super) fn make() -> Result<Self, RandomError> {
        let mut key = Self::zeroed();
        make_random(key.as_mut())?;
        Ok(key)
    }

    /// `None` unless there are exactly 32 bytes.
    pub(super) fn copied_from(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        let mut key = Self::zeroed();
        key.as_mut().copy_from_slice(bytes);
        Some(key)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8; KEY_BYTES] {
        &mut self.0
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes().into())
    }
}

/// A wrapping key together with the value that commits to it.
pub(super) struct Committed {
    pub(super) key: KeyBytes,
    pub(super) commitment: [u8; KEY_BYTES],
}

/// HKDF-SHA-256 to one key.
pub(super) fn derive_key(input: &[u8], salt: &[u8], info: &[&[u8]]) -> KeyBytes {
    let mut key = KeyBytes::zeroed();
    expand(input, salt, info, key.as_mut());
    key
}

/// HKDF-SHA-256 to a few bytes that are no secret: they name the input, and say nothing of it.
pub(super) fn derive_tag<const N: usize>(input: &[u8], info: &[&[u8]]) -> [u8; N] {
    let mut tag = [0; N];
    expand(input, &[], info, &mut tag);
    tag
}

/// HKDF-SHA-256 to 64 bytes: a wrapping key, then its commitment.
///
/// Poly1305 does not commit to a key: one ciphertext can be made to open under many. Where a key comes from
/// something that can be guessed or tried, the commitment is compared first (Len, Grubbs, Ristenpart,
/// "Partitioning Oracle Attacks", USENIX Security 2021).
pub(super) fn derive_committed(input: &[u8], salt: &[u8], info: &[&[u8]]) -> Committed {
    let mut output = Zeroizing::new([[0; KEY_BYTES]; 2]);
    expand(input, salt, info, output.as_flattened_mut());
    let [key, commitment] = &*output;
    let mut wrapping = KeyBytes::zeroed();
    wrapping.as_mut().copy_from_slice(key);
    Committed { key: wrapping, commitment: *commitment }
}

#[expect(clippy::expect_used, reason = "HKDF refuses only outputs above 8160 bytes; the callers ask for 64 at most")]
fn expand(input: &[u8], salt: &[u8], info: &[&[u8]], output: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(salt), input).expand_multi_info(info, output).expect("at most 64 bytes");
}

/// HMAC-SHA-256 with its key already absorbed.
pub(super) struct Mac(Hmac<Sha256>);

impl Mac {
    pub(super) fn new(key: &KeyBytes) -> Self {
        // HMAC pads a short key with zeros to the block: padding here has the same result and cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        if let Some(start) = block.first_chunk_mut() {
            *start = *key.bytes();
        }
        Self(Hmac::new((&*block).into()))
    }

    /// The MAC of the concatenation of `parts`, which the caller has made unambiguous.
    pub(super) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.0.clone();
        for part in parts {
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }

    /// The MAC of `LP(part) ‖ …`. The parts are taken where they lie: they may be secret, and no copy is made.
    pub(super) fn of_prefixed(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.0.clone();
        for part in parts {
            state.update(&length_prefix(part));
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }
}

/// The key that wraps the keyring: random, one per store, itself wrapped by the slots.
pub struct RootKey(KeyBytes);

impl RootKey {
    /// A new random root key.
    pub fn make() -> Result<Self, RandomError> {
        KeyBytes::make().map(Self)
    }

    pub(super) fn from_key(key: KeyBytes) -> Self {
        Self(key)
    }

    pub(super) fn key(&self) -> &KeyBytes {
        &self.0
    }

    pub(super) fn derive_ring_key(&self, nonce: &[u8], aad: &[u8]) -> Committed {
        derive_committed(self.0.bytes(), nonce, &[LABEL_KEYRING, aad])
    }
}

/// What a data term's row key is derived from.
pub(super) struct TermSeed(KeyBytes);

impl TermSeed {
    pub(super) fn make() -> Result<Self, RandomError> {
        KeyBytes::make().map(Self)
    }

    pub(super) fn from_key(key: KeyBytes) -> Self {
        Self(key)
    }

    pub(super) fn key(&self) -> &KeyBytes {
        &self.0
    }

    pub(super) fn derive_cipher(&self) -> XChaCha20Poly1305 {
        derive_key(self.0.bytes(), &[], &[LABEL_RECORD]).cipher()
    }
}

/// One list ties together a purpose's key, its type and its tag in the wrapped keyring.
macro_rules! purpose_keys {
    ($($field:ident: $key:ident = $tag:literal, $what:literal;)+) => {
        $(#[doc = $what] pub(super) struct $key(KeyBytes);)+

        /// The keys of the keyring that are not data terms.
        pub(super) struct PurposeKeys { $(pub(super) $field: $key,)+ }

        impl PurposeKeys {
            pub(super) const COUNT: usize = [$($tag),+].len();

            pub(super) fn make() -> Result<Self, RandomError> {
                Ok(Self { $($field: $key(KeyBytes::make()?),)+ })
            }

            /// Every key with its tag, in the order in which they are written.
            pub(super) fn tagged(&self) -> [(u16, &KeyBytes); Self::COUNT] {
                [$(($tag, &self.$field.0)),+]
            }

            /// Takes each key by its tag.
            pub(super) fn from_tagged(mut take: impl FnMut(u16) -> Option<KeyBytes>) -> Result<Self, RingError> {
                Ok(Self { $($field: $key(take($tag).ok_or(RingError::Malformed(concat!("it lacks ", $what)))?),)+ })
            }
        }
    };
}

purpose_keys! {
    head: HeadKey = 16, "`k_head`, which seals the head of the store";
    accumulator: AccumulatorKey = 17, "`k_acc`, which makes accumulator items and buckets";
    index: IndexKey = 18, "`k_index`, for blind indices; nothing uses it yet";
    audit: AuditKey = 19, "`k_audit`, which links audit records";
    cursor: CursorKey = 20, "`k_cursor`, which seals continue tokens";
    lookup: LookupKey = 21, "`k_lookup`, which makes the stored form of opaque tokens";
    sync_mac: SyncMacKey = 22, "`k_sync_mac`, which marks objects written to clusters";
    scan: ScanRootKey = 23, "`k_scan`, of which the keys of scans are made";
}

impl HeadKey {
    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        self.0.cipher()
    }

    pub(super) fn derive_backup_mac(&self) -> Mac {
        Mac::new(&derive_key(self.0.bytes(), &[], &[LABEL_BACKUP]))
    }
}

impl CursorKey {
    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        self.0.cipher()
    }
}

impl AccumulatorKey {
    pub(super) fn item_mac(&self) -> Mac {
        Mac::new(&self.0)
    }

    pub(super) fn derive_bucket_mac(&self) -> Mac {
        Mac::new(&derive_key(self.0.bytes(), &[], &[LABEL_BUCKET]))
    }
}

impl AuditKey {
    pub(super) fn mac(&self) -> Mac {
        Mac::new(&self.0)
    }

    pub(super) fn derive_signing_seed(&self) -> KeyBytes {
        derive_key(self.0.bytes(), &[], &[LABEL_AUDIT_SIGNING])
    }
}

impl LookupKey {
    pub(super) fn mac(&self) -> Mac {
        Mac::new(&self.0)
    }
}

impl ScanRootKey {
    pub(super) fn mac(&self) -> Mac {
        Mac::new(&self.0)
    }
}

impl SyncMacKey {
    pub(super) fn mac(&self) -> Mac {
        Mac::new(&self.0)
    }

    pub(super) fn derive_fingerprint_key(&self) -> KeyBytes {
        derive_key(self.0.bytes(), &[], &[LABEL_SEALED_FINGERPRINT])
    }
}
