//! Files of any length in age's format (age-encryption.org/v1, STREAM of 64 KiB chunks), to X25519 recipients, as they are
//! written and read.
//!
//! What it never does: give out a byte of a chunk that was not authenticated, or take a file that was cut off for a whole one.

use std::io::{self, ErrorKind, Read, Write};

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::age::{
    AgeKeyError, FILE_KEY_BYTES, Header, Identity, PAYLOAD_NONCE_BYTES, Recipient, VERSION, header_tag, stanza,
};
use super::primitives::{Key, TAG_BYTES, chacha_open, chacha_seal, derived_key};
use super::{ExportError, Random};
use crate::sensitive::SecretBytes;

const CHUNK_BYTES: usize = 64 * 1024;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// More than hundreds of stanzas take.
const HEADER_MAX_BYTES: usize = 64 * 1024;

/// Encrypts what is written to it. Nothing can be read of it before [`AgeWriter::finish`].
pub struct AgeWriter<W> {
    out: W,
    key: Key,
    chunks: u64,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> AgeWriter<W> {
    /// Writes the header: each of `recipients`, of which there is at least one, can decrypt what follows.
    pub fn begin(mut out: W, recipients: &[Recipient], random: Random<'_>) -> io::Result<Self> {
        let failed = |_: ExportError| io::Error::other("nothing can be encrypted: no randomness, or no such recipient");
        let mut file_key = Zeroizing::new([0; FILE_KEY_BYTES]);
        let mut nonce = [0; PAYLOAD_NONCE_BYTES];
        random(file_key.as_mut()).map_err(|error| failed(error.into()))?;
        random(&mut nonce).map_err(|error| failed(error.into()))?;
        let mut header = String::from(VERSION);
        for recipient in recipients {
            let mut ephemeral = Key::default();
            random(ephemeral.as_mut()).map_err(|error| failed(error.into()))?;
            header.push_str(&stanza(recipient, &file_key, &ephemeral).ok_or_else(|| failed(ExportError::Encryption))?);
        }
        header.push_str("---");
        let whole = Header::ended(header, file_key.as_ref()).ok_or_else(|| failed(ExportError::Encryption))?;
        let key = derived_key(file_key.as_ref(), &nonce, b"payload").ok_or_else(|| failed(ExportError::Encryption))?;
        out.write_all(&whole)?;
        out.write_all(&nonce)?;
        Ok(Self { out, key, chunks: 0, chunk: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)) })
    }

    /// Writes the last chunk; the file is whole then.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let sealed = chacha_seal(&self.key, chunk_nonce(self.chunks, is_last), &self.chunk);
        self.out.write_all(&sealed.ok_or_else(|| io::Error::other("a chunk cannot be encrypted"))?)?;
        self.chunks += 1;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for AgeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known not to be the last.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal(false)?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Decrypts what is read through it.
pub struct AgeReader<R> {
    input: R,
    key: Key,
    chunks: u64,
    /// Read of the file and not decrypted yet.
    sealed: Vec<u8>,
    chunk: Zeroizing<Vec<u8>>,
    given: usize,
    is_over: bool,
}

impl<R: Read> AgeReader<R> {
    /// Whether a file that begins with these bytes is one of age's.
    #[must_use]
    pub fn is_age(beginning: &[u8]) -> bool {
        beginning.starts_with(VERSION.as_bytes())
    }

    /// The longest beginning that [`AgeReader::is_age`] looks at.
    pub const VERSION_BYTES: usize = VERSION.len();

    /// Reads the header, which must name one of `identities`.
    pub fn open(mut input: R, identities: &[Identity]) -> io::Result<Self> {
        let wrong = |why: &str| io::Error::new(ErrorKind::InvalidData, why.to_owned());
        let bytes = header_bytes(&mut input)?;
        let header = Header::read(&bytes).ok_or_else(|| wrong("the file's age header cannot be read"))?;
        let file_key = identities.iter().find_map(|identity| header.file_key(identity));
        let file_key = file_key.ok_or_else(|| wrong("none of the identities given is a recipient of the file"))?;
        let is_own = header_tag(&file_key, header.tagged).is_some_and(|tag| bool::from(tag.ct_eq(&header.tag)));
        if !is_own {
            return Err(wrong("the file's age header was changed"));
        }
        let mut nonce = [0; PAYLOAD_NONCE_BYTES];
        input.read_exact(&mut nonce)?;
        let key = derived_key(&file_key, &nonce, b"payload").ok_or_else(|| wrong("no key can be derived"))?;
        let sealed = Vec::with_capacity(SEALED_CHUNK_BYTES + 1);
        Ok(Self { input, key, chunks: 0, sealed, chunk: Zeroizing::default(), given: 0, is_over: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let wrong = || io::Error::new(ErrorKind::InvalidData, "the encrypted file was changed or cut off");
        // One byte more than a chunk says whether it is the last.
        let missing = (SEALED_CHUNK_BYTES + 1 - self.sealed.len()) as u64;
        self.input.by_ref().take(missing).read_to_end(&mut self.sealed)?;
        let (sealed, ahead) = self.sealed.split_at(self.sealed.len().min(SEALED_CHUNK_BYTES));
        self.is_over = ahead.is_empty();
        let opened = chacha_open(&self.key, chunk_nonce(self.chunks, self.is_over), sealed).ok_or_else(wrong)?;
        // Only a file of nothing ends in a chunk of nothing.
        if opened.is_empty() && self.chunks > 0 {
            return Err(wrong());
        }
        let ahead = ahead.to_vec();
        self.sealed.clear();
        self.sealed.extend(ahead);
        (self.chunk, self.given) = (opened, 0);
        self.chunks += 1;
        Ok(())
    }
}

impl<R: Read> Read for AgeReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() && !self.is_over {
            self.next_chunk()?;
        }
        let left = self.chunk.get(self.given..).unwrap_or_default();
        let (taken, _) = left.split_at(left.len().min(out.len()));
        if let Some(place) = out.get_mut(..taken.len()) {
            place.copy_from_slice(taken);
        }
        self.given += taken.len();
        Ok(taken.len())
    }
}

/// The identities of a file as age-keygen writes it: one a line, among comments.
#[expect(clippy::disallowed_methods, reason = "the keys are parsed into the type that identities are")]
pub fn parse_identities(file: &SecretBytes) -> Result<Vec<Identity>, AgeKeyError> {
    let text = std::str::from_utf8(file.expose()).map_err(|_| AgeKeyError::Identity)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities = lines.map(str::parse).collect::<Result<Vec<_>, _>>()?;
    if identities.is_empty() { Err(AgeKeyError::Identity) } else { Ok(identities) }
}

/// Eleven bytes of the chunk's number, from 0, and whether it is the last.
fn chunk_nonce(number: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.get_mut(3..11) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    if let Some(last) = nonce.last_mut() {
        *last = u8::from(is_last);
    }
    nonce
}

/// Up to the end of the line that ends the header. Read byte by byte: what is behind it is not the header's.
fn header_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut line_begins = 0;
    let mut byte = [0];
    while header.len() < HEADER_MAX_BYTES {
        input.read_exact(&mut byte)?;
        header.extend_from_slice(&byte);
        if byte == *b"\n" {
            if header.get(line_begins..).is_some_and(|line| line.starts_with(b"---")) {
                return Ok(header);
            }
            line_begins = header.len();
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, "the file's age header is longer than any"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: &mut [u8]) -> Result<(), super::super::NoRandomness> {
        getrandom::fill(bytes).map_err(|_| super::super::NoRandomness)
    }

    fn identities(count: usize) -> Vec<Identity> {
        (0..count).map(|_| Identity::make(&mut random).unwrap()).collect()
    }

    fn encrypted(plain: &[u8], recipients: &[Recipient]) -> Vec<u8> {
        let mut writer = AgeWriter::begin(Vec::new(), recipients, &mut random).unwrap();
        // In pieces that fit no chunk.
        for piece in plain.chunks(40_001) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn decrypted(file: &[u8], identities: &[Identity]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        AgeReader::open(file, identities)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_recipient_reads_files_of_every_length_and_nobody_else_does() {
        let own = identities(3);
        let recipients: Vec<Recipient> = own.iter().take(2).map(Identity::recipient).collect();
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let plain: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let file = encrypted(&plain, &recipients);
            assert!(AgeReader::<&[u8]>::is_age(&file));
            for identity in &own[..2] {
                assert_eq!(decrypted(&file, std::slice::from_ref(identity)).unwrap(), plain, "{length}");
            }
            let error = decrypted(&file, &own[2..]).unwrap_err().to_string();
            assert_eq!(error, "none of the identities given is a recipient of the file");
        }
    }

    #[test]
    fn a_change_and_a_truncation_anywhere_are_noticed() {
        let own = identities(1);
        let plain = vec![7; CHUNK_BYTES + 100];
        let file = encrypted(&plain, &[own[0].recipient()]);
        let payload = file.len() - plain.len() - 2 * TAG_BYTES;
        let ends = [payload + SEALED_CHUNK_BYTES, payload + SEALED_CHUNK_BYTES - 1, payload, file.len() - 1];
        for length in (0..payload).step_by(7).chain(ends) {
            assert!(decrypted(&file[..length], &own).is_err(), "cut off at {length}");
        }
        for at in (0..payload).chain([payload + 5, payload + SEALED_CHUNK_BYTES + 3, file.len() - 1]) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(decrypted(&changed, &own).is_err(), "changed at {at}");
        }
        let mut longer = file.clone();
        longer.extend_from_slice(&file[payload..]);
        assert!(decrypted(&longer, &own).is_err());
    }

    #[test]
    fn identities_are_read_among_comments() {
        let own = identities(2);
        let text = format!("# created: today\n{}\n\n  {}\n", *own[0].reveal(), *own[1].reveal());
        let read = parse_identities(&SecretBytes::new(text.into_bytes())).unwrap();
        assert!(read.iter().zip(&own).all(|(read, own)| read.recipient() == own.recipient()) && read.len() == 2);
        for wrong in ["", "# nothing", "AGE-SECRET-KEY-1X", "age1abc"] {
            assert!(parse_identities(&SecretBytes::new(wrong.as_bytes().to_vec())).is_err(), "{wrong}");
        }
    }
}
