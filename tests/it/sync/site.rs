//! A room, a cluster, and what it takes to send Secrets from the one to the other.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::actors::{RBAC, namespace};
use crate::support::apiserver::{Audited, Cluster};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

pub const OURS: &str = "/apis/strongroom.dev/v1alpha1";
pub const SECRETS: &str = "/api/v1/namespaces/prod/secrets";
pub const SYNCS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/prod/secretsyncs";
/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(40);

/// A room whose namespace `prod` has a service account `syncer`, which may get its Secrets and use every Cluster.
pub struct Site {
    pub app: App,
    pub admin: Client,
    pub cluster: Arc<Cluster>,
    /// The namespace of the cluster that is this test's.
    pub namespace: String,
}

impl Site {
    /// `None` where there is no cluster to test with.
    pub fn start(namespace: &str) -> Option<Self> {
        let cluster = Cluster::shared()?;
        let site = Self::start_with(cluster, namespace, &[]);
        let kubeconfig = site.cluster.admin_kubeconfig();
        Some(site.with_cluster("east", &kubeconfig))
    }

    /// With a cluster of the test's own, and without a Cluster in the room.
    pub fn start_with(cluster: Arc<Cluster>, name: &str, arguments: &[&str]) -> Self {
        cluster.namespace(name, &json!({"test": name}));
        let app = App::start_in(tempfile::tempdir().unwrap(), arguments);
        let mut admin = Client::admin(&app);
        for room in ["prod", "infra"] {
            namespace(&mut admin, room);
        }
        let account = json!({"metadata": {"name": "syncer"}});
        admin.json("POST", "/api/v1/namespaces/prod/serviceaccounts", &account).ok();
        let rules = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}]);
        let role = json!({"metadata": {"name": "syncer"}, "rules": rules});
        admin.json("POST", &format!("/apis/{RBAC}/v1/namespaces/prod/roles"), &role).ok();
        let subject = json!({"kind": "ServiceAccount", "name": "syncer", "namespace": "prod"});
        let binding = |kind: &str| {
            json!({"metadata": {"name": "syncer"}, "subjects": [subject],
                "roleRef": {"apiGroup": RBAC, "kind": kind, "name": "syncer"}})
        };
        admin.json("POST", &format!("/apis/{RBAC}/v1/namespaces/prod/rolebindings"), &binding("Role")).ok();
        let rules = json!([{"verbs": ["use"], "apiGroups": ["strongroom.dev"], "resources": ["clusters"]}]);
        let role = json!({"metadata": {"name": "syncer"}, "rules": rules});
        admin.json("POST", &format!("/apis/{RBAC}/v1/clusterroles"), &role).ok();
        admin.json("POST", &format!("/apis/{RBAC}/v1/clusterrolebindings"), &binding("ClusterRole")).ok();
        Self { app, admin, cluster, namespace: name.to_owned() }
    }

    /// Adds a Cluster with this kubeconfig.
    pub fn with_cluster(mut self, name: &str, kubeconfig: &str) -> Self {
        self.kubeconfig(name, kubeconfig);
        let cluster = json!({
            "metadata": {"name": name, "labels": {"name": name}},
            "spec": {"kubeconfigSecretRef": {"namespace": "infra", "name": name}, "qps": 1000, "burst": 2000},
        });
        self.admin.json("POST", &format!("{OURS}/clusters"), &cluster).ok();
        self
    }

    /// Writes the Secret that holds the kubeconfig of a Cluster.
    pub fn kubeconfig(&mut self, name: &str, kubeconfig: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {"kubeconfig": STANDARD.encode(kubeconfig)},
        });
        let path = format!("/api/v1/namespaces/infra/secrets/{name}?fieldManager=test&force=true");
        self.admin.typed("PATCH", &path, "application/apply-patch+yaml", secret.to_string().as_bytes()).ok();
    }

    /// Creates a Secret of `prod`, or replaces it.
    pub fn secret(&mut self, name: &str, data: &Value) {
        let text: Value = data.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let object = json!({"metadata": {"name": name}, "stringData": text});
        let answer = self.admin.json("PUT", &format!("{SECRETS}/{name}"), &object);
        if answer.status == 404 {
            self.admin.json("POST", SECRETS, &object).ok();
        } else {
            answer.ok();
        }
    }

    /// A SecretSync of the Secret `db` into this test's namespace, with `more` in its target.
    pub fn sync_of(&self, name: &str, more: &Value) -> Value {
        let mut target = json!({"cluster": "east", "namespaces": {"names": [self.namespace]}});
        for (key, value) in more.as_object().unwrap() {
            target[key] = value.clone();
        }
        json!({
            "metadata": {"name": name},
            "spec": {"serviceAccountName": "syncer", "source": {"names": ["db"]}, "targets": [target]},
        })
    }

    /// Creates a SecretSync.
    pub fn create_sync(&mut self, sync: &Value) {
        self.admin.json("POST", SYNCS, sync).ok();
    }

    /// Creates one of `db` and waits until it is in sync.
    pub fn synced(&mut self, name: &str, more: &Value) {
        let sync = self.sync_of(name, more);
        self.create_sync(&sync);
        self.wait_for(name, "InSync");
    }

    /// Waits until a SecretSync is Ready, or is not for this reason; its status.
    pub fn wait_for(&mut self, name: &str, reason: &str) -> Value {
        self.wait_until(name, |status| condition(status, "Ready")["reason"] == reason)
    }

    /// Waits until the status of a SecretSync is about its latest spec, and is as wanted.
    pub fn wait_until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = eventually(LONG, || {
            let object = self.admin.get(&format!("{SYNCS}/{name}")).ok().json();
            last = object["status"].clone();
            let is_current = object["metadata"]["generation"] == last["observedGeneration"];
            (is_current && wanted(&last)).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("the status stays {last:#}\n{}", self.app.log()))
    }

    /// Changes a SecretSync by a merge patch.
    pub fn patch_sync(&mut self, name: &str, patch: &Value) {
        let body = patch.to_string();
        self.admin.typed("PATCH", &format!("{SYNCS}/{name}"), "application/merge-patch+json", body.as_bytes()).ok();
    }

    /// A Secret in the cluster; `None` if there is none.
    pub fn there(&self, name: &str) -> Option<Value> {
        let answer = self.cluster.admin().get(&format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace));
        (answer.status != 404).then(|| answer.ok().json())
    }

    /// A value of a Secret in the cluster.
    pub fn value(&self, name: &str, key: &str) -> Option<String> {
        let value = self.there(name)?["data"][key].as_str()?.to_owned();
        Some(String::from_utf8(STANDARD.decode(value).unwrap()).unwrap())
    }

    /// Waits until a value in the cluster is this one.
    pub fn arrives(&self, name: &str, key: &str, expected: &str) {
        self.arrives_within(LONG, name, key, expected);
    }

    /// As [`Site::arrives`], in a time that depends on how long the cluster was away.
    pub fn arrives_within(&self, limit: Duration, name: &str, key: &str, expected: &str) {
        let arrived = eventually(limit, || (self.value(name, key).as_deref() == Some(expected)).then_some(()));
        arrived.unwrap_or_else(|| panic!("{name}[{key}] stays as it is\n{}", self.app.log()));
    }

    /// Waits until there is no Secret of this name in the cluster.
    pub fn goes(&self, name: &str) {
        let gone = eventually(LONG, || self.there(name).is_none().then_some(()));
        gone.unwrap_or_else(|| panic!("{name} stays\n{}", self.app.log()));
    }

    /// Writes a Secret in the cluster as somebody else.
    pub fn by_hand(&self, method: &str, name: &str, object: &Value) {
        let collection = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        let path = if method == "POST" { collection } else { format!("{collection}/{name}?fieldManager=kubectl-edit") };
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.cluster.admin().typed(method, &path, content_type, object.to_string().as_bytes()).ok();
    }

    /// Writes of everybody to this test's namespace so far.
    pub fn writes(&self) -> Vec<Audited> {
        self.cluster.writes(&self.namespace)
    }

    /// Asks for a pass and waits until it is over.
    pub fn run_now(&mut self, name: &str) {
        let before = self.passes();
        let at = format!("{:?}", std::time::Instant::now());
        self.patch_sync(name, &json!({"metadata": {"annotations": {"strongroom.dev/requested-at": at}}}));
        let passed = eventually(LONG, || (self.passes() > before).then_some(()));
        passed.expect("a pass");
    }

    fn passes(&mut self) -> u64 {
        metric(&mut self.admin, "strongroom_sync_passes_total")
    }
}

/// A counter of the room.
pub fn metric(admin: &mut Client, name: &str) -> u64 {
    let text = admin.get("/metrics").ok().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no {name}"))
}

/// A condition of a status.
pub fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}
