//! The files of the log: their names and order, and their lines, read from either end a block at a time.
//!
//! They and their directory are closed to everybody but their owner. What it never does: hold a file in memory, follow a symbolic link, or take part of a line for a line.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Longer lines are no lines of ours.
pub const LINE_MAX_BYTES: usize = 4 * 1024 * 1024;

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const NUMBER_DIGITS: usize = 10;
const BLOCK_BYTES: usize = 64 * 1024;

/// One file of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// Its number, from 1.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl LogFile {
    /// The file of this number.
    pub fn numbered(directory: &Path, number: u64) -> Self {
        Self { number, path: directory.join(name(number)) }
    }

    /// Its name.
    pub fn name(&self) -> String {
        name(self.number)
    }
}

/// What a file of this number is called.
pub fn name(number: u64) -> String {
    format!("{PREFIX}{number:0NUMBER_DIGITS$}{SUFFIX}")
}

/// The number in a file's name.
fn number(file_name: &str) -> Option<u64> {
    let number = file_name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
    (name(number) == file_name && number > 0).then_some(number)
}

/// The files of the log, oldest first. A directory that is not there has none.
pub fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        if let Some(number) = entry?.file_name().to_str().and_then(number) {
            files.push(LogFile::numbered(directory, number));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Opens a file to read it.
pub fn open(path: &Path) -> io::Result<File> {
    // Non-blocking, so that a pipe put in the file's place does not hang whoever reads.
    let file = OpenOptions::new().read(true).custom_flags(raw(OFlags::NOFOLLOW | OFlags::NONBLOCK)).open(path)?;
    require_file(&file)?;
    Ok(file)
}

/// Opens a file to go on writing it.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    open_or_make(path, false)
}

/// Makes the log's directory, 0700.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {
            // Where the directory above cannot be read, there is no way to have the new name survive a power cut.
            directory.parent().and_then(|above| File::open(above).ok()).map_or(Ok(()), |above| above.sync_all())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(directory)?;
            if !metadata.is_dir() {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory"));
            }
            if metadata.mode() & 0o077 != 0 {
                fs::set_permissions(directory, Permissions::from_mode(0o700))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Makes a file, or takes one that was made and not begun.
pub fn make_file(path: &Path) -> io::Result<File> {
    match open_or_make(path, true) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = open_or_make(path, false)?;
            if file.metadata()?.len() == 0 { Ok(file) } else { Err(error) }
        }
        other => other,
    }
}

/// To write at its end; it must be there, or with `make` it must not be.
fn open_or_make(path: &Path, make: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600).custom_flags(raw(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    let file = if make { options.create_new(true).open(path)? } else { options.open(path)? };
    require_file(&file)?;
    Ok(file)
}

fn require_file(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
}

fn raw(flags: OFlags) -> i32 {
    // The bits go back to the type that the standard library takes them in.
    flags.bits().cast_signed()
}

/// What was found where a line was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A line with its end, which was taken off.
    Line,
    /// Bytes without a line's end: the file's last.
    Torn,
    /// More bytes than a line has; they were passed over.
    TooLong,
    /// The end of the file.
    End,
}

/// Reads lines from a place on.
pub struct Lines {
    reader: BufReader<File>,
    /// Where the next line begins.
    position: u64,
}

impl Lines {
    /// From `position` on.
    pub fn from(mut file: File, position: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(position))?;
        Ok(Self { reader: BufReader::with_capacity(BLOCK_BYTES, file), position })
    }

    /// The file's lines.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::from(open(path)?, 0)
    }

    /// Where the next line begins, in bytes from the file's start.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next line, into `line`.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Found> {
        line.clear();
        let most = LINE_MAX_BYTES as u64 + 1;
        let taken = self.reader.by_ref().take(most).read_until(b'\n', line)?;
        self.position += taken as u64;
        if taken == 0 {
            Ok(Found::End)
        } else if line.pop_if(|last| *last == b'\n').is_some() {
            Ok(Found::Line)
        } else if taken <= LINE_MAX_BYTES {
            Ok(Found::Torn)
        } else {
            line.clear();
            self.position += skip_line(&mut self.reader)?;
            Ok(Found::TooLong)
        }
    }
}

/// Passes over the rest of a line; how many bytes those were.
fn skip_line(reader: &mut BufReader<File>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(skipped);
        }
        let end = block.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(block.len(), |at| at + 1);
        reader.consume(used);
        skipped += used as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

/// Reads lines from the end of a file towards its start.
pub struct LinesBackward {
    file: File,
    /// Where `held` begins in the file.
    position: u64,
    /// What was read and not yet given out, up to the end of the last line in it.
    held: Vec<u8>,
    torn_bytes: u64,
}

impl LinesBackward {
    /// From the last line before `end` on; what follows that line without an end is [`LinesBackward::torn_bytes`].
    pub fn before(file: File, end: u64) -> io::Result<Self> {
        let mut lines = Self { file, position: end, held: Vec::new(), torn_bytes: 0 };
        while lines.position > 0 {
            lines.read_block()?;
            let last = lines.held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            lines.torn_bytes += (lines.held.len() - last) as u64;
            lines.held.truncate(last);
            if last > 0 {
                break;
            }
        }
        Ok(lines)
    }

    /// The file's lines.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let end = file.metadata()?.len();
        Self::before(file, end)
    }

    /// Bytes at the end that are no whole line.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The line before the one that was given last, and where it begins; `None` at the file's start.
    pub fn next(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        if self.position == 0 && self.held.is_empty() {
            return Ok(None);
        }
        self.held.pop_if(|last| *last == b'\n');
        self.piece()
    }

    /// What is behind the last line's end in `held`; that end stays.
    fn piece(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let mut searched = 0;
        loop {
            let unsearched = self.held.len().saturating_sub(searched);
            let found = self.held.iter().take(unsearched).rposition(|byte| *byte == b'\n');
            if let Some(at) = found {
                let piece = self.held.split_off(at + 1);
                return Ok(Some((piece, self.position + at as u64 + 1)));
            }
            if self.held.len() > LINE_MAX_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the log is longer than lines are"));
            }
            if self.position == 0 {
                return Ok(Some((std::mem::take(&mut self.held), 0)));
            }
            searched = self.held.len();
            self.read_block()?;
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        let from = self.position.saturating_sub(BLOCK_BYTES as u64);
        let length = self.position - from;
        self.file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::with_capacity(BLOCK_BYTES + self.held.len());
        let read = (&self.file).take(length).read_to_end(&mut block)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        block.append(&mut self.held);
        self.held = block;
        self.position = from;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn forward(path: &Path) -> (Vec<Vec<u8>>, u64) {
        let mut lines = Lines::of(path).unwrap();
        let (mut found, mut line) = (Vec::new(), Vec::new());
        loop {
            match lines.next(&mut line).unwrap() {
                Found::Line => found.push(line.clone()),
                Found::Torn => return (found, line.len() as u64),
                Found::TooLong => panic!("too long"),
                Found::End => return (found, 0),
            }
        }
    }

    fn backward(path: &Path) -> (Vec<Vec<u8>>, u64) {
        let mut lines = LinesBackward::of(path).unwrap();
        let bytes = fs::read(path).unwrap();
        let mut found = Vec::new();
        while let Some((line, at)) = lines.next().unwrap() {
            assert!(bytes[usize::try_from(at).unwrap()..].starts_with(&line));
            found.push(line);
        }
        found.reverse();
        (found, lines.torn_bytes())
    }

    proptest! {
        #[test]
        fn from_either_end_a_file_has_the_same_lines(
            lengths in prop::collection::vec(prop_oneof![0_usize..40, 65_500_usize..65_600, 131_000_usize..131_100], 0..6),
            torn in 0_usize..70_000,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (at, length) in lengths.into_iter().enumerate() {
                let line = vec![b'a' + u8::try_from(at).unwrap(); length];
                bytes.extend_from_slice(&line);
                bytes.push(b'\n');
                expected.push(line);
            }
            bytes.extend(vec![b'z'; torn]);
            fs::write(&path, bytes).unwrap();
            prop_assert_eq!(forward(&path), (expected.clone(), torn as u64));
            prop_assert_eq!(backward(&path), (expected, torn as u64));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_one_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut bytes = vec![b'x'; LINE_MAX_BYTES + 5];
        bytes.extend_from_slice(b"\nnext\n");
        fs::write(&path, &bytes).unwrap();
        let mut lines = Lines::of(&path).unwrap();
        let mut line = Vec::new();
        assert_eq!(lines.next(&mut line).unwrap(), Found::TooLong);
        assert_eq!(lines.next(&mut line).unwrap(), Found::Line);
        assert_eq!((line.as_slice(), lines.position()), (b"next".as_slice(), bytes.len() as u64));
        let mut lines = LinesBackward::of(&path).unwrap();
        assert_eq!(lines.next().unwrap().unwrap().0, b"next");
        assert!(lines.next().is_err());
    }

    #[test]
    fn only_names_that_the_log_gives_count_and_their_order_is_that_of_the_numbers() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "audit-0000000002.jsonl",
            "audit-0000000010.jsonl",
            "audit-10000000000.jsonl",
            "audit-3.jsonl",
            "audit-0000000000.jsonl",
            "audit-0000000001.jsonl~",
            "signing-key.pub",
        ] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        let numbers: Vec<u64> = list(directory.path()).unwrap().into_iter().map(|file| file.number).collect();
        assert_eq!(numbers, [2, 10, 10_000_000_000]);
        assert_eq!(list(&directory.path().join("none")).unwrap(), []);
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("target"), b"x\n").unwrap();
        std::os::unix::fs::symlink(directory.path().join("target"), directory.path().join("link")).unwrap();
        assert!(open(&directory.path().join("link")).is_err());
        assert!(open_to_append(&directory.path().join("link")).is_err());
    }
}
