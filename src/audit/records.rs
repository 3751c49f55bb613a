//! The lines that the log writes about itself: the beginning of a file, checkpoints, cuts.
//!
//! Checkpoints and cuts are signed. The signature is over the object without its members `signature` and `chain`, as
//! the bytes stand; it is the last member of the content. See `crypto::signing` for what is put before them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crypto::{AuditPublicKey, AuditSigner, ChainEnd};

/// `kind` of the first line of a file.
pub const FILE: &str = "File";
/// `kind` of a checkpoint.
pub const CHECKPOINT: &str = "Checkpoint";
/// `kind` of a cut.
pub const CUT: &str = "Cut";
/// `kind` of an event.
pub const EVENT: &str = "Event";

const API_VERSION: &str = "audit.strongroom.dev/v1";
const BEFORE_SIGNATURE: &[u8] = b",\"signature\":\"";
const AFTER_SIGNATURE: &[u8] = b"\"}";
/// 64 bytes in base64.
const SIGNATURE_CHARS: usize = 88;

/// Bytes as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; N];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Number of the line or record.
    pub sequence: u64,
    /// Its link.
    pub link: Hex<32>,
}

impl From<ChainEnd> for Place {
    fn from(end: ChainEnd) -> Self {
        Self { sequence: end.sequence, link: Hex(end.link) }
    }
}

impl From<Place> for ChainEnd {
    fn from(place: Place) -> Self {
        Self { sequence: place.sequence, link: place.link.0 }
    }
}

/// The last line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEnd {
    /// The file's name; empty where none was left to be named.
    pub file: String,
    /// The line.
    pub last: Place,
}

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileStart {
    kind: String,
    api_version: String,
    /// The store that the log belongs to.
    #[serde(rename = "storeID")]
    pub store_id: Hex<16>,
    /// Number of the file, from 1.
    pub number: u64,
    /// When it was begun: a `metav1.MicroTime`.
    pub time: String,
    /// What it goes on from; nothing in the first file.
    pub previous: Option<FileEnd>,
    /// The last record of mutations that is copied before it.
    #[serde(default)]
    pub copied: u64,
}

/// Says, signed, what the log holds up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    kind: String,
    api_version: String,
    /// The store that the log belongs to.
    #[serde(rename = "storeID")]
    pub store_id: Hex<16>,
    /// When: a `metav1.MicroTime`.
    pub time: String,
    /// The line before.
    pub last: Place,
    /// How many lines `digest` is over.
    pub lines: u64,
    /// SHA-256 of the lines before, with their ends, from the checkpoint before (and with it) or from the file's first
    /// line. It is what lets somebody without the key of the links see that a line was edited.
    pub digest: Hex<32>,
    /// The end of the chain of mutations, as far as it was committed.
    pub mutations: Option<Place>,
    /// The last record of mutations that is copied before it.
    #[serde(default)]
    pub copied: u64,
}

/// Says, signed, that files at the beginning are no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cut {
    kind: String,
    api_version: String,
    /// The store that the log belongs to.
    #[serde(rename = "storeID")]
    pub store_id: Hex<16>,
    /// When: a `metav1.MicroTime`.
    pub time: String,
    /// How many files.
    pub files: u64,
    /// The last of them, and its last line.
    pub up_to: FileEnd,
}

impl FileStart {
    /// Of a file that is about to be written.
    pub fn new(store_id: [u8; 16], number: u64, time: String, previous: Option<FileEnd>, copied: u64) -> Self {
        let (kind, api_version) = (FILE.into(), API_VERSION.into());
        Self { kind, api_version, store_id: Hex(store_id), number, time, previous, copied }
    }

    /// The content of its line.
    pub fn content(&self) -> Vec<u8> {
        content(self)
    }

    /// Out of the content of a line.
    pub fn read(content: &[u8]) -> Option<Self> {
        read::<Self>(content).filter(|read| read.kind == FILE && read.api_version == API_VERSION)
    }
}

impl Checkpoint {
    /// Of the lines before it.
    pub fn new(
        store_id: [u8; 16],
        time: String,
        last: ChainEnd,
        (lines, digest): (u64, [u8; 32]),
        mutations: Option<ChainEnd>,
        copied: u64,
    ) -> Self {
        Self {
            kind: CHECKPOINT.into(),
            api_version: API_VERSION.into(),
            store_id: Hex(store_id),
            time,
            last: last.into(),
            lines,
            digest: Hex(digest),
            mutations: mutations.map(Place::from),
            copied,
        }
    }

    /// The content of its line.
    pub fn content(&self, signer: &AuditSigner) -> Vec<u8> {
        sign(content(self), signer)
    }

    /// Out of the content of a line. `None` where it is no checkpoint or the signature does not hold.
    pub fn read(content: &[u8], key: &AuditPublicKey) -> Option<Self> {
        read::<Self>(&signed(content, key)?).filter(|read| read.kind == CHECKPOINT && read.api_version == API_VERSION)
    }
}

impl Cut {
    /// Of files that are about to be removed.
    pub fn new(store_id: [u8; 16], time: String, files: u64, up_to: FileEnd) -> Self {
        Self { kind: CUT.into(), api_version: API_VERSION.into(), store_id: Hex(store_id), time, files, up_to }
    }

    /// The content of its line.
    pub fn content(&self, signer: &AuditSigner) -> Vec<u8> {
        sign(content(self), signer)
    }

    /// Out of the content of a line. `None` where it is no cut or the signature does not hold.
    pub fn read(content: &[u8], key: &AuditPublicKey) -> Option<Self> {
        read::<Self>(&signed(content, key)?).filter(|read| read.kind == CUT && read.api_version == API_VERSION)
    }
}

fn content(record: &impl Serialize) -> Vec<u8> {
    // A struct of texts and numbers always serialises.
    serde_json::to_vec(record).unwrap_or_default()
}

fn read<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    serde_json::from_slice(content).ok()
}

fn sign(mut content: Vec<u8>, signer: &AuditSigner) -> Vec<u8> {
    let signature = STANDARD.encode(signer.sign(&content));
    content.pop();
    for part in [BEFORE_SIGNATURE, signature.as_bytes(), AFTER_SIGNATURE] {
        content.extend_from_slice(part);
    }
    content
}

/// What was signed, if it was.
fn signed(content: &[u8], key: &AuditPublicKey) -> Option<Vec<u8>> {
    let rest = content.strip_suffix(AFTER_SIGNATURE)?;
    let (rest, signature) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE_CHARS)?)?;
    let message = [rest.strip_suffix(BEFORE_SIGNATURE)?, b"}"].concat();
    key.verifies(&message, &STANDARD.decode(signature).ok()?).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keyring;

    #[test]
    fn a_record_comes_back_as_it_was_written_under_its_own_key_only() {
        let signer = Keyring::make(0).unwrap().derive_audit_signer();
        let foreign = Keyring::make(0).unwrap().derive_audit_signer().public_key();
        let end = ChainEnd { sequence: 7, link: [7; 32] };
        let checkpoint = Checkpoint::new([1; 16], "t".into(), end, (3, [9; 32]), Some(end), 2);
        let content = checkpoint.content(&signer);
        assert_eq!(Checkpoint::read(&content, &signer.public_key()), Some(checkpoint));
        assert_eq!(Checkpoint::read(&content, &foreign), None);
        assert_eq!(Cut::read(&content, &signer.public_key()), None);
        for at in 0..content.len() {
            let mut edited = content.clone();
            edited[at] ^= 1;
            assert_eq!(Checkpoint::read(&edited, &signer.public_key()), None, "byte {at}");
        }
    }

    #[test]
    fn every_record_opens_with_its_kind() {
        let signer = Keyring::make(0).unwrap().derive_audit_signer();
        let last = ChainEnd { sequence: 7, link: [7; 32] }.into();
        let up_to = FileEnd { file: "audit-1".into(), last };
        let cut = Cut::new([1; 16], "t".into(), 2, up_to.clone());
        assert!(cut.content(&signer).starts_with(b"{\"kind\":\"Cut\","));
        assert_eq!(Cut::read(&cut.content(&signer), &signer.public_key()), Some(cut));
        let start = FileStart::new([1; 16], 2, "t".into(), Some(up_to), 2);
        assert!(start.content().starts_with(b"{\"kind\":\"File\","));
        assert_eq!(FileStart::read(&start.content()), Some(start));
    }
}
