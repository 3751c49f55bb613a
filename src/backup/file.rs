//! The file: written, read, and its database taken out of it.

use std::io::{self, ErrorKind, Read, Write};

use sha2::{Digest as _, Sha256};

use super::manifest::{Manifest, ManifestError};
use crate::crypto::Keyring;
use crate::export::{AgeReader, Identity};

const MAGIC: &[u8] = b"strongroom-backup/v1\n";
/// What every version begins with.
const MAGIC_OF_ANY: &[u8] = b"strongroom-backup/";
const LINE_MAX_BYTES: usize = 64 * 1024;
const COPIED_AT_ONCE: usize = 256 * 1024;

/// Why a file is not a backup that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Something else.
    #[error("this is no backup of Strongroom's")]
    NotABackup,
    /// Written by a later release.
    #[error("the backup was written by a newer release: use that release")]
    Newer,
    /// Encrypted, and there is nothing to decrypt it with.
    #[error("the backup is encrypted by age: give an identity with --identity")]
    Encrypted,
    /// The manifest cannot be read.
    #[error("the backup's manifest is damaged")]
    Manifest,
    /// Shorter than the manifest says.
    #[error("the backup is cut off: its database has {found} bytes, and {expected} were written")]
    CutOff {
        /// Bytes there are.
        found: u64,
        /// Bytes there were.
        expected: u64,
    },
    /// Longer than the manifest says.
    #[error("something was added at the end of the backup")]
    Longer,
    /// Not what was written.
    #[error("the backup is damaged: its database is not the one that was written")]
    Digest,
    /// It cannot be read or decrypted, or its database not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The beginning of a backup.
#[derive(Debug)]
pub struct Header {
    /// What it says of itself. Not to be believed before [`Header::is_authentic`].
    pub manifest: Manifest,
    line: Vec<u8>,
    tag: [u8; 32],
}

impl Header {
    /// The bytes before the database.
    pub fn encode(manifest: &Manifest, keyring: &Keyring) -> Vec<u8> {
        let line = manifest.to_line();
        let tag = hex::encode(keyring.backup_tag(&line));
        [MAGIC, &line, b"\n", tag.as_bytes(), b"\n"].concat()
    }

    /// The bytes that were read.
    pub fn to_bytes(&self) -> Vec<u8> {
        [MAGIC, &self.line, b"\n", hex::encode(self.tag).as_bytes(), b"\n"].concat()
    }

    /// Whether the store whose keys these are wrote it.
    pub fn is_authentic(&self, keyring: &Keyring) -> bool {
        self.manifest.store_id == keyring.store_id() && keyring.vouches_for_backup(&self.line, &self.tag)
    }
}

/// A backup whose header was read; the database follows in `rest`.
pub struct Opened<'r> {
    /// Its beginning.
    pub header: Header,
    /// The database.
    pub rest: Box<dyn Read + Send + 'r>,
    /// Whether age encrypts it.
    pub is_encrypted: bool,
}

/// Reads the beginning of a backup, which may be encrypted to one of `identities`.
pub fn open<'r>(mut file: impl Read + Send + 'r, identities: &[Identity]) -> Result<Opened<'r>, FormatError> {
    let mut beginning = Vec::new();
    let longest = MAGIC.len().max(AgeReader::<io::Empty>::VERSION_BYTES) as u64;
    file.by_ref().take(longest).read_to_end(&mut beginning)?;
    let is_encrypted = AgeReader::<io::Empty>::is_age(&beginning);
    let whole = io::Cursor::new(beginning).chain(file);
    let mut rest: Box<dyn Read + Send + 'r> = match (is_encrypted, identities) {
        (false, _) => Box::new(whole),
        (true, []) => return Err(FormatError::Encrypted),
        (true, _) => Box::new(AgeReader::open(whole, identities)?),
    };
    let header = read_header(&mut rest)?;
    Ok(Opened { header, rest, is_encrypted })
}

fn read_header(input: &mut dyn Read) -> Result<Header, FormatError> {
    let mut magic = Vec::new();
    input.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        let is_ours = magic.starts_with(MAGIC_OF_ANY);
        return Err(if is_ours { FormatError::Newer } else { FormatError::NotABackup });
    }
    let line = read_line(input)?;
    let tag = read_line(input)?;
    let manifest = Manifest::parse(&line).map_err(|error| match error {
        ManifestError::Newer(_) => FormatError::Newer,
        ManifestError::Malformed => FormatError::Manifest,
    })?;
    let tag = hex::decode(tag).ok().and_then(|tag| tag.try_into().ok()).ok_or(FormatError::Manifest)?;
    Ok(Header { manifest, line, tag })
}

/// A line of the header, without its end. Read byte by byte: what is behind it is the database.
fn read_line(input: &mut dyn Read) -> Result<Vec<u8>, FormatError> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() <= LINE_MAX_BYTES {
        match input.read_exact(&mut byte) {
            Ok(()) if byte == *b"\n" => return Ok(line),
            Ok(()) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error.into()),
        }
    }
    Err(FormatError::Manifest)
}

/// Copies the database, and compares it with the manifest. `advance` hears of bytes that were copied. After an error `out`
/// holds what is to be thrown away.
pub fn copy_database(
    input: &mut dyn Read,
    manifest: &Manifest,
    out: &mut dyn Write,
    advance: &mut dyn FnMut(u64),
) -> Result<(), FormatError> {
    let expected = manifest.database_bytes;
    let mut hash = Sha256::new();
    let mut found = 0;
    let mut buffer = vec![0; COPIED_AT_ONCE];
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        found += length as u64;
        if found > expected {
            return Err(FormatError::Longer);
        }
        hash.update(bytes);
        out.write_all(bytes)?;
        advance(length as u64);
    }
    if found < expected {
        return Err(FormatError::CutOff { found, expected });
    }
    let digest: [u8; 32] = hash.finalize().into();
    if digest == manifest.database_sha256 { Ok(()) } else { Err(FormatError::Digest) }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::sample;
    use super::*;
    use crate::export::{AgeWriter, NoRandomness};

    fn backup(keyring: &Keyring, database: &[u8]) -> Vec<u8> {
        let manifest = Manifest {
            store_id: keyring.store_id(),
            database_bytes: database.len() as u64,
            database_sha256: Sha256::digest(database).into(),
            ..sample()
        };
        [Header::encode(&manifest, keyring), database.to_vec()].concat()
    }

    fn read(file: &[u8], keyring: &Keyring, identities: &[Identity]) -> Result<Vec<u8>, FormatError> {
        let mut opened = open(file, identities)?;
        let mut database = Vec::new();
        copy_database(&mut opened.rest, &opened.header.manifest, &mut database, &mut |_| {})?;
        assert!(opened.header.is_authentic(keyring));
        Ok(database)
    }

    #[test]
    fn what_is_written_is_read_and_every_change_is_noticed() {
        let keyring = Keyring::make(0).unwrap();
        let file = backup(&keyring, b"database");
        assert_eq!(read(&file, &keyring, &[]).unwrap(), b"database");
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let Ok(mut opened) = open(&changed[..], &[]) else { continue };
            let copied = copy_database(&mut opened.rest, &opened.header.manifest, &mut io::sink(), &mut |_| {}).is_ok();
            // Hexadecimal digits have two forms.
            let is_same = opened.header.tag == keyring.backup_tag(&opened.header.line);
            assert!(!copied || !opened.header.is_authentic(&keyring) || is_same, "changed at {at}");
            assert!(!copied || is_same == opened.header.is_authentic(&keyring));
        }
        for length in 0..file.len() {
            assert!(read(&file[..length], &keyring, &[]).is_err(), "cut off at {length}");
        }
        assert!(matches!(read(&[&file[..], b"x"].concat(), &keyring, &[]), Err(FormatError::Longer)));
    }

    #[test]
    fn another_stores_backup_is_not_authentic() {
        let (own, other) = (Keyring::make(0).unwrap(), Keyring::make(0).unwrap());
        assert!(!open(&backup(&own, b"")[..], &[]).unwrap().header.is_authentic(&other));
    }

    #[test]
    fn files_of_others_and_of_later_releases_are_told_apart() {
        assert!(matches!(open(&b"SQLite format 3\0"[..], &[]), Err(FormatError::NotABackup)));
        assert!(matches!(open(&b""[..], &[]), Err(FormatError::NotABackup)));
        assert!(matches!(open(&b"strongroom-backup/v2\n{}"[..], &[]), Err(FormatError::Newer)));
        assert!(matches!(open(&b"strongroom-backup/v1\n{}\n\n"[..], &[]), Err(FormatError::Manifest)));
        let endless = [MAGIC, &vec![b'x'; 2 * LINE_MAX_BYTES]].concat();
        assert!(matches!(open(&endless[..], &[]), Err(FormatError::Manifest)));
    }

    #[test]
    fn an_encrypted_backup_needs_an_identity() {
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
        let keyring = Keyring::make(0).unwrap();
        let identity = Identity::make(&mut random).unwrap();
        let mut writer = AgeWriter::begin(Vec::new(), &[identity.recipient()], &mut random).unwrap();
        writer.write_all(&backup(&keyring, &vec![3; 100_000])).unwrap();
        let file = writer.finish().unwrap();
        assert!(matches!(read(&file, &keyring, &[]), Err(FormatError::Encrypted)));
        assert_eq!(read(&file, &keyring, &[identity]).unwrap(), vec![3; 100_000]);
    }
}
