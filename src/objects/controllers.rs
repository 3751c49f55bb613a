//! What follows from changes without anybody asking: watchers are told, terminating namespaces are emptied, Secrets of
//! service accounts are filled, old Events and old versions of Secrets removed.
//!
//! All of it lives on the store's change feed alone, so whatever writes to the store, they hear of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::watch::Hub;
use super::{Error, Objects, token_secrets};
use crate::audit::RequestFacts;
use crate::model::kinds;
use crate::model::user::User;
use crate::rbac::{self, Attributes, Permit, Policy};
use crate::store::{Change, Flags, Operation};

/// The changes of a store, in order.
pub type Feed = mpsc::UnboundedReceiver<Arc<[Change]>>;

/// Who empties namespaces, as the audit shows it.
const COMPONENT: &str = "namespace-controller";

/// Follows the feed until the store closes it. `trust` is the certificate (PEM) by which clients know the server, once
/// that is known; it goes into the Secrets of service accounts. Events are removed `event_ttl` after their last change.
/// `followers` are told of every change too, after those here have been.
pub async fn run(
    objects: Arc<Objects>,
    hub: Arc<Hub>,
    trust: watch::Receiver<Option<Vec<u8>>>,
    event_ttl: Duration,
    mut feed: Feed,
    followers: Vec<mpsc::UnboundedSender<Arc<[Change]>>>,
) {
    let tokens = objects.make_token.is_some().then(|| {
        let (sender, queue) = mpsc::unbounded_channel();
        tokio::spawn(token_secrets::run(Arc::clone(&objects), trust, queue));
        sender
    });
    let (events, queue) = mpsc::unbounded_channel();
    tokio::spawn(super::events::expire(Arc::clone(&objects), event_ttl, queue));
    let (history, queue) = mpsc::unbounded_channel();
    tokio::spawn(super::history::expire(Arc::clone(&objects), queue));
    let (to_empty, queue) = mpsc::unbounded_channel();
    for name in objects.terminating_namespaces() {
        let _ = to_empty.send(name);
    }
    let emptying = tokio::spawn(empty_namespaces(Arc::clone(&objects), queue));
    while let Some(batch) = feed.recv().await {
        let mut names = BTreeSet::new();
        for change in batch.iter() {
            hub.publish(&objects, change);
            names.extend(objects.namespace_to_empty(change));
            if change.kind_id == kinds::EVENT.id {
                let _ = events.send(change.clone());
            }
            if matches!(change.kind_id, id if id == kinds::SECRET.id || id == kinds::NAMESPACE.id) {
                let _ = history.send(change.clone());
            }
            if let (Some(tokens), Some(work)) = (&tokens, Objects::token_work(change)) {
                let _ = tokens.send(work);
            }
        }
        for name in names {
            let _ = to_empty.send(name);
        }
        for follower in &followers {
            let _ = follower.send(Arc::clone(&batch));
        }
    }
    emptying.abort();
}

async fn empty_namespaces(objects: Arc<Objects>, mut queue: mpsc::UnboundedReceiver<String>) {
    while let Some(name) = queue.recv().await {
        let Ok(permit) = permit(&name) else { continue };
        let facts = RequestFacts::own(objects.clock.unix_millis());
        match objects.empty_namespace(&permit, &facts, &name).await {
            // Where somebody else changed the namespace or finished it, their change comes by here too.
            Ok(_) | Err(Error::NotFound(_) | Error::Conflict(..)) => {}
            Err(_) => {
                tracing::warn!(namespace = name, "a terminating namespace could not be emptied; a restart tries again");
            }
        }
    }
}

fn permit(namespace: &str) -> Result<Permit, rbac::Denial> {
    rbac::authorize(
        &Policy::empty(),
        &Arc::new(User::system(COMPONENT)),
        Attributes::object("delete", &kinds::NAMESPACE, "", namespace),
    )
}

impl Objects {
    /// A namespace that began to terminate, or one that terminates and lost an object that may have held it.
    fn namespace_to_empty(&self, change: &Change) -> Option<String> {
        let row = &change.row;
        if change.kind_id == kinds::NAMESPACE.id {
            return row.flags.has(Flags::TERMINATING).then(|| row.name.to_string());
        }
        if change.op != Operation::Delete || row.namespace.is_empty() {
            return None;
        }
        let namespace = self.store.find(kinds::NAMESPACE.id, "", &row.namespace).ok()??;
        namespace.flags.has(Flags::TERMINATING).then(|| row.namespace.to_string())
    }
}
