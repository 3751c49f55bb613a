//! The home's folders, made at a first start and checked at every one.

use std::io;
use std::path::Path;

use crate::config::HomePaths;

use super::private_files::{FileError, make_directory, remove_leftovers};
use super::{ServeError, backup};

/// Makes what is missing: the home and its folder for certificates, both 0700. Changes nothing in a folder that
/// holds other things and is open to others.
pub fn prepare(paths: &HomePaths) -> Result<(), FileError> {
    make_directory(paths.root(), || paths.database().exists() || paths.lock().exists())?;
    make_directory(&paths.tls(), || true)
}

/// Whether there is no store yet. A database that has gone while its log stayed is an error: SQLite would carry the
/// log's pages into a new one. One that has gone out of a home that was used is an error too: an empty store in its place, with
/// another administrator, would look as if all were well.
pub fn is_new(paths: &HomePaths) -> Result<bool, ServeError> {
    let is_there = |path: &Path| path.try_exists().map_err(|error| FileError::io(path, error));
    let (database, log) = (paths.database(), paths.write_ahead_log());
    // A restore that was cut off is finished once the lock is held.
    if is_there(&database)? || backup::is_restore_pending(paths) {
        return Ok(false);
    }
    if is_there(&log)? {
        return Err(ServeError::DatabaseMissing { database, log });
    }
    // A first start makes these once it has its database, which appears whole: whoever is cut off before begins anew.
    let holds_file = |folder: &Path| match std::fs::read_dir(folder) {
        // A mounted file system may bring folders of its own.
        Ok(entries) => Ok(entries.flatten().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io(folder, error)),
    };
    // In tls/ somebody may have put certificates of their own, for the first start.
    for left in [paths.kubeconfig(), paths.authority_certificate(), paths.server_pair()] {
        if is_there(&left)? {
            return Err(ServeError::DatabaseGone { database, left });
        }
    }
    if holds_file(&paths.audit())? {
        return Err(ServeError::DatabaseGone { database, left: paths.audit() });
    }
    Ok(true)
}

/// Takes away what a process that was killed left half written, secrets among it. The caller holds the lock.
pub fn clean<'a>(paths: &HomePaths, key_files: impl Iterator<Item = &'a Path>) {
    let replaced = [
        paths.kubeconfig(),
        paths.server_pair(),
        paths.authority_certificate(),
        paths.presented_certificate(),
        paths.client_authority_certificate(),
    ];
    for path in &replaced {
        remove_leftovers(path);
    }
    for path in key_files {
        remove_leftovers(path);
    }
    backup::clean_work(paths);
    backup::clean_restore(paths);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_home_is_made_private_and_preparing_it_again_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let paths = HomePaths::in_directory(directory.path().join("home"));
        prepare(&paths).unwrap();
        prepare(&paths).unwrap();
        for folder in [paths.root().to_owned(), paths.tls()] {
            assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(is_new(&paths).unwrap());
    }

    #[test]
    fn a_home_whose_database_is_gone_but_not_its_log_is_not_taken_for_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let paths = HomePaths::in_directory(directory.path().to_owned());
        std::fs::write(paths.write_ahead_log(), b"pages").unwrap();
        let error = is_new(&paths).unwrap_err().to_string();
        assert!(error.contains("strongroom.db is missing, but ") && error.contains("put the database back"), "{error}");
        std::fs::write(paths.database(), b"pages").unwrap();
        assert!(!is_new(&paths).unwrap());
    }

    #[test]
    fn a_home_that_was_used_and_whose_database_is_gone_is_not_taken_for_a_new_one() {
        for left in ["admin.kubeconfig", "audit/audit-0000000001.jsonl", "tls/ca.crt"] {
            let directory = tempfile::tempdir().unwrap();
            let paths = HomePaths::in_directory(directory.path().join("home"));
            prepare(&paths).unwrap();
            // What is there before the database is, and what a mounted file system brings.
            std::fs::create_dir_all(paths.root().join("keys")).unwrap();
            std::fs::create_dir_all(paths.audit().join("lost+found")).unwrap();
            for file in ["lock", "keys/unlock.key", "strongroom.db.new", "tls/own.pem"] {
                std::fs::write(paths.root().join(file), b"x").unwrap();
            }
            assert!(is_new(&paths).unwrap());
            std::fs::write(paths.root().join(left), b"x").unwrap();
            let error = is_new(&paths).unwrap_err().to_string();
            assert!(error.contains("restore a backup into this home"), "{left}: {error}");
            assert!(error.contains(left.split('/').next().unwrap()), "{left}: {error}");
            std::fs::write(paths.database(), b"pages").unwrap();
            assert!(!is_new(&paths).unwrap());
        }
    }

    #[test]
    fn a_home_that_cannot_be_looked_into_is_not_taken_for_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let paths = HomePaths::in_directory(directory.path().join("file/home"));
        assert!(matches!(is_new(&paths), Err(ServeError::File(_))));
    }

    #[test]
    fn what_was_half_written_is_taken_away_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let paths = HomePaths::in_directory(directory.path().join("home"));
        prepare(&paths).unwrap();
        let at = |name: &str| paths.root().join(name);
        let (left, others) = (
            at(".admin.kubeconfig.0123456789abcdef.new"),
            [
                at(".admin.kubeconfig.0123.new"),
                at(".admin.kubeconfig.0123456789abcdeg.new"),
                at(".other.0123456789abcdef.new"),
                at("admin.kubeconfig"),
            ],
        );
        for file in others.iter().chain([&left]) {
            std::fs::write(file, b"x").unwrap();
        }
        let key_file = directory.path().join("unlock.key");
        let left_key = directory.path().join(".unlock.key.00112233445566ff.new");
        std::fs::write(&left_key, b"x").unwrap();
        clean(&paths, [key_file.as_path(), Path::new("/nowhere/unlock.key")].into_iter());
        assert!(!left.exists() && !left_key.exists());
        assert!(others.iter().all(|file| file.exists()));
    }
}
