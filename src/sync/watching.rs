//! Watches of a cluster: what is changed there by others is looked at at once, where the cluster lets it be watched.
//! Where it does not, it is found by the clock.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::SOURCE_ANNOTATION;
use super::lane::{DEBOUNCE, Lane, Touched};
use super::origin::Sync;
use super::refusal::RemoteError;
use super::remote::{Remote, Watched};
use crate::kube_client::Lines;

/// Between two attempts at a watch.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_mins(2);

/// Revisions up to which everything is known.
#[derive(Debug, Default, Clone)]
pub(super) struct Since {
    /// Of marked objects.
    pub(super) marked: Option<String>,
    /// Of namespaces.
    pub(super) namespaces: Option<String>,
}

/// The watches of one lane; they end with it.
#[derive(Default)]
pub(super) struct Watching {
    tasks: Vec<JoinHandle<()>>,
    of: Option<(String, i64, usize)>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end();
    }
}

impl Watching {
    fn end(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }

    /// Watches what a SecretSync has in a cluster, and the namespaces there if they matter. `since` is the revision up to
    /// which everything is known.
    pub(super) fn follow(&mut self, sync: &Sync, remote: &Arc<Remote>, lane: &Arc<Lane>, since: Since) {
        let of = (sync.uid.clone(), sync.generation, Arc::as_ptr(remote) as usize);
        let is_same = self.of.as_ref() == Some(&of);
        if is_same && !self.tasks.is_empty() && self.tasks.iter().all(|task| !task.is_finished()) {
            return;
        }
        self.end();
        self.of = Some(of);
        let what = What::Marked { sync_uid: sync.uid.clone() };
        self.tasks.push(tokio::spawn(watch(Arc::clone(remote), Arc::clone(lane), what, since.marked)));
        if sync.spec.targets.iter().any(|target| !target.namespaces.is_static()) {
            let what = What::Namespaces;
            self.tasks.push(tokio::spawn(watch(Arc::clone(remote), Arc::clone(lane), what, since.namespaces)));
        }
    }
}

enum What {
    Marked { sync_uid: String },
    Namespaces,
}

impl What {
    fn watched(&self) -> Watched<'_> {
        match self {
            Self::Marked { sync_uid } => Watched::Marked { namespace: None, sync_uid },
            Self::Namespaces => Watched::Namespaces,
        }
    }
}

/// Until the cluster refuses.
async fn watch(remote: Arc<Remote>, lane: Arc<Lane>, what: What, mut since: Option<String>) {
    let mut pause = PAUSE;
    loop {
        match remote.watch(what.watched(), since.as_deref()).await {
            Ok(lines) => {
                pause = PAUSE;
                if !follow(lines, &lane, &what, &mut since).await {
                    // Something was missed.
                    since = None;
                    lane.all(DEBOUNCE);
                }
            }
            Err(RemoteError::Forbidden(_) | RemoteError::Unauthorized | RemoteError::Kubeconfig) => {
                // Kept as a task that does nothing, so that nobody tries again until something changes.
                return std::future::pending().await;
            }
            Err(RemoteError::Expired) => {
                since = None;
                lane.all(DEBOUNCE);
            }
            Err(_) => pause = (pause * 2).min(PAUSE_MAX),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Reads events until the watch ends. Whether it ended well.
#[expect(clippy::disallowed_methods, reason = "events hold metadata only")]
async fn follow(mut lines: Lines, lane: &Lane, what: &What, since: &mut Option<String>) -> bool {
    loop {
        let Ok(Some(line)) = lines.next().await else { return true };
        let Ok(event) = serde_json::from_slice::<Value>(line.expose()) else { return false };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if kind == "ERROR" {
            return false;
        }
        let revision = text("/object/metadata/resourceVersion");
        if !revision.is_empty() {
            *since = Some(revision.chars().take(64).collect());
        }
        if kind == "BOOKMARK" {
            continue;
        }
        match what {
            What::Namespaces => lane.all(DEBOUNCE),
            What::Marked { .. } => {
                let annotations = event.pointer("/object/metadata/annotations");
                let source = annotations.and_then(|annotations| annotations.get(SOURCE_ANNOTATION)?.as_str());
                let source = source.and_then(|source| source.split_once('/')).map_or("", |(_, name)| name);
                let resource_version = (kind != "DELETED").then(|| revision.to_owned());
                let touched = Touched { source: source.to_owned(), resource_version };
                lane.touched(text("/object/metadata/namespace"), text("/object/metadata/name"), touched);
            }
        }
    }
}
