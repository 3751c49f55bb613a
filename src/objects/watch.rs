//! `watch`: changes fanned out to whoever watches, each opened and written once.
//!
//! One task reads the store's change feed in order. A watcher has a bounded queue: one that does not keep
//! up is dropped, so that it delays neither a write nor another watcher.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

use super::list::object_matches;
use super::live::Loaded;
use super::record::Form;
use super::{Error, Objects, Request};
use crate::model::kinds::{self, Kind};
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::sensitive::SecretBytes;
use crate::store::{Change, Operation, ReplayError};

/// Events that may wait for a watcher before it is dropped.
pub const QUEUE_EVENTS: usize = 1024;
/// Stored bytes that may wait for a watcher before it is dropped.
pub const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// What happened to an object, from the point of view of one watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// It exists, or began to match.
    Added,
    /// It changed and still matches.
    Modified,
    /// It is gone, or ceased to match.
    Deleted,
}

impl EventType {
    /// Kubernetes' spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change, opened once and shared by every watcher.
pub struct Event {
    /// Its revision.
    pub revision: u64,
    kind: &'static Kind,
    namespace: Arc<str>,
    /// The object after the change; `None` if that deleted it.
    now: Option<Seen>,
    /// The object before the change, shown with the change's revision.
    before: Option<Seen>,
}

/// A state of the object, read and written at most once each.
struct Seen {
    loaded: Loaded,
    bare: OnceLock<Option<Value>>,
    json: OnceLock<Option<SecretBytes>>,
}

impl Seen {
    fn new(loaded: Loaded) -> Self {
        Self { loaded, bare: OnceLock::new(), json: OnceLock::new() }
    }

    fn matches(&self, labels: &LabelSelector, fields: &FieldSelector) -> bool {
        if labels.is_empty() && fields.is_empty() {
            return true;
        }
        let bare = self.bare.get_or_init(|| self.loaded.bare().ok());
        bare.as_ref().is_some_and(|object| object_matches(object, labels, fields))
    }
}

impl Event {
    /// What the change is to a watch with these selectors; `None` if nothing.
    pub fn seen_by(&self, labels: &LabelSelector, fields: &FieldSelector) -> Option<EventType> {
        let matches = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.matches(labels, fields));
        match (matches(&self.before), matches(&self.now)) {
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
            (false, false) => None,
        }
    }

    /// The state that an event of this type shows: of an object that is gone, or ceased to match, the last one.
    pub fn shown(&self, event_type: EventType) -> Option<&Loaded> {
        self.seen(event_type).map(|seen| &seen.loaded)
    }

    fn seen(&self, event_type: EventType) -> Option<&Seen> {
        if event_type == EventType::Deleted { self.before.as_ref() } else { self.now.as_ref() }
    }

    /// Hands that state to `write` as JSON, which is made once for all watchers.
    #[expect(clippy::disallowed_methods, reason = "the answer to a permitted watch")]
    pub fn write_json(&self, event_type: EventType, objects: &Objects, write: impl FnOnce(&[u8])) {
        let Some(seen) = self.seen(event_type) else { return };
        let text = seen.json.get_or_init(|| {
            let mut text = Vec::new();
            objects.write_json(&seen.loaded, Form::Object, &mut text).ok()?;
            Some(SecretBytes::new(text))
        });
        if let Some(text) = text {
            write(text.expose());
        }
    }

    /// Memory that it takes while it waits.
    fn bytes(&self) -> usize {
        self.now.iter().chain(&self.before).map(|seen| seen.loaded.stored_bytes()).sum()
    }
}

/// Events on their way to one watcher.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Nothing more comes; what waits is still taken.
    ended: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room. Where there was none, what waits is dropped: the watcher is too slow to be told.
    fn push(&self, event: &Arc<Event>) -> bool {
        let mut waiting = self.waiting();
        let bytes = event.bytes();
        if waiting.events.len() >= QUEUE_EVENTS || (waiting.bytes > 0 && waiting.bytes + bytes > QUEUE_BYTES) {
            *waiting = Waiting { ended: true, ..Waiting::default() };
        } else {
            waiting.events.push_back(Arc::clone(event));
            waiting.bytes += bytes;
        }
        self.arrived.notify_one();
        !waiting.ended
    }

    fn end(&self) {
        self.waiting().ended = true;
        self.arrived.notify_one();
    }
}

/// A running watch. Ends when it is dropped.
pub struct Watcher {
    queue: Arc<Queue>,
    _counted: Arc<()>,
    /// The revision after which events follow.
    pub from: u64,
    /// Events up to this one were seen by the client, also where the store has not got there yet.
    after: u64,
}

impl Watcher {
    /// The next event; `None` when the server stops or the watcher was too slow. May be given up and called again.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if self.queue.waiting().ended {
                return None;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        let mut waiting = self.queue.waiting();
        loop {
            let event = waiting.events.pop_front()?;
            waiting.bytes -= event.bytes();
            if event.revision > self.after {
                return Some(event);
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.queue.waiting().events.is_empty()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.queue.waiting().ended = true;
    }
}

#[derive(Default)]
struct Subscribers {
    by_kind: HashMap<u8, Vec<Subscriber>>,
    /// One reference here and one in each watch of the user.
    users: HashMap<String, Arc<()>>,
    /// Revision of the last change that was fanned out.
    revision: u64,
    stopped: bool,
}

impl Subscribers {
    /// Counts a watch of `user` for as long as the value is held.
    fn count(&mut self, user: &str, limit: usize) -> Result<Arc<()>, Error> {
        if !self.users.contains_key(user) {
            self.users.retain(|_, held| Arc::strong_count(held) > 1);
        }
        let held = self.users.entry(user.to_owned()).or_default();
        if Arc::strong_count(held) > limit {
            return Err(Error::TooMany("too many watches of this user are open, please try again later"));
        }
        Ok(Arc::clone(held))
    }
}

struct Subscriber {
    namespace: Option<Box<str>>,
    queue: Arc<Queue>,
}

/// Fans the store's changes out to watchers.
pub struct Hub {
    subscribers: Mutex<Subscribers>,
    dropped: AtomicU64,
    watches_per_user: usize,
}

impl Hub {
    /// Starts at the store's present revision; every user may have so many watches open.
    pub fn new(revision: u64, watches_per_user: usize) -> Self {
        let subscribers = Mutex::new(Subscribers { revision, ..Subscribers::default() });
        Self { subscribers, dropped: AtomicU64::new(0), watches_per_user }
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, objects: &Objects, change: &Change) {
        let mut subscribers = self.subscribers();
        subscribers.revision = change.revision;
        let Some(watchers) = subscribers.by_kind.get_mut(&change.kind_id) else { return };
        watchers.retain(|watcher| !watcher.queue.waiting().ended);
        if watchers.is_empty() {
            return;
        }
        let Some(event) = objects.event(change).map(Arc::new) else { return };
        watchers.retain(|watcher| {
            let concerns = watcher.namespace.as_deref().is_none_or(|namespace| namespace == &*event.namespace);
            let keeps_up = !concerns || watcher.queue.push(&event);
            if !keeps_up {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(object.kind = event.kind.kind, "a watcher that did not keep up was dropped");
            }
            keeps_up
        });
    }

    /// Ends every watch cleanly and refuses new ones.
    pub fn stop(&self) {
        let mut subscribers = self.subscribers();
        subscribers.stopped = true;
        for watcher in subscribers.by_kind.drain().flat_map(|(_, watchers)| watchers) {
            watcher.queue.end();
        }
    }

    /// Watches the collection that the permit names. With `after`, the changes since then come first.
    pub fn watch(
        &self,
        objects: &Objects,
        request: Request<'_>,
        after: Option<u64>,
    ) -> Result<(Watcher, Vec<Arc<Event>>), Error> {
        let kind = request.kind()?;
        let namespace = Some(request.namespace()).filter(|namespace| !namespace.is_empty());
        let queue: Arc<Queue> = Arc::default();
        let mut subscribers = self.subscribers();
        if subscribers.stopped {
            return Err(Error::Unavailable("the server is stopping"));
        }
        let counted = subscribers.count(&request.permit.user().name, self.watches_per_user)?;
        let from = subscribers.revision;
        let missed = match after {
            Some(after) if after < from => objects.replay(kind, namespace, after, from)?,
            _ => Vec::new(),
        };
        let watchers = subscribers.by_kind.entry(kind.id).or_default();
        watchers.push(Subscriber { namespace: namespace.map(Into::into), queue: Arc::clone(&queue) });
        Ok((Watcher { queue, _counted: counted, from, after: after.unwrap_or_default() }, missed))
    }

    /// Watchers that were dropped because they did not keep up.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Revision of the last change that was fanned out.
    pub fn revision(&self) -> u64 {
        self.subscribers().revision
    }

    /// How many watches are open.
    pub fn open(&self) -> usize {
        self.subscribers().by_kind.values().map(Vec::len).sum()
    }
}

impl Objects {
    fn event(&self, change: &Change) -> Option<Event> {
        let kind = kinds::by_id(change.kind_id)?;
        let before = change.previous.and_then(|previous| {
            let row = self.store.row(previous).ok()?;
            self.open_as_of(kind, row, change.revision).ok().map(Seen::new)
        });
        let now = match change.op {
            Operation::Delete => None,
            Operation::Put => Some(Seen::new(self.open(kind, Arc::clone(&change.row)).ok()?)),
        };
        Some(Event { revision: change.revision, kind, namespace: Arc::clone(&change.row.namespace), now, before })
    }

    fn replay(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        after: u64,
        until: u64,
    ) -> Result<Vec<Arc<Event>>, Error> {
        let changes = self.store.replay(kind.id, namespace, after).map_err(|error| match error {
            ReplayError::Compacted { .. } => {
                Error::Expired(format!("too old resource version: {after} ({until})"), None)
            }
        })?;
        let mut events = Vec::new();
        for change in changes.into_iter().filter(|change| change.revision <= until) {
            let row = self.store.row(change.revision).map_err(|error| super::live::read_error(&error, kind, ""))?;
            let change =
                Change { revision: change.revision, kind_id: kind.id, op: change.op, previous: change.previous, row };
            if let Some(event) = self.event(&change) {
                events.push(Arc::new(event));
            }
        }
        Ok(events)
    }
}
