//! Opening a home, for the server and for commands that work while none runs.

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::{AuditConfig, DataKeyAge, EventTtl, History, HomePaths, PasswordMemory, TokenIssuer, UnlockConfig};
use crate::crypto::{Argon2Cost, SlotLimits, make_unlock_key};
use crate::terminal::Prompt;

use super::ServeError;
use super::assembly::{self, Assembly, Settings};
use super::audit_log::{self, AuditReport};
use super::backup;
use super::first_steps::{IN_THE_HOME, Opener};
use super::home;
use super::lifecycle::Signals;
use super::lock::HomeLock;
use super::root_key;
use super::unlock::{self, Form, Origin, Stage, UnlockSource, UnlockSourceError};
use crate::keys::OpenKeys;

const SHORT_PASSPHRASE_BYTES: usize = 12;
/// What a command reads, it reads once.
const CACHE_BYTES: usize = 1024 * 1024;

/// A home that this process owns and whose keys are open.
pub struct UnlockedHome {
    /// Held as long as the home is used.
    pub lock: HomeLock,
    /// The keys.
    pub keys: OpenKeys,
    /// How it was come by.
    pub opener: Opener,
}

/// A home that this process owns.
#[expect(clippy::large_enum_variant, reason = "there is one of it, once")]
pub enum Begun {
    /// Its keys are open.
    Unlocked(UnlockedHome),
    /// It waits for somebody to unseal it: why.
    Sealed(HomeLock, &'static str),
}

/// As [`unlock`], for a server, which makes a home where there is none. With `sealed`, or where only a person knows the
/// secret and none is there to be asked, the home stays sealed.
pub async fn begin(
    paths: &HomePaths,
    config: UnlockConfig,
    clock: &SharedClock,
    prompt: &mut dyn Prompt,
    sealed: bool,
) -> Result<Begun, ServeError> {
    if sealed {
        if home::is_new(paths)? {
            return Err(ServeError::NothingToSeal(paths.root().to_owned()));
        }
        return Ok(Begun::Sealed(own(paths, &config)?, "it was started sealed"));
    }
    let must_ask = config.prompt;
    let lock = own(paths, &config)?;
    match unlock_owned(paths, config, clock, prompt, true).await {
        Ok((keys, opener)) => Ok(Begun::Unlocked(UnlockedHome { lock, keys, opener })),
        Err(ServeError::UnlockSource(UnlockSourceError::NoTerminal)) if !must_ask && !home::is_new(paths)? => {
            tracing::warn!("the home takes a passphrase and nobody is there to be asked: it stays sealed");
            Ok(Begun::Sealed(lock, "the home takes a passphrase, and nobody was there to be asked"))
        }
        Err(ServeError::UnlockSource(UnlockSourceError::RecoveryAlone)) => {
            tracing::warn!("nothing but its recovery key opens the home: it stays sealed");
            Ok(Begun::Sealed(lock, "nothing but its recovery key opens the home"))
        }
        Err(error) => Err(error),
    }
}

/// Takes the lock, finds the unlock secret and opens the keys. Only where there is no store yet, and `may_create`
/// says so, one is made. A wrong secret changes nothing.
pub async fn unlock(
    paths: &HomePaths,
    config: UnlockConfig,
    clock: &SharedClock,
    prompt: &mut dyn Prompt,
    may_create: bool,
) -> Result<UnlockedHome, ServeError> {
    if !may_create && home::is_new(paths)? {
        return Err(ServeError::NoHome(paths.root().to_owned()));
    }
    let lock = own(paths, &config)?;
    let (keys, opener) = unlock_owned(paths, config, clock, prompt, may_create).await?;
    Ok(UnlockedHome { lock, keys, opener })
}

/// Takes the lock, and clears away what a killed process has left.
fn own(paths: &HomePaths, config: &UnlockConfig) -> Result<HomeLock, ServeError> {
    home::prepare(paths)?;
    let lock = HomeLock::take(&paths.lock())?;
    backup::finish_restore(paths)?;
    home::clean(paths, config.key_files());
    Ok(lock)
}

async fn unlock_owned(
    paths: &HomePaths,
    config: UnlockConfig,
    clock: &SharedClock,
    prompt: &mut dyn Prompt,
    may_create: bool,
) -> Result<(OpenKeys, Opener), ServeError> {
    let make_key = || make_unlock_key().ok();
    // Asked again, now that nobody else can make or move it.
    Ok(if !home::is_new(paths)? {
        let stored = assembly::read_keys(paths).await?;
        let slots = root_key::read_slots(stored.slots.iter().map(Vec::as_slice))?;
        if slots.is_empty() {
            // No recovery key opens it either: to wait for one, sealed, would be for nothing.
            return Err(root_key::RootKeyError::NoSlot.into());
        }
        let stage = root_key::stage(&slots);
        let source = unlock::resolve(&config, paths.root(), stage, &make_key, prompt)?;
        let limits = SlotLimits::default();
        let (keyring, opened) = root_key::open(slots, &source, stored.store_id, &stored.wrapped, &limits)?;
        warn_about(&source);
        (OpenKeys { keyring, opened }, source.into_opener())
    } else if may_create {
        let source = unlock::resolve(&config, paths.root(), Stage::FirstStart, &make_key, prompt)?;
        let keys = root_key::make(&source, Argon2Cost::DEFAULT, clock.unix_seconds())?;
        assembly::create(paths, &keys).await?;
        warn_about(&source);
        warn_about_length(&source);
        (OpenKeys { keyring: keys.keyring, opened: keys.opened }, source.into_opener())
    } else {
        return Err(ServeError::NoHome(paths.root().to_owned()));
    })
}

/// Replaces the administrator's token while no server runs.
pub async fn rotate_admin_token(
    paths: &HomePaths,
    config: UnlockConfig,
    clock: SharedClock,
    prompt: &mut dyn Prompt,
) -> Result<(), ServeError> {
    // A signal in between would end the process with the terminal silent, or the token half replaced.
    let _signals = Signals::install()?;
    let unlocked = unlock(paths, config, &clock, prompt, false).await?;
    let settings = Settings {
        cache_bytes: CACHE_BYTES,
        watches_per_user: 0,
        swagger_ui: false,
        redact_lists: false,
        event_ttl: EventTtl::default(),
        // A command does what it was asked to, and nothing besides.
        data_key_age: DataKeyAge::NEVER,
        history: History::default(),
        audit: AuditConfig::default(),
        backup: None,
        token_issuer: TokenIssuer::default(),
        sync: false,
        issuing: false,
        legacy_tokens: false,
        password_memory: PasswordMemory::default(),
        outside_issuers: Vec::new(),
        seal: Arc::new(|| ()),
    };
    let assembly = Assembly::open(paths, unlocked.keys, clock, settings).await?;
    let rotated = assembly.rotate_admin_token().await;
    assembly.close().await?;
    rotated
}

/// Checks the audit log while no server runs.
pub async fn verify_audit(
    paths: &HomePaths,
    config: UnlockConfig,
    clock: SharedClock,
    prompt: &mut dyn Prompt,
) -> Result<AuditReport, ServeError> {
    let unlocked = unlock(paths, config, &clock, prompt, false).await?;
    audit_log::verify(paths, unlocked.keys.keyring, clock).await
}

fn warn_about(source: &UnlockSource) {
    if let Some(path) = source.path.as_ref().filter(|_| source.is_new) {
        tracing::info!(file = %path.display(), "a key file was made");
    }
    if source.colocated {
        tracing::warn!("{IN_THE_HOME}");
    }
    if source.origin == Origin::Environment {
        tracing::warn!("the passphrase came from the environment, which other processes may read");
    }
}

fn warn_about_length(source: &UnlockSource) {
    if source.form == Form::Passphrase && source.secret.len() < SHORT_PASSPHRASE_BYTES {
        tracing::warn!("the passphrase has fewer than 12 characters: whoever gets the database may guess it");
    }
}
