//! Events: what a controller of this server says of an object, and how long it is kept.
//!
//! What happens again is counted in the Event that there is; who says too much of one object is not heard for a while, as
//! with Kubernetes' own recorders (`client-go/tools/record`: 25 at once, then one in five minutes). An Event lasts as long
//! after its last change as `--event-ttl` says.
//!
//! What it never does: fail what it tells of. An Event that cannot be written is lost.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::delete::AT_ONCE;
use super::{Error, Objects, PatchBody, PatchType, Request};
use crate::audit::RequestFacts;
use crate::clock::rfc3339;
use crate::model::age::parse_rfc3339;
use crate::model::kinds::{EVENT, Kind};
use crate::model::user::User;
use crate::model::validation::options::{self, DeleteOptions};
use crate::rbac::{self, Attributes, Permit, Policy};
use crate::sensitive::Document;
use crate::store::{Change, Operation};

/// Events of one object at once.
const BURST: f64 = 25.0;
/// Seconds until it may have one more.
const REFILL_SECONDS: f64 = 300.0;
/// What is remembered of occurrences and of objects, each; then all of it is forgotten.
const REMEMBERED_MAX: usize = 4_096;
/// Bytes of the object's name in an Event's.
const NAME_MAX_BYTES: usize = 200;
/// Characters of a message.
const MESSAGE_MAX_CHARS: usize = 1_024;
/// Where the Events of objects lie that are in no namespace.
const CLUSTER_NAMESPACE: &str = "default";
/// Who removes Events, as the audit shows it.
const COMPONENT: &str = "event-ttl-controller";
/// What is due is looked for this often at least.
const LOOK_SECONDS: i64 = 60;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Occurrence {
    /// Type `Warning`; else `Normal`.
    pub is_warning: bool,
    /// One word.
    pub reason: String,
    /// For people; no value.
    pub message: String,
}

impl Occurrence {
    /// As it should be.
    pub fn normal(reason: &str, message: String) -> Self {
        Self { is_warning: false, reason: reason.to_owned(), message }
    }

    /// As it should not be.
    pub fn warning(reason: &str, message: String) -> Self {
        Self { is_warning: true, reason: reason.to_owned(), message }
    }
}

/// The object that it happened to.
pub struct Involved<'a> {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its namespace, or `""`.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// `metadata.uid`
    pub uid: &'a str,
    /// `metadata.resourceVersion`
    pub resource_version: &'a str,
}

/// Writes the Events of one controller.
pub struct Recorder {
    objects: Arc<Objects>,
    component: &'static str,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The Event of what happened to an object (by uid) before.
    written: HashMap<(String, Occurrence), String>,
    /// What an object may have yet, and when that was so.
    budgets: HashMap<String, (f64, i64)>,
}

impl Memory {
    /// Takes one from the budget of an object; false if there is none.
    fn spend(&mut self, uid: &str, now_unix_seconds: i64) -> bool {
        if self.budgets.len() >= REMEMBERED_MAX && !self.budgets.contains_key(uid) {
            self.budgets.clear();
        }
        let (left, since) = self.budgets.entry(uid.to_owned()).or_insert((BURST, now_unix_seconds));
        #[expect(clippy::cast_precision_loss, reason = "seconds between two events")]
        let passed = now_unix_seconds.saturating_sub(*since).max(0) as f64;
        *left = (*left + passed / REFILL_SECONDS).min(BURST);
        *since = now_unix_seconds;
        let is_heard = *left >= 1.0;
        if is_heard {
            *left -= 1.0;
        }
        is_heard
    }
}

impl Recorder {
    /// The recorder of a controller, which is a system user of this name.
    pub fn new(objects: Arc<Objects>, component: &'static str) -> Self {
        Self { objects, component, memory: Mutex::default() }
    }

    /// Says what happened to an object, each in turn.
    pub async fn record(&self, involved: &Involved<'_>, occurrences: Vec<Occurrence>) {
        for mut occurrence in occurrences {
            occurrence.message = occurrence.message.chars().take(MESSAGE_MAX_CHARS).collect();
            let key = (involved.uid.to_owned(), occurrence);
            let now = self.objects.clock.unix_seconds();
            let before = {
                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                if !memory.spend(involved.uid, now) {
                    continue;
                }
                memory.written.get(&key).cloned()
            };
            let counted = match &before {
                Some(name) => self.count(namespace(involved), name, now).await,
                None => Ok(false),
            };
            let written = match counted {
                Ok(true) => continue,
                Ok(false) => self.create(involved, &key.1, now).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(name) => {
                    let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                    if memory.written.len() >= REMEMBERED_MAX {
                        memory.written.clear();
                    }
                    memory.written.insert(key, name);
                }
                // Of a namespace that is gone or going there is nobody left to be told.
                Err(Error::NotFound(_) | Error::Forbidden(..)) => {}
                Err(_) => tracing::debug!(reason = key.1.reason, "an Event could not be written"),
            }
        }
    }

    async fn create(&self, involved: &Involved<'_>, what: &Occurrence, now: i64) -> Result<String, Error> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(|_| Error::Internal("there is no randomness"))?;
        let base = involved.name.get(..involved.name.floor_char_boundary(NAME_MAX_BYTES)).unwrap_or_default();
        let (name, namespace) = (format!("{base}.{}", hex::encode(unique)), namespace(involved));
        let (kind, at) = (involved.kind, rfc3339(now));
        let event = json!({
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "kind": kind.kind, "apiVersion": kind.api_version, "namespace": involved.namespace,
                "name": involved.name, "uid": involved.uid, "resourceVersion": involved.resource_version,
            },
            "reason": what.reason,
            "message": what.message,
            "source": {"component": self.component},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": if what.is_warning { "Warning" } else { "Normal" },
            "reportingComponent": self.component,
        });
        let permit = permit(self.component, "create", namespace, "")?;
        let facts = RequestFacts::own(self.objects.clock.unix_millis());
        let options = self.options()?;
        let request = Request { permit: &permit, facts: &facts };
        self.objects.create(request, Document::new(event), &options, &mut Vec::new()).await?;
        Ok(name)
    }

    /// Counts one more in the Event of this name; false if it is gone.
    async fn count(&self, namespace: &str, name: &str, now: i64) -> Result<bool, Error> {
        let facts = RequestFacts::own(self.objects.clock.unix_millis());
        let permit = permit(self.component, "patch", namespace, name)?;
        let request = Request { permit: &permit, facts: &facts };
        let stored = match self.objects.get(request).and_then(|loaded| loaded.bare()) {
            Ok(stored) => stored,
            Err(Error::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let count = stored.get("count").and_then(Value::as_i64).unwrap_or_default().saturating_add(1);
        let body = PatchBody {
            patch_type: PatchType::Merge,
            document: Document::new(json!({
                "metadata": {"uid": stored.pointer("/metadata/uid")},
                "count": count.min(i32::MAX.into()), "lastTimestamp": rfc3339(now),
            })),
        };
        match self.objects.patch(request, &body, &self.options()?, &mut Vec::new()).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_) | Error::Conflict(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn options(&self) -> Result<options::WriteOptions, Error> {
        let mut options = options::create(&[]).map_err(|_| Error::Internal("the options of no query"))?;
        self.component.clone_into(&mut options.field_manager);
        Ok(options)
    }
}

fn namespace<'a>(involved: &Involved<'a>) -> &'a str {
    if involved.namespace.is_empty() { CLUSTER_NAMESPACE } else { involved.namespace }
}

fn permit(component: &str, verb: &str, namespace: &str, name: &str) -> Result<Permit, Error> {
    let attributes = Attributes::object(verb, &EVENT, namespace, name);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system(component)), attributes)
        .map_err(|denial| Error::Denied(Box::new(denial)))
}

/// Namespace and name of an Event.
type Key = (String, String);

/// The Events that there are, by when they were written last.
#[derive(Default)]
struct Waiting {
    /// Seconds since the epoch, and revision.
    latest: HashMap<Key, (i64, u64)>,
    by_time: BTreeSet<(i64, Key)>,
}

impl Waiting {
    fn put(&mut self, key: Key, at_unix_seconds: i64, revision: u64) {
        self.remove(&key);
        self.by_time.insert((at_unix_seconds, key.clone()));
        self.latest.insert(key, (at_unix_seconds, revision));
    }

    fn remove(&mut self, key: &Key) {
        if let Some((at, _)) = self.latest.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// Takes out what was written by then.
    fn due(&mut self, until_unix_seconds: i64) -> Vec<(Key, u64)> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(at, _)| *at <= until_unix_seconds) {
            if let Some((_, key)) = self.by_time.pop_first()
                && let Some((_, revision)) = self.latest.remove(&key)
            {
                due.push((key, revision));
            }
        }
        due
    }

    fn first(&self) -> Option<i64> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

/// Removes Events that have not changed for `ttl`. `changes` are those of a store, as far as they are Events'.
pub(super) async fn expire(objects: Arc<Objects>, ttl: Duration, mut changes: mpsc::UnboundedReceiver<Change>) {
    let ttl_seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let mut waiting = objects.events();
    loop {
        let now = objects.clock.unix_seconds();
        let due = waiting.due(now.saturating_sub(ttl_seconds));
        stream::iter(due).for_each_concurrent(AT_ONCE, |(key, revision)| objects.remove_event(key, revision)).await;
        let next = waiting
            .first()
            .map_or(LOOK_SECONDS, |at| at.saturating_add(ttl_seconds).saturating_sub(now).clamp(1, LOOK_SECONDS));
        let pause = tokio::time::sleep(Duration::from_secs(next.unsigned_abs()));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                change = changes.recv() => {
                    let Some(change) = change else { return };
                    let (row, was_empty) = (&change.row, waiting.first().is_none());
                    let key = (row.namespace.to_string(), row.name.to_string());
                    if change.op == Operation::Delete {
                        waiting.remove(&key);
                    } else {
                        waiting.put(key, objects.clock.unix_seconds(), row.revision);
                    }
                    if was_empty {
                        break;
                    }
                }
            }
        }
    }
}

impl Objects {
    fn events(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for entry in self.store.live(EVENT.id) {
            // One that cannot be read was reported when the store was opened.
            let Ok(loaded) = self.load_in_passing(&EVENT, entry.revision) else { continue };
            let Ok(event) = loaded.bare() else { continue };
            let key = (loaded.namespace().to_owned(), loaded.name().to_owned());
            waiting.put(key, last_seen(&event).unwrap_or_default(), entry.revision);
        }
        waiting
    }

    /// Removes an Event, unless it has changed since.
    async fn remove_event(&self, (namespace, name): Key, revision: u64) {
        let Ok(permit) = permit(COMPONENT, "delete", &namespace, &name) else { return };
        let facts = RequestFacts::own(self.clock.unix_millis());
        let request = Request { permit: &permit, facts: &facts };
        let options =
            DeleteOptions { precondition_resource_version: Some(revision.to_string()), ..DeleteOptions::default() };
        match self.delete(request, &options).await {
            Ok(_) | Err(Error::NotFound(_) | Error::DeletePrecondition(..)) => {}
            Err(_) => tracing::debug!("an Event could not be removed; the next start tries again"),
        }
    }
}

/// When an Event was written last, as far as it says so.
fn last_seen(event: &Value) -> Option<i64> {
    let time = |pointer: &str| parse_rfc3339(event.pointer(pointer)?.as_str()?);
    ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .into_iter()
        .find_map(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_budget_that_fills_up_again() {
        let mut memory = Memory::default();
        let mut heard = |now: i64| memory.spend("a", now);
        assert_eq!((0..40).filter(|_| heard(0)).count(), 25);
        assert!(!heard(299));
        assert!(heard(300), "one in five minutes");
        assert!(!heard(300));
        assert!(!heard(0), "a clock that goes back gives nothing");
        assert_eq!((0..40).filter(|_| heard(1_000_000)).count(), 25);
        assert!(memory.spend("b", 0), "another object has its own");
    }

    #[test]
    fn what_is_written_again_waits_again() {
        let key = |name: &str| ("default".to_owned(), name.to_owned());
        let mut waiting = Waiting::default();
        waiting.put(key("a"), 10, 1);
        waiting.put(key("b"), 11, 2);
        waiting.put(key("c"), 11, 3);
        waiting.put(key("a"), 12, 4);
        waiting.remove(&key("c"));
        waiting.remove(&key("d"));
        assert_eq!(waiting.first(), Some(11));
        assert_eq!(waiting.due(10), []);
        assert_eq!(waiting.due(12), [(key("b"), 2), (key("a"), 4)]);
        assert_eq!(waiting.first(), None);
        assert!(waiting.latest.is_empty());
    }

    #[test]
    fn an_event_was_seen_last_when_its_recorder_says_so() {
        let at = |text: &str| parse_rfc3339(text);
        let mut event = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(last_seen(&event), at("2026-01-01T00:00:00Z"));
        event["eventTime"] = "2026-01-01T00:00:01.500000Z".into();
        assert_eq!(last_seen(&event), at("2026-01-01T00:00:01Z"));
        event["lastTimestamp"] = "2026-01-01T00:00:02Z".into();
        assert_eq!(last_seen(&event), at("2026-01-01T00:00:02Z"));
        event["series"] = json!({"lastObservedTime": "2026-01-01T00:00:03.000000Z"});
        assert_eq!(last_seen(&event), at("2026-01-01T00:00:03Z"));
    }
}
