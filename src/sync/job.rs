//! A pass from anywhere: a room elsewhere says what is to be in a cluster (`secretsyncs/render`), and this process writes
//! it there. It needs nothing but a token of that room.
//!
//! What the token must be allowed: to get the SecretSync and its Clusters, to get the Secrets that hold their kubeconfigs,
//! and to create `secretsyncs/render`, acting as the SecretSync's service account.
//!
//! What it never does: take the word of the room for what a cluster holds, or keep anything when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::desired::Desired;
use super::observed::{Digests, Mac};
use super::origin::{Ask, Origin, OriginError, Page, Rendered, Sync, SyncName, Unrendered};
use super::pass::{self, Cluster, Memory, Scope};
use super::preflight;
use super::remote::{Namespace, Remote};
use super::report::{Failed, Report, TargetReport};
use super::room::read_sync;
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::EphemeralMac;
use crate::kube_client::{Client, Failure, Request, encode_segment};
use crate::kubeconfig;
use crate::model::kinds::{CLUSTER, OWN_API_VERSION, SECRET_SYNC, SECRET_SYNC_RENDERING};
use crate::model::secret_sync::{Clusters, Glob};
use crate::model::selector::LabelSelector;
use crate::model::validation::cluster::{DEFAULT_BURST, DEFAULT_QPS};
use crate::sensitive::{Document, SecretBytes};

/// See the module.
pub struct Job<'a> {
    room: &'a Client,
    /// Digests are compared within this process only.
    digests: EphemeralMac,
}

impl Digests for EphemeralMac {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        EphemeralMac::mac(self, parts)
    }
}

/// What a job found of one SecretSync in one cluster.
pub struct Ran {
    /// The cluster.
    pub cluster: String,
    /// What became of its targets.
    pub report: Report,
}

/// The namespaces and names that a SecretSync wants in a cluster, and what it may do to them.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Wanted {
    /// Names by namespace. An empty namespace, without names, stands for all that may come to be meant.
    pub places: BTreeMap<String, BTreeSet<String>>,
    /// Namespaces are chosen by what they are called or labelled.
    pub lists_namespaces: bool,
    /// Namespaces are made.
    pub creates_namespaces: bool,
    /// Objects are deleted.
    pub deletes: bool,
    /// Nothing is written.
    pub only_reads: bool,
    /// Workloads that are restarted: plural and name.
    pub restarts: BTreeSet<(String, String)>,
}

impl Wanted {
    /// Namespace and name of each object.
    fn objects(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let places = self.places.iter();
        places.flat_map(|(namespace, names)| names.iter().map(|name| (namespace.clone(), name.clone())))
    }
}

impl<'a> Job<'a> {
    /// A job for the room that `room` is a client of.
    pub fn new(room: &'a Client) -> Result<Self, OriginError> {
        let digests = EphemeralMac::make().map_err(|_| failed("Internal", "there is no randomness", false))?;
        Ok(Self { room, digests })
    }

    /// The SecretSyncs of a namespace, or of all.
    #[expect(clippy::disallowed_methods, reason = "names are no secret")]
    pub async fn names(&self, namespace: Option<&str>) -> Result<Vec<SyncName>, OriginError> {
        let path = match namespace {
            Some(namespace) => syncs_path(namespace),
            None => format!("/apis/{OWN_API_VERSION}/{}", SECRET_SYNC.plural),
        };
        let list = self.object(Request::get(path)).await?;
        let items = list.expose().get("items").and_then(Value::as_array).into_iter().flatten();
        let names = items.filter_map(|item| {
            let text = |field: &str| Some(item.get("metadata")?.get(field)?.as_str()?.to_owned());
            Some(SyncName { namespace: text("namespace")?, name: text("name")? })
        });
        Ok(names.collect())
    }

    /// A SecretSync, and its whole object.
    #[expect(clippy::disallowed_methods, reason = "a SecretSync holds no secret values")]
    pub async fn sync(&self, id: &SyncName) -> Result<(Sync, Value), OriginError> {
        let path = format!("{}/{}", syncs_path(&id.namespace), encode_segment(&id.name));
        let object = self.object(Request::get(path)).await?.expose().clone();
        let sync = read_sync(id, &object);
        let sync =
            sync.ok_or_else(|| failed("Unreadable", "the SecretSync is of another version than this program", false))?;
        Ok((sync, object))
    }

    /// The clusters that a SecretSync is for, with the places of the targets.
    #[expect(clippy::disallowed_methods, reason = "a Cluster holds no secret values")]
    pub async fn clusters(&self, sync: &Sync) -> Result<BTreeMap<String, Vec<usize>>, OriginError> {
        let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut all: Option<Document> = None;
        for (place, target) in sync.spec.targets.iter().enumerate() {
            match &target.clusters {
                Clusters::Named(name) => clusters.entry(name.clone()).or_default().push(place),
                Clusters::Selected(selector) => {
                    if all.is_none() {
                        all = Some(self.object(Request::get(clusters_path())).await?);
                    }
                    let items = all.iter().filter_map(|all| all.expose().get("items")?.as_array()).flatten();
                    for name in items.filter_map(|item| selected(item, selector)) {
                        clusters.entry(name.to_owned()).or_default().push(place);
                    }
                }
            }
        }
        Ok(clusters)
    }

    /// One pass over one cluster.
    pub async fn pass(&self, sync: &Sync, object: &Value, name: &str, places: &[usize], scope: &Scope) -> Report {
        match self.cluster(name).await {
            Ok(cluster) => {
                let mut memory = StatusMemory::of(sync, object, name);
                if sync.is_deleting {
                    // Of what this process wrote before no status tells.
                    match self.wanted(sync, name, places).await {
                        Ok(wanted) => memory.written.extend(wanted.objects()),
                        Err(error) => return Report { failure: Some(Failed::from(error)), ..Report::default() },
                    }
                }
                pass::run(self, sync, &cluster, places, scope, &memory).await
            }
            Err(error) => Report { failure: Some(Failed::from(error)), ..Report::default() },
        }
    }

    /// Lets a SecretSync go that is being deleted, after passes over all of its clusters that ended well; `false` where it
    /// could not be told whether something of it is left.
    pub async fn release(&self, sync: &Sync, reports: &[(String, Report)]) -> Result<bool, OriginError> {
        // Of clusters that are chosen no longer nothing is known here.
        let Some((cluster, _)) = reports.first() else { return Ok(false) };
        let is_known = sync.spec.targets.iter().all(|target| target.namespaces.is_static())
            || reports.iter().all(|(_, report)| report.listed_at.is_some());
        if !is_known {
            return Ok(false);
        }
        let spec = json!({"cluster": cluster, "released": true});
        self.object(Self::rendering(&sync.id, &spec, false)).await.map(|_| true)
    }

    /// Which rights the kubeconfig's credential lacks to write these targets: `create secrets "db" in namespace "shop"`.
    pub async fn missing_rights(&self, name: &str, targets: &[TargetReport]) -> Result<Vec<String>, OriginError> {
        let cluster = self.cluster(name).await?;
        let missing = preflight::missing_rights(&cluster.remote, targets).await;
        missing.map_err(|error| failed(error.reason(), &error.to_string(), error.is_passing()))
    }

    /// What a SecretSync wants in a cluster, without looking at the cluster more than is needed to tell.
    pub async fn wanted(&self, sync: &Sync, name: &str, places: &[usize]) -> Result<Wanted, OriginError> {
        let targets: Vec<_> = places.iter().filter_map(|place| sync.spec.targets.get(*place)).collect();
        let lists_namespaces = targets.iter().any(|target| !target.namespaces.is_static());
        let mut namespaces = Vec::new();
        for place in places {
            let Some(target) = sync.spec.targets.get(*place) else { continue };
            // One that stands for all that may come to be meant.
            let named =
                if target.namespaces.is_static() { target.namespaces.named(&sync.id.namespace) } else { Vec::new() };
            let named = named.into_iter().map(|name| Namespace { name, labels: BTreeMap::new() });
            namespaces.push((*place, named.collect::<Vec<_>>()));
        }
        let mut wanted = Wanted {
            places: BTreeMap::new(),
            lists_namespaces,
            creates_namespaces: targets.iter().any(|target| target.namespaces.create),
            deletes: targets.iter().any(|target| target.may_delete()),
            only_reads: targets.iter().all(|target| !target.writes()),
            restarts: targets
                .iter()
                .flat_map(|target| &target.rollout_restart)
                .map(|workload| (workload.resource().to_owned(), workload.name.clone()))
                .collect(),
        };
        if lists_namespaces {
            wanted.places.insert(String::new(), BTreeSet::new());
        }
        let mut continue_token = None;
        loop {
            let ask = Ask {
                sync,
                cluster: name,
                cluster_uid: "",
                namespaces: &namespaces,
                sources: None,
                continue_token,
                dry_run: true,
            };
            let page = self.page(ask).await?;
            for rendered in page.objects {
                let Desired { namespace, name, .. } = rendered.desired;
                wanted.places.entry(namespace).or_default().insert(name);
            }
            match page.continue_token {
                Some(next) => continue_token = Some(next),
                None => return Ok(wanted),
            }
        }
    }

    /// The Cluster of this name, with a client of its own.
    #[expect(clippy::disallowed_methods, reason = "the kubeconfig is read into a connection, and goes no further")]
    pub async fn cluster(&self, name: &str) -> Result<Cluster, OriginError> {
        let cluster = self.object(Request::get(format!("{}/{}", clusters_path(), encode_segment(name)))).await?;
        let cluster = cluster.expose();
        let spec = cluster.get("spec").unwrap_or(&Value::Null);
        let reference = spec.get("kubeconfigSecretRef").unwrap_or(&Value::Null);
        let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or_default();
        let path = format!(
            "/api/v1/namespaces/{}/secrets/{}",
            encode_segment(text("namespace")),
            encode_segment(text("name"))
        );
        let secret = self.object(Request::get(path)).await?;
        let value = secret.expose().get("data").and_then(|data| data.get(text("key"))?.as_str());
        let value =
            value.ok_or_else(|| failed("KubeconfigNotFound", "the kubeconfig's Secret has no such key", false))?;
        let mut decoded = Zeroizing::new(Vec::with_capacity(value.len()));
        let read = STANDARD.decode_vec(value, &mut decoded);
        read.map_err(|_| failed("KubeconfigNotFound", "the kubeconfig cannot be read", false))?;
        let context = Some(text("context")).filter(|context| !context.is_empty());
        let connection = kubeconfig::parse(&decoded, context)
            .map_err(|error| failed("InvalidKubeconfig", &format!("the kubeconfig is not taken: {error}"), false))?;
        let rate = |field: &str, default: u32| {
            spec.get(field).and_then(Value::as_u64).and_then(|rate| rate.try_into().ok()).unwrap_or(default)
        };
        let remote = Remote::new(connection, rate("qps", DEFAULT_QPS), rate("burst", DEFAULT_BURST))
            .map_err(|error| failed(error.reason(), &error.to_string(), false))?;
        let allowed = spec.get("allowedNamespaces").and_then(Value::as_array).into_iter().flatten();
        Ok(Cluster {
            name: name.to_owned(),
            uid: cluster.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            allowed_namespaces: allowed.filter_map(|pattern| Glob::parse(pattern.as_str()?)).collect(),
            remote: Arc::new(remote),
        })
    }

    fn rendering(id: &SyncName, spec: &Value, dry_run: bool) -> Request {
        let asked = json!({"apiVersion": OWN_API_VERSION, "kind": SECRET_SYNC_RENDERING.kind, "spec": spec});
        let path = format!("{}/{}/render", syncs_path(&id.namespace), encode_segment(&id.name));
        let request = Request::post(path, SecretBytes::new(asked.to_string().into_bytes()));
        if dry_run { request.with("dryRun", "All") } else { request }
    }

    #[expect(clippy::disallowed_methods, reason = "the answer becomes a tree that is wiped")]
    async fn object(&self, request: Request) -> Result<Document, OriginError> {
        let answer =
            self.room.request(request).await.map_err(|error| failed("RoomUnreachable", &error.to_string(), true))?;
        if answer.code >= 300 {
            let failure = Failure::read(answer.code, &answer.body, answer.retry_after_seconds);
            let reason = match failure.code {
                401 => "Unauthorized",
                403 => "RoomForbidden",
                404 => "NotFound",
                422 => "Invalid",
                _ => "RoomError",
            };
            return Err(failed(reason, &failure.message, matches!(failure.code, 429 | 500..)));
        }
        serde_json::from_slice(answer.body.expose())
            .map(Document::new)
            .map_err(|_| failed("RoomError", "the server did not answer with JSON: is it a Strongroom server?", false))
    }
}

impl Origin for Job<'_> {
    #[expect(clippy::disallowed_methods, reason = "the objects go where they are meant to")]
    async fn page(&self, ask: Ask<'_>) -> Result<Page, OriginError> {
        // Each once; which of them a target wants the room decides.
        let namespaces: BTreeMap<&str, &Namespace> =
            ask.namespaces.iter().flat_map(|(_, namespaces)| namespaces).map(|one| (one.name.as_str(), one)).collect();
        let namespaces: Vec<Value> =
            namespaces.values().map(|one| json!({"name": one.name, "labels": one.labels})).collect();
        let mut spec = json!({"cluster": ask.cluster, "namespaces": namespaces});
        if let Some(fields) = spec.as_object_mut() {
            if let Some(sources) = ask.sources {
                fields.insert("sources".to_owned(), json!(sources));
            }
            if let Some(token) = &ask.continue_token {
                fields.insert("continue".to_owned(), json!(token));
            }
        }
        let answer = self.object(Self::rendering(&ask.sync.id, &spec, ask.dry_run)).await?;
        let status = answer.expose().get("status").unwrap_or(&Value::Null);
        let list = |field: &str| status.get(field).and_then(Value::as_array).into_iter().flatten();
        let names = |field: &str| list(field).filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let mut page = Page {
            sources: names("sources"),
            deleted: names("deletedSources"),
            continue_token: status.get("continue").and_then(Value::as_str).map(str::to_owned),
            ..Page::default()
        };
        for object in list("objects") {
            let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
            let manifest: Option<Document> = serde_json::from_str(text("manifest")).map(Document::new).ok();
            let desired = manifest.and_then(|manifest| Desired::of_manifest(manifest, self.mac()).ok());
            let desired = desired.ok_or_else(|| failed("RoomError", "the server's answer cannot be read", false))?;
            page.objects.push(Rendered {
                target: place(object).unwrap_or_default(),
                source: text("source").to_owned(),
                source_revision: text("sourceRevision").to_owned(),
                desired,
            });
        }
        for problem in list("problems") {
            let text = |field: &str| problem.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            page.problems.push(Unrendered {
                target: place(problem),
                namespace: text("namespace"),
                source: text("source"),
                reason: text("reason"),
                message: text("message"),
            });
        }
        Ok(page)
    }

    fn unix_seconds(&self) -> i64 {
        SystemClock.unix_seconds()
    }

    fn mac(&self) -> Mac<'_> {
        &self.digests
    }

    /// The room has recorded what it gave out.
    async fn record(&self, _: &Sync, _: &str, _: &str) -> Result<(), OriginError> {
        Ok(())
    }
}

/// What the status of a SecretSync says of a cluster.
struct StatusMemory {
    written: BTreeSet<(String, String)>,
    targets_left: usize,
}

impl StatusMemory {
    fn of(sync: &Sync, object: &Value, cluster: &str) -> Self {
        let targets = object.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten();
        let written = targets.filter_map(|target| {
            let text = |field: &str| target.get(field).and_then(Value::as_str).unwrap_or_default();
            let is_written = text("cluster") == cluster && !text("lastAppliedAt").is_empty();
            is_written.then(|| (text("namespace").to_owned(), text("name").to_owned()))
        });
        Self { written: written.collect(), targets_left: sync.spec.limits.max_targets }
    }
}

impl Memory for StatusMemory {
    fn was_written(&self, namespace: &str, name: &str) -> bool {
        self.written.contains(&(namespace.to_owned(), name.to_owned()))
    }

    fn places(&self) -> Vec<(String, String)> {
        self.written.iter().cloned().collect()
    }

    fn targets_left(&self) -> usize {
        self.targets_left
    }
}

fn place(object: &Value) -> Option<usize> {
    object.get("target").and_then(Value::as_u64).and_then(|place| place.try_into().ok())
}

fn selected<'v>(cluster: &'v Value, selector: &LabelSelector) -> Option<&'v str> {
    let metadata = cluster.get("metadata")?;
    let labels = metadata.get("labels");
    let is_selected = selector.matches(|key| labels.and_then(|labels| labels.get(key)?.as_str()));
    metadata.get("name").and_then(Value::as_str).filter(|_| is_selected)
}

fn syncs_path(namespace: &str) -> String {
    format!("/apis/{OWN_API_VERSION}/namespaces/{}/{}", encode_segment(namespace), SECRET_SYNC.plural)
}

fn clusters_path() -> String {
    format!("/apis/{OWN_API_VERSION}/{}", CLUSTER.plural)
}

fn failed(reason: &'static str, message: &str, is_passing: bool) -> OriginError {
    OriginError { reason, message: message.to_owned(), is_passing }
}
