//! A folder that only its owner may enter, in memory where there is such a place.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Linux' magic numbers of tmpfs and ramfs (statfs(2)).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
const PREFIX: &str = "strongroom-";

/// The folder; whoever made it removes it.
pub struct PrivateRoot {
    path: PathBuf,
}

impl PrivateRoot {
    /// Makes one in the first of `places` that is in memory and can be written to, else in the first that can.
    pub fn make(places: &[PathBuf]) -> io::Result<Self> {
        let (in_memory, others): (Vec<_>, Vec<_>) = places.iter().partition(|place| is_in_memory(place));
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for place in in_memory.into_iter().chain(others) {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|_| io::Error::other("the operating system gave no randomness"))?;
            let path = place.join(format!("{PREFIX}{}", hex::encode(random)));
            // Not one that is there: it would be somebody else's.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written there stays in memory.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        is_in_memory(&self.path)
    }

    /// Removes it with everything in it.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// Whether a folder is in memory: on tmpfs or ramfs. Elsewhere than on Linux, nobody can say.
#[must_use]
pub fn is_in_memory(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::fs::statfs(folder)
            .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| IN_MEMORY.contains(&(kind & 0xffff_ffff))))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (folder, IN_MEMORY);
        false
    }
}
