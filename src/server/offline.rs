//! Opening a home, for the server and for commands that work while none runs.

use crate::clock::SharedClock;
use crate::config::{AuditConfig, DataKeyAge, EventTtl, History, HomePaths, PasswordMemory, TokenIssuer, UnlockConfig};
use crate::crypto::{Argon2Cost, Keyring, SlotLimits, make_unlock_key};
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
use super::unlock::{self, Form, Origin, Stage, UnlockSource};
use crate::keys::Opened;

const SHORT_PASSPHRASE_BYTES: usize = 12;
/// What a command reads, it reads once.
const CACHE_BYTES: usize = 1024 * 1024;

/// A home that this process owns and whose keys are open.
pub struct UnlockedHome {
    /// Held as long as the home is used.
    pub lock: HomeLock,
    /// The keys.
    pub keyring: Keyring,
    /// What opened them.
    pub opened: Opened,
    /// How it was come by.
    pub opener: Opener,
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
    home::prepare(paths)?;
    let lock = HomeLock::take(&paths.lock())?;
    backup::finish_restore(paths)?;
    home::clean(paths, config.key_files());
    let make_key = || make_unlock_key().ok();
    // Asked again, now that nobody else can make or move it.
    let (keyring, opened, opener) = if !home::is_new(paths)? {
        let stored = assembly::read_keys(paths).await?;
        let slots = root_key::read_slots(stored.slots.iter().map(Vec::as_slice))?;
        let stage = root_key::stage(&slots);
        let source = unlock::resolve(&config, paths.root(), stage, &make_key, prompt)?;
        let limits = SlotLimits::default();
        let (keyring, opened) = root_key::open(slots, &source, stored.store_id, &stored.wrapped, &limits)?;
        warn_about(&source);
        (keyring, opened, source.into_opener())
    } else if may_create {
        let source = unlock::resolve(&config, paths.root(), Stage::FirstStart, &make_key, prompt)?;
        let keys = root_key::make(&source, Argon2Cost::DEFAULT, clock.unix_seconds())?;
        assembly::create(paths, &keys).await?;
        warn_about(&source);
        warn_about_length(&source);
        (keys.keyring, keys.opened, source.into_opener())
    } else {
        return Err(ServeError::NoHome(paths.root().to_owned()));
    };
    Ok(UnlockedHome { lock, keyring, opened, opener })
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
    };
    let assembly = Assembly::open(paths, unlocked.keyring, unlocked.opened, clock, settings).await?;
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
    audit_log::verify(paths, unlocked.keyring, clock).await
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
