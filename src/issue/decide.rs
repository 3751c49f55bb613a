//! What is to be done about a Secret that an object makes. Pure: the time is a parameter, and nothing is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::certificate::{self, SecretTemplate};
use crate::model::generated_secret::{self, PREVIOUS};
use crate::model::secret_owner::Marks;

const BACKOFF_FIRST: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_hours(1);
/// Hexadecimal digits of a fingerprint.
const FINGERPRINT: usize = 16;

/// What asks for another certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no Secret.
    Missing,
    /// It holds no certificate with its key.
    Unusable,
    /// Another certificate is asked for.
    Changed,
    /// Somebody asked for it now.
    Requested,
    /// It is time.
    Due,
    /// It begins in the future: the clock was ahead when it was issued.
    NotYetValid,
}

impl Cause {
    /// In words.
    pub fn why(self) -> &'static str {
        match self {
            Self::Missing => "there was no Secret",
            Self::Unusable => "the Secret held no certificate with its key",
            Self::Changed => "another certificate is asked for",
            Self::Requested => "it was asked for by annotation",
            Self::Due => "the former one ends soon",
            Self::NotYetValid => "the former one begins in the future",
        }
    }
}

/// What is to be done about a certificate.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// The same certificate, with other labels and annotations.
    Relabel,
    /// Another certificate.
    Issue(Cause),
    /// Nothing: the Secret is somebody else's, as this says.
    Refuse(String),
}

/// A certificate's Secret as it is.
#[derive(Debug, Clone)]
pub struct Held<'a> {
    /// Whose it is, and what it was made for.
    pub marks: &'a Marks,
    /// From when and until when its certificate is valid, if it holds one with its key.
    pub valid: Option<(i64, i64)>,
}

/// A text that stands for a wish: another wish, another text.
pub fn fingerprint(wish: &str) -> String {
    let mut text = hex::encode(Sha256::digest(wish.as_bytes()));
    text.truncate(FINGERPRINT);
    text
}

fn of_template(template: &SecretTemplate) -> String {
    fingerprint(&json!([template.labels, template.annotations]).to_string())
}

/// The mark of what a certificate was issued for, and with which labels.
pub fn certificate_wish(spec: &certificate::Spec) -> String {
    format!("{}.{}", fingerprint(&spec.wish()), of_template(&spec.template))
}

/// When a certificate is renewed.
pub fn renewal_time((not_before, not_after): (i64, i64), renew_before: Option<Duration>) -> i64 {
    let life_seconds = not_after.saturating_sub(not_before);
    let asked = renew_before.and_then(|before| i64::try_from(before.as_secs()).ok());
    // The issuer may have bounded it to less than was reckoned with.
    let before = asked.filter(|before| *before < life_seconds).unwrap_or(life_seconds / 3);
    not_after.saturating_sub(before)
}

/// Whose a Secret is, where it is not `owner`'s.
fn refusal(marks: &Marks, owner: &str) -> Option<String> {
    if marks.by == owner {
        return None;
    }
    Some(if marks.by.is_empty() {
        "the Secret is there already, and was not made for this: delete it, or give it away by annotation \
         strongroom.dev/issued-by"
            .to_owned()
    } else {
        format!("the Secret is made for {}", marks.by)
    })
}

/// What to do about a certificate. `issuer_end`, until when the issuer is valid, is asked for only where it matters.
pub fn certificate(
    spec: &certificate::Spec,
    owner: &str,
    requested: &str,
    held: Option<&Held<'_>>,
    now: i64,
    issuer_end: impl FnOnce() -> Option<i64>,
) -> Step {
    let Some(held) = held else { return Step::Issue(Cause::Missing) };
    if let Some(refusal) = refusal(held.marks, owner) {
        return Step::Refuse(refusal);
    }
    let Some((not_before, not_after)) = held.valid else { return Step::Issue(Cause::Unusable) };
    let wish = certificate_wish(spec);
    let content = |wish: &str| wish.split('.').next().unwrap_or_default().to_owned();
    if content(&wish) != content(&held.marks.wish) {
        return Step::Issue(Cause::Changed);
    }
    if !requested.is_empty() && requested != held.marks.request {
        return Step::Issue(Cause::Requested);
    }
    if now < not_before {
        return Step::Issue(Cause::NotYetValid);
    }
    if now >= renewal_time((not_before, not_after), spec.renew_before) {
        // A new one would end no later.
        let is_bounded = issuer_end().is_some_and(|end| not_after >= end);
        if !is_bounded || now >= not_after {
            return Step::Issue(Cause::Due);
        }
    }
    if wish == held.marks.wish { Step::Keep } else { Step::Relabel }
}

/// What is to be done about generated values.
#[derive(Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing.
    Keep,
    /// The Secret is written, with new values for these keys.
    Write {
        /// Keys that get a new value.
        fresh: BTreeSet<String>,
        /// Whether every key does, so that the interval begins anew.
        is_whole: bool,
    },
    /// Nothing: the Secret is somebody else's, as this says.
    Refuse(String),
}

/// The mark of what values were generated for.
pub fn generated_wish(spec: &generated_secret::Spec) -> String {
    let keys: BTreeMap<&str, String> =
        spec.keys.iter().map(|key| (key.name.as_str(), fingerprint(&key.wish()))).collect();
    json!({
        "keys": keys,
        "more": fingerprint(&json!([of_template(&spec.template), spec.keeps_previous, spec.secret_type]).to_string()),
    })
    .to_string()
}

/// When values are made anew, of those that were made at `at`. A clock that was ahead does not put it off.
pub fn rotation_time(spec: &generated_secret::Spec, at: Option<i64>, now: i64) -> Option<i64> {
    let interval = i64::try_from(spec.rotation_interval?.as_secs()).unwrap_or(i64::MAX);
    Some(at.unwrap_or(now).min(now).saturating_add(interval))
}

/// What to do about generated values. `present` are the keys that the Secret has; `None`: there is no Secret.
pub fn generated(
    spec: &generated_secret::Spec,
    owner: &str,
    requested: &str,
    held: Option<(&Marks, &BTreeSet<String>)>,
    now: i64,
) -> Rotation {
    let all = || spec.keys.iter().map(|key| key.name.clone()).collect();
    let Some((marks, present)) = held else { return Rotation::Write { fresh: all(), is_whole: true } };
    if let Some(refusal) = refusal(marks, owner) {
        return Rotation::Refuse(refusal);
    }
    let is_due = rotation_time(spec, marks.at, now).is_some_and(|due| now >= due);
    if is_due || (!requested.is_empty() && requested != marks.request) {
        return Rotation::Write { fresh: all(), is_whole: true };
    }
    let made_for: Value = serde_json::from_str(&marks.wish).unwrap_or_default();
    let is_as_asked = |key: &generated_secret::Key| {
        let before = made_for.get("keys").and_then(|keys| keys.get(&key.name)?.as_str());
        before == Some(fingerprint(&key.wish()).as_str()) && present.contains(&key.name)
    };
    let fresh: BTreeSet<String> =
        spec.keys.iter().filter(|key| !is_as_asked(key)).map(|key| key.name.clone()).collect();
    if fresh.is_empty() && marks.wish == generated_wish(spec) {
        return Rotation::Keep;
    }
    Rotation::Write { fresh, is_whole: false }
}

/// The key that holds the former value.
pub fn previous(key: &str) -> String {
    format!("{key}{PREVIOUS}")
}

/// How long to wait after so many failures in a row: between half of it and all, so that not all come at once.
pub fn backoff(attempts: u32, random: u64) -> Duration {
    let longest = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(BACKOFF_MAX);
    let half = u64::try_from(longest.as_millis() / 2).unwrap_or(u64::MAX);
    Duration::from_millis(half + random % (half + 1))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
