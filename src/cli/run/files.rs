//! Files of volumes for a command: at the paths that the manifest says, in a view of its own, or below a private root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::wanted::{Delivery, Wanted};
use crate::cli::{CliError, note, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::deliver::{AtomicWriter, EnterError, MountNamespace, Point, PrivateRoot};

/// Says where the files are, where they are not at their own paths.
pub const VARIABLE: &str = "STRONGROOM_VOLUMES";
/// As the kubelet's volumes; the root above is closed to others.
const FOLDER_MODE: u32 = 0o755;
const VOLUMES: &str = ".volumes";

/// Where the files are.
pub struct Files {
    /// A folder that only the user may enter; in a view of its own, where volumes are prepared.
    root: PrivateRoot,
    namespace: Option<MountNamespace>,
    /// Mount points that were made in places that others see.
    points: Vec<Point>,
    writers: Vec<AtomicWriter>,
}

impl Files {
    /// Puts the files where they belong. Call while there is one thread.
    pub fn place(
        wanted: &Wanted,
        delivery: &Delivery<'_>,
        environment: &Environment,
        may_mount: bool,
    ) -> Result<Self, CliError> {
        let places =
            [environment.absolute_path("XDG_RUNTIME_DIR"), Some(PathBuf::from("/dev/shm")), Some(std::env::temp_dir())];
        let places: Vec<PathBuf> = places.into_iter().flatten().collect();
        let root = PrivateRoot::make(&places)
            .map_err(|error| CliError::NotDone(format!("there is no place for files: {error}")))?;
        let (namespace, why) = match may_mount.then(|| MountNamespace::enter(root.path())) {
            Some(Ok(namespace)) => (Some(namespace), None),
            Some(Err(error @ EnterError::Refused(_))) => {
                (None, Some(format!(", for there is no private mount namespace ({error})")))
            }
            Some(Err(error @ EnterError::Lost(_))) => {
                let _ = root.remove();
                return Err(CliError::NotDone(error.to_string()));
            }
            None => (None, Some(String::new())),
        };
        let mut files = Self { root, namespace, points: Vec::new(), writers: Vec::new() };
        if let Err(error) = files.write_first(wanted, delivery) {
            files.remove();
            return Err(error);
        }
        match why {
            None => note("files are at their own paths, where only the command sees them"),
            Some(because) => {
                note(&format!("files are below {} (${VARIABLE}){because}", files.root.path().display()));
                if !files.root.is_in_memory() {
                    warn(
                        "this is on a disk, where what is removed may be found: set XDG_RUNTIME_DIR to a folder in memory",
                    );
                }
            }
        }
        for Point(path) in &files.points {
            note(&format!("{} was made to mount files at", path.display()));
        }
        Ok(files)
    }

    /// What the command is told: where the files are below, if they are not at their own paths.
    pub fn variable(&self) -> Option<(&'static str, &Path)> {
        self.namespace.is_none().then(|| (VARIABLE, self.root.path()))
    }

    /// Whether all of it is gone with the command, without anybody's doing.
    pub fn vanish(&self) -> bool {
        self.namespace.is_some()
    }

    /// Other files in place of those.
    pub fn write(&mut self, delivery: &Delivery<'_>) -> Result<(), CliError> {
        for (writer, payload) in self.writers.iter_mut().zip(&delivery.payloads) {
            writer.write(payload, SystemClock.unix_seconds()).map_err(|error| CliError::NotDone(error.to_string()))?;
        }
        Ok(())
    }

    /// Removes former files; when to call again.
    pub fn sweep(&mut self) -> Option<std::time::Instant> {
        self.writers.iter_mut().filter_map(AtomicWriter::sweep).min()
    }

    /// Leaves everything to the command, which this process turns into.
    pub fn leave(&self) -> Result<(), CliError> {
        let left = self.namespace.as_ref().map_or(Ok(()), MountNamespace::leave_base);
        left.map_err(|error| CliError::NotDone(format!("{}: {error}", self.root.path().display())))
    }

    /// Removes the mount points after all, where there is no command.
    pub fn take_back(&self) {
        if let Some(namespace) = &self.namespace {
            self.points.iter().for_each(|point| namespace.hide(point));
        }
    }

    /// Removes everything.
    pub fn remove(mut self) {
        self.writers.clear();
        let path = self.root.path().to_owned();
        let removed = match self.namespace {
            Some(namespace) => {
                self.points.iter().for_each(|point| namespace.hide(point));
                namespace.leave_base()
            }
            None => self.root.remove(),
        };
        if let Err(error) = removed {
            warn(&format!("{} could not be removed: {error}", path.display()));
        }
    }

    fn write_first(&mut self, wanted: &Wanted, delivery: &Delivery<'_>) -> Result<(), CliError> {
        let volumes = self.root.path().join(VOLUMES);
        let fail = |path: &Path, error: std::io::Error| CliError::NotDone(format!("{}: {error}", path.display()));
        fs::create_dir(&volumes).map_err(|error| fail(&volumes, error))?;
        for (volume, number) in wanted.volumes().iter().zip(0..) {
            let folder = volumes.join(format!("{number}-{}", volume.name.replace(['/', '\0'], "_")));
            let writer = AtomicWriter::open(&folder, FOLDER_MODE);
            self.writers.push(writer.map_err(|error| CliError::NotDone(error.to_string()))?);
        }
        self.write(delivery)?;
        for mount in wanted.mounts() {
            let Some(position) = wanted.volumes().iter().position(|volume| volume.name == mount.volume) else {
                continue;
            };
            let Some(writer) = self.writers.get(position) else { continue };
            let from = if mount.sub_path.is_empty() {
                writer.folder().to_owned()
            } else {
                writer.folder().join(&mount.sub_path)
            };
            let path = Path::new(&mount.path);
            if let Some(namespace) = &mut self.namespace {
                let made = namespace.show(&from, path).map_err(|error| {
                    CliError::NotDone(format!(
                        "{} cannot be a mount point: {error}; --no-namespace puts the files elsewhere",
                        path.display()
                    ))
                })?;
                self.points.extend(made);
            } else {
                let at = self.root.path().join(path.strip_prefix("/").unwrap_or(path));
                let above = at.parent().unwrap_or(self.root.path());
                fs::create_dir_all(above).and_then(|()| symlink(&from, &at)).map_err(|error| fail(&at, error))?;
            }
        }
        Ok(())
    }
}
