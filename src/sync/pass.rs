//! One pass of a SecretSync over one cluster: look, compare, change what differs, and say what became of each target.
//!
//! ```text
//! namespaces ─► list of what is marked ─► pages of what shall be ─► decide (pure) ─► apply ─► what is left over
//! ```
//!
//! What it never does: delete because something could not be read, write what is as it shall be, hold values of more than
//! a page, or go on asking a cluster that does not answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::OnceCell;

use super::decide::{Action, Leftover, Removal, State, Verdict, decide, leftovers};
use super::observed::Observed;
use super::origin::{Ask, Origin, OriginError, Page, Rendered, Sync, Unrendered};
use super::plan::key_changes;
use super::refusal::RemoteError;
use super::remote::{Apply, Found, Namespace, Place, Remote};
use super::report::{Failed, Report, TargetReport};
use super::restart::restart_due;
use super::{MARKER_ANNOTATIONS, MARKER_LABELS};
use crate::clock::rfc3339;
use crate::model::secret_sync::{Glob, Target};

/// Targets of one cluster that are worked on at once.
pub const AT_ONCE: usize = 16;

/// A cluster to write to.
#[derive(Clone)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// Namespaces that may be written to; empty is all.
    pub allowed_namespaces: Arc<[Glob]>,
    /// How it is asked.
    pub remote: Arc<Remote>,
}

/// What a pass is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// These sources only, which are there; `None` is everything, and what is left over.
    pub sources: Option<BTreeSet<String>>,
    /// Nothing is changed: it is only said what would be.
    pub dry_run: bool,
    /// Fields of other managers are taken over.
    pub force: bool,
}

/// What is known of a cluster's targets from before.
pub trait Memory: Send + std::marker::Sync {
    /// Whether the target is known to have been as it was to be.
    fn was_written(&self, namespace: &str, name: &str) -> bool;

    /// Places in which the SecretSync has written, for clusters in which they cannot be listed.
    fn places(&self) -> Vec<(String, String)>;

    /// Objects that the SecretSync may still write to, in other clusters than this counted already.
    fn targets_left(&self) -> usize;
}

/// A pass of `sync` over `cluster`. `targets` are the places in the spec of those that concern it.
pub async fn run<O: Origin>(
    origin: &O,
    sync: &Sync,
    cluster: &Cluster,
    targets: &[usize],
    scope: &Scope,
    memory: &dyn Memory,
) -> Report {
    let mut report = Report::default();
    if let Err(failed) = Pass::new(origin, sync, cluster, scope, memory).run(targets, &mut report).await {
        report.failure = Some(failed);
    }
    report.targets.sort_by(|a, b| (&a.namespace, &a.name, &a.source).cmp(&(&b.namespace, &b.name, &b.source)));
    report
}

struct Pass<'a, O> {
    origin: &'a O,
    sync: &'a Sync,
    cluster: &'a Cluster,
    scope: &'a Scope,
    memory: &'a dyn Memory,
    /// Names of the Secrets of each namespace, read when first something is missing there.
    names: HashMap<String, OnceCell<Option<BTreeSet<String>>>>,
    /// Whether everything marked was listed. Otherwise each target is looked at by name.
    is_listed: bool,
    writes: AtomicUsize,
    /// Why the cluster is not asked any more.
    ended: OnceCell<RemoteError>,
}

impl<'a, O: Origin> Pass<'a, O> {
    fn new(origin: &'a O, sync: &'a Sync, cluster: &'a Cluster, scope: &'a Scope, memory: &'a dyn Memory) -> Self {
        Self {
            origin,
            sync,
            cluster,
            scope,
            memory,
            names: HashMap::new(),
            is_listed: false,
            writes: AtomicUsize::new(0),
            ended: OnceCell::new(),
        }
    }

    fn remote(&self) -> &Remote {
        &self.cluster.remote
    }

    fn target(&self, place: usize) -> Option<&'a Target> {
        self.sync.spec.targets.get(place)
    }

    async fn run(&mut self, targets: &[usize], report: &mut Report) -> Result<(), Failed> {
        let namespaces = if self.sync.is_deleting { Vec::new() } else { self.namespaces(targets, report).await? };
        let everywhere: BTreeSet<&str> =
            namespaces.iter().flat_map(|(_, namespaces)| namespaces.iter().map(|one| one.name.as_str())).collect();
        self.names = everywhere.iter().map(|name| ((*name).to_owned(), OnceCell::new())).collect();
        let mut found = Found::new();
        if self.scope.sources.is_none() {
            self.is_listed = self.look(&everywhere, &mut found, report).await?;
        }
        let mut claimed: HashMap<(String, String), String> = HashMap::new();
        let mut gone = BTreeSet::new();
        if !self.sync.is_deleting {
            let sources: Option<Vec<String>> = self.scope.sources.as_ref().map(|names| names.iter().cloned().collect());
            let mut token = None;
            loop {
                let ask = Ask {
                    sync: self.sync,
                    cluster: &self.cluster.name,
                    cluster_uid: &self.cluster.uid,
                    namespaces: &namespaces,
                    sources: sources.as_deref(),
                    continue_token: token,
                    dry_run: self.scope.dry_run,
                };
                let page = self.origin.page(ask).await?;
                let Page { objects, problems, sources, deleted, continue_token } = page;
                report.sources.extend(sources);
                gone.extend(deleted);
                report.problems.extend(problems);
                self.work_on(objects, &mut found, &mut claimed, report).await;
                if let Some(error) = self.ended.get() {
                    report.writes = self.writes.load(Ordering::Relaxed);
                    return Err(Failed::from(error));
                }
                match continue_token {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
        }
        if self.scope.sources.is_none() {
            if !self.is_listed {
                self.look_where_it_was(&claimed, &mut found).await?;
            }
            self.clear_up(found, &gone, report).await;
        }
        if !self.scope.dry_run && self.ended.get().is_none() {
            let at = rfc3339(self.origin.unix_seconds());
            let writes = restart_due(self.sync, self.remote(), report, &at).await;
            self.writes.fetch_add(writes, Ordering::Relaxed);
        }
        report.writes = self.writes.load(Ordering::Relaxed);
        match self.ended.get() {
            Some(error) => Err(Failed::from(error)),
            None => Ok(()),
        }
    }

    /// The namespaces that each target is about.
    async fn namespaces(&self, targets: &[usize], report: &mut Report) -> Result<Vec<(usize, Vec<Namespace>)>, Failed> {
        let mut all: Option<Vec<Namespace>> = None;
        let mut chosen = Vec::new();
        for place in targets.iter().copied() {
            let Some(target) = self.target(place) else { continue };
            let wanted = &target.namespaces;
            let mut namespaces = Vec::new();
            if wanted.is_static() {
                let named = wanted.named(&self.sync.id.namespace);
                let named = named.into_iter().map(|name| Namespace { name, labels: BTreeMap::new() });
                namespaces
                    .extend(named.filter(|one| wanted.is_wanted(&self.sync.id.namespace, &one.name, &one.labels)));
            } else {
                if all.is_none() {
                    let (listed, revision) = self.remote().namespaces().await.map_err(|error| Failed::from(&error))?;
                    report.namespaces_at = Some(revision);
                    all = Some(listed);
                }
                let listed = all.iter().flatten();
                namespaces.extend(
                    listed.filter(|one| wanted.is_wanted(&self.sync.id.namespace, &one.name, &one.labels)).cloned(),
                );
                // Those that are named are wanted also where they are missing, which is told, or mended.
                let own = &self.sync.id.namespace;
                let missing = wanted.names.iter().filter(|name| namespaces.iter().all(|one| one.name != **name));
                let missing = missing.map(|name| Namespace { name: name.clone(), labels: BTreeMap::new() });
                let missing: Vec<_> = missing.filter(|one| wanted.is_wanted(own, &one.name, &one.labels)).collect();
                namespaces.extend(missing);
            }
            let allowed = &self.cluster.allowed_namespaces;
            namespaces.retain(|one| {
                let is_allowed = allowed.is_empty() || allowed.iter().any(|glob| glob.matches(&one.name));
                if !is_allowed {
                    report.problems.push(Unrendered {
                        target: Some(place),
                        namespace: one.name.clone(),
                        source: String::new(),
                        reason: "NamespaceNotAllowed".to_owned(),
                        message: format!(
                            "cluster {:?} does not let namespace {:?} be written to (spec.allowedNamespaces)",
                            self.cluster.name, one.name
                        ),
                    });
                }
                is_allowed
            });
            chosen.push((place, namespaces));
        }
        Ok(chosen)
    }

    /// Lists what is marked: of the whole cluster, or where that is not allowed, namespace by namespace. Whether all of
    /// it is known then.
    async fn look(&self, namespaces: &BTreeSet<&str>, found: &mut Found, report: &mut Report) -> Result<bool, Failed> {
        let (uid, mac) = (self.sync.uid.as_str(), self.origin.mac());
        match self.remote().marked(None, uid, mac, found).await {
            Ok(revision) => {
                report.listed_at = Some(revision);
                return Ok(true);
            }
            Err(RemoteError::Forbidden(_)) => found.clear(),
            Err(error) => return Err(Failed::from(&error)),
        }
        for namespace in namespaces {
            match self.remote().marked(Some(namespace), uid, mac, found).await {
                Ok(_) => {}
                Err(RemoteError::Forbidden(_)) => {
                    found.clear();
                    return Ok(false);
                }
                Err(error) => return Err(Failed::from(&error)),
            }
        }
        // What was written into a namespace that is no longer wanted is found by name only.
        Ok(!namespaces.is_empty() && self.memory.places().iter().all(|(place, _)| namespaces.contains(place.as_str())))
    }

    /// Where nothing can be listed: looks by name at the places in which something was written and is no longer wanted.
    async fn look_where_it_was(
        &self,
        claimed: &HashMap<(String, String), String>,
        found: &mut Found,
    ) -> Result<(), Failed> {
        for place in self.memory.places().into_iter().filter(|place| !claimed.contains_key(place)) {
            match self.remote().secret(&place.0, &place.1, &self.sync.uid, self.origin.mac()).await {
                Ok(Some(observed)) if observed.sync_uid.as_deref() == Some(&self.sync.uid) => {
                    found.insert(place, observed);
                }
                Ok(_) | Err(RemoteError::Forbidden(_)) => {}
                Err(error) => return Err(Failed::from(&error)),
            }
        }
        Ok(())
    }

    async fn work_on(
        &self,
        objects: Vec<Rendered>,
        found: &mut Found,
        claimed: &mut HashMap<(String, String), String>,
        report: &mut Report,
    ) {
        let mut work = Vec::with_capacity(objects.len());
        for rendered in objects {
            let key = (rendered.desired.namespace.clone(), rendered.desired.name.clone());
            if let Some(other) = claimed.get(&key) {
                let message = format!("Secret {other:?} is written to the same object: give each its own name");
                report.targets.push(self.told(&rendered, State::Conflict, "DuplicateTarget", message));
                continue;
            }
            if claimed.len() >= self.memory.targets_left() {
                found.remove(&key);
                let limit = self.sync.spec.limits.max_targets;
                let message = format!("the SecretSync has more than {limit} targets (spec.limits.maxTargets)");
                report.targets.push(self.told(&rendered, State::Unknown, "TargetLimit", message));
                continue;
            }
            claimed.insert(key.clone(), rendered.source.clone());
            work.push((rendered, found.remove(&key)));
        }
        let reports = stream::iter(work).map(|(rendered, observed)| self.settle(rendered, observed));
        report.targets.extend(reports.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }

    /// Brings one target to where it shall be.
    async fn settle(&self, mut rendered: Rendered, observed: Option<Observed>) -> TargetReport {
        if let Some(error) = self.ended.get() {
            return self.failed(&rendered, error);
        }
        match self.try_settle(&mut rendered, observed).await {
            Ok(report) => report,
            Err(Stopped::Remote(error)) => {
                if error.is_of_the_cluster() {
                    let _ = self.ended.set(error.clone());
                }
                self.failed(&rendered, &error)
            }
            Err(Stopped::Origin(error)) => TargetReport {
                is_passing: error.is_passing,
                ..self.told(&rendered, State::Unknown, error.reason, error.message)
            },
        }
    }

    async fn try_settle(&self, rendered: &mut Rendered, observed: Option<Observed>) -> Result<TargetReport, Stopped> {
        let Some(target) = self.target(rendered.target) else {
            return Err(Stopped::Remote(RemoteError::Unreadable));
        };
        let desired = &rendered.desired;
        let observed = match observed {
            Some(observed) => Some(observed),
            None => self.look_for(&desired.namespace, &desired.name).await?,
        };
        let was_written = self.memory.was_written(&desired.namespace, &desired.name);
        let verdict = decide(target, desired, observed.as_ref(), &self.sync.uid, was_written);
        // One that is gone, and that is nobody's but ours to make, was deleted by somebody.
        let is_gone = verdict.state == State::Missing && was_written && verdict.reason != "TargetMissing";
        let keys = if self.scope.dry_run { key_changes(target, desired, observed.as_ref()) } else { Vec::new() };
        let mut report = TargetReport {
            is_ready: verdict.is_ready,
            is_drifted: verdict.state.is_drift() || is_gone,
            is_restart_due: observed.as_ref().is_some_and(|observed| observed.is_restart_due),
            resource_version: observed.as_ref().map(|observed| observed.resource_version.clone()),
            keys,
            ..self.told(rendered, verdict.state, verdict.reason, verdict.message.clone())
        };
        if matches!(verdict.action, Action::Nothing) {
            return Ok(report);
        }
        report.is_changed = true;
        report.is_restart_due |= verdict.is_data_changed && !target.rollout_restart.is_empty();
        if report.is_restart_due {
            rendered.desired.note_restart();
        }
        let written = match self.act(rendered, target, observed.as_ref(), &verdict).await {
            // Who may only read can still tell what would be changed.
            Err(Stopped::Remote(RemoteError::Forbidden(why))) if self.scope.dry_run => {
                report.message = format!("compared, and not tried: {why}");
                return Ok(report);
            }
            written => written?,
        };
        if !self.scope.dry_run {
            report.state = State::InSync;
            report.is_ready = true;
            "Written".clone_into(&mut report.reason);
            report.message.clear();
            report.resource_version = written.map(|written| written.resource_version);
        }
        Ok(report)
    }

    /// What is there of a name under which nothing of ours was listed.
    async fn look_for(&self, namespace: &str, name: &str) -> Result<Option<Observed>, Stopped> {
        if self.is_listed && !self.may_be_there(namespace, name).await? {
            return Ok(None);
        }
        Ok(self.remote().secret(namespace, name, &self.sync.uid, self.origin.mac()).await?)
    }

    /// Whether a Secret of this name is there: by one list for all that are missing in a namespace.
    async fn may_be_there(&self, namespace: &str, name: &str) -> Result<bool, Stopped> {
        let Some(cell) = self.names.get(namespace) else { return Ok(true) };
        let names = cell
            .get_or_try_init(|| async {
                match self.remote().names(namespace).await {
                    Ok(names) => Ok(Some(names.into_iter().collect::<BTreeSet<_>>())),
                    Err(RemoteError::Forbidden(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(names.as_ref().is_none_or(|names| names.contains(name)))
    }

    async fn act(
        &self,
        rendered: &Rendered,
        target: &Target,
        observed: Option<&Observed>,
        verdict: &Verdict,
    ) -> Result<Option<Observed>, Stopped> {
        let desired = &rendered.desired;
        let (namespace, name) = (desired.namespace.as_str(), desired.name.as_str());
        let place = observed.map(|observed| Place {
            namespace,
            name,
            uid: &observed.uid,
            resource_version: &observed.resource_version,
        });
        let dry_run = self.scope.dry_run;
        if !dry_run {
            let place = format!("{}/{namespace}/{name}", self.cluster.name);
            self.origin.record(self.sync, &rendered.source, &place).await?;
        }
        match &verdict.action {
            Action::Nothing => Ok(None),
            Action::Apply { force, remove_keys } => {
                if let Some(place) = place.filter(|_| !remove_keys.is_empty()) {
                    self.count();
                    self.remote().remove_fields(place, remove_keys, &[], &[], dry_run).await?;
                }
                self.apply(rendered, target, *force || self.scope.force).await
            }
            // As a dry run it would be refused: the object is still there.
            Action::Recreate if dry_run => Ok(None),
            Action::Recreate => {
                if let Some(place) = place {
                    self.count();
                    self.remote().delete(place).await?;
                }
                self.apply(rendered, target, true).await
            }
        }
    }

    async fn apply(&self, rendered: &Rendered, target: &Target, force: bool) -> Result<Option<Observed>, Stopped> {
        let desired = &rendered.desired;
        let change = || Apply {
            namespace: &desired.namespace,
            name: &desired.name,
            sync_uid: &self.sync.uid,
            body: desired.apply_body(),
            force,
            dry_run: self.scope.dry_run,
        };
        self.count();
        match self.remote().apply(change(), self.origin.mac()).await {
            // A namespace that is missing is a 404 of an apply.
            Err(RemoteError::NotFound(_)) if target.namespaces.create && !self.scope.dry_run => {
                self.count();
                self.remote().create_namespace(&desired.namespace).await?;
                self.count();
                Ok(Some(self.remote().apply(change(), self.origin.mac()).await?))
            }
            Err(RemoteError::NotFound(_)) if target.namespaces.create => Ok(None),
            Err(error) => Err(error.into()),
            Ok(observed) => Ok(Some(observed)),
        }
    }

    /// Deals with what is marked and not to be there (any more).
    async fn clear_up(&self, found: Found, gone: &BTreeSet<String>, report: &mut Report) {
        let present: BTreeSet<&str> = report.sources.iter().map(String::as_str).collect();
        // What could not be rendered may still be wanted where it is.
        let unknown =
            |source: &str| report.problems.iter().any(|problem| problem.source.is_empty() || problem.source == source);
        let left: Vec<((String, String), Observed)> =
            found.into_iter().filter(|(_, observed)| !unknown(observed.source_name())).collect();
        let total = report.targets.len() + left.len();
        let objects = left.iter().map(|(_, observed)| observed);
        let decided = leftovers(&self.sync.spec, objects, total, self.sync.is_deleting, &|source| {
            if gone.contains(source) {
                Leftover::SourceDeleted
            } else if present.contains(source) {
                Leftover::NotWanted
            } else {
                Leftover::SourceUnknown
            }
        });
        let is_held = decided.held.is_some();
        report.deletes_held = decided.held;
        let mut is_settled = !is_held;
        for (((namespace, name), observed), removal) in left.iter().zip(decided.each) {
            let removed = self.remove(namespace, name, observed, removal).await;
            match removed {
                Ok(true) => report.deleted.push((namespace.clone(), name.clone())),
                Ok(false) => {}
                Err(error) => {
                    is_settled = false;
                    report.targets.push(TargetReport {
                        source: observed.source_name().to_owned(),
                        reason: error.reason().to_owned(),
                        message: error.to_string(),
                        is_passing: error.is_passing(),
                        ..TargetReport::of(&self.cluster.name, namespace, name)
                    });
                    if error.is_of_the_cluster() {
                        let _ = self.ended.set(error);
                        break;
                    }
                }
            }
        }
        if is_settled {
            report.settled_deletions = gone.iter().cloned().collect();
        }
    }

    /// Whether the object is deleted now, or would be.
    async fn remove(
        &self,
        namespace: &str,
        name: &str,
        observed: &Observed,
        removal: Removal,
    ) -> Result<bool, RemoteError> {
        let place = Place { namespace, name, uid: &observed.uid, resource_version: &observed.resource_version };
        let dry_run = self.scope.dry_run;
        match removal {
            Removal::Keep => Ok(false),
            Removal::Delete if dry_run => Ok(true),
            Removal::Delete => {
                self.count();
                self.remote().delete(place).await.map(|()| true)
            }
            Removal::RemoveKeys | Removal::StripMarkers => {
                self.count();
                let keys: Vec<String> = if matches!(removal, Removal::RemoveKeys) {
                    observed.our_keys.iter().cloned().collect()
                } else {
                    Vec::new()
                };
                self.remote()
                    .remove_fields(place, &keys, MARKER_LABELS, MARKER_ANNOTATIONS, dry_run)
                    .await
                    .map(|()| false)
            }
        }
    }

    fn count(&self) {
        if !self.scope.dry_run {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failed(&self, rendered: &Rendered, error: &RemoteError) -> TargetReport {
        let state = match error {
            RemoteError::Conflict { .. } => State::Conflict,
            _ => State::Unknown,
        };
        TargetReport { is_passing: error.is_passing(), ..self.told(rendered, state, error.reason(), error.to_string()) }
    }

    fn told(&self, rendered: &Rendered, state: State, reason: &str, message: String) -> TargetReport {
        TargetReport {
            source: rendered.source.clone(),
            source_revision: rendered.source_revision.clone(),
            state,
            reason: reason.to_owned(),
            message,
            place: rendered.target,
            ..TargetReport::of(&self.cluster.name, &rendered.desired.namespace, &rendered.desired.name)
        }
    }
}

/// Why a target was not brought to where it shall be.
enum Stopped {
    Remote(RemoteError),
    Origin(OriginError),
}

impl From<RemoteError> for Stopped {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<OriginError> for Stopped {
    fn from(error: OriginError) -> Self {
        Self::Origin(error)
    }
}
