//! Disks that fill up, and limits on what a running server may have.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::app::App;

/// Limits how long the server may make a file; `None` as this process may.
pub fn limit_files_of(app: &App, bytes: Option<u64>) {
    limit(app, Resource::Fsize, bytes);
}

/// Limits what a running server may have of something; `None` as this process may.
pub fn limit(app: &App, of: Resource, most: Option<u64>) {
    let own = getrlimit(of);
    let limit = Rlimit { current: most.or(own.current), maximum: own.maximum };
    prlimit(Pid::from_raw(app.pid().cast_signed()), of, limit).unwrap();
}

/// A small file system, until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many MiB; `None` where mounting is not allowed. What it is mounted in goes with it.
    pub fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        assert_ne!(at.parent(), Some(std::env::temp_dir().as_path()), "it lies in a folder of the test's own");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "tmpfs"]).arg(at);
        quiet(&mut command).map(|()| Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Fills it to the last block.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[b'x'; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Makes it read-only, or writable again; whether the system does so.
    pub fn set_read_only(&self, is_read_only: bool) -> bool {
        let how = if is_read_only { "remount,ro" } else { "remount,rw" };
        quiet(Command::new("mount").args(["-o", how]).arg(&self.0)).is_some()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        // Its folder could not be removed before.
        let _ = self.0.parent().map(fs::remove_dir_all);
    }
}

/// A file system of a disk that fails: ext4 in a file, which the kernel makes read-only at the first error.
pub struct FailingDisk {
    image: PathBuf,
    at: PathBuf,
    is_mounted: bool,
}

impl FailingDisk {
    /// One below `folder`, which is the test's own; `None` where this machine has none.
    pub fn make(folder: &Path, mebibytes: u64) -> Option<Self> {
        let (image, at) = (folder.join("image"), folder.join("disk"));
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&at).unwrap();
        quiet(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let mut made = Self { image, at, is_mounted: false };
        made.mount().then_some(())?;
        // Where errors cannot be had, nothing can be tried.
        made.trigger().exists().then_some(made)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    fn mount(&mut self) -> bool {
        let mut command = Command::new("mount");
        command.args(["-o", "loop,errors=remount-ro"]).arg(&self.image).arg(&self.at);
        self.is_mounted = quiet(&mut command).is_some();
        self.is_mounted
    }

    /// What is written to has the kernel find an error.
    fn trigger(&self) -> PathBuf {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let at = self.at.to_str().unwrap();
        let device = mounts.lines().find_map(|line| line.strip_suffix(line.split_once(&format!(" {at} "))?.1));
        let device = device.and_then(|line| line.split(' ').next()).unwrap_or_default();
        Path::new("/sys/fs/ext4").join(device.trim_start_matches("/dev/")).join("trigger_fs_error")
    }

    /// The kernel finds an error: from here on nothing can be written, whoever has files open.
    pub fn fail(&self) {
        fs::write(self.trigger(), "1").unwrap();
        assert!(File::create(self.at.join("probe")).is_err(), "it is read-only");
    }

    /// Mends it, with nobody using it.
    pub fn mend(&mut self) {
        assert!(quiet(Command::new("umount").arg(&self.at)).is_some());
        self.is_mounted = false;
        // 1: errors were corrected.
        let checked = Command::new("e2fsck").args(["-f", "-y"]).arg(&self.image).output().unwrap();
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&checked.stdout));
        assert!(self.mount());
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg(&self.at).status();
        }
        let _ = self.at.parent().map(fs::remove_dir_all);
    }
}

/// Runs a command for its effect; `None` where it is missing or fails.
fn quiet(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success()).then_some(())
}
