//! Which passwords are taken.
//!
//! Length and guessability count; no character is asked for. What is wrong with a password is said by rule, never by
//! showing it, and every copy made on the way is wiped.

use std::collections::HashSet;
use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::sensitive::SecretBytes;

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

#[cfg(test)]
#[path = "password_policy_tests.rs"]
mod tests;
