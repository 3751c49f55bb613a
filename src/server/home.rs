//! The home's folders, made at a first start and checked at every one.

use crate::config::HomePaths;

use super::private_files::{FileError, make_directory};

/// Makes what is missing: the home and its folder for certificates, both 0700. Changes nothing in a folder that
/// holds other things and is open to others.
pub fn prepare(paths: &HomePaths) -> Result<(), FileError> {
    make_directory(paths.root(), || paths.database().exists() || paths.lock().exists())?;
    make_directory(&paths.tls(), || true)
}

/// Whether there is no store yet.
#[must_use]
pub fn is_new(paths: &HomePaths) -> bool {
    !paths.database().exists()
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
        assert!(is_new(&paths));
    }
}
