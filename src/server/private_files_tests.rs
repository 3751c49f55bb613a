//! The rules for files that hold secrets.

use std::os::unix::fs::symlink;

use super::*;

fn secret(directory: &Path, mode: u32) -> PathBuf {
    let path = directory.join("secret");
    fs::write(&path, b"value").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn read(path: &Path) -> Result<SecretBytes, FileError> {
    read_secret(path, Access::OwnerOnly, 16)
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & PERMISSION_BITS
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test looks at what was read")]
fn a_file_of_mode_0600_is_read() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(read(&secret(directory.path(), 0o600)).unwrap().expose(), b"value");
    assert_eq!(read(&secret(directory.path(), 0o400)).unwrap().expose(), b"value");
}

#[test]
fn a_file_that_others_may_touch_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
        let directory = tempfile::tempdir().unwrap();
        let error = read(&secret(directory.path(), mode)).err().unwrap();
        assert!(matches!(error.problem(), Problem::Open(found) if *found == mode), "{error}");
    }
}

#[test]
fn only_systemd_credentials_may_show_a_readable_group() {
    let directory = tempfile::tempdir().unwrap();
    let path = secret(directory.path(), 0o440);
    assert!(read_secret(&path, Access::GroupMayRead, 16).is_ok());
    assert!(read_secret(&secret(directory.path(), 0o444), Access::GroupMayRead, 16).is_err());
}

#[test]
fn a_symbolic_link_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink(secret(directory.path(), 0o600), &link).unwrap();
    assert!(matches!(read(&link).err().unwrap().problem(), Problem::Link));
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting_for_it() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(read(directory.path()).err().unwrap().problem(), Problem::NotAFile));
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0).unwrap();
    assert!(matches!(read(&pipe).err().unwrap().problem(), Problem::NotAFile));
}

#[test]
fn a_file_in_a_directory_that_others_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = secret(directory.path(), 0o600);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(read(&path).err().unwrap().problem(), Problem::OpenParent(0o777)));
}

#[test]
fn a_file_of_somebody_else_or_in_a_directory_of_theirs_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a directory away; the rule is the same for everybody.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = secret(directory.path(), 0o600);
    std::os::unix::fs::chown(directory.path(), Some(12_345), None).unwrap();
    assert!(matches!(read(&path).err().unwrap().problem(), Problem::ParentOwner(12_345)));
    let error = make_directory(directory.path(), || true).err().unwrap();
    assert!(matches!(error.problem(), Problem::FolderOwner(12_345)), "{error}");
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    assert!(matches!(read(&path).err().unwrap().problem(), Problem::Owner(12_345)));
    assert!(read_secret(&path, Access::HomeOf(12_345), 16).is_ok());
    assert!(read_secret(&path, Access::HomeOf(12_346), 16).is_err());
    std::os::unix::fs::chown(directory.path(), Some(0), None).unwrap();
    assert!(matches!(read(&path).err().unwrap().problem(), Problem::Owner(12_345)));
}

#[test]
fn a_file_that_is_too_long_is_refused_and_a_missing_one_is_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = secret(directory.path(), 0o600);
    assert!(matches!(read_secret(&path, Access::OwnerOnly, 4).err().unwrap().problem(), Problem::TooLong(4)));
    assert!(read(&directory.path().join("none")).err().unwrap().is_not_found());
}

#[test]
fn replacing_leaves_one_file_of_mode_0600_and_does_not_write_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("file"), directory.path().join("other"));
    fs::write(&other, b"untouched").unwrap();
    symlink(&other, &path).unwrap();
    replace(&path, b"one").unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(fs::read(&other).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn creating_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    create_new(&path, b"one").unwrap();
    assert!(create_new(&path, b"two").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_a_killed_process_left_half_written_is_known_by_its_name() {
    let name = temporary_of("unlock.key", [0xab; RANDOM_BYTES]);
    assert!(is_temporary_of("unlock.key", &name));
    for other in
        ["unlock.key", ".unlock.key.new", ".unlock.key.abababababababab.new2", ".unlock.key.ABABABABABABABAB.new"]
    {
        assert!(!is_temporary_of("unlock.key", other), "{other}");
    }
    assert!(!is_temporary_of("key", &name));
}

#[test]
fn folders_are_closed_unless_they_hold_somebody_elses_files() {
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("a/b");
    make_directory(&made, || false).unwrap();
    assert_eq!((mode_of(&made), mode_of(&directory.path().join("a"))), (0o700, 0o700));
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
    make_directory(&made, || false).unwrap();
    assert_eq!(mode_of(&made), 0o700, "an empty folder is closed");
    fs::write(made.join("photo"), b"x").unwrap();
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(make_directory(&made, || false).err().unwrap().problem(), Problem::NotOurs(0o755)));
    assert_eq!(mode_of(&made), 0o755, "and nothing was changed");
    make_directory(&made, || true).unwrap();
    assert_eq!(mode_of(&made), 0o700);
    assert!(matches!(make_directory(&made.join("photo"), || true).err().unwrap().problem(), Problem::NotADirectory));
}

#[test]
fn a_bare_name_lies_in_the_current_folder() {
    assert_eq!(
        ["f", "./f", "a/f", "/f"].map(|path| folder_of(Path::new(path)).to_str().unwrap()),
        [".", ".", "a", "/"]
    );
}
