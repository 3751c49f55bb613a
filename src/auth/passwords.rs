//! Passwords: which are taken, how they are hashed without holding up requests, and how their hashes are stored.
//!
//! Never logs or returns a password. Copies made on the way are wiped. What is wrong with one is said by rule, not by
//! showing it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::sensitive::SecretBytes;
use crate::store::StateChange;

/// Passwords that everybody tries first, in lower case; of twelve bytes and more, for shorter ones are refused anyway.
const COMMON: &str = include_str!("common_passwords.txt");
/// Words that do not become a password by being repeated or by what is put before and after them.
const WORDS: &[&str] = &[
    "password",
    "passwort",
    "passphrase",
    "passcode",
    "pass",
    "motdepasse",
    "contrasena",
    "welcome",
    "willkommen",
    "qwerty",
    "qwertz",
    "azerty",
    "letmein",
    "admin",
    "administrator",
    "root",
    "superuser",
    "user",
    "username",
    "guest",
    "login",
    "default",
    "changeme",
    "changeit",
    "change",
    "please",
    "secret",
    "secrets",
    "supersecret",
    "topsecret",
    "test",
    "testing",
    "tester",
    "demo",
    "example",
    "sample",
    "temp",
    "temporary",
    "master",
    "kubernetes",
    "strongroom",
    "vault",
    "docker",
    "company",
    "server",
    "database",
    "postgres",
    "production",
    "development",
    "staging",
    "service",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "iloveyou",
    "love",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "basketball",
    "sunshine",
    "princess",
    "superman",
    "batman",
    "shadow",
    "hello",
    "world",
    "computer",
    "internet",
    "abc",
    "my",
    "the",
    "this",
    "is",
    "new",
    "your",
    "super",
    "very",
    "one",
    "me",
    "in",
    "a",
    "i",
];
/// What lies side by side on keyboards, in the alphabet and among the digits.
const RUNS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "!@#$%^&*()_+",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "!qaz@wsx#edc$rfv",
];

const MIN_BYTES: usize = 12;
const MAX_BYTES: usize = 1024;
/// Characters that must be left of a password when the user's name is taken out.
const LEFT_WITHOUT_NAME: usize = 8;
const DIFFERENT_CHARS: usize = 5;
/// A password of so few runs of neighbours is no password, however long.
const RUNS_MAX: usize = 4;

const WAITING_MAX: usize = 32;
const WAIT: Duration = Duration::from_secs(3);

/// A password in composed form (NFC), so that it is the same from every keyboard. `None` if it is not text, or longer
/// than any password.
#[expect(clippy::disallowed_methods, reason = "the password is read to be composed")]
pub fn normalise(password: &SecretBytes) -> Option<SecretBytes> {
    let text = std::str::from_utf8(password.expose()).ok().filter(|text| text.len() <= MAX_BYTES)?;
    // Composition makes a text at most three times as long; growing would leave copies behind.
    let mut composed = Zeroizing::new(String::with_capacity(text.len() * 3));
    composed.extend(text.nfc());
    Some(SecretBytes::new(std::mem::take(&mut *composed).into_bytes()))
}

/// Why a normalised password is not taken for the user of this name.
#[expect(clippy::disallowed_methods, reason = "the password is read to be judged")]
pub fn policy_problem(user: &str, password: &SecretBytes) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(password.expose()) else { return Some("the password must be text") };
    if !(MIN_BYTES..=MAX_BYTES).contains(&text.len()) {
        return Some("the password must have 12 to 1024 bytes");
    }
    if text.chars().any(char::is_control) {
        return Some("the password must not contain control characters");
    }
    let lower = Zeroizing::new(text.to_lowercase());
    if is_mostly_name(user, &lower) {
        return Some("the password must not be the user's name with little else");
    }
    if is_repetitive(&lower) {
        return Some("the password must not repeat a few characters");
    }
    if runs(&lower) <= RUNS_MAX {
        return Some("the password must not consist of neighbouring keys, letters or digits");
    }
    if is_common(&lower) {
        return Some("the password is one of those that everybody tries first");
    }
    None
}

fn is_mostly_name(user: &str, lower: &str) -> bool {
    let user = user.to_lowercase();
    let first = user.split('@').next().unwrap_or_default();
    [user.as_str(), first].into_iter().filter(|name| name.chars().count() >= 3).any(|name| {
        let rest = Zeroizing::new(lower.replace(name, ""));
        rest.len() < lower.len() && rest.chars().count() < LEFT_WITHOUT_NAME
    })
}

fn is_repetitive(lower: &str) -> bool {
    let chars = Zeroizing::new(lower.chars().collect::<Vec<char>>());
    let has_period = |period: usize| chars.iter().zip(chars.iter().skip(period)).all(|(one, other)| one == other);
    let mut different = Zeroizing::new(chars.to_vec());
    different.sort_unstable();
    different.dedup();
    different.len() < DIFFERENT_CHARS || (1..=4).any(has_period)
}

/// Into how few runs of equal or neighbouring characters a text falls.
fn runs(lower: &str) -> usize {
    let neighbours = |one: char, other: char| {
        one == other
            || RUNS.iter().any(|run| {
                run.chars().zip(run.chars().skip(1)).any(|pair| pair == (one, other) || pair == (other, one))
            })
    };
    1 + lower.chars().zip(lower.chars().skip(1)).filter(|(one, other)| !neighbours(*one, *other)).count()
}

fn is_common(lower: &str) -> bool {
    static FOLDED: OnceLock<HashSet<String>> = OnceLock::new();
    let common = FOLDED.get_or_init(|| COMMON.lines().map(fold).collect());
    if common.contains(&*Zeroizing::new(fold(lower))) {
        return true;
    }
    let core = Zeroizing::new(fold(lower.trim_matches(|c: char| !c.is_alphabetic())));
    consists_of_words(&core)
}

/// Letters and digits alone, with the usual digits and signs for letters undone.
fn fold(lower: &str) -> String {
    let mut folded = String::with_capacity(lower.len());
    folded.extend(lower.chars().filter_map(|c| match c {
        '0' => Some('o'),
        '1' | '!' | 'l' | '|' => Some('i'),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' => Some('t'),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    }));
    folded
}

/// Whether a folded text is one of the words, or some of them in a row.
fn consists_of_words(core: &str) -> bool {
    static FOLDED: OnceLock<Vec<String>> = OnceLock::new();
    let words = FOLDED.get_or_init(|| WORDS.iter().map(|word| fold(word)).collect());
    // Where a word may begin: reached from the start by words alone.
    let mut reached = vec![false; core.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for at in 0..core.len() {
        if reached.get(at) != Some(&true) {
            continue;
        }
        let Some(rest) = core.get(at..) else { continue };
        for word in words.iter().filter(|word| rest.starts_with(word.as_str())) {
            if let Some(end) = reached.get_mut(at + word.len()) {
                *end = true;
            }
        }
    }
    reached.last() == Some(&true)
}

/// Too many passwords are being hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Seconds after which to try again.
    pub retry_after_seconds: u32,
}

/// Hashing, off the workers and only so many at once: each takes megabytes and a core for a tenth of a second.
pub struct HashingQueue {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    wait: Duration,
}

impl HashingQueue {
    /// Half of the processors hash at most.
    pub fn new(processors: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new((processors / 2).max(1))), waiting: AtomicUsize::new(0), wait: WAIT }
    }

    /// Runs `work` when it is its turn. Work that has begun goes on if the caller goes away.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        const BUSY: Busy = Busy { retry_after_seconds: 2 };
        let permit = {
            let _place = Place::take(&self.waiting).ok_or(BUSY)?;
            let permit = tokio::time::timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await;
            permit.map_err(|_| BUSY)?.map_err(|_| BUSY)?
        };
        let hashing = tokio::task::spawn_blocking(move || {
            let made = work();
            drop(permit);
            made
        });
        hashing.await.map_err(|_| BUSY)
    }
}

#[cfg(test)]
impl HashingQueue {
    /// Puts one in its place whose turn never comes.
    pub fn blocked_for_test(&mut self) -> Self {
        let blocked =
            Self { permits: Arc::new(Semaphore::new(0)), waiting: AtomicUsize::new(0), wait: Duration::from_millis(1) };
        std::mem::replace(self, blocked)
    }
}

/// A place in the queue, free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A user's password as it is stored.
pub struct StoredPassword {
    /// The hash, a PHC string.
    pub phc: SecretBytes,
    /// Which password it is: sessions of another one are over. Random and not 0; only equality counts.
    pub generation: u64,
    /// When it was set, seconds since the epoch.
    pub set_at: i64,
}

/// Key of the sealed row that holds a user's password. Remove it in the transaction that deletes the User.
pub fn password_key(uid: &str) -> String {
    format!("password/{uid}")
}

/// Stores the hash of a password, in the same transaction as the User.
#[expect(clippy::disallowed_methods, reason = "the hash goes into the text that is sealed")]
pub fn password_row(uid: &str, phc: &SecretBytes, generation: u64, set_at_unix_seconds: i64) -> StateChange {
    let phc = std::str::from_utf8(phc.expose()).unwrap_or_default();
    let row = Row { phc, generation, set_at: set_at_unix_seconds };
    // A struct of text and numbers always serialises.
    let text = serde_json::to_vec(&row).unwrap_or_default();
    StateChange::put(password_key(uid), SecretBytes::new(text))
}

#[derive(Serialize)]
struct Row<'a> {
    phc: &'a str,
    generation: u64,
    set_at: i64,
}

#[derive(Deserialize)]
struct OwnedRow {
    phc: String,
    generation: u64,
    set_at: i64,
}

impl StoredPassword {
    /// Reads what [`password_row`] wrote.
    #[expect(clippy::disallowed_methods, reason = "the sealed text is read into its parts")]
    pub fn decode(row: &SecretBytes) -> Option<Self> {
        let OwnedRow { mut phc, generation, set_at } = serde_json::from_slice(row.expose()).ok()?;
        let hash = SecretBytes::new(phc.as_bytes().to_vec());
        phc.zeroize();
        Some(Self { phc: hash, generation, set_at })
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
