//! Checks a backup without serving it: everything in it is authenticated, as at a start, and compared with what it says.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BackupError, OpenWith, extract, keys};
use crate::audit::verify::{KeptMutations, Report, verify_mutations};
use crate::backup::{Header, Identity, Manifest};
use crate::clock::SharedClock;
use crate::crypto::{Head, Keyring};
use crate::model::kinds;
use crate::server::private_files::{FileError, make_directory};
use crate::server::{ServeError, audit_log, lifecycle::Signals};
use crate::store::backup::read_head;
use crate::store::keys::{KeyMaterial, read_now};
use crate::store::{OpenOptions, Store};
use crate::terminal::Prompt;

/// What is read, is read once.
const CACHE_BYTES: usize = 1024 * 1024;

/// What a check has found.
pub struct Verified {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Objects that are in it, by kind, where there are any.
    pub objects: Vec<(&'static str, u64)>,
}

/// A folder of this process's own, removed when dropped.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn make() -> Result<Self, ServeError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| ServeError::Random)?;
        let path = std::env::temp_dir().join(format!("strongroom-verify-{}", hex::encode(random)));
        make_directory(&path, || false)?;
        Ok(Self(path))
    }

    /// Ends the process at a signal that says stop, without leaving the folder behind: on a thread of its own, for what is read may
    /// be slow, and is waited for.
    fn goes_at_a_signal(&self) -> io::Result<()> {
        let path = self.0.clone();
        let (installed, is_installed) = std::sync::mpsc::channel();
        let wait = move || {
            let signals = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let signals = runtime.block_on(async { Signals::install() })?;
                Ok((runtime, signals))
            });
            match signals {
                Ok((runtime, mut signals)) => {
                    let _ = installed.send(Ok(()));
                    let name = runtime.block_on(signals.stop());
                    let _ = std::fs::remove_dir_all(&path);
                    let _ = writeln!(io::stderr(), "strongroom: {}", BackupError::Interrupted(name));
                    std::process::exit(1);
                }
                Err(error) => drop(installed.send(Err(error))),
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        is_installed.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Checks a backup, in a folder of its own below the system's temporary directory. `home` is where a default key file may lie.
pub async fn verify(
    backup: &Path,
    identities: &[Identity],
    with: &OpenWith,
    home: &Path,
    clock: SharedClock,
    prompt: &mut dyn Prompt,
    advance: &mut dyn FnMut(u64),
) -> Result<Verified, ServeError> {
    let folder = WorkFolder::make()?;
    folder.goes_at_a_signal()?;
    let database = folder.0.join("strongroom.db");
    let header = extract(backup, identities, &database, advance)?;
    let (keyring, _) = authenticate(backup, &header, &database, with, home, prompt)?;
    let (store, head) = examine(backup, &header.manifest, &database, keyring, clock).await?;
    store.close().await.map_err(ServeError::store)?;
    let objects = kinds::KINDS.iter().filter_map(|kind| {
        let count = *head.counts.get(kind.stored_name())?;
        (count > 0).then_some((kind.plural, count))
    });
    Ok(Verified { manifest: header.manifest, objects: objects.collect() })
}

/// Opens the keys of a backup's database and authenticates its manifest. Also returns the secret that did it.
pub fn authenticate(
    backup: &Path,
    header: &Header,
    database: &Path,
    with: &OpenWith,
    home: &Path,
    prompt: &mut dyn Prompt,
) -> Result<(Arc<Keyring>, keys::Secret), ServeError> {
    let material: KeyMaterial = read_now(database).map_err(ServeError::store)?;
    if material.store_id != header.manifest.store_id {
        return Err(BackupError::NotAuthentic(backup.to_owned()).into());
    }
    let secret = keys::find(with, home, &material, prompt)?;
    let keyring = keys::open(&secret, &material)?;
    if !header.is_authentic(&keyring) {
        return Err(BackupError::NotAuthentic(backup.to_owned()).into());
    }
    Ok((Arc::new(keyring), secret))
}

/// Opens the store of a backup's database, in which every row is authenticated, and compares what is there with the head and
/// the manifest. The head is as it was in the backup.
pub async fn examine(
    backup: &Path,
    manifest: &Manifest,
    database: &Path,
    keyring: Arc<Keyring>,
    clock: SharedClock,
) -> Result<(Store, Head), ServeError> {
    let head = read_head(database, &keyring).map_err(ServeError::store)?;
    let other = |what| BackupError::OtherDatabase { path: backup.to_owned(), what };
    if (head.sequence, head.revision) != (manifest.sequence, manifest.revision) {
        return Err(other("it is of another moment").into());
    }
    if head.restore_epoch != manifest.restore_epoch {
        return Err(other("it is of another restore epoch").into());
    }
    let options =
        OpenOptions { path: database.to_owned(), keyring: Arc::clone(&keyring), clock, cache_bytes: CACHE_BYTES };
    let (store, _) = Store::open(options).await.map_err(ServeError::store)?;
    let reading = store.clone();
    let counts = head.counts.clone();
    let found = tokio::task::spawn_blocking(move || findings(&reading, &counts, &keyring));
    let found = found.await.map_err(|error| io::Error::other(error.to_string()))?;
    if found.is_empty() {
        return Ok((store, head));
    }
    store.close().await.map_err(ServeError::store)?;
    Err(BackupError::Damaged(found).into())
}

fn findings(store: &Store, counts: &std::collections::BTreeMap<String, u64>, keyring: &Keyring) -> Vec<String> {
    let scanned = store.findings();
    let mut found: Vec<String> = scanned.damaged.values().cloned().collect();
    if scanned.refused_buckets() > 0 {
        found.push(format!(
            "rows are missing, older or foreign in {} of the 1,024 buckets, which hold these:",
            scanned.refused_buckets()
        ));
        found.extend(scanned.in_refused.iter().cloned());
    }
    for kind in kinds::KINDS.iter().filter(|kind| kind.stored) {
        let (there, written) =
            (store.count(kind.id) as u64, counts.get(kind.stored_name()).copied().unwrap_or_default());
        if there != written {
            found.push(format!("there are {there} {}, and the head says {written}", kind.plural));
        }
    }
    // What was copied into the audit log is not the backup's to know.
    let log = Report { copied: u64::MAX, ..Report::default() };
    let chain = KeptMutations {
        removed: store.audit_removed(),
        removed_now: &|| store.audit_removed(),
        head: store.audit_end(),
    };
    let (of_audit, _) = verify_mutations(audit_log::rows(store), &chain, keyring, &log);
    found.extend(of_audit.iter().map(ToString::to_string));
    found
}

/// Says that a file cannot be used, as the system puts it.
pub fn unusable(path: &Path, error: io::Error) -> ServeError {
    FileError::io(path, error).into()
}
