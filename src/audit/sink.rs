//! What the log writes to: an open file, or in tests one that fails when it is told to.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

/// An open file that grows at its end.
pub trait Sink: Send + Sync {
    /// Gives the bytes to the operating system in one call; how many of them it took.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until what was written is on the disk.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file off behind `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// What the operating system says of the file.
    fn state(&self) -> io::Result<SinkState>;
}

/// What the operating system says of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkState {
    /// Its length in bytes.
    pub length: u64,
    /// Device and inode: by them a name in a directory is compared with the open file.
    pub identity: (u64, u64),
}

/// Makes a sink of a file that was just opened.
pub type OpenSink = Box<dyn Fn(File) -> io::Result<Arc<dyn Sink>> + Send + Sync>;

impl Sink for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        loop {
            match io::Write::write(&mut file, bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn state(&self) -> io::Result<SinkState> {
        let metadata = self.metadata()?;
        Ok(SinkState { length: metadata.len(), identity: (metadata.dev(), metadata.ino()) })
    }
}
