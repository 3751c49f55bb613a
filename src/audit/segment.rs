//! The lines that the next checkpoint vouches for: how many, and their digest.

use sha2::{Digest as _, Sha256};

/// The lines since the last checkpoint, and that one, of the file that is written.
#[derive(Default)]
pub struct Segment {
    digest: Sha256,
    lines: u64,
    bytes: u64,
    /// Those behind the checkpoint.
    unsigned_lines: u64,
    /// Events among them.
    pub events: u64,
}

impl Segment {
    /// Takes in a line, with its end.
    pub fn add(&mut self, line: &[u8]) {
        self.digest.update(line);
        self.lines += 1;
        self.unsigned_lines += 1;
        self.bytes += line.len() as u64;
    }

    /// Takes in the checkpoint that the lines follow, with its line's end.
    pub fn begin_with(&mut self, checkpoint: &[u8]) {
        *self = Self::default();
        self.add(checkpoint);
        self.unsigned_lines = 0;
    }

    /// What they take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of the lines no checkpoint vouches for.
    pub fn unsigned_lines(&self) -> u64 {
        self.unsigned_lines
    }

    /// Number and digest of the lines.
    pub fn sum(&self) -> (u64, [u8; 32]) {
        (self.lines, self.digest.clone().finalize().into())
    }
}
