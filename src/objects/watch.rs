//! `watch`: changes fanned out to whoever watches, each opened and written once.
//!
//! One task reads the store's change feed in order. A watcher has a bounded queue: one that does not keep
//! up is dropped, so that it delays neither a write nor another watcher.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc;

use super::list::selected;
use super::live::Loaded;
use super::record::Form;
use super::{Error, Objects, Request};
use crate::model::kinds::{self, Kind};
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::store::{Change, Operation, ReplayError};

/// Events that may wait for a watcher before it is dropped.
pub const QUEUE_EVENTS: usize = 1024;

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
    /// The object after the change; for a deletion as it was, shown with the deletion's revision.
    pub now: Option<Loaded>,
    before: Option<Loaded>,
    deleted: bool,
    text: OnceLock<Option<Arc<[u8]>>>,
}

impl Event {
    /// What the change is to a watch with these selectors; `None` if nothing.
    pub fn seen_by(&self, labels: &LabelSelector, fields: &FieldSelector) -> Option<EventType> {
        let matches = |loaded: &Option<Loaded>| {
            loaded.as_ref().is_some_and(|loaded| selected(loaded, labels, fields).unwrap_or(false))
        };
        let before = matches(&self.before);
        let now = !self.deleted && matches(&self.now);
        match (before, now) {
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
            (false, false) => None,
        }
    }

    /// The object as JSON, written once for all watchers.
    pub fn json(&self, objects: &Objects) -> Option<Arc<[u8]>> {
        self.text
            .get_or_init(|| {
                let mut text = Vec::new();
                objects.write_json(self.now.as_ref()?, Form::Object, &mut text).ok()?;
                Some(Arc::from(text))
            })
            .clone()
    }
}

/// What a watcher receives.
pub enum Message {
    /// A change.
    Event(Arc<Event>),
    /// The server is stopping: end cleanly.
    Stop,
}

/// A running watch.
pub struct Watcher {
    /// Changes in order. Closed without [`Message::Stop`] when the watcher was too slow.
    pub events: mpsc::Receiver<Message>,
    /// The revision after which events follow.
    pub from: u64,
}

#[derive(Default)]
struct Subscribers {
    by_kind: HashMap<u8, Vec<Subscriber>>,
    /// Revision of the last change that was fanned out.
    revision: u64,
    stopped: bool,
}

struct Subscriber {
    namespace: Option<Box<str>>,
    queue: mpsc::Sender<Message>,
}

/// Fans the store's changes out to watchers.
#[derive(Default)]
pub struct Hub {
    subscribers: Mutex<Subscribers>,
}

impl Hub {
    /// Starts at the store's present revision.
    pub fn new(revision: u64) -> Self {
        Self { subscribers: Mutex::new(Subscribers { revision, ..Subscribers::default() }) }
    }

    pub(super) fn publish(&self, objects: &Objects, change: &Change) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.revision = change.revision;
        let Some(watchers) = subscribers.by_kind.get_mut(&change.kind_id).filter(|watchers| !watchers.is_empty())
        else {
            return;
        };
        let Some(event) = objects.event(change).map(Arc::new) else { return };
        watchers.retain(|watcher| {
            let concerns = watcher.namespace.as_deref().is_none_or(|namespace| namespace == &*event.namespace);
            // A full queue drops the watcher: its stream ends, and its client lists and watches anew.
            !concerns || watcher.queue.try_send(Message::Event(Arc::clone(&event))).is_ok()
        });
        watchers.retain(|watcher| !watcher.queue.is_closed());
    }

    /// Ends every watch cleanly and refuses new ones.
    pub fn stop(&self) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.stopped = true;
        for watcher in subscribers.by_kind.drain().flat_map(|(_, watchers)| watchers) {
            let _ = watcher.queue.try_send(Message::Stop);
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
        let (queue, events) = mpsc::channel(QUEUE_EVENTS);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if subscribers.stopped {
            return Err(Error::Unavailable("the server is stopping"));
        }
        let from = subscribers.revision;
        let missed = match after {
            Some(after) if after < from => objects.replay(kind, namespace, after, from)?,
            _ => Vec::new(),
        };
        let watchers = subscribers.by_kind.entry(kind.id).or_default();
        watchers.push(Subscriber { namespace: namespace.map(Into::into), queue });
        Ok((Watcher { events, from }, missed))
    }

    /// Revision of the last change that was fanned out.
    pub fn revision(&self) -> u64 {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// How many watches are open.
    pub fn open(&self) -> usize {
        let subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.by_kind.values().map(Vec::len).sum()
    }
}

impl Objects {
    fn event(&self, change: &Change) -> Option<Event> {
        let kind = kinds::by_id(change.kind_id)?;
        let before = match change.previous {
            Some(previous) => self
                .store
                .row(previous)
                .and_then(|row| {
                    self.open(kind, row).map_err(|_| crate::store::ReadError::NotFound { revision: previous })
                })
                .ok(),
            None => None,
        };
        let deleted = change.op == Operation::Delete;
        let now = if deleted {
            let row = self.store.row(change.previous?).ok()?;
            self.open_as_of(kind, row, change.revision).ok()
        } else {
            self.open(kind, Arc::clone(&change.row)).ok()
        };
        let namespace = Arc::clone(&change.row.namespace);
        Some(Event { revision: change.revision, kind, namespace, now, before, deleted, text: OnceLock::new() })
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

impl Event {
    /// Kind of the object.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }
}
