//! When the values of Secrets end: by annotation, or with the certificate of a `kubernetes.io/tls` Secret.
//!
//! A certificate's end is a fact inside a value. It is read when a Secret is written, and when somebody lists Secrets,
//! who sees the values anyway; numbers and Events tell that one ends soon, and no time.
//!
//! What it never does: open a Secret because somebody asks for numbers, or hold more than a hundred thousand of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::clock::SharedClock;
use crate::model::expiry::{EXPIRES_AT, ROTATE_AFTER, TLS, annotated};
use crate::model::kinds::{CERTIFICATE, GENERATED_SECRET, SECRET};
use crate::model::secret_owner::{ISSUED_BY, Marks};
use crate::objects::{Involved, Loaded, Objects, Occurrence, Recorder};
use crate::pki::certificate_end;
use crate::store::{Change, Operation};

/// Secrets that are held; of more than these none is counted.
const HELD_MAX: usize = 100_000;
/// Namespaces that are told apart in numbers; the others are one.
const NAMESPACES_MAX: usize = 100;
const DAY: i64 = 86_400;
/// What is told in an Event.
const SOON: i64 = 7 * DAY;
const LATER: i64 = 30 * DAY;

/// When the values of one Secret end, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    ends_at: i64,
    uid: [u8; 16],
    revision: u64,
    /// It bears the mark of who renews it.
    is_marked: bool,
    told: Told,
}

/// What Events have said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Soon,
    Ended,
}

type Name = (Arc<str>, Arc<str>);

/// See the module.
#[derive(Default)]
pub struct Expiry {
    held: Mutex<HashMap<Name, Held>>,
    /// It was said that there are more than are held.
    is_told_full: AtomicBool,
}

/// Who writes Events of it.
const COMPONENT: &str = "expiry-controller";
/// The clock is asked so often.
const LOOK: Duration = Duration::from_secs(30);

/// Follows `feed` until it ends: looks at every Secret once, then at each that changes, and tells of those that end.
pub async fn run(
    expiry: Arc<Expiry>,
    objects: Arc<Objects>,
    clock: SharedClock,
    mut feed: mpsc::UnboundedReceiver<Arc<[Change]>>,
) {
    let recorder = Recorder::new(Arc::clone(&objects), COMPONENT);
    let (all, of) = (Arc::clone(&expiry), Arc::clone(&objects));
    if tokio::task::spawn_blocking(move || all.fill(&of)).await.is_err() {
        return;
    }
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changes = feed.recv() => {
                let Some(changes) = changes else { return };
                changes.iter().for_each(|change| expiry.changed(&objects, change));
            }
            _ = look.tick() => {
                let due = expiry.due(clock.unix_seconds(), |namespace, name| is_renewed(&objects, namespace, name));
                for telling in due {
                    telling.record(&recorder).await;
                }
            }
        }
    }
}

/// An Event that is to be written.
struct Telling {
    namespace: Arc<str>,
    name: Arc<str>,
    uid: String,
    revision: String,
    occurrence: Occurrence,
}

impl Telling {
    async fn record(self, recorder: &Recorder) {
        let involved = Involved {
            kind: &SECRET,
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.revision,
        };
        recorder.record(&involved, vec![self.occurrence]).await;
    }
}

/// When the values of a Secret end, in seconds since the epoch: by annotation or certificate, whichever is first. The
/// certificate is opened for it, which is for those who may see it.
#[must_use]
pub fn ends_at(objects: &Objects, loaded: &Loaded) -> Option<i64> {
    let is_annotated = loaded.mentions(EXPIRES_AT);
    let by_annotation = is_annotated.then(|| annotated(&loaded.bare().ok()?, EXPIRES_AT)).flatten();
    let by_certificate = certificate_of(objects, loaded).map(|(_, not_after)| not_after);
    by_annotation.into_iter().chain(by_certificate).min()
}

#[expect(clippy::disallowed_methods, reason = "a certificate's dates are read, and nothing else")]
fn certificate_of(objects: &Objects, loaded: &Loaded) -> Option<(i64, i64)> {
    if !loaded.mentions(TLS) {
        return None;
    }
    let document = objects.document(loaded).ok()?;
    let secret = document.expose();
    if secret.get("type").and_then(Value::as_str) != Some(TLS) {
        return None;
    }
    let chain = secret.get("data")?.get("tls.crt")?.as_str()?;
    let mut decoded = Zeroizing::new(Vec::with_capacity(chain.len()));
    STANDARD.decode_vec(chain, &mut decoded).ok()?;
    certificate_end(&decoded)
}

/// Whether the object that the Secret's mark names still makes this Secret.
fn is_renewed(objects: &Objects, namespace: &str, name: &str) -> bool {
    let Some(secret) = objects.secret_in_passing(namespace, name).and_then(|loaded| loaded.bare().ok()) else {
        return false;
    };
    let marks = Marks::of(&secret);
    let Some((kind, owner)) = marks.by.split_once('/') else { return false };
    let kind = [&CERTIFICATE, &GENERATED_SECRET].into_iter().find(|known| known.kind == kind);
    let owner = kind.and_then(|kind| objects.bare_object(kind, namespace, owner));
    owner.is_some_and(|owner| owner.pointer("/spec/secretName").and_then(Value::as_str) == Some(name))
}

impl Expiry {
    fn held(&self) -> MutexGuard<'_, HashMap<Name, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every Secret once.
    fn fill(&self, objects: &Objects) {
        for loaded in objects.secrets_in_passing() {
            self.take_in(objects, &loaded);
        }
    }

    /// Looks at a Secret that has changed.
    fn changed(&self, objects: &Objects, change: &Change) {
        if change.kind_id != SECRET.id {
            return;
        }
        let (namespace, name) = (&change.row.namespace, &change.row.name);
        if change.op == Operation::Delete {
            self.held().remove(&(Arc::clone(namespace), Arc::clone(name)));
        } else if let Some(loaded) = objects.secret_in_passing(namespace, name) {
            self.take_in(objects, &loaded);
        }
    }

    fn take_in(&self, objects: &Objects, loaded: &Loaded) {
        let key: Name = (loaded.namespace().into(), loaded.name().into());
        let may_end = [TLS, EXPIRES_AT, ROTATE_AFTER].iter().any(|word| loaded.mentions(word));
        let rotates_at = may_end.then(|| annotated(&loaded.bare().ok()?, ROTATE_AFTER)).flatten();
        let ends_at = may_end.then(|| ends_at(objects, loaded)).flatten();
        let ends_at = ends_at.into_iter().chain(rotates_at).min();
        let mut held = self.held();
        let Some(ends_at) = ends_at else {
            held.remove(&key);
            return;
        };
        let former = held.get(&key).copied();
        if former.is_some_and(|former| former.revision > loaded.revision()) {
            return;
        }
        if former.is_none() && held.len() >= HELD_MAX {
            if !self.is_told_full.swap(true, Ordering::Relaxed) {
                tracing::warn!("more than {HELD_MAX} Secrets end: neither numbers nor Events tell of the others");
            }
            return;
        }
        // What was said of this end is not said again because a label has changed.
        let told = former.filter(|former| former.ends_at == ends_at).map_or(Told::Nothing, |former| former.told);
        let entry = Held {
            ends_at,
            uid: uuid::Uuid::try_parse(&loaded.uid()).map(uuid::Uuid::into_bytes).unwrap_or_default(),
            revision: loaded.revision(),
            is_marked: loaded.mentions(ISSUED_BY),
            told,
        };
        held.insert(key, entry);
    }

    /// What is to be told now, each thing once.
    /// That one ends soon which is renewed before is nobody's business yet: `is_renewed` says so of a marked one.
    fn due(&self, now: i64, is_renewed: impl Fn(&str, &str) -> bool) -> Vec<Telling> {
        let mut due = Vec::new();
        for ((namespace, name), entry) in self.held().iter_mut() {
            let left = entry.ends_at.saturating_sub(now);
            let told = match left {
                ..=0 => Told::Ended,
                1..=SOON => Told::Soon,
                _ => Told::Nothing,
            };
            if told <= entry.told || (told == Told::Soon && entry.is_marked && is_renewed(namespace, name)) {
                continue;
            }
            entry.told = told;
            let occurrence = if told == Told::Ended {
                Occurrence::warning("Expired", "the values have ended, or were to be made anew by now".to_owned())
            } else {
                Occurrence::warning("Expiring", "the values end, or are to be made anew, within 7 days".to_owned())
            };
            due.push(Telling {
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
                uid: uuid::Uuid::from_bytes(entry.uid).to_string(),
                revision: entry.revision.to_string(),
                occurrence,
            });
        }
        due
    }

    /// Writes how many end when, in Prometheus' text format. Writing to a String does not fail.
    pub fn write(&self, text: &mut String, now: i64) {
        let mut counts: BTreeMap<Arc<str>, [usize; 3]> = BTreeMap::new();
        for ((namespace, _), entry) in self.held().iter() {
            let left = entry.ends_at.saturating_sub(now);
            let numbers = counts.entry(Arc::clone(namespace)).or_default();
            for (number, is_within) in numbers.iter_mut().zip([left <= 0, left <= SOON, left <= LATER]) {
                *number += usize::from(is_within);
            }
        }
        let name = "strongroom_secrets_expiring";
        let help = "Secrets whose values end within so many days, or are to be made anew; 0 have ended. \
                    Of more than 100 namespaces the last are one without a name.";
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        let mut others = [0; 3];
        let mut write = |namespace: &str, numbers: &[usize; 3]| {
            for (days, number) in ["0", "7", "30"].iter().zip(numbers) {
                let _ = writeln!(text, "{name}{{namespace=\"{namespace}\",days=\"{days}\"}} {number}");
            }
        };
        for (at, (namespace, numbers)) in counts.iter().enumerate() {
            if at < NAMESPACES_MAX {
                write(namespace, numbers);
            } else {
                others.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            }
        }
        if counts.len() > NAMESPACES_MAX {
            write("", &others);
        }
    }
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
