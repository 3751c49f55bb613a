//! Keeps every SecretSync's targets as they shall be: at a start, when something changes here or there, and by the clock.
//!
//! ```text
//! change feed ──► which SecretSyncs ──► lanes, one for each of their clusters ──► pass ──► status
//! watches of clusters ──────────────────────┘                     └── retry, interval
//! ```
//!
//! Nothing that is to be done is kept but in memory: a start looks at everything, and what a start cannot see, that a
//! Secret was deleted, is recorded in the deletion's own transaction.
//!
//! What it never does: let one cluster wait for another, or hold up the feed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::decide::backoff;
use super::events;
use super::lane::{Lane, Work};
use super::metrics::Metrics;
use super::origin::{Sync, SyncName, Unrendered};
use super::pass::{self, Memory, Scope};
use super::pool::Pool;
use super::remote::Remote;
use super::report::{Failed, Report};
use super::room::{COMPONENT, Room};
use super::status::{LaneState, says_the_same, status};
use super::watching;
use crate::clock::rfc3339;
use crate::model::kinds::{self, CLUSTER, SECRET, SECRET_SYNC, SERVICE_ACCOUNT};
use crate::objects::{Error, Involved, Occurrence, Recorder};
use crate::store::{Change, Operation};

/// Annotation: a new value asks for a pass.
pub const REQUESTED: &str = "strongroom.dev/requested-at";
/// A status that says the same is written anew after this time, for its `lastSyncTime`.
const STATUS_SECONDS: i64 = 60;
/// What a pass over everything waits for at a start, so that not all begin at once.
const START_SPREAD: Duration = Duration::from_millis(500);
/// Clusters' health is told this often.
const HEALTH: Duration = Duration::from_mins(1);

/// What everything here works with.
pub(super) struct Context {
    pub(super) room: Room,
    pub(super) pool: Pool,
    pub(super) metrics: Arc<Metrics>,
    pub(super) recorder: Recorder,
    /// Held by who looks at the health of clusters.
    pub(super) looking: tokio::sync::Mutex<()>,
    workers: Mutex<Workers>,
    /// Uid, generation and labels of each Cluster, as they were last seen.
    clusters: Mutex<HashMap<String, (String, i64, Value)>>,
}

type Workers = HashMap<SyncName, Arc<Worker>>;

impl Context {
    fn workers(&self) -> MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something of a Cluster has changed that matters here: not its status.
    fn is_news_of_a_cluster(&self, name: &str) -> bool {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(object) = self.room.cluster_object(name) else { return clusters.remove(name).is_some() };
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let now = (
            metadata.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            metadata.get("labels").cloned().unwrap_or_default(),
        );
        clusters.insert(name.to_owned(), now.clone()).is_none_or(|before| before != now)
    }
}

/// One SecretSync.
pub(super) struct Worker {
    pub(super) id: SyncName,
    state: Mutex<WorkerState>,
    /// One status is written at a time.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct WorkerState {
    uid: String,
    generation: i64,
    requested: String,
    is_deleting: bool,
    lanes: BTreeMap<String, Running>,
    told: BTreeMap<String, LaneState>,
    /// Targets whose cluster cannot be told.
    unresolved: Vec<Unrendered>,
    /// Every source that the last pass has seen.
    sources: BTreeSet<String>,
}

struct Running {
    lane: Arc<Lane>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Worker {
    fn state(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows `feed` until it ends.
pub async fn run(room: Room, metrics: Arc<Metrics>, mut feed: mpsc::UnboundedReceiver<Arc<[Change]>>) {
    let context = Arc::new(Context {
        recorder: Recorder::new(Arc::clone(&room.objects), COMPONENT),
        room,
        pool: Pool::default(),
        metrics,
        looking: tokio::sync::Mutex::default(),
        workers: Mutex::default(),
        clusters: Mutex::default(),
    });
    for (name, _) in context.room.objects.cluster_labels() {
        context.is_news_of_a_cluster(&name);
    }
    for id in context.room.syncs() {
        refresh(&context, &mut context.workers(), &id, START_SPREAD);
    }
    if context.room.objects.forget_old_deleted_sources().await.is_err() {
        tracing::warn!("records of deleted Secrets could not be cleaned up; the next start tries again");
    }
    let mut health = tokio::time::interval(HEALTH);
    health.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changes = feed.recv() => {
                let Some(changes) = changes else { return };
                let mut workers = context.workers();
                for change in changes.iter() {
                    on_change(&context, &mut workers, change);
                }
            }
            _ = health.tick() => drop(tokio::spawn(super::health::look(Arc::clone(&context)))),
        }
    }
}

/// Marks what a change concerns. Does nothing that takes time.
fn on_change(context: &Arc<Context>, workers: &mut Workers, change: &Change) {
    let row = &change.row;
    let (namespace, name) = (&*row.namespace, &*row.name);
    if change.kind_id == SECRET.id {
        for worker in workers.values().filter(|worker| worker.id.namespace == namespace) {
            let mut state = worker.state();
            if change.op == Operation::Delete {
                for lane in state.told.values_mut() {
                    lane.settled.remove(name);
                }
            }
            // A source that is gone, or perhaps no longer selected, leaves something over: that is found by looking at
            // everything.
            let is_all = change.op == Operation::Delete
                || (state.sources.contains(name) && !context.room.selects(&worker.id, name));
            for running in state.lanes.values() {
                if is_all {
                    running.lane.all(super::lane::DEBOUNCE);
                } else {
                    running.lane.source(name);
                }
            }
        }
        if context.room.objects.is_kubeconfig(namespace, name) {
            everywhere(workers, |_| true);
            tokio::spawn(super::health::look(Arc::clone(context)));
        }
    } else if change.kind_id == SECRET_SYNC.id {
        let id = SyncName { namespace: namespace.to_owned(), name: name.to_owned() };
        if change.op == Operation::Delete {
            workers.remove(&id);
        } else {
            refresh(context, workers, &id, Duration::ZERO);
        }
    } else if change.kind_id == CLUSTER.id {
        if change.op == Operation::Delete {
            context.pool.forget(name);
        }
        if context.is_news_of_a_cluster(name) {
            let ids: Vec<SyncName> = workers.keys().cloned().collect();
            for id in ids {
                resolve_again(context, workers, &id);
            }
            tokio::spawn(super::health::look(Arc::clone(context)));
        }
    } else if change.kind_id == SERVICE_ACCOUNT.id || kinds::decides_access(change.kind_id) {
        // What was refused may be allowed now. What was allowed is asked anew by each pass.
        everywhere(workers, |state| {
            state.told.values().any(|lane| lane.failure.is_some() || !lane.problems.is_empty())
                || !state.unresolved.is_empty()
        });
    }
}

fn everywhere(workers: &Workers, wanted: impl Fn(&WorkerState) -> bool) {
    for worker in workers.values() {
        let state = worker.state();
        if wanted(&state) {
            state.lanes.values().for_each(|running| running.lane.all(super::lane::DEBOUNCE));
        }
    }
}

/// A SecretSync is new, has changed, or is being deleted.
fn refresh(context: &Arc<Context>, workers: &mut Workers, id: &SyncName, delay: Duration) {
    let Some((sync, object)) = context.room.sync(id) else {
        workers.remove(id);
        return;
    };
    let requested = object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(REQUESTED));
    let requested = requested.and_then(Value::as_str).unwrap_or_default();
    let worker = workers.entry(id.clone()).or_insert_with(|| {
        Arc::new(Worker { id: id.clone(), state: Mutex::default(), writing: tokio::sync::Mutex::default() })
    });
    let is_news = {
        let mut state = worker.state();
        let is_news = state.uid != sync.uid
            || state.generation != sync.generation
            || state.is_deleting != sync.is_deleting
            || state.requested != requested;
        if state.uid != sync.uid {
            *state = WorkerState::default();
        }
        state.uid.clone_from(&sync.uid);
        state.generation = sync.generation;
        state.is_deleting = sync.is_deleting;
        requested.clone_into(&mut state.requested);
        is_news
    };
    // Everything else is our own status, or what concerns nobody here.
    if is_news {
        resolve(context, worker, &sync, &object, delay);
    }
}

fn resolve_again(context: &Arc<Context>, workers: &Workers, id: &SyncName) {
    if let (Some(worker), Some((sync, object))) = (workers.get(id), context.room.sync(id)) {
        resolve(context, worker, &sync, &object, super::lane::DEBOUNCE);
    }
}

/// Gives the SecretSync a lane for each of its clusters, and each of them something to do.
fn resolve(context: &Arc<Context>, worker: &Arc<Worker>, sync: &Sync, object: &Value, delay: Duration) {
    let (mut clusters, unresolved) = context.room.clusters(sync);
    // Where something was written once is looked at too, for what is left over.
    let written = object.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten();
    for name in written.filter_map(|target| target.get("cluster")?.as_str()) {
        clusters.entry(name.to_owned()).or_default();
    }
    let mut state = worker.state();
    let happened = events::of_unresolved(&state.unresolved, &unresolved);
    state.unresolved = unresolved;
    state.lanes.retain(|name, _| clusters.contains_key(name));
    state.told.retain(|name, _| clusters.contains_key(name));
    for lane in state.told.values_mut() {
        lane.has_passed = false;
        lane.has_ended = false;
        lane.attempts = 0;
        lane.settled.clear();
    }
    for name in clusters.into_keys() {
        let running = state.lanes.entry(name.clone()).or_insert_with(|| {
            let lane = Arc::new(Lane::default());
            let work = run_lane(Arc::clone(context), Arc::clone(worker), name, Arc::clone(&lane));
            Running { lane, task: tokio::spawn(work) }
        });
        running.lane.all(delay);
    }
    let has_none = state.lanes.is_empty();
    drop(state);
    if has_none || !happened.is_empty() {
        // Where there is no lane nobody else would tell why nothing is done, or that nothing is left to be taken back.
        let (context, worker, sync, object) = (Arc::clone(context), Arc::clone(worker), sync.clone(), object.clone());
        tokio::spawn(async move {
            if has_none {
                tell(&context, &worker).await;
            }
            context.recorder.record(&involved(&sync, &object), happened).await;
        });
    }
}

async fn run_lane(context: Arc<Context>, worker: Arc<Worker>, cluster: String, lane: Arc<Lane>) {
    let mut watching = watching::Watching::default();
    loop {
        let work = lane.next().await;
        let Some((sync, object)) = context.room.sync(&worker.id) else { return };
        let Some(scope) = scope(&worker, &cluster, work) else { continue };
        if let Err(error) = context.room.hold(&sync, &object).await {
            tracing::warn!(%error, "a SecretSync is not worked on yet");
            lane.all(Duration::from_secs(5));
            continue;
        }
        let is_whole = scope.sources.is_none();
        let memory = memory(&worker, &cluster, &sync, &object);
        let (mut report, remote) = pass_of(&context, &sync, &cluster, &scope, &memory).await;
        let since = watching::Since { marked: report.listed_at.take(), namespaces: report.namespaces_at.take() };
        context.metrics.passed(&report);
        let (next, mut happened) = take_in(&context, &worker, &cluster, report, is_whole).await;
        happened.extend(tell(&context, &worker).await);
        context.recorder.record(&involved(&sync, &object), happened).await;
        match next {
            Next::Again { sources: Some(sources), after } => lane.again(sources, after),
            Next::Again { sources: None, after } => lane.all(after),
            Next::Interval => {}
        }
        if is_whole {
            lane.all(spread(sync.spec.refresh));
            if let Some(remote) = remote.filter(|_| !sync.is_deleting) {
                watching.follow(&sync, &remote, &lane, since);
            }
        }
    }
}

/// What a pass is about; `None` if nothing is left of it.
fn scope(worker: &Worker, cluster: &str, work: Work) -> Option<Scope> {
    if work.all {
        return Some(Scope::default());
    }
    let state = worker.state();
    let known = state.told.get(cluster);
    let mut sources = work.sources;
    for (key, touched) in work.touched {
        let seen = known.and_then(|lane| lane.targets.get(&key));
        let is_own = touched.resource_version.is_some()
            && seen.is_some_and(|seen| seen.report.resource_version == touched.resource_version);
        if !is_own {
            let source = seen.map_or(touched.source, |seen| seen.report.source.clone());
            sources.insert(source);
        }
    }
    (!sources.is_empty()).then(|| Scope { sources: Some(sources), ..Scope::default() })
}

async fn pass_of(
    context: &Context,
    sync: &Sync,
    cluster: &str,
    scope: &Scope,
    memory: &LaneMemory,
) -> (Report, Option<Arc<Remote>>) {
    if sync.spec.suspend && !sync.is_deleting {
        return (Report::default(), None);
    }
    let made = context.pool.cluster(&context.room, sync, cluster);
    match made {
        Ok(made) => {
            let (clusters, _) = context.room.clusters(sync);
            let targets = clusters.get(cluster).cloned().unwrap_or_default();
            let remote = Arc::clone(&made.remote);
            (pass::run(&context.room, sync, &made, &targets, scope, memory).await, Some(remote))
        }
        Err(error) => (Report { failure: Some(Failed::from(error)), ..Report::default() }, None),
    }
}

/// What a lane knows of its targets when a pass begins.
struct LaneMemory {
    written: HashSet<(String, String)>,
    places: Vec<(String, String)>,
    targets_left: usize,
}

impl Memory for LaneMemory {
    fn was_written(&self, namespace: &str, name: &str) -> bool {
        self.written.contains(&(namespace.to_owned(), name.to_owned()))
    }

    fn places(&self) -> Vec<(String, String)> {
        self.places.clone()
    }

    fn targets_left(&self) -> usize {
        self.targets_left
    }
}

fn memory(worker: &Worker, cluster: &str, sync: &Sync, object: &Value) -> LaneMemory {
    let state = worker.state();
    let known = state.told.get(cluster).into_iter().flat_map(|lane| &lane.targets);
    let written = known.filter(|(_, seen)| seen.report.is_ready || seen.last_applied_at.is_some());
    let mut written: HashSet<(String, String)> = written.map(|(key, _)| key.clone()).collect();
    // What was written before the server started is in the status.
    for target in object.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| target.get(field).and_then(Value::as_str).unwrap_or_default();
        if text("cluster") == cluster && !text("lastAppliedAt").is_empty() {
            written.insert((text("namespace").to_owned(), text("name").to_owned()));
        }
    }
    let elsewhere: usize =
        state.told.iter().filter(|(name, _)| *name != cluster).map(|(_, lane)| lane.targets.len()).sum();
    LaneMemory {
        places: written.iter().cloned().collect(),
        written,
        targets_left: sync.spec.limits.max_targets.saturating_sub(elsewhere),
    }
}

/// When a lane has something to do next, besides changes.
enum Next {
    Interval,
    Again { sources: Option<BTreeSet<String>>, after: Duration },
}

/// The SecretSync as what something happens to.
fn involved<'a>(sync: &'a Sync, object: &'a Value) -> Involved<'a> {
    let revision = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    Involved {
        kind: &SECRET_SYNC,
        namespace: &sync.id.namespace,
        name: &sync.id.name,
        uid: &sync.uid,
        resource_version: revision.unwrap_or_default(),
    }
}

async fn take_in(
    context: &Context,
    worker: &Worker,
    cluster: &str,
    report: Report,
    is_whole: bool,
) -> (Next, Vec<Occurrence>) {
    let now = context.room.clock.unix_seconds();
    let settled = report.settled_deletions.clone();
    let next = take_in_report(worker, cluster, report, is_whole, now);
    settle_deletions(context, &worker.id.namespace, &settled).await;
    next
}

/// Forgets deletions that every lane of the namespace has dealt with.
async fn settle_deletions(context: &Context, namespace: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let done: BTreeSet<&String> = {
        let workers = context.workers();
        let of_namespace: Vec<&Arc<Worker>> =
            workers.values().filter(|worker| worker.id.namespace == namespace).collect();
        let is_done = |name: &String| {
            of_namespace.iter().all(|worker| {
                let state = worker.state();
                state.lanes.keys().all(|lane| state.told.get(lane).is_some_and(|told| told.settled.contains(name)))
            })
        };
        names.iter().filter(|name| is_done(name)).collect()
    };
    if done.is_empty() {
        return;
    }
    for deleted in context.room.objects.deleted_sources(namespace) {
        if done.contains(&deleted.name) && context.room.objects.forget_deleted_source(&deleted).await.is_err() {
            return;
        }
    }
}

fn take_in_report(worker: &Worker, cluster: &str, report: Report, is_whole: bool, now: i64) -> (Next, Vec<Occurrence>) {
    let retry_after = report.failure.as_ref().and_then(|failed| failed.retry_after);
    let mut state = worker.state();
    if is_whole {
        state.sources.clone_from(&report.sources);
    } else {
        state.sources.extend(report.sources.iter().cloned());
    }
    let lane = state.told.entry(cluster.to_owned()).or_default();
    let happened = events::of_pass(cluster, lane, &report);
    lane.take_in(report, is_whole, now);
    if !lane.is_unsettled() {
        lane.attempts = 0;
        lane.next_retry_at = None;
        return (Next::Interval, happened);
    }
    lane.attempts += 1;
    let mut random = [0; 8];
    // Without randomness everybody waits the longest.
    let random = getrandom::fill(&mut random).map_or(u64::MAX, |()| u64::from_le_bytes(random));
    let after = backoff(lane.attempts, random).max(retry_after.unwrap_or_default());
    lane.next_retry_at = Some(now.saturating_add(i64::try_from(after.as_secs()).unwrap_or(i64::MAX)));
    let sources = if lane.failure.is_some() || !lane.problems.is_empty() {
        None
    } else {
        let unsettled = lane.targets.values().filter(|seen| seen.report.is_passing && !seen.report.is_ready);
        Some(unsettled.map(|seen| seen.report.source.clone()).collect())
    };
    (Next::Again { sources, after }, happened)
}

/// Writes the status, and lets a SecretSync go that has nothing left to take back. Says if all is well that was not.
async fn tell(context: &Context, worker: &Worker) -> Option<Occurrence> {
    let _writing = worker.writing.lock().await;
    let (sync, object) = context.room.sync(&worker.id)?;
    let former = object.get("status").cloned().unwrap_or_default();
    let now = context.room.clock.unix_seconds();
    let (made, is_done) = {
        let state = worker.state();
        let made = status(&sync, &state.told, &state.unresolved, &state.requested, &former, &rfc3339(now), &rfc3339);
        let is_done = state.lanes.keys().all(|name| {
            state.told.get(name).is_some_and(|lane| lane.has_passed && lane.failure.is_none() && !lane.is_unsettled())
        });
        (made, is_done)
    };
    if sync.is_deleting {
        if is_done && let Err(error) = context.room.release(&sync, &object).await {
            tracing::warn!(%error, "a SecretSync is not let go yet");
        }
        if is_done {
            return None;
        }
    }
    let is_recent = former
        .get("lastSyncTime")
        .and_then(Value::as_str)
        .and_then(crate::model::age::parse_rfc3339)
        .is_some_and(|told| now - told < STATUS_SECONDS);
    if says_the_same(&made, &former) && is_recent {
        return None;
    }
    let is_well = events::of_status(&former, &made);
    let written =
        context.room.objects.write_status(COMPONENT, &SECRET_SYNC, &sync.id.namespace, &sync.id.name, &sync.uid, made);
    if let Err(error) = written.await
        && !matches!(error, Error::NotFound(_) | Error::Conflict(..))
    {
        tracing::warn!("the status of a SecretSync could not be written");
    }
    is_well
}

/// So that not everything is looked at in the same moment: nine to eleven tenths.
fn spread(interval: Duration) -> Duration {
    let mut random = [0; 4];
    let random = getrandom::fill(&mut random).map_or(0, |()| u32::from_le_bytes(random) % 201);
    interval * (900 + random) / 1_000
}
