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
        let mounted = command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
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
        Command::new("mount")
            .args(["-o", how])
            .arg(&self.0)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        // Its folder could not be removed before.
        let _ = self.0.parent().map(fs::remove_dir_all);
    }
}
