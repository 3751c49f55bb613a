//! `strongroom mount`: Secrets as files, kept current for as long as the command runs.
//!
//! The files of one Secret lie in the directory itself; of several, each has a directory of its name there.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::mpsc::unbounded_channel;

use super::connection::{Connection, ConnectionOptions};
use super::delivery::{get, list, told};
use super::offline::{OfflineOptions, witness};
use super::output::print;
use super::{CliError, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::deliver::{
    AtomicWriter, Begin, FolderLock, MODE_MAX, ObjectName, Objects, Problem, Reference, Source, Update, Volume,
    Witness, is_in_memory, keep, payload,
};
use crate::kube_client::Client;

/// Options of `mount`.
#[derive(Args)]
pub struct Mount {
    /// The Secrets; ? for one that may be missing
    #[arg(value_name = "[NAMESPACE/]NAME[?]", required = true, value_parser = secret_option, add = super::completion::secrets())]
    secrets: Vec<Reference>,
    /// Where: a new directory, or one that is there
    #[arg(value_name = "DIR", required = true)]
    directory: PathBuf,
    /// Namespace of what names none [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Mode of the files, octal
    #[arg(long, value_name = "MODE", value_parser = mode_option, default_value = "0400")]
    mode: u32,
    /// Write the files and end; they stay
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    offline: OfflineOptions,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// Secrets and their folders.
struct Mounted {
    directory: PathBuf,
    _lock: FolderLock,
    /// Whether the directory was made for this, and is removed with it.
    is_ours: bool,
    all: BTreeMap<ObjectName, (Volume, AtomicWriter)>,
}

impl Mount {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let namespace = connection.namespace(self.namespace.as_deref());
        let volumes = self.volumes(namespace)?;
        let kept = self.offline.open(environment, &connection)?;
        let (mut objects, begin) = get(&connection, &volumes.keys().cloned().collect(), kept.as_ref())?;
        // All of it, before anything is written.
        let problems: Vec<Problem> =
            volumes.values().filter_map(|volume| payload(volume, &objects).err()).flatten().collect();
        if !problems.is_empty() {
            return Err(CliError::NotDone(list("nothing was written:", &problems)));
        }
        let mut mounted = Mounted::make(&self.directory, folder_mode(self.mode), volumes)?;
        if let Err(error) = mounted.write_all(&objects) {
            mounted.undo();
            return Err(error);
        }
        if !is_in_memory(&self.directory) {
            warn(&format!(
                "{} is on a disk, where what is removed may still be found: choose a directory in memory, such as one in $XDG_RUNTIME_DIR or /dev/shm",
                self.directory.display()
            ));
        }
        if self.once {
            print(&format!("{} written to {}\n", counted(mounted.all.len()), self.directory.display()));
            mounted.settle(&connection);
            return Ok(());
        }
        if begin == Begin::Kept {
            print(&format!("{} in {}, as kept\n", counted(mounted.all.len()), self.directory.display()));
        }
        let witness = witness(kept.as_ref());
        let ended = connection
            .wait_for(async |client: &Client| self.keep(client, begin, &witness, &mut objects, &mut mounted).await);
        mounted.remove();
        ended.map_err(|error| told(&connection, error))?
    }

    /// Until it is told to end.
    async fn keep(
        &self,
        client: &Client,
        begin: Begin,
        witness: Witness<'_>,
        objects: &mut Objects,
        mounted: &mut Mounted,
    ) -> Result<Result<(), CliError>, crate::deliver::FetchError> {
        let signals = super::run::Signals::to_end();
        let mut signals = match signals {
            Ok(signals) => signals,
            Err(error) => return Ok(Err(CliError::NotDone(format!("signals cannot be waited for: {error}")))),
        };
        let (sender, mut updates) = unbounded_channel();
        let mut keeping = Box::pin(keep(client, objects.states(), begin, witness, sender));
        let mut sweep = None;
        loop {
            tokio::select! {
                signal = signals.next() => {
                    tracing::debug!(signal = signal.as_raw(), "told to end");
                    return Ok(Ok(()));
                }
                Err(error) = &mut keeping => return Err(error),
                () = at(sweep) => sweep = mounted.sweep(),
                Some(update) = updates.recv() => match update {
                    Update::Listening => {
                        let text = format!("{} in {}, kept current\n", counted(mounted.all.len()), self.directory.display());
                        print(&text);
                    }
                    Update::Changed(changed) => {
                        let names: Vec<ObjectName> = changed.states().into_keys().collect();
                        objects.extend(changed);
                        for name in names {
                            if let Err(error) = mounted.write(&name, objects) {
                                warn(&format!("{name} has changed; its files stay as they are: {error}"));
                            }
                        }
                        sweep = mounted.sweep();
                    }
                    Update::Lost(why) => warn(&format!("changes are not heard of at present: {why}")),
                    Update::Back => warn("changes are heard of again"),
                },
            }
        }
    }

    fn volumes(&self, namespace: &str) -> Result<BTreeMap<ObjectName, Volume>, CliError> {
        let mut volumes: BTreeMap<ObjectName, Volume> = BTreeMap::new();
        for reference in &self.secrets {
            let object = reference.secret(namespace);
            if volumes.keys().any(|other| other.name == object.name) {
                return Err(CliError::NotDone(format!("two Secrets have the name {}", object.name)));
            }
            let source = Source { object: object.clone(), items: Vec::new(), optional: reference.optional };
            let volume = Volume { name: object.name.clone(), default_mode: self.mode, sources: vec![source] };
            volumes.insert(object, volume);
        }
        Ok(volumes)
    }
}

impl Mounted {
    fn make(directory: &Path, folder_mode: u32, volumes: BTreeMap<ObjectName, Volume>) -> Result<Self, CliError> {
        let fail = |error: std::io::Error| CliError::NotDone(format!("{}: {error}", directory.display()));
        let is_ours = match std::fs::DirBuilder::new().mode(folder_mode).create(directory) {
            Ok(()) => {
                let mode = std::fs::Permissions::from_mode(folder_mode);
                std::fs::set_permissions(directory, mode).map_err(fail)?;
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(fail(error)),
        };
        let found = std::fs::metadata(directory).map_err(fail)?;
        let is_others = found.uid() != rustix::process::geteuid().as_raw() && found.uid() != 0;
        // A sticky folder keeps others from replacing what is not theirs.
        if is_others || (found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0) {
            return Err(CliError::NotDone(format!(
                "{}: others may replace what is in it: choose a directory that only you can write to",
                directory.display()
            )));
        }
        let written = |error: crate::deliver::WriteError| CliError::NotDone(error.to_string());
        let lock = FolderLock::take(directory).map_err(written)?;
        let is_shared = volumes.len() > 1;
        let mut mounted = Self { directory: directory.to_owned(), _lock: lock, is_ours, all: BTreeMap::new() };
        for (name, volume) in volumes {
            let folder = if is_shared { directory.join(&name.name) } else { directory.to_owned() };
            match AtomicWriter::open(&folder, folder_mode) {
                Ok(writer) => drop(mounted.all.insert(name, (volume, writer))),
                Err(error) => {
                    mounted.undo();
                    return Err(written(error));
                }
            }
        }
        Ok(mounted)
    }

    fn write_all(&mut self, objects: &Objects) -> Result<(), CliError> {
        let names: Vec<ObjectName> = self.all.keys().cloned().collect();
        names.iter().try_for_each(|name| self.write(name, objects))
    }

    fn write(&mut self, name: &ObjectName, objects: &Objects) -> Result<(), CliError> {
        let Some((volume, writer)) = self.all.get_mut(name) else { return Ok(()) };
        let files = payload(volume, objects);
        let files = files.map_err(|problems| {
            CliError::NotDone(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let written = writer.write(&files, SystemClock.unix_seconds());
        written.map(drop).map_err(|error| CliError::NotDone(error.to_string()))
    }

    fn sweep(&mut self) -> Option<std::time::Instant> {
        self.all.values_mut().filter_map(|(_, writer)| writer.sweep()).min()
    }

    /// Until no former files are left.
    fn settle(&mut self, connection: &Connection) {
        while let Some(next) = self.sweep() {
            connection.wait_for(async |_: &Client| tokio::time::sleep_until(next.into()).await);
        }
    }

    /// Removes what was not there before, where not all could be written.
    fn undo(mut self) {
        self.all.retain(|_, (_, writer)| !writer.had_files());
        self.remove();
    }

    fn remove(self) {
        for (_, writer) in self.all.into_values() {
            let folder = writer.folder().to_owned();
            if let Err(error) = writer.remove() {
                warn(&format!("{} could not be removed: {error}", folder.display()));
            }
        }
        if self.is_ours {
            // What somebody else put there stays, and the directory with it.
            let _ = std::fs::remove_dir(&self.directory);
        }
    }
}

async fn at(time: Option<std::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn counted(secrets: usize) -> String {
    if secrets == 1 { "1 Secret".to_owned() } else { format!("{secrets} Secrets") }
}

fn secret_option(text: &str) -> Result<Reference, String> {
    let reference = Reference::parse(text).map_err(|error| error.to_string())?;
    match reference.rest {
        Some(_) => Err("give the Secret alone: all of its keys become files".to_owned()),
        None => Ok(reference),
    }
}

fn mode_option(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= MODE_MAX);
    mode.ok_or_else(|| "give octal permissions, such as 0400".to_owned())
}

/// Who may read files may enter their folders.
fn folder_mode(mode: u32) -> u32 {
    let readers = mode & 0o044;
    0o700 | readers | readers >> 2
}
