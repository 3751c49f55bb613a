//! Puts the database of a backup in a home's place.
//!
//! ```text
//! strongroom.db.restoring        taken out of the backup, authenticated row by row, and made to go on in another epoch
//!        │ rename                what is before this line changes nothing in the home
//! strongroom.db.restored-TIME    from here on the restore is done: whoever next owns the home finishes it
//!        │ what is there moves to before-restore-TIME/
//!        ▼ rename
//! strongroom.db
//! ```
//!
//! What it never does: delete anything of a home, go back without being told to, or leave a home whose database and log of
//! changes do not belong together.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use serde_json::{Value, json};

use super::examine::{authenticate, examine, unusable};
use super::{BackupError, OpenWith, extract, keys};
use crate::audit::{self, RequestFacts, anchor};
use crate::auth::ADMIN_STATE_KEY;
use crate::backup::{Identity, Manifest, compact_time, is_compact_time};
use crate::clock::SharedClock;
use crate::config::HomePaths;
use crate::crypto::Head;
use crate::failpoint;
use crate::model::user::User;
use crate::rbac::Attributes;
use crate::sensitive::SecretBytes;
use crate::server::lock::HomeLock;
use crate::server::{ServeError, home, lifecycle};
use crate::store::backup::read_head;
use crate::store::keys::read_now;
use crate::store::{Restart, StateChange, Store, StoreError};
use crate::terminal::Prompt;

/// The store's own value that tells of the last restore.
const LAST_KEY: &str = "restore.last";
const PATH: &str = "/strongroom/v1/restore";
/// Revisions that are passed over at least: more than are given out in the time between two restores' starts.
const LEAST_GAP: u64 = 1_000_000;
/// Revisions of a millisecond: no store gives out so many. What goes on from a backup begins at the revision of its time, so that
/// of two that go on from the same backup, none gives out what the other did.
const REVISIONS_PER_MILLI: u64 = 1_000;
/// Bits of an epoch that are chance; the others are the time.
const CHANCE_BITS: u32 = 20;

/// What is asked for.
pub struct RestoreOptions<'a> {
    /// The file.
    pub backup: &'a Path,
    /// What decrypts it.
    pub identities: &'a [Identity],
    /// What opens it.
    pub with: &'a OpenWith,
    /// Whether a home that is there may go back to it.
    pub accept_rollback: bool,
}

/// What was done.
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// The revision that the store goes on behind.
    pub revision: u64,
    /// Where what was in the home's place is kept.
    pub kept: Option<PathBuf>,
}

/// What a restore left in the store.
pub struct LastRestore {
    /// When, RFC 3339.
    pub restored: String,
    /// When the backup was made, RFC 3339.
    pub created: String,
    /// The name of the folder in the home in which what was there before may be.
    pub before: String,
}

/// What stands in a home that is to be restored into.
enum Former {
    /// The same store.
    Known(Box<Head>),
    /// It cannot be told what.
    Unknown(String),
}

/// See the module. Keeps the home's lock while it works.
pub async fn restore(
    paths: &HomePaths,
    options: &RestoreOptions<'_>,
    clock: SharedClock,
    prompt: &mut dyn Prompt,
    advance: &mut dyn FnMut(u64),
) -> Result<Restored, ServeError> {
    let _file_size = lifecycle::survive_file_size_limit()?;
    home::prepare(paths)?;
    let lock = HomeLock::take(&paths.lock())?;
    finish(paths)?;
    home::clean(paths, options.with.unlock.key_files());
    let place = paths.restoring();
    let time = free_time(paths, clock.unix_seconds());
    let made = prepare(paths, (&place, &time), options, &clock, prompt, advance).await;
    let (manifest, revision) = match made {
        Ok(made) => made,
        Err(error) => {
            clean(paths);
            return Err(error);
        }
    };
    let ready = paths.root().join(format!("{}{time}", HomePaths::RESTORED_PREFIX));
    failpoint::reached("restore.before-decision");
    fs::rename(&place, &ready).and_then(|()| sync(paths.root())).map_err(|error| unusable(&ready, error))?;
    failpoint::reached("restore.after-decision");
    let kept = finish(paths)?;
    drop(lock);
    Ok(Restored { manifest, revision, kept })
}

/// Everything that changes nothing yet: what is in `place` then is what the home is to have.
async fn prepare(
    paths: &HomePaths,
    (place, time): (&Path, &str),
    options: &RestoreOptions<'_>,
    clock: &SharedClock,
    prompt: &mut dyn Prompt,
    advance: &mut dyn FnMut(u64),
) -> Result<(Manifest, u64), ServeError> {
    let RestoreOptions { backup, identities, with, accept_rollback } = options;
    if is_mount_point(&paths.audit()) {
        return Err(BackupError::MountedLog(paths.audit()).into());
    }
    let is_there = |path: PathBuf| fs::symlink_metadata(path).is_ok();
    let has_store = is_there(paths.database()) || is_there(paths.write_ahead_log());
    let header = extract(backup, identities, place, advance)?;
    let manifest = header.manifest.clone();
    let (keyring, secret) = authenticate(backup, &header, place, with, paths.root(), prompt)?;
    let former = if has_store { Some(former(paths, &manifest, &secret)?) } else { None };
    if let Some(former) = &former
        && !accept_rollback
    {
        return Err(BackupError::WouldGoBack(would_lose(paths, former, &manifest)).into());
    }
    let (store, _) = examine(backup, &manifest, place, keyring, std::sync::Arc::clone(clock)).await?;
    let known = match &former {
        Some(Former::Known(head)) => Some(&**head),
        _ => None,
    };
    let revision = go_on(&store, (&manifest, time), known, clock).await;
    // Closed in any case: the file stands alone then.
    let closed = store.close().await.map_err(ServeError::store);
    let revision = revision?;
    closed?;
    let mut log = place.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return Err(unusable(Path::new(&log), io::Error::other("the database could not be written whole")));
    }
    File::open(place).and_then(|file| file.sync_all()).map_err(|error| unusable(place, error))?;
    Ok((manifest, revision))
}

/// What is in the home, as far as the backup's secret opens it. Another store is an error.
fn former(paths: &HomePaths, manifest: &Manifest, secret: &keys::Secret) -> Result<Former, ServeError> {
    let material = match read_now(&paths.database()) {
        Ok(material) => material,
        Err(error) => return Ok(Former::Unknown(format!("it cannot be read ({error})"))),
    };
    if material.store_id != manifest.store_id {
        let home = paths.root().to_owned();
        let (there, in_backup) = (hex::encode(material.store_id), hex::encode(manifest.store_id));
        return Err(BackupError::OtherStore { home, there, in_backup }.into());
    }
    let head = keys::open(secret, &material)
        .map_err(|error| error.to_string())
        .and_then(|keyring| read_head(&paths.database(), &keyring).map_err(|error| error.to_string()));
    Ok(head.map_or_else(
        |error| Former::Unknown(format!("its head cannot be opened ({error})")),
        |head| Former::Known(Box::new(head)),
    ))
}

fn would_lose(paths: &HomePaths, former: &Former, manifest: &Manifest) -> String {
    let what = match former {
        Former::Unknown(why) => {
            format!("holds a store, but how far that has come cannot be told: {why}")
        }
        Former::Known(head) if head.restore_epoch != manifest.restore_epoch => format!(
            "holds this store, which went on from another backup since this one was made: everything that was changed \
             since {} would be lost",
            manifest.created()
        ),
        Former::Known(head) if head.revision > manifest.revision => format!(
            "holds this store with {} changes that were made since the backup ({}): they would be lost",
            head.revision - manifest.revision,
            manifest.created()
        ),
        Former::Known(head) if head.sequence > manifest.sequence => format!(
            "holds this store with {} commits since the backup ({}): what they changed of sessions and credentials would be lost",
            head.sequence - manifest.sequence,
            manifest.created()
        ),
        Former::Known(_) => "holds this store, in which nothing was changed since the backup".to_owned(),
    };
    format!(
        "{} {what}. Nothing was done. To go back all the same, give --accept-rollback (what is there is kept beside it); or \
         restore into an empty directory",
        paths.root().display()
    )
}

/// Has the store go on in another epoch, with a record of it. Returns the revision that it goes on behind.
async fn go_on(
    store: &Store,
    (manifest, time): (&Manifest, &str),
    former: Option<&Head>,
    clock: &SharedClock,
) -> Result<u64, ServeError> {
    let mut chance = [0; 4];
    getrandom::fill(&mut chance).map_err(|_| ServeError::Random)?;
    let now = clock.unix_seconds();
    let record = json!({
        "restored": jiff::Timestamp::from_second(now).unwrap_or_default().to_string(),
        "created": manifest.created(),
        "before": format!("before-restore-{time}"),
    });
    let facts = RequestFacts::own(clock.unix_millis());
    facts.annotate(
        audit::RESTORED,
        format!("backup of {}, sequence {}, revision {}", manifest.created(), manifest.sequence, manifest.revision),
    );
    let attributes = Attributes::path("create", PATH);
    let restart = Restart {
        epoch: next_epoch(
            [manifest.restore_epoch, former.map_or(0, |head| head.restore_epoch)],
            now,
            u32::from_be_bytes(chance),
        ),
        revision: next_revision([manifest.revision, former.map_or(0, |head| head.revision)], clock.unix_millis()),
        sequence: former.map_or(0, |head| head.sequence),
        state: vec![
            StateChange::put(LAST_KEY, SecretBytes::new(record.to_string().into_bytes())),
            // The next start makes another token. That of the time of the backup may have been replaced with reason.
            StateChange::remove(ADMIN_STATE_KEY),
            // The log that it is about stays with what was in the home before.
            StateChange::remove(anchor::STATE_KEY),
        ],
        audit: audit::mutation(&facts, &User::system("restore"), &attributes, "restore", "", 200),
    };
    let revision = restart.revision;
    store.restart(restart).await.map_err(ServeError::store)?;
    Ok(revision)
}

/// Higher than those before, and another one for each restore, also for two of the same backup into different homes: what one
/// of them issues must not be valid in the other.
fn next_epoch(former: [u64; 2], now_unix_seconds: i64, chance: u32) -> u64 {
    let seconds = u64::try_from(now_unix_seconds).unwrap_or_default();
    let of_time = (seconds << CHANCE_BITS) | u64::from(chance & ((1 << CHANCE_BITS) - 1));
    let [one, other] = former;
    of_time.max(one.max(other) + 1)
}

/// See [`REVISIONS_PER_MILLI`].
fn next_revision(former: [u64; 2], now_unix_millis: i64) -> u64 {
    let millis = u64::try_from(now_unix_millis).unwrap_or_default();
    let [one, other] = former;
    millis.saturating_mul(REVISIONS_PER_MILLI).max(one.max(other) + LEAST_GAP)
}

/// What the last restore left in the store, if there was one.
#[expect(clippy::disallowed_methods, reason = "times and the name of a folder are no secret")]
pub fn last(store: &Store) -> Result<Option<LastRestore>, StoreError> {
    let Some(value) = store.read_state(LAST_KEY)? else { return Ok(None) };
    let value: Value = serde_json::from_slice(value.expose()).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(LastRestore { restored: text("restored"), created: text("created"), before: text("before") }))
}

/// A time for names in the home that none there has: two restores may be of one second.
fn free_time(paths: &HomePaths, now_unix_seconds: i64) -> String {
    let times = (now_unix_seconds..).map(compact_time);
    times.into_iter().find(|time| !paths.before_restore(time).exists()).unwrap_or_default()
}

/// Whether a restore is done but for its last steps.
pub fn is_pending(paths: &HomePaths) -> bool {
    pending(paths).is_ok_and(|found| found.is_some())
}

fn pending(paths: &HomePaths) -> io::Result<Option<(PathBuf, String)>> {
    let entries = match fs::read_dir(paths.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(HomePaths::RESTORED_PREFIX));
        // Not a copy that somebody has made, under a name of their own.
        if let Some(time) = time.filter(|time| is_compact_time(time)) {
            return Ok(Some((entry.path(), time.to_owned())));
        }
    }
    Ok(None)
}

/// Finishes a restore that was decided: moves what is there aside and puts the database in its place. May be cut off anywhere
/// and called again. Returns where what was there is. The caller holds the home's lock.
pub fn finish(paths: &HomePaths) -> Result<Option<PathBuf>, ServeError> {
    finish_in(paths, usize::MAX)
        .map_err(|error| BackupError::Unfinished { path: paths.root().to_owned(), source: error }.into())
}

/// Nothing that is mounted can be renamed, nor anything moved to another file system.
fn is_mount_point(path: &Path) -> bool {
    let facts = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
    facts.is_ok_and(|facts| facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// At most so many steps, for the tests.
fn finish_in(paths: &HomePaths, mut steps: usize) -> io::Result<Option<PathBuf>> {
    let Some((ready, time)) = pending(paths)? else { return Ok(None) };
    let kept = paths.before_restore(&time);
    let mut shared_memory = paths.database().into_os_string();
    shared_memory.push("-shm");
    for from in [paths.write_ahead_log(), PathBuf::from(shared_memory), paths.database(), paths.audit()] {
        if fs::symlink_metadata(&from).is_err() {
            continue;
        }
        if steps == 0 {
            return Ok(None);
        }
        steps -= 1;
        match fs::DirBuilder::new().mode(0o700).create(&kept) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::rename(&from, kept.join(from.file_name().unwrap_or_default()))?;
        failpoint::reached("restore.moved-aside");
        sync(&kept)?;
        sync(paths.root())?;
    }
    if steps == 0 {
        return Ok(None);
    }
    fs::rename(&ready, paths.database())?;
    failpoint::reached("restore.in-place");
    sync(paths.root())?;
    let is_kept = fs::symlink_metadata(&kept).is_ok();
    tracing::info!(
        kept = is_kept.then(|| tracing::field::display(kept.display())),
        "a backup was put in the home's place"
    );
    Ok(Some(kept).filter(|_| is_kept))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Takes away what a restore that was cut off has begun. The caller holds the home's lock.
pub fn clean(paths: &HomePaths) {
    for ending in ["", "-journal", "-wal", "-shm"] {
        let mut name = paths.restoring().into_os_string();
        name.push(ending);
        let _ = fs::remove_file(name);
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
