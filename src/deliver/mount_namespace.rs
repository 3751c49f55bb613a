//! A private view of the file system, in which volumes are mounted where a manifest says.
//!
//! Who may mount (root) gets a mount namespace; others one inside a user namespace, in which they are themselves and may
//! mount, where the system lets them have one. Nothing that is done there is seen by others, and all of it is gone
//! with the last process that is in it.
//!
//! A mount point that is missing is made, as container runtimes do, where the user may make it. Where not, its nearest
//! existing folder is replaced in this view by one in memory, with everything in it in its place (for `/`, by another root).

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The system does not let the user have one. Everything is as it was.
    #[error("{0}")]
    Refused(io::Error),
    /// The process is in a user namespace in which it is nobody, and cannot go on.
    #[error("the user namespace cannot be used: {0}; --no-namespace does without")]
    Lost(io::Error),
}

/// A mount point that was made in a place that others see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point(pub PathBuf);

#[cfg(target_os = "linux")]
pub use linux::MountNamespace;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use nix::sched::{CloneFlags, unshare};
    use rustix::fs::{Access, access};
    use rustix::mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
        mount_remount, unmount,
    };
    use rustix::process::{DumpableBehavior, chdir, getegid, geteuid, pivot_root, set_dumpable_behavior};

    use super::{EnterError, Path, PathBuf, Point, io};

    const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

    /// The view this process is in.
    pub struct MountNamespace {
        /// A folder in memory, where volumes are written and mounts prepared.
        base: PathBuf,
        prepared: u32,
    }

    impl MountNamespace {
        /// Enters one, and puts a file system in memory at `base`, a folder that only the user may enter. Call while
        /// there is one thread.
        pub fn enter(base: &Path) -> Result<Self, EnterError> {
            if unshare(CloneFlags::CLONE_NEWNS).is_err() {
                let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                    .map_err(|error| EnterError::Refused(error.into()))?;
                be_oneself(uid, gid).map_err(EnterError::Lost)?;
            }
            // Nothing of this reaches others, and of what they mount nothing appears here.
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .and_then(|()| mount("tmpfs", base, "tmpfs", FLAGS, c"mode=0700"))
                .map_err(|error| EnterError::Refused(error.into()))?;
            Ok(Self { base: base.to_owned(), prepared: 0 })
        }

        /// Shows `from`, a folder or a file below the base, at `at`, read-only. Says which mount point was made for it
        /// that others see too.
        pub fn show(&mut self, from: &Path, at: &Path) -> io::Result<Option<Point>> {
            let made = self.make_point(at, from.is_dir())?;
            mount_bind(from, at)?;
            mount_remount(at, FLAGS | MountFlags::BIND | MountFlags::RDONLY, c"")?;
            Ok(made)
        }

        /// Takes a mount away again, and the mount point with it.
        pub fn hide(&self, point: &Point) {
            let _ = unmount(&point.0, UnmountFlags::DETACH);
            // What somebody put there meanwhile stays.
            let _ = fs::remove_dir(&point.0).or_else(|_| remove_if_empty(&point.0));
        }

        /// Leaves the base: what is shown stays.
        pub fn leave_base(&self) -> io::Result<()> {
            unmount(&self.base, UnmountFlags::DETACH)?;
            fs::remove_dir(&self.base)
        }

        fn make_point(&mut self, at: &Path, is_folder: bool) -> io::Result<Option<Point>> {
            if at.exists() {
                return if at.is_dir() == is_folder { Ok(None) } else { Err(io::ErrorKind::NotADirectory.into()) };
            }
            let above = at.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/")).to_owned();
            // A folder that was replaced is the user's own, and nobody else's.
            let is_seen = !self.is_replaced(&above);
            if is_seen && access(&above, Access::WRITE_OK).is_err() {
                self.replace(&above)?;
                make(at, is_folder)?;
                return Ok(None);
            }
            make(at, is_folder)?;
            Ok(is_seen.then(|| Point(at.to_owned())))
        }

        fn is_replaced(&self, folder: &Path) -> bool {
            use std::os::unix::fs::MetadataExt as _;
            (0..self.prepared).any(|number| {
                let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
                let own = device(&self.prepared(number));
                own.is_some() && own == device(folder)
            })
        }

        fn prepared(&self, number: u32) -> PathBuf {
            self.base.join(format!("view-{number}"))
        }

        /// Puts a folder in memory in the place of `folder`, with everything in it.
        fn replace(&mut self, folder: &Path) -> io::Result<()> {
            let view = self.prepared(self.prepared);
            fs::create_dir(&view)?;
            mount("tmpfs", &view, "tmpfs", FLAGS, c"mode=0755")?;
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let (kind, from, to) = (entry.file_type()?, entry.path(), view.join(entry.file_name()));
                if kind.is_symlink() {
                    symlink(fs::read_link(&from)?, &to)?;
                    continue;
                }
                make(&to, kind.is_dir())?;
                mount_bind_recursive(&from, &to)?;
            }
            self.prepared += 1;
            if folder != Path::new("/") {
                return Ok(mount_bind_recursive(&view, folder)?);
            }
            let current = std::env::current_dir()?;
            // The old root goes over the new one, and away (pivot_root(2)).
            chdir(&view)?;
            pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
            chdir("/")?;
            Ok(chdir(&current)?)
        }
    }

    fn make(at: &Path, is_folder: bool) -> io::Result<()> {
        if is_folder {
            return fs::create_dir_all(at);
        }
        if let Some(above) = at.parent() {
            fs::create_dir_all(above)?;
        }
        File::create_new(at).map(drop)
    }

    fn remove_if_empty(file: &Path) -> io::Result<()> {
        if fs::symlink_metadata(file)?.len() == 0 { fs::remove_file(file) } else { Ok(()) }
    }

    /// In a new user namespace a process is nobody until it has said who it is: the same user and group as outside.
    fn be_oneself(uid: u32, gid: u32) -> io::Result<()> {
        // The files are the user's only while the process may be looked into. The values it holds then are those that the
        // command is about to get, which the same user may look into anyway.
        set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        let written = fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
            .and_then(|()| fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")));
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        written
    }
}

/// Elsewhere there is none.
#[cfg(not(target_os = "linux"))]
pub struct MountNamespace;

#[cfg(not(target_os = "linux"))]
impl MountNamespace {
    /// There is none.
    pub fn enter(_: &Path) -> Result<Self, EnterError> {
        Err(EnterError::Refused(io::ErrorKind::Unsupported.into()))
    }

    /// There is none.
    pub fn show(&mut self, _: &Path, _: &Path) -> io::Result<Option<Point>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is none.
    pub fn hide(&self, _: &Point) {}

    /// There is none.
    pub fn leave_base(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
