//! The Unix socket: taken, guarded and taken away again.
//!
//! What it never does: remove a file that is no socket, a socket that somebody listens on, or one that is not ours;
//! or put a socket where other users could replace it by theirs, to which clients would then hand their tokens.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::config::UnixSocket;

const WRITE_BY_GROUP_OR_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;
const ACCESS_ACL: &str = "system.posix_acl_access";

/// Why the socket was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// The operating system said so.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// There is no folder to put it in.
    #[error("{} has no directory to lie in: make {} first (mode 0700 or 0755)", .0.display(), folder_of(.0).display())]
    NoFolder(PathBuf),
    /// Other users could put a socket of theirs in its place.
    #[error(
        "the directory of {} lets other users replace what is in it: choose one that only you or root may write to",
        .0.display()
    )]
    OpenFolder(PathBuf),
    /// Something else has its name.
    #[error("{} is there and is not a socket: choose another path, or move it away", .0.display())]
    NotASocket(PathBuf),
    /// Another program has it.
    #[error("{} belongs to another program that is running: choose another path", .0.display())]
    InUse(PathBuf),
}

/// The file of a socket that this process listens on. Removed when dropped.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: the name may come to mean another socket.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes the socket, in the place of one that a killed process has left. Connections wait in the kernel's queue.
///
/// The process's umask keeps others out until the file has its mode.
pub fn bind(socket: &UnixSocket) -> Result<(UnixListener, SocketFile), UnixSocketError> {
    let path = socket.path.as_path();
    let io = |source| UnixSocketError::Io { path: path.to_owned(), source };
    check_folder(path)?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(UnixSocketError::NotASocket(path.to_owned())),
        Ok(_) if !is_abandoned(path).map_err(|errno| io(errno.into()))? => {
            return Err(UnixSocketError::InUse(path.to_owned()));
        }
        Ok(_) => fs::remove_file(path).map_err(io)?,
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    let made = fs::symlink_metadata(path).map_err(io)?;
    let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) };
    fs::set_permissions(path, fs::Permissions::from_mode(socket.mode)).map_err(io)?;
    Ok((listener, file))
}

/// As [`bind`], for these users besides the owner of the process and root. Where the file system keeps no access control lists,
/// everybody's attempt gets as far as the process, which must look at whose it is in any case.
pub fn bind_for(socket: &UnixSocket, uids: &[u32]) -> Result<(UnixListener, SocketFile), UnixSocketError> {
    let (listener, file) = bind(socket)?;
    if uids.is_empty() {
        return Ok((listener, file));
    }
    let io = |source| UnixSocketError::Io { path: file.path.clone(), source };
    match rustix::fs::setxattr(&file.path, ACCESS_ACL, &access_list(uids), XattrFlags::empty()) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP) => {
            let path = file.path.display();
            tracing::warn!(%path, "no access control lists are kept there: every user may try to connect");
            fs::set_permissions(&file.path, fs::Permissions::from_mode(0o666)).map_err(io)?;
        }
        Err(errno) => return Err(io(errno.into())),
    }
    Ok((listener, file))
}

/// A POSIX access control list (`acl(5)`), as the kernel takes it (`include/uapi/linux/posix_acl_xattr.h`): the owner and these
/// users read and write, nobody else does anything.
fn access_list(uids: &[u32]) -> Vec<u8> {
    const VERSION: u32 = 2;
    const READ_WRITE: u16 = 6;
    const NOBODY: u32 = u32::MAX;
    let uids: BTreeSet<u32> = uids.iter().copied().collect();
    // Tags in the order that the kernel wants: owner, users, owning group, mask, others.
    let entries = [(0x01, READ_WRITE, NOBODY)]
        .into_iter()
        .chain(uids.into_iter().map(|uid| (0x02, READ_WRITE, uid)))
        .chain([(0x04, 0, NOBODY), (0x10, READ_WRITE, NOBODY), (0x20, 0, NOBODY)]);
    let mut list = VERSION.to_le_bytes().to_vec();
    for (tag, permission, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(permission.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

fn check_folder(path: &Path) -> Result<(), UnixSocketError> {
    let folder = match fs::metadata(folder_of(path)) {
        Ok(folder) if folder.is_dir() => folder,
        Err(error) if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::NotADirectory => {
            return Err(UnixSocketError::Io { path: path.to_owned(), source: error });
        }
        _ => return Err(UnixSocketError::NoFolder(path.to_owned())),
    };
    let is_trusted = folder.uid() == 0 || folder.uid() == rustix::process::geteuid().as_raw();
    // In a sticky folder, such as /tmp, files can be moved and removed by their owners only.
    let is_closed = folder.mode() & WRITE_BY_GROUP_OR_OTHERS == 0 || folder.mode() & STICKY != 0;
    if is_trusted && is_closed { Ok(()) } else { Err(UnixSocketError::OpenFolder(path.to_owned())) }
}

/// Whether nobody listens any more. The home's lock tells that no other server of this home runs, but not that the
/// socket was this home's. Does not wait: a queue that is full is somebody's.
fn is_abandoned(path: &Path) -> Result<bool, Errno> {
    let probe = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&probe, true)?;
    Ok(rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn socket(directory: &tempfile::TempDir, mode: u32) -> UnixSocket {
        UnixSocket { path: directory.path().join("api.sock"), mode }
    }

    fn refused(socket: &UnixSocket) -> UnixSocketError {
        bind(socket).err().unwrap()
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_guard() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o666] {
            let socket = socket(&directory, mode);
            let (_listener, file) = bind(&socket).unwrap();
            assert_eq!(fs::metadata(&socket.path).unwrap().mode() & 0o7777, mode);
            drop(file);
            assert!(!socket.path.exists());
        }
    }

    #[test]
    fn a_socket_lets_in_the_users_it_is_for_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let socket = socket(&directory, 0o600);
        let (_listener, _file) = bind_for(&socket, &[65_001, 65_002, 65_001]).unwrap();
        let mode = fs::metadata(&socket.path).unwrap().mode() & 0o7777;
        if mode == 0o666 {
            // Here no file system keeps such lists.
            return;
        }
        assert_eq!(mode, 0o660, "what stands for the group is the most that a user of the list may");
        let mut list = [0; 128];
        let length = rustix::fs::getxattr(&socket.path, ACCESS_ACL, &mut list).unwrap();
        assert_eq!(list[..length], access_list(&[65_001, 65_002])[..]);
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // Who may write may connect (`unix(7)`).
        let may_write = |uid: &str| {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "test", "-w"]).arg(&socket.path);
            command.status().ok().map(|status| status.success())
        };
        let found = ["65001", "65002", "65003"].map(may_write);
        // Where there is no such program, nothing is found.
        assert!(found == [Some(true), Some(true), Some(false)] || found == [None; 3], "{found:?}");
    }

    #[test]
    fn a_socket_that_somebody_listens_on_is_left_alone_and_one_that_was_left_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let socket = socket(&directory, 0o600);
        let other = UnixListener::bind(&socket.path).unwrap();
        assert!(matches!(refused(&socket), UnixSocketError::InUse(_)));
        assert!(UnixStream::connect(&socket.path).is_ok());
        // Closing it leaves the file, as a kill does.
        drop(other);
        assert!(socket.path.exists());
        let (_listener, _file) = bind(&socket).unwrap();
        assert!(UnixStream::connect(&socket.path).is_ok());
    }

    #[test]
    fn a_socket_whose_queue_is_full_is_not_taken_for_one_that_was_left() {
        let directory = tempfile::tempdir().unwrap();
        let socket = socket(&directory, 0o600);
        let listening = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listening, &SocketAddrUnix::new(&socket.path).unwrap()).unwrap();
        rustix::net::listen(&listening, 0).unwrap();
        let _waits = UnixStream::connect(&socket.path).unwrap();
        assert!(matches!(refused(&socket), UnixSocketError::InUse(_)));
    }

    #[test]
    fn what_is_no_stream_socket_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let socket = socket(&directory, 0o600);
        fs::write(&socket.path, b"precious").unwrap();
        assert!(matches!(refused(&socket), UnixSocketError::NotASocket(_)));
        assert_eq!(fs::read(&socket.path).unwrap(), b"precious");
        fs::remove_file(&socket.path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &socket.path).unwrap();
        assert!(matches!(refused(&socket), UnixSocketError::NotASocket(_)));
        fs::remove_file(&socket.path).unwrap();
        let _datagrams = UnixDatagram::bind(&socket.path).unwrap();
        assert!(matches!(refused(&socket), UnixSocketError::InUse(_)));
    }

    #[test]
    fn another_socket_of_the_same_name_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let socket = socket(&directory, 0o600);
        let (_listener, file) = bind(&socket).unwrap();
        let elsewhere = directory.path().join("other.sock");
        let _other = UnixListener::bind(&elsewhere).unwrap();
        fs::rename(&elsewhere, &socket.path).unwrap();
        drop(file);
        assert!(UnixStream::connect(&socket.path).is_ok());
    }

    #[test]
    fn a_folder_is_there_and_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let none = UnixSocket { path: directory.path().join("none/api.sock"), mode: 0o600 };
        let error = refused(&none).to_string();
        assert!(error.contains("has no directory to lie in: make ") && error.contains("/none first"), "{error}");
        let file = directory.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(matches!(refused(&UnixSocket { path: file.join("s"), mode: 0o600 }), UnixSocketError::NoFolder(_)));
        let open = directory.path().join("open");
        fs::create_dir(&open).unwrap();
        let set = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let socket = UnixSocket { path: open.join("api.sock"), mode: 0o600 };
        for mode in [0o777, 0o775] {
            set(mode);
            assert!(matches!(refused(&socket), UnixSocketError::OpenFolder(_)));
        }
        for mode in [0o1777, 0o755, 0o700] {
            set(mode);
            assert!(bind(&socket).is_ok(), "{mode:o}");
        }
    }
}
