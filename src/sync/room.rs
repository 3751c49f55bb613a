//! This room as the origin of a pass: sources are read as the SecretSync's service account, with its permits and no
//! others, each time anew.
//!
//! What it never does: open a Secret without a permit to `get` it, or a kubeconfig without one to `use` the cluster; let
//! a value leave that could not be recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::desired::{SyncIdentity, desire};
use super::observed::Mac;
use super::origin::{Ask, Origin, OriginError, Page, Rendered, Sync, SyncName, Unrendered};
use super::remote::Namespace;
use crate::audit::{AuditLog, Decision, Event, RequestFacts, Stage};
use crate::clock::SharedClock;
use crate::crypto::Keyring;
use crate::model::kinds::{CLUSTER, SECRET, SECRET_SYNC, SERVICE_ACCOUNT};
use crate::model::secret_sync::{Clusters, Source, Spec};
use crate::model::user::User;
use crate::objects::{ClusterTarget, Error, Loaded, Objects, PageRequest, Request};
use crate::rbac::{self, Attributes, Permit, Policy};
use crate::sensitive::SecretBytes;

/// Sources of one page.
const SOURCES_AT_ONCE: usize = 256;
/// Objects of one page, but for the last source's.
const OBJECTS_AT_ONCE: usize = 512;
/// Stored bytes of one page, times the namespaces they are for.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Annotation: for which SecretSync a Secret was read.
const SYNC: &str = "strongroom.dev/sync";
/// Annotation: where its values went, `CLUSTER/NAMESPACE/NAME`.
const TARGET: &str = "strongroom.dev/sync-target";
/// Before the cursor of a list in a token.
const LISTED: &str = "list:";
/// Before the number of the next named source in a token.
const NAMED: &str = "named:";

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Room {
    pub(super) objects: Arc<Objects>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) clock: SharedClock,
}

impl Room {
    /// The room of these objects.
    pub fn new(objects: Arc<Objects>, keyring: Arc<Keyring>, audit: Arc<AuditLog>, clock: SharedClock) -> Self {
        Self { objects, keyring, audit, clock }
    }

    /// The SecretSync of this name, and its whole object; `None` if there is none, or its stored row does not open.
    pub fn sync(&self, id: &SyncName) -> Option<(Sync, Value)> {
        let permit = own_permit("get", &SECRET_SYNC, &id.namespace, &id.name)?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        let loaded = self.objects.get(Request { permit: &permit, facts: &facts }).ok()?;
        let object = loaded.bare().ok()?;
        let sync = read_sync(id, &object)?;
        Some((sync, object))
    }

    /// The key of fingerprints for a scanner and a period.
    pub fn scan_key(&self, parts: &[&[u8]]) -> SecretBytes {
        self.keyring.scan_key(parts)
    }

    /// The key of the fingerprints in exported SealedSecrets.
    pub fn sealed_fingerprint_key(&self) -> SecretBytes {
        self.keyring.sealed_fingerprint_key()
    }

    /// Every SecretSync.
    pub fn syncs(&self) -> Vec<SyncName> {
        let names = self.objects.sync_names().into_iter();
        names.map(|(namespace, name)| SyncName { namespace, name }).collect()
    }

    /// What is known of a Cluster that the SecretSync's service account may use.
    pub fn usable_cluster(&self, sync: &Sync, name: &str) -> Result<ClusterTarget, OriginError> {
        let account = self.account(sync)?;
        let failed = |reason, message| OriginError { reason, message, is_passing: false };
        let permit = rbac::authorize_use(&account.policy, &account.user, name)
            .map_err(|denial| failed("ClusterForbidden", denial.message))?;
        self.objects.cluster_target(&permit).map_err(|error| failed(error.reason(), error.to_string()))
    }

    /// For each target that concerns a cluster, which of its namespaces are wanted: of those that somebody says there
    /// are, or without that, of those that the target names.
    pub fn wanted_namespaces(
        &self,
        sync: &Sync,
        cluster: &ClusterTarget,
        offered: Option<&[Namespace]>,
    ) -> Vec<(usize, Vec<Namespace>)> {
        let (clusters, _) = self.clusters(sync);
        let places = clusters.get(&cluster.name).into_iter().flatten();
        let own = &sync.id.namespace;
        let allowed = |name: &str| {
            cluster.allowed_namespaces.is_empty() || cluster.allowed_namespaces.iter().any(|glob| glob.matches(name))
        };
        let wanted = places.filter_map(|place| {
            let wanted = &sync.spec.targets.get(*place)?.namespaces;
            let named =
                || wanted.named(own).into_iter().map(|name| Namespace { name, labels: BTreeMap::new() }).collect();
            let candidates: Vec<Namespace> = offered.map_or_else(named, <[Namespace]>::to_vec);
            let chosen = candidates
                .into_iter()
                .filter(|one| wanted.is_wanted(own, &one.name, &one.labels) && allowed(&one.name));
            Some((*place, chosen.collect()))
        });
        wanted.collect()
    }

    /// A Cluster's object.
    pub(super) fn cluster_object(&self, name: &str) -> Option<Value> {
        let permit = own_permit("get", &CLUSTER, "", name)?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        self.objects.get(Request { permit: &permit, facts: &facts }).ok()?.bare().ok()
    }

    /// Whether a Secret that there is is one of a SecretSync's sources now.
    pub(super) fn selects(&self, id: &SyncName, name: &str) -> bool {
        let Some((sync, _)) = self.sync(id) else { return false };
        let permit = own_permit("get", &SECRET, &id.namespace, name);
        let facts = RequestFacts::own(self.clock.unix_millis());
        let loaded = permit.and_then(|permit| self.objects.get(Request { permit: &permit, facts: &facts }).ok());
        loaded.is_some_and(|loaded| is_source(&sync.spec.source, &loaded))
    }

    /// The clusters that a SecretSync names or selects, each with the places in the spec of the targets it is for. What
    /// cannot be told is a problem.
    pub fn clusters(&self, sync: &Sync) -> (BTreeMap<String, Vec<usize>>, Vec<Unrendered>) {
        let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut all: Option<Vec<(String, Value)>> = None;
        for (place, target) in sync.spec.targets.iter().enumerate() {
            match &target.clusters {
                Clusters::Named(name) => clusters.entry(name.clone()).or_default().push(place),
                Clusters::Selected(selector) => {
                    let all = all.get_or_insert_with(|| self.objects.cluster_labels());
                    let matches = |labels: &Value| selector.matches(|key| labels.get(key).and_then(Value::as_str));
                    let chosen: Vec<&String> =
                        all.iter().filter(|(_, labels)| matches(labels)).map(|(name, _)| name).collect();
                    if chosen.is_empty() {
                        problems.push(Unrendered {
                            target: Some(place),
                            namespace: String::new(),
                            source: String::new(),
                            reason: "NoCluster".to_owned(),
                            message: "no Cluster has the labels of clusterSelector".to_owned(),
                        });
                    }
                    for name in chosen {
                        clusters.entry(name.clone()).or_default().push(place);
                    }
                }
            }
        }
        (clusters, problems)
    }

    /// The service account that a SecretSync reads as, and what decides what it may.
    pub(super) fn account(&self, sync: &Sync) -> Result<Account, OriginError> {
        let (namespace, name) = (&sync.id.namespace, &sync.spec.service_account_name);
        let Some(uid) = self.objects.uid(&SERVICE_ACCOUNT, namespace, name) else {
            return Err(OriginError {
                reason: "ServiceAccountNotFound",
                message: format!("there is no service account {name:?} in namespace {namespace:?}"),
                is_passing: false,
            });
        };
        let policy = Arc::clone(&self.objects.access().policy);
        Ok(Account { user: Arc::new(User::service_account(namespace, name, &uid)), policy })
    }

    /// The objects of a page. Takes time: not for a thread that others wait for.
    pub fn render(&self, ask: &Ask<'_>) -> Result<Page, OriginError> {
        let account = self.account(ask.sync)?;
        let mut page = Page::default();
        if ask.continue_token.is_none() {
            let deleted = self.objects.deleted_sources(&ask.sync.id.namespace);
            page.deleted = deleted.into_iter().map(|deleted| deleted.name).collect();
        }
        let facts = RequestFacts::own(self.clock.unix_millis());
        let reading = Reading { room: self, ask, account, facts };
        reading.page(&mut page)?;
        Ok(page)
    }
}

/// As whom a SecretSync reads.
pub(super) struct Account {
    pub(super) user: Arc<User>,
    pub(super) policy: Arc<Policy>,
}

struct Reading<'a> {
    room: &'a Room,
    ask: &'a Ask<'a>,
    account: Account,
    facts: RequestFacts,
}

impl Reading<'_> {
    fn page(&self, page: &mut Page) -> Result<(), OriginError> {
        let source = &self.ask.sync.spec.source;
        let token = self.ask.continue_token.as_deref().unwrap_or_default();
        let mut room_left = RoomLeft::default();
        if let Some(sources) = self.ask.sources {
            // Few, and all at once.
            for name in sources {
                self.add_one(name, page, &mut room_left);
            }
            return Ok(());
        }
        if !token.starts_with(LISTED) {
            let from = token.strip_prefix(NAMED).and_then(|at| at.parse().ok()).unwrap_or(0_usize);
            for (at, name) in source.names.iter().enumerate().skip(from) {
                if room_left.is_full() {
                    page.continue_token = Some(format!("{NAMED}{at}"));
                    return Ok(());
                }
                self.add_one(name, page, &mut room_left);
            }
            page.continue_token = source.selector.as_ref().map(|_| LISTED.to_owned());
            return Ok(());
        }
        let cursor = token.strip_prefix(LISTED).filter(|cursor| !cursor.is_empty()).map(str::to_owned);
        self.add_selected(cursor, page)
    }

    /// One source by name. That it does not exist is no problem: it may be made later.
    fn add_one(&self, name: &str, page: &mut Page, room_left: &mut RoomLeft) {
        let permit = match self.may_get(name) {
            Ok(permit) => permit,
            Err(problem) => return page.problems.push(*problem),
        };
        match self.room.objects.get(Request { permit: &permit, facts: &self.facts }) {
            Ok(loaded) if is_source(&self.ask.sync.spec.source, &loaded) => self.add(&loaded, page, room_left),
            Ok(_) => {}
            Err(Error::NotFound(_)) => {
                if self.ask.sync.spec.source.names.iter().any(|named| named == name)
                    && !page.deleted.iter().any(|deleted| deleted == name)
                {
                    page.problems.push(problem(name, "SourceNotFound", format!("there is no Secret {name:?}")));
                }
            }
            Err(_) => {
                page.problems.push(problem(name, "SourceUnreadable", "the Secret cannot be read".to_owned()));
            }
        }
    }

    fn add_selected(&self, cursor: Option<String>, page: &mut Page) -> Result<(), OriginError> {
        let Some(labels) = self.ask.sync.spec.source.selector.clone() else { return Ok(()) };
        let namespace = &self.ask.sync.id.namespace;
        let list = match self.allowed(Attributes::object("list", &SECRET, namespace, "")) {
            Ok(permit) => permit,
            Err(why) => {
                page.problems.push(problem("", "SourceForbidden", why));
                return Ok(());
            }
        };
        let limit = Some(self.sources_at_once());
        let request = PageRequest { limit, continue_token: cursor, labels, ..PageRequest::default() };
        let objects = &self.room.objects;
        let unreadable = |_| OriginError {
            reason: "SourceUnreadable",
            message: "the Secrets of the namespace cannot be listed".to_owned(),
            is_passing: true,
        };
        let listed = objects.list(Request { permit: &list, facts: &self.facts }, &request).map_err(unreadable)?;
        if listed.withheld > 0 || objects.may_lack_objects() {
            // A part must not be taken for the whole: what is missing would count as not wanted.
            page.problems.push(problem("", "SourceUnreadable", "stored Secrets are damaged or missing".to_owned()));
        }
        for revision in &listed.rows {
            let Ok(loaded) = objects.open_page(&listed, *revision) else {
                page.problems.push(problem("", "SourceUnreadable", "a stored Secret is damaged".to_owned()));
                continue;
            };
            if self.ask.sync.spec.source.names.iter().any(|named| named == loaded.name()) {
                continue;
            }
            match self.may_get(loaded.name()) {
                Ok(_) => self.add(&loaded, page, &mut RoomLeft::default()),
                Err(problem) => page.problems.push(*problem),
            }
        }
        page.continue_token = listed.continue_token.map(|cursor| format!("{LISTED}{cursor}"));
        Ok(())
    }

    /// Sources of a page whose objects are not too many.
    fn sources_at_once(&self) -> usize {
        let namespaces: usize = self.ask.namespaces.iter().map(|(_, namespaces)| namespaces.len()).sum();
        (OBJECTS_AT_ONCE / namespaces.max(1)).clamp(1, SOURCES_AT_ONCE)
    }

    fn add(&self, loaded: &Loaded, page: &mut Page, room_left: &mut RoomLeft) {
        let name = loaded.name();
        page.sources.push(name.to_owned());
        let Ok(document) = self.room.objects.document(loaded) else {
            page.problems.push(problem(name, "SourceUnreadable", "the Secret cannot be read".to_owned()));
            return;
        };
        room_left.sources += 1;
        let sync = &self.ask.sync;
        let identity = SyncIdentity { namespace: &sync.id.namespace, name: &sync.id.name, uid: &sync.uid };
        for (place, namespaces) in self.ask.namespaces {
            let Some(target) = sync.spec.targets.get(*place) else { continue };
            for Namespace { name: namespace, .. } in namespaces {
                room_left.objects += 1;
                room_left.bytes += loaded.stored_bytes();
                let made = desire(&identity, target, &document, self.ask.cluster_uid, namespace, self.room.mac());
                match made {
                    Ok(desired) => page.objects.push(Rendered {
                        target: *place,
                        source: name.to_owned(),
                        source_revision: loaded.revision().to_string(),
                        desired,
                    }),
                    Err(problem) => page.problems.push(Unrendered {
                        target: Some(*place),
                        namespace: namespace.clone(),
                        source: name.to_owned(),
                        reason: problem.reason().to_owned(),
                        message: problem.to_string(),
                    }),
                }
            }
        }
    }

    fn may_get(&self, name: &str) -> Result<Permit, Box<Unrendered>> {
        let attributes = Attributes::object("get", &SECRET, &self.ask.sync.id.namespace, name);
        self.allowed(attributes).map_err(|why| Box::new(problem(name, "SourceForbidden", why)))
    }

    fn allowed(&self, attributes: Attributes) -> Result<Permit, String> {
        rbac::authorize(&self.account.policy, &self.account.user, attributes).map_err(|denial| denial.message)
    }
}

fn problem(source: &str, reason: &str, message: String) -> Unrendered {
    Unrendered { target: None, namespace: String::new(), source: source.to_owned(), reason: reason.to_owned(), message }
}

fn is_source(source: &Source, loaded: &Loaded) -> bool {
    if source.names.iter().any(|named| named == loaded.name()) {
        return true;
    }
    let Some(selector) = &source.selector else { return false };
    let Ok(object) = loaded.bare() else { return false };
    let labels = object.pointer("/metadata/labels");
    selector.matches(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
}

/// What a page has taken so far.
#[derive(Default)]
struct RoomLeft {
    sources: usize,
    objects: usize,
    bytes: usize,
}

impl RoomLeft {
    fn is_full(&self) -> bool {
        self.sources >= SOURCES_AT_ONCE || self.objects >= OBJECTS_AT_ONCE || self.bytes >= PAGE_BYTES
    }
}

impl Origin for Room {
    async fn page(&self, ask: Ask<'_>) -> Result<Page, OriginError> {
        let room = self.clone();
        let sync = ask.sync.clone();
        let (cluster, cluster_uid) = (ask.cluster.to_owned(), ask.cluster_uid.to_owned());
        let (namespaces, sources) = (ask.namespaces.to_vec(), ask.sources.map(<[String]>::to_vec));
        let continue_token = ask.continue_token;
        let rendering = tokio::task::spawn_blocking(move || {
            room.render(&Ask {
                sync: &sync,
                cluster: &cluster,
                cluster_uid: &cluster_uid,
                namespaces: &namespaces,
                sources: sources.as_deref(),
                continue_token,
                dry_run: ask.dry_run,
            })
        });
        rendering.await.unwrap_or_else(|_| {
            Err(OriginError {
                reason: "Internal",
                message: "the objects could not be made".to_owned(),
                is_passing: true,
            })
        })
    }

    fn unix_seconds(&self) -> i64 {
        self.clock.unix_seconds()
    }

    fn mac(&self) -> Mac<'_> {
        &*self.keyring
    }

    async fn record(&self, sync: &Sync, source: &str, place: &str) -> Result<(), OriginError> {
        let account = self.account(sync)?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        facts.annotate(SYNC, format!("{}/{}", sync.id.namespace, sync.id.name));
        facts.annotate(TARGET, place.to_owned());
        let attributes = Attributes::object("get", &SECRET, &sync.id.namespace, source);
        let event = Event {
            stage: Stage::ResponseComplete,
            reason: "",
            decision: Some(Decision::Allow),
            stage_unix_millis: self.clock.unix_millis(),
            ..Event::new(&facts, &account.user, &attributes, 200)
        };
        let event = event.to_json();
        let log = Arc::clone(&self.audit);
        let written = if log.waits_for_disk() {
            tokio::task::spawn_blocking(move || log.append(&event)).await.unwrap_or(Ok(()))
        } else {
            log.append(&event)
        };
        written.map_err(|refused| OriginError {
            reason: "AuditUnavailable",
            message: refused.why().to_owned(),
            is_passing: true,
        })
    }
}

/// A SecretSync as it is stored; `None` if it makes no sense to this version.
pub(super) fn read_sync(id: &SyncName, object: &Value) -> Option<Sync> {
    let spec = Spec::parse(object).ok()?;
    let metadata = object.get("metadata")?;
    Some(Sync {
        id: id.clone(),
        uid: metadata.get("uid").and_then(Value::as_str)?.to_owned(),
        generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
        spec: Arc::new(spec),
        is_deleting: metadata.get("deletionTimestamp").is_some(),
    })
}

/// A permit for the server's own work.
pub(super) fn own_permit(
    verb: &str,
    kind: &'static crate::model::kinds::Kind,
    namespace: &str,
    name: &str,
) -> Option<Permit> {
    let attributes = Attributes::object(verb, kind, namespace, name);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system(COMPONENT)), attributes).ok()
}

/// Who writes status and finalizers, as the audit shows it.
pub(super) const COMPONENT: &str = "sync-controller";
