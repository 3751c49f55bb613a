//! Files with unlock secrets, for commands that change what opens a room: read, made, and done away with.
//!
//! What it never does: write over a file that is there, or leave a secret open to others.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::private_files::{Access, FileError, create_new, make_directory, raw_flags, read_secret};
use super::{ServeError, unlock};
use crate::crypto::{make_unlock_key, parse_unlock_key, recovery_text, unlock_key_text};
use crate::sensitive::SecretBytes;

const MAX_BYTES: usize = 4096;

/// The content of a file with a secret, as a request takes it: text, to its last line end. A key of 32 bytes becomes the line of a
/// key file.
#[expect(clippy::disallowed_methods, reason = "it is looked whether the content is text")]
pub fn read_text(path: &Path) -> Result<SecretBytes, FileError> {
    let content = read_secret(path, Access::OwnerOnly, MAX_BYTES)?;
    match parse_unlock_key(&content) {
        Some(key) if std::str::from_utf8(content.expose()).is_err() => Ok(unlock_key_text(&key)),
        _ => Ok(content),
    }
}

/// The passphrase in a file, as a start and `unseal` read it.
pub fn read_passphrase(path: &Path) -> Result<SecretBytes, ServeError> {
    Ok(unlock::read_passphrase(path)?)
}

/// Makes a key file, and returns what stands in it.
#[expect(clippy::disallowed_methods, reason = "a new key is written to its file")]
pub fn make_key_file(path: &Path) -> Result<SecretBytes, ServeError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        make_directory(parent, || false)?;
    }
    let key = make_unlock_key().map_err(|_| ServeError::Random)?;
    create_new(path, unlock_key_text(&key).expose())?;
    Ok(read_text(path)?)
}

/// Writes a new recovery key into a file, as people write it down, and returns that.
#[expect(clippy::disallowed_methods, reason = "a new key is written to its file")]
pub fn make_recovery_file(path: &Path) -> Result<SecretBytes, ServeError> {
    let key = make_unlock_key().map_err(|_| ServeError::Random)?;
    let text = recovery_text(&key).map_err(|_| ServeError::Random)?;
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.expose());
    line.push(b'\n');
    create_new(path, &line)?;
    Ok(text)
}

/// Overwrites a file and removes it. Disks that write elsewhere than where something stood, and file systems that copy, keep
/// the former bytes all the same.
pub fn shred(path: &Path) -> Result<(), FileError> {
    let fail = |error| FileError::io(path, error);
    let overwritten = || -> io::Result<()> {
        let flags = raw_flags(OFlags::NOFOLLOW);
        let mut file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
        let length = file.metadata()?.len().min(1024 * 1024);
        file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
        file.sync_all()?;
        std::fs::remove_file(path)
    };
    overwritten().map_err(fail)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the secrets they planted")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_read_as_text_whatever_form_its_key_has() {
        let folder = tempfile::tempdir().unwrap();
        let put = |bytes: &[u8]| {
            let path = folder.path().join("f");
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            read_text(&path).unwrap().expose().to_vec()
        };
        assert_eq!(put(b"pass phrase\n\n"), b"pass phrase\n\n");
        let line = put(&[0x81; 32]);
        assert!(line.starts_with(b"strongroom-unlock-key-v1:"));
        assert_eq!(put(&line), line);
    }

    #[test]
    fn files_are_made_once_for_their_owner_alone_and_done_away_with() {
        let folder = tempfile::tempdir().unwrap();
        let (key, recovery) = (folder.path().join("keys/k"), folder.path().join("r"));
        let made = make_key_file(&key).unwrap();
        assert_eq!(made.expose(), read_text(&key).unwrap().expose());
        let text = make_recovery_file(&recovery).unwrap();
        assert_eq!(fs::read(&recovery).unwrap(), [text.expose(), b"\n"].concat());
        for path in [&key, &recovery] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(make_key_file(&key).is_err() && make_recovery_file(&recovery).is_err());
        // Another name for the same bytes shows that they were overwritten.
        let other = folder.path().join("other");
        fs::hard_link(&key, &other).unwrap();
        shred(&key).unwrap();
        assert!(!key.exists());
        assert!(fs::read(&other).unwrap().iter().all(|byte| *byte == 0));
        assert!(shred(&key).unwrap_err().is_not_found());
    }
}
