//! Follows Certificates and GeneratedSecrets: at a start, when they or a Secret of theirs change, and by the clock.
//!
//! Nothing that is to be done is kept but in memory: a start looks at everything, and the marks in the Secrets say what
//! was done. The wall clock is asked again and again, so that one that jumps is noticed.
//!
//! What it never does: let one object wait for another's failure, or hold up the feed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use super::failure::Failure;
use super::metrics::{Metrics, count};
use super::status::{Outcome, Standing, status};
use super::{COMPONENT, RoomAuthority, certificate, decide, generated, secret};
use crate::audit::{AuditLog, Decision, Event, RequestFacts, Stage};
use crate::clock::{SharedClock, rfc3339};
use crate::model::kinds::{CERTIFICATE, GENERATED_SECRET, Kind, SECRET};
use crate::model::secret_owner::requested;
use crate::model::validation::message;
use crate::model::{certificate as asked_certificate, generated_secret};
use crate::objects::{Error, Involved, Objects, Occurrence, Recorder};
use crate::rbac::Attributes;
use crate::store::{Change, Operation};

/// Objects that are worked on at once.
const AT_ONCE: usize = 4;
/// The clock is asked at least so often.
const LOOK: Duration = Duration::from_secs(30);
/// After a race the Secret is looked at again.
const RACE_SECONDS: i64 = 1;

/// What everything here works with.
pub struct Context {
    /// The objects.
    pub objects: Arc<Objects>,
    /// Where it is recorded that an issuer's key was opened.
    pub audit: Arc<AuditLog>,
    /// The wall clock.
    pub clock: SharedClock,
    /// The room's own authority.
    pub authority: RoomAuthority,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// An object that is followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub kind_id: u8,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl Key {
    fn kind(&self) -> &'static Kind {
        if self.kind_id == CERTIFICATE.id { &CERTIFICATE } else { &GENERATED_SECRET }
    }
}

/// What of an object matters here: not its status, nor its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    uid: String,
    generation: i64,
    request: String,
    is_deleting: bool,
}

impl Seen {
    fn of(object: &Value) -> Self {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        Self {
            uid: metadata.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            request: requested(object).to_owned(),
            is_deleting: metadata.get("deletionTimestamp").is_some(),
        }
    }
}

/// What is known of an object when it has been looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// What it was.
    pub seen: Seen,
    /// It is there, and not on its way out.
    pub is_live: bool,
    /// Names of the Secrets whose changes concern it.
    pub secrets: Vec<Arc<str>>,
    /// When it is to be looked at again.
    pub next_at: Option<i64>,
    /// How often in a row it has failed.
    pub attempts: u32,
}

/// What has happened while an object was worked on.
#[derive(Default)]
struct Meanwhile {
    /// A Secret of it has changed, or it is time.
    is_again: bool,
    /// The object was written, and is this now.
    object: Option<Seen>,
}

/// What waits, what is worked on, and what concerns whom.
#[derive(Default)]
struct Queue {
    ready: BTreeSet<Key>,
    running: HashMap<Key, Meanwhile>,
    timers: BTreeSet<(i64, Key)>,
    known: HashMap<Key, Looked>,
    by_secret: HashMap<(Arc<str>, Arc<str>), HashSet<Key>>,
}

impl Queue {
    /// To be looked at, at once or when that which is under way has ended.
    fn mark(&mut self, key: Key) {
        match self.running.get_mut(&key) {
            Some(meanwhile) => meanwhile.is_again = true,
            None => drop(self.ready.insert(key)),
        }
    }

    /// The object was written. What changes its status alone, as this controller does, is no news.
    fn written(&mut self, key: Key, seen: Seen) {
        if let Some(meanwhile) = self.running.get_mut(&key) {
            meanwhile.object = Some(seen);
        } else if self.known.get(&key).is_none_or(|known| known.seen != seen) {
            self.ready.insert(key);
        }
    }

    /// How often in a row an object has failed that is still the same.
    fn attempts(&self, key: &Key, seen: Option<&Seen>) -> u32 {
        self.known.get(key).filter(|known| Some(&known.seen) == seen).map_or(0, |known| known.attempts)
    }

    fn take(&mut self) -> Option<Key> {
        let key = self.ready.pop_first()?;
        self.running.insert(key.clone(), Meanwhile::default());
        Some(key)
    }

    /// What a look has found; `None`: it came to nothing.
    fn done(&mut self, key: &Key, looked: Option<Looked>) {
        let meanwhile = self.running.remove(key).unwrap_or_default();
        let before =
            looked.as_ref().map_or_else(|| self.known.get(key).map(|known| &known.seen), |now| Some(&now.seen));
        let is_news = meanwhile.object.as_ref().is_some_and(|object| Some(object) != before);
        if let Some(looked) = looked {
            self.forget(key);
            if looked.is_live {
                for secret in &looked.secrets {
                    let place = (Arc::clone(&key.namespace), Arc::clone(secret));
                    self.by_secret.entry(place).or_default().insert(key.clone());
                }
                if let Some(at) = looked.next_at {
                    self.timers.insert((at, key.clone()));
                }
                self.known.insert(key.clone(), looked);
            }
        }
        if meanwhile.is_again || is_news {
            self.ready.insert(key.clone());
        }
    }

    fn forget(&mut self, key: &Key) {
        let Some(former) = self.known.remove(key) else { return };
        for secret in former.secrets {
            let place = (Arc::clone(&key.namespace), secret);
            if let Some(keys) = self.by_secret.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_secret.remove(&place);
                }
            }
        }
        if let Some(at) = former.next_at {
            self.timers.remove(&(at, key.clone()));
        }
    }

    /// `seen` gives the object as it is now.
    fn changed(&mut self, change: &Change, seen: impl FnOnce(&Key) -> Option<Seen>) {
        let (namespace, name) = (Arc::clone(&change.row.namespace), Arc::clone(&change.row.name));
        if change.kind_id == SECRET.id {
            let concerned = self.by_secret.get(&(namespace, name)).cloned();
            concerned.into_iter().flatten().for_each(|key| self.mark(key));
        } else if change.kind_id == CERTIFICATE.id || change.kind_id == GENERATED_SECRET.id {
            let key = Key { kind_id: change.kind_id, namespace, name };
            if let Some(seen) = seen(&key).filter(|_| change.op != Operation::Delete) {
                self.written(key, seen);
            } else {
                self.forget(&key);
                self.ready.remove(&key);
            }
        }
    }

    /// Makes ready what is due, and says how long there is to wait.
    fn tick(&mut self, now: i64) -> Duration {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.timers.pop_first() {
                self.mark(key);
            }
        }
        let next = self.timers.first().map_or(i64::MAX, |(at, _)| at.saturating_sub(now));
        Duration::from_secs(next.unsigned_abs()).min(LOOK)
    }
}

/// Follows `feed` until it ends.
pub async fn run(context: Context, mut feed: mpsc::UnboundedReceiver<Arc<[Change]>>) {
    let context = Arc::new(context);
    let recorder = Arc::new(Recorder::new(Arc::clone(&context.objects), COMPONENT));
    let mut queue = Queue::default();
    for kind in [&CERTIFICATE, &GENERATED_SECRET] {
        for (namespace, name) in context.objects.names_of(kind) {
            queue.mark(Key { kind_id: kind.id, namespace: namespace.into(), name: name.into() });
        }
    }
    let mut tasks: JoinSet<Looked> = JoinSet::new();
    let mut worked_on: BTreeMap<Id, Key> = BTreeMap::new();
    loop {
        let pause = queue.tick(context.clock.unix_seconds());
        while tasks.len() < AT_ONCE
            && let Some(key) = queue.take()
        {
            let attempts = queue.attempts(&key, context.seen(&key).as_ref());
            let (context, recorder, of) = (Arc::clone(&context), Arc::clone(&recorder), key.clone());
            let task = tasks.spawn(async move { look(&context, &recorder, &of, attempts).await });
            worked_on.insert(task.id(), key);
        }
        tokio::select! {
            changes = feed.recv() => {
                let Some(changes) = changes else { return };
                changes.iter().for_each(|change| queue.changed(change, |key| context.seen(key)));
            }
            Some(done) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (id, looked) = match done {
                    Ok((id, looked)) => (id, Some(looked)),
                    Err(error) => (error.id(), None),
                };
                if let Some(key) = worked_on.remove(&id) {
                    queue.done(&key, looked);
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks at one object, does what is to be done, and says so in its status and in Events.
pub(super) async fn look(context: &Context, recorder: &Recorder, key: &Key, attempts: u32) -> Looked {
    let kind = key.kind();
    let Some(object) = context.objects.bare_object(kind, &key.namespace, &key.name) else { return Looked::default() };
    let text = |field: &str| object.pointer(field).and_then(Value::as_str).unwrap_or_default();
    if !text("/metadata/deletionTimestamp").is_empty() {
        return Looked::default();
    }
    let former = object.get("status").cloned().unwrap_or_default();
    let revision = former.get("revision").and_then(Value::as_i64).unwrap_or_default();
    let request = requested(&object);
    let (secrets, outcome) = if kind.id == CERTIFICATE.id {
        match asked_certificate::Spec::parse(&object) {
            Ok(spec) => {
                let looked = certificate::look(context, &key.namespace, &key.name, &spec, request, revision);
                (certificate::concerns(&spec), looked.await)
            }
            Err(errors) => (Vec::new(), unread(&message(&errors))),
        }
    } else {
        match generated_secret::Spec::parse(&object) {
            Ok(spec) => {
                let secrets = vec![Arc::from(spec.secret_name.as_str())];
                (secrets, generated::look(context, &key.namespace, &key.name, &spec, request, revision).await)
            }
            Err(errors) => (Vec::new(), unread(&message(&errors))),
        }
    };
    let Outcome { standing, mut occurrences } = outcome;
    let now = context.clock.unix_seconds();
    let attempts = if standing.failure.is_some() { attempts.saturating_add(1) } else { 0 };
    let mut next_at = next_look(&standing, attempts, now);
    if let Some(failure) = standing.failure.as_ref().filter(|failure| !failure.is_race) {
        count(&context.metrics.failures);
        occurrences.push(Occurrence::warning("Failed", format!("{}: {}", failure.reason, failure.message)));
    }
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    let made = status(kind, &standing, generation, attempts, &former, now, rfc3339);
    if made != former {
        let uid = text("/metadata/uid");
        let written = context.objects.write_status(COMPONENT, kind, &key.namespace, &key.name, uid, made).await;
        match written {
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(_) => next_at = Some(now.saturating_add(1)).min(next_at.or(Some(i64::MAX))),
        }
    }
    let involved = Involved {
        kind,
        namespace: &key.namespace,
        name: &key.name,
        uid: text("/metadata/uid"),
        resource_version: text("/metadata/resourceVersion"),
    };
    recorder.record(&involved, occurrences).await;
    Looked { seen: Seen::of(&object), is_live: true, secrets, next_at, attempts }
}

/// When an object is looked at again, if nothing changes.
fn next_look(standing: &Standing, attempts: u32, now: i64) -> Option<i64> {
    match &standing.failure {
        Some(failure) if failure.is_race => Some(now.saturating_add(RACE_SECONDS)),
        Some(_) => {
            let mut random = [0; 8];
            // Without randomness everybody waits the shortest.
            let random = getrandom::fill(&mut random).map_or(0, |()| u64::from_le_bytes(random));
            let wait = decide::backoff(attempts, random).as_secs().max(1);
            Some(now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)))
        }
        None => {
            // One that is bounded by its issuer is due, and kept until it ends.
            let times = [standing.due_at, standing.valid.map(|valid| valid.1)];
            times.into_iter().flatten().filter(|at| *at > now).min()
        }
    }
}

/// Of an object that was stored under other rules.
fn unread(why: &str) -> Outcome {
    let standing = Standing {
        marks: None,
        valid: None,
        due_at: None,
        is_as_asked: false,
        failure: Some(Failure::new("Invalid", why)),
    };
    Outcome { standing, occurrences: Vec::new() }
}

impl Context {
    fn seen(&self, key: &Key) -> Option<Seen> {
        self.objects.bare_object(key.kind(), &key.namespace, &key.name).map(|object| Seen::of(&object))
    }

    /// Records that an issuer's key is opened, before it is.
    pub(super) async fn record_read(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        let permit = secret::permit("get", namespace, name)?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        let attributes = Attributes::object("get", &SECRET, namespace, name);
        let event = Event {
            stage: Stage::ResponseComplete,
            reason: "",
            decision: Some(Decision::Allow),
            stage_unix_millis: self.clock.unix_millis(),
            ..Event::new(&facts, permit.user(), &attributes, 200)
        };
        let (event, log) = (event.to_json(), Arc::clone(&self.audit));
        let written = if log.waits_for_disk() {
            tokio::task::spawn_blocking(move || log.append(&event)).await.unwrap_or(Ok(()))
        } else {
            log.append(&event)
        };
        written.map_err(|refused| Failure::new("AuditUnavailable", refused.why()))
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
