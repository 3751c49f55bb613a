//! Asking for a passphrase or password on the controlling terminal, without showing it.
//!
//! What it never does: read from standard input (which may be a pipe), or leave the terminal silent behind it.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::sensitive::SecretBytes;

const ANSWER_MAX_BYTES: usize = 1024;
const END_OF_TEXT: u8 = 0x03;
const END_OF_TRANSMISSION: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// Somebody who can be asked for a secret.
pub trait Prompt {
    /// Whether there is anybody.
    fn is_available(&self) -> bool;
    /// Asks once.
    fn ask(&mut self, question: &str) -> io::Result<SecretBytes>;
}

/// The terminal that the process was started from.
pub struct Terminal;

impl Prompt for Terminal {
    fn is_available(&self) -> bool {
        io::stderr().is_terminal() && open().is_ok()
    }

    fn ask(&mut self, question: &str) -> io::Result<SecretBytes> {
        let terminal = open()?;
        let silent = Silent::enter(&terminal)?;
        (&terminal).write_all(question.as_bytes())?;
        let answer = read_line(&terminal);
        drop(silent);
        (&terminal).write_all(b"\n")?;
        answer
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// Restores the terminal when dropped.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn enter(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Ctrl-C arrives as a byte, so that the terminal can be restored before the process gives up.
        silent.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn read_line(mut input: impl io::Read) -> io::Result<SecretBytes> {
    let mut line = Zeroizing::new(Vec::with_capacity(ANSWER_MAX_BYTES));
    let mut buffer = Zeroizing::new([0_u8; 1]);
    loop {
        let read = input.read(buffer.as_mut_slice())?;
        let [byte] = *buffer;
        match (read, byte) {
            (0, _) | (_, b'\n' | b'\r' | END_OF_TRANSMISSION) => break,
            (_, END_OF_TEXT) => return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted")),
            (_, BACKSPACE | DELETE) => erase_last_character(&mut line),
            (_, typed) if line.len() < ANSWER_MAX_BYTES => line.push(typed),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "what was typed is too long")),
        }
    }
    Ok(SecretBytes::new(std::mem::take(&mut *line)))
}

/// Takes a whole UTF-8 character away: its last byte, and those before it up to the one that began it.
fn erase_last_character(line: &mut Vec<u8>) {
    while let Some(last) = line.pop() {
        if last & 0xc0 != 0x80 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what was typed")]
    fn a_line_ends_at_enter_and_can_be_corrected() {
        assert_eq!(read_line(&b"pass\nmore"[..]).unwrap().expose(), b"pass");
        assert_eq!(read_line(&b"pax\x7fss"[..]).unwrap().expose(), b"pass");
        assert_eq!(read_line("p\u{e4}\u{7f}w\r".as_bytes()).unwrap().expose(), b"pw");
        assert_eq!(read_line(&b"\x7f\x7fa\x04"[..]).unwrap().expose(), b"a");
    }

    #[test]
    fn ctrl_c_and_endless_input_are_errors() {
        assert_eq!(read_line(&b"pa\x03"[..]).err().unwrap().kind(), io::ErrorKind::Interrupted);
        assert_eq!(read_line(io::repeat(b'a')).err().unwrap().kind(), io::ErrorKind::InvalidInput);
    }
}
